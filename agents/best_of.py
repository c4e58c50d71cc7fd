"""Best of N samples, each broken off as soon as it cannot become the best one.

A sample is broken off where what it has stated of its answer so far (i) breaks a constraint that no continuation
mends, or (ii) cannot lead to a better objective than the best sample's before it. That is sound: what is kept is
what all samples in full would have led to. For the answer begins at a place that no later text moves (`committed`);
it goes on from what is read of it, or is malformed in the end (`beginning`); no addition mends a constraint outside
`Kind.mendable`; and none raises an objective above `Problem.bound`. The verifier alone decides, never the
reference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Any, Self

from ..core.answer import MAX_ANSWER
from ..core.checks import check_int
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import Malformed, Number
from ..kinds import as_kind
from .agent import PRUNED, Reply, StreamingAgent, Task, answers

_MARKS = {
    "tags": re.compile("<answer>"),
    "line": re.compile("Answer:"),
    "raw": re.compile(r"(?=[-\[\]0-9+`])"),
}
"""What an answer starts with, by format."""
_THOUGHT, _THOUGHT_END = "<think>", "</think>"
_BLANK = " \t\r\n\ufeff"


class BestOf:
    """Draw ``n`` samples one after another, and keep the first of those with the best objective.

    Where no sample is feasible, the last one is kept. A reply that states an answer and then takes it back
    as a thought (``</think>`` behind it) counts as not feasible; for models whose text starts inside their
    thoughts, say so by ``thinking``.

    Parameters
    ----------
    agent
        Asked for sample numbers ``n * task.sample`` and on: they must differ, by temperature and seed.
    n
        Samples per task, at least 1.
    prune
        Whether samples are broken off. It changes what a reply takes and never which is kept.
    thinking
        Whether texts start with thoughts that ``</think>`` ends, without ``<think>`` before them.
    """

    def __init__(self, agent: StreamingAgent, n: int, *, prune: bool = True, thinking: bool = False) -> None:
        check_int("n", n, 1)
        self.agent, self.n, self.prune, self.thinking = agent, n, prune, thinking
        self.name = f"{agent.name} best of {n}"
        self.concurrency: int = getattr(agent, "concurrency", 64)

    async def __aenter__(self) -> Self:
        """Open the agent's connections."""
        await self.agent.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close them."""
        await self.agent.__aexit__(*error)

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return the text of one reply per task, in order; see `answers`."""
        return answers(self, tasks)

    async def reply(self, task: Task) -> Reply:
        """Return the best sample, with what all samples took: tokens, cost, seconds and attempts.

        Raises
        ------
        AgentError
            If a sample could not be had.
        """
        best: Number | None = None
        kept: Reply | None = None
        drawn: list[Reply] = []
        for k in range(self.n):
            # Where nothing else is feasible the last one is the answer, so it is drawn in full.
            watched = self.prune and (best is not None or k < self.n - 1)
            stop = Watch(task.problem, task.instance, best, self.thinking) if watched else None
            sample = await self.agent.reply(replace(task, sample=task.sample * self.n + k), stop)
            drawn.append(sample)
            if sample.finish == PRUNED:
                continue
            value = worth(task.problem, task.instance, sample.text, self.thinking)
            if value is not None and (best is None or task.problem.better(value, best)):
                best, kept = value, sample
        return replace(
            kept or drawn[-1],
            prompt_tokens=sum(sample.prompt_tokens for sample in drawn),
            completion_tokens=sum(sample.completion_tokens for sample in drawn),
            cost=sum(sample.cost for sample in drawn),
            seconds=sum(sample.seconds for sample in drawn),
            attempts=sum(sample.attempts for sample in drawn),
        )


def worth(problem: Problem[Any, Any], instance: Instance, text: str, thinking: bool = False) -> Number | None:
    """Return the objective of the feasible answer that the whole reply ``text`` states, or None.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=4)
    >>> instance = tsp.instance()
    >>> worth(tsp, instance, tsp.format(instance, (0, 1, 2, 3))) == tsp.objective(instance, (0, 1, 2, 3))
    True
    >>> worth(tsp, instance, "<answer>[0, 1, 2, 2]</answer>")
    """
    start = committed(text, problem.answer_format, thinking)
    if start is not None and _THOUGHT_END in text[start:]:
        return None
    try:
        solution = problem.parse_reply(instance, text)
    except Malformed:
        return None
    return None if problem.violations(instance, solution) else problem.objective(instance, solution)


def committed(text: str, answer_format: str, thinking: bool = False) -> int | None:
    """Return where in ``text`` the answer begins, the first one outside thoughts, or None before that.

    More text does not change it.

    Examples
    --------
    >>> text = "<think>Is <answer>[0]?</think><answer>[1"
    >>> text[committed(text, "tags"):]
    '[1'
    """
    at, inside = 0, thinking
    while True:
        if inside:
            end = text.find(_THOUGHT_END, at)
            if end < 0:
                return None
            at, inside = end + len(_THOUGHT_END), False
        mark = _MARKS[answer_format].search(text, at)
        thought = text.find(_THOUGHT, at, mark.start() if mark else None)
        if thought < 0:
            return mark.end() if mark else None
        at, inside = thought + len(_THOUGHT), True


class Watch:
    """Told the text of a reply as it grows, says whether it is without hope of being feasible and beating ``best``.

    Without a ``best`` objective, anything feasible will do. For ``thinking``, see `BestOf`.
    """

    def __init__(
        self, problem: Problem[Any, Any], instance: Instance, best: Number | None, thinking: bool = False
    ) -> None:
        self._problem, self._instance, self._best, self._thinking = as_kind(problem), instance, best, thinking
        self._start: int | None = None
        self._next = 0.0
        # An unfinished answer may break what the empty one breaks too: an exact sum, for one.
        empty = problem.violations(instance, ())
        self._open = {*self._problem.mendable, *(violation.family for violation in empty)}

    def __call__(self, text: str) -> bool:
        """Whether no continuation of ``text`` is feasible and better."""
        problem, instance = self._problem, self._instance
        if self._start is None:
            self._start = committed(text, problem.answer_format, self._thinking)
        if self._start is None or len(text) < self._next:
            return False
        # Looked at again when the answer is a fiftieth longer: quasilinear work in all.
        self._next = len(text) + (len(text) - self._start) / 50
        body, closed = text[self._start :], ""
        if problem.answer_format == "tags":
            body, closed, _ = body.partition("</answer>")
        if closed:
            self._next = inf  # what follows can spoil the answer and not mend it
            value = worth(problem, instance, f"<answer>{body}</answer>")
            return value is None or not self._wins(value)
        partial = beginning(problem, instance, body) if len(body) <= MAX_ANSWER else None
        return partial is not None and self._lost(partial)

    def _lost(self, partial: Any) -> bool:
        problem, instance = self._problem, self._instance
        if any(v.family not in self._open for v in problem.violations(instance, partial)):
            return True
        bound = None if self._best is None else problem.bound(instance, partial)
        return bound is not None and not self._wins(bound)

    def _wins(self, value: Number) -> bool:
        return self._best is None or self._problem.better(value, self._best)


def beginning(problem: Problem[Any, Any], instance: Instance, text: str) -> Any | None:
    """Return the solution that the unfinished answer ``text`` states so far, or None where that cannot be told.

    Whatever follows, the whole answer is malformed or goes on from it.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP")
    >>> beginning(tsp, tsp.instance(), "[3, 0, 1")  # where 1 may become 12
    (3, 0)
    """
    body = text.lstrip(_BLANK)
    if body.startswith("```"):
        body = body.partition("\n")[2].lstrip(_BLANK)
    if body.startswith("["):  # up to the last whole number, or the last whole list
        cuts = [body.rpartition(",")[0], "".join(body.rpartition("]")[:2])]
        parts = [cut + "]" * (cut.count("[") - cut.count("]")) for cut in cuts]
    else:  # up to the last whole word
        parts = [body[: max(0, *map(body.rfind, _BLANK))]]
    for part in filter(None, parts):
        try:
            solution: Any = problem.parse_answer(instance, part)
        except Malformed:
            continue
        # Where lists are no rows of the solution, it goes on from no shorter ones: the second follows the whole first.
        rows = part.count("[") - 1
        return None if rows > 0 and rows != len(solution) else solution
    return None
