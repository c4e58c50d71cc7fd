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
.. [4] N. Alon, M. Krivelevich, B. Sudakov, "Finding a large hidden clique in a random graph",
   Random Structures & Algorithms 13, 1998.
.. [5] E. Tomita, T. Seki, "An efficient branch-and-bound algorithm for finding a maximum clique",
   DMTCS, LNCS 2731, 2003.
.. [6] P. San Segundo, D. Rodriguez-Losada, A. Jimenez, "An exact bit-parallel algorithm for the maximum
   clique problem", Computers & Operations Research 38, 2011.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from math import sqrt
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core import drawing
from ..core.answer import read_numbers
from ..core.checks import check_choice, check_int, check_share
from ..core.graph import FAMILIES, Graph, bits, draw_graph, edges_of, random_adjacency, relabelled, upper
from ..core.problem import Problem, size_at_level
from ..core.reference import Certificate
from ..core.subset import read_subset, subset_violations, write_subset
from ..core.verdict import Violation

Vertices: TypeAlias = tuple[int, ...]
"""The chosen vertices, counted from 0."""

DISTRIBUTIONS = (*FAMILIES, "planted")


@dataclass(frozen=True)
class MaxCliqueInstance(Graph):
    """The graph in which a clique is sought."""


@dataclass(frozen=True, kw_only=True)
class MaxClique(Problem[MaxCliqueInstance, Vertices]):
    """Choose as many vertices as possible, every two of them adjacent.

    Problem: max |C|, {u, v} in E for all u != v in C. Answer: a list of the vertices of C in any
    order. Trivial: the first vertex alone. Heuristic: greedy by degree [3]_. Reference: branch and
    bound with colour bounds [5]_ on bit sets [6]_.

    Examples
    --------
    >>> clique = MaxClique()
    >>> instance = MaxCliqueInstance(6, ((0, 1), (0, 2), (0, 3), (3, 4), (3, 5), (4, 5)))
    >>> clique.heuristic(instance), clique.reference(instance).solution
    ((0, 3), (3, 4, 5))
    """

    name: ClassVar = "MaxClique"
    version: ClassVar = 0
    family: ClassVar = "graph"
    sense: ClassVar = "max"
    kind: ClassVar = "subset"
    constraints: ClassVar = ("known", "once", "adjacent")
    instance_type: ClassVar = MaxCliqueInstance
    work_limit: ClassVar = 30_000_000

    n: int = 45
    """Number of vertices."""
    distribution: str = "planted"
    """``gnp``, ``scale_free`` or ``geometric`` graphs, see `random_adjacency`; ``planted``: ``gnp`` with a
    hidden clique [4]_. Greedy mostly finds the largest clique of ``scale_free`` graphs, among their hubs;
    on ``geometric`` ones it is no better than a random maximal clique."""
    p: float = 0.5
    """Density, or probability of an edge."""
    hidden: float = 1.4
    """Size of the hidden clique of ``planted``, in units of the square root of ``n``: the scale at which it
    stands out among the vertices' degrees."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="smaller graphs leave no choice")
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_share("p", self.p)
        check_share("hidden", self.hidden, 0.0, 100.0)

    def at_level(self, level: int) -> MaxClique:
        return replace(self, n=size_at_level(27, level))

    def generate(self, rng: np.random.Generator) -> MaxCliqueInstance:
        adjacent = planted(rng, self.distribution, self.n, self.p, self.hidden, True)
        return MaxCliqueInstance(self.n, edges_of(adjacent))

    def describe(self, instance: MaxCliqueInstance) -> str:
        return instance.text()

    def prompt(self, instance: MaxCliqueInstance) -> str:
        if self.style == "compact":
            return f"{instance.compact_text()} >"
        n, first = instance.n, instance.first
        task = (
            "Maximum clique problem: choose as many vertices as possible such that every two chosen vertices "
            f"are adjacent.\nThere are {n} vertices, numbered {first} to {first + n - 1}. "
            "Each line gives a vertex and its neighbours of higher number; every edge appears once."
        )
        what = "a JSON list of the numbers of the chosen vertices, each once, in any order,"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: MaxCliqueInstance) -> tuple[MaxCliqueInstance, Vertices]:
        # Counting on from the instance's last vertex: the example's answer names none of its vertices.
        first = instance.first + instance.n
        return MaxCliqueInstance(5, ((0, 1), (1, 2), (1, 4), (2, 3), (2, 4)), first=first), (1, 2, 4)

    def parse(self, instance: MaxCliqueInstance, text: str) -> Vertices:
        return read_vertices(text, self.style, instance.first)

    def write(self, instance: MaxCliqueInstance, solution: Vertices) -> str:
        return write_vertices(solution, self.style, instance.first)

    def violations(self, instance: MaxCliqueInstance, solution: Vertices) -> tuple[Violation, ...]:
        found, vertices = subset_violations("vertices", instance.n, instance.first, solution)
        chosen, common = 0, -1
        for v in vertices:
            chosen |= 1 << v
            common &= instance.closed[v]
        if chosen == chosen & common:
            return tuple(found)
        pairs = len(vertices) * (len(vertices) - 1) // 2
        edges = sum([(instance.neighbours[v] & chosen).bit_count() for v in vertices]) // 2
        u, v = next(
            pair
            for pair in combinations(sorted(vertices), 2)
            if not instance.neighbours[pair[0]] >> pair[1] & 1
        )
        reason = (
            f"every two vertices are adjacent, got {pairs - edges} of {pairs} pairs that are not, "
            f"such as {u + instance.first} and {v + instance.first}"
        )
        found.append(Violation("adjacent", pairs - edges, pairs, reason))
        return tuple(found)

    def objective(self, instance: MaxCliqueInstance, solution: Vertices) -> int:
        return len(solution)

    def extensions(self, instance: MaxCliqueInstance, partial: Vertices) -> list[int]:
        return candidates(instance.neighbours, partial)

    def trivial(self, instance: MaxCliqueInstance) -> Vertices:
        return (0,)

    def heuristic(
        self, instance: MaxCliqueInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Vertices:
        """Greedy by degree in the whole graph [3]_: add the greatest among those adjacent to all chosen.

        At least n / (n - d) vertices, where d is the smallest degree: each excludes at most n - d.
        """
        neighbours, chosen = instance.neighbours, []
        left = sorted(range(instance.n), key=lambda v: (-neighbours[v].bit_count(), v))
        while left:
            second = rng is not None and len(left) > 1 and rng.random() < slip
            v = left[1 if second else 0]
            chosen.append(v)
            left = [u for u in left if neighbours[v] >> u & 1]
        return tuple(sorted(chosen))

    def random(self, instance: MaxCliqueInstance, rng: np.random.Generator) -> Vertices:
        """Return a random maximal clique: vertices in random order, each taken if adjacent to all taken."""
        return grow(instance.neighbours, rng.permutation(instance.n).tolist())

    def neighbour(
        self, instance: MaxCliqueInstance, solution: Vertices, rng: np.random.Generator
    ) -> Vertices:
        """Force a random vertex in or out, leave those not adjacent to it, and fill up at random."""
        return exchange(instance.neighbours, solution, rng)

    def solve(self, instance: MaxCliqueInstance, limit: int) -> Certificate[Vertices]:
        """Branch and bound with colour bounds [5]_ [6]_; a step is one vertex coloured."""
        return max_clique(instance.neighbours, self.heuristic(instance), limit)

    def canonical(self, instance: MaxCliqueInstance, solution: Vertices) -> Vertices:
        return tuple(sorted(solution))

    def draw(self, instance: MaxCliqueInstance, solution: Vertices | None, ax: Any) -> None:
        n, first = instance.n, instance.first
        chosen, again, wrong = drawing.sorted_out("vertex", n, first, solution or ())
        taken = set(chosen)
        marked = [(u, v) for u, v in instance.edges if u in taken and v in taken]
        pairs = len(taken) * (len(taken) - 1) // 2
        strangers = (p for p in combinations(sorted(taken), 2) if not instance.neighbours[p[0]] >> p[1] & 1)
        apart = list(islice(strangers, min(pairs - len(marked), 10_000)))  # more would be no more than a blot
        where = drawing.around(n, [sorted(set(range(n)).difference(chosen))], chosen)
        shades = [drawing.CHOSEN if v in taken else "white" for v in range(n)]
        draw_graph(instance, ax, shades, marked, where=where, missing=apart, ringed=again)
        if apart:
            wrong.append(f"{pairs - len(marked)} pairs without an edge (dashed)")
        told = f"{n} vertices, {len(instance.edges)} edges"
        drawing.say(
            ax, told if solution is None else f"chosen, in the middle: {len(chosen)} of {n} vertices", wrong
        )


def planted(
    rng: np.random.Generator, distribution: str, n: int, p: float, hidden: float, adjacent: bool
) -> NDArray[np.bool_]:
    """Draw from `random_adjacency`, for ``planted`` with hidden sqrt(n) vertices all adjacent or all not.

    Returns
    -------
    (n, n) array of bool
        Upper triangle of the adjacency matrix, vertices randomly relabelled.
    """
    if distribution != "planted":
        return random_adjacency(rng, distribution, n, p)
    drawn = random_adjacency(rng, "gnp", n, p)
    k = round(hidden * sqrt(n))
    drawn[:k, :k] = adjacent
    return relabelled(rng, drawn & upper(n))


def read_vertices(text: str, style: str, first: int) -> Vertices:
    """Read the numbers of vertices as a JSON list, or in ``compact`` style as words, ``none`` for no vertex."""
    if style == "prose":
        return read_subset(text, first)
    if text == "none":
        return ()
    return tuple([number - first for number in read_numbers(text)])


def write_vertices(solution: Vertices, style: str, first: int) -> str:
    """Return the text that `read_vertices` reads as ``solution``."""
    if style == "prose":
        return write_subset(solution, first)
    return " ".join([str(v + first) for v in solution]) or "none"


def grow(neighbours: Sequence[int], order: Iterable[int]) -> Vertices:
    """Return the sorted clique of the vertices in ``order`` that are adjacent to all taken before them."""
    candidates, chosen = (1 << len(neighbours)) - 1, []
    for v in order:
        if candidates >> v & 1:
            chosen.append(v)
            candidates &= neighbours[v]
    return tuple(sorted(chosen))


def candidates(neighbours: Sequence[int], clique: Vertices) -> list[int]:
    """Return the vertices that are adjacent to all of ``clique``."""
    common = (1 << len(neighbours)) - 1
    for v in clique:
        common &= neighbours[v]
    return bits(common)


def exchange(neighbours: Sequence[int], clique: Vertices, rng: np.random.Generator) -> Vertices:
    """Force a random vertex into or out of ``clique``, keep what remains adjacent, and fill up at random."""
    v = int(rng.integers(len(neighbours)))
    others = [u for u in rng.permutation(len(neighbours)).tolist() if u != v and u not in clique]
    kept = [u for u in clique if u != v]
    return grow(neighbours, [*kept, *others] if v in clique else [v, *kept, *others])


def max_clique(neighbours: Sequence[int], start: Vertices, limit: int) -> Certificate[Vertices]:
    """Branch and bound for a clique larger than ``start``, with the colours of `colour_classes` as bound [5]_.

    Vertices are renumbered such that the last has the smallest degree, the one before the smallest
    degree without it, and so on; the last are branched on first [6]_. A step is one vertex coloured; the
    search stops after ``limit`` of them, with the bound of the first level's branches still open.

    Examples
    --------
    >>> max_clique([0b0110, 0b0101, 0b1011, 0b0100], (2, 3), limit=100).solution
    (0, 1, 2)
    """
    everyone = (1 << len(neighbours)) - 1
    order = smallest_last(neighbours)
    place = {v: rank for rank, v in enumerate(order)}
    adjacent = [sum([1 << place[u] for u in bits(neighbours[v])]) for v in order]
    apart = [everyone ^ mask ^ (1 << rank) for rank, mask in enumerate(adjacent)]

    best = [place[v] for v in start]
    clique: list[int] = []
    todo = colour_classes(apart, everyone, len(best))
    bound = todo[-1][1] if todo else len(best)
    work = len(neighbours)
    stack = [(everyone, todo)]  # per level: vertices that may join the clique, those to branch on with bounds
    while stack:
        candidates, todo = stack.pop()
        if not todo or len(clique) + todo[-1][1] <= len(best):  # bounds fall: no later branch is better
            if clique:
                clique.pop()
            continue
        v, colours = todo.pop()
        if not clique:
            bound = colours
        if work > limit:
            return _certificate(order, best, max(bound, len(best)), work)
        stack.append((candidates ^ (1 << v), todo))
        inner = candidates & adjacent[v]
        clique.append(v)
        if inner:
            stack.append((inner, colour_classes(apart, inner, len(best) - len(clique))))
            work += inner.bit_count()
            continue
        if len(clique) > len(best):
            best = clique.copy()
        clique.pop()
    return _certificate(order, best, len(best), work)


def colour_classes(apart: Sequence[int], candidates: int, spare: int) -> list[tuple[int, int]]:
    """Colour ``candidates`` first fit; return (vertex, colour) by colour, without the first ``spare`` colours.

    ``apart[v]`` masks the vertices not adjacent to v. The vertices up to one of colour c hold no clique of
    more than c.
    """
    found, colour = [], 0
    while candidates:
        colour += 1
        free = candidates
        while free:
            low = free & -free
            v = low.bit_length() - 1
            candidates ^= low
            free &= apart[v]
            if colour > spare:
                found.append((v, colour))
    return found


def smallest_last(neighbours: Sequence[int]) -> list[int]:
    """Return the vertices such that each has the smallest degree among itself and those before it."""
    degrees = [mask.bit_count() for mask in neighbours]
    left, order = set(range(len(neighbours))), []
    while left:
        v = min(left, key=lambda u: (degrees[u], u))
        left.remove(v)
        order.append(v)
        for u in bits(neighbours[v]):
            degrees[u] -= 1
    return order[::-1]


def _certificate(order: list[int], best: list[int], bound: int, work: int) -> Certificate[Vertices]:
    clique = tuple(sorted([order[rank] for rank in best]))
    return Certificate(clique, len(clique), bound, "colour branch and bound", work)
