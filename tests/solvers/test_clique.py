"""The compiled search for cliques: the same as its twin in Python, whatever the graph, the start and the limit."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from forge_gym.core.bitset import mask_of
from forge_gym.core.parameters import choices
from forge_gym.solvers import clique


def masks(n: int, edges: list[tuple[int, int]]) -> list[int]:
    around: list[list[int]] = [[] for _ in range(n)]
    for u, v in edges:
        around[u].append(v)
        around[v].append(u)
    return list(map(mask_of, around))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 80), st.floats(0, 1), st.integers(0, 2**32), st.one_of(st.integers(-1, 600), st.just(10**6)))
def test_the_compiled_search_is_its_twin(n: int, p: float, seed: int, limit: int) -> None:
    """With one word per vertex and with two, and wherever the limit stops it."""
    compiled = pytest.importorskip("forge_gym.solvers._clique", reason="installed without a compiler")
    graph = nx.gnp_random_graph(n, p, seed)
    adjacent = masks(n, list(graph.edges))
    start = [v for v in range(min(n, seed % 3)) if all(adjacent[u] >> v & 1 for u in range(v))]
    assert compiled.branch_and_bound(adjacent, start, limit) == clique.branch_and_bound(adjacent, start, limit)


def test_the_compiled_search_is_its_twin_on_problems() -> None:
    compiled = pytest.importorskip("forge_gym.solvers._clique", reason="installed without a compiler")
    for name in ("MaxClique", "MaxIndependentSet"):
        for distribution in choices(type(forge_gym.problem(name)), "distribution"):
            instance = forge_gym.problem(name, n=140, distribution=distribution).instance(1)
            neighbours = list(instance.neighbours if name == "MaxClique" else instance.complement)
            for limit in (0, 1000, 50_000):
                both = [
                    search(neighbours, [], limit) for search in (compiled.branch_and_bound, clique.branch_and_bound)
                ]
                assert both[0] == both[1]


def test_the_compiled_search_refuses_what_it_cannot_hold() -> None:
    compiled = pytest.importorskip("forge_gym.solvers._clique", reason="installed without a compiler")
    for arguments in (([0, 0], [0, 1, 0], 5), ([-1], [], 5), ([2**64], [], 5), ([0], ["x"], 5), (["x"], [], 5)):
        with pytest.raises((ValueError, TypeError, AttributeError, OverflowError)):
            compiled.branch_and_bound(*arguments)
    with pytest.raises(TypeError):
        compiled.branch_and_bound((0,), [], 5)
    assert compiled.branch_and_bound([], [], 5) == ([], 0, 0)


def test_references_are_the_same_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = forge_gym.problem("MaxIndependentSet", n=90, p=0.2)
    with_it = problem.certificate(problem.instance(3))
    monkeypatch.setattr(clique, "search", clique.branch_and_bound)
    assert problem.certificate(problem.instance(3)) == with_it
    huge = clique.max_clique(masks(5, list(combinations(range(4), 2))), (), 10**30)
    assert huge.proven and huge.value == 4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n", "p"), [("MaxClique", 200, 0.7), ("MaxIndependentSet", 100, 0.1)])
def test_ten_large_graphs_against_networkx(name: str, n: int, p: float) -> None:
    problem = forge_gym.problem(name, n=n, p=p, distribution="gnp")
    for seed in range(10):
        instance = problem.instance(seed)
        reference = problem.reference(instance)
        drawn = nx.Graph(instance.edges)
        drawn.add_nodes_from(range(n))
        _, best = nx.max_weight_clique(drawn if name == "MaxClique" else nx.complement(drawn), weight=None)
        assert reference.proven and reference.value == best
