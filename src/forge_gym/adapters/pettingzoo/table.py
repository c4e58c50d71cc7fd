"""What both games share: seats with their spaces, how they are made and drawn, and texts as arrays of code points."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import fields
from typing import Any, Self

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ...core.answer import MAX_REPLY
from ...core.checks import check_choice, check_int, check_known
from ...core.env import MAX_PROMPT, TextEnv
from ...core.instance import Instance
from ...core.problem import Problem
from ...core.registry import problem, problem_class
from ...core.space import Text

VIEWS = ("text", "codes", "numeric")
"""``text``: prompts and replies; ``codes``: the same as arrays of code points; ``numeric``: arrays and numbers."""

LENGTH = 2**14
"""Default number of code points of a text."""
RENDER_MODES = ("human", "ansi", "rgb_array")


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
        padded = np.zeros(self.length, np.int32)
        points = np.frombuffer(text[: self.length].encode("utf-32-le", "surrogatepass"), "<u4")
        padded[: len(points)] = points
        return padded

    def decode(self, codes: NDArray[Any]) -> str:
        """Return the text that ``codes`` spell, up to the first zero."""
        points = np.asarray(codes)
        end = int(np.append(points == 0, True).argmax())
        return points[:end].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


class Table(ABC):
    """The seats of a game: what is seen and done from each, and how the game is drawn.

    Parameters
    ----------
    problem
        The problem with its parameters; `Table.make` takes its name instead.
    agents
        How many: ``agent_0``, ``agent_1``, ...
    view
        One of `VIEWS`; the spaces of the numeric one are set by `_spaces`.
    length
        Code points of a text in the view ``codes``.
    render_mode
        ``ansi`` (text), ``human`` (prints it) or ``rgb_array`` (a picture; needs matplotlib).
    **options
        Of the `TextEnv` whose instance is played.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # noqa: RUF012 - PettingZoo's

    def __init__(
        self,
        problem: Problem[Any, Any],
        *,
        agents: int,
        view: str,
        length: int,
        render_mode: str | None,
        **options: Any,
    ) -> None:
        check_choice("view", view, VIEWS)
        if render_mode is not None:
            check_choice("render_mode", render_mode, RENDER_MODES)
        self.problem = problem
        self.possible_agents = [f"agent_{number}" for number in range(agents)]
        self.agents: list[str] = []
        self.view, self.render_mode = view, render_mode
        self._codes = Codes(length)
        if view == "codes":
            self._spaces(self._codes, self._codes)
        else:
            self._spaces(Text(MAX_PROMPT), Text(MAX_REPLY))
        drawn = "rgb_array" if render_mode == "rgb_array" else None
        self._board = TextEnv(problem, render_mode=drawn, **options)
        """Knows the instance that is played."""

    @classmethod
    def make(cls, name: str, *, level: int | None = None, **given: Any) -> Self:
        """Return the game on the problem ``name``.

        Parameters
        ----------
        name, level
            As in `forge_gym.problem`.
        **given
            Arguments of the game and parameters of the problem.

        Raises
        ------
        ValueError
            For a name that neither has; the message suggests the nearest.

        Examples
        --------
        >>> from forge_gym.adapters.pettingzoo import env, parallel_env
        >>> duel = parallel_env("TSP", n=6, agents=3, view="numeric")
        >>> observations, _ = duel.reset(seed=1)
        >>> duel.action_space("agent_2"), observations["agent_2"]["action_mask"].tolist()
        (Discrete(7), [1, 1, 1, 1, 1, 1, 0])
        >>> parallel_env("TSP", agent=3)
        Traceback (most recent call last):
        ValueError: Duel of TSP has no argument 'agent': did you mean 'agents'?
        >>> relay = env("TSP", n=6, agents=3, view="numeric", owned=True)
        >>> relay.reset(seed=4)
        >>> observation, reward, termination, truncation, info = relay.last()
        >>> relay.shares["agent_0"], observation["action_mask"].nonzero()[0].tolist()
        (frozenset({0, 1}), [0, 15])
        """
        parameters = [field.name for field in fields(problem_class(name))]
        arguments = list(inspect.signature(cls).parameters)[1:]
        check_known(f"{cls.__name__} of {name}", "argument", given, [*parameters, *arguments])
        chosen = {key: given.pop(key) for key in parameters if key in given}
        return cls(problem(name, level=level, **chosen), **given)

    @property
    def instance(self) -> Instance:
        """The instance that is played."""
        assert self._board.instance is not None
        return self._board.instance

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

    def _shown(self, text: str) -> Any:
        return self._codes.encode(text) if self.view == "codes" else text

    def render(self) -> Any:
        """Return the game as text (``ansi``) or a picture, an (h, w, 3) array of uint8; ``human`` prints the text."""
        if self.render_mode is None or self._board.instance is None:
            return None
        if self.render_mode == "rgb_array":
            return self._picture()
        text = f"{self.problem.prompt(self.instance)}\n\n{self._standing()}"
        if self.render_mode == "ansi":
            return text
        print(text)
        return None

    def close(self) -> None:
        """Close what judges the answers: PettingZoo's tests insist on it."""
        self._board.close()

    @abstractmethod
    def _standing(self) -> str:
        """Return how the game stands, in words."""

    @abstractmethod
    def _picture(self) -> NDArray[np.uint8]:
        """Draw how the game stands, an (h, w, 3) array."""


def own(options: dict[str, Any] | None) -> dict[str, Any]:
    """Return those of the options that `TextEnv.reset` knows; PettingZoo's contract is to accept any."""
    return {key: value for key, value in (options or {}).items() if key in ("index", "instance")}
