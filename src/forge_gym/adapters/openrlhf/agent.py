"""The file that OpenRLHF's ``--train.agent_func_path`` names: episodes of several turns in free text.

The library loads it by its path, outside of any package, so its imports are absolute.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any

import torch
from openrlhf.utils.agent import AgentInstanceBase, MultiTurnAgentExecutor

from forge_gym.core.answer import THOUGHTS, ThoughtsLike
from forge_gym.core.episode import Episode, Protocol

_MARK = "forge-gym: the reply stands here"


class ForgeAgent(AgentInstanceBase):
    """The episode of a row: reply, feedback in the form of the prompt, and revision."""

    def __init__(self, tokenizer: Any, engine: Engine, protocol: Protocol) -> None:
        self._tokenizer, self._engine, self._protocol = tokenizer, engine, protocol

    async def reset(self, states: dict[str, Any], **foreign: Any) -> dict[str, Any]:
        """Begin the episode of ``states["label"]``, a spec; the prompt stays what the data set made it."""
        # Judging runs in threads, beside the generation of others.
        self._episode = await asyncio.to_thread(Episode.of_spec, states["label"], self._protocol)
        self._prompt: str = states["observation"]
        return {"observation": self._prompt}

    async def step(self, state_dict: dict[str, Any], **foreign: Any) -> dict[str, Any]:
        """Judge ``state_dict["action_text"]``, the whole reply; raise where that fails.

        OpenRLHF adds up the ``rewards`` of an episode, so each is the change of the kept reply's reward.
        """
        episode = self._episode
        feedback = await asyncio.to_thread(episode.say, state_dict["action_text"])
        numbers = episode.numbers()
        del numbers["score"]
        return {
            "rewards": torch.tensor(episode.paid, dtype=torch.float64),
            "scores": numbers["quality"],
            "environment_feedback": "" if episode.over else self._between(feedback),
            "done": episode.over,
            "extra_logs": {**numbers, "turns": float(episode.turn)},
        }

    def _between(self, feedback: str) -> str:
        """Return what stands between the last token of a reply and the first of the next one."""
        asked = self._episode.prompt
        opening, separator, closing = self._prompt.partition(asked)
        if not separator:
            opening = closing = ""
        if closing and getattr(self._tokenizer, "chat_template", None):
            chat = partial(self._tokenizer.apply_chat_template, tokenize=False, add_generation_prompt=True)
            messages = [{"role": "user", "content": asked}]
            if chat(messages).endswith(asked + closing):
                messages += [{"role": "assistant", "content": _MARK}, {"role": "user", "content": feedback}]
                # The reply's tokens hold its end already.
                return re.sub(rf"^\s*{re.escape(self._engine.end)}", "", chat(messages).rpartition(_MARK)[2])
        return "\n\n" + opening + feedback + (closing or "\n\n")


class Engine:
    """OpenRLHF's engine as one episode sees it; it keeps the text of the token that ended the last reply.

    Replies arrive without it, while it stands in the tokens already.
    """

    end = ""

    def __init__(self, engine: Any, tokenizer: Any) -> None:
        self._engine, self._tokenizer = engine, tokenizer

    async def generate(self, *given: Any, **named: Any) -> Any:
        """Draw a reply."""
        output = await self._engine.generate(*given, **named)
        (drawn, *_) = output.outputs
        stopped = drawn.finish_reason == "stop"
        self.end = self._tokenizer.decode(list(drawn.token_ids)[-1:]) if stopped else ""
        return output


def executor(
    *, turns: int = 3, keep: str = "best", reward: str = "tiered", thoughts: ThoughtsLike = THOUGHTS
) -> type[MultiTurnAgentExecutor]:
    """Return a class of executors with another `Protocol`, to be named ``AgentExecutor`` in a file of your own."""
    protocol = Protocol(turns, keep, reward, thoughts)

    class AgentExecutor(MultiTurnAgentExecutor):
        """Plays `ForgeAgent`; without another reward file, since the episodes pay themselves."""

        def __init__(self) -> None:
            super().__init__(ForgeAgent)

        async def execute(
            self,
            prompt: str,
            label: str,
            sampling_params: Any,
            max_length: int,
            hf_tokenizer: Any,
            llm_engine: Any,
            images: Any = None,
        ) -> Any:
            """Play one episode and return it as tokens, action ranges and reward."""
            engine = Engine(llm_engine, hf_tokenizer)
            # The base class builds the agent without arguments, before anything else can run.
            self.agent_instance_cls = partial(ForgeAgent, hf_tokenizer, engine, protocol)
            return await super().execute(prompt, label, sampling_params, max_length, hf_tokenizer, engine, images)

    return AgentExecutor


AgentExecutor = executor()
