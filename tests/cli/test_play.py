"""``forge-gym play``: a human in the agent's place, scripted."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest

import forge_gym
from forge_gym.cli import main
from forge_gym.cli.play import as_reply
from forge_gym.core.verdict import Malformed


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(lines: str, *arguments: str, status: int = 0) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        assert main(["play", *arguments]) == status
        out, err = capsys.readouterr()
        return out if status == 0 else err

    return run


def test_a_game_through_a_pipe() -> None:
    tsp = forge_gym.problem("TSP", level=1)
    instance = tsp.instance(3, 2, "test")
    reference = tsp.reference(instance)
    best = " ".join(map(str, reference.solution))
    done = subprocess.run(
        [sys.executable, "-m", "forge_gym", "play", "TSP", "--seed", "3", "--index", "2", "--level", "1"],
        input=f"hint\n0 1\n{best}\n0 1\nnext\nquit\nnever read\n".encode() + b"\xff\n",
        capture_output=True,
        check=True,
    )
    out = done.stdout.decode()
    assert done.stderr == b"" and out.startswith(tsp.prompt(instance))
    assert f"greedy reaches {reference.greedy}" in out and "each city is visited, missing 8 of 10" in out
    assert f"Your best answer: {reference.value} (quality 1.000, skill 1.000)" in out
    assert "This instance is over" in out and tsp.prompt(tsp.instance(3, 3, "test")) in out
    assert out.endswith("Goodbye.\n") and "\x1b" not in out


@pytest.mark.parametrize("name", forge_gym.problems())
def test_every_problem_can_be_played_and_given_up(name: str, typed: Any) -> None:
    problem = forge_gym.problem(name, n=12)
    instance = problem.instance(0, 0, "test")
    reference = problem.reference(instance)
    greedy, solution = problem.heuristic(instance), problem.format(instance, reference.solution)
    body = problem.format_answer(instance, greedy)
    out = typed(f"help\n{body}\ngive up\n{body}\n", name, "--set", "n=12", "--turns", "2")
    assert f"feasible with objective {reference.greedy}" in out and solution in out
    assert f"Your best answer: {reference.greedy}" in out and f"Proven optimum: {reference.value}" in out
    assert "the best solution known" in out and "This instance is over" in out


def test_lines_that_are_no_answers_take_no_turn(typed: Any) -> None:
    out = typed("hlep\n\n[0, 0\n\ud800\n[]\n", "Knapsack", "--turns", "1", "--reward", "linear")
    assert out.count("No turn taken: an answer is ") == 3
    assert out.count("\n> ") == 1 and "Your best answer: 0" in out


@pytest.mark.parametrize("answer_format", ["tags", "line", "raw"])
def test_answers_are_put_into_the_format(answer_format: str) -> None:
    tsp = forge_gym.problem("TSP", n=3, answer_format=answer_format)
    instance = tsp.instance()
    expected = tsp.format(instance, (0, 2, 1))
    for line in ("[0, 2, 1]", " 0 2 1 ", "0,2,1", "0, 2, 1,", expected):
        assert as_reply(tsp, instance, line) == expected, line
    for line in ("0 2 one", "0 02 1", "- 1", ",", "solve", "0 2 1]"):
        assert isinstance(as_reply(tsp, instance, line), Malformed), line


def test_other_shapes_of_answers() -> None:
    compact = forge_gym.problem("Knapsack", n=3, style="compact")
    assert as_reply(compact, compact.instance(), "+ - +") == "<answer>+ - +</answer>"
    meetings = forge_gym.problem("MeetingScheduling", n=4)
    assert as_reply(meetings, meetings.instance(), "[[0, 0, 540]]") == "<answer>[[0, 0, 540]]</answer>"
    halves = forge_gym.problem("PublishedBisection", n=4)
    assert as_reply(halves, halves.instance(), "[[0, 1], [2, 3]]") == "<answer>[[0, 1], [2, 3]]</answer>"


def test_the_end_is_polite(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed("", "TSP").endswith("Goodbye.\n")

    def interrupted(shown: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    assert typed("", "TSP").endswith("\nGoodbye.\n")


def test_a_window_needs_no_display(typed: Any) -> None:
    pytest.importorskip("matplotlib.pyplot").switch_backend("Agg")
    assert "Your best answer" in typed("[]\nnext\n", "Knapsack", "--window", "--turns", "1")


def test_bad_arguments_are_explained(typed: Any) -> None:
    assert "did you mean 'TSP'" in typed("", "TPS", status=2)
    assert "turns must be an integer of at least 1" in typed("", "TSP", "--turns", "0", status=2)
    assert "did you mean 'tiered'" in typed("", "TSP", "--reward", "teired", status=2)
    assert "seed must be an integer of at least 0" in typed("", "TSP", "--seed", "-1", status=2)
    assert "options['index'] must be an integer" in typed("", "TSP", "--index", "-1", status=2)
    assert "split must be one of" in typed("", "TSP", "--split", "tset", status=2)
