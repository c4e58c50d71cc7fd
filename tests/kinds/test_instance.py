"""Keys that instances share which are one under other numbers, and how many there are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forge_gym
from cases import PROBLEMS, settings, small
from forge_gym.envs.knapsack import KnapsackInstance
from forge_gym.envs.meeting_scheduling import MeetingSchedulingInstance
from forge_gym.envs.set_cover import SetCoverInstance
from forge_gym.envs.subset_sum import SubsetSumInstance
from forge_gym.kinds.graph import Graph
from forge_gym.kinds.instance import MOST_EXACT, permute
from forge_gym.kinds.points import Places

SETTINGS = [problem for name in PROBLEMS for problem in (*settings(name), *small(name))]


def key(instance: Any) -> str:
    return json.dumps(instance.isomorphism_key())


def graph(n: int, edges: Iterable[tuple[int, int]]) -> Graph:
    return Graph(n, tuple(sorted({(min(edge), max(edge)) for edge in edges})))


def cycles(*lengths: int) -> Graph:
    edges, n = [], 0
    for length in lengths:
        edges += [(n + i, n + (i + 1) % length) for i in range(length)]
        n += length
    return graph(n, edges)


def renumbered(instance: Any, rng: np.random.Generator) -> Any:
    """Return the instance with everything that has a number under another one."""
    there = instance.relabelled(rng.permutation(instance.size).tolist())
    if isinstance(there, SetCoverInstance):
        order = rng.permutation(there.universe).tolist()
        return replace(there, subsets=tuple(tuple(sorted(order[e] for e in subset)) for subset in there.subsets))
    if isinstance(there, MeetingSchedulingInstance):
        order = rng.permutation(len(there.availability)).tolist()
        meetings = tuple(
            (minutes, tuple(sorted(order[person] for person in people))) for minutes, people in there.meetings
        )
        rooms = tuple(rng.permutation(there.rooms).tolist())
        return replace(there, meetings=meetings, availability=permute(there.availability, order), rooms=rooms)
    if isinstance(there, Places) and there.xy:
        x, y = there.points.T
        turned = [(x, y), (-y, x), (-x, -y), (y, -x), (-x, y), (x, -y), (y, x), (-y, -x)][rng.integers(8)]
        return replace(there, xy=tuple(map(tuple, (np.stack(turned, axis=1) + rng.integers(-50, 50, size=2)).tolist())))
    return there


@hypothesis.settings(deadline=None)
@given(st.sampled_from(SETTINGS), st.integers(0, 10**6))
def test_other_numbers_do_not_change_a_key(problem: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    instance = problem.generate(rng)
    other = renumbered(instance, rng)
    other.check()
    assert key(other) == key(instance)


@hypothesis.settings(deadline=None)
@given(st.integers(1, 12), st.data())
def test_other_numbers_do_not_change_the_key_of_any_graph(n: int, data: st.DataObject) -> None:
    pairs = list(combinations(range(n), 2))
    chosen = graph(n, data.draw(st.lists(st.sampled_from(pairs), max_size=40)) if pairs else [])
    order = data.draw(st.permutations(range(n)))
    assert key(chosen) == key(chosen.relabelled(order))


@pytest.mark.parametrize(("n", "count"), [(1, 1), (2, 2), (3, 4), (4, 11), (5, 34)])
def test_there_are_as_many_keys_as_graphs(n: int, count: int) -> None:
    """Counts of graphs up to isomorphism: sequence A000088 of the OEIS."""
    pairs = list(combinations(range(n), 2))
    subsets = ([pair for i, pair in enumerate(pairs) if bits >> i & 1] for bits in range(2 ** len(pairs)))
    assert len({key(graph(n, subset)) for subset in subsets}) == count


def cayley(steps: list[tuple[int, int]]) -> Graph:
    """Return the graph on the 4 by 4 torus whose vertices are joined where they are one of the steps apart."""
    at = [(i, j) for i in range(4) for j in range(4)]
    return graph(16, [(4 * i + j, 4 * ((i + a) % 4) + (j + b) % 4) for i, j in at for a, b in steps])


ALIKE_TO_REFINEMENT = [
    (cycles(6), cycles(3, 3)),
    (
        graph(6, [(i, j) for i in range(3) for j in range(3, 6)]),
        graph(6, [*cycles(3, 3).edges, (0, 3), (1, 4), (2, 5)]),
    ),
    (cycles(3, 3, 8, 4), cycles(3, 5, 4, 6)),
    (cayley([(0, 1), (0, 2), (1, 0), (2, 0)]), cayley([(0, 1), (1, 0), (1, 1)])),  # rook's graph and Shrikhande's
]


@pytest.mark.parametrize(("one", "other"), ALIKE_TO_REFINEMENT)
def test_regular_graphs_are_told_apart(one: Graph, other: Graph) -> None:
    assert key(one) != key(other)
    order = np.random.default_rng(0).permutation(one.n).tolist()
    assert key(one) == key(one.relabelled(order)) and key(other) == key(other.relabelled(order))


def test_above_its_limit_a_key_is_shared_by_some_different_graphs() -> None:
    half = MOST_EXACT // 2
    assert key(cycles(half, half)) != key(cycles(2 * half))
    assert key(cycles(half + 1, half + 1)) == key(cycles(2 * half + 2))


def test_what_counts_as_another_instance() -> None:
    pack = KnapsackInstance(10, (6, 5, 4), (7, 5, 1))
    assert key(pack) == key(KnapsackInstance(10, (4, 6, 5), (1, 7, 5)))
    assert key(pack) != key(KnapsackInstance(20, (12, 10, 8), (7, 5, 1)))  # other numbers are other data
    assert key(pack) != key(KnapsackInstance(10, (6, 5, 4), (5, 7, 1)))
    assert key(SubsetSumInstance(5, (1, 2, 2))) != key(SubsetSumInstance(5, (1, 1, 2)))
    corner = Places(xy=((0, 0), (3, 0), (3, 4)))
    assert (
        key(corner) == key(Places(matrix=((0, 3, 5), (3, 0, 4), (5, 4, 0)))) != key(Places(xy=((0, 0), (3, 0), (3, 5))))
    )


def test_few_shapes_have_few_bits() -> None:
    """Against counts of what was drawn: no estimate is much above the truth where that is little."""
    for name, parameters in (
        ("GraphColoring", {"n": 7}),
        ("GraphColoring", {"n": 8, "distribution": "geometric"}),
        ("HamiltonianCycle", {"n": 8}),
        ("Knapsack", {"n": 3, "largest": 8, "distribution": "strong"}),
        ("TSP", {"n": 4, "grid": 5}),
        ("TSP", {"n": 4, "grid": 5, "spacing": 100}),
        ("SetCover", {"n": 5, "distribution": "uniform"}),
        ("ExactSubsetSum", {"n": 4}),
    ):
        problem = forge_gym.problem(name, **parameters)
        drawn = [problem.generate(np.random.default_rng(seed)) for seed in range(300)]
        keys = [key(instance) for instance in drawn]
        alike = sum(keys.count(one) - 1 for one in keys) / (300 * 299)
        assert np.median([instance.shape_bits() for instance in drawn]) < 4 - np.log2(alike), name
