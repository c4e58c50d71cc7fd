"""``forge-gym suite``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ..core.checks import check_int
from ..data.suite import BENCHMARK, LEVELS, PROBLEMS, locate, write
from ..data.suite import build as build_suite
from ..data.suite import verify as verify_suite
from .terminal import progress_bar, resumable

HELP = "Frozen, certified instances: build, verify, import."


def build(
    out: Annotated[Path, Option(help="file to write")] = Path(f"{BENCHMARK}.jsonl.gz"),
    per_level: Annotated[int, Option(help="instances per problem and level")] = 10,
) -> None:
    """Draw and certify the benchmark; goes on where it was stopped."""
    check_int("--per-level", per_level, 1)
    total = len(PROBLEMS) * len(LEVELS) * per_level
    with resumable(), progress_bar("certifying", total) as advance:
        digest = build_suite(out, _name(out), per_level, advance)
    print(f"wrote {out}: {total} instances, content {digest}")


def verify(
    suite: Annotated[str, Argument(help="name or file")] = BENCHMARK,
    sample: Annotated[int, Option(help="rows to solve again from nothing")] = 50,
) -> int:
    """Check every hash, witness and anchor, and solve a sample again."""
    check_int("--sample", sample, 0)
    path = locate(suite)
    with progress_bar("verifying", None) as advance:
        faults = verify_suite(path, sample, advance)
    for fault in faults[:50]:
        print(fault, file=sys.stderr)
    outcome = f"{len(faults)} faults" if faults else "every hash, witness, anchor and sampled proof holds"
    print(f"{path}: {outcome}")
    return int(bool(faults))


def import_published(
    file: Annotated[list[Path], Argument(help="JSON files in the published format")],
    out: Annotated[Path, Option(help="file to write")],
) -> None:
    """Read published instances into a suite, certified anew."""
    from ..data.published import import_rows

    with progress_bar("certifying", None) as advance:
        rows = [row for path in file for row in import_rows(path, advance)]
    proven = sum(row.certificate.proven for row in rows)
    digest = write(out, _name(out), [row.to_json() for row in rows])
    print(f"wrote {out}: {len(rows)} instances, {proven} proven, content {digest}")


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


ACTIONS = {"build": build, "verify": verify, "import": import_published}
