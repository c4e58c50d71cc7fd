"""Tables of evaluations for a terminal, and the lines that say how a run stands and how it ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from textwrap import fill
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ..core.checks import short_repr
from ..core.foreign import visible
from ..core.verdict import METRICS
from ..data.rows import Asked
from .runs import Run, common_rows, described
from .statistics import COMPARED, Estimate, Evaluation, compare, groups

_EVERY_S = {True: 0.2, False: 30.0}
"""Seconds between two looks at a run, on a terminal and elsewhere: each sums up all replies."""
_ADVICE = {
    "cut off": "{count} of {total} replies were cut off{limit}: raise --max-new-tokens",
    "empty": "{count} of {total} replies were empty: check the model's chat template and what its server logs",
    "only thoughts": "{count} of {total} replies hold thoughts but no answer: raise --max-new-tokens, or let the "
    "model think less",
}
"""What is said of replies by their `Call.shortfall`."""


# ------------------------------------------------------------------------------------- tables


def _table(title: str, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> Group:
    """Return a table below its title."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return Group(Text(visible(title), style="italic"), table)


def _side_by_side(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return the names of the agents, folded so that their columns and one of problems fit into 80."""
    names = [visible(each.agent) for each in evaluations]
    widths = (width for width in range(25, 5, -1) if sum(min(len(name), width) + 2 for name in names) <= 63)
    width = next(widths, 5)
    return [fill(name, width) for name in names]


def _cell(estimate: Estimate, form: str = ".3f") -> Text:
    """Return a mean over its interval."""
    mean, low, high = (format(number, form) for number in estimate)
    return Text.assemble(f"{mean}\n", (f"{low} {high}", "dim"))


def evaluation_table(
    evaluations: Sequence[Evaluation], title: str = "", group: Sequence[int] | None = None, k: int = 1
) -> Group:
    """Return a table with a row for each agent: each mean over its 95 % bootstrap interval.

    Parameters
    ----------
    evaluations
        Of different agents on the same rows.
    title
        What was asked; by default the problem of the first row.
    group
        Positions of the rows that count; all by default.
    k
        Samples of which the best counts.
    """
    first = evaluations[0]
    title = title or f"{described(first.rows[0].problem)}: {len(first.rows)} instances"
    best = f", best of {k} samples" if k > 1 else ""
    rows = (
        [fill(visible(each.agent), 13), *(_cell(each.estimate(metric, group, k)) for metric in METRICS)]
        for each in evaluations
    )
    return _table(f"{title}{best}; mean over its 95 % interval", ("agent", *METRICS), rows)


def quality_table(evaluations: Sequence[Evaluation], title: str) -> Group:
    """Return the compact table: the mean quality of each agent on each problem, and over all instances."""
    rows = evaluations[0].rows
    lines = {**groups(rows, "problem"), "mean": range(len(rows))}
    cells = (
        [label, *(f"{each.estimate('quality', group).mean:.3f}" for each in evaluations)]
        for label, group in lines.items()
    )
    return _table(f"{title}: quality by problem", ("problem", *_side_by_side(evaluations)), cells)


def evaluation_tables(
    evaluations: Sequence[Evaluation], title: str, asked: Sequence[Asked], by: Sequence[str] = ()
) -> list[Group]:
    """Return the tables that ``forge-gym eval`` prints.

    Parameters
    ----------
    evaluations, title
        As of `evaluation_table`.
    asked
        All rows, also those without an answer.
    by
        Keys of `GROUPINGS`: each of their groups gets a table of its own.
    """
    rows, samples = evaluations[0].rows, evaluations[0].samples
    tables = []
    for grouping in ("overall", *by):
        whole = groups(asked, grouping)
        for label, group in groups(rows, grouping).items():
            size = f"{len(group)} of {len(whole[label])}" if len(group) < len(whole[label]) else len(group)
            of = "" if grouping == "overall" else f", {label}"
            for k in dict.fromkeys((1, samples)):
                tables.append(evaluation_table(evaluations, f"{title}{of}: {size} instances", group, k))
    if len(groups(rows, "problem")) > 1:
        tables.append(quality_table(evaluations, title))
    return tables


def comparison_table(one: Evaluation, other: Evaluation) -> Group:
    """Return what ``one`` has more than ``other``, for each problem and overall; see `compare`."""
    title = f"{one.agent} minus {other.agent}: {len(one.rows)} instances; paired difference over its 95 % interval"
    rows = (
        [
            label,
            *(_cell(found.estimates[metric], "+.3f") for metric in COMPARED),
            f"{found.wins}/{found.ties}/{found.losses}",
        ]
        for label, found in compare(one, other).items()
    )
    return _table(title, ("problem", *COMPARED, "win/tie/loss"), rows)


# ------------------------------------------------------------------------------------- runs


def shortfalls(run: Run) -> dict[str, int]:
    """Return how many replies were cut off, were empty, or hold only thoughts."""
    return {name: run.shortfalls[name] for name in _ADVICE}


def notes(run: Run) -> list[str]:
    """Return what a reader of a run's scores must know, and what to change."""
    options, total = run.header["options"], run.replies
    limit = options.get("max_tokens", options.get("max_new_tokens"))
    at = f" at {limit} tokens" if limit else ""
    counts = shortfalls(run).items()
    lines = [_ADVICE[name].format(count=count, total=total, limit=at) for name, count in counts if count]
    if run.missing:
        lines.append(f"{run.missing} of {len(run.verdicts)} episodes have no answer and are not scored")
    if run.changes:
        lines.append(f"{len(run.changes)} recorded verdicts were others: `forge-gym rescore` lists them")
    return lines


def summary(run: Run) -> list[str]:
    """Return lines on what a run took, and its `notes`."""
    parts = [f"{run.replies} replies"]
    tokens = run.total("prompt_tokens"), run.total("completion_tokens")
    if any(tokens):
        parts.append(f"{tokens[0]:.0f} prompt and {tokens[1]:.0f} completion tokens")
    if cost := run.total("cost"):
        parts.append(f"cost {cost:.4g}")
    return [f"{visible(run.agent)}: {line}" for line in (", ".join(parts), *notes(run))]


def runs_to_dict(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the scores of runs on the rows that all have answered as JSON-ready data."""
    try:
        rows = common_rows(runs)
    except ValueError:
        rows = []
    records = [
        {
            **(run.evaluation(rows).to_dict() if rows else {"agent": run.agent}),
            "unanswered": run.missing,
            "shortfalls": shortfalls(run),
            **{name: run.total(name) for name in ("prompt_tokens", "completion_tokens", "cost")},
        }
        for run in runs
    ]
    asked = {key: runs[0].header[key] for key in ("suite", "env")}
    return {**asked, "asked": len(runs[0].asked), "instances": len(rows), "results": records}


def _standing(run: Run) -> str:
    """Return one line on the scores, the costs and the failures of a run so far."""
    verdicts = [verdict for verdict in run.verdicts if verdict is not None]
    parts = [f"{name} {fmean(map(METRICS[name], verdicts)):.3f}" for name in ("success", "quality") if verdicts]
    if tokens := run.total("prompt_tokens") + run.total("completion_tokens"):
        parts.append(f"{tokens:.0f} tokens")
    if cost := run.total("cost"):
        parts.append(f"cost {cost:.4g}")
    if run.failures:
        parts.append(f"unanswered {run.failures}: {short_repr(visible(run.error), 60)}")
    return ", ".join(parts)


@contextmanager
def watching(title: str, console: Console) -> Iterator[Callable[[Run], object]]:
    """Show running scores: a bar on a terminal, elsewhere a line now and then; yield what wants to be told."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}", markup=False),  # last, where a narrow terminal cuts
    )
    bar: TaskID | None = None
    told_at = time.monotonic()  # decides when something is printed, nothing else

    def tell(run: Run) -> None:
        nonlocal bar, told_at
        if console.is_terminal and bar is None:  # what an earlier process did does not count for the speed
            bar = progress.add_task(visible(title), total=len(run.verdicts), completed=run.finished, said="")
        if time.monotonic() - told_at < _EVERY_S[console.is_terminal]:
            return
        told_at = time.monotonic()
        if bar is not None:
            progress.update(bar, completed=run.finished, said=_standing(run))
        else:
            stands = f"{run.finished} of {len(run.verdicts)}, {_standing(run)}"
            print(f"{visible(title)}: {stands}", file=sys.stderr, flush=True)

    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield tell


def changes(run: Run, lines: int = 10) -> list[str]:
    """Return which verdicts changed since a run was recorded: the first ``lines`` of them."""
    listing = []
    for line, call in run.changes[:lines]:
        now = call.judged.verdict
        status, quality = (str(line.verdict.get(name))[:20] for name in ("status", "quality"))
        listing.append(
            f"{visible(line.row)}, sample {line.sample}, turn {line.turn}: {status} -> {now.status}, "
            f"quality {quality} -> {now.quality:.3f}, score {line.score:.3f} -> {call.judged.score:.3f}"
            + (f" ({short_repr(now.reason, 100)})" if now.reason else "")
        )
    if len(run.changes) > lines:
        listing.append(f"and {len(run.changes) - lines} more")
    return listing
