"""NumPy's integers, numbers and arrays stand wherever Python's do; what is refused stays refused."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forge_gym
from forge_gym.agents import GreedyAgent
from forge_gym.core.checks import check_choice, check_int, check_share, plain
from forge_gym.core.episode import Protocol
from forge_gym.core.mixture import Mixture
from forge_gym.data.generate import generate
from forge_gym.data.rows import samples
from forge_gym.data.suite import build
from forge_gym.evaluation.evaluate import held_out
from forge_gym.evaluation.runs import env_questions, read_run, record, suite_questions
from forge_gym.training.curriculum import Curriculum, WindowConfig

NAMES = forge_gym.problems()
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint64, np.array)
"""Ways to write an integer that are not Python's."""


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one spelling: an integer of NumPy's is equal to Python's, and shows."""
    return bool(one == other) and repr(one) == repr(other)


@pytest.mark.parametrize("make", INTEGERS)
def test_an_integer_of_any_type_becomes_a_plain_one(make: Callable[[int], Any]) -> None:
    assert type(check_int("n", make(6), 3)) is int
    assert same(check_share("p", make(1)), 1)


@pytest.mark.parametrize(
    "value", [True, np.True_, np.bool_(0), 6.0, np.float64(6), np.float32(6), "6", np.str_("6"), Fraction(6), None]
)
def test_what_is_no_integer_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="n must be an integer of at least 3"):
        check_int("n", value, 3)


@pytest.mark.parametrize("value", [np.array([6]), np.array([True]), np.array(True), [6], np.array(6.0), 1 + 0j])
def test_what_is_no_number_is_refused(value: Any) -> None:
    for check in (check_int, check_share):
        with pytest.raises(ValueError, match=r"must be an? "):
            check("n", value, 3)


@pytest.mark.parametrize(
    "value", [0.5, np.float64(0.5), np.float32(0.5), np.float16(0.5), np.longdouble(0.5), Fraction(1, 2)]
)
def test_a_number_of_any_type_becomes_a_plain_one(value: Any) -> None:
    assert same(check_share("p", value), 0.5)


@pytest.mark.parametrize(
    "value", [np.nan, np.float64("nan"), np.inf, Fraction(10**400), -Fraction(1, 10), True, np.True_, "1", 2]
)
def test_what_is_no_share_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"p must be a number from 0\.0 to 1\.0"):
        check_share("p", value)


def test_a_choice_becomes_a_plain_one() -> None:
    assert type(check_choice("style", np.str_("json"), ("prose", "json"))) is str
    assert type(check_choice("k", np.int64(2), (1, 2))) is int
    for value in (True, np.True_, 1.0, np.float64(1), np.str_("1"), None, [1]):
        with pytest.raises(ValueError, match="k must be one of"):
            check_choice("k", value, (1, 2))


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_plain_values_stay(value: Any) -> None:
    tuples = plain(value)
    assert json.loads(json.dumps(tuples)) == value
    assert same(plain(tuples), tuples)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_have_the_same_bytes(name: str) -> None:
    usual = forge_gym.problem(name)
    n, one = usual.parameters.get("n", usual.n), forge_gym.problem(name, n=usual.n, names=1, style="csv")  # type: ignore[attr-defined]
    other = forge_gym.problem(name, n=np.int64(n), names=np.uint8(1), style=np.str_("csv"))
    assert one == other
    assert pickle.dumps(one) == pickle.dumps(other)
    assert repr(one) == repr(other)
    assert one.spec(seed=7, index=2) == other.spec(seed=np.int64(7), index=np.uint16(2))
    assert one.prompt(one.instance(7, 2)) == other.prompt(other.instance(np.uint64(7), np.int8(2)))
    assert same(usual.at_level(3), usual.at_level(np.int64(3)))  # type: ignore[arg-type]
    assert same(forge_gym.problem(name, level=3), forge_gym.problem(name, level=np.int32(3)))
    assert usual.spec(level=3) == usual.spec(level=np.int64(3))  # type: ignore[arg-type]


def test_parameters_of_every_type_have_the_same_bytes() -> None:
    pairs: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("GraphColoring", {"p": 0.5}, {"p": Fraction(1, 2)}),
        ("GraphColoring", {"distribution": "planted", "k": 3}, {"distribution": np.str_("planted"), "k": np.int64(3)}),
        ("TSP", {"grid": 50}, {"grid": np.int64(50)}),
        (
            "TSP",
            {"n": 5, "names": ("a", "b", "c", "d", "e", "f", "g", "h")},
            {"n": 5, "names": np.array(list("abcdefgh"))},
        ),
    ]
    for name, one, other in pairs:
        assert forge_gym.problem(name, **one).spec() == forge_gym.problem(name, **other).spec()
    with pytest.raises(ValueError, match="n must be an integer"):
        forge_gym.problem("TSP", n=np.float64(6))
    with pytest.raises(ValueError, match="n must be an integer"):
        forge_gym.problem("TSP", n=np.True_)


def spelt(solution: Any) -> list[Any]:
    """Return other ways to write a solution."""
    array = np.array(solution, dtype=np.int64)
    return [
        list(solution),
        array,
        array.astype(np.int16),
        tuple(array),
        array.tolist(),
        [tuple(row) if row.ndim else row for row in array],
    ]


@pytest.mark.parametrize("style", ["prose", "compact"])
@pytest.mark.parametrize("name", NAMES)
def test_solutions_are_taken_as_lists_and_arrays(name: str, style: str) -> None:
    problem = forge_gym.problem(name, style=style)
    instance = problem.instance(seed=1)
    order = np.random.default_rng(0).permutation(instance.size)
    best, greedy = problem.reference(instance).solution, problem.heuristic(instance)
    calls: list[Callable[[Any], Any]] = [
        lambda s: problem.format(instance, s),
        lambda s: problem.format_answer(instance, s),
        lambda s: problem.verify_solution(instance, s),
        lambda s: problem.violations(instance, s),
        lambda s: problem.feasible(instance, s),
    ]
    for solution in (best, greedy, problem.trivial(instance), best[:-1], best + best[:1]):
        for call in calls[2:] if style == "compact" else calls:
            assert all(same(call(other), call(solution)) for other in spelt(solution))
    calls += [
        lambda s: problem.objective(instance, s),
        lambda s: problem.canonical(instance, s),
        lambda s: problem.permute(s, order),
    ]
    for call in calls:
        assert all(same(call(other), call(best)) for other in spelt(best))
    assert problem.relabelled(instance, order).to_json() == problem.relabelled(instance, order.tolist()).to_json()


def test_seeds_indices_and_levels_of_environments() -> None:
    env = gym.make("Forge/TSP-v0", n=np.int64(6), turns=np.int64(2))
    prompt, info = env.reset(seed=7, options={"index": 3})
    again, same_info = env.reset(seed=np.int64(7), options={"index": np.uint8(3)})  # type: ignore[arg-type]
    assert (prompt, info) == (again, same_info)
    assert json.dumps(info) == json.dumps(same_info)
    mixed = gym.make("Forge/Mixed-v0", problems=("TSP", "Knapsack"), levels=np.arange(2))
    assert json.dumps(mixed.reset(seed=np.int64(3))[1])  # type: ignore[arg-type]
    assert Mixture.of("TSP", np.int64(2)) == Mixture.of("TSP", 2)  # type: ignore[arg-type]
    assert same(Protocol(np.int64(3)), Protocol(3))  # type: ignore[arg-type]


def test_rows_and_runs_are_written_with_plain_integers(tmp_path: Any) -> None:
    tsp, three = forge_gym.problem("TSP", level=np.int64(0)), np.int64(3)
    row = next(samples(tsp.__class__(), levels=np.arange(2), seed=three))  # type: ignore[arg-type]
    assert row.to_json() == next(samples(tsp.__class__(), levels=[0, 1], seed=3)).to_json()
    assert held_out(tsp, three, three) == held_out(tsp, 3, 3)  # type: ignore[arg-type]
    run = record(
        GreedyAgent(),
        env_questions([tsp], three, three),
        tmp_path / "run.jsonl",
        samples=np.int64(2),
        turns=np.int64(2),
    )  # type: ignore[arg-type]
    assert read_run(tmp_path / "run.jsonl").evaluation() == run.evaluation()
    assert json.dumps(suite_questions("forge-bench-v1", np.int64(1)).header)  # type: ignore[arg-type]


def test_instances_and_orders_from_numpy() -> None:
    def from_numpy(value: Any) -> Any:
        return tuple(map(from_numpy, value)) if isinstance(value, tuple) else np.int64(value)

    for name in forge_gym.problems():
        problem = forge_gym.problem(name, level=30)  # more than 64 elements, where masks need Python's integers
        instance = problem.instance(seed=1)
        data = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}
        for other in (
            type(instance)(**{key: from_numpy(value) for key, value in data.items()}),
            type(instance)(**{key: np.array(value, dtype=object) for key, value in data.items()}),
        ):
            assert other == instance
            assert problem.digest(other) == problem.digest(instance)
        order = np.random.default_rng(0).permutation(instance.size)
        assert instance.relabelled(order).to_json() == instance.relabelled(order.tolist()).to_json()
        answer = problem.random(instance, np.random.default_rng(0))
        assert problem.violations(instance, from_numpy(answer)) == ()
        assert problem.certificate(instance, limit=np.int64(1)) == problem.certificate(instance, limit=1)  # type: ignore[arg-type]


def test_data_sets_and_curricula_take_numpys_numbers(tmp_path: Any) -> None:
    tsp = forge_gym.problem("TSP")
    for folder, levels, rows in (("one", [0, 1], 4), ("other", np.arange(2), np.int64(4))):
        generate(tsp, tmp_path / folder, {"test": rows}, levels=levels, workers=1)  # type: ignore[arg-type, dict-item]
        build(tmp_path / folder / "suite.jsonl", ["TSP"], levels, per_level=1)  # type: ignore[arg-type]
    for name in ("test.jsonl", "suite.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    rule = WindowConfig(groups=np.int64(1), skill=np.float32(0.5), up=np.float64(1))  # type: ignore[arg-type]
    assert json.dumps(Curriculum(tsp, rule=rule).state_dict())
