"""Models behind a server: every way it fails, limits, pauses, money and the key, against a real server."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Coroutine
from email.utils import formatdate
from typing import Any, TypeVar

import pytest

pytest.importorskip("httpx")

import forge_gym
from forge_gym.agents import AgentError, GreedyAgent, Reply, Task, Unreachable, make_agent
from forge_gym.agents import openai_compatible as module
from forge_gym.agents.openai_compatible import OpenAICompatibleAgent, backoff
from forge_gym.core.answer import Thoughts
from forge_gym.evaluation.evaluate import evaluate, held_out
from stub_server import StubServer

TSP = forge_gym.problem("TSP", n=6)
KEY = "sk-Zx9-secret-of-mine"
T = TypeVar("T")


class FakeTime:
    """Time that passes only where somebody sleeps, and then at once; chance that is always a half."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds = max(self.seconds, self.seconds + seconds)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The agent's time."""
    fake = FakeTime()
    monkeypatch.setattr(module, "monotonic", lambda: fake.seconds)
    monkeypatch.setattr(module, "time", lambda: 1_800_000_000 + fake.seconds)
    monkeypatch.setattr(module, "sleep", fake.sleep)
    monkeypatch.setattr(module, "random", lambda: 0.5)
    return fake


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def task(number: int = 0, sample: int = 0) -> Task:
    return Task(TSP, TSP.instance(number), ({"role": "user", "content": f"question {number}"},), sample)


def agent_for(server: Any, **options: Any) -> OpenAICompatibleAgent:
    return OpenAICompatibleAgent("model-1", base_url=server.url, **options)


async def ask(agent: OpenAICompatibleAgent, *tasks: Task) -> list[Reply]:
    async with agent:
        return await asyncio.gather(*map(agent.reply, tasks))


def one(server: Any, **options: Any) -> Reply:
    (reply,) = run(ask(agent_for(server, **options), task()))
    return reply


# ---------------------------------------------------------------- what is sent, and what is made of the reply


def test_a_reply_has_text_tokens_and_cost(stub_server: Any) -> None:
    stub_server.answer = lambda body: "<answer>[1]</answer>"  # five pieces of four characters
    reply = one(stub_server, prompt_price=2.0, completion_price=10.0)
    assert (reply.text, reply.finish, reply.attempts) == ("<answer>[1]</answer>", "stop", 1)
    assert (reply.prompt_tokens, reply.completion_tokens) == (2, 5)
    assert reply.cost == pytest.approx((2 * 2.0 + 5 * 10.0) / 1e6)


def test_only_what_is_given_is_sent(stub_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    one(stub_server)
    question = {"role": "user", "content": "question 0"}
    assert stub_server.requests == [{"model": "model-1", "messages": [question]}]
    assert "Authorization" not in stub_server.headers[0]


def test_nothing_given_is_the_default(stub_server: Any) -> None:
    assert one(stub_server, temperature=None, extra=None).attempts == 1


def test_options_reach_the_server(stub_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    options: dict[str, Any] = {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 50,
        "max_tokens_field": "max_completion_tokens",
        "seed": 10,
        "system": "Be brief.",
        "extra": '{"top_k": 3, "chat_template_kwargs": {"enable_thinking": false}}',
        "api_key_env": "MY_KEY",
    }
    run(ask(agent_for(stub_server, **options), task(0, 0), task(0, 1)))
    body, other = stub_server.requests
    assert [message["role"] for message in body.pop("messages")] == ["system", "user"]
    assert body == {
        "model": "model-1",
        "temperature": 0.7,
        "top_p": 0.9,
        "max_completion_tokens": 50,
        "seed": body["seed"],
        "top_k": 3,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert 0 <= other["seed"] != body["seed"]
    assert stub_server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_solved_examples_go_before_the_question(stub_server: Any) -> None:
    run(ask(agent_for(stub_server, shots=2), task(0), task(1)))
    for body in stub_server.requests:
        roles = [message["role"] for message in body["messages"]]
        assert roles == ["user", "assistant", "user", "assistant", "user"]
        assert body["messages"][-1]["content"].startswith("question")


@pytest.mark.parametrize(
    ("behaviour", "text", "finish"),
    [
        ("blank", "", "stop"),
        ("null", "<think><answer>[0]</answer></think>", "stop"),
        ("parts", "<answer>[0]</answer>", "stop"),
        ("thinks", "<answer>[0]</answer>", "stop"),
        ("length", "<answer>[0]</answer>", "length"),
    ],
)
def test_only_content_is_the_answer_and_thoughts_alone_are_told(
    stub_server: Any, behaviour: str, text: str, finish: str
) -> None:
    stub_server.answer = lambda body: "<answer>[0]</answer>"
    stub_server.plan(behaviour)
    reply = one(stub_server)
    assert (reply.text, reply.finish, reply.attempts) == (text, finish, 1)


@pytest.mark.parametrize(
    ("thoughts", "text"),
    [
        ("[/THINK]", "[THINK]<answer>[0]</answer>[/THINK]"),
        ({"end": "<|m|>final", "inside": True}, "<answer>[0]</answer><|m|>final"),
    ],
)
def test_thoughts_alone_are_thoughts_in_the_marks_of_the_model(stub_server: Any, thoughts: Any, text: str) -> None:
    stub_server.answer = lambda body: "<answer>[0]</answer>"
    stub_server.choose = lambda body, before: "null"
    reply = one(stub_server, thoughts=thoughts)
    assert reply.text == text
    assert TSP.verify(TSP.instance(), reply.text, Thoughts.of(thoughts)).status == "malformed"


OPEN, CLOSED = "So: <answer>[0, 1]", "So: <answer>[0, 1]</answer>"


@pytest.mark.parametrize(
    ("stop", "choice", "said", "text"),
    [
        # Servers that name what stopped the reply.
        (["</answer>"], {"stop_reason": "</answer>"}, OPEN, CLOSED),
        ("</answer>", {"matched_stop": "</answer>"}, OPEN, CLOSED),
        (None, {"stop_reason": "</answer>"}, OPEN, CLOSED),
        (["]"], {"stop_reason": "]"}, OPEN[:-1], OPEN),
        (["</answer>"], {"stop_reason": "</answer>"}, CLOSED, CLOSED),
        (["</answer>"], {"stop_reason": None}, OPEN, OPEN),
        (["</answer>"], {"stop_reason": 151645}, OPEN, OPEN),
        (["</answer>"], {"matched_stop": 2}, OPEN, OPEN),
        (["</answer>"], {"stop_reason": "end_turn"}, OPEN, OPEN),
        (["\n\n", "</answer>"], {"stop_reason": "\n\n"}, OPEN, OPEN + "\n\n"),
        (["</answer>"], {"stop_reason": "</answer>", "finish_reason": "length"}, OPEN, OPEN),
        # Servers that do not.
        (["</answer>"], {}, OPEN, CLOSED),
        ("</answer>", {}, OPEN, CLOSED),
        (["\n\n", "</answer>"], {}, OPEN, CLOSED),
        (["</answer>"], {}, "No idea", "No idea"),
        (["</answer>"], {}, CLOSED, CLOSED),
        (["</answer>"], {"finish_reason": "length"}, OPEN, OPEN),
        (["</answer>"], {"finish_reason": "content_filter"}, OPEN, OPEN),
        (["</ans"], {}, OPEN, OPEN),
        ([3, None], {}, OPEN, OPEN),
        ({"</answer>": 1}, {}, OPEN, OPEN),
        (None, {}, OPEN, OPEN),
    ],
)
def test_a_stop_string_is_put_back_only_where_the_server_says_that_it_stopped_there(
    stub_server: Any, stop: Any, choice: dict[str, Any], said: str, text: str
) -> None:
    stub_server.answer = lambda body: said
    stub_server.choose = lambda body, before: f"choice {json.dumps(choice)}"
    assert one(stub_server, extra=None if stop is None else {"stop": stop}).text == text


def test_a_stop_string_in_thoughts_makes_no_answer(stub_server: Any) -> None:
    stub_server.answer = lambda body: "<think>Perhaps <answer>[0, 1, 2, 3]"
    reply = one(stub_server, extra={"stop": "</answer>"})
    assert reply.text.endswith("</answer>")
    assert TSP.verify(TSP.instance(), reply.text).status == "malformed"


def test_no_usage_is_no_tokens(stub_server: Any) -> None:
    stub_server.plan("no usage")
    reply = one(stub_server, prompt_price=1.0, completion_price=1.0)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.cost) == (0, 0, 0.0)


def test_halves_of_characters_survive_a_second_turn(stub_server: Any) -> None:
    stub_server.answer = lambda body: "half \ud83d, whole \ud83d\ude00"
    reply = one(stub_server)
    assert reply.text == "half \ufffd, whole \U0001f600"
    said = ({"role": "assistant", "content": "\ud83d"}, {"role": "user", "content": "again"})
    again = Task(TSP, TSP.instance(), (*task().messages, *said))
    run(ask(agent_for(stub_server), again))
    assert stub_server.requests[-1]["messages"][1]["content"] == "\ud83d"


# ---------------------------------------------------------------- failures that pass, and those that do not


@pytest.mark.parametrize(
    "behaviour", ["408", "409", "425", "429", "500", "503", "529", "invalid", "cut", "reset", "empty"]
)
def test_what_passes_is_asked_again(stub_server: Any, behaviour: str, fake: FakeTime) -> None:
    stub_server.plan(behaviour, behaviour)
    reply = one(stub_server)
    assert (reply.text, reply.attempts, len(stub_server.requests)) == ("<answer>[]</answer>", 3, 3)
    assert fake.slept == [0.5 * 1.0, 0.5 * 2.0]  # full jitter: half of an exponential bound, by a draw of 0.5


@pytest.mark.parametrize("behaviour", ["hang", "drip"])
def test_a_request_without_end_is_left(stub_server: Any, behaviour: str) -> None:
    stub_server.plan(behaviour)
    reply = one(stub_server, timeout=0.5)
    assert reply.attempts > 1 and reply.text == "<answer>[]</answer>"
    assert stub_server.left.wait(10)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_ends_it_at_once(
    stub_server: Any, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    stub_server.plan(str(status))
    agent = agent_for(stub_server)
    with caplog.at_level(logging.DEBUG), pytest.raises(AgentError) as error:
        run(ask(agent, task()))
    assert f"model-1: HTTP {status}: 'the stub says {status}" in str(error.value)
    assert len(str(error.value)) < 300 and len(stub_server.requests) == 1
    assert stub_server.headers[0]["Authorization"] == f"Bearer {KEY}"
    shown = f"{error.value!r} {error.value} {agent!r} {caplog.text}"
    assert "sk-" not in shown and KEY[-8:] not in shown


def test_an_account_without_money_is_not_asked_again(stub_server: Any) -> None:
    stub_server.plan("quota")
    with pytest.raises(AgentError, match="429: 'pay first"):
        one(stub_server)
    assert len(stub_server.requests) == 1


def test_a_wrong_address_ends_it(stub_server: Any) -> None:
    with pytest.raises(AgentError, match="HTTP 404"):
        run(ask(OpenAICompatibleAgent("m", base_url=f"{stub_server.url}/v2"), task()))


def test_attempts_are_limited(stub_server: Any) -> None:
    stub_server.choose = lambda body, before: "500"
    with pytest.raises(AgentError, match="no reply after 4 attempts, the last: HTTP 500"):
        one(stub_server, attempts=4)
    assert len(stub_server.requests) == 4


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://me:secret@no-such-host.invalid:80/v1"])
def test_a_server_that_is_not_there_ends_it_at_once(url: str, fake: FakeTime) -> None:
    agent = OpenAICompatibleAgent("m", base_url=url)
    with pytest.raises(Unreachable, match=r"m: no server answers at [\w.-]+:?\d*: .") as error:
        run(ask(agent, *map(task, range(20))))
    assert not fake.slept and "secret" not in str(error.value)


def test_a_server_that_leaves_later_is_asked_again() -> None:
    with StubServer() as server:
        agent = OpenAICompatibleAgent("m", base_url=server.url, attempts=3)
        run(ask(agent, task(0)))
    with pytest.raises(AgentError, match="after 3 attempts, the last: ConnectError") as error:
        run(ask(agent, task(1)))
    assert not isinstance(error.value, Unreachable)


# ---------------------------------------------------------------- limits and pauses


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_wait_is_as_long_as_the_server_says(stub_server: Any, status: int, form: str, fake: FakeTime) -> None:
    arrivals = []

    def choose(body: dict[str, Any], before: int) -> str:
        arrivals.append(fake.seconds)
        after = "30" if form == "seconds" else formatdate(module.time() + 30, usegmt=True)
        return f"{status} Retry-After: {after}" if len(arrivals) == 1 else "ok"

    stub_server.choose = choose
    replies = run(ask(agent_for(stub_server, concurrency=1), task(0), task(1)))
    assert [reply.attempts for reply in replies] == [2, 1]
    assert arrivals[0] == 0 and arrivals[1] >= 30 and arrivals[2] >= 30


def test_others_wait_too_where_one_is_given_up(stub_server: Any, fake: FakeTime) -> None:
    arrivals = []

    def choose(body: dict[str, Any], before: int) -> str:
        arrivals.append(fake.seconds)
        return "429 Retry-After: 30" if len(arrivals) == 1 else "ok"

    stub_server.choose = choose
    agent = agent_for(stub_server, concurrency=1, attempts=1)

    async def work() -> tuple[Reply | BaseException, ...]:
        async with agent:
            return await asyncio.gather(agent.reply(task(0)), agent.reply(task(1)), return_exceptions=True)

    refused, answered = run(work())
    assert isinstance(refused, AgentError) and isinstance(answered, Reply)
    assert arrivals == [0, 30]


def test_pauses_do_not_shorten_each_other(stub_server: Any, fake: FakeTime) -> None:
    async def work() -> None:
        async with agent_for(stub_server) as agent:
            for seconds in (30, 5):
                await agent._wait(module._Failure("HTTP 429", wait=seconds, shared=True), 1)
            await agent.reply(task())

    run(work())
    assert fake.seconds == 30


def test_nobody_waits_for_a_day(stub_server: Any) -> None:
    stub_server.plan("429 Retry-After: 86400")
    with pytest.raises(AgentError, match="asks to wait 86400 s: HTTP 429"):
        one(stub_server)
    assert len(stub_server.requests) == 1


@pytest.mark.parametrize("header", ["soon", "-5", "inf", "1e99", "Mon, 99 Foo 2026"])
def test_a_pause_that_makes_no_sense_is_ignored(stub_server: Any, header: str) -> None:
    stub_server.plan(f"429 Retry-After: {header}")
    assert one(stub_server).attempts == 2


def test_concurrency_is_bounded_and_used(stub_server: Any) -> None:
    stub_server.gate.clear()

    async def work() -> list[Reply]:
        asked = asyncio.ensure_future(ask(agent_for(stub_server, concurrency=4), *map(task, range(20))))
        await asyncio.to_thread(stub_server.wait, 4)
        stub_server.gate.set()
        return await asked

    assert len(run(work())) == 20
    assert stub_server.most_in_flight == 4


def test_requests_keep_to_their_rate(stub_server: Any, fake: FakeTime) -> None:
    run(ask(agent_for(stub_server, requests_per_minute=30), *map(task, range(8))))
    assert len(stub_server.requests) == 8 and fake.slept == [2.0] * 7


def test_tokens_keep_to_their_rate(stub_server: Any, fake: FakeTime) -> None:
    starts = []

    def answer(body: dict[str, Any]) -> str:
        starts.append(fake.seconds)
        return "word" * (98, 48, 0)[len(starts) - 1]  # a token each, and two in the question

    stub_server.answer = answer
    options = {"tokens_per_minute": 600, "max_tokens": 98, "concurrency": 1}
    run(ask(agent_for(stub_server, **options), task(0), task(1), task(2)))
    assert starts == [0, 10, 15]  # a tenth of a second per token that was used


def test_backoff_grows_and_is_bounded() -> None:
    draws = [backoff(attempt, chance) for attempt in range(1, 40) for chance in (0.0, 0.3, 0.999)]
    assert min(draws) == 0 and max(draws) < 60
    assert backoff(5, 0.5) == 8


# ---------------------------------------------------------------- the storm


def test_a_storm_ends_with_one_answer_each(stub_server: Any) -> None:
    """200 tasks at a server that fails three times in four: no answer is lost, doubled or swapped."""
    passing = ["429", "429 Retry-After: 3", "500", "502", "503", "invalid", "cut", "reset", "empty", "408"]

    def choose(body: dict[str, Any], before: int) -> str:
        number = int(body["messages"][-1]["content"].split()[-1])
        if number % 50 == 7:
            return "500"  # never answered
        if number % 50 == 8:
            return "401" if before == 2 else "503"
        draws = random.Random(number)
        failures = [draws.choice(passing) for _ in range(draws.randrange(5))]
        if number % 60 == 9:
            failures = ["hang"]
        return failures[before] if before < len(failures) else draws.choice(["ok", "thinks", "parts"])

    stub_server.choose = choose
    stub_server.answer = lambda body: f"reply to {body['messages'][-1]['content']}"
    agent = agent_for(stub_server, concurrency=16, attempts=7, timeout=2.0)

    async def work() -> list[Reply | BaseException]:
        async with agent:
            return await asyncio.gather(*(agent.reply(task(i)) for i in range(200)), return_exceptions=True)

    found = run(work())
    asked = Counter(body["messages"][-1]["content"] for body in stub_server.requests)
    assert 2 <= stub_server.most_in_flight <= 16
    for number, reply in enumerate(found):
        tries = asked[f"question {number}"]
        if number % 50 == 7:
            assert isinstance(reply, AgentError) and tries == 7
        elif number % 50 == 8:
            assert isinstance(reply, AgentError) and tries == 3
        else:
            assert isinstance(reply, Reply) and reply.text == f"reply to question {number}"
            assert reply.attempts == tries <= 7


# ---------------------------------------------------------------- as an agent


def test_it_stands_in_every_table(stub_server: Any) -> None:
    instances = held_out(TSP, 4)
    replies = {TSP.prompt(i): TSP.format(i, TSP.heuristic(i)) for i in instances}
    stub_server.answer = lambda body: replies[body["messages"][-1]["content"]]
    agent = make_agent("api:org/model", base_url=stub_server.url)
    result = evaluate(agent, TSP, instances)
    assert result.agent == agent.name == "org/model"
    assert result.verdicts == evaluate(GreedyAgent(), TSP, instances).verdicts
    asked = [Task(TSP, i, ({"role": "user", "content": TSP.prompt(i)},)) for i in instances]
    assert agent.answer(asked) == [replies[each.prompt] for each in asked]


def test_it_is_opened_before_use(stub_server: Any) -> None:
    agent = agent_for(stub_server)
    run(ask(agent))
    with pytest.raises(RuntimeError, match="not open"):
        run(agent.reply(task()))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "localhost:8000/v1"}, "base_url must be like"),
        ({"base_url": "http://[::1/v1"}, "base_url must be like"),
        ({"base_url": "http:///v1"}, "base_url must be like"),
        ({"concurrency": 0}, "concurrency must be"),
        ({"attempts": 0}, "attempts must be"),
        ({"temperature": -1}, "temperature must be at least 0"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"top_p": 0}, "top_p must be"),
        ({"max_tokens": 0}, "max_tokens must be"),
        ({"max_tokens_field": "max_token"}, "did you mean 'max_tokens'"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"requests_per_minute": 0}, "requests_per_minute must be above 0"),
        ({"prompt_price": -1}, "prompt_price must be"),
        ({"shots": -1}, "shots must be"),
        ({"extra": "[1]"}, "extra must be a JSON object"),
        ({"extra": "{"}, "extra must be a JSON object"),
        ({"extra": {"messages": []}}, "extra must leave messages alone"),
        ({"api_key_env": "NOT_SET_ANYWHERE"}, "api_key_env must name"),
        ({"base_ulr": "http://x"}, "did you mean 'base_url'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_agent("api:m", **options)


def test_a_broken_key_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nX-Header: 1")
    with pytest.raises(ValueError, match="one line of ASCII") as error:
        make_agent("api:m")
    assert "sk-" not in str(error.value)


def test_importing_needs_no_http_library() -> None:
    code = "import sys, forge_gym.agents; print({'httpx', 'torch', 'transformers'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_what_is_sent_is_plain_json(stub_server: Any) -> None:
    one(stub_server, extra={"stop": ["é"]})
    assert json.loads(json.dumps(stub_server.requests[0]))["stop"] == ["é"]
