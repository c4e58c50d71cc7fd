"""`Relay`: several agents take turns at one shared solution, and all are paid alike for what improves it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv
from pettingzoo.utils import AgentSelector

from ...core.answer import THOUGHTS, Thoughts, ThoughtsLike
from ...core.checks import check_choice, check_int, check_share
from ...core.env import TextEnv
from ...core.instance import Instance
from ...core.problem import Problem
from ...kinds import Kind, as_kind
from ...kinds.encoding import Observation
from ...wrappers.improve import Improve
from .table import Table, own


class _Sight(Improve):
    """What `Improve` shows of a solution and its moves, with one more action, the last: to pass."""

    def __init__(self, board: TextEnv, steps: int) -> None:
        super().__init__(board, steps=steps)
        self.passing = len(self.moves)
        self._set_spaces(self.passing + 1, progress=spaces.Box(0.0, 1.0, (2,), np.float32))

    def look(self, solution: Any, best: Any, taken: int) -> None:
        """Show ``solution`` after so many turns."""
        if not taken:
            self._data, self._outcomes = self.encoder.instance(self.instance), {}
        self._value, self._best_value = [
            float(self.problem.objective(self.instance, candidate)) for candidate in (solution, best)
        ]
        self._taken = taken
        if solution != self.solution or not self._outcomes:
            self._move_to(solution)
            self._outcomes[self.passing] = solution

    def show(self, allowed: Collection[int]) -> Observation:
        """Return the observation of somebody who may do what is ``allowed``."""
        self._allow_only(allowed)
        return self._observe()


def deal(problem: Problem[Any, Any], instance: Instance, agents: int) -> list[frozenset[int]]:
    """Return which variables of a solution each agent owns: as many as the others, give or take one.

    In a permutation these are places, a stretch of them for each agent. Otherwise they are elements, shuffled by the
    instance's digest.
    """
    n = instance.size
    if as_kind(problem).in_order:
        return [frozenset(places.tolist()) for places in np.array_split(np.arange(n), agents)]
    order = np.random.default_rng(int(problem.digest(instance)[:16], 16)).permutation(n).tolist()
    return [frozenset(order[first::agents]) for first in range(agents)]


class Relay(Table, AECEnv[str, Any, Any]):
    r"""Agents take turns at improving one solution that they share; what a turn adds is everybody's reward.

    Parameters
    ----------
    problem
        The problem with its parameters; `env` takes its name instead.
    agents, rounds
        How many agents there are, and the turns of each.
    view
        ``text``: prompts and whole solutions; ``numeric``: arrays and the moves of `forge_gym.wrappers.Improve`.
    owned
        Whether the variables of a solution are divided among the agents, see `deal`: each may change only its own.
    start
        The solution to begin with: ``greedy`` or ``trivial``.
    reward, thoughts, split
        As in `TextEnv`.
    penalty
        What an impossible move costs in the numeric view.
    render_mode
        ``ansi`` (text), ``human`` (prints it) or ``rgb_array`` (a picture; needs matplotlib).

    Notes
    -----
    A turn is paid by how much it raises the reward of the best solution so far, to every agent alike. So the return
    of each is the best solution's reward less that of the start, whoever found it.

    In text, the acting agent reads the prompt, the shared solution, what became of the last turn, and how many turns
    are left. Its reply is a whole solution, which becomes the shared one if it is feasible, no worse, and changes
    only what the agent owns. Otherwise nothing changes, and the next agent reads why.

    In numbers, the actions are the moves of `Improve`, those to worse solutions too, and one more, the last: to pass.
    A move outside the mask changes nothing and costs the acting agent alone the ``penalty``.

    The game ends for all at once, after the last round or with a proven optimum. ``observe`` shows any agent what it
    would see if it were its turn. ``infos`` are those of `TextEnv` for the shared solution, with ``turn``, the turns
    taken, and ``accepted``, whether the last one was. Use ``turn_based_aec_to_parallel``, not ``aec_to_parallel``.

    Examples
    --------
    >>> import forge_gym
    >>> relay = Relay(forge_gym.problem("Knapsack", n=8), start="trivial")
    >>> relay.reset(seed=3)
    >>> relay.step("no idea")
    >>> prompt, reward, termination, truncation, info = relay.last()
    >>> print(prompt.split("\n\n")[-1])
    You are agent_1, one of 2 who take turns at one shared solution.
    The shared solution: [3, 7]
    Its objective: 1196
    The answer of agent_0 just now could not be read: the answer is stated once, between <answer> and </answer>, got 0
    and 0 of these, so the shared solution stays as it was.
    Answer with a whole solution: it becomes the shared one if it is feasible and no worse. Turns left, this one
    included: 7.
    """

    metadata: dict[str, Any] = Table.metadata | {"name": "forge_relay_v0", "is_parallelizable": False}
    problem: Kind[Any, Any]

    def __init__(
        self,
        problem: Problem[Any, Any],
        *,
        agents: int = 2,
        rounds: int = 4,
        view: str = "text",
        owned: bool = False,
        start: str = "greedy",
        reward: str = "tiered",
        penalty: float = 0.01,
        thoughts: ThoughtsLike = THOUGHTS,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        agents = check_int("agents", agents, 1)
        rounds = check_int("rounds", rounds, 1)
        check_choice("start", start, ("greedy", "trivial"))
        check_share("penalty", penalty)
        given = {"reward": reward, "thoughts": thoughts, "split": split}
        super().__init__(as_kind(problem), agents, view, render_mode, **given)
        self.owned, self.start, self.penalty, self._thoughts = owned, start, penalty, Thoughts.of(thoughts)
        self.turns = agents * rounds
        """Turns of all agents together."""
        self._sight = _Sight(self._board, self.turns) if view == "numeric" else None
        if self._sight:
            self._set_spaces(self._sight.observation_space, self._sight.action_space)
        self.solution: Any = ()
        """The shared solution."""
        self.shares: dict[str, frozenset[int]] = {}
        """The variables that each agent owns; empty without ownership."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start with the next instance; seeds and options are those of `TextEnv.reset`."""
        self.agents = []
        self._board.reset(seed=seed, options=own(options))
        problem, instance = self.problem, self.instance
        self.solution = problem.anchors(instance)[self.start == "greedy"]
        self._said, self._taken, self._accepted, self._solved = "", 0, True, False
        self.agents = self.possible_agents[:]
        if self.owned:
            self.shares = dict(zip(self.agents, deal(problem, instance, len(self.agents)), strict=True))
        self._judge()
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self._selector = AgentSelector(self.agents[:])
        self.agent_selection = self._selector.reset()

    def step(self, action: Any) -> None:
        """Let the agent whose turn it is act, by an action in its space; a dead one by None."""
        if not self.agents:
            raise gym.error.ResetNeeded("step needs a running game: call reset first")
        agent = self.agent_selection
        if self.terminations[agent]:
            self._was_dead_step(action)
            return
        read = self._read(agent, action)
        self._taken += 1
        wanted = self._moved(agent, read) if self._sight else self._answered(agent, read)
        self._accepted = wanted is not None
        if self._accepted:
            self.solution = wanted
        gained = self._judge()
        self._cumulative_rewards[agent] = 0.0
        self.rewards = dict.fromkeys(self.agents, gained)
        if self._sight and not self._accepted:
            self.rewards[agent] -= self.penalty
        self._accumulate_rewards()
        self.terminations = dict.fromkeys(self.agents, self._solved or self._taken == self.turns)
        self.agent_selection = self._selector.next()

    def observe(self, agent: str) -> Any:
        """Return what ``agent`` sees, or would see if it were its turn."""
        if self._sight is None:
            return self._read_out(agent)
        return self._sight.show([move for move, outcome in self.outcomes.items() if not self._foreign(agent, outcome)])

    @property
    def best(self) -> Any:
        """The best solution so far."""
        episode = self._board.episode
        return () if episode is None or episode.kept is None else episode.kept.verdict.solution

    @property
    def outcomes(self) -> dict[int, Any]:
        """Where each action leads that is possible now, whoever owns what it changes; none in text."""
        return self._sight._outcomes if self._sight else {}

    def _judge(self) -> float:
        """Return what the shared solution adds to the best reward so far, and inform everybody."""
        episode = self._board.episode
        assert episode is not None
        verdict = self.problem.verify_solution(self.instance, self.solution)
        episode.take(episode.judge(self.problem.format(self.instance, self.solution), verdict))
        self._solved |= verdict.optimal
        if self._sight:
            self._sight.look(self.solution, self.best, self._taken)
        info = self._board.info() | {"turn": self._taken, "accepted": self._accepted}
        self.infos = {agent: dict(info) for agent in self.agents}
        return episode.paid

    def _foreign(self, agent: str, solution: Any) -> set[int]:
        """Return the variables that ``solution`` changes and ``agent`` does not own."""
        return self.problem.changed(self.solution, solution) - self.shares[agent] if self.owned else set()

    def _moved(self, agent: str, move: int) -> Any:
        """Return what the move makes of the shared solution; None if it is impossible."""
        outcome = self.outcomes.get(move)
        return None if outcome is None or self._foreign(agent, outcome) else outcome

    def _answered(self, agent: str, reply: str) -> Any:
        """Return the solution that the reply states if it may become the shared one, and note what is to be said."""
        verdict = self.problem.verify(self.instance, reply, self._thoughts)
        value: Any = verdict.objective
        kept = ", so the shared solution stays as it was"
        if verdict.status == "malformed":
            why = f"could not be read: {verdict.reason}"
        elif not verdict.feasible:
            why = f"was infeasible: {'; '.join(violation.reason for violation in verdict.violations)}"
        elif foreign := self._foreign(agent, verdict.solution):
            why = f"changed what {agent} does not own: {self._names(foreign)}"
        elif self.problem.better(self.problem.objective(self.instance, self.solution), value):
            why = f"had objective {value}, which is worse"
        else:
            why, kept = f"had objective {value} and is now the shared one", ""
        self._said = f"The answer of {agent} just now {why}{kept}."
        return None if kept else verdict.solution

    def _names(self, variables: Collection[int]) -> str:
        """Return places by their numbers, and elements by the names that the prompt gives them."""
        names = range(self.instance.size) if self.problem.in_order else self.problem.names_of(self.instance)
        return ", ".join(str(names[variable]) for variable in sorted(variables)) or "none"

    def _read_out(self, agent: str) -> str:
        """Return what ``agent`` reads when it is its turn."""
        problem, instance = self.problem, self.instance
        lines = [
            f"{problem.prompt(instance)}\n",
            f"You are {agent}, one of {len(self.possible_agents)} who take turns at one shared solution.",
            f"The shared solution: {problem.format_answer(instance, self.solution)}",
            f"Its objective: {problem.objective(instance, self.solution)}",
        ]
        if self._said:
            lines.append(self._said)
        if self.owned:
            what, may = "elements", "change only their part in the solution"
            if problem.in_order:
                what, may = "places of the list, counted from 0", "move only what stands there"
            lines.append(f"You own these {what}: {self._names(self.shares[agent])}. You may {may}.")
        lines.append(
            "Answer with a whole solution: it becomes the shared one if it is feasible and no worse. "
            f"Turns left, this one included: {self.turns - self._taken}."
        )
        return "\n".join(lines)

    def _standing(self) -> str:
        shared = self.problem.format_answer(self.instance, self.solution)
        return f"[turn {self._taken} of {self.turns}] {shared}: {self._board.caption()}"


env = Relay.make
"""Return a `Relay` on the problem of a name; see `Table.make`."""
