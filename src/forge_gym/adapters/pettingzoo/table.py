"""What both games share: seats with their spaces, and texts as arrays of code points."""

from __future__ import annotations

import inspect
from copy import deepcopy
from dataclasses import fields
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ...core.answer import MAX_REPLY
from ...core.checks import check_choice, check_int, check_known
from ...core.env import MAX_PROMPT
from ...core.registry import problem, problem_class
from ...core.space import Text

VIEWS = ("text", "codes", "numeric")
"""``text``: prompts and replies; ``codes``: the same as arrays of code points; ``numeric``: arrays and numbers."""

LENGTH = 2**14
"""Default number of code points of a text."""
RENDER_MODES = ("human", "ansi", "rgb_array")
_OPTIONS = ("index", "instance")


class Codes(spaces.Box):
    """Texts as arrays of ``length`` code points: a longer one loses its end, a shorter one is filled with zeros.

    Examples
    --------
    >>> space = Codes(4)
    >>> space.encode("né").tolist(), space.decode(np.array([110, 233, 0, 7]))
    ([110, 233, 0, 0], 'né')
    """

    def __init__(self, length: int = LENGTH) -> None:
        check_int("length", length, 1)
        super().__init__(0, 0x10FFFF, (length,), np.int32)
        self.length = length

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the code points of ``text``."""
        found = np.zeros(self.length, np.int32)
        points = np.frombuffer(text[: self.length].encode("utf-32-le", "surrogatepass"), "<u4")
        found[: len(points)] = points
        return found

    def decode(self, codes: NDArray[Any]) -> str:
        """Return the text that ``codes`` spell, up to the first zero."""
        points = np.asarray(codes)
        end = int(np.append(points == 0, True).argmax())
        return points[:end].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


class Table:
    """The seats of a game, what is seen and done from each, and what a seat's action says."""

    possible_agents: list[str]
    agents: list[str]
    view: str
    render_mode: str | None

    def _seat(self, agents: int, view: str, length: int, render_mode: str | None) -> None:
        """Take so many seats; the spaces of the numeric view are set by `_spaces`."""
        check_choice("view", view, VIEWS)
        if render_mode is not None:
            check_choice("render_mode", render_mode, RENDER_MODES)
        self.possible_agents = [f"agent_{number}" for number in range(agents)]
        self.agents = []
        self.view, self.render_mode = view, render_mode
        self._codes = Codes(length)
        if view == "codes":
            self._spaces(self._codes, self._codes)
        else:
            self._spaces(Text(MAX_PROMPT), Text(MAX_REPLY))

    def _spaces(self, observation: spaces.Space[Any], action: spaces.Space[Any]) -> None:
        # A space of its own for each agent: they are seeded one by one.
        self._observation_spaces = {agent: deepcopy(observation) for agent in self.possible_agents}
        self._action_spaces = {agent: deepcopy(action) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of what ``agent`` observes."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of what ``agent`` does."""
        return self._action_spaces[agent]

    def _read(self, agent: str, action: Any) -> Any:
        """Return ``action`` as the text of a reply or as a number, or raise."""
        if self.view == "text":  # of any length: a reply that is too long is a bad answer, not an error
            if not isinstance(action, str):
                raise TypeError(f"{agent}'s action is the text of a reply (str), got {type(action).__name__}")
            return action
        space = self._action_spaces[agent]
        if not space.contains(action):
            raise ValueError(f"{agent}'s action must be in {space}, got {action!r}")
        return self._codes.decode(action) if self.view == "codes" else int(action)

    def render(self) -> Any:
        """Return the game as text (``ansi``) or a picture, an (h, w, 3) array of uint8; ``human`` prints the text."""
        if self.render_mode is None or not self._begun():
            return None
        if self.render_mode == "rgb_array":
            return self._picture()
        if self.render_mode == "ansi":
            return self._text()
        print(self._text())
        return None

    def _begun(self) -> bool:
        raise NotImplementedError

    def _text(self) -> str:
        raise NotImplementedError

    def _picture(self) -> NDArray[np.uint8]:
        raise NotImplementedError

    def _shown(self, text: str) -> Any:
        return self._codes.encode(text) if self.view == "codes" else text


def own(options: dict[str, Any] | None) -> dict[str, Any]:
    """Return those of the options that `TextEnv.reset` knows; PettingZoo's contract is to accept any.

    Examples
    --------
    >>> own({"index": 3, "options": 1})
    {'index': 3}
    """
    return {key: value for key, value in (options or {}).items() if key in _OPTIONS}


def make(game: type[Any], name: str, level: int | None, given: dict[str, Any]) -> Any:
    """Return ``game`` on the problem ``name``, its arguments and the problem's parameters given together.

    Raises
    ------
    ValueError
        For a name that neither has; the message suggests the nearest.
    """
    parameters = [field.name for field in fields(problem_class(name))]
    arguments = list(inspect.signature(game).parameters)[1:]
    check_known(f"{game.__name__} of {name}", "argument", given, [*parameters, *arguments])
    chosen = {key: value for key, value in given.items() if key in parameters}
    rest = {key: value for key, value in given.items() if key not in parameters}
    return game(problem(name, level=level, **chosen), **rest)
