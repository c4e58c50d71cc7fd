"""What a verifier says about one answer: a value, never an exception."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias

Number: TypeAlias = int | Fraction
"""Objectives are exact: integers wherever possible, fractions elsewhere, floats never."""

Status: TypeAlias = Literal["malformed", "infeasible", "feasible"]
STATUSES: tuple[Status, ...] = ("malformed", "infeasible", "feasible")

MAX_CREDIT = 1.0 - 1e-6
"""Largest credit of an infeasible answer. It is below 1, so that meeting nearly all constraints is not meeting all."""


class Malformed(Exception):
    """Raised where a text does not spell an answer of the right form. The message gives rule and value."""


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


class Verdict(NamedTuple):
    """The judgement of one answer; every reward is a function of it.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=5)
    >>> verdict = tsp.verify(tsp.instance(seed=0), "<answer>[0, 1, 2, 3, 3]</answer>")
    >>> verdict.status, verdict.quality, verdict.reason, verdict.solution
    ('infeasible', 0.0, 'each city is visited, missing 1 of 5: [4]', (0, 1, 2, 3, 3))
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
    beats_bound: bool = False
    """The objective beats a certificate: a bug of ours, never paid."""
    solution: Any = None
    """The answer as it was read, feasible or not; None where it is malformed. Nobody needs to read a reply twice."""

    @property
    def feasible(self) -> bool:
        """Whether the answer satisfies every constraint."""
        return self.status == "feasible"

    @property
    def worth(self) -> tuple[Any, ...]:
        """All fields but the solution: what two spellings of one solution have in common."""
        return self[:-1]


new_verdict: Callable[[type[Verdict], tuple[Any, ...]], Verdict] = tuple.__new__
"""Makes a verdict of the class and all fields: a third of the time of a call of the class."""
METRICS: dict[str, Callable[[Verdict], float]] = {
    "success": lambda verdict: float(verdict.feasible),
    "quality": lambda verdict: verdict.quality,
    "skill": lambda verdict: max(-1.0, verdict.skill),
    "ratio": lambda verdict: verdict.ratio,
    "optimal": lambda verdict: float(verdict.optimal),
}
"""Per-instance numbers of a table. Skill is floored at -1, the value of every answer that is not feasible."""


def constraint_credit(lost: float, null_credit: float = 0.0) -> float:
    """Return the credit of an infeasible answer: max(0, (1 - lost - null_credit) / (1 - null_credit)), below 1.

    Parameters
    ----------
    lost
        The share of the constraint families that the answer does not satisfy, from 0 to 1.
    null_credit
        The largest credit of an answer that ignores the instance. An answer that meets no more gets 0.
    """
    met = min(MAX_CREDIT, max(0.0, 1.0 - lost))
    return min(MAX_CREDIT, max(0.0, (met - null_credit) / (1.0 - null_credit)))
