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
from pydantic import ConfigDict, PrivateAttr
from resources_servers.gymnasium import GymnasiumServer

from ...core.episode import Episode, Protocol

_COMPONENTS = ("readable", "feasible", "quality")
MAX_SESSIONS = 10_000
"""Episodes that a server holds at a time; one more takes the place of the one that has been idle longest."""
MAX_IDLE_S = 3600.0
"""Seconds after which an episode that nobody goes on with is given up."""


class ForgeConfig(BaseResourcesServerConfig):
    """What the YAML says: a `Protocol`. The agent's ``max_steps`` should be no fewer than the ``turns``."""

    REVERIFY_MODE: ClassVar[ReverifyMode] = ReverifyMode.STATELESS

    turns: int = 1
    keep: str = "best"
    reward: str = "tiered"
    thoughts: str | dict[str, Any] = "</think>"

    def model_post_init(self, context: Any) -> None:
        """Refuse what is wrong, before a server starts."""
        super().model_post_init(context)
        self.protocol()

    def protocol(self) -> Protocol:
        """Return how episodes go."""
        return Protocol(self.turns, self.keep, self.reward, self.thoughts)


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

    _timers: dict[str | None, asyncio.TimerHandle] = PrivateAttr(default_factory=dict)

    async def reset(self, metadata: dict[str, Any], session_id: str | None = None) -> tuple[None, dict[str, Any]]:
        """Begin the episode of a row, which has its prompt; raise ``ValueError`` if its ``spec`` is none."""
        self._cleanup_session(session_id)
        spec: Any = metadata.get("spec")
        self._hold(session_id, await asyncio.to_thread(Episode.of_spec, spec, self.config.protocol()))
        return None, {}

    async def step(
        self, action: NeMoGymResponse, metadata: dict[str, Any], session_id: str | None = None
    ) -> tuple[str | None, float, bool, bool, dict[str, Any]]:
        """Judge a reply and answer it; ``info`` has the numbers of the kept one. Raise where judging fails."""
        episode: Episode | None = self.session_state.get(session_id)
        self._cleanup_session(session_id)  # it comes back if it goes on; a second step at the same time finds none
        if episode is None:
            raise ValueError("step needs a running episode: call reset first")
        feedback = await asyncio.to_thread(episode.say, reply(action))
        info = {**episode.numbers(), "turns": episode.turn}
        if not episode.over and session_id not in self.session_state:
            self._hold(session_id, episode)
        return None if episode.over else feedback, episode.paid, episode.over, False, info

    def _hold(self, session_id: str | None, episode: Episode) -> None:
        """Keep an episode for its next step."""
        self._cleanup_session(session_id)
        while len(self.session_state) >= MAX_SESSIONS:
            self._cleanup_session(next(iter(self.session_state)))
        self.session_state[session_id] = episode
        loop = asyncio.get_running_loop()
        self._timers[session_id] = loop.call_later(MAX_IDLE_S, self._cleanup_session, session_id)

    def _cleanup_session(self, session_id: str | None) -> None:
        """Release an episode; NeMo Gym calls it after the last step too."""
        super()._cleanup_session(session_id)
        if timer := self._timers.pop(session_id, None):
            timer.cancel()

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
