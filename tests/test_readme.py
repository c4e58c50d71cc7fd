"""README: its examples run, its commands are those that CI and the package know."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


def blocks(root: Path, language: str, page: str = "README.md") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (root / page).read_text(), re.DOTALL)


def test_it_is_one_page(root: Path) -> None:
    page = (root / "README.md").read_text()
    assert page.count("\n") <= 150 and max(map(len, re.sub(r"\(.*?\)|<.*?>", "", page).splitlines())) <= 145


def test_the_example_prints_what_the_page_shows(root: Path, tmp_path: Path) -> None:
    (example,) = blocks(root, "python")
    (shown,) = blocks(root, "text")
    done = subprocess.run([sys.executable, "-c", example], check=True, cwd=tmp_path, capture_output=True, text=True)
    parts = [part.strip() for line in shown.splitlines() for part in line.split("[...]")]
    assert len(parts) > 8 and all(part in done.stdout for part in parts)


def test_the_training_page_runs(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    examples = blocks(root, "python", "docs/training.md")
    assert len(examples) == 5
    subprocess.run([sys.executable, "-c", "\n".join(examples)], check=True, cwd=tmp_path, capture_output=True)


def test_the_page_on_classic_rl_runs(root: Path, tmp_path: Path) -> None:
    for module in ("sb3_contrib", "pettingzoo"):
        pytest.importorskip(module)
    examples = blocks(root, "python", "docs/classic_rl.md")
    assert len(examples) == 5
    subprocess.run([sys.executable, "-c", "\n".join(examples)], check=True, cwd=tmp_path, capture_output=True)


def test_the_first_screen_has_the_two_commands(root: Path) -> None:
    main, tests = blocks(root, "bash")[:2]
    for command in (main, tests):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt")
        assert command.count("\n") == 1
    assert main.endswith("examples/grpo_from_scratch.py\n") and tests.endswith("-m pytest\n")
    assert (root / "README.md").read_text().index(tests) < 1500


def test_commands_of_the_command_line_parse(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.core import TyperCommand

    from forge_gym.cli import main

    lines = [line for block in blocks(root, "bash") for line in block.splitlines() if line.startswith("forge-gym ")]
    assert len(lines) == 7
    monkeypatch.setattr(TyperCommand, "invoke", lambda *_: 0)
    assert not any(main(line.split()[1:]) for line in lines)
