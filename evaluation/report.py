"""Tables of evaluations for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .evaluate import METRICS, Evaluation

if TYPE_CHECKING:
    from rich.table import Table


def evaluation_table(evaluations: Iterable[Evaluation]) -> Table:
    """Return one row per evaluation: each metric's mean with its 95 % bootstrap interval."""
    from rich.table import Table

    table = Table(title="mean [95 % bootstrap interval]", title_justify="left")
    for name in ("problem", "agent", "episodes"):
        table.add_column(name)
    for name in METRICS:
        table.add_column(name, justify="right", no_wrap=True)
    for evaluation in evaluations:
        numbers = (evaluation.estimate(metric) for metric in METRICS)
        table.add_row(
            evaluation.problem.name,
            evaluation.agent,
            str(len(evaluation.verdicts)),
            *(f"{number.mean:.3f} [{number.low:.3f}, {number.high:.3f}]" for number in numbers),
        )
    return table
