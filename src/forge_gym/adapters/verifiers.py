"""A taskset for verifiers 0.4: ``vf-eval forge_gym_taskset``; the package of that name exports these classes.

Tasks are graded instances without end. A task carries its spec, from which whoever scores it rebuilds problem and
instance, so every worker pays the same. One reply per task, or several with feedback: ``--env.turns``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import verifiers.v1 as vf
from verifiers.v1.harnesses import NullHarnessConfig

from ..core.checks import check_choice, check_int
from ..core.episode import Episode, Protocol
from ..core.registry import from_spec, place_of, problems
from ..core.registry import problem as make_problem
from ..core.seeding import SPLITS
from ..data.rows import Row, samples

ANSWER = "forge_answer"
"""Key of ``trace.info`` under which several turns leave the kept reply."""


class ForgeData(vf.TaskData):
    """What a task is, frozen and JSON-ready."""

    spec: str
    """Rebuilds problem, instance and reference; see `forge_gym.from_spec`."""
    problem: str
    level: int
    """Difficulty; -1 for the problem's own parameters."""


class ForgeTaskConfig(vf.TaskConfig):
    """Scoring, under ``--env.taskset.task``."""

    reward: str = "tiered"
    """Name of a reward scheme that pays a single answer; see `forge_gym.reward`."""
    thoughts: str | dict[str, Any] = "</think>"
    """How the thoughts in replies end; see `Protocol`."""

    def protocol(self, turns: int = 1, keep: str = "best") -> Protocol:
        """Return how a rollout goes."""
        return Protocol(turns, keep, self.reward, self.thoughts)


class ForgeTask(vf.Task[ForgeData, vf.State, ForgeTaskConfig]):
    """One instance: pays the reply by any scheme, and measures it.

    Where an answer beats a certificate, a bug of ours, scoring raises: the rollout then counts as failed, not as bad.
    """

    @property
    def key(self) -> str:
        """Where the instance comes from: the same in every run, whatever the position in the stream."""
        return place_of(self.data.spec)

    @vf.reward
    async def forge(self, trace: Any) -> float:
        """Pay the reply."""
        return (await self._numbers(trace))["score"]

    @vf.metric
    async def verdict(self, trace: Any) -> dict[str, float]:
        """Return ``quality``, ``skill`` (floored at -1), ``feasible`` and ``optimal`` of the reply."""
        numbers = await self._numbers(trace)
        return {name: numbers[name] for name in ("quality", "skill", "feasible", "optimal")}

    async def validate(self, runtime: Any) -> bool:
        """Whether the spec gives this prompt, and a proven optimum that the verifier takes for one."""
        return await asyncio.to_thread(self._valid)

    def _valid(self) -> bool:
        problem, instance = from_spec(self.data.spec)
        optimum = problem.format(instance, problem.reference(instance).solution)
        prompt: object = self.data.prompt
        return prompt == problem.prompt(instance) and problem.verify(instance, optimum).optimal

    async def _numbers(self, trace: Any) -> dict[str, float]:
        """Judge the kept reply of several turns, or the last one; in a thread, for the first waits for a solver."""
        reply = trace.info.get(ANSWER)
        if reply is None:
            reply = _reply(trace.root_reply, trace.assistant_messages)
        episode = Episode.of_spec(self.data.spec, self.config.protocol())
        await asyncio.to_thread(episode.step, reply)
        return episode.numbers()


class ForgeConfig(vf.TasksetConfig):
    """Which instances come, under ``--env.taskset``."""

    problems: list[str] = []  # noqa: RUF012 - a field: pydantic copies it
    """Names, in turn; none stands for all."""
    parameters: dict[str, Any] = {}  # noqa: RUF012 - as above
    """Parameters that all of them have, such as ``answer_format``; with one problem, any of its own."""
    levels: list[int] = []  # noqa: RUF012 - as above
    """Difficulties, in turn; none keeps each problem's own parameters."""
    split: str = "train"
    """``train``, ``validation`` or ``test``: disjoint streams."""
    seed: int = 0
    """Of the stream."""
    task: ForgeTaskConfig = ForgeTaskConfig()


class ForgeTaskset(vf.Taskset[ForgeTask, ForgeConfig]):
    """Graded instances of the chosen problems and levels, without end.

    Examples
    --------
    >>> taskset = ForgeTaskset(ForgeConfig(problems=["TSP", "Knapsack"], levels=[0, 2]))
    >>> [(task.data.problem, task.data.level) for task in taskset.take(5)]
    [('TSP', 0), ('Knapsack', 0), ('TSP', 2), ('Knapsack', 2), ('TSP', 0)]
    >>> ForgeTaskset(ForgeConfig(problems=["TPS"]))
    Traceback (most recent call last):
    ValueError: problem 'TPS' is not registered: did you mean 'TSP'?
    """

    INFINITE = True

    def __init__(self, config: ForgeConfig) -> None:
        super().__init__(config)
        check_choice("split", config.split, SPLITS)
        check_int("seed", config.seed, 0)
        for parameter, values in ("problems", config.problems), ("levels", config.levels):
            if len(set(values)) < len(values):  # a task's key must be its own
                raise ValueError(f"{parameter} must be distinct, got {list(values)}")
        config.task.protocol()  # refuses what is wrong
        self._problems = [make_problem(name, **config.parameters) for name in config.problems or problems()]
        self.load()

    def load(self) -> Iterator[ForgeTask]:
        """Yield the tasks, problems and levels in turn."""
        config = self.config
        rows = samples(self._problems, levels=config.levels or None, seed=config.seed, split=config.split)
        return map(self._task, rows)

    def _task(self, row: Row) -> ForgeTask:
        name = row.problem.name
        data = ForgeData(name=row.id, prompt=row.prompt, spec=row.spec, problem=name, level=row.level)
        return ForgeTask(data, self.config.task)


class ForgeEnvConfig(vf.EnvConfig):
    """Who answers, and how often, under ``--env``."""

    # Replies are text and run nothing, so no container and no tools.
    agent: vf.AgentConfig = vf.AgentConfig(harness=NullHarnessConfig(id="null"), runtime=vf.SubprocessConfig())
    turns: int = 1
    """Replies per rollout; after each the agent reads the verdict and may revise."""
    keep: str = "best"
    """Which reply counts: the ``best`` so far, or the ``last``."""


class ForgeEnv(vf.Env[ForgeEnvConfig]):
    """A rollout: one reply, or up to ``turns`` with feedback. The task pays the one kept."""

    async def run(self, task: Any, agents: Any) -> None:
        """Let the agent answer ``task``."""
        config = self.config
        episode = Episode.of_spec(task.data.spec, task.config.protocol(config.turns, config.keep))
        if config.turns == 1:
            await agents.agent.run(task)
            return
        async with agents.agent.interaction(task) as interaction:
            segment = await interaction.turn()
            while not segment.terminated:
                feedback = await asyncio.to_thread(episode.say, _reply(segment.root_reply, segment.messages))
                interaction.trace.info[ANSWER] = episode.kept_reply
                if episode.over:
                    break
                segment = await interaction.turn(feedback)


def _reply(root: str | None, messages: Sequence[Any]) -> str:
    """Return the agent's last reply, blanks included, which some answer formats refuse; empty if there is none."""
    if root is not None:
        return root
    return next((m.content or "" for m in reversed(messages) if m.role == "assistant"), "")
