"""`Relay`: several agents take turns at one shared solution, and all are paid alike for what improves it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import AECEnv
from pettingzoo.utils import AgentSelector

from ...core.checks import check_choice, check_int, check_share
from ...core.env import TextEnv
from ...core.instance import Instance
from ...core.problem import Problem
from ...core.verdict import Number
from ...kinds import Kind, as_kind
from ...kinds.encoding import Observation
from ...wrappers.improve import Improve
from .table import LENGTH, Table, own

STARTS = ("greedy", "trivial")

Solution: TypeAlias = tuple[Any, ...]


class _Sight(Improve):
    """What `Improve` shows of a solution and its moves, with one more action, the last: to pass."""

    def __init__(self, board: TextEnv, size: int | None, steps: int) -> None:
        super().__init__(board, size, steps=steps)
        self.passing = len(self.moves)
        """The action that passes."""
        self._set_spaces(self.passing + 1, progress=spaces.Box(0.0, 1.0, (2,), np.float32))

    def begin(self) -> None:
        """Show the board's instance from now on."""
        self._data, self._outcomes = self.encoder.instance(self.instance), {}

    def look(self, solution: Solution, best: Solution, taken: int) -> None:
        """Show ``solution`` after so many turns."""
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

    In a permutation the places, each agent a stretch of them in order. Otherwise the elements, shuffled by the
    instance's digest and dealt out one by one: the same for the same instance, anywhere.

    Examples
    --------
    >>> import forge_gym
    >>> tsp, knapsack = forge_gym.problem("TSP", n=5), forge_gym.problem("Knapsack", n=5)
    >>> [sorted(places) for places in deal(tsp, tsp.instance(), 2)]
    [[0, 1, 2], [3, 4]]
    >>> [sorted(items) for items in deal(knapsack, knapsack.instance(), 2)]
    [[0, 2, 4], [1, 3]]
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
    problem, agents, length, render_mode
        See `Table`.
    rounds
        Turns of each agent.
    view
        ``text``: prompts and whole solutions; ``codes``: the same as arrays, see `Codes`; ``numeric``: arrays and
        the moves of `forge_gym.wrappers.Improve`.
    owned
        Whether the variables of a solution are divided among the agents, see `deal`: each may change only its own.
    start
        The solution to begin with: ``greedy`` or ``trivial``.
    reward
        Scheme that pays a single answer, as in `TextEnv`.
    penalty
        What an impossible move costs in the numeric view.
    size
        Elements that the arrays of the numeric view have room for; see `forge_gym.wrappers.Construct`.
    split
        Stream of instances: ``train``, ``validation`` or ``test``; they come in the order of `TextEnv`.

    Raises
    ------
    ValueError
        If an argument is out of range, or the numeric view is asked of a problem that declares none.

    Notes
    -----
    A turn is paid by how much it raises the reward of the best solution so far, to every agent alike. So the return
    of each is the best solution's reward less that of the start (0 for greedy in the default scheme), whoever found
    it; a solution made worse and mended again pays nothing.

    In text, the acting agent reads the prompt, the shared solution, what became of the last turn, and how many turns
    are left. Its reply is a whole solution, which becomes the shared one if it is feasible, no worse, and changes
    only what the agent owns. Otherwise nothing changes, and the next agent reads why.

    In numbers, observations are those of `forge_gym.wrappers.Improve`. The actions are its moves, those to worse
    solutions too, and one more, the last: to pass. A move outside the mask changes nothing and costs ``penalty``,
    the acting agent alone: the one reward that is not shared.

    The game ends for all at once, after the last round or the first turn that leaves a proven optimum. ``observe``
    shows any agent what it would see if it were its turn. ``infos`` are those of `TextEnv` for the shared solution,
    the same for all: ``turn`` counts the turns taken, and ``accepted`` tells whether the last one was accepted.

    Turns build upon each other, so ``aec_to_parallel`` does not apply; ``turn_based_aec_to_parallel`` does.

    Examples
    --------
    >>> import forge_gym
    >>> relay = Relay(forge_gym.problem("Knapsack", n=8), start="trivial")
    >>> relay.reset(seed=3)
    >>> relay.step("no idea")
    >>> prompt, reward, termination, truncation, info = relay.last()
    >>> print(prompt.split("\n\n")[-1])
    You are agent_1, one of 2 who take turns at one shared solution.
    The shared solution: [0, 1, 2, 3]
    Its objective: 128
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
        size: int | None = None,
        length: int = LENGTH,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        check_int("agents", agents, 1)
        check_int("rounds", rounds, 1)
        check_choice("start", start, STARTS)
        check_share("penalty", penalty)
        super().__init__(
            as_kind(problem),
            agents=agents,
            view=view,
            length=length,
            render_mode=render_mode,
            reward=reward,
            split=split,
        )
        self.rounds, self.owned, self.start, self.penalty = rounds, owned, start, penalty
        self._sight: _Sight | None = None
        if view == "numeric":
            self._sight = _Sight(self._board, size, agents * rounds)
            self._spaces(self._sight.observation_space, self._sight.action_space)
            numbers = spaces.flatdim(self._sight.observation_space) - self._sight.actions  # without the mask
            self.state_space = spaces.Box(0.0, 1.0, (numbers,), np.float32)
        self.solution: Solution = ()
        """The shared solution."""
        self.best: Solution = ()
        """The best one so far."""
        self.shares: dict[str, frozenset[int]] = {}
        """The variables that each agent owns; without ownership, all of them."""
        self._said = ""
        self._taken, self._accepted, self._solved = 0, True, False

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start with the next instance; see `TextEnv.reset` for seeds and the options ``index`` and ``instance``.

        Other options are ignored.
        """
        self.agents = []
        self._board.reset(seed=seed, options=own(options))
        problem, instance = self.problem, self.instance
        start = problem.heuristic(instance) if self.start == "greedy" else problem.trivial(instance)
        self.solution = self.best = start
        self._said, self._taken, self._accepted, self._solved = "", 0, True, False
        everything = frozenset(range(instance.size))
        shares = deal(problem, instance, len(self.possible_agents))
        if self._sight:
            self._sight.begin()
            self._sight.look(start, start, 0)
        self.agents = self.possible_agents[:]
        self.shares = dict(
            zip(self.agents, shares if self.owned else [everything] * len(shares), strict=True)
        )
        self._judge()
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self._turns = AgentSelector(self.agents[:])
        self.agent_selection = self._turns.reset()

    def step(self, action: Any) -> None:
        """Let the agent whose turn it is act; a dead one by None.

        Raises
        ------
        ValueError
            If the action is outside the action space.
        TypeError
            If a reply is not a string.
        gymnasium.error.ResetNeeded
            If no game is running.
        CertificateError
            If an answer beats a certificate: a bug of ours.
        """
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
        if wanted is not None:
            self.solution = wanted
            if self._worth(wanted) > self._worth(self.best):
                self.best = wanted
        gained = self._judge()
        if self._sight:
            self._sight.look(self.solution, self.best, self._taken)
        self._cumulative_rewards[agent] = 0.0
        self.rewards = dict.fromkeys(self.agents, gained)
        if self._sight and not self._accepted:
            self.rewards[agent] -= self.penalty
        self._accumulate_rewards()
        over = self._solved or self._taken == self.rounds * len(self.agents)
        self.terminations = dict.fromkeys(self.agents, over)
        self.agent_selection = self._turns.next()

    def _judge(self) -> float:
        """Return what the shared solution adds to the best reward so far, and inform everybody."""
        episode = self._board.episode
        assert episode is not None
        verdict = self.problem.verify_solution(self.instance, self.solution)
        episode.take(episode.judge(self.problem.format(self.instance, self.solution), verdict))
        self._solved |= verdict.optimal
        info = self._board.info() | {"turn": self._taken, "accepted": self._accepted}
        self.infos = {agent: dict(info) for agent in self.agents}
        return episode.paid

    def _worth(self, solution: Solution) -> Number:
        """Return the objective, more being better."""
        value: Number = self.problem.objective(self.instance, solution)
        return value if self.problem.sense == "max" else -value

    # ---------------------------------------------------------------- numbers

    @property
    def outcomes(self) -> dict[int, Solution]:
        """Where each action leads that is possible now, whoever owns what it changes; none in the text views."""
        return self._sight._outcomes if self._sight else {}

    def _foreign(self, agent: str, solution: Solution) -> set[int]:
        """Return the variables that ``solution`` changes and ``agent`` does not own."""
        return self.problem.changed(self.solution, solution) - self.shares[agent] if self.owned else set()

    def _moved(self, agent: str, move: int) -> Solution | None:
        """Return what the move makes of the shared solution; None if it is impossible."""
        outcome = self.outcomes.get(move)
        return None if outcome is None or self._foreign(agent, outcome) else outcome

    def state(self) -> NDArray[np.float32]:
        """Return the shared solution, seen in numbers, as one vector; only the numeric view has one."""
        if self._sight is None:
            raise NotImplementedError("state needs view='numeric': texts have no vector")
        seen = self._sight.show(())
        return np.concatenate([seen[key].ravel() for key in seen if key != "action_mask"]).astype(np.float32)

    # ---------------------------------------------------------------- texts

    def _answered(self, agent: str, reply: str) -> Solution | None:
        """Return the solution that the reply states if it may become the shared one, and note what is to be said."""
        problem, instance = self.problem, self.instance
        verdict = problem.verify(instance, reply)
        solution = None
        if verdict.status == "malformed":
            why = f"could not be read: {verdict.reason}"
        elif not verdict.feasible:
            why = f"was infeasible: {'; '.join(violation.reason for violation in verdict.violations)}"
        else:
            stated = verdict.solution
            foreign = self._foreign(agent, stated)
            if foreign:
                why = f"changed what {agent} does not own: {self._names(foreign)}"
            elif self._worth(stated) < self._worth(self.solution):
                why = f"had objective {verdict.objective}, which is worse"
            else:
                solution = stated
                why = f"had objective {verdict.objective} and is now the shared one"
        kept = "" if solution is not None else ", so the shared solution stays as it was"
        self._said = f"The answer of {agent} just now {why}{kept}."
        return solution

    def _names(self, variables: Collection[int]) -> str:
        """Return places by their numbers, and elements by the names that the prompt gives them."""
        names = range(self.instance.size) if self.problem.in_order else self.problem.names_of(self.instance)
        return ", ".join(str(names[variable]) for variable in sorted(variables)) or "none"

    def _read_out(self, agent: str) -> str:
        """Return what ``agent`` reads when it is its turn."""
        problem, instance = self.problem, self.instance
        left = self.rounds * len(self.possible_agents) - self._taken
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
            f"Turns left, this one included: {left}."
        )
        return "\n".join(lines)

    # ---------------------------------------------------------------- PettingZoo's

    def observe(self, agent: str) -> Any:
        """Return what ``agent`` sees, or would see if it were its turn."""
        if self._sight:
            allowed = [move for move, outcome in self.outcomes.items() if not self._foreign(agent, outcome)]
            return self._sight.show(allowed)
        return self._shown(self._read_out(agent))

    def _picture(self) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = self._board.render()
        return image

    def _standing(self) -> str:
        shared = self.problem.format_answer(self.instance, self.solution)
        turns = f"[turn {self._taken} of {self.rounds * len(self.possible_agents)}]"
        return f"{turns} {shared}: {self._board.caption()}"


env = Relay.make
"""Return a `Relay` on the problem of a name; see `Table.make`."""
