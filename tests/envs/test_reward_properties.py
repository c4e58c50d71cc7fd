"""What the default reward guarantees, as properties of every registered problem."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from cases import every_problem
from forge_gym.core.env import TextEnv
from forge_gym.core.instance import Instance
from forge_gym.core.problem import Problem
from forge_gym.core.reference import Reference
from forge_gym.core.rewards import tiered
from forge_gym.core.verdict import STATUSES, Verdict

MARGINS = {
    ("malformed", "infeasible"): 0.1,
    ("infeasible", "feasible"): 0.15,
    ("malformed", "feasible"): 0.25,
}
seeds = st.integers(0, 2**32 - 1)


@cache
def asked(name: str) -> tuple[Problem[Any, Any], list[Instance]]:
    problem = forge_gym.problem(name)
    return problem, [instance for _, instance in islice(problem.graded_instances(seed=5), 4)]


def some_answer(problem: Problem[Any, Any], instance: Instance, seed: int) -> Any:
    """Return a solution of any quality: optimal, next to it, greedy, random, blind, or null."""
    rng = np.random.default_rng(seed)
    best = problem.reference(instance).solution
    kind = rng.integers(7)
    if kind == 0:
        return best
    if kind <= 2:
        return problem.neighbour(instance, best if kind == 1 else problem.heuristic(instance), rng)
    if kind == 3:
        return problem.heuristic(instance, rng, 0.3)
    if kind == 4:
        return problem.random(instance, rng)
    if kind == 5:
        return problem.any_answer(instance, rng)  # type: ignore[attr-defined] # of kinds
    nulls = problem.null_answers(instance)
    return nulls[int(rng.integers(len(nulls)))]


def paid(verdict: Verdict) -> float:
    reward = tiered(verdict)
    assert reward is not None
    return reward


@every_problem
@given(first=seeds, second=seeds, at=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_reward_orders_answers_exactly_as_quality_does(name: str, first: int, second: int, at: int) -> None:
    problem, instances = asked(name)
    instance = instances[at]
    one, other = (problem.verify_solution(instance, some_answer(problem, instance, seed)) for seed in (first, second))
    worse, better = sorted((one, other), key=lambda verdict: STATUSES.index(verdict.status))
    assert all(-1 <= paid(verdict) <= 1 for verdict in (one, other))
    if worse.status != better.status:
        assert paid(better) - paid(worse) >= MARGINS[worse.status, better.status] - 1e-12
    elif worse.status == "infeasible":
        assert (one.credit < other.credit) == (paid(one) < paid(other))
    else:
        sign = 1 if problem.sense == "max" else -1
        gain = sign * (one.objective - other.objective)  # type: ignore[operator]
        assert (gain > 0) == (paid(one) > paid(other)) and (gain == 0) == (paid(one) == paid(other))
        assert (gain >= 0) <= (one.quality >= other.quality) and (gain > 0) == (one.skill > other.skill)
    for verdict in (one, other):
        assert verdict.optimal == (paid(verdict) == 1) and paid(verdict) > -1


@every_problem
@given(seed=seeds, at=st.integers(0, 3), scale=st.integers(1, 10**12), shift=st.integers(-(10**30), 10**30))
@settings(max_examples=100, deadline=None)
def test_the_scale_is_symmetric_and_affine(name: str, seed: int, at: int, scale: int, shift: int) -> None:
    """Objectives negated with the sense turned round, or in another unit, leave every bit as it is."""
    problem, instances = asked(name)
    instance = instances[at]
    verdict = problem.verify_solution(instance, some_answer(problem, instance, seed))
    if not verdict.feasible:
        return
    anchors = problem.reference(instance)
    for factor in (-1, scale, -scale):
        flipped = {"min": "max", "max": "min"}[problem.sense] if factor < 0 else problem.sense
        numbers = (anchors.value, anchors.bound, anchors.trivial, anchors.greedy, verdict.objective)
        value, bound, trivial, greedy, objective = (factor * number + shift for number in numbers)  # type: ignore[operator]
        moved: Reference[Any] = Reference(
            None,
            value,
            bound,
            "",
            0,
            flipped,
            trivial=trivial,
            greedy=greedy,  # type: ignore[arg-type]
        )
        assert (moved.verdict(objective).quality, moved.verdict(objective).skill) == (
            verdict.quality,
            verdict.skill,
        )
        again = Verdict("feasible", skill=moved.verdict(objective).skill, optimal=moved.optimal(objective))
        assert tiered(again) == tiered(verdict)


@every_problem
@given(seed=seeds, at=st.integers(0, 3), data=st.data())
@settings(max_examples=80, deadline=None)
def test_relabelling_instance_and_answer_together_changes_no_bit(
    name: str, seed: int, at: int, data: st.DataObject
) -> None:
    problem, instances = asked(name)
    here = instances[at]
    order = data.draw(st.permutations(range(here.size)))
    there = problem.relabelled(here, order)
    there.check()
    solution = some_answer(problem, here, seed)
    if problem.solutions == "an assignment" and len(solution) != here.size:  # type: ignore[attr-defined] # of kinds
        return  # a list of another length says nothing of the elements that could be moved
    one, other = (
        problem.verify_solution(here, solution),
        problem.verify_solution(there, problem.permute(solution, order)),
    )
    assert (one.status, one.objective, one.quality, one.skill, one.credit, tiered(one)) == (
        (other.status, other.objective, other.quality, other.skill, other.credit, tiered(other))
    )
    back = problem.relabelled(there, [order.index(i) for i in range(here.size)])
    assert back == here
    if not one.feasible:
        return
    assert problem.canonical(there, problem.permute(problem.canonical(here, solution), order)) == (
        problem.canonical(there, problem.permute(solution, order))
    )


@every_problem
def test_the_optimum_is_the_same_under_other_numbers(name: str) -> None:
    problem, instances = asked(name)
    rng = np.random.default_rng(0)
    for instance in instances:
        fresh = instance.relabelled(rng.permutation(instance.size).tolist())
        assert problem.reference(fresh).value == problem.reference(instance).value
    for order in ([0] * instances[0].size, [1, 2], []):
        with pytest.raises(ValueError, match="order must be a permutation"):
            problem.relabelled(instances[0], order)


@every_problem
@given(batch=st.lists(seeds, min_size=1, max_size=8), at=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_verdicts_have_no_memory_and_groups_no_influence(name: str, batch: list[int], at: int) -> None:
    problem, instances = asked(name)
    instance = instances[at]
    texts = [problem.format(instance, some_answer(problem, instance, seed)) for seed in batch]
    texts += ["?", texts[0], texts[-1] + " ", "<answer>[0]</answer>"]
    alone = [problem.verify(instance, text) for text in texts]
    assert problem.verify_many(instance, texts) == alone
    assert [problem.verify(instance, text) for text in reversed(texts)] == alone[::-1]
    rebuilt = problem.from_json(problem.to_json(instance))  # nothing derived or remembered comes along
    assert [problem.verify(rebuilt, text) for text in texts] == alone


@every_problem
@given(
    batch=st.lists(st.one_of(seeds, st.just(None)), min_size=1, max_size=8),
    at=st.integers(0, 3),
    keep=st.sampled_from(["best", "last"]),
)
@settings(max_examples=100, deadline=None)
def test_the_return_is_the_reward_of_the_answer_kept(name: str, batch: list[int | None], at: int, keep: str) -> None:
    problem, instances = asked(name)
    instance = instances[at]
    env = TextEnv(problem, turns=len(batch), keep=keep)
    env.reset(options={"instance": instance})
    total, scores, over = 0.0, [], False
    for seed in batch:
        text = "?" if seed is None else problem.format(instance, some_answer(problem, instance, seed))
        _, reward, over, truncated, info = env.step(text)
        assert not truncated
        total += reward
        scores.append(info["score"])
        assert info["score"] == paid(problem.verify(instance, text))
        if over:
            break
    assert over == (scores[-1] == 1 or len(scores) == len(batch)) and over
    assert total == pytest.approx(max(scores) if keep == "best" else scores[-1], abs=1e-12)
