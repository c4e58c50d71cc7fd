"""Episodes in free text for verl: reply, feedback and revision in one trajectory."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any
from uuid import uuid4

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput, register
from verl.utils.profiler import simple_timer

from ...core.answer import THOUGHTS, ThoughtsLike
from ...core.checks import check_known
from ...core.episode import Episode, Protocol

_KNOWN = [
    "turns",
    "keep",
    "reward",
    "thoughts",
    "name",
    "tools",
    *list(inspect.signature(AgentLoopBase.__init__).parameters)[1:],
]
"""Arguments of ours and of verl, which also hands over the entry's own name, and tools."""


@register("forge")
class ForgeAgentLoop(AgentLoopBase):
    """An agent loop in which the model reads the verdict after each reply and may revise.

    A file of agent loops, ``actor_rollout_ref.rollout.agent.agent_loop_config_path``, names it and sets ``turns``,
    ``keep``, ``reward`` and ``thoughts`` of `Protocol`.

    A trajectory is the model's tokens as they were drawn, with the tokens of the feedback between them, which
    ``response_mask`` keeps out of the loss. It ends with a proven optimum, after ``turns`` replies, or where feedback
    and one more token would not fit into the response length, which bounds all turns together. A reply that is cut
    off there is judged as it stands.

    The kept reply's score goes out as ``reward_score``, so that no other reward function is asked, and
    `Episode.numbers` as ``reward_extra_info``. Judging runs in a thread, beside the generation of others.
    """

    def __init__(
        self,
        *,
        turns: int = 3,
        keep: str = "best",
        reward: str = "tiered",
        thoughts: ThoughtsLike = THOUGHTS,
        **base: Any,
    ) -> None:
        self._protocol = Protocol(turns, keep, reward, thoughts)
        check_known("ForgeAgentLoop", "argument", base, _KNOWN)
        super().__init__(**base)

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **row: Any) -> AgentLoopOutput:
        """Play the episode of a dataset's ``row``; raise where judging fails, so that verl drops the rollout."""
        config, judge = self.rollout_config, partial(self.loop.run_in_executor, None)
        spec = (row.get("reward_model") or {}).get("ground_truth")
        episode: Episode = await judge(Episode.of_spec, spec, self._protocol)
        messages = list(row["raw_prompt"])
        request = f"det-{int(priority)}" if config.get("full_determinism", False) else uuid4().hex
        ids = await self.ct_build_initial_tokens(messages)
        mask: list[int] = []
        logprobs: list[float] | None = None
        metrics: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        experts, preempted = None, []
        while True:
            room = config.response_length - len(mask)
            with simple_timer("generate_sequences", metrics):
                output = await self.server_manager.generate(
                    request_id=request,
                    prompt_ids=ids,
                    sampling_params={**sampling_params, "max_tokens": room},
                    priority=int(priority),
                )
            drawn, chances = output.token_ids[:room], output.log_probs or None
            if chances is not None:
                chances, logprobs = chances[:room], logprobs or []
            merged, mask, logprobs = await self.ct_merge_assistant_token(
                ids, drawn, mask, logprobs, assistant_logprobs=chances
            )
            ids = merged.token_ids
            experts = output.routed_experts if output.routed_experts is not None else experts
            preempted += [] if output.num_preempted is None else [output.num_preempted]
            # The weights that the first tokens came from, and those of the last ones.
            extra = {**output.extra_fields, **{k: v for k, v in extra.items() if k != "max_global_steps"}}
            with simple_timer("compute_score", metrics):
                reply = self.tokenizer.decode(drawn, skip_special_tokens=True)
                feedback = await judge(episode.say, reply)
            if episode.over or not drawn:
                break
            replied = [*messages, {"role": "assistant", "content": reply}]
            messages = [*replied, {"role": "user", "content": feedback}]
            merged, longer, longer_logprobs = await self.ct_merge_context_msg(replied, messages, ids, mask, logprobs)
            if len(longer) >= config.response_length:
                break
            ids, mask, logprobs = merged.token_ids, longer, longer_logprobs
        start = len(ids) - len(mask)
        numbers = episode.numbers()
        return AgentLoopOutput(
            prompt_ids=ids[:start],
            response_ids=ids[start:],
            response_mask=mask,
            response_logprobs=logprobs or None,
            routed_experts=None if experts is None else experts[: len(ids)],
            reward_score=numbers["score"],
            num_turns=2 * len(episode.scores),
            metrics={**metrics, "num_preempted": sum(preempted) if preempted else -1},
            extra_fields={
                **extra,
                "reward_extra_info": numbers,
                "turn_scores": episode.scores,
                "tool_rewards": [],
            },
        )
