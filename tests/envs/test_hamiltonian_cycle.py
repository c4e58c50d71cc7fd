"""HamiltonianCycle: enumeration, exact methods against each other, graphs with known longest cycles."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations, pairwise, permutations, product
from typing import Any

import numpy as np
import pytest

from forge_gym.core.parameters import choices
from forge_gym.data.published import PublishedCycle
from forge_gym.envs.hamiltonian_cycle import HamiltonianCycle, HamiltonianCycleInstance
from forge_gym.solvers.longest_cycle import biconnected, by_subsets, circuit, rotations

DISTRIBUTIONS = choices(HamiltonianCycle, "distribution")
SEEDS = [(d, s) for d in DISTRIBUTIONS for s in range(8)]


def graph(n: int, edges: Any) -> HamiltonianCycleInstance:
    return HamiltonianCycleInstance(n, tuple(sorted({(min(e), max(e)) for e in edges})))


def is_cycle(instance: HamiltonianCycleInstance, vertices: tuple[int, ...]) -> bool:
    """The definition: three or more distinct vertices, each adjacent to the next, last to first."""
    edges = set(instance.edges)
    around = (*vertices, *vertices[:1])
    return len(set(vertices)) == len(vertices) >= 3 and all(
        (u, v) in edges or (v, u) in edges for u, v in pairwise(around)
    )


def brute_force(instance: HamiltonianCycleInstance) -> int:
    for k in range(instance.n, 2, -1):
        for vertices in combinations(range(instance.n), k):
            if any(is_cycle(instance, (vertices[0], *rest)) for rest in permutations(vertices[1:])):
                return k
    raise AssertionError("no cycle")


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_larger_instances_against_all_their_cycles(distribution: str) -> None:
    nx = pytest.importorskip("networkx")
    for seed in range(10):
        longest = HamiltonianCycle(n=17, distribution=distribution, degree=3.0)
        instance = longest.instance(seed)
        reference = longest.reference(instance)
        lengths = [len(cycle) for cycle in nx.simple_cycles(nx.Graph(instance.edges))]
        assert reference.proven and reference.value == max(lengths) and reference.trivial == min(lengths)


@pytest.mark.parametrize(("distribution", "seed"), SEEDS)
def test_exact_methods_agree(distribution: str, seed: int) -> None:
    """Dynamic programming and CP-SAT from nothing better than the shortest cycle; rotations in between."""
    longest = HamiltonianCycle(n=8 + seed, distribution=distribution)
    instance = longest.instance(seed)
    start, block = longest.trivial(instance), instance.blocks[0]
    exact = by_subsets(instance.core, block, start, 10**8)
    found = circuit(instance.core, block, start, 10**8)
    rotated = rotations(instance.core, block, start, 10**8)
    assert exact.proven and found.proven and exact.value == found.value
    assert rotated.value <= exact.value <= rotated.bound == block.bit_count()
    for certificate in (exact, found, rotated):
        assert is_cycle(instance, certificate.solution) and len(certificate.solution) == certificate.value


def test_isolated_and_hanging_vertices_are_not_counted() -> None:
    """CP-SAT's circuit ignores vertices without arcs unless they may be skipped."""
    square = graph(40, [(0, 9), (9, 5), (5, 7), (7, 0), (7, 8), (8, 11)])
    everything = (1 << 40) - 1
    for found in (
        circuit(square.neighbours, everything, (), 10**8),
        circuit(square.neighbours, everything, (0, 9, 5), 10**8),
        HamiltonianCycle().reference(square),
    ):
        assert found.proven and found.value == 4 and is_cycle(square, found.solution)
    assert circuit(square.neighbours, everything, (0, 9, 5, 7), 10**8).proven


def petersen(n: int, k: int) -> HamiltonianCycleInstance:
    """The generalised Petersen graph."""
    return graph(2 * n, [e for i in range(n) for e in ((i, (i + 1) % n), (i, n + i), (n + i, n + (i + k) % n))])


def grid(rows: int, columns: int, steps: Any = ((0, 1), (1, 0))) -> HamiltonianCycleInstance:
    cells = {cell: i for i, cell in enumerate(product(range(rows), range(columns)))}
    return graph(
        len(cells),
        [(i, cells[r + a, c + b]) for (r, c), i in cells.items() for a, b in steps if (r + a, c + b) in cells],
    )


KNIGHT = ((1, 2), (2, 1), (1, -2), (2, -1))


@pytest.mark.parametrize(
    ("instance", "optimum"),
    [
        (petersen(5, 2), 9),  # GP(n, 2) is hypohamiltonian where n = 5 mod 6
        (petersen(11, 2), 21),
        (petersen(17, 2), 33),
        (petersen(10, 2), 20),  # the dodecahedron
        (petersen(10, 3), 20),  # the Desargues graph
        (grid(5, 5), 24),  # bipartite with 13 and 12 vertices
        (grid(7, 7), 48),
        (grid(4, 6), 24),
        (grid(6, 6, KNIGHT), 36),
        (grid(8, 8, KNIGHT), 64),
        (grid(3, 4, KNIGHT), 10),
        (graph(13, product(range(5), range(5, 13))), 10),  # complete bipartite
        (graph(20, product(range(7), range(7, 20))), 14),
        (graph(30, combinations(range(30), 2)), 30),
        (
            graph(9, [*combinations(range(5), 2), *combinations(range(4, 9), 2)]),
            5,
        ),  # two blocks share vertex 4
        (graph(60, [(i, (i + 1) % 60) for i in range(60)]), 60),
    ],
)
def test_graphs_with_known_longest_cycles(instance: HamiltonianCycleInstance, optimum: int) -> None:
    reference = HamiltonianCycle().reference(instance)
    assert reference.proven and reference.value == optimum and is_cycle(instance, reference.solution)


def test_a_small_known_case_by_enumeration() -> None:
    nx = pytest.importorskip("networkx")
    board = grid(3, 4, KNIGHT)
    assert max(map(len, nx.simple_cycles(nx.Graph(board.edges)))) == 10


def test_each_family_of_violations() -> None:
    longest = HamiltonianCycle()
    house = graph(5, [(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4)])
    for answer, families in {
        (0, 1, 3, 2, 9): {"known", "adjacent"},
        (0, 1, 3, 2, -3): {"known", "adjacent"},
        (0, 1, 3, 4): {"adjacent"},
        (0, 1, 3, 2, 0): {"once", "adjacent"},
        (2, 3, 2, 3): {"once", "length"},
        (2, 3): {"length", "adjacent"},
        (2,): {"length", "adjacent"},
        (): {"length", "adjacent"},
        (10**400,): {"known", "length", "adjacent"},
    }.items():
        found = longest.violations(house, answer)
        assert {violation.family for violation in found} == families
        assert all(0 < violation.amount <= violation.scale for violation in found)
    assert longest.verify_solution(house, (0, 1, 3, 4)).reason == (
        "consecutive vertices are adjacent, got 3 edges of 4 for a cycle"
    )


def test_forests_are_refused() -> None:
    longest = HamiltonianCycle()
    for data in ({"n": 3, "edges": []}, {"n": 4, "edges": [[0, 1], [0, 2], [0, 3]]}):
        with pytest.raises(ValueError, match="must have a cycle, got a forest"):
            longest.from_json(json.dumps(data))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_generated_graphs_have_cycles_and_their_degree(distribution: str) -> None:
    for n in (3, 4, 5, 6, 7, 30):
        for degree in (2.0, 2.5, 4.0, 100.0):
            for seed in range(10):
                instance = HamiltonianCycle(n=n, distribution=distribution, degree=degree).instance(seed)
                instance.check()
                assert instance.n == n
    longest = HamiltonianCycle(n=60, distribution=distribution)
    mean = np.mean([2 * len(longest.instance(seed).edges) / 60 for seed in range(20)])
    assert 3.0 < mean < 4.2
    if distribution == "planted":
        assert all(longest.reference(longest.instance(seed)).value == 60 for seed in range(5))
    if distribution == "regular":
        assert max(m.bit_count() for m in longest.instance(0).neighbours) <= 4


def test_the_greedy_walk_keeps_its_guarantee() -> None:
    for seed in range(200):
        longest = HamiltonianCycle(n=12, distribution=DISTRIBUTIONS[seed % 5], degree=2.0 + seed % 4)
        instance = longest.instance(seed)
        least = min(mask.bit_count() for mask in instance.core if mask)
        found = longest.heuristic(instance)
        assert is_cycle(instance, found) and len(found) >= max(least + 1, len(longest.trivial(instance)))


def test_the_core_and_its_blocks() -> None:
    nx = pytest.importorskip("networkx")
    for seed in range(100):
        instance = HamiltonianCycle(n=20, distribution=DISTRIBUTIONS[seed % 5], degree=2.2).instance(seed)
        drawn = nx.Graph(instance.edges)
        assert {v for v, mask in enumerate(instance.core) if mask} == set(nx.k_core(drawn, 2))
        expected = {frozenset(c) for c in nx.biconnected_components(drawn) if len(c) > 2}
        for masks in (instance.blocks, biconnected(instance.neighbours)):
            assert {frozenset(v for v in range(20) if mask >> v & 1) for mask in masks} == expected


def test_vertex_numbers_tell_nothing() -> None:
    """Neighbours by number are no likelier adjacent than any two vertices."""
    for distribution in DISTRIBUTIONS:
        longest = HamiltonianCycle(n=30, distribution=distribution)
        edges = [edge for seed in range(100) for edge in longest.instance(seed).edges]
        share = np.mean([v - u == 1 for u, v in edges])
        assert abs(share - 29 / (30 * 29 / 2)) < 0.015


def test_canonical_unites_rotations_and_reversals() -> None:
    longest = HamiltonianCycle()
    instance = longest.instance()
    cycle = (3, 1, 7, 4, 5)
    forms = {longest.canonical(instance, t[k:] + t[:k]) for t in (cycle, cycle[::-1]) for k in range(5)}
    assert forms == {(1, 3, 5, 4, 7)}


def test_neighbours_are_moves_on_the_cycle() -> None:
    rng = np.random.default_rng(0)
    for seed in range(25):
        longest = HamiltonianCycle(distribution=DISTRIBUTIONS[seed % 5])
        instance = longest.instance(seed)
        cycle = longest.random(instance, rng)
        for _ in range(100):
            cycle = longest.neighbour(instance, cycle, rng)
            assert is_cycle(instance, cycle)


def test_local_search_reaches_the_optimum_within_a_block() -> None:
    """2-opt and ears connect the cycles of a small dense graph."""
    rng = np.random.default_rng(0)
    longest = HamiltonianCycle(n=8, distribution="planted", degree=5.0)
    for seed in range(10):
        instance = longest.instance(seed)
        best = cycle = longest.trivial(instance)
        for _ in range(2000):
            cycle = longest.neighbour(instance, cycle, rng)
            best = max(best, cycle, key=len)
        assert len(best) == 8


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_most_instances_are_graded_and_policies_are_in_order(distribution: str) -> None:
    rng = np.random.default_rng(0)
    for longest in (
        HamiltonianCycle(distribution=distribution),
        HamiltonianCycle(distribution=distribution).at_level(5),
    ):
        graded = [x for x in map(longest.instance, range(50)) if longest.is_graded(x)]
        assert len(graded) >= 25
        greedy = np.mean([longest.verify_solution(x, longest.heuristic(x)).quality for x in graded])
        random = np.mean([longest.verify_solution(x, longest.random(x, rng)).quality for x in graded])
        assert 0 < random < greedy - 0.1 < 0.9


def test_a_solver_that_is_cut_off_is_honest() -> None:
    instance = grid(7, 7)  # no cycle through all 49 vertices: the bound of the block is not attained
    for limit in (0, 1, 100, 5000, 20_000, 100_000):
        found = HamiltonianCycle().certificate(instance, limit)
        assert is_cycle(instance, found.solution) and found.value <= 48 <= found.bound <= 49
        assert found == HamiltonianCycle().certificate(instance, limit)


# ----------------------------------------------------------------------- the published benchmark


@pytest.fixture(scope="module")
def published(np_bench: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return np_bench("hamiltonian_cycle")


def test_published_instances(published: list[dict[str, Any]]) -> None:
    longest = PublishedCycle()
    assert len(published) == 112
    for entry in published:
        adjacent = {int(v): us for v, us in entry["instance"].items()}
        instance = graph(len(adjacent), [(v, u) for v, us in adjacent.items() for u in us])
        instance.check()
        verdict = longest.verify(instance, f"<answer>{entry['witness']}</answer>")
        assert verdict.feasible and verdict.optimal and verdict.objective == entry["proven_optimum"]
        reference = longest.reference(instance)
        assert reference.proven and reference.value == entry["proven_optimum"]
