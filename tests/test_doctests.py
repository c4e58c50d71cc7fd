"""Every example in a docstring runs and says what it prints."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import forge_gym

PACKAGES = [importlib.import_module(f"forge_gym{name}") for name in ("", ".agents", ".envs", ".wrappers")]
"""An editable install maps the last three to other folders, where a walk from the first does not come by."""
FOUND = {
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
}
MODULES = sorted(FOUND | {package.__name__ for package in PACKAGES})


def load(name: str) -> ModuleType | None:
    """Return the module; None where it needs an extra that is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("forge_gym"):
            raise
        return None


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = load(name)
    if module is None:
        pytest.skip("needs an extra that is not installed")
    options = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    assert doctest.testmod(module, optionflags=options).failed == 0


def test_there_are_examples() -> None:
    found = sum(
        len(test.examples)
        for module in filter(None, map(load, MODULES))
        for test in doctest.DocTestFinder().find(module)
    )
    assert found > 60 and forge_gym.__doc__ is not None
