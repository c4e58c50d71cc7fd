"""What all problems have in common whose solution is a set of numbered elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from .answer import read_integers, read_words
from .verdict import Malformed, Violation


def read_subset(body: str, first: int) -> tuple[int, ...]:
    """Read a JSON list of element numbers that count from ``first``; return them counted from 0.

    Examples
    --------
    >>> read_subset("[12, 10]", first=10)
    (2, 0)
    """
    numbers = read_integers(body)
    return tuple([number - first for number in numbers] if first else numbers)


def write_subset(solution: tuple[int, ...], first: int) -> str:
    """Return the text that `read_subset` reads as ``solution``."""
    return str([element + first for element in solution])


def read_signs(body: str, order: Sequence[int]) -> tuple[int, ...]:
    """Read a sign for each element in ``order``, as compact prompts ask for: + to take, - to leave.

    Examples
    --------
    >>> read_signs("+ - +", order=(2, 0, 1))
    (2, 1)
    """
    signs = read_words(body)
    if len(signs) != len(order) or not set(signs) <= {"+", "-"}:
        raise Malformed(f"an answer is {len(order)} signs, + to take and - to leave, got {len(signs)} words")
    return tuple([element for element, sign in zip(order, signs, strict=True) if sign == "+"])


def write_signs(solution: tuple[int, ...], order: Sequence[int]) -> str:
    """Return the text that `read_signs` reads as ``solution``."""
    return " ".join("+" if element in solution else "-" for element in order)


def first_fit(weights: Sequence[int], room: int, order: Iterable[int]) -> tuple[int, ...]:
    """Return the sorted elements that are taken when those of ``order`` are tried in turn, each if it fits.

    Examples
    --------
    >>> first_fit(weights=(6, 5, 5), room=10, order=(1, 0, 2))
    (1, 2)
    """
    chosen = []
    for element in order:
        if weights[element] <= room:
            room -= weights[element]
            chosen.append(element)
    return tuple(sorted(chosen))


@lru_cache(maxsize=256)
def elements(n: int) -> frozenset[int]:
    """Return the numbers 0 to n - 1.

    Examples
    --------
    >>> sorted(elements(3))
    [0, 1, 2]
    """
    return frozenset(range(n))


def known(solution: Sequence[int], n: int) -> Sequence[int]:
    """Return the elements of ``solution`` that exist, in order: those that are safe to hash.

    Integers of one remainder modulo 2**61 - 1 have one hash, so a set of foreign elements can be made to take
    quadratic time.

    Examples
    --------
    >>> known((3, 1, 3, -1, 2**61 + 2), n=4)
    [3, 1, 3]
    """
    if elements(n).issuperset(solution):
        return solution
    return [element for element in solution if 0 <= element < n]


def subset_violations(
    noun: str, n: int, first: int, solution: Sequence[int]
) -> tuple[list[Violation], frozenset[int]]:
    """Return what breaks the families ``known`` (elements that exist) and ``once``, and the elements that exist.

    Examples
    --------
    >>> found, chosen = subset_violations("vertices", 4, 0, (1, 1, -1))
    >>> [violation.reason for violation in found], chosen
    (['vertices are 0 to 3, got 1 others', 'vertices are listed once each, got 1 repetitions'], frozenset({1}))
    """
    chosen = elements(n).intersection(solution)  # foreign numbers are looked up and not kept, see `known`
    found: list[Violation] = []
    if len(chosen) == len(solution):
        return found, chosen
    listed = known(solution, n)
    unknown = len(solution) - len(listed)
    if unknown:
        reason = f"{noun} are {first} to {first + n - 1}, got {unknown} others"
        found.append(Violation("known", unknown, max(n, unknown), reason))
    repeats = len(listed) - len(chosen)
    if repeats:
        reason = f"{noun} are listed once each, got {repeats} repetitions"
        found.append(Violation("once", repeats, max(n, repeats), reason))
    return found, chosen
