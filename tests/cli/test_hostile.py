"""Files from anybody: whatever they hold, a command ends soon, in one line, and nothing of them steers a terminal."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import forge_gym
from forge_gym.agents import GreedyAgent
from forge_gym.cli import main
from forge_gym.core.problem import Problem
from forge_gym.data.rows import samples, write
from forge_gym.data.suite import build
from forge_gym.evaluation.runs import env_questions, record

EVAL = ["eval", "--env", "TSP", "Knapsack", "--set", "n=6", "--episodes", "2", "--agent", "greedy", "--turns", "2"]
DEEP: Any = 0
for _ in range(40):
    DEEP = [DEEP]
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 10**6, 2**63, 10**18, -(10**99), 10**101, 10**4000, 0.5, 1e308, float("nan"),
    float("inf"), "", "x", "1e400000000", "7/2", "1/0", "9" * 200, "\x1b[2J", "\u202e", "\x9b", "\ud800", "a\nb", [],
    [[]], [0], [0, 0], [[0, 0]], [-1], [0.5], [True], ["0"], [None], {}, {"n": 1}, DEEP, [10**99], "antigravity:x",
    "TSP", "/etc/passwd",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a transcript and a suite, in which the tests of this file run."""
    path, before = tmp_path_factory.mktemp("hostile"), Path.cwd()
    os.chdir(path)
    rows = [next(samples(forge_gym.problem(name), levels=[3], split="test")) for name in forge_gym.problems()]
    write("suite.jsonl", [row.to_json() for row in rows])
    assert main([*EVAL, "--out", "run.jsonl"]) == 0
    yield path
    os.chdir(before)


def told(*words: str) -> tuple[int, str]:
    """Return exit status and output of a command, which must be as those of any command are."""
    out, err, start = io.StringIO(), io.StringIO(), time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    text = out.getvalue() + err.getvalue()
    assert status in (0, 1, 2) and time.process_time() - start < 20, words
    assert status < 2 or err.getvalue().count("\n") == 1, text
    steering = {unicodedata.category(character) for character in text.replace("\n", "")} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }
    assert not steering, text
    return status, text


def places(data: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    for key, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(inner, (*place, key))


def changed(lines: list[str], draw: random.Random) -> bytes:
    """Return lines in which a value is another, or that are cut, doubled, swapped, left out or mixed with others."""
    lines, way, i = list(lines), draw.random(), draw.randrange(len(lines))
    if way < 0.75:
        data = json.loads(lines[i])
        place = draw.choice([place for place in places(data) if place and draw.random() < 2 / len(place)] or [("id",)])
        holder = data
        for key in place[:-1]:
            holder = holder[key]
        if draw.random() < 0.1 and isinstance(holder, dict):
            holder.pop(place[-1], None)
        else:
            holder[place[-1]] = copy.deepcopy(draw.choice(VALUES))
        lines[i] = json.dumps(data)
    elif way < 0.8:
        lines[i] = lines[i][: draw.randrange(len(lines[i]))]
    elif way < 0.85:
        lines.insert(i, lines[i])
    elif way < 0.9:
        lines[i], lines[0] = lines[0], lines[i]
    elif way < 0.95:
        del lines[i]
    else:
        lines.insert(i, draw.choice(["", "null", "[1]", "\x1b", "{", "[" * 5000, "9" * 5000, "\0\0"]))
    return ("\n".join(lines) + "\n" * draw.randrange(3)).encode()


fuzzed = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzzed
@given(seed=st.integers(0, 2**40))
def test_transcripts_of_any_content(folder: Path, seed: int) -> None:
    draw = random.Random(seed)
    file = folder / "changed.jsonl"
    file.write_bytes(before := changed((folder / "run.jsonl").read_text().splitlines(), draw))
    told("rescore", "changed.jsonl")
    told("rescore", "changed.jsonl", "--json")
    told("compare", "run.jsonl", "changed.jsonl")
    if seed % 8 == 0:
        told("report", "changed.jsonl", "--gallery", "1")
    assert file.read_bytes() == before
    told(*EVAL, "--out", "changed.jsonl")


@fuzzed
@given(seed=st.integers(0, 2**40))
def test_suites_of_any_content(folder: Path, seed: int) -> None:
    draw = random.Random(seed)
    rows = (folder / "suite.jsonl").read_text().splitlines()
    start = draw.randrange(len(rows) - 1)
    (folder / "changed_suite.jsonl").write_bytes(changed(rows[start : start + 2], draw))
    with contextlib.suppress(FileNotFoundError):
        (folder / "of_suite.jsonl").unlink()
    sound, _ = told("suite", "verify", "changed_suite.jsonl", "--sample", "1")
    status, text = told("eval", "--suite", "changed_suite.jsonl", "--agent", "greedy", "--out", "of_suite.jsonl")
    if sound == 0:
        assert status == 0, text
        assert told("rescore", "of_suite.jsonl")[0] == 0
        if seed % 4 == 0:
            assert told("report", "of_suite.jsonl", "--gallery", "1")[0] == 0


# ------------------------------------------------------------------------------------- headers


HEADERS: dict[str, dict[str, Any]] = {
    "another file": {"suite": {"name": "x", "sha256": "0", "file": "/etc/passwd"}, "env": None},
    "another file alone": {"suite": {"name": "/etc/passwd", "sha256": "0"}, "env": None, "rows": None},
    "another folder": {"suite": {"name": "../../../../etc/passwd", "sha256": "0"}, "env": None, "rows": None},
    "episodes without end": {"episodes": 10**12},
    "samples without end": {"samples": 10**12},
    "turns without end": {"turns": 10**12},
    "a huge instance": {"env": [{"problem": "TSP", "version": 0, "parameters": {"n": 10**8}}]},
    "a huge instance alone": {"env": [{"problem": "TSP", "version": 0, "parameters": {"n": 10**8}}], "rows": None},
    "code": {"env": [{"problem": "antigravity:x", "version": 0, "parameters": {}}]},
    "a name": {"agent": "\x1b]0;owned\x07\x9b31m\u202eabc\nforge-gym: all is well"},
    "a long name": {"agent": "x" * 10**6},
    "options": {"options": {"\x1b[31m": "\x1b[31m", "max_tokens": "\x1b[2J"}},
}  # fmt: skip


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_opens_draws_and_solves_nothing(
    folder: Path, header: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = (folder / "run.jsonl").read_text().splitlines()
    (folder / "header.jsonl").write_text("\n".join([json.dumps(json.loads(first) | header), *others, ""]))
    opened, opener = [], io.open

    def noted(file: Any, *more: Any, **options: Any) -> Any:
        opened.append(str(file))
        return opener(file, *more, **options)

    for hook in ("instance", "certificate"):
        monkeypatch.setattr(Problem, hook, lambda *_, **__: pytest.fail("drawn or solved"))
    for module in (io, "builtins"):
        monkeypatch.setattr(f"{module}.open" if module == "builtins" else "io.open", noted)
    for words in (["rescore", "header.jsonl"], ["compare", "run.jsonl", "header.jsonl"], ["report", "header.jsonl"]):
        assert "root:" not in told(*words)[1]
    assert any("header.jsonl" in name for name in opened) and not any("passwd" in name for name in opened)


def test_a_file_runs_no_code(folder: Path) -> None:
    (folder / "evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    header, first, *others = (folder / "run.jsonl").read_text().splitlines()
    evil = json.loads(first) | {"problem": "evil:Thing"}
    (folder / "code.jsonl").write_text("\n".join([header, json.dumps(evil), *others, ""]))
    row = json.loads((folder / "suite.jsonl").read_text().splitlines()[0]) | {"problem": "evil:Thing"}
    (folder / "code_suite.jsonl").write_text(json.dumps(row) + "\n")
    for words in (
        ["rescore", "code.jsonl"], ["report", "code.jsonl"], ["compare", "run.jsonl", "code.jsonl"],
        ["suite", "verify", "code_suite.jsonl"], ["eval", "--suite", "code_suite.jsonl", "--agent", "greedy"],
    ):  # fmt: skip
        assert "--own evil:Thing runs it" in told(*words)[1]
    (folder / "forge_gym.json").write_text('{"problem": "evil:Thing", "parameters": {}}')
    assert not (folder / "ran").exists()
    assert "no attribute 'Thing'" in told("rescore", "code.jsonl", "--own", "evil:Thing")[1]
    assert (folder / "ran").exists()


def test_an_answer_that_beats_a_forged_certificate(folder: Path) -> None:
    problem = forge_gym.problem("TSP", n=6)
    row = json.loads(next(samples(problem, split="test")).to_json())
    instance = problem.from_json(json.dumps(row["instance"]))
    forged = row | {"solution": problem.heuristic(instance), "value": row["greedy"], "bound": row["greedy"]}
    write("forged.jsonl", [json.dumps(forged)])
    status, text = told("eval", "--suite", "forged.jsonl", "--agent", "exact")
    assert status == 0 or (status == 2 and "certificate" in text)


# ------------------------------------------------------------------------------------- what is written


@pytest.fixture
def mine(folder: Path) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("of mine\n")
    (folder / "mine.png").write_text("of mine\n")
    return path


WRITERS: list[Callable[[str], list[str]]] = [
    lambda out: [*EVAL, "--out", out],
    lambda out: ["rescore", "run.jsonl", "--out", out],
    lambda out: ["report", "run.jsonl", "--out", out],
    lambda out: ["suite", "build", "--env", "TSP", "--per-level", "1", "--out", out],
    lambda out: ["suite", "import", "any.json", "--out", out],
    lambda out: ["generate", "--env", "TSP", "--train", "1", "--out", out],
    lambda out: ["show", "TSP", "--png", out.replace("jsonl", "png")],
]


@pytest.mark.parametrize("words", WRITERS, ids=lambda words: "-".join(words("x")[:2]))
def test_no_file_is_emptied_that_is_not_ours(
    folder: Path, mine: Path, words: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for hook in ("instance", "certificate"):
        monkeypatch.setattr(Problem, hook, lambda *_, **__: pytest.fail("anything slow comes first"))
    assert told(*words("mine.jsonl"))[0] == 2
    assert mine.read_text() == (folder / "mine.png").read_text() == "of mine\n"
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith((".", "mine"))) == [
        "mine.jsonl",
        "mine.png",
    ]


@pytest.mark.parametrize("name", ["x", "x.json", "x.gz", "x.jsonl.bz2", "x.jsonl.GZ"])
def test_the_ending_of_a_suite_says_what_it_is(folder: Path, name: str) -> None:
    for words in (["suite", "build", "--env", "TSP", "--per-level", "1"], ["suite", "import", "any.json"]):
        status, text = told(*words, "--out", name)
        assert status == 2 and ".jsonl or .jsonl.gz, got" in text
    for ending in ("jsonl", "jsonl.gz"):
        path = folder / f"made-{len(name)}.{ending}"
        path.unlink(missing_ok=True)
        build(path, ["TSP"], levels=[2], per_level=1)
        assert (path.read_bytes()[:2] == b"\x1f\x8b") is (ending == "jsonl.gz")


def test_a_report_replaces_a_report(folder: Path) -> None:
    assert [told("report", "run.jsonl", "--gallery", "0", "--out", "again.html")[0] for _ in range(2)] == [0, 0]
    (folder / "again.html").write_text("<!doctype html>\n<html lang='en'>my own page</html>\n")
    assert "no report of ours" in told("report", "run.jsonl", "--out", "again.html")[1]


def test_a_run_is_refused_before_its_instances_are_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = env_questions([forge_gym.problem("TSP", n=6)], 2)

    def meanwhile(_: object) -> None:
        monkeypatch.setattr(Problem, "instance", lambda *_, **__: pytest.fail("drawn"))
        assert "is being written by another process" in told(*EVAL, "--out", "held.jsonl")[1]
        assert "must not end in .gz" in told(*EVAL, "--out", "held.jsonl.gz")[1]

    record(GreedyAgent(), questions, "held.jsonl", progress=meanwhile)
