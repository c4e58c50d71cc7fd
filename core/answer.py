"""Bounded reading of answers: from the text of a model to typed Python, or ``Malformed``.

Nothing here repairs, guesses or evaluates. Work and memory are bounded before anything is parsed.
"""

from __future__ import annotations

import json

from .checks import shorten
from .verdict import Malformed

ANSWER_FORMATS = ("tags", "line", "raw")
MAX_REPLY = 4 * 2**20
"""Longest reply that is looked at, in characters; thoughts included."""
MAX_ANSWER = 2**18
"""Longest answer that is parsed, in characters: about 40,000 numbers."""

_OPEN, _CLOSE, _LINE = "<answer>", "</answer>", "Answer:"
_BLANK = " \t\r\n\ufeff"
_LANGUAGES = ("", "json", "text", "python", "plaintext")


def wrap(body: str, answer_format: str) -> str:
    """Return the reply that states ``body``: the inverse of `extract`.

    Examples
    --------
    >>> wrap("[0, 1]", "tags"), wrap("[0, 1]", "line"), wrap("[0, 1]", "raw")
    ('<answer>[0, 1]</answer>', 'Answer: [0, 1]', '[0, 1]')
    """
    if answer_format == "tags":
        return f"{_OPEN}{body}{_CLOSE}"
    return f"{_LINE} {body}" if answer_format == "line" else body


def extract(text: str, answer_format: str) -> str:
    r"""Return the one final answer in ``text``, without surrounding blanks or code fence.

    What stands before the last ``</think>`` is thought and never read. An answer that is missing,
    stated twice, unclosed, not ASCII or too long is ``Malformed``.

    Examples
    --------
    >>> extract("Shorter this way. <answer>[0, 1]</answer>\n", "tags")
    '[0, 1]'
    >>> extract("<answer>[0]</answer> or <answer>[1]</answer>", "tags")
    Traceback (most recent call last):
    forge_gym.core.verdict.Malformed: the answer is stated once, got 2 <answer> tags
    """
    if len(text) > MAX_REPLY:
        raise Malformed(f"a reply has at most {MAX_REPLY} characters, got {len(text)}")
    thought = text.rfind("</think>")
    if thought >= 0:
        text = text[thought + 8 :]
    if "<think>" in text:
        raise Malformed("thoughts end with </think> before the answer, got an unclosed <think>")
    if answer_format == "tags":
        body = _between_tags(text)
    elif answer_format == "line":
        body = _last_line(text)
    else:
        body = text
    if len(body) > MAX_ANSWER:
        raise Malformed(f"an answer has at most {MAX_ANSWER} characters, got {len(body)}")
    body = body.strip(_BLANK)
    if body.startswith("```"):
        language, _, fenced = body[3:].partition("\n")
        if not fenced.endswith("```") or "`" in fenced[:-3] or language.strip(_BLANK) not in _LANGUAGES:
            raise Malformed(f"a code fence is closed and holds only the answer, got {shorten(body)}")
        body = fenced[:-3].strip(_BLANK)
    if not body:
        raise Malformed("an answer is not empty, got nothing")
    if not body.isascii():
        raise Malformed(f"an answer is plain ASCII, got {shorten(body)}")
    return body


def _between_tags(text: str) -> str:
    start, stop = text.rfind(_OPEN), text.rfind(_CLOSE)
    if start < 0 or stop < start:
        raise Malformed(f"an answer stands between {_OPEN} and {_CLOSE}, got {shorten(text[-60:])}")
    for tag in (_OPEN, _CLOSE):
        count = text.count(tag)
        if count != 1:
            raise Malformed(f"the answer is stated once, got {count} {tag} tags")
    return text[start + len(_OPEN) : stop]


def _last_line(text: str) -> str:
    line = text.strip(_BLANK).rpartition("\n")[2].strip(_BLANK)
    if not line.startswith(_LINE):
        raise Malformed(f"the last line starts with {_LINE!r}, got {shorten(line[:60])}")
    count = text.count(_LINE)
    if count != 1:
        raise Malformed(f"the answer is stated once, got {count} times {_LINE!r}")
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
    # One bracket pair and no brace: nesting is refused before the JSON parser can recurse into it.
    if body[0] == "[" and body.find("[", 1) < 0 and "{" not in body:
        try:
            values = json.loads(body)
        except ValueError:  # not JSON, or an integer of more than 4,300 digits
            values = None
        if type(values) is list and set(map(type, values)) <= {int} and "-0" not in body:
            return values
    raise Malformed(f"an answer is a flat JSON list of integers, got {shorten(body)}")


def read_two_lists(body: str) -> tuple[list[int], list[int]]:
    """Read a JSON list of exactly two flat lists of integers: ``[[3, 0], [12]]``.

    Only canonical spellings pass, as in `read_integers`; either list may be empty.

    Examples
    --------
    >>> read_two_lists("[[3, 0], [12]]")
    ([3, 0], [12])
    >>> read_two_lists("[[3, 0], [12.0]]")
    Traceback (most recent call last):
    forge_gym.core.verdict.Malformed: an answer is a JSON list of two flat lists of integers, got '[[3, 0], [12.0]]'
    """
    # Three brackets and no brace: deeper nesting is refused before the JSON parser can recurse into it.
    if body[0] == "[" and body.count("[") == 3 and "{" not in body:
        try:
            values = json.loads(body)
        except ValueError:  # not JSON, or an integer of more than 4,300 digits
            values = None
        if type(values) is list and len(values) == 2 and all(type(half) is list for half in values):
            one, other = values
            if {*map(type, one), *map(type, other)} <= {int} and "-0" not in body:
                return one, other
    raise Malformed(f"an answer is a JSON list of two flat lists of integers, got {shorten(body)}")


def read_words(body: str) -> list[str]:
    """Read an answer of words between blanks, as the compact prompts ask for.

    Examples
    --------
    >>> read_words("0.100 300.200")
    ['0.100', '300.200']
    """
    return body.split()
