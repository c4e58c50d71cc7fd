"""Mutation testing of a verifier: each check is deleted or weakened in turn, and some test must notice.

The functions that a verdict goes through are changed one place at a time, while the battery's replies, every answer to
some small instances and a few thousand mutated replies are judged again. A change that nothing notices survives: either
no test covers that check, or it is redundant. Then its line says why: ``# redundant: a cycle that short lacks edges``.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from types import CodeType, FunctionType
from typing import Any

from rich.markup import escape
from rich.table import Table

from .. import kinds, solvers
from ..core.answer import extract_answer
from ..core.checks import short_repr
from ..core.problem import Problem
from ..kinds import Kind, as_kind
from .attacks import ROWS, F, Outcome
from .case import Case, Overtime, Reply, at_most
from .definitions import Definition
from .exhaustive import answers, small
from .fuzz import forms, mutated

_SHARED = (extract_answer.__module__, kinds.__name__)
"""Modules and packages whose functions are mutated beside the problem's own: all reading goes through them."""
_PACKAGES = (*_SHARED, solvers.__name__)
REDUNDANT = "# redundant: "
"""Begins the comment that says why a check is redundant."""
_MUTANT_S = 60.0
"""Seconds after which a mutant is dead, since it loops."""
_REPLIES = 3_000
_LONG = 5_000
"""Characters from which a reply takes longer to judge than most mutants live."""


@dataclass(frozen=True)
class Mutant:
    """One place of the verifier, deleted or weakened."""

    function: str
    line: int
    """In the function's file."""
    change: str
    killed_by: str
    """The first test that notices; empty where none does."""
    excuse: str = ""
    """Why no test can notice, as the comment on that line says; empty where it says nothing."""
    shared: bool = False
    """Whether it is in code that all problems share. There the tests of any problem may notice."""

    @property
    def survives(self) -> bool:
        """Whether the problem's own code has a check that no test notices and no comment excuses."""
        return not (self.killed_by or self.excuse or self.shared)


def functions(problem: type[Kind[Any, Any]], shared: bool | None = None) -> list[FunctionType]:
    """Return the functions that reading and checking an answer go through.

    They are those that all problems share, or with False the problem's own, or with None both.
    """
    reached: dict[FunctionType, None] = {}
    waiting: list[Any] = [problem.broken, problem.clean, problem.read, problem.read_compact, extract_answer]
    bases = [base for rule in problem.requires for base in type(rule).__mro__]
    waiting += [vars(base).get(method) for base in bases for method in ("amount", "violation")]
    while waiting:
        function = waiting.pop(0)
        if not isinstance(function, FunctionType) or function in reached:
            continue
        if function.__module__ != problem.__module__ and not function.__module__.startswith(_PACKAGES):
            continue
        reached[function] = None
        for name in _names(function.__code__):
            waiting += [function.__globals__.get(name), getattr(problem, name, None)]
            waiting.append(getattr(problem.instance_type, name, None))
    return [f for f in reached if shared is None or _is_shared(f) == shared]


def _is_shared(function: FunctionType) -> bool:
    return function.__module__.startswith(_SHARED)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


_RELAXED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


def changes(tree: ast.FunctionDef) -> Iterator[tuple[int, str]]:
    """Change one place of ``tree`` after another; yield its line and the change in words while it is in place.

    An ``if`` whose body only returns is not deleted: a way to accept at once makes no verifier weak by being closed.
    """
    accepting = {
        part for node in ast.walk(tree) if isinstance(node, ast.If) and _returns(node) for part in ast.walk(node.test)
    }
    for node in ast.walk(tree):
        for name, held in ast.iter_fields(node):
            for place, value in enumerate(held if isinstance(held, list) else [held]):
                if not isinstance(value, ast.AST):
                    continue
                shown = value.ifs[0] if isinstance(value, ast.comprehension) and value.ifs else value
                line = next((part.lineno for part in ast.walk(shown) if hasattr(part, "lineno")), 0)
                for changed, words in _changed(value):
                    if value in accepting and words.startswith("false"):
                        continue
                    one = [*held[:place], changed, *held[place + 1 :]] if isinstance(held, list) else changed
                    setattr(node, name, one)
                    yield line, words
                    setattr(node, name, held)


def _returns(node: ast.If) -> bool:
    return all(isinstance(inner, ast.Return) for inner in node.body)


def _changed(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield what may stand in place of ``node``."""
    code = short_repr(ast.unparse(node).strip().partition("\n")[0], 70)[1:-1]
    match node:
        case ast.Expr(ast.Call()) | ast.Raise() | ast.AugAssign():
            yield ast.Pass(), f"delete: {code}"
        case ast.If() if not _returns(node):
            yield ast.If(ast.Constant(False), node.body, node.orelse), f"never: {code}"
        case ast.BoolOp(operator, values):
            for k in range(len(values)):
                rest = values[:k] + values[k + 1 :]
                one = rest[0] if len(rest) == 1 else ast.BoolOp(operator, rest)
                yield one, f"operand {k + 1} deleted: {code}"
        case ast.Compare():
            yield from _compared(node, code)
        case ast.comprehension(ifs=[_, *_]):
            yield ast.comprehension(node.target, node.iter, [], node.is_async), f"no filter: {code}"
        case ast.Call(ast.Name("set"), [_, *_]):
            yield ast.Call(ast.Name("list", ast.Load()), node.args, []), f"no set: {code}"


def _compared(node: ast.Compare, code: str) -> Iterator[tuple[ast.AST, str]]:
    for k, operator in enumerate(node.ops):
        if type(operator) in _RELAXED:
            operators = [*node.ops[:k], _RELAXED[type(operator)](), *node.ops[k + 1 :]]
            yield ast.Compare(node.left, operators, node.comparators), f"by one: {code}"
    if len(node.ops) == 2:
        yield ast.Compare(node.left, node.ops[:1], node.comparators[:1]), f"one end: {code}"
        yield ast.Compare(node.comparators[0], node.ops[1:], node.comparators[1:]), f"other end: {code}"
    yield ast.Constant(True), f"true: {code}"
    yield ast.Constant(False), f"false: {code}"


@contextmanager
def _in_place(function: FunctionType, tree: ast.FunctionDef) -> Iterator[None]:
    """Give ``function``, wherever it is referred to, the code of ``tree``."""
    free = ", ".join(function.__code__.co_freevars)  # such as `__class__`, which `super()` looks for
    module = ast.parse(f"def outside({free}): ...")
    outside = module.body[0]
    assert isinstance(outside, ast.FunctionDef)
    outside.body = [tree]
    code = compile(ast.fix_missing_locations(module), function.__code__.co_filename, "exec")
    for name in ("outside", tree.name):
        code = next(part for part in code.co_consts if isinstance(part, CodeType) and part.co_name == name)
    kept = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = kept


def bank(problem: Problem[Any, Any], definition: Definition) -> list[Reply]:
    """Return the replies that mutants are put to: of the battery, all answers to a small instance, mutated ones."""
    case = Case(problem, definition)
    cases = [Case(form, definition, form.instance()) for form in forms(problem)]
    replies = [reply for row in ROWS for reply in row.replies(case)]
    for shaped, enumerate_ in small(problem, 3):
        little = Case(shaped, definition, shaped.instance())
        replies += (reply for _, reply in answers(little, enumerate_(little.instance)))
    replies += chain.from_iterable(map(_in_form, cases))
    replies += mutated(cases, _REPLIES)
    return sorted(replies, key=lambda reply: len(reply.text) > _LONG)


def _in_form(case: Case) -> Iterator[Reply]:
    """Yield what is read, and what is not, in the form in which ``case`` is answered."""
    problem, instance = case.problem, case.instance
    for template, outcome in _TEMPLATES[problem.answer_format].items():
        for text in case.sound:
            body = extract_answer(text, problem.answer_format)
            reply = template.replace("REPLY", text).replace("BODY", body)
            yield Reply(f"form {template!r}", case, reply, outcome.unmet)
    for null in problem.null_answers(instance):
        if problem.feasible(instance, null):
            yield Reply("null answer", case, problem.format(instance, null), FEASIBLE.unmet)
    body = case.in_json(case.reference.solution)
    if problem.names == "words" and body != case.good:
        yield Reply("numbers for names", case, case.say(body), F.unmet)


FEASIBLE = Outcome("V", "feasible", lambda verdict, _: verdict.feasible)
_COMMON = dict.fromkeys(("REPLY", "REPLY\r\n", "</think>REPLY", "<think>or</think>REPLY"), FEASIBLE)
_COMMON["?"] = F
_NO_TAGS = [f"<answer>{body}</answer>" for body in ("no idea", " ", "BODY\u2003", "BODY\x1c", "9" * 5_000)]
_NO_TAGS += ["</think><Answer>BODY</answer>"]
_NO_LINES = ("REPLY\nThat is all.", "REPLY\nREPLY", "Answer: no\n1234567BODY", "Answer: no idea")
_FENCED = ("```\nREPLY\n```", "```py\nx\n```\nSo:\nREPLY", "```\n```\n ```text\n\nREPLY\n\n``` ")
_NOT_FENCED = ("```\nREPLY", "REPLY\n```", "```\nSo:\nREPLY\n```", "So: ```\nREPLY\n```", "```\nx\n```\nREPLY\n```")
_TEMPLATES = {
    "tags": {**_COMMON, "So: REPLY.": FEASIBLE, **dict.fromkeys(("REPLY REPLY", *_NO_TAGS), F)},
    "line": {
        **_COMMON,
        **dict.fromkeys(("So:\nREPLY", *_FENCED), FEASIBLE),
        **dict.fromkeys((*_NO_LINES, *_NOT_FENCED), F),
    },
    "raw": {**_COMMON, _FENCED[0]: FEASIBLE, **dict.fromkeys(("no idea", "REPLY.", *_NOT_FENCED), F)},
}
"""Replies in each answer format, made from good ones, and what must hold of the verdict."""


def mutants(
    problem: Problem[Any, Any],
    definition: Definition,
    shared: bool | None = None,
    progress: Callable[[int], object] = lambda done: None,
    skip: Container[tuple[str, int, str]] = (),
) -> list[Mutant]:
    """Return every mutant of the verifier of ``problem`` with the first test that kills it.

    ``shared`` says of which `functions`. Mutants in ``skip``, by function, line and change, are not tried. A verifier
    that fails a test as it is raises a ``ValueError``.
    """
    tests = bank(problem, definition)
    if failure := next((test.name for test in tests if not test.passes()), ""):
        rule = "the verifier must pass its tests before it is mutated"
        raise ValueError(f"{rule}, got a failure of {failure}")
    results = []
    for function in functions(type(as_kind(problem)), shared):
        source, start = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(source))).body[0]
        assert isinstance(tree, ast.FunctionDef)
        for line, words in changes(tree):
            place = function.__qualname__, start + line - 1, words
            if place in skip:
                continue
            with _in_place(function, tree):
                for test in tests:
                    test.case.forget()
                killer = _killer(tests)
            excuse = "" if killer else source[line - 1].partition(REDUNDANT)[2].strip()
            results.append(Mutant(*place, killer, excuse, _is_shared(function)))
            progress(1)
    return results


def _killer(tests: Sequence[Reply]) -> str:
    """Return the name of the first test that fails; nothing where all pass. A mutant may loop without end."""
    try:
        with at_most(_MUTANT_S):
            return next((test.name for test in tests if not test.passes()), "")
    except Overtime as late:
        return str(late)


def table(problem: str, found: Sequence[Mutant]) -> Table:
    """Return the kill table."""
    killed = sum(bool(mutant.killed_by) for mutant in found)
    title = f"{problem}: {killed} of {len(found)} mutants killed"
    columns = "function", "line", "change", "killed by, or why it is redundant"
    result = Table(*columns, title=title, title_justify="left")
    for mutant in found:
        outcome = mutant.killed_by or escape(mutant.excuse) or "shared code: tests of other problems notice"
        outcome = "[bold red]survives[/bold red]" if mutant.survives else outcome
        result.add_row(mutant.function, str(mutant.line), escape(mutant.change), outcome)
    return result
