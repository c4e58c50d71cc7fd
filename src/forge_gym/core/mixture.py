"""`Mixture`: several problems at several levels, and which of them comes next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from . import registry
from .checks import as_int, plain, short_repr
from .problem import Problem
from .seeding import instance_generator, stream_of

Names: TypeAlias = str | Sequence[str] | Mapping[str, float] | None
"""Problems of a mixture: their names, or each with its weight; None for all that are registered."""
_STREAM = stream_of("Mixed", 0, {})


class Member(NamedTuple):
    """One problem at one level, with its probability of a draw."""

    problem: Problem[Any, Any]
    level: int
    """Difficulty; -1 for the problem's own sizes."""
    share: float


@dataclass(frozen=True)
class Mixture:
    """Problems at levels, each with its share.

    Examples
    --------
    >>> mixture = Mixture.of({"TSP": 3, "Knapsack": 1}, levels=(0, 2))
    >>> [(member.problem.name, member.level, member.share) for member in mixture.members]
    [('TSP', 0, 0.375), ('TSP', 2, 0.375), ('Knapsack', 0, 0.125), ('Knapsack', 2, 0.125)]
    >>> mixture.draw(seed=7, index=0).problem.n
    26
    """

    members: tuple[Member, ...]

    @classmethod
    def of(cls, problems: Names = None, levels: int | Sequence[int] | None = None, **parameters: Any) -> Mixture:
        """Return the mixture of some problems.

        Parameters
        ----------
        problems
            See `Names`. Without weights, all problems have the same share.
        levels
            Difficulties, which share a problem's share equally; None keeps the sizes of each problem.
        **parameters
            What all these problems are made with, such as ``style``; see `forge_gym.problem`.
        """
        weights = _weights(registry.problems() if problems is None else problems)
        alone = levels is None or as_int(levels) is not None
        ladder = [*plain((levels,) if alone else levels)]
        if not ladder:
            raise ValueError("levels must hold at least one level, or be None, got none")
        parts = sum(weights.values()) * len(ladder)
        members = []
        for name, weight in weights.items():
            for level in ladder:
                problem = registry.problem(name, level=level, **parameters)
                members.append(Member(problem, -1 if level is None else level, weight / parts))
        return cls(tuple(members))

    def draw(self, seed: int, index: int = 0, split: str = "train") -> Member:
        """Return member number ``index`` of the stream ``seed``: the same in any process."""
        rng = instance_generator(_STREAM, seed, index, split)
        return self.members[rng.choice(len(self.members), p=[member.share for member in self.members])]


def _weights(names: str | Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    if not isinstance(names, (str, Sequence, Mapping)):
        raise ValueError(f"problems must be names, or names with weights, got {short_repr(names)}")
    listed = [names] if isinstance(names, str) else names
    weights = dict(listed) if isinstance(listed, Mapping) else dict.fromkeys(listed, 1.0)
    if not weights:
        raise ValueError("problems must hold at least one problem, got none")
    for name, weight in weights.items():
        number = isinstance(weight, (int, float, np.number)) and not isinstance(weight, bool)
        if not (number and 0 < weight < math.inf):
            raise ValueError(f"weight of {name} must be a number above 0, got {short_repr(weight)}")
    return weights
