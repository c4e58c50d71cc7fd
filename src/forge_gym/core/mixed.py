"""`MixedEnv`: several problems at several levels in one environment."""

from __future__ import annotations

from typing import Any

from .env import INFO, TextEnv
from .mixture import Mixture
from .problem import Problem


class MixedEnv(TextEnv):
    """A text environment whose every episode is of a problem and a level that a `Mixture` draws.

    Parameters
    ----------
    mixture
        Problems and levels; through ``gym.make("Forge/Mixed-v0")`` give ``problems``, ``levels`` and parameters that
        all of them have.
    **arguments
        Those of `TextEnv`.

    Notes
    -----
    Episode ``(seed, index)`` is instance ``(seed, index)`` of the problem that `Mixture.draw` returns for them.

    ``info`` has two more keys: ``problem``, a name, and ``level``, which is -1 for the problem's own sizes. ``problem``
    of the environment is the one of the episode. `reset` takes no ``instance``, and wrappers that know one problem,
    such as `forge_gym.wrappers.Construct`, refuse a mixture.

    Examples
    --------
    >>> import gymnasium as gym, forge_gym
    >>> env = gym.make("Forge/Mixed-v0", problems=("TSP", "Knapsack"), levels=(0, 1, 2))
    >>> infos = [env.reset(seed=6)[1], *(env.reset()[1] for _ in range(3))]
    >>> [(info["problem"], info["level"]) for info in infos]
    [('Knapsack', 0), ('TSP', 1), ('Knapsack', 2), ('TSP', 0)]
    """

    info_keys = (*INFO, "problem", "level")
    options = ("index",)

    def __init__(self, mixture: Mixture, **arguments: Any) -> None:
        self.mixture = mixture
        undrawn = [member.problem for member in mixture.members if member.problem.picture is None]
        super().__init__((undrawn or [mixture.members[0].problem])[0], **arguments)

    def problem_at(self, seed: int, index: int) -> Problem[Any, Any]:
        return self.mixture.draw(seed, index, self.split).problem

    @property
    def level(self) -> int:
        """The level of the episode; -1 for the problem's own sizes."""
        return next(member.level for member in self.mixture.members if member.problem is self.problem)

    def info_values(self) -> tuple[Any, ...]:
        return (*super().info_values(), self.problem.name, self.level)
