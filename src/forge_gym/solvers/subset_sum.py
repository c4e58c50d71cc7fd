"""Sums of subsets: the greatest up to a target, and the most or the fewest numbers that make one exactly.

References
----------
.. [1] R. Bellman, "Dynamic Programming", Princeton University Press, 1957.
.. [2] E. Horowitz, S. Sahni, "Computing partitions with applications to the knapsack problem",
   Journal of the ACM 21(2), 1974.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import gcd
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.reference import Certificate
from .knapsack import first_fit

Chosen: TypeAlias = tuple[int, ...]
Numbers: TypeAlias = Sequence[int]


def largest_sum(numbers: Numbers, target: int, start: Chosen, limit: int) -> Certificate[Chosen]:
    """Return the numbers with the greatest sum up to ``target``, or the best ones and bound within ``limit``.

    Dynamic programming [1]_ over bit masks, two halves [2]_ where the target is large; of the numbers that are too
    many for these, the largest are taken greedily, and the bound is then a rounded target.

    Numbers are positive integers of any size, and solutions are positions. ``limit`` counts words of 64 sums, or sums
    of halves.

    Examples
    --------
    >>> largest_sum([8, 5, 6, 4], 10, (0,), 1000).solution
    (2, 3)
    """

    def total(chosen: Iterable[int]) -> int:
        return sum([numbers[i] for i in chosen])

    best, value = start, total(start)
    usable = [i for i in sorted(range(len(numbers)), key=lambda i: (-numbers[i], i)) if numbers[i] <= target]
    divisor = gcd(*[numbers[i] for i in usable]) or 1
    bound = min(total(usable), target // divisor * divisor)
    if value == bound:
        return Certificate(best, value, bound, "largest first", 0)
    words = len(usable) * (target // divisor // 64 + 1)
    sums = 1 if total(usable) < 2**62 else 32  # steps that a sum takes
    halves = sums << (len(usable) + 1) // 2 + 1
    if words <= min(limit, halves):
        small = [numbers[i] // divisor for i in usable]
        most = reachable(small, target // divisor)[0].bit_length() - 1
        picked = backtrack(small, range(len(small)), most, lambda: False)
        best = tuple(sorted([usable[k] for k in picked]))
        return Certificate(best, total(best), total(best), "dynamic programming", words)
    size = len(usable) if halves <= limit else 2 * max(0, (limit // sums).bit_length() - 2)
    large, core = usable[: len(usable) - size], usable[len(usable) - size :]
    fixed = first_fit(numbers, target - total(core) // 2, (), large)
    halved = meet([numbers[i] for i in core], target - total(fixed))
    best = max(best, tuple(sorted([*fixed, *(core[k] for k in halved)])), key=total)
    value = total(best)
    work = sums << (size + 1) // 2 + 1
    return Certificate(best, value, bound if large else value, "meet in the middle", min(work, limit))


def most_numbers(numbers: Numbers, target: int, start: Chosen, limit: int) -> Certificate[Chosen]:
    """Return the most numbers whose sum is ``target``, by dynamic programming [1]_ in n times target steps.

    Where that is above ``limit``, it is ``start``, bounded by how many of the smallest numbers fit.

    Examples
    --------
    >>> most_numbers([3, 6, 2, 4, 5], 9, (0, 1), 1000).solution
    (0, 2, 3)
    """
    work = len(numbers) * target
    if work <= limit:
        best = dp_exact(numbers, target, most=True)
        return Certificate(best, len(best), len(best), "dynamic programming", work)
    fitting = first_fit(sorted(numbers), target, (), range(len(numbers)))
    return Certificate(start, len(start), len(fitting), "exchange", 0)


def is_reachable(numbers: Numbers, target: int) -> bool:
    """Whether some of the ``numbers`` have the sum ``target``."""
    return bool(reachable(numbers, target)[0] >> target & 1)


def pair_exchange(
    numbers: Numbers,
    by_size: Numbers,
    start: Chosen,
    choose: Callable[[Iterator[tuple[int, int, int]]], tuple[int, int, int] | None],
) -> Chosen:
    """Return ``start`` after replacing one number by two others of its sum, while that is possible.

    ``by_size`` has the positions by falling size: large numbers go first, by small ones. ``choose`` picks one of the
    exchanges, each a position that goes and two that come, and returns None where there are none.

    Examples
    --------
    >>> pair_exchange([3, 6, 2, 4, 5], [1, 4, 3, 0, 2], (0, 1), lambda moves: next(moves, None))
    (0, 2, 3)
    """
    chosen = set(start)

    def pairs(whole: int) -> Iterator[tuple[int, int, int]]:
        at: dict[int, int] = {}
        for i in by_size[::-1]:
            if i not in chosen:
                if numbers[whole] - numbers[i] in at:
                    yield whole, at[numbers[whole] - numbers[i]], i
                at[numbers[i]] = i

    while True:
        move = choose(pair for whole in by_size if whole in chosen for pair in pairs(whole))
        if move is None:
            return tuple(sorted(chosen))
        chosen.symmetric_difference_update(move)


def reachable(numbers: Sequence[int], target: int) -> list[int]:
    """Return, for each k and at last for none, the sums of ``numbers[k:]`` up to ``target`` as set bits."""
    mask = (1 << (target + 1)) - 1
    stages = [1]
    for number in reversed(numbers):
        sums = stages[-1]
        stages.append(sums | (sums << number & mask) if number <= target else sums)
    return stages[::-1]


def backtrack(numbers: Sequence[int], order: Sequence[int], target: int, wanted: Callable[[], bool]) -> Chosen:
    """Return numbers of ``order`` that hit ``target``, which some do.

    In that order, a number that can be taken as well as left is taken if ``wanted()``.
    """
    stages, chosen = reachable([numbers[i] for i in order], target), []
    for i, sums in zip(order, stages[1:], strict=True):
        takes = numbers[i] <= target and sums >> (target - numbers[i]) & 1
        if takes and not (sums >> target & 1 and not wanted()):
            target -= numbers[i]
            chosen.append(i)
    return tuple(sorted(chosen))


def dp_exact(numbers: Sequence[int], target: int, most: bool) -> Chosen:
    """Return the most, or the fewest, ``numbers`` whose sum is ``target``, which some have."""
    scores: NDArray[np.int32] = np.full(target + 1, -(10**9), dtype=np.int32)  # unreached, all but 0
    scores[0] = 0
    improved = []
    for number in numbers:
        taken = scores[: max(0, target + 1 - number)] + np.int32(1 if most else -1)
        better = taken > scores[target + 1 - len(taken) :]
        scores[target + 1 - len(taken) :][better] = taken[better]
        improved.append(np.packbits(better))
    chosen, rest = [], target
    for i in range(len(numbers) - 1, -1, -1):
        at = rest - numbers[i]
        if at >= 0 and improved[i][at >> 3] >> (7 - (at & 7)) & 1:
            chosen.append(i)
            rest = at
    return tuple(sorted(chosen))


def meet(numbers: Sequence[int], target: int) -> list[int]:
    """Return the positions of ``numbers`` with the greatest sum up to ``target``, by two halves [2]_."""
    half = len(numbers) // 2
    kind: Any = np.int64 if max(sum(numbers), target) < 2**62 else object
    sides = []
    for side in (numbers[:half], numbers[half:]):
        sums = np.zeros(1, dtype=kind)  # at position m, the sum of the numbers whose bits m has
        for number in side:
            sums = np.concatenate([sums, sums + number])
        sides.append(sums)
    left, right = sides
    rank = np.argsort(right, kind="stable")
    fits = np.flatnonzero(left <= target)
    partner = np.searchsorted(right[rank], target - left[fits], side="right") - 1
    best = int(np.argmax(left[fits] + right[rank[partner]]))
    mask = int(fits[best]) | int(rank[partner[best]]) << half
    return [k for k in range(len(numbers)) if mask >> k & 1]
