"""Every example in a docstring runs and says what it prints."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import forge_gym

PARTS = ("core", "envs", "agents", "wrappers", "adapters", "evaluation")
MODULES = ["forge_gym"] + [
    module.name
    for part in PARTS
    for module in pkgutil.walk_packages(
        importlib.import_module(f"forge_gym.{part}").__path__, f"forge_gym.{part}."
    )
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    options = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    assert doctest.testmod(importlib.import_module(name), optionflags=options).failed == 0


def test_there_are_examples() -> None:
    found = sum(
        len(test.examples)
        for name in MODULES
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
    )
    assert found > 60 and forge_gym.__doc__ is not None
