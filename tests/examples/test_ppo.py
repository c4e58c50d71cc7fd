"""The example with Stable-Baselines3 at tiny size: it trains, evaluates, draws, stops politely, and refuses at once."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forge_gym.cli import main as forge_gym_command

for _module in ("sb3_contrib", "matplotlib"):
    pytest.importorskip(_module)

TINY = [
    *("--envs=2", "--rollout=16", "--batch=16", "--epochs=1", "--width=16"),
    *("--eval-episodes=5", "--test-episodes=5"),
]
VIEWS = {"construct": ["--problem=Knapsack", "--set", "n=6"], "improve": ["--set", "n=5"]}


def start(root: Path, out: Path, view: str, *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        root / "examples" / "ppo.py",
        f"--view={view}",
        f"--out={out}",
        *VIEWS[view],
        *TINY,
    ]
    return subprocess.Popen(
        [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=out.parent
    )


@pytest.mark.parametrize("view", VIEWS)
def test_from_nothing_to_a_table(
    root: Path, tmp_path: Path, view: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start(root, tmp_path / "run", view, "--steps=96", "--evaluations=3")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0, printed
    curve = [json.loads(line) for line in (tmp_path / "run" / "curve.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in curve] == [0, 32, 64, 96]
    assert all(entry["success"][0] <= 1 and entry["seconds"] >= 0 for entry in curve)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["curve"] == curve and f"--view={view}" in result["command"]
    agents = result["test"]
    assert agents["greedy"]["skill"]["mean"] == 0 and agents["exact"]["quality"]["mean"] == 1
    assert len(agents) == 6 and "local-search" in printed
    assert (tmp_path / "run" / "curve.png").stat().st_size > 5000
    program, *words = shlex.split(printed.splitlines()[-1])
    monkeypatch.chdir(tmp_path)
    assert program == "forge-gym" and forge_gym_command([*words, "--episodes", "5"]) == 0
    assert f"{agents[next(name for name in agents if 'PPO' in name)]['skill']['mean']:.3f}" in capsys.readouterr().out


def test_an_interrupted_training_is_evaluated_as_it_is(root: Path, tmp_path: Path) -> None:
    process = start(root, tmp_path / "run", "construct", "--steps=100000000", "--evaluations=1000000")
    curve, deadline = tmp_path / "run" / "curve.jsonl", time.monotonic() + 60
    while time.monotonic() < deadline and not (curve.exists() and curve.read_text().count("\n") > 2):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "stopped" in printed, printed
    assert (tmp_path / "run" / "model.zip").is_file() and (tmp_path / "run" / "result.json").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--view=constuct"], "--view must be one of .* did you mean 'construct'"),
        (["--reward=pairwise"], "reward must pay a single answer"),
        (["--stepz=3"], "did you mean '--steps'"),
        (["--out=/proc/none/run"], "/proc/none"),
    ],
)
def test_what_is_wrong_is_one_line(root: Path, tmp_path: Path, words: list[str], said: str) -> None:
    import re

    done = subprocess.run(
        [sys.executable, root / "examples" / "ppo.py", *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and re.search(said, done.stderr), done.stderr
    assert not done.stdout and not list(tmp_path.iterdir())


def test_the_page_says_what_the_results_say(root: Path) -> None:
    page = (root / "docs" / "classic_rl.md").read_text()
    (folder,) = [path for path in (root / "results" / "sb3", root / "studies" / "results" / "sb3") if path.is_dir()]
    results = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    assert len(results) == 18
    for name, result in results.items():
        algorithm, problem, seed = name.split("-")
        assert result["command"].startswith("python examples/ppo.py") and name in result["command"]
        test = {agent: found["skill"] for agent, found in result["test"].items()}
        policy = next(agent for agent in test if "PPO" in agent)
        if algorithm == "maskable_ppo" and seed == "0":
            (row,) = [line for line in page.splitlines() if line.startswith(f"| {problem}, ")]
            interval = f"{test[policy]['mean']:.2f} [{test[policy]['low']:.2f}, {test[policy]['high']:.2f}]"
            assert interval in row and f"| {test['local-search']['mean']:.2f} |" in row
            assert f"| {result['train_s']:.0f} |" in row
            assert (test[policy]["low"] > 0) == (problem != "SubsetSum")
        if problem == "TSP":
            start = "| the same with" if algorithm == "sparse" else f"| {policy}, "
            (row,) = [line for line in page.splitlines() if line.startswith(start)]
            skill = f"{test[policy]['mean']:.2f}"
            assert row.rstrip(" |").split("| ")[-1].split(", ")[int(seed)] == skill
            assert test[policy]["low"] > test["local-search"]["mean"] > 0
