"""A client of the server; any other that speaks OpenEnv's protocol does as well."""

from __future__ import annotations

from typing import Any

from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient

from ...core.answer import MAX_REPLY
from .models import ForgeAction, ForgeObservation, ForgeState


class ForgeClient(EnvClient[ForgeAction, ForgeObservation, ForgeState]):
    """A session on a server, asynchronous; ``.sync()`` is the same without await.

    Arguments of ``reset`` are those of `forge_gym.adapters.openenv.server.ForgeEnvironment.reset`.

    Examples
    --------
    >>> client = ForgeClient(base_url="http://127.0.0.1:8000")
    >>> client._step_payload(ForgeAction(text="<answer>[]</answer>"))
    {'text': '<answer>[]</answer>'}
    """

    def _step_payload(self, action: ForgeAction) -> dict[str, Any]:
        return {"text": action.text[: MAX_REPLY + 1]}  # too long stays too long, and fits a message

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[ForgeObservation]:
        done, reward = payload["done"], payload["reward"]
        observation = ForgeObservation(**payload["observation"], done=done, reward=reward)
        return StepResult(observation=observation, reward=reward, done=done)

    def _parse_state(self, payload: dict[str, Any]) -> ForgeState:
        return ForgeState(**payload)
