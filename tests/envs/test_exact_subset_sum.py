"""Exact subset sum: optimum against a second method and published optima, anchors, and its own data rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import forge_gym
from forge_gym.envs.exact_subset_sum import ExactSubsetSum, ExactSubsetSumInstance
from forge_gym.solvers.subset_sum import dp_exact

tiered = forge_gym.reward("tiered")


def by_count(instance: ExactSubsetSumInstance) -> int:
    """The optimum from a table of each sum's largest count, in a plain dictionary."""
    most = {0: 0}
    for number in instance.numbers:
        for total, count in list(most.items()):
            if total + number <= instance.target:
                most[total + number] = max(most.get(total + number, 0), count + 1)
    return most[instance.target]


def test_larger_instances_against_the_second_method() -> None:
    for n in (30, 60):
        problem = ExactSubsetSum(n=n, largest=200)
        for seed in range(9):
            instance = problem.instance(seed)
            reference = problem.reference(instance)
            assert reference.proven and reference.value == by_count(instance)


def test_unproven_references_are_honest() -> None:
    problem = ExactSubsetSum()
    for seed in range(20):
        instance = problem.instance(seed)
        found, optimum = problem.certificate(instance, 0), problem.reference(instance).value
        assert problem.feasible(instance, found.solution)
        assert len(found.solution) == found.value <= optimum <= found.bound


def test_repeats_and_strangers_are_never_counted() -> None:
    problem, instance = ExactSubsetSum(), ExactSubsetSumInstance(10, (5, 6, 10))
    for text, families in (
        ("[2, 2]", ["once"]),
        ("[2, -1]", ["known"]),
        ("[2, 3]", ["known"]),
        ("[0, 0]", ["once", "target"]),
        ("[0, 1]", ["target"]),
        ("[0]", ["target"]),
        ("[]", ["target"]),
    ):
        verdict = problem.verify(instance, f"<answer>{text}</answer>")
        assert [violation.family for violation in verdict.violations] == families
        assert verdict.objective is None and verdict.quality == 0


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ({"target": 0}, "target must be"),
        ({"numbers": ()}, "must have elements, got none"),
        ({"numbers": (1, 0)}, "each of numbers"),
        ({"numbers": (3, 8)}, "the sum of some numbers, got 10"),
        ({"target": 10**7}, "from 1 to 1000000"),
    ],
)
def test_instances_that_make_no_sense_are_refused(data: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        ExactSubsetSumInstance(**{"target": 10, "numbers": (4, 6), **data}).check()


def test_anchors() -> None:
    problem = ExactSubsetSum(n=14)
    for seed in range(40):
        instance = problem.instance(seed)
        reference = problem.reference(instance)
        assert reference.proven and reference.trivial <= reference.greedy <= reference.value
        for solution in (problem.trivial(instance), problem.heuristic(instance), reference.solution):
            verdict = problem.verify_solution(instance, solution)
            assert verdict.feasible and sum(instance.numbers[i] for i in solution) == instance.target
        for null in problem.null_answers(instance):
            assert tiered(problem.verify_solution(instance, null)) == -0.9


def test_random_policies_and_neighbours() -> None:
    problem = ExactSubsetSum()
    better = 0
    for seed in range(10):
        instance, rng = problem.instance(seed), np.random.default_rng(seed)
        found = {problem.heuristic(instance, rng, 0.3) for _ in range(20)}
        found |= {problem.random(instance, rng) for _ in range(20)}
        start = solution = problem.random(instance, rng)
        for _ in range(200):
            moved = problem.neighbour(instance, solution, rng)
            found.add(moved)
            if len(moved) >= len(solution):
                solution = moved
        better += len(solution) > len(start)
        assert len(found) > 10
        assert all(not problem.violations(instance, solution) for solution in found)
    assert better >= 8


def test_the_fewest_and_the_most() -> None:
    for target, most, fewest in ((6, 3, 1), (1, 1, 1), (21, 6, 6), (20, 5, 5), (7, 3, 2)):
        for flag, count in ((True, most), (False, fewest)):
            found = dp_exact((6, 5, 4, 3, 2, 1), target, most=flag)
            assert len(found) == count and sum(6 - i for i in found) == target


@pytest.fixture(scope="module")
def published(np_bench: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return np_bench("subset_sum")


def test_the_published_benchmark(published: list[dict[str, Any]]) -> None:
    assert len(published) == 112
    problem = ExactSubsetSum()
    for row in published:
        data = row["instance"]
        at = {int(key): i for i, key in enumerate(data["numbers"])}
        instance = ExactSubsetSumInstance(data["target"], tuple(data["numbers"].values()))
        instance.check()
        witness = tuple(at[key] for key in row["witness"])
        verdict = problem.verify(instance, problem.format(instance, witness))
        assert verdict.optimal and verdict.objective == row["proven_optimum"], row["id"]
        reference = problem.reference(instance)
        assert reference.proven and reference.value == row["proven_optimum"] == by_count(instance), row["id"]
