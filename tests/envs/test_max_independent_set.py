"""Maximum independent set: objective and optimum against enumeration, networkx and CP-SAT."""

from __future__ import annotations

import ast
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from forge_gym.core.parameters import choices
from forge_gym.envs.max_clique import MaxClique
from forge_gym.envs.max_independent_set import MaxIndependentSet
from forge_gym.kinds.graph import Graph

INDEPENDENT = MaxIndependentSet()
DISTRIBUTIONS = choices(MaxIndependentSet, "distribution")


def is_independent(instance: Graph, chosen: tuple[int, ...]) -> bool:
    members = set(chosen)
    return not any(u in members and v in members for u, v in instance.edges)


def brute_force(instance: Graph) -> int:
    """Size of the largest independent set over all sets of vertices, from the definition."""
    return max(
        size
        for size in range(1, instance.n + 1)
        if any(is_independent(instance, chosen) for chosen in combinations(range(instance.n), size))
    )


def by_networkx(instance: Graph) -> int:
    """The largest of all maximal cliques of the complement: an independent second method."""
    drawn = nx.Graph(instance.edges)
    drawn.add_nodes_from(range(instance.n))
    return max(map(len, nx.find_cliques(nx.complement(drawn))))


def by_cp_sat(instance: Graph) -> int:
    """One boolean per vertex, a clause per edge: a third method."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    takes = [model.new_bool_var("") for _ in range(instance.n)]
    for u, v in instance.edges:
        model.add_at_most_one(takes[u], takes[v])
    model.maximize(sum(takes))
    solver = cp_model.CpSolver()
    assert solver.solve(model) == cp_model.OPTIMAL
    return round(solver.objective_value)


def graph(edges: Any, n: int) -> Graph:
    return Graph(n, tuple(sorted({(min(e), max(e)) for e in edges})))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_larger_instances_against_two_other_methods(distribution: str) -> None:
    for n, p in ((30, 0.2), (45, 0.3), (60, 0.5)):
        problem = MaxIndependentSet(n=n, distribution=distribution, p=p)
        instance = problem.instance(0)
        reference = problem.reference(instance)
        assert reference.proven and reference.value == by_networkx(instance) == by_cp_sat(instance)


@pytest.mark.parametrize(
    ("edges", "n", "alpha"),
    [
        ([], 5, 5),
        ([(0, 1)], 2, 1),
        (list(nx.complete_graph(7).edges), 7, 1),
        (list(nx.cycle_graph(9).edges), 9, 4),
        (list(nx.petersen_graph().edges), 10, 4),
        (list(nx.complete_multipartite_graph(3, 3, 5, 3).edges), 14, 5),
        (list(nx.star_graph(12).edges), 13, 12),
        (list(nx.path_graph(40).edges), 40, 20),
        (list(nx.convert_node_labels_to_integers(nx.hypercube_graph(5)).edges), 32, 16),
    ],
)
def test_graphs_with_a_known_independence_number(edges: list[tuple[int, int]], n: int, alpha: int) -> None:
    reference = INDEPENDENT.reference(graph(edges, n))
    assert reference.proven and reference.value == alpha


def test_it_is_the_clique_number_of_the_complement() -> None:
    for seed in range(20):
        instance = MaxIndependentSet(n=25, distribution=DISTRIBUTIONS[seed % 4]).instance(seed)
        apart = sorted(set(combinations(range(25), 2)) - set(instance.edges))
        clique = MaxClique().reference(Graph(25, tuple(apart)))
        assert INDEPENDENT.reference(instance).value == clique.value


def test_every_limit_leaves_a_true_bound() -> None:
    for seed in range(10):
        problem = MaxIndependentSet(n=45, p=0.3)
        instance = problem.instance(seed)
        best = by_networkx(instance)
        bounds = []
        for limit in (0, 60, 100, 200, 400, 10**6):
            found = problem.certificate(instance, limit)
            assert found.value <= best <= found.bound
            bounds.append(found.bound - int(found.value))
        assert bounds[-1] == 0 and bounds == sorted(bounds, reverse=True) and bounds[0] > 0


def test_greedy_keeps_its_guarantee() -> None:
    """The bound of Caro and Wei: the sum of 1 / (degree + 1)."""
    for seed in range(120):
        problem = MaxIndependentSet(n=30, distribution=DISTRIBUTIONS[seed % 4], p=(0.1, 0.3, 0.6)[seed % 3])
        instance = problem.instance(seed)
        bound = sum(Fraction(1, mask.bit_count() + 1) for mask in instance.neighbours)
        assert len(problem.heuristic(instance)) >= bound


def test_planted_graphs_have_their_set() -> None:
    for seed in range(20):
        problem = MaxIndependentSet(n=36, distribution="planted", p=0.7, hidden=2.0)
        assert problem.reference(problem.instance(seed)).value >= 12


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_order_of_vertices_tells_nothing(distribution: str) -> None:
    """Vertices of low and high number are as often in the optimum."""
    problem = MaxIndependentSet(n=24, distribution=distribution)
    low = high = 0
    for seed in range(200):
        instance = problem.instance(seed)
        drawn = np.random.default_rng(seed).permutation(24).tolist()
        moved = graph([(drawn[u], drawn[v]) for u, v in instance.edges], 24)
        inverse = {new: old for old, new in enumerate(drawn)}  # the solver's own preferences fall away
        best = [inverse[v] for v in problem.reference(moved).solution]
        low += sum(v < 12 for v in best)
        high += sum(v >= 12 for v in best)
    assert abs(low - high) < 0.1 * (low + high)


def test_nulls_and_constants_earn_nothing() -> None:
    instance = INDEPENDENT.instance()
    assert INDEPENDENT.verify(instance, "<answer>[0]</answer>").quality == 0
    empty = INDEPENDENT.verify(instance, "<answer>[]</answer>")
    assert empty.feasible and empty.objective == 0 and empty.quality == 0 and empty.skill < -1
    assert INDEPENDENT.verify_solution(instance, (0,) * 1000).credit == 0
    # The published system pays each of these more than the optimum.
    for text in ("[0, 0, 0, 0, 0, 0]", "[0, 0.1, 0.2]", "[true, false]", '["0", 0]', '[print("x") or 0, 3]'):
        verdict = INDEPENDENT.verify(instance, f"<answer>{text}</answer>")
        assert not verdict.feasible and verdict.quality == 0


def test_compact_answers_are_words() -> None:
    problem = MaxIndependentSet(n=4, style="compact", answer_format="raw")
    instance = graph([(0, 1), (0, 2), (1, 2)], 4)
    assert problem.prompt(instance) == "0: 1: 0 2: 0 1 3: >"
    assert problem.verify(instance, "3 1").optimal and problem.format(instance, (1, 3)) == "1 3"


def test_an_edge_inside_is_named() -> None:
    verdict = INDEPENDENT.verify(graph([(0, 1), (1, 2)], 3), "<answer>[2, 1, 0]</answer>")
    assert verdict.reason == "no two vertices are adjacent, got 2 of 3 pairs that are, such as 0 and 1"


def test_a_published_optimum(classic: Path) -> None:
    lines = (classic / "mis" / "1dc.64.col").read_text().splitlines()
    edges = [(int(u) - 1, int(v) - 1) for _, u, v in (line.split() for line in lines if line.startswith("e"))]
    reference = INDEPENDENT.reference(graph(edges, 64))
    assert reference.proven and reference.value == 10


def test_the_published_benchmark_is_proven(np_bench: Callable[[str], list[dict[str, Any]]]) -> None:
    """NP-Engine's instances: every witness is worth its stated value, and ours is the same optimum."""
    rows = np_bench("maximum_independent_set")
    assert len(rows) == 112
    for row in rows:
        listed = row["instance"]
        lists = ast.literal_eval(listed) if isinstance(listed, str) else listed
        instance = graph([(int(u), int(v)) for u in lists for v in lists[u]], len(lists))
        instance.check()
        verdict = INDEPENDENT.verify(instance, f"<answer>{row['witness']}</answer>")
        assert verdict.optimal and verdict.objective == row["proven_optimum"]
        assert INDEPENDENT.reference(instance).proven
