"""What several kinds share: lists of elements, how they are read and written, and what may be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations, product
from operator import itemgetter
from typing import TypeVar

import numpy as np

from ..core.verdict import Violation
from .reading import read_integers, read_names
from .table import Names, plural

T = TypeVar("T")


@lru_cache(maxsize=256)
def elements(n: int) -> frozenset[int]:
    """Return the numbers 0 to n - 1.

    Numbers of an answer are looked up in this set and never collected in one of their own. Integers of one remainder
    modulo 2**61 - 1 have one hash, so a set of foreign numbers can be made to take quadratic time.
    """
    return frozenset(range(n))


@lru_cache(maxsize=256)
def members(domain: range) -> frozenset[int]:
    """Return the numbers of ``domain``; see `elements` on what they are for."""
    return frozenset(domain)


def pick(values: Sequence[T], chosen: Collection[int]) -> Sequence[T]:
    """Return the values of the ``chosen`` elements: at once, in half the time of one by one.

    Examples
    --------
    >>> pick("abcd", (3, 1)), pick("abcd", {2}), pick("abcd", ())
    (('d', 'b'), ['c'], [])
    """
    picked: Sequence[T] = itemgetter(*chosen)(values) if len(chosen) > 1 else [values[element] for element in chosen]
    return picked


def in_range(numbers: Sequence[int], n: int) -> Sequence[int]:
    """Return those of the ``numbers`` that are elements, 0 to n - 1, in the given order."""
    if elements(n).issuperset(numbers):
        return numbers
    return [number for number in numbers if 0 <= number < n]  # redundant: with a foreign one, all is refused


def listed_once(noun: str, names: Names, listed: Sequence[int]) -> list[Violation]:
    """Return what breaks the families ``known``, elements that exist, and ``once``, none of them repeated.

    Examples
    --------
    >>> [violation.reason for violation in listed_once("vertex", Names(4), (1, 1, -1))]
    ['vertices are 0 to 3, got 1 others', 'vertices are listed once each, got 1 repetitions']
    """
    broken: list[Violation] = []
    n, existing = names.size, in_range(listed, names.size)
    if unknown := len(listed) - len(existing):
        reason = f"{plural(noun)} are {names.span}, got {unknown} others"
        broken.append(Violation("known", unknown, max(n, unknown), reason))
    if repeats := len(existing) - len(set(existing)):
        reason = f"{plural(noun)} are listed once each, got {repeats} repetitions"
        broken.append(Violation("once", repeats, max(n, repeats), reason))
    return broken


def read_elements(text: str, names: Names) -> tuple[int, ...]:
    """Read a flat JSON list of the names of elements.

    Examples
    --------
    >>> read_elements("[12, 10]", Names(3, first=10)), read_elements('["mune"]', Names(2, words=("kova", "mune")))
    ((2, 0), (1,))
    """
    if names.words:
        return tuple(map(names.number, read_names(text)))
    numbers = read_integers(text)
    return tuple([number - names.first for number in numbers] if names.first else numbers)


def write_elements(listed: Iterable[int], names: Names) -> str:
    """Return the text that `read_elements` reads as ``listed``."""
    return json.dumps([names[element] for element in listed])


@lru_cache(maxsize=256)
def fixed_permutations(n: int) -> tuple[tuple[int, ...], ...]:
    """Return 32 orders of ``range(n)`` that know nothing but ``n``: the first is 0, 1, 2, ...

    The best of several is a trivial anchor that a constant answer rarely passes. The other orders sort by the
    squares of the numbers times a factor, modulo a prime: mere multiples make the same few tours again and again.
    """
    factors = [618_033, 414_213, 732_051, 236_067, 645_751, 316_625, 605_551, 123_106]
    factors += [358_899, 795_832, 385_165, 567_764, 82_763, 403_124, 557_439, 855_655, 280_110, 71_067, 916_079]
    factors += [244_997, 433_981, 539_392, 219_544, 643_650, 848_857, 49_875, 148_891, 344_030, 440_306, 630_145]
    factors += [816_653]
    mixed = [sorted(range(n), key=lambda i: (i + 1) ** 2 * factor % 1_000_003) for factor in factors]
    return (tuple(range(n)), *map(tuple, mixed))


def fixed_selections(n: int) -> list[tuple[int, ...]]:
    """Return parts of several fixed orders, of several lengths: what anybody might list without looking."""
    orders = [order[::turn] for order in fixed_permutations(n) for turn in (1, -1)]
    lengths = (1, 2, n // 4, n // 2, n - n // 2, 3 * n // 4, n - 1)
    return [order[:length] for order in orders[:4] for length in lengths]


def random_selection(n: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Return a random number of random elements in random order."""
    order = rng.permutation(n).tolist()
    return tuple(order[: int(rng.integers(n + 1))])


def every_list(values: range, longest: int) -> Iterator[tuple[int, ...]]:
    """Yield all lists of up to ``longest`` of the values, and of one below and one above them."""
    wider = range(values.start - 1, values.stop + 1)
    for length in range(longest + 1):
        yield from product(wider, repeat=length)


def canonical_cycle(cycle: tuple[int, ...]) -> tuple[int, ...]:
    """Return a closed tour from its least element on, toward the lesser of the two beside it."""
    start = cycle.index(min(cycle))
    cycle = cycle[start:] + cycle[:start]
    return cycle if cycle[1] <= cycle[-1] else cycle[:1] + cycle[:0:-1]


def pair_names(verb: str, size: int, joint: str = "and") -> list[str]:
    """Return a name for each pair of numbers below ``size``: ``exchange 0 and 1``, ``exchange 0 and 2``, ..."""
    return [f"{verb} {i} {joint} {j}" for i, j in combinations(range(size), 2)]


def pair_name(verb: str, i: int, j: int) -> str:
    """Return the one of `pair_names` for the elements i and j, in any order."""
    return f"{verb} {min(i, j)} and {max(i, j)}"
