"""Runs and their transcripts: nothing is lost, nothing is asked twice, nothing unanswered is scored."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from cases import transcript
from forge_gym.agents import GreedyAgent, RandomAgent, Task
from forge_gym.agents.agent import AgentError, Reply, Unreachable
from forge_gym.core.episode import Protocol
from forge_gym.core.problem import Problem
from forge_gym.core.verdict import Verdict, Violation
from forge_gym.data.rows import write
from forge_gym.evaluation import runs as module
from forge_gym.evaluation.evaluate import Conversation, evaluate, evaluate_rows, held_out
from forge_gym.evaluation.report import changes, notes
from forge_gym.evaluation.runs import (
    Questions,
    Run,
    common_rows,
    env_questions,
    read_run,
    record,
    suite_questions,
    write_run,
)
from forge_gym.evaluation.transcript import read_line, verdict_to_dict, write_line

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

    name, concurrency, error = "remote", 5, AgentError

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
            raise self.error(f"call {number} failed")
        (text,) = RandomAgent().answer([task])
        return Reply(text, "stop", 10, 3, 0.25, 0.5, 2)


class Killed(BaseException):
    """As if the process ended here."""


def after(calls: int) -> Callable[[Run], None]:
    def progress(run: Run) -> None:
        if len(run.calls) >= calls:
            raise Killed

    return progress


# ------------------------------------------------------------------------------------- the transcript


def test_a_transcript_says_everything(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a.jsonl"
    options = {"temperature": 0.5}
    run = record(Remote(), envs, path, turns=2, samples=2, options=options)
    header, *lines = map(json.loads, path.read_text().splitlines())
    rows, lines = lines[:12], lines[12:]
    assert rows == [json.loads(row.to_json()) for row in envs.rows] and header["rows"]["count"] == 12
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
    assert same(again, run) and (again.finished, again.missing, again.changes) == (24, 0, [])
    assert again.total("completion_tokens") == 3 * len(lines) == 3 * len(again.calls)
    assert again.evaluation() == run.evaluation()
    for episode in again.episodes:
        best = max(episode.calls, key=lambda call: call.judged.score)
        assert episode.kept_call is best
        for call in episode.calls:
            assert call.judged.verdict == episode.problem.verify(episode.instance, call.reply.text)


def same(one: Run, other: Run) -> bool:
    """Whether two runs have one header and the same calls."""
    return one.header == other.header and said(one) == said(other)


def said(run: Run) -> list[list[Any]]:
    return [episode.calls for episode in run.episodes]


def test_a_run_scores_as_an_evaluation_does(few: Questions, envs: Questions) -> None:
    expected = evaluate_rows(RandomAgent(), few.rows, Protocol(2), samples=3)
    for agent in (RandomAgent(), Remote()):
        found = record(agent, few, turns=2, samples=3).evaluation()
        assert found.verdicts == expected.verdicts and found.rows == expected.rows
    problem = forge_gym.problem("TSP", n=7)
    verdicts = record(Remote(), envs).evaluation().verdicts[:6]
    assert evaluate(Remote(), problem, held_out(problem, 6)).verdicts == verdicts


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
def test_what_is_recorded_is_never_asked_again(envs: Questions, tmp_path: Path, agent: Any, turns: int) -> None:
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
    assert path.read_bytes().startswith(before) and transcript(path) == transcript(whole)
    if isinstance(agent, Remote):
        assert len(agent.asked) == len(path.read_text().splitlines()) - 1 - before.count(b"\n")
    size = path.stat().st_size
    record(agent, envs, path, **settings)
    assert path.stat().st_size == size


def test_what_an_agent_fails_to_answer_is_counted_and_asked_again(few: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    seen: list[tuple[int, int, str]] = []
    run = record(
        Remote(lambda call: call % 7 == 0),
        few,
        path,
        turns=2,
        progress=lambda run: seen.append((run.finished, run.failures, run.error)),
    )
    finished, failures, error = seen[-1]
    assert run.missing == failures > 10 and run.finished == finished == len(few.rows) - failures
    assert re.fullmatch(r"call \d+ failed", error)
    evaluation = run.evaluation()
    assert list(evaluation.rows) == run.answered and len(evaluation.rows) == finished
    assert notes(run) == [f"{failures} of 100 episodes have no answer and are not scored"]
    again = Remote()
    assert record(again, few, path, turns=2).missing == 0
    assert len(again.asked) < 2 * failures  # some had failed in their second turn
    assert transcript(path) == content_of(few, tmp_path / "whole.jsonl", turns=2)


def content_of(questions: Questions, path: Path, **settings: Any) -> list[dict[str, Any]]:
    record(Remote(), questions, path, **settings)
    return transcript(path)


def test_a_dead_server_is_not_asked_for_ever(few: Questions) -> None:
    agent = Remote(lambda call: call > 2)
    run = record(agent, few, samples=3)
    assert run.finished == 2 and module.GIVE_UP <= len(agent.asked) < module.GIVE_UP + 3 * agent.concurrency
    with pytest.raises(ValueError, match="the run of remote has no answered row"):
        run.evaluation()


def test_a_server_that_is_not_there_ends_the_run_at_once(few: Questions, tmp_path: Path) -> None:
    agent, path = Remote(lambda call: True), tmp_path / "a.jsonl"
    agent.error = Unreachable
    with pytest.raises(Unreachable, match="call 1 failed"):
        record(agent, few, path)
    assert len(agent.asked) <= agent.concurrency and read_run(path).calls == []


def test_an_error_of_the_agent_is_not_taken_for_an_answer(few: Questions, tmp_path: Path) -> None:
    def broken(call: int) -> bool:
        raise ZeroDivisionError

    for evaluating in (lambda: record(Remote(broken), few), lambda: evaluate_rows(Remote(broken), few.rows)):
        with pytest.raises(ZeroDivisionError):
            evaluating()
    with pytest.raises(AgentError, match="call 3 failed"):
        evaluate_rows(Remote(lambda call: call == 3), few.rows)


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
def test_other_settings_are_refused(few: Questions, tmp_path: Path, changed: dict[str, Any], words: str) -> None:
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


@pytest.mark.parametrize("settings", [{"turns": 0}, {"samples": 0}, {"reward": "tired"}, {"reward": "pairwise"}])
def test_wrong_settings_leave_no_file(few: Questions, tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        record(GreedyAgent(), few, tmp_path / "a.jsonl", **settings)
    assert not list(tmp_path.iterdir())


def test_two_processes_on_one_transcript_are_refused(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    refused = []

    def meanwhile(run: Run) -> None:
        with pytest.raises(ValueError, match="is being written by another process") as error:
            record(GreedyAgent(), envs, path)
        refused.append(error)
        assert read_run(path).finished == run.finished  # reading is free

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
        lambda line: line.replace('"reply": "', '"reply": null, "x": "'),
        lambda line: line.replace('"attempts": 1', '"attempts": true'),
        lambda line: line.replace('"cost": 0.0', '"cost": "0"'),
        lambda line: line.replace('"verdict": {', '"verdict": 1, "x": {'),
        lambda line: "[" * 100_000,
    ],
)
def test_damage_in_the_middle_names_file_and_line(
    envs: Questions, tmp_path: Path, damage: Callable[[str], str]
) -> None:
    path = tmp_path / "a.jsonl"
    record(GreedyAgent(), envs, path)
    lines = path.read_text().splitlines(keepends=True)
    lines[16] = damage(lines[16].rstrip("\n")) + "\n"  # after header and rows
    path.write_text("".join(lines))
    before = path.read_bytes()
    for using in (read_run, lambda path: record(GreedyAgent(), envs, path)):
        with pytest.raises(ValueError, match=re.escape(f"{path}, line 17, is damaged")):
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
    with pytest.raises(FileNotFoundError):
        read_run(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        record(GreedyAgent(), envs, tmp_path)


def test_a_header_that_was_being_written(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"forge_gym": "0.1.0", "form')
    assert record(GreedyAgent(), envs, path).missing == 0 and read_run(path).missing == 0


def test_rows_that_were_being_written(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record(GreedyAgent(), envs, path)
    whole, lines = transcript(path), path.read_bytes().splitlines(keepends=True)
    for kept in (1, 2, 12):
        for cut in (0, 1, 40):
            path.write_bytes(b"".join(lines[:kept]) + lines[kept][:cut])
            with pytest.raises(ValueError, match=f"has {kept - 1} of its 12 rows"):
                read_run(path)
            assert record(GreedyAgent(), envs, path).missing == 0 and transcript(path) == whole
    path.write_bytes(b"".join(lines).replace(b'"value":', b'"valve":', 1))
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 2, is damaged: an exact number")):
        read_run(path)


def test_a_run_keeps_little_of_an_episode(tmp_path: Path) -> None:
    """Nothing of rows and replies, however long: only numbers, so that 100,000 episodes fit into 200 MB."""

    class Wordy(GreedyAgent):
        def answer(self, tasks: Sequence[Task]) -> list[str]:
            return [" " * 5000 + text for text in super().answer(tasks)]

    tsp, grown = forge_gym.problem("TSP", n=6), []
    for count in (20, 20, 70):  # the first fills what all share
        tracemalloc.start()
        run = record(Wordy(), env_questions([tsp], count), tmp_path / f"{len(grown)}.jsonl", batch_size=10)
        gc.collect()
        grown.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert run.finished == count
    assert grown[2] - grown[1] < 50 * 1200


def test_a_transcript_needs_no_other_file(
    few: Questions, envs: Questions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor anything drawn or solved: it holds its rows, unless their suite ships with the package."""
    file, path, drawn = tmp_path / "mine.jsonl.gz", tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write(file, [row.to_json() for row in few.rows[:5]])
    runs = [record(GreedyAgent(), suite_questions(str(file)), path), record(GreedyAgent(), envs, drawn)]
    file.unlink()
    for hook in ("instance", "certificate"):
        monkeypatch.setattr(Problem, hook, lambda *_: pytest.fail("drawn or solved"))
    for run, at in zip(runs, (path, drawn), strict=True):
        assert same(read_run(at), run)


def without_end(text: str) -> str:
    return text.removesuffix("\n")


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        (without_end, 12),  # the last line is whole
        (lambda text: text + "\n\n \n", 12),
        (lambda text: text[:-20], 11),
        (lambda text: text + '{"ro', 12),
    ],
)
def test_a_last_line_without_its_end(envs: Questions, tmp_path: Path, changed: Callable[[str], str], kept: int) -> None:
    path, agent = tmp_path / "a.jsonl", Remote()
    record(agent, envs, path)
    whole = transcript(path)
    path.write_text(changed(path.read_text()))
    assert read_run(path).finished == kept
    agent.asked.clear()
    assert record(agent, envs, path).missing == 0 and len(agent.asked) == 12 - kept
    assert transcript(path) == whole and path.read_text().endswith("}\n")


@pytest.mark.parametrize("last", ["my notes", '{"turn": 1', "{}", '{"row": 1}', "[" * 10_000, '{"row": "x"'])
def test_what_others_appended_is_not_cut_off(envs: Questions, tmp_path: Path, last: str) -> None:
    path = tmp_path / "a.jsonl"
    record(GreedyAgent(), envs, path)
    path.write_text(text := path.read_text() + last)
    if last == '{"row": "x"':  # it may be ours
        assert record(GreedyAgent(), envs, path).missing == 0
        return
    for using in (read_run, lambda path: record(GreedyAgent(), envs, path)):
        with pytest.raises(ValueError, match=re.escape(f"{path}, line 26, is damaged")):
            using(path)
    assert path.read_text() == text


@pytest.mark.parametrize("text", ['{"forge_gym": "a config of mine", "x": 1}', '{"forge_gym": "0', '{"forge_gym": [1,'])
def test_a_file_that_only_begins_like_a_transcript_is_left_alone(envs: Questions, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    if text == '{"forge_gym": "0':
        assert record(GreedyAgent(), envs, path).missing == 0
        return
    with pytest.raises(ValueError, match=re.escape(str(path))):
        record(GreedyAgent(), envs, path)
    assert path.read_text() == text


def test_any_text_and_any_number_survives(envs: Questions, tmp_path: Path) -> None:
    verdict = Verdict(
        "infeasible",
        "a rule, \ud800 and a value",
        (Violation("once", Fraction(2, 3), 10**30, "\x1b[2J"),),
        credit=0.1 + 0.2,
        skill=-1.7976931348623157e308,
    )
    exact = Verdict("feasible", objective=Fraction(-7, 3), quality=1 / 3, skill=0.25, ratio=0.5, optimal=True)
    for each in (verdict, exact):
        data = verdict_to_dict(each)
        assert json.loads(json.dumps(data)) == data and "solution" not in data
    reply = Reply("\ud800\u2028\n<script>", "stop", 3, 4, 0.5, 1.5, 2)
    episode = Conversation(envs.rows[0], Protocol(2), 1)
    episode.hear(reply)
    text = write_line(episode)
    line = read_line(text)
    assert text.isascii() and "\n" not in text and (line.row, line.sample, line.turn) == (envs.rows[0].id, 1, 0)
    assert line.reply == reply and line.verdict["status"] == "malformed" and line.score == -1


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


def test_verdicts_that_changed_are_found(few: Questions, tmp_path: Path) -> None:
    path, new = tmp_path / "a.jsonl", tmp_path / "new.jsonl"
    run = record(RandomAgent(), few, path)
    before, calls = path.read_bytes(), said(run)
    assert read_run(path).changes == []
    altered(path, "TSP-3-0", status="malformed", objective=None, quality=0.0)
    altered(path, "Knapsack-2-0", quality=0.999)
    altered(path, "SetCover-1-0", reason="other words")
    again = read_run(path)
    assert [line.row for line, _ in again.changes] == ["Knapsack-2-0", "TSP-3-0"] and said(again) == calls
    assert notes(again) == ["2 recorded verdicts were others: `forge-gym rescore` lists them"]
    assert "TSP-3-0, sample 0, turn 0: malformed -> feasible, quality 0.0 -> " in changes(again)[1]
    assert changes(again, 1)[1:] == ["and 1 more"]
    assert record(RandomAgent(), few, path).missing == 0  # nothing is left to ask
    write_run(again, new)
    assert new.read_bytes().split(b"\n")[1:] == before.split(b"\n")[1:]
    assert read_run(new).header["rescored"] == forge_gym.__version__ and read_run(new).changes == []
    with pytest.raises(ValueError, match="exists and is left as it is"):
        write_run(again, new)
    assert record(RandomAgent(), few, new).missing == 0  # it is a transcript like any other


def test_a_run_with_verdicts_of_another_day_does_not_go_on(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(Killed):
        record(RandomAgent(), envs, path, turns=3, batch_size=4, progress=after(5))
    altered(path, envs.rows[0].id, quality=0.5)
    assert [line.turn for line, _ in read_run(path).changes] == [0, 1]
    with pytest.raises(ValueError, match="`forge-gym rescore` says which"):
        record(RandomAgent(), envs, path, turns=3)
    write_run(read_run(path), tmp_path / "new.jsonl")
    assert record(RandomAgent(), envs, tmp_path / "new.jsonl", turns=3).missing == 0


# ------------------------------------------------------------------------------------- what is told


def test_replies_without_a_whole_answer_are_counted(envs: Questions) -> None:
    """All of this is malformed; only some of it is the model's fault."""
    replies = [
        *[Reply("The tour that I would", "length")] * 3,
        Reply("", "stop"),
        Reply(" \n"),
        Reply("<think>First, city 3</think>", "stop"),
        Reply("<think>First, city 3", "stop"),
        Reply("<think>Hm.</think> I do not know.", "stop"),
    ]

    class Struggling:
        name = "struggling"

        def replies(self, tasks: Sequence[Task]) -> list[Reply]:
            return [replies[i % len(replies)] for i, _ in enumerate(tasks)]

    run = record(Struggling(), envs, options={"max_tokens": 64})  # type: ignore[arg-type]
    assert notes(run) == [
        "6 of 12 replies were cut off at 64 tokens: raise --max-new-tokens",
        "3 of 12 replies were empty: check the model's chat template and what its server logs",
        "2 of 12 replies hold thoughts but no answer: raise --max-new-tokens, or let the model think less",
    ]
    assert notes(record(GreedyAgent(), envs)) == []


class Thinker:
    """Tries an optimal answer in its thoughts, and on every third instance is cut off there; then it gives up."""

    name, thoughts = "thinker", {"end": "[/THINK]", "inside": True}

    def replies(self, tasks: Sequence[Task]) -> list[Reply]:
        tried = [task.problem.format(task.instance, task.problem.reference(task.instance).solution) for task in tasks]
        said = [task.problem.format(task.instance, task.problem.trivial(task.instance)) for task in tasks]
        return [
            Reply(one, "length") if i % 3 == 0 else Reply(f"{one}</think>[/THINK]{other}", "stop")
            for i, (one, other) in enumerate(zip(tried, said, strict=True))
        ]


def test_the_transcript_says_how_thoughts_end(envs: Questions, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    run = record(Thinker(), envs, path)  # type: ignore[arg-type]
    assert json.loads(path.read_text().splitlines()[0])["thoughts"] == {
        "end": "[/THINK]",
        "start": "[THINK]",
        "inside": True,
    }
    statuses = [call.judged.verdict.status for call in run.calls]
    assert statuses == ["malformed", "feasible", "feasible"] * (len(statuses) // 3)
    assert run.evaluation().estimate("quality").mean == 0.0
    again = read_run(path)
    assert not again.changes and again.evaluation() == run.evaluation()
    assert "4 of 12 replies were cut off" in notes(again)[0]

    class Other(Thinker):
        thoughts = "[/THINK]"  # type: ignore[assignment]

    with pytest.raises(ValueError, match=r"thoughts is .* there and .* here"):
        record(Other(), envs, path)  # type: ignore[arg-type]
    tsp = forge_gym.problem("TSP", n=7)
    evaluation = evaluate(Thinker(), tsp, held_out(tsp, 3))  # type: ignore[arg-type]
    assert evaluation.estimate("success").mean == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "thoughts", [None, "</think>", {}, {"end": ""}, {"end": "</answer>"}, {"ends": "x"}, {"end": ["</think>"]}, []]
)
def test_damaged_thoughts_in_a_header_are_one_line(envs: Questions, tmp_path: Path, thoughts: Any) -> None:
    path = tmp_path / "run.jsonl"
    record(GreedyAgent(), envs, path)
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(header) | {"thoughts": thoughts}), *lines, ""]))
    if thoughts == {}:  # nothing said is the default
        assert not read_run(path).changes
        return
    with pytest.raises(ValueError, match=r"line 1, is damaged: .*thoughts") as error:
        read_run(path)
    assert "\n" not in str(error.value)


def test_rows_that_all_have_answered(envs: Questions) -> None:
    whole, partial = record(Remote(), envs), record(Remote(lambda call: call % 3 == 0), envs)
    assert common_rows([whole, partial]) == partial.answered != whole.answered
    other = record(Remote(), env_questions([forge_gym.problem("TSP", n=5)], 1))
    with pytest.raises(ValueError, match=r"runs must share rows .* rows answered: remote 12, remote 1"):
        common_rows([whole, other])
    with pytest.raises(ValueError, match="runs must hold at least one run"):
        common_rows([])


def test_a_run_that_is_watched(envs: Questions, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from forge_gym.evaluation import report

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=150, force_interactive=True)
    monkeypatch.setattr(report, "_EVERY_S", {True: 3600.0, False: 3600.0})
    with report.watching("quick", console) as tell:
        record(Remote(), envs, progress=tell)
    assert "success" not in screen.getvalue()  # replies are not summed up after each of them
    monkeypatch.setattr(report, "_EVERY_S", {True: 0.0, False: 0.0})
    with report.watching("[red]a\x1b[2J", console) as tell:
        record(Remote(lambda call: call % 5 == 0), envs, progress=tell)
    shown = screen.getvalue()
    assert "[red]a␛[2J" in shown and "success 1.000" in shown and "unanswered 2" in shown and "cost 2.5" in shown


def test_a_run_that_nobody_watches(
    envs: Questions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from forge_gym.evaluation import report

    with report.watching("quick", Console(stderr=True)) as tell:
        record(Remote(), envs, progress=tell)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(report, "_EVERY_S", {True: 0.0, False: 0.0})
    with report.watching("slow", Console(stderr=True)) as tell:
        record(Remote(), envs, progress=tell)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("slow: 12 of 12, success 1.000, quality ") and "156 tokens" in lines[-1]
