"""Lightest bisections of weighted graphs: by enumeration in two parts, or by semidefinite branch and bound.

Everything is proven in exact integers or not at all: a bound that floating point gives is rounded down with a margin.

References
----------
.. [1] E. Horowitz, S. Sahni, "Computing partitions with applications to the knapsack problem",
   Journal of the ACM 21(2), 1974.
.. [2] B. Kernighan, S. Lin, "An efficient heuristic procedure for partitioning graphs",
   Bell System Technical Journal 49(2), 1970.
.. [3] F. Rendl, G. Rinaldi, A. Wiegele, "Solving max-cut to optimality by intersecting semidefinite
   and polyhedral relaxations", Mathematical Programming 121, 2010.
.. [4] J. Malick, F. Roupin, "On the bridge between combinatorial optimization and nonlinear
   optimization: a family of semidefinite bounds for 0-1 quadratic problems leading to quasi-Newton
   methods", Mathematical Programming 140, 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import combinations
from math import ceil, comb
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.reference import Certificate

Floats: TypeAlias = NDArray[np.float64]
Half: TypeAlias = tuple[int, ...]

_ENUMERATED = 200_000
"""Bisections up to which all are enumerated: some milliseconds, quicker than a bound."""
_LARGEST = 150
"""Vertices up to which there is a semidefinite bound: its eigenvalues take n^3 steps each time."""

# The values below are choices. They decide how long a proof takes, never what is proven: each half is weighed exactly,
# and each dual point is a bound.
_DESCENTS = 8
"""Swap descents for each vertex, from fresh random halves."""
_ROUNDS, _CUTS, _VIOLATION = 60, 6, 0.02
"""Rounds of triangle inequalities, new ones in a round for each vertex, and the least violation that counts."""
_PENALTY_FACTOR, _FIRST_PENALTY, _LEAST_PENALTY = 0.6, 4e-3, 1e-3
"""Factor of the penalty from one round to the next; where it begins below the root, and its least value, as shares of
the first at the root."""
_STALLED = 4
"""A node is branched on once so many rounds like the last would not prove it."""
_STEPS, _HALVINGS, _PAIRS = 60, 14, 8
"""Steps of L-BFGS in a round, halvings of a step in a line search, and pairs of differences that are remembered."""


def lightest_bisection(weights: Floats, start: Half, limit: int) -> Certificate[Half]:
    """Return the lightest half of n // 2 vertices with its proof, or the best half and bound within ``limit``.

    ``weights`` are (n, n), symmetric, integers below 2^53, and 0 where there is no edge. ``limit`` counts halves that
    are enumerated, and entries of matrices that a descent or the bound looks at.

    Examples
    --------
    >>> lightest_bisection(np.array([[0.0, 1, 5, 0], [1, 0, 0, 5], [5, 0, 0, 1], [0, 5, 1, 0]]), (0, 1), 100).solution
    (0, 2)
    """
    n = len(weights)
    count = comb(n - 1, n // 2 - 1) if n % 2 == 0 else comb(n, n // 2)
    if count <= min(limit, _ENUMERATED):
        best = _canonical(n, lightest(weights))
        value = _cut(weights, best)
        return Certificate(best, value, value, "enumeration in two parts", count)
    best, work = descend(weights, start, limit // 8)
    bound, solver = 0, "swap descent"
    if n <= _LARGEST:
        best, bound, spent = branch_and_bound(weights, best, limit - work)
        work, solver = work + spent, "semidefinite branch and bound"
    return Certificate(_canonical(n, best), _cut(weights, best), bound, solver, work)


def _cut(weights: Floats, half: Half) -> int:
    side = np.zeros(len(weights), dtype=bool)
    side[list(half)] = True
    return int(weights[np.ix_(side, ~side)].sum())


def _canonical(n: int, half: Half) -> Half:
    """Return the smaller half, of equal ones that with vertex 0, in rising order."""
    other = tuple([v for v in range(n) if v not in set(half)])
    return tuple(sorted(half if (len(half), 0 not in half) < (len(other), 0 not in other) else other))


def lightest(weights: Floats) -> Half:
    """Return the best half of all: every part within the first n // 2 vertices meets every rest [1]_.

    All numbers are integers below 2**53, so the matrix products are exact.
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
    """Return the best half of descents by the best swap [2]_, from ``start`` and random halves; and the steps."""
    n, rng = len(weights), np.random.default_rng(0)
    best, value, work = start, _cut(weights, start), 0
    half = np.array(start)
    for _ in range(_DESCENTS * n + 1):
        found, steps = _swaps(weights, half, limit - work)
        work += steps
        if (cut := _cut(weights, found)) < value:
            best, value = found, cut
        if work > limit:
            break
        half = rng.permutation(n)[: n // 2]
    return best, work


def _swaps(weights: Floats, half: NDArray[np.int64], limit: int) -> tuple[Half, int]:
    """Follow the best swap of two vertices between the halves as long as it gains; return the half and the steps."""
    n, work = len(weights), 0
    side = np.full(n, -1.0)
    side[half] = 1
    while work <= limit:
        pull = side * (weights @ side)  # weight to the own half minus weight to the other
        one, other = np.flatnonzero(side > 0), np.flatnonzero(side < 0)
        loss = pull[one][:, None] + pull[other] + 2 * weights[np.ix_(one, other)]
        at = int(loss.argmin())
        work += n * n
        if loss.flat[at] >= 0:
            break
        side[one[at // len(other)]], side[other[at % len(other)]] = -1, 1
    return tuple(np.flatnonzero(side > 0).tolist()), work


_SIGNS = np.array([(1.0, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
"""Signs s of the triangle inequalities s.(X[i, j], X[i, k], X[j, k]) >= -1."""
_JOINING = np.array([[-1, 0, 1], [0, -1, 2], [1, 2, -1]])
"""Which of its three entries joins two corners of a triangle."""


@dataclass
class _Node:
    """Bisections in which some vertices are tied to others, and a point of the dual of their relaxation [3]_.

    With x[v] = +-1 for the halves and X = x x', the cut is <C, X>, C a quarter of the Laplacian. The relaxation
    keeps that X is positive semidefinite, has a unit diagonal, X a = 0 (a lone vertex makes n even) and satisfies
    triangle inequalities. Tied vertices are one row, whose weight ``a`` counts those of one side less those of the
    other. Any multipliers y and z >= 0 prove the bound sum y - sum z + n min(0, smallest eigenvalue of S), where S is C
    less what they multiply, on the complement of a. Good ones come from maximising the dual with a quadratic
    penalty on X [4]_, which is smooth, for a falling penalty; violated triangle inequalities are added in rounds.
    """

    cost: Floats
    a: Floats
    rows: NDArray[np.int64]
    """(n,) the row of each vertex."""
    sides: Floats
    """(n,) 1 where a vertex is on the side of its row, -1 where it is on the other."""
    y: Floats
    z: Floats
    corners: NDArray[np.int64]
    """(len(z), 3) rows of each triangle inequality in use, rising, and its signs."""
    signs: Floats
    x: Floats
    """The relaxation's X at the last point; of the node above while there is none."""
    bound: float = 0.0

    def tighten(self, target: int, scale: float, penalty: float, limit: int) -> int:
        """Improve the dual point until it proves ``target`` or stalls; return the steps it took, about ``limit``."""
        n, work, best = len(self.cost), 0, self.bound
        total, norm = float(np.abs(self.cost).sum()), float(self.a @ self.a) or 1.0
        triples = np.array(list(combinations(range(n), 3)), dtype=np.int64).reshape(-1, 3)
        numbers = _entries(triples, n)

        def dual(at: Floats) -> tuple[float, Floats, Floats]:
            """Value and gradient of the penalised dual, and its X; every call also proves a bound."""
            nonlocal best, work
            work += n**3
            y, z = at[:n], at[n:]
            shares = np.bincount(used.ravel(), (z[:, None] * self.signs / 2).ravel(), n * n).reshape(n, n)
            slack = self.cost - np.diag(y) - shares - shares.T
            slack -= np.outer(slack @ self.a / norm, self.a)
            slack -= np.outer(self.a, self.a @ slack / norm)
            values, vectors = np.linalg.eigh((slack + slack.T) / 2)
            linear = float(y.sum() - z.sum())
            size = float(abs(y).sum() + z.sum() + n * abs(values).max()) + total
            margin = 1e-6 + 1e-12 * n * size  # rounding errs by some n * 1e-16 of each sum and eigenvalue
            best = max(best, linear + n * min(0.0, float(values[0])) - margin)
            negative = -values[values < 0]
            basis = vectors[:, : len(negative)]
            x = (basis * (negative / penalty)) @ basis.T
            gradient = np.concatenate([1 - np.diag(x), -1 - (self.signs * x.ravel()[used]).sum(axis=1)])
            return linear - float((negative**2).sum()) / (2 * penalty), gradient, x

        for round in range(_ROUNDS):
            before, used = best, _entries(self.corners, n)
            at = np.concatenate([self.y, self.z])
            at, self.x = _climb(dual, at, n, penalty, lambda: work >= limit or ceil(best) >= target)
            self.y, self.z, self.bound = at[:n], at[n:], best
            stalled = round > 1 and best + _STALLED * (best - before) < target - 1
            if stalled or work >= limit or ceil(best) >= target:
                break
            excess = (self.x.ravel()[numbers] @ _SIGNS.T + 1).ravel()  # below 0 where violated
            violated = np.flatnonzero(excess < -_VIOLATION)
            worst = violated[np.argsort(excess[violated], kind="stable")[: _CUTS * n]]
            kept = self.z > 1e-5 * scale
            self._keep(kept, triples[worst // 4], _SIGNS[worst % 4])
            penalty = max(_PENALTY_FACTOR * penalty, _LEAST_PENALTY * scale)
        return work

    def _keep(self, kept: NDArray[np.bool_], corners: NDArray[np.int64], signs: Floats) -> None:
        """Keep some triangle inequalities, and add those that are not among them."""
        keys = self._keys(self.corners[kept], self.signs[kept])
        fresh = ~np.isin(self._keys(corners, signs), keys)
        self.corners = np.concatenate([self.corners[kept], corners[fresh]])
        self.signs = np.concatenate([self.signs[kept], signs[fresh]])
        self.z = np.concatenate([self.z[kept], np.zeros(int(fresh.sum()))])

    def _keys(self, corners: NDArray[np.int64], signs: Floats) -> NDArray[np.int64]:
        """Return a number for each triangle inequality."""
        n = len(self.cost)
        keys: NDArray[np.int64] = corners @ np.array([4 * n * n, 4 * n, 4]) + (signs[:, :2] < 0) @ np.array([2, 1])
        return keys

    def tied(self, i: int, j: int, side: int) -> _Node:
        """Return the node below this one in which row j > i is ``side`` times row i, with the same multipliers."""
        left = np.arange(len(self.cost)) != j
        cost, a, y = self.cost.copy(), self.a.copy(), self.y.copy()
        cost[i] += side * cost[j]
        cost[:, i] += side * cost[:, j]
        a[i] += side * a[j]
        y[i] += y[j]
        kept = ~((self.corners == i).any(axis=1) & (self.corners == j).any(axis=1))  # these say nothing any more
        corners, signs, z = self.corners[kept], self.signs[kept], self.z[kept]
        moved = corners == j
        signs = signs * np.where(moved[:, [0, 0, 1]] | moved[:, [1, 2, 2]], side, 1)
        corners = np.where(moved, i, corners)
        rank = np.argsort(corners, axis=1, kind="stable")
        corners = np.take_along_axis(corners, rank, axis=1)
        signs = np.take_along_axis(signs, _JOINING[rank[:, [0, 0, 1]], rank[:, [1, 2, 2]]], axis=1)
        rows, sides = np.where(self.rows == j, i, self.rows), np.where(self.rows == j, side * self.sides, self.sides)
        rows, corners, cost = rows - (rows > j), corners - (corners > j), cost[np.ix_(left, left)]
        child = _Node(cost, a[left], rows, sides, y[left], z, corners, signs, self.x, self.bound)
        _, once, same = np.unique(child._keys(corners, signs), return_index=True, return_inverse=True)
        child.corners, child.signs = corners[once], signs[once]
        child.z = np.bincount(same, z, len(once)).astype(np.float64)
        return child


def _entries(corners: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return the places in an n x n matrix of the three entries of each triangle."""
    return corners[:, [0, 0, 1]] * n + corners[:, [1, 2, 2]]


def branch_and_bound(weights: Floats, best: Half, limit: int) -> tuple[Half, int, int]:
    """Return the best half and bound by tying the pair of vertices that is least decided [3]_, and the steps it took.

    ``best`` is a half to begin with. Nodes are looked at by rising bound. Where they are decided, the sides of the
    vertices against the first round to a half, which swaps improve.
    """
    size, n = len(weights), len(weights) + len(weights) % 2
    cost = np.zeros((n, n))
    cost[:size, :size] = -weights / 4
    np.fill_diagonal(cost, -cost.sum(axis=1))
    scale = float(np.abs(cost).sum()) / n**2
    none, ones, value, work = np.zeros((0, 3)), np.ones(n), _cut(weights, best), 0
    waiting = [_Node(cost, ones, np.arange(n), ones, 0 * ones, none[:, 0], none.astype(np.int64), none, cost)]
    nodes: list[tuple[float, int, _Node]] = []
    penalty, made = scale, 0
    while waiting or (nodes and ceil(nodes[0][0]) < value and work < limit):
        if not waiting:
            _, _, node = heappop(nodes)
            rows = np.stack(np.triu_indices(len(node.cost), 1), axis=1)
            i, j = rows[int(np.abs(node.x[rows[:, 0], rows[:, 1]]).argmin())].tolist()
            waiting = [node.tied(i, j, side) for side in (1, -1)]
        node = waiting.pop()
        if 2 * np.abs(node.a).max() > np.abs(node.a).sum():  # no halves of one size
            continue
        if value:
            work += node.tighten(value, scale, penalty, limit - work)
        first = np.argsort(-node.sides * node.x[0, node.rows], kind="stable")[: n // 2]
        half, steps = _swaps(weights, first[first < size], limit)
        work += steps
        if _cut(weights, half) < value:
            best, value = half, _cut(weights, half)
        if len(node.cost) > 1:
            heappush(nodes, (node.bound, made, node))
        penalty, made = _FIRST_PENALTY * scale, made + 1
    return best, min([value, *(ceil(bound) for bound, _, _ in nodes)]), work


def _climb(dual: Any, at: Floats, free: int, step: float, done: Any) -> tuple[Floats, Floats]:
    """Maximise ``dual`` by projected L-BFGS; all but the first ``free`` variables stay >= 0."""
    low = np.concatenate([np.full(free, -np.inf), np.zeros(len(at) - free)])
    memory: list[tuple[Floats, Floats, float]] = []
    value, gradient, x = dual(at)
    for _ in range(_STEPS):
        movable = (at > low) | (gradient > 0)
        upward = np.where(movable, gradient, 0)
        if done() or np.abs(upward).max() < _VIOLATION:
            break
        direction, factors = upward, []
        for moved, turned, rate in reversed(memory):
            factors.append(rate * float(moved @ direction))
            direction = direction - factors[-1] * turned
        direction = direction * (1 / (memory[-1][2] * float(memory[-1][1] @ memory[-1][1])) if memory else step)
        for (moved, turned, rate), factor in zip(memory, reversed(factors), strict=True):
            direction = direction + moved * (factor - rate * float(turned @ direction))
        direction = np.where(movable, direction, 0)
        if direction @ upward <= 0:
            direction, memory = upward * step, []
        for halving in range(_HALVINGS):
            ahead = np.maximum(at + direction / 2**halving, low)
            there = dual(ahead)
            if there[0] >= value + 1e-4 * (gradient @ (ahead - at)):
                break
        moved, turned = ahead - at, gradient - there[1]
        if moved @ turned > 1e-12:
            memory = [*memory[1 - _PAIRS :], (moved, turned, 1 / float(moved @ turned))]
        at, (value, gradient, x) = ahead, there
    return at, x
