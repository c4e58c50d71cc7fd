"""``forge-gym rewards``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from .options import Envs, Json, Set, make_problems
from .terminal import console, print_json, progress_bar

HELP = "Reward schemes: how far apart they are."


def compare(
    env: Envs = None,
    set: Set = None,
    schemes: Annotated[list[str] | None, Option(help="names of schemes; all by default")] = None,
    instances: Annotated[int, Option(help="instances per problem")] = 20,
    seed: Annotated[int, Option(help="of the bank")] = 0,
    png: Annotated[Path | None, Option(metavar="FILE", help="draw a heat map")] = None,
    json: Json = False,
) -> None:
    """Measure the STARC distances between schemes over a bank of answers."""
    from ..core.rewards import REWARDS
    from ..verification.starc import compare as distances

    problems = make_problems(env, set)
    if png and not png.absolute().parent.is_dir():
        raise ValueError(f"--png must be in a folder that exists, got {str(png)!r}")
    with progress_bar("comparing rewards", len(problems) * instances) as advance:
        comparison = distances(
            problems, schemes or tuple(REWARDS), instances=instances, seed=seed, progress=advance
        )
    if png:
        comparison.draw(png)
    if json:
        print_json(comparison.to_dict())
    else:
        console().print(comparison.table())


ACTIONS = {"compare": compare}
