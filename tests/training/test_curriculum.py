"""The curriculum: windows settle where learning is, states come back bit by bit, faults are quarantined."""

from __future__ import annotations

import copy
import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forge_gym
from forge_gym.core.verdict import Verdict
from forge_gym.training.curriculum import Curriculum, Window, WindowConfig

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
    with pytest.raises(ValueError, match=r"up must be a number from 0.5 to 1.0, got 0.4"):
        WindowConfig(up=0.4)  # nearer to down than 0.4, it would oscillate
    with pytest.raises(ValueError, match="width must be"):
        WindowConfig(width=0)
    with pytest.raises(ValueError, match="each once"):
        Curriculum(problems("TSP", "TSP"))
    with pytest.raises(ValueError, match="did you mean 'TSP'"):
        Curriculum(problems("TSP"), start={"TPS": 1})


def test_equal_shares_and_levels_within_the_window() -> None:
    curriculum = Curriculum(problems(), seed=3, start={"TSP": 5})
    draws = [curriculum.sample() for _ in range(300)]
    counts = Counter(draw.problem.name for draw in draws)
    assert all(abs(count - 100) <= 3 * math.sqrt(300 * 2 / 9) for count in counts.values())
    assert {draw.level for draw in draws if draw.problem.name == "TSP"} == {2, 3, 4, 5}
    assert {draw.level for draw in draws if draw.problem.name != "TSP"} == {0}
    assert all(draw.problem.is_graded(draw.instance) for draw in draws[:20])
    seen = [(draw.problem.name, draw.level, draw.source["index"]) for draw in draws]
    assert len(set(seen)) == len(seen)


def test_the_state_comes_back_bit_by_bit() -> None:
    def learn(curriculum: Curriculum, draws: int) -> list[tuple[str, int, int]]:
        seen = []
        for i in range(draws):
            draw = curriculum.sample()
            seen.append((draw.problem.name, draw.level, draw.source["index"]))
            verdicts = [PASSED if (i + j) % 7 else FAILED for j in range(8)]
            curriculum.update(draw.problem.name, draw.level, [FAILED] * 8 if i % 10 == 0 else verdicts)
        return seen

    whole, half = (Curriculum(problems(), seed=1) for _ in range(2))
    seen = learn(whole, 60)
    assert learn(half, 30) == seen[:30]
    state = json.loads(json.dumps(half.state_dict()))
    resumed = Curriculum(problems(), seed=1)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == half.state_dict()
    assert max(whole.top_levels.values()) > 0
    assert learn(resumed, 30) == learn(half, 30)
    assert resumed.state_dict() == half.state_dict()
    with pytest.raises(ValueError, match="state must be of the same seed"):
        Curriculum(problems(), seed=2).load_state_dict(state)
    with pytest.raises(ValueError, match="state must be of the same problems"):
        Curriculum(problems("TSP"), seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="state must be of the same rule"):
        Curriculum(problems(), seed=1, rule=WindowConfig(width=2)).load_state_dict(state)
    fresh = Curriculum(problems(), seed=1)
    before = fresh.state_dict()
    for bad in (state | {"more": 1}, {key: state[key] for key in state if key != "rng"}):
        with pytest.raises(ValueError, match="state must have the keys"):
            fresh.load_state_dict(bad)
    assert fresh.state_dict() == before
