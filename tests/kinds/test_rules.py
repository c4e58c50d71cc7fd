"""Rules say the same of few elements and of many, which they judge without bit masks."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, islice

import numpy as np
import pytest

import forge_gym
from forge_gym.kinds import Graph, as_kind, graph, rules
from forge_gym.kinds.graph import WeightedGraph


@pytest.mark.parametrize("name", ["MaxClique", "MaxIndependentSet", "SetCover"])
def test_verdicts_do_not_depend_on_bit_masks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = as_kind(forge_gym.problem(name, n=9))
    for seed in range(3):
        instance = problem.instance(seed)
        answers = list(islice(problem.everything(instance), 512))
        replies = [problem.format(instance, answer) for answer in answers]
        by_masks = [problem.verify(instance, reply) for reply in replies]
        monkeypatch.setattr(rules, "MASKED", 0)
        other = replace(instance)
        assert [problem.verify(other, reply) for reply in replies] == by_masks
        assert {verdict.feasible for verdict in by_masks} == {True, False}
        monkeypatch.undo()


@pytest.mark.parametrize("adjacent", [True, False])
def test_the_first_pair_in_conflict_is_named(adjacent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is the first of all, or the last."""
    monkeypatch.setattr(rules, "MASKED", 0)
    problem = forge_gym.problem("MaxClique" if adjacent else "MaxIndependentSet")
    pairs = tuple(combinations(range(5), 2))
    for pair in pairs:
        instance = Graph(5, tuple(edge for edge in pairs if edge != pair) if adjacent else (pair,))
        (violation,) = problem.violations(instance, (4, 2, 0, 1, 3))
        assert violation.reason.endswith(f"such as {pair[0]} and {pair[1]}") and violation.amount == 1


def test_cuts_do_not_depend_on_packed_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    edges = tuple((u, v, int(rng.integers(1, 10**9))) for u, v in combinations(range(9), 2) if rng.random() < 0.5)
    few = WeightedGraph(9, edges)
    cuts = [few.cut(inside) for inside in combinations(range(9), 4)]
    monkeypatch.setattr(graph, "_PACKED", 0)
    assert [few.cut(inside) for inside in combinations(range(9), 4)] == cuts
    assert cuts[0] == sum(weight for u, v, weight in edges if (u < 4) != (v < 4))
