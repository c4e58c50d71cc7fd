"""Relabel: the same instance under other numbers or names, and every answer worth the same."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from cases import PROBLEMS, every_problem
from forge_gym.core.env import TextEnv
from forge_gym.core.verdict import Malformed, Verdict
from forge_gym.wrappers import RecordTranscript, Relabel, Skin

CASES = [
    *((name, {}) for name in PROBLEMS),
    ("BalancedMinCut", {"n": 9}),
    ("TSP", {"distribution": "matrix"}),
    ("SetCover", {"distribution": "uniform"}),
    *((name, {"style": "compact"}) for name in PROBLEMS),
]


def made(name: str, **arguments: Any) -> gym.Env[str, str]:
    return gym.make(f"Forge/{name}-v0", **{"n": 8, "turns": 40, "keep": "last", **arguments})


def text_env(env: gym.Env[str, str]) -> TextEnv:
    assert isinstance(env.unwrapped, TextEnv)
    return env.unwrapped


def names(env: Relabel) -> list[str]:
    """What the elements of the episode's instance are called."""
    problem: Any = text_env(env).problem
    found: list[str] = problem.names_of(text_env(env).instance).all
    return found


def worth(verdict: Verdict | None) -> Any:
    """Everything but the reason, which names numbers."""
    assert verdict is not None
    broken = [(v.family, v.amount, v.scale) for v in verdict.violations]
    return verdict.status, verdict.objective, verdict.quality, verdict.skill, verdict.credit, broken


def answers(env: Relabel, rng: np.random.Generator) -> list[Any]:
    """Solutions of the original instance, feasible ones and what a few accidents make of them."""
    problem, original = text_env(env).problem, env.original
    assert original is not None
    found: list[Any] = [problem.trivial(original), problem.heuristic(original)]
    if problem.solutions == "an assignment":  # type: ignore[attr-defined] # a label for every element, or there is nothing to renumber
        labels = rng.integers(original.size + 1, size=(30, original.size)).tolist()
        return [*found, problem.random(original, rng), *map(tuple, labels)]
    found += problem.null_answers(original)
    for _ in range(6):
        solution: Any = problem.random(original, rng)
        found += [solution, solution[1:], solution + solution[:1]]
    if problem.solutions == "a subset":  # type: ignore[attr-defined]
        found += [tuple(rng.permutation(original.size)[:k].tolist()) for k in range(original.size + 1)]
    return found


@pytest.mark.parametrize("flags", [{}, {"names": True}])
@pytest.mark.parametrize("name, arguments", CASES)
def test_the_worth_of_an_answer_is_the_same(name: str, arguments: dict[str, Any], flags: dict[str, bool]) -> None:
    if flags and "style" in arguments:
        return  # compact texts count from 0
    plain, env = made(name, **arguments), Relabel(made(name, **arguments), **flags)
    seen = set()
    for seed in range(3):
        plain.reset(seed=seed)
        env.reset(seed=seed)
        base, there = text_env(plain), text_env(env)
        assert env.original == base.instance and there.instance is not None
        for solution in answers(env, np.random.default_rng(seed)):
            moved = base.problem.permute(solution, env.order)
            assert env.restore(moved) == solution
            try:
                here, reply = (
                    base.problem.format(base.instance, solution),
                    there.problem.format(there.instance, moved),
                )
                if base.problem.parse_reply(base.instance, here) != solution and "style" in arguments:
                    continue
            except (ValueError, IndexError, Malformed):  # what compact answers cannot spell
                continue
            _, reward, ended, _, info = plain.step(here)
            _, same, ended_too, _, info_too = env.step(reply)
            assert worth(there.verdict) == worth(base.verdict), (solution, reply)
            assert (same, ended_too, info_too) == (reward, ended, info)
            seen.add(info["status"])
            if ended:
                plain.reset(seed=seed)
                env.reset(seed=seed)
    assert seen >= {1, 2} or "style" in arguments


@every_problem
def test_gymnasiums_checker_has_nothing_to_say(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        check_env(Relabel(made(name)))
        if name == "Knapsack":
            check_env(Relabel(made(name), names=True))


def test_every_process_draws_the_same_episodes() -> None:
    code = (
        "import gymnasium as gym, forge_gym; from forge_gym.wrappers import Relabel\n"
        "env = Relabel(gym.make('Forge/Knapsack-v0', n=6), names=True)\n"
        "print(env.reset(seed=5)[0]); print(env.reset()[0])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    env = Relabel(gym.make("Forge/Knapsack-v0", n=6), names=True)
    first, second = env.reset(seed=5)[0], env.reset()[0]
    assert out.splitlines() == [*first.splitlines(), *second.splitlines()] and first != second
    assert env.reset(seed=5, options={"index": 1})[0] == second
    assert env.reset(seed=6)[0] != first


def test_unseeded_resets_go_on_and_options_are_passed() -> None:
    env, plain = Relabel(made("TSP")), made("TSP")
    _, info = env.reset()
    seed = info["seed"]
    assert [env.reset()[1]["index"] for _ in range(3)] == [1, 2, 3]
    plain.reset(seed=seed, options={"index": 3})
    assert env.original == text_env(plain).instance
    tsp = text_env(plain).problem
    mine = tsp.instance(99, 4)
    env.reset(seed=1, options={"instance": mine})
    assert env.original is mine and text_env(env).instance == mine.relabelled(env.order)
    with pytest.raises(ValueError, match="reset has no option 'indx': did you mean 'index'"):
        env.reset(options={"indx": 3})


@every_problem
@pytest.mark.parametrize("answer_format", ["tags", "line", "raw"])
def test_names_are_the_only_way_to_answer(name: str, answer_format: str) -> None:
    env = Relabel(made(name, answer_format=answer_format), names=True)
    prompt, _ = env.reset(seed=2)
    base = text_env(env)
    assert base.instance is not None
    assert not re.search(r"\d{9}", prompt) and all(word in prompt for word in names(env))
    assert "its number" not in prompt and "numbers of" not in prompt and "higher number" not in prompt
    assert len(set(names(env))) == len(names(env)) == base.instance.size
    solution = base.problem.reference(base.instance).solution
    if base.problem.solutions == "an assignment":  # type: ignore[attr-defined] # its answers name no element
        return
    plain = replace(base.problem, names=0)
    numbered = plain.format(base.instance, solution)
    small = numbered.replace(plain.format_answer(base.instance, solution), "[0, 1]")
    for reply in (numbered, small, small.replace("[", "[-", 1)):
        feedback, _, _, _, info = env.step(reply)
        assert (info["status"] == 0 and "of names" in feedback) or "name and 2 integers" in feedback, feedback
    if not base.problem.renumbered:  # type: ignore[attr-defined] # the example has another size, not other names
        return
    example = prompt.splitlines()[-1]
    feedback, _, _, _, info = env.step(example)  # the example's names are other ones
    assert info["status"] == 1 and f"{names(env)[0]}, {names(env)[1]}" in feedback


def test_no_reply_crashes_names() -> None:
    rng = random.Random(0)
    for name in PROBLEMS:
        env = Relabel(made(name, turns=10**6), names=True)
        env.reset(seed=1)
        words = [json.dumps(word) for word in names(env)[:3]]
        bits = [
            *words, *'[],"-\\ {}', "[[", "]]", "0", "540", "9" * 5000, "1e9", "true", "\n", "é", "\ud800",
            "<answer>", "</answer>", "```", '"\\u0041"', "null", "--", "-0",
        ]  # fmt: skip
        for _ in range(300):
            body = "".join(rng.choices(bits, k=rng.randrange(1, 9)))
            feedback, reward, _, _, info = env.step(f"<answer>{body}</answer>")
            assert info["status"] in (0, 1, 2) and np.isfinite(reward)
        env.step("<answer>" + "[" * 10**5 + "</answer>")
        with pytest.raises(TypeError, match="an action is the text of a reply"):
            env.step(7)  # type: ignore[arg-type]


def test_names_are_never_a_way_to_cheat_a_column() -> None:
    env = Relabel(made("MeetingScheduling"), names=True)
    env.reset(seed=1)
    name = names(env)[0]
    for body, status in (
        (f'[["{name}", 0, 541]]', 1),
        ('[["moon", 0, 540]]', 1),
        (f'[["{name}", "{name}", 540]]', 0),
        (f'[["{name}", 0, "540"]]', 0),
        ("[[0, 0, 540]]", 0),
        ("[[ -1, 0, 540]]", 0),
    ):
        assert env.step(f"<answer>{body}</answer>")[4]["status"] == status, body


def test_it_works_inside_and_outside_other_wrappers(tmp_path: Any) -> None:
    def scores(env: gym.Env[str, str], relabel: Relabel) -> list[float]:
        env.reset(seed=4)
        base = text_env(env)
        assert base.instance is not None and relabel.order
        reply = base.problem.format(base.instance, base.problem.random(base.instance, np.random.default_rng(0)))
        return [float(env.step(reply)[1]) for _ in range(2)]

    inside = Relabel(made("TSP"))
    outside = Relabel(gym.wrappers.RecordEpisodeStatistics(gym.wrappers.TimeLimit(made("TSP"), 2)))
    within = gym.wrappers.RecordEpisodeStatistics(gym.wrappers.TimeLimit(inside, 2))
    assert scores(within, inside) == scores(outside, outside)
    path = tmp_path / "episodes.jsonl"
    env = Relabel(RecordTranscript(made("TSP", turns=1), path))
    prompt, _ = env.reset(seed=1)
    env.step("?")
    lines = path.read_text().splitlines()
    assert len(lines) == 1 and json.loads(lines[0])["messages"][0]["content"] == prompt
    story = Relabel(Skin(made("Knapsack"), "rescue flight"), names=True)
    prompt, _ = story.reset(seed=1)
    assert f"8 crates, named {names(story)[0]}, {names(story)[1]}" in prompt
    feedback, *_ = story.step(f'<answer>["{names(story)[0]}", "{names(story)[0]}"]</answer>')
    assert "crates are listed once each, got 1 repetitions" in feedback


def test_the_wrapper_is_recorded_and_checked() -> None:
    env = Relabel(made("Knapsack"), names=True)
    again = gym.make(env.spec)
    assert isinstance(again, Relabel) and again.reset(seed=3)[0] == env.reset(seed=3)[0]
    with pytest.raises(ValueError, match="names must be 0 with style='compact'"):
        Relabel(made("Knapsack", style="compact"), names=True)
    with pytest.raises(ValueError, match="env must hold a text environment of one problem"):
        Relabel(gym.make("CartPole-v1"))


def test_the_text_shown_has_names_and_the_picture_is_one() -> None:
    env = Relabel(gym.make("Forge/Knapsack-v0", n=5, render_mode="ansi"), names=True)
    env.reset(seed=0)
    assert names(env)[4] in str(env.render())
    assert Relabel(gym.make("Forge/Knapsack-v0", render_mode="rgb_array"), names=True).reset(seed=0)
