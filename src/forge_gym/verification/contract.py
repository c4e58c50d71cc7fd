"""The contract of a problem: what its class declares, and what its hooks do. All other checks build on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import Any, get_args, get_type_hints

import numpy as np

from ..core.answer import ANSWER_FORMATS
from ..core.checks import did_you_mean, short_repr
from ..core.problem import Problem
from ..core.reference import CertificateError
from ..kinds import as_kind
from .case import Findings, child, raised
from .exhaustive import LIMIT, small

SECONDS = 30.0
"""Time in which a search that may take one step must end, the start of another process included."""
LEVEL = 30
"""Level of the instance that is searched: far too large for a search without a limit."""
_INSTANCES = 4
_SLOTS = {"tags": "<answer>", "line": "Answer:", "raw": ""}


def contract(problem: Problem[Any, Any]) -> Findings:
    """Return what breaks the contract, in one line each."""
    findings = Findings()
    for part in (_declarations, _hooks, _families, _prompt, _limit):
        try:
            findings.faults += part(problem)
        except CertificateError as error:  # it says itself what is wrong
            findings.faults.append(str(error))
        except Exception as error:
            findings.faults.append(raised(error, problem))
        if findings.faults:  # what comes next would say the same in other words
            break
    return findings


def _declarations(problem: Problem[Any, Any]) -> Iterator[str]:
    cls, hints = type(problem), get_type_hints(Problem)
    declared = {
        name
        for base in cls.__mro__
        for name, hint in vars(base).get("__annotations__", {}).items()
        if "ClassVar" in str(hint)
    }
    if missing := sorted(name for name in declared if not hasattr(cls, name)):
        yield f"{cls.__name__} must declare {', '.join(missing)}"
        return
    for name in ("family", "sense"):
        valid, value = get_args(get_args(hints[name])[0]), getattr(cls, name)
        if value not in valid:
            yield f"{name} must be one of {list(valid)}, got {value!r}: {did_you_mean(str(value), valid)}"
    if strangers := set(as_kind(problem).mendable) - set(cls.constraints):
        yield f"mendable must be some of the families {list(cls.constraints)}, got {sorted(strangers)}"


def _hooks(problem: Problem[Any, Any]) -> Iterator[str]:
    rng = np.random.default_rng(0)
    for x in map(problem.instance, range(_INSTANCES)):
        reference = problem.reference(x)
        problem.certify(x, problem.certificate(x, limit=1))
        start = problem.random(x, rng)
        neighbour = problem.neighbour(x, start, rng)
        for solution in (reference.solution, start, neighbour, *problem.null_answers(x)):
            problem.parse_answer(x, problem.format_answer(x, solution))
        value: Any = problem.objective(x, problem.canonical(x, neighbour))
        if type(value) not in (int, Fraction):
            yield f"objective must return an int or a Fraction, got the {type(value).__name__} {value}"
            return


def _families(problem: Problem[Any, Any]) -> Iterator[str]:
    named = {
        violation.family
        for shaped, enumerate_ in small(problem, 3)
        for instance in (shaped.instance(),)
        for solution in islice(enumerate_(instance), LIMIT)
        for violation in shaped.violations(instance, solution)
    }
    if strangers := named.difference(problem.constraints):
        yield (
            f"a violation must be of a family that the class declares, one of {list(problem.constraints)}, "
            f"got {sorted(strangers)}: families of the problem's own stand in `own`"
        )


def _prompt(problem: Problem[Any, Any]) -> Iterator[str]:
    silent = []
    for answer_format in ANSWER_FORMATS:
        shaped = replace(as_kind(problem), style="prose", answer_format=answer_format)
        instance = shaped.instance()
        prompt, slot = shaped.prompt(instance), _SLOTS[answer_format]
        # Once where it is asked for, and once in the example.
        if shaped.answer(instance) not in prompt or (slot and prompt.count(slot) < 2):
            silent.append(answer_format)
    if silent:
        phrase = short_repr(as_kind(problem).answer(problem.instance()))
        yield f"a prompt must say how to answer, {phrase}, got none of that with answer_format {silent}"


def _limit(problem: Problem[Any, Any]) -> Iterator[str]:
    spec = replace(problem, names=0).spec(level=LEVEL)
    called = f"solve(..., limit=1) at level {LEVEL}"
    try:
        run = child(problem, spec, "problem.certificate(instance, limit=1)", SECONDS)
    except subprocess.TimeoutExpired:
        yield f"solve must stop after limit steps of work: {called} ran for more than {SECONDS:.0f} s"
        return
    if run.returncode:
        yield f"{called} failed: {run.stderr.strip().rpartition(chr(10))[2]}"
