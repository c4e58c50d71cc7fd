"""Best of N: what is kept is the same with pruning as without, for every problem, and pruning saves tokens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from cases import PROBLEMS, every_problem
from cases import settings as every_setting
from forge_gym.agents import BestOf, Reply, Task, make_agent
from forge_gym.agents.agent import PRUNED, Stop
from forge_gym.agents.best_of import Watch, beginning, committed, worth
from forge_gym.core.answer import wrap_answer
from forge_gym.core.problem import Problem
from forge_gym.envs.max_independent_set import MaxIndependentSet
from forge_gym.kinds.graph import Graph
from forge_gym.kinds.kind import as_kind
from forge_gym.kinds.schedule import Schedule
from forge_gym.kinds.subset import Subset

CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in PROBLEMS),
    *((name, {"style": "compact", "answer_format": "raw"}) for name in PROBLEMS),
    *((name, {"answer_format": "line"}) for name in PROBLEMS),
    ("TSP", {"distribution": "matrix"}),
    ("PublishedBisection", {}),
    ("PublishedCycle", {}),
    ("MeetingScheduling", {"step": 1}),
    ("TSP", {"names": "words"}),
]


class Replay:
    """A model that says what was recorded, in chunks of random length; a character is a token."""

    name, concurrency = "replay", 3

    def __init__(self, texts: Sequence[str], seed: int = 0) -> None:
        self.texts, self.chance = texts, random.Random(seed)
        self.stopped = 0

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def reply(self, task: Task, stop: Stop | None = None) -> Reply:
        text, at = self.texts[task.sample], 0
        while at < len(text):
            at = min(len(text), at + self.chance.randint(1, 9))
            if stop is not None and stop(text[:at]):
                self.stopped += 1
                return Reply(text[:at], PRUNED, 100, at, float(at))
        return Reply(text, "stop", 100, len(text), float(len(text)))


def ask(problem: Problem[Any, Any], instance: Any, texts: Sequence[str], **options: Any) -> Reply:
    task = Task(problem, instance, ({"role": "user", "content": problem.prompt(instance)},))
    return asyncio.run(BestOf(Replay(texts), len(texts), **options).reply(task))


def full(problem: Problem[Any, Any], instance: Any, texts: Sequence[str]) -> str:
    """The definition: the first reply of those that the verifier finds feasible and best, or the last one."""
    best, kept = None, texts[-1]
    for text in texts:
        verdict = problem.verify(instance, text)
        value = verdict.objective
        if value is not None and (best is None or (value > best if problem.sense == "max" else value < best)):
            best, kept = value, text
    return kept


def solution(problem: Problem[Any, Any], instance: Any, rng: np.random.Generator) -> Any:
    """A solution as a model may state it: from optimal to nonsense."""
    chance = rng.integers(7)
    if chance == 0:
        return problem.reference(instance).solution
    if chance == 1:
        return problem.trivial(instance)
    if chance == 2:
        return problem.heuristic(instance, rng, 0.3)
    found: Any = problem.random(instance, rng)
    if chance < 5 or not found:
        return found
    items = list(found)
    for _ in range(int(rng.integers(1, 3))):
        at, other = rng.integers(len(items)), rng.integers(len(items))
        change = rng.integers(3)
        if change == 0:
            items[at] = items[other]
        elif change == 1:
            items.insert(at, items[other])
        else:
            items.pop(at)
        if not items:
            break
    return tuple(items)


def reply(problem: Problem[Any, Any], instance: Any, rng: np.random.Generator) -> str:
    """A whole reply around it: thoughts, drafts within thoughts, fences, second answers, ends cut off."""
    try:
        body = problem.format_answer(instance, solution(problem, instance, rng))
    except (IndexError, KeyError, ValueError):  # some writers know only whole solutions
        body = problem.format_answer(instance, problem.random(instance, rng))
    stated = wrap_answer(body, problem.answer_format)
    shape = rng.integers(10)
    if shape == 0:
        return stated[: rng.integers(len(stated) + 1)]
    if shape == 1:
        return stated.replace(body, f"```json\n{body}\n```")
    if shape == 2:
        return f"{stated}\n{stated}"
    if shape == 3:
        return stated.replace(",", ", x,", 1)
    if problem.answer_format == "raw":
        return stated
    if shape < 6:
        return f"<think>\nPerhaps {stated}?\n</think>\nSo <b>this</b>, 1, 2:\n{stated}"
    return f"Let me see, [1, 1, 1].\n{stated}" + ("\nGood, and so on." * 5 if shape == 7 else "")


@pytest.fixture(scope="module")
def instances() -> dict[str, tuple[Problem[Any, Any], list[Any]]]:
    found = {}
    for name, options in CASES:
        problem = forge_gym.problem(name, **options)
        found[str((name, options))] = problem, [problem.instance(seed) for seed in range(3)]
    return found


@pytest.mark.parametrize("key", [str(variant) for variant in CASES])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_pruning_changes_nothing_but_what_it_takes(key: str, instances: Any, seed: int) -> None:
    problem, some = instances[key]
    rng = np.random.default_rng(seed)
    instance = some[rng.integers(len(some))]
    texts = [reply(problem, instance, rng) for _ in range(rng.integers(1, 6))]
    pruned, whole = ask(problem, instance, texts), ask(problem, instance, texts, prune=False)
    assert pruned.text == whole.text == full(problem, instance, texts)
    assert pruned.finish == whole.finish == "stop"
    assert whole.completion_tokens == sum(map(len, texts)) >= pruned.completion_tokens
    assert whole.prompt_tokens == pruned.prompt_tokens == 100 * len(texts)


TAGS = ["<answer>", "</answer>", "<think>", "</think>", "Answer: ", "\n", "```"]
PIECES = [*TAGS, "[0, 1, 2, 3, 4]", "[4, 2, 0, 1, 3]", "[0, 0,", "[", "1", ", ", "]", " so "]


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), min_size=1, max_size=5),
    answer_format=st.sampled_from(["tags", "line", "raw"]),
    thinking=st.booleans(),
)
def test_no_order_of_tags_makes_pruning_unsound(texts: list[str], answer_format: str, thinking: bool) -> None:
    problem = forge_gym.problem("TSP", n=5, answer_format=answer_format)
    instance = problem.instance(1)
    pruned, whole = (ask(problem, instance, texts, thinking=thinking, prune=prune) for prune in (True, False))
    assert pruned.text == whole.text


@every_problem
def test_pruning_saves_tokens(name: str, instances: Any) -> None:
    problem, (instance, *_) = instances[str((name, {}))]
    good = problem.format(instance, problem.reference(instance).solution)
    poor = problem.format(instance, problem.trivial(instance)) + "\nI am sure of that." * 20
    pruned, whole = (
        ask(problem, instance, [good, poor, poor]),
        ask(problem, instance, [good, poor, poor], prune=False),
    )
    assert pruned.text == whole.text == good
    assert pruned.completion_tokens < whole.completion_tokens / 2
    assert pruned.cost == pruned.completion_tokens


@pytest.mark.parametrize(("name", "options"), CASES)
def test_what_breaks_a_beginning_breaks_the_whole(name: str, options: dict[str, Any], instances: Any) -> None:
    """The rule that (i) stands on: families outside the open ones are not mended by going on."""
    problem, some = instances[str((name, options))]
    rng = np.random.default_rng(5)
    judged = 0
    for _ in range(150):
        instance = some[rng.integers(len(some))]
        whole: Any = solution(problem, instance, rng)
        if not whole:
            continue
        watch = Watch(problem, instance, None)
        if not problem.violations(instance, whole):
            judged += 1
            for end in range(len(whole) + 1):
                assert not watch._lost(whole[:end]), (whole, end)
    assert judged > 5


@every_problem
def test_no_answer_beats_the_bound_of_its_beginning(name: str) -> None:
    rng = np.random.default_rng(6)
    for problem in map(as_kind, every_setting(name)):
        for seed in range(20):
            instance = problem.instance(seed % 3)
            whole: Any = problem.random(instance, rng)
            if isinstance(problem, (Subset, Schedule)):  # listed in any order
                whole = tuple([whole[i] for i in rng.permutation(len(whole))])
            value = problem.objective(instance, whole)
            for end in range(1, len(whole) + 1):
                bound = problem.bound(instance, whole[:end])
                assert bound is None or not problem.better(value, bound), (whole, end)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("TSP", "<answer>[0, 1, 2, 1, ", "once"),
        ("TSP", "I say <answer>[0, 99, ", "known"),
        ("TSP", "<answer>```json\n[0, 1, 0, ", "once, in a fence"),
        ("TSP", "<answer>[0, 1]</answer>", "not all visited, and closed"),
        ("TSP", "<answer>none</answer>", "no list"),
        ("TSP", "<think><answer>[0, 1]</answer></think> <answer>[2, 2,", "after thoughts"),
        ("MaxClique", "<answer>[0, 0, ", "once"),
        ("MeetingScheduling", "<answer>[[0, 99, 0], [1, ", "known"),
    ],
)
def test_hopeless_replies_are_broken_off(name: str, text: str, why: str) -> None:
    problem = forge_gym.problem(name)
    assert Watch(problem, problem.instance(), None)(text), why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[0, 0, 0]",
        "<answer>",
        "<answer>[",
        "<answer>[1",
        "<answer>[1, 1",  # may become 12
        "<answer>[0, x, ",
        "<think>Not <answer>[0, 0, 0]</answer>",
        "<ans",
        "```\n<answer>```\n[",
    ],
)
def test_hope_dies_last(text: str) -> None:
    problem = forge_gym.problem("TSP", n=20)
    assert not Watch(problem, problem.instance(), None)(text)


def test_thoughts_that_open_without_a_tag_are_said_to() -> None:
    problem = forge_gym.problem("TSP", n=5)
    instance = problem.instance()
    best = problem.format(instance, problem.reference(instance).solution)
    thought = f"Not <answer>[0, 0]</answer>.</think>\n{best}"
    assert ask(problem, instance, [thought, "?"], thinking=True).text == thought
    assert ask(problem, instance, [thought, "?"]).text == "?"
    assert committed(thought, "tags", True) == thought.rindex("[")
    assert worth(problem, instance, thought, True) is not None and worth(problem, instance, thought) is None


def test_selection_never_asks_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = forge_gym.problem("TSP", n=6)
    instance = problem.instance()
    texts = [problem.format(instance, (0, 1, 2, 3, 4, 5)), problem.format(instance, (0, 2, 1, 3, 5, 4))]
    ask(problem, instance, texts)
    assert not problem.has_reference(instance)


def test_long_answers_are_looked_at_rarely() -> None:
    looks = 0

    class Counting(MaxIndependentSet):
        def parse_answer(self, instance: Any, text: str) -> Any:
            nonlocal looks
            looks += 1
            return super().parse_answer(instance, text)

    watch = Watch(Counting(), Graph(n=3000, edges=()), None)
    text = "<answer>[" + ", ".join(map(str, range(3000)))
    assert not any(watch(text[:end]) for end in range(0, len(text), 3))
    assert 10 < looks < 600


def test_beginnings_by_form() -> None:
    cases: list[tuple[str, dict[str, Any], str, Any]] = [
        ("TSP", {}, "[3, 0, 1", (3, 0)),
        ("TSP", {}, " [3, 0, 1]", (3, 0)),
        ("TSP", {}, "3, 0", None),
        ("GraphColoring", {"style": "compact"}, "0 1 12", (0, 1)),
        ("GraphColoring", {"style": "compact"}, "0", None),
        ("MeetingScheduling", {}, "[[0, 1, 540], [1, 2", ((0, 1, 540),)),
        ("MeetingScheduling", {}, "[[0, 1, 54", None),
        ("PublishedBisection", {}, "[[0, 1], [2, 3", None),
        ("Knapsack", {"style": "compact"}, "+ - +", None),
    ]
    for name, options, text, found in cases:
        problem = forge_gym.problem(name, **options)
        assert beginning(problem, problem.instance(), text) == found, (name, text)


def test_samples_have_numbers_of_their_own() -> None:
    problem = forge_gym.problem("TSP", n=5)
    instance = problem.instance()
    asked: list[int] = []

    class Noting(Replay):
        async def reply(self, task: Task, stop: Stop | None = None) -> Reply:
            asked.append(task.sample)
            return await super().reply(task, stop)

    agent = BestOf(Noting(["?"] * 8), 4)
    tasks = [Task(problem, instance, ({"role": "user", "content": "?"},), sample) for sample in (0, 1)]
    assert agent.answer(tasks) == ["?", "?"] and sorted(asked) == list(range(8))
    assert (agent.name, agent.concurrency) == ("replay best of 4", 3)
    with pytest.raises(ValueError, match="n must be"):
        BestOf(Replay([]), 0)


def test_over_http(stub_server: Any) -> None:
    pytest.importorskip("httpx")
    problem = forge_gym.problem("TSP", n=8)
    instance = problem.instance()
    good = problem.format(instance, problem.reference(instance).solution)
    says: list[Callable[[], str]] = [
        lambda: "<answer>[0, 0, " + "1, " * 5000,
        lambda: good,
        lambda: good + "!" * 20_000,
    ]
    stub_server.answer = lambda body: says[body["seed"]]()
    agent = BestOf(make_agent("api:m", base_url=stub_server.url, seed=0), 3)  # type: ignore[arg-type]
    assert agent.answer([Task(problem, instance, ({"role": "user", "content": "?"},))]) == [good]

    async def work() -> Reply:
        async with agent:
            return await agent.reply(Task(problem, instance, ({"role": "user", "content": "?"},)))

    reply = asyncio.run(work())
    assert reply.text == good and reply.attempts == 3
    assert reply.completion_tokens < 40 + 2 * len(good)  # of 20,000
