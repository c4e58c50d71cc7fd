"""Lint and types, by the tools' own verdict."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import forge_gym


def run(*command: str | Path, cwd: Path) -> None:
    result = subprocess.run([sys.executable, "-m", *map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="needs ruff")
def test_ruff(root: Path) -> None:
    run("ruff", "check", ".", cwd=root)
    run("ruff", "format", "--check", ".", cwd=root)


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="needs mypy")
def test_mypy(root: Path, tmp_path: Path) -> None:
    package = Path(forge_gym.__file__).parent
    if not (package / "envs").is_dir():
        pytest.skip("mypy cannot follow an editable install; `pip install .` checks types")
    run("mypy", "--config-file", root / "pyproject.toml", "-p", "forge_gym", cwd=tmp_path)
