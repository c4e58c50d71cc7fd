"""What a language model is warm-started on: prompts with replies of heuristics, solvers and search, in any mix."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

import numpy as np

from ..agents.agent import Agent, Task, thoughts_of
from ..agents.controls import climb
from ..core.checks import check_choice, check_share
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.seeding import instance_generator, stream_of

TEACHERS = ("greedy", "random", "search", "exact")
"""``greedy``: the heuristic, randomised; ``random``: a random feasible solution; ``search``: hill climbing from
the heuristic, with its trace of incumbents where the answer format leaves room; ``exact``: the certified reference."""
_TEMPERATURE = 0.3
_MOVES = 5
_STREAM = stream_of("teachers of demonstrations", 0, {})


@dataclass(frozen=True)
class Example:
    """A prompt with a reply to learn."""

    prompt: str
    reply: str
    weight: float = 1.0
    """How often it is trained on relative to others; see `forge_gym.training.sft.epochs`."""
    index: int = 0
    """Of the instance."""


@dataclass(frozen=True)
class Demonstrations:
    """An endless stream of demonstrations, each instance once; the same for the same arguments.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=5, style="compact", answer_format="raw")
    >>> demonstrations = Demonstrations([tsp], mix={"greedy": 0.5, "exact": 0.5})
    >>> example = next(demonstrations.stream())
    >>> tsp.verify(tsp.instance(0, example.index), example.reply).feasible
    True
    """

    problems: Sequence[Problem[Any, Any]]
    """One or several, in turn."""
    mix: Mapping[str, float] = field(default_factory=lambda: {"greedy": 1.0})
    """Shares of `TEACHERS`."""
    epsilon: float = 0.15
    """Probability that a choice of the greedy heuristic is its second best. Demonstrations without any leave a policy
    with nothing to explore."""
    seed: int = 0
    """Of instances and draws; the instances are those of `Problem.instance` in the training split."""
    exclude: Container[str] = frozenset()
    """Prompts that must not occur, such as those of a test set."""

    def __post_init__(self) -> None:
        for teacher, share in self.mix.items():
            check_choice("mix", teacher, TEACHERS)
            check_share(f"mix of {teacher}", share, 0.0, math.inf)
        if not sum(self.mix.values()) > 0:
            raise ValueError(f"mix must have a positive share, got {self.mix!r}: did you mean {{'greedy': 1}}?")
        check_share("epsilon", self.epsilon)
        if not self.problems:
            raise ValueError("problems must hold at least one problem, got none")

    def stream(self, start: int = 0) -> Iterator[Example]:
        """Yield demonstrations from number ``start`` on; to continue after one, start at its index plus 1."""
        teachers, shares = list(self.mix), np.array(list(self.mix.values()), dtype=float)
        for index in count(start):
            problem = self.problems[index % len(self.problems)]
            instance = problem.instance(self.seed, index)
            prompt = problem.prompt(instance)
            if prompt not in self.exclude:
                rng = instance_generator(_STREAM, self.seed, index, "train")
                teacher = teachers[rng.choice(len(teachers), p=shares / shares.sum())]
                yield Example(prompt, self._reply(problem, instance, teacher, rng), index=index)

    def _reply(self, problem: Problem[Any, Any], instance: Instance, teacher: str, rng: np.random.Generator) -> str:
        if teacher == "search":
            return search_trace(problem, instance, rng)
        if teacher == "greedy":
            solution = problem.heuristic(instance, rng, self.epsilon)
        elif teacher == "random":
            solution = problem.random(instance, rng)
        else:
            solution = problem.reference(instance).solution
        return problem.format(instance, solution)


def search_trace(problem: Problem[Any, Any], instance: Instance, rng: np.random.Generator) -> str:
    """Return a reply that climbs from the heuristic and names every better solution on its way.

    In the answer format ``raw``, which is the answer and nothing else, only the last solution is there.

    Examples
    --------
    >>> import forge_gym
    >>> knapsack = forge_gym.problem("Knapsack", n=6)
    >>> print(search_trace(knapsack, knapsack.instance(seed=2), np.random.default_rng(0)))
    Greedy: [0, 2, 5], objective 843.
    Better: [0, 2, 3], objective 844.
    <answer>[0, 2, 3]</answer>
    """
    better: dict[Any, Any] = {}
    for solution, value in climb(problem, instance, rng, _MOVES):
        better.setdefault(value, solution)
    answer = problem.format(instance, [*better.values()][-1])
    if problem.answer_format == "raw":
        return answer
    lines = [f"{problem.format_answer(instance, solution)}, objective {value}." for value, solution in better.items()]
    return "\n".join([f"Greedy: {lines[0]}", *(f"Better: {line}" for line in lines[1:]), answer])


def replies(
    agent: Agent,
    problem: Problem[Any, Any],
    instances: Sequence[Instance],
    samples: int,
    batch_size: int,
    progress: Callable[[int], object] = lambda done: None,
) -> Iterator[list[str]]:
    """Yield the ``samples`` replies of each instance, asked for in batches of up to ``batch_size``."""
    asked = ((x, ({"role": "user", "content": problem.prompt(x)},)) for x in instances)
    tasks = (Task(problem, x, messages, sample) for x, messages in asked for sample in range(samples))
    texts: list[str] = []
    while batch := list(islice(tasks, batch_size)):
        texts += [text for _, text in zip(batch, agent.answer(batch), strict=True)]
        progress(len(batch))
        while len(texts) >= samples:
            yield texts[:samples]
            del texts[:samples]


def rejection_sample(
    agent: Agent,
    problem: Problem[Any, Any],
    instances: Sequence[Instance],
    *,
    samples: int = 8,
    skill: float = 0.0,
    batch_size: int = 1024,
) -> list[Example]:
    """Return the agent's own best replies to learn from: self-improvement by rejection sampling.

    Of each instance's feasible replies with at least the given skill, the best are kept, one per canonical
    solution, with weight ``exp((skill - 1) / 0.3)``.

    Parameters
    ----------
    agent
        Has to sample: greedy decoding gives the same reply every time.
    samples
        Replies per instance.
    skill
        Least skill of a reply that is kept; 0 asks for the greedy heuristic's value.
    batch_size
        Replies asked for at once.
    """
    kept: list[Example] = []
    thoughts = thoughts_of(agent)
    for index, texts in enumerate(replies(agent, problem, instances, samples, batch_size)):
        instance = instances[index]
        good = [
            (verdict, text)
            for text, verdict in zip(texts, problem.verify_many(instance, texts, thoughts), strict=True)
            if verdict.feasible and not verdict.beats_bound and verdict.skill >= skill
        ]
        best = max([verdict.skill for verdict, _ in good], default=0.0)
        unique: dict[Any, str] = {}
        for verdict, text in good:
            if verdict.skill == best:
                unique.setdefault(problem.canonical(instance, verdict.solution), text)
        weight = math.exp((best - 1.0) / _TEMPERATURE)
        kept += [Example(problem.prompt(instance), text, weight, index) for text in unique.values()]
    return kept
