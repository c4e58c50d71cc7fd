"""Inspect: its scores are those of our own runner on the same replies, and no sample tells a solution."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from adapters.replies import SCRIPT

pytest.importorskip("inspect_ai", reason=SCRIPT.format("inspect"))

import inspect_ai
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from forge_gym.adapters.inspect_ai import SCORES, forge_bench, forge_problems
from forge_gym.core.registry import problem
from forge_gym.core.verdict import METRICS
from forge_gym.data.rows import samples
from forge_gym.evaluation.runs import Questions, record, suite_questions
from stub_server import StubServer

SUITE = "forge-bench-v1"
ASKED = {"problems": ["TSP", "Knapsack", "GraphColoring"], "levels": [0, 1], "limit": 2}


def replies(questions: Questions) -> dict[str, list[str]]:
    """Return for each prompt what is said to it, turn by turn: optimal, greedy, trivial, infeasible, empty, prose."""
    said = {}
    for number, row in enumerate(questions.rows):
        asked, instance = row.problem, row.use()
        forms = [
            asked.format(instance, row.reference.solution),
            f"<think>[0]</think>{asked.format(instance, asked.heuristic(instance))}",
            asked.format(instance, asked.trivial(instance)),
            "<answer>[0, 0, 0, 99]</answer>",
            "",
            "I do not know.",
        ]
        said[row.prompt] = [forms[(number + turn * 5) % 6] for turn in range(3)]
    return said


def our_questions() -> Questions:
    questions = suite_questions(SUITE, ASKED["limit"])
    rows = [row for row in questions.rows if row.problem.name in ASKED["problems"] and row.level in (0, 1)]
    return Questions(tuple(rows), questions.header, questions.name)


class Scripted:
    """Our agent that says the same."""

    name = "scripted"

    def __init__(self, said: dict[str, list[str]]) -> None:
        self.said = said

    def answer(self, tasks: Any) -> list[str]:
        return [self.said[task.messages[0]["content"]][len(task.messages) // 2] for task in tasks]


def run(task: Any, model: Any, folder: Path, **options: Any) -> Any:
    (log,) = inspect_ai.eval(task, model=model, log_dir=str(folder), display="none", **options)
    assert log.status == "success", log.error
    return log


def same(log: Any, said: dict[str, list[str]], turns: int) -> None:
    """Assert that every score and mean in ``log`` is the one of our own runner."""
    ours = record(Scripted(said), our_questions(), turns=turns).evaluation()
    verdicts = dict(zip([row.id for row in ours.rows], ours.verdicts, strict=True))
    assert [sample.id for sample in log.samples] == list(verdicts)
    for sample in log.samples:
        (verdict,) = verdicts[sample.id]
        found = sample.scores["forge_verdict"]
        assert found.value == {name: METRICS[name](verdict) for name in SCORES}
        assert (found.metadata["status"], found.metadata["reason"]) == (verdict.status, verdict.reason)
    for score in log.results.scores:
        numbers = {name: metric.value for name, metric in score.metrics.items()}
        assert numbers["mean"] == pytest.approx(ours.estimate(score.name).mean)
        for name, key in {"grouped_TSP": "TSP-", "forge_gym/level_1": "-1-"}.items():
            group = [METRICS[score.name](verdict) for id, (verdict,) in verdicts.items() if key in id]
            assert numbers[name] == pytest.approx(fmean(group))


@pytest.mark.parametrize("turns", [1, 3])
def test_scores_are_those_of_our_own_runner(turns: int, tmp_path: Path) -> None:
    questions = our_questions()
    said = replies(questions)

    def output(messages: Any, *_: Any) -> ModelOutput:
        text = said[messages[0].text][sum(message.role == "assistant" for message in messages)]
        reply = ModelOutput.from_content("mockllm/model", text)
        reply.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # or it counts them
        return reply

    model = get_model("mockllm/model", custom_outputs=output)
    log = run(forge_bench(turns=turns, **ASKED), model, tmp_path)
    same(log, said, turns)


def test_a_server_is_asked_as_our_agent_asks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    questions = our_questions()
    said = replies(questions)
    with StubServer() as server:
        server.answer = lambda body: said[body["messages"][0]["content"]][0]
        monkeypatch.setenv("STUB_API_KEY", "none")
        monkeypatch.setenv("STUB_BASE_URL", server.url)
        log = run(forge_bench(**ASKED), "openai-api/stub/model", tmp_path)
    same(log, said, 1)
    asked = {json.dumps(body["messages"]) for body in server.requests}
    assert asked == {json.dumps(row.messages) for row in questions.rows}


def test_no_sample_tells_a_solution() -> None:
    drawn = forge_problems("Knapsack", levels=[0, 1], episodes=3, seed=5)
    for sample in (*forge_bench(**ASKED).dataset, *drawn.dataset):
        assert sample.target == "" and set(sample.metadata) <= {"problem", "level", "suite", "spec"}
        assert "solution" not in json.dumps(sample.metadata)


def test_drawn_instances_are_those_of_the_stream(tmp_path: Path) -> None:
    task = forge_problems(["TSP", "Knapsack"], levels=["0", "2"], episodes=2, seed=3)
    drawn = samples([problem("TSP"), problem("Knapsack")], levels=[0, 2], seed=3, split="test")
    assert [sample.input for sample in task.dataset] == [row.prompt for row in islice(drawn, 8)]
    usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    outputs = [ModelOutput.from_content("mockllm/model", "<answer>[0, 1, 2, 3, 4]</answer>") for _ in range(16)]
    for output in outputs:
        output.usage = usage
    log = run(task, get_model("mockllm/model", custom_outputs=outputs), tmp_path, epochs=2)
    assert len(log.samples) == 16
    assert any(sample.scores["forge_verdict"].value["success"] for sample in log.samples)


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (forge_bench, {"suite": "forge-bench-v2"}, "suite must be"),
        (forge_bench, {"problems": "TPS"}, "did you mean 'TSP'"),
        (forge_bench, {"levels": 12}, "levels must be one of"),
        (forge_bench, {"turns": 0}, "turns must be an integer of at least 1"),
        (forge_problems, {"problems": "TPS"}, "did you mean 'TSP'"),
        (forge_problems, {"episodes": 0}, "episodes must be an integer of at least 1"),
    ],
)
def test_bad_arguments_are_refused(make: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(**options)


def test_the_command_finds_the_tasks(tmp_path: Path) -> None:
    """By the entry point: no module of ours is named."""
    command = [Path(sys.executable).with_name("inspect"), "eval", "forge_gym/forge_bench", "--limit=1"]
    options = ["--model=none", "-T", "limit=1", "-T", "levels=0,1", "-T", "problems=TSP", "--display=plain"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path)
    assert "forge_bench (1 sample)" in done.stdout, done.stdout + done.stderr
