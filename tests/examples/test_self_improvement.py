"""Rejection sampling at tiny size: rounds that improve nothing yet, gone on with only for the same settings."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

import forge_gym
from forge_gym.training.demonstrations import Demonstrations

for _module in ("torch", "trl", "tyro", "matplotlib"):
    pytest.importorskip(_module)

PARAMETERS = {"n": 6}


def run(root: Path, out: Path, *more: object, status: int = 0) -> str:
    command = [sys.executable, f"{root}/examples/self_improvement.py", f"--start={out.parent}/start"]
    command += [f"--out={out}", "--problem=Knapsack", f"--parameters={json.dumps(PARAMETERS)}", "--rounds=2"]
    command += ["--instances=20", "--samples=4", "--skill=-1", "--steps=2", "--batch=4", "--test-episodes=10"]
    command += map(str, more)
    done = subprocess.run(command, capture_output=True, text=True, cwd=out.parent, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_rounds_are_run_once_and_another_run_is_refused(root: Path, tmp_path: Path) -> None:
    from forge_gym.training.scratch import build_model, word_tokenizer
    from forge_gym.training.sft import fine_tune

    problem = forge_gym.problem("Knapsack", style="compact", answer_format="raw", **PARAMETERS)
    stream = Demonstrations([problem]).stream
    tokenizer = word_tokenizer(f"{e.prompt} {e.reply}" for e in islice(stream(), 300))
    model, out = build_model("tiny", tokenizer), tmp_path / "run"
    fine_tune(model, tokenizer, stream, tmp_path / "warm", steps=80, batch=16, save_to=tmp_path / "start")
    run(root, out)
    results = json.loads((out / "results.json").read_text())
    assert [entry["step"] for entry in results["heldout"]] == [0, 1, 2] and min(results["kept"]) > 0
    rounds = [out / f"round-{number}" / "model.safetensors" for number in (1, 2)]
    before = [path.stat().st_mtime_ns for path in rounds]
    run(root, out)
    assert before == [path.stat().st_mtime_ns for path in rounds]
    assert json.loads((out / "results.json").read_text())["problems"] == results["problems"]
    assert "out must be a new folder or one of the same settings" in run(root, out, "--seed=1", status=1)
