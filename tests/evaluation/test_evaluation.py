"""Intervals, evaluations and the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import forge_gym
from forge_gym.agents import ExactAgent, GreedyAgent, RandomAgent, Task
from forge_gym.cli import main
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.evaluation.runs import read_run
from forge_gym.evaluation.stats import bootstrap, wilson


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        estimate = bootstrap(rng.random(80).tolist(), resamples=400)
        assert estimate.low <= estimate.mean <= estimate.high
        covered += estimate.low <= 0.5 <= estimate.high
    assert 0.90 <= covered / 300 <= 0.98  # 95 % nominal, three standard errors are 3.8 points


def test_intervals_are_reproducible_and_need_data() -> None:
    values = np.random.default_rng(0).random(50).tolist()
    assert bootstrap(values) == bootstrap(values) != bootstrap(values, seed=1)
    assert bootstrap(values, resamples=1).low == bootstrap(values, resamples=1).high
    with pytest.raises(ValueError, match="at least one number"):
        bootstrap([])


def test_intervals_of_shares_solve_their_equation_and_stay_in_the_unit_interval() -> None:
    for total in (1, 4, 16, 99):
        for count in range(total + 1):
            share, low, high = wilson(count, total)
            assert 0 <= low <= share <= high <= 1 and share == count / total
            for bound in {low, high} - {0, 1}:  # where the share lies 1.96 standard errors off
                assert abs(share - bound) == pytest.approx(1.959964 * (bound * (1 - bound) / total) ** 0.5)
    assert wilson(0, 16).low == 0 and wilson(16, 16).high == 1
    with pytest.raises(ValueError, match="count must be an integer from 0 to 4"):
        wilson(5, 4)
    with pytest.raises(ValueError, match="total must be"):
        wilson(0, 0)


class Improving:
    """Trivial first, then what the messages allow: greedy, then exact."""

    name = "improving"

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        return [
            (GreedyAgent() if len(task.messages) == 1 else ExactAgent()).answer([task])[0] for task in tasks
        ]


@pytest.mark.parametrize("name", forge_gym.problems())
def test_turns_and_kept_answers(name: str) -> None:
    problem = forge_gym.problem(name)
    instances = held_out(problem, 12)
    done: list[int] = []
    once = evaluate(Improving(), problem, instances)
    twice = evaluate(Improving(), problem, instances, turns=3, batch_size=5, progress=done.append)
    assert once.estimate("skill").mean == 0 and twice.estimate("skill").mean == 1 and done == [5, 5, 2]
    assert twice.to_dict()["status"] == {"malformed": 0, "infeasible": 0, "feasible": 12}


def test_skill_is_floored_where_no_answer_is() -> None:
    class Silent:
        name = "silent"

        def answer(self, tasks: Sequence[Task]) -> list[str]:
            return [""] * len(tasks)

    tsp = forge_gym.problem("TSP")
    result = evaluate(Silent(), tsp, held_out(tsp, 5)).to_dict()
    assert result["skill"] == {"mean": -1, "low": -1, "high": -1} and result["success"]["mean"] == 0
    worst = evaluate(RandomAgent(), tsp, held_out(tsp, 50))
    assert min(worst.values("skill")) == -1


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(arguments) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, "list", "--json"))
    assert tuple(row["problem"] for row in rows) == forge_gym.problems()
    table = run(capsys, "list")
    assert all(row["id"] in table for row in rows)


@pytest.mark.parametrize("name", forge_gym.problems())
def test_show(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    png = tmp_path / "x.png"
    out = run(
        capsys,
        "show",
        f"Forge/{name}-v0",
        "--seed",
        "3",
        "--level",
        "2",
        "--solution",
        "--png",
        str(png),
        "--json",
    )
    shown = json.loads(out)
    problem, instance = forge_gym.from_spec(shown["spec"])
    assert shown["prompt"] == problem.prompt(instance) and shown["proven"] and png.stat().st_size > 1000
    text = run(capsys, "show", name, "--seed", "3", "--level", "2", "--reply", shown["solution"])
    assert f"proven optimum {shown['value']}" in text and "quality 1.000" in text
    told = json.loads(run(capsys, "show", name, "--reply", "?", "--json"))["verdict"]
    assert told["status"] == "malformed" and told["objective"] is None


def test_a_problem_without_pictures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(type(forge_gym.problem("TSP")), "picture", None)
    png = tmp_path / "x.png"
    told = run(capsys, "show", "TSP", "--png", str(png), status=2)
    assert told == "forge-gym: --png needs a problem with a picture, got TSP, which has none\n"
    assert not png.exists() and "visits" in run(capsys, "show", "TSP")


def test_eval(capsys: pytest.CaptureFixture[str]) -> None:
    common = [
        "eval",
        "--agent",
        "random",
        "greedy",
        "exact",
        "--env",
        "TSP",
        "Knapsack",
        "--episodes",
        "20",
        "--set",
        "n=9",
    ]
    rows = json.loads(run(capsys, *common, "--json"))
    assert [(row["problem"], row["agent"]) for row in rows] == [
        (env, agent) for env in ("TSP", "Knapsack") for agent in ("random", "greedy", "exact")
    ]
    assert all(row["episodes"] == 20 and row["parameters"] == {"n": 9} for row in rows)
    for row in rows:
        assert all(
            row[key]["low"] <= row[key]["mean"] <= row[key]["high"]
            for key in ("success", "quality", "skill", "optimal")
        )
    assert rows[2]["optimal"]["mean"] == 1 and rows[1]["skill"]["mean"] == 0
    table = run(capsys, *common)
    assert all(
        word in table
        for word in ("random", "greedy", "exact", "quality", "skill", "optimal", "TSP(", "Knapsack(")
    )


def test_eval_of_a_language_model(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.jsonl"
    arguments = [
        "eval",
        "--agent",
        f"hf:{tiny_model}",
        "--env",
        "TSP",
        "--episodes",
        "3",
        "--max-new-tokens",
        "4",
        "--turns",
        "2",
        "--batch-size",
        "2",
        "--out",
        str(path),
    ]
    (row,) = json.loads(run(capsys, *arguments, "--json"))
    assert row["agent"] == "tiny" and row["status"]["malformed"] == 3
    found = read_run(path)
    assert found.missing == 0 and 0 < found.total("completion_tokens") <= 2 * 3 * 4
    # Two of three were asked together; a run may go on in other batches.
    whole = path.read_text().splitlines(keepends=True)
    assert [json.loads(line)["turn"] for line in whole[1:]] == [0, 0, 1, 1, 0, 1]
    path.write_text("".join(whole[:4]))
    run(capsys, *arguments[:-4], "--batch-size", "3", *arguments[-2:])
    assert read_run(path).calls.keys() == found.calls.keys() and read_run(path).missing == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "TPS"], "did you mean 'TSP'"),
        (["show", "Forge/TPS-v0"], "did you mean 'TSP'"),
        (["show", "TSP", "--set", "n=2"], "n must be"),
        (["show", "TSP", "--set", "n"], "--set must be NAME=VALUE"),
        (["show", "TSP", "--level", "-1"], "level must be"),
        (["show", "TSP", "--split", "tset"], "did you mean 'test'"),
        (["eval", "--agent", "gredy", "--env", "TSP"], "did you mean 'greedy'"),
        (["eval", "--agent", "greedy", "--env", "TSP", "--episodes", "0"], "episodes must be"),
        (["eval", "--agent", "greedy", "--env", "TSP", "--reward", "x", "--episodes", "1"], "reward must be"),
    ],
)
def test_bad_arguments(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in run(capsys, *arguments, status=2)
