"""What travels between client and server."""

from __future__ import annotations

from typing import Annotated, Any

from openenv.core.env_server.types import Action, Observation, State
from pydantic import PlainValidator
from pydantic_core import PydanticCustomError


def _text(value: Any) -> str:
    """Take any string: pydantic's own refuses half of a surrogate pair, which a model may well say."""
    if not isinstance(value, str):
        # Of this class, for the server sends all of an error as JSON, and a ValueError is none.
        raise PydanticCustomError("text", "text must be a string")
    return value


class ForgeAction(Action):
    """A reply.

    Examples
    --------
    >>> ForgeAction(text="<answer>[0, 2, 1]</answer>").text
    '<answer>[0, 2, 1]</answer>'
    """

    text: Annotated[str, PlainValidator(_text, json_schema_input_type=str)]
    """The whole reply of a model, thoughts included."""


class ForgeObservation(Observation):
    """The prompt after a reset, feedback after a step."""

    text: str
    info: dict[str, bool | int | float] = {}  # noqa: RUF012 - a field: pydantic copies it
    """What `TextEnv` says in numbers, with the same keys at every step."""


class ForgeState(State):
    """Where the session is."""

    spec: str = ""
    """Rebuilds problem and instance; see `forge_gym.from_spec`. Empty before the first reset."""
    turns: int = 0
    """Replies that the episode allows; ``step_count`` of them are made."""
