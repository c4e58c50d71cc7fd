"""The contract of a problem: what its class declares, and what its hooks do. All other checks build on it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise, takewhile
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np

from ..core.answer import ANSWER_FORMATS
from ..core.checks import did_you_mean, short_repr
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.reference import Certificate, CertificateError
from ..kinds import Kind, as_kind
from ..kinds.table import STYLES
from .case import RAISED, Findings, at_most, child, place, raised
from .constants import changed
from .exhaustive import LIMIT, small

SECONDS = 30.0
"""Time in which a search that may take one step must end, the start of another process included; so must the hooks."""
LEVEL = 30
"""Level of the instance that is searched: far too large for a search without a limit."""
_LEVELS = (0, 3, 7, 12)
"""Levels at which all hooks are called, beside the given parameters."""
_SOLVED = 8
"""Instances that are solved with one step and with all."""
_ANSWERS = 60
"""Random answers to each instance whose violations are looked at."""
_SLOTS = {"tags": "<answer>", "line": "Answer:", "raw": ""}
_CALL = re.compile(r'File "(.*)", line (\d+),? in (\w+)')


def contract(problem: Problem[Any, Any]) -> Findings:
    """Return what breaks the contract, in one line each, with file and line."""
    findings = Findings(faults=declarations(type(problem)))
    for part in (_limit, _families, _hooks, _prompt, _levels, _ignored):
        if findings.faults:  # what comes next would say the same in other words
            break
        try:
            with at_most(2 * SECONDS if part is _limit else SECONDS):
                findings.faults += [f"{fault}: {where}" for fault, where in part(problem)]
        except CertificateError as error:  # it says itself what is wrong
            findings.faults.append(f"{error}: {place(type(problem), 'solve')}")
        except RAISED as error:
            findings.faults.append(raised(error, problem))
    return findings


def declarations(cls: type[Problem[Any, Any]]) -> list[str]:
    """Return what the class does not declare, or not as it must."""
    hints = get_type_hints(Problem)
    declared = {
        name
        for base in cls.__mro__
        for name, hint in vars(base).get("__annotations__", {}).items()
        if "ClassVar" in str(hint)
    }
    if missing := sorted(name for name in declared if not hasattr(cls, name)):
        return [f"{cls.__name__} must declare {', '.join(missing)}: {place(cls)}"]
    for name in ("form", "own", "mendable") if issubclass(cls, Kind) else ():
        if not isinstance(value := getattr(cls, name), tuple) or not all(isinstance(part, str) for part in value):
            return [f"{name} must be a tuple of names, got {short_repr(value)}: {place(cls)}"]
    faults = []
    for name in ("family", "sense"):
        valid, value = get_args(get_args(hints[name])[0]), getattr(cls, name)
        if value not in valid:
            hint = did_you_mean(str(value), valid)
            faults.append(f"{name} must be one of {list(valid)}, got {short_repr(value)}: {hint} {place(cls)}")
    for name in ("version", "work_limit", "most"):
        if type(value := getattr(cls, name)) is not int or value < 0:
            faults.append(f"{name} must be an integer of at least 0, got {short_repr(value)}: {place(cls)}")
    made: Any = cls.instance_type
    if not (isinstance(made, type) and issubclass(made, Instance)):
        faults.append(f"instance_type must be a subclass of Instance, got {short_repr(made)}: {place(cls)}")
    if issubclass(cls, Kind) and (strangers := set(cls.mendable) - set(cls.constraints)):
        rule = f"mendable must be some of the families {list(cls.constraints)}"
        faults.append(f"{rule}, got {sorted(strangers)}: {place(cls)}")
    return faults


def _shapes(problem: Problem[Any, Any]) -> Iterator[tuple[Problem[Any, Any], Instance]]:
    """Yield instances with the given parameters, and one at each of several levels."""
    for index in range(4):
        yield problem, problem.instance(index)
    for level in _LEVELS:
        shaped = problem.at_level(level)
        yield shaped, shaped.instance()


def _hooks(problem: Problem[Any, Any]) -> Iterator[tuple[str, str]]:
    rng, cls = np.random.default_rng(0), type(problem)
    for shaped, x in _shapes(problem):
        found: object = shaped.certificate(x, limit=1)
        if not isinstance(found, Certificate):
            yield f"solve must return a Certificate, got {short_repr(found)}", place(cls, "solve")
            return
        shaped.certify(x, found)
        solutions = {"random": shaped.random(x, rng), "trivial": shaped.trivial(x), "heuristic": shaped.heuristic(x)}
        solutions["neighbour"] = shaped.neighbour(x, solutions["random"], rng)
        for hook, solution in solutions.items():
            if type(solution) is not tuple:
                yield f"{hook} must return a solution, a tuple, got {short_repr(solution)}", place(cls, hook)
                return
            text = shaped.format_answer(x, solution)
            if type(text) is not str:
                yield f"an answer must be a text, got {short_repr(text)}", place(cls, "write")
                return
            shaped.parse_answer(x, text)
            value: Any = shaped.objective(x, shaped.canonical(x, solution))
            if type(value) not in (int, Fraction):
                kind = type(value).__name__
                rule = "objective must return an int or a Fraction"
                yield f"{rule}, got the {kind} {value}", place(cls, "objective")
                return
    first = problem.instance()
    if first != problem.instance() or first.to_json() != problem.instance().to_json():
        rule = "generate must take every draw from rng"
        yield f"{rule}, got two instances for one seed", place(cls, "generate")
    problem.reference(first)


def _families(problem: Problem[Any, Any]) -> Iterator[tuple[str, str]]:
    if strangers := {violation.family for violation in _violations(problem)}.difference(problem.constraints):
        rule = f"a violation must be of a family that the class declares, one of {list(problem.constraints)}"
        hint = "families of the problem's own stand in `own`"
        yield f"{rule}, got {sorted(strangers)}: {hint}", place(type(problem), "broken")


def _violations(problem: Problem[Any, Any]) -> Iterator[Any]:
    """Yield the violations of all answers to a small instance, and of many to larger ones."""
    for shaped, enumerate_ in small(problem, 3):
        instance = shaped.instance()
        for solution in islice(enumerate_(instance), LIMIT):
            yield from shaped.violations(instance, solution)
    rng = np.random.default_rng(0)
    for shaped, x in _shapes(problem):
        kind, good = as_kind(shaped), shaped.heuristic(x)
        answers = [*shaped.null_answers(x), *kind.patterns(x), *(kind.any_answer(x, rng) for _ in range(_ANSWERS))]
        entries = [entry for answer in answers for entry in answer]
        for answer in [*answers, *(changed(good, entries, rng) for _ in range(_ANSWERS))]:
            yield from shaped.violations(x, answer)


def _prompt(problem: Problem[Any, Any]) -> Iterator[tuple[str, str]]:
    forms: list[dict[str, Any]] = [{"style": style, "names": 0} for style in STYLES]
    forms += [{"style": "prose", "names": "words"}, {"style": "prose", "names": 7}]
    silent = []
    for form in forms:
        for answer_format in ANSWER_FORMATS:
            shaped = replace(as_kind(problem), **form, answer_format=answer_format)
            instance = shaped.instance()
            prompt, slot = shaped.prompt(instance), _SLOTS[answer_format]
            if type(prompt) is not str:
                yield f"a prompt must be a text, got {short_repr(prompt)}", place(type(problem), "prompt")
                return
            if form["style"] == "compact":  # a few bare words
                continue
            # Once where it is asked for, and once in the example.
            if shaped.answer(instance) not in prompt or (slot and prompt.count(slot) < 2):
                silent.append((form["style"], answer_format))
    if silent:
        styles, formats = (sorted({pair[k] for pair in silent}) for k in (0, 1))
        phrase = short_repr(as_kind(problem).answer(problem.instance()))
        rule = f"a prompt must say how to answer, {phrase}"
        got = f"got none of that with answer_format {formats} in style {styles}"
        yield f"{rule}, {got}", place(type(problem), "prompt")


def _levels(problem: Problem[Any, Any]) -> Iterator[tuple[str, str]]:
    sizes = [problem.at_level(level).instance().size for level in range(9)]
    if any(after <= before for before, after in pairwise(sizes)):
        yield f"instances must grow from level to level, got sizes {sizes}", place(type(problem), "at_level")


def _limit(problem: Problem[Any, Any]) -> Iterator[tuple[str, str]]:
    program = (
        f"\nfor level in (None, 0, {_last_level(problem)}):\n"
        "    print(f'\\nlevel {level}', flush=True)\n"
        "    shaped = problem if level is None else problem.at_level(level)\n"
        "    shaped.certificate(shaped.instance(), limit=1)\n"
        "print('\\nlevel end')"
    )
    run = child(problem, replace(problem, names=0).spec(), program, SECONDS)
    level = (re.findall(r"^level (\w+)$", run.stdout, re.MULTILINE) or ["None"])[-1]
    if not run.returncode and level == "end":  # and not ended by a hook
        return
    called = f"solve(..., limit=1) {'with the given parameters' if level == 'None' else f'at level {level}'}"
    # Of what ran too long the innermost call comes first, of an error last.
    late, source = run.stderr.startswith("Timeout"), inspect.getsourcefile(type(problem))
    calls = [
        f"{hook} ({Path(file).name}, line {line})" for file, line, hook in _CALL.findall(run.stderr) if file == source
    ]
    where = calls[0 if late else -1] if calls else place(type(problem), "solve")
    if late:
        rule = "solve must stop after limit steps of work, and every hook end"
        yield f"{rule}: {called} ran for more than {SECONDS:.0f} s", where
    else:
        words = takewhile(lambda line: not line.startswith(" "), reversed(run.stderr.strip().splitlines()))
        said = short_repr(" ".join([*words][::-1]), 300)[1:-1] or f"exit status {run.returncode}"
        yield f"{called} failed: {said}", where


def _ignored(problem: Problem[Any, Any]) -> Iterator[tuple[str, str]]:
    """Look for a solver that is quick and does not care for the limit: it finds the same with one step as with all."""
    shaped = problem.at_level(_LEVELS[1])
    for index in range(_SOLVED):
        x = shaped.instance(index)
        short = shaped.certificate(x, limit=1)
        # A first look at every element may be one step: solvers that prove at their root are as good as any.
        if short.work <= x.size or short != shaped.certificate(x):
            return
    rule = "solve must stop after limit steps of work"
    yield f"{rule}: solve(..., limit=1) took {short.work}, and ended as without a limit", place(type(problem), "solve")


def _last_level(problem: Problem[Any, Any]) -> int:
    """Return `LEVEL`, or the last level that there is."""
    for level in range(LEVEL, 0, -1):
        with suppress(ValueError):
            problem.at_level(level)
            return level
    return 0
