"""Maximum clique: the largest set of vertices that are pairwise adjacent.

NP-hard [1]_, and hard to approximate within n^(1-eps) for any eps > 0 [2]_. The optimum is the
clique number of the graph.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] D. Zuckerman, "Linear degree extractors and the inapproximability of max clique and chromatic
   number", Theory of Computing 3, 2007.
.. [3] I. Bomze, M. Budinich, P. Pardalos, M. Pelillo, "The maximum clique problem", Handbook of
   Combinatorial Optimization, 1999: sequential greedy heuristics.
.. [4] M. Brockington, J. Culberson, "Camouflaging independent sets in quasi-random graphs", in Cliques,
   Coloring, and Satisfiability, DIMACS Series 26, 1996.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from ..core import Between, Certificate, Share
from ..kinds import Choose, Chosen, Graph, GraphSubset
from ..kinds.random_graphs import pairs_of, planted_edges, random_edges
from ..kinds.rules import Pairwise
from ..pictures.graph import ChosenVertices
from ..solvers import clique


@dataclass(frozen=True, kw_only=True)
class MaxClique(GraphSubset[Graph]):
    """Choose as many vertices as possible, every two of them adjacent.

    Problem: max |C|, {u, v} in E for all u != v in C. Trivial: the best of eight fixed orders, as far as
    they fit. Heuristic: greedy by degree [3]_. Reference: branch and bound with colour bounds.

    Examples
    --------
    >>> problem = MaxClique()
    >>> instance = Graph(6, ((0, 1), (0, 2), (0, 3), (3, 4), (3, 5), (4, 5)))
    >>> problem.objective(instance, (0, 3)), problem.reference(instance).solution
    (2, (3, 4, 5))
    """

    family: ClassVar = "graph"
    sense: ClassVar = "max"
    requires: ClassVar = (Pairwise("adjacent", True, "every two vertices are adjacent", "are not"),)
    instance_type: ClassVar = Graph
    work_limit: ClassVar = 100_000_000
    smallest: ClassVar = 30
    scratch: ClassVar = {"n": 16, "distribution": "gnp", "p": 0.5}
    picture: ClassVar = ChosenVertices(adjacent=True)
    formats: ClassVar = ("dimacs",)
    published: ClassVar = "maximum_clique"

    n: int = 50
    """Number of vertices."""
    distribution: Literal["gnp", "geometric", "planted"] = "planted"
    """``gnp`` or ``geometric`` graphs, see `random_edges`; ``planted``: ``gnp`` with a hidden clique, whose vertices
    have fewer neighbours elsewhere, so that greedy and exchanges miss it [4]_. There are no ``scale_free`` graphs,
    since greedy finds their largest cliques among the hubs."""
    p: Share = 0.7
    """Density, or probability of an edge."""
    hidden: Annotated[float, Between(0.0, 100.0)] = 1.7
    """Size of the hidden clique of ``planted``, in units of the square root of ``n``."""

    def generate(self, rng: np.random.Generator) -> Graph:
        if self.distribution == "planted":
            edges = planted_edges(rng, self.n, self.p, self.hidden, adjacent=True)
        else:
            edges = random_edges(rng, self.distribution, self.n, self.p)
        return Graph(self.n, pairs_of(self.n, edges))

    def question(self, instance: Graph) -> str:
        return (
            "Maximum clique problem: choose as many vertices as possible such that every two chosen vertices "
            f"are adjacent.\nThere are {self.counted(instance)}"
        )

    def tiny(self, instance: Graph) -> tuple[Graph, Chosen]:
        return Graph(5, ((0, 1), (1, 2), (1, 4), (2, 3), (2, 4))), (1, 2, 4)

    def objective(self, instance: Graph, solution: Chosen) -> int:
        return len(solution)

    def greedy(self, instance: Graph, choose: Choose) -> Iterator[int]:
        """By degree in the whole graph [3]_: add the greatest among those adjacent to all chosen.

        At least n / (n - d) vertices, where d is the smallest degree: each excludes at most n - d.
        """
        left = sorted(range(instance.n), key=lambda v: -instance.neighbours[v].bit_count())
        while left:
            yield (added := choose(left))
            left = [v for v in left if instance.neighbours[added] >> v & 1]

    def bound(self, instance: Graph, partial: Chosen) -> int:
        return len(self.with_all_that_fits(instance, partial))

    def solve(self, instance: Graph, start: Chosen, limit: int) -> Certificate[Chosen]:
        """Branch and bound with colour bounds; a step is one vertex coloured."""
        return clique.max_clique(instance.neighbours, start, limit)
