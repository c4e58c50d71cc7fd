"""Maximum independent set: the largest set of vertices of which no two are adjacent.

NP-hard [1]_, and hard to approximate within n^(1-eps) for any eps > 0 [2]_. An independent set is a
clique of the complement. The optimum is the independence number of the graph.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] D. Zuckerman, "Linear degree extractors and the inapproximability of max clique and chromatic
   number", Theory of Computing 3, 2007.
.. [3] J. Griggs, "Lower bounds on the independence number in terms of the degrees", J. Combinatorial
   Theory B 34, 1983.
.. [4] M. Brockington, J. Culberson, "Camouflaging independent sets in quasi-random graphs", in Cliques,
   Coloring, and Satisfiability, DIMACS Series 26, 1996.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from ..core import Between, Certificate, Share, bits
from ..kinds import Choose, Chosen, Graph, GraphSubset
from ..kinds.random_graphs import pairs_of, planted_edges, random_edges
from ..kinds.rules import Pairwise
from ..pictures.graph import ChosenVertices
from ..solvers import clique
from ..solvers.greedy import lazy_greedy


@dataclass(frozen=True, kw_only=True)
class MaxIndependentSet(GraphSubset[Graph]):
    """Choose as many vertices as possible, no two of them adjacent.

    Problem: max |S|, {u, v} not in E for all u, v in S. Trivial: the best of eight fixed orders, as far as they fit.
    Heuristic: delete greatest degrees [3]_. Reference: branch and bound with colour bounds for a clique of the
    complement.

    Examples
    --------
    >>> problem = MaxIndependentSet()
    >>> instance = Graph(5, ((0, 3), (0, 4), (1, 4), (2, 3)))
    >>> problem.objective(instance, (3, 4)), problem.reference(instance).solution
    (2, (0, 1, 2))
    """

    family: ClassVar = "graph"
    sense: ClassVar = "max"
    requires: ClassVar = (Pairwise("independent", False, "no two vertices are adjacent", "are"),)
    instance_type: ClassVar = Graph
    work_limit: ClassVar = 100_000_000
    smallest: ClassVar = 40
    scratch: ClassVar = {"n": 16, "distribution": "gnp", "p": 0.4}
    picture: ClassVar = ChosenVertices(adjacent=False)
    formats: ClassVar = ("dimacs",)
    published: ClassVar = "maximum_independent_set"

    n: int = 50
    """Number of vertices."""
    distribution: Literal["gnp", "scale_free", "geometric", "planted"] = "planted"
    """``gnp``, ``scale_free`` or ``geometric`` graphs, see `random_edges`; ``planted``: ``gnp`` with a hidden
    independent set, whose vertices have more neighbours elsewhere, so that greedy and exchanges miss it [4]_."""
    p: Share = 0.2
    """Density, or probability of an edge."""
    hidden: Annotated[float, Between(0.0, 100.0)] = 2.0
    """Size of the hidden set of ``planted``, in units of the square root of ``n``."""

    def generate(self, rng: np.random.Generator) -> Graph:
        if self.distribution == "planted":
            edges = planted_edges(rng, self.n, self.p, self.hidden, adjacent=False)
        else:
            edges = random_edges(rng, self.distribution, self.n, self.p)
        return Graph(self.n, pairs_of(self.n, edges))

    def question(self, instance: Graph) -> str:
        return (
            "Maximum independent set problem: choose as many vertices as possible such that no two chosen "
            f"vertices are adjacent.\nThere are {self.counted(instance)}"
        )

    def tiny(self, instance: Graph) -> tuple[Graph, Chosen]:
        return Graph(5, ((0, 1), (0, 3), (1, 2), (1, 4), (3, 4))), (0, 2, 4)

    def objective(self, instance: Graph, solution: Chosen) -> int:
        return len(solution)

    def greedy(self, instance: Graph, choose: Choose) -> Iterable[int]:
        """MAX [3]_: delete a vertex of greatest remaining degree until no edge is left.

        At least the sum of 1 / (d + 1) over the degrees d of the vertices. The set need not be maximal.
        """
        left, neighbours = (1 << instance.n) - 1, instance.neighbours

        def degree(v: int) -> int | None:
            return -(neighbours[v] & left).bit_count() or None

        for deleted in lazy_greedy(range(instance.n), degree, choose):
            left ^= 1 << deleted
        return bits(left)

    def bound(self, instance: Graph, partial: Chosen) -> int:
        return len(self.with_all_that_fits(instance, partial))

    def solve(self, instance: Graph, start: Chosen, limit: int) -> Certificate[Chosen]:
        """Branch and bound with colour bounds on the complement; a step is one vertex coloured."""
        return clique.max_clique(instance.complement, start, limit)
