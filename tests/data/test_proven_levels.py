"""The table of levels to which references are proven: complete, and true of a sample."""

from __future__ import annotations

import pytest

import forge_gym
from forge_gym.core.parameters import choices
from forge_gym.core.registry import problem_class
from forge_gym.data.suite import proven_levels


def proven(name: str, distribution: str, level: int) -> bool:
    drawn = {"distribution": distribution} if distribution else {}
    problem = forge_gym.problem(name, level=level, **drawn)
    return all(problem.certificate(problem.instance(0, k)).proven for k in range(3))


@pytest.mark.parametrize("name", forge_gym.problems())
def test_every_family_has_a_level_and_its_low_levels_are_proven(name: str) -> None:
    levels = proven_levels(name)
    assert set(levels) == set(choices(problem_class(name), "distribution") or [""])
    for distribution, level in levels.items():
        assert level >= 0 and proven(name, distribution, min(level, 4))


@pytest.mark.slow
@pytest.mark.parametrize("name", forge_gym.problems())
def test_the_last_levels_are_proven(name: str) -> None:
    for distribution, level in proven_levels(name).items():
        assert proven(name, distribution, level)


def test_a_problem_that_nobody_measured_has_none() -> None:
    assert proven_levels("Elsewhere") == {}
