"""The command line: ``forge-gym list``, ``show``, ``play``, ``eval``, ...; also ``python -m forge_gym``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from typer import Exit, Typer, TyperException

from ..core.reference import CertificateError
from .options import Command, told
from .terminal import Interrupted, Version, say

COMMANDS = (
    *("list", "show", "play", "serve", "eval", "rescore", "compare", "report"),
    *("preflight", "generate", "suite", "check"),
)
"""The commands in the order of the help text; each is the module of its name."""


@cache
def app() -> Typer:
    """Return the application: a command, or a group of commands, for each module."""
    width = {"max_content_width": 110}
    root = Typer(name="forge-gym", pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=width)

    @root.callback()
    def describe(version: Version = False) -> None:
        """NP-hard optimisation problems as text-action environments."""

    for name in COMMANDS:
        module = import_module(f".{name}", __package__)
        if hasattr(module, "command"):
            root.command(name, cls=Command)(module.command)
            continue
        group = Typer(help=module.HELP, rich_markup_mode=None, context_settings=width)
        for action, function in module.ACTIONS.items():
            group.command(action, cls=Command)(function)
        root.add_typer(group, name=name)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        The words after the program's name; those of the process by default.

    Returns
    -------
    int
        0; 1 where a check or a run has found something; 2 for what the user or the system did wrong;
        130 after Ctrl-C.
    """
    words = sys.argv[1:] if argv is None else argv
    warnings.showwarning = _warn  # type: ignore[assignment] # of all its arguments two matter
    return _run(app, words or ["--help"], "forge-gym")


def run(command: Callable[..., object]) -> NoReturn:
    """Run the program of one command, such as those in ``examples/``, and exit as `main` does."""
    program = Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)
    program.command(cls=Command)(command)
    sys.exit(_run(lambda: program, sys.argv[1:], Path(sys.argv[0]).name))


def _run(program: Callable[[], Typer], words: Sequence[str], name: str) -> int:
    if "" not in sys.path:  # for module:Class in the working folder, where a console script does not look
        sys.path.append("")
    try:
        status = program()(args=words, prog_name=name, standalone_mode=False)
    except Exit as stopped:
        status = stopped.exit_code
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        return 0
    except (TyperException, ValueError, ImportError, OSError, MemoryError, CertificateError) as error:
        if isinstance(error, ImportError) and (error.name or "").startswith("forge_gym"):
            raise  # a fault of ours
        say(f"{name}: {told(error)}", error=True)
        return error.exit_code if isinstance(error, Interrupted) else 2
    if status == 130:  # what typer makes of Ctrl-C
        say(f"{name}: interrupted", error=True)
    return int(status or 0)


def _warn(message: Warning | str, category: type[Warning], *_: object) -> None:
    """Say in one line what a command warns of; what is meant for developers is not for users."""
    if issubclass(category, UserWarning):
        say(f"warning: {message}", error=True)
