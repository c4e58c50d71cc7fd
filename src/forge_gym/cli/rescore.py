"""``forge-gym rescore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ..core.verdict import METRICS
from ..data.rows import new_file
from ..evaluation.report import changes
from ..evaluation.runs import read_run, write_run
from ..evaluation.transcript import verdict_to_dict
from .options import Json, Own
from .terminal import print_json, say


def command(
    transcript: Annotated[Path, Argument(metavar="RUN.jsonl", help="transcript of eval")],
    out: Annotated[
        Path | None, Option(metavar="NEW.jsonl", help="new transcript to write, with the new verdicts")
    ] = None,
    own: Own = None,
    json: Json = False,
) -> int:
    """Judge the replies of a transcript again.

    The exit status is 1 if a verdict changed.
    """
    if out:
        new_file(out, ".jsonl")
    run = read_run(transcript)
    if out:
        write_run(run, out)
    evaluation = run.evaluation() if run.answered else None
    if json:
        changed = [
            {
                "row": line.row,
                "sample": line.sample,
                "turn": line.turn,
                "before": {**line.verdict, "score": line.score},
                "after": {**verdict_to_dict(call.judged.verdict), "score": call.judged.score},
            }
            for line, call in run.changes
        ]
        today = evaluation.to_dict() if evaluation else None
        print_json({"replies": run.replies, "changed": changed, "today": today})
        return int(bool(run.changes))
    judged = f"{run.replies} replies of {run.agent} judged again"
    say(f"{transcript}: {judged}, {len(run.changes)} verdicts changed", *changes(run))
    if evaluation:
        means = ", ".join(f"{metric} {evaluation.estimate(metric).mean:.4f}" for metric in METRICS)
        say(f"today: {means} over {len(evaluation.rows)} of {len(run.asked)} instances")
    return int(bool(run.changes))
