"""Graph colouring: objective and optimum against brute force, two solvers, DIMACS graphs."""

from __future__ import annotations

from itertools import count, product
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from forge_gym.envs.graph_coloring import (
    DISTRIBUTIONS,
    GraphColoring,
    GraphColoringInstance,
    assign,
    dsatur,
    greedy_clique,
)
from forge_gym.evaluation.formats import read_instance

COLOURING = GraphColoring()


def chromatic_number(instance: GraphColoringInstance) -> int:
    """The fewest colours, from the definition: try 1, 2, ... by extending partial colourings."""

    def extends(colours: list[int], k: int) -> bool:
        v = len(colours)
        if v == instance.n:
            return True
        taken = {colours[u] for u, w in instance.edges if w == v}
        return any(c not in taken and extends([*colours, c], k) for c in range(k))

    return next(k for k in count(1) if extends([], k))


def graph(edges: list[tuple[int, int]], n: int) -> GraphColoringInstance:
    return GraphColoringInstance(n, tuple(sorted({(min(e), max(e)) for e in edges})))


def test_the_optimum_is_that_of_brute_force_on_200_instances() -> None:
    for seed in range(200):
        problem = GraphColoring(
            n=4 + seed % 6, distribution=DISTRIBUTIONS[seed % 2], p=(0.2, 0.5, 0.8)[seed % 3], k=2 + seed % 3
        )
        instance = problem.instance(seed)
        reference = problem.reference(instance)
        assert reference.proven and reference.value == chromatic_number(instance)


def test_every_answer_of_five_vertices() -> None:
    """All 7^5 lists of colours -1 to 5: feasible exactly if proper with colours 0 to 4."""
    for seed in range(3):
        instance = GraphColoring(n=5).instance(seed)
        best = chromatic_number(instance)
        for colours in product(range(-1, 6), repeat=5):
            verdict = COLOURING.verify(instance, f"<answer>{list(colours)}</answer>")
            proper = all(colours[u] != colours[v] for u, v in instance.edges)
            assert verdict.feasible == (proper and set(colours) <= set(range(5)))
            if verdict.feasible:
                assert verdict.objective == len(set(colours)) >= best
                assert verdict.optimal == (verdict.objective == best)


def test_dsatur_and_cp_sat_agree() -> None:
    for seed in range(12):
        problem = GraphColoring(n=16 + seed % 8, p=(0.3, 0.5, 0.7)[seed % 3])
        instance = problem.instance(seed)
        start = problem.heuristic(instance)
        searched = dsatur(instance.neighbours, start, 10**7)
        stopped = dsatur(instance.neighbours, start, 0)
        assigned = assign(instance.neighbours, stopped, 10**7) if not stopped.proven else stopped
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


def test_relabelled_vertices_and_renamed_colours() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        instance = GraphColoring(n=12).instance(seed)
        order = rng.permutation(12).tolist()
        relabelled = graph([(order[u], order[v]) for u, v in instance.edges], 12)
        assert COLOURING.reference(relabelled).value == COLOURING.reference(instance).value
        assert relabelled.invariant() == instance.invariant()
        colours = COLOURING.random(instance, rng)
        moved = [0] * 12
        for v, colour in enumerate(colours):
            moved[order[v]] = colour
        assert COLOURING.objective(relabelled, tuple(moved)) == COLOURING.objective(instance, colours)
        names = rng.permutation(12).tolist()
        renamed = tuple(names[c] for c in colours)
        assert COLOURING.judge(instance, renamed) == COLOURING.judge(instance, colours)
        assert COLOURING.canonical(instance, renamed) == COLOURING.canonical(instance, colours)


def test_a_clash_is_named() -> None:
    verdict = COLOURING.verify(graph([(0, 1), (1, 2)], 3), "<answer>[0, 1, 1]</answer>")
    assert verdict.reason == "adjacent vertices differ, got 1 edges with one colour, such as 1-2"


def test_a_graph_too_large_to_search_gets_an_unproven_reference() -> None:
    problem = GraphColoring(n=450, p=0.02)
    reference = problem.reference(problem.instance())
    assert not reference.proven and reference.bound == 2


@pytest.mark.parametrize(
    ("name", "chi"), [("myciel3", 4), ("myciel5", 6), ("queen5_5", 5), ("queen7_7", 7), ("queen8_8", 9)]
)
def test_published_optima(classic: Path, name: str, chi: int) -> None:
    reference = COLOURING.reference(read_instance("GraphColoring", classic / "dimacs_color" / f"{name}.col"))
    assert reference.proven and reference.value == chi
