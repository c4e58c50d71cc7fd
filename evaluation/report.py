"""Tables of evaluations for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .evaluate import METRICS, Evaluation

if TYPE_CHECKING:
    from rich.table import Table


def evaluation_table(evaluations: Sequence[Evaluation]) -> Table:
    """Return a table of the evaluations of one problem: each mean over its 95 % bootstrap interval."""
    from rich.table import Table

    first = evaluations[0]
    title = f"{first.problem!r}: {len(first.verdicts)} episodes, mean and 95 % bootstrap interval"
    table = Table(title=title, title_justify="left")
    table.add_column("agent")
    for name in METRICS:
        table.add_column(name, justify="right", no_wrap=True)
    for evaluation in evaluations:
        numbers = [evaluation.estimate(metric) for metric in METRICS]
        cells = [f"{n.mean:.3f}\n[dim]{n.low:.3f} {n.high:.3f}[/dim]" for n in numbers]
        table.add_row(evaluation.agent, *cells)
    return table
