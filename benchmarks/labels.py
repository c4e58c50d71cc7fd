"""Measure what a proven optimum costs: by problem and level, in the shipped suite, and against CP-SAT.

    python benchmarks/labels.py [--json FILE] [--repeats 10] [--sample 200]

Every time is process CPU time of one `solve` with the problem's own limit of work, on one core; import of the
solvers is not counted. Optima per second are those proven, by the time of all.

LABEL LEVEL solves instances of the test stream at levels 0 to 9, all distributions in turn. LABEL SUITE solves
rows of forge-bench-v1 anew, evenly spread over the file; 0 takes all. Both are held to less than 2 s at the 95th
percentile. LABEL RACE puts TSP with 50 cities beside a model with CP-SAT's circuit constraint, by turns on equal
instances; its goal is a median ratio of 5. CP-SAT has a limit of deterministic time: where it proves less than
we do, the ratio is too small.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
from timing import Row, judged, program

import forge_gym
from forge_gym.core.instance import Instance
from forge_gym.core.parameters import choices
from forge_gym.core.problem import Problem
from forge_gym.core.reference import Certificate
from forge_gym.core.registry import problem_class
from forge_gym.data.suite import BENCHMARK, LEVELS, locate, read
from forge_gym.envs.tsp import TSP, TSPInstance
from forge_gym.solvers import cpsat

Solved: TypeAlias = tuple[float, Certificate[Any]]
"""Process CPU seconds, and what they brought."""

CEILING_S = 2.0
"""A label takes less than this at the 95th percentile."""
RACE_GOAL = 5.0
"""Ratio wanted of the time of CP-SAT's circuit model to ours."""
_CITIES, _CIRCUIT_LIMIT = 50, 20_000_000


def solved(problem: Problem[Any, Any], instance: Instance) -> Solved:
    """Solve ``instance`` from nothing."""
    start = time.process_time()
    certificate = problem.certificate(instance, problem.work_limit)
    return time.process_time() - start, certificate


def warm() -> None:
    """Import what the solvers import when they are first called."""
    import ortools.linear_solver.pywraplp
    import ortools.sat.python.cp_model  # noqa: F401 - only to be there before timing starts


def labelled(id: str, problem: str, level: int | None, found: Iterable[Solved]) -> Row:
    """Return the row of labels of one problem."""
    times, certificates = zip(*found, strict=True)
    median, p95, p99 = np.percentile(times, [50, 95, 99]).tolist()
    proven = sum(certificate.proven for certificate in certificates)
    return {
        "id": id,
        "problem": problem,
        "level": level,
        "labels": len(times),
        "seconds": median,
        "p95": p95,
        "p99": p99,
        "max": max(times),
        "per_second": proven / sum(times),
        "proven": proven / len(times),
        "solver": Counter(certificate.solver for certificate in certificates).most_common(1)[0][0],
        "ok": p95 < CEILING_S,
    }


def by_level(name: str, levels: Iterable[int], instances: int) -> Iterator[Row]:
    """Yield a row for each level of a problem."""
    listed = choices(problem_class(name), "distribution")
    for level in levels:
        found = []
        for k in range(instances):
            drawn: dict[str, Any] = {"distribution": listed[k % len(listed)]} if listed else {}
            problem = forge_gym.problem(name, level=level, **drawn)
            found.append(solved(problem, problem.instance(0, k, "test")))
        yield labelled("LABEL LEVEL", name, level, found)


def by_suite(sample: int) -> Iterator[Row]:
    """Yield a row for each problem of the shipped suite."""
    _, rows = read(locate(BENCHMARK))
    count = min(sample or len(rows), len(rows))
    found: dict[str, list[Solved]] = {}
    for row in (rows[k * len(rows) // count] for k in range(count)):
        took, certificate = solved(row.problem, row.instance)
        assert not certificate.proven or certificate.value == row.reference.value, row.id
        found.setdefault(row.problem.name, []).append((took, certificate))
    for name, labels in found.items():
        yield labelled("LABEL SUITE", name, None, labels)


def circuit(instance: TSPInstance, limit: int = _CIRCUIT_LIMIT) -> Certificate[None]:
    """Return value and bound by CP-SAT's circuit constraint: the textbook model."""
    from ortools.sat.python import cp_model

    n, model = instance.size, cp_model.CpModel()
    arcs = [(i, j, model.new_bool_var("")) for i in range(n) for j in range(n) if i != j]
    model.add_circuit(arcs)
    model.minimize(sum(instance.rows[i][j] * used for i, j, used in arcs))
    found = cpsat.solve(model, limit, linearization_level=2)
    value = round(found.solver.objective_value) if found.feasible else -1
    return Certificate(None, value, found.bound, found.name, found.work)


def race(distribution: str, instances: int, cities: int = _CITIES) -> Row:
    """Return the row of TSP against CP-SAT, ``instances`` at least two."""
    tsp = forge_gym.problem("TSP", n=cities, distribution=distribution)
    ours: list[Solved] = []
    theirs: list[Solved] = []
    for k in range(instances):
        instance = tsp.instance(0, k, "test")
        ours.append(solved(tsp, instance))
        start = time.process_time()
        certificate = circuit(instance)
        theirs.append((time.process_time() - start, certificate))
        assert not certificate.proven or certificate.value == ours[-1][1].value, "two optima of one instance"
    row = labelled(f"LABEL RACE {distribution}", "TSP", None, ours)
    times, others = ([took * 1e6 for took, _ in side] for side in (ours, theirs))
    row |= {"peer": theirs[0][1].solver, "peer_proven": sum(c.proven for _, c in theirs) / instances}
    return row | judged(times, others, RACE_GOAL)


def measure(
    instances: int = 10, sample: int = 200, levels: Iterable[int] = LEVELS, cities: int = _CITIES
) -> Iterator[Row]:
    """Yield the rows of all problems, the suite and the race."""
    warm()
    for distribution in choices(TSP, "distribution"):
        yield race(distribution, max(2, instances), cities)
    for name in forge_gym.problems():
        yield from by_level(name, levels, instances)
    yield from by_suite(sample)


def line(row: Row) -> str:
    """Return a row as a line of the table."""
    level = "" if row["level"] is None else row["level"]
    named = f"{row['problem']:17} {row['id']:21} {level:>2}"
    times = f"{row['seconds']:8.4f} s  p95 {row['p95']:7.4f}  p99 {row['p99']:7.4f}  max {row['max']:7.4f}"
    held = "ok" if row["ok"] else "MISSED"
    rate = f"{row['per_second']:9.1f}/s  proven {row['proven']:4.0%}"
    if "ratio" in row:
        peer = f"{row['peer']} {row['peer_us'] / 1e6:.2f} s, proven {row['peer_proven']:.0%}"
        return f"{named} {times} {rate}  {peer}: {row['ratio']:.1f} x, goal {row['goal']:g}: {held}"
    return f"{named} {times} {rate}  p95 < {CEILING_S:g} s: {held}  {row['solver']}"


if __name__ == "__main__":
    raise SystemExit(
        program(
            __doc__,
            lambda given: measure(given.repeats, given.sample),
            lambda parser: parser.add_argument("--sample", type=int, default=200, help="rows of the suite; 0 for all"),
            line=line,
            repeats=10,
        )
    )
