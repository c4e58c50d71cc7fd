"""Longest simple cycles: rotations, dynamic programming and CP-SAT, block by block.

References
----------
.. [1] L. Posa, "Hamiltonian circuits in random graphs", Discrete Mathematics 14, 1976.
.. [2] M. Held, R. Karp, "A dynamic programming approach to sequencing problems", J. SIAM 10(1), 1962.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeAlias

import numpy as np

from ..core.bitset import bits
from ..core.reference import Certificate
from . import cpsat

Cycle: TypeAlias = tuple[int, ...]

_DYNAMIC = 13
"""Vertices of a block up to which dynamic programming is quicker than CP-SAT."""
_SEARCHED = 400
"""Vertices of the largest block that CP-SAT searches: of more, its steps take too long."""
_PASSED = 20_000_000
"""Vertices that rotations pass at most: about a second."""


def longest_cycle(core: Sequence[int], blocks: Sequence[int], start: Cycle, limit: int) -> Certificate[Cycle]:
    """Return the longest cycle with its proof, or the best cycle and the best bound within ``limit``.

    ``core`` has a bit mask of neighbours for each vertex, see `two_core`. The ``blocks`` are its biconnected components
    as bit masks, the largest first: no cycle leaves one. ``limit`` counts steps, of each method its own.

    Examples
    --------
    >>> square = (0b1010, 0b0101, 0b1010, 0b0101)
    >>> longest_cycle(square, biconnected(square), (0, 1, 2, 3), 100).proven
    True
    """
    best, work, bound = start, 0, 0
    solvers = {"Warnsdorff": None}
    for block in blocks:
        if block.bit_count() <= len(best):
            break
        for method in (rotations, by_subsets if block.bit_count() <= _DYNAMIC else circuit):
            cycle = method(core, block, best, limit - work)
            best, work = cycle.solution, work + cycle.work
            solvers[cycle.solver] = None
            if cycle.proven:
                break
        bound = max(bound, int(cycle.bound))
    return Certificate(best, len(best), max(bound, len(best)), ", ".join(solvers), work)


def two_core(neighbours: Sequence[int]) -> tuple[int, ...]:
    """Return the graph without what hangs: as long as there are vertices with one neighbour, these go."""
    masks = list(neighbours)
    ends = [v for v in range(len(masks)) if masks[v].bit_count() == 1]
    for v in ends:
        for u in bits(masks[v]):
            masks[u] ^= 1 << v
            if masks[u].bit_count() == 1:
                ends.append(u)
        masks[v] = 0
    return tuple(masks)


def returning_steps(core: Sequence[int], partial: Sequence[int]) -> list[int]:
    """Return the vertices that may follow a path, from which some path leads back to its first vertex."""
    free = ~sum([1 << v for v in partial])

    def returns(v: int) -> bool:
        home = core[partial[0]] if len(partial) > 1 else core[partial[0]] & ~(1 << v)
        seen = fresh = 1 << v
        while fresh and not seen & home:
            ahead = reduce(or_, [core[u] for u in bits(fresh)])
            fresh = ahead & free & ~seen
            seen |= fresh
        return bool(seen & home)

    return [v for v in bits(core[partial[-1]] & free) if returns(v)]


def random_exchange(core: Sequence[int], solution: Cycle, rng: np.random.Generator) -> Cycle:
    """Return a cycle next to ``solution``: a 2-opt turn, or a random ear in place of a part; the same where none is."""
    k = len(solution)
    at = int(rng.integers(k))
    cycle = solution[at:] + solution[:at]
    if rng.random() < 0.25:
        turns = [j for j in range(2, k - 1) if core[cycle[0]] >> cycle[j] & core[cycle[1]] >> cycle[j + 1] & 1]
        if turns:
            j = turns[int(rng.integers(len(turns)))]
            return (cycle[0], *cycle[j:0:-1], *cycle[j + 1 :])
    ear = [cycle[0]]
    free = ~(1 << cycle[0] | 1 << cycle[1] | 1 << cycle[-1])
    while len(ear) == 1 or ear[-1] not in cycle:
        steps = bits(core[ear[-1]] & free)
        if not steps:
            return solution
        ear.append(steps[int(rng.integers(len(steps)))])
        free = (free | 1 << cycle[1] | 1 << cycle[-1]) & ~(1 << ear[-1])
    j = cycle.index(ear[-1])
    kept = cycle[j + 1 :] if rng.random() < 0.5 else cycle[j - 1 : 0 : -1]
    return (*ear, *kept)


def biconnected(neighbours: Sequence[int]) -> tuple[int, ...]:
    """Return the biconnected components of at least three vertices as bit masks, the largest first."""
    import networkx as nx

    graph: Any = nx.Graph([(u, v) for u, mask in enumerate(neighbours) for v in bits(mask)])
    components = [part for part in nx.biconnected_components(graph) if len(part) > 2]
    blocks = [sum([1 << v for v in part]) for part in components]
    return tuple(sorted(blocks, key=lambda block: (-block.bit_count(), block)))


def shortest_cycle(neighbours: Sequence[int]) -> Cycle:
    """Return a shortest cycle by breadth-first search from each vertex; () in a forest.

    An edge off the search tree closes a walk through the root. The shortest of these over all roots is simple.
    """
    best: Cycle = ()
    shortest = len(neighbours) + 1
    for root in range(len(neighbours)):
        paths: dict[int, Cycle] = {root: (root,)}
        queue = [root]
        for v in queue:
            if 2 * len(paths[v]) > shortest:
                break
            for u in bits(neighbours[v]):
                if u not in paths:
                    paths[u] = (*paths[v], u)
                    queue.append(u)
                elif u not in paths[v][-2:] and len(paths[u]) + len(paths[v]) - 1 < shortest:
                    best = paths[v] + paths[u][:0:-1]
                    shortest = len(best)
    return best


def walk(neighbours: Sequence[int], start: int, choose: Callable[[list[int], int], int]) -> list[int]:
    """Return a walk from ``start`` that never repeats a vertex and ends where it must.

    ``choose`` picks from the list of free neighbours, given the bit mask of unvisited vertices.
    """
    path, unvisited = [start], ~(1 << start)
    while free := bits(neighbours[path[-1]] & unvisited):
        path.append(choose(free, unvisited))
        unvisited &= ~(1 << path[-1])
    return path


def closings(neighbours: Sequence[int], path: list[int]) -> list[tuple[int, int]]:
    """Return the positions on ``path`` of the ends of each edge that closes a cycle along it."""
    where = {v: i for i, v in enumerate(path)}
    ends = [(i, where[u]) for i, v in enumerate(path) for u in bits(neighbours[v]) if u in where]
    return [(i, j) for i, j in ends if j > i + 1]


def rotations(neighbours: Sequence[int], block: int, best: Cycle, limit: int) -> Certificate[Cycle]:
    """Extend a path within ``block``, and where it is stuck rotate its end [1]_; keep the longest cycle.

    A step is one vertex appended or one rotation: at most 100 a vertex, fewer where paths are long, and at most
    ``limit`` in all.
    The draws are those of one fixed seed. Finds Hamiltonian cycles; on graphs with hubs and without a
    Hamiltonian cycle its cycles are clearly below the longest.
    """
    size, work = block.bit_count(), 0
    limit = min(limit, 100 * size, _PASSED // size)
    rng = np.random.default_rng(0)
    vertices = bits(block)
    path: list[int] = []
    stuck = 0
    while work < limit and len(best) < size:
        if not path or stuck > size:  # a fresh start, where rotations led nowhere
            path, stuck = [vertices[int(rng.integers(size))]], 0
            unvisited = block ^ (1 << path[0])
        work += 1
        end = path[-1]
        free = bits(neighbours[end] & unvisited)
        if free:
            fewest = min(free, key=lambda u: ((neighbours[u] & unvisited).bit_count(), rng.random()))
            path.append(fewest)
            unvisited ^= 1 << fewest
            stuck = 0
            continue
        stuck += 1
        around = neighbours[end] & block
        turns = [i for i, v in enumerate(path[:-2]) if around >> v & 1]
        if not turns:
            stuck = size + 1
            continue
        if len(path) - turns[0] > len(best):
            best = tuple(path[turns[0] :])
        i = turns[int(rng.integers(len(turns)))]
        path[i + 1 :] = path[:i:-1]
    return Certificate(best, len(best), size, "Posa rotations", work)


def by_subsets(neighbours: Sequence[int], block: int, best: Cycle, limit: int) -> Certificate[Cycle]:
    """Look for a cycle longer than ``best`` in ``block`` by dynamic programming over sets of vertices [2]_.

    Paths start at the least of their vertices. A step is one set with one last vertex.
    """
    size, work = block.bit_count(), 0
    for start in bits(block):
        above = block & -(1 << start)
        if above.bit_count() <= len(best):
            break
        # Each layer holds the sets of one size, with the vertices in which a path through the set can end.
        layers = [{1 << start: 1 << start}]
        while layers[-1]:
            longer: dict[int, int] = {}
            for visited, ends in layers[-1].items():
                if ends & neighbours[start] and visited.bit_count() > len(best):
                    best = _trace(neighbours, layers, visited, ends & neighbours[start])
                for v in bits(ends):
                    work += 1
                    for u in bits(neighbours[v] & above & ~visited):
                        longer[visited | 1 << u] = longer.get(visited | 1 << u, 0) | 1 << u
            if work > limit:
                return Certificate(best, len(best), size, "dynamic programming", work)
            layers.append(longer)
    return Certificate(best, len(best), len(best), "dynamic programming", work)


def _trace(neighbours: Sequence[int], layers: list[dict[int, int]], visited: int, ends: int) -> Cycle:
    """Walk back from the set ``visited``, through paths that end in one of ``ends``."""
    cycle = []
    for layer in reversed(layers):
        v = bits(layer[visited] & ends)[0]
        cycle.append(v)
        visited, ends = visited ^ (1 << v), neighbours[v]
    return tuple(cycle)


def circuit(neighbours: Sequence[int], block: int, best: Cycle, limit: int) -> Certificate[Cycle]:
    """Look for a cycle longer than ``best`` in ``block`` with CP-SAT's circuit constraint.

    ``limit`` is CP-SAT's deterministic time in millionths.
    """
    size = block.bit_count()
    limit -= cpsat.STEPS_PER_LITERAL * sum([(neighbours[v] & block).bit_count() for v in bits(block)])
    if limit <= 0 or size > _SEARCHED:
        return Certificate(best, len(best), size, "CP-SAT not started", 0)
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    skipped = {v: model.new_bool_var("") for v in bits(block)}
    # Every vertex has a loop, taken where the cycle skips it: a vertex without arcs would be ignored.
    arcs = [(v, v, loop) for v, loop in skipped.items()]
    for v in skipped:
        arcs += [(v, u, model.new_bool_var("")) for u in bits(neighbours[v] & block)]
    model.add_circuit(arcs)
    model.add(sum(skipped.values()) <= size - len(best) - 1)  # also rules out a single edge there and back
    model.minimize(sum(skipped.values()))
    solved = cpsat.solve(model, limit, linearization_level=2)
    bound = len(best) if solved.infeasible else min(size, size - solved.bound)
    if solved.feasible:
        after = {v: u for v, u, arc in arcs if v != u and solved.value(arc)}
        cycle = [min(after)]
        while len(cycle) < len(after):
            cycle.append(after[cycle[-1]])
        best = tuple(cycle)
    return Certificate(best, len(best), bound, solved.name, solved.work)
