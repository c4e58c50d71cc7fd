"""A model behind an OpenAI-compatible server: a paid API, or vLLM, llama.cpp, Ollama on one's own machine."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from asyncio import sleep
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from email.utils import parsedate_to_datetime
from math import inf
from random import random
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Self

from ..core.answer import CLOSE, OPEN, THOUGHTS, Thoughts, ThoughtsLike
from ..core.checks import check_choice, check_int, short_repr
from ..core.foreign import load_json
from .agent import AgentError, Reply, Task, Unreachable
from .causal_lm import sampling_seed
from .prompting import Prompting, check_sampling
from .secrets import Address, Secrets, fields_of

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_KEY = "OPENAI_API_KEY"
LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")
_FIXED = frozenset({"messages", "model", "n", "stream", "stream_options"})
_RETRIED = frozenset({408, 409, 425, 429})
_PARTS = ("prompt", "completion")
_CHARACTERS_PER_TOKEN = 4
_CONNECTING = 15.0
"""Seconds to connect."""
_LONGEST_WAIT = 600.0
"""Seconds beyond which a ``Retry-After`` is not waited for: the reply is given up."""
_LONGEST_RESPONSE = 2**24
"""Bytes of a response: more than any reply that is read."""


@dataclass(eq=False, repr=False)
class OpenAICompatibleAgent:
    """A chat model that is asked over HTTP, many tasks at a time.

    A request is sent again, after exponential backoff with full jitter, on 408, 409, 425, 429 and 5xx, on
    timeouts and broken connections, and on a response that is cut, no JSON or without choices. Other statuses
    end it at once. After a 429, and wherever the server says ``Retry-After``, nothing is asked until then.

    Only the content of a reply is its text. Thoughts that a server reports apart are never judged. A stop string
    (``extra={"stop": ["</answer>"]}``) ends a reply and is left out by most servers. It is put back where the server
    names it (vLLM, SGLang). Where a server names none, an answer that a stop string ``</answer>`` left open is closed,
    unless the reply was cut off. An option that makes no sense is a ``ValueError``.
    """

    model: str
    """As the server calls it."""
    _: KW_ONLY
    base_url: str = ""
    """Up to and without ``/chat/completions``; by default the environment's ``OPENAI_BASE_URL``, or OpenAI's.

    User, password and query of the address go with each request; the attribute holds it without them.
    """
    api_key_env: str = ""
    """Name of the environment variable that holds the key, which goes to ``base_url`` and nowhere else.

    By default ``OPENAI_API_KEY``, which may be unset, for servers that ask for none.
    """
    name: str = ""
    """How tables call the agent; the model's name by default."""
    system: str = ""
    shots: int = 0
    """System message and number of solved examples; see `Prompting`."""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    """Each of the three is sent if given; otherwise the server has its own."""
    max_tokens_field: str = LIMIT_FIELDS[0]
    """``max_tokens``, or what newer models of OpenAI want, ``max_completion_tokens``."""
    seed: int | None = None
    """If given, the seed that is sent follows from it and the task's sample number: no two of them share one."""
    extra: Mapping[str, Any] | str | None = None
    """More fields of the request, as a mapping or as JSON."""
    thoughts: ThoughtsLike = THOUGHTS
    """How thoughts end that the server leaves in the reply; where it reports them apart, nothing need be said."""
    concurrency: int = 16
    """Requests under way at a time."""
    attempts: int = 6
    """Requests per reply, at most."""
    timeout: float = 600.0
    """Seconds for a whole request."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Both are limits to keep to, if any. Requests are spaced evenly."""
    prompt_price: float = 0.0
    completion_price: float = 0.0
    """Both are of a million tokens."""

    def __post_init__(self) -> None:
        import httpx  # noqa: F401 - only to say at once that it is missing

        self._address = Address.of(self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL)
        self.base_url = self._address.stated
        check_choice("max_tokens_field", self.max_tokens_field, LIMIT_FIELDS)
        check_sampling(self.temperature, self.top_p)
        options = {option: value for option, value in vars(self).items() if value is not None}
        for option, least in {"concurrency": 1, "attempts": 1, "max_tokens": 1, "seed": 0}.items():
            if option in options:
                setattr(self, option, check_int(option, options[option], least))
        for option in ("timeout", "requests_per_minute", "tokens_per_minute"):
            if not options.get(option, 1) > 0:
                raise ValueError(f"{option} must be above 0, got {options[option]!r}")
        for option in ("prompt_price", "completion_price"):
            if not 0 <= options[option] < inf:
                raise ValueError(f"{option} must be at least 0, got {options[option]!r}: did you mean 0.0?")
        self.name = self.name or self.model
        self.thoughts = self._thoughts = Thoughts.of(self.thoughts)
        self.prompting = Prompting(self.system, self.shots)
        self._key = _read_key(self.api_key_env)
        sent = {"model": self.model, "temperature": self.temperature, "top_p": self.top_p}
        sent[self.max_tokens_field] = self.max_tokens
        given = {field: value for field, value in sent.items() if value is not None}
        self._body: dict[str, Any] = given | _extra(self.extra)
        self._secrets = Secrets(self._key, self._address, _extra(self.extra))
        stops = self._body.get("stop") or []
        self._stops: list[Any] = [stops] if isinstance(stops, str) else stops if isinstance(stops, list) else []
        self._per_request = 60.0 / (self.requests_per_minute or inf)
        self._per_token = 60.0 / (self.tokens_per_minute or inf)
        self._paused_until = self._next_request = self._next_token = -inf
        self._client: httpx.AsyncClient | None = None
        self._met = False  # whether the server has ever answered

    async def __aenter__(self) -> Self:
        """Open connections in the running event loop."""
        import httpx

        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            auth=self._address.login,
            params=httpx.QueryParams(self._address.query),
            timeout=httpx.Timeout(None, connect=_CONNECTING),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=self.concurrency),
        )
        logging.getLogger("httpx").addFilter(_without_query)
        self._slots, self._queue = asyncio.Semaphore(self.concurrency), asyncio.Lock()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close them."""
        if self._client is not None:
            await self._client.aclose()
        self._client = None

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return the text of one reply per task, in order, for callers without an event loop."""

        async def ask() -> list[Reply]:
            async with self:
                return await asyncio.gather(*map(self.reply, tasks))

        return [reply.text for reply in asyncio.run(ask())]

    async def reply(self, task: Task) -> Reply:
        """Return the reply to one task, or raise `AgentError`; `Unreachable` if no server has ever answered."""
        body = self._body | {"messages": self.prompting.messages(task)}
        if self.seed is not None:
            body["seed"] = sampling_seed([self.seed, task.sample]) >> 33  # 31 bits are accepted everywhere
        asked = sum(len(message["content"]) for message in body["messages"]) // _CHARACTERS_PER_TOKEN
        reserved = asked + (self.max_tokens or 0)
        async with self._slots:
            for attempt in range(1, self.attempts + 1):
                await self._turn(reserved)
                start = monotonic()
                try:
                    reply = await self._ask(body)
                except _Failure as failure:
                    await self._wait(failure, attempt)
                    continue
                tokens = reply.prompt_tokens, reply.completion_tokens
                self._next_token += ((sum(tokens) or reserved) - reserved) * self._per_token
                cost = (tokens[0] * self.prompt_price + tokens[1] * self.completion_price) / 1e6
                return replace(reply, cost=cost, seconds=monotonic() - start, attempts=attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _turn(self, tokens: float) -> None:
        """Return when a request that takes about ``tokens`` may start: first come, first served, and evenly spaced."""
        async with self._queue:
            # In a loop, since the server may ask for a pause while this one sleeps.
            while (wait := max(self._paused_until, self._next_request, self._next_token) - monotonic()) > 0:
                await sleep(wait)
            self._next_request = monotonic() + self._per_request
            self._next_token = monotonic() + tokens * self._per_token

    async def _wait(self, failure: _Failure, attempt: int) -> None:
        """Wait for as long as there is hope after ``failure``, or raise."""
        seconds = max(backoff(attempt, random()), failure.wait)
        if failure.shared and seconds <= _LONGEST_WAIT:
            # Also where this one is given up: others are to wait.
            self._paused_until = max(self._paused_until, monotonic() + seconds)
        detail = self._secrets.hide(failure.detail)  # before it is cut: servers may repeat what they refuse
        message = f"{failure.reason}: {short_repr(detail, 200)}" if detail else failure.reason
        if not failure.passing:
            raise AgentError(f"{self.name}: {message}")
        if attempt == self.attempts:
            raise AgentError(f"{self.name}: no reply after {attempt} attempts, the last: {message}")
        if seconds > _LONGEST_WAIT:
            raise AgentError(f"{self.name}: the server asks to wait {seconds:.0f} s: {message}")
        if not failure.shared:
            await sleep(seconds)

    async def _ask(self, body: dict[str, Any]) -> Reply:
        """Return text, finish reason and tokens, or raise `_Failure`."""
        import httpx

        if self._client is None:
            raise RuntimeError(f"{self.name} is not open: use `async with agent`")
        # JSON in ASCII: text of a model may hold what is no valid UTF-8.
        content, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        try:
            async with asyncio.timeout(self.timeout):
                async with self._client.stream("POST", "chat/completions", content=content, headers=kind) as response:
                    received = await _received(response)
        except TimeoutError:
            raise _Failure(f"no whole reply within {self.timeout:g} s") from None
        except (httpx.RequestError, httpx.InvalidURL, UnicodeError) as error:
            if not self._met and isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
                where = f"{self.name}: no server answers at {httpx.URL(self.base_url).netloc.decode()}"
                raise Unreachable(f"{where}: {error or 'it takes too long to connect'}") from None
            raise _Failure(type(error).__name__, str(error)) from None
        self._met = True
        try:
            data = self._secrets.hide_all(load_json(received))
        except ValueError:
            data = None
        if not response.is_success:
            raise _refusal(response, data if isinstance(data, dict) else {})
        if not isinstance(data, dict):
            raise _Failure("the response is no JSON object", received.decode("utf-8", "replace"))
        return _read_reply(data, self._thoughts, self._stops)


async def _received(response: httpx.Response) -> bytes:
    """Return the body of a response, or raise `_Failure` where it is longer than any reply that is read."""
    parts = bytearray()
    async for part in response.aiter_bytes(2**16):
        parts += part
        if len(parts) > _LONGEST_RESPONSE:
            raise _Failure(f"the response has more than {_LONGEST_RESPONSE} bytes")
    return bytes(parts)


def _without_query(record: logging.LogRecord) -> bool:
    """Leave out of httpx's log what may be a key in the address of a request."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            arg.copy_with(query=None) if type(arg).__name__ == "URL" else arg  # type: ignore[attr-defined]
            for arg in record.args
        )
    return True


@dataclass(eq=False)
class _Failure(Exception):
    """A request that brought no reply."""

    reason: str
    detail: str = ""
    """What the server or the network says, of any length."""
    passing: bool = True
    """Whether another request may bring one."""
    wait: float = 0.0
    """Seconds that the server asks for."""
    shared: bool = False
    """Whether other requests would fare alike now."""


def _refusal(response: httpx.Response, data: dict[str, Any]) -> _Failure:
    status, error = response.status_code, data.get("error")
    spent = isinstance(error, dict) and "insufficient_quota" in (error.get("code"), error.get("type"))
    passing = (status in _RETRIED or status >= 500) and not spent
    wait = retry_after(response.headers.get("Retry-After"), time())
    shared = passing and (status == 429 or wait is not None)
    return _Failure(f"HTTP {status}", _message(data), passing, wait or 0.0, shared)


def backoff(attempt: int, chance: float) -> float:
    """Return the seconds to wait after failed attempt number ``attempt``, by a draw from 0 to 1: ``chance``.

    Full jitter draws between 0 and an exponential bound of at most a minute, so clients that failed together do not
    return together (M. Brooker, "Exponential backoff and jitter", AWS Architecture Blog, 2015).
    """
    return chance * min(60.0, 2.0 ** min(attempt - 1, 30))


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for at ``now``, or None where it says nothing.

    It may hold seconds or a date (RFC 9110, section 10.2.3); ``now`` is in seconds since 1970.
    """
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _read_key(variable: str) -> str:
    key = os.environ.get(variable or DEFAULT_KEY, "").strip()
    shown = repr(variable) if re.fullmatch("[A-Z_][A-Z0-9_]{0,39}", variable) else "what may be a key itself"
    if variable and not key:
        raise ValueError(f"api_key_env must name an environment variable that is set, got {shown}")
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"the key in {variable or DEFAULT_KEY} must be one line of ASCII")
    return key


def _extra(extra: Mapping[str, Any] | str | None) -> dict[str, Any]:
    extra_fields = fields_of(extra)
    if taken := sorted(_FIXED.intersection(extra_fields)):
        raise ValueError(f"extra must leave {taken[0]} alone, which the agent sets")
    return extra_fields


def _read_reply(data: dict[str, Any], thoughts: Thoughts, stops: Sequence[Any]) -> Reply:
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not (isinstance(choice, dict) and isinstance(message, dict)):
        raise _Failure("no choices in the response", _message(data))
    finish = _content(choice.get("finish_reason"))
    text = _content(message.get("content"))
    apart = _content(message.get("reasoning_content")) or _content(message.get("reasoning"))
    if not text.strip() and apart:
        text = f"{thoughts.start}{apart}{thoughts.end}"
    elif finish == "stop":
        text += _left_out(text, choice, stops)
    # The halves of characters are joined, and those without another half replaced.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    usage = data.get("usage")
    counts = [usage.get(f"{part}_tokens") for part in _PARTS] if isinstance(usage, dict) else [0, 0]
    tokens = [count if type(count) is int and 0 <= count < 2**53 else 0 for count in counts]
    return Reply(text, finish[:40], *tokens)


def _left_out(text: str, choice: Mapping[str, Any], stops: Sequence[Any]) -> str:
    """Return the stop string that ended ``text`` and that the server left out; empty where there is none.

    vLLM names it in ``stop_reason`` and SGLang in ``matched_stop``, None or a token's number where the model ended the
    reply itself. Others say ``stop`` of both: then only an answer that one of ``stops`` would close counts as stopped.
    """
    for named in ("stop_reason", "matched_stop"):
        if named in choice:
            stop = _content(choice[named])
            return stop if stop in (CLOSE, *stops) and not text.endswith(stop) else ""
    return CLOSE if CLOSE in stops and text.rfind(OPEN) > text.rfind(CLOSE) else ""


def _content(value: object) -> str:
    """Return a string, or the texts of a list of parts; anything else is no text."""
    if isinstance(value, list):
        texts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(text for text in texts if isinstance(text, str))
    return value if isinstance(value, str) else ""


def _message(data: dict[str, Any]) -> str:
    error = data.get("error", data.get("message", data.get("detail", "")))
    if isinstance(error, dict):
        error = error.get("message", error)
    return str(error)
