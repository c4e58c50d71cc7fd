"""The curriculum: windows settle where learning is, states come back bit by bit, faults are quarantined."""

from __future__ import annotations

import copy
import json
import logging
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forge_gym
from forge_gym.core.verdict import Verdict
from forge_gym.training.curriculum import Curriculum, Window, WindowConfig, allocate

PASSED, FAILED = Verdict("feasible", skill=0.8), Verdict("feasible", skill=0.1)


def problems(*names: str) -> list[Any]:
    return [forge_gym.problem(name) for name in names or ("TSP", "Knapsack", "MaxClique")]


def group(rng: np.random.Generator, p: float, size: int = 8) -> list[float]:
    return [0.9 if rng.random() < p else 0.1 for _ in range(size)]


def chance(ability: float, level: int) -> float:
    return 1 / (1 + math.exp(level - ability))


@pytest.mark.parametrize("seed", range(3))
def test_the_window_follows_a_learner(seed: int) -> None:
    """A logistic learner gains ability: at nine of ten checks its pass rate at the top is in [.2, .8]."""
    rng, window, ability, rates = np.random.default_rng(seed), Window(), 0.0, []
    for step in range(4000):
        level = int(rng.integers(window.levels.start, window.levels.stop))
        checks = len(window.seen) == window.rule.groups - 1 and level == window.top
        p = chance(ability, level)
        window.update(level, group(rng, p), feasible=8)
        if checks and step > 500:
            rates.append(p)
        ability += 0.002
    assert window.top > 3 and len(rates) > 50
    assert np.mean([0.2 <= rate <= 0.8 for rate in rates]) >= 0.9


@pytest.mark.parametrize("ability", [0.0, 2.3, 5.0])
def test_a_learner_that_stands_still_keeps_its_level(ability: float) -> None:
    rng, window, tops = np.random.default_rng(0), Window(top=round(ability)), []
    for _ in range(4000):
        level = int(rng.integers(window.levels.start, window.levels.stop))
        window.update(level, group(rng, chance(ability, level)), feasible=8)
        tops.append(window.top)
    settled = tops[1000:]
    assert max(settled) - min(settled) <= 1


@given(st.integers(0, 9), st.lists(st.sampled_from([0.0, 0.9]), min_size=1, max_size=8))
def test_only_the_top_level_counts(level: int, skills: list[float]) -> None:
    window = Window(top=5)
    before = copy.deepcopy(window)
    assert window.update(level, skills, feasible=len(skills)) == 0
    assert (window == before) == (level != 5)


def test_demotion_needs_two_checks_and_promotion_feasible_answers() -> None:
    window = Window(WindowConfig(groups=1), top=2)
    assert window.update(2, [0.0] * 8, 8) == 0 and window.weak
    assert window.update(2, [0.9] + [0.0] * 7, 8) == 0 and not window.weak  # .125 is above .1
    assert window.update(2, [0.0] * 8, 8) == 0
    assert window.update(2, [0.0] * 8, 8) == -1 and window.top == 1 and window.demotions == 1
    assert window.update(1, [0.9] * 8, 7) == 0  # .875 feasible
    assert window.update(1, [0.9] * 8, 8) == 1 and window.promotions == 1
    bottom = Window(WindowConfig(groups=1))
    assert [bottom.update(0, [0.0] * 8, 0) for _ in range(4)] == [0] * 4


def test_bad_rules_and_arguments() -> None:
    with pytest.raises(ValueError, match=r"up must be at least 0.4 above down.*got up=0.4 and down=0.1"):
        WindowConfig(up=0.4)
    with pytest.raises(ValueError, match="width must be"):
        WindowConfig(width=0)
    with pytest.raises(ValueError, match="each once"):
        Curriculum(problems("TSP", "TSP"))
    with pytest.raises(ValueError, match="did you mean 'TSP'"):
        Curriculum(problems("TSP"), start={"TPS": 1})
    with pytest.raises(ValueError, match="temperature must be positive"):
        Curriculum(problems("TSP"), temperature=0)


def test_equal_shares_and_levels_within_the_window() -> None:
    curriculum = Curriculum(problems(), seed=3, start={"TSP": 5})
    draws = [curriculum.sample() for _ in range(300)]
    counts = Counter(draw.problem.name for draw in draws)
    assert all(abs(count - 100) <= 3 * math.sqrt(300 * 2 / 9) for count in counts.values())
    assert {draw.level for draw in draws if draw.problem.name == "TSP"} == {2, 3, 4, 5}
    assert {draw.level for draw in draws if draw.problem.name != "TSP"} == {0}
    assert all(draw.problem.is_graded(draw.instance) for draw in draws[:20])
    seen = [(draw.problem.name, draw.level, draw.index) for draw in draws]
    assert len(set(seen)) == len(seen)


def test_temperature_gives_more_to_problems_with_signal_and_a_floor_to_the_others() -> None:
    curriculum = Curriculum(problems("TSP", "Knapsack"), temperature=1.0)
    for _ in range(200):
        curriculum.update("TSP", 0, 0, [FAILED] * 4, signal=False)
    shares = curriculum.shares
    assert 0.25 <= shares["TSP"] < 0.35 and sum(shares.values()) == pytest.approx(1)
    assert Curriculum(problems("TSP", "Knapsack")).shares == {"TSP": 0.5, "Knapsack": 0.5}


def test_review_and_retry() -> None:
    curriculum = Curriculum(problems("TSP"), start=6, review=0.5, retry=3)
    first = curriculum.sample()
    curriculum.update("TSP", first.level, first.index, [FAILED] * 4)
    following = [curriculum.sample() for _ in range(60)]
    again = [i for i, draw in enumerate(following, 1) if draw.instance == first.instance]
    assert again == [3]  # three draws later, and never again, since nobody reported on it anew
    assert min(draw.level for draw in following) < 3  # below the window


def test_duet_prefers_uncertain_outcomes() -> None:
    curriculum = Curriculum(problems("TSP", "Knapsack"), duet=8)
    for _ in range(100):
        curriculum.update("TSP", 0, 0, [PASSED] * 8)
        curriculum.update("Knapsack", 0, 0, [PASSED, FAILED] * 4)
        curriculum.windows["TSP"].top = 0
    counts = Counter(curriculum.sample().problem.name for _ in range(160))
    assert counts["Knapsack"] > 140


def test_allocation_is_the_best_there_is() -> None:
    """Against all ways to spread six blocks over three prompts."""
    rng = np.random.default_rng(1)

    def informative(rates: Iterable[float], blocks: Iterable[int]) -> float:
        return sum(1 - p ** (4 * n) - (1 - p) ** (4 * n) for p, n in zip(rates, blocks, strict=True) if n)

    for _ in range(50):
        rates = rng.random(3).round(2).tolist()
        best = max(informative(rates, (a, b, 6 - a - b)) for a in range(7) for b in range(7 - a))
        assert informative(rates, allocate(rates, 6)) == pytest.approx(best, abs=1e-8)
    eight = [0, 0.02, 0.1, 0.3, 0.5, 0.9, 0.99, 1]
    assert informative(eight, allocate(eight, 16)) == pytest.approx(3.84, abs=0.005)
    assert informative(eight, [2] * 8) == pytest.approx(3.30, abs=0.005)


@pytest.mark.parametrize("options", [{}, {"temperature": 2.0, "review": 0.1, "retry": 5, "duet": 4}])
def test_the_state_comes_back_bit_by_bit(options: dict[str, Any]) -> None:
    def learn(curriculum: Curriculum, draws: int) -> list[tuple[str, int, int]]:
        seen = []
        for i in range(draws):
            draw = curriculum.sample()
            seen.append((draw.problem.name, draw.level, draw.index))
            verdicts = [PASSED if (i + j) % 7 else FAILED for j in range(8)]
            curriculum.update(*seen[-1], [FAILED] * 8 if i % 10 == 0 else verdicts, signal=i % 3 > 0)
        return seen

    whole, half = (Curriculum(problems(), seed=1, **options) for _ in range(2))
    seen = learn(whole, 60)
    assert learn(half, 30) == seen[:30]
    state = json.loads(json.dumps(half.state_dict()))
    resumed = Curriculum(problems(), seed=1, **options)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == half.state_dict()
    assert max(whole.top_levels.values()) > 0
    # The second half is learned from the same place in the cycle of verdicts: 30 is a multiple of 10 and 3, not of 7.
    assert learn(resumed, 30) == learn(half, 30)
    assert resumed.state_dict() == half.state_dict()
    with pytest.raises(ValueError, match="state must be of the same seed"):
        Curriculum(problems(), seed=2, **options).load_state_dict(state)
    with pytest.raises(ValueError, match="state must be of the same problems"):
        Curriculum(problems("TSP"), seed=1).load_state_dict(state)
    fresh = Curriculum(problems(), seed=1, **options)
    before = fresh.state_dict()
    lacking = state | {"windows": state["windows"] | {"TSP": {"top": 1}}}
    for bad in (state | {"more": 1}, {key: state[key] for key in state if key != "rng"}, lacking):
        with pytest.raises(
            ValueError, match="state must be what state_dict returned, got one that differs in"
        ):
            fresh.load_state_dict(bad)
    assert fresh.state_dict() == before


def test_a_generator_that_fails_once_is_tried_again_and_then_quarantined(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tsp = type(forge_gym.problem("TSP"))
    generate, calls = tsp.generate, Counter[str]()

    def now_and_then(self: Any, rng: np.random.Generator) -> Any:
        calls["once"] += 1
        if calls["once"] == 3:
            raise ZeroDivisionError("a bug")
        return generate(self, rng)

    monkeypatch.setattr(tsp, "generate", now_and_then)
    curriculum = Curriculum(problems("TSP", "Knapsack"))
    assert len([curriculum.sample() for _ in range(20)]) == 20 and not curriculum.quarantined

    def never(self: Any, rng: np.random.Generator) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(tsp, "generate", never)
    with caplog.at_level(logging.ERROR):
        assert {curriculum.sample().problem.name for _ in range(20)} == {"Knapsack"}
    assert curriculum.quarantined == {"TSP": "level 0: ZeroDivisionError: 'a bug'"}
    assert "TSP leaves the curriculum" in caplog.text
    with pytest.raises(RuntimeError, match="the generators of all problems fail"):
        Curriculum(problems("TSP")).sample()
