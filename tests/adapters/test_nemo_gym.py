"""NeMo Gym: rows and the project's folder; the servers themselves, over HTTP, where NeMo Gym is installed."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from adapters.replies import ALONE, HUGE, NUMBERS, SCRIPT, asked, raise_alarms
from cases import every_kind
from forge_gym.adapters.nemo_gym import _requirement, row, write_server
from forge_gym.core.reference import CertificateError
from forge_gym.data.rows import samples

# ---------------------------------------------------------------------- rows


def test_rows_have_what_nemo_gym_asks_for() -> None:
    problems = [forge_gym.problem(name) for name in ("TSP", "Knapsack")]
    found = [row(each) for each in islice(samples(problems, levels=[0, 1]), 4)]
    drawn = [(each["problem"], each["level"]) for each in found]
    assert drawn == [("TSP", 0), ("Knapsack", 0), ("TSP", 1), ("Knapsack", 1)]
    for each in found:
        problem, instance = forge_gym.from_spec(each["spec"])
        (message,) = each["responses_create_params"]["input"]
        assert message == {"role": "user", "content": problem.prompt(instance)} and problem.is_graded(instance)
    assert json.loads(json.dumps(found)) == found


# ---------------------------------------------------------------------- the project's folder


def test_the_command_writes_a_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forge_gym.adapters.nemo_gym", "project"]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    folder = (tmp_path / "project/resources_servers/forge").resolve()
    assert out.stdout == f"wrote {folder}\n"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    configs = {"configs/forge.yaml", "configs/turns.yaml"}
    assert files == {"app.py", "turns.py", "task_data.py", "requirements.txt", "data/example.jsonl"} | configs
    examples = [json.loads(line) for line in (folder / "data/example.jsonl").read_text().splitlines()]
    assert len(examples) == 5 and all(forge_gym.from_spec(each["spec"]) for each in examples)
    assert (folder / "requirements.txt").read_text().startswith("forge-gym")
    with pytest.raises(ValueError, match="must have no server 'forge' yet"):
        write_server(tmp_path / "project")
    again = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert again.returncode == 2 and again.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ({"url": "file:///somewhere", "dir_info": {"editable": True}}, "forge-gym @ file:///somewhere"),
        (
            {"url": "https://host/it", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "forge-gym @ git+https://host/it@abc",
        ),
        (None, "forge-gym==1.2.3"),
    ],
)
def test_the_requirement_is_this_installation(origin: Any, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = MagicMock(version="1.2.3")
    installed.read_text.return_value = origin and json.dumps(origin)
    monkeypatch.setattr("forge_gym.adapters.nemo_gym.distribution", lambda name: installed)
    assert _requirement() == expected


def test_the_schema_takes_the_rows_and_nothing_less(tmp_path: Path) -> None:
    pydantic = pytest.importorskip("pydantic")
    spec = importlib.util.spec_from_file_location("task_data", write_server(tmp_path) / "task_data.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for line in (tmp_path / "resources_servers/forge/data/example.jsonl").read_text().splitlines():
        module.TaskData.model_validate(json.loads(line))
    with pytest.raises(pydantic.ValidationError, match="spec"):
        module.TaskData.model_validate({"problem": "TSP"})


# ---------------------------------------------------------------------- one reply, over HTTP


def build(name: str, **options: Any) -> Any:
    """A server as its program builds it, without the command line around it."""
    pytest.importorskip("nemo_gym", reason=SCRIPT.format("nemo-gym"))
    from nemo_gym.server_utils import ServerClient

    from forge_gym.adapters.nemo_gym import server

    config = server.ForgeConfig(host="", port=0, entrypoint="", name="forge", **options)
    return getattr(server, name)(config=config, server_client=MagicMock(spec=ServerClient))


def client(server: Any, **options: Any) -> Any:
    from fastapi.testclient import TestClient

    return TestClient(server.setup_webserver(), **options)


def response(*items: Any) -> dict[str, Any]:
    """What a model server answers; a text is a message."""
    output = [
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": item, "annotations": []}],
        }
        if isinstance(item, str)
        else item
        for item in items
    ]
    return {
        "id": "r",
        "created_at": 0.0,
        "model": "m",
        "object": "response",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def body(spec: str, *items: Any) -> dict[str, Any]:
    """A row with a reply, as an agent posts it."""
    problem, instance = forge_gym.from_spec(spec)
    asked = {"role": "user", "content": problem.prompt(instance)}
    return {
        "responses_create_params": {"input": [asked]},
        "response": response(*items),
        "spec": spec,
        "problem": problem.name,
        "level": -1,
    }


@every_kind
def test_verify_pays_the_reward_of_the_verdict(name: str) -> None:
    case = asked(name)
    for scheme in ALONE:
        http = client(build("ForgeServer", reward=scheme))
        for kind, text in case.replies.items():
            if kind == "surrogate":
                continue  # no text to NeMo Gym; see below
            verdict = case.problem.verify(case.instance, text)
            answered = http.post("/verify", json=body(case.spec, text)).raise_for_status().json()
            assert answered["reward"] == case.paid(text, scheme)
            assert answered["quality"] == verdict.quality and answered["skill"] == max(-1.0, verdict.skill)
            assert answered["reward_components"] == {
                "readable": float(verdict.status != "malformed"),
                "feasible": float(verdict.feasible),
                "quality": verdict.quality,
            }
            assert not answered["mask_sample"] and answered["failure_kind"] is None
            assert set(NUMBERS[1:]) < set(answered) and "score" not in answered
            assert (answered["spec"], answered["problem"], answered["level"]) == (case.spec, name, -1)
            assert answered["response"]["output"][0]["content"][0]["text"] == text


@pytest.mark.parametrize("server", ["ForgeServer", "ForgeTurnsServer"])
def test_no_column_stands_in_for_a_reply(server: str) -> None:
    case = asked()
    columns = dict.fromkeys(["answer", "completion", "reply", "certified"], case.replies["optimal"])
    columns |= {"reward": 1.0, "quality": 1.0, "score": 1.0, "mask_sample": True}
    http, said = client(build(server)), columns | body(case.spec, "no idea")
    if server == "ForgeTurnsServer":
        http.post("/reset", json=said).raise_for_status()
    answered = http.post("/verify" if server == "ForgeServer" else "/step", json=said).raise_for_status().json()
    assert answered["reward"] == -1 and answered.get("quality", 0) == 0 and not answered.get("mask_sample")


def test_only_what_the_model_said_counts() -> None:
    http = client(build("ForgeServer"))
    spec, optimal = asked().spec, asked().replies["optimal"]
    thought = {"id": "t", "type": "reasoning", "summary": [{"type": "summary_text", "text": optimal}]}
    told = {"type": "message", "role": "user", "content": optimal}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps(optimal)}

    def paid(*items: Any) -> float:
        return float(http.post("/verify", json=body(spec, *items)).raise_for_status().json()["reward"])

    assert paid(thought, told, call) == paid() == -1
    assert paid(thought, told, call, optimal) == paid(optimal[:12], optimal[12:]) == 1
    assert paid(optimal, optimal) == -1  # stated twice


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_no_reply_raises(reply: str) -> None:
    assert verified(reply).reward == -1


def verified(text: str, spec: str = forge_gym.problem("TSP", n=6).spec(seed=3), **options: Any) -> Any:
    server = build("ForgeServer", **options)
    from forge_gym.adapters.nemo_gym.server import ForgeVerifyRequest

    return asyncio.run(server.verify(ForgeVerifyRequest.model_validate(body(spec, text))))


@pytest.mark.parametrize("text", HUGE[1:], ids=range(4))
def test_nor_does_a_huge_one(text: str) -> None:
    assert verified(text).reward < 0


def test_nemo_gym_itself_refuses_text_that_is_none() -> None:
    http = client(build("ForgeServer"))
    spec = forge_gym.problem("TSP", n=6).spec(seed=3)
    odd = json.dumps(body(spec, "\ud800<answer>[0]</answer>"))
    assert 400 <= http.post("/verify", content=odd).status_code < 500


def test_a_fault_of_ours_masks_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    case = asked("Knapsack")
    raise_alarms(monkeypatch, case.problem)
    said = body(case.spec, case.replies["optimal"])
    found = client(build("ForgeServer")).post("/verify", json=said).raise_for_status().json()
    assert found["mask_sample"] and found["failure_kind"] == "verifier_error" and found["reward"] == 0
    assert found["failure_reason"].startswith("CertificateError: Knapsack")
    assert found["reward_components"] == {"readable": 0, "feasible": 0, "quality": 0}
    pytest.importorskip("nemo_gym.failure_kinds").VERIFIER_ERROR  # noqa: B018


def test_what_is_wrong_in_a_configuration_raises() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'tiered'\?"):
        build("ForgeServer", reward="tired")
    with pytest.raises(ValueError, match="reward must pay a single answer, got 'pairwise'"):
        build("ForgeServer", reward="pairwise")
    with pytest.raises(ValueError, match="turns must be an integer of at least 1"):
        build("ForgeTurnsServer", turns=0)
    with pytest.raises(ValueError, match=r"did you mean 'best'\?"):
        build("ForgeTurnsServer", keep="bset")
    with pytest.raises(ValueError, match="a spec must be a JSON object"):
        client(build("ForgeServer")).post("/verify", json=body(forge_gym.problem("TSP").spec(), "?") | {"spec": "42"})
    lost = body(forge_gym.problem("TSP").spec(), "?")
    del lost["spec"]
    assert client(build("ForgeServer")).post("/verify", json=lost).status_code == 422


def test_metrics_are_averaged_and_stored_replies_can_be_judged_again() -> None:
    http = client(build("ForgeServer"))
    case = asked()
    texts = "no idea", case.replies["optimal"]
    found = [http.post("/verify", json=body(case.spec, text)).json() for text in texts]
    rollouts = [each | {"_ng_task_index": 0, "_ng_rollout_index": i} for i, each in enumerate(found)]
    metrics = http.post("/aggregate_metrics", json={"verify_responses": rollouts}).raise_for_status().json()
    assert metrics["agent_metrics"]["mean/reward"] == 0 and metrics["agent_metrics"]["mean/quality"] == 0.5
    assert http.get("/reverify_mode").json() == "stateless"


# ---------------------------------------------------------------------- several turns, over HTTP


def play(http: Any, spec: str, replies: list[str]) -> list[dict[str, Any]]:
    """Play an episode as NeMo Gym's agent does."""
    asked = {key: value for key, value in body(spec).items() if key != "response"}
    begun = http.post("/reset", json=asked).raise_for_status().json()
    assert begun["observation"] is None  # the row has the prompt
    found: list[dict[str, Any]] = []
    for reply in replies:
        if not found or not found[-1]["terminated"]:
            found.append(http.post("/step", json=body(spec, reply)).raise_for_status().json())
    return found


@pytest.mark.parametrize("keep", ["best", "last"])
@every_kind
def test_an_episode_pays_the_kept_reply(name: str, keep: str) -> None:
    case = asked(name)
    replies = [case.replies[kind] for kind in ("trivial", "prose", "greedy", "infeasible")]
    server = build("ForgeTurnsServer", turns=4, keep=keep, reward="linear")
    steps = play(client(server), case.spec, replies)
    kept = case.replies["infeasible" if keep == "last" else "greedy"]
    assert sum(step["reward"] for step in steps) == pytest.approx(case.paid(kept, "linear"), abs=1e-12)
    assert [step["terminated"] for step in steps] == [False, False, False, True]
    assert steps[-1]["info"]["score"] == case.paid(kept, "linear") and steps[-1]["observation"] is None
    assert all("Answer in the same format" in step["observation"] for step in steps[:-1])
    assert not server.session_state and not any(step["truncated"] for step in steps)
    (once,) = play(client(build("ForgeTurnsServer", turns=1)), case.spec, [kept])
    assert once["reward"] == case.paid(kept)


def test_the_numbers_of_episodes_are_averaged() -> None:
    http = client(build("ForgeTurnsServer", turns=1))
    case = asked()
    found = [play(http, case.spec, [text])[-1] for text in ("no idea", case.replies["optimal"])]
    rollouts = [each | {"_ng_task_index": 0, "_ng_rollout_index": i} for i, each in enumerate(found)]
    rollouts.append({"_ng_task_index": 1, "_ng_rollout_index": 0, "reward": 0.0})  # ended before it began
    metrics = http.post("/aggregate_metrics", json={"verify_responses": rollouts}).raise_for_status().json()
    assert metrics["key_metrics"]["mean/quality"] == 0.5 and metrics["key_metrics"]["mean/turns"] == 1


def test_sessions_do_not_meet() -> None:
    server = build("ForgeTurnsServer", turns=2)
    app = server.setup_webserver()
    from fastapi.testclient import TestClient

    first, second = TestClient(app), TestClient(app)
    spec, optimal = asked().spec, asked().replies["optimal"]
    for http in (first, second):
        http.post("/reset", json=body(spec)).raise_for_status()
    assert first.post("/step", json=body(spec, optimal)).json()["terminated"]
    assert second.post("/step", json=body(spec, "?")).json()["reward"] == -1
    with pytest.raises(ValueError, match="call reset first"):
        first.post("/step", json=body(spec, "?"))
    assert play(second, spec, ["?", "?"])[-1]["terminated"]  # reset begins anew
    with pytest.raises(ValueError, match="a spec must be"):
        first.post("/reset", json=body(spec) | {"spec": None})


def test_episodes_that_nobody_ends_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    server = build("ForgeTurnsServer", turns=10**6)
    monkeypatch.setattr("forge_gym.adapters.nemo_gym.server.MAX_SESSIONS", 50)
    monkeypatch.setattr("forge_gym.adapters.nemo_gym.server.MAX_IDLE_S", 0.5)
    case, held = asked(), server.session_state

    async def attack() -> None:
        async def step(name: str, text: str = "?") -> Any:
            return await server.step(NeMoGymResponse.model_validate(response(text)), {}, name)

        for number in range(200):
            await server.reset({"spec": case.spec}, f"{number}")
            if number:
                await step("0")  # in use, so it stays
        assert len(held) == len(server._timers) == 50 and "0" in held and "1" not in held
        with pytest.raises(ValueError, match="call reset first"):
            await step("1")
        for _ in range(10):
            await asyncio.sleep(0.1)
            await step("0")
        assert [*held] == ["0"]  # the others were idle
        await server.reset({"spec": case.spec}, "again")
        with pytest.raises(ValueError, match="a spec must be"):
            await server.reset({"spec": None}, "again")
        assert "again" not in held  # nor does a reset that fails leave the old one
        await server.reset({"spec": case.spec}, "twice")
        both = await asyncio.gather(step("twice"), step("twice"), return_exceptions=True)
        assert sorted(isinstance(each, ValueError) for each in both) == [False, True]
        raise_alarms(monkeypatch, case.problem)
        with pytest.raises(CertificateError):
            await step("twice", case.replies["optimal"])
        assert "twice" not in held
        await asyncio.sleep(0.7)
        assert not held and not server._timers

    from nemo_gym.openai_utils import NeMoGymResponse

    asyncio.run(attack())


def test_a_fault_ends_the_rollout_without_a_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    case = asked("Knapsack")
    http = client(build("ForgeTurnsServer"))
    http.post("/reset", json=body(case.spec)).raise_for_status()
    raise_alarms(monkeypatch, case.problem)
    with pytest.raises(CertificateError):
        http.post("/step", json=body(case.spec, case.replies["optimal"]))


def test_nemo_gym_finds_servers_and_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = pytest.importorskip("nemo_gym.resources_server_registry", reason=SCRIPT.format("nemo-gym"))
    from nemo_gym.task_data import load_task_data_schema
    from omegaconf import OmegaConf

    monkeypatch.setenv("NEMO_GYM_EXTRA_ROOTS", str(tmp_path))
    folder = write_server(tmp_path)
    found = registry.discover_resources_servers()
    assert {"forge", "forge/turns"} <= set(found) and found["forge"].path == folder
    assert found["forge/turns"].domain == "other"
    assert load_task_data_schema(folder) is not None
    turns = OmegaConf.load(folder / "configs/turns.yaml")
    server = turns.forge_turns.resources_servers.forge
    build("ForgeTurnsServer", **{key: server[key] for key in ("turns", "keep", "reward")})
    assert turns.forge_gymnasium_agent.responses_api_agents.gymnasium_agent.max_steps == server.turns
