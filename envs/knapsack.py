"""0/1 knapsack: the most valuable set of items whose weight does not exceed the capacity.

NP-hard [1]_. Weights are positive integers, values not negative. Greedy is near the optimum on uncorrelated
items; correlated ones, where weight says little about which item to leave, are the hard families [2]_.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] D. Pisinger, "Where are the hard knapsack problems?", Computers & Operations Research 32, 2005.
.. [3] G. Dantzig, "Discrete-variable extremum problems", Operations Research 5(2), 1957.
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
from ..solvers.knapsack import nemhauser_ullmann


@dataclass(frozen=True)
class KnapsackInstance(TypedInstance):
    """Items and a capacity."""

    capacity: int
    """Largest total weight, in units of weight."""
    weights: Annotated[Vector, Range(1)]
    """(n,) weights."""
    values: Annotated[Vector, Range(0)]
    """(n,) values."""

    @cached_property
    def by_density(self) -> tuple[int, ...]:
        """The items by falling value per weight, exactly; of equal ones the more valuable first."""
        # Two fractions of denominators up to w differ by at least 1 / w ** 2: so far apart, their floors differ too.
        scale = max(self.weights) ** 2
        density = [value * scale // weight for weight, value in zip(self.weights, self.values, strict=True)]
        return tuple(sorted(range(self.size), key=lambda i: (-density[i], -self.values[i], i)))

    def features(self) -> Features:
        """Return weights as shares of the capacity, values and values per weight as shares of the greatest."""
        weights, values = np.array(self.weights, dtype=float), np.array(self.values, dtype=float)
        density = values / weights
        load, worth = scaled(weights, self.capacity), scaled(values, values.max())
        return Features(columns(load, worth, scaled(density, density.max())))


@dataclass(frozen=True, kw_only=True)
class Knapsack(Subset[KnapsackInstance]):
    """Choose items of the greatest total value within a capacity.

    Problem: max sum of v[i] over the chosen items, sum of w[i] <= capacity. Trivial: the best of eight fixed
    orders, as far as they fit. Heuristic: greedy by density [3]_. Reference: dynamic programming over undominated
    packs.

    Examples
    --------
    >>> problem = Knapsack()
    >>> instance = KnapsackInstance(capacity=10, weights=(6, 5, 5), values=(7, 5, 5))
    >>> problem.objective(instance, (0,)), problem.reference(instance).solution
    (7, (1, 2))
    """

    family: ClassVar = "selection"
    sense: ClassVar = "max"
    noun: ClassVar = "item"
    requires: ClassVar = (AtMost("capacity", "weights", "capacity", "the weight"),)
    instance_type: ClassVar = KnapsackInstance
    work_limit: ClassVar = 25_000_000
    smallest: ClassVar = 24
    scratch: ClassVar = {"n": 8, "largest": 20, "distribution": "uncorrelated"}
    picture: ClassVar = Waterfall("weights", "capacity", order="by_density", values="values")
    formats: ClassVar = ("knapsack",)
    published: ClassVar = "knapsack"

    n: int = 26
    """Number of items."""
    distribution: Literal["uncorrelated", "weak", "strong", "subset_sum"] = "weak"
    """Value against weight w, with R = ``largest`` [2]_: ``uncorrelated``; ``weak``, w +- R/10;
    ``strong``, w + R/10; ``subset_sum``, w. In the last two density says little: below some 30 items a
    random maximal pack is on average better than greedy."""
    largest: Annotated[int, Range(2, 10**9)] = 1000
    """Weights are 1 to ``largest``."""
    tightness: Annotated[float, Between(0.01, 0.99)] = 0.4
    """Capacity as a share of the weight of all items."""

    def generate(self, rng: np.random.Generator) -> KnapsackInstance:
        n, largest = self.n, self.largest
        weights = rng.integers(1, largest + 1, size=n)
        tenth = max(1, largest // 10)
        if self.distribution == "uncorrelated":
            values = rng.integers(1, largest + 1, size=n)
        elif self.distribution == "weak":
            values = np.maximum(1, weights + rng.integers(-tenth, tenth + 1, size=n))
        else:
            values = weights + (tenth if self.distribution == "strong" else 0)
        loads = tuple(weights.tolist())
        capacity = max(min(loads), int(self.tightness * sum(loads)))
        return KnapsackInstance(capacity, loads, tuple(values.tolist()))

    def question(self, instance: KnapsackInstance) -> str:
        return (
            "0/1 knapsack problem: choose items with the greatest total value whose total weight does not "
            f"exceed the capacity. Each item can be taken once.\nThere are {self.counted(instance)}"
        )

    def table(self, instance: KnapsackInstance) -> Data:
        columns = {"weight": instance.weights, "value": instance.values}
        items = Table("item", columns, word="{weight}x{value}")
        return Data((Value("capacity", instance.capacity, word="c{value}"), items))

    def tiny(self, instance: KnapsackInstance) -> tuple[KnapsackInstance, Chosen]:
        return KnapsackInstance(10, (6, 5, 4, 5), (8, 6, 3, 6)), (1, 3)

    def objective(self, instance: KnapsackInstance, solution: Chosen) -> int:
        return sum(pick(instance.values, solution))

    def greedy(self, instance: KnapsackInstance, choose: Choose) -> Iterator[int]:
        """By value per weight [3]_: take every item that still fits. Unbounded ratio in the worst case."""
        room, left = instance.capacity, list(instance.by_density)
        while left := [i for i in left if instance.weights[i] <= room]:
            left.remove(taken := choose(left))
            room -= instance.weights[taken]
            yield taken

    def bound(self, instance: KnapsackInstance, partial: Chosen) -> int:
        return self.objective(instance, self.with_all_that_fits(instance, partial))

    def solve(self, instance: KnapsackInstance, start: Chosen, limit: int) -> Certificate[Chosen]:
        """Nemhauser-Ullmann with Dantzig's bound; a step is one undominated pack extended by one item."""
        order = instance.by_density
        return nemhauser_ullmann(instance.capacity, instance.weights, instance.values, order, start, limit)
