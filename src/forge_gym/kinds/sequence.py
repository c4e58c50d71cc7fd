"""`Sequence`: problems whose solution is some of the elements, in order."""

from __future__ import annotations

from collections import abc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations, permutations
from typing import ClassVar, TypeAlias

from ..core.problem import I
from ..core.verdict import Violation
from .forms import elements, listed_once, pair_name
from .listing import Listing
from .table import plural

Walk: TypeAlias = tuple[int, ...]
"""Some elements, counted from 0, in order."""


@dataclass(frozen=True, kw_only=True)
class Sequence(Listing[I]):
    """List some elements in order. `broken` gets the tuple as it is listed, foreign and repeated elements included.

    They stay, because leaving one out would join elements that do not stand beside each other.
    """

    solutions: ClassVar = "a sequence"
    widget: ClassVar = "order"
    enumerable: ClassVar = 6

    def answer(self, instance: I) -> str:
        one = self.names_of(instance).one
        return f"a JSON list of the {one}s of the listed {plural(self.noun)} in order, each once,"

    def clean(self, instance: I, solution: Walk) -> tuple[list[Violation], Walk]:
        if len(elements(instance.size).intersection(solution)) == len(solution):
            return [], solution
        return listed_once(self.noun, self.names_of(instance), solution), solution

    def extensions(self, instance: I, partial: Walk) -> abc.Sequence[int]:
        """Return the elements after which only ``mendable`` families are broken: override where that ends nowhere."""
        left = [element for element in range(instance.size) if element not in partial]
        return [
            element
            for element in left
            if all(broken.family in self.mendable for broken in self.broken(instance, (*partial, element)))
        ]

    def moves(self, instance: I, solution: Walk) -> Iterator[tuple[str, Walk]]:
        """Yield what is feasible of: an element left out, one taken in, one exchanged, a stretch reversed.

        An element comes in where it first fits. Exchanging two that are in reverses the stretch between them.
        """
        for name, candidates in self._candidates(instance, solution):
            feasible = next((moved for moved in candidates if self.feasible(instance, moved)), None)
            if feasible is not None:
                yield name, feasible

    def _candidates(self, instance: I, walk: Walk) -> Iterator[tuple[str, Iterable[Walk]]]:
        outside = [element for element in range(instance.size) if element not in walk]
        for at, element in enumerate(walk):
            yield f"flip {element}", [walk[:at] + walk[at + 1 :]]
            for other in outside:
                yield pair_name("exchange", element, other), [(*walk[:at], other, *walk[at + 1 :])]
        first = 1 if self.cyclic else 0
        for element in outside:
            places = range(first, len(walk) + 1)
            yield f"flip {element}", ((*walk[:at], element, *walk[at:]) for at in places)
        for i, j in combinations(range(len(walk)), 2):
            if not (self.cyclic and j - i == len(walk) - 1):  # all of a tour backwards is the same tour
                reversed_ = walk[:i] + walk[i : j + 1][::-1] + walk[j + 1 :]
                yield pair_name("exchange", walk[i], walk[j]), [reversed_]

    def greedy_value_at(self, instance: I, missing: float) -> float:
        """Return greedy's objective: an unfinished sequence counts as if it ended here."""
        return float(self.reference(instance).greedy)

    def everything(self, instance: I) -> Iterator[Walk]:
        n = instance.size
        return chain.from_iterable(permutations(range(n), length) for length in range(n + 1))
