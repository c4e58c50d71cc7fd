"""Any language model as an agent, through vLLM on one's own GPU: `causal_lm`, only much faster."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ..core.checks import check_int
from .agent import Reply, Task
from .causal_lm import check_sampling, fitted, plain, sampling_seed
from .prompting import Prompting


class VLLMAgent:
    """A causal language model that answers in text, all tasks of a call in one batch.

    Parameters
    ----------
    model
        A folder or a hub name.
    name, max_new_tokens, top_p, system, shots, dtype
        As of `TransformersAgent`.
    temperature
        0 decodes greedily; above 0 samples, each reply with draws of its own that follow from ``seed``, the
        conversation and the sample number.
    engine
        More arguments of ``vllm.LLM``, such as ``{"tensor_parallel_size": 2, "max_model_len": 16384}``.

    Raises
    ------
    ImportError
        If vLLM is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        name: str | None = None,
        max_new_tokens: int = 1024,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        system: str = "",
        shots: int = 0,
        dtype: str = "auto",
        engine: Mapping[str, Any] | None = None,
    ) -> None:
        check_int("max_new_tokens", max_new_tokens, 1)
        check_sampling(temperature, top_p)
        self.prompting = Prompting(system, shots)
        try:
            vllm = import_module("vllm")
        except ImportError:
            raise ImportError(
                "vllm:MODEL needs vLLM, which wants Linux and a GPU: pip install vllm; hf:MODEL does without"
            ) from None
        self.name = name or model.rstrip("/").rpartition("/")[2]
        self.max_new_tokens, self.seed = max_new_tokens, seed
        self.temperature, self.top_p = temperature, top_p
        self._sampling: Any = vllm.SamplingParams
        self._engine: Any = vllm.LLM(model=model, dtype=dtype, **(engine or {}))
        self._tokenizer = self._engine.get_tokenizer()

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return the text of one reply per task, in order."""
        return [reply.text for reply in self.replies(tasks)]

    def replies(self, tasks: Sequence[Task]) -> list[Reply]:
        """Return one reply per task, in order, with its tokens and its share of the batch's time."""
        if not tasks:
            return []
        start = time.perf_counter()
        parameters = [
            self._sampling(
                temperature=self.temperature,
                top_p=self.top_p,
                max_tokens=self.max_new_tokens,
                seed=sampling_seed([self.seed, task.messages, task.sample]) >> 33,  # 31 bits are accepted
            )
            for task in tasks
        ]
        if self._tokenizer.chat_template is None:
            texts = [plain(self.prompting, task) for task in tasks]
            outputs = self._engine.generate(texts, parameters, use_tqdm=False)
        else:
            asked = [fitted(self._tokenizer, self.prompting.messages(task)) for task in tasks]
            outputs = self._engine.chat(asked, parameters, use_tqdm=False)
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
