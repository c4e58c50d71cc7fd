"""Any causal language model as an agent: a folder or a hub name, through transformers, in batches."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.checks import check_int
from .agent import Message, Reply, Task
from .prompting import Prompting, without_system

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class TransformersAgent:
    """A causal language model that answers in text.

    Tokenizers with a chat template get the conversation in that template; others get the plain
    text of the prompt, as from-scratch models are trained on, and before it the texts of ``system`` and ``shots``.

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
    top_p
        Share of the probability, most likely tokens first, that is sampled from; 1 samples from all tokens.
    system, shots
        See `Prompting`.
    dtype
        Weights' type when loading, such as ``"bfloat16"``; ``"auto"`` is the checkpoint's own, which
        for most published models is ``bfloat16``.
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
        top_p: float = 1.0,
        seed: int = 0,
        system: str = "",
        shots: int = 0,
        dtype: str = "auto",
        device: str | None = None,
    ) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        check_int("batch_size", batch_size, 1)
        check_int("max_new_tokens", max_new_tokens, 1)
        check_sampling(temperature, top_p)
        self.prompting = Prompting(system, shots)
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
        self.temperature, self.top_p, self.seed = temperature, top_p, seed

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return the text of one reply per task, in order."""
        return [reply.text for reply in self.replies(tasks)]

    def replies(self, tasks: Sequence[Task]) -> list[Reply]:
        """Return one reply per task, in order, with its tokens and its share of its batch's time."""
        import torch

        texts = [self._text(task) for task in tasks]
        # Prompts of similar length share a batch: less padding, same replies.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        replies = [Reply("")] * len(texts)
        with torch.inference_mode(), torch.random.fork_rng():  # the caller's generator stays as it was
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                # With one seed for all batches, samples of a group that are asked in two calls would repeat.
                asked = [(tasks[i].messages, tasks[i].sample) for i in batch]
                torch.manual_seed(sampling_seed([self.seed, asked]))
                for i, reply in zip(batch, self._generate([texts[i] for i in batch]), strict=True):
                    replies[i] = reply
        return replies

    def _text(self, task: Task) -> str:
        if self.tokenizer.chat_template is None:
            return plain(self.prompting, task)
        return render(self.tokenizer, self.prompting.messages(task))

    def _generate(self, texts: list[str]) -> list[Reply]:
        import torch

        start = time.perf_counter()
        tokenizer: Any = self.tokenizer
        chat = tokenizer.chat_template is not None  # its special tokens are already in the text
        inputs: Any = tokenizer(
            texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=not chat
        ).to(self.model.device)
        inputs.pop("token_type_ids", None)
        pad = tokenizer.pad_token_id
        warm = self.temperature > 0
        output: torch.Tensor = self.model.generate(
            **inputs,
            max_new_tokens=self.max_new_tokens,
            pad_token_id=tokenizer.eos_token_id if pad is None else pad,
            do_sample=warm,
            temperature=self.temperature if warm else None,
            top_k=0 if warm else None,
            top_p=self.top_p if warm else None,
        )
        new = output[:, inputs["input_ids"].shape[1] :]
        eos: Any = self.model.generation_config.eos_token_id  # none, one or several
        ends = torch.tensor([] if eos is None else eos, dtype=torch.long, device=new.device)
        ended = torch.isin(new, ends)  # what follows the end is padding
        lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, new.shape[1]).tolist()
        asked = inputs["attention_mask"].sum(1).tolist()
        finishes = ["stop" if any_end else "length" for any_end in ended.any(1).tolist()]
        replies: list[str] = tokenizer.batch_decode(new, skip_special_tokens=True)
        seconds = (time.perf_counter() - start) / len(texts)
        return [
            Reply(*completion, seconds=seconds)
            for completion in zip(replies, finishes, asked, lengths, strict=True)
        ]


def sampling_seed(asked: Any) -> int:
    """Return 64 bits that follow from JSON-ready data."""
    return int.from_bytes(hashlib.sha256(json.dumps(asked).encode()).digest()[:8], "big")


def check_sampling(temperature: float, top_p: float) -> None:
    """Raise ``ValueError`` unless one can sample like that."""
    if not temperature >= 0:
        raise ValueError(f"temperature must be at least 0, got {temperature!r}: did you mean 0.0?")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p!r}: did you mean 1.0?")


def plain(prompting: Prompting, task: Task) -> str:
    """Return what a model without a chat template goes on with: the last message, after what is put before it."""
    return "\n\n".join([message["content"] for message in prompting.before(task)] + [task.prompt])


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> str:
    """Return the text after which the model replies: the conversation, or without a chat template its last message."""
    if tokenizer.chat_template is None:
        return messages[-1]["content"]
    return _apply(tokenizer, fitted(tokenizer, messages), add_generation_prompt=True)


def fitted(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[Message]:
    """Return ``messages``, without a system message where the chat template would refuse or swallow it."""
    if messages[0]["role"] != "system":
        return list(messages)
    from jinja2 import TemplateError

    try:
        shown = _apply(tokenizer, [messages[0], {"role": "user", "content": "?"}])
    except TemplateError:
        shown = ""
    known = messages[0]["content"].strip() in shown
    return list(messages) if known else without_system(messages)


def _apply(tokenizer: PreTrainedTokenizerBase, messages: list[Message], **options: Any) -> str:
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    return text
