"""OpenEnv: a real server, its own client and an outside one, its validation, and rewards as everywhere."""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

import forge_gym
from adapters.replies import ALONE, SCRIPT, asked
from cases import every_kind
from forge_gym.core.answer import MAX_REPLY
from forge_gym.core.reference import CertificateError
from forge_gym.data.suite import BENCHMARK, locate, read

pytest.importorskip("openenv.core", reason=SCRIPT.format("openenv"))

from forge_gym.adapters.openenv import FOLDER, ForgeAction, ForgeClient
from forge_gym.adapters.openenv.server import LIMITS, MAX_LEVEL, ForgeEnvironment, create_app
from forge_gym.serving import Punctual


@contextmanager
def serving(**arguments: Any) -> Iterator[str]:
    """A server on a free port of the loopback interface."""
    import uvicorn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(
        create_app(**arguments), host="127.0.0.1", port=port, http=Punctual, log_level="error", **LIMITS
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until, "the server does not start"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(max_concurrent_envs=2, problem="Knapsack", level=1) as found:
        yield found


def post(url: str, **data: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(data).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


# ---------------------------------------------------------------------- one session, without a server


ODD = ["\x00", "[" * 100_000, f"<answer>{'9' * 9000}</answer>"]


@every_kind
@pytest.mark.parametrize("scheme", ALONE)
def test_pays_as_everywhere(name: str, scheme: str) -> None:
    case, environment = asked(name), ForgeEnvironment(reward=scheme)
    for text in [*case.replies.values(), *ODD]:
        assert environment.reset(spec=case.spec).text == case.problem.prompt(case.instance)
        seen = environment.step(ForgeAction(text=text))
        verdict = case.problem.verify(case.instance, text)
        assert seen.reward == case.paid(text, scheme) and seen.done
        assert (seen.info["quality"], seen.info["skill"]) == (verdict.quality, verdict.skill)


def test_resets_are_those_of_the_environment() -> None:
    ours, theirs = (
        ForgeEnvironment(problem="TSP", level=2, turns=2),
        gym.make("Forge/TSP-v0", level=2, turns=2),
    )
    problem = forge_gym.problem("TSP", level=2)
    for seed, index in (7, 0), (7, 1), (8, 5):
        observation = ours.reset(spec=problem.spec(seed, index))
        prompt, info = theirs.reset(seed=seed, options={"index": index})
        assert (observation.text, observation.info, observation.reward) == (prompt, info, None)
        for text in ("?", "<answer>[0, 1, 2]</answer>"):
            seen, (said, reward, over, _, info) = ours.step(ForgeAction(text=text)), theirs.step(text)
            assert (seen.text, seen.reward, seen.done, seen.info) == (said, reward, over, info)
        assert (ours.state.step_count, ours.state.turns) == (2, 2)
    assert ours.reset(seed=1, split="test", problem="MaxClique", parameters={"n": 9}, turns=1).text
    clique, instance = forge_gym.from_spec(ours.state.spec)
    assert clique == forge_gym.problem("MaxClique", n=9)
    assert instance == next(clique.graded_instances(1, "test"))[1]
    assert ours.reset(episode_id="mine").text and ours.state.episode_id == "mine"


def test_how_thoughts_end_is_said_by_server_or_client() -> None:
    case = asked("Knapsack")
    thought = f"[THINK]{case.replies['trivial']}[/THINK]{case.replies['optimal']}"
    for environment, given in (
        (ForgeEnvironment(thoughts="[/THINK]"), {}),
        (ForgeEnvironment(), {"thoughts": "[/THINK]"}),
        (ForgeEnvironment(), {"thoughts": {"end": "[/THINK]", "inside": True}}),
    ):
        environment.reset(spec=case.spec, **given)
        assert environment.step(ForgeAction(text=thought)).reward == 1.0
        environment.reset(spec=case.spec, thoughts="</think>")
        assert environment.step(ForgeAction(text=thought)).reward == -1.0


def test_what_a_seed_chooses_is_graded() -> None:
    """Of a stream that holds other instances too, which ``spec`` chooses."""
    problem = forge_gym.problem("HamiltonianCycle", n=6)
    graded = [index for index, _ in islice(problem.graded_instances(2), 4)]
    other = next(index for index in range(graded[-1]) if index not in graded)
    environment = ForgeEnvironment(problem="HamiltonianCycle", parameters={"n": 6})

    def played(**arguments: Any) -> Any:
        environment.reset(**arguments)
        return json.loads(environment.state.spec)

    assert [played(seed=seed)["index"] for seed in (2, None, None, None)] == graded
    assert played(seed=2)["index"] == played(seed=2, turns=2)["index"] == graded[0]
    spec = problem.spec(2, other)
    assert played(spec=spec) == json.loads(spec)
    assert played()["index"] == next(index for index, _ in problem.graded_instances(2, start=other + 1))
    drawn = ForgeEnvironment(), ForgeEnvironment()
    assert len({session.reset().text for session in drawn}) == 2  # each has a stream of its own
    before = played()
    with pytest.raises(ValueError, match="must leave room between trivial, greedy and proven optimum"):
        played(problem="TSP", parameters={"n": 3})
    assert json.loads(environment.state.spec) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"problem": "TPS"}, "did you mean 'TSP'"),
        ({"problme": "TSP"}, "reset has no argument 'problme': did you mean 'problem'"),
        ({"level": -1}, "level must be an integer of at least 0"),
        ({"turns": 0}, "turns must be an integer of at least 1"),
        ({"keep": "bets"}, "did you mean 'best'"),
        ({"thoughts": {"ends": "x"}}, "thoughts has no field 'ends'"),
        ({"split": "tset"}, "did you mean 'test'"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"index": 1}, "index must come with split='forge-bench-v1', got 'train'"),
        ({"parameters": {"nn": 3}}, "has no parameter 'nn'"),
        ({"parameters": 3}, "parameters must be an object"),
        ({"parameters": {"name": 3}}, "has no parameter 'name'"),
        ({"spec": "{}"}, "a spec must be a JSON object"),
        ({"spec": 5}, "spec must be a string, got 5"),
        ({"spec": {"problem": "TSP"}}, "spec must be a string, got {'problem'"),
        ({"episode_id": 5}, "episode_id must be a string of at most 255 characters, got 5"),
        ({"episode_id": "x" * 256}, "episode_id must be a string of at most 255 characters"),
        ({"parameters": {"level": -1}}, "level must be an integer of at least 0"),
        (
            {"spec": forge_gym.problem("TSP").spec(), "level": 2},
            "spec chooses the instance alone, got .'level'",
        ),
        ({"split": BENCHMARK, "index": 1000}, "index must be an integer from 0 to 999"),
        ({"split": BENCHMARK}, "index must be an integer from 0 to 999"),
        ({"split": BENCHMARK, "index": 1, "seed": 1}, "chooses the instance alone, got .'seed'"),
    ],
)
def test_a_wrong_reset_is_refused_and_changes_nothing(arguments: dict[str, Any], words: str) -> None:
    environment = ForgeEnvironment()
    environment.reset(seed=3)
    before = environment.state.model_dump()
    with pytest.raises(ValueError, match=words):
        environment.reset(**arguments)
    assert environment.state.model_dump() == before
    assert environment.step(ForgeAction(text="?")).reward == -1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"reward": "tired"}, "did you mean 'tiered'"),
        ({"reward": "pairwise"}, "reward must pay a single answer"),
        ({"problem": "TPS"}, "did you mean 'TSP'"),
        ({"max_concurrent_envs": 0}, "max_concurrent_envs must be an integer of at least 1"),
        ({"idle_s": 0}, "idle_s must be a number from 1 to 86400"),
        ({"max_level": -1}, "max_level must be an integer of at least 0"),
        ({"allow_host": ["*"]}, "--allow-host must be a name"),
    ],
)
def test_a_wrong_server_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create_app(**arguments)


def test_oracle_and_floor_are_those_of_the_manifest() -> None:
    """On the tasks of the benchmark: the optimum is paid the most, and what ignores the instance a margin less."""
    manifest = read_manifest()
    environment, (_, rows) = ForgeEnvironment(), read(locate(BENCHMARK))
    assert environment.num_tasks(BENCHMARK) == len(rows) == manifest.capabilities.declared_task_count[BENCHMARK]
    most = manifest.reward.range[1]

    def paid(index: int, text: str) -> float:
        environment.reset(split=BENCHMARK, index=index)
        reward = environment.step(ForgeAction(text=text)).reward
        assert reward is not None and manifest.reward.range[0] <= reward <= most
        return reward

    for index in range(0, len(rows), 13):
        row = rows[index]
        problem, instance = row.problem, row.instance
        assert paid(index, problem.format(instance, row.reference.solution)) == most
        degenerate = ["", *(problem.format(instance, null) for null in problem.null_answers(instance))]
        assert all(paid(index, text) <= most - manifest.reward.floor_margin for text in degenerate), row.id


def test_an_alarm_is_no_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = forge_gym.problem("TSP", n=6)
    index, _ = next(problem.graded_instances(78))
    spec = problem.spec(78, index)
    instance: Any = forge_gym.from_spec(spec)[1]
    right = problem.reference(instance)
    value = right.greedy
    wrong = type(right)(right.solution, value, value, "wrong", 0, "min", trivial=right.trivial, greedy=value)
    monkeypatch.setitem(instance.memo[problem._key], "reference", wrong)
    environment = ForgeEnvironment()
    environment.reset(spec=spec)
    with pytest.raises(CertificateError, match="beats the certificate"):
        environment.step(ForgeAction(text=problem.format(instance, right.solution)))


# ---------------------------------------------------------------------- a server


class Outside:
    """A client that knows nothing but the protocol."""

    def __init__(self, url: str) -> None:
        from websockets.sync.client import connect

        self.socket = connect(f"{url.replace('http', 'ws')}/ws", proxy=None, max_size=2**26)

    def ask(self, type: str, **data: Any) -> Any:
        self.socket.send(json.dumps({"type": type} | ({"data": data} if type != "state" else {})))
        return json.loads(self.socket.recv(60))

    def close(self) -> None:
        self.socket.close()


def test_two_sessions_at_once(url: str) -> None:
    tsp = forge_gym.problem("TSP", n=6)
    index, instance = next(tsp.graded_instances(1))
    outside = Outside(url)
    with ForgeClient(base_url=url).sync() as client:
        asked = outside.ask("reset", spec=tsp.spec(1, index), turns=2, episode_id="outside")["data"]
        assert asked["observation"]["text"] == tsp.prompt(instance) and asked["reward"] is None
        seen = client.reset(seed=5)  # the server's own problem
        knapsack, other = forge_gym.from_spec(client.state().spec)
        assert knapsack == forge_gym.problem("Knapsack", level=1)
        assert other == next(knapsack.graded_instances(5))[1]
        assert seen.observation.text == knapsack.prompt(other) and not seen.done
        answered = outside.ask("step", text="no idea")["data"]
        assert (answered["reward"], answered["done"]) == (-1.0, False)
        best = knapsack.format(other, knapsack.reference(other).solution)
        result = client.step(ForgeAction(text=best))
        assert (result.reward, result.done, result.observation.info["optimal"]) == (1.0, True, True)
        answered = outside.ask("step", text=tsp.format(instance, tsp.reference(instance).solution))["data"]
        assert (answered["reward"], answered["done"]) == (2.0, True)  # the return is 1
        state = outside.ask("state")["data"]
        assert (state["episode_id"], state["step_count"], state["spec"]) == ("outside", 2, tsp.spec(1, index))
        third = Outside(url)
        refused = json.loads(third.socket.recv(60))
        assert refused["data"]["code"] == "CAPACITY_REACHED"
    outside.close()


def test_no_message_ends_a_session(url: str) -> None:
    outside = Outside(url)
    try:
        assert outside.ask("step", text="?")["data"]["code"] == "EXECUTION_ERROR"  # before any reset
        for bad in ({}, {"text": None}, {"text": 5}, {"text": ["?"]}, {"text": "?", "more": 1}):
            assert outside.ask("step", **bad)["data"]["code"] == "VALIDATION_ERROR"
        refused = outside.ask("reset", problem="TPS")
        assert "did you mean 'TSP'" in refused["data"]["message"]
        case = asked("Knapsack", 9)
        for text in [*case.replies.values(), *ODD]:
            outside.ask("reset", seed=9)
            assert outside.ask("step", text=text)["data"]["reward"] == case.paid(text)
        outside.ask("reset", seed=9)
        longest = outside.ask("step", text="x" * (MAX_REPLY + 1))
        assert longest["data"]["reward"] == -1.0 and "at most" in longest["data"]["observation"]["text"]
    finally:
        outside.close()
    with ForgeClient(base_url=url).sync() as client:
        client.reset(seed=9)
        assert client.step(ForgeAction(text="\u20ac" * (9 * MAX_REPLY))).reward == -1.0


def closing_code(session: Any) -> int:
    """Return the code with which the server closes a session."""
    from websockets.exceptions import ConnectionClosed

    with pytest.raises(ConnectionClosed) as closed:
        while True:
            session.recv(60)
    return int(closed.value.rcvd.code) if closed.value.rcvd else 1006


def test_a_client_cannot_ask_for_what_nobody_could_solve(url: str) -> None:
    spec = json.loads(forge_gym.problem("TSP", n=9).spec())
    large = json.dumps(spec | {"parameters": spec["parameters"] | {"n": 10**8}})
    asked: list[dict[str, Any]] = [
        {"level": 9999},
        {"problem": "TSP", "level": MAX_LEVEL + 1},
        {"problem": "SetCover", "parameters": {"n": 10**8}},
        {"problem": "SetCover", "parameters": {"elements": 10**5}},
        {"problem": "TSP", "parameters": {"level": 9999}},
        {"parameters": {"largest": 10**9}},
        {"spec": large},
    ]
    outside = Outside(url)
    try:
        for data in asked:
            began = time.monotonic()
            refused = outside.ask("reset", **data)["data"]
            assert refused["code"] == "EXECUTION_ERROR" and " must be a" in refused["message"]
            assert "\n" not in refused["message"] and time.monotonic() - began < 5
            with pytest.raises(urllib.error.HTTPError, match="400") as error:
                post(f"{url}/reset", **data)
            assert json.load(error.value) == {"detail": refused["message"]}
        assert outside.ask("reset", problem="TSP", level=MAX_LEVEL, split="test", spec=None)["type"] == "observation"
    finally:
        outside.close()
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post(f"{url}/step", action={"text": "?"})  # no episode is running
    with serving(problem="TSP", level=MAX_LEVEL + 1) as own:  # the server's owner may
        assert post(f"{own}/reset", seed=1)["observation"]["text"]


def test_sessions_of_the_silent_are_closed() -> None:
    """Those of WebSockets, and those that are made over HTTP, which nothing else would close."""
    create = {"jsonrpc": "2.0", "id": 1, "method": "openenv/session/create", "params": {}}
    with serving(max_concurrent_envs=2, idle_s=1.5) as url:
        silent = Outside(url)
        assert post(f"{url}/mcp", **create)["result"]["session_id"]
        assert json.loads(Outside(url).socket.recv(60))["data"]["code"] == "CAPACITY_REACHED"
        assert closing_code(silent.socket) == 1001
        time.sleep(6)  # OpenEnv looks every five seconds
        with ForgeClient(base_url=url).sync() as one, ForgeClient(base_url=url).sync() as other:
            assert one.reset(seed=1).observation.text and other.reset(seed=1).observation.text


def test_what_a_session_held_is_freed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    build = ForgeEnvironment._build

    def seen(self: Any, *given: Any) -> Any:
        if not any(each() is self for each in made):
            made.append(weakref.ref(self))
        return build(self, *given)

    monkeypatch.setattr(ForgeEnvironment, "_build", seen)
    for _ in range(20):
        outside = Outside(url)
        outside.ask("reset", seed=1)
        outside.socket.close_socket() if hasattr(outside.socket, "close_socket") else outside.close()
    until = time.monotonic() + 20
    while [each for each in made if each() is not None]:
        assert time.monotonic() < until, "environments of closed sessions are kept"
        time.sleep(0.1)
        gc.collect()
    assert len(made) == 20


def test_one_who_waits_for_a_solver_stops_nobody(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    solving, ready = threading.Event(), threading.Event()
    tsp = forge_gym.problem("TSP", n=11)

    def solve(self: Any, instance: Any, start: Any, limit: int) -> Any:
        solving.set()
        ready.wait(60)
        raise ValueError("enough")

    monkeypatch.setattr(type(tsp), "solve", solve)
    slow, quick = Outside(url), Outside(url)
    try:
        slow.socket.send(json.dumps({"type": "reset", "data": {"problem": "TSP", "level": 7, "seed": 77}}))
        assert solving.wait(30)
        began = time.monotonic()
        assert quick.ask("reset", problem="Knapsack", level=1, seed=2)["data"]["observation"]["text"]
        assert quick.ask("step", text="?")["data"]["reward"] == -1.0
        with urllib.request.urlopen(f"{url}/health", timeout=30) as response:
            assert response.status == 200
        assert time.monotonic() - began < 10
        ready.set()
        assert json.loads(slow.socket.recv(60))["data"]["message"] == "enough"
    finally:
        ready.set()
        slow.close()
        quick.close()


@pytest.mark.parametrize(
    "message",
    [
        "[]",
        "5",
        "null",
        '"reset"',
        "{",
        "[" * 200_000,
        '{"type": "reset", "data": 5}',
        '{"type": ["reset"]}',
        b"\x00\xff",
        "9" * 5000,
        '{"type": "reset", "data": {"seed": "\\ud800"}}',
        "x" * 10**8,
    ],
    ids=range(12),
)
def test_a_wrong_message_hurts_its_own_session_at_most(url: str, message: str | bytes) -> None:
    from websockets.exceptions import ConnectionClosed

    outside = Outside(url)
    try:
        outside.socket.send(message)
        answered = json.loads(outside.socket.recv(60))
        assert answered["type"] == "error" and "Traceback" not in answered["data"]["message"]
    except ConnectionClosed as closed:
        assert len(message) == 10**8 and (closed.rcvd is None or closed.rcvd.code == 1009)
    finally:
        outside.close()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        other = Outside(url)
        found = other.ask("reset", seed=4)["data"]
        other.close()
        if found.get("code") != "CAPACITY_REACHED":  # until the slots are free again
            break
    assert found["observation"]["text"]


def test_pages_of_other_sites_reach_nothing(url: str) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    place = f"{url.replace('http', 'ws')}/ws"
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        with pytest.raises(InvalidStatus) as refused:
            connect(place, proxy=None, additional_headers=headers)
        assert refused.value.response.status_code == 403
        request = urllib.request.Request(f"{url}/reset", b"{}", {"Content-Type": "application/json", **headers})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=60)
    for path in ("/reset", "/mcp", "/health"):
        request = urllib.request.Request(f"{url}{path}", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(request, timeout=60)
    connect(place, proxy=None, origin=url).close()  # type: ignore[arg-type]


def test_task_api(url: str) -> None:
    _, rows = read(locate(BENCHMARK))
    with urllib.request.urlopen(f"{url}/forge_gym/splits", timeout=60) as response:
        assert json.load(response) == [{"name": BENCHMARK, "type": "test"}]
    assert post(f"{url}/forge_gym/num_tasks", split=BENCHMARK) == {"num_tasks": 1000}
    task = post(f"{url}/forge_gym/task", split=BENCHMARK, index=123)["task"]
    assert (task["id"], task["problem"]) == (rows[123].id, rows[123].problem.name)
    some = post(f"{url}/forge_gym/task_range", split=BENCHMARK, start=998, stop=2000)["tasks"]
    assert [each["index"] for each in some] == [998, 999]
    assert len(post(f"{url}/forge_gym/tasks", split=BENCHMARK)["tasks"]) == 1000
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post(f"{url}/forge_gym/task", split=BENCHMARK, index=1000)
    with ForgeClient(base_url=url).sync() as client:
        assert client.reset(split=BENCHMARK, index=123).observation.text == task["prompt"]


# ---------------------------------------------------------------------- their validation


def read_manifest() -> Any:
    from openenv.validation.parsers.openenv_yaml import OpenEnvYamlParser

    return OpenEnvYamlParser().parse(FOLDER)


def validate(*arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "openenv"), "validate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    return done.stdout


def test_their_validation_passes(url: str) -> None:
    assert "Verdict: PASS" in validate(str(FOLDER), "--level", "static")
    assert "Verdict: PASS" in validate("--url", url)
    validate(str(FOLDER))  # what remains needs an image, or is not written yet, and is skipped


def test_their_runtime_checks_pass_on_a_session(url: str) -> None:
    """What the runtime level would check in a container, here against the server itself."""
    from openenv.validation.graders.runtime import basic
    from openenv.validation.runtime.collector import collect_runtime_evidence
    from openenv.validation.runtime.contracts import RuntimePlan, RuntimeReset

    problem = forge_gym.problem("TSP", level=1)
    _, instance = next(problem.graded_instances(4))
    best = problem.format(instance, problem.reference(instance).solution)
    for turns, texts in ((1, [best]), (1, ["?"]), (3, ["?", "<answer>[0]</answer>", ""])):
        options = {"problem": "TSP", "level": 1, "turns": turns}
        plan = RuntimePlan(
            plan_schema_version="1",
            reset=RuntimeReset(episode_id="mine", seed=4, options=options),
            actions=[{"text": text} for text in texts],
        )
        evidence = collect_runtime_evidence(url, plan, episode_timeout_s=60)
        subject = SimpleNamespace(manifest=read_manifest(), runtime_evidence=evidence)
        for grader in (
            basic.RewardWellFormedGrader(),
            basic.ObservationSchemaGrader(),
            basic.StateContractGrader(),
        ):
            result = grader.run(subject)
            assert result.status.value.lower() == "pass", (grader.check_id, result.evidence)


def test_the_example_plays(root: Path) -> None:
    command = [sys.executable, "examples/openenv_client.py", "--episodes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, timeout=300)
    assert [line.split()[2] for line in done.stdout.splitlines() if line.startswith("seed")] == [
        "greedy",
        "local-search",
    ]


def test_the_command_keeps_to_the_loopback_interface() -> None:
    command = [sys.executable, "-m", "forge_gym.adapters.openenv.server", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--host" in said and "loopback" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--problem", "Tsp"), "problem 'Tsp' is not registered: did you mean 'TSP'?"),
        (("--level", "-1"), "level must be an integer of at least 0"),
        (("--sessions", "0"), "max_concurrent_envs must be an integer of at least 1"),
    ],
)
def test_a_wrong_command_is_refused_in_one_line(arguments: tuple[str, ...], words: str) -> None:
    command = [sys.executable, "-m", "forge_gym.adapters.openenv.server", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and words in line
