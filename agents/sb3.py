"""A policy trained with Stable-Baselines3 as a text agent, so that it stands in the same tables as the others."""

from __future__ import annotations

import inspect
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.checks import check_choice
from ..core.env import TextEnv
from ..kinds.encoding import Observation
from ..wrappers.construct import Construct
from ..wrappers.improve import Improve
from ..wrappers.numeric_view import NumericView
from .agent import Task

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecNormalize

VIEWS: dict[str, Callable[..., NumericView]] = {"construct": Construct, "improve": Improve}


class SB3Agent:
    """Answers with what a policy builds or improves step by step; all tasks of a batch advance together.

    Parameters
    ----------
    model
        A trained model, or the file that its ``save`` wrote. ``MaskablePPO`` of sb3-contrib gets the masks.
    view
        ``construct`` or ``improve``, by default the one the model's observations are of; or a function from a text
        environment to the view trained in, for other options than the defaults. The size is the model's.
    normalize
        The training's ``VecNormalize``, or the file that its ``save`` wrote.
    deterministic
        Take the likeliest action; otherwise draw it, from torch's global generator.
    name
        How tables call the agent.

    Raises
    ------
    ValueError
        If the file is no model, or the spaces of a task's view are not those the model was trained in.
    """

    def __init__(
        self,
        model: BaseAlgorithm | str | Path,
        *,
        view: str | Callable[[TextEnv], NumericView] | None = None,
        normalize: VecNormalize | str | Path | None = None,
        deterministic: bool = True,
        name: str | None = None,
    ) -> None:
        self.model = load(model) if isinstance(model, (str, Path)) else model
        if view is None:
            view = (
                "improve"
                if "progress" in getattr(self.model.observation_space, "spaces", {})
                else "construct"
            )
        if isinstance(view, str):
            check_choice("view", view, VIEWS)
        self.view, self.deterministic = view, deterministic
        self.normalize = _statistics(normalize) if isinstance(normalize, (str, Path)) else normalize
        self.name = name or f"sb3:{type(self.model).__name__}"
        self._masked = "action_masks" in inspect.signature(self.model.predict).parameters

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return one reply per task."""
        episodes = [self._start(task) for task in tasks]
        while running := [episode for episode in episodes if not episode.over]:
            batch = {key: np.stack([each.seen[key] for each in running]) for key in running[0].seen}
            if self.normalize is not None:
                batch = self.normalize.normalize_obs(batch)
            masks = np.stack([each.view.action_masks() for each in running])
            more = {"action_masks": masks} if self._masked else {}
            actions, _ = self.model.predict(batch, deterministic=self.deterministic, **more)
            for episode, action in zip(running, actions, strict=True):
                episode.step(action)
        return [episode.reply for episode in episodes]

    def _start(self, task: Task) -> _Episode:
        env = TextEnv(task.problem)
        expected = self.model.observation_space
        if isinstance(self.view, str):
            shape = expected["elements"].shape if "elements" in getattr(expected, "spaces", {}) else (0,)
            own = task.problem.instance().size
            view = VIEWS[self.view](env, size=max(int(shape[0]), own))
        else:
            view = self.view(env)
        if view.observation_space != expected or view.action_space != self.model.action_space:
            raise ValueError(
                f"model must be trained in the spaces of {task.problem.name} as it is asked, got a model with "
                f"{_shapes(expected)}, {self.model.action_space} for {_shapes(view.observation_space)}, "
                f"{view.action_space}"
            )
        return _Episode(view, task)


class _Episode:
    """A view in the middle of an episode."""

    def __init__(self, view: NumericView, task: Task) -> None:
        self.view, self.task = view, task
        self.seen: Observation
        self.seen, _ = view.reset(options={"instance": task.instance})
        self.over = False

    def step(self, action: Any) -> None:
        self.seen, _, terminated, truncated, _ = self.view.step(action)
        self.over = terminated or truncated

    @property
    def reply(self) -> str:
        return self.view.reply


def load(path: str | Path) -> BaseAlgorithm:
    """Return the model in the file ``path`` that PPO, MaskablePPO, A2C or DQN wrote, ready to predict.

    Raises
    ------
    ValueError
        If the file is missing or holds no such model.
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
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"model must be a file that a model's save wrote, got {str(path)!r}: {error}"
        ) from None
    # The file names the policy, not the algorithm; A2C's policies are PPO's.
    algorithms = {MaskableActorCriticPolicy: MaskablePPO, ActorCriticPolicy: PPO, DQNPolicy: DQN}
    for policy, algorithm in algorithms.items():
        if issubclass(wanted, policy):
            found: BaseAlgorithm = algorithm.load(path, device="cpu")
            return found
    raise ValueError(f"model must be one of PPO, MaskablePPO, A2C or DQN, got a policy {wanted.__name__}")


def _statistics(path: str | Path) -> VecNormalize:
    with Path(path).open("rb") as file:
        found: VecNormalize = pickle.load(file)
    return found


def _shapes(space: Any) -> str:
    return str({key: box.shape for key, box in getattr(space, "spaces", {}).items()} or space)
