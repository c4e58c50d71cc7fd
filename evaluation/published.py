"""The published benchmark's format: import its instances, and score by its metric.

Ten kinds of instance, each with the field names of the published system (Forge / NP-Engine), where
ids are strings, graphs are adjacency dictionaries and bisection matrices are dense. Instances keep
the published definitions (``variant="published"`` where they differ from ours) and get references
certified here, since the published baselines are not optimal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ..core.checks import nearest, shorten
from ..core.problem import Instance, Problem
from ..core.registry import problem as make_problem
from ..core.registry import problem_class
from ..core.verdict import Verdict
from .suite import Row, SuiteError

Data = dict[str, Any]


def _edges(data: Data) -> tuple[tuple[int, int], ...]:
    """Edges of an adjacency dictionary; its values are lists of neighbours or dictionaries keyed by them."""
    return tuple(sorted({(min(int(u), int(v)), max(int(u), int(v))) for u, vs in data.items() for v in vs}))


def _graph(name: str) -> Callable[[Data], Instance]:
    def convert(data: Data) -> Instance:
        edges = tuple((u, v) for u, v in _edges(data) if u != v)
        return problem_class(name).instance_type(len(data), edges)  # type: ignore[call-arg]

    return convert


def _cut(data: Data) -> Instance:
    weighted = tuple(
        (u, v, int(data[str(u)][str(v)])) for u, v in _edges(data) if u < v and data[str(u)][str(v)]
    )
    return problem_class("BalancedMinCut").instance_type(len(data), weighted)  # type: ignore[call-arg]


def _tsp(data: Data) -> Instance:
    n = len(data)
    rows = tuple(tuple(int(data[str(i)].get(str(j), 0)) for j in range(n)) for i in range(n))
    return problem_class("TSP").instance_type(matrix=rows)  # type: ignore[call-arg]


def _knapsack(data: Data) -> Instance:
    items = [data["items"][key] for key in _numbered(data["items"])]
    weights, values = (tuple(int(item[name]) for item in items) for name in ("weight", "value"))
    return problem_class("Knapsack").instance_type(int(data["capacity"]), weights, values)  # type: ignore[call-arg]


def _set_cover(data: Data) -> Instance:
    where = {element: i for i, element in enumerate(sorted(data["U"]))}
    subsets = tuple(tuple(sorted({where[e] for e in data["S"][key]})) for key in _numbered(data["S"]))
    return problem_class("SetCover").instance_type(len(where), subsets, (1,) * len(subsets))  # type: ignore[call-arg]


def _subset_sum(data: Data) -> Instance:
    numbers = tuple(int(data["numbers"][key]) for key in _numbered(data["numbers"]))
    return problem_class("SubsetSum").instance_type(int(data["target"]), numbers, exact=True)  # type: ignore[call-arg]


def _meetings(data: Data) -> Instance:
    people = data["attendee_availability"]
    meetings = tuple(
        (int(m["duration"]), tuple(sorted(map(int, m["attendees"]))))
        for m in (data["meetings"][key] for key in _numbered(data["meetings"]))
    )
    availability = tuple(tuple(sorted((int(a), int(b)) for a, b in people[key])) for key in _numbered(people))
    rooms = tuple(int(data["rooms"][key]) for key in _numbered(data["rooms"]))
    return problem_class("MeetingScheduling").instance_type(meetings, availability, rooms, step=1)  # type: ignore[call-arg]


def _numbered(data: Data) -> list[str]:
    """Return the keys "0", "1", ... in numeric order, or refuse others: answers name them by number."""
    keys = sorted(data, key=int)
    if keys != [str(i) for i in range(len(keys))]:
        raise ValueError(f"ids must be 0 to {len(keys) - 1}, got {shorten(keys)}")
    return keys


TASKS: dict[str, tuple[str, str, Callable[[Data], Instance]]] = {
    "graph_coloring": ("GraphColoring", "graph", _graph("GraphColoring")),
    "maximum_clique": ("MaxClique", "graph", _graph("MaxClique")),
    "maximum_independent_set": ("MaxIndependentSet", "graph", _graph("MaxIndependentSet")),
    "meeting_schedule": ("MeetingScheduling", "schedule", _meetings),
    "minimum_bisection": ("BalancedMinCut", "partition", _cut),
    "set_cover": ("SetCover", "selection", _set_cover),
    "subset_sum": ("SubsetSum", "selection", _subset_sum),
    "knapsack": ("Knapsack", "selection", _knapsack),
    "tsp": ("TSP", "planning", _tsp),
    "hamiltonian_cycle": ("HamiltonianCycle", "planning", _graph("HamiltonianCycle")),
}
"""Published task to our problem, its published domain, and the converter of its instances."""
_DOMAIN = {name: domain for name, domain, _ in TASKS.values()}


def convert(task: str, data: Data) -> tuple[Problem[Any, Any], Instance]:
    """Return problem and instance that a published instance is.

    Raises
    ------
    SuiteError
        If the task is unknown or the data are not in its format.
    """
    if task not in TASKS:
        raise SuiteError(
            f"task {shorten(task)} is not one of the ten published ones: {nearest(str(task), TASKS)}"
        )
    name, _, convert_data = TASKS[task]
    variant: Data = {"variant": "published"} if "variant" in problem_class(name).__dataclass_fields__ else {}
    problem = make_problem(name, **variant)
    try:
        instance = convert_data(data)
        instance.check()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SuiteError(f"an instance of {task} cannot be read: {error}") from error
    return problem, instance


def load(path: Path) -> tuple[str, list[Data]]:
    """Return task and entries of a file ``{"task": ..., "instances": [{"id", "instance", ...}, ...]}``.

    Raises
    ------
    SuiteError
        If the file is not of that form.
    """
    try:
        data = json.loads(path.read_text())
        task, entries = data["task"], list(data["instances"])
        for entry in entries:
            entry["id"], entry["instance"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SuiteError(f"{path} is not in the published format: {error}") from error
    return str(task), entries


def import_rows(path: Path, progress: Callable[[int], object] = lambda n: None) -> list[Row]:
    """Return certified rows of a published file; ``source`` keeps the published baseline for its metric."""
    task, entries = load(path)
    task = task if task in TASKS else path.stem
    rows = []
    for entry in entries:
        problem, instance = convert(task, entry["instance"])
        source = {"task": task, "level": entry.get("level"), "baseline": entry.get("reference_value")}
        rows.append(Row.certified(str(entry["id"]), problem, instance, None, source))
        progress(1)
    return rows


# ----------------------------------------------------------------------------------------- metric


def published_ratio(verdict: Verdict, row: Row) -> float:
    """Return the published ratio of one answer: value over baseline, or its inverse; 0 if infeasible.

    Not clipped, as published: an answer better than a weak baseline gets more than 1. The baseline is
    the one that came with the row, or the certified optimum.
    """
    if verdict.objective is None:
        return 0.0
    baseline, value = row.source.get("baseline"), verdict.objective
    baseline = float(row.certificate.value if baseline is None else baseline)
    if row.problem.sense == "max":
        return float(value) / baseline if baseline else float(value == baseline)
    return baseline / float(value) if value else float(value == baseline)


def published_scores(
    rows: Sequence[Row], verdicts: Sequence[Sequence[Verdict]]
) -> dict[str, dict[str, float]]:
    """Return the published success rate and quality ratio: best of all samples, per domain and overall.

    Parameters
    ----------
    rows, verdicts
        One row, and the verdicts of its samples, per instance.

    Returns
    -------
    dict
        For each problem, each domain and ``overall``: ``SR`` and ``QR`` in [0, inf). A domain is the mean
        of its problems, ``overall`` the unweighted mean of the domains.
    """
    best: dict[str, list[float]] = {}
    for row, samples in zip(rows, verdicts, strict=True):
        best.setdefault(row.problem.name, []).append(
            max(published_ratio(verdict, row) for verdict in samples)
        )
    scores = {
        name: {"SR": fmean(float(ratio > 0) for ratio in ratios), "QR": fmean(ratios)}
        for name, ratios in best.items()
    }
    domains: dict[str, list[str]] = {}
    for name in best:
        domains.setdefault(_DOMAIN.get(name, problem_class(name).family), []).append(name)
    means = {
        domain: {key: fmean(scores[name][key] for name in names) for key in ("SR", "QR")}
        for domain, names in domains.items()
    }
    overall = {key: fmean(mean[key] for mean in means.values()) for key in ("SR", "QR")}
    return {**scores, **{f"domain {domain}": mean for domain, mean in means.items()}, "overall": overall}
