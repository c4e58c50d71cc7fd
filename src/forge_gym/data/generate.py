"""Data sets on disk: rows with certified answers, drawn by worker processes or a Ray cluster, resumable.

A row is a graded instance; its place in the seed's stream decides what it is. So the files are the same bytes
whatever the engine and the number of workers, and however often the work was interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, cycle, islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from ..core.checks import check_choice, check_int, check_known
from ..core.instance import Instance
from ..core.problem import MAX_UNGRADED, Problem
from ..core.seeding import SPLITS
from .rows import Sample, ladder, replacing, write_rows

FORMATS = ("jsonl", "parquet", "hf")
"""``hf`` is Parquet in shards under ``data/``, as on the Hugging Face hub."""
ENGINES = ("local", "ray")
SHARD = 100_000
"""Rows of a shard."""
CHUNK_S = 1.0
"""Seconds that a chunk of work should take, less for the first ones of a stream: what is lost with a worker."""
_PROBE = 4
"""Instances of a stream's first chunk, which shows how long one takes."""
_ATTEMPTS = 3
"""Workers that a chunk may take with it."""
_STATE = ".forge"
"""Folder of the settings and, while the work goes on, of its parts."""
_SETTINGS = f"{_STATE}/settings.json"
_CARD = "README.md"
_ROW_FORMAT = 2
"""Raised when rows or parts on disk change; a setting, so that those of other code are not gone on with."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Chunk:
    """Instances ``start`` to ``stop`` of a stream: what a worker is given."""

    problem: Problem[Any, Any]
    level: int
    seed: int
    split: str
    start: int
    stop: int

    def draw(self) -> list[Row]:
        """Return the rows of the graded instances."""
        place = range(self.start, self.stop)
        instances = ((index, self.problem.instance(self.seed, index, self.split)) for index in place)
        return [
            self._row(index, instance) for index, instance in instances if self.problem.is_graded(instance)
        ]

    def _row(self, index: int, instance: Instance) -> Row:
        """Return all that is known of an instance, its proven optimum and an answer that attains it included."""
        problem, reference = self.problem, self.problem.reference(instance)
        return {
            "id": f"{problem.name}-{self.level}-{self.split}-{self.seed}-{index}",
            "problem": problem.name,
            "family": problem.family,
            "level": self.level,
            "split": self.split,
            "seed": self.seed,
            "index": index,
            "size": instance.size,
            "prompt": problem.prompt(instance),
            "answer": problem.format(instance, reference.solution),
            "sense": problem.sense,
            "trivial": float(reference.trivial),
            "greedy": float(reference.greedy),
            "optimum": float(reference.value),
            "solver": reference.solver,
            "spec": problem.spec(self.seed, index, self.split),
            "instance": problem.to_json(instance),
            "instance_hash": problem.digest(instance),
        }


LAYOUTS: dict[str, str] = {
    "plain": "",
    "trl": "forge_gym.adapters.trl.dataset",
    "verl": "forge_gym.adapters.verl.dataset",
    "skyrl": "forge_gym.adapters.skyrl",
    "openrlhf": "forge_gym.adapters.openrlhf.dataset",
    "nemo-gym": "forge_gym.adapters.nemo_gym.dataset",
}
"""Whose rows they are: name to the module with the function ``row(sample, index)``; ``plain`` has all that we know."""


# ---------------------------------------------------------------------- engines


class Local:
    """Processes on this machine, each in a pool of its own: one that dies takes no other with it."""

    lost = (BrokenProcessPool,)
    """What a future raises if its worker is gone."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pools: dict[ProcessPoolExecutor, Future[list[Row]] | None] = {
            self._pool(): None for _ in range(workers)
        }

    @staticmethod
    def _pool() -> ProcessPoolExecutor:
        # Not forked: the solvers and their parent may have threads.
        return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_quiet)

    def submit(self, chunk: Chunk) -> Future[list[Row]]:
        """Have ``chunk`` drawn by an idle process: at most ``workers`` chunks are under way."""
        pool = next(pool for pool, future in self._pools.items() if future is None or future.done())
        try:
            future = pool.submit(chunk.draw)
        except BrokenProcessPool:  # its process died
            del self._pools[pool]
            pool = self._pool()
            future = pool.submit(chunk.draw)
        self._pools[pool] = future
        return future

    def close(self) -> None:
        """Stop when the chunks under way are done."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)


def _quiet() -> None:
    """Leave an interruption to the parent, and end with it, whatever ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


class Ray:
    """Tasks on a Ray cluster: a new one on this machine, or the one at ``address``, which needs forge-gym too."""

    def __init__(self, workers: int | None, address: str | None) -> None:
        try:
            import ray
        except ImportError:
            raise ValueError("engine 'ray' needs Ray: pip install '.[scale]' in a clone") from None
        self._ray = ray
        options: dict[str, Any] = {"num_cpus": workers} if address is None else {"address": address}
        try:
            ray.init(**options, include_dashboard=False, log_to_driver=False)
        except ConnectionError:
            raise ValueError(
                f"address must be that of a running Ray cluster, got {address!r}, where none answers: "
                "leave it out, or start one with `ray start --head`"
            ) from None
        self.workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self.lost = ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError
        self._draw = ray.remote(max_retries=0)(Chunk.draw)

    def submit(self, chunk: Chunk) -> Future[list[Row]]:
        """Have ``chunk`` drawn somewhere."""
        future: Future[list[Row]] = self._draw.remote(chunk).future()
        return future

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        self._ray.shutdown()


# ---------------------------------------------------------------------- streams


class _Stream:
    """The rows of one problem at one level in one split, in order, of parts that come in any order."""

    def __init__(
        self, folder: Path, problem: Problem[Any, Any], level: int, seed: int, split: str, want: int
    ) -> None:
        self.folder = folder / f"{problem.name}-{level}-{split}"
        self.problem, self.want = problem, want
        self._place = problem, level, seed, split
        self.taken: dict[int, int] = {}
        """What stands for each row's instance, to the row's index."""
        self.todo: deque[Chunk] = deque()
        """What is missing before the end of what was given out: gaps, and chunks whose worker is lost."""
        self._waiting: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        """Parts that are there, start to stop and rows, while one before them is not."""
        self._counted = self._end = 0
        self._speed = _PROBE / CHUNK_S
        self.folder.mkdir(parents=True, exist_ok=True)
        for start, stop, path in self._parts():
            if self._end < start:
                self.todo.append(Chunk(*self._place, self._end, start))
            self._end = stop
            self._waiting[start] = stop, _keys(_read(path))

    def _parts(self) -> list[tuple[int, int, Path]]:
        parts = [(*map(int, path.stem.split("-")), path) for path in self.folder.glob("*.jsonl")]
        return sorted(parts)  # type: ignore[arg-type] # two numbers and a path

    def next(self) -> Chunk | None:
        """Return what to do next; None if that depends on what is under way, or there are rows enough."""
        if self.todo:
            return self.todo.popleft()
        missing = self.want - len(self.taken)
        if self._counted:  # the share of the next instances that become rows is that of those before
            missing = round(missing * self._counted / max(len(self.taken), 1)) - (self._end - self._counted)
        if missing <= 0 or (self._end and not self._counted):
            return None
        start, size = self._end, max(1, round(CHUNK_S * self._speed))
        self._end += min(missing, size)
        return Chunk(*self._place, start, self._end)

    def store(self, chunk: Chunk, rows: Sequence[Row], seconds: float) -> None:
        """Keep what a worker has found in so many seconds."""
        with replacing(self.folder / f"{chunk.start}-{chunk.stop}.jsonl") as path:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self._waiting[chunk.start] = chunk.stop, _keys(rows)
        self._speed = (chunk.stop - chunk.start) / max(seconds, 1e-6)

    def count(self, others: set[int]) -> int:
        """Take the rows of the parts that have become contiguous, none twice and none of ``others``; return how many.

        Raises
        ------
        ValueError
            If 1,000 instances in a row brought none.
        """
        before = len(self.taken)
        while self._counted in self._waiting:
            self._counted, keys = self._waiting.pop(self._counted)
            for key, index in keys:
                if len(self.taken) < self.want and key not in others:
                    self.taken.setdefault(key, index)
        fruitless = self._counted - 1 - next(reversed(self.taken.values()), -1)
        if len(self.taken) < self.want and fruitless >= MAX_UNGRADED:
            raise ValueError(
                f"parameters of {self.problem.name} must leave room between trivial, greedy and proven optimum, and "
                f"for {self.want} different instances, got {len(self.taken)} and then {fruitless} without "
                f"a new one from {self.problem!r}: try a larger size or level"
            )
        return len(self.taken) - before

    def rows(self) -> Iterator[Row]:
        """Yield the rows, in order."""
        for rows in (_read(path) for _, _, path in self._parts()):
            for row, (key, index) in zip(rows, _keys(rows), strict=True):
                if self.taken.get(key) == index:
                    yield row


def _read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _keys(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Return half of the hash, and the index: a table of millions of them must fit into memory."""
    return [(int(row["instance_hash"][:16], 16), row["index"]) for row in rows]


# ---------------------------------------------------------------------- the whole


def generate(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]],
    out: Path | str,
    rows: Mapping[str, int],
    *,
    levels: Sequence[int] | None = None,
    seed: int = 0,
    layout: str = "plain",
    format: str = "jsonl",
    workers: int | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Path:
    """Write a data set, or go on where it was stopped; return its folder.

    Parameters
    ----------
    problems
        One or several; each gets an equal share of the rows, in turn.
    out
        The folder: new, empty, or one that the same call has begun.
    rows
        Number of rows of each split. No instance comes twice in a problem's rows at a level, and none of training
        is one of validation or test.
    levels
        Difficulties, in turn; None keeps each problem's own parameters.
    seed
        Of the streams.
    layout
        Whose rows they are: ``plain``, or those of a trainer; see `LAYOUTS`.
    format
        ``jsonl`` or ``parquet``, one file per split, or ``hf``: shards of 100,000 rows that ``load_dataset`` reads.
    workers
        Processes; None for all processors that this one may use.
    engine, address
        ``local``, or ``ray``, on this machine or the cluster at ``address``.
    progress
        Told of every batch of rows that is done.

    Raises
    ------
    ValueError
        Naming the parameter, the rule, the value and the nearest valid one; also if the folder holds something else.
    RuntimeError
        If a chunk of work took three workers with it.

    Notes
    -----
    Memory: some 100 bytes per row, for what was drawn already.
    """
    streams = ladder(problems, levels)
    _check(streams, rows, workers, engine, address)
    check_int("seed", seed, 0)
    check_choice("layout", layout, LAYOUTS)
    check_choice("format", format, FORMATS)
    if format != "jsonl":
        try:
            import_module("pyarrow")
        except ImportError:
            raise ValueError(f"format {format!r} needs pyarrow: pip install '.[data]' in a clone") from None
    out = Path(out)
    settings: Row = {
        "problems": [[problem.name, problem.version, problem.parameters] for _, problem in streams],
        "levels": [level for level, _ in streams],
        "rows": {split: rows[split] for split in SPLITS if rows.get(split)},
        "seed": seed,
        "layout": layout,
        "format": format,
        "row_format": _ROW_FORMAT,
    }
    _claim(out, settings)
    if whole(out):
        progress(sum(rows.values()))
        return out
    files, parts = _files(settings), out / _STATE / "parts"
    crew: Local | Ray | None = None
    others: set[int] = set()
    try:
        for split in reversed(files):  # training comes last: it must know the others
            drawn = [
                _Stream(parts, problem, level, seed, split, _share(rows[split], i, len(streams)))
                for i, (level, problem) in enumerate(streams)
            ]
            progress(sum(stream.count(others) for stream in drawn))
            if any(len(stream.taken) < stream.want for stream in drawn):
                crew = crew or _crew(engine, workers, address)
                _draw(drawn, crew, others, progress)
            others.update(*(stream.taken for stream in drawn))
            _write(drawn, [out / file for file in files[split]], layout)
    finally:
        if crew is not None:
            crew.close()
    _save(out / _CARD, _card(settings))
    shutil.rmtree(parts)
    return out


def whole(out: Path) -> bool:
    """Whether the folder ``out`` holds all files of the data set that was begun there."""
    if not (out / _SETTINGS).exists():
        return False
    files = _files(json.loads((out / _SETTINGS).read_text())).values()
    return all((out / file).exists() for file in chain([_CARD], *files))


def _check(
    streams: Sequence[tuple[int, Problem[Any, Any]]],
    rows: Mapping[str, int],
    workers: int | None,
    engine: str,
    address: str | None,
) -> None:
    check_known("rows", "split", rows, SPLITS)
    for split, size in rows.items():
        check_int(f"rows of {split}", size, 0)
    if not sum(rows.values()):
        raise ValueError(f"rows must hold a positive number for a split, got {dict(rows)}")
    places = [(problem.name, level) for level, problem in streams]
    if len(set(places)) < len(places):
        raise ValueError(f"problems and levels must be distinct, got {places}")
    check_choice("engine", engine, ENGINES)
    if workers is not None:
        check_int("workers", workers, 1)
    if address is not None and engine != "ray":
        raise ValueError(f"address must be None unless the engine is 'ray', got {address!r}")


def _claim(out: Path, settings: Row) -> None:
    """Take the folder for these settings, or refuse it."""
    path, settings = out / _SETTINGS, json.loads(json.dumps(settings))  # tuples become lists, as in the file
    if path.exists():
        existing = json.loads(path.read_text())
        if existing != settings:
            different = [key for key in settings if existing.get(key) != settings[key]]
            raise ValueError(
                f"out must be a folder that the same call has begun, or a new one, got {out}, whose settings "
                f"differ in {', '.join(different)}: { ({key: existing.get(key) for key in different}) }"
            )
    elif out.exists() and any(path.name != _STATE for path in out.iterdir()):
        raise ValueError(f"out must be a new or empty folder, got {out}, which holds something else")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(path, json.dumps(settings, indent=1) + "\n")


def _save(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def _crew(engine: str, workers: int | None, address: str | None) -> Local | Ray:
    if engine == "ray":
        return Ray(workers, address)
    affinity = getattr(os, "sched_getaffinity", None)
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Local(workers or available)


def _draw(
    streams: Sequence[_Stream], crew: Local | Ray, others: set[int], progress: Callable[[int], object]
) -> None:
    """Have chunks drawn until every stream has its rows."""
    running: dict[Future[list[Row]], tuple[_Stream, Chunk, float]] = {}
    losses: Counter[Chunk] = Counter()
    turns = cycle(streams)
    while True:
        idle = 0
        while len(running) < crew.workers and idle < len(streams):
            stream = next(turns)
            chunk = stream.next()
            if chunk is None:
                idle += 1
                continue
            idle, started = 0, time.perf_counter()
            running[crew.submit(chunk)] = stream, chunk, started
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            stream, chunk, started = running.pop(future)
            try:
                rows = future.result()
            except crew.lost as error:
                losses[chunk] += 1
                if losses[chunk] == _ATTEMPTS:
                    raise RuntimeError(
                        f"{_ATTEMPTS} workers died of the instances {chunk.start} to {chunk.stop - 1} of {chunk.split} "
                        f"of {chunk.problem!r}: too little memory?"
                    ) from error
                stream.todo.appendleft(chunk)
            else:
                stream.store(chunk, rows, time.perf_counter() - started)
                progress(stream.count(others))


def _share(rows: int, stream: int, streams: int) -> int:
    """Return how many of the rows are those of a stream: they take turns."""
    return len(range(stream, rows, streams))


def _files(settings: Row) -> dict[str, list[str]]:
    """Return the files of each split, in the folder."""
    if settings["format"] != "hf":
        return {split: [f"{split}.{settings['format']}"] for split in settings["rows"]}
    shards = {split: -(-size // SHARD) for split, size in settings["rows"].items()}
    return {
        split: [f"data/{split}-{i:05d}-of-{of:05d}.parquet" for i in range(of)]
        for split, of in shards.items()
    }


def _write(streams: Sequence[_Stream], files: Sequence[Path], layout: str) -> None:
    """Write a split, the streams in turn."""
    turns = cycle([(stream.problem, stream.rows()) for stream in streams])
    problem_rows = (
        (problem, next(rows)) for problem, rows in islice(turns, sum(stream.want for stream in streams))
    )
    if layout == "plain":
        rows = (row for _, row in problem_rows)
    else:
        make: Callable[[Sample, int], Row] = import_module(LAYOUTS[layout]).row
        rows = (make(_sample(problem, row), i) for i, (problem, row) in enumerate(problem_rows))
    for path in files:
        write_rows(path, islice(rows, SHARD) if len(files) > 1 else rows)


def _sample(problem: Problem[Any, Any], row: Row) -> Sample:
    place = row["level"], row["seed"], row["index"], row["split"]
    return Sample(problem, *place, row["prompt"], row["instance_hash"])


_COLUMNS = {
    "id": "problem, level, split, seed and index",
    "problem, family": "what it is",
    "level": "difficulty, -1 for the problem's own parameters",
    "split, seed, index": "place in the streams of instances",
    "size": "elements: cities, items, vertices, ...",
    "prompt": "the instance as text, with the answer's format",
    "answer": "a reply that attains the optimum",
    "sense": "`min` or `max`",
    "trivial, greedy, optimum": "objectives of a thoughtless answer (quality 0), of a textbook heuristic (skill 0) "
    "and of the proven optimum (quality 1)",
    "solver": "what proved it",
    "spec": "`forge_gym.from_spec(spec)` returns problem and instance, `problem.verify(instance, reply)` the verdict",
    "instance": "the instance as JSON",
    "instance_hash": "its SHA-256",
}


def _card(settings: Row) -> str:
    """Return the data card, whose head tells Hugging Face's ``load_dataset`` where the splits are."""
    rows = settings["rows"]
    lines = [
        "---",
        "tags: [optimization, np-hard, reasoning, forge-gym]",
        "configs:",
        "- config_name: default",
        "  data_files:",
    ]
    for split, files in _files(settings).items():
        lines += [f"  - split: {split}", "    path:", *(f"    - {file}" for file in files)]
    lines += [
        "---",
        "",
        "# Certified instances of NP-hard problems",
        "",
        "Made by `forge-gym generate`. Every instance has a proven optimum, and room for quality: a greedy heuristic",
        "beats a thoughtless answer, and the optimum beats the heuristic. No instance comes twice in a problem's rows",
        "of a level and split, and none of `train` is one of `validation` or `test`.",
        "",
        "| problem | level | " + " | ".join(rows) + " |",
        "|---|--:|" + "--:|" * len(rows),
    ]
    streams = list(zip(settings["levels"], settings["problems"], strict=True))
    for i, (level, (name, _, parameters)) in enumerate(streams):
        parameter_text = "" if level != -1 else " " + ", ".join(f"{k}={v}" for k, v in parameters.items())
        sizes = " | ".join(f"{_share(size, i, len(streams)):,}" for size in rows.values())
        lines.append(f"| {name}{parameter_text.rstrip()} | {level if level != -1 else ''} | {sizes} |")
    if settings["layout"] == "plain":
        lines += ["", "| column | |", "|---|---|"]
        lines += [f"| {column} | {meaning} |" for column, meaning in _COLUMNS.items()]
    else:
        lines += ["", f"Columns are those of {settings['layout']}."]
    lines += ["", "Settings:", "", "```json", json.dumps(settings), "```", ""]
    return "\n".join(lines)
