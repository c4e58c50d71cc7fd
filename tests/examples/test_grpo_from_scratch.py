"""The main job at tiny size: from nothing, resumed after a kill, with a given model, and refusals in one line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from forge_gym.agents import trained_on

for _module in ("torch", "trl", "tyro", "matplotlib"):
    pytest.importorskip(_module)

TINY = ["--sft-steps=6", "--sft-batch=8", "--steps=6", "--prompts=2", "--group=4", "--save-steps=2"]
TINY += ["--test-episodes=10"]
RUNS = {
    "fixed": TINY,
    # Untrained, so most groups fail alike; a curriculum on which everything rests must still come back as it was.
    "curriculum": [*TINY, "--levels", "0", "1", "--curriculum", "--reward=verpo"],
}


def start(root: Path, out: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        root / "examples" / "grpo_from_scratch.py",
        f"--out={out}",
        *map(str, arguments),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=out.parent)


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == status, output
    return output


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("runs") / "curriculum"
    output = finish(start(root, out, *RUNS["curriculum"]))
    assert "step 6 of 6, held out" in output and f"forge-gym eval --agent hf:{out}" in output
    return out


def test_the_run_leaves_model_table_curve_and_results(root: Path, whole: Path) -> None:
    results = json.loads((whole / "results.json").read_text())
    assert list(results["agents"]) == ["random", "greedy", "local-search", "exact", "SFT", "GRPO"]
    assert all(len(values["quality"]) == 10 for values in results["agents"].values())
    assert set(results["agents"]["exact"]["quality"]) == {1} and set(results["agents"]["greedy"]["skill"]) == {0}
    steps = {key: [e["step"] for e in results["log"] if key in e] for key in ("reward", "heldout/quality")}
    assert steps == {"reward": [1, 2, 3, 4, 5, 6], "heldout/quality": [0, 1, 2, 3, 4, 5, 6]}
    assert (whole / "reward.png").stat().st_size > 5000 and not list(whole.glob("checkpoint-*"))
    note = trained_on(f"hf:{whole}")
    assert note is not None and note["problem"] == "TSP" and note["parameters"]["style"] == "compact"
    assert forge_gym.problem("TSP", **note["parameters"]).n == note["max_new_tokens"]  # type: ignore[attr-defined]
    started = time.monotonic()
    again = finish(start(root, whole, *RUNS["curriculum"]))  # at once
    assert again.strip() == (whole / "table.txt").read_text().strip() and time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("run", "moment"),
    [
        pytest.param("fixed", "sft/checkpoint-4/trainer_state.json", marks=pytest.mark.slow),
        pytest.param("fixed", "checkpoint-2/trainer_state.json", marks=pytest.mark.slow),
        ("curriculum", "checkpoint-4/trainer_state.json"),
    ],
)
def test_a_killed_run_ends_with_the_same_weights(
    root: Path, whole: Path, tmp_path: Path, run: str, moment: str
) -> None:
    if run == "fixed":
        whole = tmp_path / "whole"
        finish(start(root, whole, *RUNS[run]))
    out = tmp_path / "killed"
    process = start(root, out, *RUNS[run])
    deadline = time.monotonic() + 120
    while not (out / moment).exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "forge_gym.json").exists()
    finish(start(root, out, *RUNS[run]))
    for file in ("model.safetensors", "table.txt"):
        before, after = ((path / file).read_bytes() for path in (whole, out))
        assert before.replace(str(whole).encode(), b"") == after.replace(str(out).encode(), b"")
    states = [json.loads((path / "trainer_state.json").read_text()) for path in (whole, out)]
    learned: list[Any] = [state["stateful_callbacks"]["SaveState"] for state in states]
    assert learned[0] == learned[1] and (run == "fixed" or learned[0]["attributes"]["learned"]["stream"]["drawn"])
    steps = [[entry["step"] for entry in state["log_history"]] for state in states]
    assert steps[0] == steps[1]


def test_a_given_model_is_warm_started_and_trained_on_chat_prompts(
    root: Path, tiny_model: Path, tmp_path: Path
) -> None:
    settings = ["--problem=Knapsack", '--parameters={"n": 9}', "--sft-steps=1", "--sft-batch=2", "--steps=1"]
    settings += ["--prompts=2", "--group=2", "--max-new-tokens=8", "--test-episodes=3"]
    grpo = {"learning_rate": 1e-5, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    finish(start(root, tmp_path / "given", f"--model={tiny_model}", f"--grpo={json.dumps(grpo)}", *settings))
    results = json.loads((tmp_path / "given" / "results.json").read_text())
    assert [*results["agents"]][-3:] == ["base", "SFT", "GRPO"] and results["parameters"] == {"n": 9}
    assert [entry["learning_rate"] for entry in results["log"] if "learning_rate" in entry] == [0.0]
    assert trained_on(f"hf:{tmp_path / 'given'}") == {
        "problem": "Knapsack", "parameters": {"n": 9}, "max_new_tokens": 8
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--problem=TPS"], "problem 'TPS' is not registered: did you mean 'TSP'?"),
        (["--reward=teired"], "did you mean 'tiered'?"),
        (["--parameters={n: 6}"], "parameters must be a JSON object, got '{n: 6}'"),
        (["--model=nowhere/at/all"], "model must be a folder of a model"),
        (["--group=1"], "group must be an integer of at least 2"),
        (
            ['--grpo={"lerning_rate": 1}'],
            "GRPOConfig has no argument 'lerning_rate': did you mean 'learning_rate'?",
        ),
        (['--grpo={"per_device_train_batch_size": 48}'], "must divide the 512 rollouts of a step"),
        (
            ['--grpo={"per_device_train_batch_size": 48, "gradient_accumulation_steps": 10}'],
            "must divide the 512 rollouts of a step, prompts times group, got 10 times 48",
        ),
        (['--grpo={"gradient_accumulation_steps": 2}'], "prompts times group, got 2 times 512"),
        (['--grpo={"num_generations": 8}'], "num_generations must be group, 16, got 8"),
        (["--out=/proc/nowhere"], "No such file or directory"),
    ],
)
def test_bad_settings_are_one_line(root: Path, tmp_path: Path, settings: list[str], words: str) -> None:
    output = finish(start(root, tmp_path / "run", *settings), status=2)
    assert words in output and output.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_folder_with_another_run_is_refused(root: Path, whole: Path, tmp_path: Path) -> None:
    output = finish(start(root, whole, *RUNS["curriculum"], "--seed=1"), status=2)
    assert "out must be a new folder or one of the same settings" in output and "seed is 0 and not 1" in output
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").touch()
    assert "holds something else" in finish(start(root, tmp_path / "letters", *TINY), status=2)
