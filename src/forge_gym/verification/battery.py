"""Runs the attacks of `attacks` and `probes` against a problem, judging every reply three ways at bounded cost."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

from ..core.checks import short_repr
from ..core.env import TextEnv
from ..core.problem import Problem
from ..core.registry import from_spec
from ..core.rewards import tiered
from ..core.verdict import STATUSES, Verdict
from .attacks import ROWS, Outcome
from .case import MAX_SECONDS, Case, Findings, raised, timed
from .definitions import Definition
from .probes import PROBES

MAX_BYTES = 50 * 10**6
"""Memory that judging a reply may take beyond the reply itself."""
_HEAVY = 10_000
"""Replies from so many characters on have their memory measured."""


def run(problem: Problem[Any, Any], definition: Definition, level: int | None = None) -> Findings:
    """Run the whole battery against ``problem``, at ``level`` or with its own parameters.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.verification.definitions import tsp
    >>> run(forge_gym.problem("TSP"), tsp).faults
    []
    """
    case = Case(problem if level is None else problem.at_level(level), definition)
    findings = Findings()
    for row in ROWS:
        replies = list(row.replies(case))
        findings.counts["replies"] += len(replies)
        batch = _batch(case, [text for _, text in replies])
        for (outcome, text), trained in zip(replies, batch, strict=True):
            findings.faults += (
                f"row {row.number}, {row.attack}: {fault}, for the reply {short_repr(text, 100)}"
                for fault in _faults(case, outcome, text, trained, row.seconds, findings)
            )
    for probe in PROBES:
        try:
            faults = list(probe.faults(case))
        except Exception as error:
            faults = [raised(error, problem)]
        findings.faults += (f"row {probe.number}, {probe.attack}: {fault}" for fault in faults)
    return findings


def _batch(case: Case, texts: list[str]) -> list[Verdict | None]:
    """Judge as a trainer does: a whole group at once, by the problem and the instance that the spec rebuilds."""
    problem, instance = from_spec(case.spec)
    try:
        return [*problem.verify_many(instance, texts)]
    except Exception:  # told of the reply that raised it
        return [None] * len(texts)


def _faults(
    case: Case, outcome: Outcome, text: str, trained: Verdict | None, seconds: float, findings: Findings
) -> Iterator[str]:
    problem, instance = case.problem, case.instance
    try:
        verdict, spent = timed(problem, instance, text, seconds)
    except Exception as error:
        yield raised(error, problem)
        return
    if spent > seconds:
        yield f"judging took {spent:.3f} s of CPU, more than {seconds}"
    if seconds == MAX_SECONDS:
        findings.slowest = max(findings.slowest, spent)
    reward = tiered(verdict)
    if reward is None:
        yield f"accepted with {verdict.objective}, better than the proven optimum {case.reference.bound}"
        return
    if not outcome.met(verdict):
        worth = "" if verdict.objective is None else f" worth {short_repr(verdict.objective)}"
        yield f"must be {outcome.required}, got {verdict.status}{worth} at {reward:.3f} ({verdict.reason})"
    if not -1 <= reward <= 1:
        yield f"the reward is in [-1, 1], got {reward}"
    if trained != verdict:
        yield f"verify says {short_repr(verdict, 100)}, of a batch {short_repr(trained, 100)}"
    if len(verdict.reason) > 300:
        yield f"a reason has at most 300 characters, got {len(verdict.reason)}"
    env = TextEnv(problem)
    env.reset(options={"instance": instance})
    try:
        _, paid, terminated, _, info = env.step(text)
    except Exception as error:
        yield f"in env.step, {raised(error, problem)}"
        return
    if (paid, STATUSES[info["status"]], terminated) != (reward, verdict.status, True):
        yield f"verify pays {reward} as {verdict.status}, env.step {paid} as {STATUSES[info['status']]}"
    if len(text) >= _HEAVY:
        tracemalloc.start()
        problem.verify(instance, text)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if peak > MAX_BYTES:
            yield f"judging took {peak / 1e6:.0f} MB"
