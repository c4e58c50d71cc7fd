"""``forge-gym serve``."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from .options import extra


def command(
    host: Annotated[str, Option(help="address to listen on; only this machine by default")] = "127.0.0.1",
    port: Annotated[int, Option(help="port to listen on; 0 takes a free one")] = 8642,
    allow_host: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="host name under which a proxy shows the page, such as *.example.org"),
    ] = None,
) -> None:
    """Serve a local web page on which to read and answer instances."""
    with extra("serve"):
        from .explorer.app import serve
    serve(host, port, allow_host or ())
