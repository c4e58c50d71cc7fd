"""Answers that ignore the data: what the best fixed answer to all instances of a problem earns.

Models are trained on low levels first, where few answers are possible. If a fixed answer pays there, a model learns to
give it and does not learn to read. So the search is an attacker's: it takes answers from everywhere, improves the best
on some instances, and gives what it finds to others. An answer that is drawn at random earns the mean of fixed ones, so
it earns no more.

Texts need no search of their own: a text must spell one and the same answer to every instance, in every style.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from math import sqrt
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from ..core.checks import short_repr
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.rewards import tiered
from ..core.verdict import Malformed
from ..kinds import as_kind
from ..kinds.table import STYLES
from .exhaustive import families

MAX_REWARD, MAX_QUALITY = -0.18, 0.05
"""The most that an answer which ignores the data may earn on average, within two standard errors.

The trivial answer earns -0.2, and quality 0."""
SECONDS = 60.0
"""Time for drawing the instances of one family at one level: where they are hard to solve, fewer do."""
_RANDOM, _BORROWED, _STEPS = 120, 40, 300
"""Random answers of each sort, instances whose own answers are borrowed, and steps of the search."""
_SIFTED = (20, 80)
"""Instances after which only the best quarter of the candidates goes on."""
_ADVICE = "a trivial answer that is the best of several would hold it down, see fixed_permutations; so do larger sizes"


class Constant(NamedTuple):
    """A fixed answer, and what it earns on average."""

    reward: float
    quality: float
    answer: tuple[Any, ...]
    errors: tuple[float, float]
    """Standard errors of the two means."""


_REWARD: Callable[[Constant], float] = attrgetter("reward")
_QUALITY: Callable[[Constant], float] = attrgetter("quality")


class Best(NamedTuple):
    """What the best fixed answers earn in one family at one size."""

    family: str
    """Value of the parameter ``distribution``; empty where there is none."""
    level: int | None
    """None for the parameters that the problem was given."""
    n: int
    instances: int
    reward: float
    quality: float
    """Of another answer, maybe: the one with the best quality."""
    fault: str
    """Empty where neither is too much."""


def best_constants(problem: Problem[Any, Any], levels: Iterable[int], instances: int) -> Iterator[Best]:
    """Yield what fixed answers earn with the given parameters, then in every family at every level.

    They are chosen on ``instances`` graded instances, and earn what they earn on as many others.
    """
    leveled = [(level, family.at_level(level)) for family in families(problem) for level in levels]
    for level, shaped in [(None, problem), *leveled]:
        if level is None or shaped != problem:
            yield _best(shaped, level, instances)


def _best(problem: Problem[Any, Any], level: int | None, instances: int) -> Best:
    drawn, start = [], time.process_time()
    family, n = str(getattr(problem, "distribution", "")), as_kind(problem).n
    try:
        for _, instance in islice(problem.graded_instances(seed=2, split="validation"), 2 * instances):
            drawn.append(instance)
            if len(drawn) > 1 and time.process_time() - start > SECONDS:
                break
    except ValueError as error:
        return Best(family, level, n, 0, 0.0, 0.0, str(error))
    half = len(drawn) // 2
    found = search(problem, drawn[:half])
    again = [earned(problem, drawn[half:], constant.answer) for constant in found]
    reward, quality = max(again, key=_REWARD), max(again, key=_QUALITY)
    fault = next(spelled(problem, *drawn[:2]), "")
    for constant in (reward, quality):
        paid = constant.reward - 2 * constant.errors[0], constant.quality - 2 * constant.errors[1]
        if not fault and (paid[0] > MAX_REWARD or paid[1] > MAX_QUALITY):
            where = f"n={n}" if level is None else f"level {level}"
            fault = (
                f"an answer that ignores the data earns at most {MAX_REWARD} and a quality of {MAX_QUALITY}, got "
                f"{constant.reward:.3f} and {constant.quality:.3f} at {where}{family and f', {family}'} "
                f"for the answer {short_repr(constant.answer)}: {_ADVICE}"
            )
    return Best(family, level, n, len(drawn), reward.reward, quality.quality, fault)


def earned(problem: Problem[Any, Any], instances: Sequence[Instance], answer: tuple[Any, ...]) -> Constant:
    """Return what one answer to all ``instances`` earns on average."""
    verdicts = [problem.verify_solution(instance, answer) for instance in instances]
    paid = [1.0 if (reward := tiered(verdict)) is None else reward for verdict in verdicts]
    both = np.array([paid, [verdict.quality for verdict in verdicts]])
    (reward, quality), (of_reward, of_quality) = both.mean(axis=1).tolist(), both.std(axis=1).tolist()
    n = sqrt(len(instances))
    return Constant(reward, quality, answer, (of_reward / n, of_quality / n))


def search(problem: Problem[Any, Any], instances: Sequence[Instance], seed: int = 0) -> list[Constant]:
    """Return the answers with the best mean reward and with the best mean quality that are found on ``instances``."""
    rng = np.random.default_rng(seed)
    answers = list(dict.fromkeys(candidates(problem, instances, rng)))
    entries = [entry for answer in answers for entry in answer]
    found = []
    for worth in _REWARD, _QUALITY:
        ranked = answers
        for count in _SIFTED:
            sifted = sorted([earned(problem, instances[:count], each) for each in ranked], key=worth, reverse=True)
            ranked = [constant.answer for constant in sifted[: max(8, len(sifted) // 4)]]
        best = max([earned(problem, instances, each) for each in ranked], key=worth)
        for _ in range(_STEPS):
            other = changed(best.answer, entries, rng)
            if worth(earned(problem, instances[: _SIFTED[0]], other)) > worth(best) - 0.1:
                best = max(best, earned(problem, instances, other), key=worth)
        found.append(best)
    return found


def candidates(
    problem: Problem[Any, Any], instances: Sequence[Instance], rng: np.random.Generator
) -> Iterator[tuple[Any, ...]]:
    """Yield answers that need no look at the data: patterns, random ones, and good ones to other instances.

    Each also comes cut short, since a part of what is feasible often is.
    """
    kind, first = as_kind(problem), instances[0]
    answers = [*kind.patterns(first), *(kind.any_answer(first, rng) for _ in range(_RANDOM))]
    for x in instances[:_BORROWED]:
        answers += [*problem.null_answers(x), *problem.anchors(x), problem.reference(x).solution]
    answers += [problem.random(x, rng) for x in instances[:_RANDOM]]
    for answer in map(tuple, answers):
        yield answer
        yield answer[: int(rng.integers(len(answer) + 1))]
        yield answer[: int(rng.integers(min(6, len(answer)) + 1))]


def changed(answer: tuple[Any, ...], entries: Sequence[Any], rng: np.random.Generator) -> tuple[Any, ...]:
    """Return the answer with a stretch reversed, an entry moved or left out, or one of the ``entries`` put in."""
    i, j = sorted(rng.integers(len(answer) + 1, size=2).tolist())
    entry = entries[int(rng.integers(len(entries)))]
    match int(rng.integers(5)):
        case 0:
            return answer[:i] + answer[i:j][::-1] + answer[j:]
        case 1:
            return answer[:i] + answer[i + 1 : j] + answer[i : min(i + 1, j)] + answer[j:]
        case 2:
            return answer[:i] + answer[i + 1 :]
        case 3:
            return (*answer[:i], entry, *answer[i:])
        case _:
            return (*answer[:i], entry, *answer[i + 1 :])


def spelled(problem: Problem[Any, Any], one: Instance, other: Instance) -> Iterator[str]:
    """Yield the styles in which a text spells feasible answers to two instances that are not the same answer."""
    solutions = [*problem.anchors(one), problem.reference(one).solution]
    for style in STYLES:
        styled = replace(problem, style=style, names=0)
        for text in [styled.format_answer(one, solution) for solution in solutions]:
            try:
                meant, read = styled.parse_answer(one, text), styled.parse_answer(other, text)
            except Malformed:
                continue
            if meant != read and problem.feasible(other, read):
                rule = "a text spells the same answer to every instance, so that no fixed text pays"
                yield f"{rule}, got {short_repr(meant)} and {short_repr(read)} with style={style!r}"
                return
