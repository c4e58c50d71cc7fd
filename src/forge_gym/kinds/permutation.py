"""`Permutation`: problems whose solution is an order of all elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, zip_longest
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..core.problem import I
from ..core.verdict import Violation
from .forms import elements, fixed_permutations, in_range, pair_names
from .listing import Listing
from .table import plural

Order: TypeAlias = tuple[int, ...]
"""All elements, counted from 0, in order."""


@dataclass(frozen=True, kw_only=True)
class Permutation(Listing[I]):
    """Put all elements in order. `broken` gets the tuple of those that exist, each where it stands first.

    Where not every order is feasible, it gets beginnings of orders too, and reports what no end of them mends.
    """

    solutions: ClassVar = "a permutation"
    widget: ClassVar = "order"
    renumbered: ClassVar = False
    stops: ClassVar = False
    mendable: ClassVar[tuple[str, ...]] = ("listed",)
    in_order: ClassVar = True
    whole: ClassVar = True
    enumerable: ClassVar = 7
    done: ClassVar[tuple[str, str]] = ("listed", "entries")
    """What an order does with each element, as a participle, and what it does twice, as a plural: for reasons."""

    def __init_subclass__(cls, **options: Any) -> None:
        cls.form = ("known", cls.done[0], "once")
        cls.mendable = (cls.done[0], *(family for family in cls.mendable if family in cls.own))
        super().__init_subclass__(**options)

    def trivial(self, instance: I) -> Order:
        """Return the best of 32 orders that ignore the data, or fewer of few elements: no constant answer beats it."""
        return self.best(instance, fixed_permutations(instance.size)[: max(1, 4 * instance.size - 8)])

    def answer(self, instance: I) -> str:
        one = self.names_of(instance).one
        return f"a JSON list of the {plural(one)} of all {instance.size} {plural(self.noun)} in order, each once,"

    def clean(self, instance: I, solution: Order) -> tuple[list[Violation], Order]:
        n = instance.size
        if len(solution) == n == len(elements(n).intersection(solution)):
            return [], solution
        broken: list[Violation] = []
        listed, (done, entries) = in_range(solution, n), self.done
        names, nouns = self.names_of(instance), plural(self.noun)
        if unknown := len(solution) - len(listed):
            broken.append(Violation("known", unknown, n, f"{nouns} are {names.span}, got {unknown} others"))
        if absent := sorted(elements(n).difference(listed)):
            some = ", ".join([str(names[element]) for element in absent[:10]])
            reason = f"each {self.noun} is {done}, missing {len(absent)} of {n}: [{some}]"
            broken.append(Violation(done, len(absent), n, reason))
        if repeats := len(listed) - len(set(listed)):
            reason = f"each {self.noun} is {done} once, got {repeats} repeated {entries}"
            broken.append(Violation("once", repeats, n, reason))
        return broken, tuple(dict.fromkeys(listed))

    def null_answers(self, instance: I) -> list[Order]:
        return [(), (0,) * instance.size]

    def extensions(self, instance: I, partial: Order) -> Sequence[int]:
        left = sorted(elements(instance.size).difference(partial))
        return left if not self.own else [x for x in left if not any(self.broken(instance, (*partial, x)))]

    def random(self, instance: I, rng: np.random.Generator) -> Order:
        return super().random(instance, rng) if self.own else tuple(rng.permutation(instance.size).tolist())

    def neighbour(self, instance: I, solution: Order, rng: np.random.Generator) -> Order:
        """Reverse a random stretch of a closed tour (2-opt); else put a random element in a random place."""
        if self.cyclic and not self.own:
            i, j = sorted(rng.integers(instance.size + 1, size=2).tolist())
            return solution[:i] + solution[i:j][::-1] + solution[j:]
        for _ in range(instance.size):
            i, j = rng.integers(instance.size, size=2).tolist()
            rest = solution[:i] + solution[i + 1 :]
            moved = (*rest[:j], solution[i], *rest[j:])
            if not any(self.broken(instance, moved)):
                return moved
        return solution

    def moves(self, instance: I, solution: Order) -> Iterator[tuple[str, Order]]:
        """Yield reversals of the stretch between two places of a closed tour (2-opt); else exchanges of two places."""
        n = instance.size
        for i, j in combinations(range(n), 2):
            stretch = solution[i : j + 1]
            if self.cyclic and j - i == n - 1:
                continue  # all of a tour backwards is the same tour
            changed = stretch[::-1] if self.cyclic else (stretch[-1], *stretch[1:-1], stretch[0])
            moved = solution[:i] + changed + solution[j + 1 :]
            if not self.own or not any(self.broken(instance, moved)):
                yield f"{self._verb} {i} to {j}", moved

    @property
    def _verb(self) -> str:
        return "reverse places" if self.cyclic else "exchange places"

    def move_names(self, size: int) -> list[str]:
        return pair_names(self._verb, size, "to")

    def changed(self, before: Order, after: Order) -> set[int]:
        return {place for place, (one, other) in enumerate(zip_longest(before, after)) if one != other}

    def everything(self, instance: I) -> Iterator[Order]:
        return permutations(range(instance.size))

    def any_answer(self, instance: I, rng: np.random.Generator) -> Order:
        return tuple(rng.permutation(instance.size).tolist())

    def patterns(self, instance: I) -> list[Order]:
        return [order[::turn] for order in fixed_permutations(instance.size) for turn in (1, -1)]
