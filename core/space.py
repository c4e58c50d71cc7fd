"""The space of texts, and how they cross processes.

Gymnasium's own ``Text`` admits no blank by default and checks every character. Its asynchronous vectors put a
text into shared memory by the numbers of known characters, and read it there once and for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.heap import BufferWrapper
from typing import Any

from gymnasium import spaces
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory


class Text(spaces.Text):
    r"""Any string of at most ``max_length`` characters.

    A model may write any character, so only the length is checked: in constant time, where
    Gymnasium's ``Text.contains`` takes 41 ns a character.

    Examples
    --------
    >>> "naïve → [0, 1]\n" in Text(100), "x" * 101 in Text(100), 7 in Text(100)
    (True, False, False)
    """

    def __init__(self, max_length: int, *, seed: Any = None) -> None:
        super().__init__(max_length, min_length=0, seed=seed)

    def contains(self, x: Any) -> bool:
        """Return whether ``x`` is a string that is short enough."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"Text({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.max_length == other.max_length

    __hash__ = None  # type: ignore[assignment] # spaces are compared, never keys; as in Gymnasium


# -------------------------------------------------------------------- shared memory

_LENGTH = 8
"""Bytes before each text that say how many bytes of UTF-8 follow."""
_WIDEST = 4
"""The most bytes that one character takes in UTF-8."""


class SharedTexts(Sequence[str]):
    """The texts that now stand in shared memory, one for each environment.

    Gymnasium takes this view once and copies it at every step; the copy is a tuple of strings.
    """

    def __init__(self, space: Text, memory: BufferWrapper, count: int) -> None:
        self._memory, self._stride, self._count = memory, _stride(space), count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self)[index]
        start = range(self._count)[index] * self._stride + _LENGTH
        view = self._memory.create_memoryview()
        length = int.from_bytes(view[start - _LENGTH : start], "little")
        return str(view[start : start + length], "utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, SharedTexts)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment] # the texts change

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return repr(tuple(self))


def _stride(space: Text) -> int:
    return _LENGTH + _WIDEST * space.max_length


@create_shared_memory.register(Text)
def _create(space: Text, n: int = 1, ctx: Any = None) -> BufferWrapper:
    # Not an array of the context: that one is cleared, which would take up every page of a span that is empty
    # but for its start. This one is as large as the texts in it, and any way of starting a process can pass it on.
    memory = BufferWrapper(n * _stride(space))
    for i in range(n):
        _write(space, i, "", memory)  # memory that was used before is not empty
    return memory


@write_to_shared_memory.register(Text)
def _write(space: Text, index: int, value: str, shared_memory: BufferWrapper) -> None:
    if len(value) > space.max_length:  # it would run into the next text
        raise ValueError(f"a text must have at most {space.max_length} characters, got {len(value)}")
    data = value.encode("utf-8", "surrogatepass")
    start = index * _stride(space) + _LENGTH
    view = shared_memory.create_memoryview()
    view[start - _LENGTH : start] = len(data).to_bytes(_LENGTH, "little")
    view[start : start + len(data)] = data


@read_from_shared_memory.register(Text)
def _read(space: Text, shared_memory: BufferWrapper, n: int = 1) -> SharedTexts:
    return SharedTexts(space, shared_memory, n)
