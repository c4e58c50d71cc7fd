"""Balanced minimum cut: split the vertices of a weighted graph into two halves joined by least weight.

Also called minimum bisection. NP-hard [1]_, already without weights. Dense random graphs are the hard
ones for a proof: every half cuts nearly the same weight, and linear relaxations say nothing.

References
----------
.. [1] M. Garey, D. Johnson, L. Stockmeyer, "Some simplified NP-complete graph problems",
   Theoretical Computer Science 1(3), 1976.
.. [2] G. Karypis, V. Kumar, "A fast and high quality multilevel scheme for partitioning irregular
   graphs", SIAM Journal on Scientific Computing 20(1), 1998.
.. [3] T. Bui, S. Chaudhuri, F. Leighton, M. Sipser, "Graph bisection algorithms with good average case
   behavior", Combinatorica 7(2), 1987.
.. [4] F. Rendl, G. Rinaldi, A. Wiegele, "Solving max-cut to optimality by intersecting semidefinite and
   polyhedral relaxations", Mathematical Programming 121, 2010.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..core import Certificate, Range, Share, check_int
from ..kinds import Choose, Chosen, Subset, WeightedGraph
from ..kinds.forms import fixed_permutations
from ..kinds.random_graphs import grouped_edges, pairs_of, random_edges
from ..kinds.rules import Half
from ..pictures.graph import Halves
from ..solvers.bisection import lightest_bisection
from ..solvers.greedy import two_least


@dataclass(frozen=True, kw_only=True)
class BalancedMinCut(Subset[WeightedGraph]):
    """Split the vertices into two halves such that the edges between them weigh as little as possible.

    Problem: min sum of w[u, v] over the edges uv with exactly one end in S, S of n // 2 vertices. Trivial: the best
    of sixteen fixed halves. Heuristic: greedy graph growing [2]_. Reference: enumeration in two parts; beyond its
    reach branch and bound on a semidefinite relaxation with triangle inequalities [4]_.

    Examples
    --------
    >>> problem = BalancedMinCut()
    >>> path = WeightedGraph(4, ((0, 2, 5), (1, 2, 1), (1, 3, 5)))
    >>> problem.objective(path, (0, 1)), problem.reference(path).value
    (11, 1)
    """

    family: ClassVar = "partition"
    sense: ClassVar = "min"
    noun: ClassVar = "vertex"
    requires: ClassVar = (Half("balanced"),)
    instance_type: ClassVar = WeightedGraph
    work_limit: ClassVar = 6_000_000_000
    smallest: ClassVar = 14
    doubling: ClassVar = 20
    scratch: ClassVar = {"n": 10, "largest": 5}
    picture: ClassVar = Halves()
    published: ClassVar = "minimum_bisection"

    n: int = 16
    """Number of vertices."""
    distribution: Literal["gnp", "scale_free", "geometric", "planted"] = "gnp"
    """``gnp``, ``scale_free`` or ``geometric`` graphs, see `random_edges`; ``planted``: ``k`` hidden
    communities [3]_, an edge of probability 1.5 ``p`` inside one and 0.5 ``p`` between two."""
    p: Share = 0.4
    """Density, or probability of an edge."""
    largest: Annotated[int, Range(1, 10**9)] = 10
    """Weights are 1 to ``largest``."""
    k: Annotated[int, Range(1)] = 3
    """Number of communities of ``planted``; an odd one forces the cut through a community."""

    def check(self) -> None:
        if self.distribution == "planted":
            check_int("k", self.k, 1, self.n)

    def generate(self, rng: np.random.Generator) -> WeightedGraph:
        n = self.n
        if self.distribution == "planted":
            communities = rng.permutation(n) % self.k  # in random order: vertex numbers tell nothing
            edges = grouped_edges(rng, communities, 1.5 * self.p, 0.5 * self.p)
        else:
            edges = random_edges(rng, self.distribution, n, self.p)
        pairs = pairs_of(n, edges)
        weights = rng.integers(1, self.largest + 1, size=len(pairs)).tolist()
        return WeightedGraph(n, tuple([(*pair, w) for pair, w in zip(pairs, weights, strict=True)]))

    def question(self, instance: WeightedGraph) -> str:
        n = instance.n
        sizes = f"{n // 2} vertices each" if n % 2 == 0 else f"{n // 2} and {n - n // 2} vertices"
        return (
            f"Minimum bisection problem: split the vertices of a graph into two halves of {sizes}, such that "
            "the total weight of the edges between the halves is as small as possible.\n"
            f"There are {self.counted(instance)}"
        )

    def answer(self, instance: WeightedGraph) -> str:
        half = "one half" if instance.n % 2 == 0 else "the smaller half"
        return f"a JSON list of the {instance.n // 2} vertices of {half}, each once, in any order,"

    def tiny(self, instance: WeightedGraph) -> tuple[WeightedGraph, Chosen]:
        return WeightedGraph(4, ((0, 1, 2), (0, 3, 7), (1, 2, 6), (2, 3, 3))), (0, 3)

    def objective(self, instance: WeightedGraph, solution: Chosen) -> int:
        return instance.cut(solution)

    def trivial(self, instance: WeightedGraph) -> Chosen:
        """Return the best of sixteen halves that ignore the edges: no constant answer does better for long."""
        halves = _fixed_halves(instance.n)
        cuts = (halves @ instance.weights * (1 - halves)).sum(axis=1)
        return self.canonical(instance, tuple(np.flatnonzero(halves[cuts.argmin()]).tolist()))

    def greedy(self, instance: WeightedGraph, choose: Choose) -> Iterator[int]:
        """Graph growing [2]_: from vertex 0 on, add the vertex that leaves the lightest cut. No guarantee."""
        weights = instance.weights
        gain = 2 * weights[0] - weights.sum(axis=1)  # what the cut loses when a vertex joins the half
        added = 0
        yield added
        for _ in range(instance.n // 2 - 1):
            gain[added] = -np.inf
            yield (added := choose(two_least(range(instance.n), (-gain).tolist().__getitem__)))
            gain += 2 * weights[added]

    def solve(self, instance: WeightedGraph, start: Chosen, limit: int) -> Certificate[Chosen]:
        """Enumerate all halves if they are few; else branch and bound.

        A step is one half enumerated, one pair looked at for a swap, or an n**3-th of a decomposition of
        the matrix of the bound.
        """
        return lightest_bisection(instance.weights, start, limit)

    def canonical(self, instance: WeightedGraph, solution: Chosen) -> Chosen:
        """Return the smaller half, or of two equal ones that with vertex 0, sorted."""
        solution = super().canonical(instance, solution)
        others = set(range(instance.n)).difference(solution)
        first = (len(solution), 0 in others) < (len(others), 0 not in others)
        return tuple(sorted(solution if first else others))


@lru_cache(maxsize=256)
def _fixed_halves(n: int) -> NDArray[np.float64]:
    """Return (k, n): 1 where a vertex is in one of up to sixteen halves."""
    orders = fixed_permutations(n)[:16]
    halves = np.zeros((len(orders), n))
    for half, order in zip(halves, orders, strict=True):
        half[list(order[: n // 2])] = 1
    return halves
