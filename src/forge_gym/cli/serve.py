"""``forge-gym serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from .options import extra


def command(
    host: Annotated[str, Option(help="address to listen on; only this machine by default")] = "127.0.0.1",
    port: Annotated[int, Option(help="port; 0 takes a free one")] = 8642,
    runs: Annotated[Path, Option(help="folder with the transcripts of eval")] = Path("runs"),
) -> None:
    """Serve a local web page on which to read and answer instances."""
    with extra("serve"):
        from .explorer.app import serve
    serve(host, port, runs)
