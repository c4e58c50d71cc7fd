"""What the servers share, attacked over real connections: slow, huge, foreign and idle callers, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("httpx")

from starlette.applications import Starlette  # noqa: E402 - it needs the extra
from starlette.requests import Request  # noqa: E402
from starlette.responses import PlainTextResponse  # noqa: E402
from starlette.routing import Route, WebSocketRoute  # noqa: E402
from starlette.testclient import TestClient, WebSocketDenialResponse  # noqa: E402
from starlette.websockets import WebSocket, WebSocketDisconnect  # noqa: E402

from forge_gym import serving  # noqa: E402
from forge_gym.serving import Punctual, check_size, protect  # noqa: E402

ECHO = "ws://localhost/echo"
ENDED: list[int] = []
"""Codes with which echoes ended."""


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def slow(request: Request) -> PlainTextResponse:
    await asyncio.sleep(1.2)
    return PlainTextResponse("at last")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect as ended:
        ENDED.append(ended.code)


def guarded(allow_host: tuple[str, ...] = (), **limits: Any) -> Starlette:
    routes = [
        Route("/length", length, methods=["GET", "POST"]),
        Route("/slow", slow),
        WebSocketRoute("/echo", echo),
    ]
    app = Starlette(routes=routes)
    protect(app, allow_host, **limits)
    return app


@contextmanager
def listening(app: Any) -> Iterator[int]:
    """A server in a thread, as `run` makes it; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        server = uvicorn.Server(uvicorn.Config(app, http=Punctual, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [own]})
        thread.start()
        yield own.getsockname()[1]
        server.should_exit = True
        thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def answer(connection: socket.socket) -> bytes:
    """Return all that comes until the server hangs up."""
    received = b""
    try:
        while more := connection.recv(65536):
            received += more
    except ConnectionResetError:
        pass
    return received


def ask(port: int, head: str, body: bytes = b"") -> bytes:
    with connect(port) as connection:
        connection.sendall(f"{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode() + body)
        return answer(connection)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(serving, "MAX_REQUEST_S", 0.5)
    with listening(guarded(max_body=10_000)) as port:
        yield port


# ---------------------------------------------------------------- slow callers


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"G",
        b"GET /length HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
        b"POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
        b"POST /length HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 99999999\r\n\r\n",
        b"GET /length HTTP/1.1\r\nHost: localhost\r\n\r\nG",
    ],
    ids=["silence", "letter", "header", "body", "chunk", "after 404", "after 400", "second request"],
)
@pytest.mark.parametrize("drip", [b"", b"x"], ids=["silent", "dripping"])
def test_a_caller_that_takes_its_time_is_hung_up_on(impatient: int, begin: bytes, drip: bytes) -> None:
    with connect(impatient) as connection:
        began = time.monotonic()
        connection.sendall(begin)
        connection.settimeout(0.1)
        received = b""
        while time.monotonic() < began + 15:
            try:
                if not (more := connection.recv(65536)):
                    break
                received += more
            except TimeoutError:
                try:
                    connection.sendall(drip)
                except OSError:
                    break
            except ConnectionResetError:
                break
        assert time.monotonic() - began < 10, "the connection stays open"
        assert b"500" not in received[:20]


def test_silent_callers_stand_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(guarded()) as port, ExitStack() as held:
        for number in range(200):
            connection = held.enter_context(connect(port))
            connection.sendall(b"GET /length HTTP/1.1\r\n"[: number % 20])
        began = time.monotonic()
        assert b"200 OK" in ask(port, "GET /length HTTP/1.1")
        assert time.monotonic() - began < 5


def test_who_waits_for_a_slow_answer_gets_it(impatient: int) -> None:
    """Only what the caller has to send has a limit of time; and a connection may be used again."""
    with connect(impatient) as connection:
        for _ in range(2):
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while b"at last" not in received:
                more = connection.recv(65536)
                assert more, received
                received += more


# ---------------------------------------------------------------- large ones


def test_a_body_is_bounded_however_it_comes(impatient: int) -> None:
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    chunked = "POST /length HTTP/1.1\r\nTransfer-Encoding: chunked"
    assert ask(impatient, "POST /length HTTP/1.1\r\nContent-Length: 10000", b"x" * 10_000).endswith(b"10000")
    assert ask(impatient, chunked, chunk * 9 + b"0\r\n\r\n").endswith(b"9216")
    for head, body in (
        ("POST /length HTTP/1.1\r\nContent-Length: 10001", b"x" * 10_001),
        (chunked, chunk * 10 + b"0\r\n\r\n"),
        (chunked, chunk * 10),  # without end
    ):
        assert ask(impatient, head, body).startswith(b"HTTP/1.1 413")
    for size in ("-1", "9" * 5000, "1e3", "0x10"):
        assert ask(impatient, f"POST /length HTTP/1.1\r\nContent-Length: {size}", b"xx").startswith(b"HTTP/1.1 400")


def test_a_head_is_bounded(impatient: int) -> None:
    for head in (
        f"GET /{'x' * 10**6} HTTP/1.1",
        f"GET / HTTP/1.1\r\nX-A: {'x' * 10**6}",
        "GET / HTTP/1.1" + "\r\nX: y" * 10**5,
    ):
        with connect(impatient) as connection:
            try:
                connection.sendall(f"{head}\r\nHost: localhost\r\n\r\n".encode())
            except OSError:
                continue  # it has hung up already
            assert not answer(connection).startswith(b"HTTP/1.1 2")


# ---------------------------------------------------------------- foreign ones

FOREIGN = (
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:3000"},  # another program of this machine
    {"origin": "http://testserver.evil.example"},
    {"origin": "http://["},
    {"origin": ""},
    {"origin": "http://localhost", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "websocket"},
)
OWN: tuple[dict[str, str], ...] = (
    {},
    {"origin": "http://localhost"},
    {"origin": "https://LOCALHOST"},
    {"sec-fetch-site": "same-origin", "origin": "http://localhost"},
    {"sec-fetch-site": "none"},
    {"origin": "https://hub.example.org"},  # behind a proxy that changes the host
    {"origin": "https://a.b.example.com:444"},
)


def test_pages_of_other_sites_may_not_call() -> None:
    client = TestClient(guarded(("hub.example.org", "*.example.com")), base_url="http://localhost")
    for headers in FOREIGN:
        for method in ("POST", "GET"):
            refused = client.request(method, "/length", headers=headers)
            assert refused.status_code == 403 and "own page" in refused.json()["error"], headers
        with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect(ECHO, headers=headers):
            pass
        assert denied.value.status_code == 403
    for headers in OWN:
        assert client.post("/length", headers=headers).status_code == 200, headers
        with client.websocket_connect(ECHO, headers=headers) as open_one:
            open_one.send_text("hello")
            assert open_one.receive_text() == "hello"
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/length", headers=link).status_code == 200
    assert client.post("/length", headers=link).status_code == 403


def test_names_that_nobody_allowed_are_refused() -> None:
    """DNS rebinding: the browser takes the site's own name for that of this machine."""
    client = TestClient(guarded(("hub.example.org",)), base_url="http://localhost")
    for host in ("evil.example", "localhost.evil.example", "localhost@evil.example", "", "127.0.0.1.nip.io", "0.0.0.0"):
        headers = {"host": host, "origin": f"http://{host}"}
        assert client.get("/length", headers={"host": host}).status_code == 400
        assert client.post("/length", headers=headers).status_code in (400, 403)
        with pytest.raises(WebSocketDenialResponse), client.websocket_connect(ECHO, headers={"host": host}):
            pass
    for host in ("localhost:1", "[::1]", "127.0.0.1:99", "hub.example.org"):
        assert client.get("/length", headers={"host": host}).status_code == 200
    for name in ("a*b", "*", "*evil.example"):
        with pytest.raises(ValueError, match=r"--allow-host must be a name, or \*\. and a domain"):
            guarded((name,))


# ---------------------------------------------------------------- idle ones


def test_a_silent_session_is_closed() -> None:
    client = TestClient(guarded(idle_s=0.3), base_url="http://localhost")
    ENDED.clear()
    with client.websocket_connect(ECHO) as session:
        for _ in range(4):  # each message starts the clock anew
            time.sleep(0.15)
            session.send_text("still here")
            assert session.receive_text() == "still here"
        began = time.monotonic()
        with pytest.raises(WebSocketDisconnect) as closed:
            session.receive_text()
        assert closed.value.code == 1001 and closed.value.reason == "no message for 0 seconds"
        assert time.monotonic() - began < 5
    assert ENDED == [1001]


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"level": 13}, "level must be an integer from 0 to 12"),
        ({"level": 9999}, "level must be an integer from 0 to 12"),
        ({"level": True}, "level must be an integer from 0 to 12"),
        ({"level": "1"}, "level must be an integer from 0 to 12"),
        ({"n": 10**8}, "n must be an integer from 0 to"),
        ({"n": 10**5000}, "n must be an integer from 0 to"),
        ({"n": [9]}, "n must be an integer from 0 to"),
        ({"grid": 10**9}, "grid must be a number from -100 to 100"),
        ({"grid": float("inf")}, "grid must be a number from -100 to 100"),
        ({"grid": float("nan")}, "grid must be a number from -100 to 100"),
    ],
)
def test_what_is_too_large_is_refused_at_once(asked: dict[str, Any], said: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=said) as refused:
        check_size("TSP", asked, 12)
    assert "\n" not in str(refused.value) and time.monotonic() - began < 1


# ---------------------------------------------------------------- the end

BUSY = """
import threading, time, httpx, sys
from forge_gym.core.problem import Problem
from forge_gym.cli.explorer.app import serve
def solve(self, instance):
    print("solving\\n", end="", flush=True)  # at once: two threads' texts and ends of lines mix
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass
Problem.reference = solve
Problem.has_reference = lambda self, instance: False
serve("127.0.0.1", 0)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_while_it_solves(how: signal.Signals, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("matplotlib")
    command = [sys.executable, "-c", BUSY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        assert server.stdout is not None and server.stderr is not None
        late = threading.Timer(120, server.kill)  # else a test that fails would wait for the server for ever
        late.start()
        port = int(server.stdout.readline().split("/")[2].rpartition(":")[2])
        with connect(port) as one, connect(port) as other, connect(port):
            for number, connection in enumerate((one, other)):
                head = f"GET /api/reveal?problem=TSP&index={number} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                connection.sendall(head.encode())
            assert server.stdout.readline() == "solving\n"  # on a busy machine, the other caller may not be heard yet
            server.send_signal(how)
            began = time.monotonic()
            code = server.wait(30)
            late.cancel()
        assert time.monotonic() - began < 10
        assert code == (0 if how == signal.SIGINT else -signal.SIGTERM)
        assert "Traceback" not in server.stderr.read()
