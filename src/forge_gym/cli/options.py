"""What commands share: options that several have, values that follow an option, and errors in one line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Annotated, Any

from typer import Argument, BadParameter, Option
from typer.core import TyperCommand

from ..core.checks import did_you_mean, told_with_place
from ..core.problem import Problem
from ..core.registry import problem, problem_class, problems
from ..core.seeding import SPLITS
from ..data.rows import found_by
from ..registration import problem_name

_ENV = "problem or environment id, such as TSP or Forge/TSP-v0, or module:Class of your own"
_SET = "parameter of the problem, such as --set n=12 distribution=clustered"

_LONGEST = 1000
"""Characters of an error."""


def _register(names: list[str] | None) -> list[str] | None:
    """Register the problems of one's own that files may name."""
    for name in names or ():
        if ":" not in name:
            raise BadParameter(f"it must be module:Class, got {name!r}")
        problem_name(name)
    return names


Own = Annotated[
    list[str] | None,
    Option(
        "--own",
        metavar="MODULE:CLASS",
        callback=_register,
        help="problem of your own that the file asks; its module is run",
    ),
]
Env = Annotated[str, Argument(metavar="ENV", help=_ENV)]
EnvsArgument = Annotated[list[str] | None, Argument(metavar="[ENV]...", help=f"{_ENV}; all by default")]
Envs = Annotated[list[str] | None, Option("--env", metavar="ENV", help=f"{_ENV}; all by default")]
Set = Annotated[list[str] | None, Option("--set", metavar="NAME=VALUE", help=_SET)]
Level = Annotated[int | None, Option(help="difficulty: 0, 1, 2, ...")]
Levels = Annotated[list[int] | None, Option(help="difficulties: 0, 1, 2, ...")]
Seed = Annotated[int, Option(help="seed of the stream of instances")]
Split = Annotated[str, Option(help=f"split of the instances: one of {', '.join(SPLITS)}")]
Json = Annotated[bool, Option("--json", help="print JSON, for programs")]


class Command(TyperCommand):
    """A command whose options that may be repeated take several values at once: ``--levels 0 1 2``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        repeatable = {name: param.metavar or "" for param in self.params for name in param.opts if param.multiple}
        words = list(spread(args, repeatable))
        try:
            return super().parse_args(ctx, [*words])
        except BadParameter as error:  # its message does not say what was given
            options = error.param.opts if error.param else ()
            given = [repr(word) for option, word in pairwise(words) if option in options]
            error.message += f", got {', '.join(given)}" if given else ""
            raise


def spread(args: Sequence[str], repeatable: dict[str, str]) -> Iterable[str]:
    """Yield the words, with the option again before its second value, its third, and so on."""
    option, first = "", False
    for word in args:
        if word.startswith("--"):
            option, first = word if word in repeatable else "", True
        # A word that does not look like the option's values is an argument of the command.
        elif option and ("=" in word or "=" not in repeatable[option]):
            if not first:
                yield option
            first = False
        yield word


def told(error: Exception) -> str:
    """Return one line that says what is wrong, with the nearest option where one was misspelt."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if option := getattr(error, "option_name", None):
        ctx = getattr(error, "ctx", None)
        if ctx is not None and message.startswith("No such option"):
            valid = [name for param in ctx.command.get_params(ctx) for name in param.opts if name[0] == "-"]
            return f"{ctx.command_path} has no option {option}: {did_you_mean(option, valid)}"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    if isinstance(error, MemoryError):
        message = f"this machine has too little memory. {message}"
    line = " ".join(message.split()) or type(error).__name__
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def read_pairs(option: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """Return what the ``NAME=VALUE`` of an option say; values are JSON, and text where they are none."""
    values = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"{option} must be NAME=VALUE, got {pair!r}")
        try:
            values[key] = json.loads(value)
        except (ValueError, RecursionError):
            values[key] = value
    return values


def make_problem(
    name: str, parameters: Sequence[str] | None, level: int | None = None, **known: Any
) -> Problem[Any, Any]:
    """Return the problem that ``name`` means, with the ``known`` parameters and those of ``--set``."""
    name, values = problem_name(name), known | read_pairs("--set", parameters)
    try:
        return problem(name, level=level, **values)
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # of a user's class
        raise ValueError(f"{name} cannot be made: {told_with_place(error, problem_class(name))}") from None


def make_problems(names: Sequence[str] | None, parameters: Sequence[str] | None) -> list[Problem[Any, Any]]:
    """Return the problems of these names; all that are registered by default."""
    return [make_problem(name, parameters) for name in names or problems()]


def own_of(problems: Iterable[Problem[Any, Any] | str]) -> str:
    """Return the options that let another command read files that ask these problems; nothing for those of ours."""
    names = [problem if isinstance(problem, str) else found_by(problem) for problem in problems]
    own = [name for name in names if ":" in name and not name.startswith("forge_gym")]
    return f" --own {shlex.join(dict.fromkeys(own))}" if own else ""


def given(**options: Any) -> dict[str, Any]:
    """Return the options that have a value."""
    return {name: value for name, value in options.items() if value is not None}


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Say which extra brings what an import misses."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").startswith("forge_gym"):
            raise
        raise ValueError(f'this needs {error.name}: pip install "forge-gym[{name}]"') from None
