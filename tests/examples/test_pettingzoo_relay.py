"""The relay's example at tiny size: it runs, and its table says what it must."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pettingzoo")


def test_the_table_is_in_order(root: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [
            sys.executable, root / "examples" / "pettingzoo_relay.py", "--problem", "TSP", "--level", "3",
            "--agents", "2", "--rounds", "4", "--episodes", "8",
        ],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"│ ([\w ,()-]+?) +│ (-?\d\.\d\d) \[\S+ \S+\] │ (-?\d\.\d\d) \[", result.stdout)
    skill = {team: float(mean) for team, _, mean in rows}
    assert skill["start (greedy)"] == 0 and skill["optimum"] == 1
    assert skill["2 free, greedy"] == skill["1 agent, greedy"] >= skill["2 owners, greedy"] >= 0
    assert skill["1 agent, greedy"] > skill["1 agent, random"] >= 0
    assert "TSP in text" in result.stdout and "is now the" in result.stdout
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_is_one_line(root: Path) -> None:
    for words, said in (
        (["--problem", "TPS"], "did you mean 'TSP'"),
        (["--strat", "greedy"], "did you mean '--start'"),
    ):
        command = [sys.executable, root / "examples" / "pettingzoo_relay.py", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and said in done.stderr, done.stderr
