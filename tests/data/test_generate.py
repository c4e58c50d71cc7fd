"""Data sets on disk: the same bytes however they are made, resumed after a kill, and read by those who need them."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import forge_gym
from forge_gym.cli import main
from forge_gym.core.problem import Problem
from forge_gym.data import generate as module
from forge_gym.data.generate import LAYOUTS, Chunk, generate
from forge_gym.data.rows import samples
from forge_gym.data.suite import read, verify

ROWS = {"train": 40, "validation": 7, "test": 7}


def problems() -> list[Problem[Any, Any]]:
    return [forge_gym.problem("Knapsack"), forge_gym.problem("TSP", style="compact")]


def content(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(found.items())}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Here:
    """An engine that draws in this process, the last chunk first; for tests of everything but the engines."""

    workers = 3
    lost = (OSError,)

    def submit(self, chunk: Chunk) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(chunk.draw())
        except OSError as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    engine = Here()
    monkeypatch.setitem(module.ENGINES, "local", lambda workers: engine)
    return engine


# ---------------------------------------------------------------------- rows


def test_rows_are_those_of_the_stream_and_certified(here: Here, tmp_path: Path) -> None:
    folder = generate(problems(), tmp_path / "set", ROWS, levels=[1, 3], seed=4)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [".forge", "test.jsonl", "train.jsonl", "validation.jsonl"]
    for split, size in ROWS.items():
        rows = lines(folder / f"{split}.jsonl")
        expected = list(islice(samples(problems(), levels=[1, 3], seed=4, split=split), size))
        assert [row["id"] for row in rows] == [row.id for row in expected]
        assert len({row["id"] for row in rows}) == size
        for row in rows:
            problem, instance = forge_gym.from_spec(row["spec"])
            assert problem.verify(instance, row["answer"]).optimal and row["prompt"] == problem.prompt(instance)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_a_suite_and_read_by_datasets(here: Here, tmp_path: Path, layout: str) -> None:
    folder = generate(problems(), tmp_path / "set", ROWS, levels=[0, 2], layout=layout)
    for split, size in ROWS.items():
        path = folder / f"{split}.jsonl"
        name, rows = read(path)
        assert name == split and verify(path, sample=3) == []
        assert rows == list(islice(samples(problems(), levels=[0, 2], split=split), size))
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert sorted(found) == sorted(ROWS) and len({str(split.features) for split in found.values()}) == 1
    assert all(found[split].to_list() == lines(folder / f"{split}.jsonl") for split in ROWS)
    packed = tmp_path / "train.parquet"
    found["train"].to_parquet(packed)
    again = datasets.load_dataset("parquet", data_files=str(packed), cache_dir=str(tmp_path / "cache"))
    assert again["train"].to_list() == lines(folder / "train.jsonl")


def test_fewer_rows_than_problems(here: Here, tmp_path: Path) -> None:
    (row,) = lines(generate(problems(), tmp_path, {"test": 1}) / "test.jsonl")
    assert row["problem"] == "Knapsack"


def test_all_problems_at_once(here: Here, tmp_path: Path) -> None:
    every = [forge_gym.problem(name) for name in forge_gym.problems()]
    path = generate(every, tmp_path, {"test": 2 * len(every)}, levels=[0]) / "test.jsonl"
    assert Counter(row["problem"] for row in lines(path)) == dict.fromkeys(forge_gym.problems(), 2)
    assert verify(path, sample=0) == []


def test_held_out_rows_are_others_whatever_their_numbers(here: Here, tmp_path: Path) -> None:
    """Training may show one graph under several numbers; what is measured is no such graph, and counts once."""
    few = [forge_gym.problem("GraphColoring", n=7), forge_gym.problem("TSP", n=6, grid=6)]
    out = generate(few, tmp_path / "few", {"train": 400, "validation": 40, "test": 40})
    shapes = {}
    for split, count in (("train", 400), ("validation", 40), ("test", 40)):
        rows = read(out / f"{split}.jsonl")[1]
        keys = [(row.problem.name, json.dumps(row.instance.isomorphism_key())) for row in rows]
        shapes[split] = set(keys)
        assert len({row.hash for row in rows}) == count
        assert (len(shapes[split]) < count) if split == "train" else (len(shapes[split]) == count)
    assert len(set().union(*shapes.values())) == sum(map(len, shapes.values()))


def test_parameters_without_enough_instances_are_refused(here: Here, tmp_path: Path) -> None:
    tiny = forge_gym.problem("GraphColoring", n=5)
    with pytest.raises(ValueError, match=r"for 300 different instances, got \d+, and no new one in \d{4,5} further"):
        generate(tiny, tmp_path, {"train": 300})


def test_layouts_are_the_trainers_own_rows(here: Here, tmp_path: Path) -> None:
    for layout, place in LAYOUTS.items():
        if layout == "plain":
            continue
        row = import_module(place).row
        expected = [row(drawn) for drawn in islice(samples(problems(), levels=[0, 2], seed=1), 8)]
        folder = generate(problems(), tmp_path / layout, {"train": 8}, levels=[0, 2], seed=1, layout=layout)
        found = lines(folder / "train.jsonl")
        assert all(json.loads(columns.pop("certified"))["version"] == 0 for columns in found)
        assert found == expected


# ---------------------------------------------------------------------- the same bytes, whatever happens


def test_workers_change_nothing(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = content(generate(problems(), tmp_path / "here", ROWS, levels=[0, 2]))
    monkeypatch.undo()
    for workers in (1, 3):
        found = generate(problems(), tmp_path / str(workers), ROWS, levels=[0, 2], workers=workers)
        assert content(found) == expected


def test_chunks_of_any_size_change_nothing(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = content(generate(problems(), tmp_path / "seconds", ROWS))
    monkeypatch.setattr(module, "CHUNK_S", 1e-3)
    assert content(generate(problems(), tmp_path / "thousandths", ROWS)) == expected


def test_a_killed_worker_costs_its_chunk(tmp_path: Path) -> None:
    expected = content(generate(problems(), tmp_path / "whole", ROWS, levels=[6], workers=1))
    killed: list[int] = []

    def kill(done: int) -> None:
        children = multiprocessing.active_children()
        if done and len(killed) < 2 and children:  # a chunk that is lost three times ends the run
            victim = children[0].pid
            assert victim is not None
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)

    found = generate(problems(), tmp_path / "killed", ROWS, levels=[6], workers=2, progress=kill)
    assert killed  # up to two: they may be done before
    assert content(found) == expected


def test_a_chunk_that_kills_every_worker_is_named(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(self: Chunk) -> Any:
        raise OSError("gone")

    monkeypatch.setattr(Chunk, "draw", die)
    with pytest.raises(ChildProcessError, match=r"died 3 times while they drew the instances 0 to 3 of train of TSP\("):
        generate(forge_gym.problem("TSP"), tmp_path, {"train": 5})


def test_a_fault_of_a_problem_comes_through(here: Here, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must leave room between trivial, greedy and proven optimum"):
        generate(forge_gym.problem("TSP", n=3), tmp_path, {"train": 5})


def _command(folder: Path) -> list[str]:
    rows = ["--train", "60", "--test", "10"]
    return [
        *(sys.executable, "-m", "forge_gym", "generate", "--env", "TSP", "MaxClique", "--levels", "2", "6"),
        *(*rows, "--workers", "2", "--out", str(folder)),
    ]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the workers")
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, way: signal.Signals) -> None:
    environment = os.environ | {"FORGE_GYM_STORE": "off"}
    subprocess.run(_command(tmp_path / "whole"), check=True, env=environment, stdout=subprocess.DEVNULL)
    run = subprocess.Popen(
        _command(tmp_path / "cut"), env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    parts = tmp_path / "cut" / ".forge" / "parts"
    deadline = time.monotonic() + 120
    while len(content(parts)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert run.poll() is None, "it was over before it could be killed"
    tasks = Path(f"/proc/{run.pid}/task")
    children = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    os.kill(run.pid, way)
    _, said = run.communicate(timeout=60)
    if way == signal.SIGINT:
        assert run.returncode == 130 and "interrupted; the same command continues the run" in said
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, children)), "a worker outlived its parent"
    before = content(parts)
    assert any(before.values()) and not (tmp_path / "cut" / "train.jsonl").exists()
    seen: dict[str, bytes] = {}
    again = subprocess.Popen(_command(tmp_path / "cut"), env=environment, stdout=subprocess.DEVNULL)
    while again.poll() is None:
        with suppress(FileNotFoundError):
            seen |= content(parts)
        time.sleep(0.01)
    assert again.returncode == 0
    assert all(seen[name].startswith(begun.rpartition(b"\n")[0]) for name, begun in before.items())
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def whole_and_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Generate ``whole``, and ``cut`` up to its parts; return the content of the first."""
    expected = content(generate(problems(), folder / "whole", {"train": 60}))

    def stop(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_join", stop)
        with pytest.raises(KeyboardInterrupt):
            generate(problems(), folder / "cut", {"train": 60})
    return expected


def test_half_a_line_and_a_lost_file_are_made_good(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = whole_and_cut(tmp_path, monkeypatch)
    half, lost = sorted((tmp_path / "cut" / ".forge" / "parts").glob("*.jsonl"))
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    lost.unlink()
    told: list[int] = []
    assert content(generate(problems(), tmp_path / "cut", {"train": 60}, progress=told.append)) == expected
    assert 10 <= told[0] < 30 and sum(told) == 60


def test_what_is_done_is_not_done_again(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    generate(problems(), tmp_path, ROWS, progress=told.append)
    assert sum(told) == sum(ROWS.values())
    before = content(tmp_path)
    monkeypatch.setattr(Chunk, "draw", lambda self: pytest.fail("drawn again"))
    told.clear()
    generate(problems(), tmp_path, ROWS, progress=told.append)
    assert content(tmp_path) == before and sum(told) == sum(ROWS.values())


def test_parameters_that_are_tuples_are_known_again(here: Here, tmp_path: Path) -> None:
    named = forge_gym.problem("TSP", n=5, names=("ant", "bee", "cat", "dog", "elk"))
    before = content(generate(named, tmp_path, {"test": 2}))
    assert content(generate(named, tmp_path, {"test": 2})) == before


def test_a_lost_file_is_made_again(here: Here, tmp_path: Path) -> None:
    before = content(generate(problems(), tmp_path, ROWS))
    (tmp_path / "test.jsonl").unlink()
    assert content(generate(problems(), tmp_path, ROWS)) == before


# ---------------------------------------------------------------------- ray


def test_ray_draws_the_same(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    expected = content(generate(problems(), tmp_path / "here", ROWS, levels=[6, 8]))
    monkeypatch.undo()
    killed: list[int] = []

    def kill(done: int) -> None:
        if done and not killed:  # a worker of the cluster, in the middle of its chunk
            for worker in _ray_workers():
                killed.append(worker)
                os.kill(worker, signal.SIGKILL)

    for name, progress in ("ray", lambda done: None), ("killed", kill):
        options: dict[str, Any] = {"workers": 2, "engine": "ray", "progress": progress}
        found = generate(problems(), tmp_path / name, ROWS, levels=[6, 8], **options)
        assert content(found) == expected
        assert not ray.is_initialized()
    assert killed


def _ray_workers() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::draw"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


# ---------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": {"tset": 1}}, "did you mean 'test'"),
        ({"rows": {"test": -1}}, "rows of test must be"),
        ({"rows": {"test": 0}}, "rows must hold a positive number"),
        ({"seed": -1}, "seed must be"),
        ({"layout": "trll"}, "did you mean 'trl'"),
        ({"engine": "rey"}, "did you mean 'ray'"),
        ({"workers": 0}, "workers must be"),
        ({"levels": []}, "levels must hold at least one level"),
        ({"levels": [1, 1]}, "problems and levels must be distinct"),
        ({"problems": forge_gym.problem("TSP", n=8), "levels": [2]}, "level sets n, so give one of them"),
        ({"problems": []}, "problems must hold at least one problem"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    given = {"problems": forge_gym.problem("TSP"), "out": tmp_path / "set", "rows": {"test": 1}}
    with pytest.raises(ValueError, match=message):
        generate(**(given | arguments))
    assert not (tmp_path / "set").exists()


def test_ray_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r'needs Ray: pip install "forge-gym\[scale\]"'):
        generate(forge_gym.problem("TSP"), tmp_path, {"test": 1}, engine="ray")


def test_a_cluster_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def init(**given: Any) -> None:
        assert "num_cpus" not in given
        raise ConnectionError("Could not find any running Ray instance.\nPlease specify one.")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    given = ["generate", "--env", "TSP", "--test", "1", "--out", str(tmp_path / "set"), "--engine", "ray"]
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert main(given) == 2
    told = "forge-gym: Could not find any running Ray instance. Please specify one.\n"
    assert capsys.readouterr().err == told


def test_another_folder_is_left_alone(here: Here, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="which holds other files"):
        generate(problems(), tmp_path, ROWS)
    generate(problems(), tmp_path / "set", ROWS)
    before = content(tmp_path)
    with pytest.raises(ValueError, match=r"settings differ in rows, seed: \{'rows': \{'train': 40"):
        generate(problems(), tmp_path / "set", {"train": 5}, seed=2)
    assert content(tmp_path) == before


def test_what_other_code_has_begun_is_left_alone(here: Here, tmp_path: Path) -> None:
    part = tmp_path / ".forge" / "parts" / "Knapsack--1-test.jsonl"
    generate(problems(), tmp_path, ROWS)
    (tmp_path / "test.jsonl").unlink()
    part.parent.mkdir(parents=True)
    part.write_text('{"digest": "0"}\n')
    settings = tmp_path / ".forge" / "settings.json"
    settings.write_text(settings.read_text().replace('"format": 4', '"format": 2'))
    with pytest.raises(ValueError, match=r"settings differ in format: \{'format': 2\}"):
        generate(problems(), tmp_path, ROWS)
    assert part.exists()


def test_the_command_line(here: Here, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "set"
    given = ["generate", "--env", "TSP", "--set", "n=6", "style=json", "--train", "5", "--test", "2"]
    given += ["--out", str(folder)]
    for _ in range(2):
        assert main(given) == 0
        said = capsys.readouterr().out.splitlines()
        assert said[0] == f"wrote {folder}: 5 rows of train, 2 rows of test"
    assert json.loads(lines(folder / "train.jsonl")[0]["spec"])["parameters"] == {"style": "json", "n": 6}
    assert main([*given, "--layout", "vrl"]) == 2
    assert "did you mean 'verl'" in capsys.readouterr().err
    assert main(said[1].removeprefix("next: forge-gym ").split()) == 0
    assert "exact" in capsys.readouterr().out


def test_the_page_says_what_is_so(root: Path, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (root / "docs" / "data.md").read_text()
    assert all(f"`{name}`" in page for name in LAYOUTS)
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^forge-gym (.*)$", page, re.MULTILINE)
    for command in commands:
        assert main(re.sub(r"\d+00\b", "12", command).split()) == 0, command
    described = re.search(r"\| column \|.*?\n\n", page, re.DOTALL)
    assert described is not None
    columns = re.findall(r"`(\w+)`(?=[^|]*\|[^|]*\|$)", described[0], re.MULTILINE)
    assert columns == list(lines(tmp_path / "data" / "three" / "test.jsonl")[0])
    pytest.importorskip("datasets")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    environment = os.environ | {"HF_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", "\n".join(examples)], check=True, cwd=tmp_path, env=environment)


def test_problems_of_your_own(tmp_path: Path) -> None:
    """Another process knows them by the row."""
    own = "from forge_gym.envs.tsp import TSP\n\nclass Tour(TSP):\n    '''Mine.'''\n"
    (tmp_path / "mine.py").write_text(own)
    for command in (
        "generate --env mine:Tour --set n=6 --test 5 --out set --workers 1",
        "suite verify set/test.jsonl --own mine:Tour",
        "suite build --env mine:Tour --levels 0 1 --per-level 2 --out own.jsonl",
        "suite verify own.jsonl --own mine:Tour",
        "eval --suite own.jsonl --agent greedy --own mine:Tour",
    ):
        subprocess.run([sys.executable, "-m", "forge_gym", *command.split()], check=True, cwd=tmp_path)
    for file in "set/test.jsonl", "own.jsonl":
        assert {row["problem"] for row in lines(tmp_path / file)} == {"mine:Tour"}
    command = [sys.executable, "-m", "forge_gym", "suite", "verify", "own.jsonl"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)  # a file does not run code
    assert refused.returncode == 1 and "--own mine:Tour runs it" in refused.stderr


def test_two_calls_on_one_folder_are_refused(here: Here, tmp_path: Path) -> None:
    refused: list[str] = []

    def meanwhile(done: int) -> None:
        with pytest.raises(ValueError, match="is being written by another process") as error:
            generate(problems(), tmp_path / "set", ROWS)
        refused.append(str(error.value))

    generate(problems(), tmp_path / "set", ROWS, progress=meanwhile)
    assert refused and str(tmp_path / "set") in refused[0]
    generate(problems(), tmp_path / "set", ROWS)  # nothing of a lock is left


def test_a_lock_ends_with_its_process(here: Here, tmp_path: Path) -> None:
    """However it ends: a killed one too."""
    (tmp_path / "set" / ".forge").mkdir(parents=True)
    program = (
        "import os, pathlib, signal; from forge_gym.data.rows import hold; path = pathlib.Path('set/.forge/lock'); "
        "file = path.open('ab'); hold(path, file); print('held', flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match="is being written by another process"):
            generate(problems(), tmp_path / "set", {"test": 2})
        other.kill()
    assert len(lines(generate(problems(), tmp_path / "set", {"test": 2}) / "test.jsonl")) == 2


@pytest.mark.parametrize("split", ["test", "train"])
def test_a_file_cut_short_is_made_again_and_named(here: Here, tmp_path: Path, split: str) -> None:
    before = content(generate(problems(), tmp_path, ROWS))
    file = tmp_path / f"{split}.jsonl"
    for size in (0, 1, file.stat().st_size // 2, file.stat().st_size - 1):
        os.truncate(file, size)
        with pytest.warns(UserWarning, match=f"{split}.jsonl has {size} bytes of {len(before[file.name])}, and is"):
            generate(problems(), tmp_path, ROWS)
        assert content(tmp_path) == before


def test_a_damaged_part_is_made_again_and_named(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = whole_and_cut(tmp_path, monkeypatch)
    part, other = sorted((tmp_path / "cut" / ".forge" / "parts").glob("*.jsonl"))
    whole = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join([*whole[:5], b"\0" * 400 + b"\n", *whole[7:]]))
    swapped = other.read_bytes().splitlines(keepends=True)
    other.write_bytes(b"".join([*swapped[:9], swapped[10], swapped[9], *swapped[11:]]))
    with pytest.warns(UserWarning, match="is damaged after") as told:
        assert content(generate(problems(), tmp_path / "cut", {"train": 60})) == expected
    assert {Path(str(warning.message).split()[0]) for warning in told} == {part, other}


@pytest.mark.parametrize("name", [".forge/settings.json", ".forge/sizes.json"])
@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 9999, '{"train": 1e999}'])
def test_damaged_notes_are_named(here: Here, tmp_path: Path, name: str, text: str) -> None:
    generate(problems(), tmp_path, {"test": 2})
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / name} is damaged")):
        generate(problems(), tmp_path, {"test": 2})
