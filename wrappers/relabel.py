"""Ask for the same instances under other numbers, or under names."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import gymnasium as gym
import numpy as np

from ..core.answer import extract, wrap
from ..core.problem import Instance, moved
from ..core.verdict import Malformed
from .episode import episode_generator, text_env

_LAST_OFFSET = 999
_SYLLABLES = [consonant + vowel for consonant in "klmnrstv" for vowel in "aeiou"]
_PHRASES = {
    "numbers of the chosen": "names of the chosen",
    "with its number": "with its name",
    "of higher number": "later in that list",
    "list of integers": "list of names",
    "lists of integers": "lists of names",
    "lists of 3 integers": "lists of a name and 2 integers",
}
"""What is said of elements that have names; their names stand in the prompt as a list."""


class Relabel(gym.Wrapper[str, str, str, str], gym.utils.RecordConstructorArgs):
    """Put every instance under random numbers: the same problem, the same worth of every answer, another text.

    For tests of robustness and memorisation: an agent that understands the problem scores the same, one that
    knows the text by heart does not. ``order`` is the episode's permutation: element ``i`` of the instance
    ``original`` has the number ``order[i]``; `restore` maps solutions back.

    Parameters
    ----------
    env
        A text environment, wrapped or not. A second wrapper that changes words, such as `Skin`, goes inside.
    first
        Also count the elements from a random number of 1 to 999. Off by default, since the texts then hold
        numbers that a model trained on small ones never saw: a harder test than another order.
    names
        Instead give the elements random names, such as ``"kova"``, in prompts and feedback. Answers then list
        names in quotes, and one with numbers in their place is malformed.

    Raises
    ------
    ValueError
        If ``first`` or ``names`` is asked of texts that always count from 0: tours (TSP), answers by position
        (GraphColoring), and the style ``compact``.

    Notes
    -----
    ``reset`` solves the instance, since the anchors of its scale stay those of the original numbers. The order
    depends on seed and index alone. ``names`` works by numbers too large to be anything else in the texts;
    pictures, and the verdict inside the environment, show those.

    Examples
    --------
    >>> import gymnasium as gym, forge_gym
    >>> env = Relabel(gym.make("Forge/TSP-v0", n=5))
    >>> prompt, info = env.reset(seed=3)
    >>> env.order
    (2, 4, 0, 1, 3)
    >>> env.restore(env.order)
    (0, 1, 2, 3, 4)

    With names:

    >>> env = Relabel(gym.make("Forge/Knapsack-v0", n=4), names=True)
    >>> prompt, info = env.reset(seed=3)
    >>> print(prompt.splitlines()[1])
    There are 4 items, named mavu, saru, nune, karo: one line per item, with its name, its weight and its value.
    >>> feedback, *_ = env.step('<answer>["nune", "moon"]</answer>')
    >>> print(feedback)
    Your answer is infeasible: items are mavu, saru, nune, karo, got 1 others.
    """

    def __init__(self, env: gym.Env[str, str], *, first: bool = False, names: bool = False) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, first=first, names=names)
        gym.Wrapper.__init__(self, env)
        self._text_env = text_env(env)
        problem = self._text_env.problem
        positional = problem.kind == "assignment" or not any(
            field.name == "first" for field in fields(problem.instance_type)
        )
        for parameter, asked in (("first", first), ("names", names)):
            if asked and positional:
                rule = f"the texts of {problem.name} count from 0"
                raise ValueError(f"{parameter} must be False, since {rule}, got True: did you mean False?")
            if asked and problem.style == "compact":
                raise ValueError(
                    f"{parameter} must be False with style='compact', got True: did you mean False?"
                )
        if names and first:
            raise ValueError("first must be False with names=True, got True: did you mean False?")
        self._first, self._with_names = first, names
        self.order: tuple[int, ...] = ()
        self.original: Instance | None = None
        self.names: tuple[str, ...] = ()
        self._spelt: dict[str, str] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start the next episode; ``options`` as in `TextEnv.reset`."""
        problem = self._text_env.problem
        # The environment itself says which instance is next; wrappers between here and there see one reset.
        prompt, info = self._text_env.reset(seed=seed, options=options)
        original = self._text_env.instance
        assert original is not None
        rng = episode_generator("Relabel", info)
        order = tuple(rng.permutation(original.size).tolist())
        instance = problem.relabelled(original, order)
        if self._first:
            instance = _counted_from(instance, int(rng.integers(1, _LAST_OFFSET + 1)))
        if self._with_names:
            # No number of the prompt, and no sum of a million of them, reaches the elements' numbers.
            start = 10 ** (max(map(len, re.findall(r"\d+", prompt))) + 6)
            instance = _counted_from(instance, start)
            tiny, _ = problem.example(instance)
            names = _draw_names(rng, instance.size + tiny.size, prompt)
            self.names = names[: instance.size]
            self._spelt = {str(number): name for number, name in enumerate(names, start)}
        self.order, self.original = order, original
        prompt, info = self.env.reset(seed=seed, options={"index": info["index"], "instance": instance})
        return self._named(prompt), info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take a step, with names for numbers and numbers for names."""
        if self._spelt and isinstance(action, str):
            action = self._numbered(action)
        feedback, reward, terminated, truncated, info = self.env.step(action)
        return self._named(feedback), float(reward), terminated, truncated, info

    def render(self) -> Any:
        """Return the picture of the environment, or its text with names."""
        shown = super().render()
        return self._named(shown) if isinstance(shown, str) else shown

    def restore(self, solution: Any) -> Any:
        """Return ``solution`` to the episode's instance as one to ``original``: the inverse of `Problem.relabel`."""
        return self._text_env.problem.relabel(solution, moved(range(len(self.order)), self.order))

    def _named(self, text: str) -> str:
        if not self._spelt:
            return text
        spelt = self._spelt

        def quote(found: re.Match[str]) -> str:
            return json.dumps(spelt[found[0]]) if found[0] in spelt else found[0]

        def spread(found: re.Match[str]) -> str:
            if found[2] not in spelt or found[3] not in spelt:
                return found[0]
            names = ", ".join(spelt[str(i)] for i in range(int(found[2]), int(found[3]) + 1))
            return f"named {names}" if found[1] else names

        text = re.sub(r"\[.*\]", lambda answer: re.sub(r"\d+", quote, answer[0]), text)
        text = re.sub(r"(numbered )?(\d+) to (\d+)", spread, text)
        text = re.sub(r"\d+", lambda found: spelt.get(found[0], found[0]), text)
        for old, new in _PHRASES.items():
            text = text.replace(old, new)
        return text

    def _numbered(self, reply: str) -> str:
        """Return ``reply`` with the numbers of its names, or as malformed as it is."""
        problem, instance = self._text_env.problem, self._text_env.instance
        try:
            body = extract(reply, problem.answer_format)
        except Malformed:
            return reply
        numbers = {json.dumps(name): number for number, name in self._spelt.items()}
        stranger = str(int(min(numbers.values(), key=int)) - 1)
        # Rows name an element at their start; every place of other lists does.
        place = r'(\[\s*)("[^"\\]*"|-?\d+)' if problem.kind == "schedule" else r'()("[^"\\]*"|-?\d+)'

        def number(found: re.Match[str]) -> str:
            return found[1] + (numbers.get(found[2], stranger) if found[2][0] == '"' else f'"{found[2]}"')

        def quote(found: re.Match[str]) -> str:
            return found[1] + (found[2] if found[2][0] == '"' else f'"{found[2]}"')

        numbered = wrap(re.sub(place, number, body), problem.answer_format)
        try:
            problem.read(instance, numbered)
        except Malformed:  # with its own words, for the sake of the reason that quotes them
            return wrap(re.sub(place, quote, body), problem.answer_format)
        return numbered


def _counted_from(instance: Any, first: int) -> Any:
    """Return ``instance`` with its elements counted from ``first`` in texts, and on the same scale."""
    found = replace(instance, first=first)
    found.memo.update(instance.memo)
    return found


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
