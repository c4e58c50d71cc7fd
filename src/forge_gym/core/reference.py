"""Certified references: the anchors on which every quality, skill and reward is measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from .checks import short_repr
from .foreign import exact
from .verdict import Number, Verdict, new_verdict

S = TypeVar("S")
Sense: TypeAlias = Literal["min", "max"]

BELOW_ONE = 1.0 - sys.float_info.epsilon / 2
"""The largest float under 1: what rounds to 1 without being optimal is paid as this."""


class CertificateError(RuntimeError):
    """A witness fails its verifier, or a value beats a proof: a bug of ours, and loud."""


def _divide(a: Number, b: Number) -> float:
    """Return ``a / b`` correctly rounded; beyond the largest float, the largest float."""
    try:
        return float(a / b)
    except OverflowError:
        return sys.float_info.max if (a > 0) == (b > 0) else -sys.float_info.max


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
        for name, kind in {"solver": str, "work": int}.items():
            if type(data.get(name)) is not kind:
                raise ValueError(f"{name} must be of type {kind.__name__}, got {short_repr(data.get(name))}")
        value, bound = exact(data.get("value")), exact(data.get("bound"))
        return Certificate(read_solution("solution", data.get("solution")), value, bound, data["solver"], data["work"])


def read_solution(name: str, data: Any) -> tuple[Any, ...]:
    """Return the solution ``name`` that ``data`` from JSON states; a ``ValueError`` where it is none."""
    if type(data) is not list:
        raise ValueError(f"{name} must be of type list, got {short_repr(data)}")
    try:
        solution: tuple[Any, ...] = _tuples(data)
    except TypeError:
        raise ValueError(f"{name} must hold integers alone, got {short_repr(data)}") from None
    return solution


def stated(value: Number) -> int | str:
    """Return an objective as JSON-ready data: what `forge_gym.core.foreign.exact` reads."""
    return str(value) if isinstance(value, Fraction) and value.denominator != 1 else int(value)


def _tuples(value: Any) -> Any:
    """Return nested lists of integers as tuples; a ``TypeError`` where they hold something else."""
    if type(value) is int:
        return value
    if type(value) is not list:
        raise TypeError
    return tuple(value) if {*map(type, value)} <= {int} else tuple(map(_tuples, value))


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

    def __getstate__(self) -> dict[str, Any]:  # what follows from the fields stays behind
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def scaled(self, value: Number) -> tuple[float, float, float]:
        """Return quality, skill and ratio of ``value``.

        Quality is its position between trivial (0) and reference (1), clipped to [0, 1]. Skill is its position on the
        scale trivial -1, greedy 0, reference 1, not clipped; where greedy attains the reference, its value has skill 1
        and only the branch below remains. Ratio is value over reference (max) or reference over value (min), clipped to
        [0, 1]; 0 where it is undefined.
        """
        verdict = self.verdict(value)
        return verdict.quality, verdict.skill, verdict.ratio

    @cached_property
    def verdict(self) -> Callable[..., Verdict]:
        """What makes the verdict on a feasible solution, of its objective ``value`` and the ``solution`` itself."""
        best, bound, span, greedy_gap, rising = self.value, self.bound, self.span, self.greedy_gap, self.sense == "max"
        below = self.baseline_gain or greedy_gap or 1

        def verdict(value: Number, solution: S | None = None) -> Verdict:
            if rising:
                small, large, gain, beats_bound = value, best, value - best, value > bound
            else:
                small, large, gain, beats_bound = best, value, best - value, value < bound
            quality = skill = ratio = 1.0
            if gain < 0:
                over, up = gain + greedy_gap, gain + span
                quality = 0.0 + up / span if up > 0 else 0.0  # adding 0.0 makes floats of fractions, as `float` does
                try:
                    skill = 0.0 + over / (greedy_gap if over > 0 else below)
                except OverflowError:
                    skill = _divide(over, below)
                ratio = 0.0 + small / large if small > 0 else 0.0
                if quality == 1.0 or skill == 1.0 or ratio == 1.0:  # less than the best never counts as the best
                    quality, skill, ratio = (min(number, BELOW_ONE) for number in (quality, skill, ratio))
            elif gain > 0:
                over = gain + greedy_gap
                skill = _divide(over, greedy_gap) if greedy_gap else 1.0 + _divide(over, self.baseline_gain or 1)
            optimal = value == bound
            fields = ("feasible", "", (), 0.0, value, quality, skill, ratio, optimal, beats_bound, solution)
            return new_verdict(Verdict, fields)

        return verdict

    def optimal(self, value: Number) -> bool:
        """Whether ``value`` is proven optimal: it attains the bound."""
        return value == self.bound

    def beaten_by(self, value: Number) -> bool:
        """Whether ``value`` is better than the bound allows: then some certificate is wrong."""
        return self._gain(value, self.bound) > 0
