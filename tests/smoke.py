"""What must work where only the wheel is installed, without any extra; run there as a program, in an empty folder."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import gymnasium as gym

import forge_gym


def call(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "forge_gym", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def succeeds(*words: str) -> str:
    done = call(*words)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def names_its_extra(name: str, *words: str) -> None:
    """Check that a command whose extra is missing says so in one line."""
    done = call(*words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, f"{words}: {done.stderr}"
    assert f'pip install "forge-gym[{name}]"' in done.stderr, done.stderr


def main() -> None:
    for library in ("torch", "transformers", "matplotlib", "httpx", "fastapi", "datasets"):
        assert importlib.util.find_spec(library) is None, f"{library} came without its extra"
    for name in forge_gym.problems():
        env = gym.make(f"Forge/{name}-v0", level=1)
        env.reset(seed=1)
        problem = forge_gym.problem(name, level=1)
        reply = problem.format(problem.instance(seed=1), problem.reference(problem.instance(seed=1)).solution)
        _, reward, terminated, _, info = env.step(reply)
        assert terminated and reward == 1.0 and info["quality"] == 1.0
    assert "Forge/TSP-v0" in succeeds("list")
    assert "quality 1.000" in succeeds("show", "TSP", "--set", "n=3", "--reply", "<answer>[0, 1, 2]</answer>")
    assert "greedy" in succeeds("eval", "--suite", "forge-bench-v1", "--limit", "1", "--agent", "greedy")
    build = "suite build --env TSP Knapsack --levels 0 1 --per-level 2 --seed 3 --out own.jsonl.gz"
    succeeds(*build.split())
    succeeds("suite", "verify", "own.jsonl.gz")
    succeeds("eval", "--suite", "own.jsonl.gz", "--agent", "greedy", "--out", "run.jsonl")
    succeeds("rescore", "run.jsonl")
    generate = "generate --env TSP --levels 0 --train 4 --test 2 --out rows"
    succeeds(*generate.split())
    succeeds("check", "TSP", "--replies", "100", "--instances", "20")
    names_its_extra("viz", "show", "TSP", "--png", "tour.png")
    names_its_extra("viz", "report", "run.jsonl")
    names_its_extra("serve", "serve")
    names_its_extra("train", "eval", "--agent", "hf:model", "--env", "TSP")
    names_its_extra("sb3", "eval", "--agent", "sb3:policy.zip", "--env", "TSP")
    names_its_extra("api", "eval", "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--env", "TSP")
    print(f"forge-gym {forge_gym.__version__} works on Python {sys.version.split()[0]} without extras")


if __name__ == "__main__":
    main()
