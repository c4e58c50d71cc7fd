"""Undirected graphs: the instance that several problems share, the families it is drawn from, its picture.

References
----------
.. [1] P. Erdos, A. Renyi, "On random graphs I", Publicationes Mathematicae 6, 1959.
.. [2] A.-L. Barabasi, R. Albert, "Emergence of scaling in random networks", Science 286, 1999.
.. [3] M. Penrose, "Random Geometric Graphs", Oxford University Press, 2003.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .checks import check_int
from .drawing import FAINT, PATH, WRONG, around, bare, dots, lines
from .numeric import Features, columns
from .problem import Instance

_MAX_VERTICES = 10**5
_ROWS = 512
"""Rows of a matrix that are drawn at a time."""
FAMILIES = ("gnp", "scale_free", "geometric")
"""Random graphs by their expected density; see `random_adjacency`."""


@dataclass(frozen=True)
class Graph(Instance):
    """An undirected graph without loops."""

    n: int
    """Number of vertices."""
    edges: tuple[tuple[int, int], ...]
    """(m, 2) pairs u < v of vertices counted from 0, sorted, each once."""
    first: int = field(default=0, compare=False, kw_only=True)
    """Number of the first vertex in texts. An example counts on from the instance that is asked."""

    @property
    def size(self) -> int:
        """Number of vertices."""
        return self.n

    def check(self) -> None:
        """Raise ``ValueError`` unless the edges are sorted pairs of distinct vertices."""
        check_int("n", self.n, 1, _MAX_VERTICES)
        check_int("first", self.first, 0)
        for edge in self.edges:
            if not isinstance(edge, tuple) or len(edge) != 2:
                raise ValueError(f"an edge must be a pair of vertices, got {edge!r}")
            check_int("an edge's second vertex", edge[1], 1, self.n - 1)
            check_int("an edge's first vertex", edge[0], 0, edge[1] - 1)
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must be sorted and distinct, got another order or a repetition")

    @cached_property
    def neighbours(self) -> tuple[int, ...]:
        """(n,) bit masks: bit u of ``neighbours[v]`` is set where u and v are adjacent."""
        masks = [0] * self.n
        for u, v in self.edges:
            masks[u] |= 1 << v
            masks[v] |= 1 << u
        return tuple(masks)

    @cached_property
    def closed(self) -> tuple[int, ...]:
        """(n,) bit masks: the neighbours of each vertex, and the vertex."""
        return tuple([mask | 1 << v for v, mask in enumerate(self.neighbours)])

    def relabelled(self, order: Sequence[int]) -> Self:
        """Return the same graph with vertex ``v`` under the number ``order[v]``."""
        ends = [sorted((order[u], order[v])) for u, v in self.edges]
        return replace(self, edges=tuple(sorted([(u, v) for u, v in ends])))

    def invariant(self) -> Any:
        """Return the colours of stable colour refinement: equal for isomorphic graphs, rarely for others."""
        return [self.n, len(self.edges), refine([[(0, u) for u in bits(mask)] for mask in self.neighbours])]

    def features(self) -> Features:
        """Return degrees, and the adjacency matrix."""
        adjacent = np.zeros((self.n, self.n))
        for u, v in self.edges:
            adjacent[u, v] = adjacent[v, u] = 1.0
        return Features(columns(adjacent.sum(axis=1) / max(1, self.n - 1)), adjacent)

    def text(self) -> str:
        """Return one line per vertex with its neighbours of higher number; every edge appears once."""
        names = [str(v) for v in range(self.first, self.first + self.n)]
        later: list[list[str]] = [[] for _ in names]
        for u, v in self.edges:
            later[u].append(names[v])
        lines = [f"{name}: {' '.join(vs)}" for name, vs in zip(names, later, strict=True) if vs]
        return "\n".join(lines) or "no edges"

    def compact_text(self) -> str:
        """Return one line of words, each vertex with its neighbours of *lower* number: ``0: 1: 2: 0 3: 1 2``.

        A small model that answers vertex by vertex finds beside each what it has already decided.
        """
        earlier: list[list[str]] = [[] for _ in range(self.n)]
        for u, v in self.edges:
            earlier[v].append(str(u + self.first))
        return " ".join([" ".join([f"{v}:", *us]) for v, us in enumerate(earlier, self.first)])


def upper(n: int) -> NDArray[np.bool_]:
    """Return the (n, n) upper triangle without the diagonal, in a third of the time of ``np.triu``."""
    vertices = np.arange(n)
    return vertices[:, None] < vertices


def random_adjacency(rng: np.random.Generator, family: str, n: int, p: float) -> NDArray[np.bool_]:
    """Draw a graph of expected density ``p``.

    Parameters
    ----------
    rng
        Source of every draw.
    family
        ``gnp``: every edge with probability p [1]_; ``scale_free``: vertices arrive one by one and
        attach to p (n - 1) / 2 earlier ones, in proportion to their degrees [2]_; ``geometric``: the
        closest share p of all pairs of random points in the unit square [3]_.
    n
        Number of vertices.
    p
        Density, from 0 to 1.

    Returns
    -------
    (n, n) array of bool
        Upper triangle of the adjacency matrix, vertices randomly relabelled.
    """
    if family == "gnp":
        adjacent = np.empty((n, n), dtype=bool)
        for i in range(0, n, _ROWS):  # not all numbers at once: they take eight times the room of the graph
            np.less(rng.random((min(_ROWS, n - i), n)), p, out=adjacent[i : i + _ROWS])
        return np.logical_and(adjacent, upper(n), out=adjacent)
    adjacent = np.zeros((n, n), dtype=bool)
    if family == "geometric":
        points = rng.random((n, 2))
        apart = ((points[:, None] - points[None]) ** 2).sum(axis=2)
        tails, heads = np.triu_indices(n, 1)
        closest = np.argsort(apart[tails, heads], kind="stable")[: round(p * len(tails))]
        adjacent[tails[closest], heads[closest]] = True
        return adjacent
    links = max(1, round(p * (n - 1) / 2))
    ends: list[int] = []  # every vertex as often as it has edges
    for v in range(1, n):
        chosen: set[int] = set()
        while len(chosen) < min(links, v):
            fresh = not ends or rng.random() < 0.05  # a little uniform mixing lets every vertex be found
            chosen.add(int(rng.integers(v)) if fresh else ends[int(rng.integers(len(ends)))])
        for u in sorted(chosen):
            adjacent[u, v] = True
            ends += [u, v]
    return relabelled(rng, adjacent)


def relabelled(rng: np.random.Generator, adjacent: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the upper triangle of the same graph with its vertices in random order."""
    order = rng.permutation(len(adjacent))
    both = adjacent | adjacent.T
    return both[order][:, order] & upper(len(adjacent))


def edges_of(adjacent: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Return the sorted edges of an upper triangle.

    Examples
    --------
    >>> edges_of(np.triu(np.ones((3, 3), dtype=bool), 1))
    ((0, 1), (0, 2), (1, 2))
    """
    tails, heads = adjacent.nonzero()
    return tuple(zip(tails.tolist(), heads.tolist(), strict=True))


def bits(mask: int) -> list[int]:
    """Return the positions of the bits that are set.

    Examples
    --------
    >>> bits(0b10110)
    [1, 2, 4]
    """
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


def refine(links: Sequence[Sequence[tuple[int, int]]]) -> list[list[int]]:
    """Return how many vertices have each colour after every round of colour refinement (1-dim. Weisfeiler-Leman).

    Parameters
    ----------
    links
        For each vertex its links, as pairs (weight, other vertex).

    Examples
    --------
    >>> path, star = [[1], [0, 2], [1, 3], [2]], [[1, 2, 3], [0], [0], [0]]
    >>> refine([[(0, u) for u in us] for us in path]) == refine([[(0, u) for u in us] for us in star])
    False
    """
    colours, rounds = [0] * len(links), []
    while True:
        seen = [(colours[v], sorted((w, colours[u]) for w, u in links[v])) for v in range(len(links))]
        names = {
            repr(key): rank for rank, key in enumerate(sorted({repr(key): key for key in seen}.values()))
        }
        after = [names[repr(key)] for key in seen]
        rounds.append([after.count(rank) for rank in range(len(names))])
        if len(names) == len(set(colours)):
            return rounds
        colours = after


def draw_graph(
    graph: Graph,
    ax: Any,
    shades: Any = "white",
    marked: Sequence[tuple[int, int]] = (),
    *,
    where: NDArray[np.float64] | None = None,
    wrong: Sequence[tuple[int, int]] = (),
    missing: Sequence[tuple[int, int]] = (),
    ringed: Iterable[int] = (),
    margin: float = 0.07,
) -> None:
    """Draw ``graph``, what a solution takes of it, and what is wrong with that.

    Parameters
    ----------
    graph, ax
        The graph, and the matplotlib axes to draw on.
    shades
        One colour for all vertices, or one per vertex.
    marked
        Edges that are drawn above the others, thick.
    where
        (n, 2) places of the vertices, see `forge_gym.core.drawing.around`; on a circle by default.
    wrong, missing
        Edges that should not be, drawn thick, and pairs that should be edges, dashed; both in the colour of errors.
    ringed
        Vertices that break a constraint.
    margin
        Free room on each side, as a share of the drawing.
    """
    where = around(graph.n, [range(graph.n)]) if where is None else where
    few = len(graph.edges) <= 100
    thin = min(1.0, max(0.25, 12 / (len(graph.edges) + 1) ** 0.5))
    lines(ax, where, graph.edges, colors="#AAAAAA" if few else FAINT, linewidths=thin, zorder=1)
    lines(ax, where, marked, colors=PATH, linewidths=2, zorder=2)
    lines(ax, where, wrong, colors=WRONG, linewidths=3, zorder=2)
    lines(ax, where, missing, colors=WRONG, linewidths=1.8, linestyles=(0, (3, 2)), zorder=2)
    dots(ax, where, range(graph.first, graph.first + graph.n), shades, ringed, margin)
    bare(ax)
