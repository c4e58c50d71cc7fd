"""What a training run should log about its answers: of all groups of a batch, and of each problem."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from statistics import fmean
from typing import Any

import numpy as np

from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import STATUSES, Malformed, Verdict
from .curriculum import PASS

_LISTS = re.compile(r"\[[^][]*(?:\[[^][]*\][^][]*)*\]")
_SEARCHED = 4096
SILENT = 1e-6
"""Standard deviation of a group's rewards up to which it carries no signal."""
USEFUL = 0.01
"""Standard deviation above which the signal is more than the slope of a tier between two close answers."""


@dataclass(frozen=True)
class JudgedGroup:
    """Answers to one instance, and what was made of them."""

    problem: Problem[Any, Any]
    instance: Instance
    texts: Sequence[str]
    verdicts: Sequence[Verdict]
    """Empty where the verifier failed."""
    rewards: Sequence[float | None]
    tokens: int = 0
    """Of all completions together; 0 if unknown."""
    seconds: float = 0.0
    """Spent on verifying and paying."""

    @cached_property
    def deviation(self) -> float:
        """Standard deviation of the rewards: what a group-relative method learns from."""
        paid = [reward for reward in self.rewards if reward is not None]
        if len(paid) < 2:
            return 0.0
        mean = fmean(paid)
        return sqrt(fmean([(reward - mean) ** 2 for reward in paid]))

    @cached_property
    def passes(self) -> int:
        """Answers of at least `PASS` skill."""
        return sum([verdict.skill >= PASS for verdict in self.verdicts])

    @cached_property
    def solutions(self) -> list[Any]:
        """Canonical solutions of the feasible answers."""
        return [
            self.problem.canonical(self.instance, verdict.solution)
            for verdict in self.verdicts
            if verdict.feasible and not verdict.beats_bound
        ]

    @cached_property
    def anchors(self) -> tuple[Any, Any]:
        """Canonical solutions that are the trivial and the greedy answer."""
        problem, instance = self.problem, self.instance
        trivial, greedy = problem.anchors(instance)
        return problem.canonical(instance, trivial), problem.canonical(instance, greedy)


def metrics(groups: Sequence[JudgedGroup]) -> dict[str, float]:
    """Return the numbers of a batch by name.

    The numbers: ``effective_groups`` and ``useful_groups``, shares of groups whose rewards deviate by more than
    1e-6 and 0.01; ``zero_pass`` and ``all_pass``, shares of groups in which no or every answer reaches a skill of
    0.75; shares of each status; ``quality`` and ``skill`` (floored at -1), ``quality_of_feasible``; shares
    of ``optimal``, ``above_greedy``, and of ``trivial`` answers, which copy the trivial or the greedy
    anchor, among the feasible; ``distinct``, different solutions per group; ``violated/<family>``, share of
    the answers that could be read; ``salvageable``, share of malformed replies that hold a feasible answer in the
    wrong place; ``verify_ms_p99`` per answer and ``verify_seconds`` in all; ``tokens_per_effective_group``;
    ``faults`` of a verifier and ``alarms``, answers that beat a certificate: both must be 0.
    """
    judged = [verdict for group in groups for verdict in group.verdicts if not verdict.beats_bound]
    effective = [group.deviation > SILENT for group in groups]
    tokens = sum([group.tokens for group in groups])
    numbers = {
        "faults": float(sum([len(group.texts) - len(group.verdicts) for group in groups])),
        "alarms": float(sum([len(group.verdicts) for group in groups]) - len(judged)),
        "effective_groups": fmean(effective),
        "useful_groups": fmean([group.deviation > USEFUL for group in groups]),
        "verify_ms_p99": float(np.quantile([1e3 * g.seconds / max(1, len(g.texts)) for g in groups], 0.99)),
        "verify_seconds": sum([group.seconds for group in groups]),
    }
    if tokens:
        numbers["tokens_per_effective_group"] = tokens / max(1, sum(effective))
    if judged:
        statuses = Counter([verdict.status for verdict in judged])
        numbers |= {status: statuses[status] / len(judged) for status in STATUSES}
        numbers |= {
            "quality": fmean([verdict.quality for verdict in judged]),
            "skill": fmean([max(-1.0, verdict.skill) for verdict in judged]),
            "optimal": sum([verdict.optimal for verdict in judged]) / len(judged),
            "above_greedy": sum([verdict.skill > 0 for verdict in judged]) / len(judged),
            "zero_pass": fmean([group.passes == 0 for group in groups]),
            "all_pass": fmean([group.passes == len(group.texts) for group in groups]),
            "distinct": fmean([len(set(group.solutions)) for group in groups]),
        }
    if copied := [solution in group.anchors for group in groups for solution in group.solutions]:
        numbers["quality_of_feasible"] = fmean([verdict.quality for verdict in judged if verdict.feasible])
        numbers["trivial"] = fmean(copied)
    if broken := [verdict for verdict in judged if verdict.status != "malformed"]:
        violated = Counter([violation.family for verdict in broken for violation in verdict.violations])
        for family in sorted({family for group in groups for family in group.problem.constraints}):
            numbers[f"violated/{family}"] = violated[family] / len(broken)
    # Texts have no verdict where there was a fault.
    if malformed := [
        _salvageable(group.problem, group.instance, text)
        for group in groups
        for text, verdict in zip(group.texts, group.verdicts, strict=False)
        if verdict.status == "malformed"
    ]:
        numbers["salvageable"] = fmean(malformed)
    return numbers


def _salvageable(problem: Problem[Any, Any], instance: Instance, text: str) -> bool:
    """Whether the last list in a malformed reply would have been feasible: right answer, wrong form."""
    lists = _LISTS.findall(text[-_SEARCHED:])
    if not lists:
        return False
    try:
        return not problem.violations(instance, problem.parse_answer(instance, lists[-1]))
    except Malformed:
        return False
