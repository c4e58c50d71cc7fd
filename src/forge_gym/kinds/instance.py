"""`TypedInstance`: the data of one instance, whose fields say by their types what they run over.

From the types follow the check of data from outside, the same instance under other numbers, a key that isomorphic
instances share, and JSON. A problem writes the fields, and `TypedInstance.rules` where a type cannot say a rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache, cached_property
from math import gcd, lgamma, log, log2
from typing import Annotated, Any, Self, TypeAlias, TypeVar, get_args, get_origin

from ..core.checks import check_int, plain, short_repr
from ..core.instance import Instance
from ..core.parameters import Range, parameter_types
from .table import Data

T = TypeVar("T")
MOST_EXACT = 30
"""Nodes up to which `canonical_form` tells all structures apart."""


@dataclass(frozen=True)
class Shape:
    """What a field runs over."""

    elements: tuple[bool, ...] = (False,)
    """For each axis of its nested tuples, whether it is the elements."""
    sets: bool = False
    """Whether its rows are sets: numbers in rising order, each once."""
    ends: bool = False
    """Whether its rows are edges: they begin with two elements u < v, and are sorted by these, each pair once."""


Vector: TypeAlias = Annotated[tuple[int, ...], Shape((True,))]
"""(n,) a number for each element."""
Rows: TypeAlias = Annotated[tuple[tuple[int, ...], ...], Shape((True, False))]
"""(n, m) a row of numbers for each element, all rows of one length."""
Sets: TypeAlias = Annotated[tuple[tuple[int, ...], ...], Shape((True,), sets=True)]
"""(n, .) a set for each element, its members in rising order."""
Square: TypeAlias = Annotated[tuple[tuple[int, ...], ...], Shape((True, True))]
"""(n, n) a number for each ordered pair of elements."""
Pairs: TypeAlias = Annotated[tuple[tuple[int, int], ...], Shape(ends=True)]
"""(m, 2) edges u < v between elements, sorted, each once."""
WeightedPairs: TypeAlias = Annotated[tuple[tuple[int, int, int], ...], Shape(ends=True)]
"""(m, 3) edges u < v between elements with a weight, sorted, each pair once."""


@dataclass(frozen=True)
class FieldType:
    """What the type of a field says."""

    name: str
    hint: Any
    shape: Shape
    range: Range | None
    optional: bool
    """Whether the field may be empty, since another one stands for it."""

    @property
    def per_element(self) -> bool:
        """Whether the field has an entry for each element."""
        return self.shape.elements[0]

    @property
    def members(self) -> str:
        """The field with the number of members of its sets, if there is one."""
        high = self.range.high if self.range is not None and self.shape.sets else None
        return high if isinstance(high, str) else ""


@cache
def field_types(cls: Any) -> tuple[FieldType, ...]:
    """Return what the types of the fields of an instance class say, in order."""
    types = []
    for field in fields(cls):
        hint = parameter_types(cls)[field.name]
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        shape = next((mark for mark in marks if isinstance(mark, Shape)), Shape())
        bounds = next((mark for mark in marks if isinstance(mark, Range)), None)
        plain = get_args(hint)[0] if marks else hint
        types.append(FieldType(field.name, plain, shape, bounds, field.default is not MISSING))
    return tuple(types)


@dataclass(frozen=True)
class TypedInstance(Instance):
    """Data whose fields say by their types what they run over.

    Examples
    --------
    >>> from forge_gym.envs.knapsack import KnapsackInstance
    >>> pack = KnapsackInstance(capacity=10, weights=(6, 5, 4), values=(7, 5, 0))
    >>> pack.relabelled((2, 0, 1))
    KnapsackInstance(capacity=10, weights=(5, 4, 6), values=(5, 0, 7))
    >>> KnapsackInstance(capacity=10, weights=(6, 0, 4), values=(7, 5, 0)).check()
    Traceback (most recent call last):
    ValueError: each of weights must be an integer of at least 1, got 0: did you mean 1?
    """

    @cached_property
    def size(self) -> int:
        """Number of elements, n: the field ``n``, or the length of the first field that runs over them."""
        for field in field_types(type(self)):
            value = getattr(self, field.name)
            if field.name == "n":
                return int(value)
            if field.per_element and value:
                return len(value)
        return 0

    def rules(self) -> Iterator[tuple[bool, str]]:
        """Yield whether a rule holds that no type says, and the rule: a sentence with the values that break it."""
        yield from ()

    def table(self) -> Data:
        """Return all data as texts want them, where several problems share the class; see `Problem.table`."""
        raise TypeError(f"{type(self).__name__} must have a table, or its problem must have one, got neither")

    def check(self) -> None:
        """Raise ``ValueError`` unless the data have the types and ranges of the fields and keep the `rules`."""
        for field in field_types(type(self)):
            if not _has_type(getattr(self, field.name), field.hint):
                expected = str(field.hint).replace("typing.", "")
                raise ValueError(f"{field.name} must be {expected}, got {short_repr(getattr(self, field.name))}")
        if self.size == 0:
            raise ValueError(f"a {type(self).__name__} must have elements, got none")
        for field in field_types(type(self)):
            value = getattr(self, field.name)
            if value != () or not field.optional:
                self._check_shape(field, value)
                self._check_range(field, value)
        for holds, rule in self.rules():
            if not holds:
                raise ValueError(rule)

    def _check_shape(self, field: FieldType, value: Any) -> None:
        name, n = field.name, self.size
        if field.per_element and len(value) != n:
            raise ValueError(f"{name} must have an entry for each of {n} elements, got {len(value)}")
        if field.shape.elements == (True, True) and any(len(row) != n for row in value):
            raise ValueError(f"{name} must be square, {n} by {n}, got a row of another length")
        if field.shape.elements == (True, False) and len({len(row) for row in value}) > 1:
            raise ValueError(f"{name} must have rows of one length, got {short_repr(value)}")
        if field.shape.sets:
            for row in value:
                if list(row) != sorted(set(row)):
                    raise ValueError(f"{name} must be listed in rising order, each once, got {short_repr(row)}")
        if field.shape.ends:
            for row in value:
                check_int(f"the second end of each of {name}", row[1], 1, n - 1)
                check_int(f"the first end of each of {name}", row[0], 0, row[1] - 1)
            pairs = [row[:2] for row in value]
            if pairs != sorted(set(pairs)):
                raise ValueError(f"{name} must be sorted and distinct, got another order or a repetition")

    def _check_range(self, field: FieldType, value: Any) -> None:
        low, high = (field.range.low, field.range.high) if field.range else (0, None)
        top = getattr(self, high) - 1 if isinstance(high, str) else high
        if field.shape.ends:
            value = tuple([row[2:] for row in value])
        numbers = list(_integers(value))
        for number in (min(numbers, default=low), max(numbers, default=low)):
            check_int(f"each of {field.name}" if isinstance(value, tuple) else field.name, number, low, top)

    def relabelled(self, order: Sequence[int]) -> Self:
        order, changed = plain(order), dict[str, Any]()
        for field in field_types(type(self)):
            value = getattr(self, field.name)
            if field.shape.ends:
                changed[field.name] = tuple(sorted([_renumbered(row, order) for row in value]))
            elif field.per_element and value:
                if field.shape.elements == (True, True):
                    value = [permute(row, order) for row in value]
                changed[field.name] = permute(value, order)
        return replace(self, **changed)

    def isomorphism_key(self) -> Any:
        """Return JSON-ready data that instances share which are one under other numbers; see `canonical_form`.

        Edges and matrices link elements. A set links its element to its members, which are interchangeable too where
        a field names their number. Data with all numbers doubled are other data.
        """
        n, plain = self.size, list[Any]()
        own: list[list[Any]] = [[] for _ in range(n)]
        links: list[list[tuple[Any, int]]] = [[] for _ in range(n)]
        for rank, field in enumerate(field_types(type(self))):
            value = getattr(self, field.name)
            if field.shape.ends:
                for u, v, *weight in value:
                    links[u].append(((rank, *weight), v))
                    links[v].append(((rank, *weight), u))
            elif field.shape.elements == (True, True):
                for i, row in enumerate(value):
                    own[i].append(row[i])
                    links[i] += [((rank, row[j], value[j][i]), j) for j in range(n) if j != i]
            elif field.members:
                start = len(links)
                links += [[] for _ in range(getattr(self, field.members))]
                for i, row in enumerate(value):
                    links[i] += [((rank,), start + member) for member in row]
                    for member in row:
                        links[start + member].append(((rank,), i))
            elif field.per_element:
                for i, entry in enumerate(value):
                    own[i].append(entry)
            else:
                plain.append(value)
        return [plain, canonical_form(links, [tuple(own[i]) if i < n else () for i in range(len(links))])]

    def shape_bits(self) -> float:
        """Return the logarithm, to base 2, of about how many instances of this make differ in more than numbering.

        Numbers lie anywhere between the least and the largest of their field, and differ from those of the field before
        it by anything that occurs. Edges and members lie anywhere; but edges count half, since regular and geometric
        graphs are few among all graphs.
        """
        n = self.size
        bits, before = -bits_of_orders(n), list[int]()
        for field in field_types(type(self)):
            value = getattr(self, field.name)
            if field.members:
                universe = getattr(self, field.members)
                bits += sum([_bits_of_choice(universe, len(row)) for row in value]) - bits_of_orders(universe)
                continue
            if field.shape.ends:
                bits += (_bits_of_choice(n * (n - 1) // 2, len(value)) + bits_of_orders(n)) / 2
                value = tuple([row[2:] for row in value])
            numbers = list(_integers(value))
            drawn = _bits_of_numbers(numbers)
            if len(numbers) == len(before):
                drawn = min(drawn, _bits_of_numbers([a - b for a, b in zip(numbers, before, strict=True)]))
            bits += drawn / 2 if field.shape.elements == (True, True) else drawn  # matrices are mostly symmetric
            before = numbers
        return bits


def permute(values: Sequence[T], order: Sequence[int]) -> tuple[T, ...]:
    """Return ``values`` with the one at ``i`` moved to ``order[i]``."""
    moved = list(values)
    for value, place in zip(values, order, strict=True):
        moved[place] = value
    return tuple(moved)


def canonical_form(links: Sequence[Sequence[tuple[Any, int]]], own: Sequence[Any]) -> Any:
    """Return JSON-ready data that isomorphic structures share and, up to 30 nodes, no others do.

    Colours are refined until nodes of one colour have equal links (1-dim. Weisfeiler-Leman). Where that leaves several
    nodes of one colour, each in turn gets a colour of its own, and the least outcome counts [1]_. Above 30 nodes
    refinement has the last word: then some different structures look alike, such as regular graphs of one degree.

    Parameters
    ----------
    links
        Pairs (label, other node) for each node; every link has its counterpart at the other node.
    own
        What each node has by itself; labels and these are of a type that can be sorted.

    References
    ----------
    .. [1] B. McKay, A. Piperno, "Practical graph isomorphism, II", Journal of Symbolic Computation 60, 2014.
    """
    nodes = range(len(links))
    labels = sorted({label for ends in links for label, _ in ends})
    if not labels:
        return sorted(own)
    code = {label: rank * len(links) for rank, label in enumerate(labels)}
    coded = [[(code[label], u) for label, u in ends] for ends in links]

    def refined(colours: list[int]) -> tuple[list[Any], list[int]]:
        while True:
            seen = [(colours[v], tuple(sorted([x + colours[u] for x, u in coded[v]]))) for v in nodes]
            after = _ranks(seen)
            if max(after) == max(colours):
                return sorted(seen), colours
            colours = after

    def interchangeable(u: int, v: int) -> bool:
        swap = {u: v, v: u}
        return sorted([(x, swap.get(w, w)) for x, w in coded[u]]) == sorted(coded[v])

    def least(form: list[Any], colours: list[int], all_ways: bool) -> list[Any]:
        """Return the least form; or in one way only, any."""
        shared = [colour for colour, count in Counter(colours).items() if count > 1]
        if not shared:
            return form
        cell = [v for v in nodes if colours[v] == min(shared)]
        if all([interchangeable(cell[0], v) for v in cell[1:]]):
            place = {v: i for i, v in enumerate(cell)}
            return least(*refined(_ranks([(colours[v], place.get(v, 0)) for v in nodes])), all_ways)
        chosen = cell if all_ways else cell[:1]
        branches = [refined(_ranks([(colours[v], v != first) for v in nodes])) for first in chosen]
        best = min([form for form, _ in branches])
        branches = [branch for branch in branches if branch[0] == best]
        if len(branches) > 1:  # those with one form at an end of theirs are one under an automorphism
            branches = [*{tuple(least(*branch, False)): branch for branch in branches}.values()]
        return min([least(*branch, all_ways) for branch in branches])

    start = refined(_ranks(own))
    return [sorted(own), labels, least(*start, True) if len(nodes) <= MOST_EXACT else start[0]]


def _ranks(values: Sequence[Any]) -> list[int]:
    """Return for each value how many others are less, each counted once."""
    ranks = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return [ranks[value] for value in values]


def bits_of_orders(n: int) -> float:
    """Return the logarithm, to base 2, of the number of orders of ``n`` elements."""
    return lgamma(n + 1) / log(2)


def _bits_of_choice(n: int, k: int) -> float:
    return bits_of_orders(n) - bits_of_orders(k) - bits_of_orders(n - k)


def _bits_of_numbers(numbers: Sequence[int]) -> float:
    if not numbers:
        return 0.0
    least = min(numbers)
    return len(numbers) * log2((max(numbers) - least) // (gcd(*[x - least for x in numbers]) or 1) + 1)


def _renumbered(row: tuple[int, ...], order: Sequence[int]) -> tuple[int, ...]:
    u, v = sorted((order[row[0]], order[row[1]]))
    return (u, v, *row[2:])


def _integers(value: Any) -> Iterator[int]:
    if not isinstance(value, tuple):
        yield value
    elif _plain_row(value):
        yield from value
    else:
        for part in value:
            yield from _integers(part)


def _plain_row(value: tuple[Any, ...]) -> bool:
    """Whether there are integers and nothing else: most data are, and asked ten times as fast at once as one by one."""
    return set(map(type, value)) == {int}


def _has_type(value: Any, hint: Any) -> bool:
    """Whether nested tuples of integers have the type ``hint``; a boolean is no integer."""
    if get_origin(hint) is not tuple:
        return isinstance(value, hint) and not isinstance(value, bool)
    parts = get_args(hint)
    if not isinstance(value, tuple):
        return False
    if parts[-1] is Ellipsis:
        return (parts[0] is int and _plain_row(value)) or all(_has_type(part, parts[0]) for part in value)
    return len(value) == len(parts) and all(map(_has_type, value, parts))
