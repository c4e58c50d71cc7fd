"""Mutation testing of a verifier: each check is deleted or weakened in turn, and some test must notice.

The functions that a verdict goes through are found from the problem's class, their source is changed one
place at a time, and the changed code is put in place of theirs while the battery's replies, every answer to
some small instances and a few thousand mutated replies are judged again. A change that nothing notices
survives: either no test covers that check, or the check is redundant. A line whose check is redundant says so, and
why, in a comment: ``# redundant: a cycle that short lacks edges too``.
"""

from __future__ import annotations

import ast
import inspect
import json
import random
import textwrap
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from types import CodeType, FunctionType
from typing import Any, TypeAlias

from rich.markup import escape
from rich.table import Table

from .. import kinds, solvers
from ..core import answer as core_answer
from ..core.checks import short_repr
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import Number, Verdict
from ..kinds import Kind, as_kind
from .attacks import ROWS, Case, F, question
from .definitions import Definition
from .exhaustive import difference, small
from .fuzz import Asked, forms, mutate

_SHARED = (core_answer.__name__, kinds.__name__)
"""Modules and packages whose functions are mutated beside the problem's own: all reading goes through them."""
_PACKAGES = (*_SHARED, solvers.__name__)
_REDUNDANT = "# redundant: "
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


def functions(problem: type[Kind[Any, Any]], shared: bool | None = None) -> list[FunctionType]:
    """Return the functions that reading and checking an answer go through.

    With ``shared`` they are those that all problems share, with False the problem's own, with None both.

    Examples
    --------
    >>> from forge_gym.envs.knapsack import Knapsack
    >>> [function.__name__ for function in functions(Knapsack)][:4]
    ['broken', 'clean', 'read', 'extract_answer']
    """
    reached: dict[FunctionType, None] = {}
    waiting: list[Any] = [problem.broken, problem.clean, problem.read, core_answer.extract_answer]
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
    return [f for f in reached if shared is None or f.__module__.startswith(_SHARED) == shared]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


# ---------------------------------------------------------------------------------------- changes

_RELAXED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


def changes(tree: ast.FunctionDef) -> Iterator[tuple[int, str]]:
    """Change one place of ``tree`` after another; yield its line and the change in words while it is in place.

    Deleted: statements that raise, append, count or call; conditions; operands of ``and`` and ``or``; filters of
    comprehensions. Weakened: comparisons by one, or always true, or always false; sets that forget that elements
    are distinct. An ``if`` whose body only returns is not deleted: a way to accept at once makes no verifier weak
    by being closed.
    """
    accepting = {
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and _returns(node)
        for part in ast.walk(node.test)
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
    calls = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if calls or isinstance(node, (ast.Raise, ast.AugAssign)):
        yield ast.Pass(), f"delete: {code}"
    elif isinstance(node, ast.If) and not _returns(node):
        yield ast.If(ast.Constant(False), node.body, node.orelse), f"never: {code}"
    elif isinstance(node, ast.BoolOp):
        for k in range(len(node.values)):
            rest = node.values[:k] + node.values[k + 1 :]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest), f"operand {k + 1} deleted: {code}"
    elif isinstance(node, ast.Compare):
        yield from _compared(node, code)
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield ast.comprehension(node.target, node.iter, [], node.is_async), f"no filter: {code}"
    elif (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "set" and node.args
    ):
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


# ------------------------------------------------------------------------------------------ tests

Test: TypeAlias = tuple[str, Callable[[], bool]]
"""A name, and whether what it checks holds."""


def bank(problem: Problem[Any, Any], definition: Definition) -> list[Test]:
    """Return the tests that mutants are put to: short replies of the battery, answers, mutated replies, long ones."""
    case = Case(problem, definition)

    def attacks(long: bool) -> list[Test]:
        return [
            (f"row {row.number}", partial(_verified, problem, case.instance, text, outcome.met))
            for row in ROWS
            for outcome, text in row.replies(case)
            if (len(text) > _LONG) == long
        ]

    return [*attacks(False), *_answers(problem, definition), *_mutated(problem, definition), *attacks(True)]


def _verified(
    problem: Problem[Any, Any], instance: Instance, text: str, holds: Callable[[Verdict], bool]
) -> bool:
    return holds(problem.verify(instance, text))


def _answers(problem: Problem[Any, Any], definition: Definition) -> Iterator[Test]:
    """Every answer to one small instance, of up to one element too many; and to a larger one all in form."""
    for shaped, enumerate_ in small(problem, sizes=(3,)):
        instance = shaped.instance(0)
        asked, optimum = question(shaped, instance), shaped.reference(instance).value
        for solution in enumerate_(instance):
            body = shaped.format_answer(instance, solution)
            agrees = partial(_agrees, definition(asked, json.loads(body)), optimum)
            holds = partial(_verified, shaped, instance, f"<answer>{body}</answer>", agrees)
            yield f"answer {short_repr(body, 40)}", holds


def _agrees(worth: int | None, optimum: Number, verdict: Verdict) -> bool:
    return not difference(verdict, worth, optimum)


def _mutated(problem: Problem[Any, Any], definition: Definition) -> Iterator[Test]:
    rng = random.Random(0)
    asked = [Asked(form, form.instance(0), definition) for form in forms(problem)]
    for target in asked:
        problem, instance = target.problem, target.instance
        for template, holds in _IN_EVERY_FORM[problem.answer_format].items():
            for text in target.good:
                body = core_answer.extract_answer(text, problem.answer_format)
                reply = template.replace("REPLY", text).replace("BODY", body)
                yield f"form {template!r}", partial(_verified, problem, instance, reply, holds)
        for null in problem.null_answers(instance):
            if not problem.violations(instance, null):
                reply = problem.format(instance, null)
                yield "null answer", partial(_verified, problem, instance, reply, _FEASIBLE)
        if problem.names == "words":
            solution = problem.reference(instance).solution
            body = target.plain.format_answer(instance, solution)
            if body != problem.format_answer(instance, solution):
                reply = core_answer.wrap_answer(body, problem.answer_format)
                yield "numbers for names", partial(_verified, problem, instance, reply, F.met)
    for k in range(_REPLIES):
        target = asked[k % len(asked)]
        text = mutate(rng, rng.choice(target.good), rng.choice(target.good))
        yield f"mutated reply {k}", partial(_unfaulted, target, text)


_FEASIBLE: Callable[[Verdict], bool] = attrgetter("feasible")
_COMMON = dict.fromkeys(("REPLY", "REPLY\r\n", "</think>REPLY", "<think>or</think>REPLY"), _FEASIBLE)
_COMMON["?"] = F.met
_NO_TAGS = [f"<answer>{body}</answer>" for body in ("no idea", " ", "BODY\u2003", "BODY\x1c", "9" * 5_000)]
_NO_LINES = ("REPLY\nThat is all.", "REPLY\nREPLY", "Answer: no\n1234567BODY", "Answer: no idea")
_IN_EVERY_FORM = {
    "tags": {**_COMMON, "So: REPLY.": _FEASIBLE, **dict.fromkeys(("REPLY REPLY", *_NO_TAGS), F.met)},
    "line": {**_COMMON, "So:\nREPLY": _FEASIBLE, **dict.fromkeys(_NO_LINES, F.met)},
    "raw": {**_COMMON, **dict.fromkeys(("no idea", "REPLY."), F.met)},
}
"""Replies in each answer format, made from good ones, and what must hold of the verdict."""


def _unfaulted(asked: Asked, text: str) -> bool:
    return not asked.judge(text)[1]


def mutants(
    problem: Problem[Any, Any],
    definition: Definition,
    shared: bool | None = None,
    progress: Callable[[int], object] = lambda done: None,
    skip: Container[tuple[str, int, str]] = (),
) -> list[Mutant]:
    """Return every mutant of the verifier of ``problem`` with the first test that kills it.

    Parameters
    ----------
    problem, definition
        The problem, and what its answers are worth by definition.
    shared
        True for the functions that all problems share, False for its own, None for both.
    progress
        Called with 1 after each mutant.
    skip
        Function, line and change of mutants that need not be tried, such as those that another problem's tests
        have killed.

    Raises
    ------
    ValueError
        If a test fails on the verifier as it is: then there is nothing to mutate.
    """
    tests = bank(problem, definition)
    for name, holds in tests:
        if not holds():
            raise ValueError(
                f"the verifier must pass its tests before it is mutated, got a failure of {name}"
            )
    results = []
    excused = excuses(type(as_kind(problem)), shared)
    for function in functions(type(as_kind(problem)), shared):
        source, start = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(source))).body[0]
        assert isinstance(tree, ast.FunctionDef)
        for line, words in changes(tree):
            place = function.__qualname__, start + line - 1
            if (*place, words) in skip:
                continue
            with _in_place(function, tree):
                killer = next((name for name, holds in tests if not _survives(holds)), "")
            results.append(Mutant(*place, words, killer, "" if killer else excused.get(place, "")))
            progress(1)
    return results


def excuses(problem: type[Kind[Any, Any]], shared: bool | None = None) -> dict[tuple[str, int], str]:
    """Return the reasons that a verifier gives beside redundant checks, by function and line of its file."""
    reasons = {}
    for function in functions(problem, shared):
        source, start = inspect.getsourcelines(function)
        for number, line in enumerate(source, start):
            if why := line.partition(_REDUNDANT)[2].strip():
                reasons[function.__qualname__, number] = why
    return reasons


def _survives(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except Exception:  # a mutant that raises, where a verifier never does, is caught
        return False


def table(problem: str, found: Sequence[Mutant]) -> Table:
    """Return the kill table."""
    killed = sum(bool(mutant.killed_by) for mutant in found)
    title = f"{problem}: {killed} of {len(found)} mutants killed"
    columns = "function", "line", "change", "killed by, or why it is redundant"
    result = Table(*columns, title=title, title_justify="left")
    for mutant in found:
        killer = mutant.killed_by or escape(mutant.excuse) or "[bold red]survives[/bold red]"
        result.add_row(mutant.function, str(mutant.line), escape(mutant.change), killer)
    return result
