"""Errors of configuration: each names the parameter, the rule, the value and the nearest valid one."""

from __future__ import annotations

import difflib
import inspect
import traceback
from collections.abc import Collection, Iterable
from contextlib import suppress
from numbers import Real
from operator import index
from pathlib import Path
from sysconfig import get_path
from typing import Any, TypeVar

import numpy as np

C = TypeVar("C")
_NOT_THEIRS = ("<", get_path("stdlib"), get_path("purelib"), str(Path(__file__).parents[1]))
"""How the names of files begin that no user wrote: Python's, installed ones, this package's."""


def short_repr(value: object, width: int = 60) -> str:
    """``repr(value)`` cut to ``width`` characters, safe for values of any size."""
    try:
        text = repr(value[: width + 1] if isinstance(value, (str, list, tuple)) else value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        text = f"a {type(value).__name__} too large to print"
    return text if len(text) <= width else text[: width - 3] + "..."


def told_with_place(error: BaseException, cls: type | None = None) -> str:
    """Return what ``error`` says in one line, with file and line of the innermost call outside this package.

    Where there is none, they are those of ``cls``.

    Examples
    --------
    >>> try:
    ...     compile("x = = 3", "mine.py", "exec")
    ... except SyntaxError as error:
    ...     print(told_with_place(error))
    SyntaxError: invalid syntax (mine.py, line 1)
    """
    said = " ".join(traceback.format_exception_only(error)[-1].split())[:300]  # not every error can be made a text
    calls = [(call.filename, call.lineno) for call in traceback.extract_tb(error.__traceback__)]
    places = [place for place in calls if not place[0].startswith(_NOT_THEIRS)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    if not places and cls is not None:
        with suppress(OSError, TypeError):
            places.append((inspect.getfile(cls), inspect.getsourcelines(cls)[1]))
    return f"{said} ({Path(places[-1][0]).name}, line {places[-1][1]})" if places else said


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return a did-you-mean suffix for a misspelt ``name``, or the list of valid names."""
    names = {str(candidate).lower(): str(candidate) for candidate in sorted(valid)}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {names[close[0]]!r}?"
    return "valid: " + ", ".join(map(repr, names.values()))


def check_known(owner: str, what: str, names: Iterable[str], valid: Iterable[str]) -> None:
    """Raise ``ValueError`` for the first of ``names`` that is not ``valid``."""
    valid = list(valid)
    for name in names:
        if name not in valid:
            raise ValueError(f"{owner} has no {what} {short_repr(name)}: {did_you_mean(str(name), valid)}")


def plain(value: Any) -> Any:
    """Return NumPy's numbers, strings and arrays as Python's own, and lists and arrays at any depth as tuples.

    Examples
    --------
    >>> plain([np.int64(6), (np.str_("ring"),), np.arange(3)])
    (6, ('ring',), (0, 1, 2))
    """
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value


def plain_data(value: Any) -> Any:
    """Return ``plain(value)``, at once where the last number is Python's own: then all of a solution's are."""
    last = value
    while type(last) is tuple and last:
        last = last[-1]
    return value if type(last) is int else plain(value)


def as_int(value: Any) -> int | None:
    """Return an integer of any type, NumPy's for example, as Python's own; None where ``value`` is none."""
    if isinstance(value, bool):
        return None
    try:
        return index(value)
    except TypeError:
        return None


def check_choice(parameter: str, value: C, valid: Collection[C]) -> C:
    """Return ``value`` as a plain one if it is one of the ``valid`` values, mostly names, or raise ``ValueError``."""
    known: C = plain(value) if isinstance(value, np.generic) else value
    if type(known) not in map(type, valid) or known not in valid:
        hint = did_you_mean(value if isinstance(value, str) else "", map(str, valid))
        raise ValueError(f"{parameter} must be one of {list(valid)}, got {short_repr(value)}: {hint}")
    return known


def check_int(parameter: str, value: Any, low: int, high: int | None = None, rule: str = "") -> int:
    """Return ``value`` as a plain integer if it is one with ``low <= value <= high``, or raise ``ValueError``.

    Examples
    --------
    >>> check_int("n", np.int64(6), 3)
    6
    >>> check_int("n", 2, 3, rule="a tour needs three cities")
    Traceback (most recent call last):
    ValueError: n must be an integer of at least 3 (a tour needs three cities), got 2: did you mean 3?
    """
    number = as_int(value)
    if number is None or number < low or (high is not None and number > high):
        span = f"of at least {low}" if high is None else f"from {low} to {high}"
        why = f" ({rule})" if rule else ""
        hint = _nearest(value, low, high)
        raise ValueError(f"{parameter} must be an integer {span}{why}, got {short_repr(value)}{hint}")
    return number


def check_share(parameter: str, value: Any, low: float = 0.0, high: float = 1.0) -> float:
    """Return ``value`` as a plain number if it is one with ``low <= value <= high``, or raise ``ValueError``."""
    number: float | None = as_int(value)
    if number is None and type(value) is not bool and isinstance(value, Real):
        with suppress(OverflowError):  # of a fraction
            number = float(value)
    if number is None or not low <= number <= high:  # NaN fails the comparison, as it must
        hint = _nearest(value, low, high)
        raise ValueError(f"{parameter} must be a number from {low} to {high}, got {short_repr(value)}{hint}")
    return number


def _nearest(value: Any, low: float, high: float | None) -> str:
    """Return a did-you-mean suffix with the number in the range that is nearest to ``value``, if that is one at all."""
    try:
        number = max(low, type(low)(value))
    except (TypeError, ValueError, OverflowError):
        return ""
    return f": did you mean {number if high is None else min(number, high)!r}?"
