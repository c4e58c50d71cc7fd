"""Supervised fine-tuning on demonstrations: a plain loop for small models, which resumes bit by bit.

For large pretrained models use a trainer made for them, such as TRL's ``SFTTrainer``, on the same examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.checks import check_int
from .causal_lm import render
from .demonstrations import Example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Callable[[int], Iterator[Example]],
    *,
    steps: int,
    batch: int = 256,
    learning_rate: float = 3e-3,
    bf16: bool = False,
    checkpoint: Path | None = None,
    save_steps: int = 50,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[float]:
    """Train ``model`` in place to give the replies; loss on the reply alone, AdamW, one-cycle schedule.

    Parameters
    ----------
    model, tokenizer
        With a chat template, prompts are rendered as conversations; otherwise as they are.
    examples
        Called with an index, yields examples from there on, such as `Demonstrations.stream`.
    steps, batch
        Steps, and examples per step.
    learning_rate
        Peak of the schedule; warms up over the first twentieth.
    bf16
        Whether to compute in bfloat16; weights stay in their own type.
    checkpoint
        File that training goes on from if it exists; written every ``save_steps`` steps, removed at the end.
    progress
        Wraps the steps, for a progress bar.

    Returns
    -------
    list of float
        Loss of every step of this call, in nats per token of the replies.

    Raises
    ------
    ValueError
        If ``steps`` or ``batch`` is not positive, or the examples end too soon.
    """
    import torch

    check_int("steps", steps, 1)
    check_int("batch", batch, 1)
    check_int("save_steps", save_steps, 1)
    device = model.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=steps, pct_start=0.05
    )
    first = index = 0
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first, index = state["step"], state["index"]
    stream, losses = examples(index), []
    was_training = model.training
    model.train()
    for step in progress(range(first, steps)):
        if checkpoint is not None and step > first and step % save_steps == 0:
            parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
            state = {name: part.state_dict() for name, part in parts.items()}
            torch.save(state | {"step": step, "index": index}, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
        rows = list(islice(stream, batch))
        if len(rows) < batch:
            raise ValueError(f"examples must last for {steps} steps of {batch}, ended in step {step}")
        index = rows[-1].index + 1
        with torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext():
            loss = _loss(model, {key: value.to(device) for key, value in collate(tokenizer, rows).items()})
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.detach())  # a device is not waited for until the end
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    model.train(was_training)
    return [float(loss) for loss in losses]


def epochs(examples: Sequence[Example], seed: int = 0) -> Callable[[int], Iterator[Example]]:
    """Return a stream over a fixed set of examples for `fine_tune`, again and again, shuffled anew each time.

    Examples
    --------
    >>> stream = epochs([Example("a", "b"), Example("c", "d")])
    >>> first = list(islice(stream(0), 4))
    >>> sorted(example.prompt for example in first), [example.index for example in first]
    (['a', 'a', 'c', 'c'], [0, 1, 2, 3])
    >>> list(islice(stream(3), 1)) == first[3:]
    True
    """
    import numpy as np

    def stream(start: int) -> Iterator[Example]:
        index = start
        while True:
            epoch, at = divmod(index, len(examples))
            order = np.random.default_rng(np.random.SeedSequence([seed, epoch])).permutation(len(examples))
            for i in order[at:].tolist():
                chosen = examples[i]
                yield Example(chosen.prompt, chosen.reply, chosen.weight, index)
                index += 1

    return stream


def collate(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Example]) -> dict[str, Any]:
    """Return a batch padded on the right: (batch, length) ids, mask, and each token's weight in the loss."""
    import torch

    own: Any = tokenizer
    chat = own.chat_template is not None  # its special tokens are already in the text
    texts = [render(tokenizer, [{"role": "user", "content": row.prompt}]) for row in rows]
    prompts = own(texts, add_special_tokens=not chat)["input_ids"]
    replies = own([row.reply for row in rows], add_special_tokens=False)["input_ids"]
    length = max(len(prompt) + len(reply) + 1 for prompt, reply in zip(prompts, replies, strict=True))
    ids = torch.full((len(rows), length), own.pad_token_id)
    mask = torch.zeros_like(ids)
    weights = torch.zeros(ids.shape)
    for i, (row, prompt, reply) in enumerate(zip(rows, prompts, replies, strict=True)):
        text = torch.tensor([*prompt, *reply, own.eos_token_id])
        ids[i, : len(text)] = text
        mask[i, : len(text)] = 1
        weights[i, len(prompt) : len(text)] = row.weight
    return {"input_ids": ids, "attention_mask": mask, "weights": weights}


def _loss(model: PreTrainedModel, batch: dict[str, Any]) -> Any:
    import torch

    weights = batch.pop("weights")[:, 1:]
    # Logits of the prompts are not needed: with a large vocabulary they would be most of the memory.
    first = int((weights > 0).any(dim=0).nonzero()[0])
    kept = weights.shape[1] - first
    logits = model(**batch, logits_to_keep=kept + 1).logits[:, :-1]
    targets = batch["input_ids"][:, 1 + first :]
    nats = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), reduction="none"
    )
    weights = weights[:, first:]
    return (nats * weights.flatten()).sum() / weights.sum()
