"""Suites: building and resuming, every kind of damage, import of the published format, both scores."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import forge_gym
from forge_gym.agents import ExactAgent, GreedyAgent, LocalSearchAgent, RandomAgent, TrivialAgent
from forge_gym.cli import main
from forge_gym.core.foreign import read_lines
from forge_gym.core.parameters import choices
from forge_gym.core.registry import problem_class
from forge_gym.core.verdict import Verdict
from forge_gym.data import suite
from forge_gym.data.published import TASKS, convert, import_rows, published_ratio, published_scores
from forge_gym.data.rows import Row, write
from forge_gym.data.suite import SuiteError, build, content_hash, read, verify
from forge_gym.evaluation.evaluate import evaluate_rows
from forge_gym.evaluation.statistics import GROUPINGS, best_of, groups

CONTROLS_UNDER_TEST = (TrivialAgent(), RandomAgent(), GreedyAgent(), LocalSearchAgent(), ExactAgent())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small suite: one instance per problem and level."""
    path = tmp_path_factory.mktemp("suite") / "small.jsonl.gz"
    build(path, per_level=1)
    return path


def lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def test_a_built_suite_is_sound_and_reproducible(built: Path, tmp_path: Path) -> None:
    name, rows = read(built)
    assert name == "small" and len(rows) == 10 * len(suite.PROBLEMS)
    assert verify(built, sample=len(rows)) == []
    assert [row.to_json() for row in rows] == lines(built)
    again = tmp_path / "again.jsonl"
    assert build(again, per_level=1) == content_hash(rows)
    assert again.read_text().splitlines() == lines(built)
    assert not list(tmp_path.glob("*.partial"))


def test_a_killed_build_ends_with_the_same_bytes(built: Path, tmp_path: Path) -> None:
    path = tmp_path / "killed.jsonl.gz"
    partial = tmp_path / "killed.jsonl.gz.partial"
    program = f"import forge_gym.data.suite as s; s.build({str(path)!r}, per_level=1)"
    for parts in (1, 8, 20):
        process = subprocess.Popen([sys.executable, "-c", program])
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if partial.exists() and partial.read_bytes().count(b"\n") > parts:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
        process.wait()
        with partial.open("ab") as file:  # a line that was being written
            file.write(b'{"id": "TSP')
    done: list[int] = []
    build(path, per_level=1, progress=done.append)
    assert path.read_bytes() == built.read_bytes() and done[0] >= 20 and sum(done) == 100


def test_a_suite_of_your_own(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    given = [forge_gym.problem("TSP", n=6, style="json"), "Forge/Knapsack-v0"]
    build(path, given, levels=None, per_level=3, seed=5)
    _, rows = read(path)
    assert verify(path) == []
    assert [row.id for row in rows] == [f"{name}-{i}" for name in ("TSP", "Knapsack") for i in range(3)]
    assert {row.source["seed"] for row in rows} == {5} and {row.level for row in rows} == {-1}
    assert [row.problem for row in rows[:3]] == [given[0]] * 3
    assert [row.distribution for row in rows[3:]] == list(choices(problem_class("Knapsack"), "distribution"))[:3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"problems": ["TPS"]}, "did you mean 'TSP'"),
        ({"problems": []}, "at least one"),
        ({"problems": ["TSP", "Forge/TSP-v0"]}, "must be distinct"),
        ({"problems": [forge_gym.problem("TSP", n=6)], "levels": [3]}, "level sets n"),
        ({"levels": []}, "levels must hold at least one"),
        ({"per_level": 0}, "per_level must be"),
        ({"seed": -1}, "seed must be"),
        (
            {"problems": [forge_gym.problem("GraphColoring", n=5)], "levels": None, "per_level": 999},
            "fewer than 999",
        ),
        ({"out": "forge-bench-v1.jsonl.gz", "per_level": 1}, "out must have another name"),
    ],
)
def test_what_cannot_be_built(
    arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(suite, "MAX_UNGRADED", 30)
    with pytest.raises(ValueError, match=message):
        build(**({"out": "x.jsonl", "problems": ["TSP"], "levels": [0], "per_level": 1} | arguments))
    assert not (tmp_path / "x.jsonl").exists()


def test_the_rest_of_another_build_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.with_name(path.name + ".partial").write_text('{"problems": [], "per_level": 7, "seed": 0}\n')
    with pytest.raises(SuiteError, match="is of a build with other settings"):
        build(path, per_level=1)


def changed(built: Path, tmp_path: Path, at: int, **fields: Any) -> Path:
    """Return a copy with fields of row ``at`` changed."""
    rows = lines(built)
    rows[at] = json.dumps(json.loads(rows[at]) | fields)
    return write(tmp_path / "changed.jsonl.gz", rows)


@pytest.mark.parametrize(
    "kind", ["witness", "value", "bound", "trivial", "greedy", "instance", "hash", "source", "version"]
)
def test_every_kind_of_damage_is_found(built: Path, tmp_path: Path, kind: str) -> None:
    """Without solving: the row's own facts speak."""
    rows = lines(built)
    for at in range(0, len(rows), 7):
        row = json.loads(rows[at])
        field: dict[str, Any] = {
            "witness": {"solution": row["solution"][:-1]},
            "value": {"value": row["value"] + 1},
            "bound": {"bound": row["bound"] - 1},
            "trivial": {"trivial": row["trivial"] + 1},
            "greedy": {"greedy": row["greedy"] + 1},
            "instance": {"instance": json.loads(rows[at - 1])["instance"]},
            "hash": {"hash": row["hash"][::-1]},
            "source": {"source": row["source"] | {"index": row["source"]["index"] + 1}},
            "version": {"version": row["version"] + 1},
        }[kind]
        assert verify(write(tmp_path / "x.jsonl", [json.dumps(row | field)]), sample=0), (kind, at)


def test_another_witness_of_the_same_value_is_as_good(built: Path, tmp_path: Path) -> None:
    rows = lines(built)
    at = next(i for i, line in enumerate(rows) if json.loads(line)["problem"] == "TSP")
    tour = json.loads(rows[at])["solution"]
    other = changed(built, tmp_path, at, solution=tour[::-1], solver="by hand", work=0)
    assert verify(other) == [] and content_hash(read(other)[1]) == content_hash(read(built)[1])
    worse = changed(built, tmp_path, at, solution=sorted(tour))
    assert any("the witness is worth" in fault for fault in verify(worse, sample=0))


def test_a_file_that_calls_itself_the_benchmark_is_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = [line for _, line in read_lines(suite.locate(suite.BENCHMARK))]
    row = json.loads(shipped[-1])
    tour = json.dumps(row | {"solution": row["solution"][::-1], "solver": "another"})
    path = write(tmp_path / "forge-bench-v1.jsonl.gz", [*shipped[:-1], tour])
    assert read(path)[0] == suite.BENCHMARK
    write(path, shipped[1:])
    with pytest.raises(SuiteError, match="is not forge-bench-v1: its content differs"):
        read(path)
    assert main(["eval", "--suite", str(path), "--agent", "greedy"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_false_but_consistent_proof_is_found_by_solving_again(built: Path, tmp_path: Path) -> None:
    for line in lines(built)[::5]:
        row = Row.from_json(line)
        greedy, value = row.problem.heuristic(row.instance), int(row.reference.greedy)
        forged = json.loads(line) | {"solution": greedy, "value": value, "bound": value}
        faults = verify(write(tmp_path / "forged.jsonl", [json.dumps(forged)]))
        assert any("leaves no room" in fault or "solving again" in fault for fault in faults)


def test_a_row_that_comes_again_is_found(built: Path, tmp_path: Path) -> None:
    rows = lines(built)
    path = write(tmp_path / "twice.jsonl.gz", [*rows, rows[3]])
    (fault,) = verify(path, sample=0)
    id = json.loads(rows[3])["id"]
    assert fault.endswith(f"line {len(rows) + 1}: its id, {id!r}, is that of line 4")
    path = write(tmp_path / "twice.jsonl.gz", [*rows, json.dumps(json.loads(rows[3]) | {"id": "another"})])
    assert verify(path, sample=0) == [f"another: the instance is the same as that of {id}"]


def half_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, bytes]:
    """Return where a build was interrupted, with 2 of 3 groups of 2 rows, and what it makes in the end."""
    given: dict[str, Any] = {"problems": ["TSP"], "levels": [2, 3, 4], "per_level": 2, "seed": 7}
    whole = tmp_path / "whole.jsonl"
    build(whole, **given)

    def stop(done: int) -> None:
        if (tmp_path / "cut.jsonl.partial").read_bytes().count(b"\n") == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "cut.jsonl", **given, progress=stop)
    return tmp_path / "cut.jsonl.partial", whole.read_bytes()


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda lines: lines, 0),
        (lambda lines: [*lines, b'{"id": "TS'], 0),
        (lambda lines: [*lines[:4], lines[4][:99] + b"\n"], 5),
        (lambda lines: [*lines[:2], b"\0" * 9 + b"\n", *lines[3:]], 3),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
        (lambda lines: [*lines[:3], lines[2], *lines[4:]], 4),
        (lambda lines: [lines[0][:20]], 0),
        (lambda lines: [], 0),
    ],
)
def test_a_build_that_was_cut_short_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Any, line: int, recwarn: pytest.WarningsRecorder
) -> None:
    partial, whole = half_built(tmp_path, monkeypatch)
    partial.write_bytes(b"".join(damage(partial.read_bytes().splitlines(keepends=True))))
    out = tmp_path / "cut.jsonl"
    build(out, ["TSP"], levels=[2, 3, 4], per_level=2, seed=7)
    assert out.read_bytes() == whole and not partial.exists()
    named = [str(warning.message) for warning in recwarn if "made again" in str(warning.message)]
    assert [text.partition(" is damaged")[0] for text in named] == ([f"{partial}, line {line},"] if line else [])


def test_two_builds_of_one_file_are_refused(tmp_path: Path) -> None:
    refused = []

    def meanwhile(done: int) -> None:
        with pytest.raises(ValueError, match="is being written by another process") as error:
            build(tmp_path / "a.jsonl", ["TSP"], levels=[2], per_level=2)
        refused.append(error)

    build(tmp_path / "a.jsonl", ["TSP"], levels=[2], per_level=2, progress=meanwhile)
    assert refused and read(tmp_path / "a.jsonl")[1]
    with pytest.raises(ValueError, match="exists and is left as it is"):
        build(tmp_path / "a.jsonl", ["TSP"], levels=[2], per_level=2)
    other = tmp_path / "b.jsonl.partial"
    other.write_text("notes of mine")
    with pytest.raises(SuiteError, match="is of a build with other settings"):
        build(tmp_path / "b.jsonl", ["TSP"], levels=[2], per_level=2)
    assert other.read_text() == "notes of mine"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", b""),
        ("x.jsonl", b"text"),
        ("x.jsonl", b"\xff"),
        ("x.jsonl", b"{}\n"),
        ("x.jsonl", b'{"certified": 7}\n'),
        ("x.jsonl.gz", b"text"),
        ("x.jsonl.gz", gzip.compress(b"", mtime=0)),
        ("x.jsonl.gz", gzip.compress(b"[1]\n" * 99, mtime=0)[:-12]),
        ("x.jsonl.gz", gzip.compress(bytes(range(200)) * 9, mtime=0)[:20] + b"x" * 99),
    ],
)
def test_what_is_no_suite(tmp_path: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SuiteError, match="is not a suite"):
        read(path)
    assert main(["suite", "verify", str(path)]) == 1
    assert main(["suite", "verify", str(tmp_path / "missing")]) == 2
    assert main(["eval", "--agent", "greedy", "--suite", str(path)]) == 2
    assert "is not a suite" in capsys.readouterr().err


def test_scores_of_the_controls(built: Path) -> None:
    _, rows = read(built)
    scores = {agent.name: evaluate_rows(agent, rows) for agent in (TrivialAgent(), GreedyAgent(), ExactAgent())}
    everywhere = {label: group for by in GROUPINGS for label, group in groups(rows, by).items()}
    for label, group in everywhere.items():
        assert scores["exact"].estimate("quality", group).mean == scores["exact"].estimate("optimal", group).mean == 1
        assert scores["greedy"].estimate("skill", group).mean == 0, label
        assert 0 < scores["greedy"].estimate("quality", group).mean < 1
        assert scores["trivial"].estimate("quality", group).mean == 0
    assert len(everywhere["overall"]) == len(rows) and all(len(everywhere[name]) == 10 for name in suite.PROBLEMS)
    assert len(everywhere["level 3"]) == len(suite.PROBLEMS)
    assert scores["exact"].to_dict()["published"]["overall"] == {"SR": 1, "QR": 1}


def test_samples(built: Path) -> None:
    _, rows = read(built)
    result = evaluate_rows(RandomAgent(), rows, samples=4)
    assert result.samples == 4 and any(len(set(samples)) > 1 for samples in result.verdicts)
    means = [result.estimate("quality", k=k).mean for k in (1, 2, 3, 4)]
    assert means == sorted(means) and means[0] < means[-1]
    report = result.to_dict()["groups"]["overall"]
    assert report["quality best@4"]["mean"] == means[-1]


def test_best_of_is_the_mean_over_all_subsets() -> None:
    values = [0.3, 0.9, 0.1, 0.9, 0.0, 0.5]
    for k in range(1, 7):
        assert best_of(values, k) == pytest.approx(fmean(max(chosen) for chosen in combinations(values, k)))
    with pytest.raises(ValueError, match="at least k=7"):
        best_of(values, 7)


def test_the_command_line(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cli.jsonl.gz"
    own = ["--env", "TSP", "SetCover", "--levels", "0", "2", "--per-level", "2", "--seed", "7"]
    assert main(["suite", "build", *own, "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"wrote {out}: 8 instances, content {content_hash(read(out)[1])}"
    assert main(said[1].removeprefix("next: forge-gym ").split()) == 0
    assert main(["suite", "build", "--env", "TSP", "--set", "n=6", "--out", str(tmp_path / "n.jsonl")]) == 0
    assert {row.problem for row in read(tmp_path / "n.jsonl")[1]} == {forge_gym.problem("TSP", n=6)}
    capsys.readouterr()
    assert main(["suite", "build", *own]) == 2
    assert "out must have another name" in capsys.readouterr().err
    assert main(["suite", "verify", str(out), "--sample", "5"]) == 0
    assert "every hash, solution, reference objective and sampled proof holds" in capsys.readouterr().out
    assert main(["suite", "verify", str(changed(built, tmp_path, 0, value=0))]) == 1


# ---------------------------------------------------------------------------------- published format

SQUARE = {"0": [1, 3], "1": [0, 2], "2": [1, 3], "3": [0, 2]}
WEIGHTED = {u: {v: 1 + int(v in "01") * int(u in "01") for v in "0123" if v != u} for u in "0123"}
MATRIX = {str(i): {str(j): abs(i - j) for j in range(4)} for i in range(4)}
EXAMPLES: dict[str, tuple[dict[str, Any], int]] = {
    "graph_coloring": (SQUARE, 2),
    "maximum_clique": (SQUARE, 2),
    "maximum_independent_set": ({u: {str(v): 1 for v in vs} for u, vs in SQUARE.items()}, 2),
    "minimum_bisection": (MATRIX, 6),
    "tsp": (WEIGHTED, 4),
    "hamiltonian_cycle": (SQUARE, 4),
    "knapsack": (
        {"capacity": 5, "items": {"0": {"weight": 5, "value": 6}, "1": {"weight": 9, "value": 9}}},
        6,
    ),
    "set_cover": ({"U": [1, 2, 5], "S": {"0": [1, 2], "1": [5], "2": [2, 5]}}, 2),
    "subset_sum": ({"target": 6, "numbers": {"0": 6, "1": 1, "2": 2, "3": 3}}, 3),
    "meeting_schedule": (
        {
            "meetings": {"0": {"attendees": [0, 1], "duration": 30}, "1": {"attendees": [1], "duration": 60}},
            "attendee_availability": {"0": [[540, 600]], "1": [[540, 630]]},
            "rooms": {"0": 2},
        },
        3,
    ),
}


@pytest.mark.parametrize("task", TASKS)
def test_published_instances_are_read(task: str, tmp_path: Path) -> None:
    data, optimum = EXAMPLES[task]
    found, instance = convert(task, data)
    assert found.reference(instance).value == optimum
    path = tmp_path / f"{task}.json"
    path.write_text(json.dumps({"task": task, "instances": [{"id": "a", "instance": data, "reference_value": 1}]}))
    out = tmp_path / "imported.jsonl.gz"
    assert main(["suite", "import", str(path), "--out", str(out)]) == 0
    assert verify(out) == []
    _, (row,) = read(out)
    assert row.reference.value == optimum and row.source["baseline"] == 1 and row.distribution == "imported"
    exact = evaluate_rows(ExactAgent(), [row])
    ratio = optimum if found.sense == "max" else 1 / optimum  # not clipped, as published
    assert exact.to_dict()["published"]["overall"]["QR"] == pytest.approx(ratio)
    for broken in ({}, [], {"0": [7]}, {"0": {"1": "x"}}, None):
        with pytest.raises(SuiteError, match=f"an instance of {task} cannot be read"):
            convert(task, broken)  # type: ignore[arg-type]


def test_files_that_are_not_in_the_published_format(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in ("", "[]", '{"task": "tsp"}', '{"task": "tsp", "instances": [{}]}'):
        path.write_text(text)
        with pytest.raises(SuiteError, match="is not in the published format"):
            import_rows(path)
    with pytest.raises(SuiteError, match="did you mean 'tsp'"):
        convert("tps", {})


def test_the_published_metric(built: Path) -> None:
    _, rows = read(built)
    row = next(row for row in rows if row.problem.name == "TSP")
    best = int(row.reference.value)
    half, none = Verdict("feasible", objective=2 * best), Verdict("infeasible")
    assert published_ratio(half, row) == 0.5 and published_ratio(none, row) == 0
    scores = published_scores([row, row], [[none, half, none], [none, none, none]])
    assert scores["TSP"] == scores["domain planning"] == scores["overall"] == {"SR": 0.5, "QR": 0.25}


@pytest.mark.parametrize("task", TASKS)
def test_published_instances_have_the_published_optima(
    task: str, np_bench: Callable[[str], list[dict[str, Any]]]
) -> None:
    entries = np_bench(task)
    for entry in entries[:: max(1, len(entries) // 6)]:
        found, instance = convert(task, entry["instance"])
        reference = found.reference(instance)
        assert reference.proven and reference.value == entry["proven_optimum"], entry["id"]


def test_the_shipped_benchmark_is_sound() -> None:
    name, rows = read(suite.locate(suite.BENCHMARK))
    assert name == suite.BENCHMARK and len(rows) == 1000
    assert verify(suite.locate(suite.BENCHMARK), sample=100) == []
    for problem in suite.PROBLEMS:
        mine = [row for row in rows if row.problem.name == problem]
        assert len(mine) == 100 and {row.level for row in mine} == set(suite.LEVELS)
        assert {row.distribution for row in mine} == set(choices(problem_class(problem), "distribution"))
    keys = {(row.problem.name, json.dumps(row.instance.isomorphism_key())) for row in rows}
    assert len(keys) == 1000, "an instance comes again under other numbers"


def test_the_shipped_benchmark_is_what_a_build_draws() -> None:
    """Fails when an instance changes for the same seed: then its problem needs a new version."""
    _, rows = read(suite.locate(suite.BENCHMARK))
    for problem in suite.PROBLEMS:
        for level in (0, 5):
            shipped = [row for row in rows if (row.problem.name, row.level) == (problem, level)]
            drawn = list(suite._draw(f"{problem}-{level}", level, families(problem, level), 10, suite.SEED))
            assert content_hash(shipped) == content_hash(drawn), (problem, level)


def families(name: str, level: int) -> Any:
    ((_, _, found),) = suite._groups(name, [level])
    return found


@pytest.mark.parametrize("problem", suite.PROBLEMS)
def test_answers_that_never_read_the_instance_are_worth_nothing(problem: str) -> None:
    _, rows = read(suite.locate(suite.BENCHMARK))
    mine = [row for row in rows if row.problem.name == problem]
    for constant in (
        lambda n: [],
        lambda n: [0],
        lambda n: [0] * n,
        lambda n: list(range(n)),
        lambda n: list(range(n))[::-1],
        lambda n: list(range(n // 4)),
    ):
        texts = [f"<answer>{constant(row.instance.size)}</answer>" for row in mine]
        verdicts = [row.problem.verify(row.use(), text) for row, text in zip(mine, texts, strict=True)]
        assert fmean(verdict.quality for verdict in verdicts) <= 0.05


def test_the_controls_on_the_shipped_benchmark() -> None:
    _, rows = read(suite.locate(suite.BENCHMARK))
    scores = {agent.name: evaluate_rows(agent, rows) for agent in CONTROLS_UNDER_TEST}
    between = 0
    for problem in suite.PROBLEMS:
        group = groups(rows, "problem")[problem]
        quality = {name: score.estimate("quality", group).mean for name, score in scores.items()}
        skill = {name: score.estimate("skill", group).mean for name, score in scores.items()}
        assert quality["trivial"] == 0 and quality["exact"] == 1 and skill["greedy"] == 0
        assert 0 < quality["random"] < quality["greedy"] < quality["local-search"] < 1
        assert skill["random"] < 0 < skill["local-search"] < 1
        between += sum(0 < scores["local-search"].verdicts[i][0].skill < 1 for i in group)
    assert scores["exact"].estimate("optimal").mean == 1
    assert between > 250
