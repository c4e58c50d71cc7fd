"""What the checks of the gate share: an instance with what its answers are worth, and what a check finds."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ..core.answer import wrap_answer
from ..core.checks import short_repr
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.rewards import tiered
from ..core.verdict import Verdict
from .definitions import Definition

MAX_SECONDS = 0.05
"""CPU time within which a reply is judged, whatever it is."""
_LATE = 20.0
"""Time after which judging a reply is given up."""
_POPULATION = 24
"""Graded instances per size on which policies are played."""
_NEXT = re.compile(r" \| |\n")
"""Stands between two templates."""
_LINE_END = "~"
"""Stands for a line end within a template."""


@dataclass
class Findings:
    """What a check counted, and the faults that it found."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Case:
    """An instance of a problem, what answers to it are worth, and the pieces that attacks are made of.

    Without ``instance`` it is the first graded one of the training stream 0, which ``spec`` names.
    """

    def __init__(self, problem: Problem[Any, Any], definition: Definition, instance: Instance | None = None) -> None:
        self.problem, self.definition, self.spec = problem, definition, ""
        if instance is None:
            index, instance = next(problem.graded_instances(seed=0))
            self.spec = problem.spec(0, index)
        self.instance, self.n = instance, instance.size
        self.reference = problem.reference(instance)
        self.good = problem.format_answer(instance, self.reference.solution)
        """The optimal answer, without its slot."""
        self.poor = problem.format_answer(instance, problem.trivial(instance))
        """The trivial answer, without its slot."""
        parameters = {f.name: getattr(problem, f.name) for f in fields(problem)}
        self.question = {**parameters, **json.loads(problem.to_json(instance))}
        """What the definition reads: the problem's parameters, and the instance's data as JSON."""

    def worth(self, answer: Any) -> int | None:
        """Return what an answer in JSON is worth by the definition; None where it is not feasible."""
        return self.definition(self.question, answer)

    def forget(self) -> None:
        """Forget what is bound to the instance, and would outlast a change of the code."""
        for derived in self.instance.memo.values():
            if isinstance(derived, dict):
                derived.pop("amounts", None)

    @cached_property
    def best(self) -> list[Any]:
        """The optimal answer as JSON."""
        answer: list[Any] = json.loads(self.good)
        return answer

    @cached_property
    def sound(self) -> list[str]:
        """Replies that state the optimal, the greedy and the trivial solution."""
        solutions = self.reference.solution, *reversed(self.problem.anchors(self.instance))
        return [self.problem.format(self.instance, solution) for solution in solutions]

    def in_json(self, solution: Any) -> str:
        """Return the answer that states ``solution`` in JSON, as definitions read it."""
        return replace(self.problem, style="prose", names=0).format_answer(self.instance, solution)

    @cached_property
    def population(self) -> list[Instance]:
        """Graded instances of this size, for policies."""
        return [x for _, x in islice(self.problem.graded_instances(seed=1, split="validation"), _POPULATION)]

    def say(self, answer: Any) -> str:
        """Return the reply that states ``answer``, a text or JSON."""
        body = answer if isinstance(answer, str) else json.dumps(answer)
        return wrap_answer(body, self.problem.answer_format)

    def filled(self, templates: str) -> list[str]:
        r"""Return texts with words filled in: templates stand on lines of their own, or between bars.

        Examples
        --------
        >>> import forge_gym
        >>> from forge_gym.verification.definitions import knapsack
        >>> case = Case(forge_gym.problem("Knapsack", n=6), knapsack)
        >>> case.good, case.poor
        ('[2, 4]', '[1, 4]')
        >>> case.filled("I take BEST | [INNER, 9]~HALF~Or not.")
        ['I take [2, 4]', '[2, 4, 9]\n[2,\nOr not.']
        >>> case.filled("<think>BAD</think>GOOD")
        ['<think><answer>[1, 4]</answer></think><answer>[2, 4]</answer>']
        """
        words = {
            "BEST": self.good,
            "INNER": self.good[1:-1],
            "HALF": self.good[: len(self.good) // 2],
            "GOOD": self.say(self.good),
            "BAD": self.say(self.poor),
            "PROMPT": self.problem.prompt(self.instance),
            "OPTIMUM": str(self.reference.value),
            _LINE_END: "\n",
        }
        pattern = re.compile("|".join(words))
        parts = _NEXT.split(templates.strip("\n"))
        return [pattern.sub(lambda word: words[word[0]], template) for template in parts]

    def entry(self, number: int) -> Any:
        """Return an element as it stands in an answer; a row with resource and time where there are rows."""
        return [number, 0, 0] if isinstance(self.best[0], list) else number

    def shifted(self, by: int) -> list[Any]:
        """Return the best answer with every element's number raised."""
        return [x + by if isinstance(x, int) else [x[0] + by, *x[1:]] for x in self.best]

    def ending(self, number: int) -> list[Any]:
        """Return the best answer with its last element replaced."""
        return [*self.best[:-1], self.entry(number)]

    def spelt(self, *spellings: str) -> list[str]:
        """Return the best answer with its first number spelt otherwise, where # stands for it."""
        before, number, after = re.split(r"(\d+)", self.good, maxsplit=1)
        return [before + spelling.replace("#", number) + after for spelling in spellings]


class Reply(NamedTuple):
    """A reply, and what it is tried for."""

    name: str
    case: Case
    text: str
    wrong: Callable[[Verdict], str]
    """Says what is wrong with a verdict on it; nothing where it is right."""

    def judged(self, seconds: float = MAX_SECONDS) -> tuple[Verdict | None, list[str]]:
        """Return the verdict, None where it raises, and what is wrong with it, with its cost and with its reward."""
        least = float("inf")
        for _ in range(3):  # the least of three, where one takes too long
            start = time.process_time()
            try:
                with at_most(_LATE):
                    verdict = self.case.problem.verify(self.case.instance, self.text)
            except (Exception, SystemExit) as error:
                return None, [raised(error, self.case.problem)]
            least = min(least, time.process_time() - start)
            if least <= seconds:
                break
        faults, families = [self.wrong(verdict)], {violation.family for violation in verdict.violations}
        if strangers := families.difference(self.case.problem.constraints):
            faults.append(f"a violation is of a family that the class declares, got {sorted(strangers)}")
        if least > seconds:
            faults.append(f"judging took {least:.3f} s of CPU, more than {seconds}")
        reward = tiered(verdict)
        if reward is None or not -1 <= reward <= 1:
            faults.append(f"the reward is in [-1, 1], got {reward} for an answer worth {verdict.objective}")
        return verdict, list(filter(None, faults))

    def passes(self) -> bool:
        """Whether the hooks' verdict is right; a verifier that raises is wrong."""
        try:
            return not self.wrong(self.case.problem.verify_plainly(self.case.instance, self.text))
        except Exception:
            return False


def stated(verdict: Verdict) -> bool:
    """Whether each constraint that a verdict states to be broken is broken, and stated once."""
    families = {violation.family for violation in verdict.violations}
    amounts = [violation.amount for violation in verdict.violations]
    return len(families) == len(amounts) and all(amount > 0 for amount in amounts)


class Overtime(BaseException):
    """Raised in whatever runs too long. No ``except Exception`` of a hook keeps it."""


RAISED = (Exception, SystemExit, Overtime)
"""What hooks may raise, wrongly."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `Overtime` in whatever runs for longer: in the main thread, and between two steps of Python."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: Any) -> None:
        raise Overtime(f"ran for more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again and again, where a hook catches everything
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def raised(error: BaseException, problem: Problem[Any, Any]) -> str:
    """Say what was raised and where: the innermost call in the problem's own file, or the innermost of all."""
    if isinstance(error.__cause__, StopIteration):  # what Python makes of it in a generator hides the place
        error = error.__cause__
    source = inspect.getsourcefile(type(problem))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name != "ring"]
    frame = ([frame for frame in frames if frame.filename == source] or frames)[-1]
    if isinstance(error, Overtime):
        return f"{frame.name} ({Path(frame.filename).name}, line {frame.lineno}) {error}"
    said = " ".join(traceback.format_exception_only(error)[-1].split())  # not every error can be made a text
    of_class = "" if frame.filename == source else f": {place(type(problem))}"
    where = f"{frame.name} ({Path(frame.filename).name}, line {frame.lineno})"
    return f"{where} raised {short_repr(said, 300)[1:-1]}{of_class}"


def place(cls: type, hook: str = "") -> str:
    """Return where a hook is: its name, file and line; those of the class where another file has the hook.

    Examples
    --------
    >>> from forge_gym.envs.tsp import TSP
    >>> place(TSP, "clean").rpartition(" ")[0]
    'class TSP (tsp.py, line'
    """
    source = inspect.getsourcefile(cls)
    code = getattr(inspect.unwrap(getattr(cls, hook, cls)), "__code__", None)
    if code is not None and code.co_filename == source:
        return f"{hook} ({Path(code.co_filename).name}, line {code.co_firstlineno})"
    return f"class {cls.__name__} ({Path(source or '?').name}, line {inspect.getsourcelines(cls)[1]})"


def child(
    problem: Problem[Any, Any], spec: str, program: str, seconds: float = 0.0
) -> subprocess.CompletedProcess[str]:
    """Run a program in another process, which has the ``problem`` and the ``instance`` of a spec.

    After so many ``seconds``, if any, it ends and says where it is.
    """
    entry = f"{type(problem).__module__}:{type(problem).__qualname__}"
    start = (
        "import sys, forge_gym; entry, spec = sys.argv[1:]; forge_gym.register_problem(entry); "
        f"import faulthandler; {seconds} and faulthandler.dump_traceback_later({seconds}, exit=True); "
        "problem, instance = forge_gym.from_spec(spec); "
    )
    return subprocess.run(
        [sys.executable, "-c", start + program, entry, spec],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )


def reward_of(problem: Problem[Any, Any], instance: Instance, solution: Any) -> float:
    """Return the default reward of a solution; one that beats a proof is a ``ValueError``."""
    reward = tiered(problem.verify_solution(instance, solution))
    if reward is None:
        rule = f"no solution of {short_repr(instance)} is better than its proven optimum"
        raise ValueError(f"{rule}, got {short_repr(solution)}")
    return reward
