"""Random graphs, as upper triangles of their adjacency matrices.

References
----------
.. [1] P. Erdos, A. Renyi, "On random graphs I", Publicationes Mathematicae 6, 1959.
.. [2] A.-L. Barabasi, R. Albert, "Emergence of scaling in random networks", Science 286, 1999.
.. [3] M. Penrose, "Random Geometric Graphs", Oxford University Press, 2003.
.. [4] N. Alon, M. Krivelevich, B. Sudakov, "Finding a large hidden clique in a random graph",
   Random Structures & Algorithms 13, 1998.
.. [5] B. Bollobas, "A probabilistic proof of an asymptotic formula for the number of labelled regular
   graphs", European J. Combinatorics 1, 1980.
"""

from __future__ import annotations

from math import sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Adjacency: TypeAlias = NDArray[np.bool_]
"""(n, n) upper triangle of an adjacency matrix."""
_ROWS = 512
"""Rows of a matrix that are drawn at a time: random numbers take eight times the room of the graph."""
_UNIFORM = 0.05
"""Share of uniform attachments in a scale-free graph. Without any, vertices of degree 0 could never be found, and few
distinct ends would make the draw of several long. The value is a choice of this suite."""


def random_adjacency(rng: np.random.Generator, family: str, n: int, p: float) -> Adjacency:
    """Draw a graph of expected density ``p``, its vertices in random order.

    ``gnp``: every edge with probability p [1]_; ``scale_free``: vertices arrive one by one and attach to
    p (n - 1) / 2 earlier ones, in proportion to their degrees [2]_; ``geometric``: the closest share p of all pairs of
    random points in the unit square [3]_.
    """
    if family == "gnp":
        adjacent = np.empty((n, n), dtype=bool)
        for i in range(0, n, _ROWS):
            np.less(rng.random((min(_ROWS, n - i), n)), p, out=adjacent[i : i + _ROWS])
        return np.logical_and(adjacent, upper_triangle(n), out=adjacent)
    adjacent = np.zeros((n, n), dtype=bool)
    if family == "geometric":
        points = rng.random((n, 2))
        distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
        tails, heads = np.triu_indices(n, 1)
        closest = np.argsort(distances[tails, heads], kind="stable")[: round(p * len(tails))]
        adjacent[tails[closest], heads[closest]] = True
        return adjacent
    attachments = max(1, round(p * (n - 1) / 2))
    ends: list[int] = []  # every vertex as often as it has edges
    for v in range(1, n):
        chosen: set[int] = set()
        while len(chosen) < min(attachments, v):
            uniform = not ends or rng.random() < _UNIFORM
            chosen.add(int(rng.integers(v)) if uniform else ends[int(rng.integers(len(ends)))])
        for u in sorted(chosen):
            adjacent[u, v] = True
            ends += [u, v]
    return shuffled(rng, adjacent)


def planted_set(rng: np.random.Generator, n: int, p: float, hidden: float, adjacent: bool) -> Adjacency:
    """Draw from G(n, p) with a hidden set of ``hidden`` sqrt(n) vertices that are all adjacent, or all not [4]_."""
    drawn = random_adjacency(rng, "gnp", n, p)
    size = round(hidden * sqrt(n))
    drawn[:size, :size] = adjacent
    return shuffled(rng, drawn & upper_triangle(n))


def paired_adjacency(rng: np.random.Generator, n: int, degree: float) -> Adjacency:
    """Pair the ends of edges at random [5]_, degrees differing by at most 1; drop loops and repetitions."""
    pairs = round(min(degree, n - 1) * n / 2)
    stubs = rng.permutation(np.resize(rng.permutation(n), 2 * pairs))
    adjacent = np.zeros((n, n), dtype=bool)
    adjacent[stubs[:pairs], stubs[pairs:]] = True
    return np.triu(adjacent | adjacent.T, 1)


def upper_triangle(n: int) -> Adjacency:
    """Return the (n, n) upper triangle without the diagonal, in a third of the time of ``np.triu``."""
    vertices = np.arange(n)
    triangle: Adjacency = vertices[:, None] < vertices
    return triangle


def shuffled(rng: np.random.Generator, adjacent: Adjacency) -> Adjacency:
    """Return the same graph with its vertices in random order, so that their numbers tell nothing."""
    order = rng.permutation(len(adjacent))
    both = adjacent | adjacent.T
    return both[order][:, order] & upper_triangle(len(adjacent))


def edges_of(adjacent: Adjacency) -> tuple[tuple[int, int], ...]:
    """Return the sorted edges of an upper triangle."""
    tails, heads = adjacent.nonzero()
    return tuple(zip(tails.tolist(), heads.tolist(), strict=True))
