"""The main job at tiny size: it runs from nothing, resumes after a kill, and takes a given model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

for _module in ("torch", "trl", "tyro", "matplotlib"):
    pytest.importorskip(_module)

TINY = {
    "hidden": 16, "layers": 1, "sft_steps": 12, "sft_batch": 8, "steps": 6, "prompts": 2, "group": 4, "save_steps": 2,
    "test_episodes": 10,
}  # fmt: skip


def start(root: Path, out: Path, **settings: object) -> subprocess.Popen[str]:
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]
    return subprocess.Popen(
        [sys.executable, root / "examples" / "train_grpo.py", f"--out={out}", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=out.parent,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == status, output
    return output


def weights(out: Path) -> bytes:
    return (out / "final" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    output = finish(start(root, out, **TINY))
    assert "GRPO - SFT" in output and "wrote" in output
    return out


def test_the_run_leaves_table_curve_and_results(whole: Path) -> None:
    results = json.loads((whole / "results.json").read_text())
    agents = {row["agent"]: row for row in results["agents"]}
    assert list(agents) == ["random", "greedy", "exact", "base", "SFT", "GRPO"]
    assert all(row["episodes"] == 10 for row in agents.values())
    assert agents["exact"]["quality"]["mean"] == 1 and agents["greedy"]["skill"]["mean"] == 0
    assert [entry["step"] for entry in results["curve"]] == [1, 2, 3, 4, 5, 6]
    assert all("forge/quality" in entry for entry in results["curve"])
    assert results["paired_quality"]["GRPO - exact"]["mean"] <= 0
    assert (whole / "reward.png").stat().st_size > 5000


@pytest.mark.parametrize("moment", ["sft.pt", "checkpoint-2/complete"])
def test_a_killed_run_ends_with_the_same_weights(
    root: Path, whole: Path, tmp_path: Path, moment: str
) -> None:
    out = tmp_path / "killed"
    process = start(root, out, **TINY)
    deadline = time.monotonic() + 120
    while not (out / moment).exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "final" / "complete").exists()
    finish(start(root, out, **TINY))
    assert weights(out) == weights(whole)
    before, after = (json.loads((path / "results.json").read_text())["agents"] for path in (whole, out))
    assert before == after


def test_a_folder_with_another_run_is_refused(root: Path, whole: Path) -> None:
    output = finish(start(root, whole, **TINY | {"steps": 7}), status=1)
    assert "out must be a new folder or one of the same settings" in output


def test_a_given_model_is_trained_on_chat_prompts(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "given"
    settings = {
        "model": tiny_model, "problem": "Knapsack", "parameters": '{"n": 9}', "steps": 2, "prompts": 2, "group": 2,
        "micro_batch": 2, "save_steps": 1, "test_episodes": 4, "max_completion_length": 8, "lora": 2,
        "learning_rate": 1e-5,
    }  # fmt: skip
    finish(start(root, out, **settings))
    results = json.loads((out / "results.json").read_text())
    assert [row["agent"] for row in results["agents"]] == ["random", "greedy", "exact", "base", "GRPO"]
    assert results["problem"].startswith("Knapsack(answer_format='tags', style='prose', n=9")
