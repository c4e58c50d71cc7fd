"""GEM: every problem through GEM's own entry points, vectors and wrappers, paid as everywhere.

Needs ``pip install gem-llm`` in an environment of Python 3.11 with this package, then
``pytest tests/adapters/test_gem.py``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gem.envs")

import gem
from gem.envs.registration import ENV_REGISTRY
from gem.utils.constants import TERMINAL_STATE
from gem.wrappers.episode_tracking_wrapper import EpisodeTrackingWrapper
from gem.wrappers.wrapper_factory import get_wrapper_fns
from gymnasium.error import ResetNeeded

import forge_gym
from forge_gym.adapters.gem import ForgeGemEnv, register
from forge_gym.core.rewards import REWARDS

NAMES = forge_gym.problems()
ALONE = [name for name, scheme in REWARDS.items() if not isinstance(scheme, str)]


def made(name: str = "TSP", **arguments: Any) -> Any:
    return gem.make(f"forge:{name}-v0", **{"level": 1, **arguments})


def place(info: dict[str, Any]) -> tuple[int, int]:
    """Seed and index of the instance."""
    spec = json.loads(info["spec"])
    return spec["seed"], spec["index"]


def replies(spec: str) -> dict[str, str]:
    """Replies of every status to the instance, and what no model should say."""
    problem, instance = forge_gym.from_spec(spec)
    solutions = {
        "infeasible": problem.null_answers(instance)[1],
        "random": problem.random(instance, np.random.default_rng(0)),
        "trivial": problem.trivial(instance),
        "greedy": problem.heuristic(instance),
        "optimal": problem.reference(instance).solution,
    }
    texts = {kind: problem.format(instance, solution) for kind, solution in solutions.items()}
    odd = {
        "prose": "no idea",
        "empty": "",
        "surrogate": "<answer>[\ud800]</answer>",
        "terminal": TERMINAL_STATE,
    }
    return {**odd, "twice": texts["trivial"] * 2, **texts}


def score(spec: str, text: str, scheme: str = "tiered") -> float:
    problem, instance = forge_gym.from_spec(spec)
    paid = forge_gym.reward(scheme)(problem.verify(instance, text))
    assert paid is not None
    return float(paid)


# ---------------------------------------------------------------------- registration and reset


def test_every_problem_is_registered_and_made() -> None:
    assert {key for key in ENV_REGISTRY if key.startswith("forge:")} == {f"forge:{name}-v0" for name in NAMES}
    register()  # again: nothing changes
    for name in NAMES:
        env = made(name, seed=3)
        assert isinstance(env, gem.Env) and env.unwrapped is env and env.env_id == f"forge:{name}-v0"
        prompt, info = env.reset()
        problem, instance = forge_gym.from_spec(info["spec"])
        assert (problem.name, problem.prompt(instance)) == (name, prompt) and problem.is_graded(instance)


def test_resets_walk_along_the_stream() -> None:
    env, problem = made(seed=5), forge_gym.problem("TSP", level=1)
    expected = [(5, index) for index, _ in islice(problem.graded_instances(5), 3)]
    assert [place(env.reset()[1]) for _ in range(3)] == expected
    first, info = env.reset(seed=9)
    assert place(info)[0] == 9 == place(env.reset()[1])[0]
    assert env.reset(seed=9)[0] == first == made(seed=9).reset()[0] != made(seed=9, split="test").reset()[0]
    with pytest.raises(ValueError, match="seed must be an integer from 0 to 4294967295, got -1"):
        env.reset(seed=-1)


def test_parameters_reach_the_problem() -> None:
    env = gem.make("forge:Knapsack-v0", n=9, distribution="strong", answer_format="line")
    assert (env.problem.n, env.problem.distribution) == (9, "strong")
    assert "Answer:" in env.reset(seed=1)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"turn": 2}, "forge:TSP has no argument 'turn': did you mean 'turns'"),
        ({"turns": 0}, "turns must be an integer of at least 1"),
        ({"keep": "first"}, "keep must be one of"),
        ({"split": "tset"}, "did you mean 'test'"),
        ({"reward": "tired"}, "did you mean 'tiered'"),
        ({"reward": "pairwise"}, "reward must pay a single answer"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"seed": 2**32}, "seed must be an integer from 0"),
        ({"seed": None}, "seed must be an integer from 0"),
        ({"level": -1}, "level must be an integer of at least 0"),
        ({"level": 3, "n": 30}, "level sets n"),
        ({"level": None, "n": 1}, "n must be an integer"),
        ({"problem": "TPS"}, "did you mean 'TSP'"),
    ],
)
def test_a_wrong_configuration_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**arguments)


def test_nothing_goes_before_the_first_reset() -> None:
    env = made()
    for early in (partial(env.step, "?"), env.sample_random_action, env.get_state):
        with pytest.raises(ResetNeeded, match="call reset first"):
            early()


# ---------------------------------------------------------------------- what is paid


@pytest.mark.parametrize("name", NAMES)
def test_a_step_pays_the_reward_of_the_verdict(name: str) -> None:
    for scheme in ALONE:
        env = made(name, reward=scheme)
        _, info = env.reset(seed=5)
        for text in replies(info["spec"]).values():
            env.reset(seed=5)
            observation, paid, terminated, truncated, info = env.step(text)
            assert paid == info["score"] == score(info["spec"], text, scheme)
            assert (observation, terminated, truncated) == (TERMINAL_STATE, True, False)
            assert info["feedback"].startswith("Your answer ")


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("name", NAMES)
def test_an_episode_pays_the_kept_reply(name: str, keep: str) -> None:
    env = made(name, turns=4, keep=keep)
    _, info = env.reset(seed=5)
    texts = replies(info["spec"])
    kinds = ["infeasible", "greedy", "prose", "trivial"]
    total = 0.0
    for turn, kind in enumerate(kinds, 1):
        observation, paid, terminated, truncated, info = env.step(texts[kind])
        total += paid
        assert (terminated, truncated) == (turn == 4, False)
        assert observation == (TERMINAL_STATE if terminated else info["feedback"])
        assert terminated or f"{4 - turn} turn" in observation
    kept = texts["trivial" if keep == "last" else "greedy"]
    assert total == pytest.approx(score(info["spec"], kept)) and info["score"] == score(info["spec"], kept)


def test_the_optimum_ends_it_and_then_nothing_changes() -> None:
    env = made(turns=5)
    _, info = env.reset(seed=5)
    texts = replies(info["spec"])
    assert env.step(texts["optimal"])[:4] == (TERMINAL_STATE, 1.0, True, False)
    state = env.get_state()
    assert env.step(texts["prose"])[:4] == (TERMINAL_STATE, 0.0, True, False) and env.get_state() == state
    _, info = env.reset()
    assert env.step(texts["prose"])[1:4] == (-1.0, False, False)


@pytest.mark.parametrize(
    "reply",
    [
        "\ud800<answer>[0, 1, 2]</answer>\udfff",
        "<answer>" * 1_250_000,
        "<answer>" + "9" * 10_000_000 + "</answer>",
        "<answer>" + "[" * 10_000_000 + "</answer>",
        None,
        b"<answer>[0]</answer>",
        7,
        ["[0]"],
    ],
    ids=["surrogates", "tags", "digits", "brackets", "none", "bytes", "number", "list"],
)
def test_no_reply_raises(reply: Any) -> None:
    env = made(turns=2)
    env.reset(seed=1)
    _, paid, terminated, truncated, info = env.step(reply)
    assert paid == info["score"] < -0.4 and not terminated and not truncated and info["feasible"] == 0.0


def test_a_fault_truncates_and_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    env = made("Knapsack", turns=3)
    _, info = env.reset(seed=5)
    texts, verify = replies(info["spec"]), type(env.problem).verify
    paid = env.step(texts["greedy"])[1]
    monkeypatch.setattr(type(env.problem), "verify", lambda *given: 1 / 0)
    for _ in range(2):  # and after its end nothing changes
        observation, more, terminated, truncated, info = env.step(texts["optimal"])
        assert (observation, more, terminated, truncated) == (TERMINAL_STATE, 0.0, False, True)
        assert list(info) == ["spec", "feedback"]
    assert paid == 0.0
    monkeypatch.setattr(type(env.problem), "verify", verify)
    env.reset()
    assert env.step("no idea")[1:4] == (-1.0, False, False)


# ---------------------------------------------------------------------- state, spawning, random actions


@pytest.mark.parametrize("name", NAMES)
def test_random_actions_are_feasible_and_repeat(name: str) -> None:
    drawn = []
    for _ in range(2):
        env = made(name, turns=3)
        env.reset(seed=8)
        drawn.append([env.sample_random_action() for _ in range(3)])
        assert env.step(drawn[-1][0])[4]["feasible"] == 1.0
    assert drawn[0] == drawn[1]


def test_a_state_goes_anywhere() -> None:
    env = made(turns=3, keep="last", seed=4)
    env.reset()
    _, info = env.reset()
    texts = replies(info["spec"])
    env.step(texts["trivial"])
    state = json.loads(json.dumps(env.get_state()))
    other = made(turns=3, keep="last", seed=77)
    other.set_state({**state, "tool_use_counter": 0})  # GEM's tools add to it
    for text in (texts["greedy"], texts["infeasible"]):
        assert env.step(text) == other.step(text)
    assert other.get_state() == env.get_state() != state
    assert env.reset() == other.reset()


def test_a_wrong_state_is_refused() -> None:
    env = made()
    env.reset(seed=1)
    for state, message in (
        ({}, "a state must have a spec and a list of replies"),
        (None, "a state must have a spec and a list of replies"),
        ({"spec": "TSP", "replies": []}, "a spec must be a JSON object"),
        ({"spec": forge_gym.problem("Knapsack").spec(), "replies": []}, "a state must be of TSP"),
        ({"spec": env.problem.spec(1, 0, "test"), "replies": []}, "the split 'train'"),
    ):
        before = env.get_state()
        with pytest.raises(ValueError, match=message):
            env.set_state(state)
        assert env.get_state() == before


def test_spawning() -> None:
    env = made(turns=3, keep="last", reward="linear", seed=2)
    _, info = env.reset()
    env.step("no idea")
    twin = env.spawn(same_state=True)
    assert twin is not env and twin.get_state() == env.get_state()
    best = replies(info["spec"])["optimal"]
    assert twin.step(best)[1] == env.step(best)[1] == 2.0
    other = env.spawn(seed=3, turns=1)
    assert isinstance(other, ForgeGemEnv) and place(other.reset()[1])[0] == 3
    assert (other.turns, other.keep, other.reward, other.problem) == (1, "last", "linear", env.problem)
    with pytest.warns(UserWarning, match="the seed is the same"):
        env.spawn()
    with pytest.raises(ValueError, match="a state must be of TSP"):
        env.spawn(same_state=True, level=4)


# ---------------------------------------------------------------------- vectors and wrappers


@pytest.mark.parametrize("async_mode", [False, True])
def test_vectors(async_mode: bool) -> None:
    ids = [f"forge:{name}-v0" for name in NAMES]
    envs = gem.make_vec(ids, async_mode=async_mode, seed=10, level=1, turns=2)
    prompts, infos = envs.reset()
    assert [place(info)[0] for info in infos] == list(range(10, 10 + len(NAMES)))
    texts = [replies(info["spec"]) for info in infos]
    observations, rewards, terminated, truncated, infos = envs.step([each["greedy"] for each in texts])
    assert rewards.tolist() == [0.0] * len(NAMES) and not terminated.any() and not truncated.any()
    assert all("1 turn left" in each for each in observations)
    # A finished episode makes place for the next one in the same step; GEM steps those that it is told to.
    observations, rewards, terminated, _, infos = envs.step({3: texts[3]["optimal"], 1: texts[1]["prose"]})
    assert rewards.tolist() == [1.0, 0.0] and terminated.tolist() == [True, True]
    assert observations[0] != prompts[3] and place(infos[0])[0] == 13 and place(infos[0])[1] > 0
    assert envs.reset(seed=10)[0] == prompts
    assert [place(info)[0] for info in envs.reset(seed=[7] * len(NAMES))[1]] == [7] * len(NAMES)
    assert type(envs).__name__ == ("AsyncVectorEnv" if async_mode else "SyncVectorEnv")


def test_one_instance_for_a_whole_group_in_threads() -> None:
    envs = gem.make_vec(
        ["forge:SetCover-v0"] * 8, vec_kwargs=[{"seed": 4} for _ in range(8)], async_mode=True
    )
    prompts, infos = envs.reset()
    texts = list(replies(infos[0]["spec"]).values())[-8:]
    assert len(set(prompts)) == 1
    assert envs.step(texts)[1].tolist() == [score(infos[0]["spec"], text) for text in texts]


def test_wrappers() -> None:
    env = made(turns=2)
    for wrap in [*get_wrapper_fns("concat_with_action"), EpisodeTrackingWrapper]:
        env = wrap(env)
    prompt, info = env.reset(seed=3)
    texts = replies(info["spec"])
    seen, _, _, _, info = env.step(texts["prose"])
    assert seen == f"{prompt}no idea\n{info['feedback']}\n" and info["cumulative_rewards"] == -1.0
    seen, _, terminated, _, info = env.step(texts["greedy"])
    assert terminated and seen.endswith(f"{TERMINAL_STATE}\n") and info["cumulative_rewards"] == 0.0
    assert env.unwrapped.get_state()["replies"] == [texts["prose"], texts["greedy"]]
    assert env.reset()[1]["prev_ep_cumulative_rewards"] == 0.0
    assert env.unwrapped.spawn(same_state=True).get_state() == env.unwrapped.get_state()


class Words:
    """A tokenizer's chat template."""

    def apply_chat_template(self, messages: list[dict[str, str]], **_: Any) -> str:
        return "|".join(f"{message['role']}: {message['content']}" for message in messages)


def test_a_conversation() -> None:
    (wrap,) = get_wrapper_fns("concat_chat", tokenizer=Words())
    env = wrap(made(turns=2))
    prompt, _ = env.reset(seed=3)
    seen, _, _, _, info = env.step("no idea")
    assert seen == f"{prompt}|assistant: no idea|user: {info['feedback']}"


def test_the_page_runs(root: Path, tmp_path: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", (root / "docs/adapters/gem.md").read_text(), re.DOTALL)
    assert len(examples) == 2
    subprocess.run([sys.executable, "-c", "\n".join(examples)], check=True, cwd=tmp_path, capture_output=True)
