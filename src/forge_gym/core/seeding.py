"""Which instance a seed names: the same bytes in any process, on any machine.

Every stream of random numbers is derived from a key, never from global state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from .checks import check_choice, check_int

SEEDING_VERSION = 1
"""Version of the scheme: raising it changes every instance of every problem."""
SPLITS = ("train", "validation", "test")
"""Disjoint sets of instances; the same seed names different ones in each."""


def stream_of(name: str, version: int, parameters: dict[str, Any]) -> list[int]:
    """Return two words of 32 bits that tell apart the streams of different problems, versions and parameters."""
    text = json.dumps([name, version, parameters], sort_keys=True)
    digest = hashlib.sha256(text.encode()).digest()
    return [int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big")]


def generator(stream: Sequence[int], *numbers: int) -> np.random.Generator:
    """Return the random numbers that ``numbers``, of any size, name in a ``stream``; other numbers name others.

    Every name in a stream has as many numbers. Each is one word of 32 bits, as in a `SeedSequence` of them; NumPy's own
    way from integers to words takes 5 of the 26 us of an instance. Where a number needs more words, the count of each
    number's words comes last: NumPy would take ``(5 + 7 * 2**32, 9)`` and ``(5, 7 + 9 * 2**32)`` for the same.
    """
    words = [int(number) for number in numbers]
    if min(words) < 0:
        raise ValueError(f"seeds must not be negative, got {min(words)}")
    if max(words) >> 32:
        parts = [[n >> 32 * i & 0xFFFFFFFF for i in range(-(-n.bit_length() // 32) or 1)] for n in words]
        words = [*chain(*parts), *map(len, parts)]
    return np.random.default_rng(np.random.SeedSequence(np.array([SEEDING_VERSION, *stream, *words], dtype=np.uint32)))


def instance_generator(stream: Sequence[int], seed: int, index: int, split: str) -> np.random.Generator:
    """Return the random numbers from which instance ``(seed, index, split)`` of a stream is drawn."""
    check_int("seed", seed, 0)
    check_int("index", index, 0)
    check_choice("split", split, SPLITS)
    return generator(stream, SPLITS.index(split), seed, index)


def split_of(isomorphism_key: Any) -> str:
    """Return the split that instances of this shape belong to: half of the shapes to training, a quarter to each other.

    Examples
    --------
    >>> from collections import Counter
    >>> sorted(Counter(map(split_of, range(4000))).items())
    [('test', 1057), ('train', 2015), ('validation', 928)]
    """
    # The last digit, since by it nearly all streams of less than 20 shapes have some for training.
    return ("train", *SPLITS)[int(shape_hash(isomorphism_key)[-1], 16) % 4]


def shape_hash(isomorphism_key: Any) -> str:
    """Return the SHA-256 of the key that isomorphic instances share, in hexadecimal."""
    return hashlib.sha256(json.dumps(isomorphism_key).encode()).hexdigest()


def keyed_generator(key: str) -> np.random.Generator:
    """Return the random numbers that belong to a hexadecimal ``key``, such as the digest of an instance."""
    return np.random.default_rng(np.random.SeedSequence([SEEDING_VERSION, int(key[:16], 16)]))
