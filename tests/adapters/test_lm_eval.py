"""lm-evaluation-harness: the task files are complete, and the harness scores as we do.

The second half needs the harness: ``pip install lm-eval`` in an environment with this package, then
``pytest tests/adapters/test_lm_eval.py``.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import forge_gym
from forge_gym.adapters.lm_eval import FOLDER
from forge_gym.evaluation.suite import BENCHMARK, locate, read


def test_there_is_a_task_for_every_problem_of_the_suite() -> None:
    _, rows = read(locate(BENCHMARK))
    named = {
        line.partition("problem: ")[2].strip()
        for path in FOLDER.glob("forge_*.yaml")
        for line in path.read_text().splitlines()
        if "problem: " in line
    }
    assert named == {row.problem.name for row in rows} == set(forge_gym.problems())
    group = (FOLDER / "forge_bench_v1.yaml").read_text()
    assert all(
        f"  - {path.stem}\n" in group for path in FOLDER.glob("forge_*.yaml") if path.stem != "forge_bench_v1"
    )


def test_the_folder_is_printed() -> None:
    command = [sys.executable, "-m", "forge_gym.adapters.lm_eval"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == str(FOLDER)


def test_replies_are_scored_as_everywhere() -> None:
    pytest.importorskip("datasets")
    from forge_gym.adapters.lm_eval.functions import documents, rows, score

    for name in ("TSP", "MaxClique"):
        doc = documents(name)["test"][3]
        row = rows(BENCHMARK)[doc["id"]]
        problem, instance = row.problem, row.use()
        for solution in (problem.trivial(instance), problem.heuristic(instance)):
            verdict = problem.judge(instance, solution)
            found = score(doc, [problem.format(instance, solution)])
            assert (found["quality"], found["success"]) == (verdict.quality, 1.0)
        assert score(doc, [doc["answer"]])["optimal"] == 1.0
        for nonsense in ("", "<answer>[", "\ud800"):
            assert score(doc, [nonsense])["success"] == 0.0


def test_the_harness_runs_the_tasks() -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Scripted(LM):
        """Knows every answer of one problem and none of another."""

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            return [
                request.doc["answer"] if request.doc["problem"] == "TSP" else "no idea"
                for request in requests
            ]

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

        loglikelihood_rolling = loglikelihood

    found = lm_eval.simple_evaluate(
        model=Scripted(),
        tasks=["forge_bench_v1"],
        task_manager=TaskManager(include_path=str(FOLDER)),
        limit=5,
        bootstrap_iters=0,
    )
    results = found["results"]
    assert results["forge_tsp"]["quality,none"] == results["forge_tsp"]["optimal,none"] == 1.0
    assert results["forge_knapsack"]["skill,none"] == -1.0
    assert results["forge_bench_v1"]["quality,none"] == pytest.approx(0.1)
