"""Random points of a square lattice, and their rounded distances: what problems in the plane share."""

from __future__ import annotations

from math import isqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.int64]
"""(n, 2) integer coordinates."""


def least_grid(n: int) -> int:
    """Return the least side of a lattice of which n points take half: the rest is free, so that drawing ends soon.

    Examples
    --------
    >>> least_grid(5), least_grid(50)
    (4, 10)
    """
    return isqrt(2 * n - 1) + 1


def uniform_points(rng: np.random.Generator, n: int, grid: int) -> Points:
    """Draw n distinct points of a ``grid`` by ``grid`` lattice."""
    cells = rng.choice(grid * grid, size=n, replace=False)
    return np.stack([cells // grid, cells % grid], axis=1)


def clustered_points(rng: np.random.Generator, n: int, grid: int) -> Points:
    """Draw n distinct points, normally spread around one centre for every five of them, in random order.

    The spread is a twentieth of the grid, and widens by a tenth where a small grid fills up around the centres.
    """
    centres = rng.integers(grid, size=(-(-n // 5), 2))
    chosen: dict[tuple[int, ...], None] = {}
    spread = grid / 20
    while len(chosen) < n:
        around = centres[rng.integers(len(centres), size=n)]
        drawn = np.rint(around + rng.normal(scale=spread, size=(n, 2))).astype(np.int64)
        inside = drawn[((drawn >= 0) & (drawn < grid)).all(axis=1)]
        chosen.update(dict.fromkeys(map(tuple, inside.tolist())))
        spread *= 1.1
    return rng.permutation(np.array(list(chosen)[:n], dtype=np.int64))


def rounded_lengths(offsets: Points) -> NDArray[np.int64]:
    """Return the lengths of vectors with two components, rounded to the nearest integer: TSPLIB's ``EUC_2D``.

    Exact: squared lengths are integers, so k + 1/2 never occurs, and below 2^43 a float square root cannot
    cross it either.

    Examples
    --------
    >>> rounded_lengths(np.array([[3, 4], [1, 1], [1, 2]])).tolist()
    [5, 1, 2]
    """
    lengths: NDArray[np.int64] = np.rint(np.sqrt((offsets**2).sum(axis=-1))).astype(np.int64)
    return lengths
