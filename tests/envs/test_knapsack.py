"""Knapsack: objective and optimum against enumeration and a second solver, textbook instances."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import forge_gym
from forge_gym.core.parameters import choices
from forge_gym.data.formats import read_instance
from forge_gym.envs.knapsack import Knapsack, KnapsackInstance

DISTRIBUTIONS = choices(Knapsack, "distribution")


def brute_force(instance: KnapsackInstance) -> int:
    """Best value over all subsets, from the definition."""
    n = len(instance.weights)
    chosen = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    fits = chosen @ np.array(instance.weights) <= instance.capacity
    return int((chosen @ np.array(instance.values))[fits].max())


def by_capacity(instance: KnapsackInstance) -> int:
    """Bellman's dynamic programme over capacities: an independent second method."""
    best = np.zeros(instance.capacity + 1, dtype=np.int64)
    for weight, value in zip(instance.weights, instance.values, strict=True):
        if weight <= instance.capacity:
            best[weight:] = np.maximum(best[weight:], best[: len(best) - weight] + value)
    return int(best[-1])


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_larger_instances_against_the_second_method(distribution: str) -> None:
    for n in (30, 60, 100):
        knapsack = Knapsack(n=n, distribution=distribution, largest=300)
        for seed in range(5):
            instance = knapsack.instance(seed)
            assert knapsack.reference(instance).value == by_capacity(instance)


def test_numbers_beyond_64_bits() -> None:
    scale = 10**25
    for seed in range(20):
        knapsack = Knapsack(n=9)
        small = knapsack.instance(seed)
        large = KnapsackInstance(
            small.capacity * scale,
            tuple(w * scale for w in small.weights),
            tuple(v * scale for v in small.values),
        )
        assert knapsack.reference(large).value == knapsack.reference(small).value * scale
        assert knapsack.reference(large).proven
        over = (*range(9),)
        assert not knapsack.verify_solution(large, over).feasible


def test_repeats_and_strangers_are_never_counted() -> None:
    knapsack = Knapsack()
    instance = KnapsackInstance(10, (5, 6), (1, 10))
    for text, family in (("[1, 1]", "once"), ("[-1]", "known"), ("[2]", "known"), ("[0, 1]", "capacity")):
        verdict = knapsack.verify(instance, f"<answer>{text}</answer>")
        assert [violation.family for violation in verdict.violations] == [family]
        assert verdict.objective is None and verdict.quality == 0


def test_the_empty_pack_is_legal_and_worthless() -> None:
    knapsack = Knapsack()
    verdict = knapsack.verify(knapsack.instance(), "<answer>[]</answer>")
    assert verdict.feasible and verdict.quality == 0 and verdict.objective == 0


def test_distributions_are_pisingers() -> None:
    for seed in range(20):
        for distribution in DISTRIBUTIONS:
            instance = Knapsack(n=40, distribution=distribution).instance(seed)
            excess = np.array(instance.values) - np.array(instance.weights)
            if distribution == "strong":
                assert (excess == 100).all()
            elif distribution == "subset_sum":
                assert (excess == 0).all()
            elif distribution == "weak":
                assert (abs(excess) <= 100).all() and len(set(excess.tolist())) > 5
            else:
                assert abs(excess).max() > 200


@pytest.mark.parametrize(
    ("name", "optimum"), [("p01", 309), ("p03", 150), ("p05", 900), ("p06", 1735), ("p08", 13549094)]
)
def test_published_optima(classic: Path, name: str, optimum: int) -> None:
    reference = Knapsack().reference(read_instance("Knapsack", classic / "knapsack" / f"{name}.txt"))
    assert reference.proven and reference.value == optimum


def test_items_stand_in_the_order_of_their_exact_densities() -> None:
    for index in range(300):
        pack = forge_gym.problem("Knapsack", n=14, largest=2 + index, distribution="uncorrelated").instance(1, index)
        density = [Fraction(v, w) for v, w in zip(pack.values, pack.weights, strict=True)]  # type: ignore[attr-defined]
        by = sorted(range(pack.size), key=lambda i: (-density[i], -pack.values[i], i))  # type: ignore[attr-defined]
        assert pack.by_density == tuple(by)  # type: ignore[attr-defined]
