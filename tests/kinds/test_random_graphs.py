"""Random graphs are distributed as their docstrings say, whichever way is the fastest."""

from __future__ import annotations

import time
from collections import Counter
from itertools import combinations
from math import comb, exp, sqrt
from typing import Any

import numpy as np
import pytest

from forge_gym.kinds import random_graphs
from forge_gym.kinds.random_graphs import (
    edges_between,
    ends_of,
    grouped_edges,
    paired_edges,
    pairs_of,
    planted_edges,
    random_edges,
)


@pytest.fixture(params=["kept", "computed"])
def n(request: Any, monkeypatch: Any) -> int:
    """Return how many vertices a graph has whose pairs are kept, or are not."""
    if request.param == "computed":
        monkeypatch.setattr(random_graphs, "_KEPT", 1)
    return 14


def test_pairs_are_numbered_in_order(n: int) -> None:
    pairs = tuple(combinations(range(n), 2))
    numbers = np.arange(len(pairs))
    assert pairs_of(n, numbers) == pairs and ends_of(n, numbers).T.tolist() == list(map(list, pairs))
    some, others = np.array([(3, 1), (2, 2), (1, 3), (0, 5), (12, 13)]).T
    assert pairs_of(n, edges_between(n, some, others)) == ((0, 5), (1, 3), (12, 13))
    assert pairs_of(n, edges_between(n, some, others, np.array([0]))) == ((0, 1), (0, 5), (1, 3), (12, 13))
    assert ends_of(3, edges_between(3, *np.zeros((2, 0), dtype=int))).shape == (2, 0)


@pytest.mark.parametrize("p", [0.0, 1e-300, 1e-9, 0.04, 0.06, 0.5, 1.0])
@pytest.mark.parametrize("family", ["gnp", "scale_free", "geometric"])
def test_edges_are_sorted_and_each_is_there_once(family: str, p: float, n: int) -> None:
    for size in (3, n):
        edges = random_edges(np.random.default_rng(0), family, size, p).tolist()
        assert edges == sorted(set(edges)) and set(edges) <= set(range(comb(size, 2)))
        if family == "geometric":
            assert len(edges) == round(p * comb(size, 2))


def too_far(counts: Any, expected: Any, sigmas: float = 4.0) -> bool:
    """Whether the chi-square statistic is further from its mean than chance explains, upwards or downwards."""
    counts, expected = np.array(counts, dtype=float), np.broadcast_to(expected, np.shape(counts))
    degrees = counts.size - 1
    return bool(abs((((counts - expected) ** 2) / expected).sum() - degrees) > sigmas * sqrt(2 * degrees))


@pytest.mark.parametrize("p", [0.02, 0.049, 0.05, 0.3])
def test_every_pair_is_an_edge_with_probability_p(p: float) -> None:
    """Numbers of edges are binomial, pairs equally frequent, and two pairs independent, dense or by skipping."""
    rng, draws, pairs = np.random.default_rng(1), 4000, comb(12, 2)
    drawn = [random_edges(rng, "gnp", 12, p) for _ in range(draws)]
    frequency = np.bincount(np.concatenate(drawn), minlength=pairs)
    assert not too_far(frequency / (1 - p), draws * p / (1 - p))
    mean, deviation = pairs * p, sqrt(pairs * p * (1 - p))
    sizes = np.array(list(map(len, drawn)))
    assert abs(sizes.mean() - mean) < 4 * deviation / sqrt(draws)
    assert abs(sizes.var() / deviation**2 - 1) < 4 * sqrt((2 + 1 / mean) / draws)
    law = np.array([comb(pairs, k) * p**k * (1 - p) ** (pairs - k) for k in range(pairs + 1)]) * draws
    usual = law >= 5
    assert not too_far(np.bincount(sizes, minlength=pairs + 1)[usual], law[usual])
    both = Counter(
        zero + one for zero, one in ((int(0 in e), int(1 in e)) for e in map(set, (d.tolist() for d in drawn)))
    )
    assert abs(both[2] - draws * p * p) < 4 * sqrt(draws * p * p) + 1


def test_long_gaps_and_their_ends() -> None:
    """In a large sparse graph too the last pairs are as frequent as the first."""
    rng, n, p = np.random.default_rng(2), 400, 0.01
    ends = np.concatenate([ends_of(n, random_edges(rng, "gnp", n, p)).ravel() for _ in range(100)])
    degrees = np.bincount(ends, minlength=n)
    assert not too_far(degrees, 100 * (n - 1) * p)
    law = Counter(np.bincount(ends_of(n, random_edges(rng, "gnp", n, p)).ravel(), minlength=n).tolist())
    poisson = [n * exp(-(n - 1) * p) * ((n - 1) * p) ** k / float(np.prod(range(1, k + 1))) for k in range(9)]
    assert not too_far([law[k] for k in range(9)], poisson)


def test_a_large_sparse_graph_takes_no_time() -> None:
    """Linear in its edges: 10,000 vertices of mean degree 4 took half a second."""
    taken = []
    for seed in range(5):
        began = time.process_time()
        pairs = pairs_of(10**4, random_edges(np.random.default_rng(seed), "gnp", 10**4, 4e-4))
        taken.append(time.process_time() - began)
        assert abs(len(pairs) - 20_000) < 4 * sqrt(20_000)
    assert min(taken) < 0.05  # 6 ms on an idle core


@pytest.mark.parametrize("adjacent", [True, False])
@pytest.mark.parametrize("hidden", [0.0, 2.0])
def test_a_large_sparse_graph_hides_a_set(hidden: float, adjacent: bool) -> None:
    n, p = 2_000, 2e-3
    size = round(hidden * sqrt(n))
    across = 0.0 if adjacent else (p * (n - 1) + sqrt(n) / 2) / (n - size)
    edges = planted_edges(np.random.default_rng(9), n, p, hidden, adjacent)
    expected = comb(size, 2) * adjacent + p * comb(n - size, 2) + across * size * (n - size)
    assert abs(len(edges) - expected) < 5 * sqrt(expected) and (np.diff(edges) > 0).all()


def test_all_vertices_may_be_hidden() -> None:
    cliques = [planted_edges(np.random.default_rng(9), 12, p, 50.0, adjacent=True).tolist() for p in (0.002, 0.5)]
    assert cliques == [[*range(comb(12, 2))]] * 2


@pytest.mark.parametrize("sparse", [0.0, 2.0])
@pytest.mark.parametrize("adjacent", [True, False])
@pytest.mark.parametrize("p", [0.03, 0.4, 0.7])
def test_a_planted_set_is_any_set(p: float, adjacent: bool, sparse: float, n: int, monkeypatch: Any) -> None:
    """Every vertex is in it equally often, so each pair is an edge with one probability, by coins or by skipping."""
    monkeypatch.setattr(random_graphs, "_SPARSE", sparse)
    rng, draws, size = np.random.default_rng(3), 3000, round(1.1 * sqrt(n))
    drawn = [planted_edges(rng, n, p, 1.1, adjacent) for _ in range(draws)]
    degree = (p if adjacent else 1 - p) * (n - 1) - sqrt(n) / 2  # of its vertices, or so many not adjacent to them
    inside, across, linked = comb(size, 2), max(0.0, size * (degree - size + 1)), p if adjacent else 1 - p
    alike = (inside + across + linked * comb(n - size, 2)) / comb(n, 2)
    share = alike if adjacent else 1 - alike
    frequency = np.bincount(np.concatenate(drawn), minlength=comb(n, 2)) / draws
    assert abs(frequency.mean() - share) < 0.01
    assert (abs(frequency - share) < 5 * sqrt(share * (1 - share) / draws)).all()
    if adjacent and p < 0.1:
        degrees = [np.sort(np.bincount(ends_of(n, edges).ravel(), minlength=n))[-size] for edges in drawn]
        assert min(degrees) >= size - 1


def test_communities_have_their_own_densities(n: int) -> None:
    rng, groups = np.random.default_rng(4), np.arange(n) % 3
    for within, across in ((0.06, 0.02), (0.3, 0.1), (1.5, 0.5), (0.01, 0.04)):
        drawn = np.concatenate([grouped_edges(rng, groups, within, across) for _ in range(2000)])
        frequency = np.bincount(drawn, minlength=comb(n, 2)) / 2000
        tails, heads = groups[ends_of(n, np.arange(comb(n, 2)))]
        for share, found in ((within, frequency[tails == heads]), (across, frequency[tails != heads])):
            assert abs(found.mean() - min(1.0, share)) < 4 * sqrt(share / 2000 / len(found))


def test_degrees_of_the_other_families(n: int) -> None:
    rng = np.random.default_rng(5)
    degrees = np.zeros(n)
    for _ in range(500):
        regular = np.bincount(ends_of(n, paired_edges(rng, n, 3.0)).ravel(), minlength=n)
        assert regular.max() <= 3  # less the loops and repetitions
        free = np.bincount(ends_of(n, random_edges(rng, "scale_free", n, 2 / 13 * 2)).ravel(), minlength=n)
        assert free.sum() == 2 * (2 * (n - 2) + 1) and free.min() >= 1 and free.max() >= 4
        degrees += free
    assert abs(degrees / degrees.mean() - 1).max() < 0.15  # no vertex's number tells when it arrived


def test_early_vertices_of_a_scale_free_graph_have_high_degrees() -> None:
    """In proportion to degrees, but for the uniform share: far more skewed than a coin for every pair."""
    rng, n = np.random.default_rng(6), 300
    free = [
        np.bincount(ends_of(n, random_edges(rng, "scale_free", n, 4 / 299)).ravel(), minlength=n) for _ in range(20)
    ]
    coins = [np.bincount(ends_of(n, random_edges(rng, "gnp", n, 4 / 299)).ravel(), minlength=n) for _ in range(20)]
    assert np.mean([d.max() for d in free]) > 2 * np.mean([d.max() for d in coins])
    assert abs(np.mean(free) - np.mean(coins)) < 0.1


def test_geometric_graphs_hold_the_closest_pairs(n: int) -> None:
    """Neighbours of a vertex are mostly neighbours of each other."""
    rng, closed, wedges = np.random.default_rng(7), 0, 0
    for _ in range(50):
        pairs = set(pairs_of(n, random_edges(rng, "geometric", n, 0.3)))
        for a, b, c in combinations(range(n), 3):
            count = len(pairs.intersection([(a, b), (a, c), (b, c)]))
            closed, wedges = closed + 3 * (count == 3), wedges + (count == 2) + 3 * (count == 3)
    assert closed / wedges > 0.6
