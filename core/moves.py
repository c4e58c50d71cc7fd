"""Numbered local moves on a finished solution, decided by its kind: reversals, relabellings, flips and exchanges."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from .numeric import Encoder
from .problem import Instance


class Moves:
    """The moves between solutions that an `Encoder` has room for.

    Permutation: reverse the stretch between two places (2-opt). Assignment: give an element a label. The others:
    flip an element, which takes it in or leaves it out, or exchange two, of which one is in and goes; in a sequence
    the other takes its place, two that are in reverse the stretch between them, and an element comes in where it
    first fits. A meeting comes in at its earliest time.

    Examples
    --------
    >>> import forge_gym
    >>> knapsack = forge_gym.problem("Knapsack", n=3)
    >>> moves = Moves(Encoder(knapsack))
    >>> instance = type(knapsack.instance())(capacity=10, weights=(6, 5, 5), values=(7, 5, 5))
    >>> {moves.name(move): found for move, found in moves.possible(instance, (0,))}
    {'flip 0': (), 'exchange 0 and 1': (1,), 'exchange 0 and 2': (2,)}
    """

    def __init__(self, encoder: Encoder) -> None:
        self.problem, self.size = encoder.problem, encoder.size
        self.kind = self.problem.kind
        self.pairs: list[tuple[int, int]] = list(combinations(range(self.size), 2))
        self._number = {pair: number for number, pair in enumerate(self.pairs)}
        self.flips = self.size if self.kind in ("subset", "sequence", "schedule") else 0
        self.count = self.size**2 if self.kind == "assignment" else self.flips + len(self.pairs)
        """How many moves there are, possible or not."""

    def name(self, move: int) -> str:
        """Return what the move of this number does, in words."""
        if self.kind == "assignment":
            element, label = divmod(move, self.size)
            return f"give {element} label {label}"
        if move < self.flips:
            return f"flip {move}"
        i, j = self.pairs[move - self.flips]
        return f"reverse places {i} to {j}" if self.kind == "permutation" else f"exchange {i} and {j}"

    def possible(
        self, instance: Instance, solution: tuple[Any, ...]
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the number and the outcome of each move that leads to another feasible solution."""
        found = {
            "permutation": self._reversals,
            "assignment": self._labels,
            "sequence": self._splices,
            "subset": self._exchanges,
            "schedule": self._exchanges,
        }[self.kind](instance, solution)
        # What may be added to a set breaks nothing, unless it lacks something still; labels are all allowed ones.
        sets = self.kind in ("subset", "schedule") and not self.problem.open_constraints
        sure = sets or self.kind == "assignment"
        for move, moved in found:
            if sure or not self.problem.violations(instance, moved):
                yield move, moved

    def _reversals(self, instance: Instance, tour: tuple[Any, ...]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        n = instance.size
        for i, j in combinations(range(n), 2):
            if j - i < n - 1:  # all of the tour backwards is the same tour
                yield self._number[i, j], tour[:i] + tour[i : j + 1][::-1] + tour[j + 1 :]

    def _labels(self, instance: Instance, labels: tuple[Any, ...]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        for element in range(instance.size):
            for label in self.problem.labels(instance, labels, element):
                if label != labels[element]:
                    yield (
                        element * self.size + label,
                        (*labels[:element], label, *labels[element + 1 :]),
                    )

    def _exchanges(
        self, instance: Instance, solution: tuple[Any, ...]
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Flip and exchange where order means nothing: what may come in, `Problem.extensions` tells."""
        members = {self._element(member): member for member in solution}
        for element, addition in self._additions(instance, solution).items():
            yield element, (*solution, addition)
        for element in members:
            rest = tuple([member for member in solution if self._element(member) != element])
            yield element, rest
            for other, addition in self._additions(instance, rest).items():
                if other not in members:
                    yield self._pair(element, other), (*rest, addition)

    def _additions(self, instance: Instance, solution: tuple[Any, ...]) -> dict[int, Any]:
        """Return what may be added by element; of several rows of an element the earliest."""
        additions = self.problem.extensions(instance, solution)
        if self.kind == "subset":
            return {addition: addition for addition in additions}
        return {row[0]: row for row in sorted(additions, key=lambda row: -row[2])}

    def _element(self, member: Any) -> int:
        return int(member if self.kind == "subset" else member[0])

    def _pair(self, i: int, j: int) -> int:
        return self.flips + self._number[min(i, j), max(i, j)]

    def _splices(self, instance: Instance, cycle: tuple[Any, ...]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        place = {element: at for at, element in enumerate(cycle)}
        outside = [element for element in range(instance.size) if element not in place]
        for element, at in place.items():
            yield element, cycle[:at] + cycle[at + 1 :]
            for other in outside:
                yield self._pair(element, other), (*cycle[:at], other, *cycle[at + 1 :])
        for element in outside:
            grown = ((*cycle[:at], element, *cycle[at:]) for at in range(1, len(cycle) + 1))
            fitting = next((each for each in grown if not self.problem.violations(instance, each)), None)
            if fitting is not None:
                yield element, fitting
        for i, j in combinations(range(len(cycle)), 2):
            if j - i < len(cycle) - 1:
                reversed_ = cycle[:i] + cycle[i : j + 1][::-1] + cycle[j + 1 :]
                yield self._pair(cycle[i], cycle[j]), reversed_


def touched(kind: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> set[int]:
    """Return the variables in which two solutions differ: what the owner of some of them may change.

    Permutation: places. Assignment: elements whose label differs. Schedule: elements whose row differs. Subset and
    sequence: elements that are in one of the two; the order of a sequence belongs to nobody.

    Examples
    --------
    >>> touched("permutation", (0, 1, 2, 3), (0, 2, 1, 3)), touched("subset", (0, 1), (1, 4))
    ({1, 2}, {0, 4})
    """
    if kind in ("permutation", "assignment"):
        longest = max(len(before), len(after))
        padded = [(*each, *[None] * (longest - len(each))) for each in (before, after)]
        return {at for at, (one, other) in enumerate(zip(*padded, strict=True)) if one != other}
    different = set(before) ^ set(after)
    return {each[0] for each in different} if kind == "schedule" else different
