"""What an agent is: a name, and replies to a batch of tasks, or to one task at a time that others need not wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ..core.answer import THOUGHTS, Thoughts
from ..core.instance import Instance
from ..core.problem import Problem

Message: TypeAlias = dict[str, str]
"""``{"role": "system" | "user" | "assistant", "content": text}``."""


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


@dataclass(frozen=True)
class Reply:
    """What came back for one task, and what it took."""

    text: str
    """What the model said; where a server gave its thoughts alone, these, between the marks of the agent's `Thoughts`.

    A stop string that a server left out is put back where it says that it stopped there: the model has written it.
    """
    finish: str = ""
    """Why the model stopped, as its server says: ``stop``, ``length``, ...; empty where unknown."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """In the currency of the prices that the agent was given."""
    seconds: float = 0.0
    """Of the successful attempt."""
    attempts: int = 1


class AgentError(Exception):
    """A reply that could not be had: the server's fault or the network's, never the model's answer."""


class Unreachable(AgentError, ConnectionError):
    """There is no server: the first connections are refused or the host is unknown, so nothing more need be asked."""


class Agent(Protocol):
    """Text in, text out.

    One whose model ends its thoughts otherwise than with ``</think>`` says so in an attribute ``thoughts``, as of
    `forge_gym.core.episode.Protocol`.
    """

    @property
    def name(self) -> str:
        """How tables call the agent."""

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return one reply per task, in order."""


class AsyncAgent(Protocol):
    """An agent behind a network: many tasks are under way at once, and each ends when it ends."""

    @property
    def name(self) -> str:
        """How tables call the agent."""

    async def __aenter__(self) -> Any:
        """Open connections in the running event loop."""

    async def __aexit__(self, *error: object) -> None:
        """Close them."""

    async def reply(self, task: Task) -> Reply:
        """Return the reply to one task, or raise `AgentError`; the agent itself bounds how many are under way."""


def thoughts_of(agent: Agent | AsyncAgent) -> Thoughts:
    """Return how the thoughts of ``agent`` end: its attribute ``thoughts``, if it has one."""
    return Thoughts.of(getattr(agent, "thoughts", THOUGHTS))
