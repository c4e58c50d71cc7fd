"""Best packs by dynamic programming over Pareto sets, with Dantzig's bound; and first fit.

References
----------
.. [1] G. Dantzig, "Discrete-variable extremum problems", Operations Research 5(2), 1957.
.. [2] G. Nemhauser, Z. Ullmann, "Discrete dynamic programming and capital allocation",
   Management Science 15(9), 1969.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from ..core.reference import Certificate

Items: TypeAlias = tuple[int, ...]
Numbers: TypeAlias = Sequence[int]


def first_fit(weights: Numbers, room: int, start: Iterable[int], order: Iterable[int]) -> list[int]:
    """Return ``start``, which fits, with the items of ``order`` that in turn fit into what is left of ``room``."""
    chosen = []
    for item in chain(start, order):
        if weights[item] <= room:
            room -= weights[item]
            chosen.append(item)
    return chosen


def nemhauser_ullmann(
    capacity: int, weights: Numbers, values: Numbers, order: Numbers, start: Items, limit: int
) -> Certificate[Items]:
    """Return the best pack: item by item, the packs that no lighter one is worth as much as [2]_.

    Packs that even a fractional rest cannot lift above the best one are left out. Numbers may be of any size, ``order``
    has the items by falling value per weight, ``start`` is a pack to begin with, and ``limit`` counts packs looked at,
    each of them five times where numbers are too large for 64 bits.

    Examples
    --------
    >>> nemhauser_ullmann(10, (6, 5, 4), (7, 5, 6), (2, 0, 1), (), 100).solution
    (0, 2)
    """
    total = max(sum(weights), sum(values), capacity)
    kind: Any = np.int64 if total < 2**31 else object
    steps = 1 if kind is np.int64 else 5  # that a pack takes
    best_value, best_at = sum([values[item] for item in start]), 0
    loads, worths = np.zeros(1, dtype=kind), np.zeros(1, dtype=kind)
    stages = [(loads, worths)]
    best_stage = 0
    work, bound = 0, dantzig(capacity, weights, values, order)
    for k, item in enumerate(order):
        work += steps * len(loads)
        if work > limit:
            break
        fits = loads <= capacity - weights[item]
        loads = np.concatenate([loads, loads[fits] + weights[item]])
        worths = np.concatenate([worths, worths[fits] + values[item]])
        rank = np.lexsort((-worths, loads))
        loads, worths = loads[rank], worths[rank]
        keep = np.ones(len(worths), dtype=bool)
        keep[1:] = worths[1:] > np.maximum.accumulate(worths)[:-1]
        if k + 1 < len(order):
            after = order[k + 1]
            keep &= worths + (capacity - loads) * values[after] // weights[after] > best_value
        loads, worths = loads[keep], worths[keep]
        stages.append((loads, worths))
        if not len(worths):
            break
        if int(worths[-1]) > best_value:
            best_value, best_stage, best_at = int(worths[-1]), len(stages), len(worths) - 1
    best = _trace(stages[:best_stage], weights, values, order, best_at) if best_stage else start
    bound = max(bound, best_value) if work > limit else best_value
    return Certificate(tuple(sorted(best)), best_value, bound, "Nemhauser-Ullmann", work)


def dantzig(capacity: int, weights: Numbers, values: Numbers, order: Numbers) -> int:
    """Return the value of the fractional optimum, rounded down [1]_; ``order`` is by falling value per weight."""
    value, room = 0, capacity
    for item in order:
        if weights[item] > room:
            return value + room * values[item] // weights[item]
        room -= weights[item]
        value += values[item]
    return value


def _trace(stages: list[tuple[Any, Any]], weights: Numbers, values: Numbers, order: Numbers, at: int) -> Items:
    """Walk back from pack ``at`` of the last stage to the items it holds."""
    load, worth = (int(array[at]) for array in stages[-1])
    chosen = []
    for k in range(len(stages) - 2, -1, -1):
        loads, worths = stages[k]
        before = int(np.searchsorted(loads, load))
        if before < len(loads) and loads[before] == load and worths[before] == worth:
            continue
        chosen.append(order[k])
        load -= weights[order[k]]
        worth -= values[order[k]]
    return tuple(chosen)
