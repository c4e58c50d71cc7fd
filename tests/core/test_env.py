"""Episodes: returns, feedback, ends, errors, vectors and pictures, for every registered problem."""

from __future__ import annotations

import random
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import forge_gym
from cases import every_kind, every_problem
from forge_gym.core.env import TextEnv
from forge_gym.core.space import Text

INFO = {
    "seed", "index", "turn", "status", "objective", "quality", "skill", "ratio", "credit", "optimal", "violations",
    "score", "kept_quality", "kept_skill", "kept_score",
}  # fmt: skip


def made(name: str, **arguments: Any) -> TextEnv:
    env = gym.make(f"Forge/{name}-v0", **arguments).unwrapped
    assert isinstance(env, TextEnv)
    return env


@every_kind
def test_gymnasiums_checker_has_nothing_to_say(name: str) -> None:
    for arguments in ({}, {"turns": 3, "reward": "linear"}):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_env(gym.make(f"Forge/{name}-v0", **arguments).unwrapped)


@every_problem
def test_infos_are_flat_numeric_and_have_the_same_keys(name: str) -> None:
    env = gym.make(f"Forge/{name}-v0", turns=4)
    prompt, info = env.reset(seed=1)
    base = env.unwrapped
    assert isinstance(base, TextEnv) and base.instance is not None
    problem, instance = base.problem, base.instance
    for text in ("?", "<answer>[-1]</answer>", problem.format(instance, problem.trivial(instance)), "?"):
        assert set(info) == INFO
        assert all(isinstance(value, (int, float)) and np.isfinite(value) for value in info.values())
        feedback, *_, info = env.step(text)
        assert isinstance(feedback, str) and feedback in env.observation_space
    assert info["turn"] == 4


@every_kind
@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_return_is_the_reward_of_the_kept_answer(name: str, keep: str) -> None:
    env = made(name, turns=5, keep=keep)
    rng = random.Random(0)
    for seed in range(60):
        env.reset(seed=seed)
        problem, instance = env.problem, env.instance
        scores, total, over = [], 0.0, False
        while not over:
            draw = np.random.default_rng(rng.randrange(10**9))
            solutions = [
                problem.trivial(instance),
                problem.heuristic(instance),
                problem.random(instance, draw),
            ]
            texts = [
                "no idea",
                "<answer>[-1]</answer>",
                *(problem.format(instance, each) for each in solutions),
            ]
            _, reward, over, truncated, info = env.step(rng.choice(texts))
            total += reward
            scores.append(info["score"])
            assert not truncated
        assert total == pytest.approx(max(scores) if keep == "best" else scores[-1], abs=1e-12)
        assert len(scores) == 5 or info["optimal"]


def test_cycling_pays_nothing() -> None:
    env = made("TSP", turns=3)
    env.reset(seed=0)
    good = env.problem.format(env.instance, env.problem.heuristic(env.instance))
    assert [env.step(text)[1] for text in (good, "?", good)] == [0.0, 0.0, 0.0]


@every_problem
def test_a_proven_optimum_ends_the_episode(name: str) -> None:
    env = made(name, turns=9)
    env.reset(seed=0)
    best = env.problem.reference(env.instance)
    feedback, reward, terminated, truncated, info = env.step(env.problem.format(env.instance, best.solution))
    assert (reward, terminated, truncated, info["quality"], info["optimal"]) == (1.0, True, False, 1.0, True)
    assert feedback == f"Your answer is feasible with objective {best.value}: this is optimal."


@every_problem
def test_feedback_and_prompt_do_not_give_the_reference_away(name: str) -> None:
    env = made(name, turns=2)
    for seed in range(20):
        prompt, _ = env.reset(seed=seed)
        reference = env.problem.reference(env.instance)
        answer = env.problem.format(env.instance, reference.solution)
        assert answer not in prompt
        feedback, *_ = env.step(env.problem.format(env.instance, env.problem.trivial(env.instance)))
        assert answer not in feedback
        if reference.value != reference.trivial:
            numbers = feedback.split("objective ")[1].split(":")[0]
            assert numbers == str(reference.trivial)


def test_seeds_name_instances() -> None:
    env = made("TSP")
    first, info = env.reset(seed=5)
    second, _ = env.reset()
    third, more = env.reset()
    assert (info["seed"], info["index"], more["index"]) == (5, 0, 2)
    assert len({first, second, third}) == 3
    assert env.reset(seed=5)[0] == first and env.reset(options={"index": 2})[0] == third
    instance = env.problem.instance(seed=5, index=1)
    assert env.reset(options={"instance": instance})[0] == second
    assert made("TSP", split="test").reset(seed=5)[0] != first
    unseeded = made("TSP")
    _, info = unseeded.reset()
    assert env.reset(seed=info["seed"])[0] == unseeded.problem.prompt(unseeded.instance)


def test_a_refused_reset_changes_nothing() -> None:
    env = made("TSP", turns=3)
    for options in ({"indx": 1}, {"index": -1}, {"instance": forge_gym.problem("Knapsack").instance()}):
        with pytest.raises(ValueError):
            env.reset(seed=1, options=options)
        with pytest.raises(gym.error.ResetNeeded):  # there is no episode yet
            env.step("?")
    env.reset(seed=5)
    prompt, _ = env.reset()
    env.step("?")
    for arguments in ({"seed": -1}, {"seed": 9, "options": {"index": -1}}, {"seed": 9, "options": {"x": 0}}):
        before = env.info(), env.episode
        with pytest.raises((ValueError, gym.error.Error)):
            env.reset(**arguments)  # type: ignore[arg-type]
        assert (env.info(), env.episode) == before and env.info()["index"] == 1
    assert env.step("?")[4]["turn"] == 2
    other = made("TSP")
    other.reset(seed=5)
    other.reset()
    assert env.reset()[0] == other.reset()[0]


def test_a_reset_whose_prompt_fails_draws_nothing() -> None:
    few = {"n": 4, "names": ("ab", "cd", "ef", "gh")}  # too few for the example, which the prompt finds out
    env, other = made("Knapsack", **few), made("Knapsack")
    env.np_random, other.np_random = (np.random.default_rng(3) for _ in range(2))
    for seed in (None, 5):
        with pytest.raises(ValueError, match="names must be at least"):
            env.reset(seed=seed)
    assert env.np_random.integers(1000) == other.np_random.integers(1000)


def test_info_tells_this_answer_and_the_kept_one_apart() -> None:
    env = made("TSP", turns=3)
    _, info = env.reset(seed=0)
    assert (info["kept_quality"], info["kept_skill"], info["kept_score"]) == (0.0, -1.0, 0.0)
    env.step(env.problem.format(env.instance, env.problem.trivial(env.instance)))
    good = env.problem.verify_solution(env.instance, env.problem.heuristic(env.instance))
    env.step(env.problem.format(env.instance, good.solution))
    *_, info = env.step("?")
    assert (info["quality"], info["skill"], info["score"]) == (0.0, -1.0, -1.0)
    assert (info["kept_quality"], info["kept_skill"]) == (good.quality, good.skill)
    assert info["kept_score"] == forge_gym.reward("tiered")(good)
    last = made("TSP", turns=2, keep="last")
    last.reset(seed=0)
    last.step(last.problem.format(last.instance, last.problem.heuristic(last.instance)))
    *_, info = last.step("?")
    assert info["kept_score"] == info["score"] == -1


def test_misuse_has_defined_errors() -> None:
    env = made("TSP")
    with pytest.raises(gym.error.ResetNeeded):
        env.step("?")
    env.reset(seed=0)
    for action in (None, b"[0]", {"answer": [0]}, [{"role": "assistant", "content": ""}], 3):
        with pytest.raises(TypeError, match="an action is the text of a reply"):
            env.step(action)  # type: ignore[arg-type]
    env.step("?")
    with pytest.raises(gym.error.ResetNeeded):
        env.step("?")
    for options, words in (
        ({"indx": 1}, "did you mean 'index'"),
        ({"index": -1}, "at least 0"),
        ({"instance": forge_gym.problem("Knapsack").instance()}, "must be of TSP's TSPInstance"),
    ):
        with pytest.raises(ValueError, match=words):
            env.reset(options=options)
    for arguments, words in (
        ({"turns": 0}, "turns must be"),
        ({"keep": "first"}, "keep must be"),
        ({"split": "tset"}, "did you mean 'test'"),
    ):
        with pytest.raises(ValueError, match=words):
            made("TSP", **arguments)


def test_a_reward_pays_a_single_answer() -> None:
    words = "reward must pay a single answer, got 'pairwise', which compares the answers of a group: did you mean"
    with pytest.raises(ValueError, match=words):
        made("TSP", reward="pairwise")
    with pytest.raises(ValueError, match="did you mean 'pairwise'"):  # the table knows the name
        made("TSP", reward="pairwse")


def test_a_reward_sees_the_text() -> None:
    env = made("Knapsack", reward="base_and_bonus", turns=3, keep="last")
    _, instance = next(env.problem.graded_instances(seed=1))
    env.reset(options={"instance": instance})
    greedy = env.problem.heuristic(instance)
    answer = env.problem.format(instance, greedy)
    value = env.problem.objective(instance, greedy)
    silent, false, true = (
        env.step(words + answer)[-1]["score"] for words in ("", f"objective: {value + 1} ", f"objective: {value} ")
    )
    assert 0 < false < silent < 0.01 <= true < 0.02


def test_a_reward_does_not_depend_on_the_past() -> None:
    env = made("TSP", reward="verpo", n=6)
    texts = (
        "<answer>[0, 1, 2, 3, 9]</answer>",
        "<answer>[0, 1, 2, 3]</answer>",
        "<answer>[0, 0, 1]</answer>",
    )
    paid = []
    for text in texts * 3:
        env.reset(seed=0)
        paid.append(env.step(text)[1])
    assert paid == paid[:3] * 3 and len(set(paid)) == 3


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("vectorization", [None, "sync", "async"])
def test_vectors(vectorization: str | None, mode: AutoresetMode) -> None:
    given: dict[str, Any] = {"autoreset_mode": mode}  # the native vector takes it by name
    if vectorization is not None:
        given = {"vectorization_mode": vectorization, "vector_kwargs": given}
    envs = gym.make_vec("forge_gym:Forge/TSP-v0", 3, n=6, **given)
    try:
        prompts, infos = envs.reset(seed=[4, 5, 6])
        tsp = forge_gym.problem("TSP", n=6)
        assert prompts == tuple(tsp.prompt(tsp.instance(seed)) for seed in (4, 5, 6))
        best = [tsp.format(x, tsp.reference(x).solution) for x in (tsp.instance(seed) for seed in (4, 5, 6))]
        _, rewards, terminated, truncated, infos = envs.step(best)
        assert rewards.tolist() == [1, 1, 1] and terminated.all() and not truncated.any()
        told = infos["final_info"] if mode is AutoresetMode.SAME_STEP else infos
        assert np.array(told["quality"]).tolist() == [1, 1, 1]
    finally:
        envs.close()


@every_problem
def test_rendering(name: str) -> None:
    pytest.importorskip("matplotlib")
    env = gym.make(f"Forge/{name}-v0", render_mode="rgb_array", turns=3)
    env.reset(seed=2)
    base = env.unwrapped
    assert isinstance(base, TextEnv)
    empty = env.render()
    env.step("?")
    failed = env.render()
    env.step(base.problem.format(base.instance, base.problem.heuristic(base.instance)))
    solved = env.render()
    for picture in (empty, failed, solved):
        assert isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.shape == (480, 480, 3)
    assert (empty != solved).any() and (empty != failed).any()
    text = gym.make(f"Forge/{name}-v0", render_mode="ansi")
    prompt, _ = text.reset(seed=2)
    text.step("no idea")
    rendered = text.render()
    assert isinstance(rendered, str) and prompt in rendered and "cannot be read" in rendered


def test_ordinary_wrappers() -> None:
    env = gym.wrappers.RecordEpisodeStatistics(gym.make("Forge/Knapsack-v0", turns=8, max_episode_steps=2))
    env.reset(seed=0)
    env.step("?")
    *_, truncated, info = env.step("?")
    assert truncated and info["episode"]["r"] == -1 and info["episode"]["l"] == 2


def test_text_space() -> None:
    space = Text(11)
    assert all(text in space for text in ("", "naïve → é\n\0", "\ud800")) and "x" * 12 not in space
    assert space == Text(11) and space != Text(12) and space != gym.spaces.Text(11)
    assert space.sample() in space
