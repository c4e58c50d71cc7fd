"""What every registered problem must do, with no word about any one of them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from forge_gym.core.problem import SPLITS, SUITE, Problem
from forge_gym.core.registry import problem_class

NAMES = forge_gym.problems()
SIZES = (0, 3, 7)
tiered = forge_gym.reward("tiered")
every_problem = pytest.mark.parametrize("name", NAMES)


def judged(problem: Problem[Any, Any], instance: Any, text: str) -> tuple[str, float]:
    verdict = problem.verify(instance, text)
    reward = tiered(verdict)
    assert reward is not None and -1 <= reward <= 1
    return verdict.status, reward


# ------------------------------------------------------------------------------------- instances


@every_problem
def test_the_surface(name: str) -> None:
    cls = problem_class(name)
    assert cls.sense in ("min", "max") and cls.kind in (
        "permutation",
        "subset",
        "assignment",
        "sequence",
        "schedule",
    )
    assert (
        cls.constraints
        and cls.work_limit > 0
        and cls.__doc__
        and "References" in sys.modules[cls.__module__].__doc__
    )


@every_problem
def test_instances_are_pure_frozen_and_round_trip(name: str) -> None:
    problem = forge_gym.problem(name)
    seen = set()
    for seed in range(20):
        for split in SPLITS:
            instance = problem.instance(seed, split=split)
            assert instance == problem.instance(seed, split=split)
            text = problem.to_json(instance)
            rebuilt = problem.from_json(text)
            assert (
                rebuilt == instance and hash(rebuilt) == hash(instance) and problem.to_json(rebuilt) == text
            )
            instance.check()
            seen.add(problem.digest(instance))
        seen.update(problem.digest(problem.instance(seed, index)) for index in (1, 2))
    assert len(seen) == 20 * 5  # splits, seeds and indices share no instance
    with pytest.raises(AttributeError):
        instance.size = 3
    changed = replace(problem, answer_format="raw", style="compact")
    assert changed.instance(3) == problem.instance(3)  # presentation draws nothing


@every_problem
def test_invariants_tell_instances_apart(name: str) -> None:
    problem = forge_gym.problem(name)
    instances = [problem.instance(seed) for seed in range(30)]
    shapes = [json.dumps(instance.invariant()) for instance in instances]
    assert len(set(shapes)) == 30 and shapes == [
        json.dumps(problem.instance(seed).invariant()) for seed in range(30)
    ]


@every_problem
def test_same_bytes_in_any_process(name: str) -> None:
    program = f"""
import hashlib, forge_gym
p = forge_gym.problem({name!r})
h = hashlib.sha256()
for seed in range(10):
    x = p.instance(seed)
    r = p.reference(x)
    h.update("\\n".join((p.to_json(x), p.prompt(x), p.format(x, r.solution), repr(r), p.digest(x))).encode())
    h.update(repr(p.verify(x, p.format(x, p.heuristic(x)))).encode())
print(h.hexdigest())
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "4242")
    }
    assert len(digests) == 1 and len(digests.pop().strip()) == 64


@every_problem
def test_nothing_touches_the_global_generators(name: str) -> None:
    problem = forge_gym.problem(name)
    before = random.getstate(), str(np.random.get_state())  # noqa: NPY002
    instance = problem.instance(1)
    problem.reference(instance)
    problem.random(instance, np.random.default_rng(0))
    assert before == (random.getstate(), str(np.random.get_state()))  # noqa: NPY002


@every_problem
def test_levels_grow_steadily_and_without_end(name: str) -> None:
    problem = forge_gym.problem(name)
    sizes = [problem.at_level(level).instance(0).size for level in range(20)]
    assert all(a < b <= 1.3 * a for a, b in pairwise(sizes))
    assert problem.at_level(10**6).parameters["n"] > 10**10


@every_problem
@pytest.mark.parametrize("data", ["", "[]", "{}", "3", '{"n": 3}', '{"x": []}', "[" * 10_000])
def test_foreign_instances_are_refused(name: str, data: str) -> None:
    with pytest.raises(ValueError):
        forge_gym.problem(name).from_json(data)


@every_problem
def test_damaged_instances_are_refused_or_consistent(name: str) -> None:
    """Replace every number of an instance by bad ones: `from_json` refuses, or what it returns verifies."""
    problem = forge_gym.problem(name, n=5)
    data = json.loads(problem.to_json(problem.instance(0)))

    def places(node: Any) -> Iterator[tuple[Any, Any]]:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            if isinstance(node[key], list):
                yield from places(node[key])

    refused = 0
    for node, key in places(data):
        kept = node[key]
        for bad in (True, 1.5, None, "1", -(10**20), 10**20, [], [[]], {}):
            node[key] = bad
            try:
                instance = problem.from_json(json.dumps(data))
            except ValueError:
                refused += 1
            else:
                assert problem.verify(instance, problem.format(instance, problem.trivial(instance))).feasible
        node[key] = kept
    assert refused > 0


@pytest.mark.parametrize(("seed", "index"), [(0, 0), (7, 3), (2**32 - 1, 2**32), (2**100 + 5, 2**64 + 1)])
def test_the_stream_is_that_of_a_seed_sequence(seed: int, index: int) -> None:
    problem = forge_gym.problem("TSP", n=30)
    entropy = [SUITE, *problem._stream, SPLITS.index("test"), seed]
    sequence = np.random.SeedSequence(entropy, spawn_key=(index,))
    assert problem.instance(seed, index, "test") == problem.generate(np.random.default_rng(sequence))


# --------------------------------------------------------------------------------------- prompts


@every_problem
@pytest.mark.parametrize("answer_format", ["tags", "line", "raw"])
@pytest.mark.parametrize("style", ["prose", "compact"])
def test_texts_round_trip(name: str, style: str, answer_format: str) -> None:
    distributions = sys.modules[problem_class(name).__module__].DISTRIBUTIONS
    rng = np.random.default_rng(0)
    for seed in range(20):
        distribution = distributions[seed % len(distributions)]
        problem = forge_gym.problem(name, style=style, answer_format=answer_format, distribution=distribution)
        instance = problem.instance(seed)
        assert problem.prompt(instance).isascii()
        for solution in (
            problem.trivial(instance),
            problem.random(instance, rng),
            problem.reference(instance).solution,
        ):
            reply = problem.format(instance, solution)
            again = problem.read(instance, reply)
            assert problem.canonical(instance, again) == problem.canonical(instance, solution)
            assert problem.verify(instance, reply) == problem.judge(instance, solution)
        assert problem.verify(instance, problem.prompt(instance)).status == "malformed"


@every_problem
@pytest.mark.parametrize("distribution", [0, -1])
def test_the_worked_example_is_true_there_and_no_answer_here(name: str, distribution: int) -> None:
    module = sys.modules[problem_class(name).__module__]
    problem = forge_gym.problem(name, distribution=module.DISTRIBUTIONS[distribution])
    for n in (3, 4, 5, 6, 10, 20):
        instance = replace(problem, n=n, **({"k": 2} if hasattr(problem, "k") else {})).instance(0)
        tiny, solution = problem.example(instance)
        tiny.check()
        answer = problem.format(tiny, solution)
        assert problem.verify(tiny, answer).optimal
        assert problem.prompt(instance).endswith(answer) and problem.describe(tiny) in problem.prompt(
            instance
        )
        assert problem.verify(instance, answer).status == "infeasible"


# --------------------------------------------------------------------------------------- anchors


@every_problem
@pytest.mark.parametrize("level", [None, 0, 2, 5])
def test_anchors(name: str, level: int | None) -> None:
    problem = forge_gym.problem(name, level=level)
    graded = 0
    for seed in range(60):
        instance = problem.instance(seed)
        reference = problem.reference(instance)
        assert reference.proven and reference.solver and reference.work >= 0
        best, greedy, trivial = (
            problem.verify(instance, problem.format(instance, solution))
            for solution in (reference.solution, problem.heuristic(instance), problem.trivial(instance))
        )
        assert best.optimal and best.quality == best.skill == best.ratio == tiered(best) == 1
        assert greedy.optimal or (greedy.skill == 0 and tiered(greedy) == 0)
        assert reference.greedy == greedy.objective and reference.trivial == trivial.objective
        if problem.graded(instance):
            graded += 1
            assert tiered(trivial) == -0.2 and trivial.quality == 0 and trivial.skill == -1
            assert tiered(greedy) == 0 and 0 < greedy.quality < 1
    assert graded >= (30 if level is None or level >= 5 else 1)


def in_order(problem: Problem[Any, Any], solution: Any, order: list[int]) -> Any:
    """Return an answer of the solution's form whose elements are those of ``order``."""
    if problem.kind == "schedule":
        return tuple((order[k], *row[1:]) for k, row in enumerate(solution))
    if problem.kind == "assignment":
        return tuple(sorted(solution)[order[v]] for v in range(len(solution)))
    return tuple(order[: len(solution)])


@every_problem
def test_the_order_of_ids_says_nothing(name: str) -> None:
    """An answer in the order of ids is paid no more than the same answer under random relabellings."""
    for distribution in sys.modules[problem_class(name).__module__].DISTRIBUTIONS:
        problem = forge_gym.problem(name, distribution=distribution)
        rng = np.random.default_rng(0)
        gains = []
        for seed in range(80):
            instance = problem.instance(seed)
            best = problem.reference(instance).solution
            orders = [range(instance.size), *(rng.permutation(instance.size) for _ in range(8))]
            answers = [in_order(problem, best, list(map(int, order))) for order in orders]
            first, *others = (
                judged(problem, instance, problem.format(instance, answer))[1] for answer in answers
            )
            gains.append(first - np.mean(others))
        assert np.mean(gains) <= 3.5 * np.std(gains) / len(gains) ** 0.5 + 1e-12, distribution


@every_problem
def test_every_form_of_a_solution_is_worth_the_same(name: str) -> None:
    problem = forge_gym.problem(name)
    for seed in range(20):
        instance = problem.instance(seed)
        solution = problem.reference(instance).solution
        canonical = problem.canonical(instance, solution)
        assert problem.judge(instance, canonical) == problem.judge(instance, solution)
        assert problem.canonical(instance, canonical) == canonical


@every_problem
def test_a_spent_limit_leaves_an_honest_certificate(name: str) -> None:
    problem = forge_gym.problem(name, n=18)
    for seed in range(3):
        instance = problem.instance(seed)
        optimum = problem.reference(instance).value
        for limit in (0, 50, 1000):
            found = problem.solve(instance, limit)
            assert not problem.violations(instance, found.solution)
            assert problem.objective(instance, found.solution) == found.value
            low, high = sorted((found.value, found.bound))
            assert low <= optimum <= high
            assert found == problem.solve(instance, limit)


@every_problem
def test_randomised_heuristics_explore_and_stay_feasible(name: str) -> None:
    problem = forge_gym.problem(name)
    for seed in range(10):
        instance = problem.instance(seed)
        rng = np.random.default_rng(seed)
        found = [problem.heuristic(instance, rng, 0.3) for _ in range(20)] + [
            problem.random(instance, rng) for _ in range(20)
        ]
        assert all(not problem.violations(instance, solution) for solution in found)
        assert len({problem.canonical(instance, solution) for solution in found}) > 5


@every_problem
def test_neighbours_are_feasible_and_lead_somewhere(name: str) -> None:
    problem = forge_gym.problem(name)
    sign = 1 if problem.sense == "max" else -1
    better = 0
    for seed in range(10):
        instance = problem.instance(seed)
        rng = np.random.default_rng(seed)
        start = solution = problem.random(instance, rng)
        seen = set()
        for _ in range(200):
            moved = problem.neighbour(instance, solution, rng)
            assert not problem.violations(instance, moved)
            seen.add(problem.canonical(instance, moved))
            if sign * (problem.objective(instance, moved) - problem.objective(instance, solution)) >= 0:
                solution = moved
        assert len(seen) > 5
        better += sign * (problem.objective(instance, solution) - problem.objective(instance, start)) > 0
    assert better >= 5


@every_problem
def test_streams_hold_only_graded_instances(name: str) -> None:
    problem = forge_gym.problem(name)
    stream = problem.graded_instances(seed=1, split="test")
    pairs = [next(stream) for _ in range(5)]
    assert all(
        problem.graded(instance) and instance == problem.instance(1, i, "test") for i, instance in pairs
    )
    assert next(problem.graded_instances(1, "test", start=pairs[2][0])) == pairs[2]


def test_a_stream_without_grades_ends_with_an_error() -> None:
    with pytest.raises(ValueError, match="must leave room between trivial, greedy and proven optimum"):
        next(forge_gym.problem("TSP", n=3).graded_instances())


# --------------------------------------------------------------------------------------- replies


@every_problem
def test_verify_many_equals_verify(name: str) -> None:
    problem = forge_gym.problem(name)
    instance = problem.instance(0)
    solutions = [problem.trivial(instance), problem.heuristic(instance), problem.reference(instance).solution]
    texts: list[Any] = [
        "",
        "?",
        *(problem.format(instance, solution) for solution in solutions),
        None,
        ["[0]"],
    ] * 3
    assert problem.verify_many(instance, texts) == [problem.verify(instance, text) for text in texts]
    assert problem.verify_many(instance, []) == []


@every_problem
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_text_is_judged(name: str, data: st.DataObject) -> None:
    problem = forge_gym.problem(
        name,
        answer_format=data.draw(st.sampled_from(["tags", "line", "raw"])),
        style=data.draw(st.sampled_from(["prose", "compact"])),
    )
    instance = problem.instance(data.draw(st.integers(0, 3)))
    good = problem.format(instance, problem.reference(instance).solution)
    pieces = st.lists(
        st.sampled_from([good, "<answer>", "</answer>", "Answer:", "[", "]", ", ", "-", "1", "99", "\n", " "])
    )
    judged(problem, instance, data.draw(st.one_of(st.text(), pieces.map("".join))))
