"""When to ask a server again: rate limits that all requests share, pauses that the server asks for, backoff."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Clock:
    """Time and chance; tests put their own in their place."""

    now: Callable[[], float] = time.monotonic
    """Seconds since whenever, never backwards."""
    wall: Callable[[], float] = time.time
    """Seconds since 1970, for dates."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = random.random
    """From 0 to 1."""


class Pacer:
    """Says when the next request may start.

    Requests are spaced evenly, so no minute has more than one above its limit, and no burst follows a pause.

    Parameters
    ----------
    clock
        What time it is.
    requests_per_minute, tokens_per_minute
        Limits of the server; None where there is none.
    """

    def __init__(
        self, clock: Clock, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        self._clock = clock
        self._per_request = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self._paused_until = self._next_request = self._next_token = float("-inf")
        self.open()

    def open(self) -> None:
        """Serve the event loop that runs now; the limits hold on from one loop to the next."""
        self._queue = asyncio.Lock()

    async def turn(self, tokens: float = 0) -> None:
        """Return when a request that takes about ``tokens`` may start; first come, first served."""
        async with self._queue:
            # In a loop, since the server may ask for a pause while this one sleeps.
            while (wait := self._start() - self._clock.now()) > 0:
                await self._clock.sleep(wait)
            now = self._clock.now()
            self._next_request = now + self._per_request
            self._next_token = now + tokens * self._per_token

    def _start(self) -> float:
        return max(self._paused_until, self._next_request, self._next_token)

    def settle(self, reserved: float, used: float) -> None:
        """Put the tokens that a request has used in the place of those it took its turn for."""
        self._next_token += (used - reserved) * self._per_token

    def pause(self, seconds: float) -> None:
        """Start nothing for ``seconds``."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)


def backoff(attempt: int, chance: float) -> float:
    """Return the seconds to wait after failed attempt number ``attempt``: exponential, with full jitter.

    Full jitter draws between 0 and the exponential bound, so clients that failed together do not return
    together (M. Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015). ``chance`` is the draw, from
    0 to 1. The bound is 1 s after attempt number 1, and never more than a minute.

    Examples
    --------
    >>> [backoff(attempt, 1.0) for attempt in (1, 2, 3, 10, 10_000)]
    [1.0, 2.0, 4.0, 60.0, 60.0]
    """
    return chance * min(60.0, 2.0 ** min(attempt - 1, 30))


def retry_after(value: str | None, wall: float) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, or None where it says nothing.

    Both forms of RFC 9110, section 10.2.3: seconds, and a date, which is held against ``wall``, the seconds since 1970.

    Examples
    --------
    >>> retry_after("120", wall=0), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", wall=15), retry_after("soon", 0)
    (120.0, 45.0, None)
    """
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:  # "-0000": a time in UTC, of no stated place
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - wall)
