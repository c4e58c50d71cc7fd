"""Subset sum: objective and optimum against enumeration and a second method, published instances."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import forge_gym
from forge_gym.envs.subset_sum import DISTRIBUTIONS, VARIANTS, SubsetSum, SubsetSumInstance, hit, meet

tiered = forge_gym.reward("tiered")
every_distribution = pytest.mark.parametrize("distribution", DISTRIBUTIONS)


def brute_force(instance: SubsetSumInstance) -> tuple[int, int]:
    """Best and, of exact solutions, least objective over all subsets, from the definition."""
    n = len(instance.numbers)
    chosen = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    sums = chosen @ np.array(instance.numbers)
    if instance.exact:
        counts = chosen.sum(axis=1)[sums == instance.target]
        return int(counts.max()), int(counts.min())
    return int(sums[sums <= instance.target].max()), 0


def by_set(instance: SubsetSumInstance) -> int:
    """The optimum from a table of each sum's largest and smallest count, in a plain dictionary."""
    most = {0: 0}
    for number in instance.numbers:
        for total, count in list(most.items()):
            if total + number <= instance.target:
                most[total + number] = max(most.get(total + number, 0), count + 1)
    return most[instance.target] if instance.exact else max(most)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_optimum_is_that_of_enumeration_on_200_instances(variant: str) -> None:
    for seed in range(200):
        problem = SubsetSum(
            n=3 + seed % 10,
            distribution=DISTRIBUTIONS[seed % 3],
            largest=(2, 15, 100, 5000)[seed // 3 % 4],
            tightness=(0.2, 0.5, 0.9)[seed // 12 % 3],
            variant=variant,
        )
        instance = problem.instance(seed)
        instance.check()
        reference = problem.reference(instance)
        best, least = brute_force(instance)
        assert reference.proven and reference.value == best == by_set(instance)
        if instance.exact:
            assert reference.trivial == least


@every_distribution
@pytest.mark.parametrize("variant", VARIANTS)
def test_larger_instances_against_the_second_method(variant: str, distribution: str) -> None:
    for n in (30, 60):
        problem = SubsetSum(n=n, distribution=distribution, variant=variant, largest=200)
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
        assert reference.proven and reference.value == brute_force(instance)[0]
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
        assert not problem.judge(large, (*range(12),)).feasible


def test_unproven_references_are_honest() -> None:
    for n, limit in ((18, 300), (40, 10_000), (60, 10_000)):
        problem = SubsetSum(n=n, largest=10**9, distribution="even")
        for seed in range(3):
            instance = problem.instance(seed)
            found = problem.solve(instance, limit)
            assert problem.objective(instance, found.solution) == found.value <= found.bound
            assert found.bound <= instance.target - 1 and found.work <= limit
            assert found.value >= problem.objective(instance, problem.heuristic(instance))
    published = SubsetSum(variant="published")
    for seed in range(20):
        instance = published.instance(seed)
        found, optimum = published.solve(instance, 0), published.reference(instance).value
        assert not published.violations(instance, found.solution)
        assert len(found.solution) == found.value <= optimum <= found.bound


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_subset_of_ten_numbers(variant: str) -> None:
    problem = SubsetSum(n=10, variant=variant)
    instance = problem.instance(3)
    best, _ = brute_force(instance)
    for signs in product((0, 1), repeat=10):
        chosen = [i for i, sign in enumerate(signs) if sign]
        total = sum(instance.numbers[i] for i in chosen)
        verdict = problem.verify(instance, f"<answer>{chosen}</answer>")
        excess = total - instance.target
        assert verdict.feasible == (excess == 0 if instance.exact else excess <= 0)
        if verdict.feasible:
            assert verdict.objective == (len(chosen) if instance.exact else total)
            assert verdict.optimal == (verdict.objective == best)
        else:
            assert [(v.family, v.amount) for v in verdict.violations] == [("target", abs(excess))]


def test_repeats_and_strangers_are_never_counted() -> None:
    problem = SubsetSum()
    for exact in (False, True):
        instance = SubsetSumInstance(10, (5, 6, 10), exact=exact)
        for text, families in (
            ("[2, 2]", ["once"]),
            ("[2, -1]", ["known"]),
            ("[2, 3]", ["known"]),
            ("[0, 0]", ["once", "target"] if exact else ["once"]),
            ("[0, 1]", ["target"]),
        ):
            verdict = problem.verify(instance, f"<answer>{text}</answer>")
            assert [violation.family for violation in verdict.violations] == families
            assert verdict.objective is None and verdict.quality == 0


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ({"target": 0}, "target must be"),
        ({"numbers": ()}, "numbers must be a list"),
        ({"numbers": (1, 0)}, "each of numbers"),
        ({"exact": 1}, "true or false"),
        ({"exact": True, "numbers": (3, 8)}, "the sum of some numbers, got 10"),
        ({"exact": True, "target": 10**7}, "from 1 to 1000000"),
    ],
)
def test_instances_that_make_no_sense_are_refused(data: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        SubsetSumInstance(**{"target": 10, "numbers": (4, 6), **data}).check()


@pytest.mark.parametrize("variant", VARIANTS)
def test_relabelled_numbers(variant: str) -> None:
    problem, rng = SubsetSum(n=15, variant=variant), np.random.default_rng(0)
    for seed in range(20):
        instance = problem.instance(seed)
        order = rng.permutation(15).tolist()
        numbers = tuple(instance.numbers[i] for i in order)
        relabelled = SubsetSumInstance(instance.target, numbers, exact=instance.exact)
        chosen = problem.random(instance, rng)
        moved = tuple(order.index(i) for i in chosen)
        assert not problem.violations(relabelled, moved)
        assert problem.objective(relabelled, moved) == problem.objective(instance, chosen)
        assert problem.reference(relabelled).value == problem.reference(instance).value
        assert relabelled.invariant() == instance.invariant()


def test_largest_first_reaches_half_of_the_optimum() -> None:
    for seed in range(200):
        problem = SubsetSum(
            n=3 + seed % 20, distribution=DISTRIBUTIONS[seed % 3], tightness=0.05 + seed % 9 / 10
        )
        instance = problem.instance(seed)
        if min(instance.numbers) <= instance.target:
            assert 2 * problem.objective(instance, problem.heuristic(instance)) >= by_set(instance)


@every_distribution
@pytest.mark.parametrize("variant", VARIANTS)
def test_thoughtless_answers_are_worth_nothing(variant: str, distribution: str) -> None:
    problem, rng = SubsetSum(distribution=distribution, variant=variant), np.random.default_rng(0)
    quality: dict[str, list[float]] = {}
    reward = []
    graded = 0
    for seed in range(120):
        instance = problem.instance(seed)
        if not problem.graded(instance):
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
            quality.setdefault(name, []).append(problem.judge(instance, answer).quality)
        reward.append(tiered(problem.judge(instance, answers["random"])))
    mean = {name: float(np.mean(values)) for name, values in quality.items()}
    assert graded >= 72  # 60 %
    assert mean["empty"] == mean["single"] == mean["everything"] == 0
    assert mean["first"] <= mean["any"] + 0.02 <= 0.1
    assert 0.2 < mean["random"] < mean["greedy"] - 0.1 < 1
    assert np.mean([value for value in reward if value is not None]) < 0


def test_distributions() -> None:
    for seed in range(20):
        for variant in VARIANTS:
            uniform, planted, even = (
                SubsetSum(distribution=distribution, variant=variant).instance(seed)
                for distribution in DISTRIBUTIONS
            )
            assert by_set(planted) == planted.target or planted.exact
            assert all(number % 2 == 0 for number in even.numbers)
            assert even.target % 2 == (0 if even.exact else 1)
            assert max(uniform.numbers) <= (60 if uniform.exact else 1000)


# ------------------------------------------------------------------------------ the published variant


@every_distribution
def test_published_anchors(distribution: str) -> None:
    problem = SubsetSum(n=14, distribution=distribution, variant="published")
    for seed in range(40):
        instance = problem.instance(seed)
        reference = problem.reference(instance)
        assert reference.proven and reference.trivial <= reference.greedy <= reference.value
        for solution in (problem.trivial(instance), problem.heuristic(instance), reference.solution):
            verdict = problem.judge(instance, solution)
            assert verdict.feasible and sum(instance.numbers[i] for i in solution) == instance.target
        for null in problem.nulls(instance):
            assert tiered(problem.judge(instance, null)) == -0.9


def test_published_random_policies_and_neighbours() -> None:
    problem = SubsetSum(variant="published")
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


@pytest.mark.parametrize("answer_format", ["tags", "line", "raw"])
@pytest.mark.parametrize("style", ["prose", "compact"])
def test_published_texts(style: str, answer_format: str) -> None:
    for n in (3, 4, 5, 6, 10, 20):
        problem = SubsetSum(n=n, variant="published", style=style, answer_format=answer_format)
        instance = problem.instance(1)
        assert problem.from_json(problem.to_json(instance)) == instance
        assert problem.verify(instance, problem.prompt(instance)).status == "malformed"
        for solution in (problem.trivial(instance), problem.reference(instance).solution):
            assert set(problem.read(instance, problem.format(instance, solution))) == set(solution)
        if style == "prose":
            assert "exactly the target" in problem.prompt(instance)
            tiny, solution = problem.example(instance)
            tiny.check()
            assert problem.verify(tiny, problem.format(tiny, solution)).optimal
            assert problem.verify(instance, problem.format(tiny, solution)).status == "infeasible"


def test_the_fewest_and_the_most() -> None:
    for target, most, fewest in ((6, 3, 1), (1, 1, 1), (21, 6, 6), (20, 5, 5), (7, 3, 2)):
        for flag, count in ((True, most), (False, fewest)):
            found = hit((6, 5, 4, 3, 2, 1), target, most=flag)
            assert len(found) == count and sum(6 - i for i in found) == target


@pytest.fixture(scope="module")
def published(np_bench: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return np_bench("subset_sum")


def test_the_published_benchmark(published: list[dict[str, Any]]) -> None:
    assert len(published) == 112
    problem = SubsetSum(variant="published")
    for row in published:
        data = row["instance"]
        at = {int(key): i for i, key in enumerate(data["numbers"])}
        instance = SubsetSumInstance(data["target"], tuple(data["numbers"].values()), exact=True)
        instance.check()
        witness = tuple(at[key] for key in row["witness"])
        verdict = problem.verify(instance, problem.format(instance, witness))
        assert verdict.optimal and verdict.objective == row["proven_optimum"], row["id"]
        reference = problem.reference(instance)
        assert reference.proven and reference.value == row["proven_optimum"] == by_set(instance), row["id"]
