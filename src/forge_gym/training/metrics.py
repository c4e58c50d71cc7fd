"""What a training run should log about its answers: of all groups of a batch, and of each problem."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import STATUSES, Verdict
from .curriculum import PASS

_LISTS = re.compile(r"\[[^][]*(?:\[[^][]*\][^][]*)*\]")
_SEARCHED = 4096


@dataclass(frozen=True)
class JudgedGroup:
    """Answers to one instance, and what was made of them."""

    problem: Problem[Any, Any]
    instance: Instance
    texts: Sequence[str]
    verdicts: Sequence[Verdict | None]
    """None where the verifier failed."""
    rewards: Sequence[float | None]
    tokens: int
    """Of all completions together; 0 if unknown."""
    seconds: float
    """Spent on verifying and paying."""

    @cached_property
    def deviation(self) -> float:
        """Standard deviation of the rewards: what a group-relative method learns from."""
        paid = [reward for reward in self.rewards if reward is not None]
        return float(np.std(paid)) if len(paid) > 1 else 0.0

    @cached_property
    def solutions(self) -> tuple[list[Any], set[Any]]:
        """Canonical solutions of the feasible answers, and those of the trivial and the greedy anchor."""
        problem, instance = self.problem, self.instance
        feasible = [
            problem.canonical(instance, verdict.solution)
            for verdict in self.verdicts
            if verdict is not None and verdict.feasible and not verdict.beats_bound
        ]
        anchors = (problem.trivial(instance), problem.heuristic(instance)) if feasible else ()
        return feasible, {problem.canonical(instance, anchor) for anchor in anchors}


def metrics(groups: Sequence[JudgedGroup]) -> dict[str, float]:
    """Return the numbers of a batch by name, ``forge/<number>`` and ``forge/<problem>/<number>``.

    The numbers: ``effective_groups`` and ``useful_groups``, shares of groups whose rewards deviate by more than
    1e-6 and 0.01; ``zero_pass`` and ``all_pass``, shares of groups in which no or every answer reaches a skill of
    0.75; shares of each status; ``quality`` and ``skill`` (floored at -1), ``quality_of_feasible``; shares
    of ``optimal``, ``above_greedy``, and of ``trivial`` answers, which copy the trivial or the greedy
    anchor, among the feasible; ``distinct``, different solutions per group; ``violated/<family>``, share of
    the answers that could be read; ``salvageable``, share of malformed replies that hold a feasible answer in the
    wrong place; ``verify_ms_p99`` per answer and ``verify_seconds`` in all; ``tokens_per_effective_group``;
    ``faults`` of a verifier and ``alarms``, answers that beat a certificate: both must be 0.
    """
    parts = {"": groups}
    for name in sorted({group.problem.name for group in groups}):
        parts[f"{name}/"] = [group for group in groups if group.problem.name == name]
    if len(parts) == 2:  # one problem: the same numbers under both names
        numbers = _numbers(groups)
        return {f"forge/{part}{key}": value for part in parts for key, value in numbers.items()}
    return {f"forge/{part}{key}": n for part, own in parts.items() for key, n in _numbers(own).items()}


def _numbers(groups: Sequence[JudgedGroup]) -> dict[str, float]:
    verdicts = [verdict for group in groups for verdict in group.verdicts]
    judged = [verdict for verdict in verdicts if verdict is not None and not verdict.beats_bound]
    effective = [group.deviation > 1e-6 for group in groups]
    tokens = sum([group.tokens for group in groups])
    found = {
        "faults": float(sum([verdict is None for verdict in verdicts])),
        "alarms": float(sum([verdict is not None and verdict.beats_bound for verdict in verdicts])),
        "effective_groups": _mean(effective),
        "useful_groups": _mean([group.deviation > 0.01 for group in groups]),
        "verify_ms_p99": float(np.quantile([1e3 * g.seconds / max(1, len(g.texts)) for g in groups], 0.99)),
        "verify_seconds": sum([group.seconds for group in groups]),
    }
    if tokens:
        found["tokens_per_effective_group"] = tokens / max(1, sum(effective))
    if judged:
        passes = [
            [verdict.skill >= PASS for verdict in group.verdicts if verdict is not None] for group in groups
        ]
        found |= {status: _mean([verdict.status == status for verdict in judged]) for status in STATUSES}
        found |= {
            "quality": fmean([verdict.quality for verdict in judged]),
            "skill": fmean([max(-1.0, verdict.skill) for verdict in judged]),
            "optimal": _mean([verdict.optimal for verdict in judged]),
            "above_greedy": _mean([verdict.skill > 0 for verdict in judged]),
            "zero_pass": _mean([not any(group) for group in passes]),
            "all_pass": _mean([bool(group) and all(group) for group in passes]),
        }
        solved = [group.solutions for group in groups]
        found["distinct"] = fmean([float(len(set(solutions))) for solutions, _ in solved])
        if any(solutions for solutions, _ in solved):
            found["quality_of_feasible"] = fmean([verdict.quality for verdict in judged if verdict.feasible])
            found["trivial"] = _mean([solution in anchors for found, anchors in solved for solution in found])
        if broken := [verdict for verdict in judged if verdict.status != "malformed"]:
            families = {family for group in groups for family in group.problem.constraints}
            for family in sorted(families):
                found[f"violated/{family}"] = _mean(
                    [any(v.family == family for v in verdict.violations) for verdict in broken]
                )
        if malformed := [
            _salvageable(group.problem, group.instance, text)
            for group in groups
            for text, verdict in zip(group.texts, group.verdicts, strict=True)
            if verdict is not None and verdict.status == "malformed"
        ]:
            found["salvageable"] = _mean(malformed)
    return found


def _mean(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


def _salvageable(problem: Problem[Any, Any], instance: Instance, text: str) -> bool:
    """Whether the last list in a malformed reply would have been feasible: right answer, wrong form."""
    if lists := _LISTS.findall(text[-_SEARCHED:]):
        return replace(problem, answer_format="raw").verify(instance, lists[-1]).feasible
    return False
