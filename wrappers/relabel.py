"""Ask for the same instances under other numbers, or under names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from ..core.instance import Instance
from .episode import episode_generator, text_env

_SYLLABLES = [consonant + vowel for consonant in "klmnrstv" for vowel in "aeiou"]


class Relabel(gym.Wrapper[str, str, str, str], gym.utils.RecordConstructorArgs):
    """Put every instance under random numbers: the same problem, the same worth of every answer, another text.

    An agent that understands the problem scores the same, one that knows the text by heart does not. Element ``i`` of
    the instance ``original`` has the number ``order[i]``; `restore` maps solutions back.

    Parameters
    ----------
    env
        A text environment, wrapped or not. A second wrapper that changes words, such as `Skin`, goes inside.
    names
        Instead give the elements random names, such as ``"kova"``, in prompts, feedback and answers.

    Notes
    -----
    ``reset`` solves the instance, since the anchors of its scale stay those of the original numbers. The order
    depends on seed and index alone.

    Examples
    --------
    >>> import gymnasium as gym, forge_gym
    >>> env = Relabel(gym.make("Forge/TSP-v0", n=5))
    >>> prompt, info = env.reset(seed=3)
    >>> env.order
    (4, 0, 1, 3, 2)
    >>> env.restore(env.order)
    (0, 1, 2, 3, 4)

    With names:

    >>> env = Relabel(gym.make("Forge/Knapsack-v0", n=4), names=True)
    >>> prompt, info = env.reset(seed=3)
    >>> print(prompt.splitlines()[1])
    There are 4 items, named resu, niro, matu, noka: one line per item, with its name, its weight and its value.
    >>> feedback, *_ = env.step('<answer>["noka", "moon"]</answer>')
    >>> print(feedback)
    Your answer is infeasible: items are resu, niro, matu, noka, got 1 others.
    """

    def __init__(self, env: gym.Env[str, str], *, names: bool = False) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, names=names)
        gym.Wrapper.__init__(self, env)
        self._text_env = text_env(env)
        self._problem: Any = self._text_env.problem
        if names:
            replace(self._problem, names=1)  # refuses texts that can have no other names
        self._with_names = names
        self.order: tuple[int, ...] = ()
        self.original: Instance | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start the next episode; ``options`` as in `TextEnv.reset`."""
        # The environment itself says which instance is next; wrappers between here and there see one reset.
        self._text_env.problem = self._problem
        prompt, info = self._text_env.reset(seed=seed, options=options)
        original = self._text_env.instance
        assert original is not None
        rng = episode_generator("Relabel", info)
        order = tuple(rng.permutation(original.size).tolist())
        problem = self._problem
        instance = problem.relabelled(original, order)
        if self._with_names:
            tiny, _ = problem.tiny(instance)
            problem = replace(problem, names=_draw_names(rng, instance.size + tiny.size, prompt))
        self.order, self.original, self._text_env.problem = order, original, problem
        return self.env.reset(seed=seed, options={"index": info["index"], "instance": instance})

    def restore(self, solution: Any) -> Any:
        """Return ``solution`` to the episode's instance as one to ``original``."""
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        return self._problem.permute(solution, inverse)


def _draw_names(rng: np.random.Generator, count: int, text: str) -> tuple[str, ...]:
    """Draw ``count`` distinct names that are no words of ``text``."""
    taken, names = set(re.findall(r"[a-z]+", text.lower())), dict[str, None]()
    syllables = 2
    while len(_SYLLABLES) ** syllables < 4 * count:
        syllables += 1
    while len(names) < count:
        drawn: Sequence[int] = rng.integers(len(_SYLLABLES), size=syllables).tolist()
        name = "".join(_SYLLABLES[i] for i in drawn)
        if name not in taken:
            names[name] = None
    return tuple(names)
