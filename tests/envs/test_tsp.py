"""TSP: objective and optimum against brute force, two solvers against each other, TSPLIB."""

from __future__ import annotations

import math
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest

from forge_gym.core.parameters import choices
from forge_gym.data.formats import read_instance
from forge_gym.envs.tsp import TSP, TSPInstance
from forge_gym.solvers import cpsat
from forge_gym.solvers.branch_and_cut_tsp import held_karp, shortest

DISTRIBUTIONS = choices(TSP, "distribution")


def length(instance: TSPInstance, tour: tuple[int, ...]) -> int:
    """Length of a tour from the definition: TSPLIB's nint of each Euclidean leg, in exact integers."""
    total = 0
    for a, b in pairwise((*tour, tour[0])):
        if instance.matrix:
            total += instance.matrix[a][b]
        else:
            (xa, ya), (xb, yb) = instance.xy[a], instance.xy[b]
            total += (math.isqrt(4 * ((xa - xb) ** 2 + (ya - yb) ** 2)) + 1) // 2
    return total


def brute_force(instance: TSPInstance) -> int:
    return min(length(instance, (0, *rest)) for rest in permutations(range(1, instance.size)))


def small(seed: int) -> tuple[TSP, TSPInstance]:
    tsp = TSP(n=4 + seed % 4, distribution=DISTRIBUTIONS[seed % 3], grid=12, spacing=1 + seed % 5)
    return tsp, tsp.instance(seed)


def circuit(instance: TSPInstance) -> int:
    """The optimum by CP-SAT's circuit constraint: a second method beyond the reach of brute force."""
    from ortools.sat.python import cp_model

    n, model = instance.size, cp_model.CpModel()
    arcs = [(i, j, model.new_bool_var("")) for i in range(n) for j in range(n) if i != j]
    model.add_circuit(arcs)
    model.minimize(sum(instance.rows[i][j] * used for i, j, used in arcs))
    solved = cpsat.solve(model, 60_000_000, linearization_level=2)
    assert solved.feasible and solved.bound == solved.solver.objective_value
    return solved.bound


def test_held_karp_and_branch_and_cut_agree() -> None:
    for seed in range(60):
        tsp = TSP(n=8 + seed % 6, distribution=DISTRIBUTIONS[seed % 3])
        instance = tsp.instance(seed)
        found = shortest(instance.rows, tsp.heuristic(instance), tsp.work_limit)
        assert found.proven and found.value == held_karp(instance.rows).value
        assert length(instance, found.solution) == found.value


def test_branch_and_cut_and_cp_sat_agree() -> None:
    for seed in range(54):
        tsp = TSP(n=14 + seed // 2, distribution=DISTRIBUTIONS[seed % 3], grid=(30, 1000)[seed % 2])
        instance = tsp.instance(seed)
        reference = tsp.reference(instance)
        assert reference.proven and reference.value == circuit(instance)
        assert reference.solver.startswith("branch and cut, GLOP ")
        assert length(instance, reference.solution) == reference.value


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_hundred_cities_are_solved_within_the_limit(distribution: str) -> None:
    tsp = TSP(n=100, distribution=distribution)
    for seed in range(4):
        assert tsp.reference(tsp.instance(seed)).proven


def test_distances_are_tsplibs() -> None:
    rng = np.random.default_rng(0)
    xy = tuple(map(tuple, np.unique(rng.integers(-(10**6), 10**6, size=(60, 2)), axis=0).tolist()))
    instance = TSPInstance(xy=xy)
    for a in range(len(xy)):
        for b in range(len(xy)):
            if a != b:
                assert instance.rows[a][b] == length(instance, (a, b)) // 2


def test_nearest_neighbour_keeps_its_guarantee() -> None:
    for seed in range(60):
        tsp = TSP(n=9, grid=1000, spacing=100)  # rounding to 1 in some 10^4 leaves the triangle inequality
        reference = tsp.reference(tsp.instance(seed))
        assert reference.greedy <= (math.ceil(math.log2(9)) + 1) / 2 * reference.value


def test_a_closed_tour_names_its_first_city_once() -> None:
    tsp = TSP(n=5)
    verdict = tsp.verify(tsp.instance(), "<answer>[0, 1, 2, 3, 4, 0]</answer>")
    assert verdict.reason == "each city is visited once, got 1 repeated visits"


def test_partial_tours_earn_more_the_fuller_they_are() -> None:
    tsp = TSP(n=8)
    credits = [tsp.verify_solution(tsp.instance(), tuple(range(k))).credit for k in range(8)]
    assert credits[0] == 0 and credits == sorted(set(credits)) and credits[-1] < 1


def test_canonical_unites_rotations_and_reversals() -> None:
    tsp = TSP(n=6)
    instance = tsp.instance()
    tour = (3, 1, 0, 4, 5, 2)
    forms = {tsp.canonical(instance, (t[k:] + t[:k])) for t in (tour, tour[::-1]) for k in range(6)}
    assert forms == {(0, 1, 3, 2, 5, 4)}


def test_clusters_are_tighter_than_uniform_points() -> None:
    def mean_nearest(distribution: str) -> float:
        tsp = TSP(n=40, distribution=distribution, grid=1000)
        rows = np.array([tsp.instance(seed).rows for seed in range(20)]) + 10**6 * np.eye(40, dtype=int)
        return float(rows.min(axis=2).mean())

    assert mean_nearest("clustered") < 0.6 * mean_nearest("uniform")


def test_a_full_half_of_a_small_grid() -> None:
    for distribution in ("uniform", "clustered"):
        instance = TSP(n=12, grid=5, distribution=distribution).instance()
        assert len(set(instance.xy)) == 12


# ---------------------------------------------------------------------------------------- TSPLIB


def read_tsplib(path: Path) -> TSPInstance:
    """Read the files under test by the formulas of TSPLIB 95: a second reader, in numpy."""
    head, numbers, section = {}, [], ""
    for line in path.read_text().splitlines():
        key, colon, value = line.partition(":")
        word = key.strip()
        if colon:
            head[word] = value.strip()
        elif word.endswith("_SECTION") or word == "EOF":
            section = word
        elif section in ("NODE_COORD_SECTION", "EDGE_WEIGHT_SECTION"):
            numbers.extend(map(float, line.split()))
    n = int(head["DIMENSION"])
    matrix = np.zeros((n, n), dtype=np.int64)
    kind = head["EDGE_WEIGHT_TYPE"]
    if kind == "EXPLICIT":
        layout = {
            "FULL_MATRIX": [(i, j) for i in range(n) for j in range(n)],
            "UPPER_ROW": [(i, j) for i in range(n) for j in range(i + 1, n)],
            "LOWER_DIAG_ROW": [(i, j) for i in range(n) for j in range(i + 1)],
        }[head["EDGE_WEIGHT_FORMAT"]]
        for (i, j), weight in zip(layout, numbers, strict=True):
            matrix[i, j] = matrix[j, i] = weight
        np.fill_diagonal(matrix, 0)
        return TSPInstance(matrix=tuple(map(tuple, matrix.tolist())))
    points = np.array(numbers).reshape(n, 3)[:, 1:]
    if kind == "EUC_2D":
        assert (points == points.astype(int)).all()
        return TSPInstance(xy=tuple(map(tuple, points.astype(int).tolist())))
    if kind == "ATT":
        r = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2) / 10)
        matrix = np.where(np.rint(r) < r, np.rint(r) + 1, np.rint(r)).astype(int)
    else:
        assert kind == "GEO"
        degrees = np.trunc(points)
        radians = 3.141592 * (degrees + 5 * (points - degrees) / 3) / 180
        latitude, longitude = radians.T
        q1 = np.cos(longitude[:, None] - longitude[None])
        q2 = np.cos(latitude[:, None] - latitude[None])
        q3 = np.cos(latitude[:, None] + latitude[None])
        angle = np.arccos(np.clip(0.5 * ((1 + q1) * q2 - (1 - q1) * q3), -1, 1))
        matrix = (6378.388 * angle + 1).astype(int)
    np.fill_diagonal(matrix, 0)
    return TSPInstance(matrix=tuple(map(tuple, matrix.tolist())))


@pytest.mark.parametrize(
    ("name", "optimum"),
    [
        ("burma14", 3323),
        ("ulysses16", 6859),
        ("gr17", 2085),
        ("gr24", 1272),
        ("fri26", 937),
        ("bays29", 2020),
        ("dantzig42", 699),
        ("att48", 10628),
        ("eil51", 426),
        ("berlin52", 7542),
        ("brazil58", 25395),
        pytest.param("pr76", 108159, marks=pytest.mark.slow),  # 20 seconds
        ("kroA100", 21282),
        ("eil101", 629),
    ],
)
def test_published_optima(classic: Path, name: str, optimum: int) -> None:
    tsp = TSP()
    path = classic / "tsplib" / f"{name}.tsp"
    instance = read_instance("TSP", path)
    assert isinstance(instance, TSPInstance) and instance.rows == read_tsplib(path).rows
    assert tsp.from_json(tsp.to_json(instance)) == instance
    reference = tsp.reference(instance)
    assert reference.proven and reference.value == optimum == length(instance, reference.solution)


@pytest.mark.parametrize("distribution", ["uniform", "clustered"])
def test_a_tree_of_points_gives_the_tours_of_a_plain_loop(distribution: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many cities on one distance, the first comes; and the second choice is the same."""
    for n, grid in ((4, 100), (9, 9), (40, 10), (40, 10_000), (200, 21)):
        tsp = TSP(n=n, grid=grid, distribution=distribution)  # type: ignore[arg-type]
        for seed in range(3):
            tours = []
            for most in (10**9, 1):
                monkeypatch.setattr("forge_gym.kinds.points._TABLE", most)
                instance = tsp.instance(seed)
                tours.append([tuple(tsp.greedy(instance, lambda near, at=at: [*near][at])) for at in (0, -1)])  # type: ignore[misc]
            assert tours[0] == tours[1]
