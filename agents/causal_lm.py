"""Any causal language model as an agent: a folder or a hub name, through transformers, in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.checks import check_int
from .agent import Message, Task

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class TransformersAgent:
    """A causal language model that answers in text.

    Tokenizers with a chat template get the conversation in that template; others get the plain
    text of the prompt, as from-scratch models are trained on.

    Parameters
    ----------
    model
        A folder, a hub name, or a loaded model.
    tokenizer
        Needed with a loaded model; otherwise loaded from the same place.
    name
        How tables call the agent; the model's name by default.
    batch_size
        Prompts per call of ``generate``.
    max_new_tokens
        Longest reply, in tokens.
    temperature
        0 decodes greedily; above 0 samples, reproducibly: the draws follow from ``seed`` and from the
        conversations and sample numbers of the tasks that share a batch.
    dtype
        Weights' type when loading, such as ``"bfloat16"``; ``"auto"`` is the checkpoint's own.
    device
        ``"cuda"``, ``"cpu"``, ...; by default CUDA where there is one.
    """

    def __init__(
        self,
        model: str | PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | None = None,
        *,
        name: str | None = None,
        batch_size: int = 32,
        max_new_tokens: int = 1024,
        temperature: float = 0.0,
        seed: int = 0,
        dtype: str = "auto",
        device: str | None = None,
    ) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        check_int("batch_size", batch_size, 1)
        check_int("max_new_tokens", max_new_tokens, 1)
        if not temperature >= 0:
            raise ValueError(f"temperature must be at least 0, got {temperature!r}: did you mean 0.0?")
        if isinstance(model, str):
            self.name = name or model.rstrip("/").rpartition("/")[2]
            device = device or ("cuda" if torch.cuda.is_available() else "cpu")
            tokenizer = tokenizer or AutoTokenizer.from_pretrained(model)
            model = AutoModelForCausalLM.from_pretrained(model, dtype=dtype).to(device)
        elif tokenizer is None:
            raise ValueError("tokenizer must be given with a loaded model, got None")
        else:
            self.name = name or type(model).__name__
            model = model.to(device) if device else model
        self.model, self.tokenizer = model.eval(), tokenizer
        self.batch_size, self.max_new_tokens = batch_size, max_new_tokens
        self.temperature, self.seed = temperature, seed

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return one reply per task, in order."""
        import torch

        texts = [self._text(task) for task in tasks]
        # Prompts of similar length share a batch: less padding, same replies.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        replies = [""] * len(texts)
        with torch.inference_mode(), torch.random.fork_rng():  # the caller's generator stays as it was
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                torch.manual_seed(self._batch_seed([tasks[i] for i in batch]))
                for i, reply in zip(batch, self._generate([texts[i] for i in batch]), strict=True):
                    replies[i] = reply
        return replies

    def _batch_seed(self, tasks: Sequence[Task]) -> int:
        """64 bits that tell batches apart: with one seed for all, samples of a group asked in two calls repeat."""
        asked = [(task.messages, task.sample) for task in tasks]
        return int.from_bytes(hashlib.sha256(json.dumps([self.seed, asked]).encode()).digest()[:8], "big")

    def _text(self, task: Task) -> str:
        return render(self.tokenizer, task.messages)

    def _generate(self, texts: list[str]) -> list[str]:
        tokenizer: Any = self.tokenizer
        chat = tokenizer.chat_template is not None  # its special tokens are already in the text
        inputs: Any = tokenizer(
            texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=not chat
        ).to(self.model.device)
        inputs.pop("token_type_ids", None)
        sampling = {"do_sample": True, "temperature": self.temperature, "top_k": 0, "top_p": 1.0}
        output: torch.Tensor = self.model.generate(
            **inputs,
            max_new_tokens=self.max_new_tokens,
            pad_token_id=tokenizer.pad_token_id
            if tokenizer.pad_token_id is not None
            else tokenizer.eos_token_id,
            **(
                sampling
                if self.temperature
                else {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
            ),
        )
        new = output[:, inputs["input_ids"].shape[1] :]
        replies: list[str] = tokenizer.batch_decode(new, skip_special_tokens=True)
        return replies


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> str:
    """Return the text after which the model replies: the conversation, or without a chat template its last message."""
    if tokenizer.chat_template is None:
        return messages[-1]["content"]
    text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    return text
