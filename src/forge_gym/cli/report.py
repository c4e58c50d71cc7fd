"""``forge-gym report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from .options import Json, Own, extra
from .terminal import print_json, progress_bar, say


def command(
    transcripts: Annotated[list[Path], Argument(metavar="RUN.jsonl...", help="transcript of eval")],
    out: Annotated[Path, Option(help="HTML file to write: a new one, or an earlier report")] = Path("report.html"),
    gallery: Annotated[int, Option(metavar="N", help="number of answers that are drawn for each problem")] = 6,
    own: Own = None,
    json: Json = False,
    open: Annotated[bool, Option("--open", help="open the page in the browser")] = False,
) -> None:
    """Write an HTML page on one or more runs.

    With --json, print the scores instead.
    """
    from ..evaluation.html_report import check_report, write_report
    from ..evaluation.report import runs_to_dict
    from ..evaluation.runs import read_run

    if not json:
        check_report(out)
    runs = [read_run(path) for path in transcripts]
    if json:
        print_json(runs_to_dict(runs))
        return
    with extra("viz"):
        import jinja2  # noqa: F401 - only to say at once that it is missing
        import matplotlib  # noqa: F401
    with progress_bar("report", None) as progress:
        try:
            write_report(runs, out, gallery=gallery, progress=progress)
        except OSError as error:
            raise ValueError(f"--out must be a file that can be written, got {str(out)!r}: {error}") from None
    say(f"wrote {out}: {out.stat().st_size:,} bytes")
    if open:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())
