"""Language models from nothing: tokenizers learned on the spot and random weights, so no hub is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.checks import check_choice, check_int

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Size:
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

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"

# Prefix-preserving: what a conversation renders to only grows when a message is added.
CHATML = (
    "{%- if tools %}<|im_start|>system\n"
    "{%- for tool in tools %}{{ tool.function.name }} {% endfor %}<|im_end|>\n{% endif %}"
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.role == 'assistant' %}{% generation %}{{- message.content or '' }}"
    "{%- for call in message.tool_calls or [] %}"
    '{{- \'<tool_call>{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{{- call.function.arguments | tojson }}{{- '}</tool_call>' }}"
    "{%- endfor %}{{- '<|im_end|>' }}{% endgeneration %}{{- '\n' }}"
    "{%- else %}{{- message.content + '<|im_end|>\n' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{% endif %}"
)
# How a reply in that template is read back, tool calls included.
RESPONSE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open": "<tool_call>",
            "close_pattern": r"</tool_call>\s*",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"<\|im_end\|>\s*", "content": "text"},
    },
}


def word_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer in which every word between blanks is one token, for compact prompts.

    One token per item is what lets a small model learn within minutes.

    Parameters
    ----------
    texts
        Prompts and replies with all the words there are; other words become unknown.

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


def chat_tokenizer(texts: Iterable[str], vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer with a chat template that knows roles and tools, for prose prompts.

    Any text can be written in it. The template is ChatML; tool calls are JSON between ``<tool_call>`` tags.

    Parameters
    ----------
    texts
        What merges are learned on.
    vocabulary
        Number of tokens, at least 320.

    Examples
    --------
    >>> tokenizer = chat_tokenizer(["Find a tour of 6 cities."] * 9, 320)
    >>> chat = [{"role": "user", "content": "6 cities?"}]
    >>> print(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
    <|im_start|>user
    6 cities?<|im_end|>
    <|im_start|>assistant
    <BLANKLINE>
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    check_int("vocabulary", vocabulary, 320)
    special = [PAD, "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"]
    pieces = Tokenizer(models.BPE())
    # Numbers and words stay whole, with their blank: one token per item where the vocabulary allows.
    pieces.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\d+| ?[A-Za-z]+| ?[^\sA-Za-z\d]|\s"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    pieces.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pieces.train_from_iterator(
        (text for content in texts for text in (content, "user", "assistant", "tool")), trainer
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token=PAD, eos_token="<|im_end|>", padding_side="left"
    )
    tokenizer.chat_template = CHATML
    tokenizer.response_template = RESPONSE
    return tokenizer


def build_model(
    size: str | Size, tokenizer: PreTrainedTokenizerFast, *, length: int = 2048, seed: int = 0
) -> PreTrainedModel:
    """Return a decoder (of Qwen3's architecture) with random weights.

    Parameters
    ----------
    size
        A key of `SIZES`, or a shape.
    tokenizer
        Decides the vocabulary and the end-of-text token.
    length
        Longest sequence, in tokens.
    seed
        Of the weights; PyTorch's own generator stays as it was.

    Raises
    ------
    ValueError
        If ``size`` is unknown.

    Examples
    --------
    >>> model = build_model("tiny", word_tokenizer(["a b"]))
    >>> model.num_parameters()
    160608
    """
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    if isinstance(size, str):
        check_choice("size", size, SIZES)
        size = SIZES[size]
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=3 * size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        head_dim=size.hidden // size.heads,
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


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    """Save model and tokenizer, last of all a file ``complete``, so that a killed save is seen; return the folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "complete").touch()
    return folder
