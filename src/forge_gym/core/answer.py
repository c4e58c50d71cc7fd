"""Bounded reading of answers: from the text of a model to typed Python, or ``Malformed``.

Nothing here repairs, guesses or evaluates. Work and memory are bounded before anything is parsed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .checks import short_repr
from .verdict import Malformed

ANSWER_FORMATS = ("tags", "line", "raw")
MAX_REPLY = 4 * 2**20
"""Longest reply that is looked at, in characters; thoughts included."""
MAX_ANSWER = 2**17
"""Longest answer that is parsed, in characters: about 20,000 numbers."""

# `json.loads` less its checks of what a text is: 2.2 us instead of 3.0 for 50 numbers.
_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_OPEN, _CLOSE, _LINE = "<answer>", "</answer>", "Answer:"
_BLANK = " \t\r\n\ufeff"
_ASCII = bytes([*range(32, 127), *b"\t\r\n"])
"""What an answer may hold."""
_INTEGERS = b"-0123456789, \t\r\n"
_NESTED = re.compile(r"\[[ \t\r\n]*+(?:\[[-0-9, \t\r\n]*+\][, \t\r\n]*+)*+\]")
"""What is JSON and has this form is a list of lists of integers."""
_NAME = re.compile(r'"([a-z]{1,40})"')
_NAMES = re.compile(r'\[[ \t\r\n]*+(?:"[a-z]{1,40}"(?:[ \t\r\n]*+,[ \t\r\n]*+"[a-z]{1,40}")*+[ \t\r\n]*+)?\]')
_FIRST_NAME = re.compile(r'(\[[ \t\r\n]*)"([a-z]{1,40})"')
_FENCE = re.compile(r"```[ \t]*(?:[A-Za-z][A-Za-z0-9+#._-]{0,19})?[ \t\r]*")


def wrap_answer(body: str, answer_format: str) -> str:
    """Return the reply that states ``body``: the inverse of `extract_answer`.

    Examples
    --------
    >>> wrap_answer("[0, 1]", "tags"), wrap_answer("[0, 1]", "line"), wrap_answer("[0, 1]", "raw")
    ('<answer>[0, 1]</answer>', 'Answer: [0, 1]', '[0, 1]')
    """
    if answer_format == "tags":
        return f"{_OPEN}{body}{_CLOSE}"
    return f"{_LINE} {body}" if answer_format == "line" else body


def extract_answer(text: str, answer_format: str) -> str:
    r"""Return the one final answer in ``text``, without surrounding blanks or code fence.

    What stands before the last ``</think>`` is thought and never read. An answer that is missing,
    stated twice, unclosed, not ASCII or too long is ``Malformed``.

    Examples
    --------
    >>> extract_answer("Shorter this way. <answer>[0, 1]</answer>\n", "tags")
    '[0, 1]'
    >>> extract_answer("<answer>[0]", "tags")
    Traceback (most recent call last):
    forge_gym.core.verdict.Malformed: the answer is stated once, between <answer> and </answer>, got 1 and 0 of these
    """
    if len(text) > MAX_REPLY:
        raise Malformed(f"a reply has at most {MAX_REPLY} characters, got {len(text)}")
    if answer_format == "tags":
        body = _between_tags(text)
    elif answer_format == "line":
        body = _last_line(_after_thoughts(text))
    else:
        body = _after_thoughts(text)
    if len(body) > MAX_ANSWER:
        raise Malformed(f"an answer has at most {MAX_ANSWER} characters, got {len(body)}")
    body = body.strip(_BLANK)
    if body.startswith("```"):
        opening, _, fenced = body.partition("\n")
        if not fenced.endswith("```") or not _FENCE.fullmatch(opening):
            raise Malformed(f"a code fence is closed and holds only the answer, got {short_repr(body)}")
        body = fenced[:-3].strip(_BLANK)
    if not body:
        raise Malformed("an answer is not empty, got nothing")
    if not body.isascii() or body.encode().translate(None, _ASCII):
        raise Malformed(f"an answer is printable ASCII, got {short_repr(body)}")
    return body


def _after_thoughts(text: str) -> str:
    thought = text.rfind("</think>")
    if thought >= 0:
        text = text[thought + 8 :]
    if "<think>" in text:
        raise Malformed("thoughts end with </think> before the answer, got an unclosed <think>")
    return text


def _between_tags(text: str) -> str:
    # The quick path of most replies: the reply ends with </answer>, and its first "<" opens the answer.
    if text[-9:] == _CLOSE:  # redundant: it only saves time
        start = text.find("<") + 8
        body = text[start:-9]
        if text[start - 8 : start] == _OPEN and "<" not in body:
            return body
    text = _after_thoughts(text)
    openings, closings = text.count(_OPEN), text.count(_CLOSE)
    start = text.find(_OPEN) + len(_OPEN)
    stop = text.find(_CLOSE, start)
    if openings != 1 or closings != 1 or stop == -1:
        got = f"{openings} and {closings} of these"
        raise Malformed(f"the answer is stated once, between {_OPEN} and {_CLOSE}, got {got}")
    return text[start:stop]


def _last_line(text: str) -> str:
    text = text.strip(_BLANK).removesuffix("```").rstrip(_BLANK)  # the end of a fence around the line
    line = text[text.rfind("\n") + 1 :].strip(_BLANK)
    count = text.count(_LINE)
    if not line.startswith(_LINE) or count != 1:
        got = f"{count} of them and the last line {short_repr(line[:60])}"
        raise Malformed(f"the answer is stated once, on a last line that starts with {_LINE!r}, got {got}")
    return line[len(_LINE) :]


def read_integers(body: str) -> list[int]:
    """Read a flat JSON list of integers: ``[3, 0, 12]``.

    Only canonical spellings pass: no ``007``, ``+3``, ``-0``, ``3.0``, ``true``, ``"3"`` or ``NaN``.

    Examples
    --------
    >>> read_integers("[3, 0, 12]")
    [3, 0, 12]
    >>> read_integers("[3.0]")
    Traceback (most recent call last):
    forge_gym.core.verdict.Malformed: an answer is a flat JSON list of integers, got '[3.0]'
    """
    # One bracket of each kind: nesting is refused before the JSON parser can recurse into it.
    if body.encode("ascii", "replace").translate(None, _INTEGERS) == b"[]":
        values: list[int] | None = _loads(body)
        if values is not None:
            return values
    raise Malformed(f"an answer is a flat JSON list of integers, got {short_repr(body)}")


def read_rows(body: str, width: int) -> list[list[int]]:
    """Read a JSON list of rows of ``width`` integers each: ``[[3, 0, 540], [1, 2, 600]]``.

    Integers are spelt as `read_integers` asks.

    Examples
    --------
    >>> read_rows("[[3, 0], [1, 2]]", 2)
    [[3, 0], [1, 2]]
    >>> read_rows("[3, 0]", 2)
    Traceback (most recent call last):
    forge_gym.core.verdict.Malformed: an answer is a JSON list of lists of 2 integers, got '[3, 0]'
    """
    rows = _lists(body)
    if rows is not None and set(map(len, rows)) <= {width}:
        return rows
    raise Malformed(f"an answer is a JSON list of lists of {width} integers, got {short_repr(body)}")


def read_lists(body: str) -> list[list[int]]:
    """Read a JSON list of flat lists of integers, any of which may be empty: ``[[3, 0], [12]]``.

    Examples
    --------
    >>> read_lists("[[3, 0], [12]]")
    [[3, 0], [12]]
    """
    lists = _lists(body)
    if lists is None:
        raise Malformed(f"an answer is a JSON list of flat lists of integers, got {short_repr(body)}")
    return lists


def read_names(body: str) -> list[str]:
    """Read a flat JSON list of names, which are lower-case letters in quotes: ``["kova", "mune"]``.

    Examples
    --------
    >>> read_names('["kova", "mune"]')
    ['kova', 'mune']
    >>> read_names("[3]")
    Traceback (most recent call last):
    forge_gym.core.verdict.Malformed: an answer is a flat JSON list of names, got '[3]'
    """
    if _NAMES.fullmatch(body):
        return _NAME.findall(body)
    raise Malformed(f"an answer is a flat JSON list of names, got {short_repr(body)}")


def read_named_rows(body: str, width: int) -> list[list[Any]]:
    """Read a JSON list of rows of a name and ``width - 1`` integers each: ``[["kova", 0, 540]]``.

    Examples
    --------
    >>> read_named_rows('[["kova", 0, 540]]', 3)
    [['kova', 0, 540]]
    """
    names = [name for _, name in _FIRST_NAME.findall(body)]
    try:
        rows = read_rows(_FIRST_NAME.sub(r"\g<1>0", body), width)
    except Malformed:
        rows = None
    if rows is None or len(rows) != len(names):
        rule = f"a JSON list of lists of a name and {width - 1} integers"
        raise Malformed(f"an answer is {rule}, got {short_repr(body)}")
    return [[name, *row[1:]] for name, row in zip(names, rows, strict=True)]


def _lists(body: str) -> list[list[int]] | None:
    """Return a list of flat lists of integers, or None."""
    # Each list closes before the next opens: deeper nesting never reaches the JSON parser.
    values: list[list[int]] | None = _loads(body) if _NESTED.fullmatch(body) else None
    return values


def _loads(body: str) -> Any:
    """Return what ``body`` is as JSON, or None for what is none.

    Negative zeros and huge integers are none.
    """
    if "-" in body and "-0" in body:  # redundant: the first search only saves time
        return None
    try:
        value, stop = _scan(body, 0)
    except (ValueError, StopIteration):  # not JSON, or an integer of more than 4,300 digits
        return None
    return value if stop == len(body) else None


def read_numbers(body: str) -> list[int]:
    """Read non-negative integers between blanks, as compact prompts ask for: ``3 0 12``.

    Examples
    --------
    >>> read_numbers("3 0 12")
    [3, 0, 12]
    >>> read_numbers("3 007")
    Traceback (most recent call last):
    forge_gym.core.verdict.Malformed: an answer is integers between blanks, got '007'
    """
    return [read_number(word) for word in body.split()]


def read_number(word: str) -> int:
    """Read a non-negative integer in its one canonical spelling.

    Examples
    --------
    >>> read_number("12")
    12
    """
    if word.isdecimal() and str(int(word[:20])) == word:  # cut, so that no digits are too many to convert
        return int(word)
    raise Malformed(f"an answer is integers between blanks, got {short_repr(word)}")


def read_words(body: str) -> list[str]:
    """Read an answer of words between blanks, as the compact prompts ask for.

    Examples
    --------
    >>> read_words("0.100 300.200")
    ['0.100', '300.200']
    """
    return body.split()
