"""Any language model as an agent, through vLLM on one's own GPU: `causal_lm`, only much faster."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from importlib import import_module
from typing import Any

from ..core.checks import check_known
from .agent import Reply, Task
from .causal_lm import LocalModel, sampling_seed


@dataclass(eq=False, repr=False)
class VLLMAgent(LocalModel):
    """A causal language model through vLLM, all tasks of a call in one batch.

    With a temperature above 0, each reply has draws of its own, which follow from ``seed``, the conversation and the
    sample number.
    """

    _: KW_ONLY
    engine: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of vLLM's engine, such as ``{"tensor_parallel_size": 2, "gpu_memory_utilization": 0.8,
    "max_model_len": 16384}``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        vllm = import_module("vllm")
        check_known("vLLM's engine", "argument", self.engine, [each.name for each in fields(vllm.EngineArgs)])
        self._sampling: Any = vllm.SamplingParams
        self._llm: Any = vllm.LLM(model=self.model, dtype=self.dtype, **self.engine)
        self.tokenizer = self._llm.get_tokenizer()

    def replies(self, tasks: Sequence[Task]) -> list[Reply]:
        """Return one reply per task, in order, with its tokens and its share of the batch's time."""
        if not tasks:
            return []
        start = time.perf_counter()
        chat = self.tokenizer.chat_template is not None  # its special tokens are already in the text
        asked = [
            {"prompt_token_ids": self.tokenizer.encode(self.text(task), add_special_tokens=not chat)} for task in tasks
        ]
        parameters = [
            self._sampling(
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_new_tokens,
                seed=sampling_seed([self.seed, task.messages, task.sample]) >> 33,  # 31 bits are accepted
            )
            for task in tasks
        ]
        outputs = self._llm.generate(asked, parameters, use_tqdm=False)
        seconds = (time.perf_counter() - start) / len(tasks)
        return [
            Reply(
                output.outputs[0].text,
                output.outputs[0].finish_reason or "",
                len(output.prompt_token_ids),
                len(output.outputs[0].token_ids),
                seconds=seconds,
            )
            for output in outputs
        ]
