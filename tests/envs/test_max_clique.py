"""Maximum clique: objective and optimum against enumeration, networkx and CP-SAT, DIMACS graphs."""

from __future__ import annotations

import ast
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from forge_gym.core.parameters import choices
from forge_gym.envs.max_clique import MaxClique
from forge_gym.kinds.graph import Graph
from forge_gym.solvers.clique import colour_classes, max_clique, smallest_last

CLIQUE = MaxClique()
DISTRIBUTIONS = choices(MaxClique, "distribution")


def is_clique(edges: set[tuple[int, int]], chosen: tuple[int, ...]) -> bool:
    return all((min(u, v), max(u, v)) in edges for u, v in combinations(chosen, 2))


def brute_force(instance: Graph) -> int:
    """Size of the largest clique over all sets of vertices, from the definition."""
    edges = set(instance.edges)
    return max(
        size
        for size in range(1, instance.n + 1)
        if any(is_clique(edges, chosen) for chosen in combinations(range(instance.n), size))
    )


def by_networkx(instance: Graph) -> int:
    """The largest of all maximal cliques (Bron and Kerbosch): an independent second method."""
    drawn = nx.Graph(instance.edges)
    drawn.add_nodes_from(range(instance.n))
    return max(map(len, nx.find_cliques(drawn)))


def by_cp_sat(instance: Graph) -> int:
    """One boolean per vertex, a clause per pair that is not adjacent: a third method."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    takes = [model.new_bool_var("") for _ in range(instance.n)]
    edges = set(instance.edges)
    for u, v in combinations(range(instance.n), 2):
        if (u, v) not in edges:
            model.add_at_most_one(takes[u], takes[v])
    model.maximize(sum(takes))
    solver = cp_model.CpSolver()
    assert solver.solve(model) == cp_model.OPTIMAL
    return round(solver.objective_value)


def graph(edges: Any, n: int) -> Graph:
    return Graph(n, tuple(sorted({(min(e), max(e)) for e in edges})))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_larger_instances_against_two_other_methods(distribution: str) -> None:
    for n, p in ((30, 0.7), (50, 0.5), (70, 0.3)):
        problem = MaxClique(n=n, distribution=distribution, p=p)
        instance = problem.instance(0)
        reference = problem.reference(instance)
        assert reference.proven and reference.value == by_networkx(instance) == by_cp_sat(instance)


@pytest.mark.parametrize(
    ("edges", "n", "omega"),
    [
        ([], 5, 1),
        ([(0, 1)], 2, 2),
        (list(nx.complete_graph(30).edges), 30, 30),
        (list(nx.cycle_graph(9).edges), 9, 2),
        (list(nx.petersen_graph().edges), 10, 2),
        (list(nx.mycielski_graph(5).edges), 23, 2),
        (list(nx.complete_multipartite_graph(3, 3, 3, 3).edges), 12, 4),
        (list(nx.wheel_graph(8).edges), 8, 3),
        (list(nx.complement(nx.cycle_graph(11)).edges), 11, 5),
    ],
)
def test_graphs_with_a_known_clique_number(edges: list[tuple[int, int]], n: int, omega: int) -> None:
    reference = CLIQUE.reference(graph(edges, n))
    assert reference.proven and reference.value == omega


def test_a_clique_deeper_than_the_recursion_limit() -> None:
    n = 1200
    everyone = (1 << n) - 1
    found = max_clique([everyone ^ 1 << v for v in range(n)], (0,), 10**9)
    assert found.proven and found.value == n


def test_colours_bound_every_prefix() -> None:
    """Up to each vertex of colour c there are c independent classes, so no clique of more than c."""
    for seed in range(20):
        instance = MaxClique(n=12, p=0.6).instance(seed)
        neighbours = instance.neighbours
        everyone = (1 << 12) - 1
        apart = [everyone ^ mask ^ 1 << v for v, mask in enumerate(neighbours)]
        coloured = colour_classes(apart, everyone, 0)
        assert sorted(v for v, _ in coloured) == list(range(12))
        assert all(a != b or not neighbours[u] >> v & 1 for (u, a), (v, b) in combinations(coloured, 2))
        assert [c for _, c in coloured] == sorted(c for _, c in coloured)
        assert colour_classes(apart, everyone, 3) == [(v, c) for v, c in coloured if c > 3]


def test_smallest_last_is_what_it_says() -> None:
    neighbours = MaxClique(n=20).instance(1).neighbours
    order = smallest_last(neighbours)
    for last in range(19, 0, -1):
        before = sum(1 << v for v in order[: last + 1])
        degrees = [(neighbours[v] & before).bit_count() for v in order[: last + 1]]
        assert degrees[last] == min(degrees)


def test_every_limit_leaves_a_true_bound() -> None:
    for seed in range(10):
        problem = MaxClique(n=40, distribution="gnp", p=0.7)
        instance = problem.instance(seed)
        best = by_networkx(instance)
        bounds = []
        for limit in (0, 60, 100, 200, 400, 10**6):
            found = problem.certificate(instance, limit)
            assert found.value <= best <= found.bound
            bounds.append(found.bound - int(found.value))
        assert bounds[-1] == 0 and bounds == sorted(bounds, reverse=True) and bounds[0] > 0


def test_greedy_keeps_its_guarantee_and_is_maximal() -> None:
    for seed in range(60):
        problem = MaxClique(n=20, distribution=DISTRIBUTIONS[seed % len(DISTRIBUTIONS)])
        instance = problem.instance(seed)
        chosen = problem.heuristic(instance)
        degrees = [mask.bit_count() for mask in instance.neighbours]
        assert len(chosen) * (20 - min(degrees)) >= 20
        edges = set(instance.edges)
        assert not any(is_clique(edges, (*chosen, v)) for v in range(20) if v not in chosen)


def test_planted_graphs_have_their_clique() -> None:
    for seed in range(20):
        problem = MaxClique(n=36, distribution="planted", p=0.3, hidden=2.0)
        assert problem.reference(problem.instance(seed)).value >= 12


def test_degrees_do_not_give_a_hidden_clique_away() -> None:
    """Neither does growing a clique by degree find it, nor by its opposite."""
    problem, missed = MaxClique(n=60), 0
    for seed in range(20):
        instance = problem.instance(seed)
        degrees = [neighbours.bit_count() for neighbours in instance.neighbours]
        rising = sorted(range(60), key=degrees.__getitem__)
        grown = [problem.complete(instance, order) for order in (rising, rising[::-1])]
        missed += max(map(len, grown)) < 13 <= problem.reference(instance).value
        hidden = [degrees[v] for v in problem.reference(instance).solution]
        assert abs(sum(hidden) / len(hidden) - (0.7 * 59 - 3.9)) < 4
    assert missed >= 16


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_order_of_vertices_tells_nothing(distribution: str) -> None:
    """Vertices of low and high number are as often in the optimum."""
    problem = MaxClique(n=24, distribution=distribution, p=0.3)
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
    instance = CLIQUE.instance()
    assert CLIQUE.verify(instance, "<answer>[0]</answer>").quality == 0
    empty = CLIQUE.verify(instance, "<answer>[]</answer>")
    assert empty.feasible and empty.objective == 0 and empty.quality == 0 and empty.skill < -1
    assert CLIQUE.verify_solution(instance, tuple(range(instance.n))).credit == 0
    assert CLIQUE.verify_solution(instance, (0,) * 1000).credit == 0


def test_compact_answers_are_words() -> None:
    problem = MaxClique(n=6, style="compact", answer_format="raw")
    instance = graph([(0, 1), (0, 2), (1, 2)], 6)
    assert problem.prompt(instance) == "0: 1: 0 2: 0 1 3: 4: 5: >"
    assert problem.verify(instance, "2 0 1").optimal and problem.format(instance, (0, 1, 2)) == "0 1 2"
    assert problem.parse_reply(instance, problem.format(instance, ())) == ()
    for text in ("[0, 1]", "0,1", "00 1", "-1", "+1", "0 none", "0 > 1", "1.0"):
        assert problem.verify(instance, text).status == "malformed", text
    for text in ("0 6", "9999999999"):
        assert problem.verify(instance, text).status == "infeasible"


def test_a_pair_apart_is_named() -> None:
    verdict = CLIQUE.verify(graph([(0, 1), (1, 2)], 3), "<answer>[2, 1, 0]</answer>")
    assert verdict.reason == "every two vertices are adjacent, got 1 of 3 pairs that are not, such as 0 and 2"


@pytest.mark.parametrize(
    ("name", "omega"),
    [("johnson8-2-4", 4), ("johnson8-4-4", 14), ("hamming6-2", 32), ("hamming8-4", 16), ("MANN_a9", 16)],
)
def test_published_optima(classic: Path, name: str, omega: int) -> None:
    lines = (classic / "dimacs_clique" / f"{name}.clq").read_text().splitlines()
    n = next(int(line.split()[2]) for line in lines if line.startswith("p"))
    edges = [(int(u) - 1, int(v) - 1) for _, u, v in (line.split() for line in lines if line.startswith("e"))]
    reference = CLIQUE.reference(graph(edges, n))
    assert reference.proven and reference.value == omega


def test_the_published_benchmark_is_proven(np_bench: Callable[[str], list[dict[str, Any]]]) -> None:
    """NP-Engine's instances: every witness is worth its stated value, and ours is the same optimum."""
    rows = np_bench("maximum_clique")
    assert len(rows) == 112
    for row in rows:
        listed = row["instance"]
        lists = ast.literal_eval(listed) if isinstance(listed, str) else listed
        instance = graph([(int(u), int(v)) for u in lists for v in lists[u]], len(lists))
        instance.check()
        verdict = CLIQUE.verify(instance, f"<answer>{row['witness']}</answer>")
        assert verdict.optimal and verdict.objective == row["proven_optimum"]
        assert CLIQUE.reference(instance).proven
