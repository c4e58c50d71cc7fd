"""Set cover: objective and optimum against enumeration and a second solver, published instances."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

import forge_gym
from forge_gym.core.parameters import choices
from forge_gym.envs.set_cover import SetCover, SetCoverInstance

DISTRIBUTIONS = choices(SetCover, "distribution")


def has_exact_cover(instance: SetCoverInstance) -> bool:
    """Whether some subsets hold every element once."""

    def some(left: int) -> bool:
        first = left & -left
        return not left or any(some(left ^ mask) for mask in instance.masks if mask & first and mask & left == mask)

    return some((1 << instance.universe) - 1)


def brute_force(instance: SetCoverInstance) -> int:
    """Least cost over all choices of subsets, from the definition."""
    costs = [
        sum(instance.costs[j] for j, sign in enumerate(signs) if sign)
        for signs in product((0, 1), repeat=len(instance.subsets))
        if {e for j, sign in enumerate(signs) if sign for e in instance.subsets[j]} == set(range(instance.universe))
    ]
    return min(costs)


def branch_and_bound(instance: SetCoverInstance) -> int:
    """Branch on the subsets of a rarest element; elements that share no subset bound the rest."""
    holders: list[set[int]] = [
        {j for j, subset in enumerate(instance.subsets) if e in subset} for e in range(instance.universe)
    ]
    best = sum(instance.costs)

    def branch(uncovered: frozenset[int], banned: frozenset[int], cost: int) -> None:
        nonlocal best
        if not uncovered:
            best = min(best, cost)
            return
        left = sorted(((holders[e] - banned, e) for e in uncovered), key=lambda pair: (len(pair[0]), pair[1]))
        if not left[0][0]:
            return
        bound, used = cost, set[int]()
        for subsets, _ in left:
            if not subsets & used:
                used |= subsets
                bound += min(instance.costs[j] for j in subsets)
        if bound >= best:
            return
        worth = {j: Fraction(len(uncovered & set(instance.subsets[j])), instance.costs[j]) for j in left[0][0]}
        for j in sorted(worth, key=lambda j: (-worth[j], j)):
            branch(uncovered - set(instance.subsets[j]), banned, cost + instance.costs[j])
            banned |= {j}

    branch(frozenset(range(instance.universe)), frozenset(), 0)
    return best


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_larger_instances_against_the_second_method(distribution: str) -> None:
    for n in (16, 24, 30):
        cover = SetCover(n=n, distribution=distribution)
        for seed in range(4):
            instance = cover.instance(seed)
            assert cover.reference(instance).value == branch_and_bound(instance)


def test_the_empty_answer_gets_no_credit() -> None:
    tiered = forge_gym.reward("tiered")
    for distribution in DISTRIBUTIONS:
        cover = SetCover(distribution=distribution)
        for seed in range(10):
            verdict = cover.verify(cover.instance(seed), "<answer>[]</answer>")
            assert verdict.status == "infeasible" and verdict.credit == 0 and tiered(verdict) == -0.9


def test_repeats_and_strangers_are_never_counted() -> None:
    cover = SetCover()
    instance = SetCoverInstance(2, ((0, 1), (0,)), (3, 1))
    for text, families in (
        ("[0, 0]", ["once"]),
        ("[0, -1]", ["known"]),
        ("[0, 2]", ["known"]),
        ("[1, 1]", ["once", "covered"]),
        ("[-2]", ["known", "covered"]),
    ):
        verdict = cover.verify(instance, f"<answer>{text}</answer>")
        assert [violation.family for violation in verdict.violations] == families
        assert verdict.objective is None and verdict.quality == 0


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ((3, ((0,), (1,)), (1, 1)), "must hold all 3 elements, got 2"),
        ((2, ((1, 0),), (1,)), "in rising order, each once"),
        ((2, ((0, 1, 1),), (1,)), "in rising order, each once"),
        ((2, ((0, 1), ()), (1, 1)), "a subset must have an element"),
        ((2, ((0, 1),), (1, 1)), "costs must have an entry for each of 1 elements"),
        ((2, ((0, 1),), (0,)), "each of costs"),
        ((2, ((0, 2),), (1,)), "each of subsets must be"),
    ],
)
def test_instances_that_make_no_sense_are_refused(data: tuple[Any, ...], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        SetCoverInstance(*data).check()


def test_chvatals_guarantee() -> None:
    for seed in range(60):
        cover = SetCover(n=8 + seed % 20, distribution=DISTRIBUTIONS[seed % 3])
        instance = cover.instance(seed)
        harmonic = sum(Fraction(1, k) for k in range(1, max(map(len, instance.subsets)) + 1))
        reference = cover.reference(instance)
        assert reference.greedy <= harmonic * reference.value


def test_greedy_does_as_badly_as_chvatals_own_instance() -> None:
    """One subset of d elements for a little more than 1, and each element alone for 1 / 1, 1 / 2, ..., 1 / d."""
    d = 6
    subsets = ((0, 1, 2, 3, 4, 5), *((e,) for e in range(d)))
    instance = SetCoverInstance(d, subsets, (61, *(60 // k for k in range(1, d + 1))))
    cover = SetCover()
    greedy = tuple(cover.greedy(instance, lambda ranked: next(iter(ranked), None)))
    assert (cover.objective(instance, greedy), cover.reference(instance).value) == (147, 61)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_greedy_is_better_than_random_covers_even_without_what_is_redundant(distribution: str) -> None:
    cover = SetCover(distribution=distribution)
    rng = np.random.default_rng(0)
    greedy, spare, plain = [], [], []
    for seed in range(100):
        instance = cover.instance(seed)
        greedy.append(cover.objective(instance, cover.heuristic(instance)))
        spare.append(cover.objective(instance, cover.prune(instance, rng.permutation(instance.size).tolist())))
        plain.append(cover.objective(instance, cover.random(instance, rng)))
    assert np.mean(greedy) < np.mean(spare) < np.mean(plain)


def test_distributions() -> None:
    for seed in range(20):
        planted, costed, uniform, skewed = (SetCover(distribution=d).instance(seed) for d in DISTRIBUTIONS)
        assert set(map(len, planted.subsets)) <= set(range(1, 9)) and has_exact_cover(planted)  # a rest of 1 to 7
        assert min(planted.costs) >= 10 and max(planted.costs) <= 20
        assert costed.costed and len(set(costed.costs)) > 5 and max(costed.costs) <= 20
        assert not uniform.costed and not skewed.costed
        assert {len(subset) for subset in uniform.subsets} <= {6, 7, 8, 9}  # 6, and repairs
        assert len({len(subset) for subset in skewed.subsets}) > 4
        assert planted.universe == costed.universe == uniform.universe == skewed.universe == 40


@pytest.mark.parametrize("parameters", [{"members": 1}, {"members": 2}, {"elements": 3}, {"n": 4, "elements": 90}])
def test_an_exact_cover_is_hidden_among_any_subsets(parameters: dict[str, Any]) -> None:
    for seed in range(20):
        assert has_exact_cover(SetCover(**{"n": 9, "distribution": "planted", **parameters}).instance(seed))


def test_no_size_of_a_subset_tells_that_it_is_hidden() -> None:
    cover = SetCover(distribution="planted")
    for seed in range(20):
        instance = cover.instance(seed)
        for size in range(9):
            smaller = tuple([j for j, subset in enumerate(instance.subsets) if len(subset) <= size])
            assert not cover.verify_solution(instance, smaller).quality > 0.5


def test_no_number_of_a_subset_tells_anything() -> None:
    """Mean cost of a subset's use in the optimum does not depend on its number."""
    cover = SetCover(n=12)
    used = np.zeros(12)
    for seed in range(300):
        used[list(cover.reference(cover.instance(seed)).solution)] += 1
    assert used.std() < 3 * np.sqrt(used.mean() * (1 - used.mean() / 300))
    assert abs(used[:6].sum() - used[6:].sum()) < 4 * np.sqrt(used.sum())


# ----------------------------------------------------------------------------- the published benchmark


@pytest.fixture(scope="module")
def published(np_bench: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return np_bench("set_cover")


def converted(data: dict[str, Any]) -> tuple[SetCoverInstance, dict[int, int]]:
    """Return the instance, and the number of each published subset and element in it."""
    elements = {element: e for e, element in enumerate(data["U"])}
    numbers = {int(key): j for j, key in enumerate(data["S"])}
    subsets = tuple(tuple(sorted({elements[e] for e in members})) for members in data["S"].values())
    return SetCoverInstance(len(elements), subsets, (1,) * len(subsets)), numbers


def test_the_published_benchmark(published: list[dict[str, Any]]) -> None:
    assert len(published) == 112
    cover = SetCover()
    for row in published:
        instance, numbers = converted(row["instance"])
        instance.check()
        witness = tuple(numbers[key] for key in row["witness"])
        verdict = cover.verify(instance, cover.format(instance, witness))
        assert verdict.optimal and verdict.objective == row["proven_optimum"], row["id"]
        reference = cover.reference(instance)
        assert reference.proven and reference.value == row["proven_optimum"], row["id"]


def test_greedy_keys_are_in_the_order_of_the_exact_prices() -> None:
    for index in range(300):
        cover = forge_gym.problem("SetCover", n=20 + index % 9, largest=1 + index % 20)
        instance = cover.instance(seed=9, index=index)
        held, chosen = 0, list[int]()
        while held.bit_count() < instance.universe:
            fresh = [(j, (mask & ~held).bit_count()) for j, mask in enumerate(instance.masks)]
            best = min((Fraction(instance.costs[j], count), j) for j, count in fresh if count)[1]
            chosen.append(best)
            held |= instance.masks[best]
        assert [*cover.greedy(instance, lambda ranked: next(iter(ranked), None))] == chosen  # type: ignore[attr-defined]
