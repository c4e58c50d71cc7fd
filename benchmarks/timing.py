"""Process CPU time of short work, measured by turns so that a busy machine slows all alike."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Work: TypeAlias = Callable[[], object]
Row: TypeAlias = dict[str, Any]

_PROBE = "import time; print(time.process_time(), open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def seconds(work: Work, loops: int) -> float:
    """Return the process CPU seconds of ``loops`` calls."""
    start = time.process_time()
    for _ in range(loops):
        work()
    return time.process_time() - start


def enough(work: Work, least: float) -> int:
    """Return a number of calls, a power of 2, that takes at least ``least`` seconds."""
    loops = 1
    while seconds(work, loops) < least:
        loops *= 2
    return loops


def interleaved(works: Sequence[Work], repeats: int, least: float = 0.03) -> list[list[float]]:
    """Return for each work its microseconds a call, once a repeat; in every repeat all take their turn."""
    loops = [enough(work, least) for work in works]
    turns = [
        [seconds(work, count) / count * 1e6 for work, count in zip(works, loops, strict=True)] for _ in range(repeats)
    ]
    return [list(times) for times in zip(*turns, strict=True)]


def spread(times: Sequence[float]) -> tuple[float, float, float]:
    """Return median, least and interquartile range of at least two times.

    Examples
    --------
    >>> spread([4.0, 1.0, 3.0, 2.0, 5.0])
    (3.0, 1.0, 2.0)
    """
    low, middle, high = statistics.quantiles(times, n=4, method="inclusive")
    return middle, min(times), high - low


def judged(ours: Sequence[float], theirs: Sequence[float], floor: float | None, per: int = 1) -> Row:
    """Return the fields of a row that hold times of ``per`` pieces of work against the least ratio wanted."""
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    row: Row = {"ratio": ratio, "floor": floor, "ok": floor is None or ratio >= floor}
    for side, times in (("ours", ours), ("peer", theirs)):
        median, least, iqr = (value / per for value in spread(times))
        row |= {f"{side}_us": median, f"{side}_min": least, f"{side}_iqr": iqr}
    return row


@dataclass(frozen=True)
class Race:
    """One kind of work, by us and by a peer."""

    id: str
    problem: str
    size: int
    peer: str
    ours: Work
    theirs: Work
    floor: float | None = None
    """Least ratio of their time to ours."""
    per: int = 1
    """Pieces of work in a call."""
    note: str = ""

    def run(self, repeats: int) -> Row:
        """Return the row of this race."""
        row: Row = {key: getattr(self, key) for key in ("id", "problem", "size", "peer", "note")}
        ours, theirs = interleaved([self.ours, self.theirs], repeats)
        return row | judged(ours, theirs, self.floor, self.per)


def imports(modules: Sequence[str], repeats: int, path: Path | None = None) -> list[list[tuple[float, float]]]:
    """Return for each module and repeat the CPU microseconds of its import, and megabytes, in a fresh interpreter.

    The time is that beyond the interpreter's own; ``path`` is where modules are looked for last.
    """

    def once(statement: str) -> tuple[float, float]:
        code = f"import sys; sys.path.append({str(path)!r}); {statement}; {_PROBE}"
        out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        spent, kilobytes = map(float, out.splitlines()[-1].split())
        return spent * 1e6, kilobytes / 1024

    turns = [[once(s) for s in ("pass", *(f"import {m}" for m in modules))] for _ in range(repeats)]
    return [[(turn[k][0] - turn[0][0], turn[k][1]) for turn in turns] for k in range(1, len(modules) + 1)]
