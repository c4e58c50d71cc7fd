"""Undirected graphs: the instances that several problems share, and how texts write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ..core.bitset import bits
from ..core.parameters import Range
from .forms import pick
from .instance import Pairs, TypedInstance, WeightedPairs
from .table import Data, Names, Table

MAX_VERTICES = 10**5
"""Bit masks of all neighbours take n^2 / 8 bytes: 1.25 GB here, and half as much again while they are made."""
_PACKED = 128
"""Vertices up to which packed weights give a cut sooner than the edges do, whose time and memory are linear."""


@dataclass(frozen=True)
class Graph(TypedInstance):
    """An undirected graph without loops."""

    n: Annotated[int, Range(1, MAX_VERTICES)]
    """Number of vertices."""
    edges: Pairs
    """(m, 2) pairs u < v of vertices counted from 0, sorted, each once."""

    @cached_property
    def neighbours(self) -> tuple[int, ...]:
        """(n,) bit masks: bit u of ``neighbours[v]`` is set where u and v are adjacent."""
        masks, bit = [0] * self.n, [1 << v for v in range(self.n)]
        for u, v in self.edges:
            masks[u] |= bit[v]
            masks[v] |= bit[u]
        return tuple(masks)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """(2, m) the two ends of each edge."""
        return np.array(self.edges, dtype=np.int64).reshape(-1, 2).T

    def adjacent(self, v: int) -> list[int]:
        """Return the neighbours of ``v``."""
        return bits(self.neighbours[v])

    def rough_key(self) -> tuple[int, ...]:
        """Return the degrees in order."""
        degrees = [0] * self.n
        for u, v in self.edges:
            degrees[u] += 1
            degrees[v] += 1
        return tuple(sorted(degrees))

    @cached_property
    def complement(self) -> tuple[int, ...]:
        """(n,) bit masks of the complement: bit u of ``complement[v]`` is set where u and v are not adjacent."""
        everyone = (1 << self.n) - 1
        return tuple([everyone ^ mask ^ 1 << v for v, mask in enumerate(self.neighbours)])

    def table(self) -> Data:
        legend = ". Each line gives a vertex and its neighbours {later}; every edge appears once."
        return Data((Edges("edge", {"ends": self.edges}, vertices=self.n),), legend)


@dataclass(frozen=True)
class WeightedGraph(TypedInstance):
    """An undirected graph without loops whose edges have weights."""

    n: Annotated[int, Range(2, 5_000)]
    """Number of vertices; problems keep the weights as a matrix."""
    edges: Annotated[WeightedPairs, Range(1, 10**9)]
    """(m, 3) rows u < v and weight, sorted, each pair once. Sums of weights stay exact in floats."""

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """(3, m) the two ends and the weight of each edge."""
        return np.array(self.edges, dtype=np.int64).reshape(-1, 3).T

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(n, n) the weight between each two vertices, 0 where there is no edge."""
        tails, heads, weight = self.columns
        weights = np.zeros((self.n, self.n))
        weights[tails, heads] = weights[heads, tails] = weight
        return weights

    def cut(self, inside: Sequence[int]) -> int:
        """Return the weight of the edges with exactly one end among the vertices ``inside``."""
        if self.n > _PACKED:  # redundant: it only saves time
            side, (tails, heads, weight) = np.zeros(self.n, dtype=bool), self.columns
            side[list(inside)] = True
            return int(weight @ (side[tails] != side[heads]))
        packed, bits, digit = self.packed
        total: int = sum(pick(packed, inside))
        every = (1 << bits) - 1
        return (total >> 2 * bits) - (total & total >> bits & every) % digit

    @cached_property
    def packed(self) -> tuple[list[int], int, int]:
        """A number for each vertex: its weights to all, a mark at its own place, and all its weight.

        Weights and marks are fields of one width, in which all weights fit twice. Weights at marked places are within
        a set, and modulo the largest value of a field a number is the sum of its fields: so C does all the work.
        """
        n, twice = self.n, int(self.weights.sum())
        width = next((width for width in (2, 4) if twice < 256**width - 1), 8)
        digit, bits, rows = 256**width - 1, 8 * width * n, self.weights.astype(f"<u{width}")
        degrees = self.weights.sum(axis=1).astype(np.int64).tolist()
        marks = [digit << 8 * width * v for v in range(n)]
        numbers = [int.from_bytes(row.tobytes(), "little") for row in rows]
        parts = zip(numbers, marks, degrees, strict=True)
        return [number | mark << bits | degree << 2 * bits for number, mark, degree in parts], bits, digit

    def table(self) -> Data:
        legend = ". Each line gives a vertex and its neighbours {later}, each as neighbour*weight; "
        ends, weights = [edge[:2] for edge in self.edges], [edge[2] for edge in self.edges]
        table = Edges("edge", {"ends": ends, "weight": weights}, vertices=self.n)
        return Data((table,), legend + "every edge appears once.")


@dataclass
class Edges(Table):
    """The edges of a graph: pairs in data, adjacency lists in texts.

    Examples
    --------
    >>> path = Edges("edge", {"ends": ((0, 1), (1, 2)), "weight": (5, 7)}, vertices=3)
    >>> path.prose(Names(3)), path.compact(Names(3))
    (['0: 1*5', '1: 2*7'], '0: 1: 0*5 2: 1*7')
    """

    vertices: int = 0
    """Number of vertices."""

    def prose(self, names: Names) -> list[str]:
        lists = self._adjacency(names, self.columns["ends"])
        lines = [f"{name}: {' '.join(vs)}" for name, vs in zip(names.all, lists, strict=False) if vs]
        return lines or ["no edges"]

    def compact(self, names: Names) -> str:
        """Return each vertex with its neighbours of *lower* number: small models read there what they have decided."""
        lists = self._adjacency(names, [(v, u) for u, v in self.columns["ends"]])
        return " ".join([" ".join([f"{name}:", *us]) for name, us in zip(names.all, lists, strict=False)])

    def _adjacency(self, names: Names, pairs: Iterable[tuple[int, int]]) -> list[list[str]]:
        called = names.all
        lists: list[list[str]] = [[] for _ in range(self.vertices)]
        if "weight" in self.columns:
            for (u, v), weight in zip(pairs, self.columns["weight"], strict=True):
                lists[u].append(f"{called[v]}*{weight}")
        else:
            for u, v in pairs:
                lists[u].append(called[v])
        return lists

    def data(self, names: Names) -> list[Any]:
        """Return a list for each edge: its ends, and its weight if there is one."""
        others = [cells for name, cells in self.columns.items() if name != "ends"]
        rows = zip(self.columns["ends"], *others, strict=True)
        return [[names[u], names[v], *rest] for (u, v), *rest in rows]

    def grid(self, names: Names) -> tuple[list[str], list[list[str]]]:
        head = ["from", "to", *(name for name in self.columns if name != "ends")]
        return head, [list(map(str, row)) for row in self.data(names)]
