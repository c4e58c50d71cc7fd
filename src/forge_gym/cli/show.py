"""``forge-gym show``."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from ..core.answer import THOUGHTS
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import Verdict
from ..data.rows import new_file
from .models import ThoughtsEnd
from .options import Env, Json, Level, Seed, Set, Split, extra, make_problem
from .terminal import print_json, say

DRAWING = "new picture (.png or .svg), with the --reply or the --solution"


def command(
    env: Env,
    set: Set = None,
    level: Level = None,
    seed: Seed = 0,
    index: Annotated[int, Option(help="number of the instance in the stream")] = 0,
    split: Split = "test",
    file: Annotated[
        Path | None, Option(help="file with an instance, in its library's format (TSPLIB, DIMACS, ...) or as JSON")
    ] = None,
    reply: Annotated[str | None, Option(help="reply to judge")] = None,
    thoughts: ThoughtsEnd = None,
    solution: Annotated[bool, Option("--solution", help="also print the certified solution")] = False,
    png: Annotated[Path | None, Option(metavar="FILE", help=DRAWING)] = None,
    json: Json = False,
) -> None:
    """Show an instance, the verdict on a reply, a picture."""
    problem = make_problem(env, set, level)
    if png and problem.picture is None:
        raise ValueError(f"--png needs a problem with a picture, got {problem.name}, which has none")
    if png and png.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"--png must end in .png or .svg, got {str(png)!r}")
    if png:
        new_file(png)
    if file:
        from ..data.formats import read_instance

        instance = read_instance(problem.name, file)
    else:
        instance = problem.instance(seed, index, split)
    verdict = None if reply is None else problem.verify(instance, reply, thoughts or THOUGHTS)
    if png:
        drawn = problem.reference(instance).solution if solution else None
        if verdict is not None and verdict.status != "malformed":
            drawn = verdict.solution
        form = "svg" if png.suffix.lower() == ".svg" else "png"
        with extra("viz"):
            image = problem.picture.image(problem, instance, drawn, format=form, dpi=150)
        png.write_bytes(image)
    if json:
        spec = None if file else problem.spec(seed, index, split)
        print_json({"spec": spec} | _as_json(problem, instance, solution, verdict))
    else:
        _print(problem, instance, solution, verdict)


def _as_json(problem: Problem[Any, Any], instance: Instance, solution: bool, verdict: Verdict | None) -> dict[str, Any]:
    from ..evaluation.transcript import verdict_to_dict

    reference = problem.reference(instance)
    shown: dict[str, Any] = {
        "instance": json_module.loads(problem.to_json(instance)),
        "hash": problem.digest(instance),
        "prompt": problem.prompt(instance),
        **{name: str(getattr(reference, name)) for name in ("trivial", "greedy", "value", "bound")},
        **{name: getattr(reference, name) for name in ("proven", "solver", "work")},
        "graded": problem.is_graded(instance),
    }
    if solution:
        shown["solution"] = problem.format(instance, reference.solution)
    if verdict is not None:
        judged = verdict_to_dict(verdict)
        names = ("status", "reason", "quality", "skill", "ratio", "optimal", "objective")
        shown["verdict"] = {name: judged[name] for name in names}
    return shown


def _print(problem: Problem[Any, Any], instance: Instance, solution: bool, verdict: Verdict | None) -> None:
    reference = problem.reference(instance)
    say(*problem.prompt(instance).splitlines())
    proof = "proven optimum" if reference.proven else f"best known (bound {reference.bound})"
    best = f"{proof} {reference.value} ({reference.solver})"
    say("", f"trivial {reference.trivial}, greedy {reference.greedy}, {best}")
    if solution:
        say(problem.format(instance, reference.solution))
    if verdict is not None:
        say(f"verdict: {verdict.status}" + (f": {verdict.reason}" if verdict.reason else ""))
        if verdict.feasible:
            say(f"objective {verdict.objective}, quality {verdict.quality:.3f}, skill {verdict.skill:.3f}")
