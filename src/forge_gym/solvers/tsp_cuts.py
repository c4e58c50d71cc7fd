"""Cuts of the travelling salesman's linear relaxation, and how violated ones are found.

References
----------
.. [1] G. Dantzig, R. Fulkerson, S. Johnson, "Solution of a large-scale traveling-salesman problem",
   Operations Research 2(4), 1954.
.. [2] J. Edmonds, "Maximum matching and a polyhedron with 0,1-vertices", J. Research of the National Bureau of
   Standards 69B, 1965.
.. [3] M. Groetschel, O. Holland, "Solving matching problems with linear programming", Mathematical
   Programming 33, 1985.
.. [4] M. Stoer, F. Wagner, "A simple min-cut algorithm", J. ACM 44(4), 1997.
.. [5] M. Padberg, G. Rinaldi, "An efficient algorithm for the minimum capacity cut problem", Mathematical
   Programming 47, 1990.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

TINY = 1e-6
"""What values of a linear program may miss 0 and 1 by."""
_VIOLATED = 1e-3
"""Violation from which a cut is worth its row."""


@dataclass(frozen=True)
class Cut:
    """What every tour obeys about the legs between a set of cities, the handle, and the other cities.

    Subtour elimination: x(d(H)) >= 2, for a handle H and the legs d(H) that leave it [1]_. 2-matching inequality:
    x(d(H) - T) - x(T) >= 1 - |T|, for an odd set T of these legs, the teeth [2]_.
    """

    handle: NDArray[np.bool_]
    """(n,) whether a city is in the set."""
    teeth: tuple[int, ...] = ()
    """None, or an odd number of legs u, v with u < v that leave the set, as numbers u n + v."""

    @property
    def least(self) -> int:
        """Right-hand side: the legs of the cut that are no teeth, less the teeth, are at least this."""
        return 1 - len(self.teeth) if self.teeth else 2

    def coefficients(self, u: Integers, v: Integers) -> Integers:
        """Return -1 for a tooth, 1 for another leg that leaves the handle, 0 for the rest."""
        crossings: Integers = (self.handle[u] != self.handle[v]).astype(np.int64)
        legs = u * len(self.handle) + v
        for tooth in self.teeth:
            crossings[legs == tooth] = -1
        return crossings


def violated(n: int, u: Integers, v: Integers, x: Floats) -> Iterator[Cut]:
    """Find cuts that shares ``x`` of the legs u, v violate: parts of a torn tour, thin places, or teeth."""
    used = x > TINY
    u, v, x = u[used], v[used], x[used]
    parts = list(_parts(n, u, v))
    sets = parts[1:] if len(parts) > 1 else list(_light(n, u, v, x))
    for handle in sets:
        yield Cut(handle)
    if sets:
        return
    # Handles of teeth: what hangs together by legs that are undecided [3]_.
    for margin in (0.0, 0.2, 0.35):
        loose = (x > margin + TINY) & (x < 1 - margin - TINY)
        for handle in _parts(n, u[loose], v[loose], 3):
            leaving = np.flatnonzero(handle[u] != handle[v])
            share = x[leaving]
            teeth = share > 0.5
            if len(share) and not teeth.sum() % 2:
                teeth[np.abs(share - 0.5).argmin()] ^= True
            if teeth.sum() >= 3 and np.where(teeth, 1 - share, share).sum() < 1 - _VIOLATED:
                legs = leaving[teeth]
                yield Cut(handle, tuple((u[legs] * n + v[legs]).tolist()))


def _parts(n: int, u: Integers, v: Integers, least: int = 1) -> Iterator[NDArray[np.bool_]]:
    """Find the connected parts of a graph that have ``least`` cities or more, in the order of their first."""
    label = np.arange(n)
    for a, b in zip(u.tolist(), v.tolist(), strict=True):
        label[label == label[b]] = label[a]
    for part, size in Counter(label.tolist()).items():
        if size >= least:
            yield label == part


def _light(n: int, u: Integers, v: Integers, x: Floats) -> Iterator[NDArray[np.bool_]]:
    """Find sets of cities that less than two legs leave, all within the exact minimum cut [4]_.

    Legs of a full unit are contracted, since some minimum cut below two keeps their ends together [5]_; then the
    last of each maximum adjacency order is cut off and joined to the one before.
    """
    weights: list[dict[int, float]] = [{} for _ in range(n)]
    for a, b, weight in zip(u.tolist(), v.tolist(), x.tolist(), strict=True):
        weights[a][b] = weights[b][a] = weight
    members = {a: [a] for a in range(n)}

    def cut(a: int) -> Iterator[NDArray[np.bool_]]:
        if len(members) > 1 and sum(weights[a].values()) < 2 - _VIOLATED:
            handle = np.zeros(n, dtype=bool)
            handle[members[a]] = True
            yield handle ^ handle[0]

    def join(a: int, b: int) -> None:
        members[a] += members.pop(b)
        for c, weight in weights[b].items():
            del weights[c][b]
            if c != a:
                weights[a][c] = weights[c][a] = weights[a].get(c, 0.0) + weight

    waiting = list(range(n))
    while len(members) > 1:
        while waiting:
            a = waiting.pop()
            full = [b for b, weight in weights[a].items() if weight >= 1 - TINY] if a in members else []
            if full:
                join(a, full[0])
                yield from cut(a)
                waiting += [a, *weights[a]]
        if len(members) == 1:
            return
        first = min(members)
        heap, reached, placed = [(0.0, first)], {first: 0.0}, dict[int, None]()
        while heap:
            _, a = heappop(heap)
            if a not in placed:
                placed[a] = None
                for b, weight in weights[a].items():
                    if b not in placed:
                        reached[b] = reached.get(b, 0.0) + weight
                        heappush(heap, (-reached[b], b))
        *_, before, last = placed
        yield from cut(last)
        join(before, last)
        waiting = [before]
