"""Places in the plane or with given distances: the instances that tours and routes share, and how points are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from math import comb, isqrt, log2
from operator import getitem
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.parameters import Range
from .encoding import Features, columns, scaled
from .forms import pick
from .instance import MOST_EXACT, Rows, Square, TypedInstance, bits_of_orders, canonical_form

Points: TypeAlias = NDArray[np.int64]
"""(n, 2) integer coordinates."""
MAX_COORDINATE = 10**6
"""Squared distances stay below 2^43, where `rounded_lengths` is exact."""
_TABLE = 1000
"""Up to this many places all distances are kept, and tours are measured fastest; 1,000 take 10 MB."""


@dataclass(frozen=True)
class Places(TypedInstance):
    """Points in the plane, or a symmetric matrix of distances: one of the two is empty."""

    xy: Annotated[Rows, Range(-MAX_COORDINATE, MAX_COORDINATE)] = ()
    """(n, 2) distinct points; distances are Euclidean, rounded to the nearest integer."""
    matrix: Annotated[Square, Range(0, 10**12)] = ()
    """(n, n) symmetric distances with a zero diagonal."""

    def rules(self) -> Iterator[tuple[bool, str]]:
        yield bool(self.xy) != bool(self.matrix), "an instance must have xy or matrix, got both or neither"
        pairs = all(len(point) == 2 for point in self.xy)
        yield pairs, "a point must be a pair of integers, got another number"
        yield len(set(self.xy)) == len(self.xy), "points must be distinct, got two places on one"
        mirrored = tuple(zip(*self.matrix, strict=True))
        yield mirrored == self.matrix, "matrix must be symmetric, got two distances between two places"
        no_loops = not any(row[i] for i, row in enumerate(self.matrix))
        yield no_loops, "matrix must have a zero diagonal, got another"

    def isomorphism_key(self) -> Any:
        """Return what the distances have in common under any numbering: moved, turned and mirrored places are alike.

        With more than 30 places these are each place's sorted distances, which some different maps share.
        """
        rows = self.rows
        if self.size > MOST_EXACT:
            return sorted(map(sorted, rows))
        links = [[(row[j], j) for j in range(self.size) if j != i] for i, row in enumerate(rows)]
        return canonical_form(links, [0] * self.size)

    def shape_bits(self) -> float:
        """Return what is said of `TypedInstance.shape_bits`: all but three coordinates count, the rest moves a map."""
        if self.matrix:
            return super().shape_bits()
        offsets = self.points - self.points[0]
        widest = int(np.ptp(offsets, axis=0).max()) // max(1, int(np.gcd.reduce(offsets, axis=None)))
        return (2 * self.size - 3) * log2(widest + 1) - bits_of_orders(self.size)

    @cached_property
    def points(self) -> Points:
        """(n, 2) the places in the plane."""
        return np.array(self.xy, dtype=np.int64)

    @cached_property
    def rows(self) -> tuple[tuple[int, ...], ...]:
        """(n, n) integer distances."""
        offsets = self.points[:, None] - self.points[None] if self.xy else None
        return self.matrix if offsets is None else tuple(map(tuple, rounded_lengths(offsets).tolist()))

    @cached_property
    def all_kept(self) -> bool:
        """Whether all distances are kept; those of many points are computed when they are asked for."""
        return bool(self.matrix) or self.size <= _TABLE

    def row(self, place: int) -> Sequence[int]:
        """Return the distances from ``place`` to all."""
        if self.all_kept:
            return self.rows[place]
        distances: list[int] = rounded_lengths(self.points - self.points[place]).tolist()
        return distances

    def length(self, tour: Sequence[int]) -> int:
        """Return the length of the closed ``tour``."""
        if not self.all_kept:
            stops = self.points[list(tour)]
            return int(rounded_lengths(stops - np.roll(stops, 1, axis=0)).sum())
        return sum(map(getitem, pick(self.rows, tour), (*tour[1:], tour[0])))

    def features(self) -> Features:
        """Return coordinates, zeros where there are none, and distances, as shares of the largest."""
        rows, xy = np.array(self.rows), np.array(self.xy or [(0, 0)] * self.size)
        x, y = (xy - xy.min(axis=0)).T / max(1, np.ptp(xy, axis=0).max())
        return Features(columns(x, y), scaled(rows, rows.max()))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The places' names in compact texts: ``x.y``, or their numbers where there are no points."""
        return tuple(f"{x}.{y}" for x, y in self.xy) or tuple(map(str, range(self.size)))


@lru_cache(maxsize=4)
def pair_numbers(n: int) -> NDArray[np.int32]:
    """Return (n, n) the number of each pair of places, counted row by row; a place and itself have the last."""
    numbers = np.full((n, n), comb(n, 2), dtype=np.int32)
    tails, heads = np.triu_indices(n, 1)
    numbers[tails, heads] = numbers[heads, tails] = np.arange(len(tails))
    return numbers


def least_grid(n: int) -> int:
    """Return the least side of a lattice of which n points take half: the rest is free, so that drawing ends soon."""
    return isqrt(2 * n - 1) + 1


def uniform_points(rng: np.random.Generator, n: int, grid: int) -> list[tuple[int, int]]:
    """Draw n distinct points of a ``grid`` by ``grid`` lattice."""
    cells: dict[int, None] = {}
    while len(cells) < n:
        cells.update(dict.fromkeys(rng.integers(grid * grid, size=n).tolist()))
    return [divmod(cell, grid) for cell in islice(cells, n)]


def clustered_points(rng: np.random.Generator, n: int, grid: int) -> list[tuple[int, int]]:
    """Draw n distinct points, normally spread around one centre for every five of them, in random order.

    The spread is a twentieth of the grid, and widens by a tenth where a small grid fills up around the centres.
    """
    centres = rng.integers(grid, size=(-(-n // 5), 2))
    chosen: dict[tuple[int, int], None] = {}
    spread = grid / 20
    while len(chosen) < n:
        around = centres[rng.integers(len(centres), size=n)]
        drawn = np.rint(around + rng.normal(scale=spread, size=(n, 2))).astype(np.int64)
        inside = drawn[((drawn >= 0) & (drawn < grid)).all(axis=1)]
        chosen.update(dict.fromkeys(map(tuple, inside.tolist())))
        spread *= 1.1
    points = list(chosen)
    return [points[i] for i in rng.permutation(n).tolist()]


def rounded_lengths(offsets: Points) -> NDArray[np.int64]:
    """Return the lengths of vectors with two components, rounded to the nearest integer: TSPLIB's ``EUC_2D``.

    Exact: squared lengths are integers, so k + 1/2 never occurs, and below 2^43 a float square root cannot cross it.
    """
    lengths: NDArray[np.int64] = np.rint(np.sqrt((offsets**2).sum(axis=-1))).astype(np.int64)
    return lengths
