"""`TextVectorEnv`: many episodes of one problem side by side, without the cost of Gymnasium's loop."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..core.checks import as_int, check_choice, check_int, short_repr
from ..core.env import TextEnv, Whole
from ..core.episode import Episode, Judged
from ..core.mixed import MixedEnv
from ..core.mixture import Mixture
from ..core.problem import Problem


class TextVectorEnv(gym.vector.SyncVectorEnv):
    """``num_envs`` environments `TextEnv` that are reset and stepped together.

    Parameters
    ----------
    problem
        The problem with its parameters, or a mixture of problems; through ``gym.make_vec`` give those by name.
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
    Returns what its base class returns over the same environments, to the last key of the infos, in less time: the
    batch is judged in one go, and infos are built by column. A step that raises has moved no environment.

    Examples
    --------
    >>> import forge_gym
    >>> envs = gym.make_vec("Forge/Knapsack-v0", 2, n=8, turns=2)
    >>> prompts, infos = envs.reset(seed=3)
    >>> feedback, rewards, terminated, truncated, infos = envs.step(["no idea", "<answer>[]</answer>"])
    >>> [round(reward, 2) for reward in rewards.tolist()], infos["status"].tolist()
    ([-1.0, -0.25], [0, 2])
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
        num_envs = check_int("num_envs", num_envs, 1)
        if not isinstance(autoreset_mode, AutoresetMode):
            check_choice("autoreset_mode", autoreset_mode, [mode.value for mode in AutoresetMode])
            autoreset_mode = AutoresetMode(autoreset_mode)
        max_episode_steps = None if max_episode_steps == -1 else max_episode_steps  # as in `gym.make`
        if max_episode_steps is not None:
            max_episode_steps = check_int("max_episode_steps", max_episode_steps, 1)
        kind: Any = MixedEnv if isinstance(problem, Mixture) else TextEnv
        super().__init__([lambda: kind(problem, **arguments)] * num_envs, autoreset_mode=autoreset_mode)
        self.metadata = dict(self.metadata)  # in Gymnasium 1.1 those of the class
        self.max_episode_steps = max_episode_steps
        self._texts = [""] * num_envs
        self._ended = [False] * num_envs

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | NDArray[np.integer] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Start the next episode of every environment and return prompts and infos.

        Parameters
        ----------
        seed
            One for each environment, or the first of ``num_envs`` consecutive ones.
        options
            Those of `TextEnv`, for every environment; ``reset_mask``, an array of bool, says which to reset.
        """
        first = as_int(seed)
        if seed is None or first is not None:
            seed = [None if first is None else first + i for i in range(self.num_envs)]
        elif not isinstance(seed, (Sequence, np.ndarray)):
            raise ValueError(f"seed must be an integer, a sequence of them, or None, got {short_repr(seed)}")
        self._check_count("seed", seed)
        options = {"reset_mask": np.ones(self.num_envs, np.bool_), **(options or {})}
        values: dict[int, tuple[Any, ...]] = {}
        for i in self._masked(options.pop("reset_mask")):
            self._texts[i] = self.envs[i].start(seed[i], options)
            self._ended[i] = False
            values[i] = self.envs[i].info_values()
        return tuple(self._texts), self._infos(values)

    def step(
        self, actions: Sequence[str]
    ) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Judge one reply for each environment; see `TextEnv.step` for what it raises."""
        if isinstance(actions, str):
            raise TypeError("actions are one text for each environment, got a single str")
        actions = tuple(actions)
        self._check_count("actions", actions)
        if any(self._ended) and self.autoreset_mode is AutoresetMode.DISABLED:
            raise gym.error.ResetNeeded("step needs a running episode: reset the environments that ended")
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
            ended = np.full(self.num_envs, None, dtype=object)
            ended[list(finals)] = [text for text, _ in finals.values()]
            infos["final_obs"] = ended
            infos["final_info"] = self._infos({i: info for i, (_, info) in finals.items()})
            infos |= {key: self._mask(list(finals)) for key in ("_final_obs", "_final_info")}
        return tuple(texts), np.array(rewards), np.array(terminated), np.array(truncated), infos

    def _check_count(self, parameter: str, values: Sized) -> None:
        if len(values) != self.num_envs:
            rule = f"{parameter} must be one for each of {self.num_envs} environments"
            raise ValueError(f"{rule}, got {len(values)}")

    def _masked(self, mask: Any) -> list[int]:
        """Return the numbers of the environments that ``mask`` selects."""
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"options['reset_mask'] must be an array of bool, got {short_repr(mask)}")
        if mask.shape != (self.num_envs,) or not mask.any():
            rule = f"be of shape ({self.num_envs},) and select an environment"
            raise ValueError(f"options['reset_mask'] must {rule}, got {short_repr(mask.tolist())}")
        return [int(i) for i in mask.nonzero()[0]]

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
            kept = isinstance(values[0], (str, Whole))  # as they are
            column: NDArray[Any] = np.array(values, object if kept else None)
            if len(where) < self.num_envs:
                column, some = np.full(self.num_envs, None if kept else 0, column.dtype), column
                column[where] = some
            infos[key], infos[f"_{key}"] = column, mask.copy()
        return infos


def _judge(episodes: dict[int, Episode], actions: Sequence[str]) -> dict[int, Judged]:
    """Return the judged replies to some episodes, after judging those to one instance together."""
    groups: dict[int, list[int]] = {}
    for i, episode in episodes.items():
        groups.setdefault(id(episode.instance), []).append(i)
    judged: dict[int, Judged] = {}
    for members in groups.values():
        first = episodes[members[0]]
        verdicts = first.problem.verify_many(first.instance, [actions[i] for i in members], first.thoughts)
        for i, verdict in zip(members, verdicts, strict=True):
            judged[i] = episodes[i].judge(actions[i], verdict)
    return judged
