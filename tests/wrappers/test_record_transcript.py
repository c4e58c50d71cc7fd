"""RecordTranscript: every episode is written once, whatever its end."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import pytest

import forge_gym
from forge_gym.wrappers import RecordTranscript


def test_episodes_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "episodes.jsonl"
    env = RecordTranscript(gym.make("Forge/TSP-v0", turns=2), path)
    prompt, _ = env.reset(seed=1)
    env.step("first \ud800")
    env.step("second")
    env.reset(seed=2)
    env.step("cut short by reset")
    env.reset(seed=3)
    env.close()
    env.close()
    full, cut, empty = map(json.loads, path.read_text().splitlines())
    assert [m["role"] for m in full["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert full["messages"][0]["content"] == prompt and full["messages"][1]["content"] == "first \ud800"
    assert full["rewards"] == [-1, 0] and full["env"] == "Forge/TSP-v0" and full["info"]["seed"] == 1
    assert (full["ended"], cut["ended"], empty["ended"]) == (True, False, False)
    assert len(cut["infos"]) == 1 and empty["rewards"] == []


def test_lines_are_appended_and_the_wrapper_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "episodes.jsonl"
    for _ in range(2):
        env = RecordTranscript(gym.make("Forge/Knapsack-v0"), path)
        env.reset(seed=0)
        env.step("?")
        env.close()
    assert len(path.read_text().splitlines()) == 2
    again = gym.make(env.spec)
    assert isinstance(again, RecordTranscript) and again.path == path
    with pytest.raises(ValueError, match="path must be in a folder that exists"):
        RecordTranscript(gym.make("Forge/Knapsack-v0"), tmp_path / "missing" / "x.jsonl")
    assert forge_gym.problems()
