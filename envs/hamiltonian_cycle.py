"""Hamiltonian cycle, graded: the longest simple cycle of an undirected graph.

Whether a cycle through every vertex exists is NP-complete [1]_, and already the longest path has no
constant-factor approximation unless P = NP [2]_. A graph has a Hamiltonian cycle exactly if the
optimum is its number of vertices; where it has none, longer cycles are still better answers.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] D. Karger, R. Motwani, G. Ramkumar, "On approximating the longest path in a graph",
   Algorithmica 18, 1997.
.. [3] H. von Warnsdorf, "Des Roesselsprunges einfachste und allgemeinste Loesung", 1823.
.. [4] G. Dirac, "Some theorems on abstract graphs", Proc. London Mathematical Society 2, 1952.
.. [5] L. Posa, "Hamiltonian circuits in random graphs", Discrete Mathematics 14, 1976.
.. [6] M. Held, R. Karp, "A dynamic programming approach to sequencing problems", J. SIAM 10(1), 1962.
.. [7] J. Hopcroft, R. Tarjan, "Algorithm 447: efficient algorithms for graph manipulation", CACM 16(6), 1973.
.. [8] B. Bollobas, "A probabilistic proof of an asymptotic formula for the number of labelled regular
   graphs", European J. Combinatorics 1, 1980: the pairing of ``regular``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import pairwise
from operator import or_
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..core import cpsat, drawing
from ..core.answer import read_integers, read_numbers
from ..core.checks import check_choice, check_int, check_share
from ..core.graph import FAMILIES, Graph, bits, draw_graph, edges_of, random_adjacency
from ..core.problem import Problem, size_at_level
from ..core.reference import Certificate
from ..core.subset import subset_violations
from ..core.verdict import Violation

Cycle: TypeAlias = tuple[int, ...]
"""The vertices in the order of the cycle, each once; the closing edge is implied."""

DISTRIBUTIONS = (*FAMILIES, "regular", "planted")
VARIANTS = ("default", "published")
_NOWHERE: Any = -0.5
"""Ends a published answer that does not return to its first vertex, and so stays infeasible; no answer spells it."""
_SUBSETS = 13
"""Up to this many vertices dynamic programming is faster than starting CP-SAT."""
_SEARCHED = 400
"""Biconnected components with more vertices get no CP-SAT model: their references may stay unproven."""


@dataclass(frozen=True)
class HamiltonianCycleInstance(Graph):
    """A graph with at least one cycle."""

    def check(self) -> None:
        """Raise ``ValueError`` unless the edges are sorted pairs of distinct vertices and hold a cycle."""
        super().check()
        if not self.blocks:
            raise ValueError(
                "a graph must have a cycle, got a forest: add an edge between connected vertices"
            )

    @cached_property
    def arcs(self) -> frozenset[tuple[int, int]]:
        """The edges in both directions."""
        return frozenset([*self.edges, *((v, u) for u, v in self.edges)])

    @cached_property
    def core(self) -> tuple[int, ...]:
        """The 2-core: (n,) neighbours as bit masks, once vertices of degree < 2 drop out again and again."""
        masks = list(self.neighbours)
        ends = [v for v in range(self.n) if masks[v].bit_count() == 1]
        for v in ends:
            for u in bits(masks[v]):
                masks[u] ^= 1 << v
                if masks[u].bit_count() == 1:
                    ends.append(u)
            masks[v] = 0
        return tuple(masks)

    @cached_property
    def blocks(self) -> tuple[int, ...]:
        """Vertices of the biconnected components with a cycle, as bit masks; the largest first."""
        return biconnected(self.core)


@dataclass(frozen=True, kw_only=True)
class HamiltonianCycle(Problem[HamiltonianCycleInstance, Cycle]):
    """Visit as many vertices as possible on one simple cycle.

    Problem: max number of vertices of a simple cycle along the edges. Answer: a list of at least 3
    vertices in the order of the cycle, the closing edge implied. Trivial: the first shortest cycle.
    Heuristic: Warnsdorff's walk [3]_, closed where most of it remains. Reference: Posa's rotations
    [5]_ against the bound of biconnected components, then dynamic programming [6]_, above 13
    vertices CP-SAT with circuit constraint.

    Examples
    --------
    >>> longest = HamiltonianCycle()
    >>> house = HamiltonianCycleInstance(5, ((0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4)))
    >>> longest.trivial(house), longest.canonical(house, longest.reference(house).solution)
    ((2, 3, 4), (0, 1, 3, 4, 2))
    """

    name: ClassVar = "HamiltonianCycle"
    version: ClassVar = 0
    family: ClassVar = "planning"
    sense: ClassVar = "max"
    kind: ClassVar = "sequence"
    constraints: ClassVar = ("known", "once", "length", "adjacent")
    open_constraints: ClassVar = ("length", "adjacent")
    instance_type: ClassVar = HamiltonianCycleInstance
    work_limit: ClassVar = 60_000_000

    n: int = 16
    """Number of vertices."""
    distribution: str = "gnp"
    """``gnp``, ``scale_free`` or ``geometric`` graphs, see `random_adjacency`; ``regular``: degrees that
    differ by at most 1, paired at random [8]_, then loops and repetitions dropped; ``planted``: a hidden
    Hamiltonian cycle and the edges of ``gnp`` beyond it. A forest gets the edges of a random triangle."""
    degree: float = 3.5
    """Mean number of neighbours, as far as the number of vertices allows."""
    variant: str = "default"
    """``published``: answers repeat the first vertex at the end, as in the published benchmark."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="a cycle needs three vertices")
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_share("degree", self.degree, 2.0, 10.0**6)
        check_choice("variant", self.variant, VARIANTS)

    def at_level(self, level: int) -> HamiltonianCycle:
        return replace(self, n=size_at_level(10, level))

    def generate(self, rng: np.random.Generator) -> HamiltonianCycleInstance:
        n = self.n
        if self.distribution == "regular":
            pairs = round(min(self.degree, n - 1) * n / 2)
            stubs = rng.permutation(np.resize(rng.permutation(n), 2 * pairs))
            adjacent = np.zeros((n, n), dtype=bool)
            adjacent[stubs[:pairs], stubs[pairs:]] = True
        elif self.distribution == "planted":
            order = rng.permutation(n)
            adjacent = random_adjacency(rng, "gnp", n, min(1.0, (self.degree - 2) / (n - 1)))
            adjacent[order, np.roll(order, 1)] = True
        else:
            adjacent = random_adjacency(rng, self.distribution, n, min(1.0, self.degree / (n - 1)))
        instance = HamiltonianCycleInstance(n, edges_of(np.triu(adjacent | adjacent.T, 1)))
        if instance.blocks:
            return instance
        a, b, c = sorted(rng.choice(n, size=3, replace=False).tolist())
        return HamiltonianCycleInstance(n, tuple(sorted({*instance.edges, (a, b), (a, c), (b, c)})))

    def describe(self, instance: HamiltonianCycleInstance) -> str:
        return instance.text()

    def prompt(self, instance: HamiltonianCycleInstance) -> str:
        if self.style == "compact":
            return f"{instance.compact_text()} >"
        n, first = instance.n, instance.first
        task = (
            "Longest cycle problem: find a simple cycle through as many vertices as possible. Consecutive "
            "vertices of the cycle are adjacent, so are its last and its first, and no vertex is visited "
            "twice; a cycle has at least 3 vertices, and need not visit all.\n"
            f"There are {n} vertices, numbered {first} to {first + n - 1}. "
            "Each line gives a vertex and its neighbours of higher number; every edge appears once."
        )
        ending = (
            "with the first vertex repeated at the end"
            if self.variant == "published"
            else "each once (do not repeat the first vertex at the end)"
        )
        what = f"a JSON list of the cycle's vertices in order, {ending},"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: HamiltonianCycleInstance) -> tuple[HamiltonianCycleInstance, Cycle]:
        # Counting on from the instance's last vertex: the example's answer names none of its vertices.
        edges = ((0, 2), (0, 4), (1, 2), (1, 4), (2, 3))
        return HamiltonianCycleInstance(5, edges, first=instance.first + instance.n), (0, 2, 1, 4)

    def parse(self, instance: HamiltonianCycleInstance, text: str) -> Cycle:
        numbers = read_integers(text) if self.style == "prose" else read_numbers(text)
        first = instance.first
        vertices = tuple([number - first for number in numbers] if first else numbers)
        if self.variant == "default":
            return vertices
        closed = len(vertices) > 1 and vertices[0] == vertices[-1]
        return vertices[:-1] if closed else (*vertices, _NOWHERE)

    def write(self, instance: HamiltonianCycleInstance, solution: Cycle) -> str:
        numbers = [v + instance.first for v in solution]
        if self.variant == "published":
            numbers += numbers[:1]
        return str(numbers) if self.style == "prose" else " ".join(map(str, numbers))

    def violations(self, instance: HamiltonianCycleInstance, solution: Cycle) -> tuple[Violation, ...]:
        unclosed = solution[-1:] == (_NOWHERE,)
        cycle = solution[:-1] if unclosed else solution
        found, vertices = subset_violations("vertices", instance.n, instance.first, cycle)
        visited = len(vertices)
        steps = list(pairwise(cycle if unclosed else (*cycle, *cycle[:1])))
        if visited > 2 and not (found or unclosed) and instance.arcs.issuperset(steps):
            return ()
        if visited < 3:
            found.append(
                Violation("length", 3 - visited, 3, f"a cycle has at least 3 vertices, got {visited}")
            )
        along = sum(map(instance.arcs.__contains__, steps))
        needed = max(3, len(cycle))  # as many edges as vertices; an answer that is too short lacks some
        if along < needed:
            reason = (
                "a cycle ends with its first vertex again, got another"
                if unclosed and along == len(steps)
                else f"consecutive vertices are adjacent, got {along} edges of {needed} for a cycle"
            )
            found.append(Violation("adjacent", needed - along, needed, reason))
        return tuple(found)

    def objective(self, instance: HamiltonianCycleInstance, solution: Cycle) -> int:
        return len(solution)

    def extensions(self, instance: HamiltonianCycleInstance, partial: Cycle) -> list[int]:
        """Return the vertices of cycles; after the first, its unvisited neighbours from which a way leads back."""
        if not partial:
            return bits(reduce(or_, instance.blocks))
        core, free = instance.core, ~sum([1 << v for v in partial])

        def returns(v: int) -> bool:
            home = core[partial[0]] if len(partial) > 1 else core[partial[0]] & ~(1 << v)
            seen = fresh = 1 << v
            while fresh and not seen & home:
                ahead = reduce(or_, [core[u] for u in bits(fresh)])
                fresh = ahead & free & ~seen
                seen |= fresh
            return bool(seen & home)

        return [v for v in bits(core[partial[-1]] & free) if returns(v)]

    def trivial(self, instance: HamiltonianCycleInstance) -> Cycle:
        return self.canonical(instance, shortest_cycle(instance.core))

    def heuristic(
        self, instance: HamiltonianCycleInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Cycle:
        """Warnsdorff's walk [3]_, then the longest cycle that one edge closes along it.

        Always on to the unvisited neighbour with fewest unvisited neighbours of its own, from the first
        vertex of the 2-core until stuck. At least one vertex more than the least degree in the 2-core,
        because where the walk is stuck it has visited all neighbours [4]_; never below the trivial cycle.
        """
        core = instance.core

        def choose(free: list[int], unvisited: int) -> int:
            free.sort(key=lambda u: ((core[u] & unvisited).bit_count(), u))
            second = rng is not None and len(free) > 1 and rng.random() < slip
            return free[1 if second else 0]

        path = walk(core, next(v for v in range(instance.n) if core[v]), choose)
        i, j = max(closings(core, path), key=lambda ends: ends[1] - ends[0])
        return tuple(path[i : j + 1])

    def random(self, instance: HamiltonianCycleInstance, rng: np.random.Generator) -> Cycle:
        """Return one of the cycles that edges close along a random walk without repetition."""
        core = instance.core
        inside = [v for v in range(instance.n) if core[v]]
        start = inside[int(rng.integers(len(inside)))]
        path = walk(core, start, lambda free, unvisited: free[int(rng.integers(len(free)))])
        ends = closings(core, path)
        i, j = ends[int(rng.integers(len(ends)))]
        return tuple(path[i : j + 1])

    def neighbour(
        self, instance: HamiltonianCycleInstance, solution: Cycle, rng: np.random.Generator
    ) -> Cycle:
        """Turn a stretch around (2-opt), or replace one by an ear: a random path outside, or a chord."""
        core, k = instance.core, len(solution)
        at = int(rng.integers(k))
        cycle = solution[at:] + solution[:at]
        if rng.random() < 0.25:
            turns = [
                j
                for j in range(2, k - 1)
                if core[cycle[0]] >> cycle[j] & 1 and core[cycle[1]] >> cycle[j + 1] & 1
            ]
            if turns:
                j = turns[int(rng.integers(len(turns)))]
                return (cycle[0], *cycle[j:0:-1], *cycle[j + 1 :])
        ear = [cycle[0]]
        free = ~(1 << cycle[0] | 1 << cycle[1] | 1 << cycle[-1])  # a first step along the cycle is no ear
        while len(ear) == 1 or ear[-1] not in cycle:
            steps = bits(core[ear[-1]] & free)
            if not steps:
                return solution
            ear.append(steps[int(rng.integers(len(steps)))])
            free = (free | 1 << cycle[1] | 1 << cycle[-1]) & ~(1 << ear[-1])
        j = cycle.index(ear[-1])
        kept = cycle[j + 1 :] if rng.random() < 0.5 else cycle[j - 1 : 0 : -1]
        return (*ear, *kept)

    def solve(self, instance: HamiltonianCycleInstance, limit: int) -> Certificate[Cycle]:
        """Search each biconnected component that could hold a longer cycle; the largest first.

        Posa's rotations [5]_ for some steps per vertex, then dynamic programming [6]_ up to 13 vertices,
        else CP-SAT (a step is its microsecond).
        """
        best, work, bound = self.heuristic(instance), 0, 0
        solvers = {"Warnsdorff": None}
        for block in instance.blocks:
            if block.bit_count() <= len(best):
                break
            for method in (rotations, by_subsets if block.bit_count() <= _SUBSETS else circuit):
                found = method(instance.core, block, best, limit - work)
                best, work = found.solution, work + found.work
                solvers[found.solver] = None
                if found.proven:
                    break
            bound = max(bound, int(found.bound))
        return Certificate(best, len(best), max(bound, len(best)), ", ".join(solvers), work)

    def canonical(self, instance: HamiltonianCycleInstance, solution: Cycle) -> Cycle:
        start = solution.index(min(solution))
        cycle = solution[start:] + solution[:start]
        return cycle if cycle[1] <= cycle[-1] else cycle[:1] + cycle[:0:-1]

    def draw(self, instance: HamiltonianCycleInstance, solution: Cycle | None, ax: Any) -> None:
        n, listed = instance.n, solution or ()
        unclosed = listed[-1:] == (_NOWHERE,)
        if unclosed:
            listed = listed[:-1]
        visited, again, wrong = drawing.sorted_out("vertex", n, instance.first, listed)
        steps = drawing.links(listed, n, closed=not unclosed)
        absent = [step for step in steps if step not in instance.arcs]
        on = set(visited)
        rest = [v for v in range(n) if v not in on]
        where = drawing.around(n, [visited], rest) if 2 * len(on) > n else drawing.around(n, [rest], visited)
        shades = [drawing.CHOSEN if v in on else "white" for v in range(n)]
        marked = sorted(set(steps).difference(absent))
        ringed = [*again, *(visited if len(visited) < 3 else ())]
        draw_graph(instance, ax, shades, marked, where=where, missing=absent, ringed=ringed)
        if absent:
            wrong.append(f"{len(absent)} steps without an edge (dashed)")
        if unclosed:
            wrong.append("does not return to its first vertex")
        if solution is not None and len(visited) < 3:
            wrong.append("a cycle has at least 3 vertices")
        told = f"visited, in this order: {len(on)} of {n} vertices"
        if solution is None:
            told = f"{n} vertices, {len(instance.edges)} edges"
        drawing.say(ax, told, wrong)


def biconnected(neighbours: Sequence[int]) -> tuple[int, ...]:
    """Return the biconnected components of at least three vertices [7]_ as bit masks, the largest first.

    Examples
    --------
    >>> biconnected([0b00110, 0b00101, 0b01011, 0b10100, 0b01000])
    (7,)
    """
    found = []
    depth: dict[int, int] = {}
    low: dict[int, int] = {}  # least depth that an edge from below reaches
    for root in range(len(neighbours)):
        if root in depth:
            continue
        depth[root] = low[root] = 0
        path, pending, ahead = [root], [root], {root: neighbours[root]}
        while path:
            v = path[-1]
            if ahead[v]:
                u = (ahead[v] & -ahead[v]).bit_length() - 1
                ahead[v] ^= 1 << u
                if u in depth:
                    low[v] = min(low[v], depth[u])
                else:
                    depth[u] = low[u] = len(path)
                    path.append(u)
                    pending.append(u)
                    ahead[u] = neighbours[u]
                continue
            path.pop()
            if not path:
                break
            parent = path[-1]
            low[parent] = min(low[parent], low[v])
            if low[v] >= depth[parent]:  # nothing below v reaches above its parent
                block = 1 << parent
                while not block >> v & 1:
                    block |= 1 << pending.pop()
                if block.bit_count() > 2:
                    found.append(block)
    return tuple(sorted(found, key=lambda block: (-block.bit_count(), block)))


def shortest_cycle(neighbours: Sequence[int]) -> Cycle:
    """Return a shortest cycle by breadth-first search from each vertex; () in a forest.

    An edge off the search tree closes a walk through the root. The shortest of these over all roots is
    a simple cycle.

    Examples
    --------
    >>> shortest_cycle([0b0110, 0b1001, 0b1001, 0b0110])
    (0, 2, 3, 1)
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
    """Return the positions on ``path`` of the ends of each edge that closes a cycle along it.

    Examples
    --------
    >>> closings([0b1110, 0b101, 0b1011, 0b101], [1, 2, 3, 0])
    [(0, 3), (1, 3)]
    """
    where = {v: i for i, v in enumerate(path)}
    ends = [(i, where[u]) for i, v in enumerate(path) for u in bits(neighbours[v]) if u in where]
    return [(i, j) for i, j in ends if j > i + 1]


def rotations(neighbours: Sequence[int], block: int, best: Cycle, limit: int) -> Certificate[Cycle]:
    """Extend a path within ``block``, and where it is stuck rotate its end [5]_; keep the longest cycle.

    A step is one vertex appended or one rotation: at most 100 a vertex, and at most ``limit`` in all.
    The draws are those of one fixed seed. Finds Hamiltonian cycles; on graphs with hubs and without a
    Hamiltonian cycle its cycles are clearly below the longest.
    """
    size, work = block.bit_count(), 0
    limit = min(limit, 100 * size)
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
    """Look for a cycle longer than ``best`` in ``block`` by dynamic programming over sets of vertices [6]_.

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
    if solved.infeasible:
        return Certificate(best, len(best), len(best), solved.name, solved.work)
    if solved.feasible:
        after = {v: u for v, u, arc in arcs if v != u and solved.value(arc)}
        cycle = [min(after)]
        while len(cycle) < len(after):
            cycle.append(after[cycle[-1]])
        best = tuple(cycle)
    return Certificate(best, len(best), min(size, size - solved.bound), solved.name, solved.work)
