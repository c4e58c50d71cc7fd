"""The published benchmark's format: import its instances, read its answers, and score by its metric.

Ten kinds of instance, with the field names of the published system (Forge / NP-Engine). A problem's class names the
``published`` task that it is. References are certified here, since the published baselines are not optimal.

Two tasks spell answers otherwise: a cycle repeats its first vertex at the end, and a bisection lists both halves.
`PublishedCycle` and `PublishedBisection` read these spellings; their instances and optima are those of their bases.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

from ..core.checks import did_you_mean, short_repr
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.registry import problem as make_problem
from ..core.registry import problem_class, problems
from ..core.verdict import Malformed, Verdict, Violation
from ..envs.balanced_min_cut import BalancedMinCut
from ..envs.hamiltonian_cycle import HamiltonianCycle, HamiltonianCycleInstance
from ..kinds.forms import in_range, write_elements
from ..kinds.graph import WeightedGraph
from ..kinds.reading import read_lists
from ..kinds.sequence import Walk
from ..kinds.subset import Chosen
from ..kinds.table import Names
from .rows import Row
from .suite import SuiteError

Data = dict[str, Any]
Score = dict[str, float]


# ---------------------------------------------------------------------------------------- answers


_MARK: Any = -0.5
"""Marks an answer in the published spelling that is none of ours, and so stays infeasible; no answer spells it."""


@dataclass(frozen=True, kw_only=True)
class PublishedCycle(HamiltonianCycle):
    """`HamiltonianCycle`, answered as in the published benchmark: with the first vertex again at the end."""

    published: ClassVar = ""

    def answer(self, instance: HamiltonianCycleInstance) -> str:
        return "a JSON list of the cycle's vertices in order, with the first vertex repeated at the end,"

    def read(self, instance: HamiltonianCycleInstance, text: str, names: Names) -> Walk:
        walk = super().read(instance, text, names)
        closed = len(walk) > 1 and walk[0] == walk[-1]
        return walk[:-1] if closed else (*walk, _MARK)

    def write(self, instance: HamiltonianCycleInstance, solution: Walk, names: Names) -> str:
        return super().write(instance, (*solution, *solution[:1]), names)

    def violations(self, instance: HamiltonianCycleInstance, solution: Walk) -> tuple[Violation, ...]:
        if solution[-1:] != (_MARK,):
            return super().violations(instance, solution)
        walk = solution[:-1]  # it does not return to its first vertex
        along = sum(map(instance.arcs.__contains__, pairwise(walk)))
        needed = max(3, len(walk))
        reason = f"consecutive vertices are adjacent, got {along} edges of {needed} for a cycle"
        if along == len(walk) - 1:
            reason = "a cycle ends with its first vertex again, got another"
        others = [broken for broken in super().violations(instance, walk) if broken.family != "adjacent"]
        return (*others, Violation("adjacent", needed - along, needed, reason))


@dataclass(frozen=True, kw_only=True)
class PublishedBisection(BalancedMinCut):
    """`BalancedMinCut`, answered as in the published benchmark: with the vertices of both halves."""

    published: ClassVar = ""

    def check(self) -> None:
        super().check()
        if not isinstance(self.names, int):
            raise ValueError(f"names must be a number for answers of two lists, got {short_repr(self.names)}")

    def answer(self, instance: WeightedGraph) -> str:
        return "a JSON list of two lists, the vertices of each half in any order, every vertex once,"

    def read(self, instance: WeightedGraph, text: str, names: Names) -> Chosen:
        if self.style == "compact":
            return super().read(instance, text, names)
        lists = [[vertex - names.first for vertex in half] for half in read_lists(text)]
        if len(lists) != 2:
            raise Malformed(f"an answer is a JSON list of two flat lists of integers, got {short_repr(text)}")
        one, other = lists
        if sorted(one + other) == list(range(instance.n)) and abs(len(one) - len(other)) <= 1:
            return tuple(other if len(other) < len(one) else one)
        return (*one, _MARK, *other)

    def write(self, instance: WeightedGraph, solution: Chosen, names: Names) -> str:
        if self.style == "compact":
            return super().write(instance, solution, names)
        others = [vertex for vertex in range(instance.n) if vertex not in solution]
        return f"[{write_elements(solution, names)}, {write_elements(others, names)}]"

    def violations(self, instance: WeightedGraph, solution: Chosen) -> tuple[Violation, ...]:
        if _MARK not in solution:
            return super().violations(instance, solution)
        at, n = solution.index(_MARK), instance.n
        one, other = solution[:at], solution[at + 1 :]
        listed = in_range((*one, *other), n)
        broken = [v for v in super().clean(instance, (*one, *other))[0] if v.family == "known"]
        missing, repeats = n - len(set(listed)), len(listed) - len(set(listed))
        if missing + repeats:
            reason = f"every vertex is listed exactly once, got {missing} missing and {repeats} repetitions"
            broken.append(Violation("once", missing + repeats, max(n, missing + repeats), reason))
        apart = abs(len(one) - len(other))
        if apart > 1:
            reason = f"the sizes of the halves differ by at most 1, got {len(one)} and {len(other)}"
            broken.append(Violation("balanced", apart - 1, max(n, apart), reason))
        return tuple(broken)

    def null_answers(self, instance: WeightedGraph) -> list[Chosen]:
        n = instance.n
        return [(_MARK,), (*range(n), _MARK), (*(0,) * (n // 2), _MARK, *(0,) * (n - n // 2))]


# -------------------------------------------------------------------------------------- instances


def _edges(data: Data) -> tuple[tuple[int, int], ...]:
    """Edges of an adjacency dictionary; its values are lists of neighbours or dictionaries keyed by them."""
    return tuple(sorted({(min(int(u), int(v)), max(int(u), int(v))) for u, vs in data.items() for v in vs}))


def _graph(data: Data) -> Data:
    return {"n": len(data), "edges": tuple((u, v) for u, v in _edges(data) if u != v)}


def _cut(data: Data) -> Data:
    weighted = tuple((u, v, int(data[str(u)][str(v)])) for u, v in _edges(data) if u < v and data[str(u)][str(v)])
    return {"n": len(data), "edges": weighted}


def _tsp(data: Data) -> Data:
    n = len(data)
    return {"matrix": tuple(tuple(int(data[str(i)].get(str(j), 0)) for j in range(n)) for i in range(n))}


def _knapsack(data: Data) -> Data:
    items = _numbered(data["items"])
    weights, values = (tuple(int(item[name]) for item in items) for name in ("weight", "value"))
    return {"capacity": int(data["capacity"]), "weights": weights, "values": values}


def _set_cover(data: Data) -> Data:
    where = {element: i for i, element in enumerate(sorted(data["U"]))}
    subsets = tuple(tuple(sorted({where[e] for e in subset})) for subset in _numbered(data["S"]))
    return {"universe": len(where), "subsets": subsets, "costs": (1,) * len(subsets)}


def _subset_sum(data: Data) -> Data:
    return {"target": int(data["target"]), "numbers": tuple(map(int, _numbered(data["numbers"])))}


def _meetings(data: Data) -> Data:
    meetings = tuple((int(m["duration"]), tuple(sorted(map(int, m["attendees"])))) for m in _numbered(data["meetings"]))
    people = _numbered(data["attendee_availability"])
    availability = tuple(tuple(sorted((int(a), int(b)) for a, b in free)) for free in people)
    rooms = tuple(map(int, _numbered(data["rooms"])))
    return {"meetings": meetings, "availability": availability, "rooms": rooms, "step": 1}


def _numbered(data: Data) -> list[Any]:
    """Return the values of the keys "0", "1", ... in order, or refuse other keys: answers name them by number."""
    keys = sorted(data, key=int)
    if keys != [str(i) for i in range(len(keys))]:
        raise ValueError(f"ids must be 0 to {len(keys) - 1}, got {short_repr(keys)}")
    return [data[key] for key in keys]


TASKS: dict[str, Callable[[Data], Data]] = {
    "graph_coloring": _graph,
    "maximum_clique": _graph,
    "maximum_independent_set": _graph,
    "meeting_schedule": _meetings,
    "minimum_bisection": _cut,
    "set_cover": _set_cover,
    "subset_sum": _subset_sum,
    "knapsack": _knapsack,
    "tsp": _tsp,
    "hamiltonian_cycle": _graph,
}
"""Published task to what makes the fields of our instance of its data."""


_SPELT = {"hamiltonian_cycle": "PublishedCycle", "minimum_bisection": "PublishedBisection"}
"""Tasks whose answers are spelt otherwise than ours, to the problems that read them."""
_DOMAINS = {"scheduling": "schedule"}
"""Published domains that have another name than our families."""


@cache
def tasks() -> dict[str, str]:
    """Return our problem for each published task, as its class says."""
    names = {getattr(problem_class(name), "published", ""): name for name in problems()}
    return {task: name for task, name in names.items() if task} | _SPELT


def convert(task: str, data: Data) -> tuple[Problem[Any, Any], Instance]:
    """Return problem and instance that a published instance is.

    Raises
    ------
    SuiteError
        If the task is unknown or the data are not in its format.
    """
    if task not in TASKS:
        raise SuiteError(f"task {short_repr(task)} is none of the ten published ones: {did_you_mean(str(task), TASKS)}")
    try:
        fields = TASKS[task](data)
        problem = make_problem(tasks()[task], **({"step": 1} if "step" in fields else {}))
        instance = problem.instance_type(**fields)
        instance.check()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SuiteError(f"an instance of {task} cannot be read: {error}") from error
    return problem, instance


def import_rows(path: Path, progress: Callable[[int], object] = lambda n: None) -> list[Row]:
    """Return certified rows of a file ``{"task": ..., "instances": [{"id", "instance", ...}, ...]}``.

    Their ``source`` keeps the published baseline, ``reference_value``, for the published metric.

    Raises
    ------
    SuiteError
        If the file is not of that form.
    """
    try:
        data = json.loads(path.read_text())
        task = str(data["task"])
        entries = [(str(entry["id"]), entry["instance"], entry) for entry in data["instances"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SuiteError(f"{path} is not in the published format: {error}") from error
    task = task if task in TASKS else path.stem
    rows = []
    for id, published, entry in entries:
        problem, instance = convert(task, published)
        source = {"task": task, "level": entry.get("level"), "baseline": entry.get("reference_value")}
        rows.append(Row.of(problem, instance, source, id=id))
        progress(1)
    return rows


# ----------------------------------------------------------------------------------------- metric


def published_ratio(verdict: Verdict, row: Row) -> float:
    """Return value over baseline, or its inverse; 0 if infeasible. As published, it is not clipped.

    The baseline is the one that came with the row, or the certified optimum.
    """
    if verdict.objective is None:
        return 0.0
    baseline, value = row.source.get("baseline"), verdict.objective
    baseline = float(row.reference.value if baseline is None else baseline)
    if row.problem.sense == "max":
        return float(value) / baseline if baseline else float(value == baseline)
    return baseline / float(value) if value else float(value == baseline)


def published_scores(rows: Sequence[Row], verdicts: Sequence[Sequence[Verdict]]) -> dict[str, Score]:
    """Return ``SR`` and ``QR`` in [0, inf), the published success rate and quality ratio, of the best of all samples.

    They are those of each problem, of each domain (the mean of its problems) and ``overall`` (the unweighted mean of
    the domains). ``verdicts`` holds those of the samples of each row.
    """
    best: dict[str, list[Score]] = {}
    for row, samples in zip(rows, verdicts, strict=True):
        ratio = max(published_ratio(verdict, row) for verdict in samples)
        best.setdefault(row.problem.name, []).append({"SR": float(ratio > 0), "QR": ratio})
    scores = {name: _mean(row_scores) for name, row_scores in best.items()}
    families = {row.problem.name: row.problem.family for row in rows}
    domains: dict[str, list[Score]] = {}
    for name, family in families.items():
        domains.setdefault(f"domain {_DOMAINS.get(family, family)}", []).append(scores[name])
    means = {domain: _mean(problem_scores) for domain, problem_scores in domains.items()}
    return {**scores, **means, "overall": _mean(means.values())}


def _mean(scores: Collection[Score]) -> Score:
    return {key: fmean(score[key] for score in scores) for key in ("SR", "QR")}
