"""``forge-gym generate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from ..data.generate import ENGINES, LAYOUTS
from ..data.generate import generate as write
from .options import Envs, Levels, Seed, Set, make_problems
from .terminal import progress_bar, resumable


def command(
    out: Annotated[Path, Option(help="folder to write")],
    env: Envs = None,
    set: Set = None,
    levels: Levels = None,
    train: Annotated[int, Option(metavar="ROWS", help="rows of the train split, over all problems and levels")] = 0,
    validation: Annotated[int, Option(metavar="ROWS", help="rows of the validation split")] = 0,
    test: Annotated[int, Option(metavar="ROWS", help="rows of the test split")] = 0,
    layout: Annotated[str, Option(help=f"whose rows: one of {', '.join(LAYOUTS)}")] = "plain",
    seed: Seed = 0,
    workers: Annotated[int | None, Option(help="processes; all processors by default")] = None,
    engine: Annotated[str, Option(help=f"one of {', '.join(ENGINES)}")] = "local",
) -> None:
    """Write a data set of certified rows as JSON lines; the same command goes on where it was stopped."""
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
    print(f"{out} is written: {', '.join(f'{size} rows of {split}' for split, size in rows.items() if size)}")
    if test:
        print(f"next: forge-gym eval --suite {out / 'test.jsonl'} --agent greedy")
