"""Evaluate an agent: episodes on graded instances, and the verdicts on the replies that count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, cast

from ..agents.agent import Agent, AgentError, AsyncAgent, Message, Reply, Task, Unreachable, thoughts_of
from ..core.checks import check_int
from ..core.episode import Episode, Judged, Protocol
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import Malformed, Verdict
from ..data.rows import Asked, Row
from .statistics import Evaluation, brief


def held_out(problem: Problem[Any, Any], episodes: int, seed: int = 0, split: str = "test") -> list[Instance]:
    """Return the first ``episodes`` graded instances of a stream; the same for every agent of a table."""
    episodes = check_int("episodes", episodes, 1)
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
    rows = (Row.of(problem, instance, {}, id=f"{problem.name}-{i}") for i, instance in enumerate(instances))
    protocol = Protocol(turns, reward=reward, thoughts=thoughts_of(agent))
    return evaluate_rows(agent, rows, protocol, samples=samples, batch_size=batch_size, progress=progress)


def evaluate_rows(
    agent: Agent | AsyncAgent,
    rows: Iterable[Row],
    protocol: Protocol | None = None,
    *,
    samples: int = 1,
    batch_size: int = 256,
    progress: Callable[[int], object] = lambda done: None,
) -> Evaluation:
    """Let ``agent`` play ``samples`` episodes on each row, as `evaluate` does."""
    samples = check_int("samples", samples, 1)
    protocol = protocol or Protocol(thoughts=thoughts_of(agent))
    asked: dict[str, Asked] = {}
    kept: dict[str, list[Verdict]] = {}

    def episodes() -> Iterator[Conversation]:
        for row in rows:
            asked[row.id], kept[row.id] = Asked.of(row), [Verdict("malformed")] * samples
            yield from (Conversation(row, protocol, sample) for sample in range(samples))

    def judged(answered: Sequence[Conversation]) -> None:
        over = [episode for episode in answered if episode.over]
        for episode in over:
            kept[episode.row.id][episode.sample] = brief(episode.kept_call.judged.verdict)
        if over:
            progress(len(over))

    play(agent, episodes(), judged, batch_size=batch_size)
    return Evaluation(agent.name, tuple(asked.values()), tuple(map(tuple, kept.values())))


class Call(NamedTuple):
    """A reply, what it is worth, and what was said to it."""

    reply: Reply
    judged: Judged
    feedback: str
    shortfall: str
    """Why there is no whole answer: ``cut off``, ``empty`` or ``only thoughts``; nothing where there is one."""


CUT_OFF = ("length", "max_tokens")
"""What servers say of a reply that its limit ended."""


class Conversation(Episode):
    """An episode on a row, with all that was said; ``sample`` says which of several on the row it is."""

    def __init__(self, row: Row, protocol: Protocol | None = None, sample: int = 0) -> None:
        super().__init__(row.problem, row.use(), protocol)
        self.row, self.sample = row, sample
        self.calls: list[Call] = []

    @property
    def task(self) -> Task:
        """What the agent is asked now."""
        messages: list[Message] = [{"role": "user", "content": self.prompt}]
        for call in self.calls:
            messages.append({"role": "assistant", "content": call.reply.text})
            messages.append({"role": "user", "content": call.feedback})
        return Task(self.problem, self.instance, tuple(messages), self.sample)

    @property
    def kept_call(self) -> Call:
        """The call that counts; there must be one."""
        return self.calls[self.kept_turn]

    def hear(self, reply: Reply) -> None:
        """Take the turn that ``reply`` makes."""
        feedback = self.step(reply.text)
        assert self.last is not None
        self.calls.append(Call(reply, self.last, feedback, self._shortfall(reply)))

    def _shortfall(self, reply: Reply) -> str:
        if reply.finish in CUT_OFF:
            return "cut off"
        if not reply.text.strip():
            return "empty"
        try:
            return "" if self.thoughts.skip(reply.text).strip() else "only thoughts"
        except Malformed:
            return "only thoughts"


def play(
    agent: Agent | AsyncAgent,
    episodes: Iterable[Conversation],
    judged: Callable[[Sequence[Conversation]], object],
    *,
    batch_size: int = 256,
    failed: Callable[[Conversation, AgentError], object] | None = None,
) -> None:
    """Let ``agent`` play ``episodes`` to their ends: the one loop behind every table and transcript.

    Parameters
    ----------
    agent
        An `AsyncAgent` plays as many episodes at a time as its ``concurrency`` says.
    episodes
        Fresh ones, or some in the middle.
    judged
        Called with the episodes whose last call is new, before anything more is asked in them.
    batch_size
        Episodes in flight, of an agent that answers in batches.
    failed
        Called when an `AsyncAgent` has no reply to an episode, which is then left as it is. Without it the error is
        raised, as `Unreachable` always is.
    """
    batch_size = check_int("batch_size", batch_size, 1)
    waiting = (episode for episode in episodes if not episode.over)
    if hasattr(agent, "reply"):
        _run(_play_async(cast(AsyncAgent, agent), waiting, judged, failed))
        return
    while running := list(islice(waiting, batch_size)):
        while running:
            for episode, reply in zip(running, _ask(agent, running), strict=True):
                episode.hear(reply)
            judged(running)
            running = [episode for episode in running if not episode.over]


def _ask(agent: Agent, episodes: Sequence[Conversation]) -> list[Reply]:
    """Return the replies of a batch, with what they took where the agent knows it."""
    tasks = [episode.task for episode in episodes]
    replies: Callable[[Sequence[Task]], list[Reply]] | None = getattr(agent, "replies", None)
    return replies(tasks) if replies else [Reply(text) for text in agent.answer(tasks)]


IN_FLIGHT = 64
"""Episodes that an `AsyncAgent` without a ``concurrency`` plays at a time."""


async def _play_async(
    agent: AsyncAgent,
    waiting: Iterator[Conversation],
    judged: Callable[[Sequence[Conversation]], object],
    failed: Callable[[Conversation, AgentError], object] | None,
) -> None:
    async def work() -> None:
        for episode in waiting:  # one iterator for all workers
            while not episode.over:
                try:
                    episode.hear(await agent.reply(episode.task))
                except AgentError as error:
                    if failed is None or isinstance(error, Unreachable):
                        raise
                    failed(episode, error)
                    break
                judged([episode])

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
