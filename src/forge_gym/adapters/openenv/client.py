"""What travels between client and server, and a client; any other that speaks OpenEnv's protocol does as well."""

from __future__ import annotations

from typing import Annotated, Any

from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient
from openenv.core.env_server.types import Action, Observation, State
from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from ...core.answer import MAX_REPLY


def _text(value: Any) -> str:
    """Take any string: pydantic's own refuses half of a surrogate pair, which a model may well say."""
    if not isinstance(value, str):
        # Of this class, for the server sends all of an error as JSON, and a ValueError is none.
        raise PydanticCustomError("text", "text must be a string")
    return value


class ForgeAction(Action):
    """A reply."""

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


class ForgeClient(EnvClient[ForgeAction, ForgeObservation, ForgeState]):
    """A session on a server, asynchronous; ``.sync()`` is the same without await.

    Arguments of ``reset`` are those of `forge_gym.adapters.openenv.server.ForgeEnvironment.reset`.
    """

    def _step_payload(self, action: ForgeAction) -> dict[str, Any]:
        return {"text": action.text[: MAX_REPLY + 1]}  # too long stays too long, and fits a message

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[ForgeObservation]:
        done, reward = payload["done"], payload["reward"]
        observation = ForgeObservation(**payload["observation"], done=done, reward=reward)
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> ForgeState:
        return ForgeState(**payload)
