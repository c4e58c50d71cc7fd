"""`TextVectorEnv`: many episodes of one problem side by side, without the cost of Gymnasium's loop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..core.checks import check_choice, check_int, short_repr
from ..core.env import TextEnv
from ..core.episode import Episode, Judged
from ..core.instance import Instance
from ..core.mixed import MixedEnv
from ..core.mixture import Mixture
from ..core.problem import Problem
from ..core.verdict import Verdict

Texts: TypeAlias = tuple[str, ...]

_MODES = {mode.value: mode for mode in AutoresetMode}


class TextVectorEnv(gym.vector.SyncVectorEnv):
    """``num_envs`` environments `TextEnv` that are reset and stepped together.

    Parameters
    ----------
    problem
        The problem with its parameters, or a mixture of problems, common to all; through ``gym.make_vec`` give those
        by name.
    num_envs
        Number of environments.
    autoreset_mode
        What follows the end of an episode: ``NextStep``, the next step ignores the action and resets;
        ``SameStep``, the same step resets, and the last feedback and info are in ``final_obs`` and
        ``final_info``; ``Disabled``, the caller resets, with ``options={"reset_mask": ...}`` some of them.
    max_episode_steps
        Steps after which an episode is truncated; without it only its own ``turns`` end it.
    **arguments
        Those of `TextEnv`.

    Notes
    -----
    Returns what its base class returns over the same environments, to the last key of the infos, in less than the
    time: the batch is judged in one go, and infos are built by column. A step that raises, for an action that is
    no text or an environment that needs a reset, has moved no environment.

    Examples
    --------
    >>> import forge_gym
    >>> envs = gym.make_vec("Forge/Knapsack-v0", 2, n=8, turns=2)
    >>> prompts, infos = envs.reset(seed=3)
    >>> feedback, rewards, terminated, truncated, infos = envs.step(["no idea", "<answer>[]</answer>"])
    >>> [round(reward, 2) for reward in rewards.tolist()], infos["status"].tolist()
    ([-1.0, -0.24], [0, 2])
    >>> print(feedback[1])
    Your answer is feasible with objective 0: worse than a thoughtless answer.
    Revise it: 1 turn left. Answer in the same format.
    """

    envs: list[TextEnv]  # type: ignore[assignment] # of any kind in the base class

    def __init__(
        self,
        problem: Problem[Any, Any] | Mixture,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        **arguments: Any,
    ) -> None:
        self.envs = []  # first: Gymnasium closes what could not be built, too
        check_int("num_envs", num_envs, 1)
        if not isinstance(autoreset_mode, AutoresetMode):
            check_choice("autoreset_mode", autoreset_mode, _MODES)
            autoreset_mode = _MODES[autoreset_mode]
        if max_episode_steps == -1:  # as in `gym.make`
            max_episode_steps = None
        if max_episode_steps is not None:
            check_int("max_episode_steps", max_episode_steps, 1)
        kind: Any = MixedEnv if isinstance(problem, Mixture) else TextEnv
        super().__init__([lambda: kind(problem, **arguments)] * num_envs, autoreset_mode=autoreset_mode)
        self.metadata = dict(self.metadata)  # in Gymnasium 1.1 those of the class
        self.max_episode_steps = max_episode_steps
        self._texts = [""] * num_envs
        self._ended = [False] * num_envs

    @property
    def instances(self) -> tuple[Instance | None, ...]:
        """The instance that each environment plays."""
        return tuple([env.instance for env in self.envs])

    @property
    def verdicts(self) -> tuple[Verdict | None, ...]:
        """The last verdict of each environment; None before the first answer of an episode."""
        return tuple([env.verdict for env in self.envs])

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Texts, dict[str, Any]]:
        """Start the next episode of every environment and return prompts and infos.

        Parameters
        ----------
        seed
            One for each environment, or the first of ``num_envs`` consecutive ones.
        options
            Those of `TextEnv`, for every environment; ``reset_mask``, an array of bool, says which to reset.

        Raises
        ------
        ValueError
            If there is not one seed for each environment, the mask is of another shape or empty, or an
            option is wrong.
        TypeError
            If the mask is not an array of bool.
        """
        seeds = self._seeds(seed)
        options = {"reset_mask": np.ones(self.num_envs, np.bool_), **(options or {})}
        values: dict[int, tuple[Any, ...]] = {}
        for i in self._masked(options.pop("reset_mask")):
            self._texts[i] = self.envs[i].start(seeds[i], options)
            self._ended[i] = False
            values[i] = self.envs[i].info_values()
        return tuple(self._texts), self._infos(values)

    def step(
        self, actions: Sequence[str]
    ) -> tuple[Texts, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Judge one reply for each environment.

        Raises
        ------
        ValueError
            If there is not one action for each environment.
        TypeError
            If an action is not a string.
        gymnasium.error.ResetNeeded
            If an environment has no running episode.
        """
        actions = self._checked(actions)
        episodes = {i: self.envs[i].running(actions[i]) for i, ended in enumerate(self._ended) if not ended}
        judged = _judge(episodes, actions)
        texts, limit = self._texts, self.max_episode_steps
        same_step = self.autoreset_mode is AutoresetMode.SAME_STEP
        rewards = [0.0] * self.num_envs
        terminated, truncated = [False] * self.num_envs, [False] * self.num_envs
        finals: dict[int, tuple[str, tuple[Any, ...]]] = {}
        for i, env in enumerate(self.envs):
            if i not in episodes:
                texts[i], self._ended[i] = env.start(), False
                continue
            episode = episodes[i]
            texts[i], rewards[i] = episode.take(judged[i]), episode.paid
            terminated[i] = episode.over
            truncated[i] = limit is not None and episode.turn >= limit
            if terminated[i] or truncated[i]:
                if same_step:
                    finals[i] = texts[i], env.info_values()
                    texts[i] = env.start()
                else:
                    self._ended[i] = True
        infos = self._infos({i: env.info_values() for i, env in enumerate(self.envs)})
        if finals:
            infos |= self._final(finals)
        return tuple(texts), np.array(rewards), np.array(terminated), np.array(truncated), infos

    def set_attr(self, name: str, values: Any) -> None:
        """Set each environment's attribute ``name``: a list or tuple holds one value for each.

        Raises
        ------
        ValueError
            If there is not one value for each environment.
        """
        if isinstance(values, (list, tuple)):
            self._check_count("values", values)
        super().set_attr(name, values)

    def _check_count(self, parameter: str, values: Sized) -> None:
        if len(values) != self.num_envs:
            raise ValueError(
                f"{parameter} must be one for each of {self.num_envs} environments, got {len(values)}"
            )

    def _seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int):
            return [seed + i for i in range(self.num_envs)]
        self._check_count("seed", seed)
        return seed

    def _masked(self, mask: Any) -> list[int]:
        """Return the numbers of the environments that ``mask`` selects."""
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"options['reset_mask'] must be an array of bool, got {short_repr(mask)}")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask'] must be of shape ({self.num_envs},) and select an environment, "
                f"got {short_repr(mask.tolist())}"
            )
        return [int(i) for i in mask.nonzero()[0]]

    def _checked(self, actions: Iterable[str]) -> tuple[str, ...]:
        """Return the actions, after checks that need no look at each of them."""
        if isinstance(actions, str):
            raise TypeError("actions are one text for each environment, got a single str")
        actions = tuple(actions)
        self._check_count("actions", actions)
        if any(self._ended) and self.autoreset_mode is AutoresetMode.DISABLED:
            raise gym.error.ResetNeeded("step needs a running episode: reset the environments that ended")
        return actions

    def _mask(self, where: list[int]) -> NDArray[np.bool_]:
        mask = np.zeros(self.num_envs, np.bool_)
        mask[where] = True
        return mask

    def _infos(self, infos_by_env: dict[int, tuple[Any, ...]]) -> dict[str, Any]:
        """Return the infos of some environments as columns, each beside a mask of these environments."""
        where = list(infos_by_env)
        mask = self._mask(where)
        infos: dict[str, Any] = {}
        for key, values in zip(self.envs[0].info_keys, zip(*infos_by_env.values(), strict=True), strict=True):
            text = isinstance(values[0], str)
            column: NDArray[Any] = np.array(values, object if text else None)
            if len(where) < self.num_envs:
                column, some = np.full(self.num_envs, None if text else 0, column.dtype), column
                column[where] = some
            infos[key], infos[f"_{key}"] = column, mask.copy()
        return infos

    def _final(self, finals: dict[int, tuple[str, tuple[Any, ...]]]) -> dict[str, Any]:
        """Return the infos that tell of episodes which ended within a step: their last feedback and info."""
        texts = np.full(self.num_envs, None, dtype=object)
        texts[list(finals)] = [text for text, _ in finals.values()]
        return {
            "final_obs": texts,
            "_final_obs": self._mask(list(finals)),
            "final_info": self._infos({i: info for i, (_, info) in finals.items()}),
            "_final_info": self._mask(list(finals)),
        }


def _judge(episodes: dict[int, Episode], actions: Sequence[str]) -> dict[int, Judged]:
    """Return the judged replies to some episodes, after judging those to one instance together."""
    groups: dict[int, list[int]] = {}
    for i, episode in episodes.items():
        groups.setdefault(id(episode.instance), []).append(i)
    judged: dict[int, Judged] = {}
    for members in groups.values():
        first = episodes[members[0]]
        verdicts = first.problem.verify_many(first.instance, [actions[i] for i in members])
        for i, verdict in zip(members, verdicts, strict=True):
            judged[i] = episodes[i].judge(actions[i], verdict)
    return judged
