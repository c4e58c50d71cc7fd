"""``forge-gym suite``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from ..core.checks import check_int, short_repr
from ..data.rows import SUITE_ENDINGS, new_file, write
from ..data.suite import BENCHMARK, LEVELS, PER_LEVEL, PROBLEMS, SEED, SuiteError, content_hash, locate
from ..data.suite import build as build_suite
from ..data.suite import verify as verify_suite
from .options import Envs, Levels, Own, Set, make_problems, own_of
from .terminal import progress_bar, resumable, say

_OUT = "new file, plain (.jsonl) or compressed (.jsonl.gz)"
HELP = "Frozen, certified instances: build, verify, import."


def build(
    env: Envs = None,
    levels: Levels = None,
    set: Set = None,
    per_level: Annotated[int, Option(help="number of instances per problem and level")] = PER_LEVEL,
    seed: Annotated[int, Option(help="seed of the stream of instances, in the test split")] = SEED,
    out: Annotated[Path, Option(help=_OUT)] = Path(f"{BENCHMARK}.jsonl.gz"),
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
    say(f"wrote {out}: {total} instances, content {digest}")
    say(f"next: forge-gym eval --suite {out} --agent greedy{own_of(problems)}")


def verify(
    suite: Annotated[str, Argument(help="name of a suite, or its file")] = BENCHMARK,
    sample: Annotated[int, Option(help="number of rows to solve again from nothing")] = 50,
    own: Own = None,
) -> int:
    """Check the hash, solution and reference objectives of every row, and solve a sample again."""
    check_int("--sample", sample, 0)
    path = locate(suite)
    with progress_bar("verifying", None) as advance:
        faults = verify_suite(path, sample, advance)
    for fault in faults[:50]:
        say(fault, error=True)
    outcome = f"{len(faults)} faults" if faults else "every hash, solution, reference objective and sampled proof holds"
    say(f"{path}: {outcome}")
    return int(bool(faults))


def import_published(
    file: Annotated[list[Path], Argument(help="JSON files in the published format")],
    out: Annotated[Path, Option(help=_OUT)],
    task: Annotated[str, Option(help="task of the instances, where a file does not state it, such as tsp")] = "",
) -> None:
    """Read published instances into a suite, certified anew."""
    from ..data.published import import_rows

    new_file(out, *SUITE_ENDINGS)
    with progress_bar("certifying", None) as advance:
        rows = [row for path in file for row in import_rows(path, advance, task)]
    for id, count in Counter(row.id for row in rows).items():
        if count > 1:
            raise SuiteError(f"ids must be distinct in all files together, got {short_repr(id)} {count} times")
    proven = sum(row.reference.proven for row in rows)
    write(out, (row.to_json() for row in rows))
    say(f"wrote {out}: {len(rows)} instances, {proven} proven, content {content_hash(rows)}")


ACTIONS = {"build": build, "verify": verify, "import": import_published}
