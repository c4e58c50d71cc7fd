"""Evaluate an agent on a problem: graded instances, verdicts, and means with intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any, NoReturn, cast

from ..agents.agent import Agent, AgentError, AsyncAgent, Message, Reply, Task
from ..core.checks import check_int
from ..core.episode import Episode, Judged, Protocol
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import METRICS, STATUSES, Verdict
from .stats import Estimate, best_of, bootstrap


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
        statuses = [verdict.status for samples in self.verdicts for verdict in samples]
        return {
            "agent": self.agent,
            "problem": self.problem.name,
            "parameters": self.problem.parameters,
            "episodes": len(self.verdicts),
            "samples": self.samples,
            "status": {status: statuses.count(status) for status in STATUSES},
            **{metric: self.estimate(metric)._asdict() for metric in METRICS},
        }


def held_out(problem: Problem[Any, Any], episodes: int, seed: int = 0, split: str = "test") -> list[Instance]:
    """Return the first ``episodes`` graded instances of a stream; the same for every agent of a table."""
    check_int("episodes", episodes, 1)
    return [instance for _, instance in islice(problem.graded_instances(seed, split), episodes)]


def evaluate(
    agent: Agent | AsyncAgent,
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

    Raises
    ------
    AgentError
        If an `AsyncAgent` has no reply; `forge_gym.evaluation.runs.record` goes on without it.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.agents import GreedyAgent
    >>> tsp = forge_gym.problem("TSP", n=8)
    >>> result = evaluate(GreedyAgent(), tsp, held_out(tsp, 20))
    >>> result.estimate("skill"), result.estimate("success").mean
    (Estimate(mean=0.0, low=0.0, high=0.0), 1.0)
    """
    asked = [(problem, instance) for instance in instances]
    verdicts = kept_verdicts(
        agent, asked, turns=turns, samples=samples, reward=reward, batch_size=batch_size, progress=progress
    )
    return Evaluation(agent.name, problem, verdicts)


class Conversation(Episode):
    """An episode with the messages that it is held in.

    Parameters
    ----------
    problem, instance, protocol
        As of `Episode`.
    row
        A name of the instance for whoever records the episode.
    sample
        Which of several episodes on the same instance this is.
    """

    def __init__(
        self,
        problem: Problem[Any, Any],
        instance: Instance,
        protocol: Protocol | None = None,
        *,
        row: str = "",
        sample: int = 0,
    ) -> None:
        super().__init__(problem, instance, protocol)
        self.row, self.sample = row, sample
        self.messages: tuple[Message, ...] = ({"role": "user", "content": self.prompt},)

    @property
    def task(self) -> Task:
        """What the agent is asked now."""
        return Task(self.problem, self.instance, self.messages, self.sample)

    def take(self, judged: Judged) -> str:
        """Take the turn: the conversation goes on with the reply and the feedback."""
        feedback = super().take(judged)
        messages = ({"role": "assistant", "content": judged.reply}, {"role": "user", "content": feedback})
        self.messages += messages
        return feedback


Answered = tuple[Conversation, Reply]
"""A conversation whose `Episode.last` is this reply."""


def _raise(episode: Conversation, error: AgentError) -> NoReturn:
    raise error


def play(
    agent: Agent | AsyncAgent,
    episodes: Iterable[Conversation],
    judged: Callable[[Sequence[Answered]], object],
    *,
    batch_size: int = 256,
    failed: Callable[[Conversation, AgentError], object] = _raise,
) -> None:
    """Let ``agent`` play ``episodes`` to their ends: the one loop behind every table and transcript.

    Parameters
    ----------
    agent
        An `AsyncAgent` plays as many episodes at a time as its ``concurrency`` says.
    episodes
        Fresh ones, or some in the middle; taken from the iterable as they are started.
    judged
        Called with the replies that were just judged, before anything more is asked in their episodes.
    batch_size
        Episodes in flight, of an agent that answers in batches.
    failed
        Called when an `AsyncAgent` has no reply to an episode, which is then left as it is. By default the
        error is raised.
    """
    check_int("batch_size", batch_size, 1)
    waiting = iter(episodes)
    if hasattr(agent, "reply"):
        _run(_play_async(cast(AsyncAgent, agent), waiting, judged, failed))
        return
    while batch := list(islice(waiting, batch_size)):
        while running := [episode for episode in batch if not episode.over]:
            replies = _ask(agent, [episode.task for episode in running])
            answered = list(zip(running, replies, strict=True))
            for episode, reply in answered:
                episode.step(reply.text)
            judged(answered)


def _ask(agent: Agent, tasks: Sequence[Task]) -> list[Reply]:
    """Return the replies of a batch, with what they took where the agent knows it."""
    replies: Callable[[Sequence[Task]], list[Reply]] | None = getattr(agent, "replies", None)
    return replies(tasks) if replies else [Reply(text) for text in agent.answer(tasks)]


IN_FLIGHT = 64
"""Episodes that an `AsyncAgent` without a ``concurrency`` plays at a time."""


async def _play_async(
    agent: AsyncAgent,
    waiting: Iterator[Conversation],
    judged: Callable[[Sequence[Answered]], object],
    failed: Callable[[Conversation, AgentError], object],
) -> None:
    async def work() -> None:
        for episode in waiting:  # one iterator for all workers
            while not episode.over:
                try:
                    reply = await agent.reply(episode.task)
                except AgentError as error:
                    failed(episode, error)
                    break
                episode.step(reply.text)
                judged([(episode, reply)])

    try:
        async with agent, asyncio.TaskGroup() as workers:
            for _ in range(getattr(agent, "concurrency", IN_FLIGHT)):
                workers.create_task(work())
    except BaseExceptionGroup as group:  # the first error, as a plain loop would raise it
        raise group.exceptions[0] from None


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` to its end, also where an event loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
    else:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, work).result()


def kept_verdicts(
    agent: Agent | AsyncAgent,
    asked: Iterable[tuple[Problem[Any, Any], Instance]],
    *,
    turns: int = 1,
    samples: int = 1,
    reward: str = "tiered",
    batch_size: int = 256,
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[tuple[Verdict, ...], ...]:
    """Return for each instance the kept verdict of every sample; see `evaluate` for the parameters."""
    check_int("samples", samples, 1)
    asked, protocol = list(asked), Protocol(turns, reward=reward)
    kept: dict[tuple[str, int], Verdict] = {}
    episodes = (
        Conversation(problem, instance, protocol, row=str(i), sample=sample)
        for i, (problem, instance) in enumerate(asked)
        for sample in range(samples)
    )

    def judged(answered: Sequence[Answered]) -> None:
        over = {(e.row, e.sample): e.kept.verdict for e, _ in answered if e.kept and e.over}
        kept.update(over)
        if over:
            progress(len(over))

    play(agent, episodes, judged, batch_size=batch_size)
    return tuple(tuple(kept[str(i), sample] for sample in range(samples)) for i in range(len(asked)))
