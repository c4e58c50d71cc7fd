"""Every check of every verifier is deleted or weakened in turn, and the tests of the gate notice."""

from __future__ import annotations

import json

import pytest

import forge_gym
from forge_gym.envs import PROBLEMS
from forge_gym.evaluation.cli import main
from forge_gym.evaluation.definitions import DEFINITIONS
from forge_gym.evaluation.mutation import Mutant, functions, mutants, table

AMOUNT = "how far an answer is from feasible, not whether: it has another violation anyway"
REASON = "only the words of the reason"
BOUND = "nobody is available outside the day; the bound keeps integers that collide out of a set"
SLOWER = "what is not accepted at once is looked at again"
REDUNDANT: dict[str, dict[tuple[str, str], str]] = {
    "BalancedMinCut": {
        ("violations", "no filter: for v in every if"): "repetitions would be named twice",
        ("violations", "true: v.family == 'known'"): "repetitions would be named twice",
        ("parse", "true: self.variant == 'default'"): "one half or both: two forms of the same answer",
        ("parse", "false: self.variant == 'default'"): "one half or both: two forms of the same answer",
        ("_halves", "no set: set(known(solution, n))"): "a set is faster",
    },
    "GraphColoring": {
        ("violations", "no filter: for u, v in instance.edges"): AMOUNT,
        ("violations", "operand 2 deleted: v < coloured and"): AMOUNT,
        ("violations", "true: solution[u] == solution[v]"): AMOUNT,
    },
    "HamiltonianCycle": {
        ("violations", "never: if visited < 3"): "a cycle that short lacks edges too",
        ("violations", "false: visited < 3"): "a cycle that short lacks edges too",
        ("violations", "delete: found.append(Violation('length'"): "a cycle that short lacks edges too",
        ("violations", "by one: visited < 3"): AMOUNT,
        ("violations", "by one: along < needed"): AMOUNT,
        ("violations", "true: along < needed"): AMOUNT,
        ("violations", "false: solution[-1:] == (_NOWHERE,)"): "the end that is nowhere is no vertex either",
        ("violations", "operand 1 deleted: unclosed and"): REASON,
        ("violations", "operand 2 deleted: unclosed and"): REASON,
        ("violations", "true: along == len(steps)"): REASON,
        ("violations", "false: along == len(steps)"): REASON,
        ("parse", "by one: len(vertices) > 1"): "one vertex, closed or not, is no cycle",
    },
    "MaxClique": {("violations", "no filter: for pair in combinations"): REASON},
    "MeetingScheduling": {
        ("violations", "no set: set(known)"): AMOUNT,
        ("violations", "true: start % instance.step != 0"): AMOUNT,
        ("violations", "by one: start < room_until"): AMOUNT,
        ("violations", "true: start < room_until"): AMOUNT,
        ("violations", "by one: start < until"): AMOUNT,
        ("violations", "true: start < until"): AMOUNT,
        ("_covers", "by one: low <= start"): AMOUNT,
        ("_covers", "false: low <= start"): AMOUNT,
        ("_covers", "by one: end <= high"): AMOUNT,
        ("_covers", "false: end <= high"): AMOUNT,
        ("violations", "by one: 0 <= row[2] < _DAY"): BOUND,
        ("violations", "one end: 0 <= row[2] < _DAY"): BOUND,
        ("violations", "operand 3 deleted: 0 <= row[0] < n"): BOUND,
        ("violations", "other end: 0 <= row[2] < _DAY"): BOUND,
        ("violations", "true: 0 <= row[2] < _DAY"): BOUND,
        ("fits", "by one: 0 <= meeting < n"): SLOWER,
        ("fits", "by one: 0 <= room < count"): SLOWER,
        ("fits", "by one: start >= 0"): SLOWER,
        ("fits", "by one: len(attendees) > seats[room]"): SLOWER,
        ("fits", "true: len(attendees) > seats[room]"): SLOWER,
        ("fits", "delete: minutes <<= start"): SLOWER,
    },
}
"""Mutants that no answer can tell from the verifier, by function and the start of the change, with the reason."""


_SLOW = {"MeetingScheduling"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in _SLOW else name for name in PROBLEMS]
)
def test_every_check_of_a_problem_is_needed(name: str) -> None:
    found = mutants(forge_gym.problem(name), DEFINITIONS[name], shared=False)
    assert len(found) >= 3
    reasons = dict(REDUNDANT.get(name, {}))
    used = set()
    for mutant in found:
        if not mutant.killed_by:
            place = mutant.function.rpartition(".")[2]
            known = [key for key in reasons if key[0] == place and mutant.change.startswith(key[1])]
            assert known, f"nothing notices {mutant}"
            used.update(known)
    assert used == set(reasons)  # no reason outlives its code


def test_every_check_of_reading_is_needed() -> None:
    """What all problems share: each mutant is killed by the tests of one problem at least."""
    killed: set[tuple[str, int, str]] = set()
    left: set[tuple[str, int, str]] = set()
    for name in ("Knapsack", "TSP", "MaxClique", "BalancedMinCut", "MeetingScheduling"):
        for mutant in mutants(forge_gym.problem(name), DEFINITIONS[name], shared=True, skip=killed):
            (killed if mutant.killed_by else left).add((mutant.function, mutant.line, mutant.change))
    assert len(killed) > 75
    redundant = {
        ("known", "false: 0 <= element < n"): AMOUNT,
        ("_between_tags", "never: if text[-9:] == _CLOSE:"): SLOWER,
        ("_between_tags", "false: text[-9:] == _CLOSE"): SLOWER,
        ("_loads", "operand 1 deleted: '-' in body and '-0' in body"): SLOWER,
        ("_loads", "true: '-' in body"): SLOWER,
    }
    alive = {(name, change) for name, _, change in left - killed}
    assert alive == set(redundant)


def test_the_verifier_is_as_it_was_afterwards() -> None:
    problem = forge_gym.problem("Knapsack")
    before = [function.__code__ for function in functions(type(problem))]
    mutants(problem, DEFINITIONS["Knapsack"], shared=False)
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
    assert len(found) > 50 and {"function", "line", "change", "killed_by"} == set(found[0])
