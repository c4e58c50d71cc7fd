"""What a verifier says about one answer: a value, never an exception."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

Number: TypeAlias = int | Fraction
"""Objectives are exact: integers wherever possible, fractions elsewhere, floats never."""

Status: TypeAlias = Literal["malformed", "infeasible", "feasible"]
STATUSES: tuple[Status, ...] = ("malformed", "infeasible", "feasible")


class Malformed(Exception):
    """Raised by ``parse``: the text does not spell a typed answer. The message gives rule and value."""


@dataclass(frozen=True, slots=True)
class Violation:
    """How far one family of constraints is from satisfied."""

    family: str
    """Name of the family, one of the problem's ``constraints``."""
    amount: Number
    """Amount of violation, in the family's own unit; positive."""
    scale: Number
    """The amount that counts as nothing of the family satisfied; positive, same unit."""
    reason: str
    """One sentence with the rule and the value received."""

    @property
    def satisfied(self) -> float:
        """Share of the family that is satisfied, in [0, 1)."""
        amount, scale = self.amount, self.scale
        if amount >= scale:
            return 0.0
        if type(amount) is type(scale) is int:  # one correctly rounded division, as of fractions
            return 1.0 - amount / scale
        return 1.0 - float(Fraction(amount) / Fraction(scale))


@dataclass(frozen=True, init=False)
class Verdict:
    """The judgement of one answer; every reward is a function of it.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=5)
    >>> verdict = tsp.verify(tsp.instance(seed=0), "<answer>[0, 1, 2, 3, 3]</answer>")
    >>> verdict.status, verdict.quality, verdict.reason
    ('infeasible', 0.0, 'each city is visited, missing 1 of 5: [4]')
    """

    status: Status
    reason: str = ""
    """One sentence naming the rule and the value received; empty for a feasible answer."""
    violations: tuple[Violation, ...] = ()
    """One entry per violated constraint family; empty unless the answer is infeasible."""
    credit: float = 0.0
    """Infeasible answers: share of the constraints met beyond what a null answer meets, in [0, 1)."""
    objective: Number | None = None
    """The objective in the problem's own unit; None unless feasible."""
    quality: float = 0.0
    """0 at the trivial answer (and for every answer that is not feasible), 1 at the reference; in [0, 1]."""
    skill: float = -1.0
    """0 at the greedy heuristic, 1 at the reference, -1 at trivial (and when not feasible); may be below -1."""
    ratio: float = 0.0
    """The literature's ratio of value to reference (or its inverse when minimising), clipped to [0, 1]."""
    optimal: bool = False
    """Proven optimal: the objective equals a certified optimum or attains the dual bound."""
    alarm: bool = False
    """The objective beats a certificate: a bug of ours, never paid."""

    def __init__(
        self,
        status: Status,
        reason: str = "",
        violations: tuple[Violation, ...] = (),
        credit: float = 0.0,
        objective: Number | None = None,
        quality: float = 0.0,
        skill: float = -1.0,
        ratio: float = 0.0,
        optimal: bool = False,
        alarm: bool = False,
    ) -> None:
        # The one that is generated for a frozen class takes over twice as long, and a fifth of all judging.
        found = self.__dict__
        found["status"] = status
        found["reason"] = reason
        found["violations"] = violations
        found["credit"] = credit
        found["objective"] = objective
        found["quality"] = quality
        found["skill"] = skill
        found["ratio"] = ratio
        found["optimal"] = optimal
        found["alarm"] = alarm

    @property
    def feasible(self) -> bool:
        """Whether the answer satisfies every constraint."""
        return self.status == "feasible"
