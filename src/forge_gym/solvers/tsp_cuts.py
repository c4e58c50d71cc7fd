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
.. [6] M. Groetschel, M. Padberg, "On the symmetric travelling salesman problem", Mathematical Programming 16, 1979.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Cities: TypeAlias = NDArray[np.bool_]

TINY = 1e-6
"""What values of a linear program may miss 0 and 1 by."""
_VIOLATED = 1e-3
"""Violation from which a cut is worth its row."""
_SEARCHED, _ENOUGH = 1.0, 10
"""What a comb may miss by for its handle to be changed city by city, and the combs that are found so in a round."""
_THICK = 3.2
"""Legs that leave a set which is tried as a tooth, at most."""


@dataclass(frozen=True)
class Cut:
    """What every tour obeys about the legs that leave sets of cities: a handle, and maybe teeth.

    Subtour elimination: x(d(H)) >= 2, for a handle H and the legs d(H) that leave it [1]_. Comb inequality:
    x(d(H)) + sum of x(d(T)) >= 3 k + 1, for an odd number k of disjoint teeth T, each of which has cities inside and
    outside of H [6]_. Where each tooth is a pair, it is a 2-matching inequality [2]_.
    """

    handle: Cities
    """(n,) whether a city is in the set."""
    teeth: tuple[Cities, ...] = ()

    @property
    def least(self) -> int:
        """Right-hand side."""
        return 3 * len(self.teeth) + 1 if self.teeth else 2

    @property
    def key(self) -> bytes:
        """What tells the cut from others."""
        return b"".join(sorted(part.tobytes() for part in self.teeth)) + self.handle.tobytes()

    def coefficients(self, u: Integers, v: Integers) -> Integers:
        """Return of each leg how many of the sets it leaves."""
        crossings: Integers = (self.handle[u] != self.handle[v]).astype(np.int64)
        for tooth in self.teeth:
            crossings += tooth[u] != tooth[v]
        return crossings


def violated(
    n: int, u: Integers, v: Integers, x: Floats, known: Iterable[Cut] = (), search: bool = False
) -> Iterator[Cut]:
    """Find cuts that shares ``x`` of the legs u, v violate: parts of a torn tour, thin places, or combs.

    Sets and handles of ``known`` cuts are tried in combs. If ``search``, handles that miss little are changed city by
    city, where there is nothing else.
    """
    used = x > TINY
    u, v, x = u[used], v[used], x[used]
    parts = list(_parts(n, u, v))
    if len(parts) > 1:
        for part in parts[1:]:
            yield Cut(part)
        return
    thin = {part.tobytes(): (part, leaving) for part, leaving in _light(n, u, v, x)}
    torn = [part for part, leaving in thin.values() if leaving < 2 - _VIOLATED]
    for part in torn:
        yield Cut(part)
    if torn:
        return
    # Handles: what hangs together by legs that are undecided [3]_, and the sets of known cuts.
    handles = []
    for margin in (0.0, 0.1, 0.2, 0.35):
        loose = (x > margin + TINY) & (x < 1 - margin - TINY)
        handles += list(_parts(n, u[loose], v[loose], 3))
    known = list(known)
    tried = {}
    for part in (*handles, *(cut.handle for cut in known)):
        part = part ^ part[0]
        tried[part.tobytes()] = part
    # Teeth: legs of more than a half, and thin sets.
    heavy = np.flatnonzero(x > 0.5 - TINY)
    pairs = np.zeros((len(heavy), n), dtype=bool)
    pairs[np.arange(len(heavy)), u[heavy]] = pairs[np.arange(len(heavy)), v[heavy]] = True
    sets = [part for part, _ in thin.values() if part.sum() > 2] + [cut.handle for cut in known if not cut.teeth]
    pool = np.array([*pairs, *sets, *(~part for part in sets)])
    leaving = (pool[:, u] != pool[:, v]) @ x
    rank = np.lexsort((pool.sum(axis=1), leaving.round(6)))
    pool, leaving = pool[rank], leaving[rank]
    few = leaving < _THICK
    pool, leaving = pool[few], leaving[few]
    sizes, members = pool.sum(axis=1), pool.astype(np.float64)

    def comb(handle: Cities) -> tuple[float, Cut]:
        """Return by how much a handle and the best teeth for it miss what a tour obeys, less is better; and the cut."""
        inside = members @ handle
        taken, teeth = np.zeros(n, dtype=bool), list[int]()
        for tooth in np.flatnonzero((inside > 0) & (inside < sizes)).tolist():
            if len(teeth) % 2 and leaving[tooth] >= 3:
                break
            if not (taken & pool[tooth]).any():
                taken |= pool[tooth]
                teeth.append(tooth)
                if leaving[tooth] >= 3:
                    break
        if len(teeth) % 2 == 0 or (len(teeth) > 1 and leaving[teeth[-2:]].sum() > 6):
            del teeth[-1 - len(teeth) % 2 :]
        excess = float((handle[u] != handle[v]) @ x) - 1 + sum(float(leaving[tooth]) - 3 for tooth in teeth)
        return excess if len(teeth) >= 3 else 9.0, Cut(handle, tuple(pool[teeth]))

    combs = sorted((comb(handle) for handle in tried.values()), key=lambda found: found[0])
    found = [cut for excess, cut in combs if excess < -_VIOLATED]
    for excess, cut in combs if search and not found else ():
        handle = cut.handle
        while -_VIOLATED <= excess < _SEARCHED:
            border = handle[u] != handle[v]
            nearby = np.unique(np.concatenate([u[border], v[border]]))
            moves = [comb(handle ^ (np.arange(n) == city)) for city in nearby.tolist()]
            better, cut = min(moves, key=lambda move: move[0])
            if better > excess - TINY:
                break
            excess, handle = better, cut.handle
        if excess < -_VIOLATED:
            found.append(cut)
        if len(found) >= _ENOUGH:
            break
    yield from found


def _parts(n: int, u: Integers, v: Integers, least: int = 1) -> Iterator[Cities]:
    """Find the connected parts of a graph that have ``least`` cities or more, in the order of their first."""
    label = np.arange(n)
    for a, b in zip(u.tolist(), v.tolist(), strict=True):
        label[label == label[b]] = label[a]
    for part, size in Counter(label.tolist()).items():
        if size >= least:
            yield label == part


def _light(n: int, u: Integers, v: Integers, x: Floats) -> Iterator[tuple[Cities, float]]:
    """Find sets of cities that few legs leave, and how many; if any less than two, some that less than two leave [4]_.

    Legs of a full unit are contracted, since some minimum cut below two keeps their ends together [5]_; then the
    last of each maximum adjacency order is cut off and joined to the one before.
    """
    weights: list[dict[int, float]] = [{} for _ in range(n)]
    for a, b, weight in zip(u.tolist(), v.tolist(), x.tolist(), strict=True):
        weights[a][b] = weights[b][a] = weight
    members = {a: [a] for a in range(n)}

    def cut(a: int) -> Iterator[tuple[Cities, float]]:
        if len(members) > 1 and (leaving := sum(weights[a].values())) < _THICK:
            handle = np.zeros(n, dtype=bool)
            handle[members[a]] = True
            yield handle ^ handle[0], leaving

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
