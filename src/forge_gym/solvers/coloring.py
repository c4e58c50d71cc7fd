"""Fewest colours of graphs: DSATUR branch and bound, then branch and price, or CP-SAT.

References
----------
.. [1] D. Brelaz, "New methods to color the vertices of a graph", CACM 22(4), 1979.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.bitset import bits
from ..core.reference import Certificate
from . import cpsat
from .branch_and_price_coloring import Colouring, branch_and_price, maximal_independent_sets

_LARGEST = 300
"""Vertices of the largest graph that is searched: each step of a larger one takes too long."""
_DSATUR_SHARE = 20
"""The part of the steps that is for DSATUR: small graphs need no more."""
_SETS_SHARE = 10
"""The part of the steps within which all maximal independent sets are found, where these are few enough."""
_LOOKS = 2_000_000
"""Vertices looked at while cliques are grown: below a second, and far more than small graphs need."""


def fewest_colors(neighbours: Sequence[int], start: Colouring, limit: int) -> Certificate[Colouring]:
    """Return a colouring with the fewest colours and its proof, or the best one and the best bound.

    ``neighbours`` has a bit mask for each vertex, and ``start`` is a colouring to begin with. A part of the steps of
    ``limit`` is for DSATUR, each a vertex looked at. The next are for `branch_and_price` where few independent sets
    are maximal, as in dense graphs. What it leaves is CP-SAT's, see `cpsat.solve`. Of large graphs only the bound of a
    clique is known.

    Examples
    --------
    >>> fewest_colors([0b110, 0b101, 0b011], (0, 1, 2), limit=100).bound
    3
    """
    clique = greedy_clique(neighbours)
    if len(neighbours) > _LARGEST:
        return Certificate(start, len(set(start)), len(clique), "first fit, greedy clique", 0)
    coloring = dsatur(neighbours, clique, start, limit // _DSATUR_SHARE)
    if not coloring.proven and (sets := maximal_independent_sets(neighbours, limit // _SETS_SHARE)):
        coloring = branch_and_price(neighbours, sets, coloring, limit - coloring.work)
    return coloring if coloring.proven else assign(neighbours, clique, coloring, limit - coloring.work)


def greedy_clique(neighbours: Sequence[int]) -> list[int]:
    """Return a clique, grown from each vertex by the neighbour with most common neighbours, for `_LOOKS` at most."""
    best: list[int] = []
    left = _LOOKS
    for start in range(len(neighbours)):
        clique, common = [start], neighbours[start]
        if common.bit_count() < len(best) or left < 0:
            continue
        while common:
            left -= common.bit_count()
            v = max(bits(common), key=lambda u: (common & neighbours[u]).bit_count())
            clique.append(v)
            common &= neighbours[v]
        best = max(best, clique, key=len)
    return best


def dsatur(neighbours: Sequence[int], clique: Sequence[int], start: Colouring, limit: int) -> Certificate[Colouring]:
    """Branch on the vertex that sees most colours [1]_, below ``start`` and above the bound of the ``clique``.

    A step is one vertex looked at while choosing; the search stops after ``limit`` of them.
    """
    best, best_count, work = list(start), len(set(start)), 0
    colours = [-1] * len(neighbours)
    seen = [0] * len(neighbours)  # bit masks of the colours that each vertex's neighbours have

    def branch(uncoloured: int, used: int) -> None:
        nonlocal best, best_count, work
        if not uncoloured:
            best, best_count = colours.copy(), used
            return
        chosen, most = -1, (-1, -1)
        for v in bits(uncoloured):
            work += 1
            saturation = (seen[v].bit_count(), (neighbours[v] & uncoloured).bit_count())
            if saturation > most:
                chosen, most = v, saturation
        left = uncoloured ^ (1 << chosen)
        around = bits(neighbours[chosen] & left)
        for colour in range(used + 1):
            if max(used, colour + 1) >= best_count or best_count == len(clique) or work > limit:
                return
            bit = 1 << colour
            if seen[chosen] & bit:
                continue
            touched = [v for v in around if not seen[v] & bit]
            for v in touched:
                seen[v] |= bit
            colours[chosen] = colour
            branch(left, max(used, colour + 1))
            for v in touched:
                seen[v] ^= bit

    for colour, v in enumerate(clique):
        colours[v] = colour
        for u in bits(neighbours[v]):
            seen[u] |= 1 << colour
    branch(sum(1 << v for v, colour in enumerate(colours) if colour < 0), len(clique))
    bound = len(clique) if work > limit else best_count
    return Certificate(tuple(best), best_count, bound, "DSATUR branch and bound", work)


def assign(
    neighbours: Sequence[int], clique: Sequence[int], start: Certificate[Colouring], limit: int
) -> Certificate[Colouring]:
    """Look for fewer colours than ``start`` with CP-SAT, the vertices of the ``clique`` in colours of their own."""
    n, most = len(neighbours), int(start.value) - 1
    limit -= cpsat.STEPS_PER_LITERAL * most * sum([mask.bit_count() for mask in neighbours])
    if limit <= 0:
        return start
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    takes = [[model.new_bool_var("") for _ in range(most)] for _ in range(n)]
    used = [model.new_bool_var("") for _ in range(most)]
    for v in range(n):
        model.add_exactly_one(takes[v])
        for c in range(most):
            model.add_implication(takes[v][c], used[c])
            for u in bits(neighbours[v] & ((1 << v) - 1)):
                model.add_at_most_one(takes[u][c], takes[v][c])
    for c, v in enumerate(clique[:most]):  # colours are interchangeable: fix a clique's
        model.add(takes[v][c] == 1)
    for c in range(most - 1):
        model.add_implication(used[c + 1], used[c])
    model.minimize(sum(used))
    solved = cpsat.solve(model, limit)
    best = start.solution
    if solved.feasible:
        best = tuple(next(c for c in range(most) if solved.value(takes[v][c])) for v in range(n))
    # Where there is no solution, fewer colours than `start` do not suffice.
    bound = start.value if solved.infeasible else max(start.bound, solved.bound)
    name = f"{start.solver}, {solved.name}"
    return Certificate(best, len(set(best)), bound, name, start.work + solved.work)
