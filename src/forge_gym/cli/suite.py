"""``forge-gym suite``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ..core.checks import check_int
from ..data.rows import write
from ..data.suite import BENCHMARK, LEVELS, PER_LEVEL, PROBLEMS, SEED, content_hash, locate
from ..data.suite import build as build_suite
from ..data.suite import verify as verify_suite
from .options import Envs, Levels, Set, make_problems
from .terminal import progress_bar, resumable

HELP = "Frozen, certified instances: build, verify, import."


def build(
    env: Envs = None,
    levels: Levels = None,
    set: Set = None,
    per_level: Annotated[int, Option(help="number of instances per problem and level")] = PER_LEVEL,
    seed: Annotated[int, Option(help="seed of the stream of instances, in the test split")] = SEED,
    out: Annotated[Path, Option(help="file to write; compressed if it ends in .gz")] = Path(f"{BENCHMARK}.jsonl.gz"),
) -> None:
    """Draw and certify a suite; without --env, the benchmark.

    The same command continues a run that was interrupted. Without --levels, the problems keep their own sizes.
    Without --set, their families of instances come in turn.
    """
    problems = make_problems(env, set) if set else env or PROBLEMS
    levels = levels or (None if env or set else list(LEVELS))
    total = len(problems) * len(levels or [-1]) * per_level
    with resumable(), progress_bar("certifying", total) as advance:
        digest = build_suite(out, problems, levels, per_level, seed, advance)
    print(f"wrote {out}: {total} instances, content {digest}")
    print(f"next: forge-gym eval --suite {out} --agent greedy")


def verify(
    suite: Annotated[str, Argument(help="name of a suite, or its file")] = BENCHMARK,
    sample: Annotated[int, Option(help="number of rows to solve again from nothing")] = 50,
) -> int:
    """Check the hash, solution and reference objectives of every row, and solve a sample again."""
    check_int("--sample", sample, 0)
    path = locate(suite)
    with progress_bar("verifying", None) as advance:
        faults = verify_suite(path, sample, advance)
    for fault in faults[:50]:
        print(fault, file=sys.stderr)
    outcome = f"{len(faults)} faults" if faults else "every hash, solution, reference objective and sampled proof holds"
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
    proven = sum(row.reference.proven for row in rows)
    write(out, (row.to_json() for row in rows))
    print(f"wrote {out}: {len(rows)} instances, {proven} proven, content {content_hash(rows)}")


ACTIONS = {"build": build, "verify": verify, "import": import_published}
