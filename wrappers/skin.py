"""Tell another story about the same instances: same data, same answers, other words."""

from __future__ import annotations

import importlib.resources
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import gymnasium as gym

from ..core.checks import check_choice, short_repr
from ..kinds.table import plural
from .episode import episode_generator, text_env

_KEPT = re.compile(r"\d|answer|json", re.IGNORECASE)
_HEADING = re.compile(r"\A[^\n:]* problem: ")
_QUOTED = r"(?<= )['\"].*"  # to the end of its line: a reply is cited as it is


@dataclass(frozen=True)
class Story:
    r"""Words in place of a problem's own; none is empty, or changes numbers, "answer" or "JSON".

    Examples
    --------
    >>> story = Story("picnic", "The basket is small.", {"item": "sandwich", "capacity": "room in the basket"})
    >>> print(story.tell("0/1 knapsack problem: choose items ...\ncapacity 10"))
    The basket is small. Choose sandwiches ...
    room in the basket 10
    """

    name: str
    scene: str
    """What stands before the task; whole sentences without numbers."""
    words: Mapping[str, str]
    """For words and phrases of the problem, in the singular, those of the story: plurals come along."""

    def __post_init__(self) -> None:
        for text in (self.scene, *self.words, *self.words.values()):
            if not isinstance(text, str) or not text.strip() or _KEPT.search(text):
                rule = "a story's words must be text without digits, 'answer' and 'JSON'"
                raise ValueError(f"{rule}, got {short_repr(text)}")

    @cached_property
    def _forms(self) -> dict[str, str]:
        plurals = {_plural(old): _plural(new) for old, new in self.words.items()}
        return {old.lower(): new for old, new in (plurals | dict(self.words)).items()}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._forms, key=lambda words: (-len(words), words))
        words = "|".join(map(re.escape, longest_first)) or "(?!)"  # a story without words changes none
        return re.compile(rf"{_QUOTED}|\b(?P<words>{words})\b", re.IGNORECASE)

    def retell(self, text: str) -> str:
        """Return ``text`` in the story's words."""

        def other(match: re.Match[str]) -> str:
            if match["words"] is None:
                return match[0]
            new = self._forms[match["words"].lower()]
            return new[0].upper() + new[1:] if match[0][0].isupper() else new

        return self._pattern.sub(other, text)

    def tell(self, prompt: str) -> str:
        """Return ``prompt`` in the story's words, with its scene for the name of the problem."""
        task = _HEADING.sub("", prompt)
        return f"{self.scene} {self.retell(task[:1].upper() + task[1:])}"


def _plural(words: str) -> str:
    """Return the plural of ``words``, which end with a noun, such as cities, days, halves, addresses and exams."""
    before, last = words[: -len(words.split()[-1])], words.split()[-1]
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return f"{before}{last[:-1]}ies"
    if last.endswith(("s", "x", "ch", "sh")) and plural(last) == f"{last}s":
        return f"{words}es"
    return before + plural(last)


@cache
def stories(problem: type[Any]) -> Mapping[str, Story]:
    """Return the stories of a problem's class by their names: those of ``stories/<Problem>.toml`` beside its module."""
    package = problem.__module__.rpartition(".")[0]
    file = importlib.resources.files(package) / "stories" / f"{problem.__name__}.toml" if package else None
    if file is None or not file.is_file():
        return {}
    told = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: Story(name, story["scene"], story["words"]) for name, story in told.items()}


class Skin(gym.Wrapper[str, str, str, str], gym.utils.RecordConstructorArgs):
    """Tell another story about the same instance: a knapsack becomes a rescue flight.

    Words change in prompts and feedback; data, numbers, answers and rewards do not. ``story`` is the one of the
    episode.

    Parameters
    ----------
    story
        The name of one of the problem's `stories`, or a `Story` of your own; None draws one of them for every
        episode, by seed and index alone.

    Examples
    --------
    >>> import gymnasium as gym, forge_gym
    >>> env = Skin(gym.make("Forge/Knapsack-v0", n=4), "rescue flight")
    >>> prompt, info = env.reset(seed=3)
    >>> print(prompt[88:])  # doctest: +ELLIPSIS
    Choose crates with the greatest total benefit whose total weight does not exceed the payload limit. ...
    >>> feedback, *_ = env.step("<answer>[7]</answer>")
    >>> print(feedback)
    Your answer is infeasible: crates are 0 to 3, got 1 others.
    """

    def __init__(self, env: gym.Env[str, str], story: str | Story | None = None) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, story=story)
        gym.Wrapper.__init__(self, env)
        problem = text_env(env).problem
        if problem.style == "compact":
            raise ValueError("a skin needs prompts with words, got style='compact': did you mean 'prose'?")
        known = stories(type(problem))
        if story is None and not known:
            raise ValueError(f"story must be a Story, since {problem.name} has none, got None")
        if isinstance(story, str):
            check_choice("story", story, known)
            story = known[story]
        self._stories = (story,) if story is not None else tuple(known.values())
        self.story = self._stories[0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start the next episode, and draw its story."""
        prompt, info = self.env.reset(seed=seed, options=options)
        self.story = self._stories[episode_generator("Skin", info).integers(len(self._stories))]
        return self.story.tell(prompt), info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take a step, and tell its feedback in the story's words."""
        feedback, reward, terminated, truncated, info = self.env.step(action)
        return self.story.retell(feedback), float(reward), terminated, truncated, info

    def render(self) -> Any:
        """Return the picture of the environment, or its text in the story's words."""
        shown = super().render()
        return self.story.tell(shown) if isinstance(shown, str) else shown
