"""Cheapest covers by sets, with CP-SAT.

References
----------
.. [1] V. Chvatal, "A greedy heuristic for the set-covering problem", Mathematics of Operations
   Research 4(3), 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import Any, TypeAlias

from ..core.reference import Certificate
from . import cpsat

Chosen: TypeAlias = tuple[int, ...]


def cheapest_cover(
    universe: int, subsets: Sequence[Sequence[int]], costs: Sequence[int], start: Chosen, limit: int
) -> Certificate[Chosen]:
    """Return the cheapest cover with its proof, or the best one and the best bound within ``limit``.

    Elements are 0 to ``universe - 1``, and ``limit`` is CP-SAT's deterministic time in millionths. ``start`` is the
    cover of the greedy rule, cheapest per new element first. It costs at most H(k) times the optimum, k the size of the
    largest set [1]_, which bounds the optimum where the search ends too soon. A model of more literals than the limit
    allows is not built.

    Examples
    --------
    >>> cheapest_cover(3, [(0, 1), (1, 2), (0, 1, 2)], [2, 2, 3], (0, 1), 10**6).solution
    (2,)
    """

    def price(cover: Chosen) -> int:
        return sum([costs[j] for j in cover])

    largest = max(1, *map(len, subsets))
    bound = ceil(price(start) / sum(Fraction(1, k) for k in range(1, largest + 1)))
    limit -= cpsat.STEPS_PER_LITERAL * sum(map(len, subsets))
    if limit <= 0:
        return Certificate(start, price(start), bound, "Chvatal's greedy", 0)
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    takes = [model.new_bool_var("") for _ in subsets]
    holders: list[list[Any]] = [[] for _ in range(universe)]
    chosen = set(start)
    for j, subset in enumerate(subsets):
        model.add_hint(takes[j], j in chosen)
        for element in subset:
            holders[element].append(takes[j])
    for literals in holders:
        model.add_bool_or(literals)
    model.minimize(sum(cost * take for cost, take in zip(costs, takes, strict=True)))
    solved = cpsat.solve(model, limit, linearization_level=2)
    bound = max(bound, solved.bound)
    best = start
    if solved.feasible:
        best = min(start, tuple([j for j, take in enumerate(takes) if solved.value(take)]), key=price)
    return Certificate(best, price(best), bound, solved.name, solved.work)
