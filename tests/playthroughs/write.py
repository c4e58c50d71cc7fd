"""Write ``<Problem>.txt`` beside this file: all that a user or an agent sees of each problem, byte for byte.

``python tests/playthroughs/write.py [PROBLEM ...]`` rewrites the files; ``tests/test_playthroughs.py`` compares
them. A change of a problem shows in their diff what it changes: OpenSpiel's way of testing games.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import forge_gym
from forge_gym.core.parameters import choices
from forge_gym.core.rewards import REWARDS, Group, group_rewards
from forge_gym.core.verdict import Verdict

HERE = Path(__file__).parent
LEVELS = (0, 3, 6)
PRESENTATION = ("answer_format", "style", "names")
FORMATS = ("tags", "line", "raw")
STYLES = ("prose", "compact")
INFO = (
    "seed", "index", "turn", "status", "objective", "quality", "skill", "ratio", "credit", "optimal", "violations",
    "score",
)  # fmt: skip
MUTATIONS = 5_000
"""Broken answers that are tried at most to find one for each constraint family."""


def playthrough(name: str) -> str:
    """Return the whole file of problem ``name``."""
    return "\n".join(_lines(name)) + "\n"


def _lines(name: str) -> Iterator[str]:
    problem = forge_gym.problem(name)
    families = [{"distribution": family} for family in choices(type(problem), "distribution")] or [{}]
    parameters = {field.name: field.default for field in fields(problem) if field.name not in PRESENTATION}
    yield f"# {name}: {', '.join(f'{key} {value}' for key, value in parameters.items())}"
    yield f"family {problem.family}, sense {problem.sense}, constraints {', '.join(problem.constraints)}"
    yield f"work limit {problem.work_limit}"
    for level in (0, 1, 2, 5, 10, 20):
        yield f"level {level}: {problem.at_level(level).parameters}"
    for at in (problem, problem.at_level(2)):
        yield f"graded indices at n={at.n}: {[index for index, _ in islice(at.graded_instances(), 20)]}"
    for family in families:
        for level in LEVELS:
            yield from _instance(forge_gym.problem(name, level=level, **family), level)
    instance = problem.at_level(0).instance(seed=1)
    for style in STYLES:
        for answer_format in FORMATS:
            asked = forge_gym.problem(name, level=0, style=style, answer_format=answer_format)
            yield f"\n## style {style}, answer format {answer_format}: prompt, then the optimal reply"
            yield asked.prompt(instance)
            yield "--"
            yield asked.format(instance, asked.reference(instance).solution)
    for family in families:
        yield from _verdicts(forge_gym.problem(name, **family))
    yield from _episode(name)


def _family(problem: Any) -> str:
    return str(getattr(problem, "distribution", "alone"))


def _instance(problem: Any, level: int) -> Iterator[str]:
    """Write an instance with its anchors, its prompts (as hashes beyond level 0), and demonstrations."""
    instance = problem.instance(seed=7, index=2)
    yield f"\n## family {_family(problem)}, level {level}"
    yield problem.spec(seed=7, index=2)
    yield problem.to_json(instance)
    yield f"digest {problem.digest(instance)}"
    reference = problem.reference(instance)
    yield f"trivial {reference.trivial}: {problem.trivial(instance)}"
    yield f"greedy {reference.greedy}: {problem.heuristic(instance)}"
    yield f"reference {reference.value}, bound {reference.bound}: {reference.solution}"
    yield f"solver {reference.solver}, work {reference.work}"
    demonstrations = np.random.default_rng(0)
    for _ in range(3):
        yield f"demonstration {problem.heuristic(instance, demonstrations, 0.3)}"
    for style in STYLES:
        prompt = forge_gym.problem(problem.name, **problem.parameters | {"style": style}).prompt(instance)
        if level:
            yield f"prompt, {style}: {len(prompt)} characters, {hashlib.sha256(prompt.encode()).hexdigest()}"
        else:
            yield f"prompt, {style}:\n{prompt}\n--"


def _verdicts(problem: Any) -> Iterator[str]:
    """Write verdicts and rewards of readable replies, one of them for each constraint family."""
    instance = next(problem.graded_instances(seed=3))[1]
    yield f"\n## verdicts, family {_family(problem)}: {problem.to_json(instance)}"
    trivial, greedy = problem.trivial(instance), problem.heuristic(instance)
    best = problem.reference(instance).solution
    replies = ["no idea", "<answer>[0, 1</answer>", "<answer>[]</answer>"]
    replies += [problem.format(instance, solution) for solution in (trivial, greedy, best)]
    replies += _broken(problem, instance, replies[-1])
    verdicts = [problem.verify(instance, reply) for reply in replies]
    pure = [name for name, scheme in REWARDS.items() if not isinstance(scheme, str)]
    grouped = [name for name in REWARDS if name not in pure]
    group = Group(problem, instance, replies, verdicts)
    paid = {name: group_rewards(forge_gym.reward(name), group) for name in grouped}
    for at, (reply, verdict) in enumerate(zip(replies, verdicts, strict=True)):
        yield f"> {reply}"
        yield _fields(verdict)
        yield f"rewards {[forge_gym.reward(name)(verdict) for name in pure]}"
        yield f"rewards in this group {[paid[name][at] for name in grouped]}"


def _fields(verdict: Verdict) -> str:
    violations = [
        f"{v.family} {v.amount} of {v.scale}, satisfied {v.satisfied!r}: {v.reason}" for v in verdict.violations
    ]
    return (
        f"{verdict.status}; reason {verdict.reason!r}; violations {violations}; credit {verdict.credit!r}; "
        f"objective {verdict.objective}; quality {verdict.quality!r}; skill {verdict.skill!r}; "
        f"ratio {verdict.ratio!r}; optimal {verdict.optimal}"
    )


def _broken(problem: Any, instance: Any, good: str) -> Iterator[str]:
    """Yield random damage to the answer in ``good`` that breaks a family which no reply before it broke.

    Not every instance lets every family be broken: in a schedule's only room there are seats for all.
    """
    rng, missing = random.Random(0), set(problem.constraints)
    answer = json.loads(good.removeprefix("<answer>").removesuffix("</answer>"))
    for _ in range(MUTATIONS):
        if not missing:
            return
        reply = f"<answer>{json.dumps(_damaged(rng, answer, instance.size))}</answer>"
        found = {violation.family for violation in problem.verify(instance, reply).violations}
        if found & missing:
            missing -= found
            yield reply


def _damaged(rng: random.Random, answer: list[Any], size: int) -> list[Any]:
    damaged = [row[:] if isinstance(row, list) else row for row in answer]
    for _ in range(rng.randint(1, 3)):
        change = rng.randrange(5)
        at = rng.randrange(len(damaged)) if damaged else 0
        if change == 0 and damaged:
            del damaged[at]
        elif change == 1 and damaged:
            damaged.insert(rng.randrange(len(damaged)), damaged[at])
        elif change == 2 and damaged and isinstance(damaged[at], list):
            row = damaged[at][:]
            row[rng.randrange(3)] += rng.choice((-1, 1, 7, 15, -45, 60))
            damaged[at] = row
        elif change == 3:
            del damaged[at + 1 :]
        elif not (answer and isinstance(answer[0], list)):
            damaged.insert(at, rng.randrange(size + (rng.random() < 0.2)))
    return damaged


def _episode(name: str) -> Iterator[str]:
    """Write a scripted episode of several turns, for each way to keep a reply."""
    problem = forge_gym.problem(name)
    index, instance = next(problem.graded_instances(seed=5))
    trivial, greedy = problem.trivial(instance), problem.heuristic(instance)
    replies = ["no idea", "<answer>[-1]</answer>"]
    replies += [problem.format(instance, solution) for solution in (greedy, trivial)]
    replies += ["<answer>[]</answer>", problem.format(instance, problem.reference(instance).solution)]
    for keep in ("best", "last"):
        for order in (replies, [*replies[:4], replies[3]]):
            env: Any = gym.make(f"Forge/{name}-v{problem.version}", turns=len(order), keep=keep)
            prompt, info = env.reset(seed=5, options={"index": index})
            yield f"\n## an episode of {len(order)} turns, keep={keep}"
            yield prompt
            yield str({key: info[key] for key in INFO})
            for reply in order:
                feedback, reward, terminated, truncated, info = env.step(reply)
                yield f"> {reply}\n{feedback}\nreward {reward!r}, terminated {terminated}, truncated {truncated}"
                yield str({key: info[key] for key in INFO})


def main(names: list[str]) -> None:
    """Rewrite the files of the problems ``names``, or of all."""
    for name in names or forge_gym.problems():
        (HERE / f"{name}.txt").write_text(playthrough(name), encoding="utf-8")


if __name__ == "__main__":
    os.environ["FORGE_GYM_STORE"] = "off"  # a store may hold what earlier solvers found
    main(sys.argv[1:])
