"""Parameters of problems whose types carry their rules, and the checks that follow."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from .checks import check_choice, check_int, check_share, plain


@dataclass(frozen=True)
class Range:
    """Integers from ``low`` to ``high``; below another field's value, where ``high`` names a field of an instance."""

    low: int = 0
    high: int | str | None = None


@dataclass(frozen=True)
class Between:
    """Numbers from ``low`` to ``high``."""

    low: float
    high: float


Share: TypeAlias = Annotated[float, Between(0.0, 1.0)]
"""A number from 0 to 1."""


@cache
def parameter_types(cls: Any) -> dict[str, Any]:
    """Return the type of each field of a dataclass, with the rule that it carries."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in fields(cls)}


def choices(cls: Any, parameter: str) -> tuple[str, ...]:
    """Return the values of a parameter whose type lists them; of others none."""
    hint = parameter_types(cls).get(parameter)
    return get_args(hint) if get_origin(hint) is Literal else ()


def check_parameters(owner: Any) -> None:
    """Raise ``ValueError`` for the first field of a dataclass whose value breaks the rule of its type.

    Values become plain ones: what is equal has the same bytes in specs and keys, whether NumPy made it or not.
    """
    cls: Any = type(owner)
    for parameter, hint in parameter_types(cls).items():
        value = plain(getattr(owner, parameter))
        rule = get_args(hint)[1] if get_origin(hint) is Annotated else None
        if get_origin(hint) is Literal:
            value = check_choice(parameter, value, get_args(hint))
        elif isinstance(rule, Range):
            value = check_int(parameter, value, rule.low, rule.high if isinstance(rule.high, int) else None)
        elif isinstance(rule, Between):
            value = check_share(parameter, value, rule.low, rule.high)
        object.__setattr__(owner, parameter, value)  # its dataclass may be frozen
