"""Runs and their transcripts: nothing is lost, nothing is asked twice, nothing unanswered is scored."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import random
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from forge_gym.agents import BestOf, GreedyAgent, RandomAgent, Task, make_agent
from forge_gym.agents.agent import AgentError, Reply
from forge_gym.cli.main import main
from forge_gym.core.verdict import Verdict, Violation
from forge_gym.evaluation import runs as module
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.evaluation.runs import (
    Call,
    Questions,
    Run,
    Tally,
    env_questions,
    read_run,
    record,
    rescore,
    suite_questions,
    write_run,
)
from forge_gym.evaluation.score import evaluate_suite
from forge_gym.evaluation.transcript import FIELDS, verdict_from_dict, verdict_to_dict

SUITE = "forge-bench-v1"


@pytest.fixture(scope="module")
def few() -> Questions:
    """One row per problem and level."""
    return suite_questions(SUITE, limit=1)


@pytest.fixture(scope="module")
def envs() -> Questions:
    """Six rows of each of two problems."""
    return env_questions([forge_gym.problem("TSP", n=7), forge_gym.problem("Knapsack", n=8)], 6)


class Remote:
    """Answers as a random agent would, one task at a time, except where it is told to fail; remembers all calls."""

    name, concurrency = "remote", 5

    def __init__(self, fails: Callable[[int], bool] = lambda call: False) -> None:
        self.fails = fails
        self.asked: list[tuple[str, int, int]] = []
        self.under_way = self.most = 0

    async def __aenter__(self) -> None: ...
    async def __aexit__(self, *error: object) -> None: ...

    async def reply(self, task: Task) -> Reply:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.asked.append((task.messages[0]["content"], task.sample, len(task.messages)))
        number = len(self.asked)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.fails(number):
            raise AgentError(f"call {number} failed")
        (text,) = RandomAgent().answer([task])
        return Reply(text, "stop", 10, 3, 0.25, 0.5, 2)


class Killed(BaseException):
    """As if the process ended here."""


def after(calls: int) -> Callable[[Tally], None]:
    def progress(tally: Tally) -> None:
        if tally.calls >= calls:
            raise Killed

    return progress


def content(path: Path) -> list[dict[str, Any]]:
    """Return header and lines of a transcript but for times, in one order."""
    header, *lines = map(json.loads, path.read_text().splitlines())
    for line in lines:
        line.pop("seconds"), line.pop("attempts")
    header.pop("started")
    return [header, *sorted(lines, key=lambda line: (line["row"], line["sample"], line["turn"]))]


# ------------------------------------------------------------------------------------- the transcript


def test_a_transcript_says_everything(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a.jsonl"
    options = {"temperature": 0.5}
    run = record(Remote(), envs, path, turns=2, samples=2, options=options)
    header, *lines = map(json.loads, path.read_text().splitlines())
    assert header["agent"] == "remote" and header["options"] == options and header["suite"] is None
    assert [env["problem"] for env in header["env"]] == ["TSP", "Knapsack"] and header["turns"] == 2
    first = lines[0]
    assert list(first) == [
        "row", "sample", "turn", "reply", "finish", "prompt_tokens", "completion_tokens", "cost", "seconds", "attempts",
        "feedback", "score", "verdict",
    ]  # fmt: skip
    assert first["finish"] == "stop" and first["cost"] == 0.25 and first["attempts"] == 2
    assert set(first["verdict"]) == set(Verdict._fields) - {"solution"}  # the reply states it
    again = read_run(path)
    assert again == run and (again.finished, again.missing) == (24, 0)
    assert again.total("completion_tokens") == 3 * len(lines)
    for row in again.rows:
        for sample in range(2):
            best = max(again.calls[row.id, sample], key=lambda call: call.score)
            assert again.kept(row.id)[sample] == best.verdict and again.kept_call(row.id, sample) == best
            for call in again.calls[row.id, sample]:
                assert row.problem.verify(row.use(), call.reply).worth == call.verdict.worth


def test_elements_may_have_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, names = tmp_path / "a.jsonl", '["ada", "bob", "cyd", "dan", "eve", "fay"]'
    given = ["eval", "--agent", "greedy", "--env", "TSP", "--set", "n=6", "--set", f"names={names}"]
    run_cli(capsys, *given, "--episodes", "3", "--out", str(path))
    run = read_run(path)
    assert run.missing == 0 and "ada" in run.calls["TSP-" + str(run.rows[0].source["index"]), 0][0].reply
    assert run.rows[0].problem.names == tuple(json.loads(names))
    assert "nothing is asked" in run_cli(capsys, *given, "--episodes", "3", "--out", str(path))[1]


def test_a_run_scores_as_an_evaluation_does(few: Questions, envs: Questions) -> None:
    expected = evaluate_suite(RandomAgent(), few.rows, turns=2, samples=3)
    for agent in (RandomAgent(), Remote()):
        found = record(agent, few, turns=2, samples=3).evaluation()
        assert worths(found.verdicts) == worths(expected.verdicts) and found.rows == expected.rows
    problem = forge_gym.problem("TSP", n=7)
    verdicts = record(Remote(), envs).evaluation().verdicts[:6]
    assert worths(evaluate(Remote(), problem, held_out(problem, 6)).verdicts) == worths(verdicts)


def worths(verdicts: Sequence[Sequence[Verdict]]) -> list[list[Any]]:
    """Return all of the verdicts but the solutions, which a record leaves to the replies."""
    return [[verdict.worth for verdict in samples] for samples in verdicts]


def test_an_agent_has_as_many_calls_under_way_as_it_can_bear(few: Questions) -> None:
    agent = Remote()
    record(agent, few)
    assert agent.most == 5 and len(agent.asked) == len(few.rows)


def test_a_run_inside_a_running_event_loop(envs: Questions) -> None:
    async def notebook() -> Run:
        return record(Remote(), envs)

    assert asyncio.run(notebook()).missing == 0


@pytest.mark.parametrize("turns", [1, 3])
@pytest.mark.parametrize("agent", [RandomAgent(), Remote()])
def test_what_is_recorded_is_never_asked_again(
    envs: Questions, tmp_path: Path, agent: Any, turns: int
) -> None:
    settings: dict[str, Any] = {"turns": turns, "samples": 2, "batch_size": 4}
    whole, path = tmp_path / "whole.jsonl", tmp_path / "a.jsonl"
    record(agent, envs, whole, **settings)
    for calls in (1, 5, 11, 17):
        with pytest.raises(Killed):
            record(agent, envs, path, progress=after(calls), **settings)
        with path.open("a") as file:
            file.write('{"row": "TSP-0", "sample"')  # a line that was being written
        assert read_run(path).missing > 0
    before = path.read_bytes().rpartition(b"\n")[0]
    if isinstance(agent, Remote):
        agent.asked.clear()
    assert record(agent, envs, path, **settings).missing == 0
    assert path.read_bytes().startswith(before) and content(path) == content(whole)
    if isinstance(agent, Remote):
        assert len(agent.asked) == len(path.read_text().splitlines()) - 1 - before.count(b"\n")
    size = path.stat().st_size
    record(agent, envs, path, **settings)
    assert path.stat().st_size == size


def test_what_an_agent_fails_to_answer_is_counted_and_asked_again(few: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    tallies: list[tuple[int, int, str]] = []
    run = record(
        Remote(lambda call: call % 7 == 0),
        few,
        path,
        turns=2,
        progress=lambda tally: tallies.append((tally.finished, tally.failures, tally.error)),
    )
    finished, failures, error = tallies[-1]
    assert run.missing == failures > 10 and run.finished == finished == len(few.rows) - failures
    assert re.fullmatch(r"call \d+ failed", error)
    evaluation = run.evaluation()
    assert evaluation.rows == run.answered and len(evaluation.rows) == finished
    unanswered = {row.id for row in run.rows} - {row.id for row in run.answered}
    assert len(unanswered) == failures and not any(run.kept(row) for row in unanswered)
    again = Remote()
    assert record(again, few, path, turns=2).missing == 0
    assert len(again.asked) < 2 * failures  # some had failed in their second turn
    assert content(path) == content_of(few, tmp_path / "whole.jsonl", turns=2)


def content_of(questions: Questions, path: Path, **settings: Any) -> list[dict[str, Any]]:
    record(Remote(), questions, path, **settings)
    return content(path)


def test_a_dead_server_is_not_asked_for_ever(few: Questions) -> None:
    agent = Remote(lambda call: call > 2)
    run = record(agent, few, samples=3)
    assert run.finished == 2 and module.GIVE_UP <= len(agent.asked) < module.GIVE_UP + 3 * agent.concurrency
    with pytest.raises(ValueError, match="the run of remote has no answered row"):
        run.evaluation()


def test_an_error_of_the_agent_is_not_taken_for_an_answer(few: Questions, tmp_path: Path) -> None:
    def broken(call: int) -> bool:
        raise ZeroDivisionError

    for evaluating in (lambda: record(Remote(broken), few), lambda: evaluate_suite(Remote(broken), few.rows)):
        with pytest.raises(ZeroDivisionError):
            evaluating()
    with pytest.raises(AgentError, match="call 3 failed"):
        evaluate_suite(Remote(lambda call: call == 3), few.rows)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"turns": 2}, "turns is 1 there and 2 here"),
        ({"samples": 2}, "samples is 1 there and 2 here"),
        ({"reward": "linear"}, "reward is 'tiered' there and 'linear' here"),
        ({"options": {"temperature": 1.0}}, "temperature is 0.0 there and 1.0 here"),
        ({"options": {"temperature": 0.0, "system": "Think."}}, "system is None there and 'Think.' here"),
        ({"agent": RandomAgent()}, "agent is 'greedy' there and 'random' here"),
        ({"questions": suite_questions(SUITE, limit=2)}, "limit is 1 there and 2 here"),
        ({"questions": env_questions([forge_gym.problem("TSP")], 1)}, "suite is {'name': 'forge-bench-v1'"),
    ],
)
def test_other_settings_are_refused(
    few: Questions, tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    path = tmp_path / "a.jsonl"
    given: dict[str, Any] = {
        "agent": GreedyAgent(),
        "questions": few,
        "options": {"temperature": 0.0, "base_url": "http://here/v1"},
    }
    record(**given, path=path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=re.escape(words)):
        record(**(given | changed), path=path)
    elsewhere = given["options"] | {"base_url": "http://there/v1"}  # the same model at another address
    record(**(given | {"options": elsewhere}), path=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "settings", [{"turns": 0}, {"samples": 0}, {"reward": "tired"}, {"reward": "pairwise"}]
)
def test_wrong_settings_leave_no_file(few: Questions, tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        record(GreedyAgent(), few, tmp_path / "a.jsonl", **settings)
    assert not list(tmp_path.iterdir())


def test_two_processes_on_one_transcript_are_refused(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    refused = []

    def meanwhile(tally: Tally) -> None:
        with pytest.raises(ValueError, match="is being written by another process") as error:
            record(GreedyAgent(), envs, path)
        refused.append(error)
        assert read_run(path).finished == tally.finished  # reading is free

    record(GreedyAgent(), envs, path, progress=meanwhile)
    assert len(refused) > 1 and read_run(path).missing == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[: len(line) // 2],
        lambda line: "",
        lambda line: "[1]",
        lambda line: line.replace('"turn": 0', '"turn": 1'),
        lambda line: line.replace('"sample": 0', '"sample": 1'),
        lambda line: line.replace('"sample": 0', '"sample": -1'),
        lambda line: line.replace('"row": "', '"row": "\x1b[2J'),
        lambda line: line.replace('"row": "', '"raw": "'),
        lambda line: line.replace('"status": "feasible"', '"status": "great"'),
        lambda line: line.replace('"objective": "', '"objective": "x'),
        lambda line: line.replace('"quality": 0', '"quality": "0'),
        lambda line: line.replace('"optimal": false', '"optimal": 0'),
        lambda line: line.replace('"reply": "', '"reply": null, "x": "'),
        lambda line: line.replace('"attempts": 1', '"attempts": true'),
        lambda line: line.replace('"violations": []', '"violations": [[1]]'),
        lambda line: line.replace('"violations": []', '"violations": [[1, "1", "1", "why"]]'),
        lambda line: line.replace('"violations": []', '"violations": [["a", 1, "1", "why"]]'),
        lambda line: line.replace('"cost": 0.0', '"cost": NaN'),
        lambda line: "[" * 100_000,
    ],
)
def test_damage_in_the_middle_names_file_and_line(
    envs: Questions, tmp_path: Path, damage: Callable[[str], str]
) -> None:
    path = tmp_path / "a.jsonl"
    record(GreedyAgent(), envs, path)
    lines = path.read_text().splitlines(keepends=True)
    lines[4] = damage(lines[4].rstrip("\n")) + "\n"
    path.write_text("".join(lines))
    before = path.read_bytes()
    for using in (read_run, lambda path: record(GreedyAgent(), envs, path)):
        with pytest.raises(ValueError, match=re.escape(f"{path}, line 5, is damaged")):
            using(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}\n",
        "no transcript",
        '{"forge_gym": "0.1.0", "format": 99}\n',
        '{"forge_gym": 1, "format": 1}\n',
        "[1]\n",
    ],
)
def test_what_is_no_transcript(envs: Questions, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_run(path)
    if text:
        with pytest.raises(ValueError, match=re.escape(str(path))):
            record(GreedyAgent(), envs, path)
        assert path.read_text() == text
    with pytest.raises(ValueError, match="cannot be read"):
        read_run(tmp_path / "missing")
    with pytest.raises(ValueError, match="cannot be written"):
        record(GreedyAgent(), envs, tmp_path)


def test_a_header_that_was_being_written(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"forge_gym": "0.1.0", "form')
    assert record(GreedyAgent(), envs, path).missing == 0 and read_run(path).missing == 0


def test_a_suite_in_a_file_may_move(few: Questions, tmp_path: Path) -> None:
    file, path = tmp_path / "mine.jsonl.gz", tmp_path / "a.jsonl"
    module_suite = forge_gym.data.suite
    module_suite.write(file, "mine", [row.to_json() for row in few.rows[:5]])
    run = record(GreedyAgent(), suite_questions(str(file)), path)
    assert read_run(path) == run
    moved = file.rename(tmp_path / "moved.jsonl.gz")
    with pytest.raises(ValueError, match="cannot be rebuilt"):
        read_run(path)
    assert read_run(path, moved).calls == run.calls
    module_suite.write(moved, "mine", [row.to_json() for row in few.rows[:4]])
    with pytest.raises(ValueError, match="another version of the suite mine"):
        read_run(path, moved)


def test_verdicts_survive_exactly() -> None:
    verdict = Verdict(
        "infeasible",
        "a rule, \ud800 and a value",
        (Violation("once", Fraction(2, 3), 10**30, "\x1b[2J"),),
        credit=0.1 + 0.2,
        skill=-1.7976931348623157e308,
    )
    exact = Verdict("feasible", objective=Fraction(-7, 3), quality=1 / 3, skill=0.25, ratio=0.5, optimal=True)
    for each in (verdict, exact):
        assert verdict_from_dict(json.loads(json.dumps(verdict_to_dict(each)))) == each
        call = Call("TSP-0-0", 0, 0, "\ud800\u2028\n<script>", 0.5, each, seconds=1.5)
        assert Call.from_json(call.to_json()) == call and "\n" not in call.to_json()


def test_limit_takes_as_many_of_every_problem_and_level() -> None:
    rows = suite_questions(SUITE, limit=3).rows
    assert set(Counter((row.problem.name, row.level) for row in rows).values()) == {3} and len(rows) == 300
    assert len(suite_questions(SUITE, limit=99).rows) == 1000
    with pytest.raises(ValueError, match="limit must be an integer of at least 1"):
        suite_questions(SUITE, limit=0)


# ------------------------------------------------------------------------------------- rescoring


def altered(path: Path, row: str, **verdict: Any) -> None:
    """Change the stored verdict of a row."""
    lines = path.read_text().splitlines()
    for i, line in enumerate(lines):
        data = json.loads(line)
        if data.get("row") == row:
            lines[i] = json.dumps(data | {"verdict": data["verdict"] | verdict})
    path.write_text("\n".join(lines) + "\n")


def test_rescoring_finds_what_changed(
    few: Questions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, new = tmp_path / "a.jsonl", tmp_path / "new.jsonl"
    record(RandomAgent(), few, path)
    before = path.read_bytes()
    assert main(["rescore", str(path)]) == 0
    assert "100 replies of random judged again, 0 verdicts changed" in capsys.readouterr().out
    altered(path, "TSP-3-0", status="malformed", objective=None, quality=0.0)
    altered(path, "Knapsack-2-0", quality=0.999)
    altered(path, "SetCover-1-0", reason="other words")
    changed = path.read_bytes()
    assert main(["rescore", str(path)]) == 1
    out = capsys.readouterr().out
    assert "2 verdicts changed" in out and "1 x malformed -> feasible" in out
    assert "1 x feasible, other numbers" in out
    assert re.search(r"TSP-3-0, sample 0, turn 0: malformed -> feasible, quality 0\.000 -> ", out)
    assert "stored: success 0.9900" in out and "today: success 1.0000" in out and "SetCover" not in out
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"] and path.read_bytes() == changed
    assert main(["rescore", str(path), "--out", str(new), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [change["row"] for change in told["changed"]] == ["Knapsack-2-0", "TSP-3-0"]
    assert new.read_bytes().split(b"\n")[1:] == before.split(b"\n")[1:]
    assert read_run(new).header["rescored"] == forge_gym.__version__
    assert main(["rescore", str(new)]) == 0
    assert main(["rescore", str(path), "--out", str(new)]) == 2
    assert "exists and is left as it is" in capsys.readouterr().err
    assert record(RandomAgent(), few, new).missing == 0  # it is a transcript like any other


def test_an_episode_that_would_go_on_with_another_verdict_does_not(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(Killed):
        record(RandomAgent(), envs, path, turns=2, progress=after(1))
    altered(path, read_run(path).rows[0].id, quality=0.5)
    with pytest.raises(ValueError, match="`forge-gym rescore` says what changed"):
        record(RandomAgent(), envs, path, turns=2)


def test_rescoring_of_several_turns(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    run = record(RandomAgent(), envs, path, turns=3)
    same, changes = rescore(run)
    assert not changes and same.calls == run.calls
    row = run.rows[0].id
    altered(path, row, optimal=True)  # all three turns
    again, changes = rescore(read_run(path))
    assert [change.before.turn for change in changes] == [0, 1, 2] and again.calls == run.calls
    write_run(again, tmp_path / "new.jsonl")
    assert read_run(tmp_path / "new.jsonl").calls == run.calls


# ------------------------------------------------------------------------------------- against a server


def numbers(prompt: str) -> str:
    """Return a reply that depends on the prompt alone; some are feasible."""
    draw = random.Random(hashlib.sha256(prompt.encode()).digest())
    return f"\U0001f600 <answer>{draw.sample(range(6), draw.randint(2, 6))}</answer>"


class Log:
    """Says how a stub server behaves, and what it served."""

    def __init__(self, server: Any, faults: dict[str, float] | None = None, seed: int = 0) -> None:
        self.faults, self.draw = faults or {}, random.Random(seed)
        self.served: list[tuple[str, ...]] = []
        """The conversations that were answered in full."""
        self.faulty: Counter[str] = Counter()
        self.stop_at, self.reached = -1, threading.Event()
        server.choose = self.choose
        server.answer = lambda body: numbers(body["messages"][-1]["content"])

    def choose(self, body: dict[str, Any], before: int) -> str:
        chance = self.draw.random()
        for behaviour, share in self.faults.items():
            chance -= share
            if chance < 0 and before < 3:  # the fourth attempt is met
                self.faulty[behaviour] += 1
                return behaviour
        self.served.append(tuple(message["content"] for message in body["messages"]))
        if len(self.served) == self.stop_at:
            self.reached.set()
        return "ok"

    def wait(self, process: subprocess.Popen[Any]) -> None:
        """Return once so many answers were served."""
        while not self.reached.wait(0.5):
            assert process.poll() is None, process.communicate()


def conversations(run: Run) -> Counter[tuple[str, ...]]:
    """Return what the model was asked for every call of a run."""
    found: Counter[tuple[str, ...]] = Counter()
    for row in run.rows:
        for sample in range(run.samples):
            said = [row.problem.prompt(row.instance)]
            for call in run.calls.get((row.id, sample), ()):
                assert call.reply == numbers(said[-1])
                found[tuple(said)] += 1
                said += [call.reply, str(call.feedback)]
    return found


FAULTS = {"500": 0.05, "503": 0.03, "invalid": 0.05, "cut": 0.05, "reset": 0.05, "empty": 0.02}


def test_a_thousand_instances_over_a_bad_line(stub_server: Any, tmp_path: Path) -> None:
    pytest.importorskip("httpx")
    log = Log(stub_server, FAULTS | {"429 Retry-After: 0": 0.004})
    stub_server.plan("hang", "hang")  # to the end of the time that a request has
    path, questions = tmp_path / "a.jsonl", suite_questions(SUITE)
    agent = make_agent("api:stub", base_url=stub_server.url, concurrency=64, timeout=10.0)
    run = record(agent, questions, path)
    assert set(log.faulty) == {*log.faults} and log.faulty.total() > 100
    assert (run.finished, run.missing, len(run.rows)) == (1000, 0, 1000)
    assert Counter(log.served) == conversations(run) == conversations(read_run(path))
    assert log.served.count(log.served[0]) == 1 and len(path.read_text().splitlines()) == 1001
    assert run.total("attempts") == 1000 + log.faulty.total() + 2
    assert stub_server.most_in_flight <= 64
    verdicts = Counter(run.kept(row.id)[0].status for row in run.rows)
    assert min(verdicts["infeasible"], verdicts["feasible"]) > 50


def command(server: Any, path: Path, *more: str) -> list[str]:
    """Return the start of a command line, its program first."""
    given = ["--model", "stub", "--base-url", server.url, "--out", str(path), "--concurrency", "8"]
    return [sys.executable, "-m", "forge_gym", "eval", *given, *more]


ENVS = ("--env", "Knapsack", "TSP", "--set", "n=6", "--episodes", "50")
FEW = ("--suite", SUITE, "--limit", "1")


@pytest.mark.parametrize(
    ("turns", "kills"), [(1, 1), (2, 2), *(pytest.param(t, 12, marks=pytest.mark.slow) for t in (1, 3))]
)
def test_killed_at_any_moment_nothing_is_lost_or_asked_again(
    stub_server: Any, tmp_path: Path, turns: int, kills: int
) -> None:
    pytest.importorskip("httpx")
    log, path = Log(stub_server), tmp_path / "a.jsonl"
    given = command(stub_server, path, *ENVS, "--turns", str(turns), "--json")
    draw = random.Random(turns)
    for _ in range(kills):
        start = len(log.served)
        log.reached.clear()
        log.stop_at = start + draw.randint(1, 100 * turns // kills)
        process = subprocess.Popen(given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log.wait(process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = read_run(path) if path.read_bytes().count(b"\n") else None
        recorded = conversations(kept) if kept else Counter()
        assert len(log.served) - 8 * kills <= recorded.total() <= len(log.served)
        asked = len(stub_server.requests)
    finished = subprocess.run(given, check=True, capture_output=True, text=True)
    later = Counter(tuple(m["content"] for m in body["messages"]) for body in stub_server.requests[asked:])
    assert not later & recorded  # nothing that was recorded is asked again
    assert f"{path}: " in finished.stderr and "100 episodes are there, going on" in finished.stderr
    run = read_run(path)
    assert run.missing == 0 and set(conversations(run).values()) == {1}
    whole = tmp_path / "whole.jsonl"
    agent = make_agent("api:stub", base_url=stub_server.url, temperature=0.0, max_tokens=1024)
    questions = env_questions([forge_gym.problem(name, n=6) for name in ("Knapsack", "TSP")], 50)
    record(agent, questions, whole, turns=turns, options=json.loads(path.open().readline())["options"])
    assert content(path) == content(whole)
    report = json.loads(finished.stdout)
    assert [(row["problem"], row["episodes"]) for row in report] == [("Knapsack", 50), ("TSP", 50)]


def test_an_interruption_ends_cleanly(stub_server: Any, tmp_path: Path) -> None:
    pytest.importorskip("httpx")
    log, path = Log(stub_server), tmp_path / "a.jsonl"
    log.stop_at = 30
    process = subprocess.Popen(
        command(stub_server, path, *ENVS), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log.wait(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and not out
    assert err.splitlines() == ["forge-gym: interrupted; the same command goes on where it stopped"]
    assert path.read_bytes().endswith(b"\n") and 0 < read_run(path).finished < 100


def run_cli(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    assert main(arguments) == status
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_the_command_line(
    stub_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("httpx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUB_KEY", "sk-secret")
    log = Log(stub_server)
    name = "../lab/[red]m\x1b[2J"
    given = [
        "eval", "--suite", SUITE, "--limit", "1", "--model", name, "--base-url", stub_server.url,
        "--api-key-env", "STUB_KEY",
        "--price-in", "2", "--price-out", "8", "--system", "Think.", "--temperature", "0.5",
        "--samples", "2", "--sampling-seed", "7", "--concurrency", "32",
    ]  # fmt: skip
    out, err = run_cli(capsys, *given)
    assert (
        not err
        and "\x1b" not in out
        and "[red]m?[2J" in out
        and "local-search" in out
        and "quality best@2" in out
    )
    (path,) = (tmp_path / "runs").iterdir()
    assert path.name == "lab-red-m-2J-forge-bench-v1-limit1.jsonl" and list(tmp_path.iterdir()) == [
        path.parent
    ]
    header, *lines = map(json.loads, path.read_text().splitlines())
    assert "secret" not in path.read_text() and header["options"] == {
        "temperature": 0.5, "seed": 7, "system": "Think.", "max_tokens": 1024, "base_url": stub_server.url,
    }  # fmt: skip
    run = read_run(path)
    tokens = run.total("prompt_tokens"), run.total("completion_tokens")
    assert run.total("cost") == pytest.approx((2 * tokens[0] + 8 * tokens[1]) / 1e6) and min(tokens) > 0
    assert f": 200 calls, {tokens[0]:.0f} prompt and {tokens[1]:.0f} completion tokens, cost " in out
    assert "0 of 200 episodes unanswered" in out and len(lines) == len(log.served) == 200
    assert {body["seed"] for body in stub_server.requests} == {7, 8}  # one for each of two samples
    assert stub_server.requests[0]["messages"][0] == {"role": "system", "content": "Think."}
    assert "Bearer sk-secret" in stub_server.headers[0].values()
    again, err = run_cli(capsys, *given)
    assert (
        again == out and "200 of 200 episodes are there, nothing is asked" in err and len(log.served) == 200
    )
    _, err = run_cli(capsys, *given, "--turns", "2", status=2)
    assert "turns is 1 there and 2 here" in err and len(log.served) == 200


def test_what_stays_unanswered_is_said_and_not_scored(
    stub_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("httpx")
    log, path = Log(stub_server), tmp_path / "a.jsonl"
    answered = stub_server.choose
    stub_server.choose = lambda body, before: (
        "400" if "tour" in body["messages"][0]["content"] else answered(body, before)
    )
    given = command(stub_server, path, *FEW)[3:]
    out, err = run_cli(capsys, *given, status=1)
    unanswered = read_run(path).missing
    assert 10 <= unanswered < 50
    assert re.search(rf"stub left {unanswered} of 100 episodes unanswered \(the last: .*HTTP 400", err)
    assert f"overall: {100 - unanswered} answered of 100 instances" in out
    assert f"{unanswered} of 100 episodes unanswered" in out
    out, _ = run_cli(capsys, *given, "--json", status=1)
    report = json.loads(out)
    assert report["unanswered"] == {"stub": unanswered}
    assert {result["groups"]["overall"]["instances"] for result in report["results"]} == {100 - unanswered}
    assert "TSP" not in report["results"][0]["groups"]
    log.served.clear()
    stub_server.choose = log.choose
    out, err = run_cli(capsys, *given)
    assert "overall: 100 instances" in out and len(log.served) == unanswered
    stub_server.choose = lambda body, before: "401"
    out, err = run_cli(capsys, *command(stub_server, tmp_path / "b.jsonl", *FEW)[3:], status=1)
    assert "left 100 of 100 episodes unanswered" in err and "instances" not in out


def test_environments(stub_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("httpx")
    log, path = Log(stub_server), tmp_path / "a.jsonl"
    url = stub_server.url.replace("//", "//user:secret@")
    given = [
        "eval", "--model", "stub", "--base-url", url, "--env", "Knapsack", "Forge/TSP-v0", "--set", "n=6",
        "--episodes", "5", "--turns", "2", "--few-shot", "1", "--out", str(path), "--json",
    ]  # fmt: skip
    rows = json.loads(run_cli(capsys, *given)[0])
    assert [(row["problem"], row["episodes"], row["parameters"]) for row in rows] == [
        ("Knapsack", 5, {"n": 6}),
        ("TSP", 5, {"n": 6}),
    ]
    run = read_run(path)
    assert run.header["options"]["base_url"] == stub_server.url  # and no password
    assert len(run.rows) == 10 and run.header["options"]["shots"] == 1
    assert Counter(said[2:] for said in log.served) == conversations(run)  # after an example and its answer
    assert all(row.instance.size == 6 for row in run.rows)


def test_best_of_n_is_an_agent_of_its_own(
    stub_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("httpx")
    Log(stub_server)
    path = tmp_path / "a.jsonl"
    given = command(stub_server, path, "--env", "Knapsack", "--episodes", "5", "--best-of", "3")[3:]
    assert "--best-of needs --temperature above 0" in run_cli(capsys, *given, status=2)[1]
    run_cli(capsys, *given, "--temperature", "1")
    run = read_run(path)
    assert run.agent == "stub best of 3" and run.missing == 0 and run.total("attempts") == 15
    with pytest.raises(ValueError, match="agent is 'stub best of 3' there and 'stub best of 2' here"):
        agent = BestOf(make_agent("api:stub", base_url=stub_server.url), 2)  # type: ignore[arg-type]
        record(agent, env_questions([forge_gym.problem("Knapsack")], 5), path, options=run.header["options"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--agent or --model must be given"),
        (["--agent", "greedy", "random", "--out", "a.jsonl"], "--out must come with one agent, got 2"),
        (["--agent", "greedy", "--best-of", "2"], "--best-of must come with models behind a server"),
        (["--agent", "greedy", "--samples", "0"], "samples must be an integer of at least 1"),
        (["--agent", "api:"], "must name a model"),
        (["--model", "m", "--base-url", "ftp://x"], "got 'ftp://x'"),
        (["--model", "m", "--api-key-env", "NO_SUCH_KEY"], "api_key_env must name an environment variable"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("httpx")
    assert words in run_cli(capsys, "eval", "--env", "TSP", *arguments, status=2)[1]


def test_a_run_that_is_watched(envs: Questions) -> None:
    from rich.console import Console

    from forge_gym.evaluation.report import watching

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=150, force_interactive=True)
    with watching("[red]a\x1b[2J", console) as tell:
        record(Remote(lambda call: call % 5 == 0), envs, progress=tell)
    shown = screen.getvalue()
    assert (
        "[red]a?[2J" in shown and "success 1.000" in shown and "unanswered 2" in shown and "cost 2.5" in shown
    )


def test_a_run_that_nobody_watches(
    envs: Questions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from forge_gym.evaluation import report

    with report.watching("quick", Console(stderr=True)) as tell:
        record(Remote(), envs, progress=tell)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(report, "_EVERY_S", 0.0)
    with report.watching("slow", Console(stderr=True)) as tell:
        record(Remote(), envs, progress=tell)
    lines = capsys.readouterr().err.splitlines()
    assert (
        lines[-1].startswith("slow: 12 of 12, success 1.000, quality ")
        and "tokens 120 in, 36 out" in lines[-1]
    )


def test_the_page_says_what_is_so(
    root: Path,
    stub_server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("httpx")
    log = Log(stub_server)
    monkeypatch.chdir(tmp_path)
    page = (root / "docs" / "evaluation.md").read_text().replace("http://localhost:8000/v1", stub_server.url)
    commands = re.findall(r"```bash\nforge-gym (.*)\n```", page)
    assert [command.split()[0] for command in commands] == ["eval", "rescore"]
    for words in commands:
        run_cli(capsys, *words.split())
    assert len(log.served) == 100
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec("\n".join(examples), {"__name__": "page"})
    out = capsys.readouterr().out
    assert "100 finished, 0 missing" in out and "'mean': 0.0" in out and len(log.served) == 200
    for name in FIELDS:
        assert f"`{name}`" in page
    assert f"After {module.GIVE_UP} failures in a row" in page
    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help", "--reward"}
    assert options == set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))
