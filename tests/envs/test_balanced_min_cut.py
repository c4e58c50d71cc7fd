"""Balanced minimum cut: optimum against CP-SAT and proven published optima, bounds, and descents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import forge_gym
from forge_gym.core.parameters import choices
from forge_gym.data.published import PublishedBisection
from forge_gym.envs.balanced_min_cut import BalancedMinCut
from forge_gym.kinds.graph import WeightedGraph
from forge_gym.solvers.bisection import branch_and_bound, descend, lightest

bisection = BalancedMinCut()
published = PublishedBisection()
DISTRIBUTIONS = choices(BalancedMinCut, "distribution")


def by_cp_sat(instance: WeightedGraph) -> int:
    """An integer programme with a cut variable per edge: an independent second method."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    side = [model.new_bool_var("") for _ in range(instance.n)]
    model.add(sum(side) == instance.n // 2)
    cost = []
    for u, v, weight in instance.edges:
        cut = model.new_bool_var("")
        model.add(cut >= side[u] - side[v])
        model.add(cut >= side[v] - side[u])
        cost.append(weight * cut)
    model.minimize(sum(cost))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.linearization_level = 2
    assert solver.solve(model) == cp_model.OPTIMAL
    return round(solver.objective_value)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_larger_instances_against_cp_sat(distribution: str) -> None:
    for n, p in ((16, 0.4), (17, 0.3), (20, 0.25)):
        problem = BalancedMinCut(n=n, p=p, distribution=distribution)
        for seed in range(2):
            instance = problem.instance(seed)
            reference = problem.reference(instance)
            assert reference.proven and reference.value == by_cp_sat(instance)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_branch_and_bound_agrees_with_enumeration_and_its_bound_is_true_at_any_limit(distribution: str) -> None:
    for seed in range(8):
        rng, n, p = np.random.default_rng(seed), 3 + seed, (0.3, 0.8)[seed % 2]
        problem = BalancedMinCut(n=n, p=p, largest=10 ** (seed % 4), distribution=distribution)
        instance = problem.instance(seed)
        best = problem.objective(instance, lightest(instance.weights))
        start = tuple(rng.permutation(n)[: n // 2].tolist())
        half, bound, _ = branch_and_bound(instance.weights, start, 10**8)
        assert problem.objective(instance, half) == best == bound
        for limit in (0, 10_000, 100_000):
            _, bound, work = branch_and_bound(instance.weights, start, limit)
            assert bound <= best and work <= limit + 40 * n**3


@pytest.mark.slow
def test_sixty_vertices_against_cp_sat() -> None:
    """Ten sparse graphs, since linear relaxations say nothing of dense ones."""
    for seed in range(10):
        problem = BalancedMinCut(n=60, p=0.07, distribution=DISTRIBUTIONS[seed % 4])
        reference = problem.reference(instance := problem.instance(seed))
        assert reference.proven and reference.value == by_cp_sat(instance)


def test_sparse_graphs_of_32_vertices_are_proven() -> None:
    for distribution in DISTRIBUTIONS:
        problem = BalancedMinCut(n=32, p=0.12, distribution=distribution)
        instance = problem.instance(1)
        reference = problem.reference(instance)
        assert reference.proven and reference.value == by_cp_sat(instance)


def test_work_is_bounded_at_any_size() -> None:
    for n in (27, 50, 151):
        instance = BalancedMinCut(n=n).instance(0)
        for limit in (0, 100_000):
            certificate = bisection.certificate(instance, limit)
            assert certificate.bound <= certificate.value and not certificate.proven
            assert certificate.work <= limit + 20 * n**3  # a line search ends before the limit is looked at
            assert not bisection.violations(instance, certificate.solution)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_order_of_vertices_tells_nothing(distribution: str) -> None:
    problem = BalancedMinCut(distribution=distribution)
    rng = np.random.default_rng(0)
    gains = []
    for seed in range(200):
        instance = problem.instance(seed)
        mixed = np.mean([problem.objective(instance, problem.random(instance, rng)) for _ in range(20)])
        first = tuple(range(instance.n // 2))
        gains.append((mixed - problem.objective(instance, first)) / mixed)
    assert abs(np.mean(gains)) < 3.5 * np.std(gains) / 200**0.5


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("level", [None, 5])
def test_most_instances_are_graded_and_quality_is_ordered(distribution: str, level: int | None) -> None:
    problem = BalancedMinCut(distribution=distribution)
    problem = problem if level is None else problem.at_level(level)
    tiered = forge_gym.reward("tiered")
    rng = np.random.default_rng(0)
    graded, qualities, rewards = 0, [], []
    for seed in range(60):
        instance = problem.instance(seed)
        if not problem.is_graded(instance):
            continue
        graded += 1
        verdicts = [problem.verify_solution(instance, problem.random(instance, rng)) for _ in range(5)]
        greedy = problem.verify_solution(instance, problem.heuristic(instance)).quality
        qualities.append((np.mean([verdict.quality for verdict in verdicts]), greedy))
        rewards += [tiered(verdict) for verdict in verdicts]
    blind, greedy = np.mean(qualities, axis=0)
    assert graded >= 36 and 0 < blind < greedy < 1 and np.mean(rewards) < 0  # type: ignore[arg-type]


def test_greedy_is_never_worse_than_the_trivial_half() -> None:
    for seed in range(100):
        problem = BalancedMinCut(n=3 + seed % 15, distribution=DISTRIBUTIONS[seed % 4])
        instance = problem.instance(seed)
        values = [problem.objective(instance, s) for s in (problem.heuristic(instance), problem.trivial(instance))]
        assert values[0] <= values[1]


def test_a_descent_ends_where_no_swap_helps() -> None:
    for seed in range(20):
        instance = BalancedMinCut(n=11 + seed % 2).instance(seed)
        half, _ = descend(instance.weights, bisection.trivial(instance), 10**6)  # type: ignore[arg-type]
        value = bisection.objective(instance, half)
        for u in half:
            for v in set(range(instance.n)) - set(half):
                assert bisection.objective(instance, tuple({*half, v} - {u})) >= value


# ---------------------------------------------------------------------------- published instances


def converted(data: dict[str, dict[str, int]]) -> WeightedGraph:
    """Drop the zeros and the diagonal of a published weight matrix."""
    rows = ((int(u), int(v), w) for u, row in data.items() for v, w in row.items())
    return WeightedGraph(len(data), tuple(sorted((u, v, w) for u, v, w in rows if u < v and w)))


def accepted(row: dict[str, Any]) -> WeightedGraph:
    """Return the instance, its witness checked in both spellings."""
    instance = converted(row["instance"])
    instance.check()
    one, other = (tuple(half) for half in row["witness"])
    smaller = min(one, other, key=len)
    assert published.parse_answer(instance, json.dumps(row["witness"])) == smaller
    assert not bisection.violations(instance, smaller)
    assert bisection.objective(instance, smaller) == row["proven_optimum"]
    return instance


@pytest.fixture(scope="module")
def rows(np_bench: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return np_bench("minimum_bisection")


def test_a_sample_of_published_instances_is_proven(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        accepted(row)
    for row in rows[::28]:
        reference = bisection.reference(converted(row["instance"]))
        assert reference.proven and reference.value == row["proven_optimum"]


@pytest.mark.slow
def test_every_published_instance_is_proven(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        reference = bisection.reference(converted(row["instance"]))
        assert reference.proven and reference.value == row["proven_optimum"], row["id"]
