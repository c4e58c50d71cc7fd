"""How texts cross processes in Gymnasium's asynchronous vectors.

Gymnasium would put a text into shared memory by the numbers of known characters, and read it there once and for all.
"""

from __future__ import annotations

from multiprocessing.heap import BufferWrapper
from typing import Any

from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

from .core.space import Text

_LENGTH = 8
"""Bytes before each text that say how many bytes of UTF-8 follow."""
_WIDEST = 4
"""The most bytes that one character takes in UTF-8."""


class SharedTexts:
    """The texts in shared memory, one per environment. Gymnasium keeps this view and copies it: a tuple of strings."""

    def __init__(self, space: Text, memory: BufferWrapper, count: int) -> None:
        self._memory, self._stride, self._count = memory, _stride(space), count

    def __getitem__(self, index: int) -> str:
        start = range(self._count)[index] * self._stride + _LENGTH
        view = self._memory.create_memoryview()
        length = int.from_bytes(view[start - _LENGTH : start], "little")
        return str(view[start : start + length], "utf-8", "surrogatepass")

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self[index] for index in range(self._count))


def _stride(space: Text) -> int:
    return _LENGTH + _WIDEST * space.max_length


@create_shared_memory.register(Text)
def _create(space: Text, n: int = 1, ctx: Any = None) -> BufferWrapper:
    # multiprocessing.Array fills itself with zeros and so touches every page. BufferWrapper commits only the pages
    # that are written, and pickles under fork, spawn and forkserver.
    memory = BufferWrapper(n * _stride(space))
    for i in range(n):
        _write(space, i, "", memory)  # memory that was used before is not empty
    return memory


@write_to_shared_memory.register(Text)
def _write(space: Text, index: int, value: str, shared_memory: BufferWrapper) -> None:
    if len(value) > space.max_length:  # it would run into the next text
        raise ValueError(f"a text must have at most {space.max_length} characters, got {len(value)}")
    data = value.encode("utf-8", "surrogatepass")
    start = index * _stride(space)
    record = len(data).to_bytes(_LENGTH, "little") + data
    shared_memory.create_memoryview()[start : start + len(record)] = record


@read_from_shared_memory.register(Text)
def _read(space: Text, shared_memory: BufferWrapper, n: int = 1) -> SharedTexts:
    return SharedTexts(space, shared_memory, n)
