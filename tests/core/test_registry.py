"""Names, parameters and specs: what is refused, with which words, and what round-trips."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gymnasium as gym
import pytest

import forge_gym
from forge_gym.core import registry
from forge_gym.core.registry import add_problem, problem_class
from forge_gym.envs.tsp import TSP


def message(call: object, *arguments: object, **parameters: object) -> str:
    with pytest.raises(ValueError) as caught:
        call(*arguments, **parameters)  # type: ignore[operator]
    return str(caught.value)


def test_nearest_names() -> None:
    assert "did you mean 'TSP'" in message(forge_gym.problem, "tsp")
    assert "did you mean 'GraphColoring'" in message(forge_gym.problem, "GraphColouring")
    assert "valid: " + ", ".join(map(repr, forge_gym.problems())) in message(forge_gym.problem, "")
    assert "did you mean 'distribution'?" in message(forge_gym.problem, "TSP", distrbution="matrix")
    assert "did you mean 'clustered'?" in message(forge_gym.problem, "TSP", distribution="cluster")
    assert "did you mean 'turns'?" in message(gym.make, "Forge/TSP-v0", turn=2)
    assert "did you mean 'linear'?" in message(gym.make, "Forge/TSP-v0", reward="linaer")


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("TSP", {"n": 2}, ["n must be", "at least 3", "got 2", "did you mean 3?"]),
        ("TSP", {"n": 10.0}, ["n must be an integer", "got 10.0"]),
        ("TSP", {"n": True}, ["n must be an integer", "got True"]),
        ("TSP", {"n": "10"}, ["n must be an integer", "got '10'"]),
        ("TSP", {"n": 30, "grid": 5}, ["grid must be", "got 5", "did you mean 8?"]),
        ("TSP", {"spacing": 0}, ["spacing must be", "got 0", "did you mean 1?"]),
        ("TSP", {"level": -1}, ["level must be", "at least 0", "got -1", "did you mean 0?"]),
        ("TSP", {"level": 3, "n": 12}, ["level sets n", "n=12", "level 3 means n=13"]),
        ("TSP", {"answer_format": "json"}, ["answer_format must be one of", "'tags'", "got 'json'"]),
        ("TSP", {"style": "terse"}, ["style must be one of", "got 'terse'"]),
        ("Knapsack", {"n": 0}, ["n must be", "got 0", "did you mean 3?"]),
        ("Knapsack", {"tightness": 2}, ["tightness must be a number", "got 2", "did you mean 0.99?"]),
        ("Knapsack", {"tightness": float("nan")}, ["tightness must be a number", "got nan"]),
        ("Knapsack", {"largest": 1}, ["largest must be", "got 1", "did you mean 2?"]),
        (
            "GraphColoring",
            {"p": -0.5},
            ["p must be a number from 0.0 to 1.0", "got -0.5", "did you mean 0.0?"],
        ),
        (
            "GraphColoring",
            {"k": 25, "distribution": "planted"},
            ["k must be an integer from 2 to 24", "got 25", "did you mean 24?"],
        ),
    ],
)
def test_bad_parameters_name_parameter_rule_value_and_nearest(
    name: str, parameters: dict[str, object], words: list[str]
) -> None:
    for call, first in ((forge_gym.problem, name), (gym.make, f"Forge/{name}-v0")):
        text = message(call, first, **parameters)
        for word in words:
            assert word in text


@pytest.mark.parametrize("name", forge_gym.problems())
def test_ids_and_versions(name: str) -> None:
    cls = problem_class(name)
    assert cls.name == name
    spec = gym.spec(f"Forge/{name}-v{cls.version}")
    assert gym.envs.registration.EnvSpec.from_json(spec.to_json()).id == spec.id
    assert gym.make(f"forge_gym:Forge/{name}-v{cls.version}").unwrapped.problem == cls()


def test_a_name_stands_for_one_class() -> None:
    forge_gym.register_problem("forge_gym.envs.tsp:TSP")  # again: no change
    assert "must be new, got 'TSP', which stands for forge_gym.envs.tsp:TSP" in message(
        forge_gym.register_problem, "elsewhere:TSP"
    )
    for entry_point, words in (
        ("forge_gym.envs.tsp", "entry_point must be 'module:class'"),
        ("forge_gym.envs.tsp:", "entry_point must be 'module:class'"),
        ("nowhere.at.all:Problem", "entry_point must lead to a problem"),
        ("forge_gym.envs.tsp:NoSuch", "entry_point must lead to a problem"),
        ("forge_gym.envs.tsp:TSPInstance", "entry_point must lead to a problem"),
    ):
        assert words in message(forge_gym.register_problem, entry_point)
    assert "NoSuch" not in forge_gym.problems()


def test_the_id_follows_the_version_of_the_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "from forge_gym.envs.tsp import TSP", "class SecondTSP(TSP):", "    version = 3"
    (tmp_path / "second_tsp.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    forge_gym.register_problem("second_tsp:SecondTSP")
    try:
        env = gym.make("Forge/SecondTSP-v3", n=6)
        assert json.loads(env.unwrapped.problem.spec())["version"] == 3  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="version of SecondTSP must be that of its class, 3, got 4"):
            add_problem("second_tsp:SecondTSP", 4)
        registry._VERSIONS["SecondTSP"] = 4
        with pytest.raises(RuntimeError, match="must be registered with the version of its class, 3, got 4"):
            problem_class("SecondTSP")
    finally:
        del registry._ENTRY_POINTS["SecondTSP"], registry._VERSIONS["SecondTSP"]
        del gym.registry["Forge/SecondTSP-v3"]


def test_a_parameter_hides_nothing_of_its_base() -> None:
    with pytest.raises(TypeError, match="a parameter must not hide an attribute of its base, got 'noun' in Bad"):

        class Bad(TSP):
            noun: str = "town"  # type: ignore[misc]

    @dataclass(frozen=True, kw_only=True)
    class Clusters(TSP):
        distribution: Literal["uniform", "clustered", "matrix"] = "clustered"

    assert Clusters().distribution == "clustered"


@pytest.mark.parametrize("name", forge_gym.problems())
def test_specs_rebuild_problem_and_instance(name: str) -> None:
    problem = forge_gym.problem(name, answer_format="line")
    spec = problem.spec(seed=10**30, index=4, split="validation", level=2)
    rebuilt, instance = forge_gym.from_spec(spec)
    assert rebuilt == problem.at_level(2)
    assert instance == problem.at_level(2).instance(10**30, 4, "validation")
    again = forge_gym.from_spec(spec)
    assert again[1] is instance  # remembered, with its reference


@pytest.mark.parametrize(
    "change",
    [
        {"version": 9},
        {"problem": "TPS"},
        {"seed": -1},
        {"split": "tset"},
        {"parameters": {"m": 1}},
        {"parameters": []},
        {"x": 1},
    ],
)
def test_foreign_specs_are_refused(change: dict[str, object]) -> None:
    spec = json.loads(forge_gym.problem("TSP").spec())
    message(forge_gym.from_spec, json.dumps(spec | change))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "TSP", "[" * 10_000])
def test_texts_that_are_no_specs_are_refused(text: str) -> None:
    assert "a spec must be a JSON object" in message(forge_gym.from_spec, text)


def test_parameters_are_checked_at_the_size_of_the_level() -> None:
    assert forge_gym.problem("GraphColoring", distribution="planted", k=25, level=20).n == 62  # type: ignore[attr-defined]
    assert forge_gym.problem("TSP", grid=5, level=0).grid == 5  # type: ignore[attr-defined]
    assert forge_gym.problem("GraphColoring", n=3).instance().size == 3
    assert "level sets n" in message(forge_gym.problem, "TSP", level=0, n=7)


@pytest.mark.parametrize("parameters", [{"name": "TSP"}, {"level": 3}])
def test_specs_have_no_other_parameters(parameters: dict[str, object]) -> None:
    spec = json.loads(forge_gym.problem("TSP").spec()) | {"parameters": parameters}
    assert "TSP has no parameter" in message(forge_gym.from_spec, json.dumps(spec))


def test_names_may_be_a_list_and_are_enough() -> None:
    words = ["ab", "cd", "ef", "gh", "ij"]
    assert forge_gym.problem("TSP", n=5, names=words) == forge_gym.problem("TSP", n=5, names=tuple(words))
    assert "names must be a word for each of 6 elements, got 5" in message(forge_gym.problem, "TSP", n=6, names=words)
    assert "names must be words of 1 to 40" in message(forge_gym.problem, "TSP", n=3, names=["a" * 41, "b", "c"])
    knapsack = forge_gym.problem("Knapsack", n=4, names=words)
    assert "names must be at least 8 words, the last 4 for the example, got 5" in message(
        knapsack.prompt, knapsack.instance()
    )


def test_a_second_best_needs_a_generator() -> None:
    tsp = forge_gym.problem("TSP")
    assert "epsilon must be 0 without a generator" in message(tsp.heuristic, tsp.instance(), epsilon=0.5)
