"""The ablation driver at tiny size, and the committed page against the committed results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

for _module in ("torch", "trl", "tyro", "matplotlib"):
    pytest.importorskip(_module)

TINY = {"problem": ["TSP"], "steps": 2, "prompts": 2, "group": 4, "test_episodes": 8, "eval_steps": 1}


@pytest.fixture
def ablation(root: Path) -> Any:
    spec = importlib.util.spec_from_file_location("ablation", root / "examples" / "ablation.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["ablation"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_study_runs_once_and_fills_a_page(
    ablation: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arms = {"tiered": {}, "binary, KL": {"reward": "binary", "beta": 0.05}}
    study = ablation.Study("Does it run?", TINY, arms, rates=(1e-3,), warm={"sft_steps": 5, "sft_batch": 8})
    monkeypatch.setattr(ablation, "STUDIES", {"tsp": study})
    run = ablation.Run(study="tsp", seeds=(0,), runs=tmp_path / "runs", results=tmp_path / "results")
    ablation.main(run)
    folder = tmp_path / "results" / "tsp"
    written = {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*.json")
    }
    assert sorted(written) == [
        "binary-KL-seed0.json", "start-seed0.json", "tiered-seed0.json", "tuning/binary-KL/0.001-seed0.json",
        "tuning/tiered/0.001-seed0.json",
    ]  # fmt: skip
    result = json.loads((folder / "binary-KL-seed0.json").read_text())
    assert result["command"].startswith("python examples/train_grpo.py --out runs/ablation/tsp/binary-KL/0")
    assert str(tmp_path) not in json.dumps(result) and result["arguments"]["beta"] == 0.05
    assert len(result["problems"][0]["values"]["skill"]) == 8 and len(result["heldout"]) == 3
    ablation.main(run)  # nothing is run again
    assert written == {name: (folder / name).stat().st_mtime_ns for name in written}
    page = tmp_path / "docs" / "ablations.md"
    ablation.main(ablation.Table(results=tmp_path / "results", page=page))
    text = page.read_text()
    for said in (
        "Does it run?",
        "greedy, the teacher",
        "**GRPO: binary, KL**, 0.001",
        "SFT, best of 128 samples",
    ):
        assert said in text
    assert (page.parent / "curves" / "tsp.png").stat().st_size > 5000
    with pytest.raises(ValueError, match="arms must be among"):
        ablation.main(ablation.Run(study="tsp", arms=("tired",), runs=tmp_path, results=tmp_path))


def test_the_page_is_what_the_results_say(ablation: Any, root: Path, tmp_path: Path) -> None:
    page = tmp_path / "docs" / "ablations.md"
    ablation.main(ablation.Table(page=page))
    assert page.read_text() == (root / "docs" / "ablations.md").read_text()


def test_results_name_their_commands_and_no_machine(root: Path) -> None:
    files = [path for path in (root / "results").rglob("*.json") if path.parent.name != "sb3"]
    assert files
    for path in files:
        result = json.loads(path.read_text())
        assert result["command"].startswith("python examples/"), path
        assert {"arguments", "versions", "seconds", "rollouts", "problems", "heldout"} <= set(result), path
        assert not result["arguments"]["out"].startswith("/") and not result["arguments"]["start"].startswith(
            "/"
        )
