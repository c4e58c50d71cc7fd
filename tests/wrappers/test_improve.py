"""Local search by number: checkers, rewards, moves and misuse, for every registered problem."""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import forge_gym
from cases import every_kind, every_problem
from forge_gym.core.env import TextEnv
from forge_gym.core.verdict import Verdict
from forge_gym.kinds.encoding import features
from forge_gym.wrappers import Improve


def made(name: str, **arguments: Any) -> Improve:
    options = {key: arguments.pop(key) for key in ("size", "steps", "start", "penalty") if key in arguments}
    return Improve(gym.make(f"Forge/{name}-v0", **arguments), **options)


@every_kind
def test_checkers(name: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(Improve(gym.make(f"Forge/{name}-v0").unwrapped))
    assert all("different from the unwrapped version" in str(warning.message) for warning in caught)
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checker.check_env(made(name))
    assert all("unconventional shape" in str(warning.message) for warning in caught)


@every_kind
@pytest.mark.parametrize("start", ["greedy", "trivial", "random"])
@pytest.mark.parametrize("scheme", ["tiered", "linear"])
def test_rewards_are_improvements(name: str, start: str, scheme: str) -> None:
    env = made(name, start=start, reward=scheme, steps=12)
    scored = forge_gym.reward(scheme)
    rng = np.random.default_rng(0)
    for seed in range(4):
        observation, _ = env.reset(seed=seed)
        problem, instance = env.encoder.problem, env.text_env.instance
        worth: list[float] = [scored(problem.verify_solution(instance, env.solution)) or 0.0]
        total, over, taken = 0.0, False, 0
        while not over:
            assert env.observation_space.contains(observation)
            observation, reward, terminated, truncated, info = env.step(rng.choice(np.flatnonzero(env.action_masks())))
            worth.append(scored(problem.verify_solution(instance, env.solution)) or 0.0)
            assert reward == pytest.approx(max(worth) - max(worth[:-1]), abs=1e-12)
            total, over, taken = total + reward, terminated or truncated, taken + 1
        assert total == pytest.approx(info["score"] - worth[0], abs=1e-12)
        assert (
            info["score"] == max(worth)
            and env.text_env.verdict.worth == problem.verify_solution(instance, env.best).worth
        )
        assert taken == 12 or info["optimal"]


@every_problem
def test_an_impossible_move_changes_nothing_and_costs_the_penalty(name: str) -> None:
    env = made(name, penalty=0.25, steps=3, size=forge_gym.problem(name).instance().size + 1)
    env.reset(seed=3)
    before = env.solution
    for _ in range(3):
        impossible = np.flatnonzero(~env.action_masks())
        assert len(impossible)
        _, reward, terminated, truncated, info = env.step(int(impossible[-1]))
        assert reward == -0.25 and env.solution == before
    assert terminated and not truncated and info["skill"] == (1 if info["optimal"] else 0)


def brute_force(solutions: str, n: int, solution: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
    """Return every move as the documentation describes it, feasible or not, by name."""
    found: dict[str, tuple[Any, ...]] = {}
    for i, j in combinations(range(n), 2):
        if solutions == "a permutation" and j - i < n - 1:
            found[f"reverse places {i} to {j}"] = solution[:i] + solution[i : j + 1][::-1] + solution[j + 1 :]
        if solutions == "a subset" and (i in solution) != (j in solution):
            found[f"exchange {i} and {j}"] = tuple(sorted(set(solution) ^ {i, j}))
    for i in range(n):
        if solutions == "a subset":
            found[f"flip {i}"] = tuple(sorted(set(solution) ^ {i}))
        if solutions == "an assignment":
            for label in set(range(n)) - {solution[i]}:
                found[f"give {i} label {label}"] = (*solution[:i], label, *solution[i + 1 :])
    return found


@pytest.mark.parametrize(
    "name", ["TSP", "GraphColoring", "Knapsack", "MaxClique", "SubsetSum", "BalancedMinCut", "ExactSubsetSum"]
)
def test_the_possible_moves_are_all_feasible_ones(name: str) -> None:
    problem: Any = forge_gym.problem(name, n=8)
    for seed in range(5):
        instance = problem.instance(seed)
        solution: Any = problem.heuristic(instance)
        expected = {
            move: outcome
            for move, outcome in brute_force(problem.solutions, 8, solution).items()
            if problem.feasible(instance, outcome)
        }
        found = dict(problem.moves(instance, solution))
        if problem.solutions == "a subset":
            found = {move: tuple(sorted(outcome)) for move, outcome in found.items()}
        assert found == expected


@pytest.mark.parametrize("name", ["HamiltonianCycle", "MeetingScheduling", "SetCover"])
def test_flips_take_in_and_leave_out(name: str) -> None:
    problem: Any = forge_gym.problem(name)
    seen = set()
    for seed in range(10):
        instance = problem.instance(seed)
        for solution in (problem.trivial(instance), problem.heuristic(instance)):
            for move, outcome in problem.moves(instance, solution):
                what, members = move.split()[0], len(outcome) - len(solution)
                seen.add((what, members))
                assert abs(members) <= (what == "flip")
    assert {("flip", 1), ("flip", -1), ("exchange", 0)} <= seen | ({("flip", 1)} if name == "SetCover" else set())


def test_rows_of_a_tour_follow_it() -> None:
    env = made("TSP")
    observation, _ = env.reset(seed=1)
    for _ in range(4):
        instance: Any = env.text_env.instance
        seen: Any = features(instance)
        order = list(env.solution)
        assert np.array_equal(observation["elements"][:, 1:], seen.elements[order])
        assert np.array_equal(observation["links"], seen.links[order][:, order])
        assert observation["solution"][0, 1] == observation["solution"][-1, 2] == 1
        observation, *_ = env.step(5)


def test_misuse_is_explained() -> None:
    for arguments, words in (
        ({"start": "gredy"}, "did you mean 'greedy'"),
        ({"steps": 0}, "steps must be an integer of at least 1"),
        ({"penalty": -1}, "penalty must be a number"),
        ({"turns": 2}, "env must be made with turns=1"),
    ):
        with pytest.raises(ValueError, match=words):
            made("TSP", **arguments)  # type: ignore[arg-type]
    env = made("TSP")
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action must be an integer from 0 to 44, got 45"):
        env.step(45)


def test_best_moves_climb() -> None:
    """A greedy mover gains on greedy: the view is good for something."""
    problem: Any = forge_gym.problem("TSP")
    gains = []
    for index, (_, instance) in zip(range(20), problem.graded_instances(split="test"), strict=False):
        env = Improve(TextEnv(problem))
        env.reset(options={"instance": instance})
        over = False
        while not over:
            lengths = {move: problem.objective(instance, tour) for move, tour in problem.moves(instance, env.solution)}
            best = min(lengths, key=lambda move: lengths[move])
            _, _, terminated, truncated, info = env.step(env.moves.index(best))
            over = terminated or truncated
        gains.append(info["skill"])
        assert isinstance(env.text_env.verdict, Verdict) and index < 20
    assert np.mean(gains) > 0.3
