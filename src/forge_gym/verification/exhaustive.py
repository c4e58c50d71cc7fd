"""Every answer to a small instance, judged by the verifier and by the definition: they agree on all of them.

Wrong answers are among them: elements that do not exist, elements twice, too few and too many. Among all that the
definition accepts, the best must be worth what the reference says.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from ..core.checks import short_repr
from ..core.instance import Instance
from ..core.parameters import choices
from ..core.problem import Problem
from ..core.verdict import Number, Verdict
from ..kinds import Kind, as_kind
from .case import Case, Findings, Reply, stated
from .definitions import Definition

LIMIT = 200_000
"""Answers of one instance that are enumerated at most."""


def families(problem: Problem[Any, Any]) -> list[Problem[Any, Any]]:
    """Return the problem with every value of its parameter ``distribution``; as it is, where it has none."""
    names = choices(type(problem), "distribution")
    return [replace(problem, **{"distribution": name}) for name in names] or [problem]


def sized(problem: Problem[Any, Any], n: int) -> Kind[Any, Any] | None:
    """Return the problem with ``n`` elements, ``k`` bent to that; None where it has no such size."""
    bent: dict[str, Any] = {"n": n, "k": 2} if hasattr(problem, "k") else {"n": n}
    try:
        return replace(as_kind(problem), **bent)
    except ValueError:
        return None


def small(
    problem: Problem[Any, Any], *sizes: int
) -> Iterator[tuple[Problem[Any, Any], Callable[[Any], Iterable[Any]]]]:
    """Yield the problem with so many elements and its `Kind.wild` answers, and a size larger with `Kind.everything`."""
    for n in sizes:
        if kind := sized(problem, n):
            yield kind, kind.wild
    if larger := sized(problem, as_kind(problem).enumerable):
        yield larger, larger.everything


def answers(case: Case, solutions: Iterable[Any]) -> Iterator[tuple[int | None, Reply]]:
    """Yield for each of the ``solutions`` what it is worth by the definition, and the reply that states it."""
    for solution in solutions:
        body = case.problem.format_answer(case.instance, solution)
        worth = case.worth(json.loads(body))
        wrong = partial(difference, worth, case.reference.value)
        yield worth, Reply(f"answer {short_repr(body, 40)}", case, f"<answer>{body}</answer>", wrong)


def compare(
    problem: Problem[Any, Any], definition: Definition, instance: Instance, solutions: Iterable[Any]
) -> Findings:
    """Judge all ``solutions`` of ``instance`` by verifier and definition, and hold the reference against the best.

    Where a kind thins out its answers, the best of these may fall short of the reference. More than `LIMIT` solutions
    are a ``ValueError``.
    """
    case, best = Case(problem, definition, instance), None
    findings, optimum = Findings(Counter(answers=0, feasible=0)), case.reference.value
    for worth, reply in answers(case, solutions):
        findings.counts["answers"] += 1
        if findings.counts["answers"] > LIMIT:
            rule = f"an instance to enumerate must have at most {LIMIT} answers"
            raise ValueError(f"{rule}, got more to one of {instance.size} elements: try a smaller n")
        if worth is not None:
            findings.counts["feasible"] += 1
            best = worth if best is None or problem.better(worth, best) else best
        if fault := reply.wrong(problem.verify(instance, reply.text)):
            findings.faults.append(f"{reply.name} to {short_repr(problem.to_json(instance), 200)} {fault}")
    witness = case.worth(json.loads(case.good))
    if witness != optimum or not case.reference.proven:
        findings.faults.append(f"the reference is {optimum}, its witness by the definition worth {witness}")
    beaten = best is not None and problem.better(best, optimum)
    if beaten or (as_kind(problem).enumerates_all and best != optimum):
        findings.faults.append(f"the best of all answers is worth {best}, the reference {optimum}")
    return findings


def difference(worth: int | None, optimum: Number, verdict: Verdict) -> str:
    """Say where the verdict on an answer differs from its worth by definition; empty where it does not."""
    by_definition = "by the definition infeasible" if worth is None else f"by the definition worth {worth}"
    if verdict.status == "malformed":
        return f"cannot be read: {verdict.reason}"
    if not stated(verdict):
        return f"breaks each constraint once and by more than 0, got {short_repr(verdict.violations)}"
    if verdict.objective != worth:
        outcome = f"worth {verdict.objective}" if verdict.feasible else f"infeasible, {verdict.reason}"
        return f"is {outcome}, {by_definition}"
    if verdict.beats_bound or verdict.optimal != (worth is not None and worth == optimum):
        return f"is {'optimal' if verdict.optimal else 'not optimal'}, {by_definition}, the optimum {optimum}"
    return ""


def agreement(problem: Problem[Any, Any], definition: Definition) -> Findings:
    """Compare on small instances of every family: two of each size of the first one, one of the others."""
    findings = Findings()
    for k, family in enumerate(families(problem)):
        for shaped, enumerate_ in small(family, 3, 4):
            for instance in map(shaped.instance, range(1 if k else 2)):
                part = compare(shaped, definition, instance, enumerate_(instance))
                findings.counts += part.counts + Counter(instances=1)
                findings.faults += part.faults
    return findings
