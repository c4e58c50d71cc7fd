"""Evaluate an agent on a problem: graded instances, verdicts, and means with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any

from ..agents.agent import Agent, Message, Task
from ..core.checks import check_int
from ..core.env import TextEnv
from ..core.problem import Instance, Problem
from ..core.verdict import STATUSES, Verdict
from .stats import Estimate, best_of, bootstrap

METRICS: dict[str, Callable[[Verdict], float]] = {
    "success": lambda verdict: float(verdict.feasible),
    "quality": lambda verdict: verdict.quality,
    "skill": lambda verdict: max(-1.0, verdict.skill),
    "ratio": lambda verdict: verdict.ratio,
    "optimal": lambda verdict: float(verdict.optimal),
}
"""Per-instance numbers of a table. Skill is floored at -1, the value of every answer that is not feasible."""


@dataclass(frozen=True)
class Evaluation:
    """The verdicts of one agent on one problem."""

    agent: str
    problem: Problem[Any, Any]
    verdicts: tuple[tuple[Verdict, ...], ...]
    """For each instance the kept verdict of every sample, all the same number."""

    @property
    def samples(self) -> int:
        """Answers per instance."""
        return len(self.verdicts[0])

    def values(self, metric: str) -> list[float]:
        """Return one number per instance, the mean over its samples; ``metric`` is a key of `METRICS`."""
        return [fmean(map(METRICS[metric], samples)) for samples in self.verdicts]

    def best(self, metric: str, k: int) -> list[float]:
        """Return one number per instance: the unbiased estimate of the best of ``k`` samples."""
        return [best_of([METRICS[metric](verdict) for verdict in samples], k) for samples in self.verdicts]

    def estimate(self, metric: str) -> Estimate:
        """Return the mean of ``metric`` with its 95 % bootstrap interval."""
        return bootstrap(self.values(metric))

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        said = [verdict.status for samples in self.verdicts for verdict in samples]
        return {
            "agent": self.agent,
            "problem": self.problem.name,
            "parameters": self.problem.parameters,
            "episodes": len(self.verdicts),
            "samples": self.samples,
            "status": {status: said.count(status) for status in STATUSES},
            **{metric: self.estimate(metric)._asdict() for metric in METRICS},
        }


def held_out(problem: Problem[Any, Any], episodes: int, seed: int = 0, split: str = "test") -> list[Instance]:
    """Return the first ``episodes`` graded instances of a stream; the same for every agent of a table."""
    check_int("episodes", episodes, 1)
    return [instance for _, instance in islice(problem.graded_instances(seed, split), episodes)]


def evaluate(
    agent: Agent,
    problem: Problem[Any, Any],
    instances: Sequence[Instance],
    *,
    turns: int = 1,
    samples: int = 1,
    reward: str = "tiered",
    batch_size: int = 256,
    progress: Callable[[int], object] = lambda done: None,
) -> Evaluation:
    """Let ``agent`` play ``samples`` episodes on each instance.

    Parameters
    ----------
    agent
        Gets the tasks of up to ``batch_size`` episodes at once.
    problem, instances
        What is asked; see `held_out`.
    turns
        Replies per episode; the best one counts.
    samples
        Episodes per instance.
    reward
        The scheme by which the best of several turns is kept.
    batch_size
        Episodes in flight.
    progress
        Called with the number of episodes that have ended since the last call.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.agents import GreedyAgent
    >>> tsp = forge_gym.problem("TSP", n=8)
    >>> result = evaluate(GreedyAgent(), tsp, held_out(tsp, 20))
    >>> result.estimate("skill"), result.estimate("success").mean
    (Estimate(mean=0.0, low=0.0, high=0.0), 1.0)
    """
    check_int("batch_size", batch_size, 1)
    check_int("samples", samples, 1)
    asked = [(instance, sample) for instance in instances for sample in range(samples)]
    verdicts: list[Verdict] = []
    for start in range(0, len(asked), batch_size):
        batch = asked[start : start + batch_size]
        episodes = [_Episode(problem, instance, sample, turns, reward) for instance, sample in batch]
        verdicts.extend(_play(agent, episodes))
        progress(len(batch))
    kept = tuple(tuple(verdicts[i : i + samples]) for i in range(0, len(verdicts), samples))
    return Evaluation(agent.name, problem, kept)


class _Episode:
    """One environment with the conversation held in it."""

    def __init__(
        self, problem: Problem[Any, Any], instance: Instance, sample: int, turns: int, reward: str
    ) -> None:
        self.sample = sample
        self.env = TextEnv(problem, turns=turns, reward=reward)
        prompt, _ = self.env.reset(options={"instance": instance})
        self.messages: tuple[Message, ...] = ({"role": "user", "content": prompt},)
        self.best: tuple[float, Verdict] | None = None
        self.running = True

    @property
    def task(self) -> Task:
        assert self.env.instance is not None
        return Task(self.env.problem, self.env.instance, self.messages, self.sample)

    def reply(self, text: str) -> None:
        feedback, _, terminated, truncated, info = self.env.step(text)
        assert self.env.verdict is not None
        if self.best is None or info["score"] > self.best[0]:
            self.best = info["score"], self.env.verdict
        self.running = not (terminated or truncated)
        self.messages += ({"role": "assistant", "content": text}, {"role": "user", "content": feedback})


def _play(agent: Agent, episodes: list[_Episode]) -> list[Verdict]:
    while running := [episode for episode in episodes if episode.running]:
        replies = agent.answer([episode.task for episode in running])
        for episode, text in zip(running, replies, strict=True):
            episode.reply(text)
    return [episode.best[1] for episode in episodes if episode.best is not None]
