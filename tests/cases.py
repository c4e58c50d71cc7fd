"""What tests run over: every problem, one of each kind, every setting of a problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from forge_gym.core.parameters import choices, parameter_types
from forge_gym.core.problem import PRESENTATION, Problem
from forge_gym.core.registry import problem_class
from forge_gym.kinds import Kind

PROBLEMS = forge_gym.problems()
TEXTS = [
    "",
    "?",
    "[]",
    "[0]",
    "<answer>",
    "<answer></answer>",
    "<answer>[]</answer>",
    "<answer>[0, 0]</answer>",
]


def kind_of(name: str) -> str:
    """Return the module of the kind that a problem is of."""
    bases = problem_class(name).__mro__
    return next(base.__module__ for base in bases if base is not Kind and ".kinds." in base.__module__)


ONE_PER_KIND = tuple({kind_of(name): name for name in reversed(PROBLEMS)}.values())
every_problem = pytest.mark.parametrize("name", PROBLEMS)
every_kind = pytest.mark.parametrize("name", ONE_PER_KIND)


def settings(name: str, **others: Any) -> list[Problem[Any, Any]]:
    """Return a problem as it is by default, and with every other choice of each parameter that lists its choices."""
    cls = problem_class(name)
    drawing = [parameter for parameter in parameter_types(cls) if parameter not in PRESENTATION]
    listed = [{key: choice} for key in drawing for choice in choices(cls, key) if choice != getattr(cls, key)]
    return [cls(**{**others, **chosen}) for chosen in [{}, *listed]]


def small(name: str) -> list[Problem[Any, Any]]:
    """Return every setting of a problem at a size at which all solutions can be enumerated."""
    cls: Any = problem_class(name)
    bent = {"k": 2} if "k" in parameter_types(cls) else {}
    return settings(name, n=cls.enumerable, **bent)


def transcript(path: Path) -> list[dict[str, Any]]:
    """Return header, rows and lines of a transcript but for times, in one order."""
    header, *lines = map(json.loads, path.read_text().splitlines())
    count = header["rows"]["count"] if header["rows"] else 0
    rows, lines = lines[:count], lines[count:]
    for line in lines:
        line.pop("seconds"), line.pop("attempts")
    header.pop("started")
    return [header, *rows, *sorted(lines, key=lambda line: (line["row"], line["sample"], line["turn"]))]
