"""The space of texts. Gymnasium's own ``Text`` admits no blank by default, and checks every character."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces


class Text(spaces.Text):
    r"""Any string of at most ``max_length`` characters; checked in constant time.

    Examples
    --------
    >>> "naïve → [0, 1]\n" in Text(100), "x" * 101 in Text(100), 7 in Text(100)
    (True, False, False)
    """

    def __init__(self, max_length: int, *, seed: Any = None) -> None:
        super().__init__(max_length, min_length=0, seed=seed)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"Text({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.max_length == other.max_length

    __hash__ = None  # type: ignore[assignment] # spaces are compared, never keys; as in Gymnasium
