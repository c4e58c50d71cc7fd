"""A good tour by local search: chains of flips as Lin and Kernighan follow them [1]_, and kicks [2]_.

References
----------
.. [1] S. Lin, B. Kernighan, "An effective heuristic algorithm for the traveling-salesman problem",
   Operations Research 21(2), 1973.
.. [2] O. Martin, S. Otto, E. Felten, "Large-step Markov chains for the traveling salesman problem",
   Complex Systems 5, 1991.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Tour: TypeAlias = tuple[int, ...]

_DEPTH = 6
"""Flips of one chain. A choice, as `_REACH` is: both decide how soon a good tour is met, never what is proven."""
_REACH = 30
"""Positions over which a kick spreads."""


def length(rows: Sequence[Sequence[int]], tour: Tour) -> int:
    """Return the length of the closed tour."""
    return sum([rows[a][b] for a, b in zip(tour, tour[1:] + tour[:1], strict=True)])


def nearest(costs: NDArray[np.int64], distances: NDArray[np.int64], count: int) -> list[list[int]]:
    """Return for every city the ``count`` others of least cost, the nearest first."""
    n = len(costs)
    costs = costs + np.eye(n, dtype=np.int64) * (2 * np.abs(costs).max() + 1)
    cheapest = np.argsort(costs, axis=1, kind="stable")[:, : min(count, n - 1)].tolist()
    return [sorted(others, key=distances[city].tolist().__getitem__) for city, others in enumerate(cheapest)]


def improve(
    rows: Sequence[Sequence[int]], tour: Tour, near: Sequence[Sequence[int]], kicks: int = 0, goal: int = 0
) -> Tour:
    """Return a tour that no chain of flips between ``near`` cities makes shorter [1]_.

    Each of the ``kicks`` [2]_ exchanges two neighbouring stretches of the tour, and stays if it leads to no longer
    tour; a tour as short as ``goal`` ends the search.
    """
    search = _Search(rows, tour, near)
    search.descend(list(tour))
    n, rng = len(tour), np.random.default_rng(0)
    for _ in range(kicks if n >= 8 else 0):
        if search.length <= goal:
            break
        before = search.length, search.order[:], search.at[:]
        first = int(rng.integers(max(1, n - _REACH)))
        a, b, c = sorted((1 + first + rng.permutation(min(_REACH, n - 1))[:3]).tolist())
        search.descend(search.exchange(a, b, c))
        if search.length > before[0]:
            search.length, search.order, search.at = before
    return tuple(search.order)


class _Search:
    """A tour that is being changed: its order, the place of each city in it, its length."""

    def __init__(self, rows: Sequence[Sequence[int]], tour: Tour, near: Sequence[Sequence[int]]) -> None:
        self.rows, self.near = rows, near
        self.order, self.at = list(tour), [0] * len(tour)
        self.length = length(rows, tour)
        self._place(0, self.order)

    def _place(self, start: int, cities: list[int]) -> None:
        self.order[start : start + len(cities)] = cities
        for place, city in enumerate(cities, start):
            self.at[city] = place

    def exchange(self, a: int, b: int, c: int) -> list[int]:
        """Exchange the stretches [a, b) and [b, c); return the cities whose legs changed."""
        order, rows = self.order, self.rows
        ends = [order[i] for i in (a - 1, a, b - 1, b, c - 1, c)]
        p, q, r, s, t, w = ends
        self.length += rows[p][s] + rows[t][q] + rows[r][w] - rows[p][q] - rows[r][s] - rows[t][w]
        self._place(a, order[b:c] + order[a:b])
        return ends

    def flip(self, i: int, j: int) -> None:
        """Reverse the stretch from place i to place j, or all the rest, which is the same tour."""
        order, at, n = self.order, self.at, len(self.order)
        size = (j - i) % n + 1
        if 2 * size > n:
            i, j, size = (j + 1) % n, (i - 1) % n, n - size
        if i + size <= n:
            self._place(i, order[i : i + size][::-1])
            return
        for _ in range(size // 2):
            a, b = order[i], order[j]
            order[i], order[j], at[a], at[b] = b, a, j, i
            i, j = (i + 1) % n, (j - 1) % n

    def descend(self, cities: list[int]) -> None:
        """Follow chains that begin at these cities, and at those whose legs change, while they gain."""
        waiting, n = set(cities), len(self.order)
        while cities:
            city = cities.pop()
            waiting.discard(city)
            for way in (1, -1):
                changed = self._chain(city, self.order[(self.at[city] + way) % n])
                cities += sorted(changed - waiting)
                waiting |= changed

    def _chain(self, base: int, end: int) -> set[int]:
        """Leave out the leg from ``base`` to ``end`` and mend the path by flips; return what changed if it gains.

        A flip joins the path's end to a city nearby and makes that city's predecessor the new end.
        """
        rows, order, at, n = self.rows, self.order, self.at, len(self.order)
        for city in self.near[end]:
            gain, tip, best, kept = rows[base][end], end, 0, 0
            if rows[tip][city] >= gain:
                break
            flips: list[tuple[int, int]] = []
            changed, added = {base, end}, set[tuple[int, int]]()
            while len(flips) < _DEPTH:
                way = 1 if order[(at[base] + 1) % n] == tip else -1
                new = order[(at[city] - way) % n]
                if new == tip:
                    break
                gain += rows[new][city] - rows[tip][city]
                added |= {(tip, city), (city, tip)}
                flips.append((at[tip], at[new]) if way > 0 else (at[new], at[tip]))
                self.flip(*flips[-1])
                tip = new
                changed |= {city, tip}
                if gain - rows[tip][base] > best:
                    best, kept = gain - rows[tip][base], len(flips)
                way = 1 if order[(at[base] + 1) % n] == tip else -1
                most = None
                for other in self.near[tip]:
                    if rows[tip][other] >= gain:
                        break
                    before = order[(at[other] - way) % n]
                    more = rows[before][other] - rows[tip][other]
                    if before != tip and (before, other) not in added and (most is None or more > most):
                        most, city = more, other
                if most is None:
                    break
            while len(flips) > kept:
                self.flip(*flips.pop())
            if best:
                self.length -= best
                return changed
        return set()
