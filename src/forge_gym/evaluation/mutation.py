"""Mutation testing of a verifier: each check is deleted or weakened in turn, and some test must notice.

The functions that a verdict goes through are found from the problem's class, their source is changed one
place at a time, and the changed code is put in place of theirs while the battery's replies, every answer to
some small instances and a few thousand mutated replies are judged again. A change that nothing notices
survives: either no test covers that check, or the check is redundant. A line whose check is redundant says so, and
why, in a comment: ``# redundant: a cycle that short lacks edges too``.
"""

from __future__ import annotations

import ast
import copy
import inspect
import json
import random
import textwrap
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import kinds, solvers
from ..core import answer as core_answer
from ..core.checks import short_repr
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.rewards import tiered
from ..core.verdict import Number
from ..kinds.kind import Kind, as_kind
from .attacks import ROWS, Case, Outcome, question
from .definitions import Definition
from .exhaustive import difference, everything, sized, wild
from .fuzz import Asked, forms, mutate

if TYPE_CHECKING:
    from rich.table import Table

_SHARED = (core_answer.__name__, kinds.__name__)
"""Modules and packages whose functions are mutated beside the problem's own: all reading goes through them."""
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


def functions(problem: type[Kind[Any, Any]]) -> list[FunctionType]:
    """Return the functions that reading and checking an answer go through, as far as they are the problem's own.

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
        own = function.__module__ == problem.__module__ or function.__module__.startswith(solvers.__name__)
        if not own and not _is_shared(function):
            continue
        reached[function] = None
        for name in _names(function.__code__):
            waiting += [function.__globals__.get(name), getattr(problem, name, None)]
            waiting.append(getattr(problem.instance_type, name, None))
    return list(reached)


def _is_shared(function: FunctionType) -> bool:
    return function.__module__.startswith(_SHARED)


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


def changes(tree: ast.FunctionDef) -> Iterator[tuple[ast.FunctionDef, int, str]]:
    """Yield the function with one place changed, the line of that place, and the change in words.

    Deleted: statements that raise, append, count or call; conditions; operands of ``and`` and ``or``; filters of
    comprehensions. Weakened: comparisons by one, or always true, or always false; sets that forget that elements
    are distinct. An ``if`` whose body only returns is not deleted: a way to accept at once makes no verifier weak
    by being closed.
    """
    accepting = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and all(isinstance(inner, ast.Return) for inner in node.body)
        for part in ast.walk(node.test)
    }
    for node in ast.walk(tree):
        for name, values in ast.iter_fields(node):
            for place, value in enumerate(values if isinstance(values, list) else [values]):
                if isinstance(value, ast.AST):
                    shown = value.ifs[0] if isinstance(value, ast.comprehension) and value.ifs else value
                    line = next((part.lineno for part in ast.walk(shown) if hasattr(part, "lineno")), 0)
                    for changed, words in _changed(value):
                        if id(value) in accepting and words.startswith("false"):
                            continue
                        yield _replaced(tree, node, name, place, changed), line, words


def _replaced(
    tree: ast.FunctionDef, parent: ast.AST, name: str, place: int, changed: ast.AST
) -> ast.FunctionDef:
    """Return a copy of ``tree`` with one child of ``parent`` replaced."""
    at = next(k for k, node in enumerate(ast.walk(tree)) if node is parent)
    fresh = copy.deepcopy(tree)
    target = next(node for k, node in enumerate(ast.walk(fresh)) if k == at)
    values = getattr(target, name)
    if isinstance(values, list):
        values[place] = changed
    else:
        setattr(target, name, changed)
    return ast.fix_missing_locations(fresh)


def _changed(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield what may stand in place of ``node``."""
    said = short_repr(ast.unparse(node).strip().partition("\n")[0], 70)[1:-1]
    calls = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    if calls or isinstance(node, (ast.Raise, ast.AugAssign)):
        yield ast.Pass(), f"delete: {said}"
    elif isinstance(node, ast.If) and not all(isinstance(inner, ast.Return) for inner in node.body):
        yield ast.If(ast.Constant(False), node.body, node.orelse), f"never: {said}"
    elif isinstance(node, ast.BoolOp):
        for k in range(len(node.values)):
            rest = node.values[:k] + node.values[k + 1 :]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest), f"operand {k + 1} deleted: {said}"
    elif isinstance(node, ast.Compare):
        yield from _compared(node, said)
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield ast.comprehension(node.target, node.iter, [], node.is_async), f"no filter: {said}"
    elif (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "set" and node.args
    ):
        yield ast.Call(ast.Name("list", ast.Load()), node.args, []), f"no set: {said}"


def _compared(node: ast.Compare, said: str) -> Iterator[tuple[ast.AST, str]]:
    for k, operator in enumerate(node.ops):
        if type(operator) in _RELAXED:
            operators = [*node.ops[:k], _RELAXED[type(operator)](), *node.ops[k + 1 :]]
            yield ast.Compare(node.left, operators, node.comparators), f"by one: {said}"
    if len(node.ops) == 2:
        yield ast.Compare(node.left, node.ops[:1], node.comparators[:1]), f"one end: {said}"
        yield ast.Compare(node.comparators[0], node.ops[1:], node.comparators[1:]), f"other end: {said}"
    yield ast.Constant(True), f"true: {said}"
    yield ast.Constant(False), f"false: {said}"


@contextmanager
def _in_place(function: FunctionType, tree: ast.FunctionDef) -> Iterator[None]:
    """Give ``function``, wherever it is referred to, the code of ``tree``."""
    space: dict[str, Any] = {}
    body: list[ast.stmt] = [tree]
    if free := function.__code__.co_freevars:  # such as `__class__`, which `super()` looks for
        outside = ast.parse(f"def outside({', '.join(free)}):\n    return {tree.name}").body[0]
        assert isinstance(outside, ast.FunctionDef)
        outside.body.insert(0, tree)
        body = [outside, *ast.parse(f"{tree.name} = outside({', '.join('None' for _ in free)})").body]
    module = ast.Module([ast.ImportFrom("__future__", [ast.alias("annotations")], 0), *body], [])
    exec(
        compile(ast.fix_missing_locations(module), function.__code__.co_filename, "exec"),
        function.__globals__,
        space,
    )
    kept = function.__code__
    function.__code__ = space[tree.name].__code__
    try:
        yield
    finally:
        function.__code__ = kept


# ------------------------------------------------------------------------------------------ tests

Test: TypeAlias = tuple[str, Callable[[], bool]]
"""A name, and whether what it checks holds."""


def bank(problem: Problem[Any, Any], definition: Definition) -> list[Test]:
    """Return the tests that mutants are put to: short replies of the battery, answers, mutated replies, long ones."""
    attacks = list(_attacks(Case(problem, definition)))
    short = [test for test, long in attacks if not long]
    return [
        *short,
        *_answers(problem, definition),
        *_mutated(problem, definition),
        *(test for test, long in attacks if long),
    ]


def _answers(problem: Problem[Any, Any], definition: Definition) -> Iterator[Test]:
    """Every answer to one small instance, of up to one element too many; and to a larger one all in form."""
    larger = sized(problem, as_kind(problem).enumerable)
    for shaped, enumerated in ((sized(problem, 3), wild), (larger, everything)):
        if shaped is None:
            continue
        instance = shaped.instance(0)
        asked, optimum = question(shaped, instance), shaped.reference(instance).value
        for solution in enumerated(shaped, instance):
            body = shaped.format_answer(instance, solution)
            due = definition(asked, json.loads(body)), optimum
            holds = partial(_agrees, shaped, instance, f"<answer>{body}</answer>", due)
            yield f"answer {short_repr(body, 40)}", holds


def _agrees(
    problem: Problem[Any, Any], instance: Instance, text: str, due: tuple[int | None, Number]
) -> bool:
    return not difference(problem.verify(instance, text), *due)


def _attacks(case: Case) -> Iterator[tuple[Test, bool]]:
    for row in ROWS:
        for outcome, text in row.replies(case):
            yield (f"row {row.number}", partial(_withstands, case, outcome, text)), len(text) > _LONG


def _withstands(case: Case, outcome: Outcome, text: str) -> bool:
    verdict = case.problem.verify(case.instance, text)
    reward = tiered(verdict)
    return reward is not None and outcome.holds(verdict, reward)


def _mutated(problem: Problem[Any, Any], definition: Definition) -> Iterator[Test]:
    rng = random.Random(0)
    asked = [Asked(form, form.instance(0), definition) for form in forms(problem)]
    for target in asked:
        for template, feasible in _IN_EVERY_FORM[target.problem.answer_format].items():
            for text in target.good:
                verdict = target.problem.verify(target.instance, text)
                body = target.problem.format_answer(target.instance, verdict.solution)
                reply = template.replace("REPLY", text).replace("BODY", body)
                yield f"form {template!r}", partial(_is_feasible, target, reply, feasible)
        for null in target.problem.null_answers(target.instance):
            if not target.problem.violations(target.instance, null):
                reply = target.problem.format(target.instance, null)
                yield "null answer", partial(_is_feasible, target, reply, True)
        if target.problem.names == "words":
            solution = target.problem.reference(target.instance).solution
            body = target.plain.format_answer(target.instance, solution)
            if body != target.problem.format_answer(target.instance, solution):
                reply = core_answer.wrap_answer(body, target.problem.answer_format)
                yield "numbers for names", partial(_is_feasible, target, reply, False)
    for k in range(_REPLIES):
        target = asked[k % len(asked)]
        text = mutate(rng, rng.choice(target.good), rng.choice(target.good))
        yield f"mutated reply {k}", partial(_unfaulted, target, text)


_COMMON = {
    "REPLY": True,
    "REPLY\r\n": True,
    "</think>REPLY": True,
    "<think>or</think>REPLY": True,
    "?": False,
}
_IN_EVERY_FORM = {
    "tags": {
        **_COMMON,
        "So: REPLY.": True,
        "REPLY REPLY": False,
        "<answer>no idea</answer>": False,
        "<answer> </answer>": False,
        "<answer>BODY\u2003</answer>": False,
        "<answer>BODY\x1c</answer>": False,
        f"<answer>{'9' * 5_000}</answer>": False,
    },
    "line": {
        **_COMMON,
        "So:\nREPLY": True,
        "REPLY\nThat is all.": False,
        "REPLY\nREPLY": False,
        "Answer: no\n1234567BODY": False,
        "Answer: no idea": False,
    },
    "raw": {**_COMMON, "no idea": False, "REPLY.": False},
}
"""Replies in each answer format, made from good ones, and whether they are feasible."""


def _is_feasible(asked: Asked, text: str, feasible: bool) -> bool:
    verdict = asked.problem.verify(asked.instance, text)
    return verdict.feasible if feasible else verdict.status == "malformed"


def _unfaulted(asked: Asked, text: str) -> bool:
    return not asked.judge(text)[2]


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
    found = []
    for function in functions(type(as_kind(problem))):
        if shared not in (None, _is_shared(function)):
            continue
        source, start = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(source))).body[0]
        assert isinstance(tree, ast.FunctionDef)
        for changed, line, words in changes(tree):
            if (function.__qualname__, start + line - 1, words) in skip:
                continue
            with _in_place(function, changed):
                killer = next((name for name, holds in tests if not _survives(holds)), "")
            excuse = "" if killer else source[line - 1].partition(_REDUNDANT)[2].strip()
            found.append(Mutant(function.__qualname__, start + line - 1, words, killer, excuse))
            progress(1)
    return found


def excuses(problem: type[Kind[Any, Any]], shared: bool | None = None) -> dict[tuple[str, int], str]:
    """Return the reasons that a verifier gives beside redundant checks, by function and line of its file."""
    found = {}
    for function in functions(problem):
        if shared in (None, _is_shared(function)):
            source, start = inspect.getsourcelines(function)
            said = [line.partition(_REDUNDANT)[2].strip() for line in source]
            found.update({(function.__qualname__, start + k): why for k, why in enumerate(said) if why})
    return found


def _survives(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except Exception:  # a mutant that raises, where a verifier never does, is caught
        return False


def table(problem: str, found: Sequence[Mutant]) -> Table:
    """Return the kill table."""
    from rich.markup import escape
    from rich.table import Table

    killed = sum(bool(mutant.killed_by) for mutant in found)
    result = Table(title=f"{problem}: {killed} of {len(found)} mutants killed", title_justify="left")
    for column in ("function", "line", "change", "killed by, or why it is redundant"):
        result.add_column(column)
    for mutant in found:
        killer = mutant.killed_by or escape(mutant.excuse) or "[bold red]survives[/bold red]"
        result.add_row(mutant.function, str(mutant.line), escape(mutant.change), killer)
    return result
