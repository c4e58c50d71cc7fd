"""Data sets on disk: certified rows, drawn by worker processes or a Ray cluster, resumable.

A row's place in the streams of its seed decides what it is. So the files are the same bytes whatever the engine and
the number of workers, and however often the work was interrupted. Workers write the final lines; what is left to the
parent is to leave out what comes twice, and to put the lines in order.
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
from itertools import cycle, islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from ..core.checks import check_choice, check_int, check_known
from ..core.problem import MAX_UNGRADED, Problem
from ..core.seeding import SPLITS
from .rows import Row, found_by, ladder, replacing

ENGINES = ("local", "ray")
CHUNK_S = 1.0
"""Seconds that a chunk of work should take, less for the first ones of a stream: what is lost with a worker."""
_PROBE = 4
"""Instances of a stream's first chunk, which shows how long one takes."""
_ATTEMPTS = 3
"""Workers that a chunk may take with it."""
_STATE = ".forge"
"""Folder of the settings and, while the work goes on, of its parts."""
_SETTINGS = f"{_STATE}/settings.json"
_FORMAT = 3
"""Raised when rows or parts on disk change; a setting, so that those of other code are not gone on with."""
LAYOUTS: dict[str, str] = {
    "plain": "",
    "trl": "forge_gym.adapters.trl.dataset",
    "verl": "forge_gym.adapters.verl",
    "skyrl": "forge_gym.adapters.skyrl",
    "openrlhf": "forge_gym.adapters.openrlhf",
    "nemo-gym": "forge_gym.adapters.nemo_gym",
}
"""Whose rows they are: name to the module with the function ``row(row)``; ``plain`` has all that we know."""


@dataclass(frozen=True)
class Chunk:
    """Instances ``start`` to ``stop`` of a stream: what a worker is given."""

    problem: Problem[Any, Any]
    level: int
    seed: int
    split: str
    layout: str
    start: int
    stop: int

    def draw(self) -> bytes:
        """Return the lines of the graded instances, each after half of its hash and its index."""
        return b"".join(self._lines())

    def _lines(self) -> Iterator[bytes]:
        for index in range(self.start, self.stop):
            instance = self.problem.instance(self.seed, index, self.split)
            if self.problem.is_graded(instance):
                source = {"seed": self.seed, "index": index, "split": self.split}
                row = Row.of(self.problem, instance, source, self.level)
                yield f"{row.hash[:16]} {index} {self._line(row)}\n".encode()

    def _line(self, row: Row) -> str:
        if self.layout == "plain":
            return row.to_json(texts=True)
        columns: dict[str, Any] = import_module(LAYOUTS[self.layout]).row(row)
        return json.dumps({**columns, "certified": row.to_json()}, separators=(",", ":"))


# ---------------------------------------------------------------------- engines


class Local:
    """Processes on this machine, each in a pool of its own: one that dies takes no other with it."""

    lost = (BrokenProcessPool,)
    """What a future raises if its worker is gone."""

    def __init__(self, workers: int | None) -> None:
        affinity = getattr(os, "sched_getaffinity", None)
        self.workers = workers or (len(affinity(0)) if affinity else os.cpu_count() or 1)
        self._pools: dict[ProcessPoolExecutor, Future[bytes] | None] = {
            self._pool(): None for _ in range(self.workers)
        }

    @staticmethod
    def _pool() -> ProcessPoolExecutor:
        # Not forked: the solvers and their parent may have threads.
        return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_quiet)

    def submit(self, chunk: Chunk) -> Future[bytes]:
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
            raise ValueError("engine 'ray' needs Ray: pip install \"forge-gym[scale]\"") from None
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

    def submit(self, chunk: Chunk) -> Future[bytes]:
        """Have ``chunk`` drawn somewhere."""
        future: Future[bytes] = self._draw.remote(chunk).future()
        return future

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        self._ray.shutdown()


def _crew(engine: str, workers: int | None, address: str | None) -> Local | Ray:
    return Ray(workers, address) if engine == "ray" else Local(workers)


# ---------------------------------------------------------------------- streams


class _Stream:
    """The rows of one problem at one level in one split, in order, of parts that come in any order."""

    def __init__(
        self,
        folder: Path,
        want: int,
        problem: Problem[Any, Any],
        level: int,
        seed: int,
        split: str,
        layout: str,
    ) -> None:
        self.folder = folder / f"{problem.name}-{level}-{split}"
        self.problem, self.want = problem, want
        self._place = problem, level, seed, split, layout
        self.taken: dict[int, int] = {}
        """What stands for each row's instance, to the row's index."""
        self.todo: deque[Chunk] = deque()
        """What is missing before the end of what was given out: gaps, and chunks whose worker is lost."""
        self._waiting: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        """Parts that are there, start to stop and keys, while one before them is not."""
        self._counted = self._end = 0
        self._speed = _PROBE / CHUNK_S
        self.folder.mkdir(parents=True, exist_ok=True)
        for start, stop, path in self._parts():
            if self._end < start:
                self.todo.append(Chunk(*self._place, self._end, start))
            self._end = stop
            self._waiting[start] = stop, [key for key, _ in _lines(path.read_bytes())]

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

    def store(self, chunk: Chunk, lines: bytes, seconds: float) -> None:
        """Keep what a worker has found in so many seconds."""
        with replacing(self.folder / f"{chunk.start}-{chunk.stop}.jsonl") as path:
            path.write_bytes(lines)
        self._waiting[chunk.start] = chunk.stop, [key for key, _ in _lines(lines)]
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

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the rows, in order."""
        for _, _, path in self._parts():
            for (key, index), line in _lines(path.read_bytes()):
                if self.taken.get(key) == index:
                    yield line


def _lines(part: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield half of the hash, the index and the line of each row: a table of millions must fit into memory."""
    for stored in part.splitlines(keepends=True):
        key, index, line = stored.split(b" ", 2)
        yield (int(key, 16), int(index)), line


# ---------------------------------------------------------------------- the whole


def generate(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]],
    out: Path | str,
    rows: Mapping[str, int],
    *,
    levels: Sequence[int] | None = None,
    seed: int = 0,
    layout: str = "plain",
    workers: int | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Path:
    """Write a data set, a file of JSON lines per split, or go on where it was stopped; return its folder.

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
        Whose rows they are: ``plain``, or those of a trainer, which have the plain one in a column; see `LAYOUTS`.
    workers
        Processes; None for all processors that this one may use.
    engine, address
        ``local``, or ``ray``, on this machine or the cluster at ``address``.
    progress
        Called with the number of rows done since the last call.

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
    out = Path(out)
    sizes = {split: rows[split] for split in SPLITS if rows.get(split)}
    members = [[level, found_by(problem), problem.version, problem.parameters] for level, problem in streams]
    settings = {"problems": members, "rows": sizes, "seed": seed, "layout": layout, "format": _FORMAT}
    _claim(out, settings)
    if whole(out):
        progress(sum(sizes.values()))
        return out
    parts, crew = out / _STATE / "parts", None
    others: set[int] = set()
    try:
        for split, size in reversed(sizes.items()):  # training comes last: it must know the others
            drawn = [
                _Stream(parts, len(range(i, size, len(streams))), problem, level, seed, split, layout)
                for i, (level, problem) in enumerate(streams)
            ]
            progress(sum(stream.count(others) for stream in drawn))
            if any(len(stream.taken) < stream.want for stream in drawn):
                crew = crew or _crew(engine, workers, address)
                _draw(drawn, crew, others, progress)
            others.update(*(stream.taken for stream in drawn))
            _join(drawn, out / f"{split}.jsonl")
    finally:
        if crew is not None:
            crew.close()
    shutil.rmtree(parts)
    return out


def whole(out: Path) -> bool:
    """Whether the folder ``out`` holds all files of the data set that was begun there."""
    if not (out / _SETTINGS).exists():
        return False
    splits = json.loads((out / _SETTINGS).read_text())["rows"]
    return all((out / f"{split}.jsonl").exists() for split in splits)


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


def _claim(out: Path, settings: dict[str, Any]) -> None:
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
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(settings, indent=1) + "\n")


def _draw(
    streams: Sequence[_Stream], crew: Local | Ray, others: set[int], progress: Callable[[int], object]
) -> None:
    """Have chunks drawn until every stream has its rows."""
    running: dict[Future[bytes], tuple[_Stream, Chunk, float]] = {}
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
                lines = future.result()
            except crew.lost as error:
                losses[chunk] += 1
                if losses[chunk] == _ATTEMPTS:
                    raise RuntimeError(
                        f"{_ATTEMPTS} workers died of the instances {chunk.start} to {chunk.stop - 1} of {chunk.split} "
                        f"of {chunk.problem!r}: too little memory?"
                    ) from error
                stream.todo.appendleft(chunk)
            else:
                stream.store(chunk, lines, time.perf_counter() - started)
                progress(stream.count(others))


def _join(streams: Sequence[_Stream], path: Path) -> None:
    """Write a split, the streams in turn."""
    turns = cycle([stream.lines() for stream in streams])
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(next(lines) for lines in islice(turns, sum(stream.want for stream in streams)))
