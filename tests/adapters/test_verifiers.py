"""verifiers: the taskset pays as everywhere, and its command line runs it against a model that a script plays.

The command line prepares its chat program with uv, from an index: the
tests that play whole rollouts skip where that fails.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import forge_gym
from adapters.replies import SCRIPT, asked
from cases import every_kind
from forge_gym.core.episode import Episode, Protocol
from forge_gym.core.reference import CertificateError
from forge_gym.core.rewards import REWARDS

pytest.importorskip("verifiers.v1", reason=SCRIPT.format("verifiers"))

import verifiers.v1 as vf

from forge_gym.adapters.verifiers import (
    ANSWER,
    ForgeConfig,
    ForgeData,
    ForgeTask,
    ForgeTaskConfig,
    ForgeTaskset,
)

BIN = Path(sys.executable).parent


def taskset(**config: Any) -> Any:
    return ForgeTaskset(ForgeConfig(**config))


def trace(reply: str | None, **more: Any) -> Any:
    said = [] if reply is None else [vf.AssistantMessage(content=reply)]
    return SimpleNamespace(root_reply=None, assistant_messages=said, info=more)


# ---------------------------------------------------------------------- tasks


def test_tasks_are_the_stream() -> None:
    tasks = list(taskset(problems=["TSP", "MaxClique"], levels=[1, 3], seed=5, split="test").take(9))
    assert [(task.data.problem, task.data.level) for task in tasks[:5]] == [
        ("TSP", 1), ("MaxClique", 1), ("TSP", 3), ("MaxClique", 3), ("TSP", 1),
    ]  # fmt: skip
    tsp = forge_gym.problem("TSP", level=1)
    for task, (index, instance) in zip(tasks[::4], tsp.graded_instances(5, "test"), strict=False):
        assert task.key == tsp.spec(5, index, "test")
        assert task.data.spec == tsp.spec(5, index, "test", certificate=tsp.reference(instance))
        assert task.data.prompt == tsp.prompt(instance)
    assert len({task.key for task in tasks}) == len({task.data.name for task in tasks}) == 9
    assert [task.data.idx for task in tasks] == list(range(9))
    again = list(taskset(problems=["TSP", "MaxClique"], levels=[1, 3], seed=5, split="test").take(9))
    assert [task.hash for task in tasks] == [task.hash for task in again]
    with pytest.raises(Exception, match="frozen"):
        tasks[0].data.level = 7
    data = ForgeData.model_validate(json.loads(json.dumps(tasks[0].data.model_dump(mode="json"))))
    assert data == tasks[0].data
    assert not taskset().bounded and [task.data.problem for task in taskset().take(len(forge_gym.problems()))] == list(
        forge_gym.problems()
    )
    plain = next(iter(taskset(problems=["Knapsack"], parameters={"n": 9, "answer_format": "line"})))
    assert (plain.data.level, forge_gym.from_spec(plain.data.spec)[1].size) == (-1, 9)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"problems": ["TPS"]}, "did you mean 'TSP'"),
        ({"problems": ["TSP", "TSP"]}, "problems must be distinct"),
        ({"levels": [2, 2]}, "levels must be distinct"),
        ({"levels": [-1]}, "level must be an integer of at least 0"),
        ({"problems": ["TSP"], "parameters": {"nn": 3}}, "TSP has no parameter 'nn'"),
        ({"problems": ["TSP"], "parameters": {"name": 3}}, "TSP has no parameter 'name'"),
        ({"split": "tset"}, "did you mean 'test'"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"task": ForgeTaskConfig(reward="tired")}, "did you mean 'tiered'"),
        ({"task": ForgeTaskConfig(reward="pairwise")}, "reward must pay a single answer"),
        ({"problem": "TSP"}, "problem"),
    ],
)
def test_a_wrong_configuration_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        taskset(**config)


@every_kind
def test_pays_as_everywhere(name: str) -> None:
    case = asked(name)
    problem, instance = case.problem, case.instance
    data = ForgeData(prompt="?", spec=case.spec, problem=name, level=1)
    odd = [" ", "<answer>", "[" * 100_000, f"\u00a0{case.replies['optimal']}"]
    for text in [*case.replies.values(), *odd]:
        verdict = problem.verify(instance, text)
        for scheme in set(REWARDS) - {"pairwise"}:
            task = ForgeTask(data, ForgeTaskConfig(reward=scheme))
            episode = Episode(problem, instance, Protocol(reward=scheme))
            assert asyncio.run(task.forge(trace(text))) == episode.judge(text).score
            if scheme != "base_and_bonus":  # which looks at the text too
                assert episode.judge(text).score == case.paid(text, scheme)
        assert asyncio.run(ForgeTask(data).verdict(trace(text))) == {
            "quality": verdict.quality,
            "skill": max(-1.0, verdict.skill),
            "feasible": verdict.feasible,
            "optimal": verdict.optimal,
        }


def test_skill_has_a_floor() -> None:
    problem = forge_gym.problem("TSP", n=9)
    index, instance = next(problem.graded_instances(3))
    tours = [problem.random(instance, np.random.default_rng(seed)) for seed in range(200)]
    worst = problem.format(instance, max(tours, key=lambda tour: problem.objective(instance, tour)))
    assert problem.verify(instance, worst).skill < -1
    data = ForgeData(prompt="?", spec=problem.spec(3, index), problem="TSP", level=-1)
    assert asyncio.run(ForgeTask(data).verdict(trace(worst)))["skill"] == -1.0


def test_silence_and_kept_replies() -> None:
    task = next(iter(taskset(problems=["TSP"], levels=[1])))
    problem, instance = forge_gym.from_spec(task.data.spec)
    best = problem.format(instance, problem.reference(instance).solution)
    assert asyncio.run(task.forge(trace(None))) == -1.0
    assert asyncio.run(task.forge(trace("?", **{ANSWER: best}))) == 1.0
    assert asyncio.run(task.forge(trace(best, **{ANSWER: ""}))) == -1.0
    rooted = SimpleNamespace(root_reply=best, assistant_messages=[vf.AssistantMessage(content="?")], info={})
    assert asyncio.run(task.forge(rooted)) == 1.0


def test_the_library_scores_and_validates() -> None:
    task = next(iter(taskset(problems=["TSP"], levels=[1])))
    problem, instance = forge_gym.from_spec(task.data.spec)
    assert asyncio.run(task.validate(None)) is True
    assert asyncio.run(task.with_data(prompt="another").validate(None)) is False
    info = vf.AgentInfo(config=vf.AgentConfig(), name="agent", trainable=False)
    found = vf.Trace(
        task=vf.TraceTask(type="ForgeTask", data=task.data, key=task.key, hash=task.hash),
        state=vf.State(),
        agent=info,
        root_reply=problem.format(instance, problem.heuristic(instance)),
    )
    asyncio.run(task.score(found))
    assert found.rewards["forge"].score == found.reward == 0.0
    assert found.metrics["feasible"] == 1.0 and set(found.metrics) == {
        "quality",
        "skill",
        "feasible",
        "optimal",
    }


def test_an_alarm_fails_the_rollout(monkeypatch: pytest.MonkeyPatch) -> None:
    task = next(iter(taskset(problems=["TSP"], levels=[1], seed=77)))
    problem, instance = forge_gym.from_spec(task.data.spec)
    right = problem.reference(instance)
    best = problem.format(instance, right.solution)
    wrong = type(right)(
        right.solution,
        right.greedy,
        right.greedy,
        "wrong",
        0,
        "min",
        trivial=right.trivial,
        greedy=right.greedy,
    )
    monkeypatch.setitem(instance.memo[problem._key], "reference", wrong)
    with pytest.raises(CertificateError, match="beats the certificate"):
        asyncio.run(task.forge(trace(best)))


# ---------------------------------------------------------------------- whole rollouts


@pytest.fixture
def model() -> Iterator[Callable[[Callable[[list[Any]], str]], str]]:
    """Start an OpenAI-compatible server on a free port that answers by a function of the messages."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[list[Any]], str]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                delta = {"role": "assistant", "content": answer(asked["messages"])}
                chunk = {"id": "0", "object": "chat.completion.chunk", "created": 0, "model": asked["model"]}
                usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
                choices = [{"index": 0, "delta": delta, "finish_reason": "stop"}]
                chunks = [chunk | {"choices": choices}, chunk | {"choices": [], "usage": usage}]
                self.send_response(200)  # the harness always asks for a stream
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for data in (*map(json.dumps, chunks), "[DONE]"):
                    self.wfile.write(f"data: {data}\n\n".encode())

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def evaluate(url: str, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Run ``vf-eval`` on two tasks twice, and return what it wrote of each rollout, in the order of the tasks."""
    command = [
        str(BIN / "vf-eval"), "forge_gym_taskset", "-n", "2", "-r", "2", "-m", "scripted",
        "--client.base-url", url, "--client.api-key-var", "FORGE_TEST_KEY",
        "--env.taskset.problems", "TSP", "--env.taskset.levels", "1",
        "--no-push", "--no-rich", "--output-dir", str(folder), *options,
    ]  # fmt: skip
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "FORGE_TEST_KEY": "none"}
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    if "failed to prepare uv script" in done.stdout + done.stderr:
        pytest.skip("uv finds no index to install the harness's chat program from")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [line for found in folder.rglob("traces.jsonl") for line in found.read_text().splitlines()]
    episodes = [json.loads(line) for line in lines]
    assert len(episodes) == 4 and all(episode["ok"] for episode in episodes), done.stdout[-3000:]
    return sorted((trace for e in episodes for trace in e["traces"]), key=lambda t: t["task"]["data"]["idx"])


def two_tasks() -> list[tuple[str, Any, Any]]:
    """The prompts, problems and instances that `evaluate` plays."""
    tasks = list(taskset(problems=["TSP"], levels=[1]).take(2))
    return [(task.data.prompt, *forge_gym.from_spec(task.data.spec)) for task in tasks]


def test_vf_eval(model: Any, tmp_path: Path) -> None:
    (first, *_), (second, problem, instance) = two_tasks()
    answers = {first: "no idea", second: problem.format(instance, problem.trivial(instance))}
    found = evaluate(
        model(lambda messages: answers[messages[-1]["content"]]),
        tmp_path,
        "--env.taskset.task.reward",
        "linear",
    )
    verdict = problem.verify(instance, answers[second])
    paid = [trace["rewards"]["forge"]["score"] for trace in found]
    assert paid == [-1.0, -1.0, *[forge_gym.reward("linear")(verdict)] * 2]
    assert [trace["metrics"]["feasible"] for trace in found] == [0, 0, 1, 1]
    assert found[3]["metrics"]["skill"] == verdict.skill and found[3]["metrics"]["optimal"] == 0.0


def test_several_turns(model: Any, tmp_path: Path) -> None:
    """Nonsense, then better, then nonsense again: the best counts, and the optimum ends the exchange."""
    (first, problem, one), (_, _, other) = two_tasks()

    def answer(messages: list[Any]) -> str:
        said = [message["content"] for message in messages]
        if len(said) == 1:
            return "no idea"
        assert "cannot be read" in said[2] and "2 turns left" in said[2]
        if said[0] == first:
            return "?" if len(said) > 3 else problem.format(one, problem.heuristic(one))
        assert len(said) == 3
        return str(problem.format(other, problem.reference(other).solution))

    found = evaluate(model(answer), tmp_path, "--env.turns", "3")
    assert [trace["rewards"]["forge"]["score"] for trace in found] == [0.0, 0.0, 1.0, 1.0]
    assert found[0]["info"][ANSWER] == problem.format(one, problem.heuristic(one))


def test_vf_validate(tmp_path: Path) -> None:
    command = [
        str(BIN / "vf-validate"), "forge_gym_taskset", "-n", "10", "--no-rich",
        "--runtime.type", "subprocess", "--output-dir", str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"valid_rate": 1.0' in done.stdout  # optima pass, and silence does not
