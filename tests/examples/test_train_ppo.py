"""The two examples with Stable-Baselines3 at tiny size: they train, evaluate, draw, and stop politely."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

for _module in ("sb3_contrib", "tyro", "matplotlib"):
    pytest.importorskip(_module)

TINY = [
    "--envs=2",
    "--rollout=16",
    "--batch=16",
    "--epochs=1",
    "--width=16",
    "--eval-episodes=5",
    "--test-episodes=5",
]
EXAMPLES = {
    "train_maskable_ppo.py": ["--problem=Knapsack", '--parameters={"n": 6}'],
    "train_ppo.py": ["--problem=TSP", '--parameters={"n": 5}', "--normalize", "--moves=4"],
}


def start(root: Path, out: Path, example: str, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, root / "examples" / example, f"--out={out}", *EXAMPLES[example], *TINY, *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=out.parent
    )


@pytest.mark.parametrize("example", EXAMPLES)
def test_from_nothing_to_a_table(root: Path, tmp_path: Path, example: str) -> None:
    process = start(root, tmp_path / "run", example, "--steps=96", "--eval-every=32")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    curve = [json.loads(line) for line in (tmp_path / "run" / "curve.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in curve] == [0, 32, 64, 96]
    assert all(entry["success"][0] <= 1 and entry["seconds"] >= 0 for entry in curve)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["curve"] == curve and result["arguments"]["steps"] == 96
    agents = result["test"]
    assert agents["greedy"]["skill"]["mean"] == 0 and agents["exact"]["quality"]["mean"] == 1
    assert len(agents) == 6 and "local-search" in printed
    assert (tmp_path / "run" / "curve.png").stat().st_size > 5000 and (
        tmp_path / "run" / "model.zip"
    ).is_file()


def test_an_interrupted_training_is_evaluated_as_it_is(root: Path, tmp_path: Path) -> None:
    process = start(root, tmp_path / "run", "train_maskable_ppo.py", "--steps=100000000", "--eval-every=32")
    curve, deadline = tmp_path / "run" / "curve.jsonl", time.monotonic() + 60
    while time.monotonic() < deadline and not (curve.exists() and curve.read_text().count("\n") > 2):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "stopped" in printed, printed
    assert (tmp_path / "run" / "model.zip").is_file() and (tmp_path / "run" / "result.json").is_file()


def test_the_page_says_what_the_results_say(root: Path) -> None:
    page = (root / "docs" / "classic_rl.md").read_text()
    results = {path.stem: json.loads(path.read_text()) for path in (root / "results" / "sb3").glob("*.json")}
    assert len(results) == 18
    for name, result in results.items():
        assert result["command"].startswith("python examples/train_") and name in result["command"]
        test = {agent: found["skill"] for agent, found in result["test"].items()}
        problem, policy = result["arguments"]["problem"], next(agent for agent in test if "PPO" in agent)
        if name.startswith("maskable_ppo") and name.endswith("-0"):
            (row,) = [line for line in page.splitlines() if line.startswith(f"| {problem}, ")]
            interval = f"{test[policy]['mean']:.2f} [{test[policy]['low']:.2f}, {test[policy]['high']:.2f}]"
            assert interval in row and f"| {test['local-search']['mean']:.2f} |" in row
            assert f"| {result['train_s']:.0f} |" in row
            assert (test[policy]["low"] > 0) == (problem != "SubsetSum")
        if problem == "TSP":
            start = "| the same with" if name.startswith("sparse") else f"| {policy}, "
            (row,) = [line for line in page.splitlines() if line.startswith(start)]
            skill = f"{test[policy]['mean']:.2f}"
            assert row.rstrip(" |").split("| ")[-1].split(", ")[result["arguments"]["seed"]] == skill
            assert test[policy]["low"] > test["local-search"]["mean"] > 0
