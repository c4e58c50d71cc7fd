"""What the servers share: who may call them, how much a call may ask for, and how they run and end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .core.checks import check_int, check_share, short_repr
from .core.registry import problem_class

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""Hosts under which a server always answers: no other machine can have them."""
MAX_BODY = 2**19
"""Bytes of a request's body."""
MAX_REQUEST_S = 10.0
"""Seconds within which a request must have arrived, its head and its body."""
MAX_IDLE_S = 600.0
"""Seconds that a WebSocket stays open without a message."""
MAX_NUMBER = 100
"""Largest number among the parameters that do not set the size of an instance."""


def check_size(problem: str, asked: Mapping[str, Any], max_level: int) -> None:
    """Raise ``ValueError`` unless a server can draw and solve the problem that is ``asked`` for while somebody waits.

    A parameter that levels set goes as high as at ``max_level``, or to its default. Other numbers go to `MAX_NUMBER`.

    Examples
    --------
    >>> check_size("TSP", {"n": 9}, max_level=3)
    >>> check_size("TSP", {"level": 9999}, max_level=10)
    Traceback (most recent call last):
    ValueError: level must be an integer from 0 to 10 (the server solves what it asks), got 9999: did you mean 10?
    """
    default: Any = problem_class(problem)()
    smallest, largest = default.at_level(0), default.at_level(max_level)
    rule = "the server solves what it asks"
    for key, value in asked.items():
        if key == "level":
            check_int(key, value, 0, max_level, rule=rule)
        elif getattr(smallest, key, None) != getattr(largest, key, None):
            check_int(key, value, 0, max(getattr(default, key), getattr(largest, key)), rule=rule)
        elif isinstance(value, (int, float)):
            check_share(key, value, -MAX_NUMBER, MAX_NUMBER)


def protect(app: Starlette, allow_host: Iterable[str] = (), **limits: Any) -> None:
    """Have an application answer calls of this machine and of the hosts ``allow_host`` alone, within limits.

    Parameters
    ----------
    app
        The application.
    allow_host
        Names under which it may be reached besides those of the loopback interface; ``*.example.org`` stands for all
        names in a domain.
    **limits
        Of `Guard`.
    """
    names = list(allow_host)
    for name in names:
        if "*" in name.removeprefix("*."):
            raise ValueError(f"--allow-host must be a name, or *. and a domain, got {short_repr(name)}")
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, *names], www_redirect=False)
    app.add_middleware(Guard, proxies=names, **limits)


class Guard:
    """ASGI middleware that refuses calls from pages of other sites, and what is too large, too slow or idle.

    Parameters
    ----------
    app
        The application.
    proxies
        Hosts whose pages may call although the call names another host, since a proxy changed that.
    headers
        What every response has besides.
    max_body, idle_s
        See `MAX_BODY` and `MAX_IDLE_S`.
    """

    def __init__(
        self,
        app: ASGIApp,
        proxies: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        max_body: int = MAX_BODY,
        idle_s: float = MAX_IDLE_S,
    ) -> None:
        self.app, self.proxies, self.headers = app, [name.lower() for name in proxies], headers or {}
        self.max_body, self.idle_s = max_body, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        deadline, arrived, complete = asyncio.get_running_loop().time() + MAX_REQUEST_S, 0, False

        async def body() -> Message:
            nonlocal arrived, complete
            if complete:  # what comes now is that the caller hangs up
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"a request arrives within {MAX_REQUEST_S:.0f} seconds") from None
            arrived, complete = arrived + len(message.get("body", b"")), not message.get("more_body", False)
            if arrived > self.max_body:
                raise HTTPException(413, f"a request has at most {self.max_body} bytes")
            return message

        async def messages() -> Message:
            try:
                async with asyncio.timeout(self.idle_s):
                    return await receive()
            except TimeoutError:
                closed = {"code": 1001, "reason": f"no message for {self.idle_s:.0f} seconds"}
                await send({"type": "websocket.close", **closed})
                return {"type": "websocket.disconnect", **closed}

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        app = self.app
        if self._is_foreign(scope):
            app = JSONResponse({"error": "calls must come from the server's own page, or from a program"}, 403)
        await app(scope, messages if scope["type"] == "websocket" else body, guarded)

    def _is_foreign(self, scope: Scope) -> bool:
        """Whether a page of another site makes the call: browsers say so, in one header or the other."""
        headers = Headers(scope=scope)
        if scope.get("method") in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate":
            return False  # a link may lead here
        if site := headers.get("sec-fetch-site"):
            return site not in ("same-origin", "none")
        if (origin := headers.get("origin")) is None:
            return False
        try:
            page = urlsplit(origin.lower())
        except ValueError:
            return True
        is_own = bool(page.netloc) and page.netloc == headers.get("host", "").lower()
        return not is_own and not any(fnmatchcase(page.hostname or "", name) for name in self.proxies)


class Punctual(H11Protocol):
    """uvicorn's HTTP, which has no limit of time for a request to arrive, with one."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(MAX_REQUEST_S, self._hang_up)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, or for the rest of one that was refused."""
        super().on_response_complete()
        self._deadline.cancel()
        self._deadline = self.loop.call_later(MAX_REQUEST_S, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._deadline.cancel()

    def _hang_up(self) -> None:
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self.transport.close()


def run(
    build: Callable[[list[str]], Any], host: str, port: int, allow_host: Iterable[str] = (), **options: Any
) -> None:
    """Serve until interrupted; print the address, and a warning if other machines can reach it.

    Parameters
    ----------
    build
        Makes the application of the hosts under which it may be reached.
    host, port
        Where it listens; port 0 takes a free one. The host is allowed besides those of ``allow_host``.
    **options
        Of ``uvicorn.Config``.
    """
    check_int("--port", port, 0, 65535)
    app = build([f"[{host}]" if ":" in host else host, *allow_host])
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        rule = "--host and --port must be free and of this machine"
        raise ValueError(f"{rule}, got {short_repr(host)} and {port}: {error.strerror}") from None
    at, port = listening.getsockname()[:2]
    if not ip_address(at).is_loopback:
        warning = f"{host} can be reached from other machines, and nothing asks for a password"
        print(f"forge-gym: {warning}. Their users need --allow-host NAME.", file=sys.stderr)
    limits: Any = {"limit_concurrency": 500, "timeout_graceful_shutdown": 2}
    server = uvicorn.Server(
        uvicorn.Config(app, http=Punctual, log_level="warning", server_header=False, **limits | options)
    )
    logging.getLogger("uvicorn.error").addFilter(lambda _: not server.should_exit)  # what it cuts off is no fault
    print(f"http://{f'[{at}]' if ':' in at else at}:{port}/  (Ctrl-C ends it)", flush=True)
    with suppress(KeyboardInterrupt), listening:
        server.run(sockets=[listening])
    if server.should_exit:
        os._exit(0)  # Python would wait for the threads that still solve
