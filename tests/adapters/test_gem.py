"""GEM: every problem through GEM's own entry points, vectors and wrappers, paid as everywhere."""

from __future__ import annotations

import json
from functools import partial
from itertools import islice
from typing import Any

import pytest

from adapters.replies import ALONE, HUGE, SCRIPT, asked, raise_alarms
from cases import every_kind

pytest.importorskip("gem.envs", reason=SCRIPT.format("gem"))

import gem
from gem.envs.registration import ENV_REGISTRY
from gem.utils.constants import TERMINAL_STATE
from gem.wrappers.episode_tracking_wrapper import EpisodeTrackingWrapper
from gem.wrappers.wrapper_factory import get_wrapper_fns
from gymnasium.error import ResetNeeded

import forge_gym
from forge_gym.adapters.gem import ForgeGemEnv, register
from forge_gym.core.episode import Protocol
from forge_gym.core.registry import problem_class

NAMES = forge_gym.problems()


def made(name: str = "TSP", **arguments: Any) -> Any:
    return gem.make(f"forge:{name}-v0", **{"level": 1, **arguments})


def place(info: dict[str, Any]) -> tuple[int, int]:
    """Seed and index of the instance."""
    spec = json.loads(info["spec"])
    return spec["seed"], spec["index"]


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


@every_kind
def test_a_step_pays_the_reward_of_the_verdict(name: str) -> None:
    case = asked(name)
    for scheme in ALONE:
        env = made(name, reward=scheme)
        for text in case.replies.values():
            env.reset(seed=5)
            observation, paid, terminated, truncated, info = env.step(text)
            assert paid == info["score"] == case.paid(text, scheme)
            assert (observation, terminated, truncated) == (TERMINAL_STATE, True, False)
            assert info["feedback"].startswith("Your answer ")


@pytest.mark.parametrize("keep", ["best", "last"])
@every_kind
def test_an_episode_pays_the_kept_reply(name: str, keep: str) -> None:
    case, env = asked(name), made(name, turns=4, keep=keep)
    env.reset(seed=5)
    total = 0.0
    for turn, kind in enumerate(["infeasible", "greedy", "prose", "trivial"], 1):
        observation, paid, terminated, truncated, info = env.step(case.replies[kind])
        total += paid
        assert (terminated, truncated) == (turn == 4, False)
        assert observation == (TERMINAL_STATE if terminated else info["feedback"])
        assert terminated or f"{4 - turn} turn" in observation
    kept = case.paid(case.replies["trivial" if keep == "last" else "greedy"])
    assert total == pytest.approx(kept) and info["score"] == kept


def test_the_optimum_ends_it_and_then_nothing_changes() -> None:
    env, texts = made(turns=5), asked().replies
    env.reset(seed=5)
    assert env.step(texts["optimal"])[:4] == (TERMINAL_STATE, 1.0, True, False)
    state = env.get_state()
    assert env.step(texts["prose"])[:4] == (TERMINAL_STATE, 0.0, True, False) and env.get_state() == state
    _, info = env.reset()
    assert env.step(texts["prose"])[1:4] == (-1.0, False, False)


@pytest.mark.parametrize("reply", [*HUGE, None, b"<answer>[0]</answer>", 7, ["[0]"]], ids=range(9))
def test_no_reply_raises(reply: Any) -> None:
    env = made(turns=2)
    env.reset(seed=1)
    _, paid, terminated, truncated, info = env.step(reply)
    assert paid == info["score"] < -0.4 and not terminated and not truncated and info["feasible"] == 0.0


def test_a_fault_truncates_and_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    env, texts = made("Knapsack", turns=3), asked("Knapsack").replies
    env.reset(seed=5)
    assert env.step(texts["greedy"])[1] == 0.0
    with monkeypatch.context() as patch:
        raise_alarms(patch, env.problem)
        for _ in range(2):  # and after its end nothing changes
            observation, more, terminated, truncated, info = env.step(texts["optimal"])
            assert (observation, more, terminated, truncated) == (TERMINAL_STATE, 0.0, False, True)
            assert list(info) == ["spec", "feedback"]
    env.reset()
    assert env.step("no idea")[1:4] == (-1.0, False, False)


# ---------------------------------------------------------------------- state, spawning, random actions


@every_kind
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
    env.reset(seed=5)
    texts = asked().replies
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
        ({}, "a state must be get_state's"),
        (None, "a state must be get_state's"),
        ({"spec": "TSP", "replies": []}, "a state must be get_state's"),
        ({"spec": forge_gym.problem("Knapsack").spec(), "replies": []}, "of TSP"),
        ({"spec": env.problem.spec(1, 0, "test"), "replies": []}, "the split 'train'"),
    ):
        before = env.get_state()
        with pytest.raises(ValueError, match=message):
            env.set_state(state)
        assert env.get_state() == before


def test_spawning() -> None:
    env = made(turns=3, keep="last", reward="linear", seed=5)
    env.reset()
    env.step("no idea")
    twin = env.spawn(same_state=True)
    assert twin is not env and twin.get_state() == env.get_state()
    best = asked().replies["optimal"]
    assert twin.step(best)[1] == env.step(best)[1] == 2.0
    other = env.spawn(seed=3, turns=1)
    assert isinstance(other, ForgeGemEnv) and place(other.reset()[1])[0] == 3
    assert (other.protocol, other.problem) == (Protocol(1, "last", "linear"), env.problem)
    with pytest.warns(UserWarning, match="the seed is the same"):
        env.spawn()
    with pytest.raises(ValueError, match="a state must be get_state's, of TSP"):
        env.spawn(same_state=True, level=4)


# ---------------------------------------------------------------------- vectors and wrappers


@pytest.mark.parametrize("async_mode", [False, True])
def test_vectors(async_mode: bool) -> None:
    ids = [f"forge:{name}-v0" for name in NAMES]
    envs = gem.make_vec(ids, async_mode=async_mode, seed=10, level=1, turns=2)
    prompts, infos = envs.reset()
    assert [place(info)[0] for info in infos] == list(range(10, 10 + len(NAMES)))
    texts = [asked(name, seed).replies for seed, name in enumerate(NAMES, 10)]
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
        ["forge:SetCover-v0"] * 8, vec_kwargs=[{"seed": 5, "level": 1} for _ in range(8)], async_mode=True
    )
    prompts, _ = envs.reset()
    case = asked("SetCover")
    texts = list(case.replies.values())[-8:]
    assert len(set(prompts)) == 1
    assert envs.step(texts)[1].tolist() == [case.paid(text) for text in texts]


def test_wrappers() -> None:
    env = made(turns=2)
    for wrap in [*get_wrapper_fns("concat_with_action"), EpisodeTrackingWrapper]:
        env = wrap(env)
    prompt, _ = env.reset(seed=5)
    texts = asked().replies
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


def test_an_instance_that_was_found_graded_is_not_solved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cover = problem_class("SetCover")
    solve, solved = cover.solve, list[str]()

    def counted(self: Any, instance: Any, *rest: Any) -> Any:
        solved.append(instance.to_json())
        return solve(self, instance, *rest)

    monkeypatch.setattr(cover, "solve", counted)
    env = made("SetCover", seed=11, turns=2)
    env.reset()
    env.step(env.sample_random_action())
    spawned = env.spawn(same_state=True)
    spawned.set_state(env.get_state())
    spawned.step(spawned.sample_random_action())
    env.set_state(env.get_state())
    assert len(solved) == len(set(solved)) > 0 and spawned._episode is not env._episode
