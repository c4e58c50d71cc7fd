"""SkyRL: rows, episodes, and the environment class through skyrl-gym's own entry points.

The last part needs ``pip install skyrl-gym`` in an environment with this package, and skips where it is absent.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forge_gym
from forge_gym.adapters.skyrl import ForgeSkyRLEnv, row
from forge_gym.core.rewards import REWARDS
from forge_gym.data.rows import samples, write_rows

NAMES = forge_gym.problems()
ALONE = [name for name, scheme in REWARDS.items() if not isinstance(scheme, str)]
NUMBERS = ["score", "quality", "skill", "ratio", "credit", "feasible", "malformed", "optimal"]


def rows(size: int = 1, name: str = "TSP", **options: str) -> list[dict[str, Any]]:
    found = islice(samples(forge_gym.problem(name), levels=[1], seed=5), size)
    return [row(sample, index, **options) for index, sample in enumerate(found)]


def extras(given: dict[str, Any], max_turns: int | None = None) -> dict[str, Any]:
    """The columns that SkyRL hands over, and what it adds."""
    columns = {key: value for key, value in given.items() if key not in ("prompt", "env_class")}
    return columns if max_turns is None else {**columns, "max_turns": max_turns}


def played(name: str = "TSP", turns: int = 1, **config: Any) -> Any:
    return ForgeSkyRLEnv(config, extras(rows(name=name)[0], turns))


def replies(spec: str) -> dict[str, str]:
    """Replies of every status to the instance, and what no model should say."""
    problem, instance = forge_gym.from_spec(spec)
    solutions = {
        "infeasible": problem.null_answers(instance)[1],
        "random": problem.random(instance, np.random.default_rng(0)),
        "trivial": problem.trivial(instance),
        "greedy": problem.heuristic(instance),
        "optimal": problem.reference(instance).solution,
    }
    texts = {kind: problem.format(instance, solution) for kind, solution in solutions.items()}
    odd = {"prose": "no idea", "empty": "", "surrogate": "<answer>[\ud800]</answer>"}
    return {**odd, "twice": texts["trivial"] * 2, **texts}


def score(spec: str, text: str, scheme: str = "tiered") -> float:
    problem, instance = forge_gym.from_spec(spec)
    paid = forge_gym.reward(scheme)(problem.verify(instance, text))
    assert paid is not None
    return float(paid)


# ---------------------------------------------------------------------- rows


def test_rows_have_what_skyrl_documents() -> None:
    problems = [forge_gym.problem("TSP"), forge_gym.problem("Knapsack")]
    found = [row(each, i) for i, each in enumerate(islice(samples(problems, levels=[1, 2], seed=4), 8))]
    assert json.loads(json.dumps(found)) == found
    assert [each["extra_info"]["index"] for each in found] == list(range(8))
    assert [each["data_source"] for each in found] == ["forge_gym/TSP", "forge_gym/Knapsack"] * 4
    for each in found:
        assert list(each) == ["data_source", "prompt", "env_class", "reward_spec", "extra_info"]
        assert each["env_class"] == "forge" and each["reward_spec"]["method"] == "rule"
        problem, instance = forge_gym.from_spec(each["reward_spec"]["ground_truth"])
        assert each["prompt"] == [{"role": "user", "content": problem.prompt(instance)}]
        assert each["extra_info"]["instance_hash"] == problem.digest(instance) and problem.is_graded(instance)


def test_options_of_a_row_reach_its_episode(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "train.jsonl", rows(3, keep="last", reward="binary"))
    (read, *_) = [json.loads(line) for line in path.read_text().splitlines()]
    env = ForgeSkyRLEnv({"keep": "best"}, extras(read, 2))
    texts = replies(read["reward_spec"]["ground_truth"])
    paid = [env.step(texts[kind])["reward"] for kind in ("trivial", "prose")]
    assert paid[0] == score(read["reward_spec"]["ground_truth"], texts["trivial"], "binary") > 0
    assert sum(paid) == score(read["reward_spec"]["ground_truth"], "no idea", "binary") < paid[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keeps": "last"}, "row has no option 'keeps': did you mean 'keep'"),
        ({"keep": "first"}, "keep must be one of"),
        ({"reward": "tired"}, "did you mean 'tiered'"),
        ({"reward": "pairwise"}, "reward must pay a single answer"),
        ({"pay": "end"}, "pay must be one of"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rows(**options)
    with pytest.raises(ValueError, match=message.replace("row", "env_config")):
        played(**options)
    if "keeps" not in options:
        (good,) = rows()
        good["extra_info"] |= options
        with pytest.raises(ValueError, match=message):
            ForgeSkyRLEnv({}, extras(good))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "reward_spec.ground_truth must be the spec of a row, got None"),
        ({"reward_spec": {"method": "rule"}}, "reward_spec.ground_truth must be the spec of a row, got None"),
        ({"reward_spec": "rule"}, "reward_spec must be a mapping"),
        ({"reward_spec": {"ground_truth": "42"}}, "a spec must be a JSON object"),
        ({"reward_spec": {"ground_truth": 42}}, "reward_spec.ground_truth must be the spec of a row, got 42"),
        ({"max_turns": 0}, "max_turns must be an integer of at least 1, got 0"),
        ({"max_turns": "3"}, "max_turns must be an integer"),
        ({"extra_info": [1]}, "extra_info must be a mapping"),
    ],
)
def test_wrong_rows_are_refused(given: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ForgeSkyRLEnv({}, None if given is None else {**extras(rows()[0]), **given})


@dataclass
class Config:
    """As a subclass of SkyRL's configuration would have it."""

    keep: str = "last"
    reward: str | None = None


def test_a_configuration_comes_in_many_forms() -> None:
    given = extras(rows()[0], 2)
    configs: list[Any] = [{"keep": "last"}, Config(), {"keep": "last", "pay": None}]
    if omegaconf := sys.modules.get("omegaconf"):
        configs.append(omegaconf.OmegaConf.create({"keep": "last"}))
    texts = replies(given["reward_spec"]["ground_truth"])
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
@pytest.mark.parametrize("name", NAMES)
def test_a_step_pays_the_reward_of_the_verdict(name: str, pay: str) -> None:
    (given,) = rows(name=name)
    spec = given["reward_spec"]["ground_truth"]
    for scheme in ALONE:
        for text in replies(spec).values():
            env = ForgeSkyRLEnv({"reward": scheme, "pay": pay}, extras(given))
            assert env.init(given["prompt"]) == (given["prompt"], {})
            found = env.step(text)
            assert found["reward"] == env.get_metrics()["score"] == score(spec, text, scheme)
            assert type(found["reward"]) is float and found["done"] and found["observations"] == []


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("name", NAMES)
def test_an_episode_pays_the_kept_reply(name: str, keep: str) -> None:
    (given,) = rows(name=name)
    spec = given["reward_spec"]["ground_truth"]
    texts, kinds = replies(spec), ["infeasible", "greedy", "prose", "trivial"]
    so_far = [texts[kind] for kind in kinds]
    if keep == "best":
        so_far = [texts[kind] for kind in ("infeasible", "greedy", "greedy", "greedy")]
    paid = {}
    for pay in ("change", "kept"):
        env = played(name, 4, keep=keep, pay=pay)
        env.init(given["prompt"])
        found = [env.step(texts[kind]) for kind in kinds]
        paid[pay] = [each["reward"] for each in found]
        assert [each["done"] for each in found] == [False, False, False, True] and env.turns == 4
        assert [len(each["observations"]) for each in found] == [1, 1, 1, 0]
        for left, each in zip((3, 2, 1), found, strict=False):
            (message,) = each["observations"]
            assert message["role"] == "user" and f"{left} turn" in message["content"]
        assert found[-1]["metadata"] == env.get_metrics()
    # Wherever the trainer cuts it off.
    assert paid["kept"] == [score(spec, text) for text in so_far]
    assert np.cumsum(paid["change"]).tolist() == pytest.approx(paid["kept"])


def test_the_optimum_ends_it_and_a_new_start_forgets_it() -> None:
    env = played(turns=5)
    best = replies(rows()[0]["reward_spec"]["ground_truth"])["optimal"]
    assert env.step("?")["reward"] == -1.0
    found = env.step(best)
    assert (found["reward"], found["done"], env.turns, env.max_turns) == (2.0, True, 2, 5)
    found = env.step("?")
    assert (found["reward"], found["done"], env.turns) == (0.0, True, 2)
    env.init([])
    found = env.step(best)
    assert (found["reward"], found["done"], env.turns) == (1.0, True, 1)


@pytest.mark.parametrize(
    "reply",
    [
        "\ud800<answer>[0, 1, 2]</answer>\udfff",
        "<answer>" * 1_250_000,
        "<answer>" + "9" * 10_000_000 + "</answer>",
        "<answer>" + "[" * 10_000_000 + "</answer>",
        None,
        b"<answer>[0]</answer>",
        7,
        ["[0]"],
    ],
    ids=["surrogates", "tags", "digits", "brackets", "none", "bytes", "number", "list"],
)
def test_no_reply_raises(reply: Any) -> None:
    found = played(turns=2).step(reply)
    assert found["reward"] == found["metadata"]["score"] < -0.4 and not found["done"]


@pytest.mark.parametrize("pay", ["change", "kept"])
def test_a_fault_changes_nothing(pay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env, fresh = (played("Knapsack", turns=3, pay=pay) for _ in range(2))
    assert env.step("no idea")["reward"] == -1.0
    monkeypatch.setattr(type(forge_gym.problem("Knapsack")), "verify", lambda *given: 1 / 0)
    found = env.step("no idea")
    assert (found["reward"], found["done"]) == (-1.0 if pay == "kept" else 0.0, True)
    assert found["metadata"] == env.get_metrics() == {"judged": 0.0, "turns": 2.0}
    found = fresh.step("no idea")
    assert (found["reward"], found["done"]) == (0.0, True)


def test_metrics_are_numbers_from_the_start() -> None:
    env = played(turns=2)
    before = env.get_metrics()
    env.step(replies(rows()[0]["reward_spec"]["ground_truth"])["greedy"])
    for found in (before, env.get_metrics()):
        assert list(found) == ["judged", "turns", *NUMBERS]
        assert all(type(value) is float and math.isfinite(value) for value in found.values())
    assert (before["score"], before["turns"], env.get_metrics()["turns"]) == (-1.0, 0.0, 1.0)


# ---------------------------------------------------------------------- the library's own entry points


def test_it_is_registered_and_made() -> None:
    gym = pytest.importorskip("skyrl_gym")
    from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput

    assert gym.spec("forge").to_json() and "forge" in gym.pprint_registry(disable_print=True)
    (given,) = rows()
    with gym.make(given["env_class"], env_config={}, extras=extras(given, 3)) as env:
        assert isinstance(env, BaseTextEnv) and isinstance(env, ForgeSkyRLEnv)
        assert env.init(given["prompt"]) == (given["prompt"], {})
        found = env.step("no idea")
        assert set(found) == set(BaseTextEnvStepOutput.__annotations__) - {"postprocessed_action"}
    again = gym.envs.registration.EnvSpec.from_json(gym.spec("forge").to_json())
    assert again.make(extras=extras(given)).step("?")["done"]
    with pytest.raises(ValueError, match="ground_truth must be the spec"):
        gym.make("forge")


def test_another_name_for_other_rows() -> None:
    gym = pytest.importorskip("skyrl_gym")
    target = "forge_gym.adapters.skyrl:ForgeSkyRLEnv"
    gym.register("forge-last", target, kwargs={"env_config": {"keep": "last"}})
    try:
        env = gym.make("forge-last", extras=extras(rows()[0], 2))
        texts = replies(rows()[0]["reward_spec"]["ground_truth"])
        assert [env.step(texts[kind])["reward"] for kind in ("greedy", "prose")] == [0.0, -1.0]
    finally:
        gym.envs.deregister("forge-last")


def test_the_library_averages_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = pytest.importorskip("skyrl_gym.metrics")
    spec = rows()[0]["reward_spec"]["ground_truth"]
    envs = [played() for _ in range(3)]
    for env, kind in zip(envs, ("prose", "optimal", "prose"), strict=True):
        if env is envs[2]:
            monkeypatch.setattr(type(forge_gym.problem("TSP")), "verify", lambda *given: 1 / 0)
        env.step(replies(spec)[kind] if kind != "prose" else "no idea")
    found = metrics.aggregate_for_environment("forge", [*(env.get_metrics() for env in envs), {}])
    assert found["judged"] == pytest.approx(2 / 3) and found["score"] == 0.0 and found["quality"] == 0.5


def test_importing_the_package_imports_no_library() -> None:
    code = "import sys, forge_gym.adapters, forge_gym.core.episode; assert 'skyrl_gym' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_page_runs(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("skyrl_gym")
    examples = re.findall(r"```python\n(.*?)```", (root / "docs/adapters/skyrl.md").read_text(), re.DOTALL)
    assert len(examples) == 2
    subprocess.run([sys.executable, "-c", "\n".join(examples)], check=True, cwd=tmp_path, capture_output=True)
