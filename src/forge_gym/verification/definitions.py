"""Every problem once more, from its definition alone: the second verifier that the gate holds the first against.

A definition reads plain JSON, imports nothing of this package, and says of an answer what it is worth, or None where it
is not feasible. Where verifier and definition differ on one answer, one of the two is wrong.

Examples
--------
>>> question = {"capacity": 10, "weights": [6, 5, 5], "values": [7, 5, 5]}
>>> knapsack(question, [1, 2]), knapsack(question, [0, 1])
(10, None)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from math import isqrt
from typing import Any, TypeAlias

Question: TypeAlias = dict[str, Any]
"""The fields of the instance as JSON, and those of the problem that the instance does not have."""
Definition: TypeAlias = Callable[[Question, Any], int | None]
"""What the JSON answer is worth, in the problem's own unit; None where it is not feasible."""


def _distinct(numbers: list[int], n: int) -> bool:
    """Whether all numbers are among 0 to n - 1, none of them twice."""
    return all(number in range(n) for number in numbers) and len(set(numbers)) == len(numbers)


def balanced_min_cut(question: Question, answer: Any) -> int | None:
    """Weight of the edges between a half of n // 2 vertices and the others."""
    n = question["n"]
    if not _distinct(answer, n) or len(answer) != n // 2:
        return None
    cut: int = sum(weight for u, v, weight in question["edges"] if (u in answer) ^ (v in answer))
    return cut


def graph_coloring(question: Question, answer: Any) -> int | None:
    """Count the colours, one of 0 to n - 1 for each vertex, different along every edge."""
    n = question["n"]
    if len(answer) != n or not all(0 <= colour < n for colour in answer):
        return None
    return None if any(answer[u] == answer[v] for u, v in question["edges"]) else len(set(answer))


def hamiltonian_cycle(question: Question, answer: Any) -> int | None:
    """Count the vertices of a simple cycle of at least three."""
    if len(answer) < 3 or not _distinct(answer, question["n"]):
        return None
    for k, vertex in enumerate(answer):
        if sorted([answer[k - 1], vertex]) not in question["edges"]:
            return None
    return len(answer)


def knapsack(question: Question, answer: Any) -> int | None:
    """Value of distinct items that weigh no more than the capacity."""
    if not _distinct(answer, len(question["weights"])):
        return None
    if sum(question["weights"][i] for i in answer) > question["capacity"]:
        return None
    value: int = sum(question["values"][i] for i in answer)
    return value


def max_clique(question: Question, answer: Any) -> int | None:
    """Count distinct vertices, every two joined by an edge."""
    if not _distinct(answer, question["n"]):
        return None
    joined = all([u, v] in question["edges"] for u, v in combinations(sorted(answer), 2))
    return len(answer) if joined else None


def max_independent_set(question: Question, answer: Any) -> int | None:
    """Count distinct vertices, no two joined by an edge."""
    if not _distinct(answer, question["n"]):
        return None
    return None if any(u in answer and v in answer for u, v in question["edges"]) else len(answer)


def meeting_scheduling(question: Question, answer: Any) -> int | None:
    """Attendees of meetings held once each, minute by minute: nobody and no room in two places, all free."""
    held = [meeting for meeting, _, _ in answer]
    if not _distinct(held, len(question["meetings"])):
        return None
    total = 0
    busy: set[tuple[str, int, int]] = set()
    for meeting, (_, room, start) in zip(held, answer, strict=True):
        duration, attendees = question["meetings"][meeting]
        if room not in range(len(question["rooms"])) or start % question["step"]:
            return None
        if len(attendees) > question["rooms"][room]:
            return None
        for person in attendees:
            free = question["availability"][person]
            if not any(opens <= start and start + duration <= closes for opens, closes in free):
                return None
        for minute in range(start, start + duration):
            taken = {("room", room, minute), *(("person", person, minute) for person in attendees)}
            if taken & busy:
                return None
            busy |= taken
        total += len(attendees)
    return total


def set_cover(question: Question, answer: Any) -> int | None:
    """Cost of distinct subsets that hold every element."""
    if not _distinct(answer, len(question["subsets"])):
        return None
    held = [element for j in answer for element in question["subsets"][j]]
    covered = all(element in held for element in range(question["universe"]))
    return sum(question["costs"][j] for j in answer) if covered else None


def subset_sum(question: Question, answer: Any) -> int | None:
    """Sum of distinct numbers, at most the target."""
    if not _distinct(answer, len(question["numbers"])):
        return None
    total: int = sum(question["numbers"][i] for i in answer)
    return total if total <= question["target"] else None


def exact_subset_sum(question: Question, answer: Any) -> int | None:
    """Count distinct numbers whose sum is the target."""
    if not _distinct(answer, len(question["numbers"])):
        return None
    return len(answer) if sum(question["numbers"][i] for i in answer) == question["target"] else None


def tsp(question: Question, answer: Any) -> int | None:
    """Length of the closed tour through every city once, along a matrix or rounded Euclidean distances."""
    n = len(question["xy"] or question["matrix"])
    if sorted(answer) != list(range(n)):
        return None
    length = 0
    for k, city in enumerate(answer):
        before = answer[k - 1]
        if question["matrix"]:
            length += question["matrix"][before][city]
        else:
            (a, b), (c, d) = question["xy"][before], question["xy"][city]
            # The nearest integer to a root, without floats: floor(root + 1/2) = floor((floor(2 root) + 1) / 2).
            length += (isqrt(4 * ((a - c) ** 2 + (b - d) ** 2)) + 1) // 2
    return length


def definition_of(name: str) -> Definition | None:
    """Return the definition of the problem ``name``: the function of that name in words joined by underscores.

    Examples
    --------
    >>> definition_of("MaxClique") is max_clique, definition_of("TSP") is tsp, definition_of("Riddle")
    (True, True, None)
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*", name)
    definition: Definition | None = globals().get("_".join(words).lower())
    return definition
