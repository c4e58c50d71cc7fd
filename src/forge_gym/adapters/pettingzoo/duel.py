"""`Duel`: several agents answer the same instance at the same time, and the better answer wins."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any

import gymnasium as gym
import numpy as np
from pettingzoo import ParallelEnv

from ...core.answer import THOUGHTS, ThoughtsLike
from ...core.checks import check_int
from ...core.problem import Problem
from ...core.reference import CertificateError
from ...core.rewards import Group, group_rewards
from ...training.group_rewards import Pairwise
from ...wrappers.construct import Construct
from .table import Table, own


class _Build(Construct):
    """`Construct` with one more action, the last: to wait, the only one that is possible once the answer is in."""

    def __init__(self, env: gym.Env[str, str]) -> None:
        super().__init__(env, dense=False)
        self.wait = self.actions
        self._set_spaces(self.wait + 1)

    def _allow_only(self, actions: Iterable[int]) -> None:
        super()._allow_only([self.wait] if self._over else actions)


class Duel(Table, ParallelEnv[str, Any, Any]):
    """Agents answer one instance, unseen by each other, and are paid for their wins less their losses: zero-sum.

    Parameters
    ----------
    problem
        The problem with its parameters; `parallel_env` takes its name instead.
    agents
        How many, at least 2: ``agent_0``, ``agent_1``, ...
    view
        ``text``: a prompt, and a reply; ``numeric``: everybody builds a solution by numbered actions, see
        `forge_gym.wrappers.Construct`.
    turns, keep, thoughts, split
        Of each agent's text environment; see `TextEnv`. The numeric view has one turn.
    render_mode
        ``ansi`` (text), ``human`` (prints it) or ``rgb_array`` (the answers side by side; needs matplotlib).

    Notes
    -----
    Rewards come at the end, for all at once: those of `forge_gym.training.group_rewards.Pairwise`, from -1 to 1 with
    sum 0. A feasible answer beats an infeasible one, that a malformed one, and feasible ones compare by objective.

    Nobody leaves before the end. An agent that has finished waits: what it does is ignored in text, and in numbers
    its mask allows the last action alone, which is there for that. Any other action outside the mask makes the answer
    malformed, and so does waiting too early.

    ``infos`` are those of `TextEnv` for each agent's own answer.

    Examples
    --------
    >>> import forge_gym
    >>> duel = Duel(forge_gym.problem("Knapsack", n=8))
    >>> prompts, infos = duel.reset(seed=3)
    >>> prompts["agent_0"] == prompts["agent_1"]
    True
    >>> _, rewards, terminations, _, _ = duel.step({"agent_0": "<answer>[]</answer>", "agent_1": "no idea"})
    >>> rewards, terminations
    ({'agent_0': 1.0, 'agent_1': -1.0}, {'agent_0': True, 'agent_1': True})
    """

    metadata: dict[str, Any] = Table.metadata | {"name": "forge_duel_v0", "is_parallelizable": True}

    def __init__(
        self,
        problem: Problem[Any, Any],
        *,
        agents: int = 2,
        view: str = "text",
        turns: int = 1,
        keep: str = "best",
        thoughts: ThoughtsLike = THOUGHTS,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        agents = check_int("agents", agents, 2, rule="an answer is compared with another one")
        given = {"turns": turns, "keep": keep, "thoughts": thoughts, "split": split}
        super().__init__(problem, agents, view, render_mode, **given)
        first, *others = self.possible_agents
        self._answers = {first: self._board} | {agent: copy(self._board) for agent in others}
        self._envs: dict[str, gym.Env[Any, Any]] = {**self._answers}
        if view == "numeric":
            self._envs |= {agent: _Build(env) for agent, env in self._answers.items()}
            self._set_spaces(self._envs[first].observation_space, self._envs[first].action_space)
        self._seen: dict[str, Any] = {}
        self._infos: dict[str, dict[str, Any]] = {}
        self._waiting: set[str] = set()

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Put the next instance to everybody; seeds and options are those of `TextEnv.reset`."""
        self.agents, self._waiting = [], set()
        asked = own(options)
        for agent, answer in self._answers.items():
            self._seen[agent], info = self._envs[agent].reset(seed=seed, options=asked)
            self._infos[agent] = info
            seed, asked = info["seed"], {"index": info["index"], "instance": answer.instance}
        self.agents = self.possible_agents[:]
        return dict(self._seen), dict(self._infos)

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Let everybody act, each by an action in its space."""
        agents = self.agents
        if not agents:
            raise gym.error.ResetNeeded("step needs a running game: call reset first")
        missing = [agent for agent in agents if agent not in actions]
        if missing:
            raise ValueError(f"actions must have one for each agent, got none for {missing}")
        read = {agent: self._read(agent, actions[agent]) for agent in agents}
        for agent in agents:
            if agent not in self._waiting:
                self._seen[agent], _, done, _, self._infos[agent] = self._envs[agent].step(read[agent])
                if done:
                    self._waiting.add(agent)
        over = len(self._waiting) == len(agents)
        rewards = self._compared() if over else dict.fromkeys(agents, 0.0)
        if over:
            self.agents = []
        terminations, truncations = dict.fromkeys(agents, over), dict.fromkeys(agents, False)
        return dict(self._seen), rewards, terminations, truncations, dict(self._infos)

    def _compared(self) -> dict[str, float]:
        """Return what the answers that count are paid against each other."""
        episodes = [self._answers[agent].episode for agent in self.agents]
        kept = [episode.kept for episode in episodes if episode is not None and episode.kept is not None]
        group = Group(self.problem, self.instance, [one.reply for one in kept], [one.verdict for one in kept])
        paid = group_rewards(Pairwise(), group)
        if None in paid:
            raise CertificateError(f"{self.problem.name}: an answer beats the certificate of {self.instance}")
        return {agent: float(reward or 0.0) for agent, reward in zip(self.agents, paid, strict=True)}

    def _standing(self) -> str:
        return "\n".join(f"{agent}: {answer.caption()}" for agent, answer in self._answers.items())

    def _picture(self) -> Any:
        return np.concatenate([answer.render() for answer in self._answers.values()], axis=1)


parallel_env = Duel.make
"""Return a `Duel` on the problem of a name; see `Table.make`."""
