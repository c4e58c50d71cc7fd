"""The main job at tiny size: it runs from nothing, resumes after a kill, and takes a given model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

for _module in ("torch", "trl", "tyro", "matplotlib"):
    pytest.importorskip(_module)

TINY = {
    "sft_steps": 12, "sft_batch": 8, "steps": 6, "prompts": 2, "group": 4, "save_steps": 2, "test_episodes": 10,
    "best_of": 2, "eval_steps": 3,
}  # fmt: skip


def start(root: Path, out: Path, launch: Sequence[str] = (), **settings: object) -> subprocess.Popen[str]:
    arguments = []
    for key, value in settings.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, (list, tuple)):
            arguments += [flag, *map(str, value)]
        else:
            arguments += [flag] if value is True else [f"{flag}={value}"]
    return subprocess.Popen(
        [sys.executable, *launch, root / "examples" / "train_grpo.py", f"--out={out}", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=out.parent,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == status, output
    return output


def weights(out: Path) -> bytes:
    return (out / "final" / "model.safetensors").read_bytes()


RUNS = {
    "static": TINY,
    # Untrained, so most groups fail alike; a curriculum on which everything rests must still come back as it was.
    "curriculum": TINY
    | {"problem": ["TSP", "Knapsack"], "levels": [0, 1], "curriculum": True, "reward": "verpo"},
}


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs that nothing stopped."""
    folder = tmp_path_factory.mktemp("runs")
    for name, settings in RUNS.items():
        output = finish(start(root, folder / name, **settings))
        assert "GRPO - SFT" in output and "wrote" in output
    return {name: folder / name for name in RUNS}


def test_the_run_leaves_table_curve_log_and_results(whole: dict[str, Path]) -> None:
    results = json.loads((whole["static"] / "results.json").read_text())
    (tsp,) = results["problems"]
    assert list(tsp["agents"]) == ["random", "greedy", "local-search", "exact", "base", "SFT", "GRPO"]
    assert all(row["episodes"] == 10 for row in tsp["agents"].values())
    assert tsp["agents"]["exact"]["quality"]["mean"] == 1 and tsp["agents"]["greedy"]["skill"]["mean"] == 0
    assert [entry["step"] for entry in results["curve"]] == [1, 2, 3, 4, 5, 6]
    assert [entry["step"] for entry in results["heldout"]] == [0, 3, 6]
    assert all("forge/quality" in entry for entry in results["curve"])
    assert tsp["gains"]["exact"]["quality"]["mean"] <= 0 and list(tsp["sft_best_of"]) == ["1", "2"]
    assert len(tsp["values"]["skill"]) == 10 and results["rollouts"] == 6 * 2 * 4
    assert (whole["static"] / "reward.png").stat().st_size > 5000
    lines = [json.loads(line) for line in (whole["static"] / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "reward" in line] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("run", "moment"),
    [
        pytest.param("static", "warm/checkpoint-4/trainer_state.json", marks=pytest.mark.slow),
        pytest.param("static", "checkpoint-2/trainer_state.json", marks=pytest.mark.slow),
        ("curriculum", "checkpoint-4/trainer_state.json"),
    ],
)
def test_a_killed_run_ends_with_the_same_weights(
    root: Path, whole: dict[str, Path], tmp_path: Path, run: str, moment: str
) -> None:
    out = tmp_path / "killed"
    process = start(root, out, **RUNS[run])
    deadline = time.monotonic() + 120
    while not (out / moment).exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (out / "final" / "complete").exists()
    finish(start(root, out, **RUNS[run]))
    assert weights(out) == weights(whole[run])
    before, after = (json.loads((path / "results.json").read_text()) for path in (whole[run], out))
    assert before["problems"] == after["problems"]
    states = [
        json.loads((path / "checkpoint-6" / "trainer_state.json").read_text()) for path in (whole[run], out)
    ]
    first, second = (state["stateful_callbacks"]["SaveState"] for state in states)
    assert first == second and (run != "curriculum" or first["attributes"]["learned"]["stream"]["drawn"])
    logs = [[json.loads(line)["step"] for line in (path / "log.jsonl").open()] for path in (whole[run], out)]
    assert logs[0] == logs[1]


def test_a_folder_with_another_run_is_refused(root: Path, whole: dict[str, Path]) -> None:
    output = finish(start(root, whole["static"], **TINY | {"steps": 7}), status=1)
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
    (knapsack,) = results["problems"]
    assert list(knapsack["agents"]) == ["random", "greedy", "local-search", "exact", "base", "GRPO"]
    assert knapsack["problem"] == "Knapsack" and knapsack["parameters"] == {"n": 9}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"bf16": True, "gradient_checkpointing": True, "micro_batch": 4}, marks=pytest.mark.slow
        ),
        {
            "style": "prose",
            "problem": ["Knapsack"],
            "parameters": '{"n": 6}',
            "max_completion_length": 24,
            "turns": 2,
        },
        {"problem": ["TSP", "Knapsack"], "train_on": ["TSP"], "levels": [0], "curriculum": True, "turns": 2},
    ],
    ids=["bf16", "prose, two turns", "curriculum, two turns"],
)
def test_other_ways_to_train(root: Path, tmp_path: Path, settings: dict[str, object]) -> None:
    small = TINY | {"sft_steps": 4, "steps": 2, "test_episodes": 4, "best_of": 0}
    finish(start(root, tmp_path / "run", **small | settings))
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [entry["step"] for entry in results["curve"]] == [1, 2]
    trained = {
        key.split("/")[1]
        for key in results["curve"][-1]
        if key.startswith("forge/") and key.endswith("/quality")
    }
    assert trained <= {*settings.get("train_on", settings.get("problem", ["TSP"])), "quality"}  # type: ignore[misc]


@pytest.mark.slow
def test_two_processes_train_one_policy(root: Path, tmp_path: Path) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    process = start(root, tmp_path / "run", launch=launch, **RUNS["curriculum"])
    assert "wrote" in finish(process)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "reward" in line] == [1, 2, 3, 4, 5, 6]
