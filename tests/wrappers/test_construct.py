"""Building solutions by number: checkers, rewards, masks, padding and misuse, for every registered problem."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from forge_gym.core.env import TextEnv
from forge_gym.core.rewards import REWARDS
from forge_gym.envs.knapsack import KnapsackInstance
from forge_gym.wrappers import Construct

NAMES = forge_gym.problems()
SCHEMES = [name for name, scheme in REWARDS.items() if callable(forge_gym.reward(name))]


def made(name: str, size: int | None = None, dense: bool = True, **arguments: Any) -> Construct:
    return Construct(gym.make(f"Forge/{name}-v0", **arguments), size, dense)


def play(env: Construct, seed: int, rng: np.random.Generator) -> tuple[list[float], dict[str, Any]]:
    """Play an episode of random possible actions; return its rewards and last info."""
    observation, info = env.reset(seed=seed)
    rewards, over = [], False
    while not over:
        assert env.observation_space.contains(observation)
        allowed = np.flatnonzero(env.action_masks())
        assert np.array_equal(np.flatnonzero(observation["action_mask"]), allowed) and len(allowed)
        observation, reward, terminated, truncated, after = env.step(rng.choice(allowed))
        assert set(after) == set(info)
        rewards.append(reward)
        over = terminated or truncated
    assert not observation["action_mask"].any()
    return rewards, after


@pytest.mark.parametrize("name", NAMES)
def test_gymnasiums_checker_only_sees_that_it_is_wrapped(name: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(Construct(gym.make(f"Forge/{name}-v0").unwrapped))
    assert all("different from the unwrapped version" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("name", NAMES)
def test_stable_baselines_checker_only_recommends_to_flatten(name: str) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checker.check_env(made(name))
    assert all("unconventional shape" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_rewards_sum_up_to_the_text_environments(name: str, dense: bool, scheme: str) -> None:
    env = made(name, dense=dense, reward=scheme)
    text = TextEnv(env.text_env.problem, reward=scheme)
    rng = np.random.default_rng(0)
    for seed in range(6):
        rewards, info = play(env, seed, rng)
        text.reset(seed=seed)
        _, reward, *_, told = text.step(env.reply)
        assert sum(rewards) == pytest.approx(reward, abs=1e-12) and info == told
        assert info["status"] == 2
        assert env.text_env.verdict == text.verdict
        assert dense or not any(rewards[:-1])


COUNTED = ("HamiltonianCycle", "MaxClique", "MaxIndependentSet")  # each piece adds 1, whichever it is


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(COUNTED)))
def test_dense_steps_tell_choices_apart(name: str) -> None:
    env = made(name)
    rng = np.random.default_rng(0)
    differ = 0
    for seed in range(10):
        paid = {}
        for attempt in range(8):
            rewards, _ = play(env, seed, np.random.default_rng(attempt))
            paid[attempt] = tuple(rewards[:3])  # the first steps, long before the end
        differ += len(set(paid.values())) > 1
    assert differ >= 5
    assert len(play(env, 0, rng)[0]) > 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer_format", ["tags", "line", "raw"])
@pytest.mark.parametrize("style", ["prose", "compact"])
def test_an_impossible_choice_is_a_malformed_answer(name: str, answer_format: str, style: str) -> None:
    env = made(name, size=forge_gym.problem(name).instance().size + 3, answer_format=answer_format, style=style)
    rng = np.random.default_rng(0)
    for seed in range(4):
        env.reset(seed=seed)
        total, over = 0.0, False
        for _ in range(seed):
            _, reward, over, *_ = env.step(rng.choice(np.flatnonzero(env.action_masks())))
            total += reward
            assert not over
        forbidden = np.flatnonzero(~env.action_masks())
        observation, reward, terminated, truncated, info = env.step(rng.choice(forbidden))
        assert total + reward == pytest.approx(-1.0, abs=1e-12)
        assert terminated and not truncated and info["status"] == 0
        with pytest.raises(gym.error.ResetNeeded):
            env.step(0)


@pytest.mark.parametrize("action", [-1, 10**9, 2.0, "3", None, [1], np.array([0, 1])])
def test_an_action_outside_the_space_is_an_error(action: Any) -> None:
    env = made("TSP")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action must be an integer from 0 to 9, got"):
        env.step(action)


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing_but_the_shapes(name: str) -> None:
    tight = made(name)
    size = tight.encoder.size
    wide = made(name, size=size + 5)
    for seed in range(5):
        here, _ = tight.reset(seed=seed)
        there, _ = wide.reset(seed=seed)
        assert there["elements"].shape[0] == size + 5 and not there["elements"][size:].any()
        for key in here:
            if here[key].ndim == 2:
                assert np.array_equal(there[key][:size, : here[key].shape[1]], here[key])
        paid = [play(env, seed, np.random.default_rng(seed))[1]["score"] for env in (tight, wide)]
        if env_has_one_resource(tight):
            assert paid[0] == paid[1]  # the same choices under the same numbers


def env_has_one_resource(env: Construct) -> bool:
    return len(env.encoder.problem.axes(env.instance)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_levels_share_a_padded_space(name: str) -> None:
    largest = forge_gym.problem(name).at_level(4)
    size = largest.instance().size
    spaces = []
    for level in (0, 2, 4):
        env = Construct(TextEnv(forge_gym.problem(name, level=level)), size)
        play(env, 0, np.random.default_rng(0))
        of_level = 0 if not env_has_one_resource(env) and name != "GraphColoring" else env.action_space.n
        spaces.append((env.observation_space["elements"], of_level))  # rooms are more at higher levels
    assert all(space == spaces[0] for space in spaces)


@pytest.mark.parametrize("name", NAMES)
def test_an_instance_above_the_padding_is_an_error(name: str) -> None:
    env = made(name)
    with pytest.raises(ValueError, match=r"size must leave room for the instance, got size=\d+ with"):
        env.reset(options={"instance": forge_gym.problem(name).at_level(14).instance()})
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    with pytest.raises(ValueError, match="size must be an integer of at least"):
        made(name, size=2)


def test_the_size_named_by_the_error_is_enough() -> None:
    larger = forge_gym.problem("SetCover", n=50)
    env = Construct(TextEnv(forge_gym.problem("SetCover", n=12)))
    with pytest.raises(ValueError, match="give a size of at least 50"):
        env.reset(options={"instance": larger.instance()})
    Construct(TextEnv(forge_gym.problem("SetCover", n=12)), 50).reset(options={"instance": larger.instance()})


def test_where_nothing_fits_the_empty_solution_may_be_handed_in() -> None:
    env = made("Knapsack", n=3)
    env.reset(options={"instance": KnapsackInstance(capacity=1, weights=(5, 6, 7), values=(1, 1, 1))})
    assert env.action_masks().tolist() == [False, False, False, True]
    _, reward, terminated, _, info = env.step(3)
    assert terminated and info["optimal"] and reward == 1.0


def test_misuse_is_explained() -> None:
    with pytest.raises(ValueError, match="env must be made with turns=1, got turns=3"):
        made("TSP", turns=3)
    with pytest.raises(ValueError, match="got CartPoleEnv"):
        Construct(gym.make("CartPole-v1"))  # type: ignore[arg-type]
    with pytest.raises(gym.error.ResetNeeded):
        made("TSP").step(0)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_action_of_the_space_is_played(name: str, data: st.DataObject) -> None:
    env = Construct(TextEnv(forge_gym.problem(name, level=0)))
    env.reset(seed=data.draw(st.integers(0, 5)))
    total, over = 0.0, False
    while not over:
        _, reward, over, *_ = env.step(data.draw(st.integers(0, int(env.action_space.n) - 1)))
        total += reward
    assert -1 - 1e-12 <= total <= 1 + 1e-12


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vectors(mode: str) -> None:
    envs = gym.make_vec("Forge/Knapsack-v0", 3, vectorization_mode=mode, wrappers=[Construct], n=6)
    try:
        observation, _ = envs.reset(seed=[1, 2, 3])
        for row, seed in enumerate((1, 2, 3)):
            alone, _ = made("Knapsack", n=6).reset(seed=seed)
            assert all(np.array_equal(observation[key][row], alone[key]) for key in alone)
        for _ in range(20):
            actions = observation["action_mask"].argmax(axis=1)
            observation, *_ = envs.step(actions)
    finally:
        envs.close()


def test_ordinary_wrappers_above_and_below() -> None:
    env = gym.wrappers.RecordEpisodeStatistics(gym.wrappers.TimeLimit(made("TSP"), 3))
    env.reset(seed=0)
    for city in (0, 1, 2):
        *_, terminated, truncated, info = env.step(city)
    assert truncated and not terminated and info["episode"]["l"] == 3
    twice = made("TSP")
    assert twice.spec is not None and "Construct" in twice.spec.to_json()


@pytest.mark.parametrize("name", NAMES)
def test_pictures_show_what_is_built(name: str) -> None:
    pytest.importorskip("matplotlib")
    env = made(name, render_mode="rgb_array")
    play(env, 1, np.random.default_rng(0))
    finished = env.render()
    env.reset(seed=1)
    empty = env.render()
    assert finished.shape == empty.shape == (480, 480, 3) and finished.dtype == np.uint8
    assert (finished != empty).any()


def test_a_video_of_a_construction(tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    env = gym.wrappers.RecordVideo(made("TSP", n=5, render_mode="rgb_array"), str(tmp_path))
    env.reset(seed=0)
    for city in range(5):
        env.step(city)
    env.close()
    assert [path.suffix for path in tmp_path.iterdir()].count(".mp4") == 1
