"""Tables of evaluations for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .evaluate import METRICS, Evaluation

if TYPE_CHECKING:
    from rich.table import Table

    from .score import SuiteEvaluation


def suite_tables(evaluations: Sequence[SuiteEvaluation], title: str, labels: Sequence[str]) -> list[Table]:
    """Return one table per group of a suite in ``labels``, and one of the published metric."""
    from rich.table import Table

    tables = []
    first = evaluations[0]
    columns = [(metric, 1) for metric in METRICS]
    if first.samples > 1:
        columns += [(metric, first.samples) for metric in ("success", "quality", "optimal")]
    for label in labels:
        group = first.groups()[label]
        head = f"{title}, {label}: {len(group)} instances, mean and 95 % bootstrap interval"
        table = Table(title=head, title_justify="left")
        table.add_column("agent", no_wrap=True)
        for metric, k in columns:
            table.add_column(metric if k == 1 else f"{metric} best@{k}", justify="right", no_wrap=True)
        for evaluation in evaluations:
            numbers = [evaluation.estimate(metric, group, k) for metric, k in columns]
            cells = [f"{n.mean:.3f}\n[dim]{n.low:.3f} {n.high:.3f}[/dim]" for n in numbers]
            table.add_row(evaluation.agent, *cells)
        tables.append(table)
    scores = {evaluation.agent: evaluation.to_dict()["published"] for evaluation in evaluations}
    table = Table(
        title=f"{title}, published metric: SR / QR in %, best of up to 3 samples", title_justify="left"
    )
    table.add_column("")
    for agent in scores:
        table.add_column(agent, justify="right")
    for label in next(iter(scores.values())):
        cells = [
            f"{100 * score[label]['SR']:.1f} / {100 * score[label]['QR']:.1f}" for score in scores.values()
        ]
        table.add_row(label, *cells)
    return [*tables, table]


def evaluation_table(evaluations: Sequence[Evaluation]) -> Table:
    """Return a table of the evaluations of one problem: each mean over its 95 % bootstrap interval."""
    from rich.table import Table

    first = evaluations[0]
    title = f"{first.problem!r}: {len(first.verdicts)} episodes, mean and 95 % bootstrap interval"
    table = Table(title=title, title_justify="left")
    table.add_column("agent", no_wrap=True)
    for name in METRICS:
        table.add_column(name, justify="right", no_wrap=True)
    for evaluation in evaluations:
        numbers = [evaluation.estimate(metric) for metric in METRICS]
        cells = [f"{n.mean:.3f}\n[dim]{n.low:.3f} {n.high:.3f}[/dim]" for n in numbers]
        table.add_row(evaluation.agent, *cells)
    return table
