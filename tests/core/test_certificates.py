"""Certificates that travel with a spec: used without solving, and refused in one line where they are wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import forge_gym
from forge_gym.adapters.trl import RewardFunction
from forge_gym.adapters.verl import compute_score
from forge_gym.core import registry
from forge_gym.core.problem import Problem
from forge_gym.core.reference import Certificate
from forge_gym.core.registry import from_spec, place_of, problem_class
from forge_gym.data.generate import LAYOUTS, Chunk
from forge_gym.data.rows import samples
from forge_gym.training.curriculum import Curriculum

SPEC: dict[str, Callable[[dict[str, Any]], str]] = {
    "plain": lambda row: row["spec"],
    "trl": lambda row: row["spec"],
    "nemo-gym": lambda row: row["spec"],
    "verl": lambda row: row["reward_model"]["ground_truth"],
    "skyrl": lambda row: row["reward_spec"]["ground_truth"],
    "openrlhf": lambda row: row["label"],
}
"""Where the rows of each layout have their spec."""


def unsolvable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make solving an error, and start with nothing remembered."""

    def solve(*_: Any) -> Certificate[Any]:
        raise AssertionError(f"{name} is solved")

    monkeypatch.setattr(problem_class(name), "solve", solve)
    from_spec.cache_clear()


@pytest.mark.parametrize("name", forge_gym.problems())
def test_rows_are_judged_without_solving(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(samples(forge_gym.problem(name), levels=[2], seed=3))
    replies = [
        row.problem.format(row.instance, s) for s in (row.reference.solution, *row.problem.anchors(row.instance))
    ]
    judged = [row.problem.verify(row.instance, reply) for reply in replies]
    unsolvable(monkeypatch, name)
    problem, instance = from_spec(row.spec)
    assert instance is not row.instance and [problem.verify(instance, reply) for reply in replies] == judged
    assert problem.reference(instance) == row.reference and problem.anchors(instance) == row.problem.anchors(
        row.instance
    )
    assert problem.baseline(instance) == problem.anchors(instance)[0]
    assert place_of(row.spec) == row.problem.spec(**row.source) != row.spec
    logged: dict[str, float] = {}
    columns = {"completions": [*replies, "no idea"], "spec": [row.spec] * 4}
    assert RewardFunction()(**columns, log_metric=logged.__setitem__)[0] == 1.0  # type: ignore[arg-type]
    assert logged["forge/trivial"] > 0 and logged["forge/faults"] == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_carries_its_certificates(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Chunk(forge_gym.problem("Knapsack", n=12), -1, 0, "train", layout, 0, 20).draw().splitlines()
    rows = [json.loads(line.split(b" ", 2)[2]) for line in lines]
    unsolvable(monkeypatch, "Knapsack")
    for row in rows:
        problem, instance = from_spec(SPEC[layout](row))
        best = problem.format(instance, problem.reference(instance).solution)
        assert compute_score("", best, SPEC[layout](row))["optimal"] == 1.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": 1}, "it proves nothing"),
        ({"value": 1, "bound": 1}, "the witness is worth"),
        ({"bound": 10**6}, "it proves nothing"),
        ({"solution": [0, 1, 2, 3, 4, 5, 6, 7]}, "an anchor is infeasible"),
        ({"solution": [99]}, "an anchor is infeasible"),
        ({"solution": [], "value": 0, "bound": 0}, "solve proves a bound of 0, but a solution is worth"),
        ({"solution": [[0]]}, "the certificate fails: "),
        ({"solution": [0.0]}, "solution must hold integers alone"),
        ({"solution": "0"}, "solution must be of type list"),
        ({"value": "1" * 101}, "an exact number must be an integer"),
        ({"value": 1.0}, "an exact number must be an integer"),
        ({"work": "1"}, "work must be of type int"),
        ({"solver": None}, "solver must be of type str"),
    ],
)
def test_wrong_certificates_are_refused(change: dict[str, Any], said: str) -> None:
    knapsack = forge_gym.problem("Knapsack", n=8)
    spec = json.loads(knapsack.spec(seed=3, certificate=knapsack.reference(knapsack.instance(seed=3))))
    wrong = json.dumps(spec | {"certificate": spec["certificate"] | change})
    place = f"the certificate of {knapsack.spec(seed=3)}: "
    with pytest.raises(ValueError, match=said) as caught:
        from_spec(wrong)
    assert str(caught.value).startswith(place) and "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="column 'spec' of row 1 of the batch: the certificate of"):
        RewardFunction()(completions=["", ""], spec=[json.dumps(spec), wrong])


def knapsack_with(anchors: Any) -> str:
    """Return a spec of a knapsack whose certificate states these ``anchors``, or the true ones for None."""
    knapsack = forge_gym.problem("Knapsack", n=8)
    instance = knapsack.instance(seed=3)
    return knapsack.spec(3, certificate=knapsack.reference(instance), anchors=anchors or knapsack.anchors(instance))


def test_stated_anchors_are_judged_and_a_share_of_them_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    true, worse = knapsack_with(None), knapsack_with(((), (0,)))
    found: list[object] = []
    heuristic = problem_class("Knapsack").heuristic
    monkeypatch.setattr(problem_class("Knapsack"), "heuristic", lambda *given: found.append(given) or heuristic(*given))
    monkeypatch.setattr(registry, "FOUND_AGAIN", 2**40)  # crc32 is below it, and not 0
    from_spec.cache_clear()
    knapsack, instance = from_spec(true)
    assert not found and knapsack.reference(instance) == knapsack.reference(knapsack.instance(seed=3))
    assert from_spec(worse) and len(found) == 1
    monkeypatch.setattr(registry, "FOUND_AGAIN", 1)
    from_spec.cache_clear()
    assert from_spec(true) and len(found) == 2
    with pytest.raises(ValueError, match=r"trivial and greedy are .*, not"):
        from_spec(worse)


@pytest.mark.parametrize("again", [1, 2**40])
@pytest.mark.parametrize(
    ("anchors", "said"),
    [
        ([[0, 1, 2, 3, 4, 5, 6, 7], []], ""),
        ([[], [99]], ""),
        ([[0], []], ""),
        ([[], [[0]]], ""),
        ([[]], "anchors must be a list of two solutions"),
        ([[], [0.0]], "greedy must hold integers alone"),
        ([[True], []], "trivial must hold integers alone"),
        ([0, []], "trivial must be of type list"),
        ({"trivial": []}, "anchors must be a list of two solutions"),
    ],
)
def test_wrong_anchors_are_refused(anchors: Any, said: str, again: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FOUND_AGAIN", again)
    with pytest.raises(ValueError, match=f"the certificate of .*: .*{said}"):
        from_spec(knapsack_with(anchors))


@pytest.mark.parametrize("certificate", [None, [], 1, {}, {"value": 1}])
def test_what_is_no_certificate_is_refused(certificate: object) -> None:
    spec = json.loads(forge_gym.problem("TSP").spec()) | {"certificate": certificate}
    with pytest.raises(ValueError, match="the certificate of"):
        from_spec(json.dumps(spec))


def test_nothing_that_was_found_graded_is_solved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    solved: list[int] = []
    cover = forge_gym.problem("SetCover", n=12)
    solve = type(cover).solve

    def counted(self: Problem[Any, Any], instance: Any, *rest: Any) -> Any:
        solved.append(hash(instance))
        return solve(self, instance, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(type(cover), "solve", counted)
    drawn = Curriculum(cover, seed=5).sample()
    data = forge_gym.dataset("SetCover", n=12, size=3)
    assert data.verify(data[1], data[1]["answer"]).optimal and data.verify(1, data[1]["answer"]).optimal
    problem, instance = from_spec(drawn.spec)
    assert problem.verify(instance, "no idea").status == "malformed" and problem.has_reference(instance)
    assert len(set(solved)) == len(solved) > 1


def test_prompts_are_written_once_for_each_presentation(monkeypatch: pytest.MonkeyPatch) -> None:
    tsp = forge_gym.problem("TSP", n=5)
    instance = tsp.instance()
    text = tsp.prompt(instance)
    assert tsp.prompt(instance) is text
    others = [
        forge_gym.problem("TSP", n=5, **how) for how in ({"style": "json"}, {"names": 7}, {"answer_format": "raw"})
    ]
    assert len({text, *(other.prompt(instance) for other in others)}) == 4


def test_what_is_refused_leaves_no_trace() -> None:
    tsp = forge_gym.problem("TSP")
    instance = tsp.instance(3)
    right, certificate = tsp.anchors(instance), tsp.certificate(instance)
    with pytest.raises(ValueError, match="the certificate fails"):
        tsp.accept(instance, certificate, (certificate.solution, tsp.trivial(instance)))  # greedy is the worse one
    assert tsp.anchors(instance) == right and not tsp.has_reference(instance)
