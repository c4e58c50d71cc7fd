"""Sets of small numbers as the bits of an integer: how graphs and coverings are searched and checked quickly."""

from __future__ import annotations

from collections.abc import Iterable


def bits(mask: int) -> list[int]:
    """Return the positions of the bits that are set, in rising order.

    Examples
    --------
    >>> bits(0b10110)
    [1, 2, 4]
    """
    positions = []
    while mask:
        lowest = mask & -mask
        positions.append(lowest.bit_length() - 1)
        mask ^= lowest
    return positions


def mask_of(positions: Iterable[int]) -> int:
    """Return the integer whose bits at the distinct ``positions`` are set: the inverse of `bits`."""
    return sum([1 << position for position in positions])
