"""Building step by step, moves, and arrays: what a kind promises, for every problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forge_gym
from cases import PROBLEMS, every_problem, settings, small
from forge_gym.kinds import Kind, as_kind
from forge_gym.kinds.assignment import Assignment
from forge_gym.kinds.encoding import Encoder, features
from forge_gym.kinds.instance import TypedInstance
from forge_gym.kinds.schedule import Schedule
from forge_gym.kinds.subset import Subset


def walk(problem: Kind[Any, Any], instance: Any, rng: np.random.Generator) -> list[Any]:
    """Return the unfinished solutions on a random way, up to one that nothing can be added to."""
    passed = [problem.assemble(instance, ())]
    while pieces := problem.extensions(instance, passed[-1]):
        passed.append(problem.extend(instance, passed[-1], pieces[int(rng.integers(len(pieces)))]))
    return passed


@every_problem
def test_every_way_ends_in_a_feasible_solution(name: str) -> None:
    rng = np.random.default_rng(0)
    for problem in map(as_kind, settings(name)):
        for seed in range(8):
            instance = problem.instance(seed)
            end = walk(problem, instance, rng)[-1]
            assert problem.verify(instance, problem.format(instance, end)).feasible


@every_problem
def test_the_verifier_breaks_nothing_but_what_adding_mends(name: str) -> None:
    rng = np.random.default_rng(1)
    for problem in map(as_kind, small(name)):
        for seed in range(8):
            instance = problem.instance(seed)
            for partial in walk(problem, instance, rng)[1:]:
                broken = {violation.family for violation in problem.violations(instance, partial)}
                assert broken <= set(problem.mendable)
                assert 0 <= problem.missing(instance, partial) <= 1
                assert (problem.missing(instance, partial) == 0) == (not broken)


@every_problem
def test_own_extensions_are_those_that_the_verifier_allows(name: str) -> None:
    """A problem that overrides `extensions` for speed offers what its kind would find by asking `broken`, or less."""
    rng = np.random.default_rng(2)
    for problem in map(as_kind, small(name)):
        kinds = [base for base in type(problem).__mro__ if ".kinds." in base.__module__]
        general = next((vars(base)["extensions"] for base in kinds if "extensions" in vars(base)), None)
        if general is None or getattr(general, "__isabstractmethod__", False):
            continue
        for seed in range(8):
            instance = problem.instance(seed)
            for partial in walk(problem, instance, rng):
                offered = set(problem.extensions(instance, partial))
                listed = set(general(problem, instance, partial))
                assert offered <= listed
                if not problem.mendable:
                    assert offered == listed


@every_problem
def test_the_optimum_can_be_built(name: str) -> None:
    for problem in map(as_kind, small(name)):
        problem = problem if problem.enumerates_all else type(problem)(n=4)
        instance = problem.instance(1)
        seen: set[Any] = set()
        values = []
        pending = [problem.assemble(instance, ())]
        while pending:
            partial = pending.pop()
            key: Any = frozenset(partial) if isinstance(problem, (Subset, Schedule)) else partial
            if key in seen:
                continue
            seen.add(key)
            if problem.feasible(instance, partial):
                values.append(problem.objective(instance, partial))
            pieces = problem.extensions(instance, partial)
            pending += [problem.extend(instance, partial, piece) for piece in pieces]
        best = max(values) if problem.sense == "max" else min(values)
        assert best == problem.reference(instance).value


@every_problem
def test_a_bound_is_never_beaten(name: str) -> None:
    """What `bound` says of an unfinished solution holds for every solution that goes on from it."""
    rng = np.random.default_rng(3)
    for problem in map(as_kind, settings(name)):
        for seed in range(8):
            instance = problem.instance(seed)
            *partials, end = walk(problem, instance, rng)
            value = problem.objective(instance, end)
            for partial in partials:
                bound = problem.bound(instance, partial)
                assert bound is None or not problem.better(value, bound)


@every_problem
def test_moves_lead_to_feasible_solutions_and_have_names(name: str) -> None:
    rng = np.random.default_rng(4)
    for problem in map(as_kind, small(name)):
        for seed in range(4):
            instance = problem.instance(seed)
            names = problem.move_names(instance.size)
            assert len(set(names)) == len(names)
            solution = problem.random(instance, rng)
            moves = list(problem.moves(instance, solution))
            assert {move for move, _ in moves} <= set(names) and len(dict(moves)) == len(moves)
            for _, outcome in moves:
                assert problem.feasible(instance, outcome)
                same = problem.canonical(instance, outcome) == problem.canonical(instance, solution)
                assert same or problem.changed(solution, outcome) or problem.in_order is False


@every_problem
def test_neighbours_are_feasible_and_lead_somewhere(name: str) -> None:
    problem = forge_gym.problem(name)
    better = 0
    for seed in range(10):
        instance = problem.instance(seed)
        rng = np.random.default_rng(seed)
        start = solution = problem.random(instance, rng)
        seen = set()
        for _ in range(200):
            moved = problem.neighbour(instance, solution, rng)
            assert problem.feasible(instance, moved)
            seen.add(problem.canonical(instance, moved))
            if not problem.better(problem.objective(instance, solution), problem.objective(instance, moved)):
                solution = moved
        assert len(seen) > 5
        better += problem.better(problem.objective(instance, solution), problem.objective(instance, start))
    assert better >= 5


@every_problem
def test_greedy_parts_make_greedy_and_the_second_best_is_ever_near(name: str) -> None:
    """Without epsilon a demonstration is the heuristic; with it, solutions stay feasible and differ."""
    for problem in settings(name):
        instance = problem.instance(2)
        rng = np.random.default_rng(0)
        assert problem.heuristic(instance, rng, 0.0) == problem.heuristic(instance)
        explored = [problem.heuristic(instance, rng, 0.3) for _ in range(30)]
        trivial = problem.objective(instance, problem.trivial(instance))
        for solution in explored:
            assert problem.feasible(instance, solution)
            assert not problem.better(trivial, problem.objective(instance, solution))


@every_problem
@given(seed=st.integers(0, 10**6), level=st.integers(0, 4))
@hypothesis.settings(max_examples=15, deadline=None)
def test_features_are_shares_of_fixed_width(name: str, seed: int, level: int) -> None:
    problem = forge_gym.problem(name).at_level(level)
    instance = problem.instance(seed)
    seen, other = features(instance), features(problem.instance(seed + 1))
    assert seen.elements.shape[0] == instance.size and seen.elements.shape[1] == other.elements.shape[1]
    for array in (seen.elements, seen.links):
        if array is not None:
            assert np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1
            assert array.shape[0] == instance.size
    assert np.ptp(seen.elements) > 0 or np.ptp(seen.links) > 0  # type: ignore[arg-type]


@every_problem
def test_features_move_with_their_elements(name: str) -> None:
    problem = forge_gym.problem(name)
    for seed in range(5):
        instance = problem.instance(seed)
        order = np.random.default_rng(seed).permutation(instance.size)
        here, there = features(instance), features(instance.relabelled(order.tolist()))
        assert np.array_equal(there.elements[order], here.elements)
        if here.links is not None and there.links is not None:
            square = here.links.shape[0] == here.links.shape[1]
            assert np.array_equal(there.links[order][:, order] if square else there.links[order], here.links)


@every_problem
def test_pieces_have_numbers_and_states_have_their_width(name: str) -> None:
    rng = np.random.default_rng(5)
    for problem in map(as_kind, settings(name)):
        encoder = Encoder(problem)
        instance = problem.instance(1)
        for partial in walk(problem, instance, rng):
            state = problem.state(instance, partial)
            assert state.shape == (instance.size, problem.state_width(problem.axes(instance)))
            assert state.min(initial=0) >= 0 and state.max(initial=0) <= 1
            pieces = problem.extensions(instance, partial)
            numbered = encoder.numbered(pieces)
            assert list(numbered.values()) == list(pieces)
            assert all(0 <= number < encoder.choices for number in numbered)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if isinstance(forge_gym.problem(name), Assignment)])
def test_labels_are_those_that_the_verifier_allows(name: str) -> None:
    problem: Any = forge_gym.problem(name)
    rng = np.random.default_rng(0)
    for seed in range(10):
        instance = problem.instance(seed)
        solution = problem.random(instance, rng)
        for element in range(instance.size):
            expected = Assignment.allowed(problem, instance, solution, element)
            assert list(problem.allowed(instance, solution, element)) == list(expected)


@dataclass(frozen=True)
class Bare(TypedInstance):
    n: int


def test_instances_without_fields_over_elements_need_features_of_their_own() -> None:
    with pytest.raises(ValueError, match="an instance must have features, got a Bare"):
        features(Bare(3))


def test_a_problem_of_no_kind_is_refused_where_a_kind_is_needed() -> None:
    with pytest.raises(ValueError, match=r"problem must be of a kind in forge_gym\.kinds, got object"):
        as_kind(object())  # type: ignore[arg-type]
