"""Random graphs, as the sorted numbers of their edges: 0 is (0, 1), then come (0, 2), ..., (1, 2), and so on.

References
----------
.. [1] P. Erdos, A. Renyi, "On random graphs I", Publicationes Mathematicae 6, 1959.
.. [2] A.-L. Barabasi, R. Albert, "Emergence of scaling in random networks", Science 286, 1999.
.. [3] M. Penrose, "Random Geometric Graphs", Oxford University Press, 2003.
.. [4] M. Brockington, J. Culberson, "Camouflaging independent sets in quasi-random graphs", in Cliques,
   Coloring, and Satisfiability, DIMACS Series 26, 1996.
.. [5] B. Bollobas, "A probabilistic proof of an asymptotic formula for the number of labelled regular
   graphs", European J. Combinatorics 1, 1980.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.seeding import floats

Numbers: TypeAlias = NDArray[np.int64]
"""(m,) numbers of edges, rising."""
_KEPT = 128
"""Up to this many vertices, all pairs are kept by their numbers: 0.8 MB here."""
_SPARSE = 0.05
"""Probability of an edge below which drawing the gaps between edges is faster than a coin for every pair."""
_UNIFORM = 0.05
"""Share of uniform attachments in a scale-free graph. Without any, vertices of degree 0 could never be found, and few
distinct ends would make the draw of several long. The value is a choice of this suite."""


def random_edges(rng: np.random.Generator, family: str, n: int, p: float) -> Numbers:
    """Draw a graph of expected density ``p``, its vertices in random order.

    ``gnp``: every edge with probability p [1]_; ``scale_free``: vertices arrive one by one and attach to
    p (n - 1) / 2 earlier ones, in proportion to their degrees [2]_; ``geometric``: the closest share p of all pairs of
    random points in the unit square [3]_.
    """
    if family == "gnp":
        return _gnp(rng, comb(n, 2), p)
    if family == "geometric":
        tails, heads = rng.random((n, 2))[_all_ends(n)]
        distances = ((tails - heads) ** 2).sum(axis=1)
        count = round(p * len(distances))
        farthest = np.partition(distances, count - 1)[count - 1] if count else -1.0
        closest: Numbers = (distances <= farthest).nonzero()[0]
        return closest
    attachments = max(1, round(p * (n - 1) / 2))
    draws, names = floats(rng), rng.permutation(n)
    ends: list[int] = []  # both ends of every edge in turn
    for v in range(1, n):
        chosen: set[int] = set()
        while len(chosen) < min(attachments, v):
            among = range(v) if not ends or next(draws) < _UNIFORM else ends
            chosen.add(among[int(next(draws) * len(among))])
        for u in sorted(chosen):
            ends += [u, v]
    return edges_between(n, names[ends[::2]], names[ends[1::2]])


def _gnp(rng: np.random.Generator, pairs: int, p: float) -> Numbers:
    """Draw each of the first numbers with probability ``p``."""
    if p >= _SPARSE:
        return (rng.random(pairs) < p).nonzero()[0]
    drawn, last = [np.empty(0, dtype=np.int64)], -1
    while p and last < pairs:  # gaps until one reaches over the last pair; mostly all at once
        expected = (pairs - last) * p
        gaps = rng.geometric(p, size=int(expected + 4 * sqrt(expected)) + 4)
        drawn.append(last + np.minimum(gaps, pairs + 1).cumsum())  # so that no sum of long gaps overflows
        last = int(drawn[-1][-1])
    numbers = np.concatenate(drawn)
    return numbers[: numbers.searchsorted(pairs)]


def planted_edges(rng: np.random.Generator, n: int, p: float, hidden: float, adjacent: bool) -> Numbers:
    """Draw from G(n, p) with a hidden set of ``hidden`` sqrt(n) vertices that are all adjacent, or all not.

    Degrees do not give it away, since fewer, or more, edges lead to the others [4]_. They even err to the other side,
    by sqrt(n) / 2: a standard deviation where p is one half.
    """
    size, linked = min(n, round(hidden * sqrt(n))), p if adjacent else 1 - p
    across = max(0.0, (linked * (n - 1) - sqrt(n) / 2 - (size - 1)) / max(1, n - size))
    inside = rng.permutation(n) < size
    to_others = across if adjacent else 1 - across
    if max(p, to_others) < _SPARSE:
        hidden_ones, others = inside.nonzero()[0], (~inside).nonzero()[0]
        rest = others[ends_of(n - size, _gnp(rng, comb(n - size, 2), p))]
        one, other = np.divmod(_gnp(rng, size * (n - size), to_others), max(1, n - size))
        among = hidden_ones[np.array(np.triu_indices(size if adjacent else 0, 1))]
        tails, heads = np.concatenate([rest, [hidden_ones[one], others[other]], among], axis=1)
        return edges_between(n, tails, heads)
    tails, heads = inside.astype(int)[_all_ends(n)]
    alike: NDArray[np.bool_] = rng.random(len(tails)) < np.array([linked, across, 1.0])[tails + heads]
    return (alike if adjacent else ~alike).nonzero()[0]


def grouped_edges(rng: np.random.Generator, groups: NDArray[np.int64], within: float, across: float) -> Numbers:
    """Draw edges of probability ``within`` between vertices of one group, and ``across`` between those of two."""
    n, most = len(groups), max(within, across)
    if most >= _SPARSE:
        tails, heads = groups[_all_ends(n)]
        return (rng.random(len(tails)) < np.where(tails == heads, within, across)).nonzero()[0]
    edges = _gnp(rng, comb(n, 2), most)
    tails, heads = groups[ends_of(n, edges)]
    return edges[most * rng.random(len(edges)) < np.where(tails == heads, within, across)]


def paired_edges(rng: np.random.Generator, n: int, degree: float) -> Numbers:
    """Pair the ends of edges at random [5]_, degrees differing by at most 1; drop loops and repetitions."""
    pairs = round(min(degree, n - 1) * n / 2)
    stubs = rng.permutation(np.resize(rng.permutation(n), 2 * pairs))
    return edges_between(n, stubs[:pairs], stubs[pairs:])


def edges_between(n: int, some: NDArray[np.int64], others: NDArray[np.int64], known: Numbers | None = None) -> Numbers:
    """Return the edges, in any order, that join ``some`` vertices to ``others``, and the ``known`` ones; no loops."""
    numbers = _numbers(n, np.minimum(some, others), np.maximum(some, others))[some != others]
    return _merged(n, numbers) if known is None else _merged(n, known, numbers)


def ends_of(n: int, edges: Numbers) -> NDArray[np.int64]:
    """Return (2, m) the lower and the higher end of each edge."""
    if n <= _KEPT:
        ends: NDArray[np.int64] = _kept(n)[0][:, edges]
        return ends
    before = _before(n)
    tails = (before + np.arange(1, n + 1)).searchsorted(edges, side="right") - 1
    return np.stack([tails, edges - before[tails]])


def pairs_of(n: int, edges: Numbers) -> tuple[tuple[int, int], ...]:
    """Return the edges as pairs, sorted."""
    if n <= _KEPT:
        return tuple(_kept(n)[1][edges].tolist())
    vertices = np.arange(n).astype(object)  # edges share them: half the memory
    return tuple(zip(*vertices[ends_of(n, edges)].tolist(), strict=True))


@lru_cache(maxsize=16)
def _kept(n: int) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Return all pairs of vertices, as (2, m) ends and as (m,) tuples: these, shared by all graphs, cost nothing."""
    ends = np.array(np.triu_indices(n, 1))
    pairs = np.empty(ends.shape[1], dtype=object)
    pairs[:] = [*zip(*ends.tolist(), strict=True)]
    return ends, pairs


def _all_ends(n: int) -> NDArray[np.int64]:
    return _kept(n)[0] if n <= _KEPT else np.array(np.triu_indices(n, 1))


def _numbers(n: int, low: NDArray[np.int64], high: NDArray[np.int64]) -> Numbers:
    """Return the numbers of edges by their ends, the lower ones and the higher ones."""
    return _before(n)[low] + high


@lru_cache(maxsize=16)
def _before(n: int) -> NDArray[np.int64]:
    """Return for each vertex what its edges' numbers have beyond the higher end."""
    low = np.arange(n)
    return low * (2 * n - 3 - low) // 2 - 1


def _merged(n: int, *numbers: Numbers) -> Numbers:
    """Return all numbers in rising order, each once."""
    every = np.concatenate(numbers)
    if n > _KEPT:
        every.sort()
        return every[np.diff(every, prepend=-1) > 0]
    present = np.zeros(comb(n, 2), dtype=bool)  # in half the time
    present[every] = True
    return present.nonzero()[0]
