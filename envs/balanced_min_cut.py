"""Balanced minimum cut: split the vertices of a weighted graph into two halves joined by least weight.

Also called minimum bisection. NP-hard [1]_, already without weights. Dense random graphs are the hard
ones for a proof: every half cuts nearly the same weight, and linear relaxations say nothing.

References
----------
.. [1] M. Garey, D. Johnson, L. Stockmeyer, "Some simplified NP-complete graph problems",
   Theoretical Computer Science 1(3), 1976.
.. [2] G. Karypis, V. Kumar, "A fast and high quality multilevel scheme for partitioning irregular
   graphs", SIAM Journal on Scientific Computing 20(1), 1998.
.. [3] B. Kernighan, S. Lin, "An efficient heuristic procedure for partitioning graphs",
   Bell System Technical Journal 49(2), 1970.
.. [4] E. Horowitz, S. Sahni, "Computing partitions with applications to the knapsack problem",
   Journal of the ACM 21(2), 1974.
.. [5] F. Rendl, G. Rinaldi, A. Wiegele, "Solving max-cut to optimality by intersecting semidefinite
   and polyhedral relaxations", Mathematical Programming 121, 2010.
.. [6] J. Malick, F. Roupin, "On the bridge between combinatorial optimization and nonlinear
   optimization: a family of semidefinite bounds for 0-1 quadratic problems leading to quasi-Newton
   methods", Mathematical Programming 140, 2013.
.. [7] T. Bui, S. Chaudhuri, F. Leighton, M. Sipser, "Graph bisection algorithms with good average case
   behavior", Combinatorica 7(2), 1987.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from math import ceil, comb
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core import drawing
from ..core.answer import read_two_lists
from ..core.checks import check_choice, check_int, check_share, shorten
from ..core.graph import FAMILIES, edges_of, random_adjacency
from ..core.numeric import Features, columns, scaled
from ..core.problem import Instance, Problem, blind_orders, size_at_level
from ..core.reference import Certificate
from ..core.subset import known, read_signs, read_subset, subset_violations, write_subset
from ..core.verdict import Violation

Half: TypeAlias = tuple[int, ...]
"""The n // 2 vertices of one half; the others are the other half."""
Bisection: TypeAlias = Half | tuple[Half, Half]
"""One half, or both as the published variant states them."""
Floats: TypeAlias = NDArray[np.float64]

DISTRIBUTIONS = (*FAMILIES, "planted")
VARIANTS = ("default", "published")
_LARGEST = 10**9
"""Heaviest edge: sums of weights stay exact in double precision."""
_MAX_VERTICES = 5_000
"""Weights are kept as a matrix."""
_ENUMERATED = 25_000_000
"""Up to so many halves are enumerated at once; more of them only where the semidefinite bound leaves a gap."""
_SEARCHED = 150
"""Graphs with more vertices are not searched: their references stay unproven."""


@dataclass(frozen=True)
class BalancedMinCutInstance(Instance):
    """A graph with weighted edges."""

    n: int
    """Number of vertices."""
    edges: tuple[tuple[int, int, int], ...]
    """(m, 3) rows u < v, weight >= 1; vertices counted from 0, sorted, each pair once."""
    first: int = field(default=0, compare=False)
    """Number of the first vertex in texts. An example counts on from the instance that is asked."""

    @property
    def size(self) -> int:
        """Number of vertices."""
        return self.n

    def check(self) -> None:
        """Raise ``ValueError`` unless the edges are sorted pairs of distinct vertices with weights."""
        check_int("n", self.n, 2, _MAX_VERTICES)
        check_int("first", self.first, 0)
        if not isinstance(self.edges, tuple):
            raise ValueError(f"edges must be a list, got {self.edges!r}")
        for edge in self.edges:
            if not isinstance(edge, tuple) or len(edge) != 3:
                raise ValueError(f"an edge must be two vertices and a weight, got {edge!r}")
            check_int("an edge's second vertex", edge[1], 1, self.n - 1)
            check_int("an edge's first vertex", edge[0], 0, edge[1] - 1)
            check_int("an edge's weight", edge[2], 1, _LARGEST)
        pairs = [edge[:2] for edge in self.edges]
        if pairs != sorted(set(pairs)):
            raise ValueError("edges must be sorted and distinct, got another order or a repetition")

    def relabelled(self, order: Sequence[int]) -> Self:
        """Return the same graph with vertex ``v`` under the number ``order[v]``."""
        ends = [(order[u], order[v], weight) for u, v, weight in self.edges]
        return replace(self, edges=tuple(sorted([(min(u, v), max(u, v), weight) for u, v, weight in ends])))

    def features(self) -> Features:
        """Return the weight of all edges at each vertex, and between each two, as shares of the greatest."""
        weights = self.weights
        degrees = weights.sum(axis=1)
        return Features(columns(scaled(degrees, degrees.max())), scaled(weights, weights.max()))

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """(3, m) ends and weights of the edges."""
        return np.array(self.edges, dtype=np.int64).reshape(-1, 3).T

    @cached_property
    def weights(self) -> Floats:
        """(n, n) weight between each two vertices, 0 where there is no edge."""
        weights = np.zeros((self.n, self.n))
        for u, v, weight in self.edges:
            weights[u, v] = weights[v, u] = weight
        return weights


@dataclass(frozen=True, kw_only=True)
class BalancedMinCut(Problem[BalancedMinCutInstance, Bisection]):
    """Split the vertices into two halves such that the edges between them weigh as little as possible.

    Problem: min sum of w[u, v] over the edges uv with exactly one end in S, S of n // 2 vertices. Answer: a
    list of the vertices of S in any order. Trivial: the best of six fixed halves. Heuristic: greedy graph
    growing [2]_. Reference: enumeration in two parts [4]_; beyond its reach swap descents [3]_ for the
    witness and the semidefinite relaxation with triangle inequalities [5]_ for the bound.

    Examples
    --------
    >>> bisection = BalancedMinCut()
    >>> path = BalancedMinCutInstance(4, ((0, 2, 5), (1, 2, 1), (1, 3, 5)))
    >>> bisection.objective(path, (0, 1)), bisection.reference(path).value
    (11, 1)
    """

    name: ClassVar = "BalancedMinCut"
    version: ClassVar = 0
    family: ClassVar = "partition"
    sense: ClassVar = "min"
    kind: ClassVar = "subset"
    constraints: ClassVar = ("known", "once", "balanced")
    open_constraints: ClassVar = ("balanced",)
    instance_type: ClassVar = BalancedMinCutInstance
    work_limit: ClassVar = 500_000_000

    n: int = 16
    """Number of vertices."""
    distribution: str = "gnp"
    """``gnp``, ``scale_free`` or ``geometric`` graphs, see `random_adjacency`; ``planted``: ``k`` hidden
    communities [7]_, an edge of probability 1.5 ``p`` inside one and 0.5 ``p`` between two."""
    p: float = 0.4
    """Density, or probability of an edge."""
    largest: int = 10
    """Weights are 1 to ``largest``."""
    k: int = 3
    """Number of communities of ``planted``; an odd one forces the cut through a community."""
    variant: str = "default"
    """``default``: the answer lists one half. ``published``: it lists both, as [[...], [...]]."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="smaller graphs leave no choice")
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_share("p", self.p)
        check_int("largest", self.largest, 1, _LARGEST)
        check_int("k", self.k, 1, self.n)
        check_choice("variant", self.variant, VARIANTS)

    def at_level(self, level: int) -> BalancedMinCut:
        return replace(self, n=size_at_level(8, level))

    def generate(self, rng: np.random.Generator) -> BalancedMinCutInstance:
        n = self.n
        if self.distribution == "planted":
            communities = rng.permutation(n) % self.k  # a random relabelling: vertex numbers tell nothing
            alike = communities[:, None] == communities
            adjacent = np.triu(rng.random((n, n)) < np.where(alike, 1.5 * self.p, 0.5 * self.p), 1)
        else:
            adjacent = random_adjacency(rng, self.distribution, n, self.p)
        pairs = edges_of(adjacent)
        weights = rng.integers(1, self.largest + 1, size=len(pairs)).tolist()
        return BalancedMinCutInstance(
            n, tuple([(u, v, weight) for (u, v), weight in zip(pairs, weights, strict=True)])
        )

    def describe(self, instance: BalancedMinCutInstance) -> str:
        later: list[list[str]] = [[] for _ in range(instance.n)]
        for u, v, weight in instance.edges:
            later[u].append(f"{v + instance.first}*{weight}")
        lines = (f"{u}: {' '.join(vs)}" for u, vs in enumerate(later, instance.first) if vs)
        return "\n".join(lines) or "no edges"

    def prompt(self, instance: BalancedMinCutInstance) -> str:
        if self.style == "compact":
            earlier: list[list[str]] = [[] for _ in range(instance.n)]
            for u, v, weight in instance.edges:
                earlier[v].append(f"{u + instance.first}*{weight}")
            rows = [" ".join([f"{v}:", *us]) for v, us in enumerate(earlier, instance.first)]
            return f"{' '.join(rows)} >"
        n, first = instance.n, instance.first
        sizes = f"{n // 2} vertices each" if n % 2 == 0 else f"{n // 2} and {n - n // 2} vertices"
        task = (
            f"Minimum bisection problem: split the vertices of a graph into two halves of {sizes}, such that "
            "the total weight of the edges between the halves is as small as possible.\n"
            f"There are {n} vertices, numbered {first} to {first + n - 1}. Each line gives a vertex and its "
            "neighbours of higher number, each as neighbour*weight; every edge appears once."
        )
        if self.variant == "published":
            what = "a JSON list of two lists, the vertices of each half in any order, every vertex once,"
        else:
            half = "one half" if n % 2 == 0 else "the smaller half"
            what = f"a JSON list of the {n // 2} vertices of {half}, each once, in any order,"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: BalancedMinCutInstance) -> tuple[BalancedMinCutInstance, Bisection]:
        # Counting on from the instance's last vertex: the example's answer names none of its vertices.
        edges = ((0, 1, 2), (0, 3, 7), (1, 2, 6), (2, 3, 3))
        return BalancedMinCutInstance(4, edges, instance.first + instance.size), (0, 3)

    def parse(self, instance: BalancedMinCutInstance, text: str) -> Bisection:
        if self.style == "prose":
            if self.variant == "default":
                return read_subset(text, instance.first)
            one, other = ([v - instance.first for v in half] for half in read_two_lists(text))
            return tuple(one), tuple(other)
        half = read_signs(text, range(instance.n))
        return half if self.variant == "default" else _halves(instance.n, half)

    def write(self, instance: BalancedMinCutInstance, solution: Bisection) -> str:
        one, other = _halves(instance.n, solution)
        if self.style == "compact":
            return " ".join("+" if v in one else "-" for v in range(instance.n))
        if self.variant == "default":
            return write_subset(one, instance.first)
        return f"[{write_subset(one, instance.first)}, {write_subset(other, instance.first)}]"

    def violations(self, instance: BalancedMinCutInstance, solution: Bisection) -> tuple[Violation, ...]:
        n, first = instance.n, instance.first
        pair = _pair(solution)
        if pair is None:
            half: Any = solution
            found, vertices = subset_violations("vertices", n, first, half)
            size = len(vertices)
            if size != n // 2:
                reason = f"the half has {n // 2} vertices, got {size}"
                found.append(Violation("balanced", abs(size - n // 2), n - n // 2, reason))
            return tuple(found)
        one, other = pair
        listed = (*one, *other)
        every, vertices = subset_violations("vertices", n, first, listed)
        found = [v for v in every if v.family == "known"]
        missing, repeats = n - len(vertices), len(known(listed, n)) - len(vertices)
        if missing + repeats:
            reason = f"every vertex is listed exactly once, got {missing} missing and {repeats} repetitions"
            found.append(Violation("once", missing + repeats, max(n, missing + repeats), reason))
        apart = abs(len(one) - len(other))
        if apart > 1:
            reason = f"the sizes of the halves differ by at most 1, got {len(one)} and {len(other)}"
            found.append(Violation("balanced", apart - 1, max(n, apart), reason))
        return tuple(found)

    def objective(self, instance: BalancedMinCutInstance, solution: Bisection) -> int:
        tails, heads, weights = instance.columns
        inside = np.zeros(instance.n, dtype=bool)
        half: Any = (_pair(solution) or (solution,))[0]
        inside[list(half)] = True
        return int(weights[inside[tails] != inside[heads]].sum())

    def extensions(self, instance: BalancedMinCutInstance, partial: Bisection) -> list[int]:
        full = len(partial) == instance.n // 2
        return [] if full else [v for v in range(instance.n) if v not in partial]

    def trivial(self, instance: BalancedMinCutInstance) -> Bisection:
        """Return the best of six halves that ignore the edges: no constant answer does better for long."""
        halves = (tuple(sorted(order[: instance.n // 2])) for order in blind_orders(instance.n))
        return self.canonical(instance, min(halves, key=lambda half: self.objective(instance, half)))

    def heuristic(
        self, instance: BalancedMinCutInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Bisection:
        """Greedy graph growing [2]_: from vertex 0 on, add the vertex that leaves the lightest cut.

        No guarantee; where the trivial half is better, it is returned.
        """
        weights = instance.weights
        half = [0]
        gain = 2 * weights[0] - weights.sum(axis=1)  # what the cut loses when a vertex joins the half
        gain[0] = -np.inf
        while len(half) < instance.n // 2:
            best = int(gain.argmax())
            if rng is not None and rng.random() < slip:
                kept, gain[best] = gain[best], -np.inf
                second = int(gain.argmax())
                gain[best] = kept
                best = second
            half.append(best)
            gain += 2 * weights[best]
            gain[best] = -np.inf
        grown = self.canonical(instance, tuple(half))
        return min(grown, self.trivial(instance), key=lambda solution: self.objective(instance, solution))

    def random(self, instance: BalancedMinCutInstance, rng: np.random.Generator) -> Bisection:
        """Return a random half."""
        return self.canonical(instance, tuple(rng.permutation(instance.n)[: instance.n // 2].tolist()))

    def neighbour(
        self, instance: BalancedMinCutInstance, solution: Bisection, rng: np.random.Generator
    ) -> Bisection:
        """Swap a random vertex of one half with a random one of the other."""
        one, other = (list(half) for half in _halves(instance.n, solution))
        i, j = int(rng.integers(len(one))), int(rng.integers(len(other)))
        one[i] = other[j]
        return self.canonical(instance, tuple(one))

    def solve(self, instance: BalancedMinCutInstance, limit: int) -> Certificate[Bisection]:
        """Enumerate all halves [4]_ if they are few, else search [3]_ and bound [5]_, else enumerate after all.

        A step is one half enumerated, one pair looked at for a swap, or an n**3-th of a decomposition of
        the matrix of the bound. The bound is rounded up from floating point with a margin, so it holds
        on any machine; only how many steps it takes may hang on the last bits.
        """
        n = instance.n
        count = comb(n - 1, n // 2 - 1) if n % 2 == 0 else comb(n, n // 2)
        best, bound, work = self.heuristic(instance), 0, 0
        solver = "greedy graph growing"
        if count > min(limit, _ENUMERATED) and n <= _SEARCHED:
            found, work = descend(instance.weights, _halves(n, best)[0], limit // 8)
            best = self.canonical(instance, found)
            share = limit // 8 if count <= limit // 2 else limit - work
            bound, spent = semidefinite_bound(instance.weights, self.objective(instance, best), share)
            work += spent
            solver = "swap descent, semidefinite bound"
        value = self.objective(instance, best)
        if bound < value and count <= limit - work:
            best = self.canonical(instance, lightest(instance.weights))
            value = bound = self.objective(instance, best)
            work += count
            solver = "enumeration in two parts"
        return Certificate(best, value, bound, solver, work)

    def canonical(self, instance: BalancedMinCutInstance, solution: Bisection) -> Bisection:
        """Return the smaller half, or of two equal ones that with vertex 0, sorted."""
        one, other = _halves(instance.n, solution)
        first = (len(one), 0 not in one) < (len(other), 0 not in other)
        return tuple(sorted(one if first else other))

    def nulls(self, instance: BalancedMinCutInstance) -> list[Any]:
        n = instance.n
        if self.variant == "default":
            return super().nulls(instance)
        return [((), ()), (tuple(range(n)), ()), ((0,) * (n // 2), (0,) * (n - n // 2))]

    def draw(self, instance: BalancedMinCutInstance, solution: Bisection | None, ax: Any) -> None:
        n, first = instance.n, instance.first
        heaviest = max((weight for _, _, weight in instance.edges), default=1)
        one, other = ((), ()) if solution is None else _halves(n, solution)
        placed, again, wrong = drawing.sorted_out("vertex", n, first, (*one, *other))
        west = set(known(one, n))
        east = set(placed).difference(west)
        lost = [] if solution is None else sorted(set(range(n)).difference(placed))
        where = drawing.around(n, [range(n)])
        pull = [0] * n  # weight of the edges that cross
        cut = [
            (u, v, w) for u, v, w in instance.edges if (u in west and v in east) or (u in east and v in west)
        ]
        for u, v, weight in cut:
            pull[u] += weight
            pull[v] += weight
        for side, half in ((-1, west), (1, east)):
            # On an ellipse; the more a vertex is pulled across, the nearer it stands.
            for rank, v in enumerate(sorted(half, key=lambda v: (-pull[v], v))):
                angle = np.pi * (rank + rank % 2) / len(half) * (-1) ** rank
                where[v] = side * (1.2 - 0.8 * np.cos(angle)), 1.7 * np.sin(angle)
        for rank, v in enumerate(lost):
            where[v] = 0, -1.7 + 0.4 * rank
        within = sorted(set(instance.edges).difference(cut))
        for drawn, colour, order in ((within, drawing.FAINT, 1), (cut, drawing.COST, 2)):
            widths = [0.5 + 2.5 * (weight / heaviest) for _, _, weight in drawn]
            drawing.lines(
                ax, where, [(u, v) for u, v, _ in drawn], colors=colour, linewidths=widths, zorder=order
            )
        shades = [
            drawing.CHOSEN if v in west else drawing.PALETTE[3] if v in east else "white" for v in range(n)
        ]
        drawing.dots(ax, where, range(first, first + n), shades, [*lost, *again])
        drawing.bare(ax)
        if solution is None:
            drawing.say(ax, f"{n} vertices, {len(instance.edges)} edges, the thicker the heavier")
            return
        taken = list(where)
        for u, v, weight in cut if len(cut) <= drawing.MANY // 4 else ():
            choices = where[u] + np.linspace(0.25, 0.75, 9)[:, None] * (where[v] - where[u])
            free = [np.hypot(*(np.array(taken) - choice).T).min() for choice in choices]
            taken.append(choices[int(np.argmax(np.round(free, 6)))])
            drawing.label(ax, shorten(weight, 8), taken[-1])
        if lost:
            wrong.append(f"in neither half (ringed): {drawing.listing([v + first for v in lost])}")
        sizes = (len(west), len(east)) if _pair(solution) is None else (len(one), len(other))
        if abs(sizes[0] - sizes[1]) > 1 or (_pair(solution) is None and sizes[0] != n // 2):
            wrong.append(f"halves of {sizes[0]} and {sizes[1]} vertices are not balanced")
        total = shorten(sum(weight for *_, weight in cut))
        drawing.say(
            ax, f"halves of {sizes[0]} and {sizes[1]}; {len(cut)} edges between them weigh {total}", wrong
        )


def _pair(solution: Any) -> tuple[Half, Half] | None:
    """Return ``solution`` if it has the form of two halves."""
    return solution if solution and isinstance(solution[0], tuple) else None


def _halves(n: int, solution: Any) -> tuple[Half, Half]:
    """Return both halves, whichever form ``solution`` has."""
    pair = _pair(solution)
    if pair is not None:
        return pair
    chosen = set(known(solution, n))
    return solution, tuple([v for v in range(n) if v not in chosen])


def lightest(weights: Floats) -> Half:
    """Return the best half of all: every part within the first n // 2 vertices meets every rest [4]_.

    All numbers are integers below 2**53, so the matrix products are exact.

    Examples
    --------
    >>> lightest(np.array([[0.0, 1, 5, 0], [1, 0, 0, 5], [5, 0, 0, 1], [0, 5, 1, 0]]))
    (0, 2)
    """
    n = len(weights)
    middle = n // 2
    degrees = weights.sum(axis=1)
    sides = []
    for vertices in (np.arange(middle), np.arange(middle, n)):
        part = ((np.arange(2 ** len(vertices))[:, None] >> np.arange(len(vertices))) & 1).astype(float)
        inner = weights[np.ix_(vertices, vertices)]
        sides.append((part, part @ degrees[vertices] - ((part @ inner) * part).sum(axis=1)))
    (left, left_cut), (right, right_cut) = sides
    if n % 2 == 0:  # a half and the rest cut the same: look only at those with vertex 0
        left_cut = np.where(left[:, 0] == 1, left_cut, np.inf)
    across = weights[:middle, middle:]
    best, value = (0, 0), np.inf
    for size in range(middle + 1):
        i = np.flatnonzero((left.sum(axis=1) == size) & np.isfinite(left_cut))
        j = np.flatnonzero(right.sum(axis=1) == middle - size)
        rows = max(1, 2**18 // len(j))  # as many at a time as fit in a cache
        for some in (i[at : at + rows] for at in range(0, len(i), rows)):
            cuts = (-2 * left[some] @ across) @ right[j].T
            cuts += left_cut[some][:, None]
            cuts += right_cut[j]
            at = int(cuts.argmin())
            if cuts.flat[at] < value:
                value = cuts.flat[at]
                best = int(some[at // len(j)]), int(j[at % len(j)])
    chosen = np.concatenate([left[best[0]], right[best[1]]])
    return tuple(np.flatnonzero(chosen).tolist())


def descend(weights: Floats, start: Half, limit: int) -> tuple[Half, int]:
    """Return the best half of descents by the best swap [3]_, from ``start`` and random halves; and the steps.

    Examples
    --------
    >>> descend(np.array([[0.0, 1, 5, 0], [1, 0, 0, 5], [5, 0, 0, 1], [0, 5, 1, 0]]), (0, 1), 1000)[0]
    (1, 3)
    """
    n, work = len(weights), 0
    rng = np.random.default_rng(0)
    best, value = start, np.inf
    half = np.array(start)
    for _ in range(8 * n + 1):
        side = np.full(n, -1.0)
        side[half] = 1
        while True:
            pull = side * (weights @ side)  # weight to the own half minus weight to the other
            one, other = np.flatnonzero(side > 0), np.flatnonzero(side < 0)
            loss = pull[one][:, None] + pull[other] + 2 * weights[np.ix_(one, other)]
            at = int(loss.argmin())
            work += n * n
            if loss.flat[at] >= 0 or work > limit:
                break
            side[one[at // len(other)]], side[other[at % len(other)]] = -1, 1
        cut = -side @ weights @ side
        if cut < value:
            best, value = tuple(np.flatnonzero(side > 0).tolist()), cut
        if work > limit:
            break
        half = rng.permutation(n)[: n // 2]
    return best, work


def semidefinite_bound(weights: Floats, target: int, limit: int) -> tuple[int, int]:
    """Return a lower bound on every bisection, at most ``target``, and the steps it took.

    With x[v] = +-1 for the halves and X = x x', the cut is <C, X>, C a quarter of the Laplacian. The
    relaxation [5]_ keeps that X is positive semidefinite, has a unit diagonal, X 1 = 0 (a lone vertex
    makes n even) and satisfies the triangle inequalities s.(X[i, j], X[i, k], X[j, k]) >= -1, of which
    violated ones are added in rounds. Any multipliers y and z >= 0 prove the bound
    sum y - sum z + n min(0, smallest eigenvalue of S), where S is C less what they multiply, on the
    complement of the vector 1. Good ones come from maximising the dual with a quadratic penalty alpha
    on X [6]_, which is smooth, for a falling alpha.

    Examples
    --------
    >>> semidefinite_bound(np.array([[0.0, 1, 5, 0], [1, 0, 0, 5], [5, 0, 0, 1], [0, 5, 1, 0]]), 2, 10**6)[0]
    2
    """
    n = len(weights) + len(weights) % 2
    cost = np.zeros((n, n))
    cost[: len(weights), : len(weights)] = -weights / 4
    np.fill_diagonal(cost, -cost.sum(axis=1))
    triples = np.array(list(combinations(range(n), 3)))
    signs = np.array([(1.0, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
    corners, sign = np.zeros((0, 3), dtype=int), np.zeros((0, 3))  # the triangle inequalities in use
    best, work = 0.0, 0

    def entries(matrix: Floats, corners: NDArray[np.int64]) -> Floats:
        i, j, k = corners.T
        return np.stack([matrix[i, j], matrix[i, k], matrix[j, k]], axis=1)

    def dual(at: Floats) -> tuple[float, Floats, Floats]:
        """Value and gradient of the penalised dual, and its X; every call also proves a bound."""
        nonlocal best, work
        work += n**3
        y, z = at[:n], at[n:]
        slack = cost - np.diag(y)
        for (a, b), share in zip(((0, 1), (0, 2), (1, 2)), (z[:, None] * sign / 2).T, strict=True):
            np.subtract.at(slack, (corners[:, a], corners[:, b]), share)
            np.subtract.at(slack, (corners[:, b], corners[:, a]), share)
        slack -= slack.mean(axis=0)
        slack -= slack.mean(axis=1)[:, None]
        values, vectors = np.linalg.eigh((slack + slack.T) / 2)
        linear = float(y.sum() - z.sum())
        size = float(abs(y).sum() + z.sum() + n * abs(values).max() + weights.sum())
        margin = 1e-6 + 1e-10 * n * size  # rounding errs by some n * 1e-16 of each sum and eigenvalue
        best = max(best, linear + n * min(0.0, float(values[0])) - margin)
        negative = -values[values < 0]
        basis = vectors[:, : len(negative)]
        x = (basis * (negative / alpha)) @ basis.T
        gradient = np.concatenate([1 - np.diag(x), -1 - (sign * entries(x, corners)).sum(axis=1)])
        return linear - float((negative**2).sum()) / (2 * alpha), gradient, x

    alpha = scale = float(np.abs(cost).sum()) / n**2
    at = np.zeros(n)
    for _ in range(60):
        if work >= limit or ceil(best) >= target or scale == 0:
            break
        at, x = _climb(dual, at, n, alpha, lambda: work >= limit or ceil(best) >= target)
        kept = at[n:] > 1e-6 * scale
        corners, sign = corners[kept], sign[kept]
        in_use = set(zip(map(tuple, corners.tolist()), map(tuple, sign.tolist()), strict=True))
        excess = (entries(x, triples) @ signs.T).T.ravel() + 1  # below 0 where violated
        worst = np.argsort(excess, kind="stable")[: 6 * n]
        fresh = [
            (tuple(triples[i % len(triples)].tolist()), tuple(signs[i // len(triples)].tolist()))
            for i in worst[excess[worst] < -0.02].tolist()
        ]
        fresh = [row for row in fresh if row not in in_use]
        if fresh:
            corners = np.concatenate([corners, np.array([row[0] for row in fresh])])
            sign = np.concatenate([sign, np.array([row[1] for row in fresh])])
        at = np.concatenate([at[:n], at[n:][kept], np.zeros(len(fresh))])
        alpha = max(0.6 * alpha, 1e-3 * scale)
    return min(target, ceil(best)), work


def _climb(dual: Any, at: Floats, free: int, step: float, done: Any) -> tuple[Floats, Floats]:
    """Maximise ``dual`` by 60 steps of projected L-BFGS; all but the first ``free`` variables stay >= 0."""
    low = np.concatenate([np.full(free, -np.inf), np.zeros(len(at) - free)])
    memory: list[tuple[Floats, Floats, float]] = []
    value, gradient, x = dual(at)
    for _ in range(60):
        movable = (at > low) | (gradient > 0)
        upward = np.where(movable, gradient, 0)
        if done() or np.abs(upward).max() < 0.02:
            break
        direction, factors = upward, []
        for moved, turned, rate in reversed(memory):
            factors.append(rate * float(moved @ direction))
            direction = direction - factors[-1] * turned
        direction = direction * (
            1 / (memory[-1][2] * float(memory[-1][1] @ memory[-1][1])) if memory else step
        )
        for (moved, turned, rate), factor in zip(memory, reversed(factors), strict=True):
            direction = direction + moved * (factor - rate * float(turned @ direction))
        direction = np.where(movable, direction, 0)
        if direction @ upward <= 0:
            direction, memory = upward * step, []
        for halving in range(14):
            ahead = np.maximum(at + direction / 2**halving, low)
            found = dual(ahead)
            if found[0] >= value + 1e-4 * (gradient @ (ahead - at)):
                break
        moved, turned = ahead - at, gradient - found[1]
        if moved @ turned > 1e-12:
            memory = [*memory[-7:], (moved, turned, 1 / float(moved @ turned))]
        at, (value, gradient, x) = ahead, found
    return at, x
