"""TRL: rows rebuild their instances, rewards equal the environment's, faults pay None."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import forge_gym
from forge_gym.adapters.trl import RewardFunction, completion_text, environment_factory, make_dataset
from forge_gym.core.rewards import REWARDS

NAMES = forge_gym.problems()
ALONE = [*(name for name, scheme in REWARDS.items() if not isinstance(scheme, str)), "verpo"]


def replies(name: str) -> tuple[str, list[str]]:
    problem = forge_gym.problem(name)
    index, instance = next(problem.graded_instances(seed=5))
    solutions = [problem.trivial(instance), problem.heuristic(instance), problem.reference(instance).solution]
    solutions.append(problem.random(instance, np.random.default_rng(0)))
    texts = ["", "no idea", "<answer>[-1]</answer>", "<answer>[0, 0]</answer>"]
    return problem.spec(5, index), texts + [problem.format(instance, solution) for solution in solutions]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ALONE)
def test_rewards_equal_those_of_the_environment(name: str, scheme: str) -> None:
    spec, texts = replies(name)
    rewards = RewardFunction(scheme)(completions=texts, spec=[spec] * 8, prompts=[""] * 8)
    problem, instance = forge_gym.from_spec(spec)
    env = gym.make(f"Forge/{name}-v0", reward=scheme)
    for text, reward in zip(texts, rewards, strict=True):
        env.reset(options={"instance": instance})
        assert env.step(text)[1] == reward
        chat = [{"role": "assistant", "content": text}]
        assert RewardFunction(scheme)(completions=[chat], spec=[spec]) == [reward]
    assert problem.name == name


def test_metrics() -> None:
    spec, texts = replies("TSP")
    logged: dict[str, float] = {}
    RewardFunction()(completions=texts, spec=[spec] * 8, log_metric=logged.__setitem__)
    assert (logged["forge/malformed"], logged["forge/infeasible"], logged["forge/feasible"]) == (
        0.25,
        0.25,
        0.5,
    )
    assert logged["forge/optimal"] == logged["forge/above_greedy"] == 0.125
    assert 0 < logged["forge/quality"] < logged["forge/quality_of_feasible"] < 1
    assert logged["forge/effective_groups"] == 1 and logged["forge/faults"] == logged["forge/alarms"] == 0
    RewardFunction()(completions=["?"] * 8, spec=[spec] * 8, log_metric=logged.__setitem__)
    assert logged["forge/effective_groups"] == 0 and logged["forge/malformed"] == 1


def test_numbers_are_logged_once_and_by_problem_where_there_are_several() -> None:
    (tsp, texts), (knapsack, others) = replies("TSP"), replies("Knapsack")
    function, logged = RewardFunction(), dict[str, float]()
    function(completions=texts, spec=[tsp] * 8, log_metric=logged.__setitem__)
    assert logged["forge/quality"] and not any(name.startswith("forge/TSP") for name in logged)
    function(completions=texts + others, spec=[tsp] * 8 + [knapsack] * 8, log_metric=logged.__setitem__)
    assert logged["forge/TSP/quality"] != logged["forge/Knapsack/quality"]
    logged.clear()
    function(completions=texts, spec=[tsp] * 8, log_metric=logged.__setitem__)  # a batch of one of the two
    assert logged["forge/TSP/quality"] == logged["forge/quality"] and "forge/Knapsack/quality" not in logged


def test_groups_are_consecutive_rows_of_one_instance() -> None:
    (a, texts), (b, _) = replies("TSP"), replies("Knapsack")
    bad, good = texts[0], texts[6]
    pairwise = RewardFunction("pairwise")
    assert pairwise(completions=[bad, good, "?"], spec=[a, a, b]) == [-1, 1, 0]
    alone = RewardFunction("base_and_bonus")(completions=[texts[5], "?", texts[5]], spec=[a, b, a])
    together = RewardFunction("base_and_bonus")(completions=[texts[5], bad], spec=[a] * 2)
    assert alone[0] == alone[2] < together[0] < 0.02  # type: ignore[operator]
    with pytest.raises(ValueError, match="completions must be one per row, got 3 for 4 rows"):
        pairwise(completions=[bad] * 3, spec=[a] * 4)
    with pytest.raises(ValueError, match="did you mean 'tiered'"):
        RewardFunction("tierd")


def test_no_column_of_a_data_set_stands_in_for_a_completion() -> None:
    """Data sets have the optimum in them, by many names."""
    datasets = pytest.importorskip("datasets")
    spec, texts = replies("TSP")
    optimum, row = texts[6], {"prompt": "?", "spec": spec}
    names = ("answer", "kept_reply", "environments", "completion", "solution")
    data = datasets.Dataset.from_list([row | dict.fromkeys(names, optimum)])
    columns = {name: [value, value] for name, value in data[0].items() if name != "completion"}  # as TRL does
    assert RewardFunction()(completions=["garbage", optimum], **columns) == [-1, 1]
    columns["environments"] = [{"answer": optimum}] * 2
    assert RewardFunction()(completions=["garbage", "?"], **columns) == [-1, -1]


def test_columns_may_have_any_name_and_hold_anything() -> None:
    """Those that the trainer sets itself, it sets last."""
    spec, texts = replies("TSP")
    names = ("self", "draw", "thoughts", "stream", "turns_used", "reward", "rewards", "advantages", "level", "Self")
    for value in (texts[6], None, math.nan, {"answer": texts[6]}, [texts[6]]):
        columns: dict[str, Any] = {name: [value] * 2 for name in (*names, "kept_reply", "environments", "answer")}
        for scheme in ("tiered", "pairwise"):
            plain = RewardFunction(scheme)(completions=["garbage", texts[6]], spec=[spec] * 2)
            assert RewardFunction(scheme)(completions=["garbage", texts[6]], spec=[spec] * 2, **columns) == plain


def test_columns_of_a_row_reach_an_environment_by_any_name() -> None:
    spec = forge_gym.problem("TSP", n=6, answer_format="raw").spec(5)
    environment = environment_factory("TSP")()
    environment.reset(spec=spec, self=1, row="?", answer="[0, 1, 2, 3, 4, 5]", _episode=2, turns=9)
    assert environment.answer == "" and environment.submissions == 0


def test_completions_that_are_all_cut_off_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Also where there are no callbacks, as with `trl grpo`."""
    spec, texts = replies("TSP")

    def said(completions: list[str], lengths: list[int]) -> list[str]:
        caplog.clear()
        for _ in range(3):
            function(completions=completions, spec=[spec] * 4, completion_ids=[[7] * length for length in lengths])
        return [record.message for record in caplog.records]

    function = RewardFunction()
    assert said(["?"] * 4, [8, 8, 8, 7]) == said(["?"] * 3 + texts[5:6], [8] * 4) == said(["?"] * 4, [0] * 4) == []
    assert said(["?"] * 4, [8] * 4) == [
        "all completions have 8 tokens, and no answer: is max_completion_length too low?"
    ]


@pytest.mark.parametrize(
    "spec", [None, "", "{}", 3, ["TSP"], {"problem": "TSP"}, '{"problem": "TSP"}', "nan", "[" * 10_000, b"{}"]
)
def test_a_row_without_a_spec_is_named(spec: Any) -> None:
    good, texts = replies("TSP")
    with pytest.raises(ValueError, match="column 'spec' of row 2 of the batch: ") as caught:
        RewardFunction()(completions=[texts[6]] * 3, spec=[good, good, spec])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "change",
    [
        {"problem": "TPS"}, {"problem": None}, {"version": 99}, {"parameters": {"n": 10**9}}, {"parameters": {"m": 5}},
        {"parameters": {"n": "6"}}, {"seed": -1}, {"seed": "1"}, {"index": 0.5}, {"split": "trian"}, {"split": []},
        {"parameters": []}, {"parameters": {"n": None}}, {"problem": ["TSP"]}, {"problem": {}},
    ],
)  # fmt: skip
def test_a_forged_spec_is_refused(change: dict[str, Any]) -> None:
    good, texts = replies("TSP")
    with pytest.raises(ValueError, match="column 'spec' of row 0 of the batch: ") as caught:
        RewardFunction()(completions=[texts[6]], spec=[json.dumps(json.loads(good) | change)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["pairwise", "verpo", "tiered"])
def test_a_group_that_is_spread_over_processes_is_refused_where_answers_are_compared(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerate = pytest.importorskip("accelerate")
    (a, texts), (b, _) = replies("TSP"), replies("Knapsack")
    others: list[Any] = []
    monkeypatch.setattr(accelerate.utils, "gather_object", lambda own: own + others)
    others[:] = [((b, None), (b, None))]
    assert len(RewardFunction(scheme)(completions=texts[:2], spec=[a] * 2)) == 2
    others[:] = [((a, None), (b, None))]
    if scheme == "tiered":
        assert RewardFunction(scheme)(completions=texts[:2], spec=[a] * 2) == [-1, -1]
    else:
        with pytest.raises(ValueError, match="a group must be in one process"):
            RewardFunction(scheme)(completions=texts[:2], spec=[a] * 2)


@pytest.mark.parametrize("scheme", REWARDS)
@pytest.mark.parametrize("group", [1, 2, 3])
def test_an_evaluation_may_have_groups_of_another_size(scheme: str, group: int) -> None:
    reward, (a, texts), (b, others) = RewardFunction(scheme), replies("TSP"), replies("Knapsack")
    reward(completions=texts, spec=[a] * 8)
    paid = reward(completions=texts[-group:] + others[-group:], spec=[a] * group + [b] * group)
    assert len(paid) == 2 * group and None not in paid


def test_a_fault_touches_its_own_group_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tsp = forge_gym.problem("TSP", n=6)
    good, faulty = tsp.spec(3), tsp.spec(4)
    verify, broken = type(tsp).verify, forge_gym.from_spec(faulty)[1]

    def verify_or_fail(self: Any, instance: Any, text: str, *more: Any) -> Any:
        if instance is broken:
            raise ZeroDivisionError("a bug of ours")
        return verify(self, instance, text, *more)

    monkeypatch.setattr(type(tsp), "verify", verify_or_fail)
    answer = "<answer>[0, 1, 2, 3, 4, 5]</answer>"
    logged: dict[str, float] = {}
    function = RewardFunction("pairwise")
    rewards = function(
        completions=["?", answer] * 3,
        spec=[good] * 2 + [faulty] * 2 + [good] * 2,
        log_metric=logged.__setitem__,
    )
    assert rewards == [-1, 1, None, None, -1, 1] and logged["forge/faults"] == 2


def test_faults_pay_none(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    spec, texts = replies("TSP")
    problem, instance = forge_gym.from_spec(spec)
    optimum = problem.reference(instance)
    worse = type(optimum)(
        optimum.solution,
        optimum.greedy,
        optimum.greedy,
        "wrong",
        0,
        "min",
        trivial=optimum.trivial,
        greedy=optimum.greedy,
    )
    monkeypatch.setitem(instance.memo[problem._key], "reference", worse)  # a certificate that the optimum beats
    logged: dict[str, float] = {}
    rewards = RewardFunction()(completions=[texts[6], "?"], spec=[spec] * 2, log_metric=logged.__setitem__)
    assert rewards == [None, -1] and logged["forge/alarms"] == 1 and "beats its certificate" in caplog.text

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(type(problem), "violations", broken)
    rewards = RewardFunction()(completions=[texts[3], "?"], spec=[spec] * 2, log_metric=logged.__setitem__)
    assert rewards == [None, None] and logged["forge/faults"] == 2 and "a bug of ours" in caplog.text


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("plain", "plain"),
        ([{"role": "assistant", "content": "a"}], "a"),
        ([{"role": "assistant", "content": "a"}, {"role": "tool", "content": "t"}], "a"),
        ([{"role": "assistant", "content": None}], ""),
        (
            [
                {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
                }
            ],
            "xy",
        ),
        ([{"role": "user", "content": "u"}], ""),
        ([{"role": "assistant", "content": [{"type": "text", "text": None}, "x", {"type": "image"}]}], ""),
        ([{"role": "assistant", "content": 3}], ""),
        (["<answer>[0]</answer>"], ""),
        ({"role": "assistant", "content": "x"}, ""),
        (b"<answer>[0]</answer>", ""),
        ([], ""),
        (None, ""),
    ],
)
def test_completion_texts(completion: Any, text: str) -> None:
    assert completion_text(completion) == text


def test_the_reward_function_travels() -> None:
    function = pickle.loads(pickle.dumps(RewardFunction("linear")))
    assert function.__name__ == "linear"


def test_the_state_of_a_scheme_travels() -> None:
    spec, texts = replies("TSP")
    function = RewardFunction("verpo")
    function(completions=texts, spec=[spec] * 8)
    state = function.state_dict()
    assert state["scheme"]["rates"] and json.loads(json.dumps(state)) == state
    other = RewardFunction("verpo")
    assert other.state_dict() != state
    other.load_state_dict(json.loads(json.dumps(state)))
    assert other.state_dict() == state == pickle.loads(pickle.dumps(function)).state_dict()
    batch: dict[str, Any] = {"completions": texts, "spec": [spec] * 8}
    assert other(**batch) == function(**batch) != RewardFunction("verpo")(**batch)
    stateless = RewardFunction("linear")
    stateless.load_state_dict(stateless.state_dict())
    with pytest.raises(ValueError, match=r"state must have the keys .* for linear"):
        stateless.load_state_dict(state)


def test_datasets() -> None:
    pytest.importorskip("datasets")
    problems = [forge_gym.problem(name) for name in NAMES]
    data = make_dataset(problems, 3 * len(problems), levels=[4, 5], seed=2, split="validation")
    assert len(set(data["instance_hash"])) == len(data) == 3 * len(problems)
    assert {"prompt", "spec", "problem", "environment", "level", "seed", "index", "instance_hash"} == set(
        data.column_names
    )
    for row in data:
        problem, instance = forge_gym.from_spec(row["spec"])
        assert row["prompt"] == [{"role": "user", "content": problem.prompt(instance)}]
        assert problem.name == row["problem"] and problem.digest(instance) == row["instance_hash"]
        assert problem.is_graded(instance)
        assert problem == forge_gym.problem(row["problem"], level=row["level"])
    counts = [data["problem"].count(name) for name in NAMES]
    assert max(counts) - min(counts) <= 1 and set(data["level"]) == {4, 5}
    assert make_dataset(problems, 9, levels=[4, 5], seed=2, split="validation")[:9] == data[:9]
    plain = make_dataset(problems[0], 2, chat=False)
    assert isinstance(plain[0]["prompt"], str) and plain[0]["level"] == -1
    for arguments, words in (
        ((problems, 0), "size must be"),
        (([], 3), "problems must hold"),
        ((problems, 3), "levels"),
    ):
        with pytest.raises(ValueError, match=words):
            make_dataset(*arguments, **({"levels": []} if words == "levels" else {}))
