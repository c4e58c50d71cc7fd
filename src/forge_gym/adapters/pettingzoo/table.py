"""What both games share: seats with their spaces, how a game is made by name, and how it is drawn."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import fields
from typing import Any, Self

from gymnasium import spaces

from ...core.answer import MAX_REPLY
from ...core.checks import check_choice, check_known
from ...core.env import MAX_PROMPT, TextEnv
from ...core.instance import Instance
from ...core.problem import Problem
from ...core.registry import problem, problem_class
from ...core.space import Text

RENDER_MODES = ("human", "ansi", "rgb_array")


class Table(ABC):
    """The seats of a game; ``options`` are those of the `TextEnv` whose instance is played."""

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 1}  # noqa: RUF012 - PettingZoo's

    def __init__(
        self, problem: Problem[Any, Any], agents: int, view: str, render_mode: str | None, **options: Any
    ) -> None:
        check_choice("view", view, ("text", "numeric"))
        if render_mode is not None:
            check_choice("render_mode", render_mode, RENDER_MODES)
        self.problem, self.view, self.render_mode = problem, view, render_mode
        self.possible_agents = [f"agent_{number}" for number in range(agents)]
        self.agents: list[str] = []
        self._set_spaces(Text(MAX_PROMPT), Text(MAX_REPLY))
        drawn = "rgb_array" if render_mode == "rgb_array" else None
        self._board = TextEnv(problem, render_mode=drawn, **options)

    @classmethod
    def make(cls, name: str, *, level: int | None = None, **given: Any) -> Self:
        """Return the game on the problem ``name``, with arguments of the game and parameters of the problem."""
        parameters = [field.name for field in fields(problem_class(name))]
        arguments = list(inspect.signature(cls).parameters)[1:]
        check_known(f"{cls.__name__} of {name}", "argument", given, ["level", *parameters, *arguments])
        chosen = {key: given.pop(key) for key in parameters if key in given}
        return cls(problem(name, level=level, **chosen), **given)

    @property
    def instance(self) -> Instance:
        """The instance that is played."""
        assert self._board.instance is not None
        return self._board.instance

    def _set_spaces(self, observation: spaces.Space[Any], action: spaces.Space[Any]) -> None:
        # A space of its own for each agent: they are seeded one by one.
        self._spaces = {agent: deepcopy((observation, action)) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of what ``agent`` observes."""
        return self._spaces[agent][0]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of what ``agent`` does."""
        return self._spaces[agent][1]

    def _read(self, agent: str, action: Any) -> Any:
        """Return ``action`` as the text of a reply or as a number, or raise."""
        if self.view == "text":  # of any length: a reply that is too long is a bad answer, not an error
            if not isinstance(action, str):
                raise TypeError(f"{agent}'s action is the text of a reply (str), got {type(action).__name__}")
            return action
        if not self.action_space(agent).contains(action):
            raise ValueError(f"{agent}'s action must be in {self.action_space(agent)}, got {action!r}")
        return int(action)

    def render(self) -> Any:
        """Return the game as text (``ansi``) or a picture, an (h, w, 3) array of uint8; ``human`` prints the text."""
        if self.render_mode is None or self._board.instance is None:
            return None
        if self.render_mode == "rgb_array":
            return self._picture()
        text = f"{self.problem.prompt(self.instance)}\n\n{self._standing()}"
        return text if self.render_mode == "ansi" else print(text)

    def close(self) -> None:
        """Close what judges the answers: PettingZoo's tests insist on it."""
        self._board.close()

    @abstractmethod
    def _standing(self) -> str:
        """Return how the game stands, in words."""

    def _picture(self) -> Any:
        return self._board.render()


def own(options: dict[str, Any] | None) -> dict[str, Any]:
    """Return those of the options that `TextEnv.reset` knows; PettingZoo's contract is to accept any."""
    return {key: value for key, value in (options or {}).items() if key in TextEnv.options}
