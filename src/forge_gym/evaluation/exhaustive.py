"""Every answer to a small instance, judged by the verifier and by the definition: they agree on all of them.

Answers are enumerated in the form in which they are written, wrong ones included: elements that do not
exist, elements twice, too few and too many of them. Among all that the definition accepts, the best must be
worth what the reference says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..core.checks import short_repr
from ..core.instance import Instance
from ..core.parameters import choices
from ..core.problem import Problem
from ..core.verdict import Number, Verdict
from ..kinds.kind import as_kind
from .attacks import question, stated
from .definitions import Definition

LIMIT = 200_000
"""Answers of one instance that are enumerated at most."""


@dataclass(frozen=True)
class Agreement:
    """What a comparison of verifier, definition and reference found."""

    instances: int
    answers: int
    """Answers compared, over all instances."""
    feasible: int
    """How many of them are feasible."""
    faults: tuple[str, ...]


def families(problem: Problem[Any, Any]) -> list[Problem[Any, Any]]:
    """Return the problem with every value of its parameter ``distribution``; as it is, where it has none."""
    cls: Any = type(problem)
    return [replace(problem, **{"distribution": name}) for name in choices(cls, "distribution")] or [problem]


def sized(problem: Problem[Any, Any], n: int) -> Problem[Any, Any] | None:
    """Return the problem with ``n`` elements, ``k`` bent to that; None where it has no such size."""
    names = {field.name for field in fields(problem)}
    bent: dict[str, Any] = {key: value for key, value in (("n", n), ("k", 2)) if key in names}
    try:
        return replace(problem, **bent)
    except ValueError:
        return None


def wild(problem: Problem[Any, Any], instance: Instance) -> Iterator[Any]:
    """Yield all answers of the right form, foreign and repeated elements and one element too many included."""
    return as_kind(problem).wild(instance)


def everything(problem: Problem[Any, Any], instance: Instance) -> Iterator[Any]:
    """Yield all answers without foreign or repeated elements: for instances somewhat larger than `wild` ones."""
    return as_kind(problem).everything(instance)


def compare(
    problem: Problem[Any, Any],
    definition: Definition,
    instance: Instance,
    enumerated: Callable[[Problem[Any, Any], Instance], Iterable[Any]] = wild,
) -> Agreement:
    """Judge every answer to ``instance`` by verifier and definition, and hold the reference against the best.

    Where a kind thins out its answers, the best of these may fall short of the reference.

    Raises
    ------
    ValueError
        If there are more answers than `LIMIT`, or they are of a form that cannot be enumerated.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.evaluation.definitions import tsp
    >>> problem = forge_gym.problem("TSP", n=4)
    >>> compare(problem, tsp, problem.instance(seed=0))
    Agreement(instances=1, answers=9331, feasible=24, faults=())
    """
    asked, reference = question(problem, instance), problem.reference(instance)
    better = max if problem.sense == "max" else min
    faults: list[str] = []
    count = feasible = 0
    best: int | None = None
    for solution in enumerated(problem, instance):
        answer = json.loads(problem.format_answer(instance, solution))
        count += 1
        if count > LIMIT:
            raise ValueError(
                f"an instance to enumerate must have at most {LIMIT} answers, got more to one of {instance.size} "
                "elements: the parameter n of a problem is its number of elements"
            )
        worth = definition(asked, answer)
        verdict = problem.verify(instance, f"<answer>{json.dumps(answer)}</answer>")
        if worth is not None:
            feasible += 1
            best = worth if best is None else better(best, worth)
        fault = difference(verdict, worth, reference.value)
        if fault:
            faults.append(f"{short_repr(answer)} to {short_repr(problem.to_json(instance), 200)} {fault}")
    witness = definition(asked, json.loads(problem.format_answer(instance, reference.solution)))
    if witness != reference.value or not reference.proven:
        faults.append(f"the reference is {reference.value}, its witness by the definition worth {witness}")
    beaten = best is not None and problem.better(best, reference.value)
    if beaten or (as_kind(problem).enumerates_all and best != reference.value):
        faults.append(f"the best of all answers is worth {best}, the reference {reference.value}")
    return Agreement(1, count, feasible, tuple(faults))


def difference(verdict: Verdict, worth: int | None, optimum: Number) -> str:
    """Say where the verdict on an answer differs from its worth by definition; empty where it does not."""
    by_definition = "by the definition infeasible" if worth is None else f"by the definition worth {worth}"
    if verdict.status == "malformed":
        return f"cannot be read: {verdict.reason}"
    if not stated(verdict):
        return f"breaks each constraint once and by more than 0, got {short_repr(verdict.violations)}"
    if verdict.objective != worth:
        verdict_says = (
            f"is worth {verdict.objective}" if verdict.feasible else f"is infeasible, {verdict.reason}"
        )
        return f"{verdict_says}, {by_definition}"
    if verdict.beats_bound or verdict.optimal != (worth is not None and worth == optimum):
        return f"is {'optimal' if verdict.optimal else 'not optimal'}, {by_definition}, the optimum {optimum}"
    return ""


def agreement(
    problem: Problem[Any, Any], definition: Definition, sizes: Sequence[int] = (3, 4), seeds: int = 2
) -> Agreement:
    """Compare on small instances of every family.

    Parameters
    ----------
    problem, definition
        The problem, and what its answers are worth by definition.
    sizes
        Numbers of elements of the instances whose `wild` answers are enumerated.
    seeds
        Instances of each size of the first family; one of the others.
    """
    instances = count = feasible = 0
    faults: list[str] = []
    for k, family in enumerate(families(problem)):
        small = [(found, wild) for n in sizes if (found := sized(family, n)) is not None]
        larger = sized(family, as_kind(problem).enumerable)
        for found, enumerated in [*small, *([(larger, everything)] if larger is not None else [])]:
            for seed in range(seeds if k == 0 else 1):
                part = compare(found, definition, found.instance(seed), enumerated)
                instances, count, feasible = instances + 1, count + part.answers, feasible + part.feasible
                faults += part.faults
    return Agreement(instances, count, feasible, tuple(faults))
