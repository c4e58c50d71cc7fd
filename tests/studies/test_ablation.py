"""The studies at tiny size, and the committed page against the committed results."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

for _module in ("torch", "trl", "tyro", "matplotlib"):
    pytest.importorskip(_module)

ablation: Any = import_module("ablation")
page_writer: Any = import_module("page")

TINY = {"problem": "TSP", "steps": 1, "prompts": 2, "group": 4, "test_episodes": 8}


@pytest.mark.slow
def test_a_study_runs_once_and_fills_a_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arms = {"tiered": {}, "binary, KL": {"reward": "binary", "grpo": ablation.KL}}
    warm = {"sft_steps": 3, "sft_batch": 8}
    study = ablation.Study("Does it run?", TINY, arms, rates=(1e-3,), warm=warm, best_of=2)
    for module in (ablation, page_writer):
        monkeypatch.setattr(module, "STUDIES", {"tsp": study})
    run = ablation.Args("tsp", seeds=(0,), runs=tmp_path / "runs", results=tmp_path / "results")
    ablation.main(run)
    folder = tmp_path / "results" / "tsp"
    written = {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    assert sorted(written) == [
        "binary-KL-seed0.json", "start-seed0.json", "tiered-seed0.json", "tuning/binary-KL/0.001-seed0.json",
        "tuning/tiered/0.001-seed0.json",
    ]  # fmt: skip
    result = json.loads((folder / "binary-KL-seed0.json").read_text())
    assert result["command"].startswith("python examples/grpo_from_scratch.py --out=runs/ablation/tsp/binary-KL/0")
    assert str(tmp_path) not in json.dumps(result) and json.loads(result["arguments"]["grpo"])["beta"] == 0.05
    assert len(result["values"]["skill"]) == 8 and len(result["heldout"]) == 2
    ablation.main(run)  # nothing is run again
    assert written == {name: (folder / name).stat().st_mtime_ns for name in written}
    page = tmp_path / "docs" / "ablations.md"
    page.parent.mkdir()
    page_writer.main(tmp_path / "results", page)
    text = page.read_text()
    for said in (
        "Does it run?",
        "greedy, the teacher",
        "**GRPO: binary, KL**, 0.001",
        "SFT, best of 2 samples",
    ):
        assert said in text
    assert (page.parent / "curves" / "tsp.png").stat().st_size > 5000


def test_the_page_is_what_the_results_say(root: Path, tmp_path: Path) -> None:
    page_writer.main(page=tmp_path / "ablations.md")
    assert (tmp_path / "ablations.md").read_text() == (root / "docs" / "ablations.md").read_text()


def test_results_name_their_commands_and_no_machine(root: Path) -> None:
    files = [path for path in (root / "studies" / "results").rglob("*.json") if path.parent.name != "sb3"]
    assert files
    for path in files:
        result = json.loads(path.read_text())
        assert result["command"].startswith("python examples/"), path
        assert {"arguments", "versions", "agents", "values", "heldout"} <= set(result), path
        assert '"/' not in json.dumps(result["arguments"]), path
