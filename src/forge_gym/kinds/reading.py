"""From the text of an answer to lists of numbers or names, or ``Malformed``.

Nothing here repairs, guesses or evaluates. `forge_gym.core.answer` has bounded the text, and only a text of the right
form ever reaches the JSON parser.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..core.checks import short_repr
from ..core.verdict import Malformed

# `json.loads` less its checks of what a text is: 2.2 us instead of 3.0 for 50 numbers.
_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_INTEGERS = b"-0123456789, \t\r\n"
_DIGITS = b"0123456789 \t\r\n"
_COMMAS = b"," + _DIGITS
_NESTED = re.compile(r"\[[ \t\r\n]*+(?:\[[-0-9, \t\r\n]*+\][, \t\r\n]*+)*+\]")
"""What is JSON and has this form is a list of lists of integers."""
NAME = re.compile("[a-z]{1,40}")
"""What an element can be called."""
_NAME = re.compile(r'"([a-z]{1,40})"')
_NAMES = re.compile(r'\[[ \t\r\n]*+(?:"[a-z]{1,40}"(?:[ \t\r\n]*+,[ \t\r\n]*+"[a-z]{1,40}")*+[ \t\r\n]*+)?\]')
_FIRST_NAME = re.compile(r'(\[[ \t\r\n]*)"([a-z]{1,40})"')


def read_integers(body: str) -> list[int]:
    """Read a flat JSON list of integers: ``[3, 0, 12]``.

    Only canonical spellings pass: no ``007``, ``+3``, ``-0``, ``3.0``, ``true``, ``"3"`` or ``NaN``.
    """
    # One bracket of each kind: nesting is refused before the JSON parser can recurse into it.
    if body.encode("ascii", "replace").translate(None, _INTEGERS) == b"[]":
        values: list[int] | None = _loads(body)
        if values is not None:
            return values
    raise Malformed(f"an answer is a flat JSON list of integers, got {short_repr(body)}")


def read_rows(body: str, width: int) -> list[list[int]]:
    """Read a JSON list of rows of ``width`` integers each: ``[[3, 0, 540], [1, 2, 600]]``."""
    rows = _lists(body)
    if rows is not None and set(map(len, rows)) <= {width}:
        return rows
    raise Malformed(f"an answer is a JSON list of lists of {width} integers, got {short_repr(body)}")


def read_lists(body: str) -> list[list[int]]:
    """Read a JSON list of flat lists of integers, any of which may be empty: ``[[3, 0], [12]]``."""
    lists = _lists(body)
    if lists is None:
        raise Malformed(f"an answer is a JSON list of flat lists of integers, got {short_repr(body)}")
    return lists


def read_names(body: str) -> list[str]:
    """Read a flat JSON list of names, which are lower-case letters in quotes: ``["kova", "mune"]``."""
    if _NAMES.fullmatch(body):
        return _NAME.findall(body)
    raise Malformed(f"an answer is a flat JSON list of names, got {short_repr(body)}")


def read_named_rows(body: str, width: int) -> list[list[Any]]:
    """Read a JSON list of rows of a name and ``width - 1`` integers each: ``[["kova", 0, 540]]``."""
    names = [name for _, name in _FIRST_NAME.findall(body)]
    try:
        rows = read_rows(_FIRST_NAME.sub(r"\g<1>0", body), width)
    except Malformed:
        rows = None
    if rows is None or len(rows) != len(names):
        rule = f"a JSON list of lists of a name and {width - 1} integers"
        raise Malformed(f"an answer is {rule}, got {short_repr(body)}")
    return [[name, *row[1:]] for name, row in zip(names, rows, strict=True)]


def naturals(body: str) -> list[Any] | None:
    """Read quickly a JSON list of integers from 0 on and of flat lists of these; None of what is not surely one."""
    try:
        shape = body.encode("ascii").translate(None, _COMMAS)
        if shape == b"[]" or shape == b"[%s]" % (b"[]" * (len(shape) // 2 - 1)):  # redundant: the first is the second
            values: list[Any]
            values, stop = _scan(body, 0)
            return values if stop == len(body) else None
    except (ValueError, StopIteration):  # not ASCII, not JSON, or an integer of more than 4,300 digits
        pass
    return None


def _lists(body: str) -> list[list[int]] | None:
    """Return a list of flat lists of integers, or None."""
    # Each list closes before the next opens: deeper nesting never reaches the JSON parser.
    values: list[list[int]] | None = _loads(body) if _NESTED.fullmatch(body) else None
    return values


def _loads(body: str) -> Any:
    """Return what ``body`` is as JSON, or None for what is none; negative zeros and huge integers are none."""
    if "-" in body and "-0" in body:  # redundant: the first search only saves time
        return None
    try:
        value, stop = _scan(body, 0)
    except (ValueError, StopIteration):  # not JSON, or an integer of more than 4,300 digits
        return None
    return value if stop == len(body) else None


def read_numbers(body: str) -> list[int]:
    """Read non-negative integers between blanks, as compact prompts ask for: ``3 0 12``."""
    return [read_number(word) for word in body.split()]


def read_number(word: str) -> int:
    """Read a non-negative integer in its one canonical spelling."""
    if word.isdecimal() and str(int(word[:20])) == word:  # cut, so that no digits are too many to convert
        return int(word)
    raise Malformed(f"an answer is integers between blanks, got {short_repr(word)}")
