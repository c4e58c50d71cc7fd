"""Mixtures: draws by seed alone, shares, bad arguments, and `Forge/Mixed-v0` wherever environments go."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections import Counter
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import forge_gym
from forge_gym.core.env import INFO
from forge_gym.core.mixed import MixedEnv
from forge_gym.core.mixture import Mixture
from forge_gym.wrappers import Construct, HumanRender, Improve, RecordTranscript, Relabel, Skin

TWO: dict[str, Any] = {"problems": ("TSP", "Knapsack"), "levels": (0, 1, 2)}


def made(**arguments: Any) -> MixedEnv:
    env = gym.make("Forge/Mixed-v0", **arguments).unwrapped
    assert isinstance(env, MixedEnv)
    return env


def episodes(env: gym.Env[str, str], count: int, seed: int) -> list[tuple[str, dict[str, Any]]]:
    return [env.reset(seed=seed), *(env.reset() for _ in range(count - 1))]


def test_shares_follow_the_weights() -> None:
    mixture = Mixture.of({"TSP": 2, "Knapsack": 1}, (0, 3))
    assert [member.share for member in mixture.members] == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6])
    drawn = Counter(
        (member.problem.name, member.level)
        for member in (mixture.draw(seed, index) for seed in range(30) for index in range(100))
    )
    for member in mixture.members:
        share = drawn[member.problem.name, member.level] / 3000
        assert abs(share - member.share) < 5 * (member.share * (1 - member.share) / 3000) ** 0.5
    assert Mixture.of("TSP", 3) == Mixture.of(["TSP"], [3]) == Mixture.of({"TSP": 7}, (3,))
    assert {member.problem.name for member in Mixture.of().members} == set(forge_gym.problems())
    assert Mixture.of("TSP").members[0][:2] == (forge_gym.problem("TSP"), -1)
    splits = [
        [mixture.draw(7, index, split).problem.name for index in range(40)] for split in ("train", "validation", "test")
    ]
    assert splits[0] != splits[1] != splits[2] != splits[0]


def test_an_episode_is_an_instance_of_the_problem_that_was_drawn() -> None:
    env = made(**TWO, split="validation", style="json")
    mixture = Mixture.of(**TWO, style="json")
    assert env.mixture == mixture
    for index, (prompt, info) in enumerate(episodes(env, 12, seed=5)):
        member = mixture.draw(5, index, "validation")
        instance = member.problem.instance(5, index, "validation")
        assert prompt == member.problem.prompt(instance)
        assert list(info) == [*INFO, "problem", "level"]
        assert (info["problem"], info["level"]) == (member.problem.name, member.level)
        assert (info["seed"], info["index"], info["status"]) == (5, index, -1)
    assert (env.problem, env.level, env.instance) == (member.problem, member.level, instance)
    best = member.problem.format(instance, member.problem.reference(instance).solution)
    _, reward, over, _, info = env.step(best)
    assert (reward, over, info["quality"], info["problem"]) == (1.0, True, 1.0, member.problem.name)
    assert env.reset(options={"index": 3})[0] == episodes(made(**TWO, split="validation", style="json"), 4, 5)[3][0]


def test_the_same_seed_gives_the_same_episodes_in_any_process() -> None:
    program = (
        "import gymnasium as gym, forge_gym\n"
        f"env = gym.make('forge_gym:Forge/Mixed-v0', **{TWO!r})\n"
        "print([env.reset(seed=9), *(env.reset() for _ in range(5))])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.strip() == repr(episodes(made(**TWO), 6, seed=9))
    unseeded = made(**TWO)
    _, info = unseeded.reset()
    assert unseeded.episode is not None and made(**TWO).reset(seed=info["seed"])[0] == unseeded.episode.prompt


def test_a_refused_reset_changes_nothing() -> None:
    env = made(**TWO, turns=2)
    episodes(env, 3, seed=1)
    before = env.info(), env.episode, env.problem
    for arguments, words in (
        ({"options": {"instance": env.instance}}, "reset has no option 'instance'"),
        ({"options": {"index": -1}}, "must be an integer of at least 0"),
        ({"seed": -1}, "[Ss]eed must be"),
    ):
        with pytest.raises((ValueError, gym.error.Error), match=words):
            env.reset(**arguments)  # type: ignore[arg-type]
        assert (env.info(), env.episode, env.problem) == before


@pytest.mark.parametrize("arguments", [{}, TWO | {"turns": 3, "reward": "linear"}, {"problems": {"TSP": 2}}])
def test_gymnasiums_checker_has_nothing_to_say(arguments: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made(**arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"level": 3}, "Forge/Mixed has no argument 'level': did you mean 'levels'"),
        ({"n": 9}, "Forge/Mixed has no argument 'n': valid"),
        ({"problems": ("TSP", "Knapsak")}, "'Knapsak' is not registered: did you mean 'Knapsack'"),
        ({"problems": ()}, "problems must hold at least one problem"),
        ({"problems": 3}, "problems must be names, or names with weights, got 3"),
        ({"problems": (3,)}, "problem 3 is not registered"),
        ({"problems": {"TSP": 0}}, "weight of TSP must be a number above 0, got 0"),
        ({"problems": {"TSP": float("nan")}}, "weight of TSP must be a number above 0, got nan"),
        ({"problems": {"TSP": True}}, "weight of TSP must be a number above 0, got True"),
        ({"levels": ()}, "levels must hold at least one level"),
        ({"levels": (0, -1)}, "level must be an integer of at least 0, got -1"),
        ({"levels": (0, "1")}, "level must be an integer of at least 0, got '1': did you mean 1"),
        ({"turns": 0}, "turns must be"),
        ({"style": "jsn"}, "did you mean 'json'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], words: str) -> None:
    for make in (gym.make, gym.make_vec):
        with pytest.raises((ValueError, TypeError), match=words) as raised:
            make("Forge/Mixed-v0", **arguments)
        assert "\n" not in str(raised.value)


def test_nobody_else_is_called_mixed() -> None:
    with pytest.raises(ValueError, match="the name of a problem must be new, got 'Mixed'"):
        forge_gym.register_problem("elsewhere:Mixed")
    assert "Mixed" not in forge_gym.problems()


def same(ours: Any, theirs: Any) -> None:
    """Compare arrays with their types, and everything else as it is."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()
    else:
        assert ours == theirs


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_vectors_are_gymnasiums(mode: AutoresetMode) -> None:
    others: dict[str, Any] = {"vector_kwargs": {"autoreset_mode": mode}, **TWO, "turns": 2}
    ours = gym.make_vec("Forge/Mixed-v0", 4, autoreset_mode=mode, **TWO, turns=2)
    for vectorization in ("sync", "async"):
        theirs = gym.make_vec("Forge/Mixed-v0", 4, vectorization, **others)
        try:
            for one, other in zip(ours.reset(seed=0), theirs.reset(seed=0), strict=True):
                same(one, other)
            assert len(set(ours.reset(seed=0)[1]["problem"])) == 2
            for step in range(5):
                replies = ["<answer>[0]</answer>" if (step + i) % 2 else "no idea" for i in range(4)]
                results = ours.step(replies), theirs.step(replies)
                for one, other in zip(*results, strict=True):
                    same(one, other)
                over = results[0][2] | results[0][3]
                if mode is AutoresetMode.DISABLED and over.any():
                    some = [envs.reset(options={"reset_mask": over.copy()}) for envs in (ours, theirs)]
                    same(some[0][1], some[1][1])
        finally:
            theirs.close()
    assert gym.make_vec(ours.spec).num_envs == 4


def test_pictures_show_the_problem_of_the_episode() -> None:
    pytest.importorskip("matplotlib")
    env = made(**TWO, render_mode="rgb_array", turns=2)
    pictures = {}
    for _ in range(8):
        env.reset() if pictures else env.reset(seed=7)
        picture = env.render()
        assert picture.dtype == np.uint8 and picture.ndim == 3
        assert (
            picture
            == env.problem.picture.pixels(env.problem, env.instance, None, title=env.problem.name + ": no answer yet")
        ).all()
        pictures[env.problem.name] = picture
    assert len(pictures) == 2
    text = made(**TWO, render_mode="ansi")
    prompt, _ = text.reset(seed=7)
    assert text.render().startswith(prompt)


def test_wrappers_that_know_one_problem_refuse_several(tmp_path: Any, capsys: Any) -> None:
    for wrapper in (Construct, Improve, Relabel, Skin):
        with pytest.raises(ValueError, match="got MixedEnv"):
            wrapper(gym.make("Forge/Mixed-v0", **TWO))  # type: ignore[operator]
    path = tmp_path / "episodes.jsonl"
    env = RecordTranscript(HumanRender(gym.make("Forge/Mixed-v0", **TWO)), path)
    prompt, _ = env.reset(seed=1)
    env.step("no idea")
    assert prompt in capsys.readouterr().out and '"problem": ' in path.read_text()
