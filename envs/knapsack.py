"""0/1 knapsack: the most valuable set of items whose weight does not exceed the capacity.

NP-hard [1]_. Weights are positive integers, values not negative. Greedy is near the optimum on uncorrelated
items; correlated ones, where weight says little about which item to leave, are the hard families [2]_.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] D. Pisinger, "Where are the hard knapsack problems?", Computers & Operations Research 32, 2005.
.. [3] G. Dantzig, "Discrete-variable extremum problems", Operations Research 5(2), 1957.
.. [4] G. Nemhauser, Z. Ullmann, "Discrete dynamic programming and capital allocation",
   Management Science 15(9), 1969.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

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

Items: TypeAlias = tuple[int, ...]
"""The chosen items, counted from 0."""

DISTRIBUTIONS = ("uncorrelated", "weak", "strong", "subset_sum")


@dataclass(frozen=True)
class KnapsackInstance(Instance):
    """Items and a capacity."""

    capacity: int
    """Largest total weight, in units of weight."""
    weights: tuple[int, ...]
    """(n,) positive weights."""
    values: tuple[int, ...]
    """(n,) values, not negative."""
    first: int = field(default=0, compare=False)
    """Number of the first item in texts. An example counts on from the instance that is asked."""

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.weights)

    def check(self) -> None:
        """Raise ``ValueError`` unless weights and values pair up and are in range."""
        check_int("capacity", self.capacity, 0)
        check_int("first", self.first, 0)
        for name, least, numbers in (("weights", 1, self.weights), ("values", 0, self.values)):
            if not isinstance(numbers, tuple) or not numbers or len(numbers) != len(self.weights):
                raise ValueError(f"{name} must be a list with one integer per item, got {numbers!r}")
            for number in numbers:
                check_int(f"each of {name}", number, least)

    def relabelled(self, order: Sequence[int]) -> Self:
        """Return the same items with item ``i`` under the number ``order[i]``."""
        return replace(self, weights=moved(self.weights, order), values=moved(self.values, order))

    def invariant(self) -> Any:
        """Return the capacity and the sorted items."""
        return [self.capacity, sorted(zip(self.weights, self.values, strict=True))]

    def features(self) -> Features:
        """Return weights as shares of the capacity, values and values per weight as shares of the greatest."""
        weights, values = np.array(self.weights, dtype=float), np.array(self.values, dtype=float)
        density = values / weights
        return Features(
            columns(
                scaled(weights, self.capacity), scaled(values, values.max()), scaled(density, density.max())
            )
        )

    @cached_property
    def by_density(self) -> tuple[int, ...]:
        """The items by falling value per weight, exactly; of equal ones the more valuable first."""
        density = [Fraction(v, w) for w, v in zip(self.weights, self.values, strict=True)]
        return tuple(sorted(range(self.size), key=lambda i: (-density[i], -self.values[i], i)))


@dataclass(frozen=True, kw_only=True)
class Knapsack(Problem[KnapsackInstance, Items]):
    """Choose items of the greatest total value within a capacity.

    Problem: max sum of v[i] over the chosen items, sum of w[i] <= capacity. Answer: a list of the
    chosen items' numbers in any order. Trivial: items in order, each if it fits. Heuristic: greedy by density [3]_.
    Reference: dynamic programming over undominated packs [4]_ with Dantzig's bound [3]_.

    Examples
    --------
    >>> knapsack = Knapsack()
    >>> instance = KnapsackInstance(capacity=10, weights=(6, 5, 5), values=(7, 5, 5))
    >>> knapsack.heuristic(instance), knapsack.reference(instance).solution
    ((0,), (1, 2))
    """

    name: ClassVar = "Knapsack"
    version: ClassVar = 0
    family: ClassVar = "selection"
    sense: ClassVar = "max"
    kind: ClassVar = "subset"
    constraints: ClassVar = ("known", "once", "capacity")
    instance_type: ClassVar = KnapsackInstance
    work_limit: ClassVar = 50_000_000

    n: int = 20
    """Number of items."""
    distribution: str = "weak"
    """Value against weight w, with R = ``largest`` [2]_: ``uncorrelated``; ``weak``, w +- R/10;
    ``strong``, w + R/10; ``subset_sum``, w. In the last two density says little: below some 30 items a
    random maximal pack is on average better than greedy."""
    largest: int = 100
    """Weights are 1 to ``largest``."""
    tightness: float = 0.4
    """Capacity as a share of the weight of all items."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="fewer items leave no choice")
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_int("largest", self.largest, 2, 10**9)
        check_share("tightness", self.tightness, 0.01, 0.99)

    def at_level(self, level: int) -> Knapsack:
        return replace(self, n=size_at_level(8, level))

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
        capacity = max(int(weights.min()), int(self.tightness * int(weights.sum())))
        return KnapsackInstance(capacity, tuple(weights.tolist()), tuple(values.tolist()))

    def describe(self, instance: KnapsackInstance) -> str:
        items = enumerate(zip(instance.weights, instance.values, strict=True), instance.first)
        return f"capacity {instance.capacity}\n" + "\n".join(f"{i}: {w} {v}" for i, (w, v) in items)

    def prompt(self, instance: KnapsackInstance) -> str:
        if self.style == "compact":
            items = (f"{instance.weights[i]}x{instance.values[i]}" for i in instance.by_density)
            return f"c{instance.capacity} {' '.join(items)} >"
        n = instance.size
        task = (
            "0/1 knapsack problem: choose items with the greatest total value whose total weight does not "
            f"exceed the capacity. Each item can be taken once.\nThere are {n} items, numbered "
            f"{instance.first} to {instance.first + n - 1}: "
            "one line per item, with its number, its weight and its value."
        )
        what = "a JSON list of the numbers of the chosen items, each once, in any order,"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: KnapsackInstance) -> tuple[KnapsackInstance, Items]:
        # Counting on from the instance's last item: the example's answer names none of its items.
        first = instance.first + instance.size
        return KnapsackInstance(10, (6, 5, 4, 5), (8, 6, 3, 6), first), (1, 3)

    def parse(self, instance: KnapsackInstance, text: str) -> Items:
        if self.style == "prose":
            return read_subset(text, instance.first)
        return read_signs(text, instance.by_density)

    def write(self, instance: KnapsackInstance, solution: Items) -> str:
        if self.style == "prose":
            return write_subset(solution, instance.first)
        return write_signs(solution, instance.by_density)

    def violations(self, instance: KnapsackInstance, solution: Items) -> tuple[Violation, ...]:
        found, chosen = subset_violations("items", instance.size, instance.first, solution)
        excess = sum([instance.weights[i] for i in chosen]) - instance.capacity
        if excess > 0:
            reason = f"the weight is at most {instance.capacity}, got {instance.capacity + excess}"
            found.append(Violation("capacity", excess, sum(instance.weights) - instance.capacity, reason))
        return tuple(found)

    def objective(self, instance: KnapsackInstance, solution: Items) -> int:
        return sum([instance.values[i] for i in solution])

    def extensions(self, instance: KnapsackInstance, partial: Items) -> list[int]:
        weights = instance.weights
        room = instance.capacity - sum([weights[i] for i in partial])
        return [i for i in range(instance.size) if weights[i] <= room and i not in partial]

    def trivial(self, instance: KnapsackInstance) -> Items:
        """Fill the pack in the order of the items' numbers; the empty pack would make any few items look good."""
        return first_fit(instance.weights, instance.capacity, range(instance.size))

    def heuristic(
        self, instance: KnapsackInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Items:
        """Greedy by value per weight [3]_: take every item that still fits.

        Unbounded ratio in the worst case; the trivial pack where that happens to be better.
        """
        if rng is not None:
            return first_fit(
                instance.weights, instance.capacity, [i for i in instance.by_density if rng.random() >= slip]
            )
        found, trivial = (
            first_fit(instance.weights, instance.capacity, instance.by_density),
            self.trivial(instance),
        )
        return max(found, trivial, key=lambda items: self.objective(instance, items))

    def random(self, instance: KnapsackInstance, rng: np.random.Generator) -> Items:
        """Return a random maximal pack: items in random order, each taken if it fits."""
        return first_fit(instance.weights, instance.capacity, rng.permutation(instance.size).tolist())

    def neighbour(self, instance: KnapsackInstance, solution: Items, rng: np.random.Generator) -> Items:
        """Take or leave a random item, make room by leaving random others, and fill up at random."""
        flipped = int(rng.integers(instance.size))
        order = [i for i in rng.permutation(instance.size).tolist() if i != flipped]
        order.sort(key=lambda i: i not in solution)  # packed items first, in random order
        return first_fit(
            instance.weights, instance.capacity, order if flipped in solution else [flipped, *order]
        )

    def solve(self, instance: KnapsackInstance, limit: int) -> Certificate[Items]:
        """Nemhauser-Ullmann [4]_ with bounds; a step is one undominated pack extended by one item.

        Packs are kept as (weight, value) arrays that rise together. A pack is dropped when its value
        plus Dantzig's bound on the items to come cannot beat the best pack known.
        """
        order, n = instance.by_density, instance.size
        total = max(sum(instance.weights), sum(instance.values), instance.capacity)
        kind: Any = (
            np.int64 if total < 2**31 else object
        )  # products of two totals stay exact at any magnitude
        best = self.heuristic(instance)
        best_value = self.objective(instance, best)
        weights, values = np.zeros(1, dtype=kind), np.zeros(1, dtype=kind)
        stages = [(weights, values)]
        work, bound = 0, dantzig(instance)
        for k, item in enumerate(order):
            work += len(weights)
            if work > limit:
                return Certificate(best, best_value, max(bound, best_value), "Nemhauser-Ullmann", work)
            w, v = instance.weights[item], instance.values[item]
            fits = weights <= instance.capacity - w
            weights = np.concatenate([weights, weights[fits] + w])
            values = np.concatenate([values, values[fits] + v])
            rank = np.lexsort((-values, weights)) if kind is not object else _rank(weights, values)
            weights, values = weights[rank], values[rank]
            keep = np.ones(len(values), dtype=bool)
            keep[1:] = values[1:] > np.maximum.accumulate(values)[:-1]
            if k + 1 < n:  # items by density: what is left is worth at most its room at the next density
                after = order[k + 1]
                ceiling = (
                    values + (instance.capacity - weights) * instance.values[after] // instance.weights[after]
                )
                keep &= ceiling > best_value
            weights, values = weights[keep], values[keep]
            stages.append((weights, values))
            if not len(values):
                break
            if int(values[-1]) > best_value:
                best_value = int(values[-1])
                best = _trace(stages, instance, order, len(values) - 1)
        return Certificate(tuple(sorted(best)), best_value, best_value, "Nemhauser-Ullmann", work)

    def canonical(self, instance: KnapsackInstance, solution: Items) -> Items:
        return tuple(sorted(solution))

    def draw(self, instance: KnapsackInstance, solution: Items | None, ax: Any) -> None:
        weights, values, order = instance.weights, instance.values, instance.by_density
        chosen, again, wrong = drawing.sorted_out("item", instance.size, instance.first, solution or ())
        per, power = drawing.unit(max(instance.capacity, sum(weights)))
        names = [i + instance.first for i in order]
        end, fontsize = drawing.waterfall(
            ax, weights, ("capacity", instance.capacity), per, order, names, set(chosen), again
        )
        most = max(1, *values)
        for taken, style in (
            (True, {"facecolors": drawing.PALETTE[2], "edgecolors": drawing.INK}),
            (False, {"facecolors": drawing.FAINT}),
        ):
            at = [(row, values[i] / most) for row, i in enumerate(order) if (i in chosen) == taken]
            bars = [(-0.02 * end, row - 0.4, -0.22 * end * share, 0.8) for row, share in at]
            drawing.boxes(ax, bars, linewidths=0.6, **style)
        for row, i in enumerate(order) if fontsize else ():
            place = (-0.03 * end - 0.22 * end * (values[i] / most), row)
            drawing.label(ax, shorten(values[i], 8), place, ha="right", fontsize=fontsize)
        drawing.label(ax, "value", (-0.02 * end, -1.3), ha="right")
        ax.set_xlim(left=-0.38 * end)
        ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= end])
        if solution is None:
            drawing.say(ax, f"weight{power}, by value per weight")
            return
        weight = sum([weights[i] for i in chosen])
        if weight > instance.capacity:
            wrong.append(f"{shorten(weight - instance.capacity)} above the capacity (hatched)")
        told = f"weight{power}: {shorten(weight)} of {shorten(instance.capacity)}"
        drawing.say(ax, f"{told}, value {shorten(sum([values[i] for i in chosen]))}", wrong)


def dantzig(instance: KnapsackInstance) -> int:
    """Return Dantzig's bound [3]_: the value of the fractional optimum, rounded down."""
    value, room = 0, instance.capacity
    for item in instance.by_density:
        if instance.weights[item] > room:
            return value + room * instance.values[item] // instance.weights[item]
        room -= instance.weights[item]
        value += instance.values[item]
    return value


def _rank(weights: Any, values: Any) -> Any:
    """Order by weight, then falling value, for Python integers of any size."""
    return np.array(sorted(range(len(weights)), key=lambda i: (weights[i], -values[i])))


def _trace(stages: list[tuple[Any, Any]], instance: KnapsackInstance, order: Items, at: int) -> Items:
    """Walk back from pack ``at`` of the last stage to the items it holds."""
    weight, value = (int(array[at]) for array in stages[-1])
    chosen = []
    for k in range(len(stages) - 2, -1, -1):
        weights, values = stages[k]
        before = int(np.searchsorted(weights, weight))
        if before < len(weights) and weights[before] == weight and values[before] == value:
            continue
        chosen.append(order[k])
        weight -= instance.weights[order[k]]
        value -= instance.values[order[k]]
    return tuple(chosen)
