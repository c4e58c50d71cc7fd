"""Intervals, evaluations and comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import forge_gym
from forge_gym.agents import ExactAgent, GreedyAgent, RandomAgent, Task, TrivialAgent
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.evaluation.runs import env_questions, record, suite_questions
from forge_gym.evaluation.statistics import COMPARED, bootstrap, compare, wilson


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        estimate = bootstrap(rng.random(80).tolist())
        assert estimate.low <= estimate.mean <= estimate.high
        covered += estimate.low <= 0.5 <= estimate.high
    assert 0.90 <= covered / 300 <= 0.98  # 95 % nominal, three standard errors are 3.8 points


def test_intervals_are_reproducible_and_need_data() -> None:
    values = np.random.default_rng(0).random(50).tolist()
    assert bootstrap(values) == bootstrap(values) != bootstrap(values, seed=1)
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
        return [(GreedyAgent() if len(task.messages) == 1 else ExactAgent()).answer([task])[0] for task in tasks]


@pytest.mark.parametrize("name", forge_gym.problems())
def test_turns_and_kept_answers(name: str) -> None:
    problem = forge_gym.problem(name)
    instances = held_out(problem, 12)
    done: list[int] = []
    once = evaluate(Improving(), problem, instances)
    twice = evaluate(Improving(), problem, instances, turns=3, batch_size=5, progress=done.append)
    assert once.estimate("skill").mean == 0 and twice.estimate("skill").mean == 1 and done == [5, 5, 2]
    assert twice.to_dict()["groups"]["overall"]["status"] == {"malformed": 0, "infeasible": 0, "feasible": 12}


def test_skill_is_floored_where_no_answer_is() -> None:
    class Silent:
        name = "silent"

        def answer(self, tasks: Sequence[Task]) -> list[str]:
            return [""] * len(tasks)

    tsp = forge_gym.problem("TSP")
    result = evaluate(Silent(), tsp, held_out(tsp, 5)).to_dict()["groups"]["overall"]
    assert result["skill"] == {"mean": -1, "low": -1, "high": -1} and result["success"]["mean"] == 0
    worst = evaluate(RandomAgent(), tsp, held_out(tsp, 50))
    assert min(worst.values("skill")) == -1


def test_comparisons_are_paired() -> None:
    questions = suite_questions("forge-bench-v1", limit=2)
    greedy, random, trivial = (
        record(agent, questions).evaluation() for agent in (GreedyAgent(), RandomAgent(), TrivialAgent())
    )
    found = compare(greedy, random)
    assert list(found) == [*dict.fromkeys(row.problem.name for row in questions.rows), "overall"]
    overall, back = found["overall"], compare(random, greedy)["overall"]
    assert overall == compare(greedy, random)["overall"]  # seeded
    assert (overall.wins, overall.ties, overall.losses) == (back.losses, back.ties, back.wins)
    assert overall.wins + overall.ties + overall.losses == 200
    assert overall.wins == sum(each.wins for label, each in found.items() if label != "overall")
    for metric in COMPARED:
        mean, low, high = overall.estimates[metric]
        assert mean == pytest.approx(greedy.estimate(metric).mean - random.estimate(metric).mean)
        assert low <= mean <= high and mean == pytest.approx(-back.estimates[metric].mean)
    width = overall.estimates["quality"].high - overall.estimates["quality"].low
    apart = [evaluation.estimate("quality") for evaluation in (greedy, random)]
    assert 0 < width < sum(estimate.high - estimate.low for estimate in apart)
    assert compare(trivial, trivial)["overall"].ties == 200
    others = record(GreedyAgent(), env_questions([forge_gym.problem("TSP")], 3)).evaluation()
    with pytest.raises(ValueError, match="a comparison must be of the same rows"):
        compare(greedy, others)
