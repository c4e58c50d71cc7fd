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

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forge_gym
from cases import PROBLEMS, every_problem, settings, small
from forge_gym.core.problem import Problem
from forge_gym.core.registry import problem_class
from forge_gym.core.seeding import SPLITS
from forge_gym.kinds.table import STYLES

tiered = forge_gym.reward("tiered")


def judged(problem: Problem[Any, Any], instance: Any, text: str) -> tuple[str, float]:
    verdict = problem.verify(instance, text)
    reward = tiered(verdict)
    assert reward is not None and -1 <= reward <= 1
    return verdict.status, reward


# ------------------------------------------------------------------------------------- instances


@every_problem
def test_the_surface(name: str) -> None:
    cls: Any = problem_class(name)
    assert cls.sense in ("min", "max") and cls.constraints == (*cls.form, *cls.own) and cls.work_limit > 0
    assert "Problem: " in cls.__doc__ and "Trivial: " in cls.__doc__ and "Reference: " in cls.__doc__
    assert "References" in sys.modules[cls.__module__].__doc__
    assert cls.noun and cls.solutions and cls.picture is not None


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
            assert rebuilt == instance and hash(rebuilt) == hash(instance) and problem.to_json(rebuilt) == text
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
    shapes = [json.dumps(instance.isomorphism_key()) for instance in instances]
    assert len(set(shapes)) == 30 and shapes == [
        json.dumps(problem.instance(seed).isomorphism_key()) for seed in range(30)
    ]


def test_same_bytes_in_any_process() -> None:
    program = """
import hashlib, forge_gym
for name in forge_gym.problems():
    p = forge_gym.problem(name)
    h = hashlib.sha256()
    for seed in range(10):
        x = p.instance(seed)
        r = p.reference(x)
        h.update("\\n".join((p.to_json(x), p.prompt(x), p.format(x, r.solution), repr(r), p.digest(x))).encode())
        h.update(repr(p.verify(x, p.format(x, p.heuristic(x)))).encode())
    print(name, h.hexdigest())
"""
    one, other = (
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "4242")
    )
    assert one == other and len(one.splitlines()) == len(PROBLEMS)


@every_problem
def test_nothing_touches_the_global_generators(name: str) -> None:
    problem = forge_gym.problem(name)
    before = random.getstate(), str(np.random.get_state())  # noqa: NPY002
    instance = problem.instance(1)
    problem.reference(instance)
    problem.random(instance, np.random.default_rng(0))
    assert before == (random.getstate(), str(np.random.get_state()))  # noqa: NPY002


@every_problem
def test_levels_grow_steadily_to_the_largest_size(name: str) -> None:
    problem = forge_gym.problem(name)
    sizes = [problem.at_level(level).instance(0).size for level in range(20)]
    assert all(a < b <= 1.3 * a for a, b in pairwise(sizes))
    with pytest.raises(ValueError, match=rf"level must be an integer from 0 to \d+ \({name} has at most") as error:
        problem.at_level(10**6)
    last = int(str(error.value).split("did you mean ")[1].rstrip("?"))
    assert 0.9 * problem.most < problem.at_level(last).parameters["n"] <= problem.most
    with pytest.raises(ValueError, match="level must be"):
        forge_gym.problem(name, level=last + 1)
    with pytest.raises(ValueError, match=rf"n must be an integer from 3 to {problem.most} .*: did you mean"):
        forge_gym.problem(name, n=10**9)


@every_problem
def test_the_longest_answer_of_the_largest_size_is_read(name: str) -> None:
    most = forge_gym.problem(name).most
    words = tuple("".join(chr(97 + int(d)) for d in f"{k:040d}") for k in range(most))
    tall = {"grid": 10**4} if name == "TSP" else {}
    for names in (words, 10**12):
        problem: Any = forge_gym.problem(name, n=most, names=names, **tall)
        instance = problem.instance(0)
        everything = problem.assemble(instance, ())
        for solution in (problem.trivial(instance), problem.random(instance, np.random.default_rng(0))):
            everything = max(everything, solution, key=len)
        if not problem.in_order and not isinstance(everything[0], tuple):
            everything = tuple(range(most))  # every element, feasible or not
        assert problem.parse_reply(instance, problem.format(instance, everything)) == everything


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


# --------------------------------------------------------------------------------------- prompts


@every_problem
@pytest.mark.parametrize("answer_format", ["tags", "line", "raw"])
@pytest.mark.parametrize(
    ("style", "names"),
    [(style, 0) for style in STYLES] + [(style, names) for style in STYLES[:3:2] for names in (7, "words")],
)
def test_texts_round_trip(name: str, style: str, names: int | str, answer_format: str) -> None:
    rng = np.random.default_rng(0)
    for seed, problem in enumerate(settings(name, style=style, answer_format=answer_format, names=names)):
        instance = problem.instance(seed)
        assert problem.prompt(instance).isascii()
        for solution in (
            problem.trivial(instance),
            problem.random(instance, rng),
            problem.reference(instance).solution,
        ):
            reply = problem.format(instance, solution)
            again = problem.parse_reply(instance, reply)
            assert problem.canonical(instance, again) == problem.canonical(instance, solution)
            assert problem.verify(instance, reply).worth == problem.verify_solution(instance, solution).worth
        assert problem.verify(instance, problem.prompt(instance)).status == "malformed"


@every_problem
@pytest.mark.parametrize("style", STYLES)
def test_names_and_style_change_texts_alone(name: str, style: str) -> None:
    plain, words = forge_gym.problem(name), forge_gym.problem(name, names="words", style="prose")
    styled = forge_gym.problem(name, style=style)
    instance = plain.instance(4)
    for problem in (words, styled):
        assert problem.instance(4) == instance and problem.digest(instance) == plain.digest(instance)
        assert problem.reference(instance) == plain.reference(instance)
    prompts = {problem.prompt(instance) for problem in (plain, words, styled)}
    assert len(prompts) == 2 + (style != "prose")


@every_problem
def test_the_worked_example_is_true_there_and_no_answer_here(name: str) -> None:
    for n in (3, 4, 5, 6, 10, 20):
        bent = {"k": 2} if hasattr(problem_class(name), "k") else {}
        for problem in settings(name, n=n, **bent):
            instance = problem.generate(np.random.default_rng(n))  # few shapes: perhaps none is of a split
            tiny, solution = problem.tiny(instance)  # type: ignore[attr-defined] # of kinds
            tiny.check()
            answer = problem.prompt(instance).splitlines()[-1]
            if not problem.renumbered:  # type: ignore[attr-defined]
                assert answer == problem.format(tiny, solution)
            assert problem.verify_solution(tiny, solution).optimal
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
        if problem.is_graded(instance):
            graded += 1
            assert tiered(trivial) == -0.2 and trivial.quality == 0 and trivial.skill == -1
            assert tiered(greedy) == 0 and 0 < greedy.quality < 1
    assert graded >= (30 if level is None or level >= 5 else 1)


@every_problem
def test_the_optimum_is_that_of_enumeration(name: str) -> None:
    """At least 200 small instances: no solution of all is better than the reference, and one is as good.

    Where a kind thins its solutions out, fewer instances do: the file of the problem has a test of its own.
    """
    problems = small(name)
    count = 200 if problems[0].enumerates_all else 30  # type: ignore[attr-defined] # of kinds
    for problem in problems:
        for seed in range(-(-count // len(problems))):
            instance = problem.instance(seed)
            reference = problem.reference(instance)
            values = [
                problem.objective(instance, solution)
                for solution in problem.everything(instance)  # type: ignore[attr-defined] # of kinds
                if problem.feasible(instance, solution)
            ]
            assert reference.proven and not any(problem.better(value, reference.value) for value in values)
            if problem.enumerates_all:  # type: ignore[attr-defined]
                assert reference.value in values


@every_problem
def test_the_order_of_ids_says_nothing(name: str) -> None:
    """The optimum is worth no more than the same places or labels under random relabellings."""
    for problem in settings(name):
        rng = np.random.default_rng(0)
        gains = []
        for seed in range(80):
            instance = problem.instance(seed)
            best = problem.reference(instance).solution
            blind: Any = problem.patterns(instance)[0]  # type: ignore[attr-defined] # of kinds
            shape = blind[: len(best)] if problem.solutions != "an assignment" else tuple(sorted(best))  # type: ignore[attr-defined]
            orders = [range(instance.size), *(rng.permutation(instance.size) for _ in range(8))]
            first, *others = (
                tiered(problem.verify_solution(instance, problem.permute(shape, [int(i) for i in order])))
                for order in orders
            )
            assert first is not None
            gains.append(first - float(np.mean(others)))  # type: ignore[arg-type]
        assert np.mean(gains) <= 3.5 * np.std(gains) / len(gains) ** 0.5 + 1e-12, problem


@every_problem
def test_every_form_of_a_solution_is_worth_the_same(name: str) -> None:
    problem = forge_gym.problem(name)
    for seed in range(20):
        instance = problem.instance(seed)
        solution = problem.reference(instance).solution
        canonical = problem.canonical(instance, solution)
        assert problem.verify_solution(instance, canonical).worth == problem.verify_solution(instance, solution).worth
        assert problem.canonical(instance, canonical) == canonical


@every_problem
def test_a_spent_limit_leaves_an_honest_certificate(name: str) -> None:
    problem = forge_gym.problem(name, n=18)
    for seed in range(3):
        instance = problem.instance(seed)
        optimum = problem.reference(instance).value
        for limit in (0, 50, 1000):
            found = problem.certificate(instance, limit)
            assert not problem.violations(instance, found.solution)
            assert problem.objective(instance, found.solution) == found.value
            low, high = sorted((found.value, found.bound))
            assert low <= optimum <= high
            assert found == problem.certificate(instance, limit)


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
def test_streams_hold_only_graded_instances(name: str) -> None:
    problem = forge_gym.problem(name)
    stream = problem.graded_instances(seed=1, split="test")
    pairs = [next(stream) for _ in range(5)]
    assert all(problem.is_graded(instance) and instance == problem.instance(1, i, "test") for i, instance in pairs)
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
@hypothesis.settings(max_examples=200, deadline=None)
def test_any_text_is_judged(name: str, data: st.DataObject) -> None:
    problem = forge_gym.problem(
        name,
        answer_format=data.draw(st.sampled_from(["tags", "line", "raw"])),
        style=data.draw(st.sampled_from(STYLES)),
    )
    instance = problem.instance(data.draw(st.integers(0, 3)))
    good = problem.format(instance, problem.reference(instance).solution)
    pieces = st.lists(
        st.sampled_from([good, "<answer>", "</answer>", "Answer:", "[", "]", ", ", "-", "1", "99", "\n", " "])
    )
    judged(problem, instance, data.draw(st.one_of(st.text(), pieces.map("".join))))
