"""Data sets on disk: rows with certified answers, drawn by worker processes or a Ray cluster, resumable.

A row is a graded instance; its place in the seed's stream decides what it is. So the files are the same bytes
whatever the engine and the number of workers, and however often the work was interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Protocol

from ..core.checks import check_choice, check_int, check_known
from ..core.instance import Instance
from ..core.problem import MAX_UNGRADED, Problem
from ..core.seeding import SPLITS
from .rows import Sample, ladder, write_rows

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
_CARD = "README.md"

Row = dict[str, Any]


def plain(sample: Sample, found: Mapping[str, Any]) -> Row:
    """Return all that is known of an instance, its proven optimum and an answer that attains it included."""
    problem = sample.problem
    return {
        "id": f"{problem.name}-{sample.level}-{sample.split}-{sample.seed}-{sample.index}",
        "problem": problem.name,
        "family": problem.family,
        "level": sample.level,
        "split": sample.split,
        "seed": sample.seed,
        "index": sample.index,
        "size": found["size"],
        "prompt": sample.prompt,
        "answer": found["answer"],
        "sense": problem.sense,
        "trivial": found["trivial"],
        "greedy": found["greedy"],
        "optimum": found["optimum"],
        "solver": found["solver"],
        "spec": sample.spec,
        "instance": found["instance"],
        "instance_hash": sample.digest,
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


@dataclass(frozen=True)
class Chunk:
    """Instances ``start`` to ``stop`` of a stream: what a worker is given."""

    problem: Problem[Any, Any]
    seed: int
    split: str
    start: int
    stop: int

    def draw(self) -> tuple[list[Row], float]:
        """Return a record of each graded instance, and the seconds that it took."""
        started, problem = time.perf_counter(), self.problem
        drawn = ((i, problem.instance(self.seed, i, self.split)) for i in range(self.start, self.stop))
        records = [_record(problem, i, instance) for i, instance in drawn if problem.is_graded(instance)]
        return records, time.perf_counter() - started


def _record(problem: Problem[Any, Any], index: int, instance: Instance) -> Row:
    reference = problem.reference(instance)
    return {
        "index": index,
        "prompt": problem.prompt(instance),
        "digest": problem.digest(instance),
        "size": instance.size,
        "trivial": float(reference.trivial),
        "greedy": float(reference.greedy),
        "optimum": float(reference.value),
        "solver": reference.solver,
        "answer": problem.format(instance, reference.solution),
        "instance": problem.to_json(instance),
    }


# ---------------------------------------------------------------------- engines


class Engine(Protocol):
    """Runs chunks elsewhere."""

    workers: int
    lost: tuple[type[Exception], ...]
    """What a future raises if its worker is gone."""

    def submit(self, chunk: Chunk) -> Future[tuple[list[Row], float]]:
        """Have ``chunk`` drawn; at most ``workers`` are under way."""

    def close(self) -> None:
        """Stop."""


class Local:
    """Processes on this machine, each in a pool of its own: one that dies takes no other with it."""

    lost: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._idle = [self._pool() for _ in range(workers)]
        self._busy: dict[Future[Any], ProcessPoolExecutor] = {}

    @staticmethod
    def _pool() -> ProcessPoolExecutor:
        # Not forked: the solvers and their parent may have threads.
        return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_quiet)

    def submit(self, chunk: Chunk) -> Future[tuple[list[Row], float]]:
        """Have ``chunk`` drawn by an idle process."""
        for future in [future for future in self._busy if future.done()]:
            pool = self._busy.pop(future)
            self._idle.append(self._pool() if isinstance(future.exception(), self.lost) else pool)
        pool = self._idle.pop()
        try:
            future = pool.submit(chunk.draw)
        except BrokenProcessPool:  # it died while it had nothing to do
            pool = self._pool()
            future = pool.submit(chunk.draw)
        self._busy[future] = pool
        return future

    def close(self) -> None:
        """Stop when the chunks under way are done."""
        for pool in [*self._idle, *self._busy.values()]:
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
        self.lost: tuple[type[Exception], ...] = (
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
        )
        self._draw = ray.remote(max_retries=0)(Chunk.draw)

    def submit(self, chunk: Chunk) -> Future[tuple[list[Row], float]]:
        """Have ``chunk`` drawn somewhere."""
        future: Future[tuple[list[Row], float]] = self._draw.remote(chunk).future()
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
        self.problem, self.level, self.seed, self.split, self.want = problem, level, seed, split, want
        self.kept: list[int] = []
        """Indices of the rows."""
        self._taken: set[int] = set()
        self._waiting: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        """Parts that are there, start to stop and rows, while one before them is not."""
        self._counted = self._end = 0
        self._speed = 0.0
        self._todo: deque[tuple[int, int]] = deque()
        self.folder.mkdir(parents=True, exist_ok=True)
        for start, stop, path in self._parts():
            if self._end < start:
                self._todo.append((self._end, start))
            self._end = stop
            self._waiting[start] = stop, _hashes(_read(path))

    def _parts(self) -> list[tuple[int, int, Path]]:
        found = [(*map(int, path.stem.split("-")), path) for path in self.folder.glob("*.jsonl")]
        return sorted(found)  # type: ignore[arg-type] # two numbers and a path

    def next(self) -> Chunk | None:
        """Return what to do next; None if that depends on what is under way, or there are rows enough."""
        if not self._todo:
            missing = self.want - len(self.kept)
            if self._end:
                if missing <= 0 or not self._counted:
                    return None
                share = max(len(self.kept), 1) / self._counted
                missing = round(missing / share) - (self._end - self._counted)
                if missing <= 0:
                    return None
            size = round(CHUNK_S * self._speed) if self._speed else _PROBE
            self._todo.append((self._end, self._end + min(missing, max(size, 1))))
            self._end = self._todo[-1][1]
        return Chunk(self.problem, self.seed, self.split, *self._todo.popleft())

    def again(self, chunk: Chunk) -> None:
        """Do ``chunk`` again: its worker is lost."""
        self._todo.appendleft((chunk.start, chunk.stop))

    def store(self, chunk: Chunk, records: Sequence[Row], seconds: float) -> None:
        """Keep what a worker has found."""
        path = self.folder / f"{chunk.start}-{chunk.stop}.jsonl"
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(record) + "\n" for record in records))
        temporary.replace(path)
        self._waiting[chunk.start] = chunk.stop, _hashes(records)
        self._speed = (chunk.stop - chunk.start) / max(seconds, 1e-6)

    def count(self, others: set[int]) -> int:
        """Take the rows of the parts that have become contiguous, none twice and none of ``others``; return how many.

        Raises
        ------
        ValueError
            If 1,000 instances in a row brought none.
        """
        before = len(self.kept)
        while self._counted in self._waiting:
            self._counted, rows = self._waiting.pop(self._counted)
            for index, key in rows:
                if len(self.kept) < self.want and key not in others and key not in self._taken:
                    self.kept.append(index)
                    self._taken.add(key)
        last = self.kept[-1] + 1 if self.kept else 0
        if len(self.kept) < self.want and self._counted - last >= MAX_UNGRADED:
            raise ValueError(
                f"parameters of {self.problem.name} must leave room between trivial, greedy and proven optimum, and "
                f"for {self.want} different instances, got {len(self.kept)} and then {self._counted - last} without "
                f"a new one from {self.problem!r}: try a larger size or level"
            )
        return len(self.kept) - before

    @property
    def taken(self) -> set[int]:
        """What stands for each row's instance."""
        return self._taken

    def rows(self) -> Iterator[tuple[Sample, Row]]:
        """Yield the rows, in order."""
        kept = iter(self.kept)
        index = next(kept, None)
        for record in chain.from_iterable(_read(path) for _, _, path in self._parts()):
            if record["index"] == index:
                place = self.level, self.seed, record["index"], self.split
                yield Sample(self.problem, *place, record["prompt"], record["digest"]), record
                index = next(kept, None)


def _read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _hashes(records: Sequence[Row]) -> list[tuple[int, int]]:
    """Return index and half of the hash: a set of millions of them must fit into memory."""
    return [(record["index"], int(record["digest"][:16], 16)) for record in records]


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
    _check(streams, rows, seed, layout, format, workers, engine, address)
    out = Path(out)
    settings: Row = {
        "problems": [[problem.name, problem.version, problem.parameters] for _, problem in streams],
        "levels": [level for level, _ in streams],
        "rows": {split: rows[split] for split in SPLITS if rows.get(split)},
        "seed": seed,
        "layout": layout,
        "format": format,
    }
    files = {split: _files(out, split, size, format) for split, size in settings["rows"].items()}
    _claim(out, settings)
    card = out / _CARD
    if whole(out):
        progress(sum(rows.values()))
        return out
    crew: Engine | None = None
    others: set[int] = set()
    counts: dict[str, Counter[tuple[str, int]]] = {}
    try:
        for split in reversed(SPLITS):  # training comes last: it must know the others
            if split not in files:
                continue
            share, extra = divmod(rows[split], len(streams))
            parts = out / _STATE / "parts"
            drawn = [
                _Stream(parts, problem, level, seed, split, share + (i < extra))
                for i, (level, problem) in enumerate(streams)
            ]
            progress(sum(stream.count(others) for stream in drawn))
            if any(len(stream.kept) < stream.want for stream in drawn):
                crew = crew or _crew(engine, workers, address)
                _draw(drawn, crew, others, progress)
            for stream in drawn:
                others |= stream.taken
            _write(drawn, files[split], layout)
            counts[split] = Counter({(s.problem.name, s.level): s.want for s in drawn})
    finally:
        if crew is not None:
            crew.close()
    _save(card, _card(settings, files, {split: counts[split] for split in settings["rows"]}, out))
    shutil.rmtree(out / _STATE / "parts")
    return out


def whole(out: Path) -> bool:
    """Whether the folder ``out`` holds all files of the data set that was begun there."""
    path = out / _STATE / "settings.json"
    if not path.exists():
        return False
    settings = json.loads(path.read_text())
    files = [_files(out, split, size, settings["format"]) for split, size in settings["rows"].items()]
    return all(path.exists() for path in chain([out / _CARD], *files))


def _check(
    streams: Sequence[tuple[int, Problem[Any, Any]]],
    rows: Mapping[str, int],
    seed: int,
    layout: str,
    format: str,
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
    check_int("seed", seed, 0)
    check_choice("layout", layout, LAYOUTS)
    check_choice("format", format, FORMATS)
    check_choice("engine", engine, ENGINES)
    if workers is not None:
        check_int("workers", workers, 1)
    if address is not None and engine != "ray":
        raise ValueError(f"address must be None unless the engine is 'ray', got {address!r}")
    if format != "jsonl":
        try:
            import_module("pyarrow")
        except ImportError:
            raise ValueError(f"format {format!r} needs pyarrow: pip install '.[data]' in a clone") from None


def _claim(out: Path, settings: Row) -> None:
    """Take the folder for these settings, or refuse it."""
    path = out / _STATE / "settings.json"
    if path.exists():
        found = json.loads(path.read_text())
        if found != settings:
            different = [key for key in settings if found.get(key) != settings[key]]
            raise ValueError(
                f"out must be a folder that the same call has begun, or a new one, got {out}, whose settings "
                f"differ in {', '.join(different)}: { ({key: found.get(key) for key in different}) }"
            )
    elif out.exists() and any(path.name != _STATE for path in out.iterdir()):
        raise ValueError(f"out must be a new or empty folder, got {out}, which holds something else")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(path, json.dumps(settings, indent=1) + "\n")


def _save(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _crew(engine: str, workers: int | None, address: str | None) -> Engine:
    if engine == "ray":
        return Ray(workers, address)
    affinity = getattr(os, "sched_getaffinity", None)
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Local(workers or available)


def _draw(
    streams: Sequence[_Stream], crew: Engine, others: set[int], progress: Callable[[int], object]
) -> None:
    """Have chunks drawn until every stream has its rows."""
    running: dict[Future[tuple[list[Row], float]], tuple[_Stream, Chunk]] = {}
    losses: Counter[Chunk] = Counter()
    open_streams = deque(streams)
    while True:
        idle = 0
        while len(running) < crew.workers and idle < len(open_streams):
            stream = open_streams[0]
            open_streams.rotate(-1)
            chunk = stream.next()
            if chunk is None:
                idle += 1
            else:
                running[crew.submit(chunk)], idle = (stream, chunk), 0
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            stream, chunk = running.pop(future)
            try:
                records, seconds = future.result()
            except crew.lost as error:
                losses[chunk] += 1
                if losses[chunk] == _ATTEMPTS:
                    raise RuntimeError(
                        f"{_ATTEMPTS} workers died of the instances {chunk.start} to {chunk.stop - 1} of {chunk.split} "
                        f"of {chunk.problem!r}: too little memory?"
                    ) from error
                stream.again(chunk)
            else:
                stream.store(chunk, records, seconds)
                progress(stream.count(others))


def _files(out: Path, split: str, size: int, format: str) -> list[Path]:
    if format != "hf":
        return [out / f"{split}.{format}"]
    shards = -(-size // SHARD)
    return [out / "data" / f"{split}-{i:05d}-of-{shards:05d}.parquet" for i in range(shards)]


def _write(streams: Sequence[_Stream], files: Sequence[Path], layout: str) -> None:
    """Write a split, the streams in turn."""
    readers = [stream.rows() for stream in streams]
    found = (next(readers[i % len(readers)]) for i in range(sum(stream.want for stream in streams)))
    if layout == "plain":
        laid_out = (plain(sample, record) for sample, record in found)
    else:
        row: Callable[[Sample, int], Row] = import_module(LAYOUTS[layout]).row
        laid_out = (row(sample, i) for i, (sample, _) in enumerate(found))
    size = SHARD if len(files) > 1 else sys.maxsize
    for path in files:
        write_rows(path, islice(laid_out, size))


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


def _card(
    settings: Row,
    files: Mapping[str, Sequence[Path]],
    counts: Mapping[str, Mapping[tuple[str, int], int]],
    out: Path,
) -> str:
    """Return the data card, whose head tells Hugging Face's ``load_dataset`` where the splits are."""
    lines = [
        "---",
        "tags: [optimization, np-hard, reasoning, forge-gym]",
        "configs:",
        "- config_name: default",
    ]
    lines.append("  data_files:")
    for split in [split for split in SPLITS if split in files]:
        lines += [f"  - split: {split}", "    path:"]
        lines += [f"    - {path.relative_to(out).as_posix()}" for path in files[split]]
    lines += [
        "---",
        "",
        "# Certified instances of NP-hard problems",
        "",
        "Made by `forge-gym generate`. Every instance has a proven optimum, and room for quality: a greedy heuristic",
        "beats a thoughtless answer, and the optimum beats the heuristic. No instance comes twice in a problem's rows",
        "of a level and split, and none of `train` is one of `validation` or `test`.",
        "",
        "| problem | level | " + " | ".join(counts) + " |",
        "|---|--:|" + "--:|" * len(counts),
    ]
    for level, (name, _, parameters) in zip(settings["levels"], settings["problems"], strict=True):
        told = "" if level != -1 else " " + ", ".join(f"{k}={v}" for k, v in parameters.items())
        sizes = " | ".join(f"{count[name, level]:,}" for count in counts.values())
        lines.append(f"| {name}{told.rstrip()} | {level if level != -1 else ''} | {sizes} |")
    if settings["layout"] == "plain":
        lines += ["", "| column | |", "|---|---|"]
        lines += [f"| {column} | {meaning} |" for column, meaning in _COLUMNS.items()]
    else:
        lines += ["", f"Columns are those of {settings['layout']}."]
    lines += ["", "Settings:", "", "```json", json.dumps(settings), "```", ""]
    return "\n".join(lines)
