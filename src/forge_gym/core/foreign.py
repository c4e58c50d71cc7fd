"""What others wrote: lines, JSON and numbers of bounded size, and text that is safe to show.

A file may come from anybody. Whatever it holds, reading it takes bounded time and memory, and a ``ValueError`` says
what is wrong with it.
"""

from __future__ import annotations

import json
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import IO, Any

from .checks import short_repr
from .verdict import Number

MAX_LINE = 2**26
"""Bytes of a line."""
MAX_UNPACKED = 2**28
"""Bytes of a compressed file, unpacked."""
MAX_DEPTH = 32
"""Lists and objects within each other."""
MAX_DIGITS = 100
"""Digits of a number: every float of it is finite, its square's too."""
_ABOVE = 10**MAX_DIGITS
_LONG = re.compile(rf"(?<![0-9])[0-9]{{{MAX_DIGITS + 1}}}")
"""What stands in every text of an integer of more digits, and in few others."""
_HUGE = re.compile("[0-9]{4301}")
"""An integer that Python itself refuses to read."""
_MOST_BLANK = 100
"""Empty lines at the end of a file."""
_EXACT = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}(/[1-9][0-9]{{0,{MAX_DIGITS - 1}}})?")


def load_json(text: str | bytes) -> Any:
    """Return what ``text`` holds; a ``ValueError`` where it is no JSON, too deep, or has a name twice or a long number.

    Examples
    --------
    >>> load_json("[1e999]")
    Traceback (most recent call last):
    ValueError: a number must be finite, got '1e999'
    >>> load_json('{"n": 3, "n": 4}')
    Traceback (most recent call last):
    ValueError: an object must have each name once, got 'n' twice
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    try:
        data = _DECODER.decode(text)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        if _HUGE.search(text):
            raise ValueError(f"a number must have at most {MAX_DIGITS} digits, got more") from None
        raise
    depth, level = 0, [data] if isinstance(data, (list, dict)) else [[data]]
    long = _LONG.search(text) is not None
    while level:
        if (depth := depth + 1) > MAX_DEPTH:
            raise _too_deep()
        inner: list[Any] = []
        for part in level:
            values = part.values() if type(part) is dict else part
            kinds = {*map(type, values)}  # mostly integers alone: a question a list, not a question a number
            if long:
                _check_digits(values)
            if list in kinds or dict in kinds:
                inner += [value for value in values if type(value) is list or type(value) is dict]
        level = inner
    return data


def _check_digits(values: Iterable[Any]) -> None:
    for value in values:
        if type(value) is int and abs(value) >= _ABOVE:
            raise ValueError(f"a number must have at most {MAX_DIGITS} digits, got {len(str(abs(value)))}")


def _too_deep() -> ValueError:
    return ValueError(f"lists and objects must be at most {MAX_DEPTH} deep, got deeper ones")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        ((twice, _),) = Counter([name for name, _ in pairs]).most_common(1)
        raise ValueError(f"an object must have each name once, got {short_repr(twice)} twice")
    return whole


def _float(text: str) -> float:
    if not isfinite(value := float(text)):
        raise ValueError(f"a number must be finite, got {short_repr(text)}")
    return value


_DECODER = json.JSONDecoder(parse_float=_float, parse_constant=_float, object_pairs_hook=_object)


def exact(value: Any) -> Number:
    """Return an integer as it is, and the number that ``str`` wrote of an integer or a fraction.

    Examples
    --------
    >>> exact(7), exact("-7"), exact("7/2")
    (7, -7, Fraction(7, 2))
    """
    if type(value) is int and abs(value) < _ABOVE:
        return value
    if not (isinstance(value, str) and _EXACT.fullmatch(value)):
        raise ValueError(f"an exact number must be an integer or a text such as '7/2', got {short_repr(value)}")
    number = Fraction(value)
    return number.numerator if number.denominator == 1 else number


def numbered(file: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number, counted from 1; blank ones are no damage at the end, and refused elsewhere."""
    blank = 0
    for at, line in enumerate(file, 1):
        if line.strip():
            if blank:
                raise ValueError(f"line {blank}: it is empty")
            yield at, line
        elif at - (blank := blank or at) > _MOST_BLANK:
            raise ValueError(f"line {blank}: it is empty, and {_MOST_BLANK} more are")


def bounded(file: IO[bytes], most: int | None = None) -> Iterator[bytes]:
    """Yield the lines of a file; a ``ValueError`` for a line of more than 64 MiB, or more than ``most`` bytes."""
    total = at = 0
    while line := file.readline(MAX_LINE + 1):
        total, at = total + len(line), at + 1
        if len(line) > MAX_LINE:
            raise ValueError(f"line {at}: it must have at most {MAX_LINE} bytes, got more")
        if most is not None and total > most:
            raise ValueError(f"the file must have at most {most} bytes when unpacked, got more")
        yield line


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of a file, which is unpacked where its name ends in ``.gz``."""
    at = 0
    try:
        with _open(path) as file:
            for at, line in numbered(bounded(file, MAX_UNPACKED if path.suffix == ".gz" else None)):
                yield at, line.decode("utf-8-sig" if at == 1 else "utf-8").rstrip("\r\n")
    except (EOFError, zlib.error) as error:
        raise ValueError(f"it is damaged after line {at}: {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"line {at}: {error}") from None


def _open(path: Path) -> Any:
    import gzip  # rarely wanted, and not cheap to import

    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def visible(text: str, kept: str = "") -> str:
    r"""Return ``text`` with every character spelt out that shows nothing, moves others or steers a terminal.

    Those in ``kept`` stay, such as line ends.

    Examples
    --------
    >>> visible("a\x1b[31mb\u202ec\ud800\n")
    'a␛[31mb⟨U+202E⟩c⟨U+D800⟩␊'
    """
    return text if text.isprintable() else "".join(c if c in kept else _spelt(c) for c in text)


def _spelt(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
