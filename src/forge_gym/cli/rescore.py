"""``forge-gym rescore``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from ..core.verdict import METRICS
from ..evaluation.report import changes, plain
from ..evaluation.runs import read_run, rescore, write_run
from ..evaluation.transcript import Call
from .options import MOVED, Json
from .terminal import print_json


def command(
    transcript: Annotated[Path, Argument(metavar="RUN.jsonl", help="what eval wrote")],
    out: Annotated[
        Path | None, Option(metavar="NEW.jsonl", help="write the run with the new verdicts")
    ] = None,
    suite: Annotated[str | None, Option(help=MOVED)] = None,
    json: Json = False,
) -> int:
    """Judge the replies of a transcript by the verifier of today; exit status 1 if a verdict changed."""
    before = read_run(transcript, suite)
    after, diffs = rescore(before)
    if out:
        write_run(after, out)
    calls = sum(map(len, before.calls.values()))
    if json:
        records = [
            {key: getattr(change.before, key) for key in ("row", "sample", "turn")}
            | {"before": _judged(change.before), "after": _judged(change.after)}
            for change in diffs
        ]
        totals = [run.evaluation().to_dict() if run.answered else None for run in (before, after)]
        print_json({"calls": calls, "changed": records, "before": totals[0], "after": totals[1]})
        return int(bool(diffs))
    print(
        f"{transcript}: {calls} replies of {plain(before.agent)} judged again, {len(diffs)} verdicts changed"
    )
    for line in changes(diffs):
        print(line)
    for title, run in (("stored", before), ("today", after)):
        if run.answered:
            evaluation = run.evaluation()
            numbers = [evaluation.estimate(metric, range(len(evaluation.rows))) for metric in METRICS]
            means = ", ".join(f"{metric} {n.mean:.4f}" for metric, n in zip(METRICS, numbers, strict=True))
            print(f"{title}: {means} over {len(evaluation.rows)} of {len(run.rows)} instances")
    return int(bool(diffs))


def _judged(call: Call) -> dict[str, Any]:
    return {"status": call.verdict.status, "quality": call.verdict.quality, "score": call.score}
