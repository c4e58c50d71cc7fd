"""Answers to be judged by us and by a peer, and references that are there before timing starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from timing import Work

from forge_gym.core.instance import Instance
from forge_gym.core.problem import Problem
from forge_gym.core.reference import Reference
from forge_gym.kinds.assignment import Assignment
from forge_gym.kinds.schedule import Schedule
from forge_gym.kinds.subset import Subset

AnyProblem: TypeAlias = Problem[Any, Any]

_WORK = 2_000_000
"""Limit of work for references: whether they are proven does not matter here."""


def thought(characters: int) -> str:
    """Return about as many ``characters`` of reasoning."""
    sentence = "I compare the options. "
    return sentence * (characters // len(sentence))


def certified(problem: AnyProblem, instance: Instance) -> Reference[Any]:
    """Return the reference of ``instance``, found by little work and remembered from then on."""
    if not problem.has_reference(instance):
        solved = problem.certificate(instance, min(_WORK, problem.work_limit))
        problem.keep_reference(instance, problem.certify(instance, solved))
    return problem.reference(instance)


def ours(problem: AnyProblem, pairs: Sequence[tuple[Instance, str]]) -> Work:
    """Return work that judges every text to its instance, whose reference is known."""
    for instance, _ in pairs:
        certified(problem, instance)

    def work() -> None:
        for instance, text in pairs:
            problem.verify(instance, text)

    return work


def theirs(judge: Callable[[Any, Any], object], pairs: Sequence[tuple[Any, Any]]) -> Work:
    """Return work that calls a peer's ``judge`` with every pair."""

    def work() -> None:
        for one, other in pairs:
            judge(one, other)

    return work


def different(problem: AnyProblem, instance: Instance, count: int) -> list[Any]:
    """Return up to ``count`` feasible solutions, written differently: the best known, greedy, then random ones."""
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for solution in (certified(problem, instance).solution, problem.heuristic(instance)):
        found[problem.format_answer(instance, solution)] = solution
    for _ in range(100 * count):
        if len(found) >= count:
            break
        solution = problem.random(instance, rng)
        if isinstance(problem, (Subset, Schedule)):  # where order means nothing, another order is another text
            solution = tuple(solution[i] for i in rng.permutation(len(solution)))
        found.setdefault(problem.format_answer(instance, solution), solution)
    return list(found.values())[:count]


def spoilt(problem: AnyProblem, n: int, solution: Any) -> dict[str, Any]:
    """Return solutions with one mistake each, by its name; some may still be feasible.

    Examples
    --------
    >>> import forge_gym
    >>> spoilt(forge_gym.problem("TSP"), 3, (0, 2, 1))
    {'duplicate': (0, 2, 0), 'out of range': (0, 2, 3), 'wrong length': (0, 2)}
    """
    foreign = (n, *solution[0][1:]) if isinstance(problem, Schedule) else n
    same = (solution[0],) * len(solution)
    return {
        "duplicate": same if isinstance(problem, Assignment) else (*solution[:-1], solution[0]),
        "out of range": (*solution[:-1], foreign),
        "wrong length": solution[:-1],
    }
