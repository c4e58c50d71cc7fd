"""``forge-gym generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from ..data.generate import ENGINES, LAYOUTS
from ..data.generate import generate as write
from .options import Envs, Levels, Seed, Set, make_problems, own_of
from .terminal import progress_bar, resumable, say


def command(
    out: Annotated[Path, Option(help="new folder for the files, or one to continue")],
    env: Envs = None,
    set: Set = None,
    levels: Levels = None,
    train: Annotated[
        int, Option(metavar="ROWS", help="number of rows of the train split, over all problems and levels")
    ] = 0,
    validation: Annotated[int, Option(metavar="ROWS", help="number of rows of the validation split")] = 0,
    test: Annotated[int, Option(metavar="ROWS", help="number of rows of the test split")] = 0,
    layout: Annotated[
        str, Option(help=f"columns: plain, or those of a trainer; one of {', '.join(LAYOUTS)}")
    ] = "plain",
    seed: Seed = 0,
    workers: Annotated[int | None, Option(help="number of processes; one per processor by default")] = None,
    engine: Annotated[str, Option(help=f"place of the workers: one of {', '.join(ENGINES)}")] = "local",
) -> None:
    """Write a data set of certified rows as JSON lines.

    The same command continues a run that was interrupted.
    """
    rows = {"train": train, "validation": validation, "test": test}
    problems = make_problems(env, set)
    with resumable(), progress_bar("generate", sum(rows.values())) as progress:
        write(
            *(problems, out, rows),
            levels=levels,
            seed=seed,
            layout=layout,
            workers=workers,
            engine=engine,
            progress=progress,
        )
    say(f"wrote {out}: {', '.join(f'{size} rows of {split}' for split, size in rows.items() if size)}")
    if test:
        say(f"next: forge-gym eval --suite {out / 'test.jsonl'} --agent greedy{own_of(problems)}")
