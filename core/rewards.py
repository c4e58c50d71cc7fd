"""Reward schemes: small pure functions from a verdict to a float, or None for an alarm.

``tiered``, the default, pays in classes that never overlap: malformed, infeasible, below the greedy
heuristic, above it in tiers that grow toward the optimum, and the proven optimum alone 1. The tiers
follow the idea of progressively amplified rewards; a slope inside each keeps the order strict, so
the ranking of two answers is always that of their objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from .checks import check_choice
from .verdict import Verdict

Reward: TypeAlias = Callable[[Verdict], float | None]

TIER_EDGES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Skill at which each tier starts; the last is the reference."""
TIER_FLOORS = (0.0, 0.08, 0.20, 0.38, 0.62, 0.95)
"""Reward at the start of each tier. The steps grow: .08 < .12 < .18 < .24 < .33."""
TIER_SLOPE = 0.5
"""Share of a step that is paid inside the tier, the rest at its edge. Under 1: the order stays strict."""

MALFORMED = -1.0
INFEASIBLE, INFEASIBLE_SPAN = -0.9, 0.5
TRIVIAL, BELOW_TRIVIAL_SPAN = -0.20, 0.05
UNPROVEN, UNPROVEN_SPAN, UNPROVEN_SCALE = 0.95, 0.049, 0.05


def _tiers(skill: float) -> float:
    """Reward of a feasible answer with ``0 <= skill < 1``: in [0, 0.785)."""
    k = max(i for i in range(5) if skill >= TIER_EDGES[i])
    step = TIER_FLOORS[k + 1] - TIER_FLOORS[k]
    return TIER_FLOORS[k] + TIER_SLOPE * step * (skill - TIER_EDGES[k]) / (TIER_EDGES[k + 1] - TIER_EDGES[k])


def _banded(verdict: Verdict, middle: Callable[[float], float]) -> float | None:
    """Class bands common to the tiered and the linear scheme; ``middle`` maps skill in [0, 1)."""
    if verdict.alarm:
        return None
    if verdict.status == "malformed":
        return MALFORMED
    if verdict.status == "infeasible":
        return INFEASIBLE + INFEASIBLE_SPAN * verdict.credit
    if verdict.optimal:
        return 1.0
    skill = verdict.skill
    if skill < -1.0:
        return TRIVIAL - BELOW_TRIVIAL_SPAN * (1.0 + 1.0 / skill)  # x / (1 + x) with x = -1 - skill
    if skill < 0.0:
        return -TRIVIAL * skill
    if skill < 1.0:
        return middle(skill)
    y = (skill - 1.0) / UNPROVEN_SCALE
    return UNPROVEN + UNPROVEN_SPAN * (1.0 - 1.0 / (1.0 + y))  # y / (1 + y), finite for any y


def tiered(verdict: Verdict) -> float | None:
    """Reward in [-1, 1], strictly increasing in quality, in five tiers above the greedy heuristic.

    Malformed -1; infeasible [-0.9, -0.4); feasible but worse than trivial (-0.25, -0.20), trivial
    -0.20, up to greedy 0; tiers [0, 0.785); an unproven reference 0.95; a proven optimum 1.

    Examples
    --------
    >>> tiered(Verdict("feasible", skill=0.5)), tiered(Verdict("feasible", skill=1.0, optimal=True))
    (0.2, 1.0)
    """
    return _banded(verdict, _tiers)


def linear(verdict: Verdict) -> float | None:
    """Like `tiered`, with one straight line from greedy (0) to the reference (0.95) in place of tiers.

    Same classes, same order; for ablations, and where mean quality is the goal.

    Examples
    --------
    >>> linear(Verdict("feasible", skill=0.5))
    0.475
    """
    return _banded(verdict, lambda skill: UNPROVEN * skill)


def binary(verdict: Verdict) -> float | None:
    """1 for a feasible answer, else 0: the reward that ignores quality.

    Examples
    --------
    >>> binary(Verdict("feasible", skill=-1.0)), binary(Verdict("infeasible"))
    (1.0, 0.0)
    """
    return None if verdict.alarm else float(verdict.feasible)


def forge(verdict: Verdict) -> float | None:
    """Reward as published for Forge: format +1 or -1, plus -1.5 or the ratio to the reference.

    Not bounded by [-1, 1]: malformed -2.5, infeasible -0.5, feasible 1 + ratio, up to 2. Our ratio
    is measured against a certified reference and clipped to 1; the published one was neither.

    Examples
    --------
    >>> forge(Verdict("malformed")), forge(Verdict("infeasible")), forge(Verdict("feasible", ratio=0.8))
    (-2.5, -0.5, 1.8)
    """
    if verdict.alarm:
        return None
    if verdict.status == "malformed":
        return -2.5
    return 1.0 + verdict.ratio if verdict.feasible else -0.5


REWARDS: dict[str, Reward] = {scheme.__name__: scheme for scheme in (tiered, linear, binary, forge)}


def reward(name: str = "tiered") -> Reward:
    """Return the reward scheme called ``name``.

    Parameters
    ----------
    name
        One of ``tiered``, ``linear``, ``binary``, ``forge``.

    Returns
    -------
    Reward
        A pure function from `Verdict` to float; None for a verdict that carries an alarm.

    Raises
    ------
    ValueError
        If there is no such scheme; the message suggests the nearest.

    Examples
    --------
    >>> reward("tired")
    Traceback (most recent call last):
    ValueError: reward must be one of ['tiered', 'linear', 'binary', 'forge'], got 'tired': did you mean 'tiered'?
    """
    check_choice("reward", name, REWARDS)
    return REWARDS[name]
