"""The resources servers: `ForgeServer` judges one reply, `ForgeTurnsServer` plays several turns."""

import asyncio
from statistics import mean
from typing import Any, ClassVar

from nemo_gym.base_resources_server import (
    BaseMultiRewardVerifyResponse,
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    ReverifyMode,
    SimpleResourcesServer,
)
from nemo_gym.openai_utils import NeMoGymResponse
from pydantic import ConfigDict
from resources_servers.gymnasium import GymnasiumServer

from ...core.episode import Episode, Protocol

_COMPONENTS = ("readable", "feasible", "quality")


class ForgeConfig(BaseResourcesServerConfig):
    """What the YAML says: a `Protocol`. The agent's ``max_steps`` should be no fewer than the ``turns``."""

    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS

    turns: int = 1
    keep: str = "best"
    reward: str = "tiered"

    def model_post_init(self, context: Any) -> None:
        """Refuse what is wrong, before a server starts."""
        super().model_post_init(context)
        self.protocol()

    def protocol(self) -> Protocol:
        """Return how episodes go."""
        return Protocol(self.turns, self.keep, self.reward)


class ForgeVerifyRequest(BaseVerifyRequest):
    """A row, and what was replied."""

    model_config = ConfigDict(extra="allow")

    spec: str


class ForgeVerifyResponse(BaseMultiRewardVerifyResponse):
    """The request, ``reward``, and the other numbers of `Episode.numbers`, which NeMo Gym averages."""

    model_config = ConfigDict(extra="allow")


class ForgeServer(SimpleResourcesServer):
    """Judges one reply per row, at ``/verify``; for ``simple_agent`` and others without tools.

    ``reward`` is that of the scheme. ``reward_components`` are ``readable``, ``feasible`` and ``quality``, from 0 to 1,
    for algorithms of several objectives. Where judging fails, through a fault of ours, the sample is masked.
    """

    ray_enabled: ClassVar[bool] = False
    config: ForgeConfig

    async def verify(self, body: ForgeVerifyRequest) -> ForgeVerifyResponse:
        """Judge ``body.response``; raise ``ValueError`` if the row's ``spec`` is none."""
        episode = await asyncio.to_thread(Episode.of_spec, body.spec, self.config.protocol())
        await asyncio.to_thread(episode.say, reply(body.response))
        judged = episode.fault is None
        numbers = episode.numbers() if judged else {}
        parts = {"readable": 1.0 - numbers.get("malformed", 1.0), **numbers}
        response = {
            "reward": numbers.pop("score", 0.0),
            **numbers,
            "reward_components": {name: parts.get(name, 0.0) for name in _COMPONENTS},
            "mask_sample": not judged,
            "failure_kind": None if judged else "verifier_error",
            "failure_reason": None if judged else f"{type(episode.fault).__name__}: {episode.fault}",
        }
        return ForgeVerifyResponse(**(body.model_dump() | response))


class ForgeTurnsServer(GymnasiumServer):
    """Plays several turns per row, at ``/reset`` and ``/step``; for ``gymnasium_agent``.

    The agent adds up the rewards of the steps, so each is the change of the kept reply's reward. A fault of ours
    raises: NeMo Gym stops, or with ``route_failures_to_sidecar`` puts the rollout among the failures, which have no
    reward.
    """

    ray_enabled: ClassVar[bool] = False
    config: ForgeConfig

    async def reset(self, metadata: dict[str, Any], session_id: str | None = None) -> tuple[None, dict[str, Any]]:
        """Begin the episode of a row, which has its prompt; raise ``ValueError`` if its ``spec`` is none."""
        spec: Any = metadata.get("spec")
        episode = await asyncio.to_thread(Episode.of_spec, spec, self.config.protocol())
        self.session_state[session_id] = episode
        return None, {}

    async def step(
        self, action: NeMoGymResponse, metadata: dict[str, Any], session_id: str | None = None
    ) -> tuple[str | None, float, bool, bool, dict[str, Any]]:
        """Judge a reply and answer it; ``info`` has the numbers of the kept one. Raise where judging fails."""
        episode: Episode | None = self.session_state.get(session_id)
        if episode is None:
            raise ValueError("step needs a running episode: call reset first")
        feedback = await asyncio.to_thread(episode.say, reply(action))
        info = {**episode.numbers(), "turns": episode.turn}
        return None if episode.over else feedback, episode.paid, episode.over, False, info

    def compute_metrics(self, tasks: list[list[dict[str, Any]]]) -> dict[str, float]:
        """Average the numbers in ``info``, into which NeMo Gym does not look."""
        infos = [rollout["info"] for rollouts in tasks for rollout in rollouts if rollout.get("info")]
        return {f"mean/{name}": mean(info[name] for info in infos) for name in (infos[0] if infos else ())}


def reply(response: NeMoGymResponse) -> str:
    """Return the text that the model replied: no reasoning, no tool calls, and nothing that others said."""
    said = [item.content for item in response.output if item.type == "message" and item.role == "assistant"]
    parts = [part for content in said for part in ([content] if isinstance(content, str) else content)]
    texts = (part if isinstance(part, str) else getattr(part, "text", "") for part in parts)
    return "".join(texts)
