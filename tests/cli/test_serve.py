"""The explorer: its interface, its limits, and the page in a real browser, behind a proxy."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import forge_gym

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")
pytest.importorskip("matplotlib")

from fastapi.testclient import TestClient  # noqa: E402 - it needs the extra
from starlette.applications import Starlette  # noqa: E402
from starlette.routing import Mount  # noqa: E402

from forge_gym.cli.explorer.app import MAX_TEXT, SOLVING, create_app, serve  # noqa: E402
from forge_gym.core.verdict_class import verdict_class  # noqa: E402
from forge_gym.serving import MAX_BODY  # noqa: E402

PROBLEMS = forge_gym.problems()
KINDS = ("TSP", "HamiltonianCycle", "Knapsack", "GraphColoring", "MeetingScheduling")
"""One problem of each kind of solution."""
PREFIX = "/user/ada/proxy/8642"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The address of a server in a thread, under a prefix, as behind the proxy of a notebook."""
    listening = socket.create_server(("127.0.0.1", 0))
    proxied = Starlette(routes=[Mount(PREFIX, create_app())])
    server = uvicorn.Server(uvicorn.Config(proxied, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}{PREFIX}/"
    server.should_exit = True
    thread.join()
    listening.close()


def place(name: str, level: int = 0, **parameters: Any) -> dict[str, Any]:
    return {"problem": name, "level": level, "seed": 1, **parameters}


def asked(name: str, level: int = 0, **parameters: Any) -> tuple[Any, Any, Any, str]:
    """Return problem, instance, optimal solution and its text."""
    problem = forge_gym.problem(name, level=level, **parameters)
    instance = problem.instance(1, split="test")
    best = problem.reference(instance).solution
    return problem, instance, best, problem.format_answer(instance, best)


# ---------------------------------------------------------------- the interface


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_instance_tells_all_but_the_optimum(client: TestClient, name: str) -> None:
    """The page needs to know no problem: the kind says what is clicked, the picture where."""
    problem, instance, _, best = asked(name)
    reply = client.get("/api/instance", params=place(name))
    shown = reply.json()
    assert shown["prompt"] == problem.prompt(instance) and shown["widget"] == problem.widget
    assert shown["picture"]["svg"].startswith("<?xml")
    assert len(shown["picture"]["spots"]) == len(shown["columns"][0][1]) == instance.size
    for left, top, right, bottom in (*shown["picture"]["spots"], *shown["picture"]["tracks"]):
        assert 0 <= left <= right <= 100 and 0 <= top <= bottom <= 100
    assert best not in reply.text.replace(r"\n", "")


def test_choices_have_the_names_of_the_prompt_and_of_the_picture(client: TestClient) -> None:
    """Words where the prompt has words, and hours where the picture has hours."""
    shown = client.get("/api/instance", params=place("MeetingScheduling", names="words")).json()
    (meeting, meetings), (room, rooms), (start, starts) = shown["columns"]
    assert (meeting, room, start) == ("meeting", "room", "start")
    assert (meetings[0], rooms[0], starts[1]) == (["kaka", 0], ["0", 0], ["9:15", 555])
    assert f"{meetings[1][0]}: " in shown["prompt"]
    shown = client.get("/api/instance", params=place("GraphColoring", names=7)).json()
    vertices = range(asked("GraphColoring")[1].size)
    assert shown["columns"][0] == ["vertex", [[str(7 + v), v] for v in vertices]]
    assert shown["columns"][1] == ["colour", [[str(colour), colour] for colour in vertices]]


@pytest.mark.parametrize("style", ["prose", "compact"])
@pytest.mark.parametrize("name", KINDS)
def test_clicks_become_text_and_text_becomes_clicks(client: TestClient, name: str, style: str) -> None:
    """In the words of any style. A draft does not say what is wrong: all keeps its place."""

    def draw(**body: Any) -> Any:
        return client.post("/api/draw", params=place(name, style=style), json=body).json()

    _, _, best, text = asked(name, style=style)
    clicked = draw(solution=best)
    assert clicked["text"] == text and clicked["solution"] is not None
    assert draw(text=text) == clicked == draw(text=f"<answer>{text}</answer>") | {"text": text}
    assert "infeasible" not in clicked["picture"]["svg"]
    judged = client.post("/api/judge", params=place(name, style=style), json={"text": text}).json()
    assert judged["picture"]["spots"] != [] and judged["picture"]["svg"] != clicked["picture"]["svg"]
    assert draw(text="no answer at all") == {"text": "no answer at all", "solution": None, "picture": None}


def test_a_solution_of_another_form_is_refused(client: TestClient) -> None:
    for name, solution in (("TSP", [[0, 0, 0]]), ("MeetingScheduling", [0]), ("TSP", ["0"]), ("TSP", [0.5])):
        parameters = place(name, names="words")
        reply = client.post("/api/draw", params=parameters, json={"solution": solution})
        assert reply.status_code in (400, 422) and "solution" in reply.json()["error"]


@pytest.mark.parametrize("name", KINDS)
def test_judging_is_the_verifiers(client: TestClient, name: str) -> None:
    problem, instance, _, best = asked(name)
    texts = {best: True, f"So <answer>{best}</answer>": False, "[0, 0, 0, 0]": True, "no idea": True}
    for text, bare in texts.items():
        shown = client.post("/api/judge", params=place(name), json={"text": text}).json()
        expected = problem.verify(instance, f"<answer>{text}</answer>" if bare else text)
        assert shown["wrapped"] is bare
        for what in ("status", "reason", "optimal", "quality", "skill"):
            assert shown[what] == getattr(expected, what)
        assert [v[0] for v in shown["violations"]] == [v.family for v in expected.violations]
        assert shown["reward"] == forge_gym.reward("tiered")(expected)
        assert shown["tier"] == verdict_class(expected).name
        assert (shown["picture"] is None) == (expected.status == "malformed")
    whole = client.post("/api/judge", params=place(name), json={"text": best, "whole": True}).json()
    assert (whole["status"], whole["wrapped"]) == ("malformed", False)


def test_reveal_states_greedy_and_optimum(client: TestClient) -> None:
    problem, instance, _, best = asked("TSP", 4)
    shown = client.get("/api/reveal", params=place("TSP", 4)).json()
    reference = problem.reference(instance)
    assert shown["trivial"] == str(reference.trivial)
    assert (shown["greedy"]["objective"], shown["optimum"]["objective"]) == (
        str(reference.greedy), str(reference.value)
    )  # fmt: skip
    assert shown["optimum"]["answer"] == best and shown["optimum"]["proven"]
    assert shown["greedy"]["picture"] != shown["optimum"]["picture"]


def test_instances_are_named_by_parameters_and_by_row(client: TestClient) -> None:
    parameters = {"n": 7, "distribution": "clustered", "style": "json"}
    shown = client.get("/api/instance", params={"problem": "TSP", "seed": 5, **parameters}).json()
    problem: Any = forge_gym.problem("TSP", **parameters)
    assert shown["prompt"] == problem.prompt(problem.instance(5, split="test"))
    shown = client.get("/api/instance", params={"row": "SetCover-4-0"}).json()
    assert shown["problem"] == "SetCover" and len(shown["columns"][0][1]) == 32
    known = client.get("/api/problems").json()
    assert list(known["problems"]) == list(PROBLEMS) and "SetCover-4-0" in known["rows"]
    assert known["problems"]["TSP"]["distribution"] == ["uniform", ["uniform", "clustered", "matrix"]]
    assert known["problems"]["TSP"]["style"][1][:2] == ["prose", "compact"]


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({"problem": "TPS"}, 400, "did you mean 'TSP'?"),
        ({"problem": "forge_gym.envs.tsp:TSP"}, 400, "is not registered"),  # or any module could be imported
        ({"level": 11}, 400, "level must be an integer from 0 to 10"),
        ({"level": -1}, 400, "level must be an integer from 0 to 10"),
        ({"level": "high"}, 400, "level must be an integer from 0 to 10"),
        ({"level": "9" * 5000}, 400, "level must be an integer from 0 to 10"),
        ({"seed": -1}, 400, "seed must be"),
        ({"index": 0.5}, 400, "index must be"),
        ({"problem": 5}, 400, "'5' is not registered"),
        ({"split": "tset"}, 400, "did you mean 'test'?"),
        ({"n": 10**8}, 400, "n must be an integer from 0 to"),
        ({"n": "1e3"}, 400, "n must be an integer"),
        ({"grid": 101}, 400, "grid must be a number from -100 to 100"),
        ({"grid": "NaN"}, 400, "grid must be"),
        ({"m": 3}, 400, "TSP has no parameter 'm'"),
        ({"distribution": '["uniform"]'}, 400, "distribution must be one of"),
        ({"distribution": "[" * 9000}, 400, "distribution must be one of"),
        ({"level": 3, "n": 5}, 400, "level sets n"),
        ({"row": "TSP-3-00"}, 400, "did you mean 'TSP-3-0'?"),
    ],
)
def test_bad_names_are_refused_in_words(client: TestClient, parameters: dict[str, Any], status: int, said: str) -> None:
    for path in ("/api/instance", "/api/reveal"):
        reply = client.get(path, params=parameters)
        assert reply.status_code == status and said in reply.json()["error"], reply.text
        assert "\n" not in reply.json()["error"]


def test_a_request_is_bounded(client: TestClient) -> None:
    def judge(**sent: Any) -> Any:
        return client.post("/api/judge", params=place("TSP"), **sent)

    def pieces() -> Iterator[bytes]:
        yield b'{"text": "'
        for _ in range(100):
            yield b" " * (MAX_BODY // 50)

    assert judge(json={"text": " " * MAX_TEXT}).json()["status"] == "malformed"
    as_json = {"content-type": "application/json"}
    for sent, status in (
        ({"json": {"text": " " * (MAX_TEXT + 1)}}, 422),
        ({"json": {"text": " " * MAX_BODY}}, 413),
        ({"content": pieces(), "headers": as_json}, 413),  # of no stated length
        ({"json": {"text": 5}}, 422),
        ({"json": {}}, 422),
        ({"json": ["text"]}, 422),
        ({"content": b"\xff", "headers": as_json}, 400),
        ({"content": b'{"text": "\\ud800"}', "headers": as_json}, 422),
        ({"content": b"[" * 10**5, "headers": as_json}, 400),
        ({"data": {"text": "[0]"}}, 422),  # what forms of other sites can send
        ({"content": b'{"text": "[0]"}', "headers": {"content-type": "text/plain"}}, 422),
    ):
        reply = judge(**sent)
        assert reply.status_code == status and reply.json()["error"], (sent, reply.text)
    huge = judge(json={"text": "[" + "1," * 60_000 + "1]"}).json()
    assert huge["status"] == "infeasible" and huge["picture"] is None


def test_a_body_that_does_not_arrive_is_not_waited_for(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_gym.serving.MAX_REQUEST_S", 0.2)
    host, port = base.removeprefix("http://").split("/")[0].split(":")
    head = (
        f"POST {PREFIX}/api/judge?problem=TSP&level=0 HTTP/1.1\r\nHost: {host}\r\n"
        'Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{"text":'
    )
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


def test_hosts_are_refused_that_nobody_allowed() -> None:
    """A site that points its own name at this machine, by DNS, cannot read the page; a proxy can, once it is named."""
    local, names = (
        ("127.0.0.1:8642", "localhost", "[::1]:8642"),
        ["Hub.example.org", "*.googleusercontent.com"],
    )
    proxies = ("hub.example.org", "hub.example.org:443", "abc-8642-colab.googleusercontent.com")
    foreign = (
        "evil.example",
        "127.0.0.1.evil.example",
        "",
        "[",
        "googleusercontent.com.evil.example",
        "192.168.1.5",
    )
    for allowed, hosts in (([], proxies), (names, ())):
        client = TestClient(create_app(allowed), base_url="http://127.0.0.1")
        for host in (*local, *foreign, *proxies):
            for path in ("/", "/page.js", "/api/problems"):
                expected = 400 if host in (*foreign, *hosts) else 200
                assert client.get(path, headers={"host": host}).status_code == expected, host
    with pytest.raises(ValueError, match=r"--allow-host must be a name, or \*\. and a domain, got 'a\*b'"):
        create_app(["a*b"])


def test_other_sites_are_refused(client: TestClient) -> None:
    for site, status in (("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": "cors"}
        assert client.get("/api/problems", headers=headers).status_code == status
        post = client.post("/api/judge", params=place("TSP"), json={"text": "[0]"}, headers=headers)
        assert post.status_code == status
        headers["sec-fetch-mode"] = "navigate"  # a link may lead here, a form may not
        assert client.get("/", headers=headers).status_code == 200
        assert (
            client.post("/api/judge", params=place("TSP"), json={"text": "[0]"}, headers=headers).status_code == status
        )


@pytest.mark.parametrize("path", ["/", "/page.js", "/api/problems", "/api/instance?level=99", "/nowhere"])
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path, headers={"origin": "https://evil.example"}).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert not [name for name in headers if name.startswith("access-control")]


def test_nothing_else_is_served(client: TestClient) -> None:
    for path in ("/docs", "/openapi.json", "/app.py", "/page/../app.py", "/%2e%2e/app.py", "/api/nothing"):
        reply = client.get(path)
        assert reply.status_code == 404 and reply.json() == {"error": "Not Found"}
    assert client.get("/?path=/etc/passwd&file=/etc/passwd").text.startswith("<!doctype html>")
    assert client.get("/api/judge").json()["error"] in ("Method Not Allowed", "Not Found")


def test_a_path_leads_to_the_page_alone(base: str) -> None:
    """Over a real connection: a client would tidy such paths up."""
    host, port = base.removeprefix("http://").split("/")[0].split(":")
    for path in (
        "/../app.py",
        "/..%2fapp.py",
        "/%2e%2e%2fapp.py",
        "/%00",
        "/page.js%00.css",
        "//etc/passwd",
        f"/{'x' * 5000}",
    ):
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
            with socket.create_connection((host, int(port)), timeout=20) as connection:
                head = f"{method} {PREFIX}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode())
                status = connection.makefile("rb").readline()
            assert status.split()[1] in (b"400", b"404", b"405"), (method, path, status)


def test_whatever_stands_in_the_address_is_answered_in_one_line(client: TestClient) -> None:
    values = (
        "",
        "0",
        "-1",
        "1e400000000",
        "1e308",
        "NaN",
        "null",
        "true",
        "[]",
        "{}",
        '"x"',
        "9" * 4400,
        "\x00",
        "\ud7ff",
    )
    names = (
        "problem",
        "level",
        "seed",
        "index",
        "split",
        "row",
        "n",
        "grid",
        "style",
        "names",
        "skin",
        "answer_format",
    )
    for name in names:
        for value in values:
            reply = client.get("/api/instance", params={"problem": "TSP", "n": 5} | {name: value})
            assert reply.status_code in (200, 400), (name, value, reply.text)
            assert "\n" not in reply.json().get("error", "")


def test_who_waits_for_a_solver_stops_nobody(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    solving, ready = threading.Semaphore(0), threading.Event()
    problem = forge_gym.problem("TSP", level=1)

    def solve(self: Any, instance: Any, start: Any, limit: int) -> Any:
        solving.release()
        ready.wait(60)
        raise ValueError("enough")

    monkeypatch.setattr(type(problem), "solve", solve)
    monkeypatch.setattr("forge_gym.cli.explorer.app.WAITING", 3)
    asked = [{"problem": "TSP", "level": 1, "seed": 99, "index": index} for index in range(SOLVING + 3)]
    with ThreadPoolExecutor(len(asked)) as pool:
        replies = [pool.submit(httpx.get, f"{base}api/reveal", params=each, timeout=90) for each in asked]
        try:
            for _ in range(SOLVING):
                assert solving.acquire(timeout=30)
            began = time.monotonic()
            busy = httpx.Response(0)
            while busy.status_code != 503 and time.monotonic() < began + 20:  # until all have come
                with suppress(httpx.ReadTimeout):
                    busy = httpx.get(f"{base}api/reveal", params=place("TSP", 1, index=98), timeout=2)
            assert busy.status_code == 503 and "try later" in busy.json()["error"]
            began = time.monotonic()
            for path in ("", "page.js", "api/problems", "api/instance?problem=Knapsack&level=3"):
                assert httpx.get(base + path, timeout=30).status_code == 200
            known = httpx.post(f"{base}api/judge", params={"row": "TSP-3-0"}, json={"text": "[0]"}, timeout=30)
            assert known.json()["status"] == "infeasible"
            assert time.monotonic() - began < 8
        finally:
            ready.set()
        assert [reply.result().status_code for reply in replies] == [400] * len(asked)


def test_a_failure_is_a_plain_answer(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_gym.cli.explorer.app.tiered", lambda verdict: 1 / 0)
    reply = client.post("/api/judge", params=place("TSP"), json={"text": "[0]"})
    assert (reply.status_code, reply.json()) == (500, {"error": "the server failed: ZeroDivisionError"})


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forge_gym", "serve", "--allow-host", "hub.example.org", "--port"]
    with subprocess.Popen(
        [*command, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as server:
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().split()[0]
        for host, status in (("127.0.0.1", 200), ("hub.example.org", 200), ("other.example.org", 400)):
            assert httpx.get(url, headers={"host": host}).status_code == status
        port = url.rstrip("/").rpartition(":")[2]
        second = subprocess.run([*command, port], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert second.returncode == 2
        assert re.fullmatch(f"forge-gym: --host and --port must be .* {port}: Address already .*\n", second.stderr)
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        assert server.stderr.read() == ""


def test_a_wide_host_is_warned_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    for host, warned in (("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)):
        serve(host, 0)
        assert ("other machines" in capsys.readouterr().err) == warned
    for host, port, said in (
        ("no.such.host.invalid", 0, "--host and --port must be"),
        ("127.0.0.1", 70_000, "--port must be an integer from 0 to 65535"),
    ):
        with pytest.raises(ValueError, match=said):
            serve(host, port)


# ---------------------------------------------------------------- the page


@pytest.fixture
def visit(browser: Any, base: str) -> Iterator[Callable[..., Any]]:
    """Open a view and wait until it is complete; afterwards nothing may have gone wrong in any of them."""
    faults: list[str] = []
    contexts: list[Any] = []

    def open_view(view: str = "", width: int = 1200) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: faults.append(r.url) if not r.url.startswith((base, "blob:")) else None)
        page.goto(base + view)
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_view
    for context in contexts:
        context.close()
    assert not faults


def judged(page: Any) -> str:
    page.click("#judge")
    page.wait_for_selector("#judge:not([disabled])")
    return str(page.locator("#verdict .status").inner_text())


def is_drawn(page: Any, image: str) -> bool:
    return bool(page.eval_on_selector(image, "async image => { await image.decode(); return image.naturalWidth > 0 }"))


def changed(page: Any, src: str) -> str:
    """Wait until the picture is another, and return its address."""
    page.wait_for_function("src => document.querySelector('#picture img').src !== src", arg=src)
    return address_of(page)


def address_of(page: Any) -> str:
    return str(page.locator("#picture img").get_attribute("src"))


def test_every_problem_is_read_and_answered(visit: Callable[..., Any], base: str) -> None:
    page = visit()
    for name in PROBLEMS:
        problem, instance, _, best = asked(name, style="markdown")
        page.select_option("[name=problem]", name)
        page.fill("[name=level]", "0")
        page.fill("[name=seed]", "1")
        if not page.locator("[name=style]").is_visible():
            page.click("#options summary")
        page.select_option("[name=style]", "markdown")
        with page.expect_navigation():
            page.click("#choose button")
        page.wait_for_selector("body[data-ready]")
        query = page.url.removeprefix(base)
        assert query == f"?problem={name}&level=0&seed=1&index=0&split=test&style=markdown"
        assert page.locator("#prompt").text_content() == problem.prompt(instance)
        assert is_drawn(page, "#picture img")
        before = address_of(page)
        page.fill("#answer", best)
        changed(page, before)  # at once, before it is judged
        assert judged(page) == "optimal"
        assert "proven optimum" in page.locator("#verdict").inner_text()
        assert is_drawn(page, "#picture img")


def click_time(page: Any, resource: int, share: float) -> None:
    """Click into the line of a resource, so far to the right."""
    box = page.locator(f'[data-resource="{resource}"]').bounding_box()
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("TSP", {"names": 7}),
        ("HamiltonianCycle", {"names": "words"}),
        ("Knapsack", {"style": "compact"}),
        ("GraphColoring", {"names": 7}),
        ("MeetingScheduling", {"names": "words"}),
    ],
)
def test_an_answer_is_clicked_in_the_picture(visit: Callable[..., Any], name: str, parameters: dict[str, Any]) -> None:
    """To the end, as fast as can be, in any spelling; the picture follows at once."""
    problem, instance, best, text = asked(name, **parameters)
    ((key, value),) = parameters.items()
    page = visit(f"?problem={name}&level=0&seed=1&{key}={value}")
    before = address_of(page)
    if problem.widget == "rows":
        times = problem.domains(instance)[1]
        for element, resource, time in best:
            page.click(f'[data-element="{element}"]')
            click_time(page, resource, (times.index(time) + 0.5) / len(times))
        for element, resource, time in best:
            said = f"meeting {problem.names_of(instance)[element]} in room {resource} at {problem.clock(time)}"
            assert said in page.locator("#rows-chosen").inner_text()
    else:
        for element, label in enumerate(best) if problem.widget == "labels" else ((e, None) for e in best):
            if label is not None:
                page.click(f'#palette [value="{label}"]')
            page.click(f'[data-element="{element}"]')
        page.click(f'[data-element="{element}"]')  # out again, and back
        page.click("#undo")
    changed(page, before)
    assert judged(page) == "optimal"
    assert page.input_value("#answer") == text
    page.click("#clear")
    page.wait_for_function("() => !document.querySelector('[data-element].chosen, #rows-chosen li')")
    assert page.input_value("#answer") == ""


def test_a_click_near_a_dot_counts_and_one_between_dots_does_not(visit: Callable[..., Any]) -> None:
    page = visit("?problem=GraphColoring&n=8&seed=1")
    frame = page.locator("#picture svg").bounding_box()
    spot = page.locator('[data-element="0"]').bounding_box()
    page.mouse.click(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    page.mouse.click(spot["x"] + spot["width"] / 2, spot["y"] - 2)
    page.wait_for_selector('[data-element="0"].chosen')
    page.wait_for_function("() => document.querySelector('#answer').value !== ''")
    assert page.input_value("#answer") == "[0, -1, -1, -1, -1, -1, -1, -1]"


def test_buttons_and_the_keyboard_are_enough(visit: Callable[..., Any]) -> None:
    page = visit("?problem=TSP&n=5&seed=1")
    page.locator("#buttons summary").press("Enter")
    page.locator("#chips button").first.focus()
    for _ in range(5):
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
    page.wait_for_function("() => document.querySelector('#answer').value === '[0, 1, 2, 3, 4]'")
    assert page.evaluate("document.activeElement.id") == "answer"
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#verdict .feasible, #verdict .optimal")

    page = visit("?problem=MeetingScheduling&level=0&seed=1")
    page.locator("#buttons summary").press("Enter")
    page.locator("#chips button").nth(2).press("Enter")
    for number, choice in enumerate(("0", "9:30")):
        page.locator("#places select").nth(number).select_option(choice)
    page.locator("#add").press("Enter")
    page.wait_for_function("() => document.querySelector('#answer').value === '[[2, 0, 570]]'")
    page.get_by_role("button", name="Remove meeting 2 in room 0 at 9:30").press("Enter")
    page.wait_for_function("() => document.querySelector('#answer').value === '[]'")


def test_an_infeasible_answer_names_what_it_violates(visit: Callable[..., Any], base: str) -> None:
    page = visit("?problem=TSP&n=6")
    page.fill("#answer", "[0, 1, 1]")
    assert judged(page) == "infeasible"
    assert "4 of 6: each city is visited, missing 4 of 6" in page.locator("#verdict").inner_text()
    assert is_drawn(page, "#picture img")
    page.fill("#answer", "\u202e[\u05d0]<b>x</b>")
    assert judged(page) == "malformed"
    assert page.locator("#verdict b").count() == 0 and "\u202e" not in page.locator("#verdict").inner_text()
    page.fill("#answer", "[0, 1, 1]")
    page.check("#whole")
    assert judged(page) == "malformed"
    shared = visit(page.url.removeprefix(base))
    assert shared.locator("#verdict .status").inner_text() == "malformed" and shared.is_checked("#whole")


def test_the_optimum_is_not_there_before_it_is_revealed(visit: Callable[..., Any]) -> None:
    *_, best = asked("TSP", 2)
    page = visit("?problem=TSP&level=2&seed=1")
    received: list[str] = []
    page.on("response", lambda reply: received.append(reply.url))
    page.fill("#answer", "[0, 1, 2]")
    judged(page)
    assert not [url for url in received if "reveal" in url] and best not in page.content()
    page.click("#reveal")
    page.wait_for_selector("#revealed img >> nth=1")
    assert best in page.locator("#revealed").inner_text() and "Proven optimum" in page.content()
    assert is_drawn(page, "#revealed img >> nth=1")


def test_a_mistake_is_said_and_can_be_mended(browser: Any, base: str) -> None:
    page = browser.new_page()
    page.goto(f"{base}?problem=TSP&level=40")
    page.wait_for_selector("body[data-ready]")
    assert "level must be an integer from 0 to 10" in page.locator("#error").inner_text()
    page.click("#options summary")
    page.fill("[name=n]", "7")
    assert page.input_value("[name=level]") == ""  # a level would set n too
    with page.expect_navigation():
        page.click("#choose button")
    page.wait_for_selector("#picture img")
    assert page.locator("#error").is_hidden() and "n=7" in page.url
    with page.expect_navigation():
        page.click("#next")
    page.wait_for_selector("#picture img")
    assert page.input_value("[name=index]") == "1" and "There are 7 cities" in page.content()
    page.goto(f"{base}?row=TSP-3-0")
    page.wait_for_selector("#picture img")
    assert page.locator("#title").inner_text() == "TSP-3-0"
    page.close()


def test_it_fits_a_phone(visit: Callable[..., Any]) -> None:
    for view in ("?problem=MeetingScheduling&level=0&answer=[[0,0,0],[0,0,600]]", "?row=GraphColoring-4-0"):
        page = visit(view, 390)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", background))) < 384) == (scheme == "dark")
