"""Maximum independent set: the largest set of vertices of which no two are adjacent.

NP-hard [1]_, and hard to approximate within n^(1-eps) for any eps > 0 [2]_. An independent set is a
clique of the complement: solver and moves are those of `max_clique`. The optimum is the independence
number of the graph.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] D. Zuckerman, "Linear degree extractors and the inapproximability of max clique and chromatic
   number", Theory of Computing 3, 2007.
.. [3] J. Griggs, "Lower bounds on the independence number in terms of the degrees", J. Combinatorial
   Theory B 34, 1983.
.. [4] N. Alon, M. Krivelevich, B. Sudakov, "Finding a large hidden clique in a random graph",
   Random Structures & Algorithms 13, 1998.
.. [5] E. Tomita, T. Seki, "An efficient branch-and-bound algorithm for finding a maximum clique",
   DMTCS, LNCS 2731, 2003.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar

import numpy as np

from ..core import drawing
from ..core.checks import check_choice, check_int, check_share
from ..core.graph import FAMILIES, Graph, bits, draw_graph, edges_of
from ..core.problem import Problem, size_at_level
from ..core.reference import Certificate
from ..core.subset import subset_violations
from ..core.verdict import Violation
from .max_clique import (
    Vertices,
    candidates,
    exchange,
    grow,
    max_clique,
    planted,
    read_vertices,
    write_vertices,
)

DISTRIBUTIONS = (*FAMILIES, "planted")


@dataclass(frozen=True)
class MaxIndependentSetInstance(Graph):
    """The graph in which an independent set is sought."""

    @cached_property
    def strangers(self) -> tuple[int, ...]:
        """(n,) bit masks of the complement: bit u of ``strangers[v]`` is set where u and v are not adjacent."""
        everyone = (1 << self.n) - 1
        return tuple([everyone ^ mask ^ (1 << v) for v, mask in enumerate(self.neighbours)])


@dataclass(frozen=True, kw_only=True)
class MaxIndependentSet(Problem[MaxIndependentSetInstance, Vertices]):
    """Choose as many vertices as possible, no two of them adjacent.

    Problem: max |S|, {u, v} not in E for all u, v in S. Answer: a list of the vertices of S in any
    order. Trivial: the first vertex alone. Heuristic: delete greatest degrees [3]_. Reference: branch
    and bound with colour bounds [5]_ for a clique of the complement.

    Examples
    --------
    >>> independent = MaxIndependentSet()
    >>> instance = MaxIndependentSetInstance(5, ((0, 3), (0, 4), (1, 4), (2, 3)))
    >>> independent.heuristic(instance), independent.reference(instance).solution
    ((3, 4), (0, 1, 2))
    """

    name: ClassVar = "MaxIndependentSet"
    version: ClassVar = 0
    family: ClassVar = "graph"
    sense: ClassVar = "max"
    kind: ClassVar = "subset"
    constraints: ClassVar = ("known", "once", "independent")
    instance_type: ClassVar = MaxIndependentSetInstance
    work_limit: ClassVar = 30_000_000

    n: int = 55
    """Number of vertices."""
    distribution: str = "planted"
    """``gnp``, ``scale_free`` or ``geometric`` graphs, see `random_adjacency`; ``planted``: ``gnp`` with
    a hidden independent set, as [4]_ hide a clique."""
    p: float = 0.2
    """Density, or probability of an edge."""
    hidden: float = 1.8
    """Size of the hidden set of ``planted``, in units of the square root of ``n``: the scale at which it
    stands out among the vertices' degrees."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="smaller graphs leave no choice")
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_share("p", self.p)
        check_share("hidden", self.hidden, 0.0, 100.0)

    def at_level(self, level: int) -> MaxIndependentSet:
        return replace(self, n=size_at_level(32, level))

    def generate(self, rng: np.random.Generator) -> MaxIndependentSetInstance:
        adjacent = planted(rng, self.distribution, self.n, self.p, self.hidden, False)
        return MaxIndependentSetInstance(self.n, edges_of(adjacent))

    def describe(self, instance: MaxIndependentSetInstance) -> str:
        return instance.text()

    def prompt(self, instance: MaxIndependentSetInstance) -> str:
        if self.style == "compact":
            return f"{instance.compact_text()} >"
        n, first = instance.n, instance.first
        task = (
            "Maximum independent set problem: choose as many vertices as possible such that no two chosen "
            f"vertices are adjacent.\nThere are {n} vertices, numbered {first} to {first + n - 1}. "
            "Each line gives a vertex and its neighbours of higher number; every edge appears once."
        )
        what = "a JSON list of the numbers of the chosen vertices, each once, in any order,"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: MaxIndependentSetInstance) -> tuple[MaxIndependentSetInstance, Vertices]:
        # Counting on from the instance's last vertex: the example's answer names none of its vertices.
        first = instance.first + instance.n
        return MaxIndependentSetInstance(5, ((0, 1), (0, 3), (1, 2), (1, 4), (3, 4)), first=first), (0, 2, 4)

    def parse(self, instance: MaxIndependentSetInstance, text: str) -> Vertices:
        return read_vertices(text, self.style, instance.first)

    def write(self, instance: MaxIndependentSetInstance, solution: Vertices) -> str:
        return write_vertices(solution, self.style, instance.first)

    def violations(self, instance: MaxIndependentSetInstance, solution: Vertices) -> tuple[Violation, ...]:
        found, vertices = subset_violations("vertices", instance.n, instance.first, solution)
        chosen = adjacent = 0
        for v in vertices:
            chosen |= 1 << v
            adjacent |= instance.neighbours[v]
        if not chosen & adjacent:
            return tuple(found)
        pairs = len(vertices) * (len(vertices) - 1) // 2
        edges = sum([(instance.neighbours[v] & chosen).bit_count() for v in vertices]) // 2
        if edges:
            inside = [(v, instance.neighbours[v] & chosen) for v in sorted(vertices)]
            u, v = next((v, bits(mask)[0]) for v, mask in inside if mask)
            reason = (
                f"no two vertices are adjacent, got {edges} of {pairs} pairs that are, "
                f"such as {u + instance.first} and {v + instance.first}"
            )
            found.append(Violation("independent", edges, pairs, reason))
        return tuple(found)

    def objective(self, instance: MaxIndependentSetInstance, solution: Vertices) -> int:
        return len(solution)

    def extensions(self, instance: MaxIndependentSetInstance, partial: Vertices) -> list[int]:
        return candidates(instance.strangers, partial)

    def trivial(self, instance: MaxIndependentSetInstance) -> Vertices:
        return (0,)

    def heuristic(
        self, instance: MaxIndependentSetInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Vertices:
        """MAX [3]_: delete a vertex of greatest remaining degree until no edge is left.

        At least the sum of 1 / (d + 1) over the degrees d of the vertices. The set need not be maximal.
        """
        left = (1 << instance.n) - 1
        heap = [(-mask.bit_count(), v) for v, mask in enumerate(instance.neighbours) if mask]
        heapify(heap)
        while True:
            ranked: list[tuple[int, int]] = []
            while heap and len(ranked) < (1 if rng is None else 2):
                before, v = heappop(heap)
                # Degrees only fall: one that is still right is the greatest of all.
                degree = (instance.neighbours[v] & left).bit_count()
                if degree == -before:
                    ranked.append((before, v))
                elif degree:
                    heappush(heap, (-degree, v))
            if not ranked:
                return tuple(bits(left))
            # The other end of an edge has one too: with edges left, the second best has a degree.
            _, v = ranked.pop(1 if rng is not None and rng.random() < slip else 0)
            left ^= 1 << v
            for entry in ranked:
                heappush(heap, entry)

    def random(self, instance: MaxIndependentSetInstance, rng: np.random.Generator) -> Vertices:
        """Return a random maximal set: vertices in random order, each taken if adjacent to none taken."""
        return grow(instance.strangers, rng.permutation(instance.n).tolist())

    def neighbour(
        self, instance: MaxIndependentSetInstance, solution: Vertices, rng: np.random.Generator
    ) -> Vertices:
        """Force a random vertex in or out, leave those adjacent to it, and fill up at random."""
        return exchange(instance.strangers, solution, rng)

    def solve(self, instance: MaxIndependentSetInstance, limit: int) -> Certificate[Vertices]:
        """Branch and bound with colour bounds [5]_ on the complement; a step is one vertex coloured."""
        return max_clique(instance.strangers, self.heuristic(instance), limit)

    def canonical(self, instance: MaxIndependentSetInstance, solution: Vertices) -> Vertices:
        return tuple(sorted(solution))

    def draw(self, instance: MaxIndependentSetInstance, solution: Vertices | None, ax: Any) -> None:
        n, first = instance.n, instance.first
        chosen, again, wrong = drawing.sorted_out("vertex", n, first, solution or ())
        taken = set(chosen)
        inside = [(u, v) for u, v in instance.edges if u in taken and v in taken]
        rest = [v for v in range(n) if v not in taken]
        where = drawing.around(n, [chosen], rest) if chosen else drawing.around(n, [rest])
        shades = [drawing.CHOSEN if v in taken else "white" for v in range(n)]
        draw_graph(instance, ax, shades, where=where, wrong=inside, ringed=again)
        if inside:
            wrong.append(f"{len(inside)} edges between chosen vertices (thick)")
        told = f"{n} vertices, {len(instance.edges)} edges"
        drawing.say(
            ax,
            told if solution is None else f"chosen, on the outer circle: {len(chosen)} of {n} vertices",
            wrong,
        )
