"""The pilot before training: exact shares of agents whose behaviour is known, and the level to start at."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from forge_gym.agents import ExactAgent, GreedyAgent, RandomAgent, Task, TrivialAgent, make_agent
from forge_gym.cli.terminal import console
from forge_gym.training.preflight import NUMBERS, Preflight, Row, preflight

TSP = forge_gym.problem("TSP")
KNAPSACK = forge_gym.problem("Knapsack")


@dataclass
class Stub:
    """Says whatever the function says, and remembers how many tasks came at once."""

    say: Callable[[Task], str]
    name: str = "stub"
    calls: list[int] = field(default_factory=list)

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        self.calls.append(len(tasks))
        return [self.say(task) for task in tasks]


def says(*agents: Any) -> Stub:
    """Sample 0 is the first agent's answer, sample 1 the second's, and so on in turn."""
    return Stub(lambda task: agents[task.sample % len(agents)].answer([task])[0])


def one_row(agent: Any, **options: Any) -> Row:
    (row,) = preflight(agent, [KNAPSACK], [2], instances=4, **options).rows
    return row


def ladder(passes: Sequence[int], otherwise: Any = GreedyAgent) -> Preflight:
    """At level ``l`` ``passes[l]`` of eight rollouts are optimal, the rest ``otherwise``."""
    level = {TSP.at_level(i).n: i for i in range(len(passes))}

    def say(task: Task) -> str:
        agent = ExactAgent() if task.sample < passes[level[task.problem.n]] else otherwise()
        return agent.answer([task])[0]

    return preflight(Stub(say), [TSP], range(len(passes)), instances=4)


def test_shares_of_a_known_mixture() -> None:
    row = one_row(says(ExactAgent(), GreedyAgent(), TrivialAgent(), Stub(lambda task: "no idea")))
    quality = row.mean("quality")
    assert 0.25 < quality < 0.5  # (1 + greedy + 0 + 0) / 4
    assert {name: row.mean(name) for name in NUMBERS} == {
        "signal": 1,
        "useful": 1,
        "zero_pass": 0,
        "pass_rate": 0.25,
        "malformed": 0.25,
        "infeasible": 0,
        "feasible": 0.75,
        "quality": quality,
        "skill": -0.25,  # (1 + 0 - 1 - 1) / 4
        "distinct": 3,
    }
    useful = row.estimates["useful"]
    assert row.causes == {} and useful.low < 0.6 and useful.high == 1  # four groups prove little


@pytest.mark.parametrize(
    ("agent", "cause"),
    [
        (GreedyAgent(), "identical"),
        (Stub(lambda task: f"thought {task.sample}"), "malformed"),
        (Stub(lambda task: f"thought {task.sample} {GreedyAgent().answer([task])[0]}"), "same answer"),
        (Stub(lambda task: f"thought {task.sample} {ExactAgent().answer([task])[0]}"), "optimal"),
    ],
)
def test_groups_without_signal_say_why(agent: Any, cause: str) -> None:
    row = one_row(agent)
    assert row.causes == {cause: 4} and row.mean("signal") == row.mean("useful") == 0
    assert row.mean("zero_pass") == (cause != "optimal")


def test_a_flat_reward_is_silent_where_answers_differ() -> None:
    row = one_row(RandomAgent(), reward="binary")
    assert row.causes == {"equal pay": 4} and row.mean("distinct") > 4
    assert one_row(RandomAgent()).mean("signal") == one_row(RandomAgent(), reward="pairwise").mean("signal") == 1


@pytest.mark.parametrize(
    ("passes", "level", "words"),
    [
        ([8, 6, 4, 2, 0], 3, "pass rate 0.25"),  # 4 is silent
        ([8, 7, 6], 2, "try higher levels too"),
        ([8, 7, 6, 0], 2, "pass rate 0.75"),
        ([0, 4, 0], 1, "100% of groups"),
        ([8, 8, 8], None, "optimal already"),
        ([0, 0, 0], None, "identical, so sample at a temperature above 0"),
        ([8, 0, 0], None, "identical, so sample at a temperature above 0"),
    ],
)
def test_the_suggested_level(passes: list[int], level: int | None, words: str) -> None:
    found = ladder(passes).suggested["TSP"]
    assert found.level == level and words in found.reason and "though" not in found.reason


def test_a_level_that_the_window_would_demote_is_only_a_last_resort() -> None:
    weak = ladder([0, 0, 0], otherwise=RandomAgent)
    assert [row.demotes for row in weak.rows] == [True] * 3
    assert weak.suggested["TSP"].level == 0 and "would demote" in weak.suggested["TSP"].reason
    assert ladder([0, 2, 0], otherwise=RandomAgent).suggested["TSP"].level == 1


def test_too_few_groups_with_signal_are_a_last_resort_too() -> None:
    rungs = [TSP.at_level(level) for level in (0, 1)]
    first = [next(rung.graded_instances())[1] for rung in rungs]

    def say(task: Task) -> str:  # one group in four varies, the others are optimal
        varies = task.instance in first and task.sample % 2
        return (GreedyAgent() if varies else ExactAgent()).answer([task])[0]

    found = preflight(Stub(say), [TSP], [0, 1], instances=4)
    assert [row.mean("signal") for row in found.rows] == [0.25, 0.25]
    assert found.suggested["TSP"].level == 0 and "wasted" in found.suggested["TSP"].reason


def test_advice_where_answers_differ_and_pay_nothing() -> None:
    found = preflight(Stub(lambda task: f"thought {task.sample}"), [TSP, KNAPSACK], [0, 1], instances=2)
    for suggestion in found.suggested.values():
        assert suggestion.level is None and "malformed in 4 of 4" in suggestion.reason


def test_tasks_come_in_batches_over_instances_and_the_report_is_json() -> None:
    agent, done = says(ExactAgent(), RandomAgent()), []
    found = preflight(agent, [TSP, KNAPSACK], [2, 0, 2], group=4, instances=3, batch_size=5, progress=done.append)
    assert agent.calls == done == [5, 5, 2] * 4
    assert [(row.problem.name, row.level) for row in found.rows] == [
        ("TSP", 0),
        ("TSP", 2),
        ("Knapsack", 0),
        ("Knapsack", 2),
    ]
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again == found.to_dict() and again["suggested"]["TSP"]["level"] == 2
    assert all(row["feasible"]["mean"] == 1 and row["alarms"] == 0 for row in again["rows"])
    screen = console()
    with screen.capture() as captured:
        screen.print(found.table())
    text = captured.get()
    assert "TSP 2 *" in text and "TSP: start at level 2" in text and "TSP 0 *" not in text


def test_a_language_model_sampled_and_greedy(tiny_model: Path) -> None:
    options = {"max_new_tokens": 8, "device": "cpu"}
    sampled = preflight(make_agent(f"hf:{tiny_model}", temperature=1.0, **options), [TSP], [0], group=4, instances=2)
    (row,) = sampled.rows
    assert row.mean("malformed") == 1 and row.causes == {"malformed": 2}
    assert all(len(set(group.texts)) == 4 for group in row.groups)
    greedy = preflight(make_agent(f"hf:{tiny_model}", **options), [TSP], [0], group=4, instances=2)
    assert greedy.rows[0].causes == {"identical": 2} and "identical" in greedy.suggested["TSP"].reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"problems": []}, "problems must be at least one"),
        ({"problems": [TSP, TSP]}, "each once"),
        ({"levels": []}, "levels must hold at least one"),
        ({"levels": [0, -1]}, "levels must be an integer of at least 0"),
        ({"levels": ["0"]}, "levels must be an integer"),
        ({"group": 1}, "group must be an integer of at least 2"),
        ({"instances": 0}, "instances must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"seed": -1}, "seed must be"),
        ({"split": "tset"}, "did you mean 'test'"),
        ({"reward": "tierd"}, "did you mean 'tiered'"),
    ],
)
def test_bad_arguments_are_refused_before_the_agent_is_asked(options: dict[str, Any], words: str) -> None:
    agent = says(ExactAgent())
    with pytest.raises(ValueError, match=words):
        preflight(agent, **{"problems": [TSP], "levels": [0], **options})
    assert agent.calls == []
