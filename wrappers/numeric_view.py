"""What the numeric wrappers share: a text environment below, arrays and numbered actions above."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..core.numeric import Encoder, Observation, mask
from ..core.rewards import Reward
from .episode import text_env


class NumericView(gym.Wrapper[Any, Any, str, str], gym.utils.RecordConstructorArgs):
    """A text environment seen in numbers; the finished solution goes to it as the text of an answer.

    Subclasses say what an action does.
    """

    def __init__(self, env: gym.Env[str, str], size: int | None) -> None:
        base = text_env(env)
        if base.turns != 1:
            raise ValueError(
                f"env must be made with turns=1, got turns={base.turns}: a solution in numbers is handed in once"
            )
        super().__init__(env)
        self.text_env = base
        self.scheme = cast(Reward, base.reward)  # of a single answer, as the environment made sure
        self.actions = 0
        self.encoder = Encoder(base.problem, size)
        self._data: Observation = {}
        self._mask: NDArray[np.int8] = np.zeros(0, np.int8)
        self._paid = 0.0
        self._info: dict[str, Any] = {}
        self._over = True
        self.solution: tuple[Any, ...] = ()
        """What has been built so far, or where the search stands."""
        self.reply = ""
        """The text that was handed in."""

    def _set_spaces(self, actions: int, **more: spaces.Space[Any]) -> None:
        self.actions = actions
        self.action_space = spaces.Discrete(actions)
        parts: dict[str, spaces.Space[Any]] = {**self.encoder.spaces, **more}
        space: Any = spaces.Dict(parts | {"action_mask": spaces.MultiBinary(actions)})
        self.observation_space = space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode of the text environment; see `TextEnv.reset` for ``seed`` and ``options``.

        Raises
        ------
        ValueError
            If the instance has more elements than ``size``.
        """
        _, self._info = self.env.reset(seed=seed, options=options)
        assert self.text_env.instance is not None
        self._over = True
        self._data = self.encoder.instance(self.text_env.instance)
        self._paid, self._over = 0.0, False
        self._begin()
        return self._observe(), dict(self._info)

    def step(self, action: SupportsIndex) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take the action of this number.

        Raises
        ------
        ValueError
            If ``action`` is not in the action space.
        gymnasium.error.ResetNeeded
            If no episode is running.
        """
        if self._over:
            raise gym.error.ResetNeeded("step needs a running episode: call reset first")
        try:
            number = operator.index(action)
        except TypeError:
            number = -1
        if not 0 <= number < self.actions:
            raise ValueError(f"action must be an integer from 0 to {self.actions - 1}, got {action!r}")
        return self._act(number)

    def render(self) -> Any:
        """Return what the text environment renders; in a picture (``rgb_array``), the solution as it is now."""
        env, problem = self.text_env, self.encoder.problem
        if env.render_mode != "rgb_array" or env.instance is None or self.env.render_mode != "rgb_array":
            return self.env.render()
        shown = self.solution
        if not shown or problem.violations(env.instance, shown):
            return env._picture(shown or None, f"{len(shown)} pieces")
        return env._picture(shown, f"objective {problem.objective(env.instance, shown)}")

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are possible now, as sb3-contrib's ``MaskablePPO`` asks for it."""
        return self._mask.astype(bool)

    def _begin(self) -> None:
        """Prepare the state of an episode."""
        raise NotImplementedError

    def _act(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take an action that is in the action space."""
        raise NotImplementedError

    def _observe(self) -> Observation:
        raise NotImplementedError

    def _pay(self, score: float) -> float:
        """Return the step's reward, the change of the episode's ``score``."""
        paid, self._paid = score - self._paid, score
        return paid

    def _hand_in(self, text: str) -> tuple[float, bool, bool]:
        """Let the text environment judge ``text``; return its reward and whether, and how, the episode is over."""
        self.reply = text
        _, reward, terminated, truncated, self._info = self.env.step(text)
        self._over = terminated or truncated
        return float(reward), terminated, truncated

    def _allow(self, actions: Any) -> None:
        self._mask = mask(self.actions, actions)
