"""What every request passes first: whose page sent it, how large it is, and how long it takes to arrive."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY, MAX_BODY_S = 2**19, 10.0
"""Bytes of a request's body, and seconds within which it must have arrived."""
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware that refuses calls of other sites and bodies too large or slow; adds the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        deadline, arrived = asyncio.get_running_loop().time() + MAX_BODY_S, 0

        async def limited() -> Message:
            nonlocal arrived
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"a request arrives within {MAX_BODY_S:.0f} seconds") from None
            arrived += len(message.get("body", b""))
            if arrived > MAX_BODY:
                raise HTTPException(413, f"a request has at most {MAX_BODY} bytes")
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        app, headers = self.app, Headers(scope=scope)
        is_link = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if not is_link and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            app = JSONResponse({"error": "calls must come from the explorer's own page"}, 403)
        await app(scope, limited, guarded)
