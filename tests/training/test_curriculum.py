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


def test_levels_end_where_a_graded_instance_takes_too_much_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Searches are counted in steps of the solver: two curricula give up at one place, and never try it again."""
    problem = forge_gym.problem("MaxIndependentSet", distribution="gnp")
    monkeypatch.setattr(type(problem), "work_limit", 3000)
    asked: list[Any] = []
    solve = type(problem).solve
    monkeypatch.setattr(type(problem), "solve", lambda *given: asked.append(given) or solve(*given))
    one, other = (Curriculum(problem, seed=4, start=40, rule=WindowConfig(width=1, groups=1)) for _ in range(2))
    first, again = one.sample(), other.sample()
    assert (first.level, first.instance) == (again.level, again.instance) and one.state_dict() == other.state_dict()
    window = one.windows[problem.name]
    assert 0 < first.level == window.top < window.ceiling < 39
    assert "levels of MaxIndependentSet end at 39, and go on at 39" in caplog.text
    assert len(asked) < 20
    resumed = Curriculum(problem, seed=4, rule=WindowConfig(width=1, groups=1))
    resumed.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for _ in range(60):  # a learner that passes everything
        draws = [curriculum.sample() for curriculum in (one, resumed)]
        assert draws[0].id == draws[1].id and draws[0].level == draws[1].level <= window.ceiling
        for curriculum in (one, resumed):
            curriculum.update(problem.name, draws[0].level, [PASSED] * 4)
    assert one.state_dict() == resumed.state_dict()


def test_the_last_level_is_not_left(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    tsp = forge_gym.problem("TSP")
    monkeypatch.setattr(type(tsp), "most", tsp.at_level(2).n)
    curriculum = Curriculum(tsp, rule=WindowConfig(groups=1), start=1)
    moves = [curriculum.update("TSP", level, [PASSED] * 8) for level in (1, 2, 2, 2)]
    assert moves == [1, 0, 0, 0] and curriculum.top_levels == {"TSP": 2}
    assert caplog.text.count("levels of TSP end at 2: level must be an integer from 0 to 2") == 1
    assert curriculum.sample().level <= 2
    with pytest.raises(ValueError, match="level must be an integer from 0 to 2"):
        Curriculum(tsp, start=3)


def test_a_problem_without_graded_instances_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    tsp = forge_gym.problem("TSP")
    monkeypatch.setattr(type(tsp), "is_graded", lambda *_: False)
    with pytest.raises(ValueError, match="parameters of TSP must leave room"):
        Curriculum(tsp, start=5).sample()


def deep(depth: int) -> Any:
    nested: Any = 1
    for _ in range(depth):
        nested = [nested]
    return nested


GARBAGE = [
    None,
    True,
    -1,
    10**50,
    10**5000,
    1.5,
    math.nan,
    math.inf,
    "",
    "x",
    [],
    [1],
    {},
    {"x": 1},
    deep(50),
    deep(10**5),
    {1},
    1j,
]


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("windows",),
        ("windows", "TSP"),
        *[("windows", "TSP", key) for key in ("top", "seen", "weak", "promotions", "demotions", "ceiling", "rule")],
        ("windows", "TSP", "seen", 0),
        *[("windows", "TSP", "seen", 0, k) for k in range(3)],
        ("next",),
        ("next", "TSP 0"),
        ("rng",),
        *[("rng", key) for key in ("bit_generator", "state", "has_uint32", "uinteger")],
        ("rng", "state", "state"),
        ("problems",),
        ("rule", "width"),
        ("seed",),
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(path: tuple[Any, ...]) -> None:
    curriculum = Curriculum(problems("TSP"), seed=2)
    for _ in range(3):
        draw = curriculum.sample()
        curriculum.update("TSP", draw.level, [PASSED, FAILED])
    before = curriculum.state_dict()
    for garbage in GARBAGE:
        state: Any = copy.deepcopy(before)
        place = state
        for key in path[:-1]:
            place = place[key]
        if path[-1:] in [("ceiling",), ("rule",)] and garbage is None:
            continue
        if garbage in ([], {}) and path[-1:] in [("seen",), ("next",)]:
            continue
        if garbage is True and path[-1:] == ("weak",):
            continue
        if path:
            place[path[-1]] = garbage
        with pytest.raises(ValueError):
            curriculum.load_state_dict(state if path else garbage)
        assert curriculum.state_dict() == before
    if path and path[-2:] not in [("next", "TSP 0"), ("seen", 0)]:
        del place[path[-1]]
        with pytest.raises(ValueError):
            curriculum.load_state_dict(state)
        assert curriculum.state_dict() == before


@pytest.mark.parametrize(
    "change",
    [
        {"top": 3, "ceiling": 2},
        {"top": 90},
        {"seen": [[4, 5, 2]]},
        {"seen": [[4, 2, 5]]},
        {"seen": [[0, 0, 0]]},
        {"seen": [[4, 2, 2]] * 8},
        {"more": 1},
    ],
)
def test_a_window_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    curriculum = Curriculum(problems("TSP"))
    state = curriculum.state_dict()
    state["windows"]["TSP"] |= change
    with pytest.raises(ValueError):
        curriculum.load_state_dict(state)
    for key in ("TPS 0", "TSP", "TSP x", "TSP -1", "TSP 9999", ""):
        state = curriculum.state_dict() | {"next": {key: 1}}
        with pytest.raises(ValueError):
            curriculum.load_state_dict(state)
