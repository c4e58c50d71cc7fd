"""Reward schemes: worked numbers, class order, strict monotonicity, symmetry, invariance."""

from __future__ import annotations

import json
import logging
import pickle
import time
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import forge_gym
from forge_gym.core.reference import Reference
from forge_gym.core.rewards import (
    EMA_RATE,
    MAX_BONUS,
    REWARDS,
    START_RATE,
    TIER_EDGES,
    TIER_FLOORS,
    TIER_SLOPE,
    UNMET_GROUPS,
    BaseAndBonus,
    Group,
    Pairwise,
    Verpo,
    binary,
    forge,
    linear,
    pay,
    ratio_power,
    ssl,
    tiered,
)
from forge_gym.core.verdict import Number, Verdict, Violation


def reference(sense: str, t: Number, b: Number, r: Number, bound: Number | None = None) -> Reference[None]:
    return Reference(None, r, r if bound is None else bound, "test", 0, sense, trivial=t, greedy=b)  # type: ignore[arg-type]


def verdict(anchors: Reference[None], v: Number) -> Verdict:
    return Verdict(
        "feasible",
        objective=v,
        quality=anchors.quality(v),
        skill=anchors.skill(v),
        ratio=anchors.ratio(v),
        optimal=anchors.optimal(v),
        alarm=anchors.beaten(v),
    )


def paid(anchors: Reference[None], v: Number) -> float | None:
    return tiered(verdict(anchors, v))


KNAPSACK = reference("max", 35, 90, 110)
TOUR = reference("min", 980, 640, 560)
CONFLICTS = reference("min", 12, 4, 0)
NEGATIVE = reference("max", -60, -20, -5)
UNPROVEN = reference("max", 10, 40, 60, 64)


@pytest.mark.parametrize(
    ("anchors", "v", "expected"),
    [
        (KNAPSACK, 20, -0.211),
        (KNAPSACK, 35, -0.200),
        (KNAPSACK, 60, -0.109),
        (KNAPSACK, 90, 0.0),
        (KNAPSACK, 95, 0.08),
        (KNAPSACK, 100, 0.20),
        (KNAPSACK, 105, 0.38),
        (KNAPSACK, 108, 0.62),
        (KNAPSACK, 109, 0.7025),
        (KNAPSACK, 110, 1.0),
        (TOUR, 1200, -0.220),
        (TOUR, 980, -0.200),
        (TOUR, 800, -0.094),
        (TOUR, 640, 0.0),
        (TOUR, 620, 0.08),
        (TOUR, 600, 0.20),
        (TOUR, 580, 0.38),
        (TOUR, 570, 0.48),
        (TOUR, 561, 0.764),
        (TOUR, 560, 1.0),
        (CONFLICTS, 12, -0.20),
        (CONFLICTS, 6, -0.05),
        (CONFLICTS, 4, 0.0),
        (CONFLICTS, 3, 0.08),
        (CONFLICTS, 2, 0.20),
        (CONFLICTS, 1, 0.38),
        (CONFLICTS, 0, 1.0),
        (NEGATIVE, -60, -0.20),
        (NEGATIVE, -20, 0.0),
        (NEGATIVE, -12, 0.212),
        (NEGATIVE, -8, 0.42),
        (NEGATIVE, -5, 1.0),
        (UNPROVEN, 55, 0.38),
        (UNPROVEN, 59, 0.7025),
        (UNPROVEN, 60, 0.95),
        (UNPROVEN, 61, 0.9745),
        (UNPROVEN, 62, 0.9827),
        (UNPROVEN, 64, 1.0),
    ],
)
def test_worked_numbers(anchors: Reference[None], v: int, expected: float) -> None:
    assert paid(anchors, v) == pytest.approx(expected, abs=6e-4)


def test_a_value_beyond_the_certificate_is_an_alarm() -> None:
    for scheme in (tiered, linear, ssl, binary, forge, ratio_power):
        assert scheme(verdict(KNAPSACK, 111)) is None
        assert scheme(verdict(UNPROVEN, 65)) is None


@pytest.mark.parametrize(
    ("credit", "expected"), [(0, -0.9), (0.25, -0.775), (0.5, -0.65), (0.9, -0.45), (0.99, -0.405)]
)
def test_infeasible_band(credit: float, expected: float) -> None:
    assert tiered(Verdict("infeasible", credit=credit)) == pytest.approx(expected)
    assert tiered(Verdict("malformed")) == -1


def test_tiers_grow() -> None:
    steps = [b - a for a, b in pairwise(TIER_FLOORS)]
    assert steps == sorted(steps) and len(set(steps)) == len(steps)
    for edge, floor in zip(TIER_EDGES[:-1], TIER_FLOORS[:-1], strict=True):
        assert tiered(Verdict("feasible", skill=edge)) == floor


@pytest.mark.parametrize("scheme", [tiered, linear])
@given(a=st.floats(-1e300, 1 - 1e-9), b=st.floats(-1e300, 1 - 1e-9))
def test_strictly_monotone_and_bounded(scheme: forge_gym.core.rewards.Reward, a: float, b: float) -> None:
    low, high = sorted((a, b))
    paid_low, paid_high = (scheme(Verdict("feasible", skill=skill)) for skill in (low, high))
    assert paid_low is not None and paid_high is not None
    assert -0.25 <= paid_low <= paid_high < 0.951
    if high - low > 1e-9 * max(1.0, abs(low)) and low > -1e3:
        assert paid_low < paid_high


numbers = st.integers(-(10**30), 10**30)


@given(anchors=st.tuples(numbers, numbers, numbers).map(sorted), v=numbers)
def test_minimising_mirrors_maximising(anchors: list[int], v: int) -> None:
    t, b, r = anchors
    up, down = reference("max", t, b, r), reference("min", -t, -b, -r)
    assert paid(up, v) == paid(down, -v)
    assert up.quality(v) == down.quality(-v)


@given(
    anchors=st.tuples(numbers, numbers, numbers).map(sorted),
    v=numbers,
    a=st.integers(1, 10**9),
    c=numbers,
    d=st.integers(1, 10**6),
)
def test_affine_invariance_bit_for_bit(anchors: list[int], v: int, a: int, c: int, d: int) -> None:
    t, b, r = anchors
    assume(t < r)  # three equal anchors leave no scale to be invariant in
    scaled = [Fraction(a * x, d) + c for x in (t, b, r)]
    assert paid(reference("max", t, b, r), v) == paid(reference("max", *scaled), Fraction(a * v, d) + c)


@given(anchors=st.tuples(numbers, numbers, numbers).map(sorted))
def test_anchors(anchors: list[int]) -> None:
    t, b, r = anchors
    found = reference("max", t, b, r)
    assert found.quality(r) == found.skill(r) == paid(found, r) == 1
    if t < b < r:
        assert found.quality(t) == 0
        assert found.skill(t) == -1 and paid(found, t) == -0.2
        assert found.skill(b) == 0 and paid(found, b) == 0
    if t < r:
        worse = paid(found, r - 1)
        assert worse is not None and worse < 0.95
        assert found.quality(r - 1) < 1 and found.skill(r - 1) < 1


@pytest.mark.parametrize("sense", ["max", "min"])
def test_numbers_of_any_size_stay_finite(sense: str) -> None:
    huge = 10**400 if sense == "min" else -(10**400)
    anchors = (0, 1, 2) if sense == "max" else (2, 1, 0)
    for v in (huge, Fraction(huge, 3)):
        judged = verdict(reference(sense, *anchors), v)
        assert tiered(judged) == -0.25
        assert judged.quality == 0 and judged.ratio == 0


def test_equal_anchors() -> None:
    flat = reference("max", 5, 5, 5)
    assert paid(flat, 5) == 1
    worse = paid(flat, 4)
    assert worse is not None and worse < 0
    greedy_is_optimal = reference("max", 0, 10, 10)
    assert greedy_is_optimal.skill(10) == 1 and greedy_is_optimal.skill(5) == -0.5
    no_gap = reference("max", 10, 10, 14)
    assert no_gap.skill(10) == 0 and no_gap.skill(12) == 0.5 and no_gap.skill(6) == -1


def test_linear_keeps_the_order_of_tiered() -> None:
    for anchors in (KNAPSACK, TOUR, CONFLICTS, NEGATIVE, UNPROVEN):
        values = [v for v in range(-100, 1300) if not anchors.beaten(v)]
        by_tiered = sorted(values, key=lambda v, a=anchors: tiered(verdict(a, v)))  # type: ignore[misc, arg-type, return-value]
        by_linear = sorted(values, key=lambda v, a=anchors: linear(verdict(a, v)))  # type: ignore[misc, arg-type, return-value]
        assert by_tiered == by_linear


def test_binary_and_forge() -> None:
    assert [binary(Verdict(s)) for s in ("malformed", "infeasible", "feasible")] == [0, 0, 1]  # type: ignore[arg-type]
    assert [forge(Verdict(s, ratio=0.5)) for s in ("malformed", "infeasible", "feasible")] == [
        -2.5,
        -0.5,
        1.5,
    ]  # type: ignore[arg-type]
    assert forge(verdict(TOUR, 1120)) == 1.5 and forge(verdict(TOUR, 560)) == 2


skills = st.floats(-1e3, 0.999999)


@given(a=skills, b=skills)
def test_ssl_is_the_floor_of_tiered(a: float, b: float) -> None:
    low, high = (Verdict("feasible", skill=skill) for skill in sorted((a, b)))
    floor, reward = ssl(high), tiered(high)
    assert floor is not None and reward is not None
    assert ssl(low) <= floor <= reward  # type: ignore[operator]
    if high.skill >= 0:
        above = min(edge for edge in TIER_FLOORS if edge > floor)
        assert floor in TIER_FLOORS and reward < above
    else:
        assert floor == reward


def test_ssl_ties_inside_a_tier_and_steps_at_its_edge() -> None:
    assert ssl(Verdict("feasible", skill=0.5)) == ssl(Verdict("feasible", skill=0.74)) == 0.2
    assert ssl(Verdict("feasible", skill=0.75)) == 0.38
    for verdict in (
        Verdict("malformed"),
        Verdict("infeasible", credit=0.3),
        Verdict("feasible", optimal=True, skill=1.0),
        Verdict("feasible", skill=1.2),
    ):
        assert ssl(verdict) == tiered(verdict)


@given(a=st.floats(0, 1), b=st.floats(0, 1))
def test_ratio_power(a: float, b: float) -> None:
    low, high = (ratio_power(Verdict("feasible", ratio=ratio)) for ratio in sorted((a, b)))
    assert low is not None and high is not None and 0 <= low <= high <= 1
    assert low == pytest.approx(min(a, b) ** 5)
    assert ratio_power(Verdict("malformed")) == -1 and ratio_power(Verdict("infeasible", credit=0.9)) == -0.5
    assert ratio_power(verdict(TOUR, 560)) == 1 and ratio_power(verdict(TOUR, 1120)) == 1 / 32


# ------------------------------------------------------------------------------------------- groups


def stub(constraints: tuple[str, ...] = (), sense: str = "max", nulls: tuple[Any, ...] = ()) -> Any:
    """A problem whose solutions are their texts, and whose null answers are their violations."""
    return SimpleNamespace(
        name="Stub",
        parameters={},
        constraints=constraints,
        sense=sense,
        null_violations=lambda instance: [null for null in nulls if null],
        violations=lambda instance, solution: solution,
        read=lambda instance, text: text.split()[-1],
        canonical=lambda instance, solution: solution.lower(),
    )


def group(problem: Any, verdicts: list[Verdict], texts: list[str] | None = None) -> Group:
    return Group(problem, SimpleNamespace(memo={}), texts or ["x"] * len(verdicts), verdicts)  # type: ignore[arg-type]


def broken(**amounts: float) -> tuple[Violation, ...]:
    """One violation per family, of so many thousandths."""
    return tuple(
        Violation(family, round(1000 * amount), 1000, "") for family, amount in amounts.items() if amount
    )


def infeasible(**amounts: float) -> Verdict:
    return Verdict("infeasible", violations=broken(**amounts))


def learned(rates: dict[str, float]) -> Verpo:
    scheme = Verpo()
    scheme.load_state_dict({"rates": {"Stub {}": rates}, "unmet": {"Stub {}": {}}})
    return scheme


def real_group(name: str) -> Group:
    problem = forge_gym.problem(name)
    _, instance = next(problem.graded_instances(seed=3))
    rng = np.random.default_rng(0)
    solutions = [problem.trivial(instance), problem.heuristic(instance), problem.reference(instance).solution]
    solutions += [problem.random(instance, rng) for _ in range(4)]
    body = json.loads(problem.write(instance, solutions[1]))
    texts = [
        "?",
        *(f"<answer>{json.dumps(each)}</answer>" for each in (body + body[:1], body[1:] + body, [999])),
    ]
    texts += [problem.format(instance, solution) for solution in solutions]
    return Group(problem, instance, texts, problem.verify_many(instance, texts))


@pytest.mark.parametrize("name", forge_gym.problems())
@pytest.mark.parametrize("scheme", REWARDS)
def test_every_scheme_pays_every_group(scheme: str, name: str) -> None:
    answers = real_group(name)
    rewards = pay(forge_gym.reward(scheme), answers)
    assert len(rewards) == len(answers.verdicts) and all(isinstance(reward, float) for reward in rewards)
    # A class never pays less than one below it.
    for low, high in (("malformed", "infeasible"), ("infeasible", "feasible")):
        lower = [r for r, v in zip(rewards, answers.verdicts, strict=True) if v.status == low]
        upper = [r for r, v in zip(rewards, answers.verdicts, strict=True) if v.status == high]
        assert not lower or not upper or max(lower) <= min(upper)  # type: ignore[type-var]
    alarms = replace(
        answers, verdicts=[replace(v, alarm=True) if v.feasible else v for v in answers.verdicts]
    )
    for reward, verdict in zip(pay(forge_gym.reward(scheme), alarms), alarms.verdicts, strict=True):
        assert (reward is None) == verdict.alarm


def test_objects_are_not_shared_and_functions_are() -> None:
    for name in REWARDS:
        assert (forge_gym.reward(name) is forge_gym.reward(name)) == (
            name not in ("verpo", "base_and_bonus", "pairwise")
        )
        pickle.loads(pickle.dumps(forge_gym.reward(name)))
    assert not callable(forge_gym.reward("pairwise"))
    with pytest.raises(ValueError, match="verdicts must be one per text, got 1 for 2 texts"):
        Group(stub(), None, ["a", "b"], [Verdict("malformed")])  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------- verpo

shares = st.floats(0, 1)


@pytest.mark.parametrize("name", forge_gym.problems())
def test_verpo_is_tiered_before_it_has_learned_and_learns_from_groups_alone(name: str) -> None:
    scheme, answers = Verpo(), real_group(name)
    expected = [tiered(verdict) for verdict in answers.verdicts]
    for _ in range(3):
        for text, verdict, reward in zip(answers.texts, answers.verdicts, expected, strict=True):
            assert pay(scheme, Group(answers.problem, answers.instance, [text], [verdict])) == [reward]
            assert scheme(verdict) == reward
    assert scheme.state_dict() == {"rates": {}, "unmet": {}}
    assert pay(scheme, answers) == expected
    if any(verdict.credit for verdict in answers.verdicts):  # these break some families and not others
        assert pay(scheme, answers) != expected


@pytest.mark.parametrize("name", forge_gym.problems())
def test_verpo_with_equal_shares_is_tiered_and_null_answers_earn_nothing_under_any(name: str) -> None:
    answers, rng = real_group(name), np.random.default_rng(0)
    problem, instance = answers.problem, answers.instance
    key = next(iter(_after(answers).rates))
    equal = Verpo()
    equal.load_state_dict({"rates": {key: dict.fromkeys(problem.constraints, 0.3)}, "unmet": {key: {}}})
    assert pay(equal, answers) == pytest.approx([tiered(verdict) for verdict in answers.verdicts])
    nulls = [problem.judge(instance, null) for null in problem.nulls(instance)]
    nulls = [verdict for verdict in nulls if verdict.status == "infeasible"]
    for _ in range(20):
        scheme = Verpo()
        rates = {family: float(rng.random()) for family in problem.constraints}
        scheme.load_state_dict({"rates": {key: rates}, "unmet": {key: {}}})
        assert pay(scheme, Group(problem, instance, ["?"] * len(nulls), nulls)) == [-0.9] * len(nulls)


def _after(answers: Group) -> Verpo:
    scheme = Verpo()
    pay(scheme, answers)
    return scheme


@given(
    rates=st.tuples(shares, shares, shares),
    answers=st.lists(st.tuples(shares, shares, shares), min_size=2, max_size=6),
    null=st.tuples(shares, shares, shares),
)
def test_verpo_weights_are_one_for_a_group_and_infeasible_answers_stay_in_their_band(
    rates: tuple[float, ...], answers: list[tuple[float, ...]], null: tuple[float, ...]
) -> None:
    families = ("a", "b", "c")
    shared = dict(zip(families, rates, strict=True))
    problem = stub(families, nulls=(broken(**dict(zip(families, null, strict=True))),))
    verdicts = [infeasible(**dict(zip(families, amounts, strict=True))) for amounts in answers]
    verdicts = [v if v.violations else infeasible(a=0.001) for v in verdicts]
    rewards = pay(learned(shared), group(problem, verdicts))
    assert all(reward is not None and -0.9 <= reward < -0.4 for reward in rewards)
    assert pay(learned(shared), group(problem, verdicts[::-1])) == rewards[::-1]
    assert pay(learned(shared), group(problem, verdicts[:1])) == rewards[:1]
    assert sum(learned(shared).weights(problem).values()) == pytest.approx(1)


def test_verpo_pays_most_for_the_frontier() -> None:
    scheme, problem = learned({"easy": 0.9, "hard": 0.2}), stub(("easy", "hard"))
    verdicts = [infeasible(easy=0.5, hard=0.5), infeasible(hard=0.5), infeasible(easy=0.5)]
    both, without_easy, without_hard = pay(scheme, group(problem, verdicts))
    assert both < without_easy < without_hard  # type: ignore[operator]
    assert (without_hard - both) > 5 * (without_easy - both)  # type: ignore[operator]


@given(copies=st.integers(1, 30), rate=st.floats(0.7, 1.0), frontier=st.floats(0.0, 0.3))
def test_copies_of_an_easy_family_do_not_drown_the_frontier(
    copies: int, rate: float, frontier: float
) -> None:
    def weight(count: int) -> float:
        easy = {f"easy {i}": rate for i in range(count)}
        families = {"hard": frontier} | easy
        return learned(families).weights(stub(tuple(families)))["hard"]

    assert weight(copies) == pytest.approx(weight(1), rel=0.05)


def test_verpo_measures_from_the_best_null_answer_under_its_own_weights() -> None:
    rates = {"easy": 0.9, "hard": 0.2}
    problem = stub(("easy", "hard"), nulls=(broken(easy=1.0), broken(hard=1.0), ()))
    scheme = learned(rates)
    weights = scheme.weights(problem)
    null = max(1 - weights["easy"], 1 - weights["hard"])
    (reward,) = pay(scheme, group(problem, [infeasible(easy=0.25)]))
    credit = (1 - 0.25 * weights["easy"] - null) / (1 - null)
    assert reward == pytest.approx(-0.9 + 0.5 * credit)


def test_verpo_learns_shares_of_read_answers() -> None:
    scheme, problem = Verpo(), stub(("a", "b"))
    verdicts = [
        infeasible(a=0.5),
        infeasible(a=0.1),
        Verdict("feasible"),
        Verdict("feasible"),
        Verdict("malformed"),
        Verdict("feasible", alarm=True),
    ]
    pay(scheme, group(problem, verdicts))
    half = (1 - EMA_RATE) * START_RATE + EMA_RATE * 0.5
    full = (1 - EMA_RATE) * START_RATE + EMA_RATE
    assert scheme.rates == {"Stub {}": {"a": pytest.approx(half), "b": pytest.approx(full)}}
    assert scheme.weights(problem)["a"] > scheme.weights(problem)["b"]
    before = scheme.state_dict()
    pay(scheme, group(problem, [Verdict("malformed")] * 4))
    assert scheme.state_dict() == before
    pay(scheme, group(problem, verdicts))
    assert scheme.state_dict() != before  # what was handed out is a copy


def test_verpo_keeps_problems_apart_and_its_state_travels() -> None:
    scheme = Verpo()
    small, large = (forge_gym.problem("TSP", n=n) for n in (5, 7))
    for problem in (small, large):
        instance, texts = problem.instance(), ["<answer>[0, 1, 2, 9]</answer>", "<answer>[0, 1, 2]</answer>"]
        for _ in range(problem.n):  # type: ignore[attr-defined]
            pay(scheme, Group(problem, instance, texts, problem.verify_many(instance, texts)))
    assert scheme.weights(small) != scheme.weights(large)
    other = Verpo()
    state = scheme.state_dict()
    other.load_state_dict(json.loads(json.dumps(state)))
    assert other.state_dict() == state and other.weights(large) == scheme.weights(large)
    other.rates.clear()
    pay(other, group(stub(("a",)), [infeasible(a=1.0)] * 2))
    assert scheme.state_dict() == state
    for wrong in ({}, None, {"rates": {}}, {"rates": 3, "unmet": {}}, {"rates": {"x": 3}, "unmet": {}}):
        with pytest.raises(ValueError, match="state must be what state_dict returned"):
            other.load_state_dict(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"the rate of 'a' of x must be a number from 0\.0 to 1\.0"):
        other.load_state_dict({"rates": {"x": {"a": 1.5}}, "unmet": {}})


def test_verpo_warns_once_of_a_family_that_is_never_met(caplog: pytest.LogCaptureFixture) -> None:
    scheme, problem = Verpo(), stub(("a", "b"))
    answers = group(problem, [infeasible(a=0.5), infeasible(a=0.5, b=0.5)])
    with caplog.at_level(logging.WARNING):
        for _ in range(UNMET_GROUPS - 1):
            pay(scheme, answers)
        assert not caplog.records
        scheme.load_state_dict(json.loads(json.dumps(scheme.state_dict())))
        for _ in range(10):
            pay(scheme, answers)
    (record,) = caplog.records
    assert "no answer of 500 groups in a row meets 'a' of Stub" in record.getMessage()


# ------------------------------------------------------------------------------------ base and bonus


def test_the_bonus_is_half_of_the_smallest_jump() -> None:
    jumps = [(1 - TIER_SLOPE) * (b - a) for a, b in pairwise(TIER_FLOORS)]
    assert pytest.approx(min(jumps) / 2) == MAX_BONUS
    assert sum(vars(BaseAndBonus()).values()) <= MAX_BONUS
    with pytest.raises(ValueError, match=r"must sum to at most 0\.02, got 0\.03"):
        BaseAndBonus(0.01, 0.01, 0.01)
    with pytest.raises(ValueError, match="novelty must be a number"):
        BaseAndBonus(novelty=-0.01)


@st.composite
def replies(draw: st.DrawFn) -> tuple[str, Verdict]:
    """A reply of random length and claim, with a verdict of any class."""
    verdict = draw(
        st.one_of(
            st.just(Verdict("malformed")),
            st.floats(0, 0.99).map(lambda credit: Verdict("infeasible", credit=credit)),
            st.floats(-3, 1.1).map(lambda skill: Verdict("feasible", skill=skill, objective=7)),
            st.just(Verdict("feasible", skill=1.0, objective=7, optimal=True)),
            st.just(Verdict("feasible", skill=2.0, objective=7, alarm=True)),
        )
    )
    words = draw(st.sampled_from(["", "objective: 7 ", "objective: 8 ", "x" * 5000 + " "]))
    return words + draw(st.sampled_from("abcd")), verdict


@given(st.lists(replies(), min_size=1, max_size=8))
def test_a_bonus_never_moves_an_answer_over_an_edge(answers: list[tuple[str, Verdict]]) -> None:
    texts, verdicts = (list(column) for column in zip(*answers, strict=True))
    rewards = pay(BaseAndBonus(), group(stub(), verdicts, texts))

    def tier(verdict: Verdict) -> int:
        return sum(verdict.skill >= edge for edge in TIER_EDGES)

    for verdict, reward in zip(verdicts, rewards, strict=True):
        base = tiered(verdict)
        if verdict.feasible and not verdict.alarm and 0 <= verdict.skill < 1:
            assert base < reward <= base + MAX_BONUS  # type: ignore[operator]
            assert reward < TIER_FLOORS[tier(verdict)]  # type: ignore[operator]
        else:
            assert reward == base
    for a, first in zip(verdicts, rewards, strict=True):
        for b, second in zip(verdicts, rewards, strict=True):
            if a.feasible and b.feasible and first is not None and second is not None and tier(a) < tier(b):
                assert first < second


def test_each_bonus_alone() -> None:
    answers = [Verdict("feasible", skill=0.5, objective=7)] * 3
    texts = ["x" * 2000 + " a", "objective: 7 A", "b"]
    base = 0.2
    alone = {
        name: dict.fromkeys(("concision", "claim", "novelty"), 0.0) | {name: 0.02}
        for name in vars(BaseAndBonus())
    }

    def paid(name: str) -> list[float]:
        return [reward - base for reward in pay(BaseAndBonus(**alone[name]), group(stub(), answers, texts))]  # type: ignore[operator]

    assert paid("concision") == pytest.approx([0.02 / 2.001, 0.02 / 1.007, 0.02 / 1.0005])
    assert paid("claim") == pytest.approx([0, 0.02, 0])
    assert paid("novelty") == pytest.approx([0, 0, 0.02])  # "a" and "A" are one solution
    scheme = BaseAndBonus(0.0, 0.0, 0.02)
    assert pay(scheme, group(stub(), answers[:1], ["a"])) == [base] == [scheme(answers[0])]
    assert pay(scheme, group(stub(), answers, ["a"] * 3)) == [base] * 3


def test_spellings_of_one_solution_are_no_novelty() -> None:
    tsp = forge_gym.problem("TSP")
    instance = next(x for _, x in tsp.graded_instances() if 0 <= tsp.judge(x, tsp.heuristic(x)).skill < 1)
    tour = tsp.heuristic(instance)
    texts = [tsp.format(instance, tour), tsp.format(instance, tour[3:] + tour[:3])]
    once, twice = pay(
        BaseAndBonus(0.0, 0.0, 0.02), Group(tsp, instance, texts, tsp.verify_many(instance, texts))
    )
    assert once == twice == 0.0


@pytest.mark.parametrize(
    ("words", "paid"),
    [
        ("objective: 42", True),
        ("The objective value is 42.", True),
        ("OBJECTIVE = 42, so", True),
        ("objective value: 84/2 ", True),
        ("objective is 42.0", True),
        ("objective: 41 no, objective: 42", True),
        ("objective: 42 no, objective: 41", False),
        ("objective: 42.5", False),
        ("objective: 42,000", False),
        ("objective: 421", False),
        ("objective: -42", False),
        ("42", False),
        ("subobjective: 42", False),
        ("objective: " + "4" * 50, False),
        ("objective: 42/0", False),
        ("objective: 42" + " " * 5000, False),
        ("objective: <answer>42", False),
    ],
)
def test_claims(words: str, paid: bool) -> None:
    verdict = Verdict("feasible", skill=0.5, objective=42)
    scheme = BaseAndBonus(0.0, MAX_BONUS, 0.0)
    assert pay(scheme, group(stub(), [verdict], [f"{words} [0]"])) == [0.2 + MAX_BONUS * paid]


@pytest.mark.parametrize(
    "attack", ["objective: ", "1", "objective" + "1" * 40, "objective: 1/", ": = is of "]
)
def test_claims_are_read_in_linear_time(attack: str) -> None:
    text = attack * (4 * 2**20 // len(attack)) + " a"
    start = time.process_time()
    pay(BaseAndBonus(), group(stub(), [Verdict("feasible", skill=0.5, objective=1)], [text]))
    assert time.process_time() - start < 1


# ----------------------------------------------------------------------------------------- pairwise


@st.composite
def judged(draw: st.DrawFn) -> Verdict:
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return Verdict("malformed")
    if kind == 1:
        return Verdict("infeasible", credit=draw(st.sampled_from([0.0, 0.2, 0.5])))
    return Verdict("feasible", objective=draw(st.integers(-3, 3)))


def beats(a: Verdict, b: Verdict, sense: str) -> bool:
    """By definition, class by class."""
    if a.status != b.status:
        return (b.status == "malformed") or (a.status == "feasible" and b.status == "infeasible")
    if a.status == "infeasible":
        return a.credit > b.credit
    if a.status == "feasible":
        assert a.objective is not None and b.objective is not None
        return a.objective > b.objective if sense == "max" else a.objective < b.objective
    return False


@given(verdicts=st.lists(judged(), min_size=2, max_size=8), sense=st.sampled_from(["max", "min"]))
def test_pairwise_is_wins_less_losses(verdicts: list[Verdict], sense: str) -> None:
    rewards = pay(Pairwise(), group(stub(sense=sense), verdicts))
    expected = [
        sum(beats(a, b, sense) - beats(b, a, sense) for b in verdicts) / (len(verdicts) - 1) for a in verdicts
    ]
    assert rewards == expected and sum(expected) == pytest.approx(0)
    # Any increasing change of the scale leaves them as they are, and a decreasing one turns the sense.
    for change in (
        lambda x: x**3,
        lambda x: 10**30 * x - 7,
        lambda x: Fraction(x, 3) if x < 0 else Fraction(x**5),
    ):
        changed = [v if v.objective is None else replace(v, objective=change(v.objective)) for v in verdicts]
        assert pay(Pairwise(), group(stub(sense=sense), changed)) == rewards
    turned = [v if v.objective is None else replace(v, objective=-v.objective) for v in verdicts]
    assert pay(Pairwise(), group(stub(sense="min" if sense == "max" else "max"), turned)) == rewards


@given(a=judged(), b=judged())
def test_pairwise_is_antisymmetric(a: Verdict, b: Verdict) -> None:
    first, second = pay(Pairwise(), group(stub(), [a, b]))
    assert first == -second and first in (-1, 0, 1)  # type: ignore[operator]
    assert pay(Pairwise(), group(stub(), [b, a])) == [second, first]
    if a == b:
        assert first == 0


@given(verdicts=st.lists(judged(), min_size=1, max_size=6), at=st.integers(0, 6), alarms=st.integers(1, 3))
def test_pairwise_leaves_alarms_out(verdicts: list[Verdict], at: int, alarms: int) -> None:
    alarm = Verdict("feasible", objective=99, alarm=True)
    mixed = [*verdicts[:at], *[alarm] * alarms, *verdicts[at:]]
    rewards = pay(Pairwise(), group(stub(), mixed))
    assert [r for r, v in zip(rewards, mixed, strict=True) if v.alarm] == [None] * alarms
    without = pay(Pairwise(), group(stub(), verdicts))
    assert [r for r, v in zip(rewards, mixed, strict=True) if not v.alarm] == without


@given(verdict=judged(), size=st.integers(1, 8))
def test_pairwise_pays_equals_nothing(verdict: Verdict, size: int) -> None:
    assert pay(Pairwise(), group(stub(), [verdict] * size)) == [0] * size


def test_pairwise_compares_exactly() -> None:
    verdicts = [Verdict("feasible", objective=10**400 + i) for i in (0, 1)]
    assert pay(Pairwise(), group(stub(), verdicts)) == [-1, 1]
    verdicts = [Verdict("feasible", objective=Fraction(1, 10**30) + i) for i in (1, 1)] + [
        Verdict("feasible", objective=1)
    ]
    assert pay(Pairwise(), group(stub(sense="min"), verdicts)) == [-0.5, -0.5, 1]


@pytest.mark.parametrize("name", ["teired", "", None, 3])
def test_an_unknown_scheme_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="reward must be one of"):
        forge_gym.reward(name)  # type: ignore[arg-type]
