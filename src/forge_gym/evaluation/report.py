"""Tables of evaluations for a terminal, and the line that says how a run stands."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ..core.checks import short_repr
from ..core.verdict import METRICS
from .evaluate import Evaluation
from .score import SuiteEvaluation, groups
from .stats import Estimate

if TYPE_CHECKING:
    from ..data.suite import Row
    from .runs import Change, Run, Tally

_EVERY_S = 30.0
"""Seconds between the lines about a run where there is no terminal."""


def plain(text: str) -> str:
    r"""Return ``text`` without control characters, which a terminal would obey.

    Examples
    --------
    >>> plain("a model\x1b[2J")
    'a model?[2J'
    """
    return "".join(character if character.isprintable() else "?" for character in text)


# ------------------------------------------------------------------------------------- tables


def _table(title: str) -> Table:
    return Table(title=Text(plain(title), style="table.title"), title_justify="left")


def _means(title: str, columns: Sequence[str], rows: Sequence[tuple[str, list[Estimate]]]) -> Table:
    """Return a table of means over their intervals, a row for each agent."""
    table = _table(f"{title}, mean and 95 % bootstrap interval")
    table.add_column("agent", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for agent, estimates in rows:
        cells = (f"{mean:.3f}\n[dim]{low:.3f} {high:.3f}[/dim]" for mean, low, high in estimates)
        table.add_row(Text(plain(agent)), *cells)
    return table


def suite_tables(
    evaluations: Sequence[SuiteEvaluation],
    title: str,
    labels: Sequence[str],
    asked: Sequence[Row] | None = None,
) -> list[Table]:
    """Return one table per group of a suite in ``labels``, and one of the published metric.

    Parameters
    ----------
    evaluations
        Of different agents on the same rows.
    title
        Of the suite.
    labels
        Groups of `groups`; one without an answered row gets no table.
    asked
        All rows that were asked, if some have no answer.
    """
    tables = []
    first = evaluations[0]
    k = first.samples
    columns = {metric: (metric, 1) for metric in METRICS}
    if k > 1:
        columns |= {f"{metric} best@{k}": (metric, k) for metric in ("success", "quality", "optimal")}
    answered, whole = first.groups(), groups(first.rows if asked is None else asked)
    for label in filter(answered.__contains__, labels):
        group = answered[label]
        rows = [
            (evaluation.agent, [evaluation.estimate(metric, group, of) for metric, of in columns.values()])
            for evaluation in evaluations
        ]
        size = _size(len(group), len(whole[label]), "instances")
        tables.append(_means(f"{title}, {label}: {size}", list(columns), rows))
    return [*tables, _published(evaluations, title)]


def _size(answered: int, asked: int, what: str) -> str:
    return f"{answered} {what}" if answered == asked else f"{answered} answered of {asked} {what}"


def _published(evaluations: Sequence[SuiteEvaluation], title: str) -> Table:
    table = _table(f"{title}, published metric: SR / QR in %, best of up to 3 samples")
    table.add_column("")
    for evaluation in evaluations:
        table.add_column(Text(plain(evaluation.agent)), justify="right")
    scores = [evaluation.published() for evaluation in evaluations]
    for label in scores[0]:
        table.add_row(label, *(f"{100 * s[label]['SR']:.1f} / {100 * s[label]['QR']:.1f}" for s in scores))
    return table


def evaluation_table(evaluations: Sequence[Evaluation], asked: int | None = None) -> Table:
    """Return a table of the evaluations of one problem: each mean over its 95 % bootstrap interval.

    ``asked`` is the number of instances, if some have no answer.
    """
    first = evaluations[0]
    answered = len(first.verdicts)
    rows = [
        (evaluation.agent, [evaluation.estimate(metric) for metric in METRICS]) for evaluation in evaluations
    ]
    return _means(f"{first.problem!r}: {_size(answered, asked or answered, 'episodes')}", list(METRICS), rows)


# ------------------------------------------------------------------------------------- runs


def _count(number: float) -> str:
    """Return a count that stays short.

    Examples
    --------
    >>> _count(950), _count(12_345), _count(3_210_000)
    ('950', '12.3k', '3.2M')
    """
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:.0f}"


def standing(tally: Tally) -> str:
    """Return one line on the scores, the tokens and the failures of a run so far."""
    parts = []
    if tally.finished:
        parts += [
            f"success {tally.success / tally.finished:.3f}",
            f"quality {tally.quality / tally.finished:.3f}",
        ]
    if tally.prompt_tokens or tally.completion_tokens:
        parts.append(f"tokens {_count(tally.prompt_tokens)} in, {_count(tally.completion_tokens)} out")
    if tally.cost:
        parts.append(f"cost {tally.cost:.4g}")
    if tally.failures:
        parts.append(f"unanswered {tally.failures}")
    return ", ".join(parts)


def summary(run: Run) -> str:
    """Return one line on what a run took and what it left unanswered."""
    calls = sum(map(len, run.calls.values()))
    parts = [f"{calls} calls"]
    tokens = run.total("prompt_tokens"), run.total("completion_tokens")
    if any(tokens):
        parts.append(f"{tokens[0]:.0f} prompt and {tokens[1]:.0f} completion tokens")
    if cost := run.total("cost"):
        parts.append(f"cost {cost:.4g}")
    return f"{plain(run.agent)}: {', '.join(parts)}, {run.missing} of {run.episodes} episodes unanswered"


@contextmanager
def watching(title: str, console: Console) -> Iterator[Callable[[Tally], object]]:
    """Show running scores: a bar on a terminal, elsewhere a line now and then; yield what wants to be told."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}", markup=False),  # last, where a narrow terminal cuts
    )
    bar: TaskID | None = None
    printed_at = time.monotonic()  # decides when a line is printed, nothing else

    def tell(tally: Tally) -> None:
        nonlocal bar, printed_at
        if console.is_terminal:
            if bar is None:  # what an earlier process did does not count for the speed
                bar = progress.add_task(plain(title), total=tally.episodes, completed=tally.finished, said="")
            progress.update(bar, completed=tally.finished, said=standing(tally))
        elif time.monotonic() - printed_at >= _EVERY_S:
            printed_at = time.monotonic()
            print(
                f"{plain(title)}: {tally.finished} of {tally.episodes}, {standing(tally)}",
                file=sys.stderr,
                flush=True,
            )

    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield tell


def changes(found: Sequence[Change], lines: int = 10) -> list[str]:
    """Return what rescoring changed: the number of each change of status, then the first ``lines`` of them."""
    counts = Counter(
        f"{before} -> {after}" if before != after else f"{before}, other numbers"
        for before, after in ((change.before.verdict.status, change.after.verdict.status) for change in found)
    )
    listing = [f"{count} x {kind}" for kind, count in counts.most_common()]
    for change in found[:lines]:
        a, b = change.before, change.after
        listing.append(
            f"{plain(a.row)}, sample {a.sample}, turn {a.turn}: {a.verdict.status} -> {b.verdict.status}, "
            f"quality {a.verdict.quality:.3f} -> {b.verdict.quality:.3f}, score {a.score:.3f} -> {b.score:.3f}"
            + (f" ({short_repr(b.verdict.reason, 100)})" if b.verdict.reason else "")
        )
    if len(found) > lines:
        listing.append(f"and {len(found) - lines} more")
    return listing
