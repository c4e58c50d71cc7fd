"""Where the answer is: from the whole reply of a model to the one answer that it states, or ``Malformed``.

Nothing here repairs or guesses. Lengths are bounded before anything is searched; `forge_gym.kinds.reading` goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias

from .checks import check_known, short_repr
from .verdict import Malformed

ANSWER_FORMATS = ("tags", "line", "raw")
MAX_REPLY = 4 * 2**20
"""Longest reply that is looked at, in characters; thoughts included."""
MAX_ANSWER = 2**17
"""Longest answer that is parsed, in characters: about 20,000 numbers."""

OPEN, CLOSE, _LINE = "<answer>", "</answer>", "Answer:"
_BLANK = " \t\r\n\ufeff"
_ASCII = bytes([*range(32, 127), *b"\t\r\n"])
_FENCE = re.compile(r"```[ \t]*(?:[A-Za-z][A-Za-z0-9+#._-]{0,19})?[ \t\r]*")
MAX_MARK = 64
"""Longest mark of thoughts, in characters."""


def _check_mark(field: str, mark: object) -> None:
    """Raise ``ValueError`` unless ``mark`` is a text that no answer can be mistaken for."""
    known = isinstance(mark, str) and 0 < len(mark) <= MAX_MARK and mark.isprintable()
    if not (isinstance(mark, str) and known and any(map(str.isalpha, mark))):
        rule = f"1 to {MAX_MARK} printable characters, one of them a letter"
        raise ValueError(f"thoughts: {field} must be {rule}, got {short_repr(mark)}")
    for tag in (OPEN, CLOSE, _LINE):
        if mark in tag or tag in mark:
            raise ValueError(f"thoughts: {field} must be told apart from {tag}, got {short_repr(mark)}")


@dataclass(frozen=True)
class Thoughts:
    """How the thoughts of a model end: what stands before the last ``end`` is thought, and never read.

    Examples
    --------
    >>> Thoughts("[/THINK]")
    Thoughts(end='[/THINK]', start='[THINK]', inside=False)
    >>> Thoughts("[/THINK]").skip("[THINK]Perhaps 3?[/THINK] It is 4.")
    ' It is 4.'
    >>> Thoughts(inside=True).skip("So 3? Let me check whether")
    Traceback (most recent call last):
    forge_gym.core.verdict.Malformed: thoughts end with </think> before the answer, got none of it
    """

    end: str = "</think>"
    start: str = ""
    """What opens thoughts; by default ``end`` without its slash. After the last ``end`` none may be left open."""
    inside: bool = False
    """Whether replies begin inside thoughts, because the chat template has opened them: then all without ``end`` is
    thought. A server that reports thoughts apart takes them out of the reply, so there this stays False."""

    def __post_init__(self) -> None:
        _check_mark("end", self.end)
        if self.start == "" and "/" in self.end:
            object.__setattr__(self, "start", self.end.replace("/", "", 1))
        if type(self.inside) is not bool:
            raise ValueError(f"thoughts: inside must be True or False, got {short_repr(self.inside)}")
        if self.start != "" or not self.inside:  # otherwise answers in thoughts that do not end would be read
            _check_mark("start", self.start)
            if self.end in self.start:
                raise ValueError(f"thoughts: start must not hold end, {self.end!r}, got {short_repr(self.start)}")

    @classmethod
    def of(cls, value: ThoughtsLike) -> Thoughts:
        """Return what plain data say: the end mark, or a mapping, or one as JSON.

        Examples
        --------
        >>> Thoughts.of("</reasoning>") == Thoughts.of('{"end": "</reasoning>"}')
        True
        >>> Thoughts.of({"ends": "</think>"})
        Traceback (most recent call last):
        ValueError: thoughts has no field 'ends': did you mean 'end'?
        """
        if isinstance(value, Thoughts):
            return value
        data: Any = value
        if isinstance(value, str):
            try:
                data = json.loads(value) if value.startswith("{") else {"end": value}
            except (ValueError, RecursionError):
                data = None
        if not isinstance(data, Mapping):
            rule = 'the end mark, such as "</think>", or an object with end, start and inside'
            raise ValueError(f"thoughts must be {rule}, got {short_repr(value)}")
        check_known("thoughts", "field", data, [field.name for field in fields(cls)])
        return cls(**data)

    @cached_property
    def tagged(self) -> bool:
        """Whether a reply whose first ``<`` opens the answer holds no thoughts."""
        return self.end[0] == "<" == self.start[:1] and not self.inside

    def skip(self, text: str) -> str:
        """Return what ``text`` says after the thoughts, or raise `Malformed`."""
        end = text.rfind(self.end)
        if end >= 0:
            text = text[end + len(self.end) :]
        elif self.inside:
            raise Malformed(f"thoughts end with {self.end} before the answer, got none of it")
        if self.start and self.start in text:
            raise Malformed(f"thoughts end with {self.end} before the answer, got an unclosed {self.start}")
        return text


ThoughtsLike: TypeAlias = Thoughts | str | Mapping[str, Any]
"""What `Thoughts.of` takes."""
THOUGHTS = Thoughts()
"""Thoughts end with ``</think>``, as those of most models do."""


def wrap_answer(body: str, answer_format: str) -> str:
    """Return the reply that states ``body``: the inverse of `extract_answer`."""
    if answer_format == "tags":
        return f"{OPEN}{body}{CLOSE}"
    return f"{_LINE} {body}" if answer_format == "line" else body


def extract_answer(text: str, answer_format: str, thoughts: ThoughtsLike = THOUGHTS) -> str:
    r"""Return the one final answer in ``text``, without surrounding blanks or code fence.

    Thoughts are never read. An answer that is missing, stated twice, unclosed, not ASCII or too long is ``Malformed``.

    Examples
    --------
    >>> extract_answer("Shorter this way. <answer>[0, 1]</answer>\n", "tags")
    '[0, 1]'
    >>> extract_answer("<answer>[0]", "tags")
    Traceback (most recent call last):
    forge_gym.core.verdict.Malformed: the answer is stated once, between <answer> and </answer>, got 1 and 0 of these
    """
    marks = THOUGHTS if thoughts is THOUGHTS else Thoughts.of(thoughts)  # redundant: asking first saves time
    if len(text) > MAX_REPLY:
        raise Malformed(f"a reply has at most {MAX_REPLY} characters, got {len(text)}")
    if answer_format == "tags":
        body = _between_tags(text, marks)
    else:
        body = marks.skip(text)
        if answer_format == "line":
            body = _last_line(body)
    if len(body) > MAX_ANSWER:
        raise Malformed(f"an answer has at most {MAX_ANSWER} characters, got {len(body)}")
    answer = body.strip(_BLANK)
    if answer.startswith("```"):
        before, _, after = body.partition(answer)
        if answer_format == "tags" and not ("\n" in before and "\n" in after):
            raise Malformed(f"a code fence stands on lines of its own, got {short_repr(body)}")
        answer = _unfenced(answer).strip(_BLANK)
    if not answer:
        raise Malformed("an answer is not empty, got nothing")
    if not answer.isascii() or answer.encode().translate(None, _ASCII):
        raise Malformed(f"an answer is printable ASCII, got {short_repr(answer)}")
    return answer


def _unfenced(text: str) -> str:
    """Return what a code fence encloses that is all of ``text``."""
    opening, _, rest = text.partition("\n")
    inside, _, closing = rest.rpartition("\n")
    if closing.strip(" \t") != "```" or not _FENCE.fullmatch(opening):
        raise Malformed(f"a code fence on lines of its own holds only the answer, got {short_repr(text)}")
    return inside


def stated(text: str) -> str | None:
    """Return what stands between the tags where a reply ends with </answer>, and its first tag opens the answer.

    Thoughts that end with </think> may come before that. Most replies are such; of all others, None.
    """
    if text[-9:] != CLOSE or len(text) > MAX_REPLY:  # redundant: a way that is closed costs only time
        return None
    start = text.find("<") + 8
    if text[start - 8 : start] != OPEN:  # redundant: as above
        thought = text.rfind("</think>") + 8
        start = text.find("<", thought) + 8
        if thought == 7 or text[start - 8 : start] != OPEN:  # redundant: as above
            return None
    body = text[start:-9]
    return None if "<" in body or len(body) > MAX_ANSWER else body  # redundant: as above


def _between_tags(text: str, thoughts: Thoughts) -> str:
    if thoughts is THOUGHTS and (body := stated(text)) is not None:  # redundant: it only saves time
        return body
    text = thoughts.skip(text)
    openings, closings = text.count(OPEN), text.count(CLOSE)
    start = text.find(OPEN) + len(OPEN)
    stop = text.find(CLOSE, start)
    if openings != 1 or closings != 1 or stop == -1:
        got = f"{openings} and {closings} of these"
        raise Malformed(f"the answer is stated once, between {OPEN} and {CLOSE}, got {got}")
    return text[start:stop]


def _last_line(text: str) -> str:
    text = text.strip(_BLANK)
    before, _, line = text.rpartition("\n")
    closes = line.strip(_BLANK) == "```"
    if closes:
        before, _, line = before.rstrip(_BLANK).rpartition("\n")
    line, count = line.strip(_BLANK), text.count(_LINE)
    if not line.startswith(_LINE) or count != 1:
        got = f"{count} of them and the last line {short_repr(line[:60])}"
        raise Malformed(f"the answer is stated once, on a last line that starts with {_LINE!r}, got {got}")
    if "```" in text:  # redundant: it only saves time
        # Counted on lines without their blanks: a search that allows for blanks is slow on millions of lines.
        fences = f"\n{text}".replace("\r", "\n").replace(" ", "").replace("\t", "").count("\n```")
        opening = before.rstrip(_BLANK).rpartition("\n")[2].strip(_BLANK)
        if fences % 2 or (closes and not _FENCE.fullmatch(opening)):
            raise Malformed("a code fence is closed, and one around the answer stands on lines of its own beside it")
    return line[len(_LINE) :]
