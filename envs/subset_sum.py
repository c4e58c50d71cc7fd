"""Subset sum: the largest sum of chosen numbers that does not exceed a target.

NP-hard [1]_; solved by dynamic programming in time n times target [2]_, and in 2^(n/2) whatever the size
of the numbers [3]_. The variant ``published`` [6]_ asks for the target exactly, with as many numbers as
possible: then finding any feasible answer is NP-hard as well.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] R. Bellman, "Dynamic Programming", Princeton University Press, 1957.
.. [3] E. Horowitz, S. Sahni, "Computing partitions with applications to the knapsack problem",
   Journal of the ACM 21(2), 1974.
.. [4] S. Martello, P. Toth, "Knapsack Problems: Algorithms and Computer Implementations", Wiley, 1990,
   chapter 4.
.. [5] R. Merkle, M. Hellman, "Hiding information and signatures in trapdoor knapsacks", IEEE
   Transactions on Information Theory 24(5), 1978.
.. [6] "NP-Engine", arXiv 2510.16476, 2025.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import gcd
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core import drawing
from ..core.checks import check_choice, check_int, check_share, shorten
from ..core.numeric import Features, columns, scaled
from ..core.problem import Instance, Problem, moved, size_at_level
from ..core.reference import Certificate
from ..core.subset import (
    first_fit,
    read_signs,
    read_subset,
    subset_violations,
    write_signs,
    write_subset,
)
from ..core.verdict import Violation

Chosen: TypeAlias = tuple[int, ...]
"""The positions of the chosen numbers, counted from 0."""

DISTRIBUTIONS = ("uniform", "planted", "even")
VARIANTS = ("default", "published")
_MAX_EXACT = 10**6
"""Largest target to be hit exactly: anchors and checks of that variant need a dynamic programme over it."""


@dataclass(frozen=True)
class SubsetSumInstance(Instance):
    """Numbers and a target."""

    target: int
    """The sum not to exceed, or to hit where ``exact``."""
    numbers: tuple[int, ...]
    """(n,) positive numbers, equal ones allowed."""
    first: int = field(default=0, compare=False)
    """Position of the first number in texts. An example counts on from the instance that is asked."""
    exact: bool = False
    """Whether the target is hit exactly and the number of chosen numbers counts, instead of their sum."""

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.numbers)

    def check(self) -> None:
        """Raise ``ValueError`` unless the numbers are positive, and hit the target where they must."""
        if not isinstance(self.exact, bool):
            raise ValueError(f"exact must be true or false, got {self.exact!r}")
        check_int("target", self.target, 1, _MAX_EXACT if self.exact else None)
        check_int("first", self.first, 0)
        if not isinstance(self.numbers, tuple) or not self.numbers:
            raise ValueError(f"numbers must be a list of integers, got {self.numbers!r}")
        for number in self.numbers:
            check_int("each of numbers", number, 1)
        if self.exact and not reachable(self.numbers, self.target)[0] >> self.target & 1:
            raise ValueError(f"target must be the sum of some numbers, got {self.target}, which is of none")

    def relabelled(self, order: Sequence[int]) -> Self:
        """Return the same numbers with the one at position ``i`` moved to ``order[i]``."""
        return replace(self, numbers=moved(self.numbers, order))

    def invariant(self) -> Any:
        """Return the target and the sorted numbers."""
        return [self.target, self.exact, sorted(self.numbers)]

    def features(self) -> Features:
        """Return the numbers as shares of the target."""
        return Features(columns(scaled(np.array(self.numbers, dtype=float), self.target)))

    @cached_property
    def by_size(self) -> tuple[int, ...]:
        """Positions by falling number; ties by position."""
        return tuple(sorted(range(self.size), key=lambda i: (-self.numbers[i], i)))


@dataclass(frozen=True, kw_only=True)
class SubsetSum(Problem[SubsetSumInstance, Chosen]):
    """Choose numbers of the greatest sum within a target.

    Problem: max sum of a[i] over the chosen numbers, not above the target. Answer: a list of the chosen
    numbers' positions in any order. Trivial: first fit in the order given. Heuristic: largest first [4]_.
    Reference: dynamic programming [2]_, or meet in the middle [3]_ where the numbers are huge.

    With ``variant="published"`` instead: max number of chosen numbers, their sum equal to the target. There
    even the anchors need a dynamic programme. Trivial: the fewest numbers that hit the target. Heuristic:
    from these, replace a number by two others of the same sum, greedily.

    Examples
    --------
    >>> problem = SubsetSum()
    >>> instance = SubsetSumInstance(target=10, numbers=(8, 5, 6, 4))
    >>> problem.heuristic(instance), problem.reference(instance).solution
    ((0,), (2, 3))
    >>> instance = SubsetSumInstance(target=9, numbers=(3, 6, 2, 4, 5), exact=True)
    >>> problem.trivial(instance), problem.reference(instance).solution
    ((0, 1), (0, 2, 3))
    """

    name: ClassVar = "SubsetSum"
    version: ClassVar = 0
    family: ClassVar = "selection"
    sense: ClassVar = "max"
    kind: ClassVar = "subset"
    constraints: ClassVar = ("known", "once", "target")
    instance_type: ClassVar = SubsetSumInstance
    work_limit: ClassVar = 10_000_000

    n: int = 20
    """How many numbers there are."""
    distribution: str = "uniform"
    """``uniform`` [4]_: random numbers and target; ``planted``: the target is the sum of hidden numbers, as
    in knapsack ciphers [5]_; ``even`` [4]_: doubled numbers and an odd target, which no sum hits."""
    largest: int = 0
    """Numbers are 1 to ``largest``; 0 stands for 1000, and for 3 n in ``published``, where greedy has then
    most room."""
    tightness: float = 0.5
    """Target as a share of the sum of all numbers; of ``planted``, share of the numbers that are hidden."""
    variant: str = "default"
    """``default``: the greatest sum within the target; ``published``: hit the target, always planted, with
    as many numbers as possible."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="fewer numbers leave no choice")
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_choice("variant", self.variant, VARIANTS)
        check_int("largest", self.largest, 0, 10**9 if self.variant == "default" else 10**4)
        check_share("tightness", self.tightness, 0.01, 0.99)

    def at_level(self, level: int) -> SubsetSum:
        return replace(self, n=size_at_level(8, level))

    def generate(self, rng: np.random.Generator) -> SubsetSumInstance:
        n, exact = self.n, self.variant == "published"
        largest = self.largest or (3 * n if exact else 1000)
        numbers = rng.integers(1, largest + 1, size=n) * (2 if self.distribution == "even" else 1)
        if exact or self.distribution == "planted":
            hidden = rng.permutation(n)[: min(n - 1, max(1, round(self.tightness * n)))]
            target = int(numbers[hidden].sum())
        else:
            target = max(int(numbers.min()), int(self.tightness * int(numbers.sum())))
            if self.distribution == "even":
                target |= 1
        return SubsetSumInstance(target, tuple(numbers.tolist()), exact=exact)

    def describe(self, instance: SubsetSumInstance) -> str:
        lines = [f"{i}: {number}" for i, number in enumerate(instance.numbers, instance.first)]
        return f"target {instance.target}\n" + "\n".join(lines)

    def prompt(self, instance: SubsetSumInstance) -> str:
        if self.style == "compact":
            numbers = " ".join(str(instance.numbers[i]) for i in instance.by_size)
            return f"{'e' if instance.exact else 't'}{instance.target} {numbers} >"
        n, first = instance.size, instance.first
        if instance.exact:
            goal = "choose as many numbers as possible whose sum is exactly the target."
        else:
            goal = "choose numbers with the greatest sum that does not exceed the target."
        task = (
            f"Subset sum problem: {goal} Each number can be taken once.\nThere are {n} numbers, at positions "
            f"{first} to {first + n - 1}: one line per number, with its position and the number."
        )
        what = "a JSON list of the positions of the chosen numbers, each once, in any order,"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: SubsetSumInstance) -> tuple[SubsetSumInstance, Chosen]:
        # Counting on from the instance's last number: the example's answer names none of its positions.
        first = instance.first + instance.size
        if instance.exact:
            return SubsetSumInstance(9, (3, 6, 2, 4, 5), first, exact=True), (0, 2, 3)
        return SubsetSumInstance(10, (8, 5, 6, 4), first), (2, 3)

    def parse(self, instance: SubsetSumInstance, text: str) -> Chosen:
        if self.style == "prose":
            return read_subset(text, instance.first)
        return read_signs(text, instance.by_size)

    def write(self, instance: SubsetSumInstance, solution: Chosen) -> str:
        if self.style == "prose":
            return write_subset(solution, instance.first)
        return write_signs(solution, instance.by_size)

    def violations(self, instance: SubsetSumInstance, solution: Chosen) -> tuple[Violation, ...]:
        found, chosen = subset_violations("positions", instance.size, instance.first, solution)
        target = instance.target
        total = sum([instance.numbers[i] for i in chosen])
        if total > target:
            rule = "equal to" if instance.exact else "at most"
            reason = f"the sum is {rule} {target}, got {total}"
            found.append(Violation("target", total - target, sum(instance.numbers) - target, reason))
        elif instance.exact and total < target:
            reason = f"the sum is equal to {target}, got {total}"
            found.append(Violation("target", target - total, target, reason))
        return tuple(found)

    def objective(self, instance: SubsetSumInstance, solution: Chosen) -> int:
        return len(solution) if instance.exact else sum([instance.numbers[i] for i in solution])

    def extensions(self, instance: SubsetSumInstance, partial: Chosen) -> list[int]:
        numbers, room = instance.numbers, instance.target - sum([instance.numbers[i] for i in partial])
        left = [i for i in range(instance.size) if numbers[i] <= room and i not in partial]
        if not instance.exact:
            return left

        def hits(i: int) -> bool:
            others = [numbers[j] for j in left if j != i]
            return bool(reachable(others, room - numbers[i])[0] >> (room - numbers[i]) & 1)

        return list(filter(hits, left))

    def trivial(self, instance: SubsetSumInstance) -> Chosen:
        if instance.exact:
            return hit(instance.numbers, instance.target, most=False)
        return first_fit(instance.numbers, instance.target, range(instance.size))

    def heuristic(
        self, instance: SubsetSumInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Chosen:
        """Largest first [4]_, or first fit where that is better: at least half of the optimum.

        To hit the target: from the fewest numbers on, the largest chosen number that two others sum up to
        gives way to them. No guarantee, but never worse than the fewest, which a dynamic programme finds.
        """
        if instance.exact:
            return exchange(instance, self.trivial(instance), lambda: rng is None or rng.random() >= slip)
        kept = [i for i in instance.by_size if rng is None or rng.random() >= slip]
        found = first_fit(instance.numbers, instance.target, kept)
        if rng is not None:
            return found
        return max(found, self.trivial(instance), key=lambda chosen: self.objective(instance, chosen))

    def random(self, instance: SubsetSumInstance, rng: np.random.Generator) -> Chosen:
        """Return first fit in random order; to hit the target, a coin for each number that may go either way."""
        order = rng.permutation(instance.size).tolist()
        if instance.exact:
            return walk(instance.numbers, order, instance.target, lambda: rng.random() < 0.5)
        return first_fit(instance.numbers, instance.target, order)

    def neighbour(self, instance: SubsetSumInstance, solution: Chosen, rng: np.random.Generator) -> Chosen:
        """Take or leave a random number, make room by leaving random others, and fill up at random.

        To hit the target, half of the numbers are chosen anew such that their sum stays the same.
        """
        order = rng.permutation(instance.size).tolist()
        if instance.exact:
            free = order[: max(2, instance.size // 2)]
            rest = sum([instance.numbers[i] for i in free if i in solution])
            anew = walk(instance.numbers, free, rest, lambda: rng.random() < 0.5)
            return tuple(sorted([*anew, *(i for i in solution if i not in free)]))
        flipped, *others = order
        taken = [i for i in others if i in solution]
        left = [i for i in others if i not in solution]
        return first_fit(
            instance.numbers,
            instance.target,
            [*taken, *left] if flipped in solution else [flipped, *taken, *left],
        )

    def solve(self, instance: SubsetSumInstance, limit: int) -> Certificate[Chosen]:
        """Dynamic programming [2]_ or meet in the middle [3]_, whichever takes fewer steps.

        A step is a word of 64 sums in the former, a sum in the latter (32 steps beyond 64 bits), and one
        sum when the target is to be hit. What neither completes within ``limit`` is searched in its
        smaller numbers only, which is a proof where it attains the bound by the greatest common divisor.
        """
        numbers, target = instance.numbers, instance.target
        best = self.heuristic(instance)
        value = self.objective(instance, best)
        if instance.exact:
            work = instance.size * target
            if work <= limit:
                best = hit(numbers, target, most=True)
                return Certificate(best, len(best), len(best), "dynamic programming", work)
            smallest = first_fit(
                instance.numbers, instance.target, instance.by_size[::-1]
            )  # no more numbers than these can fit
            return Certificate(best, value, len(smallest), "exchange", 0)
        usable = [i for i in instance.by_size if numbers[i] <= target]
        divisor = gcd(*[numbers[i] for i in usable]) or 1
        bound = min(sum([numbers[i] for i in usable]), target // divisor * divisor)
        if value == bound:
            return Certificate(best, value, bound, "largest first", 0)
        words = len(usable) * (target // divisor // 64 + 1)
        sums = 1 if sum([numbers[i] for i in usable]) < 2**62 else 32
        halves = sums << (len(usable) + 1) // 2 + 1
        if words <= min(limit, halves):
            picked = fill([numbers[i] // divisor for i in usable], target // divisor)
            best = tuple(sorted([usable[k] for k in picked]))
            value = self.objective(instance, best)
            return Certificate(best, value, value, "dynamic programming", words)
        size = len(usable) if halves <= limit else 2 * max(0, (limit // sums).bit_length() - 2)
        large, core = usable[: len(usable) - size], usable[len(usable) - size :]
        room, fixed = target - sum([numbers[i] for i in core]) // 2, []
        for i in large:
            if numbers[i] <= room:
                room -= numbers[i]
                fixed.append(i)
        rest = target - sum([numbers[i] for i in fixed])
        picked = meet([numbers[i] for i in core], rest)
        found = tuple(sorted([*fixed, *(core[k] for k in picked)]))
        best = max(best, found, key=lambda chosen: self.objective(instance, chosen))
        value = self.objective(instance, best)
        work = sums << (size + 1) // 2 + 1
        return Certificate(best, value, bound if large else value, "meet in the middle", min(work, limit))

    def canonical(self, instance: SubsetSumInstance, solution: Chosen) -> Chosen:
        return tuple(sorted(solution))

    def draw(self, instance: SubsetSumInstance, solution: Chosen | None, ax: Any) -> None:
        numbers, target, order = instance.numbers, instance.target, instance.by_size
        chosen, again, wrong = drawing.sorted_out("position", instance.size, instance.first, solution or ())
        per, power = drawing.unit(max(target, sum(numbers)))
        names = [i + instance.first for i in order]
        drawing.waterfall(ax, numbers, ("target", target), per, order, names, set(chosen), again)
        if solution is None:
            drawing.say(ax, f"numbers{power}, by size")
            return
        total = sum([numbers[i] for i in chosen])
        if total > target:
            wrong.append(f"{shorten(total - target)} above the target (hatched)")
        elif instance.exact and total < target:
            drawing.hatched(ax, [(total / per, -0.9, (target - total) / per, 0.4)])
            wrong.append(f"{shorten(target - total)} below the target (hatched)")
        drawing.say(ax, f"sum{power}: {shorten(total)} of {shorten(target)}, {len(chosen)} numbers", wrong)


def exchange(instance: SubsetSumInstance, start: Chosen, wanted: Callable[[], bool]) -> Chosen:
    """Return ``start`` after replacing one number by two others of its sum, while that is possible.

    Large numbers first, by small ones; an exchange is passed over unless ``wanted()``.

    Examples
    --------
    >>> exchange(SubsetSumInstance(9, (3, 6, 2, 4, 5), exact=True), (0, 1), lambda: True)
    (0, 2, 3)
    """
    numbers, chosen = instance.numbers, set(start)

    def pairs(whole: int) -> Iterator[tuple[int, int, int]]:
        at: dict[int, int] = {}
        for i in instance.by_size[::-1]:
            if i not in chosen:
                if numbers[whole] - numbers[i] in at:
                    yield whole, at[numbers[whole] - numbers[i]], i
                at[numbers[i]] = i

    while True:
        moves = (move for whole in instance.by_size if whole in chosen for move in pairs(whole))
        move = next((move for move in moves if wanted()), None)
        if move is None:
            return tuple(sorted(chosen))
        chosen.symmetric_difference_update(move)


def reachable(numbers: Sequence[int], target: int) -> list[int]:
    """Return, for each k and at last for none, the sums of ``numbers[k:]`` up to ``target`` as set bits.

    Examples
    --------
    >>> [bin(sums) for sums in reachable([3, 1], 4)]
    ['0b11011', '0b11', '0b1']
    """
    mask = (1 << (target + 1)) - 1
    stages = [1]
    for number in reversed(numbers):
        sums = stages[-1]
        stages.append(sums | (sums << number & mask) if number <= target else sums)
    return stages[::-1]


def fill(numbers: Sequence[int], target: int) -> list[int]:
    """Return the positions of ``numbers`` with the greatest sum up to ``target``, by dynamic programming.

    Examples
    --------
    >>> fill([8, 5, 6, 4], 10)
    [2, 3]
    """
    best = reachable(numbers, target)[0].bit_length() - 1
    return list(walk(numbers, range(len(numbers)), best, lambda: False))


def walk(numbers: Sequence[int], order: Sequence[int], target: int, wanted: Callable[[], bool]) -> Chosen:
    """Return numbers of ``order`` that hit ``target``, which some do.

    In that order, a number that can be taken as well as left is taken if ``wanted()``.

    Examples
    --------
    >>> walk([3, 6, 2, 4, 5], [2, 0, 3, 4, 1], 9, lambda: True)
    (0, 2, 3)
    """
    stages, chosen = reachable([numbers[i] for i in order], target), []
    for i, sums in zip(order, stages[1:], strict=True):
        takes = numbers[i] <= target and sums >> (target - numbers[i]) & 1
        if takes and not (sums >> target & 1 and not wanted()):
            target -= numbers[i]
            chosen.append(i)
    return tuple(sorted(chosen))


def hit(numbers: Sequence[int], target: int, most: bool) -> Chosen:
    """Return the most, or the fewest, ``numbers`` whose sum is ``target``, which some have.

    Examples
    --------
    >>> hit([3, 6, 2, 4, 5], 9, most=True), hit([3, 6, 2, 4, 5], 9, most=False)
    ((0, 2, 3), (0, 1))
    """
    unreached = -(10**9)
    scores: NDArray[np.int32] = np.full(target + 1, unreached, dtype=np.int32)
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
    """Return the positions of ``numbers`` with the greatest sum up to ``target``, by two halves [3]_.

    Examples
    --------
    >>> meet([8, 5, 6, 4], 10)
    [2, 3]
    """
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
