"""The published benchmark's format: import its instances, read its answers, and score by its metric.

Ten kinds of instance, with the field names of the published system (Forge / NP-Engine). A problem's class names the
``published`` task that it is. References are certified here, since the published baselines are not optimal.

Two tasks spell answers otherwise: a cycle repeats its first vertex at the end, and a bisection lists both halves.
`PublishedCycle` and `PublishedBisection` read these spellings; their instances and optima are those of their bases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

from ..core.checks import did_you_mean, short_repr
from ..core.foreign import load_json
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.registry import problem as make_problem
from ..core.registry import problem_class, problems
from ..core.verdict import Malformed, Verdict, Violation
from ..envs.balanced_min_cut import BalancedMinCut
from ..envs.hamiltonian_cycle import HamiltonianCycle, HamiltonianCycleInstance
from ..kinds import Reader
from ..kinds.forms import elements, in_range, write_elements
from ..kinds.graph import WeightedGraph
from ..kinds.reading import read_lists
from ..kinds.sequence import Walk
from ..kinds.subset import Chosen
from ..kinds.table import Names
from .formats import read_text
from .rows import MAX_ID, Asked, Row
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
        return _opened(super().read(instance, text, names))

    def read_compact(self, instance: HamiltonianCycleInstance, text: str, names: Names) -> Walk:
        return _opened(super().read_compact(instance, text, names))

    def reader(self, instance: HamiltonianCycleInstance) -> Reader[Walk] | None:
        read = super().reader(instance)
        return read and (lambda walk: read(walk[:-1]) if walk and walk[0] == walk[-1] else None)

    def write(self, instance: HamiltonianCycleInstance, solution: Walk, names: Names) -> str:
        return super().write(instance, (*solution, *solution[:1]), names)

    def write_compact(self, instance: HamiltonianCycleInstance, solution: Walk, names: Names) -> str:
        return super().write_compact(instance, (*solution, *solution[:1]), names)

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


def _opened(walk: Walk) -> Walk:
    """Return a closed walk without its end, which is its start again; with a mark at the end what is none."""
    return walk[:-1] if len(walk) > 1 and walk[0] == walk[-1] else (*walk, _MARK)


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
        half = _smaller(read_lists(text), names)
        if half is None:
            raise Malformed(f"an answer is a JSON list of two flat lists of integers, got {short_repr(text)}")
        return half

    def reader(self, instance: WeightedGraph) -> Reader[Chosen]:
        first, n, known = self.names_of(instance).first, instance.n, elements(instance.n)

        def read(halves: list[list[int]]) -> tuple[Chosen, Any] | None:
            one, other = halves
            listed = [number - first for number in one + other] if first else one + other
            if len(listed) != n or len(known.intersection(listed)) != n or abs(len(one) - len(other)) > 1:
                return None
            half = tuple(listed[len(one) :] if len(other) < len(one) else listed[: len(one)])
            return half, frozenset(half)

        return read

    def write(self, instance: WeightedGraph, solution: Chosen, names: Names) -> str:
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


def _smaller(lists: list[list[int]], names: Names) -> Chosen | None:
    """Return the smaller of two halves; both with a mark between where they are none, and of other lists None."""
    if len(lists) != 2:
        return None
    one, other = lists if not names.first else [[vertex - names.first for vertex in half] for half in lists]
    known = elements(names.size).intersection(one + other)
    if len(known) == names.size == len(one) + len(other) and abs(len(one) - len(other)) <= 1:
        return tuple(other if len(other) < len(one) else one)
    return (*one, _MARK, *other)


# -------------------------------------------------------------------------------------- instances


def _whole(what: str, value: Any) -> int:
    """Return an integer; a boolean, a text or a fraction is none."""
    if type(value) is not int:
        raise ValueError(f"{what} must be an integer, got {short_repr(value)}")
    return value


def _list(what: str, value: Any) -> list[int]:
    """Return a list of integers, each once."""
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list, got {short_repr(value)}")
    numbers = [_whole(f"each of {what}", number) for number in value]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{what} must be distinct, got {short_repr(value)}")
    return numbers


def _object(what: str, data: Any, *names: str) -> list[Any]:
    """Return what an object with exactly these names holds."""
    if not isinstance(data, dict) or set(data) != set(names):
        raise ValueError(f"{what} must be an object with {', '.join(names)}, got {short_repr(data)}")
    return [data[name] for name in names]


def _numbered(what: str, data: Any) -> list[Any]:
    """Return the values of the keys "0", "1", ... in order, or refuse other keys: answers name them by number."""
    if not isinstance(data, dict):
        raise ValueError(f"{what} must be an object, got {short_repr(data)}")
    ids = dict.fromkeys(map(str, range(len(data))))
    for id in data:
        if id not in ids:
            raise ValueError(f"ids of {what} must be '0' to '{len(data) - 1}', got {short_repr(id)}")
    return [data[id] for id in ids]


def _graph(data: Data) -> Data:
    """Read an adjacency object; its values are lists of neighbours, or objects with a 1 for each."""
    n, edges = len(data), set()
    for u, neighbours in enumerate(_numbered("vertices", data)):
        if isinstance(neighbours, dict):
            for name, one in neighbours.items():
                if name not in data or _whole(f"edge {u}-{name}", one) != 1:
                    raise ValueError(f"edge {u}-{name} must be 1, and between vertices, got {short_repr(one)}")
            neighbours = [int(name) for name in neighbours]
        for v in _list(f"neighbours of {u}", neighbours):
            if not 0 <= v < n or v == u:
                raise ValueError(f"neighbours of {u} must be other vertices from 0 to {n - 1}, got {v}")
            edges.add((u, v))
    for u, v in sorted(edges):
        if (v, u) not in edges:
            raise ValueError(f"an edge must be listed at both ends, got {u}-{v} at {u} alone")
    return {"n": n, "edges": tuple(sorted((u, v) for u, v in edges if u < v))}


def _matrix(data: Data) -> list[list[int]]:
    """Read a symmetric number for each two vertices; one from a vertex to itself may be missing, or is 0."""
    rows = _numbered("vertices", data)
    n, matrix = len(rows), []
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"vertex {i} must have an object, got {short_repr(row)}")
        names = [str(j) for j in range(n)]
        for name in row:
            if name not in data:
                raise ValueError(f"pair {i}-{name} must be of vertices, got {short_repr(name)}")
        for j, name in enumerate(names):
            if name not in row and j != i:
                raise ValueError(f"pair {i}-{j} must have a number, got none")
        matrix.append([_whole(f"pair {i}-{j}", row.get(name, 0)) for j, name in enumerate(names)])
    for i in range(n):
        for j in range(i + 1):
            one, other = matrix[i][j], matrix[j][i]
            if one != other:
                raise ValueError(f"pair {i}-{j} must have one number both ways, got {one} and {other}")
            if i == j and one:
                raise ValueError(f"pair {i}-{i} must have 0, or be left out, got {one}")
    return matrix


def _cut(data: Data) -> Data:
    matrix = _matrix(data)
    n = len(matrix)
    edges = tuple([(u, v, matrix[u][v]) for u in range(n) for v in range(u + 1, n) if matrix[u][v]])
    return {"n": n, "edges": edges}


def _tsp(data: Data) -> Data:
    return {"matrix": tuple(map(tuple, _matrix(data)))}


def _knapsack(data: Data) -> Data:
    capacity, items = _object("the instance", data, "capacity", "items")
    pairs = [_object(f"item {i}", item, "weight", "value") for i, item in enumerate(_numbered("items", items))]
    weights = tuple([_whole(f"weight of item {i}", weight) for i, (weight, _) in enumerate(pairs)])
    values = tuple([_whole(f"value of item {i}", value) for i, (_, value) in enumerate(pairs)])
    return {"capacity": _whole("capacity", capacity), "weights": weights, "values": values}


def _set_cover(data: Data) -> Data:
    universe, subsets = _object("the instance", data, "U", "S")
    where = {element: i for i, element in enumerate(sorted(_list("U", universe)))}
    rows = []
    for i, subset in enumerate(_numbered("S", subsets)):
        for element in _list(f"subset {i}", subset):
            if element not in where:
                raise ValueError(f"subset {i} must hold elements of U, got {element}")
        rows.append(tuple(sorted([where[element] for element in subset])))
    return {"universe": len(where), "subsets": tuple(rows), "costs": (1,) * len(rows)}


def _subset_sum(data: Data) -> Data:
    target, numbers = _object("the instance", data, "target", "numbers")
    whole = tuple([_whole(f"number {i}", number) for i, number in enumerate(_numbered("numbers", numbers))])
    return {"target": _whole("target", target), "numbers": whole}


def _meetings(data: Data) -> Data:
    names = ("meetings", "attendee_availability", "rooms")
    meetings, people, rooms = _object("the instance", data, *names)
    asked = []
    for i, meeting in enumerate(_numbered("meetings", meetings)):
        attendees, duration = _object(f"meeting {i}", meeting, "attendees", "duration")
        asked.append((_whole(f"duration of meeting {i}", duration), tuple(sorted(_list(f"meeting {i}", attendees)))))
    availability = []
    for i, free in enumerate(_numbered("attendee_availability", people)):
        if not isinstance(free, list) or not all(isinstance(span, list) and len(span) == 2 for span in free):
            raise ValueError(f"availability of {i} must be a list of pairs, got {short_repr(free)}")
        availability.append(tuple(sorted([tuple(_list(f"a span of {i}", span)) for span in free])))
    seats = tuple([_whole(f"room {i}", room) for i, room in enumerate(_numbered("rooms", rooms))])
    return {"meetings": tuple(asked), "availability": tuple(availability), "rooms": seats, "step": 1}


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
        If the task is unknown or the data are not in its format. Nothing is rounded, filled in or left out.
    """
    if task not in TASKS:
        raise SuiteError(f"task {short_repr(task)} is none of the ten published ones: {did_you_mean(str(task), TASKS)}")
    try:
        if not isinstance(data, dict):
            raise ValueError(f"an instance must be an object, got {short_repr(data)}")
        fields = TASKS[task](data)
        problem = make_problem(tasks()[task], **({"step": 1} if "step" in fields else {}))
        instance = problem.instance_type(**fields)
        instance.check()
    except ValueError as error:
        raise SuiteError(f"an instance of {task} cannot be read: {error}") from error
    return problem, instance


def import_rows(path: Path, progress: Callable[[int], object] = lambda n: None, task: str = "") -> list[Row]:
    """Return certified rows of a file in one of the published forms.

    ``{"task": ..., "instances": [{"id", "instance", "reference_value"}, ...]}``, or the published system's own:
    ``{"big_small": ..., "questions": {id: instance, ...}}``, and
    ``{id: {"task_type", "question", "ground_truth", ...}, ...}``. The ``source`` of a row keeps the published baseline,
    ``reference_value`` or ``ground_truth``, for the published metric.

    Parameters
    ----------
    path
        The file, which may be packed with gzip.
    progress
        Called with the number of instances done since the last call.
    task
        The task of instances in a file that does not state it. By default it is told by the names of file and folder,
        or by the form of the data where only one task has it. A number above 0 for each two vertices makes a TSP.

    Raises
    ------
    SuiteError
        If the file is not of that form, naming the entry.
    """
    try:
        data = load_json(read_text(path))
        entries = list(_entries(data, task, path))
        if not entries:
            raise ValueError("it must hold an instance, got none")
    except (OSError, ValueError) as error:
        raise SuiteError(f"{path} is not in the published format: {error}") from error
    rows: dict[str, Row] = {}
    for id, kind, published, baseline, level in entries:
        try:
            if id in rows:
                raise SuiteError("ids must be distinct, got this one twice")
            if not (id.isprintable() and 0 < len(id) <= MAX_ID):
                raise SuiteError(f"ids must have 1 to {MAX_ID} characters, all printable, got this one")
            if not (baseline is None or type(baseline) in (int, float)):
                raise SuiteError(f"the baseline must be a number, got {short_repr(baseline)}")
            if not (level is None or type(level) in (str, int)):
                raise SuiteError(f"the level must be a text or a number, got {short_repr(level)}")
            problem, instance = convert(kind, published)
        except SuiteError as error:
            raise SuiteError(f"{path}, entry {short_repr(id)}: {error}") from error
        source = {"task": kind, "level": level, "baseline": baseline}
        rows[id] = Row.of(problem, instance, source, id=id)
        progress(1)
    return list(rows.values())


_ALIASES = {
    "gcp_d": "graph_coloring",
    "maximum_clique_problem": "maximum_clique",
    "maximum_set": "maximum_independent_set",
    "minimum_cut": "minimum_bisection",
}
"""Names of tasks in the published system, where it has others than the paper."""

Entry = tuple[str, str, Any, Any, Any]
"""Id, task, instance, baseline and level of a published instance."""


def _entries(data: Any, task: str, path: Path) -> Iterator[Entry]:
    if not isinstance(data, dict):
        raise ValueError(f"it must hold a JSON object, got {short_repr(data)}")
    stated = task or data.get("task", "")
    if stated and _task(stated) not in TASKS:
        raise ValueError(
            f"task must be a published one, got {short_repr(stated)}: {did_you_mean(_task(stated), TASKS)}"
        )
    stem = path.name.split(".")[0]
    kind = next((_task(name) for name in (stated, stem, path.absolute().parent.name) if _task(name) in TASKS), "")
    if "instances" in data:
        if not isinstance(data["instances"], list):
            raise ValueError(f"instances must be a list, got {short_repr(data['instances'])}")
        for at, entry in enumerate(data["instances"]):
            if not isinstance(entry, dict) or "id" not in entry or "instance" not in entry:
                raise ValueError(f"entry {at} must be an object with id and instance, got {short_repr(entry)}")
            found = kind or _told(entry["instance"], "")
            if type(entry["id"]) not in (str, int):
                raise ValueError(f"the id of entry {at} must be a text or a number, got {short_repr(entry['id'])}")
            yield str(entry["id"]), found, entry["instance"], entry.get("reference_value"), entry.get("level")
    elif "questions" in data:
        if not isinstance(data["questions"], dict):
            raise ValueError(f"questions must be an object, got {short_repr(data['questions'])}")
        for id, question in data["questions"].items():
            found = kind or _told(question, data.get("big_small"))
            yield f"{found}-{stem}-{id}", found, question, None, _level(id)
    else:
        for id, entry in data.items():
            if not isinstance(entry, dict) or "task_type" not in entry or "question" not in entry:
                raise ValueError("it must hold instances, questions, or objects with task_type and question, got none")
            yield id, _task(entry["task_type"]), entry["question"], entry.get("ground_truth"), _level(id)


def _task(name: Any) -> str:
    """Return a task by the name that it has here, whichever the published system writes."""
    plain = str(name).lower().replace("-", "_")
    return _ALIASES.get(plain, plain)


def _level(id: str) -> str | None:
    return next((level for level in ("easy", "medium", "hard", "bench") if id.startswith(level)), None)


def _told(data: Any, goal: Any) -> str:
    """Return the task that an instance of this form is of; ``goal`` is "big" to maximise and "small" to minimise."""
    names = {"capacity": "knapsack", "U": "set_cover", "target": "subset_sum", "meetings": "meeting_schedule"}
    rows = data if isinstance(data, dict) else {}
    for name, task in names.items():
        if name in rows:
            return task
    if rows and all(isinstance(row, list) for row in rows.values()) and goal == "small":
        return "graph_coloring"
    if rows and all(isinstance(row, dict) for row in rows.values()) and goal in ("big", "small"):
        if goal == "big":
            return "maximum_independent_set"
        zeros = any(row[v] == 0 for u, row in rows.items() for v in row if u != v)
        return "minimum_bisection" if zeros and all(u in row for u, row in rows.items()) else "tsp"
    raise ValueError(f"the task must be given, since several have data of this form: one of {', '.join(TASKS)}")


# ----------------------------------------------------------------------------------------- metric


def published_ratio(verdict: Verdict, row: Row | Asked) -> float:
    """Return value over baseline, or its inverse; 0 if infeasible. As published, it is not clipped."""
    value, baseline = verdict.objective, row.baseline
    if value is None:
        return 0.0
    if row.problem.sense == "max":
        return float(value) / baseline if baseline else float(value == baseline)
    return baseline / float(value) if value else float(value == baseline)


def published_scores(rows: Sequence[Row | Asked], verdicts: Sequence[Sequence[Verdict]]) -> dict[str, Score]:
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
