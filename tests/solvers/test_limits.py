"""A limit of work bounds time: at the largest sizes, in every method, and before a search begins."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import forge_gym
from cases import every_problem
from forge_gym.kinds import Graph
from forge_gym.kinds.random_graphs import pairs_of, random_edges
from forge_gym.solvers.coloring import fewest_colors, greedy_clique
from forge_gym.solvers.knapsack import nemhauser_ullmann
from forge_gym.verification.exhaustive import families

LARGEST = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
import forge_gym
name, *pairs = sys.argv[1:]
problem = forge_gym.problem(name)
parameters = {key: type(getattr(problem, key))(value) for key, value in (pair.split("=") for pair in pairs)}
problem = forge_gym.problem(name, **{"n": problem.most} | parameters)
instance = problem.instance(3)
found = problem.certificate(instance, 10**5)
assert not problem.violations(instance, found.solution)
print(found.work)
"""
"""Solves one of the largest instances with a small limit, within a minute of a processor."""
_OVERSHOOT = 3 * 10**7
"""Steps that one round of a method may take beyond the limit: some seconds."""


@pytest.mark.parametrize(
    "arguments",
    [
        "BalancedMinCut n=150",
        "BalancedMinCut distribution=planted",
        "ExactSubsetSum n=200 largest=9000",
        "GraphColoring p=0.9",
        "GraphColoring n=390 p=0.95",
        "HamiltonianCycle distribution=scale_free",
        "HamiltonianCycle n=390 degree=9",
        "Knapsack distribution=strong largest=1000000000",
        "MaxClique p=0.95",
        "MaxIndependentSet distribution=scale_free",
        "MeetingScheduling distribution=scattered step=1",
        "MeetingScheduling n=200 step=1",
        "SetCover members=200 elements=20000",
        "SetCover distribution=skewed members=30",
        "SubsetSum largest=1000000000",
        "TSP grid=1000000",
        "TSP distribution=matrix",
    ],
)
def test_a_small_limit_is_kept_at_the_largest_sizes(arguments: str) -> None:
    command = [sys.executable, "-c", LARGEST, *arguments.split()]
    solved = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert solved.returncode == 0, solved.stderr
    assert int(solved.stdout) <= 10**5 + _OVERSHOOT


def test_references_of_hard_levels_are_bounded_by_work() -> None:
    for name, level in (("GraphColoring", 16), ("MeetingScheduling", 25), ("MaxIndependentSet", 45)):
        problem: Any = forge_gym.problem(name, level=level)
        reference = problem.certificate(problem.instance(5), problem.work_limit // 20)
        assert reference.work <= problem.work_limit // 20 * 1.2 + 10**4


def test_cliques_are_grown_for_so_long() -> None:
    rng = np.random.default_rng(0)
    n = 900
    graph = Graph(n, pairs_of(n, random_edges(rng, "gnp", n, 0.97)))
    clique = greedy_clique(graph.neighbours)
    assert len(clique) > 50
    assert all(graph.neighbours[u] >> v & 1 for u in clique for v in clique if u != v)
    colouring = fewest_colors(graph.neighbours, tuple(range(n)), 10**9)
    assert (colouring.value, colouring.bound, colouring.work) == (n, len(clique), 0)


def test_a_pack_of_huge_numbers_takes_more_steps() -> None:
    rng = np.random.default_rng(1)
    weights, values = (rng.integers(1, 100, 18).tolist() for _ in range(2))
    order = sorted(range(18), key=lambda i: -values[i] / weights[i])
    small, large = (
        nemhauser_ullmann(
            sum(weights) // 2 * scale, [w * scale for w in weights], [v * scale for v in values], order, (), 10**6
        )
        for scale in (1, 10**12)
    )
    assert small.solution == large.solution and small.proven and large.proven
    assert 5 * small.work <= large.work < 6 * small.work
    stopped = nemhauser_ullmann(sum(weights) // 2, weights, values, order, small.solution, small.work - 1)
    assert stopped.solution == small.solution and stopped.bound >= small.value


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (
            {"name": "SetCover", "n": 1000, "members": 201},
            "members must be an integer from 1 to 200 .*mean 200",
        ),
        ({"name": "ExactSubsetSum", "n": 400, "largest": 10**4}, "largest must be an integer from 0 to 5000"),
        ({"name": "ExactSubsetSum", "n": 501}, "n must be an integer from 3 to 500"),
        ({"name": "TSP", "names": 10**13}, "names must be an integer from 0 to 1000000000000"),
        ({"name": "Knapsack", "level": 10**30}, r"level must be an integer from 0 to 8\d .*did you mean 8"),
        ({"name": "TSP", "n": 10**5000}, "n must be an integer from 3 to 1000"),
    ],
)
def test_sizes_beyond_reason_are_refused_in_one_line(arguments: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule) as error:
        forge_gym.problem(arguments.pop("name"), **arguments)
    assert "\n" not in str(error.value)


def test_a_stream_gives_up_after_so_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    problem: Any = forge_gym.problem("MaxIndependentSet", n=150)
    monkeypatch.setattr(type(problem), "work_limit", 2000)
    asked: list[Any] = []
    solve = type(problem).solve
    monkeypatch.setattr(type(problem), "solve", lambda *given: asked.append(given) or solve(*given))
    with pytest.raises(ValueError, match=r"got 2 instances in a row .*a smaller size or level, which takes less work"):
        next(problem.graded_instances())
    assert len(asked) == 2
    with pytest.raises(ValueError, match="got 1 instances in a row"):
        next(problem.graded_instances(patience=0.5))


@every_problem
def test_whatever_the_limit_a_certificate_holds(name: str) -> None:
    for problem in families(forge_gym.problem(name)):
        instance = problem.at_level(10).instance(1)
        for limit in (0, 1, 300, 3_000, 20_000, 50_000, 100_000, 300_000):
            problem.certify(instance, problem.certificate(instance, limit))
