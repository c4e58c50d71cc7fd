"""Which instance a seed names: the same bytes in any process, on any machine.

Every stream of random numbers is derived from a key, never from global state.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from .checks import check_choice, check_int

SEEDING_VERSION = 1
"""Version of the scheme: raising it changes every instance of every problem."""
SPLITS = ("train", "validation", "test")
"""Disjoint streams of instances: the same seed names different instances in each."""


def stream_of(name: str, version: int, parameters: dict[str, Any]) -> list[int]:
    """Return two words of 32 bits that tell apart the streams of different problems, versions and parameters."""
    text = json.dumps([name, version, parameters], sort_keys=True)
    digest = hashlib.sha256(text.encode()).digest()
    return [int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big")]


def instance_generator(stream: list[int], seed: int, index: int, split: str) -> np.random.Generator:
    """Return the random numbers from which instance ``(seed, index, split)`` of a stream is drawn.

    They are those of ``SeedSequence([SEEDING_VERSION, *stream, split, seed], spawn_key=(index,))``. NumPy's way from
    integers to words takes 5 of the 26 us of an instance, so the words are given to it.
    """
    check_int("seed", seed, 0)
    check_int("index", index, 0)
    check_choice("split", split, SPLITS)
    words = [SEEDING_VERSION, *stream, SPLITS.index(split), *_words(seed), *_words(index)]
    return np.random.default_rng(np.random.SeedSequence(np.array(words, dtype=np.uint32)))


def keyed_generator(key: str) -> np.random.Generator:
    """Return the random numbers that belong to a hexadecimal ``key``, such as the digest of an instance."""
    return np.random.default_rng(np.random.SeedSequence([SEEDING_VERSION, int(key[:16], 16)]))


def _words(number: int) -> list[int]:
    """Return ``number`` in words of 32 bits, the lowest first."""
    words = [number & 0xFFFFFFFF]
    while number := number >> 32:
        words.append(number & 0xFFFFFFFF)
    return words
