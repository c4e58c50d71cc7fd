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
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Annotated, ClassVar, Literal

import numpy as np

from ..core import Between, Certificate, bits
from ..kinds import Choose, Graph, Sequence, Walk
from ..kinds.random_graphs import edges_between, paired_edges, pairs_of, random_edges
from ..kinds.rules import Along, Visits
from ..pictures.graph import Route
from ..solvers import longest_cycle as cycles


@dataclass(frozen=True)
class HamiltonianCycleInstance(Graph):
    """A graph with at least one cycle."""

    def rules(self) -> Iterator[tuple[bool, str]]:
        yield bool(self.blocks), "a graph must have a cycle, got a forest: add an edge between connected vertices"

    @cached_property
    def arcs(self) -> frozenset[tuple[int, int]]:
        """The edges in both directions."""
        return frozenset([*self.edges, *((v, u) for u, v in self.edges)])

    @cached_property
    def core(self) -> tuple[int, ...]:
        """The 2-core: (n,) neighbours as bit masks, once vertices of degree < 2 drop out again and again."""
        return cycles.two_core(self.neighbours)

    @cached_property
    def blocks(self) -> tuple[int, ...]:
        """Vertices of the biconnected components with a cycle, as bit masks; the largest first."""
        return cycles.biconnected(self.core)


@dataclass(frozen=True, kw_only=True)
class HamiltonianCycle(Sequence[HamiltonianCycleInstance]):
    """Visit as many vertices as possible on one simple cycle.

    Problem: max number of vertices of a simple cycle along the edges; the closing edge is implied. Trivial: the first
    shortest cycle. Heuristic: Warnsdorff's walk [3]_, closed where most of it remains. Reference: rotations against
    the bound of biconnected components, then dynamic programming or CP-SAT.

    Examples
    --------
    >>> problem = HamiltonianCycle()
    >>> house = HamiltonianCycleInstance(5, ((0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4)))
    >>> problem.trivial(house), problem.canonical(house, problem.reference(house).solution)
    ((2, 3, 4), (0, 1, 3, 4, 2))
    """

    family: ClassVar = "planning"
    sense: ClassVar = "max"
    noun: ClassVar = "vertex"
    cyclic: ClassVar = True
    requires: ClassVar = (
        Visits("length", "a cycle"),
        Along("adjacent", "arcs", "consecutive vertices are adjacent", "a cycle"),
    )
    instance_type: ClassVar = HamiltonianCycleInstance
    work_limit: ClassVar = 2_500_000
    smallest: ClassVar = 16
    scratch: ClassVar = {"n": 8}
    picture: ClassVar = Route()
    formats: ClassVar = ("dimacs", "tsplib_hcp")
    published: ClassVar = "hamiltonian_cycle"

    n: int = 20
    """Number of vertices."""
    distribution: Literal["gnp", "scale_free", "geometric", "regular", "planted"] = "gnp"
    """``gnp``, ``scale_free`` or ``geometric`` graphs, see `random_edges`; ``regular``: degrees that
    differ by at most 1, see `paired_edges`; ``planted``: a hidden Hamiltonian cycle and the edges of
    ``gnp`` beyond it. A forest gets the edges of a random triangle."""
    degree: Annotated[float, Between(2.0, 10.0**6)] = 3.5
    """Mean number of neighbours, as far as the number of vertices allows."""

    def generate(self, rng: np.random.Generator) -> HamiltonianCycleInstance:
        n = self.n
        if self.distribution == "regular":
            edges = paired_edges(rng, n, self.degree)
        elif self.distribution == "planted":
            order = rng.permutation(n)
            others = random_edges(rng, "gnp", n, min(1.0, (self.degree - 2) / (n - 1)))
            edges = edges_between(n, order, np.roll(order, 1), others)
        else:
            edges = random_edges(rng, self.distribution, n, min(1.0, self.degree / (n - 1)))
        instance = HamiltonianCycleInstance(n, pairs_of(n, edges))
        if len(edges) >= n or instance.blocks:  # a forest has fewer edges than vertices
            return instance
        corners = rng.permutation(n)[:3]
        edges = edges_between(n, corners, np.roll(corners, 1), edges)
        return HamiltonianCycleInstance(n, pairs_of(n, edges))

    def question(self, instance: HamiltonianCycleInstance) -> str:
        return (
            "Longest cycle problem: find a simple cycle through as many vertices as possible. Consecutive "
            "vertices of the cycle are adjacent, so are its last and its first, and no vertex is visited "
            "twice; a cycle has at least 3 vertices, and need not visit all.\n"
            f"There are {self.counted(instance)}"
        )

    def answer(self, instance: HamiltonianCycleInstance) -> str:
        once = "each once (do not repeat the first vertex at the end)"
        return f"a JSON list of the cycle's vertices in order, {once},"

    def tiny(self, instance: HamiltonianCycleInstance) -> tuple[HamiltonianCycleInstance, Walk]:
        return HamiltonianCycleInstance(5, ((0, 2), (0, 4), (1, 2), (1, 4), (2, 3))), (0, 2, 1, 4)

    def objective(self, instance: HamiltonianCycleInstance, solution: Walk) -> int:
        return len(solution)

    def trivial(self, instance: HamiltonianCycleInstance) -> Walk:
        return self.canonical(instance, cycles.shortest_cycle(instance.core))

    def greedy(self, instance: HamiltonianCycleInstance, choose: Choose) -> Iterable[int]:
        """Warnsdorff's walk [3]_, then the longest cycle that one edge closes along it.

        Always on to the unvisited neighbour with fewest unvisited neighbours of its own, from the first
        vertex of the 2-core until stuck. At least one vertex more than the least degree in the 2-core,
        because where the walk is stuck it has visited all neighbours [4]_.
        """
        core = instance.core

        def onward(free: list[int], unvisited: int) -> int:
            return int(choose(sorted(free, key=lambda u: ((core[u] & unvisited).bit_count(), u))))

        path = cycles.walk(core, next(v for v in range(instance.n) if core[v]), onward)
        i, j = max(cycles.closings(core, path), key=lambda ends: ends[1] - ends[0])
        return path[i : j + 1]

    def extensions(self, instance: HamiltonianCycleInstance, partial: Walk) -> list[int]:
        """Return the vertices of cycles; after the first, its unvisited neighbours from which a way leads back."""
        if not partial:
            return bits(reduce(or_, instance.blocks))
        return cycles.returning_steps(instance.core, partial)

    def random(self, instance: HamiltonianCycleInstance, rng: np.random.Generator) -> Walk:
        """Return one of the cycles that edges close along a random walk without repetition."""
        core = instance.core
        inside = [v for v in range(instance.n) if core[v]]
        start = inside[int(rng.integers(len(inside)))]
        path = cycles.walk(core, start, lambda free, unvisited: free[int(rng.integers(len(free)))])
        ends = cycles.closings(core, path)
        i, j = ends[int(rng.integers(len(ends)))]
        return tuple(path[i : j + 1])

    def neighbour(self, instance: HamiltonianCycleInstance, solution: Walk, rng: np.random.Generator) -> Walk:
        """Turn a stretch around (2-opt), or replace one by an ear: a random path outside, or a chord."""
        return cycles.random_exchange(instance.core, solution, rng)

    def solve(self, instance: HamiltonianCycleInstance, start: Walk, limit: int) -> Certificate[Walk]:
        """Search each biconnected component that could hold a longer cycle; the largest first."""
        return cycles.longest_cycle(instance.core, instance.blocks, start, limit)
