"""Process CPU time of short work, measured by turns so that a busy machine slows all alike; and the table of a program.

A *goal* is a ratio that was wanted before it was measured. A *floor*, four fifths of it, is what a run must reach: a
busy machine takes away no more than that. A *share* is the part of a training step that our work takes: of GRPO with
512 rollouts, 8 on each of 64 instances, of 1,000 tokens each, at 20,000 tokens a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Work: TypeAlias = Callable[[], object]
Row: TypeAlias = dict[str, Any]

FLOOR = 0.8
"""A floor as a share of the goal."""
STEP_S = 512 * 1000 / 20_000
"""Seconds of a training step."""
A_STEP = {"GEN": 64, "GEN+PROMPT": 64, "COMPILE": 64, "LABEL": 64, "BATCH": 1, "GENERATE": 0, "COLD": 0}
"""How often a step does what is timed, by its first word: where not given, for each of 512 rollouts."""
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


def judged(ours: Sequence[float], theirs: Sequence[float], goal: float | None) -> Row:
    """Return the fields of a row that hold times against the ratio wanted.

    Examples
    --------
    >>> judged([1.0, 2.0, 1.0], [3.0, 6.0, 2.0], goal=3.5)
    {'ratio': 3.0, 'ours_us': 1.0, 'peer_us': 3.0, 'goal': 3.5, 'ok': True}
    """
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    return {"ratio": ratio, "ours_us": statistics.median(ours), "peer_us": statistics.median(theirs)} | held(
        ratio, goal
    )


def held(ratio: float, goal: float | None) -> Row:
    """Return the goal of a ratio, and whether it is above its floor."""
    return {"goal": goal, "ok": goal is None or ratio >= FLOOR * goal}


def share(id: str, us: float) -> float:
    """Return the part of a training step that work of ``us`` microseconds takes."""
    return A_STEP.get(id.split()[0].rstrip(","), 512) * us / 1e6 / STEP_S


@dataclass(frozen=True)
class Race:
    """One kind of work, by us and by a peer."""

    id: str
    problem: str
    size: int
    peer: str
    ours: Work
    theirs: Work
    goal: float | None = None
    """Ratio wanted of their time to ours."""
    per: int = 1
    """Pieces of work in a call."""
    note: str = ""

    def run(self, repeats: int) -> Row:
        """Return the row of this race."""
        row: Row = {key: getattr(self, key) for key in ("id", "problem", "size", "peer", "note")}
        turns = interleaved([self.ours, self.theirs], repeats)
        ours, theirs = ([time / self.per for time in times] for times in turns)
        return row | judged(ours, theirs, self.goal)


def line(row: Row) -> str:
    """Return a row as a line of the table: the work, our time, its share of a step, the peer's time, and the ratio."""
    said = f"{row.get('peer', ''):13} {row['problem']:18} {row['size'] or '':>5} {row['id']:26}"
    us = row.get("ours_us")
    said += " " * 28 if us is None else f" {us:12.1f} us {share(row['id'], us):11.4%}"
    if "ratio" in row:
        said += f" {row['peer_us']:12.1f} us" if "peer_us" in row else " " * 16
        said += f" {row['ratio']:8.2f} x"
    if (goal := row.get("goal")) is not None:
        verdict = "met" if row["ratio"] >= goal else "missed" if row["ok"] else "BELOW THE FLOOR"
        said += f"  goal {goal:g}: {verdict}"
    elif not row.get("ok", True):
        said += "  MISSED"
    return f"{said}  {row.get('note', '')}".rstrip()


def program(
    doc: str | None,
    measure: Callable[[argparse.Namespace], Iterable[Row]],
    arguments: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
    line: Callable[[Row], str] = line,
    repeats: int = 7,
) -> int:
    """Run a benchmark from the command line: print each row when it is there; return 1 where one is not ok."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the rows there too")
    parser.add_argument("--repeats", type=int, default=repeats, help="at least 2")
    parser.add_argument("--only", default="", help="only what has all these words in peer, problem and work")
    arguments(parser)
    given = parser.parse_args()
    rows = []
    for row in measure(given):
        rows.append(row)
        print(line(row), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))
    return int(not all(row.get("ok", True) for row in rows))


def wanted(only: str, *named: str) -> bool:
    """Whether a row of these names is asked for."""
    return all(word in " ".join(named) for word in only.split())


def imports(modules: Sequence[str], repeats: int) -> Iterator[list[tuple[float, float]]]:
    """Yield for each module the CPU microseconds of its imports, and megabytes, each in a fresh interpreter.

    The time is that beyond the interpreter's own.
    """

    def once(statement: str) -> tuple[float, float]:
        code = f"{statement}; {_PROBE}"
        out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        spent, kilobytes = map(float, out.splitlines()[-1].split())
        return spent * 1e6, kilobytes / 1024

    turns = [[once(s) for s in ("pass", *(f"import {m}" for m in modules))] for _ in range(repeats)]
    for k in range(1, len(modules) + 1):
        yield [(turn[k][0] - turn[0][0], turn[k][1]) for turn in turns]
