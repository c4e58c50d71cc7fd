"""SkyRL: rows, episodes, and the environment class through skyrl-gym's own entry points."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pytest

import forge_gym
from adapters.replies import ALONE, HUGE, NUMBERS, SCRIPT, asked, raise_alarms
from cases import every_kind
from forge_gym.adapters.skyrl import ForgeSkyRLEnv, row
from forge_gym.data.rows import samples


def extras(name: str = "TSP", max_turns: int | None = None, **options: Any) -> dict[str, Any]:
    """The columns that SkyRL hands over, and what it adds."""
    columns = row(next(samples(forge_gym.problem(name), levels=[1], seed=5)))
    columns["extra_info"] |= options
    handed = {key: value for key, value in columns.items() if key not in ("prompt", "env_class")}
    return handed if max_turns is None else {**handed, "max_turns": max_turns}


def played(name: str = "TSP", turns: int = 1, **config: Any) -> Any:
    return ForgeSkyRLEnv(config, extras(name, turns))


# ---------------------------------------------------------------------- rows


def test_rows_have_what_skyrl_documents() -> None:
    problems = [forge_gym.problem("TSP"), forge_gym.problem("Knapsack")]
    drawn = [row(each) for each in islice(samples(problems, levels=[1, 2], seed=4), 8)]
    assert json.loads(json.dumps(drawn)) == drawn
    assert [each["data_source"] for each in drawn] == ["forge_gym/TSP", "forge_gym/Knapsack"] * 4
    for each in drawn:
        assert list(each) == ["data_source", "prompt", "env_class", "reward_spec", "extra_info"]
        assert each["env_class"] == "forge" and each["reward_spec"]["method"] == "rule"
        problem, instance = forge_gym.from_spec(each["reward_spec"]["ground_truth"])
        assert each["prompt"] == [{"role": "user", "content": problem.prompt(instance)}]
        assert each["extra_info"]["instance_hash"] == problem.digest(instance) and problem.is_graded(instance)


def test_options_of_a_row_reach_its_episode() -> None:
    env, case = ForgeSkyRLEnv({"keep": "best"}, extras("TSP", 2, keep="last", reward="binary")), asked()
    paid = [env.step(case.replies[kind])["reward"] for kind in ("trivial", "prose")]
    assert paid[0] == case.paid(case.replies["trivial"], "binary") > 0
    assert sum(paid) == case.paid("no idea", "binary") < paid[0]


def test_no_column_stands_in_for_a_reply() -> None:
    best = asked().replies["optimal"]
    columns = dict.fromkeys(["answer", "completion", "response", "action", "certified"], best)
    env = ForgeSkyRLEnv({}, {**extras(**columns), **columns})
    assert env.step("no idea")["reward"] == env.get_metrics()["score"] == -1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keeps": "last"}, "env_config has no option 'keeps': did you mean 'keep'"),
        ({"keep": "first"}, "keep must be one of"),
        ({"reward": "tired"}, "did you mean 'tiered'"),
        ({"reward": "pairwise"}, "reward must pay a single answer"),
        ({"pay": "end"}, "pay must be one of"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        played(**options)
    if "keeps" not in options:
        with pytest.raises(ValueError, match=message):
            ForgeSkyRLEnv({}, extras(**options))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "a spec must be a string, got None"),
        ({"reward_spec": {"method": "rule"}}, "a spec must be a string, got None"),
        ({"reward_spec": "rule"}, "reward_spec must be a mapping"),
        ({"reward_spec": {"ground_truth": "42"}}, "a spec must be a JSON object"),
        ({"max_turns": 0}, "max_turns must be an integer of at least 1, got 0"),
        ({"max_turns": "3"}, "max_turns must be an integer"),
        ({"extra_info": [1]}, "extra_info must be a mapping"),
    ],
)
def test_wrong_rows_are_refused(given: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ForgeSkyRLEnv({}, None if given is None else {**extras(), **given})


@dataclass
class Config:
    """As a subclass of SkyRL's configuration would have it."""

    keep: str = "last"
    reward: str | None = None


def test_a_configuration_comes_in_many_forms() -> None:
    given = extras("TSP", 2)
    configs: list[Any] = [{"keep": "last"}, Config(), {"keep": "last", "pay": None}]
    if omegaconf := sys.modules.get("omegaconf"):
        configs.append(omegaconf.OmegaConf.create({"keep": "last"}))
    texts = asked().replies
    for config in configs:
        env = ForgeSkyRLEnv(config, given)
        assert [env.step(texts[kind])["reward"] for kind in ("greedy", "prose")] == [0.0, -1.0]
    with pytest.raises(ValueError, match="env_config must be a mapping or a dataclass, got 3"):
        ForgeSkyRLEnv(3, given)
    # A file of rows with different options has None where a row has none.
    given["extra_info"] |= {"keep": None, "reward": None}
    assert ForgeSkyRLEnv(None, given).step("?")["reward"] == -1.0


# ---------------------------------------------------------------------- what is paid


@pytest.mark.parametrize("pay", ["change", "kept"])
@every_kind
def test_a_step_pays_the_reward_of_the_verdict(name: str, pay: str) -> None:
    case, prompt = asked(name), [{"role": "user", "content": "?"}]
    for scheme in ALONE:
        for text in case.replies.values():
            env = ForgeSkyRLEnv({"reward": scheme, "pay": pay}, extras(name))
            assert env.init(prompt) == (prompt, {})
            output = env.step(text)
            assert output["reward"] == env.get_metrics()["score"] == case.paid(text, scheme)
            assert type(output["reward"]) is float and output["done"] and output["observations"] == []


@pytest.mark.parametrize("keep", ["best", "last"])
@every_kind
def test_an_episode_pays_the_kept_reply(name: str, keep: str) -> None:
    case, kinds = asked(name), ["infeasible", "greedy", "prose", "trivial"]
    kept = kinds if keep == "last" else ["infeasible", "greedy", "greedy", "greedy"]
    paid = {}
    for pay in ("change", "kept"):
        env = played(name, 4, keep=keep, pay=pay)
        outputs = [env.step(case.replies[kind]) for kind in kinds]
        paid[pay] = [each["reward"] for each in outputs]
        assert [each["done"] for each in outputs] == [False, False, False, True] and env.turns == 4
        assert [len(each["observations"]) for each in outputs] == [1, 1, 1, 0]
        for left, each in zip((3, 2, 1), outputs, strict=False):
            (message,) = each["observations"]
            assert message["role"] == "user" and f"{left} turn" in message["content"]
        assert outputs[-1]["metadata"] == env.get_metrics()
    # Wherever the trainer cuts it off.
    assert paid["kept"] == [case.paid(case.replies[kind]) for kind in kept]
    assert np.cumsum(paid["change"]).tolist() == pytest.approx(paid["kept"])


def test_the_optimum_ends_it_and_a_new_start_forgets_it() -> None:
    env, best = played(turns=5), asked().replies["optimal"]
    assert env.step("?")["reward"] == -1.0
    output = env.step(best)
    assert (output["reward"], output["done"], env.turns, env.max_turns) == (2.0, True, 2, 5)
    output = env.step("?")
    assert (output["reward"], output["done"], env.turns) == (0.0, True, 2)
    env.init([])
    output = env.step(best)
    assert (output["reward"], output["done"], env.turns) == (1.0, True, 1)


@pytest.mark.parametrize("reply", [*HUGE, None, b"<answer>[0]</answer>", 7, ["[0]"]], ids=range(9))
def test_no_reply_raises(reply: Any) -> None:
    output = played(turns=2).step(reply)
    assert output["reward"] == output["metadata"]["score"] < -0.4 and not output["done"]


@pytest.mark.parametrize("pay", ["change", "kept"])
def test_a_fault_changes_nothing(pay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env, fresh = (played("Knapsack", turns=3, pay=pay) for _ in range(2))
    assert env.step("no idea")["reward"] == -1.0
    raise_alarms(monkeypatch, forge_gym.problem("Knapsack"))
    output = env.step(asked("Knapsack").replies["optimal"])
    assert (output["reward"], output["done"]) == (-1.0 if pay == "kept" else 0.0, True)
    assert output["metadata"] == env.get_metrics() == {"judged": 0.0, "turns": 2.0}
    output = fresh.step(asked("Knapsack").replies["optimal"])
    assert (output["reward"], output["done"]) == (0.0, True)


def test_metrics_are_numbers_from_the_start() -> None:
    env = played(turns=2)
    before = env.get_metrics()
    env.step(asked().replies["greedy"])
    for metrics in (before, env.get_metrics()):
        assert list(metrics) == ["judged", "turns", *NUMBERS]
        assert all(type(value) is float and math.isfinite(value) for value in metrics.values())
    assert (before["score"], before["turns"], env.get_metrics()["turns"]) == (-1.0, 0.0, 1.0)


# ---------------------------------------------------------------------- the library's own entry points


def test_it_is_registered_and_made() -> None:
    gym = pytest.importorskip("skyrl_gym", reason=SCRIPT.format("skyrl"))
    from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

    assert gym.spec("forge").to_json() and "forge" in gym.pprint_registry(disable_print=True)
    with gym.make("forge", env_config={}, extras=extras("TSP", 3)) as env:
        assert isinstance(env, BaseTextEnv) and isinstance(env, ForgeSkyRLEnv)
        assert env.init([]) == ([], {})
        output = env.step("no idea")
        assert set(output) == set(BaseTextEnvStepOutput.__annotations__) - {"postprocessed_action"}
    again = gym.envs.registration.EnvSpec.from_json(gym.spec("forge").to_json())
    assert again.make(extras=extras()).step("?")["done"]
    with pytest.raises(ValueError, match="a spec must be a string"):
        gym.make("forge")


def test_another_name_for_other_rows() -> None:
    gym = pytest.importorskip("skyrl_gym", reason=SCRIPT.format("skyrl"))
    target = "forge_gym.adapters.skyrl:ForgeSkyRLEnv"
    gym.register("forge-last", target, kwargs={"env_config": {"keep": "last"}})
    try:
        env = gym.make("forge-last", extras=extras("TSP", 2))
        assert [env.step(asked().replies[kind])["reward"] for kind in ("greedy", "prose")] == [0.0, -1.0]
    finally:
        gym.envs.deregister("forge-last")


def test_the_library_averages_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = pytest.importorskip("skyrl_gym.metrics", reason=SCRIPT.format("skyrl"))
    best = asked().replies["optimal"]
    envs = [played() for _ in range(3)]
    for env, reply in zip(envs, ("no idea", best, best), strict=True):
        if env is envs[2]:
            raise_alarms(monkeypatch, forge_gym.problem("TSP"))
        env.step(reply)
    averaged = metrics.aggregate_for_environment("forge", [*(env.get_metrics() for env in envs), {}])
    assert averaged["judged"] == pytest.approx(2 / 3)
    assert averaged["score"] == 0.0 and averaged["quality"] == 0.5
