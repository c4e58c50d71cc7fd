"""Skin: other words, the same numbers, answers, verdicts and rewards."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from cases import PROBLEMS, every_problem
from forge_gym.core.env import TextEnv
from forge_gym.core.registry import problem_class
from forge_gym.wrappers import Skin, Story, stories

OTHER: dict[str, list[dict[str, Any]]] = {
    "BalancedMinCut": [{}, {"n": 9}],
    "SetCover": [{}, {"distribution": "uniform"}],
    "TSP": [{}, {"distribution": "matrix"}],
}
CASES = [
    (name, story, arguments)
    for name in PROBLEMS
    for story in stories(problem_class(name))
    for arguments in OTHER.get(name, [{}])
]
ORIGINAL = (
    "problem|knapsack|items?|clique|independent set|subset sum|set cover|travelling|salesman|cit(y|ies)|tours?|"
    "colou?rs?|colouring|bisection|minimum|maximum|graphs?|vertex|vertices|edges?|adjacent|neighbours?|cycles?|meetings?|rooms?|"
    "attendees?|subsets?|elements?|capacity|target|halves|half"
)
"""What no story keeps of the problems' own words."""


def made(name: str, **arguments: Any) -> gym.Env[str, str]:
    return gym.make(f"Forge/{name}-v0", **{"n": 8, "turns": 30, **arguments})


def replies(env: gym.Env[str, str]) -> list[str]:
    base = env.unwrapped
    assert isinstance(base, TextEnv) and base.instance is not None
    problem, instance = base.problem, base.instance
    numbers = [
        "[]", "[0]", "[0, 0, 99]", "[0, 1]", "[0, 1, 2, 3, 4, 5, 6, 7]", "[0, 0, 0, 0, 0, 0, 0, 0]", "[[0, 1], [2]]",
        "[[0, 0, 541], [1, 0, 541], [1, 0, 1000], [0, 9, 1]]", "the item of the city", "{}", "",
    ]  # fmt: skip
    solutions = (problem.trivial(instance), problem.heuristic(instance), problem.reference(instance).solution)
    return [
        "no item, no city, no vertex", *(f"<answer>{text}</answer>" for text in numbers),
        *(problem.format(instance, solution) for solution in solutions),
    ]  # fmt: skip


@pytest.mark.parametrize("name, story, arguments", CASES)
def test_another_story_of_the_same_instance(name: str, story: str, arguments: dict[str, Any]) -> None:
    plain, env = made(name, **arguments), Skin(made(name, **arguments), story)
    for seed in range(3):
        (prompt, info), (told, same) = plain.reset(seed=seed), env.reset(seed=seed)
        assert info == same and env.story.name == story and told.startswith(env.story.scene)
        assert re.findall(r"\d+", told) == re.findall(r"\d+", prompt.removeprefix("0/1 "))
        assert told.splitlines()[-1] == prompt.splitlines()[-1]  # the worked example's answer
        assert told.count("<answer>") == 2 and len(told.splitlines()) == len(prompt.splitlines())
        assert not re.search(rf"\b({ORIGINAL})\b", told, re.IGNORECASE), told
        for reply in replies(plain):
            (feedback, *rest), (retold, *others) = plain.step(reply), env.step(reply)
            assert rest == others
            assert plain.unwrapped.verdict == env.unwrapped.verdict  # type: ignore[attr-defined]
            said, _, quoted = retold.partition(" '")
            assert not re.search(rf"\b({ORIGINAL})\b", said, re.IGNORECASE), retold
            assert quoted == feedback.partition(" '")[2]  # the reply is cited as it is
            if rest[1]:
                break


@every_problem
def test_gymnasiums_checker_has_nothing_to_say(name: str) -> None:
    assert len(stories(problem_class(name))) >= 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        check_env(Skin(made(name)))


@pytest.mark.parametrize("answer_format", ["line", "raw"])
def test_other_answer_formats_stay_readable(answer_format: str) -> None:
    for name in PROBLEMS:
        env = Skin(made(name, answer_format=answer_format))
        told, _ = env.reset(seed=1)
        base = env.unwrapped
        assert isinstance(base, TextEnv) and base.instance is not None
        example = base.problem.prompt(base.instance).splitlines()[-1]
        assert told.endswith("\n" + example) and told.count("Answer:") in (0, 2)


def test_stories_are_drawn_by_seed_and_index_in_any_process() -> None:
    env = Skin(made("Knapsack"))
    env.reset(seed=11)
    names = [env.story.name]
    for _ in range(19):
        env.reset()
        names.append(env.story.name)
    assert set(names) == set(stories(problem_class("Knapsack")))
    env.reset(seed=11, options={"index": 7})
    assert env.story.name == names[7]
    code = (
        "import gymnasium as gym, forge_gym; from forge_gym.wrappers import Skin\n"
        "env = Skin(gym.make('Forge/Knapsack-v0', n=8)); print(env.reset(seed=11)[0])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == env.reset(seed=11)[0]


def test_stories_of_ones_own() -> None:
    story = Story("zoo", "A zoo moves.", {"items": "animals", "item": "animal", "an animal": "a beast"})
    assert story.retell("Items, item, itemize, 12 ITEM 'item") == "Animals, animal, itemize, 12 Animal 'item"
    env = Skin(made("Knapsack"), story)
    assert "8 animals, numbered 0 to 7" in env.reset(seed=0)[0]
    again = gym.make(env.spec)
    assert isinstance(again, Skin) and again.reset(seed=0)[0] == env.reset(seed=0)[0]
    plain = Skin(made("Knapsack"), Story("plain", "As it is.", {})).reset(seed=0)[0]
    assert plain == "As it is. C" + made("Knapsack").reset(seed=0)[0].removeprefix("0/1 knapsack problem: c")


def test_bad_stories_are_refused() -> None:
    with pytest.raises(ValueError, match="got 'resque flight': did you mean 'rescue flight'"):
        Skin(made("Knapsack"), "resque flight")
    with pytest.raises(ValueError, match="a skin needs prompts with words, got style='compact'"):
        Skin(made("TSP", style="compact"))
    with pytest.raises(ValueError, match="env must hold a text environment of one problem"):
        Skin(gym.make("CartPole-v1"))
    for words in (
        {"item": "7 things"},
        {"answer": "reply"},
        {"JSON": "XML"},
        {"": "x"},
        {"item": " "},
        {"0": "zero"},
    ):
        with pytest.raises(ValueError, match="a story's words must be text without digits"):
            Story("bad", "Scene.", words)
    with pytest.raises(ValueError, match="a story's words must be text without digits"):
        Story("bad", "In 1999.", {})


def test_the_text_shown_has_the_storys_words() -> None:
    env = Skin(made("TSP", render_mode="ansi"), "night courier")
    env.reset(seed=0)
    assert "parcels" in str(env.render()) and "cities" not in str(env.render())
