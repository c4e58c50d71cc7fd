"""Every check of every verifier is deleted or weakened in turn, and the tests of the gate notice."""

from __future__ import annotations

import json

import pytest

import forge_gym
from cases import PROBLEMS
from forge_gym.evaluation.cli import main
from forge_gym.evaluation.definitions import definition_of, knapsack
from forge_gym.evaluation.mutation import Mutant, excuses, functions, mutants, table

SLOW = {"MeetingScheduling"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in PROBLEMS]
)
def test_every_check_of_a_problem_is_needed(name: str) -> None:
    """A line with a check that nothing notices says why, and a line that says so has such a check."""
    problem = forge_gym.problem(name)
    found = mutants(problem, definition_of(name), shared=False)
    assert found
    assert not [mutant for mutant in found if not mutant.killed_by and not mutant.excuse]
    used = {mutant.line for mutant in found if not mutant.killed_by}
    assert set(excuses(type(problem), shared=False)) <= used


def test_every_check_of_reading_is_needed() -> None:
    """What all problems share: each mutant is killed by the tests of one problem at least."""
    killed: set[tuple[str, int, str]] = set()
    left: dict[tuple[str, int, str], str] = {}
    for name in ("Knapsack", "TSP", "MaxClique", "BalancedMinCut", "MeetingScheduling", "HamiltonianCycle"):
        problem = forge_gym.problem(name)
        for mutant in mutants(problem, definition_of(name), shared=True, skip=killed):
            place = mutant.function, mutant.line, mutant.change
            if mutant.killed_by:
                killed.add(place)
            else:
                left[place] = mutant.excuse
    assert len(killed) > 75
    assert not {place for place, excuse in left.items() if place not in killed and not excuse}


def test_the_verifier_is_as_it_was_afterwards() -> None:
    problem = forge_gym.problem("Knapsack")
    before = [function.__code__ for function in functions(type(problem))]
    mutants(problem, knapsack, shared=False)
    assert [function.__code__ for function in functions(type(problem))] == before


def test_a_verifier_that_fails_its_tests_is_not_mutated() -> None:
    with pytest.raises(
        ValueError, match="the verifier must pass its tests before it is mutated, got a failure"
    ):
        mutants(forge_gym.problem("TSP"), lambda question, answer: None)


def test_the_kill_table_names_survivors(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    found = [Mutant("f", 1, "never: if x[0]:", "row 25"), Mutant("f", 2, "delete: raise", "")]
    Console(width=100).print(table("Toy", found))
    shown = capsys.readouterr().out
    assert "Toy: 1 of 2 mutants killed" in shown and "survives" in shown and "if x[0]" in shown


def test_the_command_line_has_the_kill_table(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check", "GraphColoring", "--replies", "200", "--instances", "20", "--mutants", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)["mutants"]["GraphColoring"]
    assert len(found) > 50 and {"function", "line", "change", "killed_by", "excuse"} == set(found[0])
