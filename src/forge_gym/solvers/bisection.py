"""Lightest bisections of weighted graphs: by enumeration in two parts, or by descent and a semidefinite bound.

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

from itertools import combinations
from math import ceil, comb
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.reference import Certificate

Floats: TypeAlias = NDArray[np.float64]
Half: TypeAlias = tuple[int, ...]

_ENUMERATED = 25_000_000
"""Bisections that are enumerated at most: some seconds."""
_LARGEST = 150
"""Vertices up to which the semidefinite bound is computed: its eigenvalues take n^3 steps each time."""

# The values below are choices. They decide how long a proof takes, never what is proven: each half is weighed exactly,
# and each dual point is a bound.
_DESCENTS = 8
"""Swap descents for each vertex, from fresh random halves."""
_ROUNDS, _CUTS, _VIOLATION = 60, 6, 0.02
"""Rounds of triangle inequalities, new ones in a round for each vertex, and the least violation that counts."""
_PENALTY_FACTOR, _LEAST_PENALTY = 0.6, 1e-3
"""Factor of the penalty from one round to the next, and its least value as a share of the first."""
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
    best, bound, work = start, 0, 0
    solver = "greedy graph growing"
    if count > min(limit, _ENUMERATED):
        half, work = descend(weights, best, limit // 8)
        best, solver = _canonical(n, half), "swap descent"
    if work and n <= _LARGEST:
        share = limit // 8 if count <= limit // 2 else limit - work
        bound, spent = semidefinite_bound(weights, _cut(weights, best), share)
        work += spent
        solver = "swap descent, semidefinite bound"
    value = _cut(weights, best)
    if bound < value and count <= limit - work:
        best = _canonical(n, lightest(weights))
        value = bound = _cut(weights, best)
        work += count
        solver = "enumeration in two parts"
    return Certificate(best, value, bound, solver, work)


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
    n, work = len(weights), 0
    rng = np.random.default_rng(0)
    best, value = start, np.inf
    half = np.array(start)
    for _ in range(_DESCENTS * n + 1):
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
    relaxation [3]_ keeps that X is positive semidefinite, has a unit diagonal, X 1 = 0 (a lone vertex
    makes n even) and satisfies the triangle inequalities s.(X[i, j], X[i, k], X[j, k]) >= -1, of which
    violated ones are added in rounds. Any multipliers y and z >= 0 prove the bound
    sum y - sum z + n min(0, smallest eigenvalue of S), where S is C less what they multiply, on the
    complement of the vector 1. Good ones come from maximising the dual with a quadratic penalty alpha
    on X [4]_, which is smooth, for a falling alpha.
    """
    n = len(weights) + len(weights) % 2
    cost = np.zeros((n, n))
    cost[: len(weights), : len(weights)] = -weights / 4
    np.fill_diagonal(cost, -cost.sum(axis=1))
    triples = np.array(list(combinations(range(n), 3)))
    signs = np.array([(1.0, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
    used = np.zeros(0, dtype=np.int64)  # the triangle inequalities in use, as numbers of signs and of triples
    corners, sign = np.zeros((0, 3), dtype=np.int64), np.zeros((0, 3))
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
    for _ in range(_ROUNDS):
        if work >= limit or ceil(best) >= target or scale == 0:
            break
        at, x = _climb(dual, at, n, alpha, lambda: work >= limit or ceil(best) >= target)
        kept = at[n:] > 1e-6 * scale
        excess = (entries(x, triples) @ signs.T).T.ravel() + 1  # below 0 where violated
        worst = np.argsort(excess, kind="stable")[: _CUTS * n]
        fresh = worst[(excess[worst] < -_VIOLATION) & ~np.isin(worst, used[kept])]
        used = np.concatenate([used[kept], fresh])
        corners, sign = triples[used % len(triples)], signs[used // len(triples)]
        at = np.concatenate([at[:n], at[n:][kept], np.zeros(len(fresh))])
        alpha = max(_PENALTY_FACTOR * alpha, _LEAST_PENALTY * scale)
    return min(target, ceil(best)), work


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
