"""Episodes in free text for ``GRPOTrainer(rollout_func=...)``: reply, feedback and revision in one completion."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...core.answer import THOUGHTS, ThoughtsLike
from ...core.checks import short_repr
from ...core.episode import Episode, Protocol
from .reward import KeptReply

if TYPE_CHECKING:
    from trl import GRPOTrainer

_REPLY = "(the reply)"


class Rollout:
    """A ``rollout_func`` for ``GRPOTrainer``: after each reply the model reads the verdict and may revise.

    A batch's episodes run in step. A completion is the model's tokens as they were drawn, with the tokens of
    the feedback between them, which ``env_mask`` keeps out of the loss. An episode ends with a proven optimum,
    after ``turns`` replies, with a reply that was cut off, or where feedback and one more token would not fit
    into ``max_completion_length``, which bounds all turns together.

    Parameters
    ----------
    rows
        Rows with ``prompt`` and ``spec``, such as the dataset; the trainer hands over prompts only.
    turns
        Replies per episode.
    keep
        Which reply counts: the ``best`` so far, or the ``last``.
    thoughts
        How the thoughts in replies end; see `Protocol`. The `RewardFunction` needs the same.

    Notes
    -----
    Each row's kept reply reaches the reward functions as ``kept_reply``, beside ``turns_used``. A conversation's
    next turn comes from the tokenizer's chat template; plain text continues with the feedback on lines of its own.

    Several processes may share one generation (vLLM as a server, ZeRO-3), to which each must bring as many prompts
    as the others: there, episodes that have ended generate along, and what they draw is thrown away.

    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]] = (),
        *,
        turns: int = 3,
        keep: str = "best",
        thoughts: ThoughtsLike = THOUGHTS,
    ) -> None:
        self._protocol = Protocol(turns, keep, thoughts=thoughts)
        self._specs: dict[bytes, str] = {}
        for row in rows:
            self.register(row)

    def register(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Remember the row of a stream before the trainer sees it, and return it: ``dataset.map(rollout.register)``."""
        if not {"prompt", "spec"} <= set(row):
            raise ValueError(f"a row must have the columns 'prompt' and 'spec', got {sorted(row)}: see make_dataset")
        self._specs[_key(row["prompt"])] = row["spec"]
        return row

    def __call__(self, prompts: Sequence[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """Return one completion for each of ``prompts``, which the trainer has repeated already."""
        episodes = [Episode.of_spec(self._spec(prompt), self._protocol) for prompt in prompts]
        prompt_ids = [list(ids) for ids in trainer._tokenize_prompts(prompts)[0]]
        ids: list[list[int]] = [[] for _ in prompts]
        mask: list[list[int]] = [[] for _ in prompts]
        logprobs: list[list[float]] = [[] for _ in prompts]
        known = True  # a backend that returns no probabilities returns none for all turns
        limit, context = trainer.max_completion_length, _context(trainer)
        everyone = running = list(range(len(prompts)))
        alone = trainer.accelerator.num_processes == 1
        while running if alone else _anyone(trainer, running):
            batch = running if alone else everyone
            contexts = [prompt_ids[i] + (ids[i] if i in running else []) for i in batch]
            pieces, drawn = trainer._generate_single_turn(contexts, None, {}, 1)
            known = known and drawn is not None
            going = []
            for i, piece, chances in zip(batch, pieces, drawn or [[]] * len(batch), strict=True):
                if i not in running:
                    continue
                piece = piece[: limit - len(ids[i])]  # the backend knows the limit of a single turn only
                ids[i] += piece
                mask[i] += [1] * len(piece)
                logprobs[i] += chances[: len(piece)]
                feedback = episodes[i].say(trainer.processing_class.decode(piece, skip_special_tokens=True))
                if episodes[i].over or not piece or piece[-1] not in trainer.eos_token_ids:
                    continue
                turn_ids = _next_turn(trainer, prompts[i], piece[-1], feedback)
                length = len(ids[i]) + len(turn_ids)
                if length >= limit or len(prompt_ids[i]) + length >= context:
                    continue
                ids[i] += turn_ids
                mask[i] += [0] * len(turn_ids)
                logprobs[i] += [0.0] * len(turn_ids)
                going.append(i)
            running = going
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": ids,
            "logprobs": logprobs if known else None,
            "env_mask": mask,
            "kept_reply": [KeptReply(episode.kept_reply) for episode in episodes],
            "turns_used": [episode.turn for episode in episodes],
        }

    def _spec(self, prompt: Any) -> str:
        spec = self._specs.get(_key(prompt))
        if spec is None:
            raise ValueError(
                f"prompts must be of rows that Rollout was given, got {short_repr(prompt)}: "
                "give it the dataset, or register the rows of a stream"
            )
        return spec


def _key(prompt: Any) -> bytes:
    """Return a hash, since all prompts of a dataset may be remembered."""
    return hashlib.sha256(json.dumps(prompt, sort_keys=True).encode()).digest()


def _anyone(trainer: GRPOTrainer, running: Sequence[int]) -> bool:
    """Whether an episode runs in any process."""
    import torch

    device = trainer.accelerator.device
    return bool(trainer.accelerator.gather(torch.tensor(len(running), device=device)).any())


def _context(trainer: GRPOTrainer) -> int:
    """Return the most tokens that the backend accepts, as the trainer finds it in its loop over tools."""
    if trainer.use_vllm and trainer.vllm_mode == "colocate":
        return int(trainer.vllm_generation.llm.llm_engine.model_config.max_model_len)
    return int(getattr(trainer.model.config.get_text_config(), "max_position_embeddings", sys.maxsize))


def _next_turn(trainer: GRPOTrainer, prompt: Any, end: int, feedback: str) -> list[int]:
    """Return the tokens that follow a reply ending with the token ``end``, up to where the next reply starts."""
    tokenizer = trainer.processing_class
    text = f"\n{feedback}\n"
    if not isinstance(prompt, str):
        # Rendered whole and cut behind the reply: templates that treat the last reply in a special way, as
        # those with thoughts do, keep no prefix when another message follows.
        turns = (("user", "?"), ("assistant", _REPLY), ("user", feedback))
        whole = tokenizer.apply_chat_template(
            [{"role": role, "content": content} for role, content in turns],
            chat_template=trainer.chat_template,
            add_generation_prompt=True,
            tokenize=False,
            **trainer.chat_template_kwargs,
        )
        _, shown, text = whole.partition(_REPLY)
        if not shown:
            raise ValueError("chat_template must show what the assistant says as it is, got one that does not")
        mark = tokenizer.decode([end])
        if mark in text.partition(feedback)[0]:  # the model has written the end of its turn itself
            text = text.partition(mark)[2]
    return list(tokenizer(text=text, add_special_tokens=False)["input_ids"])
