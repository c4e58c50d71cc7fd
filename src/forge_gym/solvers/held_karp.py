"""Shortest tours by dynamic programming over sets of cities.

References
----------
.. [1] M. Held, R. Karp, "A dynamic programming approach to sequencing problems", J. SIAM 10(1), 1962.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np

from ..core.reference import Certificate

Tour: TypeAlias = tuple[int, ...]


def held_karp(rows: Sequence[Sequence[int]]) -> Certificate[Tour]:
    """Solve by dynamic programming over the sets of visited cities [1]_: n^2 2^n steps, n 2^n memory."""
    n = len(rows)
    d = np.array(rows, dtype=np.int64)
    inner = d[1:, 1:]
    # cost[set, j]: shortest path from city 0 through `set`, a bitmask over cities 1..n-1, ending in j + 1.
    cost = np.full((1 << (n - 1), n - 1), np.iinfo(np.int64).max // 4, dtype=np.int64)
    came = np.zeros_like(cost, dtype=np.int8)
    bits = 1 << np.arange(n - 1)
    cost[bits, np.arange(n - 1)] = d[0, 1:]
    for size in range(2, n):
        sets = np.array([sum(1 << j for j in chosen) for chosen in combinations(range(n - 1), size)])
        for j in range(n - 1):
            ending = sets[sets & bits[j] != 0]
            arrivals = cost[ending ^ bits[j]] + inner[:, j]
            came[ending, j] = best = arrivals.argmin(axis=1)
            cost[ending, j] = arrivals[np.arange(len(ending)), best]
    visited = (1 << (n - 1)) - 1
    last = int((cost[visited] + d[1:, 0]).argmin())
    value = int(cost[visited, last] + d[last + 1, 0])
    tour = []
    while visited:
        tour.append(last + 1)
        visited, last = visited ^ (1 << last), int(came[visited, last])
    return Certificate((0, *reversed(tour)), value, value, "Held-Karp", n * n << n)
