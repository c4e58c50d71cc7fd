"""Graph colouring: objective and optimum against brute force, two solvers, DIMACS graphs."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import networkx as nx
import pytest

from forge_gym.data.formats import read_instance
from forge_gym.envs.graph_coloring import GraphColoring
from forge_gym.kinds.graph import Graph
from forge_gym.solvers.coloring import assign, dsatur, greedy_clique

COLOURING = GraphColoring()


def chromatic_number(instance: Graph) -> int:
    """The fewest colours, from the definition: try 1, 2, ... by extending partial colourings."""

    def extends(colours: list[int], k: int) -> bool:
        v = len(colours)
        if v == instance.n:
            return True
        taken = {colours[u] for u, w in instance.edges if w == v}
        return any(c not in taken and extends([*colours, c], k) for c in range(k))

    return next(k for k in count(1) if extends([], k))


def graph(edges: list[tuple[int, int]], n: int) -> Graph:
    return Graph(n, tuple(sorted({(min(e), max(e)) for e in edges})))


def test_dsatur_and_cp_sat_agree() -> None:
    for seed in range(12):
        problem = GraphColoring(n=16 + seed % 8, p=(0.3, 0.5, 0.7)[seed % 3])
        instance = problem.instance(seed)
        start, clique = problem.heuristic(instance), greedy_clique(instance.neighbours)
        searched = dsatur(instance.neighbours, clique, start, 10**7)
        stopped = dsatur(instance.neighbours, clique, start, 0)
        assigned = assign(instance.neighbours, clique, stopped, 10**7) if not stopped.proven else stopped
        assert searched.proven and assigned.proven and searched.value == assigned.value


@pytest.mark.parametrize(
    ("edges", "n", "chi"),
    [
        ([], 5, 1),
        ([(0, 1)], 2, 2),
        (list(nx.complete_graph(7).edges), 7, 7),
        (list(nx.cycle_graph(9).edges), 9, 3),
        (list(nx.cycle_graph(10).edges), 10, 2),
        (list(nx.petersen_graph().edges), 10, 3),
        (list(nx.mycielski_graph(5).edges), 23, 5),
        (list(nx.complete_multipartite_graph(3, 3, 3, 3).edges), 12, 4),
        (list(nx.wheel_graph(8).edges), 8, 4),
    ],
)
def test_graphs_with_a_known_chromatic_number(edges: list[tuple[int, int]], n: int, chi: int) -> None:
    reference = COLOURING.reference(graph(edges, n))
    assert reference.proven and reference.value == chi


def test_first_fit_keeps_its_guarantee_and_the_clique_is_one() -> None:
    for seed in range(50):
        instance = COLOURING.instance(seed)
        degrees = [mask.bit_count() for mask in instance.neighbours]
        assert COLOURING.reference(instance).greedy <= max(degrees) + 1
        clique = greedy_clique(instance.neighbours)
        assert all(instance.neighbours[u] >> v & 1 for u in clique for v in clique if u != v)
        assert len(clique) <= COLOURING.reference(instance).value


def test_planted_graphs_have_their_colouring() -> None:
    for seed in range(20):
        problem = GraphColoring(n=24, distribution="planted", k=3, p=0.6)
        assert problem.reference(problem.instance(seed)).value <= 3


def test_a_clash_is_named() -> None:
    verdict = COLOURING.verify(graph([(0, 1), (1, 2)], 3), "<answer>[0, 1, 1]</answer>")
    assert verdict.reason == "adjacent vertices differ, got 1 edges with one colour, such as 1-2"


def test_a_graph_too_large_to_search_gets_an_unproven_reference() -> None:
    problem = GraphColoring(n=450, p=0.02)
    reference = problem.reference(problem.instance())
    assert not reference.proven and 2 <= reference.bound <= 4 and reference.value < 20


@pytest.mark.parametrize(
    ("name", "chi"), [("myciel3", 4), ("myciel5", 6), ("queen5_5", 5), ("queen7_7", 7), ("queen8_8", 9)]
)
def test_published_optima(classic: Path, name: str, chi: int) -> None:
    reference = COLOURING.reference(read_instance("GraphColoring", classic / "dimacs_color" / f"{name}.col"))
    assert reference.proven and reference.value == chi
