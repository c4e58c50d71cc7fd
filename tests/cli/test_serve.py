"""The explorer: its interface, its limits, and the page in a real browser."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from forge_gym.agents.agent import Task
from forge_gym.core.verdict_class import verdict_class
from forge_gym.evaluation.runs import env_questions, record, suite_questions

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")
pytest.importorskip("matplotlib")

from fastapi.testclient import TestClient  # noqa: E402 - it needs the extra

from forge_gym.cli.explorer.app import MAX_TEXT, create_app  # noqa: E402
from forge_gym.cli.explorer.guard import MAX_BODY, MAX_REQUESTS  # noqa: E402

PROBLEMS = forge_gym.problems()
KINDS = ("TSP", "HamiltonianCycle", "Knapsack", "GraphColoring", "MeetingScheduling")
"""One problem of each kind of solution."""
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> <b>[0]</b>",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202eexe.gnp\u202c \u05d0\u05d1 [bold]x[/bold] \ud800 \x00",
    "<answer>[" + "0, " * 20_000 + "0]</answer>",
)


class Hostile:
    """An agent whose replies try to break out, and whose last one is the optimum."""

    name = "<b>hostile</b>\u202e/../x"

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        best = [t.problem.format(t.instance, t.problem.reference(t.instance).solution) for t in tasks]
        return [(*HOSTILE, best[i])[i % 4] for i in range(len(tasks))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a hostile run, an honest one on the benchmark, and files that are none."""
    folder = tmp_path_factory.mktemp("runs")
    record(
        Hostile(),
        env_questions([forge_gym.problem("TSP", level=1)], 4),
        folder / "hostile <b>.jsonl",
        turns=2,
    )
    record(Hostile(), suite_questions("forge-bench-v1", limit=1), folder / "suite.jsonl")
    (folder / "other.jsonl").write_text('["no", "run"]\n')
    (folder / "secret.txt").write_text("secret")
    (folder.parent / "outside.jsonl").write_text((folder / "suite.jsonl").read_text())
    return folder


@pytest.fixture(scope="module")
def client(runs: Path) -> Iterator[TestClient]:
    with TestClient(create_app(runs), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def base(runs: Path) -> Iterator[str]:
    """The address of a server in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(runs), log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()


def place(name: str, level: int = 0, seed: int = 1) -> dict[str, Any]:
    return {"problem": name, "level": level, "seed": seed}


def asked(name: str, level: int = 0, seed: int = 1, names: int = 0) -> tuple[Any, Any, str]:
    """Return problem, instance, and the text of the optimum."""
    problem = forge_gym.problem(name, level=level, names=names)
    instance = problem.instance(seed, split="test")
    return problem, instance, problem.format_answer(instance, problem.reference(instance).solution)


# ---------------------------------------------------------------- the interface


@pytest.mark.parametrize("name", KINDS)
def test_an_instance_tells_all_but_the_optimum(client: TestClient, name: str) -> None:
    problem, instance, best = asked(name)
    reply = client.get("/api/instance", params=place(name))
    found = reply.json()
    assert found["prompt"] == problem.prompt(instance)
    assert found["picture"].startswith("<?xml") and found["form"] == problem.widget
    assert found["columns"] == list(map(list, problem.columns_of(instance)))
    assert set(found) == {
        "problem", "sense", "level", "parameters", "size", "form", "columns", "prompt", "picture"
    }  # fmt: skip
    assert best not in reply.text.replace(r"\n", "")


@pytest.mark.parametrize("name", KINDS)
def test_judging_is_the_verifiers(client: TestClient, name: str) -> None:
    problem, instance, best = asked(name)
    texts = {best: True, f"So <answer>{best}</answer>": False, "[0, 0, 0, 0]": True, "no idea": True}
    for text, bare in texts.items():
        found = client.post("/api/judge", params=place(name), json={"text": text}).json()
        expected = problem.verify(instance, f"<answer>{text}</answer>" if bare else text)
        assert found["wrapped"] is bare
        assert (found["status"], found["reason"]) == (expected.status, expected.reason)
        assert [v[0] for v in found["violations"]] == [v.family for v in expected.violations]
        assert (found["optimal"], found["quality"], found["skill"]) == (
            expected.optimal, expected.quality, expected.skill
        )  # fmt: skip
        assert found["reward"] == forge_gym.reward("tiered")(expected)
        assert found["tier"] == verdict_class(expected).name
        assert (found["picture"] is None) == (expected.status == "malformed")
    whole = client.post("/api/judge", params=place(name), json={"text": best, "whole": True}).json()
    assert (whole["status"], whole["wrapped"]) == ("malformed", False)


def test_reveal_states_greedy_and_optimum(client: TestClient) -> None:
    problem, instance, best = asked("TSP", 4)
    found = client.get("/api/reveal", params=place("TSP", 4)).json()
    reference = problem.reference(instance)
    assert found["trivial"] == str(reference.trivial)
    assert (found["greedy"]["objective"], found["optimum"]["objective"]) == (
        str(reference.greedy), str(reference.value)
    )  # fmt: skip
    assert found["optimum"]["answer"] == best and found["optimum"]["proven"]
    assert found["greedy"]["picture"] != found["optimum"]["picture"]


def test_instances_are_named_by_parameters_and_by_row(client: TestClient) -> None:
    parameters = json.dumps({"n": 7, "distribution": "clustered", "style": "compact"})
    found = client.get("/api/instance", params={"problem": "TSP", "parameters": parameters, "seed": 5}).json()
    problem = forge_gym.problem("TSP", n=7, distribution="clustered", style="compact")
    assert found["prompt"] == problem.prompt(problem.instance(5, split="test"))
    assert (found["form"], found["columns"]) == ("", [])  # not a JSON list: typed
    for problem, parameters in (
        ("GraphColoring", {"n": 5, "names": "words"}), ("PublishedBisection", {"n": 6})
    ):  # fmt: skip
        asked = {"problem": problem, "parameters": json.dumps(parameters)}
        assert client.get("/api/instance", params=asked).json()["form"] == ""
    row = next(row for row in suite_questions("forge-bench-v1", limit=1).rows if row.id == "SetCover-4-0")
    found = client.get("/api/instance", params={"row": "SetCover-4-0"}).json()
    assert (found["problem"], found["level"], found["prompt"]) == (
        "SetCover", 4, row.problem.prompt(row.instance)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({"problem": "TPS"}, 400, "did you mean 'TSP'?"),
        ({"level": 11}, 400, "level must be an integer from 0 to 10"),
        ({"level": -1}, 400, "level must be an integer from 0 to 10"),
        ({"level": "high"}, 422, "level: Input should be a valid integer"),
        ({"level": "9" * 5000}, 422, "level"),
        ({"seed": -1}, 400, "seed must be"),
        ({"index": 2**70}, 400, "index must be"),
        ({"split": "tset"}, 400, "did you mean 'test'?"),
        ({"parameters": '{"n": 28}'}, 400, "n must be an integer from 0 to 27"),
        ({"parameters": '{"n": 1e3}'}, 400, "n must be an integer"),
        ({"parameters": '{"grid": 1e300}'}, 400, "grid must be a number from -100 to 100"),
        ({"parameters": '{"grid": NaN}'}, 400, "grid must be a number"),
        ({"parameters": '{"m": 3}'}, 400, "TSP has no parameter 'm'"),
        ({"parameters": '{"distribution": ["uniform"]}'}, 400, "distribution must be one of"),
        ({"parameters": "[]"}, 400, "parameters must be a JSON object"),
        ({"parameters": "[" * 900}, 400, "parameters must be a JSON object"),
        ({"parameters": " " * 1001}, 400, "parameters must be at most 1000 characters"),
        ({"level": 3, "parameters": '{"n": 5}'}, 400, "level sets n"),
        ({"row": "TSP-3-00"}, 400, "did you mean 'TSP-3-0'?"),
        ({"run": "../outside.jsonl", "row": "TSP-3-0"}, 400, "has no run '../outside.jsonl'"),
        ({"run": "secret.txt", "row": "TSP-3-0"}, 400, "has no run 'secret.txt'"),
        ({"run": "/etc/passwd", "row": "TSP-3-0"}, 400, "has no run"),
        ({"run": "suite.jsonl", "row": "TSP-0-1"}, 400, "has no row"),
    ],
)
def test_bad_names_are_refused_in_words(
    client: TestClient, parameters: dict[str, Any], status: int, said: str
) -> None:
    for path in ("/api/instance", "/api/reveal"):
        reply = client.get(path, params=parameters)
        assert reply.status_code == status and said in reply.json()["error"], reply.text


def test_a_request_is_bounded(client: TestClient) -> None:
    def judge(**sent: Any) -> Any:
        return client.post("/api/judge", params=place("TSP"), **sent)

    def pieces() -> Iterator[bytes]:
        yield b'{"text": "'
        for _ in range(100):
            yield b" " * (MAX_BODY // 50)

    assert judge(json={"text": " " * MAX_TEXT}).json()["status"] == "malformed"
    for sent, status in (
        ({"json": {"text": " " * (MAX_TEXT + 1)}}, 422),
        ({"json": {"text": " " * MAX_BODY}}, 413),
        ({"content": pieces()}, 413),  # of no stated length
        ({"json": {"text": 5}}, 422),
        ({"json": {}}, 422),
        ({"json": ["text"]}, 422),
        ({"content": b"\xff", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b'{"text": "\\ud800"}', "headers": {"content-type": "application/json"}}, 422),
        ({"content": b"[" * 10**5, "headers": {"content-type": "application/json"}}, 400),
        ({"data": {"text": "[0]"}}, 422),  # what a form of another site can send
    ):
        reply = judge(**sent)
        assert reply.status_code == status and reply.json()["error"], (sent, reply.text)
    huge = judge(json={"text": "[" + "1," * 60_000 + "1]"}).json()
    assert huge["status"] == "infeasible" and huge["picture"] is None


def test_other_sites_are_refused(client: TestClient) -> None:
    for host, status in (
        ("127.0.0.1", 200), ("localhost:8642", 200), ("[::1]:8642", 200),
        ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("", 403), ("[", 403),
    ):  # fmt: skip
        for path in ("/", "/api/problems"):
            reply = client.get(path, headers={"host": host})
            assert reply.status_code == status, host
    for site, status in (("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)):
        assert client.get("/api/problems", headers={"sec-fetch-site": site}).status_code == status
        assert client.get("/", headers={"sec-fetch-site": site}).status_code == 200  # a link may lead here
    named = TestClient(create_app(Path("runs"), ["Workshop"]), base_url="http://workshop:8642")
    assert named.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/", "/page.js", "/api/problems", "/api/instance?level=99", "/nowhere"])
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path, headers={"origin": "https://evil.example"}).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert not [name for name in headers if name.startswith("access-control")]


def test_nothing_else_is_served(client: TestClient) -> None:
    for path in ("/docs", "/openapi.json", "/app.py", "/page.js/../app.py", "/%2e%2e/app.py", "/api/nothing"):
        reply = client.get(path)
        assert reply.status_code == 404 and reply.json() == {"error": "Not Found"}
    assert client.get("/?path=/etc/passwd&file=/etc/passwd").text.startswith("<!doctype html>")
    assert client.get("/api/judge").json() == {"error": "Method Not Allowed"}


def test_too_many_requests_are_refused(base: str) -> None:
    at = tuple(base.removeprefix("http://").split(":"))
    head = (
        f"POST /api/judge?problem=TSP&level=0 HTTP/1.1\r\nHost: {at[0]}\r\nContent-Type: application/json\r\n"
        "Content-Length: 15\r\nExpect: 100-continue\r\n\r\n"
    )
    held = []
    for _ in range(MAX_REQUESTS):
        held.append(socket.create_connection(at))  # type: ignore[arg-type]
        held[-1].sendall(head.encode())
        assert held[-1].recv(100).startswith(b"HTTP/1.1 100")  # the server waits for the body
    refused = httpx.get(f"{base}/api/problems")
    assert refused.status_code == 503 and "try again" in refused.json()["error"]
    assert httpx.get(base).status_code == 200  # the page itself is always there
    for connection in held:
        connection.sendall(b'{"text": "[0]"}')
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        connection.close()
    assert httpx.get(f"{base}/api/problems").status_code == 200


# ---------------------------------------------------------------- runs


def test_runs_are_listed_and_filtered(client: TestClient, runs: Path) -> None:
    listed = client.get("/api/runs").json()
    assert [(run["name"], run["valid"]) for run in listed["runs"]] == [
        ("hostile <b>.jsonl", True), ("other.jsonl", False), ("suite.jsonl", True)
    ]  # fmt: skip
    assert (listed["runs"][0]["agent"], listed["runs"][2]["suite"]) == (Hostile.name, "forge-bench-v1")

    table = client.get("/api/run", params={"run": "suite.jsonl"}).json()
    assert (table["finished"], table["missing"], table["total"], table["pages"]) == (100, 0, 100, 1)
    assert sum(table["statuses"].values()) == 100 and table["optimal"] == 25
    one = next(call for call in table["calls"] if call["status"] == "optimal")
    chosen = {name: one[name] for name in ("problem", "level", "status")}
    assert client.get("/api/run", params={"run": "suite.jsonl", **chosen}).json()["calls"] == [one]
    for parameters, said in (
        ({"run": "other.jsonl"}, "is damaged"),
        ({"run": "suite"}, "did you mean 'suite.jsonl'?"),
        ({"run": "suite.jsonl", "status": "optmal"}, "did you mean 'optimal'?"),
        ({"run": "../outside.jsonl"}, "has no run"),
    ):
        reply = client.get("/api/run", params=parameters)
        assert reply.status_code == 400 and said in reply.json()["error"]


def test_a_call_has_reply_verdict_and_optimum(client: TestClient) -> None:
    def call(**parameters: Any) -> Any:
        return client.get("/api/call", params={"run": "hostile <b>.jsonl", "sample": 0, **parameters})

    rows = [c["row"] for c in client.get("/api/run", params={"run": "hostile <b>.jsonl"}).json()["calls"]]
    second = call(row=rows[2], turn=1).json()  # the second episode is the one that shows off
    assert second["turns"][0]["reply"] == HOSTILE[1] and second["turns"][1]["feedback"]
    assert second["verdict"]["status"] == "malformed" and second["picture"] is None
    assert second["optimum"]["proven"] and second["prompt"].startswith("Travelling salesman")
    assert second["before"] == [rows[2], 0, 0] and second["after"] == [rows[4], 0, 0]
    filtered = call(row=rows[4], turn=0, status="infeasible").json()
    assert filtered["verdict"]["status"] == "infeasible" and filtered["before"] is None
    assert call(row=rows[2], turn=2).status_code == call(row="TSP-77").status_code == 400


def test_a_run_that_grows_is_read_again(tmp_path: Path, runs: Path) -> None:
    lines = (runs / "suite.jsonl").read_text().splitlines(keepends=True)
    path = tmp_path / "growing.jsonl"
    client = TestClient(create_app(tmp_path), base_url="http://127.0.0.1")
    for count in (10, 20):
        path.write_text("".join(lines[: count + 1]) + lines[count + 1][:50])  # a line that is being written
        table = client.get("/api/run", params={"run": path.name}).json()
        assert (table["finished"], table["missing"]) == (count, 100 - count)


def test_a_failure_is_a_plain_answer(tmp_path: Path, runs: Path) -> None:
    header, line, *_ = (runs / "suite.jsonl").read_text().splitlines()
    call = json.loads(line)
    call["verdict"] |= {"status": "feasible", "skill": "high"}
    (tmp_path / "odd.jsonl").write_text(f"{header}\n{json.dumps(call)}\n")
    client = TestClient(create_app(tmp_path), base_url="http://127.0.0.1", raise_server_exceptions=False)
    reply = client.get("/api/run", params={"run": "odd.jsonl"})
    assert reply.status_code in (400, 500) and reply.json()["error"]


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forge_gym", "serve", "--port", "0", "--runs", str(tmp_path / "none")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as server:
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().split()[0]
        assert httpx.get(f"{url}api/runs").json()["runs"] == []
        port = url.rstrip("/").rpartition(":")[2]
        second = subprocess.run(
            [*command[:4], "--port", port], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert second.returncode == 2
        assert re.fullmatch(f"forge-gym: --port must be free on '127.0.0.1', got {port}: .*\n", second.stderr)
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        assert server.stderr.read() == ""


def test_a_wide_host_is_warned_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from forge_gym.cli.explorer.app import serve

    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    for host, warned in (("127.0.0.1", False), ("0.0.0.0", True)):
        serve(host, 0, tmp_path)
        assert ("other machines" in capsys.readouterr().err) == warned
    with pytest.raises(ValueError, match="--host must be"):
        serve("no.such.host.invalid", 0, tmp_path)
    with pytest.raises(ValueError, match="--port must be an integer from 0 to 65535"):
        serve("127.0.0.1", 70_000, tmp_path)


# ---------------------------------------------------------------- the page


@pytest.fixture
def visit(browser: Any, base: str) -> Iterator[Callable[..., Any]]:
    """Open a view and wait until it is complete; afterwards nothing may have gone wrong in any of them."""
    faults: list[str] = []
    contexts: list[Any] = []

    def open_view(view: str = "/", width: int = 1200) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
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
    return bool(
        page.eval_on_selector(image, "async image => { await image.decode(); return image.naturalWidth > 0 }")
    )


def test_every_problem_is_read_and_answered(visit: Callable[..., Any]) -> None:
    page = visit()
    for name in PROBLEMS:
        problem, instance, best = asked(name)
        page.select_option("[name=problem]", name)
        page.fill("[name=level]", "0")
        page.fill("[name=seed]", "1")
        with page.expect_navigation():
            page.click("#choose button")
        page.wait_for_selector("body[data-ready]")
        assert f"problem={name}" in page.url and "row=" not in page.url
        assert page.locator("#prompt").text_content() == problem.prompt(instance)
        assert is_drawn(page, "#picture img")
        before = page.locator("#picture img").get_attribute("src")
        page.fill("#answer", best)
        assert judged(page) == "optimal"
        assert "proven optimum" in page.locator("#verdict").inner_text()
        assert page.locator("#picture img").get_attribute("src") != before
        assert is_drawn(page, "#picture img")


@pytest.mark.parametrize("first", [0, 7])
@pytest.mark.parametrize("name", KINDS)
def test_an_answer_is_clicked_together(visit: Callable[..., Any], name: str, first: int) -> None:
    problem, instance, best = asked(name, names=first)
    solution = problem.reference(instance).solution
    page = visit(f'/?problem={name}&level=0&seed=1&parameters={{"names":{first}}}')
    chips = page.locator("#builder fieldset").first.locator("button")
    if problem.widget == "rows":
        for row in solution:
            element, *place = row
            for select, number in zip(
                page.locator("#builder select").all(), (first + element, *place), strict=True
            ):
                select.select_option(str(number))
            page.click("#add")
        assert page.locator("#builder li").count() == len(solution)
        page.click("#add")  # twice the last row, which is taken back
        page.locator("#builder li button").last.click()
    elif problem.widget == "labels":
        palette = page.locator("#builder fieldset").last.locator("button")
        for label in solution:  # the next element is selected by itself
            palette.nth(label).click()
        assert chips.first.inner_text().split()[0] == str(first)
    else:
        for element in solution:
            chips.nth(element).click()
        chips.nth(solution[-1]).click()  # out and in again
        assert chips.nth(solution[-1]).get_attribute("aria-pressed") == "false"
        page.click("#undo")
    assert json.loads(page.input_value("#answer")) == json.loads(best)
    assert judged(page) == "optimal"
    page.click("#clear")
    assert page.input_value("#answer") == "" and page.locator("[aria-pressed=true]").count() <= 1


def test_an_infeasible_answer_names_what_it_violates(visit: Callable[..., Any], base: str) -> None:
    page = visit("/?problem=TSP&level=1")
    page.fill("#answer", "[0, 1, 1]")
    assert judged(page) == "infeasible"
    said = page.locator("#verdict").inner_text()
    assert "each city is visited, missing 4 of 6" in said and "4 of 6: each city" in said
    assert is_drawn(page, "#picture img")
    page.check("#whole")
    assert judged(page) == "malformed"
    shared = visit(page.url.removeprefix(base))
    assert shared.locator("#verdict .status").inner_text() == "malformed" and shared.is_checked("#whole")


def test_the_optimum_is_not_there_before_it_is_revealed(browser: Any, base: str) -> None:
    _, _, best = asked("TSP", 2)
    page = browser.new_page()
    received: list[str] = []
    page.on("response", lambda reply: received.append(reply.url))
    page.goto(f"{base}/?problem=TSP&level=2&seed=1")
    page.wait_for_selector("body[data-ready]")
    page.fill("#answer", "[0, 1, 2]")
    judged(page)
    assert not [url for url in received if "reveal" in url] and best not in page.content()
    page.click("#reveal")
    page.wait_for_selector("#revealed img >> nth=1")
    assert best in page.locator("#revealed").inner_text() and "Proven optimum" in page.content()
    assert is_drawn(page, "#revealed img >> nth=1")
    page.close()


def test_the_keyboard_is_enough(visit: Callable[..., Any]) -> None:
    page = visit("/?problem=TSP&level=0&seed=1")
    page.locator("#builder button").first.focus()
    for _ in range(5):
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
    assert page.input_value("#answer") == "[0, 1, 2, 3, 4]"
    assert page.evaluate("document.activeElement.id") == "answer"
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#verdict .feasible, #verdict .optimal")


def test_a_mistake_is_said_and_can_be_mended(browser: Any, base: str) -> None:
    page = browser.new_page()
    page.goto(f"{base}/?problem=TSP&level=40")
    page.wait_for_selector("body[data-ready]")
    assert "level must be an integer from 0 to 10" in page.locator("#error").inner_text()
    page.fill("[name=level]", "1")
    with page.expect_navigation():
        page.click("#choose button")
    page.wait_for_selector("#picture img")
    assert page.locator("#error").is_hidden()
    with page.expect_navigation():
        page.click("#next")
    page.wait_for_selector("#picture img")
    assert "index 1" in page.locator("#title").inner_text()
    page.close()


def test_hostile_replies_are_only_text(visit: Callable[..., Any]) -> None:
    page = visit("/?view=runs")
    assert "<b>hostile</b>\\u{202e}/../x" in page.locator("#list").inner_text()
    page.click("text=hostile <b>.jsonl")
    page.wait_for_selector("#calls a")
    page.select_option("#filter [name=status]", "malformed")
    with page.expect_navigation():
        page.click("#filter button")
    page.wait_for_selector("#calls a")
    seen = []
    page.click("#calls a >> nth=0")
    page.wait_for_selector("body[data-ready=call]")
    while True:
        seen.append(page.locator("#reply").inner_text())
        assert page.locator("#reply script, #reply img, #reply b, h1 b").count() == 0
        assert is_drawn(page, "#call-optimum img")
        if not page.locator("[rel=next]").count():
            break
        with page.expect_navigation():
            page.click("[rel=next]")
        page.wait_for_selector("body[data-ready=call]")
    shown = "\n".join(seen)
    assert "<script>window.hacked = 1</script>" in shown and "[bold]x[/bold]" in shown
    for spelt in (r"\u{1b}[31mred", r"\u{202e}exe.gnp", r"\u{d800}", r"\u{0}"):
        assert spelt in shown
    assert not re.search("[\x00\x1b\u202e]", page.content())
    assert page.evaluate("window.hacked") is None
    with page.expect_navigation():
        page.click("text=Answer it yourself")
    page.wait_for_selector("body[data-ready=play]")
    assert page.input_value("[name=problem]") == "TSP" and page.input_value("[name=row]") == ""
    page.fill("#answer", "[]")
    judged(page)


def test_it_fits_a_phone(visit: Callable[..., Any]) -> None:
    for view in (
        "/?problem=MeetingScheduling&level=0&answer=[[0,0,0],[0,0,600]]", "/?row=GraphColoring-4-0",
        "/?view=runs", "/?run=suite.jsonl", "/?run=suite.jsonl&row=GraphColoring-4-0&sample=0",
    ):  # fmt: skip
        page = visit(view, 390)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", background))) < 384) == (scheme == "dark")
