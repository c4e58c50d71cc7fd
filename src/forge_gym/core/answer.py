"""Where the answer is: from the whole reply of a model to the one answer that it states, or ``Malformed``.

Nothing here repairs or guesses. Lengths are bounded before anything is searched; `forge_gym.kinds.reading` goes on.
"""

from __future__ import annotations

import re

from .checks import short_repr
from .verdict import Malformed

ANSWER_FORMATS = ("tags", "line", "raw")
MAX_REPLY = 4 * 2**20
"""Longest reply that is looked at, in characters; thoughts included."""
MAX_ANSWER = 2**17
"""Longest answer that is parsed, in characters: about 20,000 numbers."""

_OPEN, _CLOSE, _LINE = "<answer>", "</answer>", "Answer:"
_BLANK = " \t\r\n\ufeff"
_ASCII = bytes([*range(32, 127), *b"\t\r\n"])
_FENCE = re.compile(r"```[ \t]*(?:[A-Za-z][A-Za-z0-9+#._-]{0,19})?[ \t\r]*")


def wrap_answer(body: str, answer_format: str) -> str:
    """Return the reply that states ``body``: the inverse of `extract_answer`."""
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
