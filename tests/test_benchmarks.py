"""The benchmark programs run, and say what they should; how fast is theirs to say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import forge_gym
from forge_gym.data.suite import PROBLEMS


@pytest.fixture
def benchmarks(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The modules by name, imported as from their own folder, and forgotten afterwards."""
    folder = root / "benchmarks"
    if not folder.is_dir():
        pytest.skip("needs the checkout")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(folder)
    yield {name: import_module(name) for name in ("growth", "labels")}
    for name in {path.stem for path in folder.glob("*.py")} - before:
        sys.modules.pop(name, None)


def test_growth_measures_every_problem(benchmarks: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    growth = benchmarks["growth"]
    monkeypatch.setattr(growth, "_LEAST_S", 0.0)
    rows = list(growth.measure(repeats=2, sizes=(12, 24)))
    assert {row["problem"] for row in rows} == set(forge_gym.problems())
    assert len(rows) == 8 * len(list(growth.cases()))
    for row in rows:
        assert row["sizes"] == [12, 24] and len(row["mb" if "PEAK" in row["id"] else "us"]) == 2
        reads_sums = (row["problem"], row["id"]) == ("ExactSubsetSum", "GROW JSON")
        assert (row["limit"] is None) == (row["id"] == "GROW ANCHORS" or reads_sums)
        assert row["ok"] == (row["limit"] is None or row["exponent"] <= row["limit"])
        assert row["problem"] in growth.line(row)
    json.dumps(rows)


def test_growth_lifts_the_bound_of_sizes_and_puts_it_back(benchmarks: dict[str, ModuleType]) -> None:
    case = benchmarks["growth"].Case("Knapsack", "items")
    assert all(row["sizes"] == [900, 1800] for row in benchmarks["growth"].grow(case, (900, 1800), 2))
    with pytest.raises(ValueError, match="1000"):
        forge_gym.problem("Knapsack", n=1800)


def test_labels_are_proven_in_every_row(benchmarks: dict[str, ModuleType]) -> None:
    labels = benchmarks["labels"]
    rows = list(labels.measure(instances=2, sample=10, levels=(0, 1), cities=8))
    counted = {id: [row["problem"] for row in rows if row["id"] == id] for id in {row["id"] for row in rows}}
    names = forge_gym.problems()
    assert sorted(counted["LABEL LEVEL"]) == sorted([*names, *names])
    assert counted["LABEL SUITE"] == list(PROBLEMS)
    for row in rows:
        assert row["proven"] == 1 and row["per_second"] > 0 and row["p95"] <= row["max"]
        assert row["problem"] in labels.line(row)
    assert all(row["peer_proven"] == 1 for row in rows if "ratio" in row)
    json.dumps(rows)


@pytest.mark.parametrize("program", ["growth", "labels"])
def test_the_programs_explain_themselves(root: Path, program: str) -> None:
    path = root / "benchmarks" / f"{program}.py"
    said = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--json" in said and "process CPU time" in said
