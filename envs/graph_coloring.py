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
.. [4] D. Brelaz, "New methods to color the vertices of a graph", CACM 22(4), 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..core import cpsat, drawing
from ..core.answer import read_integers, read_numbers
from ..core.checks import check_choice, check_int, check_share
from ..core.graph import FAMILIES, Graph, bits, draw_graph, edges_of, random_adjacency
from ..core.problem import Problem, size_at_level
from ..core.reference import Certificate
from ..core.subset import known
from ..core.verdict import Violation

Colouring: TypeAlias = tuple[int, ...]
"""The colour of each vertex, 0 to n - 1."""

DISTRIBUTIONS = (*FAMILIES, "planted")
_SEARCHED = 400
"""Graphs with more vertices are not searched: their references stay unproven."""


@dataclass(frozen=True)
class GraphColoringInstance(Graph):
    """The graph whose vertices are coloured."""


@dataclass(frozen=True, kw_only=True)
class GraphColoring(Problem[GraphColoringInstance, Colouring]):
    """Colour the vertices with as few colours as possible, adjacent ones differently.

    Problem: min number of distinct colours, c[u] != c[v] on every edge. Answer: a list with the
    colour of each vertex in order. Trivial: a colour of its own for each vertex. Heuristic: first
    fit in the order of the vertices [3]_. Reference: DSATUR branch and bound [4]_, then CP-SAT.

    Examples
    --------
    >>> colouring = GraphColoring()
    >>> path = GraphColoringInstance(4, ((0, 2), (1, 3), (2, 3)))
    >>> colouring.heuristic(path), colouring.reference(path).value
    ((0, 0, 1, 2), 2)
    """

    name: ClassVar = "GraphColoring"
    version: ClassVar = 0
    family: ClassVar = "graph"
    sense: ClassVar = "min"
    kind: ClassVar = "assignment"
    constraints: ClassVar = ("length", "known", "proper")
    open_constraints: ClassVar = ("length",)
    instance_type: ClassVar = GraphColoringInstance
    work_limit: ClassVar = 60_000_000

    n: int = 20
    """Number of vertices."""
    distribution: str = "gnp"
    """``gnp``, ``scale_free`` or ``geometric`` graphs, see `random_adjacency`; ``planted``: the edges of
    ``gnp`` between the classes of a hidden balanced ``k``-colouring only."""
    p: float = 0.5
    """Density, or probability of an edge."""
    k: int = 4
    """Number of classes of ``planted``."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="smaller graphs leave no choice")
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_share("p", self.p)
        check_int("k", self.k, 2, self.n)

    def at_level(self, level: int) -> GraphColoring:
        return replace(self, n=size_at_level(8, level))

    def generate(self, rng: np.random.Generator) -> GraphColoringInstance:
        n = self.n
        if self.distribution != "planted":
            return GraphColoringInstance(n, edges_of(random_adjacency(rng, self.distribution, n, self.p)))
        classes = rng.permutation(n) % self.k  # a random relabelling: vertex numbers tell nothing
        present = random_adjacency(rng, "gnp", n, self.p) & (classes[:, None] != classes)
        return GraphColoringInstance(n, edges_of(present))

    def describe(self, instance: GraphColoringInstance) -> str:
        return instance.text()

    def prompt(self, instance: GraphColoringInstance) -> str:
        if self.style == "compact":
            return f"{instance.compact_text()} >"
        n = instance.n
        task = (
            "Graph colouring problem: give every vertex a colour such that adjacent vertices have different "
            f"colours, with as few different colours as possible.\nThere are {n} vertices, numbered 0 to {n - 1}. "
            "Each line gives a vertex and its neighbours of higher number; every edge appears once."
        )
        what = f"a JSON list of {n} colours, the colour of vertex 0 first; colours are integers from 0 to {n - 1},"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: GraphColoringInstance) -> tuple[GraphColoringInstance, Colouring]:
        if instance.n == 4:  # a list of another length, so never an answer to this instance
            return GraphColoringInstance(5, ((0, 1), (0, 3), (1, 2), (1, 3), (3, 4))), (0, 1, 0, 2, 0)
        return GraphColoringInstance(4, ((0, 1), (0, 3), (1, 2), (1, 3))), (0, 1, 0, 2)

    def parse(self, instance: GraphColoringInstance, text: str) -> Colouring:
        if self.style == "prose":
            return tuple(read_integers(text))
        return tuple(read_numbers(text))

    def write(self, instance: GraphColoringInstance, solution: Colouring) -> str:
        return str(list(solution)) if self.style == "prose" else " ".join(map(str, solution))

    def violations(self, instance: GraphColoringInstance, solution: Colouring) -> tuple[Violation, ...]:
        n, found = instance.n, list[Violation]()
        if len(solution) != n:
            reason = f"each of {n} vertices has a colour, got {len(solution)} colours"
            found.append(Violation("length", abs(len(solution) - n), n, reason))
        unknown = len(solution) - len(known(solution, n))
        if unknown:
            reason = f"colours are 0 to {n - 1}, got {unknown} others"
            found.append(Violation("known", unknown, max(n, unknown), reason))
        if not found and proper(instance.neighbours, solution):
            return ()
        coloured = len(solution)
        clashes = [(u, v) for u, v in instance.edges if v < coloured and solution[u] == solution[v]]
        if clashes:
            u, v = clashes[0]
            reason = f"adjacent vertices differ, got {len(clashes)} edges with one colour, such as {u}-{v}"
            found.append(Violation("proper", len(clashes), len(instance.edges), reason))
        return tuple(found)

    def objective(self, instance: GraphColoringInstance, solution: Colouring) -> int:
        return len(set(solution))

    def extensions(self, instance: GraphColoringInstance, partial: Colouring) -> list[int]:
        """Return the colours that the next vertex's neighbours leave: those in use, and one new one."""
        v = len(partial)
        if v == instance.n:
            return []
        taken = {partial[u] for u in bits(instance.neighbours[v]) if u < v}
        return [colour for colour in range(max(partial, default=-1) + 2) if colour not in taken]

    def labels(self, instance: GraphColoringInstance, solution: Colouring, element: int) -> list[int]:
        taken = {solution[u] for u in bits(instance.neighbours[element])}
        return [colour for colour in range(instance.n) if colour not in taken]

    def trivial(self, instance: GraphColoringInstance) -> Colouring:
        return tuple(range(instance.n))

    def heuristic(
        self, instance: GraphColoringInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Colouring:
        """First fit [3]_: vertices in order, each with the smallest colour its neighbours leave.

        At most one colour more than the largest degree.
        """
        return self._first_fit(instance, range(instance.n), rng, slip)

    def _first_fit(
        self,
        instance: GraphColoringInstance,
        order: Sequence[int],
        rng: np.random.Generator | None,
        slip: float,
    ) -> Colouring:
        classes: list[int] = []  # bit masks of the vertices of each colour
        colours = [0] * instance.n
        for v in order:
            free = [c for c, members in enumerate(classes) if not members & instance.neighbours[v]]
            if len(classes) < instance.n:
                free.append(len(classes))
            second = rng is not None and len(free) > 1 and rng.random() < slip
            colours[v] = colour = free[1 if second else 0]
            if colour == len(classes):
                classes.append(0)
            classes[colour] |= 1 << v
        return tuple(colours)

    def random(self, instance: GraphColoringInstance, rng: np.random.Generator) -> Colouring:
        """Return first fit in random order, a coin deciding each time for the second smallest colour."""
        colouring = self._first_fit(instance, rng.permutation(instance.n).tolist(), rng, 0.5)
        return self.canonical(instance, colouring)

    def neighbour(
        self, instance: GraphColoringInstance, solution: Colouring, rng: np.random.Generator
    ) -> Colouring:
        """Move a random vertex to another colour in use that its neighbours leave, if there is one."""
        v = int(rng.integers(instance.n))
        taken = {solution[u] for u in bits(instance.neighbours[v])} | {solution[v]}
        free = sorted(set(solution) - taken)
        if not free:
            return solution
        return (*solution[:v], free[int(rng.integers(len(free)))], *solution[v + 1 :])

    def solve(self, instance: GraphColoringInstance, limit: int) -> Certificate[Colouring]:
        """DSATUR branch and bound [4]_ for a tenth of the steps, then CP-SAT (a step is its microsecond)."""
        start = self.heuristic(instance)
        if instance.n > _SEARCHED:
            return Certificate(start, len(set(start)), 1 + bool(instance.edges), "first fit", 0)
        found = dsatur(instance.neighbours, start, limit // 10)
        return found if found.proven else assign(instance.neighbours, found, limit - found.work)

    def canonical(self, instance: GraphColoringInstance, solution: Colouring) -> Colouring:
        names: dict[int, int] = {}
        return tuple([names.setdefault(colour, len(names)) for colour in solution])

    def draw(self, instance: GraphColoringInstance, solution: Colouring | None, ax: Any) -> None:
        n = instance.n
        if solution is None:
            draw_graph(instance, ax)
            drawing.say(ax, f"{n} vertices, {len(instance.edges)} edges")
            return
        classes: dict[int, list[int]] = {}
        for v, colour in enumerate(solution[:n]):
            if 0 <= colour < n:
                classes.setdefault(colour, []).append(v)
        ranks = {v: rank for rank, colour in enumerate(sorted(classes)) for v in classes[colour]}
        blank = sorted(set(range(n)).difference(ranks))
        clashes = [(u, v) for u, v in instance.edges if u in ranks and ranks[u] == ranks.get(v)]
        shades = [
            drawing.PALETTE[ranks[v] % len(drawing.PALETTE)] if v in ranks else "white" for v in range(n)
        ]
        where = drawing.around(n, [*(classes[colour] for colour in sorted(classes)), blank])
        draw_graph(instance, ax, shades, where=where, wrong=clashes, ringed=blank, margin=0.14)
        for colour, members in classes.items() if len(classes) <= drawing.MANY else ():
            x, y = where[members[len(members) // 2]]
            name = f"colour {colour}" if len(classes) <= len(drawing.PALETTE) else colour
            side = "left" if x > 0.4 else "right" if x < -0.4 else "center"
            drawing.label(ax, name, (1.13 * x, 1.13 * y), ha=side, fontsize=8 if len(classes) < 30 else 6)
        wrong = []
        if clashes:
            wrong.append(f"{len(clashes)} edges between vertices of one colour (thick)")
        if blank:
            wrong.append(f"without a colour from 0 to {n - 1} (ringed): {drawing.listing(blank)}")
        if len(solution) > n:
            wrong.append(f"{len(solution)} colours for {n} vertices")
        drawing.say(ax, f"{n} vertices, those of one colour side by side: {len(classes)} colours", wrong)


def proper(neighbours: Sequence[int], colouring: Colouring) -> bool:
    """Whether no two adjacent vertices have one of the colours 0 to n - 1; in n steps, not one for each edge.

    Examples
    --------
    >>> proper((0b10, 0b01), (0, 1)), proper((0b10, 0b01), (1, 1))
    (True, False)
    """
    classes = [0] * len(neighbours)
    bit = 1
    for colour, near in zip(colouring, neighbours, strict=True):
        if classes[colour] & near:
            return False
        classes[colour] |= bit
        bit += bit
    return True


def greedy_clique(neighbours: Sequence[int]) -> list[int]:
    """Return a clique, grown from each vertex by the neighbour with most common neighbours."""
    best: list[int] = []
    for start in range(len(neighbours)):
        clique, common = [start], neighbours[start]
        while common:
            members = [v for v in range(len(neighbours)) if common >> v & 1]
            v = max(members, key=lambda u: (common & neighbours[u]).bit_count())
            clique.append(v)
            common &= neighbours[v]
        best = max(best, clique, key=len)
    return best


def dsatur(neighbours: Sequence[int], start: Colouring, limit: int) -> Certificate[Colouring]:
    """Branch on the vertex that sees most colours [4]_, below ``start`` and above the bound of a clique.

    A step is one vertex looked at while choosing; the search stops after ``limit`` of them.

    Examples
    --------
    >>> dsatur([0b110, 0b101, 0b011], (0, 1, 2), limit=100).proven
    True
    """
    clique = greedy_clique(neighbours)
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


def assign(neighbours: Sequence[int], start: Certificate[Colouring], limit: int) -> Certificate[Colouring]:
    """Look for fewer colours than ``start`` with CP-SAT, single-threaded and seeded.

    ``limit`` is CP-SAT's deterministic time in millionths.
    """
    from ortools.sat.python import cp_model

    n, most = len(neighbours), int(start.value) - 1
    model = cp_model.CpModel()
    takes = [[model.new_bool_var("") for _ in range(most)] for _ in range(n)]
    used = [model.new_bool_var("") for _ in range(most)]
    for v in range(n):
        model.add_exactly_one(takes[v])
        for c in range(most):
            model.add_implication(takes[v][c], used[c])
            for u in bits(neighbours[v] & ((1 << v) - 1)):
                model.add_at_most_one(takes[u][c], takes[v][c])
    for c, v in enumerate(greedy_clique(neighbours)[:most]):  # colours are interchangeable: fix a clique's
        model.add(takes[v][c] == 1)
    for c in range(most - 1):
        model.add_implication(used[c + 1], used[c])
    model.minimize(sum(used))
    solved = cpsat.solve(model, limit)
    work, name = start.work + solved.work, f"{start.solver}, {solved.name}"
    if solved.infeasible:  # fewer colours than `start` do not suffice
        return Certificate(start.solution, start.value, start.value, name, work)
    bound = max(start.bound, solved.bound)
    if not solved.feasible:
        return Certificate(start.solution, start.value, bound, name, work)
    colouring = tuple(next(c for c in range(most) if solved.value(takes[v][c])) for v in range(n))
    return Certificate(colouring, len(set(colouring)), bound, name, work)
