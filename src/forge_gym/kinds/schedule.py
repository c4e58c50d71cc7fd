"""`Schedule`: problems whose solution gives some elements a resource and a time each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, combinations_with_replacement, product
from math import isqrt
from operator import itemgetter
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.checks import plain, plain_data
from ..core.problem import I
from ..core.verdict import Malformed, Violation
from .forms import elements, fixed_selections, pair_name, pair_names, random_selection
from .kind import Kind, Reader
from .reading import read_named_rows, read_number, read_rows
from .table import Names, plural

Row: TypeAlias = tuple[int, int, int]
"""An element, its resource and its time."""
Plan: TypeAlias = tuple[Row, ...]
"""The scheduled elements, in any order."""
_time = itemgetter(2)
_ENUMERATED = 5_000
"""Schedules that `Schedule.everything` and `Schedule.wild` yield at most; places are thinned out to that."""


@dataclass(frozen=True, kw_only=True)
class Schedule(Kind[I, Plan]):
    """Give some elements a resource and a time. `broken` gets the distinct rows in range, by time.

    An element may stand in several of them, which breaks ``once``.
    """

    solutions: ClassVar = "a schedule"
    widget: ClassVar = "rows"
    form: ClassVar = ("known", "once")
    renumbered: ClassVar = True
    stops: ClassVar = True
    enumerable: ClassVar = 10
    enumerates_all: ClassVar = False
    columns: ClassVar[tuple[str, str, str]]
    """What the three numbers of a row are, each in one word."""
    ranges: ClassVar[str]
    """Which resources and times there are, for reasons; {} stands for the last resource."""

    @abstractmethod
    def domains(self, instance: I) -> tuple[range, range]:
        """Return the resources, counted from 0, and the times at which something may start."""

    def columns_of(self, instance: I) -> dict[str, dict[str, int]]:
        (resources, times), (_, resource, time) = self.domains(instance), self.columns
        places = {resource: {str(r): r for r in resources}, time: {self.clock(t): t for t in times}}
        return {**super().columns_of(instance), **places}

    def clock(self, time: int) -> str:
        """Return how the picture writes a time: by default as a number."""
        return str(time)

    @abstractmethod
    def horizon(self, instance: I) -> int:
        """Return the time before which every start lies that is in range at all, sensible or not."""

    @abstractmethod
    def extensions(self, instance: I, partial: Plan) -> Sequence[Row]:
        """Return for each element and resource that fit the row with the earliest time."""

    def answer(self, instance: I) -> str:
        columns = ", ".join(self.columns)
        return f"a JSON list of triples [{columns}], one for each scheduled {self.noun}, in any order,"

    def read(self, instance: I, text: str, names: Names) -> Plan:
        if names.words:
            return tuple([(names.number(name), *row) for name, *row in read_named_rows(text, 3)])
        rows = read_rows(text, 3)
        return tuple([(element - names.first, resource, time) for element, resource, time in rows])

    def reader(self, instance: I) -> Reader[Plan] | None:
        names, known = self.names_of(instance), elements(instance.size)
        if names.words:
            return None
        first, end, resources = names.first, self.horizon(instance), len(self.domains(instance)[0])

        def read(rows: list[list[int]]) -> tuple[Plan, Plan] | None:
            if first:
                rows = [[element - first, *rest] for element, *rest in rows]
            scheduled, places, times = zip(*rows, strict=True)
            if len(known.intersection(scheduled)) != len(rows) or max(places) >= resources or max(times) >= end:
                return None
            solution: Any = tuple(map(tuple, rows))
            return solution, tuple(sorted(solution, key=_time))

        return read

    def read_compact(self, instance: I, text: str, names: Names) -> Plan:
        words = text.split()
        if len(words) != instance.size:
            rule = f"one word per {self.noun}, {instance.size}"
            raise Malformed(f"an answer has {rule}, got {len(words)} words")
        cells = [(element, *word.partition(".")[::2]) for element, word in enumerate(words) if word != "-"]
        return tuple([(element, read_number(resource), read_number(time)) for element, resource, time in cells])

    def write(self, instance: I, solution: Plan, names: Names) -> str:
        rows = [[names[element], resource, time] for element, resource, time in solution]
        return str(rows).replace("'", '"')

    def write_compact(self, instance: I, solution: Plan, names: Names) -> str:
        words = {element: f"{resource}.{time}" for element, resource, time in solution}
        return " ".join(words.get(element, "-") for element in range(instance.size))

    def clean(self, instance: I, solution: Plan) -> tuple[list[Violation], Plan]:
        n, resources, end = instance.size, len(self.domains(instance)[0]), self.horizon(instance)
        known = [row for row in solution if 0 <= row[0] < n and 0 <= row[1] < resources]
        known = [row for row in known if 0 <= row[2] < end]  # redundant: a problem refuses other times too
        repeats = len(known) - len({row[0] for row in known})
        if len(known) == len(solution) and not repeats:
            return [], tuple(sorted(known, key=_time))
        broken: list[Violation] = []
        if unknown := len(solution) - len(known):
            rule = f"{plural(self.noun)} are {self.names_of(instance).span}, {self.ranges.format(resources - 1)}"
            broken.append(Violation("known", unknown, len(solution), f"{rule}, got {unknown} rows with others"))
        if repeats:
            rule = f"each {self.noun} is scheduled at most once"
            broken.append(Violation("once", repeats, len(solution), f"{rule}, got {repeats} repetitions"))
        return broken, tuple(sorted(set(known), key=_time))  # redundant: a repetition is refused anyway

    def assemble(self, instance: I, parts: Iterable[Row]) -> Plan:
        return tuple(sorted(parts))

    def canonical(self, instance: I, solution: Plan) -> Plan:
        return tuple(sorted(plain_data(solution)))

    def permute(self, solution: Plan, order: Sequence[int]) -> Plan:
        return tuple([(int(order[element]), resource, time) for element, resource, time in plain(solution)])

    def null_answers(self, instance: I) -> list[Plan]:
        return [(), ((0, 0, 0),) * instance.size]

    def with_all_that_fits(self, instance: I, partial: Plan) -> Plan:
        """Return ``partial`` with a row for every element that fits beside it, together or not: for bounds."""
        return (*partial, *self._additions(instance, partial))

    def moves(self, instance: I, solution: Plan) -> Iterator[tuple[str, Plan]]:
        """Yield flips of one element and exchanges of two; what comes in comes at its earliest time."""
        for row in self._additions(instance, solution):
            yield f"flip {row[0]}", (*solution, row)
        for row in solution:
            rest = tuple([other for other in solution if other != row])
            yield f"flip {row[0]}", rest
            for other in self._additions(instance, rest):
                if other[0] != row[0]:
                    yield pair_name("exchange", row[0], other[0]), (*rest, other)

    def _additions(self, instance: I, partial: Plan) -> list[Row]:
        """Return the earliest row of each element that may come in."""
        earliest = {row[0]: row for row in sorted(self.extensions(instance, partial), key=_time, reverse=True)}
        return list(earliest.values())

    def move_names(self, size: int) -> list[str]:
        return [*(f"flip {element}" for element in range(size)), *pair_names("exchange", size)]

    def changed(self, before: Plan, after: Plan) -> set[int]:
        return {row[0] for row in set(before) ^ set(after)}

    def everything(self, instance: I) -> Iterator[Plan]:
        """Yield every row alone, and pairs of those that are feasible alone, thinned out to some thousand."""
        resources, times = self.domains(instance)
        rows = [(row,) for row in product(range(instance.size), resources, times)]
        alone = [row for row in rows if self.feasible(instance, row)]
        some = alone[:: max(1, -(-len(alone) // isqrt(2 * _ENUMERATED)))]
        return chain([()], rows, ((*one, *other) for one, other in combinations(some, 2)))

    def wild(self, instance: I) -> Iterator[Plan]:
        """Yield every way to schedule each element or not, places thinned out, then lists of up to two rows."""
        n, columns = instance.size, self.domains(instance)
        places = list(product(*columns))
        apart = -(-len(places) // max(1, int(_ENUMERATED ** (1 / n)) - 1))
        for chosen in product([None, *places[::apart]], repeat=n):
            yield tuple([(element, *place) for element, place in enumerate(chosen) if place is not None])
        ends = [
            sorted({column[0] - 1, *column[:: max(1, len(column) // 3)], column[-1], column[-1] + 1})
            for column in columns
        ]
        rows = list(product(range(-1, n + 1), *ends))
        yield from ((row,) for row in rows)
        yield from combinations_with_replacement(rows, 2)

    def any_answer(self, instance: I, rng: np.random.Generator) -> Plan:
        columns = self.domains(instance)
        chosen = random_selection(instance.size, rng)
        return tuple([(element, *(int(rng.choice(column)) for column in columns)) for element in chosen])  # type: ignore[misc]

    def patterns(self, instance: I) -> list[Plan]:
        resources, times = self.domains(instance)
        return [
            tuple([(e, resources[k % len(resources)], times[k % len(times)]) for k, e in enumerate(chosen)])
            for chosen in fixed_selections(instance.size)
        ]

    def axes(self, instance: I) -> tuple[int, ...]:
        return (instance.size, len(self.domains(instance)[0]))

    def numbered(self, pieces: Sequence[Row], axes: tuple[int, ...]) -> dict[int, Row]:
        return {row[0] * axes[1] + row[1]: row for row in pieces}

    def state_width(self, axes: tuple[int, ...]) -> int:
        return 2 + axes[1]

    def state(self, instance: I, partial: Plan) -> NDArray[Any]:
        """Return (n, 2 + resources): scheduled, its time as a share of the last, and a column for each resource."""
        resources, times = self.domains(instance)
        state = np.zeros((instance.size, 2 + len(resources)))
        for element, resource, time in partial:
            state[element, 0] = state[element, 2 + resource] = 1.0
            state[element, 1] = time / (times.stop or 1)
        return state
