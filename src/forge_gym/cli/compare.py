"""``forge-gym compare``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Argument

from ..evaluation.report import comparison_table
from ..evaluation.runs import common_rows, read_run
from ..evaluation.statistics import compare
from .options import Json, Own
from .terminal import console, print_json, say


def command(
    transcripts: Annotated[list[Path], Argument(metavar="RUN.jsonl...", help="two or more transcripts of eval")],
    own: Own = None,
    json: Json = False,
) -> None:
    """Compare runs with the first one, instance by instance.

    Only instances that every run has answered count.
    """
    if len(transcripts) < 2:
        raise ValueError(f"compare needs two runs or more, got {len(transcripts)}")
    runs = [read_run(path) for path in transcripts]
    rows = common_rows(runs)
    taken = Counter(run.agent for run in runs)
    first, *others = (
        replace(run.evaluation(rows), agent=run.agent if taken[run.agent] == 1 else f"{run.agent} ({path})")
        for run, path in zip(runs, transcripts, strict=True)
    )
    if json:
        pairs = [
            {
                "one": other.agent,
                "other": first.agent,
                "groups": {label: found.to_dict() for label, found in compare(other, first).items()},
            }
            for other in others
        ]
        print_json({"instances": len(rows), "pairs": pairs})
        return
    for other in others:
        console().print(comparison_table(other, first), "")
    if len(rows) < len(runs[0].asked):
        say(f"{len(rows)} of {len(runs[0].asked)} instances have an answer in every run; the others do not count")
