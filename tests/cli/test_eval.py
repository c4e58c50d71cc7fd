"""``forge-gym eval``, ``rescore`` and ``compare``: against servers that fail, with processes that are killed."""

from __future__ import annotations

import hashlib
import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from cases import transcript
from forge_gym.agents import CONTROLS, RandomAgent, make_agent
from forge_gym.cli import main
from forge_gym.data.rows import samples, write
from forge_gym.evaluation import runs as module
from forge_gym.evaluation.runs import Run, env_questions, read_run, record, suite_questions

SUITE = "forge-bench-v1"


def run_cli(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    assert main(arguments) == status
    captured = capsys.readouterr()
    return captured.out, captured.err


# ------------------------------------------------------------------------------------- what is printed


def test_tables_of_environments(capsys: pytest.CaptureFixture[str]) -> None:
    common = ["eval", "--agent", "random", "greedy", "exact", "--env", "TSP", "Knapsack"]
    common += ["--episodes", "20", "--set", "n=9"]
    told = json.loads(run_cli(capsys, *common, "--json")[0])
    assert (told["suite"], told["asked"], told["instances"]) == (None, 40, 40)
    assert [(env["problem"], env["parameters"]) for env in told["env"]] == [
        ("TSP", {"n": 9}),
        ("Knapsack", {"n": 9}),
    ]
    assert [result["agent"] for result in told["results"]] == ["random", "greedy", "exact"]
    for result in told["results"]:
        assert {"TSP", "Knapsack", "overall"} < set(result["groups"]) and result["unanswered"] == 0
        for numbers_ in result["groups"].values():
            for key in ("success", "quality", "skill", "optimal"):
                assert numbers_[key]["low"] <= numbers_[key]["mean"] <= numbers_[key]["high"]
    _, greedy, exact = (result["groups"]["overall"] for result in told["results"])
    assert exact["optimal"]["mean"] == 1 and greedy["skill"]["mean"] == 0 and greedy["instances"] == 40
    out, _ = run_cli(capsys, *common)
    assert out.startswith("TSP(n=9) + Knapsack(n=9): 40 instances; mean over its 95 % interval\n")
    assert "quality by problem" in out and "transcript" not in out
    out, _ = run_cli(capsys, "eval", "--agent", "greedy", "--env", "TSP", "--episodes", "5", "--by", "all")
    assert "quality by problem" not in out and "TSP, family planning: 5 instances" in out


def test_the_default_output_on_a_suite_is_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jsonl"
    given = ["eval", "--suite", SUITE, "--limit", "1", "--agent", "random", "--out", str(path)]
    out, _ = run_cli(capsys, *given)
    lines = out.splitlines()
    assert len(lines) <= 40 and max(map(len, lines[:-3])) <= 80
    table = lines[lines.index("forge-bench-v1: quality by problem") :]
    assert table[1].split() == ["problem", "trivial", "random", "greedy", "local-search", "exact"]
    assert table[13].split()[::5] == ["mean", "1.000"]
    assert lines[-3:] == [
        f"transcript: {path}",
        f"next: forge-gym report {path} --out report.html",
        f"      forge-gym compare {path} OTHER.jsonl",
    ]
    out, _ = run_cli(capsys, *given, "--by", "level")
    assert "forge-bench-v1, level 9: 10 instances" in out
    assert max(map(len, out.splitlines()[:-3])) <= 80


def test_a_suite_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = samples(forge_gym.problem("TSP"), levels=[0, 1], split="test")
    file = write(tmp_path / "mine.jsonl", (next(rows).to_json() for _ in range(4)))
    out, _ = run_cli(capsys, "eval", "--suite", str(file), "--agent", "greedy", "--by", "level")
    assert "mine: 4 instances" in out and "mine, level 1: 2 instances" in out


def test_a_problem_of_ones_own_from_run_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command in a process of its own: the transcript says where the class is, and the user that it may be run."""
    (tmp_path / "own.py").write_text(
        "from forge_gym.envs.knapsack import Knapsack\n\n\nclass Bag(Knapsack):\n    pass\n"
    )

    def run_here(*words: str) -> str:
        command = [sys.executable, "-m", "forge_gym", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    for agent in ("greedy", "random"):
        out = run_here("eval", "--env", "own:Bag", "--episodes", "5", "--agent", agent, "--out", f"{agent}.jsonl")
        assert f"next: forge-gym report {agent}.jsonl --out report.html --own own:Bag\n" in out
    assert '"problem": "own:Bag"' in (tmp_path / "greedy.jsonl").read_text()
    own = ("--own", "own:Bag")
    assert "5 replies of greedy judged again, 0 verdicts changed" in run_here("rescore", "greedy.jsonl", *own)
    assert "wrote report.html" in run_here("report", "greedy.jsonl", *own)
    assert "random minus greedy: 5 instances" in run_here("compare", "greedy.jsonl", "random.jsonl", *own)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_here("rescore", "greedy.jsonl")
    assert failed.value.returncode == 2 and "--own own:Bag runs it" in failed.value.stderr
    (tmp_path / "own.py").unlink()
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_here("rescore", "greedy.jsonl", *own)
    assert failed.value.returncode == 2 and "No module named 'own'" in failed.value.stderr


# ------------------------------------------------------------------------------------- runs on record


def test_elements_may_have_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, names = tmp_path / "a.jsonl", '["ada", "bob", "cyd", "dan", "eve", "fay"]'
    given = ["eval", "--agent", "greedy", "--env", "TSP", "--set", "n=6", "--set", f"names={names}"]
    run_cli(capsys, *given, "--episodes", "3", "--out", str(path))
    run = read_run(path)
    assert run.missing == 0 and all("ada" in call.reply.text for call in run.calls)
    assert run.rows[0].problem.names == tuple(json.loads(names))
    assert "nothing is asked" in run_cli(capsys, *given, "--episodes", "3", "--out", str(path))[1]


def test_rescore(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, new = tmp_path / "a.jsonl", tmp_path / "new.jsonl"
    record(RandomAgent(), suite_questions(SUITE, limit=1), path)
    out, _ = run_cli(capsys, "rescore", str(path))
    assert out.splitlines()[0] == f"{path}: 100 replies of random judged again, 0 verdicts changed"
    assert re.search(r"today: success 1.0000, quality .* over 100 of 100 instances", out)
    text = path.read_text().replace('"status": "feasible"', '"status": "malformed"', 1)
    path.write_text(text)
    out, _ = run_cli(capsys, "rescore", str(path), status=1)
    assert "1 verdicts changed" in out and "malformed -> feasible" in out and path.read_text() == text
    told = json.loads(run_cli(capsys, "rescore", str(path), "--out", str(new), "--json", status=1)[0])
    (changed,) = told["changed"]
    assert (changed["before"]["status"], changed["after"]["status"]) == ("malformed", "feasible")
    assert told["today"]["groups"]["overall"]["success"]["mean"] == 1
    run_cli(capsys, "rescore", str(new))
    assert "exists and is left as it is" in run_cli(capsys, "rescore", str(path), "--out", str(new), status=2)[1]


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions = suite_questions(SUITE, limit=1)
    files = [tmp_path / f"{name}.jsonl" for name in ("greedy", "random", "exact")]
    for file in files:
        record(make_agent(file.stem), questions, file)
    lines = files[1].read_text().splitlines(keepends=True)
    files[1].write_text("".join(lines[:-3]))
    out, _ = run_cli(capsys, "compare", *map(str, files))
    assert "random minus greedy: 97 instances; paired difference over its 95 % interval\n" in out
    assert "exact minus greedy: 97 instances" in out and "97/0/0" in out
    assert out.endswith("97 of 100 instances have an answer in every run; the others do not count\n")
    assert max(map(len, out.splitlines())) <= 80 and len(out.splitlines()) < 60
    told = json.loads(run_cli(capsys, "compare", *map(str, files), "--json")[0])
    assert told["instances"] == 97
    assert [(pair["one"], pair["other"]) for pair in told["pairs"]] == [
        ("random", "greedy"),
        ("exact", "greedy"),
    ]
    overall = told["pairs"][1]["groups"]["overall"]
    assert overall["skill"]["mean"] == 1 and (overall["wins"], overall["ties"]) == (97, 0)
    assert "compare needs two runs or more, got 1" in run_cli(capsys, "compare", str(files[0]), status=2)[1]
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(files[0].read_bytes())
    assert f"greedy ({copy}) minus greedy ({files[0]})".replace("\n", " ") in " ".join(
        run_cli(capsys, "compare", str(files[0]), str(copy))[0].split()
    )


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
    for episode in run.episodes:
        said = [episode.prompt]
        for call in episode.calls:
            assert call.reply.text == numbers(said[-1])
            found[tuple(said)] += 1
            said += [call.reply.text, call.feedback]
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
    assert run.total("attempts") >= 1000 + log.faulty.total() + 2  # more where a busy machine is late
    assert stub_server.most_in_flight <= 64
    verdicts = Counter(call.judged.verdict.status for call in run.calls)
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
    assert f"{path}: " in finished.stderr and "100 episodes are finished, continuing" in finished.stderr
    run = read_run(path)
    assert run.missing == 0 and set(conversations(run).values()) == {1}
    whole = tmp_path / "whole.jsonl"
    agent = make_agent("api:stub", base_url=stub_server.url, temperature=0.0, max_tokens=1024)
    questions = env_questions([forge_gym.problem(name, n=6) for name in ("Knapsack", "TSP")], 50)
    record(agent, questions, whole, turns=turns, options=json.loads(path.open().readline())["options"])
    assert transcript(path) == transcript(whole)
    report = json.loads(finished.stdout)
    assert [report["results"][0]["groups"][name]["instances"] for name in ("Knapsack", "TSP")] == [50, 50]


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
    assert err.splitlines() == ["forge-gym: interrupted; the same command continues the run"]
    assert path.read_bytes().endswith(b"\n") and 0 < read_run(path).finished < 100


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
        and "[red]m␛[2J" in out
        and "local-search" in out
        and "100 instances, best of 2 samples" in out
    )
    (path,) = (tmp_path / "runs").iterdir()
    assert path.name == "lab-red-m-2J-forge-bench-v1-limit1.jsonl" and list(tmp_path.iterdir()) == [path.parent]
    header, *lines = map(json.loads, path.read_text().splitlines())
    assert "secret" not in path.read_text() and header["options"] == {
        "temperature": 0.5, "seed": 7, "system": "Think.", "max_tokens": 1024, "base_url": stub_server.url,
    }  # fmt: skip
    run = read_run(path)
    tokens = run.total("prompt_tokens"), run.total("completion_tokens")
    assert run.total("cost") == pytest.approx((2 * tokens[0] + 8 * tokens[1]) / 1e6) and min(tokens) > 0
    assert f": 200 replies, {tokens[0]:.0f} prompt and {tokens[1]:.0f} completion tokens, cost " in out
    assert "no answer" not in out and len(lines) == len(log.served) == 200
    assert len({body["seed"] for body in stub_server.requests}) == 2  # one for each of two samples
    assert stub_server.requests[0]["messages"][0] == {"role": "system", "content": "Think."}
    assert "Bearer sk-secret" in stub_server.headers[0].values()
    again, err = run_cli(capsys, *given)
    assert again == out and "200 of 200 episodes are finished, nothing is asked" in err and len(log.served) == 200
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
    assert f"stub: {unanswered} of 100 episodes have no answer and are not scored" in out
    assert re.search(rf"stub: failed calls: {unanswered}, the last with .*HTTP 400.*; the same command asks again", err)
    assert f"forge-bench-v1: {100 - unanswered} of 100 instances" in out
    out, _ = run_cli(capsys, *given, "--json", status=1)
    report = json.loads(out)
    assert [result["unanswered"] for result in report["results"]] == [0] * 5 + [unanswered]
    assert {result["groups"]["overall"]["instances"] for result in report["results"]} == {100 - unanswered}
    assert "TSP" not in report["results"][0]["groups"]
    log.served.clear()
    stub_server.choose = log.choose
    out, err = run_cli(capsys, *given)
    assert "forge-bench-v1: 100 instances" in out and len(log.served) == unanswered
    stub_server.choose = lambda body, before: "401"
    out, err = run_cli(capsys, *command(stub_server, tmp_path / "b.jsonl", *FEW)[3:], status=1)
    assert "100 of 100 episodes have no answer" in out and "instances" not in out


def test_environments(stub_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("httpx")
    log, path = Log(stub_server), tmp_path / "a.jsonl"
    url = stub_server.url.replace("//", "//user:secret@")
    given = [
        "eval", "--model", "stub", "--base-url", url, "--env", "Knapsack", "Forge/TSP-v0", "--set", "n=6",
        "--episodes", "5", "--turns", "2", "--few-shot", "1", "--out", str(path), "--json",
    ]  # fmt: skip
    assert json.loads(run_cli(capsys, *given)[0])["instances"] == 10
    run = read_run(path)
    assert run.header["options"]["base_url"] == stub_server.url  # and no password
    assert len(run.rows) == 10 and run.header["options"]["shots"] == 1
    assert Counter(said[2:] for said in log.served) == conversations(run)  # after an example and its answer
    assert all(row.instance.size == 6 for row in run.rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--agent or --model must be given"),
        (["--agent", "greedy", "random", "--out", "a.jsonl"], "--out must come with one agent, got 2"),
        (["--agent", "greedy", "--samples", "0"], "samples must be an integer of at least 1"),
        (["--agent", "gredy"], "did you mean 'greedy'"),
        (["--agent", "greedy", "--episodes", "0"], "episodes must be"),
        (["--agent", "greedy", "--episodes", "1", "--reward", "x"], "reward must be"),
        (["--agent", "api:"], "must name a model"),
        (["--model", "m", "--base-url", "ftp://x"], "got 'ftp://x'"),
        (["--model", "m", "--api-key-env", "NO_SUCH_KEY"], "api_key_env must name an environment variable"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("httpx")
    assert words in run_cli(capsys, "eval", "--env", "TSP", *arguments, status=2)[1]


def test_a_server_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("httpx")
    given = [
        "eval",
        "--model",
        "m",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--out",
        str(tmp_path / "a.jsonl"),
    ]
    start = time.monotonic()
    out, err = run_cli(capsys, *given, *FEW, status=2)
    assert time.monotonic() - start < 30 and not out  # its pauses alone would take 100
    assert err.startswith("forge-gym: m: no server answers at 127.0.0.1:9: ") and err.count("\n") == 1
    assert read_run(tmp_path / "a.jsonl").calls == []


def test_replies_that_are_cut_off_are_told(
    stub_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("httpx")
    stub_server.choose = lambda body, before: "length"
    given = command(stub_server, tmp_path / "a.jsonl", "--env", "TSP", "--episodes", "4", "--max-new-tokens", "9")
    out, _ = run_cli(capsys, *given[3:])
    assert "stub: 4 of 4 replies were cut off at 9 tokens: raise --max-new-tokens\n" in out
    stub_server.choose = lambda body, before: "null"
    given = command(stub_server, tmp_path / "b.jsonl", "--env", "TSP", "--episodes", "4")
    assert "stub: 4 of 4 replies hold thoughts but no answer: raise" in run_cli(capsys, *given[3:])[0]


def test_the_command_line_says_how_thoughts_end(
    stub_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("httpx")
    rows = samples(forge_gym.problem("Knapsack", n=8))
    suite = write(tmp_path / "suite.jsonl", [next(rows).to_json() for _ in range(3)])
    stub_server.answer = lambda body: "[THINK]<answer>[0]</answer>[/THINK]<answer>[]</answer>"
    ends = {"</think>": 0.0, "[/THINK]": 1.0, '{"end": "[/THINK]", "inside": true}': 1.0, '{"inside": true}': 0.0}
    for at, (end, success) in enumerate(ends.items()):
        given = command(stub_server, tmp_path / f"{at}.jsonl", "--suite", str(suite), "--thoughts", end, "--json")
        told = json.loads(run_cli(capsys, *given[3:])[0])
        measured = {run["agent"]: run["groups"]["overall"]["success"]["mean"] for run in told["results"]}
        assert measured == dict.fromkeys(CONTROLS, 1.0) | {"stub": success}
        assert not read_run(tmp_path / f"{at}.jsonl").changes
    wrong = run_cli(capsys, *given[3:-2], "</answer>", status=2)[1]
    assert "thoughts: end must be told apart from </answer>" in wrong and wrong.count("\n") == 1


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
    assert [command.split()[0] for command in commands] == ["eval", "compare", "rescore"]
    for agent in ("greedy", "random"):  # what the page calls small and large
        file = Path("runs", "small.jsonl" if agent == "greedy" else "large.jsonl")
        record(make_agent(agent), suite_questions(SUITE, limit=1), file)
    for words in commands:
        run_cli(capsys, *words.split())
    assert len(log.served) == 100
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec("\n".join(examples), {"__name__": "page"})
    out = capsys.readouterr().out
    assert "100 finished, 0 missing" in out and "Estimate(mean=0.0, " in out and len(log.served) == 200
    for name in json.loads(Path("runs", "try.jsonl").read_text().splitlines()[1]):
        assert f"`{name}`" in page
    assert f"After {module.GIVE_UP} failures in a row" in page
    main(["eval", "--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help", "--reward"}
    assert options == set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))


def test_eval_of_a_language_model(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tiny.jsonl"
    arguments = [
        "eval",
        "--agent",
        f"hf:{tiny_model}",
        "--env",
        "TSP",
        "--episodes",
        "3",
        "--max-new-tokens",
        "4",
        "--turns",
        "2",
        "--batch-size",
        "2",
        "--out",
        str(path),
    ]
    (result,) = json.loads(run_cli(capsys, *arguments, "--json")[0])["results"]
    assert result["agent"] == "tiny" and result["groups"]["TSP"]["status"]["malformed"] == 3
    found = read_run(path)
    assert found.missing == 0 and 0 < found.total("completion_tokens") <= 2 * 3 * 4
    # Two of three were asked together; a run may go on in other batches.
    whole = path.read_text().splitlines(keepends=True)
    assert [json.loads(line)["turn"] for line in whole[4:]] == [0, 0, 1, 1, 0, 1]  # after header and rows
    path.write_text("".join(whole[:7]))
    run_cli(capsys, *arguments[:-4], "--batch-size", "3", *arguments[-2:])
    assert read_run(path).replies == found.replies and read_run(path).missing == 0
