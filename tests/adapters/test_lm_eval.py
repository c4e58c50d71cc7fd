"""lm-evaluation-harness: the task files are complete, and the harness scores as we do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.replies import SCRIPT
from forge_gym.adapters import task_name
from forge_gym.adapters.lm_eval import write_tasks
from forge_gym.data.suite import BENCHMARK, build, locate, read


def test_there_is_a_task_for_every_problem_of_the_suite(tmp_path: Path) -> None:
    _, rows = read(locate(BENCHMARK))
    folder = write_tasks(tmp_path / "tasks")
    names = {row.problem.name for row in rows}
    for name in names:
        assert f'"problem": "{name}"' in (folder / f"{task_name(name)}.yaml").read_text()
        assert f'"{task_name(name)}"' in (folder / "forge_bench_v1.yaml").read_text()
    before = {path.name: path.read_text() for path in folder.iterdir()}
    write_tasks(folder)
    assert before == {path.name: path.read_text() for path in folder.iterdir()}


def test_the_command_writes_them_and_says_where(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forge_gym.adapters.lm_eval", "tasks"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == f"wrote {tmp_path / 'tasks'}\n" and (tmp_path / "tasks" / "forge_tsp.yaml").exists()


def test_any_suite_is_a_group(tmp_path: Path) -> None:
    suite = tmp_path / "mine.jsonl"
    build(suite, ["Knapsack"], levels=[0], per_level=2, seed=3)
    folder = write_tasks(tmp_path / "tasks", str(suite))
    assert "group: mine\n" in (folder / "mine.yaml").read_text()
    assert str(suite) in (folder / "forge_knapsack.yaml").read_text()
    command = [sys.executable, "-m", "forge_gym.adapters.lm_eval", "x", "--suite", "nope"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "suite must be a file" in done.stderr


def test_replies_are_scored_as_everywhere() -> None:
    pytest.importorskip("datasets")
    from forge_gym.adapters.lm_eval import documents, rows, score

    for name in ("TSP", "MaxClique"):
        doc = documents(name)["test"][3]
        row = rows(BENCHMARK)[doc["id"]]
        problem, instance = row.problem, row.use()
        for solution in (problem.trivial(instance), problem.heuristic(instance)):
            verdict = problem.verify_solution(instance, solution)
            found = score(doc, [problem.format(instance, solution)])
            assert (found["quality"], found["success"]) == (verdict.quality, 1.0)
        assert score(doc, [doc["answer"]])["optimal"] == 1.0
        for nonsense in ("", "<answer>[", "\ud800"):  # and no column stands in for it
            assert score(doc | {"response": doc["answer"]}, [nonsense])["success"] == 0.0


def test_the_harness_runs_the_tasks(tmp_path: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval", reason=SCRIPT.format("lm-eval"))
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Scripted(LM):
        """Knows every answer of one problem and none of another."""

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            return [request.doc["answer"] if request.doc["problem"] == "TSP" else "no idea" for request in requests]

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

        loglikelihood_rolling = loglikelihood

    found = lm_eval.simple_evaluate(
        model=Scripted(),
        tasks=["forge_bench_v1"],
        task_manager=TaskManager(include_path=str(write_tasks(tmp_path))),
        limit=5,
        bootstrap_iters=0,
    )
    results = found["results"]
    assert results["forge_tsp"]["quality,none"] == results["forge_tsp"]["optimal,none"] == 1.0
    assert results["forge_knapsack"]["skill,none"] == -1.0
    assert results["forge_bench_v1"]["quality,none"] == pytest.approx(0.1)
