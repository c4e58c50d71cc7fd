"""`Subset`: problems whose solution is a set of elements, and `GraphSubset`: of the vertices of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from operator import eq
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..core.checks import plain_data
from ..core.problem import I
from ..core.verdict import Malformed, Violation
from .forms import elements, fixed_permutations, listed_once, pair_name
from .graph import Graph
from .kind import Kind
from .listing import Listing
from .reading import read_numbers
from .rules import SubsetRule
from .table import Names, plural

Chosen: TypeAlias = tuple[int, ...]
"""The chosen elements, counted from 0, in any order."""


@dataclass(frozen=True, kw_only=True)
class Subset(Listing[I]):
    """Choose a set of elements. `broken` gets the frozenset of those that exist.

    Where subsets of a feasible set are feasible (packing), or adding mends what is ``mendable`` (covering), all else
    follows from the rule that the problem requires. Where it writes `broken` instead, everything follows from that: 10
    to 30 times as slowly on set cover.
    """

    solutions: ClassVar = "a subset"
    widget: ClassVar = "subset"
    ordered: ClassVar = False
    enumerable: ClassVar = 10

    def trivial(self, instance: I) -> Chosen:
        """Return the best of eight fixed orders, each taken as far as it fits, or until nothing is lacking."""

        def beginning(order: Chosen) -> Chosen:
            if self.mendable:
                taken = self.complete(instance, order)
                return order[: order.index(taken[-1]) + 1] if taken else ()
            for part in (order[:8], order):  # most end soon
                fitting = sum(map(eq, part, self.complete(instance, part)))
                if fitting < len(part):  # behind one that does not fit, all stand at other places
                    break
            return order[:fitting]

        return tuple(sorted(self.best(instance, map(beginning, fixed_permutations(instance.size)[:8]))))

    def complete(self, instance: I, order: Iterable[int]) -> list[int]:
        """Return the elements of ``order`` that in turn fit, or mend something that is lacking."""
        rule, chosen = self._rule, list[int]()
        if rule is not None:
            state, step = rule.building(instance)
            for element in order:
                if (after := step(state, element)) is not None:
                    chosen.append(element)
                    state = after
            return chosen
        lack = self._lack(instance, chosen)
        for element in order:
            if self.mendable and lack == 0:
                break
            after = self._lack(instance, [*chosen, element])
            if after is not None and (not self.mendable or lack is None or after < lack):
                chosen.append(element)
                lack = after
        return chosen

    @property
    def _rule(self) -> SubsetRule | None:
        """The one rule that says which sets are feasible, if there is one."""
        declared = len(self.requires) == 1 and type(self).broken is Kind.broken
        return self.requires[0] if declared and isinstance(self.requires[0], SubsetRule) else None

    def prune(self, instance: I, chosen: Sequence[int]) -> Chosen:
        """Return ``chosen`` in rising order, without elements that in turn turn out not to be needed."""
        needed = set(chosen)
        for element in chosen if self.mendable else ():
            needed.discard(element)
            if any(self.broken(instance, frozenset(needed))):
                needed.add(element)
        return tuple(sorted(needed))

    def _lack(self, instance: I, chosen: Iterable[int]) -> float | None:
        """Return how much adding has yet to mend; None where something is broken that adding does not mend."""
        violations = list(self.broken(instance, frozenset(chosen)))
        if any(violation.family not in self.mendable for violation in violations):
            return None
        return sum([1.0 - violation.satisfied for violation in violations])

    def answer(self, instance: I) -> str:
        one = self.names_of(instance).one
        return f"a JSON list of the {plural(one)} of the chosen {plural(self.noun)}, each once, in any order,"

    def read_compact(self, instance: I, text: str, names: Names) -> Chosen:
        signs = text.split()
        if len(signs) != instance.size or not set(signs) <= {"+", "-"}:
            rule = f"{instance.size} signs, + to take and - to leave"
            raise Malformed(f"an answer is {rule}, got {len(signs)} words")
        return tuple([element for element, sign in enumerate(signs) if sign == "+"])

    def write_compact(self, instance: I, solution: Chosen, names: Names) -> str:
        return " ".join("+" if element in solution else "-" for element in range(instance.size))

    def clean(self, instance: I, solution: Chosen) -> tuple[list[Violation], frozenset[int]]:
        chosen = elements(instance.size).intersection(solution)
        if len(chosen) == len(solution):
            return [], chosen
        return listed_once(self.noun, self.names_of(instance), solution), chosen

    def assemble(self, instance: I, parts: Iterable[int]) -> Chosen:
        return tuple(sorted(parts))

    def canonical(self, instance: I, solution: Chosen) -> Chosen:
        return tuple(sorted(plain_data(solution)))

    def extensions(self, instance: I, partial: Chosen) -> Sequence[int]:
        rule, inside = self._rule, set(partial)
        if rule is not None:
            state, step = rule.building(instance)
            for element in partial:
                if (after := step(state, element)) is not None:
                    state = after
                elif not rule.mendable:
                    return []
            return [x for x in rule.fitting(instance, state) if x not in inside]
        lack = self._lack(instance, partial)
        if self.mendable and lack == 0:
            return []
        lacks = [(x, self._lack(instance, (*partial, x))) for x in range(instance.size) if x not in inside]
        return [x for x, after in lacks if after is not None and (not self.mendable or lack is None or after < lack)]

    def with_all_that_fits(self, instance: I, partial: Chosen) -> Chosen:
        """Return ``partial`` with every element that fits beside it, together or not: for bounds."""
        return (*partial, *self.extensions(instance, partial))

    def random(self, instance: I, rng: np.random.Generator) -> Chosen:
        """Return a random maximal, or complete, set: elements in random order, each if it fits or is needed."""
        return tuple(sorted(self.complete(instance, rng.permutation(instance.size).tolist())))

    def neighbour(self, instance: I, solution: Chosen, rng: np.random.Generator) -> Chosen:
        """Force a random element in or out, keep what still fits, and complete the set in random order."""
        flipped, inside = int(rng.integers(instance.size)), set(solution)
        others = [element for element in rng.permutation(instance.size).tolist() if element != flipped]
        kept = [element for element in others if element in inside]
        rest = [element for element in others if element not in inside]
        order = [*kept, *rest, flipped] if flipped in inside else [flipped, *kept, *rest]
        return self.prune(instance, self.complete(instance, order))

    def moves(self, instance: I, solution: Chosen) -> Iterator[tuple[str, Chosen]]:
        """Yield flips, which take an element in or leave it out, and exchanges of one inside for one outside."""
        sure = not self.mendable  # of a packing, parts are feasible, and extensions fit
        for element in self.extensions(instance, solution):
            yield f"flip {element}", (*solution, element)
        for element in solution:
            rest = tuple([other for other in solution if other != element])
            if sure or self.feasible(instance, rest):
                yield f"flip {element}", rest
            for other in self.extensions(instance, rest):
                exchanged = (*rest, other)
                if other != element and other not in solution and (sure or self.feasible(instance, exchanged)):
                    yield pair_name("exchange", element, other), exchanged

    def greedy_value_at(self, instance: I, missing: float) -> float:
        """Return a share of greedy's objective, since a set has no order in which its parts come."""
        return (1.0 - missing) * float(self.reference(instance).greedy)

    def everything(self, instance: I) -> Iterator[Chosen]:
        n = instance.size
        return chain.from_iterable(combinations(range(n), size) for size in range(n + 1))

    def state_width(self, axes: tuple[int, ...]) -> int:
        return 1

    def state(self, instance: I, partial: Chosen) -> NDArray[Any]:
        """Return (n, 1): chosen."""
        state = np.zeros((instance.size, 1))
        state[list(partial), 0] = 1.0
        return state


G = TypeVar("G", bound=Graph)


@dataclass(frozen=True, kw_only=True)
class GraphSubset(Subset[G]):
    """Choose vertices of a graph. Compact answers list them, since signs for many vertices are hard to count."""

    noun: ClassVar = "vertex"

    def read_compact(self, instance: G, text: str, names: Names) -> Chosen:
        return () if text == "none" else tuple(read_numbers(text))

    def write_compact(self, instance: G, solution: Chosen, names: Names) -> str:
        return " ".join(map(str, solution)) or "none"
