"""`Duel`: several agents answer the same instance at the same time, and the better answer wins."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy, deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from ...core.checks import check_int
from ...core.episode import KEEP
from ...core.problem import Problem
from ...core.reference import CertificateError
from ...core.rewards import Group, group_rewards
from ...training.group_rewards import Pairwise
from ...wrappers.construct import Construct
from .table import LENGTH, Table, own


class _Build(Construct):
    """`Construct` with one more action, the last: to wait, the only one that is possible once the answer is in."""

    def __init__(self, env: gym.Env[str, str], size: int | None) -> None:
        super().__init__(env, size, dense=False)
        self.wait = self.actions
        self._set_spaces(self.wait + 1)

    def _allow_only(self, actions: Iterable[int]) -> None:
        super()._allow_only([self.wait] if self._over else actions)


class Duel(Table, ParallelEnv[str, Any, Any]):
    """Agents answer one instance, unseen by each other, and are paid for their wins less their losses: zero-sum.

    Parameters
    ----------
    problem, length, render_mode
        See `Table`; a picture shows the answers side by side.
    agents
        How many, at least 2.
    view
        ``text``: a prompt, and a reply; ``codes``: the same as arrays, see `Codes`; ``numeric``: everybody builds
        a solution by numbered actions, see `forge_gym.wrappers.Construct`.
    turns
        Replies per agent in the text views; after each, everybody reads the verdict on its own and may revise.
    keep
        Which answer counts when there are several turns: each agent's ``best``, or its ``last``.
    size
        Elements that the arrays of the numeric view have room for; see `Construct`.
    split
        Stream of instances: ``train``, ``validation`` or ``test``; they come in the order of `TextEnv`.

    Raises
    ------
    ValueError
        If an argument is out of range, or the numeric view is asked of a problem that declares none.

    Notes
    -----
    Rewards come at the end, for all at once: those of `forge_gym.training.group_rewards.Pairwise`, from -1 to 1 with
    sum 0. A feasible answer beats an infeasible one, that a malformed one, and feasible ones compare by objective.

    Nobody leaves before the end. An agent that has finished (in text: with a proven optimum) waits, and what it does
    is ignored; in numbers, its mask allows the last action alone, which is there for that. Any other action outside
    the mask makes the answer malformed, and so does waiting too early.

    ``infos`` are those of `TextEnv` for each agent's own answer, ``score`` being its reward in the tiered scheme.

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
        keep: str = KEEP[0],
        size: int | None = None,
        length: int = LENGTH,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        check_int("agents", agents, 2, rule="an answer is compared with another one")
        super().__init__(
            problem,
            agents=agents,
            view=view,
            length=length,
            render_mode=render_mode,
            turns=turns,
            keep=keep,
            split=split,
        )
        first, *others = self.possible_agents
        self._answers = {first: self._board} | {agent: copy(self._board) for agent in others}
        self._envs: dict[str, gym.Env[Any, Any]] = {**self._answers}
        if view == "numeric":
            self._envs |= {agent: _Build(env, size) for agent, env in self._answers.items()}
            build = self._envs[self.possible_agents[0]]
            self._spaces(build.observation_space, build.action_space)
        self._seen: dict[str, Any] = {}
        self._infos: dict[str, dict[str, Any]] = {}
        self._waiting: set[str] = set()

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Put the next instance to everybody; see `TextEnv.reset` for seeds and the options ``index`` and ``instance``.

        Other options are ignored.
        """
        self.agents = []
        self._waiting = set()
        asked = own(options)
        for agent, answer in self._answers.items():
            self._seen[agent], info = self._envs[agent].reset(seed=seed, options=asked)
            self._infos[agent] = info
            seed, asked = info["seed"], {"index": info["index"], "instance": answer.instance}
        self.agents = self.possible_agents[:]
        return self._observations(), self._copies()

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Let everybody act.

        Raises
        ------
        ValueError
            If an agent's action is missing, or outside its space.
        TypeError
            If a reply is not a string.
        gymnasium.error.ResetNeeded
            If no game is running.
        CertificateError
            If an answer beats a certificate: a bug of ours.
        """
        if not self.agents:
            raise gym.error.ResetNeeded("step needs a running game: call reset first")
        missing = [agent for agent in self.agents if agent not in actions]
        if missing:
            raise ValueError(f"actions must have one for each agent, got none for {missing}")
        read = {agent: self._read(agent, actions[agent]) for agent in self.agents}
        for agent in self.agents:
            if agent not in self._waiting:
                self._seen[agent], _, over, _, self._infos[agent] = self._envs[agent].step(read[agent])
                if over:
                    self._waiting.add(agent)
        rewards, over = dict.fromkeys(self.agents, 0.0), len(self._waiting) == len(self.agents)
        if over:
            rewards = self._compared()
        result = (
            self._observations(),
            rewards,
            dict.fromkeys(self.agents, over),
            dict.fromkeys(self.agents, False),
            self._copies(),
        )
        if over:
            self.agents = []
        return result

    def close(self) -> None:
        """Close what judges the answers of each."""
        for env in self._envs.values():
            env.close()

    def _compared(self) -> dict[str, float]:
        """Return what the answers that count are paid against each other."""
        episodes = [self._answers[agent].episode for agent in self.agents]
        kept = [episode.kept for episode in episodes if episode is not None and episode.kept is not None]
        group = Group(self.problem, self.instance, [one.reply for one in kept], [one.verdict for one in kept])
        paid = group_rewards(Pairwise(), group)
        if None in paid:
            raise CertificateError(f"{self.problem.name}: an answer beats the certificate of {self.instance}")
        return {agent: float(reward or 0.0) for agent, reward in zip(self.agents, paid, strict=True)}

    def _observations(self) -> dict[str, Any]:
        return {agent: self._shown(deepcopy(self._seen[agent])) for agent in self.agents}

    def _copies(self) -> dict[str, dict[str, Any]]:
        return {agent: dict(self._infos[agent]) for agent in self.agents}

    def _standing(self) -> str:
        return "\n".join(f"{agent}: {answer.caption()}" for agent, answer in self._answers.items())

    def _picture(self) -> NDArray[np.uint8]:
        return np.concatenate([answer.render() for answer in self._answers.values()], axis=1)


parallel_env = Duel.make
"""Return a `Duel` on the problem of a name; see `Table.make`."""
