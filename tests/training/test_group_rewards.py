"""Schemes that look at a whole group: weights that learn, bonuses within a tier, and comparison."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forge_gym
from cases import every_problem
from forge_gym.core.rewards import REWARDS, TIER_EDGES, TIER_FLOORS, TIER_SLOPE, Group, group_rewards, tiered
from forge_gym.core.verdict import Verdict, Violation
from forge_gym.training.group_rewards import (
    EMA_RATE,
    START_RATE,
    BaseAndBonus,
    Pairwise,
    Verpo,
)

MAX_BONUS = 0.02


def stub(constraints: tuple[str, ...] = (), sense: str = "max", nulls: tuple[Any, ...] = ()) -> Any:
    """A problem whose solutions are words, and whose null answers are their violations."""
    return SimpleNamespace(
        name="Stub",
        parameters={},
        constraints=constraints,
        sense=sense,
        null_violations=lambda instance: [null for null in nulls if null],
        violations=lambda instance, solution: solution,
        canonical=lambda instance, solution: solution.lower(),
    )


def group(problem: Any, verdicts: list[Verdict], texts: list[str] | None = None) -> Group:
    """A group in which the last word of a text is the solution."""
    if texts:
        verdicts = [v._replace(solution=text.split()[-1]) for v, text in zip(verdicts, texts, strict=True)]
    return Group(problem, SimpleNamespace(memo={}), texts or ["x"] * len(verdicts), verdicts)  # type: ignore[arg-type]


def broken(**amounts: float) -> tuple[Violation, ...]:
    """One violation per family, of so many thousandths."""
    return tuple(Violation(family, round(1000 * amount), 1000, "") for family, amount in amounts.items() if amount)


def infeasible(**amounts: float) -> Verdict:
    return Verdict("infeasible", violations=broken(**amounts))


def learned(rates: dict[str, float]) -> Verpo:
    scheme = Verpo()
    scheme.load_state_dict({"rates": {"Stub {}": rates}})
    return scheme


def real_group(name: str) -> Group:
    problem = forge_gym.problem(name)
    _, instance = next(problem.graded_instances(seed=3))
    rng = np.random.default_rng(0)
    solutions = [problem.trivial(instance), problem.heuristic(instance), problem.reference(instance).solution]
    solutions += [problem.random(instance, rng) for _ in range(4)]
    body = json.loads(problem.format_answer(instance, solutions[1]))
    texts = [
        "?",
        *(f"<answer>{json.dumps(each)}</answer>" for each in (body + body[:1], body[1:] + body, [999])),
    ]
    texts += [problem.format(instance, solution) for solution in solutions]
    return Group(problem, instance, texts, problem.verify_many(instance, texts))


@every_problem
@pytest.mark.parametrize("scheme", REWARDS)
def test_every_scheme_pays_every_group(scheme: str, name: str) -> None:
    answers = real_group(name)
    rewards = group_rewards(forge_gym.reward(scheme), answers)
    assert len(rewards) == len(answers.verdicts) and all(isinstance(reward, float) for reward in rewards)
    # A class never pays less than one below it.
    for low, high in (("malformed", "infeasible"), ("infeasible", "feasible")):
        lower = [r for r, v in zip(rewards, answers.verdicts, strict=True) if v.status == low]
        upper = [r for r, v in zip(rewards, answers.verdicts, strict=True) if v.status == high]
        assert not lower or not upper or max(lower) <= min(upper)  # type: ignore[type-var]
    beaten = replace(answers, verdicts=[v._replace(beats_bound=True) if v.feasible else v for v in answers.verdicts])
    for reward, verdict in zip(group_rewards(forge_gym.reward(scheme), beaten), beaten.verdicts, strict=True):
        assert (reward is None) == verdict.beats_bound


# -------------------------------------------------------------------------------------------- verpo

shares = st.floats(0, 1)


@every_problem
def test_verpo_is_tiered_before_it_has_learned_and_learns_from_groups_alone(name: str) -> None:
    scheme, answers = Verpo(), real_group(name)
    expected = [tiered(verdict) for verdict in answers.verdicts]
    for _ in range(3):
        for text, verdict, reward in zip(answers.texts, answers.verdicts, expected, strict=True):
            assert group_rewards(scheme, Group(answers.problem, answers.instance, [text], [verdict])) == [reward]
            assert scheme(verdict) == reward
    assert scheme.state_dict() == {"rates": {}}
    assert group_rewards(scheme, answers) == expected
    if any(verdict.credit for verdict in answers.verdicts):  # these break some families and not others
        assert group_rewards(scheme, answers) != expected


@every_problem
def test_verpo_with_equal_shares_is_tiered_and_null_answers_earn_nothing_under_any(name: str) -> None:
    answers, rng = real_group(name), np.random.default_rng(0)
    problem, instance = answers.problem, answers.instance
    key = next(iter(_after(answers).rates))
    equal = Verpo()
    equal.load_state_dict({"rates": {key: dict.fromkeys(problem.constraints, 0.3)}})
    assert group_rewards(equal, answers) == pytest.approx([tiered(verdict) for verdict in answers.verdicts])
    nulls = [problem.verify_solution(instance, null) for null in problem.null_answers(instance)]
    nulls = [verdict for verdict in nulls if verdict.status == "infeasible"]
    for _ in range(20):
        scheme = Verpo()
        rates = {family: float(rng.random()) for family in problem.constraints}
        scheme.load_state_dict({"rates": {key: rates}})
        assert group_rewards(scheme, Group(problem, instance, ["?"] * len(nulls), nulls)) == [-0.9] * len(nulls)


def _after(answers: Group) -> Verpo:
    scheme = Verpo()
    group_rewards(scheme, answers)
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
    rewards = group_rewards(learned(shared), group(problem, verdicts))
    assert all(reward is not None and -0.9 <= reward < -0.4 for reward in rewards)
    assert group_rewards(learned(shared), group(problem, verdicts[::-1])) == rewards[::-1]
    assert group_rewards(learned(shared), group(problem, verdicts[:1])) == rewards[:1]
    assert sum(learned(shared).weights(problem).values()) == pytest.approx(1)


def test_verpo_pays_most_for_the_frontier() -> None:
    scheme, problem = learned({"easy": 0.9, "hard": 0.2}), stub(("easy", "hard"))
    verdicts = [infeasible(easy=0.5, hard=0.5), infeasible(hard=0.5), infeasible(easy=0.5)]
    both, without_easy, without_hard = group_rewards(scheme, group(problem, verdicts))
    assert both < without_easy < without_hard  # type: ignore[operator]
    assert (without_hard - both) > 5 * (without_easy - both)  # type: ignore[operator]


@given(copies=st.integers(1, 30), rate=st.floats(0.7, 1.0), frontier=st.floats(0.0, 0.3))
def test_copies_of_an_easy_family_do_not_drown_the_frontier(copies: int, rate: float, frontier: float) -> None:
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
    (reward,) = group_rewards(scheme, group(problem, [infeasible(easy=0.25)]))
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
        Verdict("feasible", beats_bound=True),
    ]
    group_rewards(scheme, group(problem, verdicts))
    half = (1 - EMA_RATE) * START_RATE + EMA_RATE * 0.5
    full = (1 - EMA_RATE) * START_RATE + EMA_RATE
    assert scheme.rates == {"Stub {}": {"a": pytest.approx(half), "b": pytest.approx(full)}}
    assert scheme.weights(problem)["a"] > scheme.weights(problem)["b"]
    before = scheme.state_dict()
    group_rewards(scheme, group(problem, [Verdict("malformed")] * 4))
    assert scheme.state_dict() == before
    group_rewards(scheme, group(problem, verdicts))
    assert scheme.state_dict() != before  # what was handed out is a copy


def test_verpo_keeps_problems_apart_and_its_state_travels() -> None:
    scheme = Verpo()
    small, large = (forge_gym.problem("TSP", n=n) for n in (5, 7))
    for problem in (small, large):
        instance, texts = problem.instance(), ["<answer>[0, 1, 2, 9]</answer>", "<answer>[0, 1, 2]</answer>"]
        for _ in range(problem.n):  # type: ignore[attr-defined]
            group_rewards(scheme, Group(problem, instance, texts, problem.verify_many(instance, texts)))
    assert scheme.weights(small) != scheme.weights(large)
    other = Verpo()
    state = scheme.state_dict()
    other.load_state_dict(json.loads(json.dumps(state)))
    assert other.state_dict() == state and other.weights(large) == scheme.weights(large)
    other.rates.clear()
    group_rewards(other, group(stub(("a",)), [infeasible(a=1.0)] * 2))
    assert scheme.state_dict() == state


# ------------------------------------------------------------------------------------ base and bonus


@pytest.mark.parametrize(
    "state",
    [None, [], {}, {"rates": None}, {"rates": {"TSP": None}}, {"rates": {"TSP": {"once": 1.5}}},
     {"rates": {"TSP": {"once": "0.5"}}}, {"rates": {"TSP": {"once": float("nan")}}}],
)  # fmt: skip
def test_a_damaged_state_of_verpo_is_refused(state: Any) -> None:
    scheme = Verpo()
    scheme.rates = {"TSP": {"once": 0.5}}
    with pytest.raises(ValueError, match="state of verpo must have the running shares"):
        scheme.load_state_dict(state)
    assert scheme.rates == {"TSP": {"once": 0.5}}


def test_the_bonus_is_half_of_the_smallest_jump() -> None:
    jumps = [(1 - TIER_SLOPE) * (b - a) for a, b in pairwise(TIER_FLOORS)]
    assert pytest.approx(min(jumps) / 2) == MAX_BONUS
    assert sum(vars(BaseAndBonus()).values()) <= MAX_BONUS


@st.composite
def replies(draw: st.DrawFn) -> tuple[str, Verdict]:
    """A reply of random length and claim, with a verdict of any class."""
    verdict = draw(
        st.one_of(
            st.just(Verdict("malformed")),
            st.floats(0, 0.99).map(lambda credit: Verdict("infeasible", credit=credit)),
            st.floats(-3, 1.1).map(lambda skill: Verdict("feasible", skill=skill, objective=7)),
            st.just(Verdict("feasible", skill=1.0, objective=7, optimal=True)),
            st.just(Verdict("feasible", skill=2.0, objective=7, beats_bound=True)),
        )
    )
    words = draw(st.sampled_from(["", "objective: 7 ", "objective: 8 ", "x" * 5000 + " "]))
    return words + draw(st.sampled_from("abcd")), verdict


@given(st.lists(replies(), min_size=1, max_size=8))
def test_a_bonus_never_moves_an_answer_over_an_edge(answers: list[tuple[str, Verdict]]) -> None:
    texts, verdicts = (list(column) for column in zip(*answers, strict=True))
    rewards = group_rewards(BaseAndBonus(), group(stub(), verdicts, texts))

    def tier(verdict: Verdict) -> int:
        return sum(verdict.skill >= edge for edge in TIER_EDGES)

    for verdict, reward in zip(verdicts, rewards, strict=True):
        base = tiered(verdict)
        if verdict.feasible and not verdict.beats_bound and 0 <= verdict.skill < 1:
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
        name: dict.fromkeys(("concision", "claim", "novelty"), 0.0) | {name: 0.02} for name in vars(BaseAndBonus())
    }

    def paid(name: str) -> list[float]:
        return [reward - base for reward in group_rewards(BaseAndBonus(**alone[name]), group(stub(), answers, texts))]  # type: ignore[operator]

    assert paid("concision") == pytest.approx([0.02 / 2.001, 0.02 / 1.007, 0.02 / 1.0005])
    assert paid("claim") == pytest.approx([0, 0.02, 0])
    assert paid("novelty") == pytest.approx([0, 0, 0.02])  # "a" and "A" are one solution
    scheme = BaseAndBonus(0.0, 0.0, 0.02)
    assert group_rewards(scheme, group(stub(), answers[:1], ["a"])) == [base] == [scheme(answers[0])]
    assert group_rewards(scheme, group(stub(), answers, ["a"] * 3)) == [base] * 3


def test_spellings_of_one_solution_are_no_novelty() -> None:
    tsp = forge_gym.problem("TSP")
    instance = next(x for _, x in tsp.graded_instances() if 0 <= tsp.verify_solution(x, tsp.heuristic(x)).skill < 1)
    tour = tsp.heuristic(instance)
    texts = [tsp.format(instance, tour), tsp.format(instance, tour[3:] + tour[:3])]
    once, twice = group_rewards(
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
    assert group_rewards(scheme, group(stub(), [verdict], [f"{words} [0]"])) == [0.2 + MAX_BONUS * paid]


@pytest.mark.parametrize("attack", ["objective: ", "1", "objective" + "1" * 40, "objective: 1/", ": = is of "])
def test_claims_are_read_in_linear_time(attack: str) -> None:
    text = attack * (4 * 2**20 // len(attack)) + " a"
    start = time.process_time()
    group_rewards(BaseAndBonus(), group(stub(), [Verdict("feasible", skill=0.5, objective=1)], [text]))
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
    rewards = group_rewards(Pairwise(), group(stub(sense=sense), verdicts))
    expected = [sum(beats(a, b, sense) - beats(b, a, sense) for b in verdicts) / (len(verdicts) - 1) for a in verdicts]
    assert rewards == expected and sum(expected) == pytest.approx(0)
    # Any increasing change of the scale leaves them as they are, and a decreasing one turns the sense.
    for change in (
        lambda x: x**3,
        lambda x: 10**30 * x - 7,
        lambda x: Fraction(x, 3) if x < 0 else Fraction(x**5),
    ):
        changed = [v if v.objective is None else v._replace(objective=change(v.objective)) for v in verdicts]
        assert group_rewards(Pairwise(), group(stub(sense=sense), changed)) == rewards
    turned = [v if v.objective is None else v._replace(objective=-v.objective) for v in verdicts]
    assert group_rewards(Pairwise(), group(stub(sense="min" if sense == "max" else "max"), turned)) == rewards


@given(a=judged(), b=judged())
def test_pairwise_is_antisymmetric(a: Verdict, b: Verdict) -> None:
    first, second = group_rewards(Pairwise(), group(stub(), [a, b]))
    assert first == -second and first in (-1, 0, 1)  # type: ignore[operator]
    assert group_rewards(Pairwise(), group(stub(), [b, a])) == [second, first]
    if a == b:
        assert first == 0


@given(verdicts=st.lists(judged(), min_size=1, max_size=6), at=st.integers(0, 6), alarms=st.integers(1, 3))
def test_pairwise_leaves_alarms_out(verdicts: list[Verdict], at: int, alarms: int) -> None:
    alarm = Verdict("feasible", objective=99, beats_bound=True)
    mixed = [*verdicts[:at], *[alarm] * alarms, *verdicts[at:]]
    rewards = group_rewards(Pairwise(), group(stub(), mixed))
    assert [r for r, v in zip(rewards, mixed, strict=True) if v.beats_bound] == [None] * alarms
    without = group_rewards(Pairwise(), group(stub(), verdicts))
    assert [r for r, v in zip(rewards, mixed, strict=True) if not v.beats_bound] == without


@given(verdict=judged(), size=st.integers(1, 8))
def test_pairwise_pays_equals_nothing(verdict: Verdict, size: int) -> None:
    assert group_rewards(Pairwise(), group(stub(), [verdict] * size)) == [0] * size


def test_pairwise_compares_exactly() -> None:
    verdicts = [Verdict("feasible", objective=10**400 + i) for i in (0, 1)]
    assert group_rewards(Pairwise(), group(stub(), verdicts)) == [-1, 1]
    verdicts = [Verdict("feasible", objective=Fraction(1, 10**30) + i) for i in (1, 1)] + [
        Verdict("feasible", objective=1)
    ]
    assert group_rewards(Pairwise(), group(stub(sense="min"), verdicts)) == [-0.5, -0.5, 1]
