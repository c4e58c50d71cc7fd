"""What the commands print on: tables, progress bars, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from typer import Exit, Option, TyperException

from .._version import __version__
from ..core.foreign import visible


class Interrupted(TyperException):
    """Ctrl-C during work that can be continued."""

    exit_code = 130


@contextmanager
def resumable() -> Iterator[None]:
    """Say at an interruption that the same command continues the run."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command continues the run") from None


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise Exit


Version = Annotated[bool, Option("--version", help="print the version", callback=_print_version, is_eager=True)]


def say(*lines: str, error: bool = False) -> None:
    """Print lines, each on a line of its own: what steers a terminal is spelt out, whoever wrote it."""
    for line in lines:
        print(visible(line), file=sys.stderr if error else sys.stdout)


def print_json(data: Any) -> None:
    """Print data as JSON."""
    print(json.dumps(data, indent=1).replace("\x7f", "\\u007f"))


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Callable[[int], object]]:
    """Show a progress bar on a terminal; yield the function that advances it."""
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(title, total=total)
        yield lambda done: progress.advance(bar, done)


def console(stderr: bool = False) -> Any:
    """Return a rich console that is wide enough for a table where the output is not a terminal."""
    from rich.console import Console

    made = Console(stderr=stderr)
    if not made.is_terminal:
        made = Console(stderr=stderr, width=150)
    hook: Any = _Visible()
    made.push_render_hook(hook)
    return made


class _Visible:
    """Spells out what steers a terminal in all that a rich console prints, but for what rich itself writes."""

    def process_renderables(self, renderables: list[Any]) -> list[Any]:
        return [_Spelt(renderable) for renderable in renderables]


class _Spelt:
    def __init__(self, renderable: Any) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Any, options: Any) -> Iterable[Any]:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text, "\n"))
