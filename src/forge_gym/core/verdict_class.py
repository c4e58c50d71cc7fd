"""Classes of verdicts, from malformed to proven optimal: what is counted and shown of many answers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from .rewards import TIER_EDGES
from .verdict import Verdict


class VerdictClass(NamedTuple):
    """A class of verdicts."""

    key: str
    """A word for programs, such as a style sheet."""
    code: str
    """One character, so that colour is not the only sign."""
    name: str
    """What a person reads."""


MALFORMED = VerdictClass("malformed", "M", "malformed")
INFEASIBLE = VerdictClass("broken0", "I", "infeasible")
BELOW_GREEDY = VerdictClass("below", "<", "feasible, below greedy")
TIERS = tuple(
    VerdictClass(f"tier{k}", str(k + 1), f"tier {k + 1}: skill {low:g} to {high:g}")
    for k, (low, high) in enumerate(pairwise(TIER_EDGES))
)
BEST_KNOWN = VerdictClass("reference", "=", "best known, not proven")
OPTIMAL = VerdictClass("optimal", "★", "proven optimum")
ALARM = VerdictClass("alarm", "!", "better than a certificate: an error of the verifier")


def infeasible_classes(families: Sequence[str]) -> dict[str, VerdictClass]:
    """Return one class for each constraint family of a problem."""
    return {
        family: VerdictClass(f"broken{i}", chr(ord("A") + i), f"infeasible: {family}")
        for i, family in enumerate(families)
    }


def verdict_classes(families: Sequence[str] = ()) -> tuple[VerdictClass, ...]:
    """Return all classes, the worst first."""
    infeasible = (INFEASIBLE, *infeasible_classes(families).values())
    return (MALFORMED, *infeasible, BELOW_GREEDY, *TIERS, BEST_KNOWN, OPTIMAL, ALARM)


def verdict_class(verdict: Verdict, families: Sequence[str] = ()) -> VerdictClass:
    """Return the class of a verdict; of an infeasible one that of the first broken family, if ``families`` are given.

    Examples
    --------
    >>> verdict_class(Verdict("malformed")).name, verdict_class(Verdict("feasible", skill=0.6)).name
    ('malformed', 'tier 3: skill 0.5 to 0.75')
    """
    if verdict.status == "malformed":
        return MALFORMED
    if verdict.status == "infeasible":
        broken = infeasible_classes(families)
        named = (violation.family for violation in verdict.violations)
        return next((broken[family] for family in named if family in broken), INFEASIBLE)
    if verdict.beats_bound:
        return ALARM
    if verdict.optimal:
        return OPTIMAL
    if verdict.skill < 0:
        return BELOW_GREEDY
    return BEST_KNOWN if verdict.skill >= 1 else TIERS[bisect_right(TIER_EDGES, verdict.skill) - 1]
