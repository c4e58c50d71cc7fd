"""Reward schemes: worked numbers, class order, strict monotonicity, symmetry, invariance."""

from __future__ import annotations

import pickle
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import forge_gym
from forge_gym.core.reference import Reference
from forge_gym.core.rewards import (
    REWARDS,
    TIER_EDGES,
    TIER_FLOORS,
    Group,
    Reward,
    binary,
    linear,
    np_engine,
    ratio_power,
    register_reward,
    single_reward,
    stepped,
    tiered,
)
from forge_gym.core.verdict import Number, Verdict


def reference(sense: str, t: Number, b: Number, r: Number, bound: Number | None = None) -> Reference[None]:
    return Reference(None, r, r if bound is None else bound, "test", 0, sense, trivial=t, greedy=b)  # type: ignore[arg-type]


def paid(anchors: Reference[None], v: Number) -> float | None:
    return tiered(anchors.verdict(v))


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


def test_a_value_beyond_the_certificate_is_not_paid() -> None:
    for scheme in (tiered, linear, stepped, binary, np_engine, ratio_power):
        assert scheme(KNAPSACK.verdict(111)) is None
        assert scheme(UNPROVEN.verdict(65)) is None


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
def test_strictly_monotone_and_bounded(scheme: Reward, a: float, b: float) -> None:
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
    assert up.verdict(v).quality == down.verdict(-v).quality


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
    assert found.verdict(r).quality == found.verdict(r).skill == paid(found, r) == 1
    if t < b < r:
        assert found.verdict(t).quality == 0
        assert found.verdict(t).skill == -1 and paid(found, t) == -0.2
        assert found.verdict(b).skill == 0 and paid(found, b) == 0
    if t < r:
        worse = paid(found, r - 1)
        assert worse is not None and worse < 0.95
        assert found.verdict(r - 1).quality < 1 and found.verdict(r - 1).skill < 1


@pytest.mark.parametrize("sense", ["max", "min"])
def test_numbers_of_any_size_stay_finite(sense: str) -> None:
    huge = 10**400 if sense == "min" else -(10**400)
    anchors = (0, 1, 2) if sense == "max" else (2, 1, 0)
    for v in (huge, Fraction(huge, 3)):
        judged = reference(sense, *anchors).verdict(v)
        assert tiered(judged) == -0.25
        assert judged.quality == 0 and judged.ratio == 0


def test_equal_anchors() -> None:
    flat = reference("max", 5, 5, 5)
    assert paid(flat, 5) == 1
    worse = paid(flat, 4)
    assert worse is not None and worse < 0
    greedy_is_optimal = reference("max", 0, 10, 10)
    assert greedy_is_optimal.verdict(10).skill == 1 and greedy_is_optimal.verdict(5).skill == -0.5
    no_gap = reference("max", 10, 10, 14)
    assert no_gap.verdict(10).skill == 0 and no_gap.verdict(12).skill == 0.5 and no_gap.verdict(6).skill == -1


def test_linear_keeps_the_order_of_tiered() -> None:
    for anchors in (KNAPSACK, TOUR, CONFLICTS, NEGATIVE, UNPROVEN):
        values = [v for v in range(-100, 1300) if not anchors.beaten_by(v)]
        by_tiered = sorted(values, key=lambda v, a=anchors: tiered(a.verdict(v)))  # type: ignore[misc, arg-type, return-value]
        by_linear = sorted(values, key=lambda v, a=anchors: linear(a.verdict(v)))  # type: ignore[misc, arg-type, return-value]
        assert by_tiered == by_linear


def test_binary_and_np_engine() -> None:
    assert [binary(Verdict(s)) for s in ("malformed", "infeasible", "feasible")] == [0, 0, 1]  # type: ignore[arg-type]
    assert [np_engine(Verdict(s, ratio=0.5)) for s in ("malformed", "infeasible", "feasible")] == [
        -2.5,
        -0.5,
        1.5,
    ]  # type: ignore[arg-type]
    assert np_engine(TOUR.verdict(1120)) == 1.5 and np_engine(TOUR.verdict(560)) == 2


skills = st.floats(-1e3, 0.999999)


@given(a=skills, b=skills)
def test_stepped_is_the_floor_of_tiered(a: float, b: float) -> None:
    low, high = (Verdict("feasible", skill=skill) for skill in sorted((a, b)))
    floor, reward = stepped(high), tiered(high)
    assert floor is not None and reward is not None
    assert stepped(low) <= floor <= reward  # type: ignore[operator]
    if high.skill >= 0:
        above = min(edge for edge in TIER_FLOORS if edge > floor)
        assert floor in TIER_FLOORS and reward < above
    else:
        assert floor == reward


def test_stepped_ties_inside_a_tier_and_steps_at_its_edge() -> None:
    assert stepped(Verdict("feasible", skill=0.5)) == stepped(Verdict("feasible", skill=0.74)) == 0.2
    assert stepped(Verdict("feasible", skill=0.75)) == 0.38
    for verdict in (
        Verdict("malformed"),
        Verdict("infeasible", credit=0.3),
        Verdict("feasible", optimal=True, skill=1.0),
        Verdict("feasible", skill=1.2),
    ):
        assert stepped(verdict) == tiered(verdict)


@given(a=st.floats(0, 1), b=st.floats(0, 1))
def test_ratio_power(a: float, b: float) -> None:
    low, high = (ratio_power(Verdict("feasible", ratio=ratio)) for ratio in sorted((a, b)))
    assert low is not None and high is not None and 0 <= low <= high <= 1
    assert low == pytest.approx(min(a, b) ** 5)
    assert ratio_power(Verdict("malformed")) == -1 and ratio_power(Verdict("infeasible", credit=0.9)) == -0.5
    assert ratio_power(TOUR.verdict(560)) == 1 and ratio_power(TOUR.verdict(1120)) == 1 / 32


@pytest.mark.parametrize("name", ["teired", "", None, 3])
def test_an_unknown_scheme_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="reward must be one of"):
        forge_gym.reward(name)  # type: ignore[arg-type]


def test_schemes_that_compare_answers_pay_no_single_one() -> None:
    assert single_reward("verpo")(Verdict("malformed")) == -1
    with pytest.raises(ValueError, match="reward must pay a single answer, got 'pairwise'"):
        single_reward("pairwise")


def test_a_name_is_registered_once() -> None:
    register_reward("verpo", REWARDS["verpo"])  # type: ignore[arg-type] # it is a path
    with pytest.raises(ValueError, match="name must be new, got 'tiered'"):
        register_reward("tiered", "somewhere:Else")


def test_objects_are_not_shared_and_functions_are() -> None:
    for name, scheme in REWARDS.items():
        assert (forge_gym.reward(name) is forge_gym.reward(name)) == callable(scheme)
        pickle.loads(pickle.dumps(forge_gym.reward(name)))
    assert not callable(forge_gym.reward("pairwise"))
    with pytest.raises(ValueError, match="verdicts must be one per text, got 1 for 2 texts"):
        Group(None, None, ["a", "b"], [Verdict("malformed")])  # type: ignore[arg-type]
