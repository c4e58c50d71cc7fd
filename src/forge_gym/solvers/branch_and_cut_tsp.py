"""Shortest closed tours by branch and cut [1]_, [2]_, with every bound in exact integers.

A local search gives a good tour. The linear relaxation, solved by OR-Tools' GLOP over few legs, gives
prices to cities and cuts, and any prices whatever give a bound, as [3]_ observed: rounded to integers they give it
exactly. So floating point decides how long a proof takes, and never what is proven. Where the bound does
not meet the tour, reduced costs leave out most legs, and branching decides over the others.

References
----------
.. [1] G. Dantzig, R. Fulkerson, S. Johnson, "Solution of a large-scale traveling-salesman problem",
   Operations Research 2(4), 1954.
.. [2] D. Applegate, R. Bixby, V. Chvatal, W. Cook, "The traveling salesman problem: a computational
   study", 2006.
.. [3] M. Held, R. Karp, "The traveling-salesman problem and minimum spanning trees", Operations
   Research 18(6), 1970.
.. [4] M. Held, R. Karp, "A dynamic programming approach to sequencing problems", J. SIAM 10(1), 1962.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log2
from typing import Any

import numpy as np

from ..core.reference import Certificate
from .tsp_cuts import TINY, Cut, Floats, Integers, violated
from .tsp_local_search import Tour, improve, length, nearest

_NEAR = 8
"""Nearest cities of each city that the first relaxation and the local search look at. All other edges are priced later,
so this decides the time alone."""
_KICKS_PER_PAIR = 1 / 20
"""Kicks of the local search along reduced costs, for each ordered pair of cities: a choice."""
_DYNAMIC = 11
"""Cities up to which dynamic programming is quicker."""


def shortest_tour(rows: Sequence[Sequence[int]], start: Tour, limit: int) -> Certificate[Tour]:
    """Return the shortest tour, by `held_karp` of few cities and else by `shortest`; see there for the steps."""
    n = len(rows)
    return held_karp(rows) if n <= _DYNAMIC and n * n << n <= limit else shortest(rows, start, limit)


def held_karp(rows: Sequence[Sequence[int]]) -> Certificate[Tour]:
    """Solve by dynamic programming over the sets of visited cities [4]_: n^2 2^n steps, n 2^n memory."""
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


def shortest(rows: Sequence[Sequence[int]], start: Tour, limit: int) -> Certificate[Tour]:
    """Return the shortest tour with its proof, or within ``limit`` the best tour and the best bound.

    ``rows`` are (n, n) symmetric integer distances, n at least 3, without a triangle inequality, ``start`` is any tour.
    ``limit`` counts legs priced in iterations of the simplex method, some tenths of a microsecond each.

    Examples
    --------
    >>> corners = [[0, 3, 5, 4], [3, 0, 4, 5], [5, 4, 0, 3], [4, 5, 3, 0]]
    >>> certificate = shortest(corners, (0, 2, 1, 3), 10**6)
    >>> certificate.value, certificate.bound
    (14, 14)
    """
    import ortools

    n, distances = len(rows), np.array(rows, dtype=np.int64)
    near = nearest(distances, distances, _NEAR)
    tour = improve(rows, start, near)
    value, bound = length(rows, tour), 0

    u, v = np.triu_indices(n, 1)
    listed = np.zeros((n, n), dtype=bool)
    listed[np.repeat(np.arange(n), len(near[0])), np.ravel(near)] = True
    listed[list(tour), list(tour[1:] + tour[:1])] = True
    listed = (listed | listed.T)[u, v]
    relaxation = Relaxation(distances, u[listed], v[listed])
    while relaxation.work < limit:
        relaxation.tighten(np.zeros(len(relaxation.u), dtype=np.int64), value, limit)
        prices = relaxation.prices(u, v)
        bound = max(bound, prices.bound())
        missing = (prices.reduced < 0) & ~listed
        if bound >= value or not missing.any():
            break
        relaxation.add_legs(u[missing], v[missing])
        listed |= missing

    if bound < value and relaxation.work < limit:
        costs = np.zeros((n, n), dtype=np.int64)
        costs[u, v] = costs[v, u] = prices.reduced
        tour = improve(rows, tour, nearest(costs, distances, _NEAR - 2), int(n * n * _KICKS_PER_PAIR), bound)
        value = length(rows, tour)
    work = relaxation.work
    if bound < value and work < limit:
        tour, bound, work = _branch(rows, relaxation, prices, tour, limit)
        value = length(rows, tour)
    return Certificate(tour, value, min(bound, value), f"branch and cut, GLOP {ortools.__version__}", work)


@dataclass(frozen=True)
class Prices:
    """Integer prices of cities and cuts at work: what is left of each leg's cost, and what has been collected."""

    constant: int
    """Prices times right-hand sides, times ``scale``."""
    reduced: Integers
    """Cost of each leg less the prices of its two cities and of its cuts, times ``scale``."""
    scale: int

    @classmethod
    def rounded(
        cls,
        distances: Integers,
        u: Integers,
        v: Integers,
        cuts: Sequence[Cut],
        cities: Floats,
        shares: Floats,
    ) -> Prices:
        """Round any prices of cities, and of cuts where they are positive, as finely as 64 bits allow."""
        size = float(distances.max(initial=0)) + 2 * float(np.abs(cities).max()) + float(np.abs(shares).sum())
        scale = 1 << max(0, min(20, int(61 - log2(size + len(cuts) + 3))))
        whole = np.rint(cities * scale).astype(np.int64)
        reduced = distances[u, v] * scale - whole[u] - whole[v]
        constant = 2 * sum(whole.tolist())
        for cut, share in zip(cuts, np.rint(shares * scale).astype(np.int64).tolist(), strict=True):
            if share > 0:
                reduced -= share * cut.coefficients(u, v)
                constant += share * cut.least
        return cls(constant, reduced, scale)

    def total(self, state: Integers | None = None) -> int:
        """Return the least that a tour costs, times ``scale``: at best it takes every leg of negative cost [3]_.

        Where ``state`` is given, legs of state 1 are taken and legs of state -1 are not.
        """
        taken = self.reduced < 0
        if state is not None:
            taken = (state > 0) | (taken & (state == 0))
        costs: list[int] = self.reduced[taken].tolist()
        return self.constant + sum(costs)  # Python's integers, since the sum may pass 64 bits

    def bound(self, state: Integers | None = None) -> int:
        """Return the least integer that a tour may cost."""
        return -(-self.total(state) // self.scale)

    def forced(self, value: int) -> Integers:
        """Return 1 for legs that every tour shorter than ``value`` has, -1 for those that none has."""
        room = (value - 1) * self.scale - self.total()
        return np.where(self.reduced > room, -1, np.where(self.reduced < -room, 1, 0))


class Relaxation:
    """The linear program over some legs, and the cuts that its solutions have violated so far."""

    def __init__(self, distances: Integers, u: Integers, v: Integers, cuts: Iterable[Cut] = ()) -> None:
        from ortools.linear_solver import pywraplp

        self.distances, self.work = distances, 0
        self.u, self.v = u[:0], v[:0]
        self.cuts: list[Cut] = []
        self._known: set[bytes] = set()
        self._solver = pywraplp.Solver.CreateSolver("GLOP")
        # Presolving would throw away the basis from which the simplex method goes on after a cut.
        self._solver.SetSolverSpecificParametersAsString("use_preprocessing: false use_dual_simplex: true")
        self._cities = [self._solver.Constraint(2, 2) for _ in distances]
        self._rows: list[Any] = []
        self._legs: list[Any] = []
        self._objective = self._solver.Objective()
        self._objective.SetMinimization()
        self.add_legs(u, v)
        for cut in cuts:
            self._add(cut)

    def add_legs(self, u: Integers, v: Integers) -> None:
        """Add legs that were left out so far."""
        old = len(self._legs)
        for a, b, cost in zip(u.tolist(), v.tolist(), self.distances[u, v].tolist(), strict=True):
            leg = self._solver.NumVar(0, 1, "")
            self._legs.append(leg)
            self._cities[a].SetCoefficient(leg, 1)
            self._cities[b].SetCoefficient(leg, 1)
            self._objective.SetCoefficient(leg, cost)
        self.u, self.v = np.concatenate([self.u, u]), np.concatenate([self.v, v])
        self.state = np.zeros(len(self.u), dtype=np.int64)
        for cut, row in zip(self.cuts, self._rows, strict=True):
            self._fill(cut, row, old)

    def _add(self, cut: Cut) -> bool:
        """Add a cut unless it is there."""
        if cut.key in self._known:
            return False
        self._known.add(cut.key)
        self.cuts.append(cut)
        self._rows.append(self._solver.Constraint(cut.least, self._solver.infinity()))
        self._fill(cut, self._rows[-1], 0)
        return True

    def _fill(self, cut: Cut, row: Any, old: int) -> None:
        coefficients = cut.coefficients(self.u[old:], self.v[old:])
        for leg in np.flatnonzero(coefficients).tolist():
            row.SetCoefficient(self._legs[old + leg], int(coefficients[leg]))

    def solve(self) -> bool:
        """Solve the linear program; False where the numbers are beyond floating point."""
        from ortools.linear_solver import pywraplp

        status = self._solver.Solve()
        if status != pywraplp.Solver.OPTIMAL:  # a basis that has gone bad: from scratch
            self._solver.Reset()
            status = self._solver.Solve()
        solved = bool(status == pywraplp.Solver.OPTIMAL)
        self.work += (1 + self._solver.iterations()) * len(self._legs)
        self.x = np.array([leg.solution_value() if solved else 0.0 for leg in self._legs])
        self.cities = np.array([row.dual_value() if solved else 0.0 for row in self._cities])
        self.shares = np.array([row.dual_value() if solved else 0.0 for row in self._rows])
        return solved

    def prices(self, u: Integers, v: Integers) -> Prices:
        """Return the prices of the last solution, at which the legs u, v have their reduced costs."""
        return Prices.rounded(self.distances, u, v, self.cuts[: len(self.shares)], self.cities, self.shares)

    def decide(self, state: Integers, penalty: int) -> None:
        """Take the legs of state 1 and leave out those of state -1, by costs: so there is always a solution."""
        for leg in np.flatnonzero(state != self.state).tolist():
            cost = self.distances[self.u[leg], self.v[leg]] - penalty * state[leg]
            self._objective.SetCoefficient(self._legs[leg], int(cost))
        self.state = state

    def binding(self) -> list[Cut]:
        """Return the cuts that cost something."""
        return [cut for cut, share in zip(self.cuts, self.shares, strict=False) if share > TINY]

    def tighten(self, state: Integers, value: int, limit: int) -> int:
        """Solve and cut until no cut is found or the bound reaches ``value``; return the bound."""
        bound, n, root = 0, len(self.distances), not state.any()
        while self.solve():
            bound = max(bound, self.prices(self.u, self.v).bound(state))
            if (
                bound >= value
                or self.work >= limit
                or not sum([self._add(cut) for cut in list(violated(n, self.u, self.v, self.x, self.binding(), root))])
            ):
                break
        return bound


def _branch(
    rows: Sequence[Sequence[int]], root: Relaxation, prices: Prices, tour: Tour, limit: int
) -> tuple[Tour, int, int]:
    """Decide leg by leg, among those that a shorter tour can have; return the best tour, the bound, and the work."""
    n, value = len(rows), length(rows, tour)
    u, v = np.triu_indices(n, 1)
    places = np.argsort(tour)
    apart = np.abs(places[u] - places[v])
    kept = prices.forced(value) >= 0
    kept |= (apart == 1) | (apart == n - 1)  # the tour itself stays, or cuts might have no solution
    relaxation = Relaxation(root.distances, u[kept], v[kept], root.binding())
    relaxation.work, penalty = root.work, 2 * value + 1
    costs = relaxation.distances[relaxation.u, relaxation.v]
    open_nodes = [(prices.bound(), np.zeros(len(costs), dtype=np.int64))]
    while open_nodes and relaxation.work < limit:
        bound, state = open_nodes.pop()
        if bound >= value:
            continue
        state = np.where(state == 0, prices.forced(value)[kept], state)
        relaxation.decide(state, penalty)
        bound = max(bound, relaxation.tighten(state, value, limit))
        free, doubt = state == 0, np.abs(relaxation.x - 0.5)
        chosen = relaxation.x > 0.5 if free.any() else state > 0
        rounded = _closed(n, relaxation.u[chosen], relaxation.v[chosen])
        if rounded and length(rows, rounded) < value:
            tour = improve(rows, rounded, nearest(root.distances, root.distances, _NEAR))
            value = length(rows, tour)
        if bound < value and free.any():
            leg = np.lexsort((-costs, np.round(doubt, 6), ~free))[0]
            for decision in (-1, 1):
                child = state.copy()
                child[leg] = decision
                open_nodes.append((bound, child))
    return tour, min([value, *(bound for bound, _ in open_nodes)]), relaxation.work


def _closed(n: int, u: Integers, v: Integers) -> Tour:
    """Return the tour that these legs are, or an empty one."""
    import networkx as nx

    legs: Any = nx.Graph(zip(u.tolist(), v.tolist(), strict=True))
    if len(legs) < n or any(degree != 2 for _, degree in legs.degree):
        return ()
    tour = tuple(nx.dfs_preorder_nodes(legs, 0))
    return tour if len(tour) == n else ()
