"""``forge-gym check``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from typer import Option

from ..core.checks import told_with_place
from .options import EnvsArgument, Json, Set, given, make_problems
from .terminal import console, print_json, progress_bar

LATE = 55.0
"""Time in which the modules of problems must be imported."""
FAULTS = 10
"""Faults of a check that are printed."""


def command(
    env: EnvsArgument = None,
    set: Set = None,
    definition: Annotated[
        str | None, Option(metavar="MODULE:FUNCTION", help="second verifier, written separately")
    ] = None,
    replies: Annotated[int | None, Option(help="number of mutated replies to judge")] = None,
    instances: Annotated[int | None, Option(help="number of graded instances to measure rewards on")] = None,
    levels: Annotated[
        list[int] | None, Option(help="levels at which answers that ignore the data are searched, 0 1 2 3 by default")
    ] = None,
    only: Annotated[list[str] | None, Option(metavar="CHECK", help="checks to run beside the contract")] = None,
    mutants: Annotated[
        bool,
        Option("--mutants", help="also weaken each check of the verifier; refuse a change that no reply notices"),
    ] = False,
    json: Json = False,
) -> int:
    """Check that the verifiers of problems are right.

    The checks are: contract, battery, agreement, mutated replies, quick verdicts, constants, calibration.
    """
    from ..verification.case import Overtime, at_most
    from ..verification.gate import check, find_definition
    from ..verification.mutation import mutants as weaken
    from ..verification.mutation import table

    options = given(replies=replies, instances=instances, levels=levels, only=only)
    gates, kills, survived = [], {}, False
    try:
        with at_most(LATE):
            made = make_problems(env, set)
    except Overtime as error:
        raise ValueError(f"problems must be made in a minute: {told_with_place(error)}") from None
    for problem in made:
        found = find_definition(problem, definition)
        with progress_bar(f"checking {problem.name}", 7) as advance:
            gate = check(problem, found, **options, progress=lambda name, advance=advance: advance(1))  # type: ignore[misc]
        gates.append(gate)
        if mutants and found is not None and gate.passed:
            with progress_bar(f"mutants of {problem.name}", None) as advance:
                kills[problem.name] = weaken(problem, found, progress=advance)
            survived = survived or any(mutant.survives for mutant in kills[problem.name])
        if json:
            continue
        console().print(gate.table())
        if gate.constants:
            console().print(gate.constants_table())
        for name, faults in ((part.name, part.faults) for part in gate.checks):
            for fault in faults[:FAULTS]:
                console().print(f"{name}: {fault}", markup=False, highlight=False, soft_wrap=True)
            if len(faults) > FAULTS:
                console().print(f"{name}: and {len(faults) - FAULTS} more")
        if problem.name in kills:
            console().print(table(problem.name, kills[problem.name]))
            for mutant in (mutant for mutant in kills[problem.name] if mutant.survives):
                place = f"{mutant.function}, line {mutant.line}"
                console().print(
                    f"mutants: no test notices {place}: {mutant.change}",
                    markup=False,
                    highlight=False,
                    soft_wrap=True,
                )
    if json:
        by_problem = {name: [asdict(mutant) for mutant in tried] for name, tried in kills.items()}
        print_json({"gates": [gate.to_dict() for gate in gates], "mutants": by_problem})
    return int(survived or not all(gate.passed for gate in gates))
