"""Measure how cost grows with size: instances, prompts, verdicts, anchors, JSON and memory.

    python benchmarks/growth.py [--json FILE] [--repeats 5] [--only TEXT]

Sizes double up to 10,000 elements; a problem stops after the first size at which one piece of work took more than
0.6 s, or at the largest size that it accepts. Times are medians of process CPU time. An exponent is the slope of
log cost over log characters of the prompt at the five largest sizes: 1 is linear in the input, whatever the number
of elements. Up to 1.2 counts as linear, which leaves room for caches that are too small.

GEN is an instance from a seed, PROMPT its question. SCORE is a reply to its verdict: greedy's answer, which is
feasible; the same with a word too many, which is malformed; and of the answers that ignore the instance, such as
the same element again and again, an infeasible one. A reference is there before, made of greedy's answer. CERTIFY
is that: tables and anchors of a new instance, with no solving; the classic greedy algorithms need not be linear, so
it has no limit. JSON is an instance to text and back, checked, and its hash. PEAK is the most memory that GEN,
CERTIFY and SCORE hold at a time, beyond what was there, as Python and NumPy allocate it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from timing import Row, Work, interleaved, seconds

import forge_gym
from forge_gym.core.instance import Instance
from forge_gym.core.parameters import parameter_types
from forge_gym.core.problem import Problem
from forge_gym.core.reference import Certificate
from forge_gym.core.registry import problem_class
from forge_gym.kinds.table import plural

SIZES = tuple(10_000 >> k for k in range(6, -1, -1))
LINEAR = 1.2
"""Greatest exponent that counts as linear."""
_FITTED = 5
"""The largest sizes, over which an exponent is fitted."""
_PATIENCE_S, _ONCE_S, _LEAST_S = 0.6, 0.05, 0.006
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


def unproven(problem: Problem[Any, Any], instance: Instance) -> Certificate[Any]:
    """Return greedy's answer as if it were an optimum."""
    greedy = problem.heuristic(instance)
    value = problem.objective(instance, greedy)
    return Certificate(greedy, value, value, "none", 0)


def works(problem: Problem[Any, Any], instance: Instance, certificate: Certificate[Any]) -> dict[str, Work]:
    """Return all timed work on ``instance`` by its id; the status of every reply is checked."""
    problem.keep_reference(instance, problem.certify(instance, certificate))
    best = problem.format(instance, certificate.solution)
    null = [null for null in problem.null_answers(instance) if problem.violations(instance, null)][-1]
    replies = {"feasible": best, "malformed": best.replace("</answer>", " so</answer>")}
    replies["infeasible"] = problem.format(instance, null)
    for status, reply in replies.items():
        assert problem.verify(instance, reply).status == status

    def around() -> None:
        problem.digest(instance)
        problem.from_json(problem.to_json(instance))

    return {
        "GEN": problem.instance,
        "PROMPT": partial(problem.prompt, instance),
        **{f"SCORE {status}": partial(problem.verify, instance, reply) for status, reply in replies.items()},
        "CERTIFY": lambda: problem.certify(replace(instance), certificate),
        "JSON": around,
    }


def microseconds(timed: dict[str, Work], repeats: int) -> dict[str, float]:
    """Return the median CPU microseconds of each work, all by turns; of long ones those of the first call."""
    found = {id: seconds(work, 1) * 1e6 for id, work in timed.items()}
    quick = [id for id, us in found.items() if us < _ONCE_S * 1e6]
    times = interleaved([timed[id] for id in quick], repeats, _LEAST_S)
    return found | dict(zip(quick, map(statistics.median, times), strict=True))


def peak_mb(problem: Problem[Any, Any], certificate: Certificate[Any], reply: str) -> float:
    """Return the megabytes that an instance, its reference and the verdict of ``reply`` take at their peak."""
    tracemalloc.start()
    instance = problem.instance()
    problem.keep_reference(instance, problem.certify(instance, certificate))
    problem.verify(instance, reply)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def exponent(inputs: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of log cost over log input at the largest inputs."""
    return float(np.polyfit(np.log(inputs[-_FITTED:]), np.log(costs[-_FITTED:]), 1)[0])


def grow(case: Case, sizes: Sequence[int], repeats: int) -> Iterator[Row]:
    """Yield a row for each piece of work."""
    done, chars = [], []
    costs: dict[str, list[float]] = {}
    for n in sizes:
        problem = case.at(n)
        try:
            problem.instance().check()
        except ValueError:  # more than the problem accepts
            break
        instance = problem.instance()
        certificate = unproven(problem, instance)
        done.append(n)
        chars.append(len(problem.prompt(instance)))
        us = microseconds(works(problem, instance, certificate), repeats)
        memory = peak_mb(problem, certificate, problem.format(instance, certificate.solution))
        for id, cost in (*us.items(), ("PEAK", memory)):
            costs.setdefault(id, []).append(cost)
        if max(us.values()) > _PATIENCE_S * 1e6:
            break
    for id, spent in costs.items():
        row: Row = {"id": f"GROW {id}", "problem": case.problem, "input": case.input, "sizes": done}
        row |= {"chars": chars, "mb" if id == "PEAK" else "us": spent, "exponent": exponent(chars, spent)}
        limit = None if id == "CERTIFY" else LINEAR
        yield row | {"limit": limit, "ok": limit is None or row["exponent"] <= limit}


def measure(repeats: int = 5, sizes: Sequence[int] = SIZES, only: str = "") -> Iterator[Row]:
    """Yield the rows of all problems whose name contains ``only``; at least two ``sizes``, rising."""
    for case in cases():
        if only in case.problem:
            yield from grow(case, sizes, repeats)


def line(row: Row) -> str:
    """Return a row as a line of the table: cost at the largest size, and how it grew."""
    cost = f"{row['us'][-1]:12.1f} us" if "us" in row else f"{row['mb'][-1]:12.1f} MB"
    held = "" if row["limit"] is None else f"limit {row['limit']}: {'ok' if row['ok'] else 'MISSED'}"
    named = f"{row['problem']:17} {row['input']:12} {row['id']:21} n {row['sizes'][-1]:>6}"
    return f"{named} chars {row['chars'][-1]:>9} {cost}  exponent {row['exponent']:5.2f}  {held}".rstrip()


def main() -> int:
    """Print the table; exit with 1 where something that can be linear in the input is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the rows there too")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="only problems whose name contains this")
    arguments = parser.parse_args()
    rows = []
    for row in measure(arguments.repeats, only=arguments.only):
        rows.append(row)
        print(line(row), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return int(not all(row["ok"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
