"""Measure how cost grows with size: instances, prompts, verdicts, anchors, JSON and memory.

    python benchmarks/growth.py [--json FILE] [--repeats 5] [--only TEXT]

Sizes double up to 10,000 elements, ten times what problems accept elsewhere, where references would take too long. A
problem stops earlier where one piece of work took more than 0.6 s. Times are process CPU time, the least of all
repeats; where a limit is missed, all is measured again, up to twice, since a busy machine only adds to costs, and
most to the longest. An exponent is the slope of log cost over log characters of the prompt at the four largest sizes: 1
is linear in the input, whatever the number of elements. Up to 1.2 counts as linear, which leaves room for caches that
are too small.

GEN is an instance from a seed, PROMPT its question. SCORE is a reply to its verdict: the trivial answer, which is
feasible, of exact sums a random one; the same with a word too many, which is malformed; and of the answers that ignore
the instance, such as the same element again and again, an infeasible one. A reference is there before, made of the
feasible answer. ANCHORS are trivial and greedy objective of a new instance; the classic greedy algorithms need not be
linear, so they have no limit, and larger sizes go without them once they took 0.6 s. JSON is an instance to text and
back, checked, and its hash, up to the size that files may have; it has no limit for exact sums, where the check asks
whether any numbers hit the target. PEAK is the most memory that GEN and SCORE hold at a time, beyond what was there, as
Python and NumPy allocate it.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from math import isqrt
from typing import Any
from unittest.mock import patch

import numpy as np
from timing import Row, Work, enough, program, seconds

import forge_gym
from forge_gym.core.instance import Instance
from forge_gym.core.parameters import parameter_types
from forge_gym.core.problem import Problem
from forge_gym.core.reference import Reference
from forge_gym.core.registry import problem_class
from forge_gym.kinds.table import plural

SIZES = tuple(10_000 >> k for k in range(6, -1, -1))
LINEAR = 1.2
"""Greatest exponent that counts as linear."""
_FITTED = 4
"""The largest sizes, over which an exponent is fitted: tables make those below 1,024 quicker."""
_MORE = 2
"""How often a case is measured again, all sizes, where a limit is missed: other processes only add to a cost."""
_PATIENCE_S, _ONCE_S, _LEAST_S = 0.6, 0.1, 0.006
"""Seconds of one call after which no larger size is tried, after which it is not repeated, and of a repeat."""
_DEGREE = 8
"""Mean number of neighbours in sparse graphs."""


BY_SIZE: dict[str, Callable[[int], Any]] = {
    "grid": lambda n: max(100, 2 * isqrt(n)),
    "p": lambda n: min(1.0, _DEGREE / n),
}
"""Parameters that follow the size, wherever a problem has them: places for all, and sparse graphs."""


@dataclass(frozen=True)
class Case:
    """Instances of one problem that differ in size only."""

    problem: str
    input: str
    """What the data of an instance are."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that are the same at all sizes."""

    def at(self, n: int) -> Problem[Any, Any]:
        """Return the problem of size ``n``."""
        known = parameter_types(problem_class(self.problem))
        by_size = {key: value(n) for key, value in BY_SIZE.items() if key in known}
        return forge_gym.problem(self.problem, n=n, **{**by_size, **self.fixed})


def cases() -> Iterator[Case]:
    """Yield every problem as it is by default, graphs sparse; then the same data in other forms."""
    for name in forge_gym.problems():
        cls = problem_class(name)
        sparse = {"p", "degree"} & set(parameter_types(cls))
        yield Case(name, "sparse graph" if sparse else plural(cls.noun))  # type: ignore[attr-defined] # a kind's
    yield Case("MaxClique", "dense graph", {"p": 0.5})
    yield Case("TSP", "matrix", {"distribution": "matrix", "grid": 100})


def some_answer(problem: Any, instance: Any) -> Any:
    """Return the trivial answer; of exact sums, where a dynamic programme of gigabytes finds that, one by chance."""
    if problem.name != "ExactSubsetSum":
        return problem.trivial(instance)
    orders = (np.random.default_rng(seed).permutation(instance.size).tolist() for seed in count())
    sums = (tuple(sorted(problem.complete(instance, order))) for order in orders)
    return next(chosen for chosen in sums if problem.feasible(instance, chosen))


def unproven(problem: Problem[Any, Any], instance: Instance) -> Reference[Any]:
    """Return `some_answer` as if it were an optimum, and another answer were worse by one."""
    solution = some_answer(problem, instance)
    value = problem.objective(instance, solution)
    worse = value - 1 if problem.sense == "max" else value + 1
    return Reference(solution, value, value, "none", 0, problem.sense, worse, worse)


def works(problem: Problem[Any, Any], instance: Instance, reference: Reference[Any]) -> dict[str, Work]:
    """Return all timed work on ``instance`` by its id; the status of every reply is checked."""
    problem.keep_reference(instance, reference)
    best = problem.format(instance, reference.solution)
    null = [null for null in problem.null_answers(instance) if problem.violations(instance, null)][-1]
    replies = {"feasible": best, "malformed": best.replace("</answer>", " so</answer>")}
    replies["infeasible"] = problem.format(instance, null)
    for status, reply in replies.items():
        assert problem.verify(instance, reply).status == status

    def around() -> None:
        problem.digest(instance)
        problem.from_json(problem.to_json(instance))

    work: dict[str, Work] = {
        "GEN": problem.instance,
        "PROMPT": lambda: problem.prompt(replace(instance)),  # or it is remembered
        **{f"SCORE {status}": partial(problem.verify, instance, reply) for status, reply in replies.items()},
        "ANCHORS": lambda: problem.anchors(replace(instance)),
    }
    with suppress(ValueError):  # files may hold less
        instance.check()
        work["JSON"] = around
    return work


def microseconds(timed: dict[str, Work], repeats: int) -> dict[str, float]:
    """Return the least CPU microseconds of each work, all by turns; of those above 0.1 s those of the first call."""
    found = {id: seconds(work, 1) * 1e6 for id, work in timed.items()}
    loops = {id: enough(timed[id], _LEAST_S) for id, us in found.items() if us < _ONCE_S * 1e6}
    for _ in range(repeats):
        for id, calls in loops.items():
            timed[id]()  # or the few calls of long work find other caches than the many of short work
            found[id] = min(found[id], seconds(timed[id], calls) / calls * 1e6)
    return found


def peak_mb(problem: Problem[Any, Any], reference: Reference[Any], reply: str) -> float:
    """Return the megabytes that an instance and the verdict of ``reply`` take at their peak."""
    tracemalloc.start()
    instance = problem.instance()
    problem.keep_reference(instance, reference)
    problem.verify(instance, reply)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def exponent(inputs: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of log cost over log input at the largest inputs."""
    return float(np.polyfit(np.log(inputs[-_FITTED:]), np.log(costs[-_FITTED:]), 1)[0])


def grow(case: Case, sizes: Sequence[int], repeats: int) -> Iterator[Row]:
    """Yield a row for each piece of work."""
    costs: dict[str, list[float]] = {}
    reached: dict[str, list[tuple[int, int]]] = {}
    slow: set[str] = set()
    with patch.object(problem_class(case.problem), "most", max(sizes)):
        for n in sizes:
            problem = case.at(n)
            instance = problem.instance()
            place, reference = (n, len(problem.prompt(instance))), unproven(problem, instance)
            timed = {id: work for id, work in works(problem, instance, reference).items() if id not in slow}
            spent = microseconds(timed, repeats)
            spent["PEAK"] = peak_mb(problem, reference, problem.format(instance, reference.solution))
            for id, cost in spent.items():
                costs.setdefault(id, []).append(cost)
                reached.setdefault(id, []).append(place)
            slow |= {id for id in timed if spent[id] > _PATIENCE_S * 1e6}
            if slow - {"ANCHORS"}:
                break
    for id, spent_at in costs.items():
        done, chars = zip(*reached[id], strict=True)
        row: Row = {"id": f"GROW {id}", "problem": case.problem, "input": case.input, "sizes": list(done)}
        row |= {"chars": chars, "mb" if id == "PEAK" else "us": spent_at, "exponent": exponent(chars, spent_at)}
        limit = None if id == "ANCHORS" or (case.problem, id) == ("ExactSubsetSum", "JSON") else LINEAR
        yield row | {"limit": limit, "ok": limit is None or row["exponent"] <= limit}


def again(one: Row, other: Row) -> Row:
    """Return the row of the least costs of two, at the sizes that both have reached."""
    unit = "us" if "us" in one else "mb"
    least = list(map(min, one[unit], other[unit]))
    row = one | {unit: least, **{key: one[key][: len(least)] for key in ("sizes", "chars")}}
    row["exponent"] = exponent(row["chars"], least)
    return row | {"ok": row["limit"] is None or row["exponent"] <= row["limit"]}


def measure(repeats: int = 5, sizes: Sequence[int] = SIZES, only: str = "") -> Iterator[Row]:
    """Yield the rows of all problems whose name contains ``only``; at least two ``sizes``, rising."""
    gc.disable()  # as timeit does: a collection takes the longer the more there is, whoever made it
    try:
        for case in cases():
            if only in case.problem:
                rows = {row["id"]: row for row in grow(case, sizes, repeats)}
                for _ in range(_MORE):
                    if not all(row["ok"] for row in rows.values()):
                        more = {row["id"]: row for row in grow(case, sizes, repeats)}
                        rows = {id: again(rows[id], more[id]) for id in rows.keys() & more.keys()}
                yield from [rows[id] for id in sorted(rows)]
                gc.collect()
    finally:
        gc.enable()


def line(row: Row) -> str:
    """Return a row as a line of the table: cost at the largest size, and how it grew."""
    cost = f"{row['us'][-1]:12.1f} us" if "us" in row else f"{row['mb'][-1]:12.1f} MB"
    held = "" if row["limit"] is None else f"limit {row['limit']}: {'ok' if row['ok'] else 'MISSED'}"
    named = f"{row['problem']:17} {row['input']:12} {row['id']:21} n {row['sizes'][-1]:>6}"
    return f"{named} chars {row['chars'][-1]:>9} {cost}  exponent {row['exponent']:5.2f}  {held}".rstrip()


if __name__ == "__main__":
    raise SystemExit(program(__doc__, lambda given: measure(given.repeats, only=given.only), line=line, repeats=5))
