"""Every check of every verifier is deleted or weakened in turn, and the tests of the gate notice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

import forge_gym
from cases import PROBLEMS
from forge_gym.cli import main
from forge_gym.core.verdict import Violation
from forge_gym.envs.graph_coloring import GraphColoring
from forge_gym.kinds.kind import Kind, as_kind
from forge_gym.verification.definitions import Definition, definition_of, graph_coloring
from forge_gym.verification.mutation import Mutant, excuses, functions, mutants, table

SLOW = {"MeetingScheduling"}


class Palette(GraphColoring):
    """Looks its colours up: as in no released problem, labels are more than equal or not."""

    interchangeable: ClassVar = False

    def broken(self, instance: Any, colours: Any) -> Iterator[Violation]:
        palette = self.domain(instance)
        return super().broken(instance, [None if c is None else palette[c] for c in colours])


def of(name: str) -> tuple[Kind[Any, Any], Definition]:
    """Return the problem ``name`` and its definition."""
    definition = definition_of(name)
    assert definition is not None
    return as_kind(forge_gym.problem(name)), definition


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in PROBLEMS]
)
def test_every_check_of_a_problem_is_needed(name: str) -> None:
    """A line with a check that nothing notices says why, and a line that says so has such a check."""
    problem, definition = of(name)
    found = mutants(problem, definition, shared=False)
    assert found
    assert not [mutant for mutant in found if not mutant.killed_by and not mutant.excuse]
    used = {(mutant.function, mutant.line) for mutant in found if not mutant.killed_by}
    assert set(excuses(type(problem), shared=False)) <= used


def test_every_check_of_reading_is_needed() -> None:
    """What all problems share: each mutant is killed by the tests of one problem at least, or says why it is not."""
    killed: set[tuple[str, int, str]] = set()
    left: dict[tuple[str, int, str], str] = {}
    given: set[tuple[str, int]] = set()
    for problem, definition in (*map(of, PROBLEMS), (Palette(), graph_coloring)):
        given |= set(excuses(type(problem), shared=True))
        for mutant in mutants(problem, definition, shared=True, skip=killed):
            place = mutant.function, mutant.line, mutant.change
            if mutant.killed_by:
                killed.add(place)
            else:
                left[place] = mutant.excuse
    assert len(killed) > 75
    survivors = {place: excuse for place, excuse in left.items() if place not in killed}
    assert not [place for place, excuse in survivors.items() if not excuse]
    assert given <= {place[:2] for place in survivors}


def test_the_verifier_is_as_it_was_afterwards() -> None:
    problem, definition = of("Knapsack")
    before = [function.__code__ for function in functions(type(problem))]
    mutants(problem, definition, shared=False)
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
