"""A model behind an OpenAI-compatible server: a paid API, or vLLM, llama.cpp, Ollama on one's own machine."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from ..core.checks import check_choice, check_int, short_repr
from .agent import PRUNED, AgentError, Reply, Stop, Task, answers
from .pacing import Clock, Pacer, backoff, retry_after
from .prompting import Prompting

if TYPE_CHECKING:
    import ssl

    import httpx

DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_KEY = "OPENAI_API_KEY"
LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")
_FIXED = frozenset({"messages", "model", "n", "stream", "stream_options"})
_RETRIED = frozenset({408, 409, 425, 429})
_MAX_BODY = 64 * 2**20
"""Longest response that is read, in bytes."""
_CHARACTERS_PER_TOKEN = 4
_LEAST_COUNTS = {"concurrency": 1, "attempts": 1, "max_tokens": 1, "seed": 0}
_ABOVE_0 = ("timeout", "connect_timeout", "read_timeout", "requests_per_minute", "tokens_per_minute")
_AT_LEAST_0 = ("temperature", "longest_wait", "prompt_price", "completion_price")


@dataclass(eq=False, repr=False)
class OpenAICompatibleAgent:
    """A chat model that is asked over HTTP, many tasks at a time.

    A request is sent again, after exponential backoff with full jitter, on 408, 409, 425, 429 and 5xx, on
    timeouts and broken connections, and on a response that is cut, no JSON or without choices. Other statuses
    end it at once. After a 429, and wherever the server says ``Retry-After``, nothing is asked until then.

    Only the content of a reply is its text: thoughts that a server reports apart are not looked at.

    Raises
    ------
    ValueError
        If an option makes no sense.
    ImportError
        If httpx is not installed.
    """

    model: str
    """As the server calls it."""
    _: KW_ONLY
    base_url: str = ""
    """Up to and without ``/chat/completions``; by default the environment's ``OPENAI_BASE_URL``, or OpenAI's."""
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
    """If given, it is sent plus the task's sample number, so that samples differ."""
    extra: Mapping[str, Any] | str | None = None
    """More fields of the request, as a mapping or as JSON."""
    concurrency: int = 16
    """Requests under way at a time."""
    attempts: int = 6
    """Requests per reply, at most."""
    timeout: float = 600.0
    """Seconds for a whole request."""
    connect_timeout: float = 15.0
    """Seconds to connect."""
    read_timeout: float | None = None
    """Seconds between two parts of a response; by default ``timeout``, since many a response comes in one part."""
    longest_wait: float = 600.0
    """Seconds beyond which a ``Retry-After`` is not waited for: the reply is given up."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Both are limits to keep to, if any. Requests are spaced evenly."""
    prompt_price: float = 0.0
    completion_price: float = 0.0
    """Both are of a million tokens."""
    clock: Clock | None = None
    """For tests; that of the machine by default."""

    def __post_init__(self) -> None:
        try:
            import httpx
        except ImportError:
            raise ImportError("api:MODEL needs httpx: pip install 'forge-gym[api]'") from None
        if not self.model:
            raise ValueError("model must be the name of a model at the server, got ''")
        self.base_url = (self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL).rstrip("/")
        try:
            address = httpx.URL(self.base_url)
        except httpx.InvalidURL:
            address = httpx.URL("")
        if address.scheme not in ("http", "https") or not address.host:
            raise ValueError(
                f"base_url must be like https://host/v1 or http://localhost:8000/v1, got {short_repr(self.base_url)}"
            )
        check_choice("max_tokens_field", self.max_tokens_field, LIMIT_FIELDS)
        options = {option: value for option, value in vars(self).items() if value is not None}
        for option, least in _LEAST_COUNTS.items():
            if option in options:
                check_int(option, options[option], least)
        for option in _ABOVE_0:
            if option in options and not options[option] > 0:
                raise ValueError(f"{option} must be above 0, got {options[option]!r}")
        for option in _AT_LEAST_0:
            if option in options and not options[option] >= 0:
                raise ValueError(f"{option} must be at least 0, got {options[option]!r}: did you mean 0.0?")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p!r}: did you mean 1.0?")
        self.name = self.name or self.model
        self.prompting = Prompting(self.system, self.shots)
        self._prices = self.prompt_price / 1e6, self.completion_price / 1e6
        self._key = _read_key(self.api_key_env)
        sent = {option: options[option] for option in ("temperature", "top_p") if option in options}
        limit = {} if self.max_tokens is None else {self.max_tokens_field: self.max_tokens}
        self._options = sent | limit | _extra(self.extra)
        self._clock = self.clock or Clock()
        self._pacer = Pacer(self._clock, self.requests_per_minute, self.tokens_per_minute)
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Open connections in the running event loop."""
        import httpx

        if self._client is not None:
            raise RuntimeError(f"{self.name} is open already")
        self._client = httpx.AsyncClient(
            verify=_certificates(),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(self.read_timeout or self.timeout, connect=self.connect_timeout, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=self.concurrency),
        )
        self._slots, self._drawing = asyncio.Semaphore(self.concurrency), asyncio.Lock()
        self._pacer.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Close them."""
        if self._client is not None:
            await self._client.aclose()
        self._client = None

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Return the text of one reply per task, in order; see `answers`."""
        return answers(self, tasks)

    async def reply(self, task: Task, stop: Stop | None = None) -> Reply:
        """Return the reply to one task.

        With ``stop``, the reply is streamed, and broken off where ``stop`` says so. The reply is then what had come,
        with finish ``pruned``. Servers say at the end of a stream how many tokens it took: before that each piece
        counts as one, and every four characters of the prompt.

        Raises
        ------
        AgentError
            If there is none after all attempts, or the server refuses.
        """
        import httpx

        body = await self._body(task)
        if stop is not None:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        asked = sum(len(message["content"]) for message in body["messages"]) // _CHARACTERS_PER_TOKEN
        reserved = asked + (self.max_tokens or 0)
        async with self._slots:
            for attempt in range(1, self.attempts + 1):
                await self._pacer.turn(reserved)
                start = self._clock.now()
                try:
                    async with asyncio.timeout(self.timeout):
                        completion = await self._attempt(body, stop, asked)
                except _Failure as error:
                    failure = error
                except TimeoutError:
                    failure = _Failure(f"no whole reply within {self.timeout:g} s")
                except httpx.RequestError as error:
                    failure = _Failure(type(error).__name__, str(error))
                else:
                    text, finish, prompt_tokens, completion_tokens = completion
                    self._pacer.settle(reserved, (prompt_tokens + completion_tokens) or reserved)
                    cost = prompt_tokens * self._prices[0] + completion_tokens * self._prices[1]
                    seconds = self._clock.now() - start
                    return Reply(text, finish, prompt_tokens, completion_tokens, cost, seconds, attempt)
                await self._wait(failure, attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _wait(self, failure: _Failure, attempt: int) -> None:
        """Wait for as long as there is hope after ``failure``, or raise."""
        seconds = max(backoff(attempt, self._clock.random()), failure.wait or 0.0)
        if failure.shared and seconds <= self.longest_wait:
            self._pacer.pause(seconds)  # also where this one is given up: others are to wait
        # The key is taken out before the text is cut: servers may repeat what they refuse.
        detail = failure.detail.replace(self._key, "[key]") if self._key else failure.detail
        message = f"{failure.reason}: {short_repr(detail, 200)}" if detail else failure.reason
        if not failure.passing:
            raise AgentError(f"{self.name}: {message}")
        if attempt == self.attempts:
            raise AgentError(f"{self.name}: no reply after {attempt} attempts, the last: {message}")
        if seconds > self.longest_wait:
            raise AgentError(f"{self.name}: the server asks to wait {seconds:.0f} s: {message}")
        if not failure.shared:
            await self._clock.sleep(seconds)

    async def _body(self, task: Task) -> dict[str, Any]:
        if self.prompting.shots:
            # Examples are solved once per problem, by a thread: requests under way go on.
            async with self._drawing:
                messages = await asyncio.to_thread(self.prompting.messages, task)
        else:
            messages = self.prompting.messages(task)
        body: dict[str, Any] = {"model": self.model, "messages": messages, **self._options}
        if self.seed is not None:
            body["seed"] = self.seed + task.sample
        return body

    async def _attempt(
        self, body: dict[str, Any], stop: Stop | None, asked: int
    ) -> tuple[str, str, int, int]:
        """Return text, finish reason and tokens of prompt and completion, or raise `_Failure`."""
        if self._client is None:
            raise RuntimeError(f"{self.name} is not open: use `async with agent`")
        # JSON in ASCII: text of a model may hold what is no valid UTF-8.
        async with self._client.stream(
            "POST",
            f"{self.base_url}/chat/completions",
            content=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        ) as response:
            if not response.is_success:
                raise await self._refusal(response)
            if stop is not None and response.headers.get("Content-Type", "").startswith("text/event-stream"):
                return await _follow(response, stop, asked)
            data = _loads(await _read(response))
        choice = _choice(data)
        if choice is None or not isinstance(choice.get("message"), dict):
            raise _Failure("no choices in the response", _message(data))
        tokens = _tokens(data.get("usage"))
        return _text(_content(choice["message"])), _finish(choice), *tokens

    async def _refusal(self, response: httpx.Response) -> _Failure:
        try:
            data = _loads(await _read(response))
        except _Failure:
            data = {}
        status, error = response.status_code, data.get("error")
        spent = isinstance(error, dict) and "insufficient_quota" in (error.get("code"), error.get("type"))
        passing = (status in _RETRIED or status >= 500) and not spent
        wait = retry_after(response.headers.get("Retry-After"), self._clock.wall()) if passing else None
        shared = passing and (status == 429 or wait is not None)
        return _Failure(f"HTTP {status}", _message(data), passing, wait, shared)


@dataclass(eq=False)
class _Failure(Exception):
    """A request that brought no reply."""

    reason: str
    detail: str = ""
    """What the server or the network says, of any length."""
    passing: bool = True
    """Whether another request may bring one."""
    wait: float | None = None
    """Seconds that the server asks to wait."""
    shared: bool = False
    """Whether other requests would fare alike now."""


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Return the authorities to trust; reading them takes longer than many a request."""
    import httpx

    return httpx.create_ssl_context()


def _read_key(variable: str) -> str:
    """Return the key that an environment variable holds, never saying what it is."""
    key = os.environ.get(variable or DEFAULT_KEY, "").strip()
    if variable and not key:
        raise ValueError(f"api_key_env must name an environment variable that is set, got {variable!r}")
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"the key in {variable or DEFAULT_KEY} must be one line of ASCII")
    return key


def _extra(extra: Mapping[str, Any] | str | None) -> dict[str, Any]:
    try:
        extra_fields = json.loads(extra) if isinstance(extra, str) else extra or {}
        json.dumps(extra_fields)
    except (ValueError, TypeError, RecursionError):
        extra_fields = None
    if not isinstance(extra_fields, Mapping):
        raise ValueError(f"extra must be a JSON object of fields of the request, got {short_repr(extra)}")
    if taken := sorted(_FIXED.intersection(extra_fields)):
        raise ValueError(f"extra must leave {taken[0]} alone, got {short_repr(extra_fields[taken[0]])}")
    return dict(extra_fields)


async def _parts(response: httpx.Response) -> AsyncGenerator[bytes]:
    """Yield the response as it comes, up to its longest length."""
    length = 0
    async for part in response.aiter_bytes():
        length += len(part)
        if length > _MAX_BODY:
            raise _Failure(f"a response of more than {_MAX_BODY} bytes")
        yield part


async def _read(response: httpx.Response) -> bytes:
    return b"".join([part async for part in _parts(response)])


async def _events(response: httpx.Response) -> AsyncGenerator[bytes]:
    """Yield the data of server-sent events, one line each, as chat servers send them."""
    rest = b""
    # Not by the library's lines: they would break at U+2028, which JSON may hold.
    async for part in _parts(response):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


async def _follow(response: httpx.Response, stop: Stop, asked: int) -> tuple[str, str, int, int]:
    """Read a stream to its end, or until ``stop``."""
    text, finish, pieces, usage, ended = "", "", 0, None, False
    async with aclosing(_events(response)) as events:
        async for event in events:
            if event == b"[DONE]":
                ended = True
                break
            data = _loads(event)
            if data.get("error"):
                raise _Failure("the stream ends with an error", _message(data))
            usage = data.get("usage") or usage
            choice = _choice(data) or {}  # none beside the usage
            finish = _finish(choice) or finish
            delta = choice.get("delta")
            if not isinstance(delta, dict):
                continue
            piece = _content(delta)
            pieces += bool(piece or delta.get("reasoning_content") or delta.get("reasoning"))
            text += piece
            if piece and stop(text):
                finish = PRUNED
                break
    if not (finish or ended):  # some servers leave out the mark of the end, others the reason
        raise _Failure("the stream ends before the reply does")
    prompt_tokens, completion_tokens = _tokens(usage)
    return _text(text), finish, prompt_tokens or asked, completion_tokens or pieces


def _loads(data: bytes) -> dict[str, Any]:
    try:
        response = json.loads(data)
    except (ValueError, RecursionError):
        response = None
    if not isinstance(response, dict):
        raise _Failure("the response is no JSON object", data.decode(errors="replace"))
    return response


def _choice(data: dict[str, Any]) -> dict[str, Any] | None:
    choices = data.get("choices")
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _content(message: dict[str, Any]) -> str:
    """Return the text of a message: a string, or the text parts of a list; null is no text."""
    content = message.get("content")
    if isinstance(content, list):
        texts = [
            part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"
        ]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _text(content: str) -> str:
    """Return ``content`` with the halves of characters joined, and those without another half replaced."""
    if content.isascii():
        return content
    return content.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _finish(choice: dict[str, Any]) -> str:
    finish = choice.get("finish_reason")
    return finish[:40] if isinstance(finish, str) else ""


def _tokens(usage: object) -> tuple[int, int]:
    """Return the tokens of prompt and completion, 0 where the server does not say."""
    values = [
        usage.get(f"{part}_tokens") if isinstance(usage, dict) else 0 for part in ("prompt", "completion")
    ]
    prompt, completion = (v if type(v) is int and 0 <= v < 2**53 else 0 for v in values)
    return prompt, completion


def _message(data: dict[str, Any]) -> str:
    """Return what the server says is wrong."""
    error = data.get("error", data.get("message", data.get("detail", "")))
    if isinstance(error, dict):
        error = error.get("message", error)
    return str(error)
