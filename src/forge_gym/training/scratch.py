"""Language models from nothing: a tokenizer learned on the spot and random weights, so no hub is needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.checks import check_choice

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Size(NamedTuple):
    """Shape of a decoder: 13 ``hidden``² weights per layer, and the embeddings."""

    hidden: int
    layers: int
    heads: int


SIZES = {
    "tiny": Size(64, 3, 4),
    "1m": Size(128, 4, 4),
    "5m": Size(256, 6, 8),
    "25m": Size(512, 8, 8),
    "100m": Size(768, 13, 12),
}
"""By name; ``tiny`` has 0.16 million weights and trains on a CPU in minutes."""

GRPO = {
    "learning_rate": 5e-4,
    "warmup_steps": 5,
    "adam_beta2": 0.99,
    "loss_type": "dr_grpo",
    "scale_rewards": "none",  # the reward is dense: the size of a difference means something
    "bf16": False,
    "gradient_checkpointing": False,
    "dataloader_pin_memory": False,
    "logging_steps": 1,
}
"""Arguments of TRL's ``GRPOConfig`` with which a small model learns."""

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"


def word_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer in which every word between blanks of the ``texts`` is one token; other words are unknown.

    One token per item is what lets a small model learn within minutes.

    Examples
    --------
    >>> tokenizer = word_tokenizer(["1.0 0.3 > 0.3", "2.2 >"])
    >>> tokenizer.decode(tokenizer("0.3 > 2.2 9.9")["input_ids"])
    '0.3 > 2.2 <unk>'
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordLevelTrainer(special_tokens=[PAD, EOS, UNKNOWN], show_progress=False)
    words.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token=PAD, eos_token=EOS, unk_token=UNKNOWN, padding_side="left"
    )


def build_model(size: str, tokenizer: PreTrainedTokenizerFast, *, length: int = 2048, seed: int = 0) -> PreTrainedModel:
    """Return a decoder (of Qwen3's architecture) with random weights; PyTorch's own generator stays as it was.

    Parameters
    ----------
    size
        A key of `SIZES`.
    tokenizer
        Decides the vocabulary and the end-of-text token.
    length
        Longest sequence, in tokens.

    Examples
    --------
    >>> build_model("tiny", word_tokenizer(["a b"])).num_parameters()
    160608
    """
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    check_choice("size", size, SIZES)
    shape = SIZES[size]
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=3 * shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=shape.hidden // shape.heads,
        tie_word_embeddings=True,
        max_position_embeddings=length,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = Qwen3ForCausalLM(config)
    return model
