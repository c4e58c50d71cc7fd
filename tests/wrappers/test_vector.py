"""Vectors: the native one beside Gymnasium's over the same id, and texts in shared memory."""

from __future__ import annotations

import multiprocessing
import pickle
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

import forge_gym
from forge_gym.core.episode import Protocol
from forge_gym.core.reference import CertificateError
from forge_gym.core.space import Text
from forge_gym.wrappers.vector import TextVectorEnv

NAMES = forge_gym.problems()
COUNT = 4
ARGUMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"level": 1, "turns": 3, "keep": "last", "reward": "linear", "split": "test"},
    {
        "turns": 3,
        "reward": "base_and_bonus",
        "style": "compact",
        "answer_format": "line",
        "split": "validation",
    },
    {"turns": 4, "reward": "verpo", "max_episode_steps": 2},
)


def native(name: str, count: int = COUNT, **arguments: Any) -> TextVectorEnv:
    envs = gym.make_vec(f"Forge/{name}-v0", count, **arguments)
    assert isinstance(envs, TextVectorEnv)
    return envs


def both(name: str, mode: AutoresetMode = AutoresetMode.NEXT_STEP, **arguments: Any) -> tuple[Any, Any]:
    ours = native(name, autoreset_mode=mode, **arguments)
    theirs = gym.make_vec(f"Forge/{name}-v0", COUNT, "sync", vector_kwargs={"autoreset_mode": mode}, **arguments)
    return ours, theirs


def same(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tolist() == theirs.tolist()
    elif isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for each, other in zip(ours, theirs, strict=True):
            same(each, other)
    else:
        assert ours == theirs


def replies(envs: TextVectorEnv, rng: random.Random) -> list[str]:
    """Return one reply for each environment, of any kind."""
    found = []
    for env in envs.envs:
        problem, instance = env.problem, env.instance
        draw = np.random.default_rng(rng.randrange(10**9))
        solution = rng.choice(
            [
                problem.trivial(instance),
                problem.random(instance, draw),
                problem.reference(instance).solution,
                *(problem.null_answers(instance) if problem.style == "prose" else ()),  # compact spells no nonsense
            ]
        )
        found.append(rng.choice(["", "no idea", "naïve \ud800", *[problem.format(instance, solution)] * 6]))
    return found


@pytest.mark.parametrize("name", ["TSP", "Mixed"])
@pytest.mark.parametrize(
    "seed",
    [0, 2**31, 2**63 - 1, 2**63, 2**200, [3, 2**63, 0, 1], [2**70] * 4, (1, 2, 3, 4), range(4), np.arange(4)],
    ids=str,
)
def test_gymnasiums_vector_takes_every_seed(name: str, seed: Any) -> None:
    ours, theirs = both(name, **({"levels": (0,)} if name == "Mixed" else {"n": 6}))
    for chosen in (seed, None, [None, *list(seed)[1:]] if not isinstance(seed, int) else [None, seed, None, seed]):
        (texts, infos), (other_texts, other_infos) = ours.reset(seed=chosen), theirs.reset(seed=chosen)
        drawn = isinstance(chosen, list) and chosen[0] is None and infos["index"][0] == 0
        assert infos["seed"].tolist()[drawn:] == other_infos["seed"].tolist()[drawn:]
        assert all(isinstance(number, int) for number in (*infos["seed"], *infos["index"]))
        assert texts[drawn:] == other_texts[drawn:]


@pytest.mark.parametrize("make", [np.int64, np.uint64, np.int8, np.array])
def test_the_first_seed_may_be_an_integer_of_numpy(make: Any) -> None:
    texts, infos = native("TSP", n=6).reset(seed=make(7))
    same((texts, infos), native("TSP", n=6).reset(seed=7))


@pytest.mark.parametrize(
    "seed", [True, np.True_, -1, 1.5, "3333", [1, 2], [1, 2, 3, -4], [1, 2, 3, True], {1, 2, 3, 4}, [1, 2, 3, 4.0]]
)
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed must be"):
        native("TSP", n=6).reset(seed=seed)


def test_thoughts_are_those_of_the_environments() -> None:
    envs = native("Knapsack", 2, n=6, thoughts={"end": "[/THINK]", "inside": True})
    envs.reset(seed=3)
    _, rewards, *_ = envs.step(["<answer>[]</answer>", "<answer>[0]</answer>[/THINK]<answer>[]</answer>"])
    assert rewards[0] == -1.0 < rewards[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_every_result_is_that_of_gymnasiums_vector(name: str, mode: AutoresetMode) -> None:
    rng = random.Random(0)
    for arguments in ARGUMENTS:
        ours, theirs = both(name, mode, **{"level": 0} | arguments)
        for _ in range(2):
            seed = rng.choice([7, 2**63, [3, 1, 4, 1], (5, 6, 2**70, 2**40), np.arange(4), [np.int32(7)] * 4])
            same(ours.reset(seed=seed), theirs.reset(seed=seed))
            for _ in range(8):
                actions = replies(ours, rng)
                result = ours.step(actions)
                same(result, theirs.step(actions))
                over = result[2] | result[3]
                assert theirs.get_attr("instance") == ours.get_attr("instance")
                assert ours.get_attr("verdict") == theirs.get_attr("verdict")
                if mode is AutoresetMode.DISABLED and over.any():
                    more = rng.choice([{}, {"index": 3}])
                    seed = rng.choice([None, 11, [None, 5, None, 6]])
                    results = [
                        envs.reset(seed=seed, options={"reset_mask": over.copy(), **more}) for envs in (ours, theirs)
                    ]
                    same(*results)
            options = rng.choice([None, {}, {"index": 2}, {"instance": ours.envs[1].instance}])
            same(*[envs.reset(options=deepcopy(options)) for envs in (ours, theirs)])
        same(ours.render(), theirs.render())
        ours.close()
        theirs.close()


def test_what_can_be_seen_of_the_vector_is_the_same() -> None:
    ours, theirs = both("TSP", AutoresetMode.SAME_STEP, n=5, render_mode="ansi")
    for name in (
        "num_envs", "metadata", "render_mode", "single_observation_space", "single_action_space", "observation_space",
        "action_space", "autoreset_mode",
    ):  # fmt: skip
        assert getattr(ours, name) == getattr(theirs, name)
    ours.reset(seed=4), theirs.reset(seed=4)
    ours.step(["?"] * 4), theirs.step(["?"] * 4)
    same(ours.render(), theirs.render())
    assert ours.get_attr("np_random_seed") == theirs.get_attr("np_random_seed") == (4, 5, 6, 7)
    assert ours.call("caption") == theirs.call("caption")
    two, three = Protocol(turns=2), Protocol(turns=3, keep="last")
    for values in (two, [two, three, two, three]):
        ours.set_attr("protocol", values), theirs.set_attr("protocol", values)
        assert ours.get_attr("protocol") == theirs.get_attr("protocol")
    assert "TextVectorEnv(Forge/TSP-v0, num_envs=4)" in repr(ours)
    ours.close()
    assert ours.closed


def test_without_a_seed_each_environment_draws_its_own() -> None:
    envs = native("TSP", n=5)
    first = envs.reset()[1]["seed"]
    assert len(set(first.tolist())) == COUNT and (envs.reset()[1]["index"] == 1).all()
    assert (envs.reset()[1]["seed"] == first).all()


def test_what_is_returned_does_not_change_later() -> None:
    envs = native("TSP", n=5, turns=3)
    results = [envs.reset(seed=1), envs.step(["?"] * COUNT)]
    kept = deepcopy(results)
    envs.step(["<answer>[0]</answer>"] * COUNT)
    for each, copy in zip(results, kept, strict=True):
        same(each, copy)
    infos = results[1][-1]
    arrays = [array for array in infos.values()]
    assert not any(np.shares_memory(a, b) for a in arrays for b in arrays if a is not b)


def test_errors_come_before_any_environment_moves() -> None:
    envs = native("TSP", n=5, turns=2)
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(["?"] * COUNT)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="actions must be one for each of 4 environments, got 3"):
        envs.step(["?"] * 3)
    with pytest.raises(TypeError, match="an action is the text of a reply"):
        envs.step(["?", "?", "?", None])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="one text for each environment"):
        envs.step("????")
    assert envs.get_attr("verdict") == (None,) * COUNT
    for seed in ([1, 2], (1, 2, 3, 4, 5)):
        with pytest.raises(ValueError, match="seed must be one for each of 4"):
            envs.reset(seed=seed)
    mask: Any
    for mask in ([True] * 4, np.ones(4)):
        with pytest.raises(TypeError, match="must be an array of bool"):
            envs.reset(options={"reset_mask": mask})
    for mask in (np.zeros(4, bool), np.ones(3, bool)):
        with pytest.raises(ValueError, match=r"must be of shape \(4,\)"):
            envs.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match="did you mean 'index'"):
        envs.reset(options={"indx": 1})
    disabled = native("TSP", n=5, autoreset_mode="Disabled")
    disabled.reset(seed=0)
    disabled.step(["?"] * COUNT)
    with pytest.raises(gym.error.ResetNeeded):
        disabled.step(["?"] * COUNT)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"autoreset_mode": "NextStp"}, "autoreset_mode must be one of .* did you mean 'NextStep'"),
        ({"autoreset_mod": "NextStep"}, "has no argument 'autoreset_mod': did you mean 'autoreset_mode'"),
        ({"max_episode_steps": 0}, "max_episode_steps must be an integer of at least 1"),
        ({"truns": 2}, "did you mean 'turns'"),
        ({"turns": 0}, "turns must be"),
        ({"level": 1, "n": 9}, "level sets n"),
    ],
)
def test_bad_configuration_is_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        native("TSP", **arguments)


def test_there_is_at_least_one_environment() -> None:
    with pytest.raises(ValueError, match="num_envs must be an integer of at least 1"):
        TextVectorEnv(forge_gym.problem("TSP"), 0)


def test_an_action_for_an_environment_that_resets_is_ignored() -> None:
    ours, theirs = both("TSP", n=5)
    for envs in (ours, theirs):
        envs.reset(seed=0)
        envs.step(["?"] * COUNT)
    same(ours.step([None] * COUNT), theirs.step([None] * COUNT))


def test_a_spec_makes_the_vector_again() -> None:
    envs = native("TSP", n=5, turns=2, autoreset_mode="SameStep", max_episode_steps=1)
    again = gym.make_vec(envs.spec)
    assert isinstance(again, TextVectorEnv) and again.num_envs == COUNT
    for each in (envs, again):
        each.reset(seed=3)
    same(envs.step(["?"] * COUNT), again.step(["?"] * COUNT))
    assert native("TSP", n=5, max_episode_steps=-1).max_episode_steps is None


def test_an_alarm_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    envs = native("TSP", n=5)
    envs.reset(seed=0)
    alarm = forge_gym.Verdict("feasible", objective=1, beats_bound=True)
    monkeypatch.setattr(type(envs.envs[0].problem), "verify", lambda *_: alarm)
    with pytest.raises(CertificateError):
        envs.step(["?"] * COUNT)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gymnasiums_vector_wrappers(mode: AutoresetMode) -> None:
    wrapped = [
        gym.wrappers.vector.RecordEpisodeStatistics(gym.wrappers.vector.TransformReward(envs, lambda r: 2 * r))
        for envs in both("Knapsack", mode, level=0, turns=2)
    ]
    for envs in wrapped:
        envs.reset(seed=3)
    for _ in range(2):
        infos = [envs.step(["?"] * COUNT)[-1] for envs in wrapped]
        for told in infos:
            told.get("episode", {}).pop("t", None)
        same(*infos)
    assert infos[0]["episode"]["r"].tolist() == [-2.0] * COUNT
    listed = gym.wrappers.vector.DictInfoToList(native("TSP", n=5))
    _, each = listed.reset(seed=1)
    assert [info["seed"] for info in each] == [1, 2, 3, 4]


def test_statistics_of_the_environments_that_go_on_survive_a_partial_reset() -> None:
    envs = gym.wrappers.vector.RecordEpisodeStatistics(native("TSP", 2, n=5, turns=2, autoreset_mode="Disabled"))
    envs.reset(seed=0)
    envs.step(["?", "?"])
    envs.reset(options={"reset_mask": np.array([True, False])})
    assert envs.episode_returns.tolist() == [0.0, -1.0]  # Gymnasium's own vector drops the mask on its way


# -------------------------------------------------------------------- shared memory

TEXTS = ("", "plain", "naïve → é\n\0", "\ud800 \udfff", "🙂" * 11, "x" * 11)


@pytest.mark.parametrize("nest", ["text", "dict", "tuple"])
def test_texts_go_through_shared_memory(nest: str) -> None:
    text = Text(11)
    space: gym.Space[Any] = {
        "text": text,
        "dict": gym.spaces.Dict({"a": text, "b": gym.spaces.Discrete(5)}),
        "tuple": gym.spaces.Tuple((text, gym.spaces.Discrete(5))),
    }[nest]
    memory = create_shared_memory(space, n=3)
    view = read_from_shared_memory(space, memory, n=3)
    current = ["", "", ""]
    for step in range(12):
        i, value = step % 3, TEXTS[step % len(TEXTS)]
        current[i] = value
        given = {"text": value, "dict": {"a": value, "b": 1}, "tuple": (value, 1)}[nest]
        write_to_shared_memory(space, i, given, memory)
        copied: Any = deepcopy(view)
        read = {"text": lambda c: c, "dict": lambda c: c["a"], "tuple": lambda c: c[0]}[nest](copied)
        assert type(read) is tuple and read == tuple(current)


def test_a_text_never_runs_into_the_next() -> None:
    space = Text(3)
    memory = create_shared_memory(space, n=2)
    view = read_from_shared_memory(space, memory, n=2)
    write_to_shared_memory(space, 1, "end", memory)
    with pytest.raises(ValueError, match="at most 3 characters, got 4"):
        write_to_shared_memory(space, 0, "four", memory)
    with pytest.raises(ValueError):
        write_to_shared_memory(space, 2, "out", memory)
    assert deepcopy(view) == ("", "end") and list(view) == ["", "end"] and view[-1] == "end"
    del memory, view
    again = read_from_shared_memory(space, create_shared_memory(space, n=2), n=2)
    assert deepcopy(again) == ("", "")  # memory that was used before


def test_shared_memory_takes_what_is_written() -> None:
    space, count = Text(2**22), 64
    memory = create_shared_memory(space, n=count)
    before = resident()
    for i in range(count):
        write_to_shared_memory(space, i, "x" * 1000, memory)
    assert resident() - before < 8 * 2**20
    longest = "🙂" * 2**22
    write_to_shared_memory(space, count - 1, longest, memory)
    assert read_from_shared_memory(space, memory, n=count)[count - 1] == longest


def resident() -> int:
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("needs /proc")
    return int(status.read_text().split()[1]) * 4096


@pytest.mark.parametrize("context", multiprocessing.get_all_start_methods())
def test_asynchronous_vectors_in_every_context(context: str) -> None:
    ours = native("TSP", 2, n=5, turns=2)
    other = gym.make_vec("Forge/TSP-v0", 2, "async", vector_kwargs={"context": context}, n=5, turns=2)
    try:
        same(other.reset(seed=2), ours.reset(seed=2))
        for actions in (
            ["?", "naïve \ud800"],
            ["<answer>[0, 1]</answer>", "🙂"],
            ["", ""],
            ["<answer>[]</answer>"] * 2,
        ):
            same(other.step(actions), ours.step(actions))
    finally:
        other.close()


def test_problems_and_texts_pickle() -> None:
    assert pickle.loads(pickle.dumps(Text(5))) == Text(5)
