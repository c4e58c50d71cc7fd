"""`Assignment`: problems whose solution gives every element a label."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product, zip_longest
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.checks import plain, plain_data
from ..core.problem import I
from ..core.verdict import Violation
from .forms import every_list, members
from .instance import permute
from .kind import Kind, Reader
from .reading import read_integers, read_numbers
from .table import Names, plural

Labels: TypeAlias = tuple[int, ...]
"""The label of each element."""
Partial: TypeAlias = Sequence[int | None]
"""The label of each element, None where it has none."""


@dataclass(frozen=True, kw_only=True)
class Assignment(Kind[I, Labels]):
    """Give every element a label. `broken` gets n labels, None where one is missing or is not in the `domain`.

    Where labels are ``interchangeable``, it gets strange ones as they are, since only equality of labels counts.
    """

    solutions: ClassVar = "an assignment"
    widget: ClassVar = "labels"
    form: ClassVar = ("length", "known")
    mendable: ClassVar = ("length",)
    enumerable: ClassVar = 5
    label: ClassVar[str]
    """What a label is called, in the singular."""
    interchangeable: ClassVar[bool] = False
    """Whether only which elements share a label counts."""

    @abstractmethod
    def domain(self, instance: I) -> range:
        """Return the labels that there are."""

    def allowed(self, instance: I, labels: Partial, element: int) -> Sequence[int]:
        """Return the labels that ``element`` may have beside those of the others; by asking `broken`."""
        before, after = tuple(labels[:element]), tuple(labels[element + 1 :])
        domain = self.domain(instance)
        return [x for x in domain if not any(self.broken(instance, (*before, x, *after)))]

    def columns_of(self, instance: I) -> dict[str, dict[str, int]]:
        return {**super().columns_of(instance), self.label: {str(x): x for x in self.domain(instance)}}

    def answer(self, instance: I) -> str:
        domain, first = self.domain(instance), self.names_of(instance)[0]
        return (
            f"a JSON list of {instance.size} {plural(self.label)}, the {self.label} of {self.noun} {first} first; "
            f"{plural(self.label)} are integers from {domain.start} to {domain.stop - 1},"
        )

    def read(self, instance: I, text: str, names: Names) -> Labels:
        return tuple(read_integers(text))

    def write(self, instance: I, solution: Labels, names: Names) -> str:
        return str(list(solution))

    def read_compact(self, instance: I, text: str, names: Names) -> Labels:
        return tuple(read_numbers(text))

    def write_compact(self, instance: I, solution: Labels, names: Names) -> str:
        return " ".join(map(str, solution))

    def reader(self, instance: I) -> Reader[Labels]:
        n, domain = instance.size, members(self.domain(instance))

        def read(labels: list[int]) -> tuple[Labels, Labels] | None:
            if len(labels) != n or not domain.issuperset(labels):
                return None
            solution = tuple(labels)
            return solution, solution

        return read

    def clean(self, instance: I, solution: Labels) -> tuple[list[Violation], Partial]:
        n, domain = instance.size, self.domain(instance)
        if len(solution) == n and members(domain).issuperset(solution):
            return [], solution
        broken: list[Violation] = []
        known, labels = sum(map(members(domain).__contains__, solution)), plural(self.label)
        if len(solution) != n:
            reason = f"each of {n} {plural(self.noun)} has a {self.label}, got {len(solution)} {labels}"
            broken.append(Violation("length", abs(len(solution) - n), n, reason))
        if strange := len(solution) - known:
            reason = f"{labels} are {domain.start} to {domain.stop - 1}, got {strange} others"
            broken.append(Violation("known", strange, max(n, strange), reason))
        cleaned: Partial = solution[:n]
        if not self.interchangeable:
            cleaned = [x if x in domain else None for x in cleaned]  # redundant: the answer is refused anyway
        return broken, (*cleaned, *[None] * (n - len(cleaned)))

    def assemble(self, instance: I, parts: Iterable[tuple[int, int]]) -> Labels:
        """Return the labels that pairs of an element and its label make."""
        labels = dict(parts)
        return tuple([labels[element] for element in sorted(labels)])

    def canonical(self, instance: I, solution: Labels) -> Labels:
        labels: Labels = plain_data(solution)
        if not self.interchangeable:
            return labels
        ranks: dict[int, int] = {}
        domain = self.domain(instance)
        return tuple([domain[ranks.setdefault(label, len(ranks))] for label in labels])

    def permute(self, solution: Labels, order: Sequence[int]) -> Labels:
        return permute(plain(solution), order)

    def null_answers(self, instance: I) -> list[Labels]:
        return [(), (self.domain(instance)[0],) * instance.size]

    def extensions(self, instance: I, partial: Labels) -> Sequence[int]:
        """Return the labels that the next element may have; of interchangeable ones those in use, and a new one."""
        element = len(partial)
        if element == instance.size:
            return []
        allowed = self.allowed(instance, (*partial, *[None] * (instance.size - element)), element)
        if not self.interchangeable:
            return allowed
        used = set(partial)
        fresh = next((label for label in self.domain(instance) if label not in used), None)
        return [label for label in allowed if label in used or label == fresh]

    def random(self, instance: I, rng: np.random.Generator) -> Labels:
        """Return random labels; a problem whose labels can run out writes its own, and its own `extensions`."""
        labels: list[int | None] = [None] * instance.size
        for element in rng.permutation(instance.size).tolist():
            allowed = self.allowed(instance, labels, element)
            labels[element] = allowed[int(rng.integers(len(allowed)))]
        return tuple([label for label in labels if label is not None])

    def neighbour(self, instance: I, solution: Labels, rng: np.random.Generator) -> Labels:
        """Give a random element another label that it may have; of interchangeable ones, one that is in use."""
        element = int(rng.integers(instance.size))
        allowed = [x for x in self.allowed(instance, solution, element) if x != solution[element]]
        if self.interchangeable:
            allowed = [label for label in allowed if label in solution]
        if not allowed:
            return solution
        return (*solution[:element], allowed[int(rng.integers(len(allowed)))], *solution[element + 1 :])

    def moves(self, instance: I, solution: Labels) -> Iterator[tuple[str, Labels]]:
        """Yield every other label that each element may have."""
        for element, label in enumerate(solution):
            for other in self.allowed(instance, solution, element):
                if other != label:
                    yield _move(element, other), (*solution[:element], other, *solution[element + 1 :])

    def move_names(self, size: int) -> list[str]:
        widest = self.domain(self.instance())
        labels = range(widest.start, widest.start + -(-len(widest) * size // self.n))
        return [_move(element, label) for element in range(size) for label in labels]

    def changed(self, before: Labels, after: Labels) -> set[int]:
        return {element for element, (one, other) in enumerate(zip_longest(before, after)) if one != other}

    def everything(self, instance: I) -> Iterator[Labels]:
        return product(self.domain(instance), repeat=instance.size)

    def wild(self, instance: I) -> Iterator[Labels]:
        return every_list(self.domain(instance), instance.size + 1)

    def any_answer(self, instance: I, rng: np.random.Generator) -> Labels:
        domain = self.domain(instance)
        return tuple([domain[k] for k in rng.integers(len(domain), size=instance.size).tolist()])

    def patterns(self, instance: I) -> list[Labels]:
        n, domain = instance.size, self.domain(instance)
        last = (domain[min(1, len(domain) - 1)],) * n
        cycles = [min(count, len(domain)) for count in (2, 3, n - 1)]
        return [last, *(tuple([domain[k % count] for k in range(n)]) for count in cycles)]

    def axes(self, instance: I) -> tuple[int, ...]:
        return (len(self.domain(instance)),)

    def state_width(self, axes: tuple[int, ...]) -> int:
        return 2 + axes[0]

    def state(self, instance: I, partial: Labels) -> NDArray[Any]:
        """Return (n, 2 + labels): labelled, next to be labelled, and a column for each label."""
        domain, labelled = self.domain(instance), len(partial)
        state = np.zeros((instance.size, 2 + len(domain)))
        state[:labelled, 0] = state[labelled : labelled + 1, 1] = 1.0
        state[range(labelled), [2 + domain.index(label) for label in partial]] = 1.0
        return state


def _move(element: int, label: int) -> str:
    return f"give {element} label {label}"
