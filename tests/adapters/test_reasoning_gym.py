"""reasoning-gym: every problem is a dataset of plain data, whose own answers score 1 and whose scores are ours."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from adapters.replies import SCRIPT
from cases import every_kind

pytest.importorskip("reasoning_gym", reason=SCRIPT.format("reasoning-gym"))

import reasoning_gym
from reasoning_gym.composite import CompositeConfig, CompositeDataset, DatasetSpec
from reasoning_gym.factory import get_score_answer_fn

import forge_gym
from forge_gym.adapters import task_name
from forge_gym.adapters.reasoning_gym import register

NAMES = forge_gym.problems()


def made(name: str, **arguments: Any) -> Any:
    return reasoning_gym.create_dataset(task_name(name), **{"seed": 7, "size": 4, "level": 0, **arguments})


@pytest.mark.parametrize("name", NAMES)
def test_entries_are_plain_and_their_answers_score_one(name: str) -> None:
    data = made(name)
    again = json.loads(json.dumps(list(data)))
    assert again == list(made(name)) and len(again) == 4 == len(data)
    assert len({entry["metadata"]["instance_hash"] for entry in again}) == 4
    for entry in again:
        assert isinstance(entry["answer"], str) and entry["metadata"]["source_dataset"] == task_name(name)
        assert data.score_answer(entry["answer"], entry) == 1.0
        assert data.score_answer(f"So: <answer>{entry['answer']}</answer>", entry) == 1.0
        assert get_score_answer_fn(task_name(name))(entry["answer"], entry) == 1.0


@every_kind
def test_scores_are_qualities(name: str) -> None:
    data = made(name, size=1)
    entry = data[0]
    problem, instance = forge_gym.from_spec(entry["metadata"]["spec"])
    for solution in (problem.trivial(instance), problem.heuristic(instance)):
        text = problem.format(instance, solution)
        assert data.score_answer(text, entry) == problem.verify_solution(instance, solution).quality < 1
    for nonsense in (None, "", "no idea", "<answer>", "[" * 10**5, "\ud800", 7, ["[0]"]):
        assert data.score_answer(nonsense, entry) == 0.0


def test_entries_depend_on_seed_and_index_alone() -> None:
    long, short = made("TSP", size=400), made("TSP", size=2)
    assert long[1] == short[1] and long[399] == made("TSP", size=400)[399]
    assert made("TSP", seed=8)[0] != short[0] and made("TSP", split="test")[0] != short[0]
    assert made("TSP", level=None, n=8)[0]["metadata"]["difficulty"]["elements"] == 8
    with pytest.raises(IndexError):
        short[2]


def test_a_mixture() -> None:
    specs = [DatasetSpec(task_name(name), 1.0, {"level": 0}) for name in ("TSP", "Knapsack")]
    data = CompositeDataset(CompositeConfig(seed=1, size=6, datasets=specs))
    assert all(data.score_answer(entry["answer"], entry) == 1.0 for entry in data)


def test_misuse_is_explained() -> None:
    register()  # again: nothing changes
    for arguments, words in (
        ({"split": "tset"}, "did you mean 'test'"),
        ({"size": 0}, "size must be"),
        ({"seed": -1}, "seed must be"),
        ({"level": None, "n": 1}, "n must be"),
        ({"level": 3, "n": 30}, "level sets n"),
    ):
        with pytest.raises(ValueError, match=words):
            made("TSP", **arguments)


def test_entries_have_numbers_of_any_type() -> None:
    data = made("TSP", size=2**32)
    assert json.dumps(data[np.int64(2**31)]) == json.dumps(data[2**31])
