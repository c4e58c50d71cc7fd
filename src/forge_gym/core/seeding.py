"""Which instance a seed names: the same bytes in any process, on any machine.

Every stream of random numbers is derived from a key, never from global state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

from .checks import check_choice, check_int

SEEDING_VERSION = 2
"""Version of the scheme: raising it changes every instance of every problem."""
SPLITS = ("train", "validation", "test")
"""Disjoint sets of instances; the same seed names different ones in each."""
_AT_ONCE = 256
"""How many numbers `floats` draws at a time."""


class _Hashed(ISeedSequence):
    """The 256 bits that a key and a text name: what NumPy asks of a seed, in a fifth of a `SeedSequence`'s time."""

    def __init__(self, key: bytes, text: str) -> None:
        self.digest = hashlib.blake2b(text.encode(), digest_size=32, key=key).digest()

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        return np.frombuffer(self.digest, "<u8").astype(np.uint64)  # all that `PCG64` asks for: 4 words of 64 bits


def stream_of(name: str, version: int, parameters: dict[str, Any]) -> bytes:
    """Return the key that tells apart the streams of different problems, versions and parameters."""
    text = json.dumps([SEEDING_VERSION, name, version, parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def generator(stream: bytes, *numbers: int) -> np.random.Generator:
    """Return the random numbers that ``numbers``, of any size, name in a ``stream``; other numbers name others."""
    if min(numbers) < 0:
        raise ValueError(f"seeds must not be negative, got {min(numbers)}")
    seed = _Hashed(stream, "%x," * len(numbers) % numbers)
    return np.random.Generator(np.random.PCG64(seed))  # type: ignore[arg-type] # NumPy's stubs know one such class


def instance_generator(stream: bytes, seed: int, index: int, split: str) -> np.random.Generator:
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
    # The last byte, since by it nearly all streams of less than 20 shapes have some for training.
    return ("train", *SPLITS)[hashlib.sha256(json.dumps(isomorphism_key).encode()).digest()[-1] % 4]


def shape_hash(isomorphism_key: Any) -> str:
    """Return the SHA-256 of the key that isomorphic instances share, in hexadecimal."""
    return hashlib.sha256(json.dumps(isomorphism_key).encode()).hexdigest()


def keyed_generator(key: str) -> np.random.Generator:
    """Return the random numbers that belong to a hexadecimal ``key``, such as the digest of an instance."""
    return generator(_KEYED, int(key, 16))


_KEYED = stream_of("keys", 0, {})


def floats(rng: np.random.Generator) -> Iterator[float]:
    """Return random numbers from 0 up to and without 1, without end; drawn one by one, each takes a microsecond."""
    return chain.from_iterable(rng.random(_AT_ONCE).tolist() for _ in repeat(None))


def integers(rng: np.random.Generator, top: int) -> Iterator[int]:
    """Return random integers from 0 up to and without ``top``, without end: those that `floats` gives."""
    return chain.from_iterable((rng.random(_AT_ONCE) * top).astype(np.int64).tolist() for _ in repeat(None))
