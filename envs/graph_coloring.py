"""Graph colouring: the fewest colours such that no edge joins two vertices of one colour.

NP-hard [1]_, and hard to approximate within n^(1-eps) for any eps > 0 [2]_. The optimum is the
chromatic number of the graph.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] D. Zuckerman, "Linear degree extractors and the inapproximability of max clique and chromatic
   number", Theory of Computing 3, 2007.
.. [3] D. Welsh, M. Powell, "An upper bound for the chromatic number of a graph and its application
   to timetabling problems", The Computer Journal 10(1), 1967.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from ..core import Certificate, Range, Share, bits, check_int
from ..kinds import Assignment, Choose, Graph, Labels, Partial
from ..kinds.random_graphs import grouped_edges, pairs_of, random_edges
from ..kinds.rules import Differ
from ..pictures.graph import ColoredVertices
from ..solvers.coloring import fewest_colors


@dataclass(frozen=True, kw_only=True)
class GraphColoring(Assignment[Graph]):
    """Colour the vertices with as few colours as possible, adjacent ones differently.

    Problem: min number of distinct colours, c[u] != c[v] on every edge. Trivial: next fit, each colour as long as it
    fits. Heuristic: first fit in the order of the vertices [3]_. Reference: DSATUR, then branch
    and price.

    Examples
    --------
    >>> problem = GraphColoring()
    >>> path = Graph(4, ((0, 2), (1, 3), (2, 3)))
    >>> problem.heuristic(path), problem.reference(path).value
    ((0, 0, 1, 2), 2)
    """

    family: ClassVar = "graph"
    sense: ClassVar = "min"
    noun: ClassVar = "vertex"
    label: ClassVar = "colour"
    interchangeable: ClassVar = True
    requires: ClassVar = (Differ("proper", "edges", "adjacent vertices differ", "one colour"),)
    instance_type: ClassVar = Graph
    work_limit: ClassVar = 30_000_000
    smallest: ClassVar = 22
    doubling: ClassVar = 20
    scratch: ClassVar = {"n": 10, "p": 0.4}
    picture: ClassVar = ColoredVertices()
    formats: ClassVar = ("dimacs",)
    published: ClassVar = "graph_coloring"

    n: int = 24
    """Number of vertices."""
    distribution: Literal["gnp", "scale_free", "geometric", "planted"] = "gnp"
    """``gnp``, ``scale_free`` or ``geometric`` graphs, see `random_edges`; ``planted``: the edges of
    ``gnp`` between the classes of a hidden balanced ``k``-colouring only."""
    p: Share = 0.5
    """Density, or probability of an edge."""
    k: Annotated[int, Range(2)] = 4
    """Number of classes of ``planted``."""

    def check(self) -> None:
        if self.distribution == "planted":
            check_int("k", self.k, 2, self.n)

    def generate(self, rng: np.random.Generator) -> Graph:
        if self.distribution == "planted":
            classes = rng.permutation(self.n) % self.k  # in random order: vertex numbers tell nothing
            edges = grouped_edges(rng, classes, 0.0, self.p)
        else:
            edges = random_edges(rng, self.distribution, self.n, self.p)
        return Graph(self.n, pairs_of(self.n, edges))

    def domain(self, instance: Graph) -> range:
        return range(instance.n)

    def question(self, instance: Graph) -> str:
        return (
            "Graph colouring problem: give every vertex a colour such that adjacent vertices have different "
            f"colours, with as few different colours as possible.\nThere are {self.counted(instance)}"
        )

    def tiny(self, instance: Graph) -> tuple[Graph, Labels]:
        if instance.n == 4:  # a list of another length is never an answer to this instance
            return Graph(5, ((0, 1), (0, 3), (1, 2), (1, 3), (3, 4))), (0, 1, 0, 2, 0)
        return Graph(4, ((0, 1), (0, 3), (1, 2), (1, 3))), (0, 1, 0, 2)

    def objective(self, instance: Graph, solution: Labels) -> int:
        return len(set(solution))

    def trivial(self, instance: Graph) -> Labels:
        """Return next fit: the vertices in order, a new colour whenever the last one does not fit."""
        colours, members, colour = [], 0, 0
        for v in range(instance.n):
            if members & instance.neighbours[v]:
                members, colour = 0, colour + 1
            members |= 1 << v
            colours.append(colour)
        return tuple(colours)

    def greedy(self, instance: Graph, choose: Choose) -> Iterator[tuple[int, int]]:
        """First fit [3]_: vertices in order, each with the smallest colour that its neighbours leave.

        At most one colour more than the largest degree.
        """
        return self._first_fit(instance, range(instance.n), choose)

    def _first_fit(self, instance: Graph, order: Iterable[int], choose: Choose) -> Iterator[tuple[int, int]]:
        classes: list[int] = []  # bit masks of the vertices of each colour
        for v in order:
            free = [colour for colour, members in enumerate(classes) if not members & instance.neighbours[v]]
            if len(classes) < instance.n:
                free.append(len(classes))
            colour = choose(free)
            if colour == len(classes):
                classes.append(0)
            classes[colour] |= 1 << v
            yield v, colour

    def random(self, instance: Graph, rng: np.random.Generator) -> Labels:
        """Return first fit in random order, a coin deciding each time for the second smallest colour."""

        def second(free: Any) -> int:
            colour: int = free[len(free) > 1 and rng.random() < 0.5]
            return colour

        order = rng.permutation(instance.n).tolist()
        parts = self._first_fit(instance, order, second)
        return self.canonical(instance, self.assemble(instance, parts))

    def allowed(self, instance: Graph, labels: Partial, element: int) -> list[int]:
        taken = {labels[u] for u in bits(instance.neighbours[element])}
        return [colour for colour in range(instance.n) if colour not in taken]

    def bound(self, instance: Graph, partial: Labels) -> int:
        return self.objective(instance, partial)

    def solve(self, instance: Graph, start: Labels, limit: int) -> Certificate[Labels]:
        """DSATUR branch and bound, branch and price, then CP-SAT; a step is some tenths of a microsecond in each."""
        return fewest_colors(instance.neighbours, start, limit)
