"""The quick way to a verdict: it accepts what the hooks accept, and never without a hook that somebody overrides."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import forge_gym
from cases import every_problem
from forge_gym.core import Malformed, Violation
from forge_gym.core.answer import MAX_ANSWER, MAX_REPLY, extract_answer, stated
from forge_gym.core.problem import Problem
from forge_gym.core.verdict import Verdict
from forge_gym.data.published import PublishedBisection, PublishedCycle
from forge_gym.envs.knapsack import Knapsack
from forge_gym.envs.tsp import TSP
from forge_gym.kinds import GraphSubset, Subset, as_kind
from forge_gym.kinds.reading import naturals, read_integers, read_lists
from forge_gym.verification.fuzz import compare_quick

SUBSETS = ("BalancedMinCut", "Knapsack", "MaxClique", "MaxIndependentSet", "SetCover", "SubsetSum")
PUBLISHED = (PublishedCycle(), PublishedCycle(names=3), PublishedBisection(n=7), PublishedBisection(names=2))


def known(problem: Problem[Any, Any], seed: int = 0) -> tuple[Any, str]:
    """Return an instance whose quick way is there, and the reply that states its best solution."""
    instance = problem.instance(seed)
    reply = problem.format(instance, problem.reference(instance).solution)
    problem.verify(instance, reply)
    return instance, reply


@every_problem
def test_every_problem_has_a_quick_way(name: str) -> None:
    problem = forge_gym.problem(name)
    instance, reply = known(problem)
    quick = problem.quick(instance, {"reference": problem.reference(instance)})
    assert quick is not None
    once = quick(instance, reply)
    assert once == problem.verify(instance, reply) == problem.verify_plainly(instance, reply)
    assert type(once) is Verdict and type(once.solution) is tuple and once.optimal
    assert quick(instance, f"<think>2 < 3</think> I say {reply}") == once
    assert quick(instance, reply + "\n") is None  # the hooks take it
    assert problem.verify(instance, reply + "\n") == once


@every_problem
def test_mutants_are_judged_alike_in_both_ways(name: str) -> None:
    found = compare_quick(forge_gym.problem(name), 1_500)
    assert not found.faults and 150 < found.counts["quick"] < 1_000


@pytest.mark.slow
@every_problem
def test_a_million_mutants_are_judged_alike_in_both_ways(name: str) -> None:
    found = compare_quick(forge_gym.problem(name), 1_000_000)
    assert not found.faults and found.counts["quick"] > 100_000


@pytest.mark.parametrize("problem", PUBLISHED, ids=repr)
def test_published_spellings_have_a_quick_way_too(problem: Any) -> None:
    found = compare_quick(problem, 1_500)
    assert not found.faults and found.counts["quick"] > 100


@pytest.mark.parametrize("form", [{"answer_format": "line"}, {"style": "compact"}, {"names": "words"}])
@pytest.mark.parametrize("name", ["Knapsack", "MeetingScheduling"])
def test_other_forms_are_read_by_the_hooks(name: str, form: dict[str, Any]) -> None:
    problem = replace(forge_gym.problem(name), **form)
    instance, reply = known(problem)
    assert problem.quick(instance, {}) is None
    assert problem.verify(instance, reply).optimal


def test_forms_of_one_problem_share_an_instance_and_no_quick_way() -> None:
    problem = forge_gym.problem("Knapsack")
    instance, reply = known(problem)
    shifted = replace(problem, names=1)
    assert not shifted.verify(instance, "<answer>[0]</answer>").feasible
    for one in (problem, shifted, problem, shifted):
        answer = one.format(instance, one.reference(instance).solution)
        assert one.verify(instance, answer).optimal and (answer == reply) == (one is problem)


# ------------------------------------------------------------------------------ hooks that somebody overrides


class Reads(Knapsack):
    """Reads nothing."""

    def read(self, instance: Any, text: str, names: Any) -> Any:
        raise Malformed("no")


class Parses(Knapsack):
    """Takes nothing for an answer."""

    def parse_answer(self, instance: Any, text: str) -> Any:
        raise Malformed("no")


class Judges(Knapsack):
    """Accepts nothing."""

    def violations(self, instance: Any, solution: Any) -> tuple[Violation, ...]:
        return (Violation("capacity", 1, 1, "no"),)


class Cleans(Knapsack):
    """Finds elements twice."""

    def clean(self, instance: Any, solution: Any) -> Any:
        return [Violation("once", 1, 1, "no")], frozenset()


class Breaks(Knapsack):
    """Finds all that has an item broken."""

    def broken(self, instance: Any, chosen: frozenset[int]) -> Iterator[Violation]:
        if chosen:
            yield Violation("capacity", 1, 1, "no")


class Names(Knapsack):
    """Calls its first item 5."""

    def names_of(self, instance: Any) -> Any:
        return replace(super().names_of(instance), first=5)


@pytest.mark.parametrize("cls", [Reads, Parses, Judges, Cleans, Breaks, Names])
@pytest.mark.parametrize("deeper", [False, True])
def test_a_hook_that_is_overridden_is_asked(cls: type[Knapsack], deeper: bool) -> None:
    instance, reply = known(Knapsack())
    problem: Knapsack = type("Deeper", (cls,), {})() if deeper else cls()
    problem.keep_reference(instance, Knapsack().reference(instance))
    problem.verify(instance, "<answer>[]</answer>")
    problem.verify(instance, "<answer>[5]</answer>")
    verdict = problem.verify(instance, reply)
    assert not verdict.feasible and verdict == problem.verify_plainly(instance, reply)


def test_an_objective_that_is_overridden_is_asked() -> None:
    class Doubled(Knapsack):
        def objective(self, instance: Any, solution: Any) -> int:
            return 2 * super().objective(instance, solution)

    instance, reply = known(Knapsack())
    problem, plain = Doubled(), Knapsack().verify(instance, reply).objective
    problem.keep_reference(instance, Knapsack().reference(instance))
    assert plain is not None
    assert [problem.verify(instance, reply).objective for _ in range(3)] == [2 * plain] * 3


def test_a_reader_beside_a_reading_of_its_own_is_trusted() -> None:
    class Reversed(TSP):
        def read(self, instance: Any, text: str, names: Any) -> Any:
            return super().read(instance, text, names)[::-1]

    class Both(Reversed):
        def reader(self, instance: Any, *_: Any) -> Any:
            read = super().reader(instance)
            return lambda text: (found := read(text)) and (found[0][::-1], found[1][::-1])

    for problem, quick in ((Reversed(), False), (Both(), True)):
        instance, _ = known(problem)
        assert (problem.quick(instance, {}) is not None) == quick
        verdicts = [problem.verify(instance, f"<answer>{list(range(problem.n))}</answer>") for _ in range(3)]
        assert verdicts[0].solution == tuple(range(problem.n))[::-1] and len(set(verdicts)) == 1


def test_the_reference_that_is_kept_last_counts() -> None:
    problem = forge_gym.problem("Knapsack")
    instance, reply = known(problem)
    better = replace(problem.reference(instance), bound=10**6)
    problem.keep_reference(instance, better)
    assert not problem.verify(instance, reply).optimal
    assert pickle.loads(pickle.dumps(better)) == better
    assert pickle.loads(pickle.dumps(instance)).memo == {}


def test_what_is_no_text_or_has_other_thoughts_is_left_to_the_hooks() -> None:
    class Text(str):
        pass

    problem = forge_gym.problem("Knapsack")
    instance, reply = known(problem)
    assert problem.verify(instance, Text(reply)).optimal
    for other in (None, 7, [reply], reply.encode(), (reply,) * 9):
        assert problem.verify(instance, other).status == "malformed"
    assert problem.verify(instance, reply, thoughts={"inside": True}).status == "malformed"
    group = [reply, 7, reply, None]
    assert [verdict.status for verdict in problem.verify_many(instance, group)] == ["feasible", "malformed"] * 2  # type: ignore[arg-type]


# ------------------------------------------------------------------------------ the parts


@pytest.mark.parametrize(
    "text",
    [
        *("", "<answer>[1]</answer>", "a<answer>[1]</answer>", "<think>a</think><answer>[1]</answer>"),
        *("<think><answer>[1]</answer>", "</think><answer>[1]</answer>", "<<answer>[1]</answer>", "</answer>"),
        *("<answer>[1]</answer></answer>", "<answer><answer>[1]</answer>", "</think></think> b <answer></answer>"),
        *(
            "<answer>[1]</think></answer>",
            "<answer>[1]</think><answer>[1]</answer>",
            "</think><think><answer></answer>",
        ),
        " " * MAX_REPLY + "<answer>[1]</answer>",
        f"<answer>{' ' * MAX_ANSWER}[1]</answer>",
    ],
)
def test_what_is_stated_at_once_is_stated(text: str) -> None:
    try:
        answer = extract_answer(text, "tags")
    except Malformed:
        answer = None
    at_once = stated(text)
    assert at_once is None or at_once in ("", answer)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "[]",
            "[1]",
            "[0, 12]",
            "[ 1,2 ]\n",
            "[-1]",
            "[-0]",
            "[01]",
            "[1.0]",
            "[true]",
            "[1, ]",
            "[1]]",
            "[[1]]",
            "1",
        ),
        *("[1 2]", "[,]", "[\u0663]", "[\ud800]", f"[{'9' * 5000}]", f"[{'9' * 4000}]", "[" * 10**5, "[1", " [1]"),
        *("[[1, 2]]", "[[1,2],[3,4]]", "[[1, 2], [3]]", "[[1, 2], 3]", "[1, [2, 3]]", "[[[1], 2]]", "[[],[1,2,3]]"),
        *("[[1, 2],]", "[[1, 2] [3, 4]]", "[[1, -2]]", "[[1 2, 3]]", "[[, ]]", "[3, 4]", "[[1, 2]], []"),
    ],
)
def test_what_is_read_quickly_is_read_so(text: str) -> None:
    quick = naturals(text)
    if quick is not None:
        nested = [value for value in quick if isinstance(value, list)]
        assert repr(quick) == repr(json.loads(text)) and all(type(x) is int and x >= 0 for row in nested for x in row)
        if len(nested) in (0, len(quick)):  # the readers of kinds refuse the others
            assert quick == (read_lists if nested else read_integers)(text)


@pytest.mark.parametrize("name", SUBSETS)
def test_sets_are_built_of_what_their_rule_accepts(name: str) -> None:
    """What a rule says of one element more is what comes of asking `broken`."""
    problem = forge_gym.problem(name)
    assert isinstance(problem, Subset)
    asks = {"broken": lambda self, instance, chosen: super(cls, self).broken(instance, chosen)}
    cls: Any = type("Asks", (type(problem),), asks)
    asking, rng = cls(n=9), np.random.default_rng(0)
    problem = replace(problem, n=9)
    assert asking._rule is None and problem._rule is not None
    for seed in range(6):
        instance = problem.instance(seed)
        for _ in range(8):
            order = rng.permutation(9).tolist()
            built = problem.complete(instance, order)
            assert built == asking.complete(instance, order)
            some = tuple(built[: int(rng.integers(len(built) + 1))])
            assert sorted(problem.extensions(instance, some)) == sorted(asking.extensions(instance, some))
            needed = problem.prune(instance, order if problem.mendable else built)
            assert problem.feasible(instance, needed) or name == "BalancedMinCut"


def test_a_kind_without_a_quick_way_is_judged_by_its_hooks() -> None:
    assert as_kind(forge_gym.problem("Knapsack")).reader(forge_gym.problem("Knapsack").instance()) is not None
    from forge_gym.kinds import Kind

    assert Kind.reader(forge_gym.problem("TSP"), forge_gym.problem("TSP").instance()) is None  # type: ignore[arg-type]
    assert issubclass(GraphSubset, Subset)
