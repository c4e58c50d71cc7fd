"""Gymnasium's own wrappers around every problem, and ours among them: results stay the environment's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import forge_gym
from forge_gym.core.env import TextEnv
from forge_gym.wrappers import RecordTranscript, Relabel, Skin

NAMES = forge_gym.problems()
Step = tuple[str, float, bool, bool, dict[str, Any]]


def made(name: str, **arguments: Any) -> gym.Env[str, str]:
    return gym.make(f"Forge/{name}-v0", **{"n": 8, "turns": 4, **arguments})


def played(env: gym.Env[str, str], seed: int = 2) -> tuple[tuple[str, dict[str, Any]], list[Step]]:
    """An episode that improves, whatever stands around the environment; replies fit its own instance."""
    start = env.reset(seed=seed)
    base = env.unwrapped
    assert isinstance(base, TextEnv) and base.instance is not None
    problem, instance = base.problem, base.instance
    solutions = (problem.trivial(instance), problem.heuristic(instance), problem.reference(instance).solution)
    replies = ["?", *(problem.format(instance, solution) for solution in solutions)]
    steps: list[Step] = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        observation, reward, terminated, truncated, info = env.step(replies[len(steps)])
        steps.append((observation, float(reward), terminated, truncated, info))
    return start, steps


@pytest.mark.parametrize("name", NAMES)
def test_a_time_limit_truncates(name: str) -> None:
    for limited in (made(name, max_episode_steps=2), gym.wrappers.TimeLimit(made(name), 2)):
        (start, steps), (same, full) = played(limited), played(made(name))
        assert start == same and len(steps) == 2
        assert steps[0] == full[0] and steps[1] == (*full[1][:3], True, full[1][4])


@pytest.mark.parametrize("name", NAMES)
def test_statistics_add_up(name: str) -> None:
    (start, steps), (same, full) = (
        played(gym.wrappers.RecordEpisodeStatistics(made(name))),
        played(made(name)),
    )
    assert start == same and [step[:4] for step in steps] == [step[:4] for step in full]
    info = dict(steps[-1][4])
    episode = info.pop("episode")
    assert info == full[-1][4]
    assert episode["r"] == pytest.approx(sum(step[1] for step in full)) and episode["l"] == len(full)


@pytest.mark.parametrize("name", NAMES)
def test_rewards_are_transformed_and_nothing_else(name: str) -> None:
    env = gym.wrappers.TransformReward(made(name), lambda reward: 10 * float(reward))
    (_, steps), (_, full) = played(env), played(made(name))
    assert steps == [(step[0], 10 * step[1], *step[2:]) for step in full]


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_collected(name: str) -> None:
    pytest.importorskip("matplotlib")
    env = gym.wrappers.RenderCollection(made(name, render_mode="rgb_array"))
    start, steps = played(env)
    assert (start, steps) == played(made(name))
    frames: Any = env.render()
    assert len(frames) == len(steps) + 1
    assert {frame.shape for frame in frames} == {(480, 480, 3)}
    assert all(frame.dtype == np.uint8 and frame.std() > 0 for frame in frames)
    env.reset(seed=2)  # the same instance again: nothing of the answers of the episode before is left
    again: Any = env.render()
    assert np.array_equal(again[0], frames[0]) and not np.array_equal(frames[-1], frames[0])


@pytest.mark.parametrize("name", ["TSP", "Knapsack"])
def test_a_video_is_written(name: str, tmp_path: Path) -> None:
    moviepy = pytest.importorskip("moviepy")
    pytest.importorskip("matplotlib")
    env = gym.wrappers.RecordVideo(
        made(name, turns=3, render_mode="rgb_array"),
        str(tmp_path / "videos"),
        lambda episode: True,
        disable_logger=True,
    )
    plain = made(name, turns=3)
    for seed in (1, 2):
        prompt, info = env.reset(seed=seed)
        assert (prompt, info) == plain.reset(seed=seed)
        for _ in range(3):
            assert env.step("?") == plain.step("?")
    env.close()
    paths = sorted(tmp_path.glob("videos/*.mp4"))
    assert [path.name for path in paths] == ["rl-video-episode-0.mp4", "rl-video-episode-1.mp4"]
    for path in paths:
        with moviepy.VideoFileClip(str(path)) as clip:
            frames = list(clip.iter_frames())
        assert len(frames) >= 3 and frames[0].shape == (480, 480, 3) and frames[0].std() > 0


@pytest.mark.parametrize("name", NAMES)
def test_all_of_them_together(name: str, tmp_path: Path) -> None:
    """The order of the wrappers matters to none, and what is recorded is what stands inside."""
    start, full = played(Skin(Relabel(made(name))))
    path = tmp_path / "episodes.jsonl"

    def statistics(env: gym.Env[str, str]) -> gym.Env[str, str]:
        return gym.wrappers.RecordEpisodeStatistics(gym.wrappers.TimeLimit(env, 10))

    for env in (
        statistics(RecordTranscript(Skin(Relabel(made(name))), path)),
        Skin(statistics(RecordTranscript(Relabel(made(name)), path))),
        RecordTranscript(Relabel(Skin(statistics(made(name)))), path),
    ):
        same, steps = played(env)
        assert same == start
        for step, expected in zip(steps, full, strict=True):
            info = {key: value for key, value in step[4].items() if key != "episode"}
            assert (*step[:4], info) == expected
        env.close()
    outer, inner, last = map(json.loads, path.read_text().splitlines())
    assert outer["messages"][0]["content"] == last["messages"][0]["content"] == start[0]
    assert inner["messages"][0]["content"] != start[0]  # the recorder stood inside the skin
    assert outer["rewards"] == inner["rewards"] == [step[1] for step in full]


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_stack_is_rebuilt_from_its_spec(name: str) -> None:
    env = Skin(Relabel(made(name, max_episode_steps=3)))
    assert env.spec is not None
    assert played(gym.make(env.spec)) == played(env)
