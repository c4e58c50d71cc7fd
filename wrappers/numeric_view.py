"""What the numeric wrappers share: a text environment below, arrays and numbered actions above."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, SupportsIndex

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..core.answer import Thoughts
from ..core.instance import Instance
from ..core.rewards import Reward, single_reward
from ..kinds import as_kind
from ..kinds.encoding import Encoder, Observation
from .episode import text_env


class NumericView(gym.Wrapper[Any, Any, str, str], gym.utils.RecordConstructorArgs):
    """A text environment seen in numbers; the finished solution goes to it as the text of an answer."""

    def __init__(self, env: gym.Env[str, str], size: int | None) -> None:
        base = text_env(env)
        if base.protocol.turns != 1:
            turns = base.protocol.turns
            raise ValueError(f"env must be made with turns=1, got turns={turns}: numbers are handed in once")
        if Thoughts.of(base.protocol.thoughts).inside:
            raise ValueError("env must be made with thoughts that replies do not begin in: numbers have none")
        super().__init__(env)
        self.text_env = base
        self.scheme: Reward = single_reward(base.protocol.reward)
        self.actions = 0
        self.encoder = Encoder(as_kind(base.problem), size)
        self.problem = self.encoder.problem
        self._data: Observation = {}
        self._mask: NDArray[np.int8] = np.zeros(0, np.int8)
        self._paid = 0.0
        self._info: dict[str, Any] = {}
        self._over, self._terminated, self._truncated = True, False, False
        self.solution: Any = ()
        """What has been built so far, or where the search stands."""
        self.reply = ""
        """The text that was handed in."""

    @property
    def instance(self) -> Instance:
        """The instance that is played."""
        assert self.text_env.instance is not None
        return self.text_env.instance

    def _set_spaces(self, actions: int, **more: spaces.Space[Any]) -> None:
        self.actions = actions
        self.action_space = spaces.Discrete(actions)
        parts: dict[str, spaces.Space[Any]] = {**self.encoder.spaces, **more}
        space: Any = spaces.Dict(parts | {"action_mask": spaces.MultiBinary(actions)})
        self.observation_space = space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; see `TextEnv.reset`. An instance with more elements than ``size`` is a ``ValueError``."""
        _, self._info = self.env.reset(seed=seed, options=options)
        self._over = True
        self._data = self.encoder.instance(self.instance)
        self._paid, self._over, self._terminated, self._truncated = 0.0, False, False, False
        self._begin()
        return self._observe(), dict(self._info)

    def step(self, action: SupportsIndex) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take the action of this number, which must be in the action space."""
        if self._over:
            raise gym.error.ResetNeeded("step needs a running episode: call reset first")
        try:
            number = operator.index(action)
        except TypeError:
            number = -1
        if not 0 <= number < self.actions:
            raise ValueError(f"action must be an integer from 0 to {self.actions - 1}, got {action!r}")
        reward = self._act(number)
        return self._observe(), reward, self._terminated, self._truncated, dict(self._info)

    def render(self) -> Any:
        """Return what the text environment renders; in a picture (``rgb_array``), the solution as it is now."""
        env = self.text_env
        if env.render_mode != "rgb_array" or env.instance is None or self.env.render_mode != "rgb_array":
            return self.env.render()
        shown, caption = self.solution, f"{len(self.solution)} pieces"
        if shown and self.problem.feasible(env.instance, shown):
            caption = f"objective {self.problem.objective(env.instance, shown)}"
        return env.picture(shown or None, caption)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are possible now, as sb3-contrib's ``MaskablePPO`` asks for it."""
        return self._mask.astype(bool)

    def _begin(self) -> None:
        raise NotImplementedError

    def _act(self, action: int) -> float:
        """Take an action that is in the action space, and return the step's reward."""
        raise NotImplementedError

    def _observe(self) -> Observation:
        raise NotImplementedError

    def _change_to(self, score: float) -> float:
        """Return the step's reward: the change of the episode's score to ``score``."""
        change, self._paid = score - self._paid, score
        return change

    def _submit(self, text: str) -> float:
        """Let the text environment judge ``text``, which ends the episode; return its reward."""
        self.reply = text
        _, reward, self._terminated, self._truncated, self._info = self.env.step(text)
        self._over = True
        self._allow_only([])
        return float(reward)

    def _allow_only(self, actions: Iterable[int]) -> None:
        """Make the ``actions`` the possible ones."""
        self._mask = np.zeros(self.actions, np.int8)
        self._mask[list(actions)] = 1
