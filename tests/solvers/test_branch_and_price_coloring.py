"""Branch and price for colourings: against DSATUR and CP-SAT, its sets against networkx, its prices on any graph."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_gym.core.bitset import bits
from forge_gym.core.reference import Certificate
from forge_gym.envs.graph_coloring import GraphColoring
from forge_gym.kinds.graph import Graph
from forge_gym.solvers.branch_and_price_coloring import (
    Colouring,
    Cover,
    branch_and_price,
    maximal_independent_sets,
    tabu_search,
)
from forge_gym.solvers.coloring import dsatur, fewest_colors

ENOUGH = 10**8


def is_proper(graph: Graph, colours: Colouring) -> bool:
    return all(colours[u] != colours[v] for u, v in graph.edges)


def solve(graph: Graph, limit: int = ENOUGH) -> Certificate[Colouring]:
    start = Certificate(tuple(range(graph.n)), graph.n, 1, "none", 0)
    return branch_and_price(graph.neighbours, maximal_independent_sets(graph.neighbours, ENOUGH), start, limit)


def by_cp_sat(graph: Graph, k: int) -> bool | None:
    """Whether k maximal independent sets, found by networkx, cover all vertices; None if that takes too long."""
    from ortools.sat.python import cp_model

    drawn = nx.Graph(graph.edges)
    drawn.add_nodes_from(range(graph.n))
    sets = list(nx.find_cliques(nx.complement(drawn)))
    model = cp_model.CpModel()
    takes = [model.new_bool_var("") for _ in sets]
    for v in range(graph.n):
        model.add_bool_or([take for take, one in zip(takes, sets, strict=True) if v in one])
    model.add(sum(takes) <= k)
    model.minimize(sum(takes))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.linearization_level = 1, 2
    solver.parameters.max_deterministic_time = 20
    status = solver.solve(model)
    return {cp_model.OPTIMAL: True, cp_model.FEASIBLE: True, cp_model.INFEASIBLE: False}.get(status)


@settings(max_examples=80, deadline=None)
@given(st.integers(2, 11), st.data())
def test_any_small_graph_gets_as_many_colours_as_dsatur_finds(n: int, data: st.DataObject) -> None:
    pairs = list(combinations(range(n), 2))
    graph = Graph(n, tuple(pair for pair in pairs if data.draw(st.booleans())))
    found = solve(graph)
    searched = dsatur(graph.neighbours, [], tuple(range(n)), ENOUGH)
    assert found.proven and found.value == searched.value == len(set(found.solution))
    assert is_proper(graph, found.solution)


def test_the_sets_are_the_maximal_cliques_of_the_complement() -> None:
    for seed in range(10):
        graph = GraphColoring(n=20, p=0.1 + seed / 12).instance(seed)
        drawn = nx.Graph(graph.edges)
        drawn.add_nodes_from(range(20))
        sets = maximal_independent_sets(graph.neighbours, ENOUGH)
        assert len(sets) == len(set(sets))
        assert set(map(frozenset, map(bits, sets))) == set(map(frozenset, nx.find_cliques(nx.complement(drawn))))
        assert maximal_independent_sets(graph.neighbours, 20) == []


def test_no_set_ever_costs_more_than_a_unit() -> None:
    """Of any vertices: so their price is a bound, on them and on all that has them."""
    for seed in range(20):
        graph = GraphColoring(n=18, p=0.4).instance(seed)
        sets = maximal_independent_sets(graph.neighbours, ENOUGH)
        cover, rng = Cover(18, sets, ENOUGH), np.random.default_rng(seed)
        for _ in range(10):
            vertices = int(rng.integers(1, 1 << 18))
            prices = cover.price(vertices, 18)
            unit = 1 << 20
            assert not prices[[v for v in range(18) if not vertices >> v & 1]].any() and prices.min() >= 0
            assert max(sum(prices[v] for v in bits(one)) for one in sets) <= unit
            inside = graph_of(graph, bits(vertices))
            needed = dsatur(inside.neighbours, [], tuple(range(inside.n)), ENOUGH).value
            assert needed - 1.1 < prices.sum() / unit <= needed  # the gap is small in graphs as small as these


def graph_of(graph: Graph, vertices: list[int]) -> Graph:
    place = {v: i for i, v in enumerate(vertices)}
    return Graph(len(place), tuple((place[u], place[v]) for u, v in graph.edges if u in place and v in place))


def test_tabu_search_saves_a_colour_or_says_that_it_found_none() -> None:
    for seed in range(5):
        graph = GraphColoring(n=20, p=0.5).instance(seed)
        fewest = solve(graph)
        colours: Colouring = tuple(range(20))
        while (better := tabu_search(graph.neighbours, colours, 500)) is not None:
            assert is_proper(graph, better) and len(set(better)) < len(set(colours))
            colours = better
        assert fewest.value <= len(set(colours)) <= fewest.value + 1
        assert tabu_search(graph.neighbours, fewest.solution, 100) is None


@pytest.mark.parametrize("n", [50, 82])
def test_any_limit_gives_true_bounds_and_is_nearly_kept(n: int) -> None:
    problem = GraphColoring(n=n)
    instance = problem.instance(0)
    start = problem.heuristic(instance)
    whole = fewest_colors(instance.neighbours, start, problem.work_limit)
    assert whole.proven and is_proper(instance, whole.solution)
    for limit in (0, 10**4, 10**5, 10**6):
        found = fewest_colors(instance.neighbours, start, limit)
        assert found.bound <= whole.value <= found.value == len(set(found.solution))
        assert found.work <= limit + 2 * 10**5 and is_proper(instance, found.solution)
        assert found == fewest_colors(instance.neighbours, start, limit)


@pytest.mark.slow
def test_ten_graphs_of_seventy_vertices_against_cp_sat() -> None:
    """CP-SAT finds no cover by one set less: nearly always it proves that there is none."""
    problem, refuted = GraphColoring(n=70), 0
    for seed in range(10):
        instance = problem.instance(seed)
        reference = problem.reference(instance)
        assert reference.proven and is_proper(instance, reference.solution)
        fewer = by_cp_sat(instance, int(reference.value) - 1)
        assert not fewer
        refuted += fewer is False
    assert refuted >= 8
