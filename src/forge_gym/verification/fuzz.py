"""Mutated replies by the thousand: each is judged at bounded cost, and what is accepted is accepted rightly.

A mutant that is still feasible has to mean literally what it says, and to be worth what the definition says.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..core.answer import ANSWER_FORMATS, extract_answer
from ..core.checks import short_repr
from ..core.problem import Problem
from ..core.verdict import Verdict
from .case import Case, Findings, Reply
from .definitions import Definition

_CHARACTERS = "0123456789-,[] \n\r\t.eE+\"'{}()<>/answertruhk:`_\0\u00e9\uff11\u200b\ud800\ufeff\u0663"
_TOKENS = (
    *("<answer>", "</answer>", "<think>", "</think>", "Answer:", "```", "```json\n"),
    *("[", "]", "[]", ", ", "null", "true", "-0", "1e9", "NaN", "9" * 30, " ", "\n"),
)
_NUMBER = re.compile(r"-?\d+")
_INSTANCES = 6
_SOLUTIONS = 40
"""Random feasible solutions to each instance, from which mutants are made that are often feasible."""


def mutate(rng: random.Random, text: str, other: str) -> str:
    """Return ``text`` after one to four random edits, some with pieces of ``other``."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        at, end = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        edit = rng.randrange(9)
        if edit == 0:
            text = text[:at] + rng.choice(_CHARACTERS) + text[at + 1 :]
        elif edit == 1:
            text = text[:at] + rng.choice(_CHARACTERS) + text[at:]
        elif edit == 2:
            text = text[:at] + text[at + 1 :]
        elif edit == 3:
            text = text[:at] + rng.choice(_TOKENS) + text[at:]
        elif edit == 4:  # cut a piece out, or say it twice
            text = text[:at] + text[end:] if rng.random() < 0.5 else text[:end] + text[at:]
        elif edit == 5:
            text = text[:at] + other[at:]
        else:  # three of nine, since only these often leave a reply that can be read
            text = _renumbered(rng, text)
    return text


def _renumbered(rng: random.Random, text: str) -> str:
    """Change, exchange, repeat or drop one number."""
    places = [match.span() for match in _NUMBER.finditer(text)]
    if not places:
        return text
    start, stop = rng.choice(places)
    number, edit = text[start:stop], rng.randrange(6)
    if edit == 0:
        return f"{text[:start]}{int(number[:20]) + rng.choice((-1, 1, 2, 2**32, 2**64))}{text[stop:]}"
    if edit == 1:
        return f"{text[:start]}{rng.randrange(12)}{text[stop:]}"
    if edit == 2:
        return f"{text[:start]}{number}, {rng.randrange(12)}{text[stop:]}"
    if edit == 3:  # with the comma that follows
        return text[:start] + text[stop:].removeprefix(", ")
    first, second = sorted([(start, stop), rng.choice(places)])
    if first == second:
        return text
    between = text[first[1] : second[0]]
    return text[: first[0]] + text[slice(*second)] + between + text[slice(*first)] + text[second[1] :]


def fuzz(problem: Problem[Any, Any], definition: Definition, replies: int, seed: int = 0) -> Findings:
    """Judge ``replies`` mutants of good replies, in every style and answer format; count them by status."""
    # Half of the mutants in the form that most models answer in, the others in all forms alike.
    others = forms(problem)
    usual = [replace(problem, style="prose", answer_format="tags")] * len(others)
    cases = [Case(f, definition, f.instance(k % _INSTANCES)) for k, f in enumerate(usual + others)]
    findings = Findings(Counter(replies=replies))
    for reply in mutated(cases, replies, seed):
        verdict, faults = reply.judged()
        if verdict is not None:
            findings.counts[verdict.status] += 1
        findings.faults += [f"{fault}, for the reply {short_repr(reply.text, 200)}" for fault in faults]
    return findings


def compare_quick(problem: Problem[Any, Any], replies: int, seed: int = 0) -> Findings:
    """Judge ``replies`` mutants of good replies in the quick way and by the hooks; count those that are judged at once.

    Numbers in them turn into booleans, floats, signs, other scripts' digits, and integers of the same hash.
    """
    rng, findings = random.Random(seed), Findings(Counter(replies=replies, quick=0))
    shaped = [replace(problem, style="prose", answer_format="tags", names=names) for names in (0, 0, 0, 7)]
    banks = []
    for k, form in enumerate(shaped):
        instance = form.instance(k)
        draws = np.random.default_rng(k)
        solutions = [form.random(instance, draws) for _ in range(_SOLUTIONS)] + list(form.anchors(instance))
        bank = [form.format(instance, solution) for solution in solutions]
        for text in bank:
            form.verify(instance, text)  # the first feasible one is followed by the quick way
        banks.append((form, instance, bank, form.quick(instance, {"reference": form.reference(instance)})))
    for _ in range(replies):
        form, instance, bank, quick = banks[rng.randrange(len(banks))]
        text = rng.choice(bank)
        text = mutate(rng, text, rng.choice(bank)) if rng.random() < 0.3 else _tricked(rng, text)
        verdict, plain = form.verify(instance, text), form.verify_plainly(instance, text)
        findings.counts["quick"] += quick is not None and quick(instance, text) is not None
        if verdict != plain or repr(verdict) != repr(plain):
            findings.faults.append(f"{verdict} at once, {plain} by the hooks, for the reply {short_repr(text, 200)}")
    return findings


def _tricked(rng: random.Random, text: str) -> str:
    """Change the text around an answer, its blanks, or how one of its numbers is written."""
    places = [match.span() for match in _NUMBER.finditer(text)]
    edit = rng.randrange(8)
    if edit == 0:
        return (
            rng.choice(("So ", "<think>1</think>", "<think>", "a < b ", "</think>", "\u0663 \ud800", "<answer>")) + text
        )
    if edit == 1:
        return text.replace(", ", rng.choice((",", " ,", "\n,\t", ",\u00a0", ",\f", ", , ")), rng.choice((1, -1)))
    if edit == 2:
        return text.replace("]", rng.choice((" ]", "]]", "]]]", "", ", ]", "], [", "]\n")), 1)
    if edit == 3 or not places:
        return text + rng.choice(("", "\n", " ", ".", "</answer>", "<", "\0"))
    start, stop = rng.choice(places)
    number = int(text[start:stop])
    spellings: tuple[str, ...] = (
        f"{number}.0",
        "true",
        "false",
        f"-{number}",
        f"0{number}",
        f"{number}e0",
        f"+{number}",
        "null",
        "-0",
    )
    spellings += (str(number + 2**61 - 1), str(number + 2**64), "9" * 5_000, f'"{number}"', f"[{number}]", "\uff11")
    spellings += (str(number + 1), str(rng.randrange(60)), f"{number}, {number}", "NaN", f" {number} ")
    return text[:start] + rng.choice(spellings) + text[stop:]


def mutated(cases: Sequence[Case], replies: int, seed: int = 0) -> Iterator[Reply]:
    """Yield mutants of sound replies, to one case after another."""
    rng = random.Random(seed)
    for k in range(replies):
        case = cases[k % len(cases)]
        text = mutate(rng, rng.choice(case.sound), rng.choice(case.sound))
        yield Reply(f"mutated reply {k}", case, text, partial(second_opinion, case, text))


def forms(problem: Problem[Any, Any]) -> list[Problem[Any, Any]]:
    """Return the problem in every form in which answers are read: style and names, and answer format."""
    return [
        replace(problem, style=style, names=names, answer_format=answer_format)
        for style, names in (("prose", 0), ("prose", 7), ("prose", "words"), ("compact", 0))
        for answer_format in ANSWER_FORMATS
    ]


def second_opinion(case: Case, text: str, verdict: Verdict) -> str:
    """Hold what was read against what was written, and its worth against the definition."""
    problem = case.problem
    in_json = (problem.style, problem.names) == ("prose", 0)
    if verdict.status == "malformed" or not (verdict.feasible or in_json):
        return ""  # what is infeasible need not have a spelling of its own in other forms
    body = extract_answer(text, problem.answer_format)
    meant = problem.format_answer(case.instance, verdict.solution)
    if verdict.feasible and not (body.isascii() and _words(body) == _words(meant)):
        return f"read as {short_repr(verdict.solution)}"
    worth = case.worth(json.loads(body if in_json else case.in_json(verdict.solution)))
    return "" if worth == verdict.objective else f"worth {verdict.objective}, by the definition {worth}"


def _words(body: str) -> Any:
    """Return what an answer says, whatever its blanks: JSON lists as such, else words."""
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, list) else body.split()
