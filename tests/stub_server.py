"""An OpenAI-compatible server on the loopback that misbehaves as it is told; the fixture `stub_server` starts one."""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class StubServer:
    """Answers ``POST /v1/chat/completions``, each request as one word of behaviour says.

    ======================== ==================================================================
    ``ok``                   a chat completion with the text that `answer` returns
    ``429 Retry-After: 2``   that status, with that header if any, and an OpenAI-like error that repeats the key
    ``quota``                429 for good: the account has no money left
    ``invalid``              half of the JSON, as if it were all
    ``cut``                  half of the promised body, then the connection is closed
    ``reset``                half of the promised body, then the connection is reset
    ``hang``                 nothing, until the client leaves
    ``drip``                 a blank every 10 ms, until the client leaves
    ``empty``                no choices
    ``blank``                content is empty
    ``null``                 content is null, the answer is in ``reasoning_content``
    ``parts``                content is a list of parts
    ``thinks``               the answer, and thoughts in ``reasoning_content``
    ``length``               finish reason ``length``
    ``no usage``             usage is null
    ``choice {...}``         the answer, and these fields in its choice
    ======================== ==================================================================

    Attributes
    ----------
    url
        Base address for clients, ending in ``/v1``.
    answer
        From a request's JSON to the text of the reply; may be replaced.
    choose
        From a request's JSON and how often the same JSON came before to a behaviour; may be replaced.
    pieces
        From the text of a reply to its tokens.
    requests, headers
        JSON and headers of all requests, in order of arrival.
    in_flight, most_in_flight
        Requests under way now, and the most there were at any time.
    gate
        Closed (``gate.clear()``), every answer waits until it opens.
    left
        Set once a client has left in the middle of ``hang`` or ``drip``.
    """

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], str] = lambda body: "<answer>[]</answer>"
        self.choose: Callable[[dict[str, Any], int], str] = lambda body, before: "ok"
        self.pieces: Callable[[str], Iterable[str]] = lambda text: re.findall(r"(?s).{1,4}", text)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.in_flight = self.most_in_flight = 0
        self.gate, self.left, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self.gate.set()
        self.changed = threading.Condition()
        self._planned: list[str] = []
        self._times: dict[str, int] = {}
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.stub = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def plan(self, *behaviours: str) -> None:
        """Let the next requests meet these ``behaviours``, in order of arrival; later ones what `choose` says."""
        self._planned.extend(behaviours)

    def wait(self, requests: int) -> None:
        """Return once ``requests`` are under way; fail after ten seconds."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.in_flight >= requests, 10), self.in_flight

    def arrive(self, body: dict[str, Any], headers: dict[str, str]) -> str:
        """Note a request; return how it is met."""
        with self.changed:
            self.requests.append(body)
            self.headers.append(headers)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            key = json.dumps(body, sort_keys=True)
            before = self._times.get(key, 0)
            self._times[key] = before + 1
            self.changed.notify_all()
            return self._planned.pop(0) if self._planned else self.choose(body, before)

    def depart(self) -> None:
        """Note that a request has been met."""
        with self.changed:
            self.in_flight -= 1
            self.changed.notify_all()

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    stub: StubServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that leave early are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        stub = self.server.stub
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.partition("?")[0] != "/v1/chat/completions":
            return self._send(404, b"nothing here")
        self.began = time.monotonic()
        behaviour = stub.arrive(body, dict(self.headers))
        try:
            stub.gate.wait()
            self._meet(behaviour, body)
        finally:
            stub.depart()
        return None

    def _meet(self, behaviour: str, body: dict[str, Any]) -> None:
        if match := re.fullmatch(r"(\d{3})(?: ([A-Za-z-]+): (.*))?", behaviour):
            headers = {match[2]: match[3]} if match[2] else {}
            self._send(int(match[1]), self._error(f"the stub says {match[1]}"), headers)
        elif behaviour == "quota":
            self._send(429, self._error("pay first", code="insufficient_quota"))
        elif behaviour == "hang":
            self._idle()
        else:
            self._complete(behaviour, body)

    def _complete(self, behaviour: str, body: dict[str, Any]) -> None:
        text = self.server.stub.answer(body)
        pieces = list(self.server.stub.pieces(text))
        asked = sum(len(message["content"].split()) for message in body["messages"])
        message: dict[str, Any] = {"role": "assistant", "content": text}
        found: dict[str, Any] = {
            "id": "stub",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": asked,
                "completion_tokens": len(pieces),
                "total_tokens": asked + len(pieces),
            },
        }
        if behaviour == "empty":
            found["choices"] = []
        elif behaviour == "blank":
            message.update(content="")
        elif behaviour == "null":
            message.update(content=None, reasoning_content=text)
        elif behaviour == "parts":
            message["content"] = [{"type": "text", "text": piece} for piece in pieces]
        elif behaviour == "thinks":
            message["reasoning_content"] = "<answer>[9, 9, 9]</answer>"
        elif behaviour == "length":
            found["choices"][0]["finish_reason"] = "length"
        elif behaviour == "no usage":
            found["usage"] = None
        elif behaviour.startswith("choice "):
            found["choices"][0] |= json.loads(behaviour.removeprefix("choice "))
        data = json.dumps(found).encode()
        if behaviour == "invalid":
            self._send(200, data[: len(data) // 2])
        elif behaviour in ("cut", "reset"):
            self._head(200, {"Content-Length": str(len(data))})
            self.wfile.write(data[: len(data) // 2])
            self._hang_up(reset=behaviour == "reset")
        elif behaviour == "drip":
            self._head(200, {"Content-Length": str(10**9)})
            while self._waits():
                self.wfile.write(b" ")
                time.sleep(0.01)  # the misbehaviour itself; nothing waits for it
        else:
            self._send(200, data)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        fixed = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        self._head(status, {**fixed, **(headers or {})})
        self.wfile.write(data)

    def _hang_up(self, *, reset: bool) -> None:
        self.wfile.flush()
        if reset:  # no linger: close sends RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = True

    def _idle(self) -> None:
        while self._waits():
            pass
        self.close_connection = True

    def _waits(self) -> bool:
        """Whether the client is still there; after 20 seconds it should not be, and its test is to fail."""
        late = time.monotonic() > self.began + 20
        return not (late or self.server.stub.stopped.is_set() or self._client_left())

    def _client_left(self) -> bool:
        ready, _, _ = select.select([self.connection], [], [], 0.02)
        left = bool(ready) and not self.connection.recv(1, socket.MSG_PEEK)
        if left:
            self.server.stub.left.set()
        return left

    def _error(self, what: str, code: str | None = None) -> bytes:
        # The key stands where a client that shortens the message cuts: half of it must not get through either.
        key = self.headers.get("Authorization", "nobody")
        message = f"{what} {'very ' * 40}"[:190] + key + " loudly" * 100
        return json.dumps({"error": {"message": message, "type": "stub_error", "code": code}}).encode()
