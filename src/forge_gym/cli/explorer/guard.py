"""What every request passes first: whose it is, how large it is, and how many are under way.

The page answers anybody who reaches its port, and a page of another site can make a browser on this machine reach
it. So a request names this machine as its host (a site that points its own name here does not), and calls of the
interface come from the page itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 2**19
"""Bytes of a request's body."""
MAX_BODY_S = 10.0
"""Seconds within which a body must have arrived."""
MAX_REQUESTS = 16
"""Calls of the interface under way at once; more are refused."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


class Guard:
    """ASGI middleware that refuses foreign, oversized and excess requests, and adds the security headers.

    Parameters
    ----------
    names
        Host names of this machine; an address in numbers always is one, since no site can own it.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self.app = app
        self.names = frozenset(name.lower() for name in names)
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            called = scope["path"].startswith("/api/")
            self._check(called, headers)
            self.under_way += called
            try:
                body = await _body(receive, headers)
                await self.app(scope, _replay(body, receive), guarded)
            finally:
                self.under_way -= called
        except HTTPException as refused:
            fields = {"connection": "close"}  # what is left of the body is not read
            if refused.status_code == 503:
                fields["retry-after"] = "1"
            content = json.dumps({"error": refused.detail})
            reply = Response(content, refused.status_code, fields, media_type="application/json")
            await reply(scope, receive, guarded)

    def _check(self, called: bool, headers: dict[str, str]) -> None:
        if not is_here(headers.get("host", ""), self.names):
            raise HTTPException(403, "the Host header must name this machine: open the printed address")
        if called and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise HTTPException(403, "calls must come from the explorer's own page")
        if called and self.under_way >= MAX_REQUESTS:
            raise HTTPException(503, f"{MAX_REQUESTS} requests are under way: try again in a moment")


def is_here(host: str, names: Iterable[str]) -> bool:
    """Whether a Host header is one of ``names`` or an address in numbers, with any port.

    Examples
    --------
    >>> [is_here(host, {"localhost"}) for host in ("localhost:8642", "127.0.0.1:8642", "[::1]", "evil.example", "")]
    [True, True, True, False, False]
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name in names or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


async def _body(receive: Receive, headers: dict[str, str]) -> bytes:
    """Return the whole body of a request, or refuse it before more than `MAX_BODY` is in memory."""
    too_large = HTTPException(413, f"a request has at most {MAX_BODY} bytes")
    length = headers.get("content-length", "0")
    if length.isdecimal() and (len(length) > 9 or int(length) > MAX_BODY):
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(MAX_BODY_S):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > MAX_BODY:
                    raise too_large
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise HTTPException(408, f"a request arrives within {MAX_BODY_S:.0f} seconds") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that yields ``body`` once, and then what ``receive`` does."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def channel() -> Message:
        return messages.pop() if messages else await receive()

    return channel
