"""Supervised fine-tuning on demonstrations with TRL's ``SFTTrainer``, which resumes bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..agents.causal_lm import render
from .demonstrations import Example
from .runs import last_checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def fine_tune(
    model: PreTrainedModel | str,
    tokenizer: PreTrainedTokenizerBase,
    examples: Callable[[], Iterable[Example]],
    folder: Path,
    *,
    steps: int,
    batch: int = 256,
    learning_rate: float = 3e-3,
    save_steps: int = 50,
    seed: int = 0,
) -> list[float]:
    """Train ``model`` to give the replies, in place if it is loaded; loss on the reply alone, AdamW, cosine schedule.

    Parameters
    ----------
    model, tokenizer
        The model loaded, or its folder or hub name. With a chat template, prompts are rendered as conversations.
    examples
        Called without arguments, gives the same examples every time, such as `Demonstrations.stream`.
    folder
        For the trained model and its tokenizer. Checkpoints are there too, until `forge_gym.training.runs.finish`
        removes them; training continues from the last one.
    steps, batch
        Steps, and examples per step and process.
    learning_rate
        Peak of the schedule; warms up over the first twentieth.
    save_steps
        Steps between checkpoints.
    seed
        To which the trainer sets all random generators.

    Returns
    -------
    list of float
        Loss of every step, in nats per token of the replies.

    Raises
    ------
    ValueError
        If the examples end too soon.
    """
    from datasets import IterableDataset
    from trl import SFTConfig, SFTTrainer

    from .callbacks import plain

    def rows() -> Iterator[dict[str, list[int]]]:
        stream = iter(examples())
        for step in range(steps):
            chunk = list(islice(stream, batch))
            if len(chunk) < batch:
                raise ValueError(f"examples must last for {steps} steps of {batch}, ended in step {step}")
            yield from tokens(tokenizer, chunk)

    trainer = SFTTrainer(
        model,
        SFTConfig(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=batch,
            learning_rate=learning_rate,
            lr_scheduler_type="cosine",
            adam_beta1=0.85,  # small models learn faster than with 0.9
            warmup_steps=max(1, steps // 20),
            max_length=None,
            bf16=False,
            gradient_checkpointing=False,
            seed=seed,
            save_steps=save_steps,
            save_total_limit=2,
            dataloader_pin_memory=False,
            logging_steps=1,
            report_to="none",
            log_level="error",
        ),
        train_dataset=IterableDataset.from_generator(rows),
        processing_class=tokenizer,
    )
    plain(trainer)
    last = last_checkpoint(folder, before=steps)  # resuming from the end would be a step too many
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.save_model(str(folder))
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def epochs(examples: Sequence[Example], seed: int = 0) -> Iterator[Example]:
    """Yield a fixed set of examples again and again, shuffled anew each time.

    The heaviest are in every round, the others with a probability in proportion to their weight.

    Examples
    --------
    >>> stream = epochs([Example("a", "b"), Example("c", "d"), Example("e", "f", weight=0.0)])
    >>> first = list(islice(stream, 4))
    >>> sorted(example.prompt for example in first)
    ['a', 'a', 'c', 'c']
    """
    if not examples:
        raise ValueError("examples must hold at least one example, got none")
    rng, heaviest = np.random.default_rng(seed), max(example.weight for example in examples)
    while True:
        for i in rng.permutation(len(examples)).tolist():
            if heaviest * rng.random() <= examples[i].weight:
                yield examples[i]


def tokens(tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> list[dict[str, list[int]]]:
    """Return the token ids of prompt, reply and end of each example, and as labels those of reply and end."""
    own: Any = tokenizer
    chat = own.chat_template is not None  # its special tokens are already in the text
    texts = [render(tokenizer, [{"role": "user", "content": example.prompt}]) for example in examples]
    prompts = own(texts, add_special_tokens=not chat)["input_ids"]
    replies = own([example.reply for example in examples], add_special_tokens=False)["input_ids"]
    return [
        {
            "input_ids": [*prompt, *reply, own.eos_token_id],
            "labels": [-100] * len(prompt) + [*reply, own.eos_token_id],
        }
        for prompt, reply in zip(prompts, replies, strict=True)
    ]
