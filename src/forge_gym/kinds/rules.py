"""Constraints that a problem declares by the names of its instance's fields: the kind does everything with them.

A rule says how far a solution is from satisfying it. `Kind.broken` and `Kind.quick` ask for nothing else. Those of
subsets also say what an element more changes: sets are built with that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, pairwise, zip_longest
from math import comb
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.bitset import bits
from ..core.verdict import Violation
from .forms import elements, pick
from .table import plural

Amount: TypeAlias = Callable[[Any], int]
"""Tells of a solution, as `clean` leaves it, by how much it breaks a rule: by nothing where that is at most 0."""
Step: TypeAlias = Callable[[Any, int], Any]
"""Tells what a state becomes with an element more; None where the element does not fit, or mends nothing."""

MASKED = 1_000
"""Elements up to which a rule asks bit masks, which are quick; of more, their n^2 bits grow faster than the data."""


@dataclass(frozen=True)
class Rule(ABC):
    """A constraint, which is a family of its own."""

    family: str
    mendable: ClassVar[bool] = False
    """Whether an unfinished solution may break it: adding mends it."""

    @abstractmethod
    def amount(self, instance: Any) -> Amount:
        """Return what tells by how much a solution of ``instance`` breaks the rule."""

    @abstractmethod
    def violation(self, kind: Any, instance: Any, solution: Any, amount: int) -> Violation:
        """Return what is said of a solution that breaks the rule by ``amount``."""


class SubsetRule(Rule):
    """A rule about the chosen elements of a `Subset`."""

    @abstractmethod
    def building(self, instance: Any) -> tuple[Any, Step]:
        """Return the state of the empty set, and what an element more makes of a state."""

    def fitting(self, instance: Any, state: Any) -> Iterable[int]:
        """Return the elements that fit, or mend something, where chosen ones have led to ``state``."""
        step = self.building(instance)[1]
        return [element for element in range(instance.size) if step(state, element) is not None]


@dataclass(frozen=True)
class AtMost(SubsetRule):
    """Numbers of the chosen elements sum up to at most a limit."""

    numbers: str
    limit: str
    what: str
    """What the sum is called, such as ``the weight``."""

    def amount(self, instance: Any) -> Amount:
        limit: int = getattr(instance, self.limit)
        number = dict(enumerate(getattr(instance, self.numbers))).__getitem__  # in half the time that a tuple takes
        return lambda chosen: sum(map(number, chosen)) - limit

    def violation(self, kind: Any, instance: Any, solution: Collection[int], amount: int) -> Violation:
        limit = getattr(instance, self.limit)
        reason = f"{self.what} is at most {limit}, got {limit + amount}"
        return Violation(self.family, amount, sum(getattr(instance, self.numbers)) - limit, reason)

    def building(self, instance: Any) -> tuple[int, Step]:
        numbers: Sequence[int] = getattr(instance, self.numbers)

        def take(room: int, element: int) -> int | None:
            left = room - numbers[element]
            return left if left >= 0 else None

        return getattr(instance, self.limit), take


class Exactly(AtMost):
    """Numbers of the chosen elements sum up to a limit."""

    mendable: ClassVar = True

    def amount(self, instance: Any) -> Amount:
        over = super().amount(instance)
        return lambda chosen: abs(over(chosen))

    def violation(self, kind: Any, instance: Any, solution: Collection[int], amount: int) -> Violation:
        numbers, limit = getattr(instance, self.numbers), getattr(instance, self.limit)
        total = sum(pick(numbers, solution))
        scale = limit if total < limit else sum(numbers) - limit  # redundant: it decides how wrong, not whether
        return Violation(self.family, amount, scale, f"{self.what} is equal to {limit}, got {total}")


@dataclass(frozen=True)
class Half(SubsetRule):
    """Half of the elements are chosen, of an odd number the smaller half."""

    mendable: ClassVar = True

    def amount(self, instance: Any) -> Amount:
        half = instance.size // 2
        return lambda chosen: abs(len(chosen) - half)

    def violation(self, kind: Any, instance: Any, solution: Collection[int], amount: int) -> Violation:
        n = instance.size
        reason = f"the half has {n // 2} {plural(kind.noun)}, got {len(solution)}"
        return Violation(self.family, amount, n - n // 2, reason)

    def building(self, instance: Any) -> tuple[int, Step]:
        return instance.size // 2, lambda left, element: left - 1 if left else None


@dataclass(frozen=True)
class Pairwise(SubsetRule):
    """Every two chosen vertices of a graph are adjacent, or no two are."""

    adjacent: bool
    """Whether they are to be adjacent."""
    rule: str
    """The rule in words, such as ``every two vertices are adjacent``."""
    fault: str
    """What the pairs are that break it, such as ``are not``."""

    def _conflicts(self, instance: Any) -> Sequence[int]:
        """Return for each vertex the bit mask of those that must not be chosen with it."""
        conflicts: Sequence[int] = instance.complement if self.adjacent else instance.neighbours
        return conflicts

    def amount(self, instance: Any) -> Amount:
        n: int = instance.size
        if n > MASKED:  # redundant: it only saves time
            return partial(self._counted, instance)
        conflicts = self._conflicts(instance)
        both = [mask << n | 1 << element for element, mask in enumerate(conflicts)]

        def broken(chosen: Collection[int]) -> int:
            union = 0  # the chosen ones, and all that are in conflict with any
            for v in chosen:  # in half the time that `reduce` takes
                union |= both[v]
            if not union & union >> n:
                return 0  # at once; what follows says the same
            return sum([(union & conflicts[v]).bit_count() for v in chosen]) // 2

        return broken

    def _counted(self, instance: Any, chosen: Collection[int]) -> int:
        """Return how many chosen pairs are in conflict, by the edges."""
        joined = len(self._edges(instance, chosen).T)
        return comb(len(chosen), 2) - joined if self.adjacent else joined

    def _edges(self, instance: Any, chosen: Collection[int]) -> NDArray[np.int64]:
        """Return (2, m) the edges between chosen vertices."""
        inside = np.zeros(instance.size, dtype=bool)
        inside[list(chosen)] = True
        tails, heads = instance.ends
        edges: NDArray[np.int64] = instance.ends[:, inside[tails] & inside[heads]]
        return edges

    def violation(self, kind: Any, instance: Any, solution: Collection[int], amount: int) -> Violation:
        names, pairs_of, pairs = kind.names_of(instance), combinations(sorted(solution), 2), comb(len(solution), 2)
        if instance.size <= MASKED:  # redundant: it only saves time
            conflicts = self._conflicts(instance)
            u, v = next((u, v) for u, v in pairs_of if conflicts[u] >> v & 1)  # redundant: only the reason uses it
        else:
            edges = zip(*self._edges(instance, solution), strict=True)
            missing = (pair for pair, edge in zip_longest(pairs_of, edges) if pair != edge)
            u, v = next(missing if self.adjacent else edges)
        got = f"got {amount} of {pairs} pairs that {self.fault}, such as {names[u]} and {names[v]}"
        return Violation(self.family, amount, pairs, f"{self.rule}, {got}")

    def building(self, instance: Any) -> tuple[int, Step]:
        conflicts = self._conflicts(instance)
        return (1 << instance.size) - 1, lambda free, v: free & ~conflicts[v] if free >> v & 1 else None

    def fitting(self, instance: Any, state: int) -> Iterable[int]:
        return bits(state)


@dataclass(frozen=True)
class Covered(SubsetRule):
    """Together, the chosen elements hold all of a universe; bit masks say what each of them holds, as its list does."""

    masks: str
    lists: str
    universe: str
    mendable: ClassVar = True

    def amount(self, instance: Any) -> Amount:
        lists: Sequence[Sequence[int]] = getattr(instance, self.lists)
        universe: int = getattr(instance, self.universe)
        if instance.size > MASKED:  # redundant: it only saves time
            return lambda chosen: universe - len(set().union(*pick(lists, chosen)))
        masks: Sequence[int] = getattr(instance, self.masks)

        def missing(chosen: Collection[int]) -> int:
            held = 0
            for j in chosen:  # in half the time that `reduce` takes
                held |= masks[j]
            return universe - held.bit_count()

        return missing

    def violation(self, kind: Any, instance: Any, solution: Collection[int], amount: int) -> Violation:
        universe, held = getattr(instance, self.universe), set().union(*pick(getattr(instance, self.lists), solution))
        first = next(element for element in range(universe) if element not in held)
        reason = f"each of {universe} elements is covered, missing {amount}, of which {first} is first"
        return Violation(self.family, amount, universe, reason)

    def building(self, instance: Any) -> tuple[int, Step]:
        masks: Sequence[int] = getattr(instance, self.masks)
        return 0, lambda held, j: held | masks[j] if masks[j] & ~held else None


@dataclass(frozen=True)
class Differ(Rule):
    """The two ends of each edge have different labels."""

    edges: str
    rule: str
    """The rule in words, such as ``adjacent vertices differ``."""
    what: str
    """What two ends share that break it, such as ``one colour``."""

    def amount(self, instance: Any) -> Amount:
        edges, n = getattr(instance, self.edges), instance.size
        heads, tails = zip(*edges, strict=True) if edges else ((), ())
        # Elements and labels that are bytes: one translation writes the labels of all ends.
        small = n <= 256  # redundant: it only saves time
        ends, rest = bytes((*heads, *tails)) if small else b"", bytes(max(0, 256 - n))
        m = len(edges)

        def clashes(labels: Sequence[int | None]) -> int:
            if small:  # redundant: it only saves time
                try:
                    both = ends.translate(bytes(labels) + rest)  # type: ignore[arg-type]
                    apart = int.from_bytes(both[:m], "little") ^ int.from_bytes(both[m:], "little")
                    if 0 not in apart.to_bytes(m, "little"):
                        return 0  # at once; what follows says the same
                except (TypeError, ValueError):  # an element without a label, or a label beyond a byte
                    pass
            return sum([labels[u] is not None and labels[u] == labels[v] for u, v in edges])

        return clashes

    def violation(self, kind: Any, instance: Any, solution: Sequence[int | None], amount: int) -> Violation:
        edges, names = getattr(instance, self.edges), kind.names_of(instance)
        labelled = (uv for uv in edges if solution[uv[0]] is not None)  # redundant: only the reason uses it
        u, v = next((u, v) for u, v in labelled if solution[u] == solution[v])  # redundant: as above
        got = f"got {amount} edges with {self.what}, such as {names[u]}-{names[v]}"
        return Violation(self.family, amount, len(edges), f"{self.rule}, {got}")


@dataclass(frozen=True)
class Visits(Rule):
    """A closed walk visits at least three different elements."""

    what: str
    """What a closed walk is called, such as ``a cycle``."""
    mendable: ClassVar = True

    def amount(self, instance: Any) -> Amount:
        known = elements(instance.size)

        def short(walk: tuple[int, ...]) -> int:
            begun = known.intersection(walk[:3])
            return 3 - len(begun) and 3 - len(known.intersection(walk))  # redundant: so short a walk lacks arcs too

        return short

    def violation(self, kind: Any, instance: Any, solution: Any, amount: int) -> Violation:
        reason = f"{self.what} has at least 3 {plural(kind.noun)}, got {3 - amount}"
        return Violation(self.family, amount, 3, reason)


@dataclass(frozen=True)
class Along(Rule):
    """A closed walk goes along arcs, from its last element to its first too: at least three of them."""

    arcs: str
    rule: str
    """The rule in words, such as ``consecutive vertices are adjacent``."""
    what: str
    """What a closed walk is called, such as ``a cycle``."""
    mendable: ClassVar = True

    def amount(self, instance: Any) -> Amount:
        arcs: frozenset[tuple[int, int]] = getattr(instance, self.arcs)

        def lacking(walk: tuple[int, ...]) -> int:
            steps = zip(walk, walk[1:] + walk[:1])  # noqa: B905 - `strict` takes a tenth of the time
            if len(walk) >= 3 and arcs.issuperset(steps):  # redundant: shorter ones break `Visits`
                return 0  # at once; what follows says the same
            return max(3, len(walk)) - sum(map(arcs.__contains__, pairwise((*walk, *walk[:1]))))

        return lacking

    def violation(self, kind: Any, instance: Any, solution: tuple[int, ...], amount: int) -> Violation:
        needed = max(3, len(solution))
        reason = f"{self.rule}, got {needed - amount} edges of {needed} for {self.what}"
        return Violation(self.family, amount, needed, reason)
