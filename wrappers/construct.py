"""Build a solution piece by piece: any problem as a numeric environment, for PPO and its like."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ..core.numeric import Observation, promise
from .numeric_view import NumericView


class Construct(NumericView):
    """A text environment whose answer is built by numbered actions, each adding the next piece.

    What a piece is, the kind of the problem's solution decides: the next city of a tour, another item of a pack,
    the colour of the next vertex, a meeting in a room at its earliest time. When the solution is finished, it is
    handed in as text and judged by the same verifier.

    Parameters
    ----------
    env
        A text environment of one turn, such as ``gym.make("Forge/TSP-v0")``.
    size
        Elements that the arrays have room for; smaller instances are padded. By default those of the
        environment's own instances.
    dense
        Whether steps are paid as they come, by the change of what the unfinished solution promises (see
        `forge_gym.core.numeric.promise`), or all at the end. Either way the rewards sum up to the reward that
        the text environment pays for the finished solution.

    Raises
    ------
    ValueError
        If the problem declares no construction, ``env`` has several turns, or ``size`` is too small.

    Notes
    -----
    Observations are flat dictionaries. ``elements`` (size, f): data of each element, 0 to 1, the first column
    telling elements from padding. ``links`` (size, m): distances, adjacency or membership, where a problem has
    such. ``solution`` (size, k): what each element's part in the solution is so far. ``action_mask`` (actions,).

    Actions are the numbers of elements, of labels for the next element, or of element times resources plus
    resource; where a solution may end at more than one length, the last action hands it in.

    An action outside the mask ends the episode as a malformed answer does: the rewards sum up to that one's,
    -1 in the default scheme. An action outside the action space is a ``ValueError``.

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
    >>> info["status"], env.unwrapped.reward(env.unwrapped.verdict) == total
    (2, True)
    """

    def __init__(self, env: gym.Env[str, str], size: int | None = None, dense: bool = True) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, size=size, dense=dense)
        super().__init__(env, size)
        self.dense = dense
        self.stops = self.encoder.problem.kind in ("subset", "sequence", "schedule")
        self._set_spaces(self.encoder.choices + self.stops)
        self._additions: dict[int, Any] = {}

    def _begin(self) -> None:
        self.solution = ()
        self._look()

    def _look(self) -> bool:
        """Find out what may be added; return whether anything may."""
        problem, instance = self.encoder.problem, self.text_env.instance
        assert instance is not None
        self._additions = {self.encoder.number(x): x for x in problem.extensions(instance, self.solution)}
        # The empty solution is offered only where there is no other: it would end an episode before it began.
        wanted = self.stops and (self.solution != () or not self._additions)
        complete = wanted and not problem.violations(instance, self.solution)
        self._allow([*self._additions, *([self.encoder.choices] if complete else [])])
        return bool(self._additions)

    def _act(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        problem, instance = self.encoder.problem, self.text_env.instance
        assert instance is not None
        reward, terminated, truncated = 0.0, False, False
        if not self._mask[action]:
            score, terminated, truncated = self._hand_in("")
            reward = self._pay(score)
        else:
            if action != self.encoder.choices:
                self.solution = (*self.solution, self._additions[action])
            if action == self.encoder.choices or not self._look():
                score, terminated, truncated = self._hand_in(problem.format(instance, self.solution))
                reward = self._pay(score)
            elif self.dense:
                reward = self._pay(promise(problem, instance, self.solution, self.scheme))
        if self._over:
            self._allow([])
        return self._observe(), reward, terminated, truncated, dict(self._info)

    def _observe(self) -> Observation:
        assert self.text_env.instance is not None
        return {
            **{key: array.copy() for key, array in self._data.items()},
            "solution": self.encoder.solution(self.text_env.instance, self.solution),
            "action_mask": np.array(self._mask),
        }
