"""Branch and cut for tours: against dynamic programming, on ties and huge numbers, and its bounds for any prices."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_gym.core.parameters import choices
from forge_gym.envs.tsp import TSP
from forge_gym.solvers.branch_and_cut_tsp import Prices, Relaxation, held_karp, shortest
from forge_gym.solvers.tsp_cuts import TINY, Cut, violated
from forge_gym.solvers.tsp_local_search import improve, length, nearest

DISTRIBUTIONS = choices(TSP, "distribution")

ENOUGH = 10**8


def drawn(n: int, top: int, seed: int, *, low: int = 0) -> list[list[int]]:
    upper = np.triu(np.random.default_rng(seed).integers(low, top + 1, size=(n, n)), 1)
    rows: list[list[int]] = (upper + upper.T).tolist()
    return rows


def agree(rows: list[list[int]] | tuple[tuple[int, ...], ...], start: tuple[int, ...]) -> None:
    found = shortest(rows, start, ENOUGH)
    assert found.proven and found.value == held_karp(rows).value == length(rows, found.solution)
    assert sorted(found.solution) == list(range(len(rows)))


def test_the_optimum_is_that_of_dynamic_programming_on_every_distribution() -> None:
    for seed in range(360):
        tsp = TSP(n=4 + seed // 3 % 10, distribution=DISTRIBUTIONS[seed % 3], grid=12 + 88 * (seed % 2))
        instance = tsp.instance(seed)
        agree(instance.rows, tsp.heuristic(instance))


@pytest.mark.parametrize("top", [0, 1, 2, 10**6, 10**12])
def test_ties_zeros_and_huge_distances(top: int) -> None:
    """Beyond 2^53 a float is no integer: then the scale of the prices shrinks, and nothing else."""
    for seed in range(60):
        n = 3 + seed % 9
        rng = np.random.default_rng(seed)
        agree(drawn(n, top, seed), tuple(rng.permutation(n).tolist()))
        agree(drawn(n, top, seed, low=top), tuple(range(n)))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(3, 9))
def test_any_small_matrix(data: st.DataObject, n: int) -> None:
    legs = list(combinations(range(n), 2))
    costs = data.draw(st.lists(st.integers(0, 30), min_size=len(legs), max_size=len(legs)))
    rows = [[0] * n for _ in range(n)]
    for (a, b), cost in zip(legs, costs, strict=True):
        rows[a][b] = rows[b][a] = cost
    agree(rows, tuple(data.draw(st.permutations(range(n)))))


def any_cuts(n: int, rng: np.random.Generator) -> list[Cut]:
    """Cuts around random cities, some of them with three random teeth."""
    found = []
    for _ in range(6):
        handle = rng.permutation(np.arange(n) < rng.integers(3, n - 2))
        sides = [rng.permutation(np.flatnonzero(side)) for side in (handle, ~handle)]
        teeth = [np.isin(np.arange(n), [side[k] for side in sides]) for k in range(3)]
        for city in rng.permutation(np.concatenate([side[3:] for side in sides]))[: n // 3]:
            teeth[rng.integers(3)][city] = True
        found.append(Cut(handle, tuple(teeth) if rng.random() < 0.5 else ()))
    return found


def test_no_prices_whatever_give_a_bound_above_the_optimum() -> None:
    """Also negative shares of cuts, which count as none; and what is forced is true of every shorter tour."""
    nontrivial = 0
    for seed in range(400):
        rng, n = np.random.default_rng(seed), 6 + seed % 4
        distances = np.array(drawn(n, 30, seed))
        u, v = np.triu_indices(n, 1)
        best = held_karp(distances.tolist())
        cities, cuts = rng.normal(distances.mean() / 4, 4, n), any_cuts(n, rng)
        prices = Prices.rounded(distances, u, v, cuts, cities, rng.normal(0, 2, len(cuts)))
        assert prices.bound() <= best.value
        tour = best.solution
        used = np.isin(u * n + v, [min(a, b) * n + max(a, b) for a, b in zip(tour, tour[1:] + tour[:1], strict=True)])
        forced = prices.forced(best.value + 1)
        assert not (used & (forced < 0)).any() and not (~used & (forced > 0)).any()
        state = np.where(rng.random(len(u)) < 0.5, np.where(used, 1, -1), 0)
        assert prices.bound(state) <= best.value
        nontrivial += bool(forced.any()) or prices.bound() > 0
    assert nontrivial > 100


def test_a_cut_that_asks_for_too_much_would_be_noticed() -> None:
    """The mutation behind the test above: two far groups, of which a wrong cut wants three crossings."""

    class Wrong(Cut):
        least = 3

    for seed in range(20):
        apart = np.arange(8) < 3
        distances = np.array(drawn(8, 5, seed)) + 100 * (apart[:, None] != apart)
        u, v = np.triu_indices(8, 1)
        optimum = held_karp(distances.tolist()).value
        nothing = np.zeros(len(u), dtype=np.int64)
        assert Relaxation(distances, u, v, [Cut(apart)]).tighten(nothing, 10**6, ENOUGH) <= optimum
        assert Relaxation(distances, u, v, [Wrong(apart)]).tighten(nothing, 10**6, ENOUGH) > optimum


def test_every_tour_obeys_the_cuts_and_the_point_that_asked_for_them_does_not() -> None:
    rng, with_teeth = np.random.default_rng(0), 0
    for seed in range(40):
        n = 12 + seed % 20
        distances = np.array(TSP(n=n, distribution=DISTRIBUTIONS[seed % 3]).instance(seed).rows)
        u, v = np.triu_indices(n, 1)
        relaxation = Relaxation(distances, u, v)
        for _ in range(20):
            assert relaxation.solve()
            cuts = list(violated(n, u, v, relaxation.x, relaxation.binding(), search=True))
            for cut in cuts:
                with_teeth += bool(cut.teeth)
                coefficients = cut.coefficients(u, v)
                assert coefficients @ relaxation.x < cut.least - TINY
                for _ in range(5):
                    tour = rng.permutation(n).tolist()
                    legs = [min(a, b) * n + max(a, b) for a, b in zip(tour, tour[1:] + tour[:1], strict=True)]
                    assert coefficients[np.isin(u * n + v, legs)].sum() >= cut.least
            relaxation = Relaxation(distances, u, v, [*relaxation.cuts, *cuts])
            if not cuts:
                break
    assert with_teeth


def test_a_thin_place_is_always_found() -> None:
    """Against all sets of cities: at the end no set has less than two legs leaving it."""
    n = 8
    for seed in range(40):
        distances = np.array(drawn(n, 20, seed))
        u, v = np.triu_indices(n, 1)
        relaxation = Relaxation(distances, u, v)
        relaxation.tighten(np.zeros(len(u), dtype=np.int64), 10**6, ENOUGH)
        for size in range(2, n - 1):
            for inside in combinations(range(n), size):
                crossing = np.isin(u, inside) != np.isin(v, inside)
                assert relaxation.x[crossing].sum() > 2 - 0.01


@pytest.mark.parametrize("n", [20, 40])
def test_any_limit_gives_true_bounds_and_is_nearly_kept(n: int) -> None:
    tsp = TSP(n=n, distribution="clustered")
    instance = tsp.instance(4)
    start, unlimited = tsp.heuristic(instance), None
    for limit in (ENOUGH, -1, 0, 1, 5_000, 20_000, 60_000):
        found = shortest(instance.rows, start, limit)
        unlimited = unlimited or found
        assert found.bound <= unlimited.value <= found.value <= length(instance.rows, start)
        assert found.work <= max(0, limit) + 10**5
        assert found == shortest(instance.rows, start, limit)
    assert unlimited is not None and unlimited.proven


def test_a_spent_limit_leaves_the_optimum_open_with_a_bound() -> None:
    tsp = TSP(n=100)
    instance = tsp.instance(12)
    start = tsp.heuristic(instance)
    whole = shortest(instance.rows, start, ENOUGH)
    bounds = [shortest(instance.rows, start, whole.work * share // 100).bound for share in (0, 2, 10, 50)]
    assert bounds[0] == 0 < bounds[1] <= bounds[3] < whole.value == whole.bound


def test_local_search_keeps_the_tour_and_its_length() -> None:
    for seed in range(60):
        n = 3 + seed
        rows = drawn(n, 50, seed)
        near = nearest(np.array(rows), np.array(rows), 5)
        start = tuple(np.random.default_rng(seed).permutation(n).tolist())
        better = improve(rows, start, near)
        best = improve(rows, better, near, kicks=20)
        assert sorted(best) == list(range(n))
        assert length(rows, best) <= length(rows, better) <= length(rows, start)
        assert improve(rows, start, near) == better
