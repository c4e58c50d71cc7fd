"""Fewest colours as the fewest independent sets that cover a graph, and a tabu search for good colourings.

The linear relaxation of the covering, solved by OR-Tools' GLOP, gives prices to vertices [1]_. Wherever no
independent set costs more than one unit, a vertex set needs at least as many colours as it costs units. That is
checked in exact integers, as in [2]_: floating point decides how long a proof takes, and never what is proven. Prices
found for one set of vertices hold for every other, so they are kept and tried before the next linear program.

References
----------
.. [1] A. Mehrotra, M. Trick, "A column generation approach for graph coloring", INFORMS Journal on Computing 8(4),
   1996.
.. [2] S. Held, W. Cook, E. Sewell, "Maximum-weight stable sets and safe lower bounds for graph coloring",
   Mathematical Programming Computation 4, 2012.
.. [3] E. Tomita, A. Tanaka, H. Takahashi, "The worst-case time complexity for generating all maximal cliques and
   computational experiments", Theoretical Computer Science 363, 2006.
.. [4] A. Hertz, D. de Werra, "Using tabu search techniques for graph coloring", Computing 39, 1987.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.bitset import bits
from ..core.reference import Certificate

Integers: TypeAlias = NDArray[np.int64]
Colouring: TypeAlias = tuple[int, ...]

_UNIT = 1 << 20
"""Prices are whole multiples of 1 / `_UNIT` colours."""
_BATCH = 30
"""Sets that join the linear program at a time: a choice, which decides the time alone."""
_TENURE = 10
"""Moves for which a colour left is tabu, at most, besides the conflicts' share: the choice of later work on [4]_."""


def branch_and_price(
    neighbours: Sequence[int], sets: Sequence[int], start: Certificate[Colouring], limit: int
) -> Certificate[Colouring]:
    """Return the best colouring and bound within ``limit``, from ``start`` on; ``sets`` are `maximal_independent_sets`.

    A step is a vertex's row in an iteration of the simplex method, a set priced, or a vertex looked at: some tenths of
    a microsecond. Up to a tenth of them are for `tabu_search`. Where prices and tabu search leave more than one colour
    open, there is no search: it would take too long.

    Examples
    --------
    >>> cycle = [0b10010, 0b00101, 0b01010, 0b10100, 0b01001]
    >>> start = Certificate((0, 1, 2, 3, 4), 5, 1, "none", 0)
    >>> found = branch_and_price(cycle, maximal_independent_sets(cycle, 100), start, 10**5)
    >>> found.value, found.bound
    (3, 3)
    """
    import ortools

    n = len(neighbours)
    everyone = (1 << n) - 1
    cover = Cover(n, sets, limit)
    colouring, bound = start.solution, int(start.bound)
    bound = max(bound, -(-int(cover.price(everyone, n).sum()) // _UNIT))
    tries = limit // 10 // n
    while (value := len(set(colouring))) > bound and (fewer := tabu_search(neighbours, colouring, tries)):
        colouring = fewer
    cover.work += tries * n
    while bound == value - 1 and cover.work < limit:
        prices = cover.price(everyone, n)
        chosen = cover.search(everyone, bound, prices)
        if chosen is not None:
            colouring = tuple([next(c for c, held in enumerate(chosen) if held >> v & 1) for v in range(n)])
            value = bound
        elif cover.work < limit:
            bound += 1
    name = f"{start.solver}, branch and price, GLOP {ortools.__version__}"
    return Certificate(colouring, value, bound, name, start.work + cover.work)


def maximal_independent_sets(neighbours: Sequence[int], most: int) -> list[int]:
    """Return the bit masks of all of them [3]_, or none where that takes more than ``most`` looks at vertices.

    Examples
    --------
    >>> [bits(one) for one in maximal_independent_sets([0b010, 0b101, 0b010], 100)]
    [[1], [0, 2]]
    """
    everyone = (1 << len(neighbours)) - 1
    apart = [everyone ^ mask ^ (1 << v) for v, mask in enumerate(neighbours)]
    found = []
    stack = [(0, everyone, 0)]  # independent sets, the vertices that may join them, those that did before
    while stack:
        chosen, left, done = stack.pop()
        most -= (left | done).bit_count()
        if most < 0:
            return []
        if not left:
            if not done:
                found.append(chosen)
            continue
        pivot = max(bits(left | done), key=lambda u: (left & apart[u]).bit_count())
        for v in bits(left & ~apart[pivot]):
            stack.append((chosen | 1 << v, left & apart[v], done & apart[v]))
            left ^= 1 << v
            done |= 1 << v
    return found


class Cover:
    """The linear program that covers vertices by few independent sets, and the search that goes on from it."""

    def __init__(self, n: int, sets: Sequence[int], limit: int) -> None:
        from ortools.linear_solver import pywraplp

        self.n, self.sets, self.limit, self.work = n, sets, limit, 0
        members = list(map(bits, sets))
        self._sizes = np.array(list(map(len, members)))
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._members = np.concatenate(members)
        self._solver = pywraplp.Solver.CreateSolver("GLOP")
        self._solver.SetSolverSpecificParametersAsString("use_preprocessing: false use_dual_simplex: true")
        self._rows = [self._solver.Constraint(1, self._solver.infinity()) for _ in range(n)]
        self._objective = self._solver.Objective()
        self._objective.SetMinimization()
        self._vertices = (1 << n) - 1  # that the linear program covers
        self._columns: dict[int, Any] = {}
        _, firsts = np.unique(self._members, return_index=True)
        for j in sorted(set((np.searchsorted(self._starts, firsts, side="right") - 1).tolist())):
            self._add(j)
        self._proofs = np.zeros((0, n), dtype=np.int64)
        self._refuted: set[tuple[int, int]] = set()

    def _holding(self, v: int) -> NDArray[np.bool_]:
        return np.logical_or.reduceat(self._members == v, self._starts)

    def _add(self, j: int) -> None:
        column = self._columns[j] = self._solver.NumVar(0, self._solver.infinity(), "")
        self._objective.SetCoefficient(column, 1)
        for v in bits(self.sets[j]):
            self._rows[v].SetCoefficient(column, 1)

    def costs(self, prices: Integers) -> Integers:
        """Return what each set costs at these prices of vertices."""
        costs: Integers = np.add.reduceat(prices[self._members], self._starts)
        return costs

    def price(self, vertices: int, colours: int) -> Integers:
        """Return prices at which no set costs more than a unit, and the ``vertices`` much; no others have a price.

        They are the best of the linear program, or some at which the vertices cost more than ``colours`` units.
        """
        from ortools.linear_solver import pywraplp

        for v in bits(vertices ^ self._vertices):
            self._rows[v].SetBounds(vertices >> v & 1, self._solver.infinity())
        self._vertices, inside = vertices, row_of(vertices, self.n)
        best = np.zeros(self.n, dtype=np.int64)
        while self._solver.Solve() == pywraplp.Solver.OPTIMAL:
            self.work += self._solver.iterations() * self.n + len(self.sets)
            duals = np.clip([row.dual_value() for row in self._rows], 0, 1)
            prices = (duals * _UNIT).astype(np.int64) * inside
            costs = self.costs(prices)
            dearest = max(int(costs.max()), _UNIT)
            best = max(best, prices * _UNIT // dearest, key=lambda rounded: int(rounded.sum()))
            # What rounding has moved is no reason to go on.
            missing = [j for j in np.argsort(-costs, kind="stable")[:_BATCH].tolist() if costs[j] > _UNIT + self.n]
            missing = [j for j in missing if j not in self._columns]
            if best.sum() > colours * _UNIT or not missing or self.work > self.limit:
                break
            for j in missing:
                self._add(j)
        return best

    def search(self, vertices: int, colours: int, prices: Integers) -> list[int] | None:
        """Return at most ``colours`` sets that cover the ``vertices``; None if there are none or the limit is spent.

        ``prices`` are those of the last linear program, that of the ``vertices``. A vertex that the fewest sets may
        hold gets one of them, those first of which the relaxation takes most.
        """
        parts: dict[int, float] = {}
        for j, column in self._columns.items():
            parts[self.sets[j] & vertices] = parts.get(self.sets[j] & vertices, 0.0) + column.solution_value()
        possible = int(prices.sum()) - self.costs(prices) <= (colours - 1) * _UNIT
        counts = np.bincount(self._members[np.repeat(possible, self._sizes)], minlength=self.n)
        v = min(bits(vertices), key=lambda u: (counts[u], u))
        held = {self.sets[j] & vertices for j in np.flatnonzero(possible & self._holding(v)).tolist()}
        largest = [one for one in held if not any(one != other and one & ~other == 0 for other in held)]
        for one in sorted(largest, key=lambda one: (-round(parts.get(one, 0.0), 6), -one.bit_count(), one)):
            left = vertices ^ one
            if not left:
                return [one]
            most = (colours - 1) * _UNIT
            if (left, colours) in self._refuted or (self._proofs @ row_of(left, self.n) > most).any():
                continue
            found = self.price(left, colours - 1)
            if self.work > self.limit:
                return None
            if found.sum() > most:
                self._proofs = np.vstack([self._proofs, found])
                continue
            others = self.search(left, colours - 1, found)
            if others is not None:
                return [one, *others]
            if self.work > self.limit:
                return None
            self._refuted.add((left, colours))
        return None


def row_of(vertices: int, n: int) -> Integers:
    """Return the bits of ``vertices`` as ``n`` zeros and ones."""
    return np.array([vertices >> v & 1 for v in range(n)], dtype=np.int64)


def tabu_search(neighbours: Sequence[int], colouring: Colouring, tries: int) -> Colouring | None:
    """Return a colouring with one colour less than ``colouring``, or None where ``tries`` moves find none [4]_.

    The vertices of the last colour get another. Then in each move a vertex in conflict gets the colour that leaves
    fewest conflicts, and not soon again the one that it had, unless that leaves fewer conflicts than ever before.

    Examples
    --------
    >>> tabu_search([0b010, 0b101, 0b010], (0, 1, 2), 10)
    (0, 1, 0)
    """
    n, k, rng = len(neighbours), len(set(colouring)) - 1, Random(0)
    numbers = {colour: c for c, colour in enumerate(dict.fromkeys(colouring))}
    colours = np.array([numbers[colour] for colour in colouring])
    colours[colours == k] = 0
    if k < 1:
        return None
    adjacent = np.array([row_of(mask, n) for mask in neighbours])
    around = np.zeros((n, k), dtype=np.int64)  # neighbours of each vertex in each colour
    for v in range(n):
        around[:, colours[v]] += adjacent[v]
    until = np.zeros((n, k), dtype=np.int64)
    conflicts = fewest = int(around[np.arange(n), colours].sum()) // 2
    for move in range(tries):
        own = around[np.arange(n), colours]
        if not conflicts:
            break
        (clashing,) = own.nonzero()
        change = around[clashing] - own[clashing, None]
        barred = (until[clashing] > move) & (change + conflicts >= fewest)
        barred[np.arange(len(clashing)), colours[clashing]] = True
        change[barred] = n * n
        (best,) = (change.ravel() == change.min()).nonzero()
        at, colour = divmod(int(best[rng.randrange(len(best))]), k)
        v, old = int(clashing[at]), int(colours[clashing[at]])
        conflicts += int(around[v, colour] - around[v, old])
        until[v, old] = move + int(0.6 * len(clashing)) + rng.randrange(_TENURE)
        around[:, old] -= adjacent[v]
        around[:, colour] += adjacent[v]
        colours[v] = colour
        fewest = min(fewest, conflicts)
    return None if conflicts else tuple(colours.tolist())
