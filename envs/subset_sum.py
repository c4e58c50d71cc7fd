"""Subset sum: the largest sum of chosen numbers that does not exceed a target.

NP-hard [1]_; solved by dynamic programming in time n times target, and in 2^(n/2) whatever the size of the
numbers. `exact_subset_sum` asks for the target exactly.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] S. Martello, P. Toth, "Knapsack Problems: Algorithms and Computer Implementations", Wiley, 1990,
   chapter 4.
.. [3] R. Merkle, M. Hellman, "Hiding information and signatures in trapdoor knapsacks", IEEE
   Transactions on Information Theory 24(5), 1978.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import numpy as np

from ..core import Between, Certificate, Range
from ..kinds import Choose, Chosen, Data, Subset, Table, TypedInstance, Value, Vector
from ..kinds.encoding import Features, columns, scaled
from ..kinds.forms import pick
from ..kinds.rules import AtMost
from ..pictures.bars import Waterfall
from ..solvers.subset_sum import largest_sum


@dataclass(frozen=True)
class SubsetSumInstance(TypedInstance):
    """Numbers and a target."""

    target: Annotated[int, Range(1)]
    """The sum not to exceed."""
    numbers: Annotated[Vector, Range(1)]
    """(n,) numbers, equal ones allowed."""

    def rough_key(self) -> tuple[int, ...]:
        return (self.target, *sorted(self.numbers))

    @cached_property
    def by_size(self) -> tuple[int, ...]:
        """Positions by falling number; ties by position."""
        return tuple(sorted(range(self.size), key=lambda i: (-self.numbers[i], i)))

    def features(self) -> Features:
        """Return the numbers as shares of the target."""
        return Features(columns(scaled(np.array(self.numbers, dtype=float), self.target)))


@dataclass(frozen=True, kw_only=True)
class SubsetSum(Subset[SubsetSumInstance]):
    """Choose numbers of the greatest sum within a target.

    Problem: max sum of a[i] over the chosen numbers, not above the target. Trivial: the best of eight
    fixed orders, as far as they fit.
    Heuristic: largest first [2]_. Reference: dynamic programming, or meet in the middle where numbers are huge.

    Examples
    --------
    >>> problem = SubsetSum()
    >>> instance = SubsetSumInstance(target=10, numbers=(8, 5, 6, 4))
    >>> problem.objective(instance, (0,)), problem.reference(instance).solution
    (8, (2, 3))
    """

    family: ClassVar = "selection"
    sense: ClassVar = "max"
    noun: ClassVar = "position"
    requires: ClassVar = (AtMost("target", "numbers", "target", "the sum"),)
    instance_type: ClassVar = SubsetSumInstance
    work_limit: ClassVar = 10_000_000
    smallest: ClassVar = 16
    scratch: ClassVar = {"n": 8, "largest": 100}
    picture: ClassVar = Waterfall("numbers", "target", order="by_size")

    n: int = 20
    """How many numbers there are."""
    distribution: Literal["uniform", "planted", "even"] = "uniform"
    """``uniform`` [2]_: random numbers and target; ``planted``: the target is the sum of hidden numbers, as
    in knapsack ciphers [3]_; ``even`` [2]_: doubled numbers and an odd target, which no sum hits."""
    largest: Annotated[int, Range(1, 10**9)] = 100_000
    """Numbers are 1 to ``largest``. Among smaller ones so many sums are near the target that a few exchanges hit it."""
    tightness: Annotated[float, Between(0.01, 0.99)] = 0.5
    """Target as a share of the sum of all numbers; of ``planted``, share of the numbers that are hidden."""

    def generate(self, rng: np.random.Generator) -> SubsetSumInstance:
        n = self.n
        numbers = rng.integers(1, self.largest + 1, size=n)
        if self.distribution == "even":
            numbers *= 2
        if self.distribution == "planted":
            hidden = rng.permutation(n)[: min(n - 1, max(1, round(self.tightness * n)))]
            target = int(numbers[hidden].sum())
        else:
            target = max(int(numbers.min()), int(self.tightness * int(numbers.sum())))
            if self.distribution == "even":
                target |= 1
        return SubsetSumInstance(target, tuple(numbers.tolist()))

    def question(self, instance: SubsetSumInstance) -> str:
        return (
            "Subset sum problem: choose numbers with the greatest sum that does not exceed the target. Each "
            f"number can be taken once.\nThere are {instance.size} numbers, at positions {self.names_of(instance).span}"
        )

    def table(self, instance: SubsetSumInstance) -> Data:
        target = Value("target", instance.target, word="t{value}")
        numbers = Table("position", {"number": instance.numbers})
        return Data((target, numbers), ": one line per number, with its position and the number.")

    def answer(self, instance: SubsetSumInstance) -> str:
        return "a JSON list of the positions of the chosen numbers, each once, in any order,"

    def tiny(self, instance: SubsetSumInstance) -> tuple[SubsetSumInstance, Chosen]:
        return SubsetSumInstance(10, (8, 5, 6, 4)), (2, 3)

    def objective(self, instance: SubsetSumInstance, solution: Chosen) -> int:
        return sum(pick(instance.numbers, solution))

    def greedy(self, instance: SubsetSumInstance, choose: Choose) -> Iterator[int]:
        """Largest first [2]_, each number if it fits: with first fit as the alternative, at least half the optimum."""
        room, left = instance.target, list(instance.by_size)
        while left := [i for i in left if instance.numbers[i] <= room]:
            left.remove(taken := choose(left))
            room -= instance.numbers[taken]
            yield taken

    def solve(self, instance: SubsetSumInstance, start: Chosen, limit: int) -> Certificate[Chosen]:
        """Whichever of the two methods takes fewer steps, a step being a word of 64 sums, or a sum."""
        return largest_sum(instance.numbers, instance.target, start, limit)
