"""Set cover: the cheapest subsets that together hold every element.

NP-hard [1]_. Chvatal's greedy is within H(d), the d-th harmonic number, of the optimum where no subset
has more than d elements [2]_, and no polynomial algorithm is better by more than lower-order terms
unless P = NP [3]_.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] V. Chvatal, "A greedy heuristic for the set-covering problem", Mathematics of Operations
   Research 4(3), 1979.
.. [3] I. Dinur, D. Steurer, "Analytical approach to parallel repetition", STOC 2014.
.. [4] J. Beasley, "An algorithm for set covering problem", European Journal of Operational Research
   31(1), 1987.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from heapq import heapify, heappop, heappush
from math import ceil
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from ..core import cpsat, drawing
from ..core.checks import check_choice, check_int
from ..core.graph import refine
from ..core.numeric import Features, columns, scaled
from ..core.problem import Instance, Problem, moved, size_at_level
from ..core.reference import Certificate
from ..core.subset import read_signs, read_subset, subset_violations, write_signs, write_subset
from ..core.verdict import Violation

Cover: TypeAlias = tuple[int, ...]
"""The chosen subsets, counted from 0."""

DISTRIBUTIONS = ("costed", "uniform", "skewed")
_MAX_ELEMENTS = 10**5
_MAX_COST = 10**9
"""Costs whose total CP-SAT still holds in 64 bits."""


@dataclass(frozen=True)
class SetCoverInstance(Instance):
    """Subsets of a universe, with costs."""

    universe: int
    """Number of elements, counted from 0."""
    subsets: tuple[tuple[int, ...], ...]
    """(n,) subsets, each its elements in rising order; together they hold every element."""
    costs: tuple[int, ...]
    """(n,) positive costs; all 1 where the number of subsets counts."""
    first: int = field(default=0, compare=False)
    """Number of the first subset in texts. An example counts on from the instance that is asked."""

    @property
    def size(self) -> int:
        """Number of subsets."""
        return len(self.subsets)

    def check(self) -> None:
        """Raise ``ValueError`` unless the subsets are sorted, priced and cover the universe."""
        check_int("universe", self.universe, 1, _MAX_ELEMENTS)
        check_int("first", self.first, 0)
        for name, rows in (("subsets", self.subsets), ("costs", self.costs)):
            if not isinstance(rows, tuple) or not rows or len(rows) != len(self.subsets):
                raise ValueError(f"{name} must be a list with one entry per subset, got {rows!r}")
        for cost in self.costs:
            check_int("each of costs", cost, 1, _MAX_COST)
        for subset in self.subsets:
            if not isinstance(subset, tuple) or not subset:
                raise ValueError(f"a subset must be a list of elements, got {subset!r}")
            for element in subset:
                check_int("an element", element, 0, self.universe - 1)
            if list(subset) != sorted(set(subset)):
                raise ValueError(f"a subset must be sorted, each element once, got {list(subset)}")
        held = len(set().union(*self.subsets))
        if held != self.universe:
            raise ValueError(f"the subsets must hold all {self.universe} elements, got {held}")

    def relabelled(self, order: Sequence[int]) -> Self:
        """Return the same subsets with subset ``j`` under the number ``order[j]``."""
        return replace(self, subsets=moved(self.subsets, order), costs=moved(self.costs, order))

    def invariant(self) -> Any:
        """Return the colour refinement of elements and subsets, the costs on the links between them."""
        covered: list[list[tuple[int, int]]] = [[] for _ in range(self.universe)]
        for i, subset in enumerate(self.subsets):
            for element in subset:
                covered[element].append((self.costs[i], self.universe + i))
        covers = [[(cost, e) for e in subset] for cost, subset in zip(self.costs, self.subsets, strict=True)]
        return [self.universe, sorted(self.costs), refine([*covered, *covers])]

    def features(self) -> Features:
        """Return costs as shares of the greatest, sizes as shares of the universe, and who holds what."""
        holds = np.zeros((self.size, self.universe))
        for j, subset in enumerate(self.subsets):
            holds[j, subset] = 1.0
        return Features(columns(scaled(self.costs, max(self.costs)), holds.mean(axis=1)), holds)

    @cached_property
    def masks(self) -> tuple[int, ...]:
        """(n,) bit masks: bit e of ``masks[j]`` is set where subset j holds element e."""
        return tuple(sum(1 << element for element in subset) for subset in self.subsets)

    @property
    def costed(self) -> bool:
        """Whether costs differ from 1."""
        return any(cost != 1 for cost in self.costs)


@dataclass(frozen=True, kw_only=True)
class SetCover(Problem[SetCoverInstance, Cover]):
    """Choose subsets of the least total cost that hold every element.

    Problem: min sum of c[j] over the chosen subsets, whose union is the universe. Answer: a list of the
    chosen subsets' numbers in any order. Trivial: all subsets. Heuristic: Chvatal's greedy [2]_.
    Reference: CP-SAT.

    Examples
    --------
    >>> cover = SetCover()
    >>> instance = SetCoverInstance(6, ((0, 1, 2, 3), (0, 1, 4), (2, 3, 5)), (1, 1, 1))
    >>> cover.heuristic(instance), cover.reference(instance).solution
    ((0, 1, 2), (1, 2))
    """

    name: ClassVar = "SetCover"
    version: ClassVar = 0
    family: ClassVar = "selection"
    sense: ClassVar = "min"
    kind: ClassVar = "subset"
    constraints: ClassVar = ("known", "once", "covered")
    open_constraints: ClassVar = ("covered",)
    instance_type: ClassVar = SetCoverInstance
    work_limit: ClassVar = 60_000_000

    n: int = 30
    """Number of subsets."""
    elements: int = 0
    """Number of elements; 0 stands for 4 n / 3, which leaves greedy room."""
    distribution: str = "costed"
    """``uniform``: random subsets of one size, their number counts; ``skewed``: likewise, of sizes from half
    to one and a half times ``members``; ``costed``: as ``uniform``, with random costs as in [4]_."""
    members: int = 6
    """Mean number of elements of a subset, at most a quarter of all elements, but 2."""
    largest: int = 20
    """Costs of ``costed`` are 1 to ``largest``."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="fewer subsets leave no choice")
        check_int("elements", self.elements, 0, _MAX_ELEMENTS)
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_int("members", self.members, 1, _MAX_ELEMENTS)
        check_int("largest", self.largest, 1, _MAX_COST)

    def at_level(self, level: int) -> SetCover:
        return replace(self, n=size_at_level(18, level))

    def generate(self, rng: np.random.Generator) -> SetCoverInstance:
        n, universe = self.n, self.elements or self.n * 4 // 3
        members = min(self.members, max(2, universe // 4))
        sizes = [members] * n
        if self.distribution == "skewed":
            sizes = rng.integers(max(1, members // 2), members * 3 // 2, size=n, endpoint=True).tolist()
        subsets = [set(rng.choice(universe, min(size, universe), replace=False).tolist()) for size in sizes]
        for element in sorted(set(range(universe)).difference(*subsets)):
            subsets[int(rng.integers(n))].add(element)
        costs = (
            rng.integers(1, self.largest + 1, size=n).tolist() if self.distribution == "costed" else [1] * n
        )
        return SetCoverInstance(universe, tuple(tuple(sorted(subset)) for subset in subsets), tuple(costs))

    def describe(self, instance: SetCoverInstance) -> str:
        lines = []
        for j, (subset, cost) in enumerate(
            zip(instance.subsets, instance.costs, strict=True), instance.first
        ):
            price = f" (cost {cost})" if instance.costed else ""
            lines.append(f"{j}{price}: {' '.join(map(str, subset))}")
        return f"elements 0 to {instance.universe - 1}\n" + "\n".join(lines)

    def prompt(self, instance: SetCoverInstance) -> str:
        if self.style == "compact":
            rows = [
                (f"c{cost} " if instance.costed else "") + " ".join(map(str, subset))
                for subset, cost in zip(instance.subsets, instance.costs, strict=True)
            ]
            return f"u{instance.universe} {' ; '.join(rows)} >"
        n = instance.size
        what = "subsets of the least total cost" if instance.costed else "as few subsets as possible"
        task = (
            f"Set cover problem: choose {what} such that every element is in at least one chosen subset.\n"
            f"There are {instance.universe} elements, numbered 0 to {instance.universe - 1}, and {n} subsets, "
            f"numbered {instance.first} to {instance.first + n - 1}: one line per subset, with its number"
            f"{', its cost' if instance.costed else ''} and its elements."
        )
        what = "a JSON list of the numbers of the chosen subsets, each once, in any order,"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: SetCoverInstance) -> tuple[SetCoverInstance, Cover]:
        # Counting on from the instance's last subset: the example's answer names none of its subsets.
        first = instance.first + instance.size
        subsets = ((0, 1, 2), (3, 4), (2, 5), (3, 4, 5))
        if instance.costed:
            return SetCoverInstance(6, subsets, (4, 2, 3, 6), first), (0, 1, 2)
        return SetCoverInstance(6, subsets, (1, 1, 1, 1), first), (0, 3)

    def parse(self, instance: SetCoverInstance, text: str) -> Cover:
        if self.style == "prose":
            return read_subset(text, instance.first)
        return read_signs(text, range(instance.size))

    def write(self, instance: SetCoverInstance, solution: Cover) -> str:
        if self.style == "prose":
            return write_subset(solution, instance.first)
        return write_signs(solution, range(instance.size))

    def violations(self, instance: SetCoverInstance, solution: Cover) -> tuple[Violation, ...]:
        found, chosen = subset_violations("subsets", instance.size, instance.first, solution)
        covered = 0
        for j in chosen:
            covered |= instance.masks[j]
        missing = instance.universe - covered.bit_count()
        if missing:
            least = (~covered & (covered + 1)).bit_length() - 1
            reason = f"each of {instance.universe} elements is covered, missing {missing}, of which {least} is first"
            found.append(Violation("covered", missing, instance.universe, reason))
        return tuple(found)

    def objective(self, instance: SetCoverInstance, solution: Cover) -> int:
        return sum([instance.costs[j] for j in solution])

    def extensions(self, instance: SetCoverInstance, partial: Cover) -> list[int]:
        """Return the subsets that hold an uncovered element."""
        covered = 0
        for j in partial:
            covered |= instance.masks[j]
        return [j for j, mask in enumerate(instance.masks) if mask & ~covered]

    def trivial(self, instance: SetCoverInstance) -> Cover:
        return tuple(range(instance.size))

    def heuristic(
        self, instance: SetCoverInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Cover:
        """Chvatal's greedy [2]_: the subset with most uncovered elements per cost, ties by number.

        At most H(d) times the optimum, d the size of the largest subset; never worse than all subsets.
        """
        uncovered, chosen = (1 << instance.universe) - 1, []
        heap = [(Fraction(instance.costs[j], len(subset)), j) for j, subset in enumerate(instance.subsets)]
        heapify(heap)
        while uncovered:
            ranked: list[tuple[Fraction, int]] = []
            while heap and len(ranked) < (1 if rng is None else 2):
                price, j = heappop(heap)
                if new := (instance.masks[j] & uncovered).bit_count():
                    # Prices only rise: one that is still right is the least of all.
                    now = Fraction(instance.costs[j], new)
                    if now == price:
                        ranked.append((price, j))
                    else:
                        heappush(heap, (now, j))
            second = rng is not None and len(ranked) > 1 and rng.random() < slip
            chosen.append(ranked.pop(1 if second else 0)[1])
            uncovered &= ~instance.masks[chosen[-1]]
            for entry in ranked:
                heappush(heap, entry)
        return tuple(sorted(chosen))

    def random(self, instance: SetCoverInstance, rng: np.random.Generator) -> Cover:
        """Return the subsets, in random order, that hold an element which those before them leave."""
        return extend(instance, [], rng.permutation(instance.size).tolist())

    def neighbour(self, instance: SetCoverInstance, solution: Cover, rng: np.random.Generator) -> Cover:
        """Leave a random subset, cover its elements by others in random order, spare what is redundant."""
        left = solution[int(rng.integers(len(solution)))]
        kept = [j for j in rng.permutation(list(solution)).tolist() if j != left]
        others = [j for j in rng.permutation(instance.size).tolist() if j not in solution]
        return minimal(instance, extend(instance, kept, [*others, left]))

    def solve(self, instance: SetCoverInstance, limit: int) -> Certificate[Cover]:
        """CP-SAT on the integer programme; a step is a microsecond of its deterministic time."""
        from ortools.sat.python import cp_model

        greedy = self.heuristic(instance)
        cost = self.objective(instance, greedy)
        model = cp_model.CpModel()
        takes = [model.new_bool_var("") for _ in instance.subsets]
        holders: list[list[Any]] = [[] for _ in range(instance.universe)]
        for j, subset in enumerate(instance.subsets):
            model.add_hint(takes[j], j in greedy)
            for element in subset:
                holders[element].append(takes[j])
        for literals in holders:
            model.add_bool_or(literals)
        model.minimize(sum(c * take for c, take in zip(instance.costs, takes, strict=True)))
        solved = cpsat.solve(model, limit, linearization_level=2)
        # Chvatal's guarantee read backwards holds even where the limit leaves no time for a bound.
        largest = max(map(len, instance.subsets))
        bound = max(solved.bound, ceil(cost / sum(Fraction(1, k) for k in range(1, largest + 1))))
        best = greedy
        if solved.feasible:
            found = tuple(j for j, take in enumerate(takes) if solved.value(take))
            best = min(greedy, found, key=lambda cover: self.objective(instance, cover))
        return Certificate(best, self.objective(instance, best), bound, solved.name, solved.work)

    def canonical(self, instance: SetCoverInstance, solution: Cover) -> Cover:
        return tuple(sorted(solution))

    def draw(self, instance: SetCoverInstance, solution: Cover | None, ax: Any) -> None:
        from matplotlib.colors import to_rgb

        n, universe, first = instance.size, instance.universe, instance.first
        chosen, again, wrong = drawing.sorted_out("subset", n, first, solution or ())
        order = [*sorted(chosen), *sorted(set(range(n)).difference(chosen))]
        held = np.zeros((n, universe), dtype=np.uint8)
        for row, j in enumerate(order):
            held[row, list(instance.subsets[j])] = 2 if row < len(chosen) else 1
        shades = np.array([to_rgb(colour) for colour in ("white", drawing.FAINT, drawing.CHOSEN)])
        ax.imshow((255 * shades).astype(np.uint8)[held], aspect="auto", interpolation="nearest")
        if max(n, universe) <= 2 * drawing.MANY:
            style = {"color": "white", "linewidth": 1}
            ax.vlines(np.arange(0.5, universe - 1), -0.5, n - 0.5, **style)
            ax.hlines(np.arange(0.5, n - 1), -0.5, universe - 0.5, **style)
        uncovered = [] if solution is None else np.flatnonzero(held.max(axis=0) < 2).tolist()
        drawing.hatched(ax, [(e - 0.5, -0.5, 1, n) for e in uncovered])
        if chosen:
            ax.axhline(len(chosen) - 0.5, color=drawing.INK, linewidth=1)
        prices = [f" (cost {instance.costs[j]})" if instance.costed else "" for j in order]
        names = [f"{j + first}{price}" for j, price in zip(order, prices, strict=True)]
        drawing.name_rows(ax, names, bold=range(len(chosen)), wrong=[order.index(j) for j in again])
        ax.tick_params(axis="x", labelsize=8)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_ylabel("subset", fontsize=8, color=drawing.INK)
        told = f"element; chosen, above the line: {len(chosen)} of {n} subsets"
        if uncovered:
            wrong.append(f"not covered (hatched): {drawing.listing(uncovered)}")
        drawing.say(ax, "element" if solution is None else told, wrong)


def extend(instance: SetCoverInstance, start: Sequence[int], order: Sequence[int]) -> Cover:
    """Return ``start`` and the subsets that, in that order, hold an element which is not covered yet.

    Examples
    --------
    >>> extend(SetCoverInstance(2, ((0,), (0, 1), (1,)), (1, 1, 1)), [], [0, 1, 2])
    (0, 1)
    """
    covered = 0
    for j in start:
        covered |= instance.masks[j]
    chosen = list(start)
    for j in order:
        if instance.masks[j] & ~covered:
            covered |= instance.masks[j]
            chosen.append(j)
    return tuple(chosen)


def minimal(instance: SetCoverInstance, order: Sequence[int]) -> Cover:
    """Return the cover ``order`` less, in that order, every subset whose elements the rest still holds.

    Examples
    --------
    >>> minimal(SetCoverInstance(2, ((0,), (0, 1), (1,)), (1, 1, 1)), [0, 1, 2])
    (1,)
    """
    times = [0] * instance.universe  # how often each element is covered
    for j in order:
        for element in instance.subsets[j]:
            times[element] += 1
    kept = []
    for j in order:
        if all(times[element] > 1 for element in instance.subsets[j]):
            for element in instance.subsets[j]:
                times[element] -= 1
        else:
            kept.append(j)
    return tuple(sorted(kept))
