"""Every answer to a small instance, judged by the verifier and by the definition: they agree on all of them.

Answers are enumerated in the form in which they are written, wrong ones included: elements that do not
exist, elements twice, too few and too many of them. Among all that the definition accepts, the best must be
worth what the reference says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, combinations, combinations_with_replacement, permutations, product
from math import isqrt
from typing import Any, TypeAlias

from ..core.checks import shorten
from ..core.problem import Instance, Problem
from ..core.verdict import Number, Verdict
from .attacks import question
from .definitions import Definition

Answer: TypeAlias = list[Any]
"""An answer as JSON."""

LIMIT = 200_000
"""Answers of one instance that are enumerated at most."""
_PLACED = 5_000
"""Schedules that are enumerated at most; beyond, places are thinned out evenly."""


@dataclass(frozen=True)
class Agreement:
    """What a comparison of verifier, definition and reference found."""

    instances: int
    answers: int
    """Answers compared, over all instances."""
    feasible: int
    """How many of them are feasible."""
    faults: tuple[str, ...]


def declared(problem: Problem[Any, Any], parameter: str) -> list[Problem[Any, Any]]:
    """Return the problem with every value of ``parameter`` that its module declares, in ``VARIANTS`` and the like."""
    values = getattr(sys.modules[type(problem).__module__], f"{parameter.upper()}S", ())
    if parameter not in {field.name for field in fields(problem)}:
        return [problem]
    return [replace(problem, **{parameter: value}) for value in values or (getattr(problem, parameter),)]


def sized(problem: Problem[Any, Any], n: int) -> Problem[Any, Any] | None:
    """Return the problem with ``n`` elements, ``k`` bent to that; None where it has no such size."""
    names = {field.name for field in fields(problem)}
    bent: dict[str, Any] = {key: value for key, value in (("n", n), ("k", 2)) if key in names}
    try:
        return replace(problem, **bent)
    except ValueError:
        return None


def wild(problem: Problem[Any, Any], instance: Instance) -> Iterator[Answer]:
    """Yield all answers of the form that the problem's answers have, up to one element too many.

    The form is that of the trivial and the optimal answer: a list of integers, of rows, or of two lists.
    Elements are one more at either end than exist. Schedules are thinned out where they are too many.

    Raises
    ------
    ValueError
        If the problem's answers are of another form.
    """
    n, first = instance.size, int(getattr(instance, "first", 0))
    elements = range(first - 1, first + n + 1)
    form = _form(problem, instance)
    if form == "rows":
        yield from _schedules(problem, instance, first)
        return
    for length in range(n + 2):
        for flat in map(list, product(elements, repeat=length)):
            yield from ([flat] if form == "flat" else ([flat[:cut], flat[cut:]] for cut in range(length + 1)))


def tame(problem: Problem[Any, Any], instance: Instance) -> Iterator[Answer]:
    """Yield all answers without foreign or repeated elements: for instances somewhat larger than `wild` ones.

    Of schedules, every row, and every pair of rows that are feasible alone.
    """
    elements = range(instance.size)
    solutions: Iterable[tuple[Any, ...]]
    if problem.kind == "assignment":
        solutions = product(elements, repeat=instance.size)
    elif problem.kind == "permutation":
        solutions = permutations(elements)
    elif problem.kind == "schedule":
        rows = [(row,) for row in product(*problem.domains(instance))]
        alone = [row for row in rows if not problem.violations(instance, row)]
        alone = alone[:: -(-len(alone) // isqrt(2 * _PLACED))]
        solutions = chain(rows, ((*one, *other) for one, other in combinations(alone, 2)))
    else:
        arranged = combinations if problem.kind == "subset" else permutations
        solutions = chain.from_iterable(arranged(elements, size) for size in range(instance.size + 1))
    yield from (json.loads(problem.write(instance, solution)) for solution in solutions)


TAME_SIZES = {"assignment": 5, "permutation": 7, "subset": 10, "sequence": 6, "schedule": 10}
"""Elements of the instances for `tame`, by kind: a thousand to five thousand answers each."""


def _form(problem: Problem[Any, Any], instance: Instance) -> str:
    """Return the form of the problem's answers: ``flat``, ``pair`` or ``rows``."""
    solutions = (problem.trivial(instance), problem.reference(instance).solution)
    try:
        written = [json.loads(problem.write(instance, solution)) for solution in solutions]
    except ValueError:
        written = ["?"]
    if problem.kind == "schedule":
        return "rows"
    if all(isinstance(answer, list) and all(isinstance(x, int) for x in answer) for answer in written):
        return "flat"
    if all(len(answer) == 2 and all(isinstance(x, list) for x in answer) for answer in written):
        return "pair"
    raise ValueError(f"answers must be JSON lists of integers, of rows or of two lists, got {written[-1]!r}")


def _schedules(problem: Problem[Any, Any], instance: Instance, first: int) -> Iterator[Answer]:
    """Yield every way to place each element or not, then all lists of up to two rows, foreign ones included."""
    elements, *columns = problem.domains(instance)
    places: list[tuple[int, ...]] = list(product(*columns))
    apart = -(-len(places) // max(1, int(_PLACED ** (1 / len(elements))) - 1))
    for chosen in product([None, *places[::apart]], repeat=len(elements)):
        yield [[first + e, *place] for e, place in enumerate(chosen) if place is not None]
    ends = [
        sorted({column[0] - 1, *column[:: max(1, len(column) // 3)], column[-1], column[-1] + 1})
        for column in columns
    ]
    rows = [list(row) for row in product(range(first - 1, first + len(elements) + 1), *ends)]
    yield from ([row] for row in rows)
    yield from map(list, combinations_with_replacement(rows, 2))


def compare(
    problem: Problem[Any, Any],
    definition: Definition,
    instance: Instance,
    enumerate_answers: Callable[[Problem[Any, Any], Instance], Iterable[Answer]] = wild,
) -> Agreement:
    """Judge every answer to ``instance`` by verifier and definition, and hold the reference against the best.

    Schedules are too many to enumerate, so the best of them is only held against the reference's witness.

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
    for answer in enumerate_answers(problem, instance):
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
            faults.append(f"{shorten(answer)} to {shorten(problem.to_json(instance), 200)} {fault}")
    witness = definition(asked, json.loads(problem.write(instance, reference.solution)))
    if witness != reference.value or not reference.proven:
        faults.append(f"the reference is {reference.value}, its witness by the definition worth {witness}")
    if problem.kind != "schedule" and best != reference.value:
        faults.append(f"the best of all answers is worth {best}, the reference {reference.value}")
    return Agreement(1, count, feasible, tuple(faults))


def difference(verdict: Verdict, worth: int | None, optimum: Number) -> str:
    """Say where the verdict on an answer differs from its worth by definition; empty where it does not."""
    by_definition = "by the definition infeasible" if worth is None else f"by the definition worth {worth}"
    if verdict.status == "malformed":
        return f"cannot be read: {verdict.reason}"
    if verdict.objective != worth:
        verdict_says = (
            f"is worth {verdict.objective}" if verdict.feasible else f"is infeasible, {verdict.reason}"
        )
        return f"{verdict_says}, {by_definition}"
    if verdict.alarm or verdict.optimal != (worth is not None and worth == optimum):
        return f"is {'optimal' if verdict.optimal else 'not optimal'}, {by_definition}, the optimum {optimum}"
    return ""


def agreement(
    problem: Problem[Any, Any], definition: Definition, sizes: Sequence[int] = (3, 4), seeds: int = 2
) -> Agreement:
    """Compare on small instances of every variant and distribution.

    Parameters
    ----------
    problem, definition
        The problem, and what its answers are worth by definition.
    sizes
        Numbers of elements of the instances whose `wild` answers are enumerated.
    seeds
        Instances of each size of the first variant and distribution; one of the others.
    """
    instances = count = feasible = 0
    faults: list[str] = []
    shapes = [
        shaped for variant in declared(problem, "variant") for shaped in declared(variant, "distribution")
    ]
    for k, shaped in enumerate(shapes):
        small = [(found, wild) for n in sizes if (found := sized(shaped, n)) is not None]
        larger = sized(shaped, TAME_SIZES[problem.kind])
        for found, enumerated in [*small, *([(larger, tame)] if larger is not None else [])]:
            for seed in range(seeds if k == 0 else 1):
                part = compare(found, definition, found.instance(seed), enumerated)
                instances, count, feasible = instances + 1, count + part.answers, feasible + part.feasible
                faults += part.faults
    return Agreement(instances, count, feasible, tuple(faults))
