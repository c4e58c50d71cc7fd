"""Reward schemes that look at a group of answers to one instance: small classes with a method ``group``.

``verpo`` pays constraints that are seldom met, ``base_and_bonus`` adds small bonuses within a tier, and ``pairwise``
compares the answers with each other.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from math import exp
from typing import Any

from ..core.checks import short_repr
from ..core.problem import Problem
from ..core.rewards import Group, tiered
from ..core.verdict import STATUSES, Number, Verdict, Violation, constraint_credit

EMA_RATE = 0.05
"""Weight of the newest group in the running share of answers that meet a family."""
START_RATE = 0.5
"""Share before the first group. The same for every family, so all of them weigh the same."""
DENSITY_WIDTH = 0.1
"""Families whose shares differ by less than about this count as equally hard, and divide one weight."""
WEIGHT_FLOOR = 1e-3
"""Weight of a family that every answer meets."""


class Verpo:
    """Like `tiered`, with infeasible answers paid most for the constraint families that are seldom met.

    Difficulty-weighted partial credit after VeRPO; the formula is ours. For each problem (with its
    parameters) and family a running share rho of the answers that meet it is kept. Its weight is
    ``(1 - rho + 0.001) / kappa``, divided by the sum over all families, where kappa counts the families
    of about the same share: many easy families do not drown a hard one, and copies of one change
    little. The credit is the weighted share satisfied, measured from the best answer that ignores the
    instance, under the same weights.

    Weights are frozen within a group and updated after it. A group of one teaches nothing, so an
    environment's rewards never depend on its past. Every process of a distributed run keeps its own shares.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.core.rewards import group_rewards
    >>> tsp, scheme = forge_gym.problem("TSP", n=5), Verpo()
    >>> instance, texts = tsp.instance(), ["<answer>[0, 1, 2, 3, 9]</answer>", "<answer>[0, 1, 2, 3]</answer>"]
    >>> group = Group(tsp, instance, texts, tsp.verify_many(instance, texts))
    >>> [round(reward, 3) for reward in group_rewards(scheme, group)]
    [-0.6, -0.5]
    >>> {family: round(weight, 3) for family, weight in scheme.weights(tsp).items()}
    {'known': 0.327, 'visited': 0.353, 'once': 0.32}
    """

    def __init__(self) -> None:
        self.rates: dict[str, dict[str, float]] = {}
        """Problem to family to the running share of answers that meet it."""

    def __call__(self, verdict: Verdict) -> float | None:
        return tiered(verdict)

    def weights(self, problem: Problem[Any, Any]) -> dict[str, float]:
        """Return the weight of each constraint family of ``problem`` now; they sum to 1."""
        known = self.rates.get(_key(problem), {})
        rates = {family: known.get(family, START_RATE) for family in problem.constraints}

        def density(rate: float) -> float:
            return sum(exp(-((rate - other) ** 2) / (2 * DENSITY_WIDTH**2)) for other in rates.values())

        raw = {family: (1.0 - rate + WEIGHT_FLOOR) / density(rate) for family, rate in rates.items()}
        total = sum(raw.values())
        return {family: weight / total for family, weight in raw.items()}

    def group(self, group: Group) -> list[float | None]:
        """Return one reward per answer, then learn from the group."""
        problem, verdicts = group.problem, group.verdicts
        if _key(problem) in self.rates:  # without statistics the verdict's own credit is the one
            weights = self.weights(problem)
            nulls = problem.null_violations(group.instance)
            null = max([constraint_credit(_lost(weights, broken)) for broken in nulls], default=0.0)
            verdicts = [
                verdict._replace(credit=constraint_credit(_lost(weights, verdict.violations), null))
                if verdict.status == "infeasible"
                else verdict
                for verdict in verdicts
            ]
        read = [v for v in group.verdicts if v.status != "malformed" and not v.beats_bound]
        if len(verdicts) > 1 and read:
            rates = self.rates.setdefault(_key(problem), {})
            broken = Counter(violation.family for verdict in read for violation in verdict.violations)
            for family in problem.constraints:
                met = 1.0 - broken[family] / len(read)
                rates[family] = (1.0 - EMA_RATE) * rates.get(family, START_RATE) + EMA_RATE * met
        return [tiered(verdict) for verdict in verdicts]

    def state_dict(self) -> dict[str, Any]:
        """Return the shares as JSON-ready data."""
        return deepcopy({"rates": self.rates})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned; a ``ValueError`` if ``state`` is damaged."""
        rates: Any = state.get("rates") if isinstance(state, dict) else None
        tables = list(rates.values()) if isinstance(rates, dict) else [None]
        shares = [share for table in tables for share in (table.values() if isinstance(table, dict) else [None])]
        if any(type(share) is not float or not 0.0 <= share <= 1.0 for share in shares):
            raise ValueError(f"state of verpo must have the running shares under 'rates', got {short_repr(state)}")
        self.rates = deepcopy(rates)


def _key(problem: Problem[Any, Any]) -> str:
    """Return name and parameters as text, so that a table over problems is JSON-ready."""
    return f"{problem.name} {json.dumps(problem.parameters, sort_keys=True)}"


def _lost(weights: dict[str, float], violations: Sequence[Violation]) -> float:
    """Return the weighted share of the constraint families that is not satisfied."""
    return sum(weights[violation.family] * (1.0 - violation.satisfied) for violation in violations)


CONCISE = 2000
"""Characters at which a reply earns half of the bonus for concision."""
CLAIM_WINDOW = 4000
"""Characters at the end of a reply in which a claim is looked for."""
# Every repetition is bounded, so the search is linear in the text. An answer spells numbers and no words, so
# what is found stands outside it.
_CLAIM = re.compile(
    r"\bobjective(?: value)?(?: is| of| =|=|:){0,2} {0,3}(-?\d{1,40}(?:\.\d{1,40}|/[1-9]\d{0,39})?)(?![.,/]?\d)",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class BaseAndBonus:
    """Like `tiered`, with small bonuses from greedy up to the optimum that matter within a tier only.

    Base and bonus after FIRM. The gate is feasible and ``0 <= skill < 1``; elsewhere the base is paid to
    the last bit, so nothing is earned by talk without a good answer. Behind the gate each bonus is its
    weight times a number in [0, 1]. All three are half of the smallest jump between two tiers: they never lift an
    answer to the next tier, but within one they may pay the slightly worse of two close answers more.

    """

    concision: float = 0.005
    """Paid in full to an empty text, by half at `CONCISE` characters, thoughts included."""
    claim: float = 0.01
    """Paid where the last objective that the reply claims in words ("objective: 42") is the true one."""
    novelty: float = 0.005
    """Paid to a solution that no other answer of the group states, in whatever spelling; 0 for one alone."""

    def __call__(self, verdict: Verdict) -> float | None:
        return tiered(verdict)

    def group(self, group: Group) -> list[float | None]:
        problem, instance = group.problem, group.instance
        rewards = [tiered(verdict) for verdict in group.verdicts]
        gated = {
            i: problem.canonical(instance, verdict.solution)
            for i, verdict in enumerate(group.verdicts)
            if verdict.feasible and 0.0 <= verdict.skill < 1.0 and not (verdict.optimal or verdict.beats_bound)
        }
        copies = Counter(gated.values())
        for i, solution in gated.items():
            text, verdict = group.texts[i], group.verdicts[i]
            rewards[i] = (
                (rewards[i] or 0.0)  # greedy is paid 0
                + self.concision / (1.0 + len(text) / CONCISE)
                + self.claim * (_claimed(text) == verdict.objective)
                + self.novelty * (copies[solution] == 1 and len(rewards) > 1)
            )
        return rewards


def _claimed(text: str) -> Fraction | None:
    """Return the objective that the end of ``text`` claims last, or None."""
    claims = _CLAIM.findall(text[-CLAIM_WINDOW:])
    return Fraction(claims[-1]) if claims else None


class Pairwise:
    """Wins less losses against the other answers of the group, over their number: in [-1, 1], sum 0.

    After BRPO, averaged over every answer as the one compared with. A feasible answer beats an infeasible one, and
    that a malformed one; infeasible answers compare by credit, feasible ones by objective, and equals tie. Only the
    order counts: no change of an objective's scale that keeps it changes a reward, and no reference is
    needed. What is lost is the size of a win. A verdict that beats a certificate gets None and is compared with nobody.

    One answer alone has nothing to be compared with, so this scheme cannot be called with a verdict.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.core.rewards import group_rewards
    >>> tsp = forge_gym.problem("TSP", n=5)
    >>> verdicts = [Verdict("feasible", objective=length) for length in (30, 20, 30)] + [Verdict("malformed")]
    >>> [round(reward, 2) for reward in group_rewards(Pairwise(), Group(tsp, tsp.instance(), [""] * 4, verdicts))]
    [0.0, 1.0, 0.0, -1.0]
    """

    def group(self, group: Group) -> list[float | None]:
        sign = 1 if group.problem.sense == "max" else -1
        ranks = [None if verdict.beats_bound else _rank(verdict, sign) for verdict in group.verdicts]
        order = sorted(rank for rank in ranks if rank is not None)
        others = max(1, len(order) - 1)
        return [
            None if rank is None else (bisect_left(order, rank) - (len(order) - bisect_right(order, rank))) / others
            for rank in ranks
        ]


def _rank(verdict: Verdict, sign: int) -> tuple[int, Number | float]:
    """Return what orders verdicts: class first, then credit or exact objective."""
    within = verdict.credit if verdict.status == "infeasible" else sign * (verdict.objective or 0)
    return STATUSES.index(verdict.status), within
