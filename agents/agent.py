"""What an agent is: a name, and replies to a batch of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ..core.problem import Instance, Problem

Message: TypeAlias = dict[str, str]
"""``{"role": "user" | "assistant", "content": text}``."""


@dataclass(frozen=True)
class Task:
    """What an agent is asked: text for a language model, the data behind it for a solver."""

    problem: Problem[Any, Any]
    instance: Instance
    messages: tuple[Message, ...]
    """The conversation so far: prompt, and after a turn the reply and the feedback; the last is the user's."""

    sample: int = 0
    """Which of several answers to the same question this is; decides draws of agents that sample."""

    @property
    def prompt(self) -> str:
        """The text to answer now."""
        return self.messages[-1]["content"]


class Agent(Protocol):
    """Text in, text out."""

    @property
    def name(self) -> str:
        """How tables call the agent."""
        ...

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return one reply per task, in order."""
        ...
