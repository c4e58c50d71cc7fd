"""Certified references: the anchors on which every quality, skill and reward is measured."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from .checks import plain, short_repr
from .foreign import exact
from .verdict import Number, Verdict

S = TypeVar("S")
Sense: TypeAlias = Literal["min", "max"]

BELOW_ONE = 1.0 - sys.float_info.epsilon / 2
"""The largest float under 1: what rounds to 1 without being optimal is paid as this."""
_REMEMBERED = 4096
"""Objectives whose verdicts a reference remembers: below a megabyte."""


class CertificateError(RuntimeError):
    """A witness fails its verifier, or a value beats a proof: a bug of ours, and loud."""


def _divide(a: Number, b: Number) -> float:
    """Return ``a / b`` correctly rounded; beyond the largest float, the largest float."""
    try:
        return float(a / b)
    except OverflowError:
        return sys.float_info.max if (a > 0) == (b > 0) else -sys.float_info.max


def _share(part: Number, whole: Number) -> float:
    """Return ``part / whole`` of ``part < whole``, clipped to [0, 1): less than the best never counts as the best."""
    if part <= 0:
        return 0.0
    share = float(part / whole)
    return share if share < 1.0 else BELOW_ONE


@dataclass(frozen=True)
class Certificate(Generic[S]):
    """What an exact solver returns within a limit of work."""

    solution: S
    """The best solution found: the witness of ``value``."""
    value: Number
    """Objective of ``solution``."""
    bound: Number
    """Proven bound on the optimum: never above it when minimising, never below it when maximising."""
    solver: str
    """Method, and version where it is not ours."""
    work: int
    """Work spent, in the solver's own deterministic steps; the same on every machine."""

    @property
    def proven(self) -> bool:
        """Whether ``value`` is the optimum."""
        return self.value == self.bound

    @property
    def stated(self) -> dict[str, Any]:
        """The certificate as JSON-ready data."""
        return {
            "value": stated(self.value),
            "bound": stated(self.bound),
            "solver": self.solver,
            "work": self.work,
            "solution": self.solution,
        }

    @staticmethod
    def read(data: Any) -> Certificate[Any]:
        """Return the certificate that ``data`` states, as `stated` does; whether it is right is another question.

        Raises
        ------
        ValueError
            If one of its parts is missing, or of another type.
        """
        if not isinstance(data, dict):
            raise ValueError(f"a certificate must be a JSON object, got {short_repr(data)}")
        for name, kind in {"solver": str, "work": int, "solution": list}.items():
            if type(data.get(name)) is not kind:
                raise ValueError(f"{name} must be of type {kind.__name__}, got {short_repr(data.get(name))}")
        if not _integral(data["solution"]):
            raise ValueError(f"solution must hold integers alone, got {short_repr(data['solution'])}")
        value, bound = exact(data.get("value")), exact(data.get("bound"))
        return Certificate(plain(data["solution"]), value, bound, data["solver"], data["work"])


def stated(value: Number) -> int | str:
    """Return an objective as JSON-ready data: what `forge_gym.core.foreign.exact` reads."""
    return str(value) if isinstance(value, Fraction) and value.denominator != 1 else int(value)


def _integral(value: list[Any]) -> bool:
    """Whether nested lists hold nothing but integers."""
    if {*map(type, value)} <= {int}:
        return True
    return all([_integral(part) if type(part) is list else type(part) is int for part in value])


@dataclass(frozen=True)
class Reference(Certificate[S]):
    """A certificate with the anchors of the quality scale.

    Examples
    --------
    >>> knapsack = Reference((), 110, 110, "none", 0, "max", trivial=35, greedy=90)
    >>> [knapsack.scaled(value)[:2] for value in (100, 60, 35)]
    [(0.8666666666666667, 0.5), (0.3333333333333333, -0.5454545454545454), (0.0, -1.0)]
    """

    sense: Sense
    trivial: Number
    """Objective of the thoughtless feasible answer: quality 0."""
    greedy: Number
    """Objective of the textbook heuristic, never worse than ``trivial``: skill 0."""

    @cached_property
    def greedy_gap(self) -> Number:
        """Improvement from greedy to the reference; 0 where greedy reaches it."""
        return self._gain(self.value, self.greedy)

    @cached_property
    def baseline_gain(self) -> Number:
        """Improvement from trivial to greedy."""
        return self._gain(self.greedy, self.trivial)

    @cached_property
    def span(self) -> Number:
        """Improvement from trivial to the reference."""
        return self._gain(self.value, self.trivial)

    def _gain(self, value: Number, over: Number) -> Number:
        return value - over if self.sense == "max" else over - value

    @cached_property
    def _judged(self) -> dict[Number, Verdict]:
        """The first verdict on each objective: others differ from it in the solution alone."""
        return {}

    def verdict(self, value: Number, solution: S | None = None) -> Verdict:
        """Return the verdict on the feasible ``solution`` of objective ``value``."""
        known = self._judged.get(value)
        if known is not None:
            return Verdict._make((*known[:-1], solution))
        scales, optimal, beats_bound = self.scaled(value), self.optimal(value), self.beaten_by(value)
        verdict = Verdict("feasible", "", (), 0.0, value, *scales, optimal, beats_bound, solution)
        if len(self._judged) >= _REMEMBERED:
            self._judged.clear()
        self._judged[value] = verdict
        return verdict

    def scaled(self, value: Number) -> tuple[float, float, float]:
        """Return quality, skill and ratio of ``value``.

        Quality is its position between trivial (0) and reference (1), clipped to [0, 1]. Skill is its position on the
        scale trivial -1, greedy 0, reference 1, not clipped; where greedy attains the reference, its value has skill 1
        and only the branch below remains. Ratio is value over reference (max) or reference over value (min), clipped to
        [0, 1]; 0 where it is undefined.
        """
        best, span, greedy_gap = self.value, self.span, self.greedy_gap
        small, large, gain = (value, best, value - best) if self.sense == "max" else (best, value, best - value)
        over = gain + greedy_gap
        if gain < 0:
            below = self.baseline_gain or greedy_gap or 1
            skill = _share(over, greedy_gap) if over >= 0 else _divide(over, below)
            return _share(gain + span, span), skill, _share(small, large)
        if gain == 0:
            return 1.0, 1.0, 1.0
        skill = _divide(over, greedy_gap) if greedy_gap else 1.0 + _divide(over, self.baseline_gain or 1)
        return 1.0, skill, 1.0

    def optimal(self, value: Number) -> bool:
        """Whether ``value`` is proven optimal: it attains the bound."""
        return value == self.bound

    def beaten_by(self, value: Number) -> bool:
        """Whether ``value`` is better than the bound allows: then some certificate is wrong."""
        return self._gain(value, self.bound) > 0
