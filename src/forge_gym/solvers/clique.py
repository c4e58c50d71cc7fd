"""Largest cliques by branch and bound on bit masks.

References
----------
.. [1] E. Tomita, T. Seki, "An efficient branch-and-bound algorithm for finding a maximum clique",
   DMTCS, LNCS 2731, 2003.
.. [2] P. San Segundo, D. Rodriguez-Losada, A. Jimenez, "An exact bit-parallel algorithm for the maximum
   clique problem", Computers & Operations Research 38, 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

from ..core.bitset import bits
from ..core.reference import Certificate

Vertices: TypeAlias = tuple[int, ...]

_NO_LIMIT = 1 << 62
"""Steps that no search will ever take, and that 64 bits hold."""


def max_clique(neighbours: Sequence[int], start: Vertices, limit: int) -> Certificate[Vertices]:
    """Branch and bound for a clique larger than ``start``, with the colours of `colour_classes` as bound [1]_.

    Vertices are renumbered such that the last has the smallest degree, the one before the smallest
    degree without it, and so on; the last are branched on first [2]_. A step is one vertex coloured; the
    search stops after ``limit`` of them, with the bound of the first level's branches still open.

    Examples
    --------
    >>> max_clique([0b0110, 0b0101, 0b1011, 0b0100], (2, 3), limit=100).solution
    (0, 1, 2)
    """
    order = smallest_last(neighbours)
    place = {v: rank for rank, v in enumerate(order)}
    adjacent = [sum([1 << place[u] for u in bits(neighbours[v])]) for v in order]
    best, bound, work = search(adjacent, [place[v] for v in start], min(limit, _NO_LIMIT))
    vertices = tuple(sorted([order[rank] for rank in best]))
    return Certificate(vertices, len(vertices), bound, "colour branch and bound", work)


def branch_and_bound(adjacent: list[int], best: list[int], limit: int) -> tuple[list[int], int, int]:
    """Return the largest clique if it is larger than ``best``, the bound and the work; the last are branched on first.

    `search` is this function, or its twin in ``_clique.c`` where a compiler has been there: with the same result, also
    where the limit is spent, some 14 times as fast.
    """
    everyone = (1 << len(adjacent)) - 1
    apart = [everyone ^ mask ^ (1 << v) for v, mask in enumerate(adjacent)]
    clique: list[int] = []
    todo = colour_classes(apart, everyone, len(best))
    work = len(adjacent)
    stack = [(everyone, todo)]  # per level: vertices that may join the clique, those to branch on with bounds
    while stack:
        candidates, todo = stack.pop()
        if not todo or len(clique) + todo[-1][1] <= len(best):  # bounds fall: no later branch is better
            if clique:
                clique.pop()
            continue
        v, colours = todo.pop()
        if not clique:
            bound = colours
        if work > limit:
            return best, max(bound, len(best)), work
        stack.append((candidates ^ (1 << v), todo))
        inner = candidates & adjacent[v]
        clique.append(v)
        if inner:
            stack.append((inner, colour_classes(apart, inner, len(best) - len(clique))))
            work += inner.bit_count()
            continue
        if len(clique) > len(best):
            best = clique.copy()
        clique.pop()
    return best, len(best), work


def colour_classes(apart: Sequence[int], candidates: int, spare: int) -> list[tuple[int, int]]:
    """Colour ``candidates`` first fit; return (vertex, colour) by colour, without the first ``spare`` colours.

    ``apart[v]`` masks the vertices not adjacent to v. The vertices up to one of colour c hold no clique of
    more than c.
    """
    coloured, colour = [], 0
    while candidates:
        colour += 1
        free = candidates
        while free:
            low = free & -free
            v = low.bit_length() - 1
            candidates ^= low
            free &= apart[v]
            if colour > spare:
                coloured.append((v, colour))
    return coloured


def smallest_last(neighbours: Sequence[int]) -> list[int]:
    """Return the vertices such that each has the smallest degree among itself and those before it."""
    degrees = [mask.bit_count() for mask in neighbours]
    left, order = set(range(len(neighbours))), []
    while left:
        v = min(left, key=lambda u: (degrees[u], u))
        left.remove(v)
        order.append(v)
        for u in bits(neighbours[v]):
            degrees[u] -= 1
    return order[::-1]


search = branch_and_bound
with suppress(ImportError):  # installed without a compiler
    from ._clique import branch_and_bound as search
