"""A policy trained with Stable-Baselines3 as a text agent, so that it stands in the same tables as the others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.checks import short_repr
from ..core.env import TextEnv
from ..wrappers.construct import Construct
from ..wrappers.improve import Improve
from ..wrappers.numeric_view import NumericView
from .agent import Task

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecNormalize


class SB3Agent:
    """Answers with what a policy builds or improves step by step; all tasks of a batch advance together.

    A file that is no model, or a task whose view has other spaces than the model's, is a ``ValueError``. Parts of
    a file are pickled, so loading it runs the code that is in it: load only files that you trust.

    Parameters
    ----------
    model
        A trained model, or the file that its ``save`` wrote. ``MaskablePPO`` of sb3-contrib gets the masks.
    view
        From a text environment to the view trained in; by default `Construct` or `Improve` with their own options,
        whichever the model's observations are of, and its size.
    normalize
        The training's ``VecNormalize``.
    deterministic
        Take the likeliest action; otherwise draw it, from torch's global generator.
    """

    def __init__(
        self,
        model: BaseAlgorithm | str | Path,
        *,
        view: Callable[[TextEnv], NumericView] | None = None,
        normalize: VecNormalize | None = None,
        deterministic: bool = True,
        name: str | None = None,
    ) -> None:
        self.model = load(model) if isinstance(model, (str, Path)) else model
        self.view, self.normalize, self.deterministic = view, normalize, deterministic
        self.name = name or f"sb3:{type(self.model).__name__}"
        self._masked = "action_masks" in inspect.signature(self.model.predict).parameters

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return one reply per task."""
        views = [self._view(task) for task in tasks]
        seen: list[Any] = [
            view.reset(options={"instance": task.instance})[0] for view, task in zip(views, tasks, strict=True)
        ]
        running = list(range(len(tasks)))
        while running:
            batch = {key: np.stack([seen[i][key] for i in running]) for key in seen[0]}
            if self.normalize is not None:
                batch = self.normalize.normalize_obs(batch)
            more = {}
            if self._masked:
                more["action_masks"] = np.stack([views[i].action_masks() for i in running])
            actions, _ = self.model.predict(batch, deterministic=self.deterministic, **more)
            over = {}
            for i, action in zip(running, actions, strict=True):
                seen[i], _, terminated, truncated, _ = views[i].step(action)
                over[i] = terminated or truncated
            running = [i for i in running if not over[i]]
        return [view.reply for view in views]

    def _view(self, task: Task) -> NumericView:
        env = TextEnv(task.problem)
        expected = self.model.observation_space
        if self.view is None:
            parts = getattr(expected, "spaces", {})
            room = parts["elements"].shape[0] if "elements" in parts else 0
            default = Improve if "progress" in parts else Construct
            view: NumericView = default(env, size=max(room, task.problem.instance().size))
        else:
            view = self.view(env)
        if view.observation_space != expected or view.action_space != self.model.action_space:
            raise ValueError(
                f"model must be trained in the spaces of {task.problem.name} as it is asked, got a model with "
                f"{_shapes(expected)}, {self.model.action_space} for {_shapes(view.observation_space)}, "
                f"{view.action_space}"
            )
        return view


def load(path: str | Path) -> BaseAlgorithm:
    """Return the model in the file ``path`` that PPO, MaskablePPO, A2C or DQN wrote, or raise ``ValueError``.

    The code that is in the file is run.
    """
    from sb3_contrib import MaskablePPO
    from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
    from stable_baselines3 import DQN, PPO
    from stable_baselines3.common.policies import ActorCriticPolicy
    from stable_baselines3.common.save_util import load_from_zip_file
    from stable_baselines3.dqn.policies import DQNPolicy

    try:
        data, _, _ = load_from_zip_file(path, device="cpu", print_system_info=False)
        wanted = (data or {})["policy_class"]
        if not isinstance(wanted, type):
            raise TypeError(f"its policy is {short_repr(wanted)}")
    except Exception as error:  # of whatever is in the file
        rule = "model must be a file that a model's save wrote"
        raise ValueError(f"{rule}, got {str(path)!r}: {error}") from None
    # The file names the policy, not the algorithm; A2C's policies are PPO's.
    algorithms = {MaskableActorCriticPolicy: MaskablePPO, ActorCriticPolicy: PPO, DQNPolicy: DQN}
    for policy, algorithm in algorithms.items():
        if issubclass(wanted, policy):
            model: BaseAlgorithm = algorithm.load(path, device="cpu")
            return model
    raise ValueError(f"model must be one of PPO, MaskablePPO, A2C or DQN, got a policy {wanted.__name__}")


def _shapes(space: Any) -> str:
    return str({key: box.shape for key, box in getattr(space, "spaces", {}).items()} or space)
