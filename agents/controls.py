"""The controls of every table: trivial, random, greedy, local search and exact, as text agents like any other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..core.instance import Instance
from ..core.problem import Problem
from ..core.seeding import generator, stream_of
from ..core.verdict import Number
from .agent import Task

_STREAM = stream_of("answers of controls", 0, {})


class _Solver(ABC):
    """Answers each task by itself, from the instance."""

    name: ClassVar[str]

    @abstractmethod
    def solution(self, task: Task) -> Any:
        """Return a typed solution of the task's instance."""

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return the text of each task's solution."""
        return [task.problem.format(task.instance, self.solution(task)) for task in tasks]


def _generator(seed: int, task: Task) -> np.random.Generator:
    """Return a generator that depends on seed, instance, turn and sample alone, not on the batch."""
    digest = int(task.problem.digest(task.instance), 16)
    return generator(_STREAM, seed, digest, len(task.messages), task.sample)


class TrivialAgent(_Solver):
    """The thoughtless answer: quality 0."""

    name: ClassVar = "trivial"

    def solution(self, task: Task) -> Any:
        return task.problem.baseline(task.instance)


@dataclass(frozen=True)
class RandomAgent(_Solver):
    """A random feasible solution; the same for the same seed, instance and turn."""

    name: ClassVar = "random"
    seed: int = 0

    def solution(self, task: Task) -> Any:
        return task.problem.random(task.instance, _generator(self.seed, task))


class GreedyAgent(_Solver):
    """The textbook heuristic: skill 0."""

    name: ClassVar = "greedy"

    def solution(self, task: Task) -> Any:
        return task.problem.anchors(task.instance)[1]


@dataclass(frozen=True)
class LocalSearchAgent(_Solver):
    """Hill climbing from the heuristic: random moves, kept where they are no worse."""

    name: ClassVar = "local-search"
    seed: int = 0
    moves: int = 5
    """Moves tried per element of the instance."""

    def solution(self, task: Task) -> Any:
        rng = _generator(self.seed, task)
        *_, (solution, _) = climb(task.problem, task.instance, rng, self.moves)
        return solution


def climb(
    problem: Problem[Any, Any], instance: Instance, rng: np.random.Generator, moves: int
) -> Iterator[tuple[Any, Number]]:
    """Yield the heuristic's solution, then each that a random move reaches and that is no worse, with its value."""
    solution = problem.anchors(instance)[1]
    value = problem.objective(instance, solution)
    yield solution, value
    for _ in range(moves * instance.size):
        moved = problem.neighbour(instance, solution, rng)
        reached = problem.objective(instance, moved)
        if not problem.better(value, reached):
            solution, value = moved, reached
            yield solution, value


class ExactAgent(_Solver):
    """The certified reference: quality 1."""

    name: ClassVar = "exact"

    def solution(self, task: Task) -> Any:
        return task.problem.reference(task.instance).solution
