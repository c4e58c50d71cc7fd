"""Travelling salesman problem (TSP): the shortest closed tour through every city.

NP-hard [1]_. Distances are integers, so two solvers agree on an objective exactly: either Euclidean
between grid points, rounded to the nearest integer as TSPLIB's ``EUC_2D`` [2]_, or an explicit
symmetric matrix, which need not obey the triangle inequality.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] G. Reinelt, "TSPLIB: a traveling salesman problem library", ORSA J. Computing 3(4), 1991.
.. [3] M. Held, R. Karp, "A dynamic programming approach to sequencing problems", J. SIAM 10(1), 1962.
.. [4] D. Rosenkrantz, R. Stearns, P. Lewis, "An analysis of several heuristics for the traveling
   salesman problem", SIAM J. Computing 6(3), 1977.
.. [5] D. Johnson, L. McGeoch, "Experimental analysis of heuristics for the STSP", 2002: uniform,
   clustered and random-matrix instances.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, pairwise
from math import isqrt
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core import drawing
from ..core import tour as tours
from ..core.answer import read_integers, read_words
from ..core.checks import check_choice, check_int, shorten
from ..core.numeric import Features, columns, scaled
from ..core.problem import Instance, Problem, blind_orders, moved, size_at_level
from ..core.reference import Certificate
from ..core.subset import known
from ..core.verdict import Malformed, Violation

Tour: TypeAlias = tuple[int, ...]
"""The cities in order of visit; the leg from the last to the first is implied."""

DISTRIBUTIONS = ("uniform", "clustered", "matrix")
_NUMBER = r"(?:0|[1-9]\d{0,7})"
_POINT = rf"(?:{_NUMBER}|-[1-9]\d{{0,7}})\.(?:{_NUMBER}|-[1-9]\d{{0,7}})"
_MAX_COORDINATE = 10**6
_MAX_DISTANCE = 10**12
_HELD_KARP = 11
"""Up to this many cities dynamic programming is quick, and needs no linear programming."""


_TABLE = 1000
"""Up to this many cities all distances are kept, and tours are measured fastest; 1,000 take 10 MB."""


@dataclass(frozen=True)
class TSPInstance(Instance):
    """Cities in the plane, or a matrix of distances: one of the two is empty."""

    xy: tuple[tuple[int, int], ...] = ()
    """(n, 2) distinct points; distances are Euclidean, rounded to the nearest integer."""
    matrix: tuple[tuple[int, ...], ...] = ()
    """(n, n) symmetric distances with a zero diagonal."""

    @property
    def size(self) -> int:
        """Number of cities."""
        return len(self.xy) or len(self.matrix)

    def check(self) -> None:
        """Raise ``ValueError`` unless there are three cities, and integers in range, all consistent."""
        if bool(self.xy) == bool(self.matrix):
            raise ValueError("a TSP instance must have either xy or matrix, got both or neither")
        check_int("the number of cities", self.size, 3)
        for point in self.xy:
            if not isinstance(point, tuple) or len(point) != 2:
                raise ValueError(f"a city must be a pair of integers, got {point!r}")
            for coordinate in point:
                check_int("a coordinate", coordinate, -_MAX_COORDINATE, _MAX_COORDINATE)
        if len(set(self.xy)) != len(self.xy):
            raise ValueError("cities must stand on distinct points, got two on one")
        for i, row in enumerate(self.matrix):
            if not isinstance(row, tuple) or len(row) != self.size:
                raise ValueError(
                    f"matrix must be square, {self.size} by {self.size}, got row {i} of another length"
                )
            for j, distance in enumerate(row):
                check_int("a distance", distance, 0, _MAX_DISTANCE)
                if distance != self.matrix[j][i] or (i == j and distance):
                    raise ValueError(
                        f"matrix must be symmetric with a zero diagonal, got {distance} at ({i}, {j})"
                    )

    def relabelled(self, order: Sequence[int]) -> Self:
        """Return the same cities with city ``i`` under the number ``order[i]``."""
        rows = tuple(moved(row, order) for row in self.matrix)
        return replace(
            self, xy=moved(self.xy, order) if self.xy else (), matrix=moved(rows, order) if rows else ()
        )

    def invariant(self) -> Any:
        """Return every city's sorted distances, sorted: equal for relabelled, moved or mirrored cities."""
        return sorted(map(sorted, self.rows))

    @cached_property
    def rows(self) -> tuple[tuple[int, ...], ...]:
        """(n, n) integer distances."""
        if self.matrix:
            return self.matrix
        xy = self.points
        return tuple(map(tuple, lengths(xy[:, None] - xy[None]).tolist()))

    @cached_property
    def points(self) -> NDArray[np.int64]:
        """(n, 2) the cities in the plane."""
        return np.array(self.xy, dtype=np.int64)

    @cached_property
    def table(self) -> tuple[tuple[int, ...], ...] | None:
        """All distances, or None for so many points that distances are found when they are asked for."""
        return self.rows if self.matrix or self.size <= _TABLE else None

    def row(self, city: int) -> Sequence[int]:
        """Return the distances from ``city`` to all."""
        if self.table is not None:
            return self.table[city]
        distances: list[int] = lengths(self.points - self.points[city]).tolist()
        return distances

    def features(self) -> Features:
        """Return coordinates, zeros where there are none, and distances, as shares of the largest."""
        rows = np.array(self.rows)
        xy = np.array(self.xy or [(0, 0)] * self.size)
        x, y = (xy - xy.min(axis=0)).T / max(1, np.ptp(xy, axis=0).max())
        return Features(columns(x, y), scaled(rows, rows.max()))

    @cached_property
    def cities(self) -> frozenset[int]:
        """The numbers of all cities."""
        return frozenset(range(self.size))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The cities' names in compact prompts: ``x.y``, or their numbers where there are no points."""
        return tuple(f"{x}.{y}" for x, y in self.xy) or tuple(map(str, range(self.size)))


@dataclass(frozen=True, kw_only=True)
class TSP(Problem[TSPInstance, Tour]):
    """Visit every city once and return to the start, as briefly as possible.

    Problem: min sum of d(tour[i], tour[i+1]) over the closed tour. Answer: a list of all n cities
    in order of visit, without returning to the first. Trivial: the best of six fixed tours.
    Heuristic: nearest neighbour [4]_. Reference: Held-Karp [3]_, above 11 cities branch and cut.

    Examples
    --------
    >>> tsp = TSP(n=5)
    >>> instance = tsp.instance(seed=0)
    >>> best = tsp.reference(instance)
    >>> tsp.verify(instance, tsp.format(instance, best.solution)).optimal
    True
    """

    name: ClassVar = "TSP"
    version: ClassVar = 0
    family: ClassVar = "planning"
    sense: ClassVar = "min"
    kind: ClassVar = "permutation"
    constraints: ClassVar = ("known", "visited", "once")
    open_constraints: ClassVar = ("visited",)
    instance_type: ClassVar = TSPInstance
    work_limit: ClassVar = 60_000_000

    n: int = 10
    """Number of cities."""
    distribution: str = "uniform"
    """``uniform`` or ``clustered`` points, or a ``matrix`` of independent distances; see [5]_."""
    grid: int = 100
    """Points lie on a ``grid`` by ``grid`` lattice; distances of a matrix are 1 to ``grid``."""
    spacing: int = 1
    """Units between neighbouring lattice points: a coarse grid with fine distances has ``spacing`` 100."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="a tour needs three cities")
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_int("grid", self.grid, 2, _MAX_COORDINATE)
        check_int("spacing", self.spacing, 1, _MAX_COORDINATE // self.grid)
        room = isqrt(2 * self.n - 1) + 1  # half of the lattice stays free, so that drawing ends soon
        if self.distribution != "matrix":
            check_int("grid", self.grid, room, rule=f"n={self.n} cities need twice as many lattice points")

    def at_level(self, level: int) -> TSP:
        n = size_at_level(5, level)
        return replace(self, n=n, grid=max(self.grid, isqrt(2 * n - 1) + 1))

    def generate(self, rng: np.random.Generator) -> TSPInstance:
        n, grid = self.n, self.grid
        if self.distribution == "matrix":
            upper = np.triu(rng.integers(1, grid + 1, size=(n, n)), 1)
            return TSPInstance(matrix=tuple(map(tuple, (upper + upper.T).tolist())))
        if self.distribution == "uniform":
            cells = rng.choice(grid * grid, size=n, replace=False)
            points = np.stack([cells // grid, cells % grid], axis=1)
        else:
            points = self._clustered(rng)
        return TSPInstance(xy=tuple(map(tuple, (points * self.spacing).tolist())))

    def _clustered(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw distinct points, normally spread around one centre for every five cities."""
        centres = rng.integers(self.grid, size=(-(-self.n // 5), 2))
        chosen: dict[tuple[int, ...], None] = {}
        spread = self.grid / 20
        while len(chosen) < self.n:
            around = centres[rng.integers(len(centres), size=self.n)]
            drawn = np.rint(around + rng.normal(scale=spread, size=(self.n, 2))).astype(np.int64)
            chosen.update(
                dict.fromkeys(map(tuple, drawn[((drawn >= 0) & (drawn < self.grid)).all(axis=1)].tolist()))
            )
            spread *= 1.1  # a small grid fills up around the centres; then the clusters widen
        return rng.permutation(np.array(list(chosen)[: self.n], dtype=np.int64))

    def describe(self, instance: TSPInstance) -> str:
        if instance.xy:
            return "\n".join(f"{i}: {x} {y}" for i, (x, y) in enumerate(instance.xy))
        return "\n".join(f"{i}: " + " ".join(map(str, row[:i])) for i, row in enumerate(instance.rows) if i)

    def prompt(self, instance: TSPInstance) -> str:
        if self.style == "compact":
            return self._compact(instance)
        n = instance.size
        if instance.xy:
            data = (
                "one line per city, with its number and its coordinates x y. "
                "The distance between two cities is Euclidean, rounded to the nearest integer."
            )
        else:
            data = f"one line per city i from 1 to {n - 1}, with its distances to the cities 0 to i-1."
        task = (
            "Travelling salesman problem: find the shortest closed tour that visits every city exactly once "
            f"and returns to its start.\nThere are {n} cities, numbered 0 to {n - 1}: {data}"
        )
        what = (
            f"a JSON list of all {n} city numbers in the order of visit, each once "
            "(do not repeat the first city at the end),"
        )
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def _compact(self, instance: TSPInstance) -> str:
        """City 0, then the others in one fixed order; an answer names those others in order of visit."""
        names, rows = instance.names, instance.rows
        if instance.xy:  # sorted, so that a model meets one text for one set of cities
            rest = sorted(range(1, instance.size), key=lambda i: instance.xy[i])
            return " ".join(names[i] for i in (0, *rest)) + " >"
        return (
            " ".join(f"{names[i]} : " + " ".join(map(str, rows[i][:i])) for i in range(1, instance.size))
            + " >"
        )

    def example(self, instance: TSPInstance) -> tuple[TSPInstance, Tour]:
        square = ((0, 0), (4, 3), (4, 0), (0, 3))
        tiny = TSPInstance(xy=square)
        tour: Tour = (0, 2, 1, 3)
        if instance.size == 4:  # a tour of another length, so never an answer to this instance
            tiny, tour = TSPInstance(xy=(*square, (2, 5))), (0, 2, 1, 4, 3)
        return (tiny, tour) if instance.xy else (TSPInstance(matrix=tiny.rows), tour)

    def parse(self, instance: TSPInstance, text: str) -> Tour:
        if self.style == "prose":
            return tuple(read_integers(text))
        words = read_words(text)
        for word in words:
            if not re.fullmatch(_POINT if instance.xy else _NUMBER, word):
                raise Malformed(f"a city is named like {instance.names[0]}, got {word[:20]!r}")
        numbers = {name: i for i, name in enumerate(instance.names)}
        return (0, *(numbers.get(word, -1) for word in words))

    def write(self, instance: TSPInstance, solution: Tour) -> str:
        if self.style == "prose":
            return str(list(solution))
        start = solution.index(0)
        return " ".join(instance.names[i] for i in solution[start + 1 :] + solution[:start])

    def violations(self, instance: TSPInstance, solution: Tour) -> tuple[Violation, ...]:
        n = instance.size
        if len(solution) == n == len(instance.cities.intersection(solution)):
            return ()
        listed = known(solution, n)
        found, cities = [], set(listed)
        unknown = len(solution) - len(listed)
        if unknown:
            found.append(Violation("known", unknown, n, f"cities are 0 to {n - 1}, got {unknown} others"))
        missing = sorted(instance.cities - cities)
        if missing:
            reason = f"each city is visited, missing {len(missing)} of {n}: {missing[:10]}"
            found.append(Violation("visited", len(missing), n, reason))
        repeats = len(listed) - len(cities)
        if repeats:
            found.append(
                Violation("once", repeats, n, f"each city is visited once, got {repeats} repeated visits")
            )
        return tuple(found)

    def objective(self, instance: TSPInstance, solution: Tour) -> int:
        rows = instance.table
        if rows is None:
            stops = instance.points[list(solution)]
            return int(lengths(stops - np.roll(stops, 1, axis=0)).sum())
        # A part of a tour, as it is built, may be one city.
        return rows[solution[-1]][solution[0]] + sum([rows[a][b] for a, b in pairwise(solution)])

    def extensions(self, instance: TSPInstance, partial: Tour) -> list[int]:
        return sorted(instance.cities.difference(partial))

    def trivial(self, instance: TSPInstance) -> Tour:
        """Return the shortest of six tours that ignore the distances: no constant answer does better for long."""
        return min(blind_orders(instance.size), key=lambda tour: self.objective(instance, tour))

    def heuristic(
        self, instance: TSPInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Tour:
        """Nearest neighbour from city 0 [4]_, or the trivial tour where that happens to be shorter.

        At most (ceil(log2 n) + 1) / 2 times the optimum under the triangle inequality.
        """
        tour, left = [0], list(range(1, instance.size))
        while left:
            distance = instance.row(tour[-1]).__getitem__
            nearest = min(left, key=distance)  # of several the first, for those left stay in order
            if rng is not None and len(left) > 1 and rng.random() < slip:
                nearest = min([city for city in left if city != nearest], key=distance)
            left.remove(nearest)
            tour.append(nearest)
        found, trivial = tuple(tour), self.trivial(instance)
        if rng is None and self.objective(instance, trivial) < self.objective(instance, found):
            return trivial
        return found

    def random(self, instance: TSPInstance, rng: np.random.Generator) -> Tour:
        return tuple(rng.permutation(instance.size).tolist())

    def neighbour(self, instance: TSPInstance, solution: Tour, rng: np.random.Generator) -> Tour:
        """Reverse a random stretch of the tour: 2-opt."""
        i, j = sorted(rng.integers(instance.size + 1, size=2).tolist())
        return solution[:i] + solution[i:j][::-1] + solution[j:]

    def solve(self, instance: TSPInstance, limit: int) -> Certificate[Tour]:
        """Held-Karp [3]_ in n^2 2^n steps up to 11 cities, else branch and cut, see `core/tour.py`."""
        n = instance.size
        if n <= _HELD_KARP and n * n << n <= limit:
            return held_karp(instance.rows)
        return tours.shortest(instance.rows, self.heuristic(instance), limit)

    def canonical(self, instance: TSPInstance, solution: Tour) -> Tour:
        start = solution.index(0)
        tour = solution[start:] + solution[:start]
        return tour if tour[1] <= tour[-1] else tour[:1] + tour[:0:-1]

    def draw(self, instance: TSPInstance, solution: Tour | None, ax: Any) -> None:
        n = instance.size
        visited, again, wrong = drawing.sorted_out("city", n, 0, solution or ())
        missing = [] if solution is None else sorted(set(range(n)).difference(visited))
        legs = drawing.links(solution or (), n)
        if instance.xy:
            where = np.array(instance.xy, dtype=float)
        else:  # there is no map: a circle in the order of the visits
            where = drawing.around(n, [visited or range(n)], missing if visited else ())
        drawing.lines(ax, where, legs, colors=drawing.PATH, linewidths=1.8, zorder=2)
        drawing.dots(
            ax,
            where,
            range(n),
            ringed=[*missing, *again],
            margin=0.1,
            beside=legs if n <= drawing.MANY else None,
        )
        for a, b in legs if not instance.xy and n <= drawing.MANY // 4 else ():
            middle = 1.12 * (where[a] + where[b]) / 2
            drawing.label(ax, shorten(instance.rows[a][b], 8), middle, color=drawing.PATH)
        drawing.bare(ax)
        if missing:
            wrong.append(f"not visited (ringed): {drawing.listing(missing)}")
        drawing.say(ax, f"{n} cities" if solution is None else f"{n} cities, {len(legs)} legs", wrong)


def lengths(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the lengths of vectors with two components each, rounded to the nearest integer.

    Exact: squared lengths are integers, so k + 1/2 never occurs, and below 2^43 a float square root cannot
    cross it either.

    Examples
    --------
    >>> lengths(np.array([[3, 4], [1, 1], [1, 2]])).tolist()
    [5, 1, 2]
    """
    rounded: NDArray[np.int64] = np.rint(np.sqrt((offsets**2).sum(axis=-1))).astype(np.int64)
    return rounded


def held_karp(rows: Sequence[Sequence[int]]) -> Certificate[Tour]:
    """Solve by dynamic programming over the sets of visited cities [3]_: n^2 2^n steps, n 2^n memory.

    Examples
    --------
    >>> held_karp([[0, 1, 9], [1, 0, 2], [9, 2, 0]]).value
    12
    """
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
