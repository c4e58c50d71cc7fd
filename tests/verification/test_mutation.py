"""Every check of every verifier is deleted or weakened in turn, and the tests of the gate notice."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import forge_gym
from cases import ONE_PER_KIND, PROBLEMS
from forge_gym.cli import main
from forge_gym.core import registry
from forge_gym.core.verdict import Violation
from forge_gym.envs.graph_coloring import GraphColoring
from forge_gym.kinds import Kind, as_kind
from forge_gym.verification import mutation
from forge_gym.verification.definitions import Definition, definition_of, graph_coloring
from forge_gym.verification.mutation import REDUNDANT, Mutant, functions, mutants, table

SLOW = {"MeetingScheduling"}


class Palette(GraphColoring):
    """Looks its colours up: as in no released problem, labels are more than equal or not."""

    interchangeable: ClassVar = False

    def broken(self, instance: Any, colours: Any) -> Iterator[Violation]:
        palette = self.domain(instance)
        return super().broken(instance, [None if c is None else palette[c] for c in colours])


def excused(problem: type[Kind[Any, Any]], shared: bool) -> set[tuple[str, int]]:
    """Return function and line of each comment that excuses a check."""
    return {
        (function.__qualname__, number)
        for function in functions(problem, shared)
        for lines, start in (inspect.getsourcelines(function),)
        for number, line in enumerate(lines, start)
        if REDUNDANT in line
    }


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
    assert found or type(problem).requires
    assert not [mutant for mutant in found if mutant.survives]
    used = {(mutant.function, mutant.line) for mutant in found if not mutant.killed_by}
    assert excused(type(problem), shared=False) <= used


@pytest.mark.parametrize("names", [ONE_PER_KIND, pytest.param(PROBLEMS, marks=pytest.mark.slow)], ids=len)
def test_every_check_of_reading_is_needed(names: tuple[str, ...]) -> None:
    """What all problems share: each mutant is killed by the tests of one problem at least, or says why it is not."""
    killed: set[tuple[str, int, str]] = set()
    left: dict[tuple[str, int, str], str] = {}
    given: set[tuple[str, int]] = set()
    for problem, definition in (*map(of, names), (Palette(), graph_coloring)):
        given |= excused(type(problem), shared=True)
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
    with pytest.raises(ValueError, match="the verifier must pass its tests before it is mutated, got a failure"):
        mutants(forge_gym.problem("TSP"), lambda question, answer: None)


def test_the_kill_table_names_survivors(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    found = [
        Mutant("f", 1, "never: if x[0]:", "row 25"),
        Mutant("f", 2, "delete: raise", ""),
        Mutant("f", 3, "true: x", "", excuse="it only saves time"),
        Mutant("g", 4, "false: x", "", shared=True),
    ]
    assert [mutant.survives for mutant in found] == [False, True, False, False]
    Console(width=100).print(table("Toy", found))
    shown = capsys.readouterr().out
    assert "Toy: 1 of 4 mutants killed" in shown and "if x[0]" in shown
    assert shown.count("survives") == shown.count("saves time") == shown.count("shared code") == 1


def test_the_command_line_has_the_kill_table(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["check", "GraphColoring", "--replies", "200", "--instances", "20", "--mutants", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)["mutants"]["GraphColoring"]
    assert len(found) > 50
    assert set(found[0]) == {"function", "line", "change", "killed_by", "excuse", "shared"}


def test_a_mutant_that_survives_refuses_the_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same constraint twice, the second time for nothing, and without a comment that says so."""
    source = (Path(__file__).parent / "vertex_cover.py").read_text()
    twice = "sum([u not in chosen and v not in chosen for u, v in instance.edges])"
    assert twice in source
    doubled = source.replace(f"bare = {twice}", f"bare = max({twice}, {twice} if instance.n > 0 else 0)")
    (tmp_path / "doubled.py").write_text(doubled)
    monkeypatch.syspath_prepend(tmp_path)
    for table_ in ("_ENTRY_POINTS", "_VERSIONS"):
        monkeypatch.setattr(registry, table_, dict(getattr(registry, table_)))
    arguments = ["check", "doubled:VertexCover", "--definition", "doubled:definition", "--mutants"]
    assert main([*arguments, "--replies", "200", "--instances", "20"]) == 1
    shown = capsys.readouterr().out
    assert "VertexCover: passed" in shown
    assert "mutants: no test notices VertexCover.broken, line" in shown


def test_a_mutant_that_loops_without_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loops:
        name = "a loop"

        def passes(self) -> bool:
            while True:
                pass

    monkeypatch.setattr(mutation, "_MUTANT_S", 0.05)
    assert mutation._killer([Loops()]) == "ran for more than 0 s"  # type: ignore[list-item]
