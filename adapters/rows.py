"""Samples of problems, levels and splits in one order, of which every trainer's rows are made."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from typing import Any

from ..core.problem import Instance, Problem


@dataclass(frozen=True)
class Sample:
    """A graded instance and where it comes from."""

    problem: Problem[Any, Any]
    instance: Instance
    level: int
    """Difficulty; -1 for the problem's own parameters."""
    seed: int
    index: int
    split: str

    @cached_property
    def prompt(self) -> str:
        """The instance as text."""
        return self.problem.prompt(self.instance)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt as a conversation."""
        return [{"role": "user", "content": self.prompt}]

    @property
    def spec(self) -> str:
        """A string that rebuilds problem and instance; see `forge_gym.from_spec`."""
        return self.problem.spec(self.seed, self.index, self.split)

    @property
    def digest(self) -> str:
        """The instance's hash."""
        return self.problem.digest(self.instance)


def ladder(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]], levels: Sequence[int] | None = None
) -> list[tuple[int, Problem[Any, Any]]]:
    """Return level and problem of every stream: all problems at the first level, then at the next.

    Raises
    ------
    ValueError
        If no problem or no level is given.
    """
    given = [problems] if isinstance(problems, Problem) else list(problems)
    if not given:
        raise ValueError("problems must hold at least one problem, got none")
    if levels is None:
        return [(-1, problem) for problem in given]
    if not len(levels):
        raise ValueError("levels must hold at least one level, or be None, got none")
    return [(level, problem.at_level(level)) for level in levels for problem in given]


def samples(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]],
    *,
    levels: Sequence[int] | None = None,
    seed: int = 0,
    split: str = "train",
    exclude: Container[str] = frozenset(),
) -> Iterator[Sample]:
    """Return graded instances without end, one of each problem at each level in turn.

    Parameters
    ----------
    problems
        One or several; each gets an equal share.
    levels
        Difficulties to cycle through; None keeps each problem's own parameters.
    seed, split
        Stream of instances; see `Problem.instance`.
    exclude
        Prompts to leave out, such as those of a test set.

    Raises
    ------
    ValueError
        If no problem or level is given, or (while iterating) a problem leaves no room for quality.

    Examples
    --------
    >>> import forge_gym
    >>> found = samples([forge_gym.problem("TSP"), forge_gym.problem("Knapsack")], levels=[0, 2])
    >>> [(sample.problem.name, sample.level) for sample, _ in zip(found, range(5))]
    [('TSP', 0), ('Knapsack', 0), ('TSP', 2), ('Knapsack', 2), ('TSP', 0)]
    """
    streams = [_stream(problem, level, seed, split, exclude) for level, problem in ladder(problems, levels)]
    return (next(stream) for stream in cycle(streams))


def _stream(
    problem: Problem[Any, Any], level: int, seed: int, split: str, exclude: Container[str]
) -> Iterator[Sample]:
    for index, instance in problem.graded_instances(seed, split):
        sample = Sample(problem, instance, level, seed, index, split)
        if sample.prompt not in exclude:
            yield sample
