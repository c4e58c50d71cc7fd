"""Errors of configuration: each names the parameter, the rule, the value and the nearest valid one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Any


def short_repr(value: object, width: int = 60) -> str:
    """``repr(value)`` cut to ``width`` characters, safe for values of any size."""
    try:
        text = repr(value[: width + 1] if isinstance(value, (str, list, tuple)) else value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        text = f"a {type(value).__name__} too large to print"
    return text if len(text) <= width else text[: width - 3] + "..."


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


def check_choice(parameter: str, value: Any, valid: Collection[Any]) -> None:
    """Raise ``ValueError`` unless ``value`` is one of the ``valid`` values, mostly names."""
    if type(value) not in map(type, valid) or value not in valid:
        hint = did_you_mean(value if isinstance(value, str) else "", map(str, valid))
        raise ValueError(f"{parameter} must be one of {list(valid)}, got {short_repr(value)}: {hint}")


def check_int(parameter: str, value: Any, low: int, high: int | None = None, rule: str = "") -> None:
    """Raise ``ValueError`` unless ``value`` is an integer with ``low <= value <= high``.

    Examples
    --------
    >>> check_int("n", 2, 3, rule="a tour needs three cities")
    Traceback (most recent call last):
    ValueError: n must be an integer of at least 3 (a tour needs three cities), got 2: did you mean 3?
    """
    integral = isinstance(value, int) and not isinstance(value, bool)
    if not (integral and value >= low and (high is None or value <= high)):
        span = f"of at least {low}" if high is None else f"from {low} to {high}"
        why = f" ({rule})" if rule else ""
        hint = _nearest(value, low, high)
        raise ValueError(f"{parameter} must be an integer {span}{why}, got {short_repr(value)}{hint}")


def check_share(parameter: str, value: Any, low: float = 0.0, high: float = 1.0) -> None:
    """Raise ``ValueError`` unless ``value`` is a number with ``low <= value <= high``."""
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (real and low <= value <= high):  # NaN fails the comparison, as it must
        hint = _nearest(value, low, high)
        raise ValueError(f"{parameter} must be a number from {low} to {high}, got {short_repr(value)}{hint}")


def _nearest(value: Any, low: float, high: float | None) -> str:
    """Return a did-you-mean suffix with the number in the range that is nearest to ``value``, if that is one at all."""
    try:
        number = max(low, type(low)(value))
    except (TypeError, ValueError, OverflowError):
        return ""
    return f": did you mean {number if high is None else min(number, high)!r}?"
