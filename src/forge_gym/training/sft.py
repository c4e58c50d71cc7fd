"""Supervised fine-tuning on demonstrations with TRL's ``SFTTrainer``, which resumes bit by bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..agents.causal_lm import render
from ..core.checks import check_int
from .checkpoints import all_checkpoints, last_checkpoint
from .demonstrations import Example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Callable[[], Iterable[Example]],
    checkpoints: Path,
    *,
    steps: int,
    batch: int = 256,
    learning_rate: float = 3e-3,
    bf16: bool = False,
    save_steps: int = 50,
    seed: int = 0,
    save_to: Path | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> list[float]:
    """Train ``model`` in place to give the replies; loss on the reply alone, AdamW, cosine schedule.

    Parameters
    ----------
    model, tokenizer
        With a chat template, prompts are rendered as conversations; otherwise as they are.
    examples
        Called without arguments, gives the same examples every time, such as `Demonstrations.stream`.
    checkpoints
        Folder for checkpoints alone, written every ``save_steps`` steps, removed at the end. Training goes on
        from the last one, and reads the examples before it once more.
    steps, batch
        Steps, and examples per step of all processes together. Several GPUs need a process each.
    learning_rate
        Peak of the schedule; warms up over the first twentieth.
    bf16
        Whether to compute in bfloat16; weights stay in their own type.
    seed
        To which the trainer sets the random generators of Python, NumPy and PyTorch.
    save_to
        Folder for the trained model and its tokenizer, with a file ``complete`` when all is there. The way to
        save where FSDP or DeepSpeed leaves each process a part of the weights.
    progress
        Called with the number of steps since the last call; at first with those that a stopped run has done.

    Returns
    -------
    list of float
        Loss of every step, in nats per token of the replies.

    Raises
    ------
    ValueError
        If a number is out of range, ``batch`` cannot be spread evenly over the processes, ``checkpoints``
        holds anything else or those of a longer run, or the examples end too soon.
    """
    import torch
    from accelerate import PartialState
    from datasets import IterableDataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Advance(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step >= steps:
                raise ValueError(f"checkpoints must be of less than {steps} steps, got {state.global_step}")
            if state.global_step:
                progress(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_save &= state.global_step < steps  # resuming from the end would be a step too many
            progress(1)

    def rows() -> Iterator[dict[str, list[int]]]:
        stream = iter(examples())
        for step in range(steps):
            chunk = list(islice(stream, batch))
            if len(chunk) < batch:
                raise ValueError(f"examples must last for {steps} steps of {batch}, ended in step {step}")
            yield from tokens(tokenizer, chunk)

    check_int("steps", steps, 1)
    check_int("batch", batch, 1)
    check_int("save_steps", save_steps, 1)
    check_int("seed", seed, 0, 2**32 - 1)
    if foreign := {*checkpoints.glob("*")}.difference(all_checkpoints(checkpoints)):
        raise ValueError(f"checkpoints must be a folder for them alone, got one with {min(foreign)}")
    processes = PartialState().num_processes
    if batch % processes:
        more = batch + -batch % processes
        raise ValueError(
            f"batch must be a multiple of the {processes} processes, got {batch}: did you mean {more}?"
        )
    was_training = model.training
    trainer = SFTTrainer(
        model,
        SFTConfig(
            output_dir=str(checkpoints),
            max_steps=steps,
            per_device_train_batch_size=batch // processes,
            learning_rate=learning_rate,
            lr_scheduler_type="cosine",
            adam_beta1=0.85,  # small models learn faster than with 0.9
            warmup_steps=max(1, steps // 20),
            max_length=None,
            bf16=bf16,
            gradient_checkpointing=False,
            use_cpu=not torch.cuda.is_available(),
            seed=seed,
            save_steps=save_steps,
            save_total_limit=2,
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            log_level="error",
        ),
        train_dataset=IterableDataset.from_generator(rows),
        processing_class=tokenizer,
        callbacks=[Advance()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.create_model_card = lambda *_, **__: None  # only checkpoints go there
    last = last_checkpoint(checkpoints)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    model.train(was_training)
    if save_to is not None:
        trainer.save_model(str(save_to))  # in all processes: each may have a part of the weights
    trainer.accelerator.wait_for_everyone()
    if save_to is not None:
        (save_to / "complete").touch()
    if trainer.is_world_process_zero():
        shutil.rmtree(checkpoints)
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
