"""`Listing`: what all problems share whose solution is a list of elements: a set, an order, an order of some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.checks import plain_data
from ..core.problem import I
from .forms import (
    canonical_cycle,
    elements,
    every_list,
    fixed_selections,
    pair_names,
    random_selection,
    read_elements,
    write_elements,
)
from .kind import Kind, Reader
from .reading import read_numbers
from .table import Names

Listed: TypeAlias = tuple[int, ...]
"""Elements, counted from 0."""


@dataclass(frozen=True, kw_only=True)
class Listing(Kind[I, Listed]):
    """List some elements."""

    form: ClassVar[tuple[str, ...]] = ("known", "once")
    renumbered: ClassVar = True
    stops: ClassVar = True
    ordered: ClassVar[bool] = True
    """Whether `broken` gets a tuple, and not a set."""
    whole: ClassVar[bool] = False
    """Whether all elements are listed."""
    cyclic: ClassVar[bool] = False
    """Whether a list is a closed tour: the same from any start on, and backwards."""

    def read(self, instance: I, text: str, names: Names) -> Listed:
        return read_elements(text, names)

    def write(self, instance: I, solution: Listed, names: Names) -> str:
        return write_elements(solution, names)

    def read_compact(self, instance: I, text: str, names: Names) -> Listed:
        return tuple(read_numbers(text))

    def write_compact(self, instance: I, solution: Listed, names: Names) -> str:
        return " ".join(map(str, solution))

    def reader(self, instance: I) -> Reader[Listed] | None:
        names, known = self.names_of(instance), elements(instance.size)
        if names.words:
            return None
        first, ordered, least = names.first, self.ordered, instance.size if self.whole else 0

        def read(listed: list[int]) -> tuple[Listed, Any] | None:
            solution = tuple([number - first for number in listed] if first else listed)
            existing = known.intersection(solution)
            if len(existing) != len(solution) or len(solution) < least:
                return None
            return solution, solution if ordered else existing

        return read

    def assemble(self, instance: I, parts: Iterable[int]) -> Listed:
        return tuple(parts)

    def canonical(self, instance: I, solution: Listed) -> Listed:
        listed: Listed = plain_data(solution)
        return canonical_cycle(listed) if self.cyclic else listed

    def permute(self, solution: Listed, order: Sequence[int]) -> Listed:
        return tuple([int(order[element]) for element in solution])

    def null_answers(self, instance: I) -> list[Listed]:
        return [(), (0,) * instance.size, tuple(range(instance.size))]

    def move_names(self, size: int) -> list[str]:
        return [*(f"flip {element}" for element in range(size)), *pair_names("exchange", size)]

    def changed(self, before: Listed, after: Listed) -> set[int]:
        """Return the elements that are in one of the two."""
        return set(before) ^ set(after)

    def wild(self, instance: I) -> Iterator[Listed]:
        return every_list(range(instance.size), instance.size + 1)

    def any_answer(self, instance: I, rng: np.random.Generator) -> Listed:
        return random_selection(instance.size, rng)

    def patterns(self, instance: I) -> list[Listed]:
        return fixed_selections(instance.size)

    def state_width(self, axes: tuple[int, ...]) -> int:
        return 4

    def state(self, instance: I, partial: Listed) -> NDArray[Any]:
        """Return (n, 4): listed, the first, the last, and the place as a share of n."""
        state = np.zeros((instance.size, 4))
        if len(partial):
            state[list(partial), 0] = state[partial[0], 1] = state[partial[-1], 2] = 1.0
            state[list(partial), 3] = np.arange(1, len(partial) + 1) / instance.size
        return state
