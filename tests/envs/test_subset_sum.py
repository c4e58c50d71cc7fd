"""Subset sum: objective and optimum against enumeration and a second method, published instances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import forge_gym
from forge_gym.core.parameters import choices
from forge_gym.envs.subset_sum import SubsetSum, SubsetSumInstance
from forge_gym.solvers.subset_sum import meet

tiered = forge_gym.reward("tiered")
DISTRIBUTIONS = choices(SubsetSum, "distribution")
every_distribution = pytest.mark.parametrize("distribution", DISTRIBUTIONS)


def brute_force(instance: SubsetSumInstance) -> int:
    """The greatest sum over all subsets, from the definition."""
    n = len(instance.numbers)
    chosen = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    sums = chosen @ np.array(instance.numbers)
    return int(sums[sums <= instance.target].max())


def by_set(instance: SubsetSumInstance) -> int:
    """The optimum from a plain set of all sums."""
    sums = {0}
    for number in instance.numbers:
        sums |= {total + number for total in sums if total + number <= instance.target}
    return max(sums)


@every_distribution
def test_larger_instances_against_the_second_method(distribution: str) -> None:
    for n in (30, 60):
        problem = SubsetSum(n=n, distribution=distribution, largest=200)
        for seed in range(3):
            instance = problem.instance(seed)
            reference = problem.reference(instance)
            assert reference.proven and reference.value == by_set(instance)


@every_distribution
def test_huge_numbers_by_halves(distribution: str) -> None:
    for seed in range(5):
        problem = SubsetSum(n=16, distribution=distribution, largest=10**9)
        instance = problem.instance(seed)
        reference = problem.reference(instance)
        assert reference.proven and reference.value == brute_force(instance)
    reference = problem.reference(SubsetSum(n=40, distribution=distribution, largest=10**9).instance(0))
    assert reference.proven and "middle" in reference.solver
    reference = problem.reference(SubsetSum(n=100, distribution=distribution, largest=10**9).instance(0))
    assert reference.proven  # the bound is hit by the smaller numbers alone


def test_both_methods_agree() -> None:
    for seed in range(30):
        instance = SubsetSum(n=12 + seed % 7, distribution=DISTRIBUTIONS[seed % 3]).instance(seed)
        found = meet(instance.numbers, instance.target)
        assert sum(instance.numbers[i] for i in found) == by_set(instance)


def test_numbers_beyond_64_bits() -> None:
    scale = 10**25
    for seed in range(20):
        problem = SubsetSum(n=12)
        small = problem.instance(seed)
        uneven = tuple(number * scale + 1 for number in small.numbers)
        large = SubsetSumInstance(small.target * scale + 12, uneven)
        reference = problem.reference(large)
        assert reference.proven and reference.value // scale == problem.reference(small).value
        assert not problem.verify_solution(large, (*range(12),)).feasible


def test_unproven_references_are_honest() -> None:
    for n, limit in ((18, 300), (40, 10_000), (60, 10_000)):
        problem = SubsetSum(n=n, largest=10**9, distribution="even")
        for seed in range(3):
            instance = problem.instance(seed)
            found = problem.certificate(instance, limit)
            assert problem.objective(instance, found.solution) == found.value <= found.bound
            assert found.bound <= instance.target - 1 and found.work <= limit
            assert found.value >= problem.objective(instance, problem.heuristic(instance))


def test_repeats_and_strangers_are_never_counted() -> None:
    problem, instance = SubsetSum(), SubsetSumInstance(10, (5, 6, 10))
    for text, families in (
        ("[2, 2]", ["once"]),
        ("[2, -1]", ["known"]),
        ("[2, 3]", ["known"]),
        ("[0, 0]", ["once"]),
        ("[0, 1]", ["target"]),
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
    ],
)
def test_instances_that_make_no_sense_are_refused(data: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        SubsetSumInstance(**{"target": 10, "numbers": (4, 6), **data}).check()


def test_largest_first_reaches_half_of_the_optimum() -> None:
    for seed in range(200):
        problem = SubsetSum(n=3 + seed % 20, distribution=DISTRIBUTIONS[seed % 3], tightness=0.05 + seed % 9 / 10)
        instance = problem.instance(seed)
        if min(instance.numbers) <= instance.target:
            assert 2 * problem.objective(instance, problem.heuristic(instance)) >= by_set(instance)


@every_distribution
def test_thoughtless_answers_are_worth_nothing(distribution: str) -> None:
    problem, rng = SubsetSum(distribution=distribution), np.random.default_rng(0)
    quality: dict[str, list[float]] = {}
    reward = []
    graded = 0
    for seed in range(120):
        instance = problem.instance(seed)
        if not problem.is_graded(instance):
            continue
        graded += 1
        k = len(problem.reference(instance).solution)
        answers = {
            "empty": (),
            "single": (0,),
            "everything": tuple(range(instance.size)),
            "first": tuple(range(k)),
            "any": tuple(rng.permutation(instance.size)[:k].tolist()),
            "random": problem.random(instance, rng),
            "greedy": problem.heuristic(instance),
        }
        for name, answer in answers.items():
            quality.setdefault(name, []).append(problem.verify_solution(instance, answer).quality)
        reward.append(tiered(problem.verify_solution(instance, answers["random"])))
    mean = {name: float(np.mean(values)) for name, values in quality.items()}
    assert graded >= 72  # 60 %
    assert mean["empty"] == mean["single"] == mean["everything"] == 0
    assert mean["first"] <= mean["any"] + 0.02 <= 0.1
    assert 0.2 < mean["random"] < mean["greedy"] - 0.1 < 1
    assert np.mean([value for value in reward if value is not None]) < 0


def test_distributions() -> None:
    for seed in range(20):
        uniform, planted, even = (SubsetSum(distribution=name).instance(seed) for name in DISTRIBUTIONS)
        assert by_set(planted) == planted.target and max(uniform.numbers) <= 100_000
        assert all(number % 2 == 0 for number in even.numbers) and even.target % 2 == 1
