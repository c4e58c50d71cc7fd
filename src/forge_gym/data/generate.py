"""Data sets on disk: certified rows, drawn by worker processes or a Ray cluster, resumable.

A row's place in the streams of its seed decides what it is. So the files are the same bytes whatever the engine and
the number of workers, and however often the work was interrupted. Workers write the final lines; what is left to the
parent is to leave out what comes twice, and to put the lines in order.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import cycle, islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from ..core.checks import check_choice, check_int, check_known
from ..core.foreign import bounded, load_json
from ..core.problem import MAX_UNGRADED, Problem, has_few_shapes
from ..core.seeding import SPLITS, shape_hash
from .rows import Row, found_by, hold, ladder, replacing

CHUNK_S = 1.0
"""Seconds that a chunk of work should take, less for the first ones of a stream: what is lost with a worker."""
_PROBE = 4
"""Instances of a stream's first chunk, which shows how long one takes, and of its last ones."""
_ATTEMPTS = 3
"""Times that a chunk may be lost."""
_STATE = ".forge"
"""Folder of the settings and, until the work is finished, of its parts."""
_SETTINGS, _LOCK, _SIZES = f"{_STATE}/settings.json", f"{_STATE}/lock", f"{_STATE}/sizes.json"
_LINE = re.compile(rb"[0-9a-f]{16} [0-9]{1,18} \{[^\n\0]*\}\n")
"""A line of a part."""
_FORMAT = 4
"""Version of rows and parts on disk. It is a setting, so that a run of other code is not continued."""
LAYOUTS: dict[str, str] = {
    "plain": "",
    "trl": "forge_gym.adapters.trl.dataset",
    "verl": "forge_gym.adapters.verl",
    "skyrl": "forge_gym.adapters.skyrl",
    "openrlhf": "forge_gym.adapters.openrlhf",
    "nemo-gym": "forge_gym.adapters.nemo_gym",
}
"""Name of a layout to the module with its function ``row(row)``; ``plain`` has every column."""


@dataclass(frozen=True)
class Chunk:
    """Instances ``start`` to ``stop`` of a stream: what a worker is given."""

    problem: Problem[Any, Any]
    level: int
    seed: int
    split: str
    layout: str
    start: int = 0
    stop: int = 0

    def draw(self) -> bytes:
        """Return the lines of the graded instances, each after a key and its index.

        The key is half of the row's hash. In held-out splits of few shapes it is the shape's: there no two are alike.
        """
        lines, by_shape = [], self.split != "train" and has_few_shapes(self.problem)
        for index in range(self.start, self.stop):
            instance = self.problem.instance(self.seed, index, self.split)
            if self.problem.is_graded(instance):
                source = {"seed": self.seed, "index": index, "split": self.split}
                row = Row.of(self.problem, instance, source, self.level)
                key = shape_hash(instance.isomorphism_key()) if by_shape else row.hash
                lines.append(f"{key[:16]} {index} {self._line(row)}\n".encode())
        return b"".join(lines)

    def _line(self, row: Row) -> str:
        if self.layout == "plain":
            return row.to_json(texts=True)
        columns: dict[str, Any] = import_module(LAYOUTS[self.layout]).row(row)
        return json.dumps({**columns, "certified": row.to_json()}, separators=(",", ":"))


# ---------------------------------------------------------------------- engines


class Local:
    """Processes on this machine."""

    lost = (BrokenProcessPool,)
    """What a future raises if a worker is gone: all chunks under way are lost with it."""

    def __init__(self, workers: int | None) -> None:
        affinity = getattr(os, "sched_getaffinity", None)
        self.workers = workers or (len(affinity(0)) if affinity else os.cpu_count() or 1)
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        # Not forked: the solvers and their parent may have threads.
        return ProcessPoolExecutor(self.workers, get_context("spawn"), initializer=_quiet)

    def submit(self, chunk: Chunk) -> Future[bytes]:
        """Have ``chunk`` drawn by an idle process."""
        try:
            return self._pool.submit(chunk.draw)
        except BrokenProcessPool:
            self._pool = self._new_pool()
            return self._pool.submit(chunk.draw)

    def close(self) -> None:
        """Stop when the chunks under way are done."""
        self._pool.shutdown(wait=False, cancel_futures=True)


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
    """Tasks on a Ray cluster, which needs forge-gym too: the one at ``$RAY_ADDRESS``, or a new one on this machine."""

    def __init__(self, workers: int | None) -> None:
        try:
            import ray
        except ImportError:
            raise ValueError("engine 'ray' needs Ray: pip install \"forge-gym[scale]\"") from None
        self._ray = ray
        new = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers}
        ray.init(**new, include_dashboard=False, log_to_driver=False)
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


ENGINES: dict[str, type[Local] | type[Ray]] = {"local": Local, "ray": Ray}


# ---------------------------------------------------------------------- streams


class _Stream:
    """The rows of one problem at one level in one split, in a file that grows in the order of the instances.

    A line of the file is a key, the index, and the final line; see `Chunk.draw`.
    """

    def __init__(self, folder: Path, want: int, others: set[int], first: Chunk) -> None:
        self.problem, self._first = first.problem, first
        self.want, self.others = want, others
        self.keys: set[int] = set()
        """Of 64 bits each: a table of millions must fit into memory."""
        self._waiting: dict[int, tuple[int, bytes]] = {}
        """Chunks that are drawn, start to stop and lines, while one before them is not."""
        self._counted = self._end = 0
        """Instances whose rows are in the file, and those that were given out."""
        self._last, self._speed = -1, _PROBE / CHUNK_S
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{self.problem.name}-{first.level}-{first.split}.jsonl"
        if self.path.exists():
            self._resume()

    def _resume(self) -> None:
        size = 0
        with self.path.open("rb") as file:
            for line in bounded(file):
                if not line.endswith(b"\n"):  # it was being written
                    break
                if not _LINE.fullmatch(line) or int(line.split(b" ", 2)[1]) <= self._last:
                    warnings.warn(f"{self.path} is damaged after {size} bytes, and is made again", stacklevel=3)
                    size, self._last = 0, -1
                    self.keys.clear()
                    break
                size += len(line)
                self._note(line)
        os.truncate(self.path, size)
        self._counted = self._end = self._last + 1

    def _note(self, line: bytes) -> None:
        key, index, _ = line.split(b" ", 2)
        self.keys.add(int(key, 16))
        self._last = int(index)

    def next(self, workers: int) -> Chunk | None:
        """Return what to do next; None if that depends on what is under way, or there are rows enough.

        The last chunks are small, so that all ``workers`` end at about the same time.
        """
        missing = self.want - len(self.keys)
        if self._counted:  # the share of the next instances that become rows is that of those before
            missing = round(missing * self._counted / max(len(self.keys), 1)) - (self._end - self._counted)
        if missing <= 0 or (self._end and not self._counted):
            return None
        start, size = self._end, min(CHUNK_S * self._speed, max(_PROBE, missing / (2 * workers)))
        self._end += min(missing, max(1, round(size)))
        return replace(self._first, start=start, stop=self._end)

    def store(self, chunk: Chunk, lines: bytes, seconds: float) -> int:
        """Take what a worker has drawn in so many seconds, no row twice; return the number of rows that are new.

        Raises
        ------
        ValueError
            If 1,000 instances in a row brought none.
        """
        before = len(self.keys)
        self._speed = (chunk.stop - chunk.start) / max(seconds, 1e-6)
        self._waiting[chunk.start] = chunk.stop, lines
        with self.path.open("ab") as file:
            while self._counted in self._waiting:
                self._counted, drawn = self._waiting.pop(self._counted)
                for line in drawn.splitlines(keepends=True):
                    key = int(line[:16], 16)
                    if len(self.keys) < self.want and key not in self.keys and key not in self.others:
                        file.write(line)
                        self._note(line)
        fruitless = self._counted - 1 - self._last
        if len(self.keys) < self.want and fruitless >= MAX_UNGRADED:
            raise ValueError(
                f"parameters of {self.problem.name} must leave room between trivial, greedy and proven optimum, and "
                f"for {self.want} different instances, got {len(self.keys)}, and no new one in {fruitless} further "
                f"draws from {self.problem!r}: try a larger size or level"
            )
        return len(self.keys) - before

    def lines(self) -> Iterator[bytes]:
        """Yield the final lines."""
        with self.path.open("rb") as file:
            for line in file:
                yield line.split(b" ", 2)[2]


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
    progress: Callable[[int], object] = lambda done: None,
) -> Path:
    """Write a data set, a file of JSON lines per split, or continue one; return its folder.

    Parameters
    ----------
    problems
        One or several; each gets an equal share of the rows, in turn.
    out
        The folder: new, empty, or of an interrupted call with the same settings.
    rows
        Number of rows of each split. No instance comes twice in a problem's rows at a level, and none of training
        is one of validation or test. Where there are few shapes, see `Problem.instance`, no two rows of validation or
        test are isomorphic, and none is to one of training.
    levels
        Difficulties, in turn; None keeps each problem's own parameters.
    seed
        Seed of the streams.
    layout
        Columns: ``plain``, or those of a trainer, which have the plain row in one column; see `LAYOUTS`.
    workers
        Processes; None for all processors that this one may use.
    engine
        ``local``, or ``ray``: a new cluster on this machine, or the one at ``$RAY_ADDRESS``.
    progress
        Called with the number of rows done since the last call.

    Raises
    ------
    ValueError
        Naming the parameter, the rule, the value and the nearest valid one; also if the folder holds other files.
    ChildProcessError
        If workers died three times while they drew the same instances.
    """
    streams = ladder(problems, levels)
    rows = _check(streams, rows)
    seed = check_int("seed", seed, 0)
    check_choice("layout", layout, LAYOUTS)
    check_choice("engine", engine, ENGINES)
    if workers is not None:
        workers = check_int("workers", workers, 1)
    out = Path(out)
    sizes = {split: rows[split] for split in SPLITS if rows.get(split)}
    members = [[level, found_by(problem), problem.version, problem.parameters] for level, problem in streams]
    settings = {"problems": members, "rows": sizes, "seed": seed, "layout": layout, "format": _FORMAT}
    with _claimed(out, settings):
        missing = _missing(out, sizes)
        if done := sum(size for split, size in sizes.items() if split not in missing):
            progress(done)
        if missing:
            _make(streams, out, sizes, missing, Chunk(streams[0][1], 0, seed, "", layout), workers, engine, progress)
        shutil.rmtree(out / _STATE / "parts", ignore_errors=True)
    return out


def _make(
    streams: Sequence[tuple[int, Problem[Any, Any]]],
    out: Path,
    sizes: Mapping[str, int],
    missing: Sequence[str],
    first: Chunk,
    workers: int | None,
    engine: str,
    progress: Callable[[int], object],
) -> None:
    """Write the splits that are ``missing``; ``first`` has the seed and the layout of all chunks."""
    parts, crew = out / _STATE / "parts", None
    others: set[int] = set()
    written = {split: (out / f"{split}.jsonl").stat().st_size for split in sizes if split not in missing}
    order = [*sizes][::-1]  # training comes last: it must know the others
    try:
        for split in order[: 1 + max(map(order.index, missing))]:
            size = sizes[split]
            drawn = [
                _Stream(
                    *(parts, len(range(i, size, len(streams))), others),
                    replace(first, problem=problem, level=level, split=split),
                )
                for i, (level, problem) in enumerate(streams)
            ]
            if split in missing:
                progress(sum(len(stream.keys) for stream in drawn))
            if any(len(stream.keys) < stream.want for stream in drawn):
                crew = crew or ENGINES[engine](workers)
                _draw(drawn, crew, progress if split in missing else lambda done: None)
            others = others.union(*(stream.keys for stream in drawn))
            if split in missing:
                _join(drawn, out / f"{split}.jsonl", parts / f"{split}.whole")
                written[split] = (out / f"{split}.jsonl").stat().st_size
    finally:
        if crew is not None:
            crew.close()
    with replacing(out / _SIZES) as temporary:
        temporary.write_text(json.dumps(written, sort_keys=True))


def _check(streams: Sequence[tuple[int, Problem[Any, Any]]], rows: Mapping[str, int]) -> dict[str, int]:
    check_known("rows", "split", rows, SPLITS)
    sizes = {split: check_int(f"rows of {split}", size, 0) for split, size in rows.items()}
    if not sum(sizes.values()):
        raise ValueError(f"rows must hold a positive number for a split, got {dict(rows)}")
    places = [(problem.name, level) for level, problem in streams]
    if len(set(places)) < len(places):
        raise ValueError(f"problems and levels must be distinct, got {places}")
    return sizes


@contextmanager
def _claimed(out: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Hold the folder for these settings, or refuse it."""
    settings = json.loads(json.dumps(settings))  # tuples become lists, as in the file
    if not (out / _STATE).exists() and out.exists() and any(out.iterdir()):
        raise ValueError(f"out must be a new or empty folder, got {out}, which holds other files")
    (out / _STATE).mkdir(parents=True, exist_ok=True)
    with (out / _LOCK).open("ab") as lock:
        hold(out / _LOCK, lock)
        path = out / _SETTINGS
        if path.exists():
            existing = _read(path)
            if existing != settings:
                different = [key for key in settings if existing.get(key) != settings[key]]
                raise ValueError(
                    f"out must be a new folder, or one of a run with the same settings, got {out}, whose settings "
                    f"differ in {', '.join(different)}: { ({key: existing.get(key) for key in different}) }"
                )
        elif foreign := [file.name for file in out.iterdir() if file.name != _STATE]:
            raise ValueError(f"out must be a new or empty folder, got {out}, which holds {foreign[0]}")
        else:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(settings, indent=1) + "\n")
        yield


def _read(path: Path) -> dict[str, Any]:
    """Return what a file of ours in the folder says."""
    try:
        data = load_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} is damaged: it is no JSON object")
    return data


def _missing(out: Path, sizes: Mapping[str, int]) -> list[str]:
    """Return the splits that are to be made, and name those that were lost or cut short after they had been made."""
    files = {split: out / f"{split}.jsonl" for split in sizes}
    if not (out / _SIZES).exists():  # the work was never finished
        return [*sizes]
    written = _read(out / _SIZES)
    found = {split: file.stat().st_size if file.exists() else 0 for split, file in files.items()}
    missing = [split for split in sizes if found[split] != written.get(split)]
    for split in missing:
        there = f"{found[split]} bytes of {written.get(split)}"
        warnings.warn(f"{files[split]} has {there}, and is made again", stacklevel=4)
    return missing


def _draw(streams: Sequence[_Stream], crew: Local | Ray, progress: Callable[[int], object]) -> None:
    """Have chunks drawn until every stream has its rows."""
    running: dict[Future[bytes], tuple[_Stream, Chunk, float]] = {}
    losses: Counter[Chunk] = Counter()
    turns = cycle(streams)
    while True:
        idle = 0
        while len(running) < crew.workers and idle < len(streams):
            stream = next(turns)
            chunk = stream.next(crew.workers)
            idle = idle + 1 if chunk is None else 0
            if chunk is not None:
                running[crew.submit(chunk)] = stream, chunk, time.perf_counter()
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            stream, chunk, started = running.pop(future)
            try:
                lines = future.result()
            except crew.lost as error:
                losses[chunk] += 1
                if losses[chunk] == _ATTEMPTS:
                    raise ChildProcessError(
                        f"workers died {_ATTEMPTS} times while they drew the instances {chunk.start} to "
                        f"{chunk.stop - 1} of {chunk.split} of {chunk.problem!r}: too little memory, or a script "
                        "that calls generate without `if __name__ == '__main__':`?"
                    ) from error
                running[crew.submit(chunk)] = stream, chunk, time.perf_counter()
            else:
                progress(stream.store(chunk, lines, time.perf_counter() - started))


def _join(streams: Sequence[_Stream], path: Path, temporary: Path) -> None:
    """Write a split, the streams in turn."""
    turns = cycle([stream.lines() for stream in streams])
    with temporary.open("wb") as file:
        file.writelines(next(lines) for lines in islice(turns, sum(stream.want for stream in streams)))
    temporary.replace(path)
