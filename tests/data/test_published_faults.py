"""The twenty faults found in the validators of the published system, none of them here."""

from __future__ import annotations

from typing import Any

import pytest

import forge_gym
from forge_gym.core.instance import Instance
from forge_gym.core.problem import Problem
from forge_gym.envs.exact_subset_sum import ExactSubsetSumInstance
from forge_gym.envs.hamiltonian_cycle import HamiltonianCycleInstance
from forge_gym.envs.knapsack import KnapsackInstance
from forge_gym.envs.meeting_scheduling import MeetingSchedulingInstance
from forge_gym.envs.tsp import TSPInstance
from forge_gym.kinds.graph import Graph, WeightedGraph

SQUARE = ((0, 1), (0, 3), (1, 2), (2, 3))
"""Edges of a ring of four."""
WHOLE_DAY = ((540, 1020),)

tiered = forge_gym.reward("tiered")


def published(name: str) -> Problem[Any, Any]:
    """The problem as the published system asks it, where it asks otherwise."""
    spellings = {"BalancedMinCut": "PublishedBisection", "HamiltonianCycle": "PublishedCycle"}
    return forge_gym.problem(spellings.get(name, name))


INSTANCES: dict[str, Instance] = {
    "BalancedMinCut": WeightedGraph(4, tuple((u, v, 1 + u) for u, v in SQUARE)),
    "GraphColoring": Graph(4, SQUARE),
    "HamiltonianCycle": HamiltonianCycleInstance(4, SQUARE),
    "Knapsack": KnapsackInstance(10, (4, 3, 5, 6), (10, 9, 8, 11)),
    "MaxClique": Graph(4, ((0, 1), (0, 2), (0, 3), (1, 2))),
    "MaxIndependentSet": Graph(4, ((0, 1), (1, 2), (2, 3))),
    "MeetingScheduling": MeetingSchedulingInstance(((60, (0, 1)), (60, (1, 2))), (WHOLE_DAY,) * 3, (3, 3)),
    "ExactSubsetSum": ExactSubsetSumInstance(6, (1, 2, 3, 6)),
    "TSP": TSPInstance(matrix=((0, 10, 15, 20), (10, 0, 35, 25), (15, 35, 0, 30), (20, 25, 30, 0))),
}

M, I = "malformed", "infeasible"  # noqa: E741
FAULTS: list[tuple[int, str, str, str]] = [
    (1, "BalancedMinCut", "[[0,1],[2.0,3.0]]", M),
    (1, "BalancedMinCut", "[[0,1],[False,True]]", M),
    (1, "BalancedMinCut", "[[0,1],[false,true]]", M),
    (2, "MaxIndependentSet", "[0,0,0,0,0,0]", I),
    (3, "MaxIndependentSet", '[print("x") or 0, 3]', M),
    (4, "MaxClique", "[0,0.1,0.2,0.3,0.4,0.5]", M),
    (5, "MaxClique", "[True,False]", M),
    (5, "MaxClique", "[true,false]", M),
    (5, "MaxClique", '["0",0]', M),
    (6, "ExactSubsetSum", "[0,0,0,0,0,0]", I),
    (7, "MeetingScheduling", "[[0, 0, 540], [0, 0, 600]]", I),
    (7, "MeetingScheduling", "[(0, 0, 540), (0, 0, 600)]", M),
    (8, "MeetingScheduling", "[[0, 0, 540], [1, 1, 540]]", I),
    (9, "MeetingScheduling", "[[0,0,540],[9,9,9]]", I),
    (9, "MeetingScheduling", "[(0,0,540),(9,9,9)]", M),
    (9, "MeetingScheduling", "[[0,0,540,99]]", M),
    (10, "HamiltonianCycle", "[999]", I),
    (10, "HamiltonianCycle", "[0]", I),
    (10, "HamiltonianCycle", "[0,1,0]", I),
    (10, "HamiltonianCycle", "[0,0]", I),
    (11, "BalancedMinCut", "[[0,0,1],[2,3]]", I),
    (14, "MaxClique", "[[0,1],[3]]", M),
    (14, "BalancedMinCut", "[[[0],1],[2,3]]", M),
    (15, "TSP", "[0, 1.5, 3, 2]", M),
    (15, "TSP", "[0, 1.5, 3, 2, 0]", M),
    (15, "GraphColoring", "[1.9,2,2,1.9]", M),
    (15, "BalancedMinCut", "[[0,1.9],[2.9,3]]", M),
    (16, "HamiltonianCycle", "[1]", I),
    (17, "MaxIndependentSet", "[0]*1000", M),
    (17, "MaxIndependentSet", "[0 and 3] are my choice, as [2] is adjacent", M),
    (17, "MaxIndependentSet", "the vertices [0, 3] of course", M),
    (18, "TSP", "", M),
    (18, "TSP", "[[1,2]]", M),
    (18, "TSP", "[1e999]", M),
    (20, "MaxIndependentSet", "[0,0,0]", I),
    (20, "ExactSubsetSum", "[0,0,0]", I),
    (20, "ExactSubsetSum", "[99]", I),
    (20, "HamiltonianCycle", "[0]", I),
    (20, "BalancedMinCut", "[[0,[1]],[2,3]]", M),
]


@pytest.mark.parametrize(("number", "name", "body", "status"), FAULTS)
def test_what_was_accepted_or_crashed_is_refused(
    number: int, name: str, body: str, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = published(name).verify(INSTANCES[name], f"<answer>{body}</answer>")
    assert verdict.status == status and verdict.quality == 0
    assert tiered(verdict) < -0.4  # type: ignore[operator]
    assert not capsys.readouterr().out  # nothing was executed


@pytest.mark.parametrize("name", sorted(INSTANCES))
def test_12_valid_answers_are_not_refused_for_what_stands_around_them(name: str) -> None:
    problem, instance = published(name), INSTANCES[name]
    good = problem.format(instance, problem.reference(instance).solution)
    for text in (f"{good}.", f"So: {good} Done.", f"**{good}**", f"Answer: {good}", f"{good}\n\nAnswer:"):
        assert problem.verify(instance, text).optimal
    for text in (good.replace("</answer>", ".</answer>"), good + good, good.replace("[", "(")):
        assert problem.verify(instance, text).status == "malformed"  # one spelling, the same everywhere


@pytest.mark.parametrize(("name", "quality"), [("Knapsack", 0), ("MeetingScheduling", 0), ("MaxClique", 0)])
def test_13_16_20_the_empty_answer_is_legal_and_worth_nothing(name: str, quality: float) -> None:
    problem = forge_gym.problem(name)
    verdict = problem.verify(INSTANCES[name], "<answer>[]</answer>")
    assert verdict.feasible and verdict.quality == quality and tiered(verdict) <= -0.2  # type: ignore[operator]


@pytest.mark.parametrize("reply", [None, 3, b"[0]", ["[0]"], {"answer": [0]}])
def test_14_a_reply_that_is_no_text_ends_nothing(reply: Any) -> None:
    for name, instance in INSTANCES.items():
        assert published(name).verify(instance, reply).status == "malformed"


def test_19_no_baseline_is_missing_or_zero() -> None:
    """Two rings: the best cut weighs 0, any other cut has ratio 0 and earns less than 1."""
    edges = tuple(sorted((u + off, v + off, 2) for off in (0, 4) for u, v in SQUARE))
    instance, problem = WeightedGraph(8, edges), forge_gym.problem("BalancedMinCut")
    reference = problem.reference(instance)
    assert reference.proven and reference.value == 0
    best = problem.verify(instance, "<answer>[0, 1, 2, 3]</answer>")
    other = problem.verify(instance, "<answer>[0, 1, 2, 4]</answer>")
    assert best.optimal and best.ratio == 1 and tiered(best) == 1
    assert other.feasible and other.ratio == 0 and tiered(other) < 1  # type: ignore[operator]
    for name, asked in INSTANCES.items():
        assert published(name).reference(asked).proven


def test_every_fault_of_the_list_is_here() -> None:
    named = {number for number, *_ in FAULTS} | {12, 13, 14, 16, 19, 20}
    assert named == set(range(1, 21))
