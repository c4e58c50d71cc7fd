"""Improve a solution move by move: local search as a numeric environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ..core.checks import check_choice, check_int, check_share
from ..core.seeding import keyed_generator
from ..kinds.encoding import Observation
from .numeric_view import NumericView


class Improve(NumericView):
    """A text environment whose answer is the best solution that numbered moves find from the heuristic's on.

    Moves are 2-opt for tours, recolouring, flips and exchanges for sets; see the ``moves`` of each kind of problem. At
    the end the best solution is handed in as text.

    Parameters
    ----------
    env, size
        Those of `Construct`.
    steps
        Moves per episode; by default twice the elements. A proven optimum ends it sooner.
    start
        Where to begin: ``greedy``, ``trivial``, or a ``random`` feasible solution.
    penalty
        Cost of an impossible move, which uses up a step.

    Notes
    -----
    A move is paid what it adds to the reward of the best solution so far. So the rewards of an episode sum up to the
    text environment's reward of the best solution, less that of the start and the penalties.

    Observations are those of `Construct`, of a finished solution, with ``progress`` (2,): the share of steps that
    are left, and how far the objective is behind the best one, as a share of it. Row i of a tour is the i-th city.

    Examples
    --------
    >>> import forge_gym
    >>> env = Improve(gym.make("Forge/TSP-v0", n=6))
    >>> observation, info = env.reset(seed=4)
    >>> env.solution, env.moves[3]
    ((0, 3, 2, 4, 5, 1), 'reverse places 0 to 4')
    >>> observation, reward, terminated, truncated, info = env.step(3)
    >>> env.solution
    (5, 4, 2, 3, 0, 1)
    """

    def __init__(
        self,
        env: gym.Env[str, str],
        size: int | None = None,
        *,
        steps: int | None = None,
        start: str = "greedy",
        penalty: float = 0.01,
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, size=size, steps=steps, start=start, penalty=penalty)
        super().__init__(env, size)
        if steps is not None:
            steps = check_int("steps", steps, 1)
        check_choice("start", start, ("greedy", "trivial", "random"))
        check_share("penalty", penalty)
        self.steps, self.start, self.penalty = steps or 2 * self.encoder.size, start, penalty
        self.moves = self.problem.move_names(self.encoder.size)
        """The names of all moves, by their numbers."""
        self._numbers = {name: number for number, name in enumerate(self.moves)}
        self._set_spaces(len(self.moves), progress=spaces.Box(0.0, 1.0, (2,), np.float32))
        self.best: Any = ()
        """The best solution so far."""
        self._outcomes: dict[int, Any] = {}

    def _begin(self) -> None:
        problem, instance = self.problem, self.instance
        if self.start == "random":  # of the instance, not of the environment: the same seed, the same start
            start = problem.random(instance, keyed_generator(problem.digest(instance)))
        else:
            start = problem.anchors(instance)[self.start == "greedy"]
        self.best, self._taken = start, 0
        self._value = self._best_value = float(problem.objective(instance, start))
        self._paid = self._score(start)[0]
        self._move_to(start)

    def _score(self, solution: Any) -> tuple[float, bool]:
        """Return the reward of ``solution`` as an answer, and whether it is proven optimal."""
        verdict = self.problem.verify_solution(self.instance, solution)
        return self.scheme(verdict) or 0.0, verdict.optimal

    def _move_to(self, solution: Any) -> None:
        """Stand at ``solution``, and find out what leads away from it."""
        self.solution = solution
        moves = self.problem.moves(self.instance, solution)
        self._outcomes = {self._numbers[name]: outcome for name, outcome in moves}
        self._allow_only(self._outcomes)

    def _act(self, action: int) -> float:
        problem, instance = self.problem, self.instance
        self._taken += 1
        reward, optimal = 0.0, False
        if action in self._outcomes:
            self._move_to(self._outcomes[action])
            self._value = float(problem.objective(instance, self.solution))
            score, optimal = self._score(self.solution)
            if score > self._paid:
                self.best, self._best_value = self.solution, self._value
                reward = self._change_to(score)
        else:
            reward = -self.penalty
        if optimal or self._taken == self.steps or not self._outcomes:
            self._submit(problem.format(instance, self.best))
        return reward

    def _observe(self) -> Observation:
        data = {key: array.copy() for key, array in self._data.items()}
        state = self.encoder.solution(self.instance, self.solution)
        if self.problem.in_order:
            order = np.arange(self.encoder.size)
            order[: len(self.solution)] = self.solution
            data = {key: array[order] for key, array in data.items()}
            if "links" in data and data["links"].shape[1] == self.encoder.size:
                data["links"] = data["links"][:, order]
            state = state[order]
        behind = abs(self._value - self._best_value) / max(1.0, abs(self._best_value))
        progress = np.array([1 - self._taken / self.steps, min(1.0, behind)], np.float32)
        return {**data, "solution": state, "progress": progress, "action_mask": np.array(self._mask)}
