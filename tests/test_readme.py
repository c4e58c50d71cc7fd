"""README: its examples run, its commands are those that CI and the package know."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


def blocks(root: Path, language: str, page: str = "README.md") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (root / page).read_text(), re.DOTALL)


def test_python_examples_run(root: Path, tmp_path: Path) -> None:
    examples = blocks(root, "python")
    assert len(examples) == 4
    for example in examples:
        if "adapters.trl" in example:
            pytest.importorskip("datasets")
        subprocess.run([sys.executable, "-c", example], check=True, cwd=tmp_path, capture_output=True)


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
    assert main.endswith("examples/train_grpo.py\n") and tests.endswith("-m pytest\n")
    assert (root / "README.md").read_text().index(tests) < 1500


def test_commands_of_the_command_line_parse(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.core import TyperCommand

    from forge_gym.cli import main

    lines = [
        line for block in blocks(root, "bash") for line in block.splitlines() if line.startswith("forge-gym ")
    ]
    assert len(lines) == 20
    monkeypatch.setattr(TyperCommand, "invoke", lambda *_: 0)
    assert not any(main(line.split()[1:]) for line in lines)


def test_training_arguments_exist(root: Path) -> None:
    pytest.importorskip("tyro")
    out = subprocess.run(
        [sys.executable, root / "examples" / "train_grpo.py", "--help"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    commands = blocks(root, "bash") + blocks(root, "bash", "docs/training.md")
    lines = "".join(commands).replace("\\\n", " ").splitlines()
    used = {flag for line in lines if "train_grpo.py" in line for flag in re.findall(r"(--[a-z0-9-]+)", line)}
    used -= {"--config-file"}
    assert len(used) > 15 and all(flag in out for flag in used - {"--config"})
    assert "Probability that a choice of the" in out  # the fields' docstrings are the help
    configurations = {name for line in lines for name in re.findall(r"examples/configs/\w+\.yaml", line)}
    assert configurations and all((root / name).is_file() for name in configurations)
