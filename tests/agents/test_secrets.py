"""No login, no key and no field that may be one is stored or shown, wherever it is given and whoever repeats it."""

from __future__ import annotations

import base64
import json
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("httpx")

from forge_gym.agents import make_agent
from forge_gym.agents.secrets import HIDDEN, Address, Secrets, fields_of, recorded
from forge_gym.cli import main
from forge_gym.evaluation.runs import record, suite_questions

SECRET = "Zx9SECRETq7"
LEAK = re.compile(r"Zx9SEC|SECRETq7|" + base64.b64encode(f"me:{SECRET}".encode()).decode()[:12])


@pytest.mark.parametrize(
    ("url", "stated"),
    [
        ("http://host/v1", "http://host/v1"),
        ("https://host:8000/v1/", "https://host:8000/v1"),
        (f"http://me:{SECRET}@host/v1", "http://host/v1"),
        (f"http://me:p@{SECRET}@host:81/v1", "http://host:81/v1"),
        (f"http://{SECRET}@host/v1", "http://host/v1"),
        (f"http://:{SECRET}@[::1]:8000/v1", "http://[::1]:8000/v1"),
        (f"http://me:%40%2F{SECRET}%3A@[fe80::1]/v1", "http://[fe80::1]/v1"),
        (f"http://host/v1?key={SECRET}", "http://host/v1"),
        (f"http://host/v1#{SECRET}", "http://host/v1"),
        (f"http://host/v1?a=b&key={SECRET}#{SECRET}", "http://host/v1"),
        (f"http://me:a;b!$&'()*+,=~{SECRET}@host/v1", "http://host/v1"),
        (f"http://me:a:b:{SECRET}@host/v1", "http://host/v1"),
    ],
)
def test_addresses(url: str, stated: str) -> None:
    address = Address.of(url)
    assert address.stated == stated and recorded({"base_url": url}) == {"base_url": stated}
    agent: Any = make_agent("api:m", base_url=url)
    assert agent.base_url == stated and not LEAK.search(repr(agent))


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://me:{SECRET}@host/v1", f"http://me:{SECRET}@/v1", f"http://me:{SECRET}@host:port/v1",
        f"http://me:{SECRET}",
        f"http://me:12/{SECRET}@host/v1", f"http://me:12?{SECRET}@host/v1", f"http://me:12#{SECRET}@host/v1",
        f"http://me:{SECRET}/x@host/v1", f"http://me:{SECRET}@[::1/v1", f"me:{SECRET}@host/v1",
        f"http://me:{SECRET}@ho st",
        f"http://me:{SECRET}\n@host/v1", f"http://host\\@{SECRET}/", f"//?{SECRET}", f"http://me:ü{SECRET}@host/v1",
    ],
)  # fmt: skip
def test_an_address_that_is_refused_is_not_repeated(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="base_url must ") as error:
        make_agent("api:m", base_url=url)
    if url != f"http://me:{SECRET}":  # a port, as far as anybody can tell
        assert not LEAK.search(str(error.value))
    assert main(["eval", "--env", "TSP", "--model", "m", "--base-url", url]) == 2


EXTRA = {
    "api_key": SECRET, "top_k": 20, "chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "high",
    "provider": {"type": "x", "headers": {"Authorization": f"Bearer {SECRET}"}}, "pin": 7319,
    "extra_body": [{"token": SECRET}, {"stop": ["a"]}], "stop": ["</answer>"],
}  # fmt: skip


def test_extra_fields_that_are_recorded() -> None:
    for given in (EXTRA, json.dumps(EXTRA)):
        kept = recorded({"extra": given, "temperature": 0.5})
        assert kept["extra"] == {
            "api_key": HIDDEN, "top_k": 20, "chat_template_kwargs": {"enable_thinking": False},
            "reasoning_effort": "high", "provider": HIDDEN, "pin": HIDDEN,
            "extra_body": [{"token": HIDDEN}, {"stop": ["a"]}], "stop": ["</answer>"],
        }  # fmt: skip
        assert kept["temperature"] == 0.5 and len(kept["extra check"]) == 2 and SECRET not in str(kept)
    assert recorded({"extra": {"top_k": 3}, "engine": {"dtype": "auto"}}) == {
        "extra": {"top_k": 3},
        "engine": {"dtype": "auto"},
    }
    assert recorded({"engine": {"hf_token": SECRET}})["engine"] == {"hf_token": HIDDEN}


def test_one_byte_tells_that_a_hidden_field_changed() -> None:
    checks = {recorded({"extra": {"api_key": str(i)}})["extra check"] for i in range(1000)}
    assert len(checks) > 200  # of 256: most changes are seen, and four of a thousand values share each


@pytest.mark.parametrize(
    "extra", ["{", f'{{"api_key": "{SECRET}"', f'["{SECRET}"]', f'"{SECRET}"', [SECRET], {"a": {SECRET}}, 5, "[" * 9999]
)
def test_extra_fields_that_are_refused_are_not_repeated(extra: Any) -> None:
    with pytest.raises(ValueError, match="extra must be a JSON object of fields of the request, got") as error:
        fields_of(extra)
    assert not LEAK.search(str(error.value))
    with pytest.raises(ValueError, match="extra must leave messages alone") as error:
        make_agent("api:m", extra={"messages": SECRET})
    assert not LEAK.search(str(error.value))


def test_a_key_in_place_of_the_variable_that_holds_it() -> None:
    with pytest.raises(
        ValueError, match="api_key_env must name an environment variable that is set, got what may"
    ) as e:
        make_agent("api:m", api_key_env=f"sk-{SECRET}")
    assert not LEAK.search(str(e.value))


def test_secrets_are_hidden_however_they_are_spelt() -> None:
    secret = 'a"b/ü\\c'
    hidden = Secrets(
        secret, Address.of("http://me:pass%20word@host/v1?key=q%26q"), {"token": [{"x": "deep-one"}, 4711]}
    )
    for form in (
        secret,
        quote(secret),
        json.dumps(secret)[1:-1],
        "pass word",
        "pass%20word",
        "q&q",
        "deep-one",
        "4711",
    ):
        assert hidden.hide(f"<{form}>") == f"<{HIDDEN}>", form
    assert hidden.hide("me too") == "me too"  # two characters are no secret
    assert hidden.hide_all({"a": ["deep-one", 4711, None, "4711"]}) == {"a": [HIDDEN, 4711, None, "4711"]}


def test_a_planted_key_is_in_nothing_that_is_written(
    stub_server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Transcript, log, report, tables, errors: while the server repeats all that it was sent."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLANTED", f"sk-{SECRET}")
    told: list[str] = []

    def everything(body: dict[str, Any]) -> str:
        told.append(json.dumps([body, stub_server.headers[-1]]))
        return f"{told[-1]} sk-{SECRET} <answer>[]</answer>"

    stub_server.answer = everything
    base = stub_server.url.replace("//", f"//me:p@{SECRET}@") + f"?key={SECRET}&v=1#{SECRET}"
    extra = json.dumps({"api_key": SECRET, "deep": {"list": [{"token": SECRET}]}, "top_k": 5})
    given = ["eval", "--env", "TSP", "--set", "n=6", "--episodes", "3", "--model", "m", "--api-key-env", "PLANTED"]
    given += ["--base-url", base, "--extra", extra, "--attempts", "1", "--timeout", "5"]
    written: list[str] = []
    for i, behaviour in enumerate(("ok", "401", "500", "429 Retry-After: 0", "invalid", "empty", "reset", "length")):
        stub_server.choose = lambda body, before, behaviour=behaviour: behaviour
        main([*given, "--out", f"{i}.jsonl"])
        main([*given, "--out", f"{i}.jsonl", "--json"])
        written += [Path(f"{i}.jsonl").read_text(), *capsys.readouterr()]
    assert SECRET in "".join(told) and "Basic " in "".join(told)  # the requests themselves have it all
    main([*given[:-4], "--base-url", "http://127.0.0.1:9/v1", "--out", "no.jsonl"])
    for words in (["rescore", "0.jsonl"], ["rescore", "0.jsonl", "--json"], ["compare", "0.jsonl", "7.jsonl"]):
        main(words)
    assert main(["report", "0.jsonl", "7.jsonl"]) == 0
    written += [Path("report.html").read_text(), *capsys.readouterr(), caplog.text]
    for text in written:
        assert not LEAK.search(text), text[max(0, LEAK.search(text).start() - 200) :][:400]  # type: ignore[union-attr]
    assert HIDDEN in "".join(written)
    changed = extra.replace(f'"api_key": "{SECRET}"', '"api_key": "another"')
    assert main([*given, "--extra", changed, "--out", "0.jsonl"]) == 2
    assert "extra check is " in capsys.readouterr().err


def test_record_keeps_no_secret_either(tmp_path: Path) -> None:
    questions, path = suite_questions("forge-bench-v1", limit=1), tmp_path / "a.jsonl"
    options = {"base_url": f"http://me:{SECRET}@host/v1", "extra": {"api_key": SECRET}}
    record(make_agent("greedy"), questions, path, options=options)
    assert not LEAK.search(path.read_text())
    record(make_agent("greedy"), questions, path, options=options)
