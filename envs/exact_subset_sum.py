"""Exact subset sum: as many numbers as possible whose sum is exactly a target.

The decision problem is NP-complete [1]_, so here even a feasible answer is hard to find. The published benchmark
[2]_ asks it this way; `subset_sum` asks for the largest sum within the target.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] "NP-Engine", arXiv:2510.16476, 2025.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from ..core import Between, Certificate, Range, check_int
from ..kinds import Choose, Chosen, Data, Subset, Table, Value
from ..kinds.rules import Exactly
from ..pictures.bars import Waterfall
from ..solvers.subset_sum import backtrack, dp_exact, is_reachable, most_numbers, pair_exchange
from .subset_sum import SubsetSumInstance


@dataclass(frozen=True)
class ExactSubsetSumInstance(SubsetSumInstance):
    """Numbers and a target that the sum of some of them hits."""

    target: Annotated[int, Range(1, 10**6)]
    """The sum to hit; anchors and checks need a dynamic programme over it."""

    def rules(self) -> Iterator[tuple[bool, str]]:
        hit = is_reachable(self.numbers, self.target)
        yield hit, f"target must be the sum of some numbers, got {self.target}, which is of none"


@dataclass(frozen=True, kw_only=True)
class ExactSubsetSum(Subset[ExactSubsetSumInstance]):
    """Choose as many numbers as possible whose sum is exactly the target.

    Problem: max number of chosen numbers, the sum of a[i] over them equal to the target. Trivial: the fewest numbers
    that hit it. Heuristic: from these, replace a number by two others of the same sum. Reference: dynamic programming.

    Examples
    --------
    >>> problem = ExactSubsetSum()
    >>> instance = ExactSubsetSumInstance(target=9, numbers=(3, 6, 2, 4, 5))
    >>> problem.trivial(instance), problem.reference(instance).solution
    ((0, 1), (0, 2, 3))
    """

    family: ClassVar = "selection"
    sense: ClassVar = "max"
    noun: ClassVar = "position"
    requires: ClassVar = (Exactly("target", "numbers", "target", "the sum"),)
    instance_type: ClassVar = ExactSubsetSumInstance
    work_limit: ClassVar = 10_000_000
    most: ClassVar = 500
    smallest: ClassVar = 18
    scratch: ClassVar = {"n": 10, "largest": 20}
    picture: ClassVar = Waterfall("numbers", "target", order="by_size", exact=True)
    published: ClassVar = "subset_sum"

    n: int = 26
    """How many numbers there are."""
    largest: Annotated[int, Range(0, 10**4)] = 0
    """Numbers are 1 to ``largest``; 0 stands for 3 n, which leaves greedy most room."""
    tightness: Annotated[float, Between(0.01, 0.99)] = 0.5
    """Share of the numbers that are hidden: the target is their sum."""

    def check(self) -> None:
        hidden = max(1, round(self.tightness * self.n))
        rule = f"the target, the sum of {hidden} numbers, is at most 1,000,000"
        check_int("largest", self.largest, 0, 10**6 // hidden, rule=rule)

    def generate(self, rng: np.random.Generator) -> ExactSubsetSumInstance:
        n = self.n
        numbers = rng.integers(1, (self.largest or 3 * n) + 1, size=n)
        hidden = rng.permutation(n)[: min(n - 1, max(1, round(self.tightness * n)))]
        return ExactSubsetSumInstance(int(numbers[hidden].sum()), tuple(numbers.tolist()))

    def question(self, instance: ExactSubsetSumInstance) -> str:
        return (
            "Subset sum problem: choose as many numbers as possible whose sum is exactly the target. Each number "
            f"can be taken once.\nThere are {instance.size} numbers, at positions {self.names_of(instance).span}"
        )

    def table(self, instance: ExactSubsetSumInstance) -> Data:
        target = Value("target", instance.target, word="e{value}")
        numbers = Table("position", {"number": instance.numbers})
        return Data((target, numbers), ": one line per number, with its position and the number.")

    def answer(self, instance: ExactSubsetSumInstance) -> str:
        return "a JSON list of the positions of the chosen numbers, each once, in any order,"

    def tiny(self, instance: ExactSubsetSumInstance) -> tuple[ExactSubsetSumInstance, Chosen]:
        return ExactSubsetSumInstance(9, (3, 6, 2, 4, 5)), (0, 2, 3)

    def objective(self, instance: ExactSubsetSumInstance, solution: Chosen) -> int:
        return len(solution)

    def trivial(self, instance: ExactSubsetSumInstance) -> Chosen:
        return dp_exact(instance.numbers, instance.target, most=False)

    def greedy(self, instance: ExactSubsetSumInstance, choose: Choose) -> Iterable[int]:
        """Exchange, from the fewest numbers on, the largest chosen number that two others sum up to for these.

        No guarantee, but never worse than the fewest, which a dynamic programme finds.
        """
        return pair_exchange(instance.numbers, instance.by_size, self.baseline(instance), choose)

    def extensions(self, instance: ExactSubsetSumInstance, partial: Chosen) -> list[int]:
        """Return the numbers after which others can still hit the target."""
        numbers, room = instance.numbers, instance.target - sum([instance.numbers[i] for i in partial])
        left = [i for i, number in enumerate(numbers) if number <= room and i not in partial]
        others = {i: [numbers[j] for j in left if j != i] for i in left}
        return [i for i in left if is_reachable(others[i], room - numbers[i])]

    def random(self, instance: ExactSubsetSumInstance, rng: np.random.Generator) -> Chosen:
        """Return numbers that hit the target, a coin deciding for each, in random order, that may go either way."""
        order = rng.permutation(instance.size).tolist()
        return backtrack(instance.numbers, order, instance.target, lambda: rng.random() < 0.5)

    def neighbour(self, instance: ExactSubsetSumInstance, solution: Chosen, rng: np.random.Generator) -> Chosen:
        """Choose half of the numbers anew such that their sum stays the same."""
        free = rng.permutation(instance.size).tolist()[: max(2, instance.size // 2)]
        rest = sum([instance.numbers[i] for i in free if i in solution])
        anew = backtrack(instance.numbers, free, rest, lambda: rng.random() < 0.5)
        return tuple(sorted([*anew, *(i for i in solution if i not in free)]))

    def solve(self, instance: ExactSubsetSumInstance, start: Chosen, limit: int) -> Certificate[Chosen]:
        """Dynamic programming; a step is one number with one sum."""
        return most_numbers(instance.numbers, instance.target, start, limit)
