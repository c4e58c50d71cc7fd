"""Causal language models on one's own machine: a folder or a hub name, in batches, through transformers."""

from __future__ import annotations

import hashlib
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.answer import THOUGHTS, Thoughts, ThoughtsLike
from ..core.checks import check_int, short_repr
from ..core.foreign import load_json
from .agent import Message, Reply, Task
from .prompting import Prompting, check_sampling

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

SETTINGS = "forge_gym.json"
"""Beside the weights of a model that was trained here: on what, and in which form."""
_LONGEST_NOTE = 2**20
"""Bytes of that file that are read."""


@dataclass(eq=False, repr=False)
class LocalModel(ABC):
    """What `TransformersAgent` and `forge_gym.agents.vllm.VLLMAgent` share.

    A tokenizer with a chat template gets the conversation in that template. Another gets the plain text of the
    prompt, as from-scratch models are trained on, and before it the texts of ``system`` and ``shots``. An option that
    makes no sense, or a model that is not there, is a ``ValueError``.
    """

    model: Any
    """A folder or a hub name."""
    tokenizer: Any = field(init=False)
    _: KW_ONLY
    name: str = ""
    """How tables call the agent; the model's name by default."""
    max_new_tokens: int = 1024
    """Longest reply, in tokens."""
    temperature: float = 0.0
    """0 decodes greedily; above 0 samples, reproducibly."""
    top_p: float = 1.0
    """Share of the probability, most likely tokens first, that is sampled from; 1 samples from all tokens."""
    seed: int = 0
    """Of the draws, which depend on conversations and sample numbers too."""
    system: str = ""
    shots: int = 0
    """System message and number of solved examples; see `Prompting`."""
    dtype: str = "auto"
    """Weights' type when loading, such as ``bfloat16``; by default the checkpoint's own."""
    thoughts: ThoughtsLike = THOUGHTS
    """How the model's thoughts end; ``{"inside": True}`` where its chat template opens them."""

    def __post_init__(self) -> None:
        self.thoughts = Thoughts.of(self.thoughts)
        check_int("max_new_tokens", self.max_new_tokens, 1)
        check_sampling(self.temperature, self.top_p)
        self.prompting = Prompting(self.system, self.shots)
        if isinstance(self.model, str):
            check_model(self.model)
            self.name = self.name or self.model.rstrip("/").rpartition("/")[2]

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return the text of one reply per task, in order."""
        return [reply.text for reply in self.replies(tasks)]

    @abstractmethod
    def replies(self, tasks: Sequence[Task]) -> list[Reply]:
        """Return one reply per task, in order, with its tokens and its share of the time."""

    def text(self, task: Task) -> str:
        """Return the text that the model goes on with."""
        if self.tokenizer.chat_template is None:
            before = [message["content"] for message in self.prompting.before(task)]
            return "\n\n".join([*before, task.prompt])
        return render(self.tokenizer, self.prompting.messages(task))


@dataclass(eq=False, repr=False)
class TransformersAgent(LocalModel):
    """A causal language model through transformers.

    With a temperature above 0, the draws of a batch follow from the tasks that share it. A loaded model is taken
    too, together with its tokenizer.
    """

    tokenizer: Any = None
    """By default loaded from the same place as the model."""
    _: KW_ONLY
    batch_size: int = 32
    """Prompts per call of ``generate``."""
    device: str | None = None
    """``cuda``, ``cpu``, ...; by default CUDA where there is one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("batch_size", self.batch_size, 1)
        if isinstance(self.model, str):
            self._load()
        elif self.tokenizer is None:
            raise ValueError("tokenizer must be given with a loaded model, got None")
        else:
            self.name = self.name or type(self.model).__name__
        if self.device:
            self.model.to(self.device)
        self.model.eval()

    def _load(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self.tokenizer = self.tokenizer or AutoTokenizer.from_pretrained(self.model)
            self.model = AutoModelForCausalLM.from_pretrained(self.model, dtype=self.dtype)
        except (OSError, ValueError, KeyError) as error:
            detail = " ".join(str(error).split())[:300]
            raise ValueError(f"model must be a causal language model, got {self.model!r}: {detail}") from None

    def replies(self, tasks: Sequence[Task]) -> list[Reply]:
        """Return one reply per task, in order, with its tokens and its share of its batch's time."""
        import torch

        texts = [self.text(task) for task in tasks]
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
            Reply(*completion, seconds=seconds) for completion in zip(replies, finishes, asked, lengths, strict=True)
        ]


def check_model(model: str) -> None:
    """Raise ``ValueError`` unless ``model`` is a model's folder, or the name of one on the hub or in its cache."""
    try:
        known = {"config.json", "adapter_config.json"} & {*os.listdir(model)}
        reason = "" if known else "the folder has no config.json"
    except FileNotFoundError:
        reason = _missing_on_hub(model)
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        rule = "model must be a folder of a model, or the name of one on the hub"
        raise ValueError(f"{rule}, got {model!r}: {reason}")


def _missing_on_hub(model: str) -> str:
    """Return why the hub does not give ``model``; at once, where loading would try again and again."""
    from huggingface_hub import model_info, try_to_load_from_cache

    try:
        if not isinstance(try_to_load_from_cache(model, "config.json"), str):
            model_info(model, timeout=10)
    except Exception as error:  # of a name that cannot be, of the hub, or of the hub's HTTP library
        return f"there is no such folder, and the hub says: {' '.join(str(error).split())[:200]}"
    return ""


def trained_on(agent: str) -> dict[str, Any] | None:
    """Return what the training of ``hf:FOLDER`` or ``vllm:FOLDER`` noted beside the weights; None where it did not.

    The note has ``problem``, ``parameters``, and settings such as ``max_new_tokens``; ``ValueError`` if it is damaged.
    """
    kind, _, folder = agent.partition(":")
    file = Path(folder, SETTINGS)
    if kind not in ("hf", "vllm") or not file.is_file():
        return None
    rule = f"{file} must be a JSON object with problem and parameters"
    try:
        with file.open("rb") as opened:
            settings: dict[str, Any] = load_json(opened.read(_LONGEST_NOTE))
        if not (isinstance(settings["problem"], str) and isinstance(settings["parameters"], dict)):
            raise ValueError(short_repr(settings))
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"{rule}, got {type(error).__name__}: {error}") from None
    check_int(f"max_new_tokens in {file}", settings.get("max_new_tokens", 1), 1)
    return settings


def sampling_seed(asked: Any) -> int:
    """Return 64 bits that follow from JSON-ready data."""
    return int.from_bytes(hashlib.sha256(json.dumps(asked).encode()).digest()[:8], "big")


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> str:
    """Return the text after which the model replies: the conversation, or without a chat template its last message."""
    template: Any = tokenizer.apply_chat_template
    if tokenizer.chat_template is None:
        return messages[-1]["content"]
    system, first, *rest = messages if messages[0]["role"] == "system" else ({}, *messages)
    if system and not _shows_system(template, system):
        messages = [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]
    text: str = template(list(messages), tokenize=False, add_generation_prompt=True)
    return text


def _shows_system(template: Any, system: Message) -> bool:
    """Whether a chat template neither refuses nor swallows a system message."""
    from jinja2 import TemplateError

    try:
        shown: str = template([system, {"role": "user", "content": "?"}], tokenize=False)
    except TemplateError:
        return False
    return system["content"].strip() in shown
