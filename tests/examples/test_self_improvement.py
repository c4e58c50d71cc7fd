"""Rejection sampling at tiny size: rounds that improve nothing yet, run once."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

import forge_gym
from forge_gym.agents import trained_on
from forge_gym.training.demonstrations import Demonstrations
from forge_gym.training.runs import finish

for _module in ("torch", "trl", "tyro", "matplotlib"):
    pytest.importorskip(_module)


def run(root: Path, out: Path, *more: object, status: int = 0) -> str:
    command = [sys.executable, f"{root}/examples/self_improvement.py", f"--model={out.parent}/start"]
    command += [f"--out={out}", "--rounds=2", "--instances=20", "--samples=4", "--skill=-1", "--steps=2"]
    command += ["--batch=4", "--test-episodes=10", *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out.parent, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_rounds_are_run_once_and_another_run_is_refused(root: Path, tmp_path: Path) -> None:
    from forge_gym.training.scratch import build_model, word_tokenizer
    from forge_gym.training.sft import fine_tune

    problem = forge_gym.problem("Knapsack", style="compact", answer_format="raw", n=6, largest=6)
    stream = Demonstrations([problem]).stream
    tokenizer = word_tokenizer(f"{e.prompt} {e.reply}" for e in islice(stream(), 300))
    model, out = build_model("tiny", tokenizer), tmp_path / "run"
    fine_tune(model, tokenizer, stream, tmp_path / "start", steps=80, batch=16)
    finish(tmp_path / "start", problem, 7)
    assert "round 2: " in run(root, out)  # which asks the note what the model knows
    results = json.loads((out / "results.json").read_text())
    assert results["problem"] == "Knapsack" and [entry["step"] for entry in results["log"]] == [0, 1, 2]
    assert trained_on(f"hf:{out / 'round-2'}") == trained_on(f"hf:{tmp_path / 'start'}")
    (out / "table.txt").unlink()
    before = [path.stat().st_mtime_ns for path in out.glob("round-*/model.safetensors")]
    run(root, out)
    assert before == [path.stat().st_mtime_ns for path in out.glob("round-*/model.safetensors")]
    assert json.loads((out / "results.json").read_text())["agents"] == results["agents"]
    assert "seed is 0 and not 1" in run(root, out, "--seed=1", status=2)
