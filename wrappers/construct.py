"""Build a solution piece by piece: any problem as a numeric environment, for PPO and its like."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ..core.instance import Instance
from ..core.reference import BELOW_ONE
from ..core.rewards import Reward
from ..core.verdict import Verdict
from ..kinds import Kind
from ..kinds.encoding import Observation
from .numeric_view import NumericView


class Construct(NumericView):
    """A text environment whose answer is built by numbered actions, each adding the next piece.

    A piece is the next city of a tour, another item of a pack, the colour of the next vertex, a meeting in a room at
    its earliest time. A finished solution is handed in as text and judged by the same verifier.

    Parameters
    ----------
    env
        A text environment of one turn, such as ``gym.make("Forge/TSP-v0")``.
    size
        Elements that the arrays have room for; smaller instances are padded. By default those of the
        environment's own instances.
    dense
        Whether each step is paid, by the change of `potential`, or all at the end. Either
        way the rewards sum up to the text environment's reward of the finished solution.

    Notes
    -----
    Observations are flat dictionaries. ``elements`` (size, f): data of each element, 0 to 1, the first column
    telling elements from padding. ``links`` (size, m): distances, adjacency or membership, where a problem has
    such. ``solution`` (size, k): what each element's part in the solution is so far. ``action_mask`` (actions,).

    Actions are the numbers of elements, of labels for the next element, or of element times resources plus
    resource; where a solution may end at more than one length, the last action hands it in. An action outside the
    mask ends the episode as a malformed answer does. One outside the action space is a ``ValueError``.

    Examples
    --------
    >>> import forge_gym
    >>> env = Construct(gym.make("Forge/Knapsack-v0", n=5))
    >>> observation, info = env.reset(seed=1)
    >>> env.action_masks().tolist()
    [True, True, True, True, True, False]
    >>> total, over = 0.0, False
    >>> while not over:
    ...     observation, reward, over, _, info = env.step(env.action_masks().argmax())
    ...     total += reward
    >>> info["status"], env.scheme(env.unwrapped.verdict) == total
    (2, True)
    """

    def __init__(self, env: gym.Env[str, str], size: int | None = None, dense: bool = True) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, size=size, dense=dense)
        super().__init__(env, size)
        self.dense = dense
        self._stop = self.encoder.choices
        """The action that hands the solution in, where a solution may end at more than one length."""
        self._set_spaces(self.encoder.choices + self.problem.stops)
        self._pieces: dict[int, Any] = {}

    def _begin(self) -> None:
        self.solution = self.problem.assemble(self.instance, ())
        self._find_pieces()

    def _find_pieces(self) -> bool:
        """Find out what may be added; return whether anything may."""
        problem, instance = self.problem, self.instance
        pieces = problem.extensions(instance, self.solution)
        self._pieces = self.encoder.numbered(pieces)
        # The empty solution is offered only where there is no other: it would end an episode before it began.
        offered = problem.stops and (len(self.solution) > 0 or not self._pieces)
        complete = offered and problem.feasible(instance, self.solution)
        self._allow_only([*self._pieces, *([self._stop] if complete else [])])
        return bool(self._pieces)

    def _act(self, action: int) -> float:
        problem, instance = self.problem, self.instance
        if not self._mask[action]:
            return self._change_to(self._submit(""))
        if action != self._stop:
            self.solution = problem.extend(instance, self.solution, self._pieces[action])
        if action == self._stop or not self._find_pieces():
            return self._change_to(self._submit(problem.format(instance, self.solution)))
        if not self.dense:
            return 0.0
        return self._change_to(potential(problem, instance, self.solution, self.scheme))

    def _observe(self) -> Observation:
        return {
            **{key: array.copy() for key, array in self._data.items()},
            "solution": self.encoder.solution(self.instance, self.solution),
            "action_mask": np.array(self._mask),
        }


def potential(problem: Kind[Any, Any], instance: Instance, partial: Any, reward: Reward) -> float:
    """Return the potential of the unfinished solution ``partial``, in the unit of ``reward``.

    Where nothing is missing, it is the reward of the solution itself. Where the share m of a constraint family is
    missing, it is ``reward(g + v - g(m))``: g is greedy's objective, v the objective so far, and g(m) greedy's
    objective when as much was missing. So a beginning that is as good as greedy's has the reward of greedy. Rewards by
    the change of a potential leave the best policy as it is (Ng, Harada, Russell, ICML 1999).

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=6)
    >>> _, instance = next(tsp.graded_instances())
    >>> tour, greedy = tsp.reference(instance).solution, tsp.heuristic(instance)
    >>> [round(potential(tsp, instance, tour[:k], forge_gym.reward("linear")), 2) for k in range(1, 7)]
    [0.0, -0.25, -0.25, -0.25, -0.25, 1.0]
    >>> {potential(tsp, instance, greedy[:k], forge_gym.reward("linear")) for k in range(1, 7)}
    {0.0}
    """
    missing = problem.missing(instance, partial)
    if missing == 0.0:
        return reward(problem.verify_solution(instance, partial)) or 0.0
    reference = problem.reference(instance)
    ahead = float(problem.objective(instance, partial)) - problem.greedy_value_at(instance, missing)
    value: Any = float(reference.greedy) + ahead
    quality, skill, ratio = reference.scaled(value)
    skill = min(BELOW_ONE, skill)  # an unfinished solution is never the optimum
    return reward(Verdict("feasible", objective=value, quality=quality, skill=skill, ratio=ratio)) or 0.0
