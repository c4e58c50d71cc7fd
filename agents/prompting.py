"""What language models are told before the question: a system message, and solved examples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..core.checks import check_int
from ..core.instance import Instance
from ..core.problem import Problem
from .agent import Message, Task

_STREAM = (0x5407, "validation")
"""Seed and split that examples come from: a stream that nobody trains or evaluates on by chance."""
_MISSES = 100
"""Instances like the asked one after which examples are given up."""


@dataclass(frozen=True)
class Prompting:
    """What is put before the conversation of a task; the same for every language model.

    Parameters
    ----------
    system
        Text of a system message; none if empty.
    shots
        Solved examples: other instances of the same problem at the same parameters, each with a certified
        optimum as the assistant's reply. They depend on the problem alone, unless one is the asked instance
        or looks like it under other numbers: the next takes its place.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=6)
    >>> asked = tsp.instance(seed=1)
    >>> task = Task(tsp, asked, ({"role": "user", "content": tsp.prompt(asked)},))
    >>> [message["role"] for message in Prompting("You solve puzzles.", shots=1).messages(task)]
    ['system', 'user', 'assistant', 'user']
    """

    system: str = ""
    shots: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.system, str):
            raise ValueError(f"system must be text, got {self.system!r}")
        check_int("shots", self.shots, 0, 100)

    def messages(self, task: Task) -> list[Message]:
        """Return the whole conversation that a model is to go on with."""
        return [*self.before(task), *task.messages]

    def before(self, task: Task) -> list[Message]:
        """Return what goes before the task's own messages; a problem without other graded instances is refused."""
        messages: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        problem = task.problem
        for instance in examples(problem, task.instance, self.shots):
            solution = problem.canonical(instance, problem.reference(instance).solution)
            messages.append({"role": "user", "content": problem.prompt(instance)})
            messages.append({"role": "assistant", "content": problem.format(instance, solution)})
        return messages


def examples(problem: Problem[Any, Any], asked: Instance, count: int) -> list[Instance]:
    """Return the first ``count`` graded instances of the examples' stream that are not like ``asked``."""
    instances: list[Instance] = []
    index = -1
    for _ in range(count + _MISSES):
        if len(instances) == count:
            return instances
        index, instance = _graded(problem, index + 1)
        if instance.isomorphism_key() != asked.isomorphism_key():
            instances.append(instance)
    raise ValueError(
        f"shots must be examples other than the asked instance, got {_MISSES} like it from {problem!r}: "
        "try a larger size or level"
    )


@lru_cache(maxsize=1024)
def _graded(problem: Problem[Any, Any], start: int) -> tuple[int, Instance]:
    return next(problem.graded_instances(*_STREAM, start))


def check_sampling(temperature: float | None, top_p: float | None) -> None:
    """Raise ``ValueError`` unless one can sample like that; None leaves it to a server."""
    if temperature is not None and not temperature >= 0:
        raise ValueError(f"temperature must be at least 0, got {temperature!r}: did you mean 0.0?")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p!r}: did you mean 1.0?")
