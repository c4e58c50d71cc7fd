"""The controls of every table: trivial, random, greedy and exact, as text agents like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .agent import Task


class _Solver:
    """Answers each task by itself, from the instance."""

    name: ClassVar[str]

    def solution(self, task: Task) -> Any:
        """Return a typed solution of the task's instance."""
        raise NotImplementedError

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return the text of each task's solution."""
        return [task.problem.format(task.instance, self.solution(task)) for task in tasks]


class TrivialAgent(_Solver):
    """The thoughtless answer: quality 0."""

    name: ClassVar = "trivial"

    def solution(self, task: Task) -> Any:
        """Return the trivial solution."""
        return task.problem.trivial(task.instance)


@dataclass(frozen=True)
class RandomAgent(_Solver):
    """A random feasible solution; the same for the same seed, instance and turn."""

    name: ClassVar = "random"
    seed: int = 0

    def solution(self, task: Task) -> Any:
        """Return a random feasible solution."""
        digest = int(task.problem.digest(task.instance)[:16], 16)
        entropy = np.random.SeedSequence([self.seed, digest], spawn_key=(len(task.messages),))
        return task.problem.random(task.instance, np.random.default_rng(entropy))


class GreedyAgent(_Solver):
    """The textbook heuristic: skill 0."""

    name: ClassVar = "greedy"

    def solution(self, task: Task) -> Any:
        """Return the heuristic's solution."""
        return task.problem.heuristic(task.instance)


class ExactAgent(_Solver):
    """The certified reference: quality 1."""

    name: ClassVar = "exact"

    def solution(self, task: Task) -> Any:
        """Return the reference's witness."""
        return task.problem.reference(task.instance).solution
