"""Travelling salesman problem (TSP): the shortest closed tour through every city.

NP-hard [1]_. Distances are integers, so two solvers agree on an objective exactly: either Euclidean
between grid points, rounded to the nearest integer as TSPLIB's ``EUC_2D`` [2]_, or an explicit
symmetric matrix, which need not obey the triangle inequality.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] G. Reinelt, "TSPLIB: a traveling salesman problem library", ORSA J. Computing 3(4), 1991.
.. [3] D. Rosenkrantz, R. Stearns, P. Lewis, "An analysis of several heuristics for the traveling
   salesman problem", SIAM J. Computing 6(3), 1977.
.. [4] D. Johnson, L. McGeoch, "Experimental analysis of heuristics for the STSP", 2002: uniform,
   clustered and random-matrix instances.
.. [5] D. Applegate, R. Bixby, V. Chvatal, W. Cook, "The traveling salesman problem: a computational study", 2006.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from math import comb
from typing import Annotated, ClassVar, Literal

import numpy as np

from ..core import Certificate, Malformed, Range, check_int
from ..kinds import Choose, Data, Names, Order, Permutation, Table
from ..kinds.points import MAX_COORDINATE, Places, clustered_points, least_grid, pair_numbers, uniform_points
from ..pictures.plane import Tour
from ..solvers.branch_and_cut_tsp import shortest_tour
from ..solvers.greedy import PointsLeft, two_least

_NUMBER = r"(?:0|[1-9]\d{0,7})"
_POINT = rf"(?:{_NUMBER}|-[1-9]\d{{0,7}})\.(?:{_NUMBER}|-[1-9]\d{{0,7}})"


@dataclass(frozen=True)
class TSPInstance(Places):
    """At least three cities in the plane, or a symmetric matrix of distances."""

    def rules(self) -> Iterator[tuple[bool, str]]:
        yield from super().rules()
        yield self.size >= 3, f"a tour must have at least 3 cities, got {self.size}"


@dataclass(frozen=True, kw_only=True)
class TSP(Permutation[TSPInstance]):
    """Visit every city once and return to the start, as briefly as possible.

    Problem: min sum of d(tour[i], tour[i+1]) over the closed tour. Trivial: the best of 32 fixed tours.
    Heuristic: nearest neighbour [3]_. Reference: Held-Karp, above 11 cities branch and cut with subtour
    elimination and comb inequalities [5]_.

    Examples
    --------
    >>> problem = TSP(n=5)
    >>> instance = problem.instance(seed=0)
    >>> best = problem.reference(instance)
    >>> problem.verify(instance, problem.format(instance, best.solution)).optimal
    True
    """

    family: ClassVar = "planning"
    sense: ClassVar = "min"
    noun: ClassVar = "city"
    done: ClassVar = "visited", "visits"
    cyclic: ClassVar = True
    instance_type: ClassVar = TSPInstance
    work_limit: ClassVar = 20_000_000
    smallest: ClassVar = 9
    scratch: ClassVar = {"n": 6, "grid": 5, "spacing": 100}
    picture: ClassVar = Tour()
    formats: ClassVar = ("tsplib",)
    published: ClassVar = "tsp"

    n: int = 10
    """Number of cities."""
    distribution: Literal["uniform", "clustered", "matrix"] = "uniform"
    """``uniform`` or ``clustered`` points, or a ``matrix`` of independent distances; see [4]_."""
    grid: Annotated[int, Range(2, MAX_COORDINATE)] = 100
    """Points lie on a ``grid`` by ``grid`` lattice; distances of a matrix are 1 to ``grid``."""
    spacing: Annotated[int, Range(1)] = 1
    """Units between neighbouring lattice points: a coarse grid with fine distances has ``spacing`` 100."""

    def check(self) -> None:
        check_int("spacing", self.spacing, 1, MAX_COORDINATE // self.grid)
        if self.distribution != "matrix":
            rule = f"n={self.n} cities need twice as many lattice points"
            check_int("grid", self.grid, least_grid(self.n), rule=rule)

    def at_level(self, level: int) -> TSP:
        n = self.size_at_level(level)
        return replace(self, n=n, grid=max(self.grid, least_grid(n)))

    def generate(self, rng: np.random.Generator) -> TSPInstance:
        n, grid = self.n, self.grid
        if self.distribution == "matrix":
            distances = np.append(rng.integers(1, grid + 1, size=comb(n, 2)), 0)
            return TSPInstance(matrix=tuple(map(tuple, distances[pair_numbers(n)].tolist())))
        draw = uniform_points if self.distribution == "uniform" else clustered_points
        return TSPInstance(xy=tuple([(x * self.spacing, y * self.spacing) for x, y in draw(rng, n, grid)]))

    def question(self, instance: TSPInstance) -> str:
        return (
            "Travelling salesman problem: find the shortest closed tour that visits every city exactly once "
            f"and returns to its start.\nThere are {self.counted(instance)}"
        )

    def table(self, instance: TSPInstance) -> Data:
        if instance.xy:
            x, y = zip(*instance.xy, strict=True)
            order: Sequence[int] = range(instance.size)
            if self.style == "compact":  # one order, so that a small model meets one text for a set of cities
                order = (0, *sorted(order[1:], key=instance.xy.__getitem__))
            cities = Table("city", {"x": x, "y": y}, word="{x}.{y}", order=order)
            rounded = "The distance between two cities is Euclidean, rounded to the nearest integer."
            one = self.names_of(instance).one
            return Data((cities,), f": one line per city, with its {one} and its coordinates x y. {rounded}")
        lower = {"distances": [row[:i] for i, row in enumerate(instance.matrix)]}
        cities = Table("city", lower, word="{id} : {distances}", skip=1, across="elements")
        lines = f"city i from 1 to {instance.size - 1}, with its distances to the cities 0 to i-1"
        if self.names != 0:
            lines = "city but the first, with its distances to those before it"
        return Data((cities,), f": one line per {lines}.")

    def answer(self, instance: TSPInstance) -> str:
        one = self.names_of(instance).one
        once = "each once (do not repeat the first city at the end)"
        return f"a JSON list of all {instance.size} city {one}s in the order of visit, {once},"

    def read_compact(self, instance: TSPInstance, text: str, names: Names) -> Order:
        words = text.split()  # of all cities but 0, which is the start
        for word in words:
            if not re.fullmatch(_POINT if instance.xy else _NUMBER, word):
                raise Malformed(f"a city is named like {instance.words[0]}, got {word[:20]!r}")
        numbers = {word: city for city, word in enumerate(instance.words)}
        return (0, *[numbers.get(word, -1) for word in words])

    def write_compact(self, instance: TSPInstance, solution: Order, names: Names) -> str:
        start = solution.index(0)
        return " ".join([instance.words[city] for city in solution[start + 1 :] + solution[:start]])

    def tiny(self, instance: TSPInstance) -> tuple[TSPInstance, Order]:
        return _tiny(bool(instance.xy), instance.size == 4)

    def objective(self, instance: TSPInstance, solution: Order) -> int:
        return instance.length(solution)

    def greedy(self, instance: TSPInstance, choose: Choose) -> Iterator[int]:
        """Nearest neighbour from city 0 [3]_, of several the first.

        At most (ceil(log2 n) + 1) / 2 times the optimum under the triangle inequality.
        """
        left, city = list(range(instance.size)) if instance.all_kept else PointsLeft(instance.xy), 0
        for _ in range(instance.size - 1):
            left.remove(city)
            yield city
            near = two_least(left, instance.row(city).__getitem__) if isinstance(left, list) else left.nearest(city)
            city = choose(near)
        yield city

    def bound(self, instance: TSPInstance, partial: Order) -> int:
        return sum([instance.row(a)[b] for a, b in pairwise(partial)])

    def solve(self, instance: TSPInstance, start: Order, limit: int) -> Certificate[Order]:
        """Held-Karp in n^2 2^n steps up to 11 cities, else branch and cut."""
        return shortest_tour(instance.rows, start, limit)


@cache
def _tiny(with_points: bool, longer: bool) -> tuple[TSPInstance, Order]:
    """Return a worked example; one with a matrix takes longer to make than the text around it."""
    tour: Order
    square = ((0, 0), (4, 3), (4, 0), (0, 3))
    tiny, tour = TSPInstance(xy=square), (0, 2, 1, 3)
    if longer:  # a tour of another length is never an answer to this instance
        tiny, tour = TSPInstance(xy=(*square, (2, 5))), (0, 2, 1, 4, 3)
    return (tiny, tour) if with_points else (TSPInstance(matrix=tiny.rows), tour)
