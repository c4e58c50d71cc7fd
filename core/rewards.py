"""Reward schemes: from verdicts to floats, or None for an alarm; most are pure functions of one verdict.

``tiered``, the default, pays in classes that never overlap: malformed, infeasible, below the greedy
heuristic, above it in tiers that grow toward the optimum, and the proven optimum alone 1. The tiers
follow the idea of progressively amplified rewards; a slope inside each keeps the order strict, so
the ranking of two answers is always that of their objectives.

Three schemes look at more than one verdict: small classes with a method ``group``, which `pay` prefers.
"""

from __future__ import annotations

import json
import logging
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from math import exp
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast, overload, runtime_checkable

from .checks import check_choice, check_share, shorten
from .verdict import STATUSES, Number, Verdict, Violation

if TYPE_CHECKING:
    from .problem import Instance, Problem

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Group:
    """Several answers to one instance, such as the rollouts of a prompt, with their verdicts."""

    problem: Problem[Any, Any]
    instance: Instance
    texts: Sequence[str]
    """The whole replies."""
    verdicts: Sequence[Verdict]
    """One for each text, in the same order."""

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.verdicts):
            raise ValueError(
                f"verdicts must be one per text, got {len(self.verdicts)} for {len(self.texts)} texts"
            )


Reward: TypeAlias = Callable[[Verdict], float | None]


@runtime_checkable
class GroupReward(Protocol):
    """A scheme that pays the answers of a group together."""

    def group(self, group: Group) -> list[float | None]:
        """Return one reward per answer; None for a verdict that carries an alarm."""
        ...


@runtime_checkable
class Stateful(GroupReward, Protocol):
    """A scheme that remembers; its state belongs beside a training run's checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON-ready data."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        ...


Scheme: TypeAlias = Reward | GroupReward


def pay(scheme: Scheme, group: Group) -> list[float | None]:
    """Return the reward of every answer of ``group``, in order.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=5)
    >>> instance, texts = tsp.instance(), ["?", "<answer>[0, 1, 2, 3, 3]</answer>", "?"]
    >>> group = Group(tsp, instance, texts, tsp.verify_many(instance, texts))
    >>> pay(binary, group), pay(Pairwise(), group)
    ([0.0, 0.0, 0.0], [-0.5, 1.0, -0.5])
    """
    # By attribute: `isinstance` with a protocol takes 7 us, as much as judging a short answer.
    together: Callable[[Group], list[float | None]] | None = getattr(scheme, "group", None)
    if together is not None:
        return together(group)
    alone = cast(Reward, scheme)
    return [alone(verdict) for verdict in group.verdicts]


# -------------------------------------------------------------------- schemes of one verdict

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


def _tiers(skill: float, slope: float = TIER_SLOPE) -> float:
    """Reward of a feasible answer with ``0 <= skill < 1``: in [0, 0.785)."""
    k = bisect_right(TIER_EDGES, skill) - 1
    step = TIER_FLOORS[k + 1] - TIER_FLOORS[k]
    return TIER_FLOORS[k] + slope * step * (skill - TIER_EDGES[k]) / (TIER_EDGES[k + 1] - TIER_EDGES[k])


def _banded(verdict: Verdict, middle: Callable[[float], float]) -> float | None:
    """Class bands common to the tiered, the stepped and the linear scheme; ``middle`` maps skill in [0, 1)."""
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


def ssl(verdict: Verdict) -> float | None:
    """Like `tiered` without the slopes: each tier pays its floor, as pure tiers do.

    Answers of one tier tie, so a group within a tier teaches nothing: the ablation of the slope.

    Examples
    --------
    >>> ssl(Verdict("feasible", skill=0.5)), ssl(Verdict("feasible", skill=0.7))
    (0.2, 0.2)
    """
    return _banded(verdict, lambda skill: _tiers(skill, 0.0))


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


RATIO_POWER = 5


def ratio_power(verdict: Verdict) -> float | None:
    """Reward as RLVE pays: the ratio to the reference to the fifth power, malformed -1, infeasible -0.5.

    These are the defaults of most of its environments. Every feasible answer is paid, even the thoughtless
    one; our ratio is measured against a certified reference.

    References
    ----------
    Z. Zeng et al., "RLVE: Scaling Up Reinforcement Learning for Language Models with Adaptive Verifiable
    Environments", arXiv 2511.07317, 2025.

    Examples
    --------
    >>> ratio_power(Verdict("infeasible")), ratio_power(Verdict("feasible", ratio=0.5))
    (-0.5, 0.03125)
    """
    if verdict.alarm:
        return None
    if verdict.status == "malformed":
        return MALFORMED
    return verdict.ratio**RATIO_POWER if verdict.feasible else -0.5


# -------------------------------------------------------------------- schemes of a group

EMA_RATE = 0.05
"""Weight of the newest group in the running share of answers that meet a family."""
START_RATE = 0.5
"""Share before the first group. The same for every family, so all of them weigh the same."""
DENSITY_WIDTH = 0.1
"""Families whose shares differ by less than about this count as equally hard, and divide one weight."""
WEIGHT_FLOOR = 1e-3
"""Weight of a family that every answer meets."""
UNMET_GROUPS = 500
"""Consecutive groups without one answer that meets a family after which a warning is logged."""
_MAX_CREDIT = 1.0 - 1e-6


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
    >>> tsp, scheme = forge_gym.problem("TSP", n=5), Verpo()
    >>> instance, texts = tsp.instance(), ["<answer>[0, 1, 2, 3, 9]</answer>", "<answer>[0, 1, 2, 3]</answer>"]
    >>> group = Group(tsp, instance, texts, tsp.verify_many(instance, texts))
    >>> [round(reward, 3) for reward in pay(scheme, group)]
    [-0.6, -0.5]
    >>> {family: round(weight, 3) for family, weight in scheme.weights(tsp).items()}
    {'known': 0.327, 'visited': 0.353, 'once': 0.32}
    """

    def __init__(self) -> None:
        self.rates: dict[str, dict[str, float]] = {}
        """Problem to family to the running share of answers that meet it."""
        self.unmet: dict[str, dict[str, int]] = {}
        """Problem to family to the number of groups since one of its answers met it."""

    def __call__(self, verdict: Verdict) -> float | None:
        """Pay one answer, as `tiered` does."""
        return tiered(verdict)

    def weights(self, problem: Problem[Any, Any]) -> dict[str, float]:
        """Return the weight of each constraint family of ``problem`` now; they sum to 1."""
        rates = self.rates.get(_key(problem), {})
        return _weights({family: rates.get(family, START_RATE) for family in problem.constraints})

    def group(self, group: Group) -> list[float | None]:
        """Return one reward per answer, then learn from the group."""
        problem, verdicts = group.problem, group.verdicts
        if _key(problem) in self.rates:  # without statistics the verdict's own credit is the one
            weights = self.weights(problem)
            nulls = problem.null_violations(group.instance)
            null = max((_credit(weights, _satisfaction(found)) for found in nulls), default=0.0)
            verdicts = [
                _recredited(verdict, weights, null) if verdict.status == "infeasible" else verdict
                for verdict in verdicts
            ]
        if len(verdicts) > 1:
            self._learn(problem, group.verdicts)
        return [tiered(verdict) for verdict in verdicts]

    def _learn(self, problem: Problem[Any, Any], verdicts: Sequence[Verdict]) -> None:
        read = [verdict for verdict in verdicts if verdict.status != "malformed" and not verdict.alarm]
        if not read:
            return
        key = _key(problem)
        rates, unmet = self.rates.setdefault(key, {}), self.unmet.setdefault(key, {})
        broken = Counter(violation.family for verdict in read for violation in verdict.violations)
        for family in problem.constraints:
            met = 1.0 - broken[family] / len(read)
            rates[family] = (1.0 - EMA_RATE) * rates.get(family, START_RATE) + EMA_RATE * met
            unmet[family] = 0 if met else unmet.get(family, 0) + 1
            if unmet[family] == UNMET_GROUPS:  # it attracts all weight: the families or the prompt have a bug
                log.warning("no answer of %d groups in a row meets %r of %s", UNMET_GROUPS, family, key)

    def state_dict(self) -> dict[str, Any]:
        """Return the shares as JSON-ready data."""
        return {
            "rates": {key: dict(rates) for key, rates in self.rates.items()},
            "unmet": {key: dict(unmet) for key, unmet in self.unmet.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises
        ------
        ValueError
            If ``state`` is something else.
        """
        try:
            rates = {key: dict(found) for key, found in state["rates"].items()}
            unmet = {key: dict(found) for key, found in state["unmet"].items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(
                f"state must be what state_dict returned, with the keys 'rates' and 'unmet', got {shorten(state)}"
            ) from None
        for key, found in rates.items():
            for family, rate in found.items():
                check_share(f"the rate of {family!r} of {key}", rate)
        self.rates, self.unmet = rates, unmet


def _key(problem: Problem[Any, Any]) -> str:
    """Return name and parameters as text, so that a table over problems is JSON-ready."""
    return f"{problem.name} {json.dumps(problem.parameters, sort_keys=True)}"


def _weights(rates: dict[str, float]) -> dict[str, float]:
    """Return normalised weights of families that are met by these shares of the answers.

    Examples
    --------
    >>> easy = {f"easy {i}": 0.9 for i in range(9)}
    >>> round(_weights({"hard": 0.2} | easy)["hard"], 3)
    0.888
    """

    def density(rate: float) -> float:
        return sum(exp(-((rate - other) ** 2) / (2 * DENSITY_WIDTH**2)) for other in rates.values())

    raw = {family: (1.0 - rate + WEIGHT_FLOOR) / density(rate) for family, rate in rates.items()}
    total = sum(raw.values())
    return {family: weight / total for family, weight in raw.items()}


def _satisfaction(violations: Sequence[Violation]) -> dict[str, float]:
    """Return the share satisfied of each violated family; the others are satisfied."""
    return {violation.family: violation.satisfied for violation in violations}


def _credit(weights: dict[str, float], satisfied: dict[str, float]) -> float:
    """Return the weighted share of the constraints that is satisfied, in [0, 1)."""
    lost = sum(weights[family] * (1.0 - share) for family, share in satisfied.items())
    return min(_MAX_CREDIT, max(0.0, 1.0 - lost))


def _recredited(verdict: Verdict, weights: dict[str, float], null: float) -> Verdict:
    """Return the infeasible ``verdict`` with its credit under ``weights``, measured from the null answers'."""
    credit = (_credit(weights, _satisfaction(verdict.violations)) - null) / (1.0 - null)
    return replace(verdict, credit=min(_MAX_CREDIT, max(0.0, credit)))


MAX_BONUS = 0.02
"""Half of the smallest jump between two tiers, (1 - TIER_SLOPE) * 0.08: no bonus lifts an answer over an edge."""
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
    weight times a number in [0, 1]. Their sum never lifts an answer to the next tier, but within one it may pay
    the slightly worse of two close answers more.

    Examples
    --------
    >>> import forge_gym
    >>> knapsack, scheme = forge_gym.problem("Knapsack"), BaseAndBonus()
    >>> instance = knapsack.instance(seed=1)
    >>> answer = knapsack.format(instance, knapsack.heuristic(instance))
    >>> texts = [answer, f"The objective is 465. {answer}", f"The objective is 464. {answer}"]
    >>> group = Group(knapsack, instance, texts, knapsack.verify_many(instance, texts))
    >>> [round(reward, 3) for reward in pay(scheme, group)]
    [0.005, 0.015, 0.005]
    """

    concision: float = 0.005
    """Paid in full to an empty text, by half at `CONCISE` characters, thoughts included."""
    claim: float = 0.01
    """Paid where the last objective that the reply claims in words ("objective: 42") is the true one."""
    novelty: float = 0.005
    """Paid to a solution that no other answer of the group states, in whatever spelling; 0 for one alone."""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_share(field.name, getattr(self, field.name), 0.0, MAX_BONUS)
        total = self.concision + self.claim + self.novelty
        if total > MAX_BONUS:
            raise ValueError(f"concision, claim and novelty must sum to at most {MAX_BONUS}, got {total}")

    def __call__(self, verdict: Verdict) -> float | None:
        """Pay one answer whose text is unknown: the base."""
        return tiered(verdict)

    def group(self, group: Group) -> list[float | None]:
        """Return one reward per answer."""
        problem, instance = group.problem, group.instance
        rewards = [tiered(verdict) for verdict in group.verdicts]
        gated = {
            i: problem.canonical(instance, problem.read(instance, group.texts[i]))
            for i, verdict in enumerate(group.verdicts)
            if verdict.feasible and 0.0 <= verdict.skill < 1.0 and not (verdict.optimal or verdict.alarm)
        }
        copies = Counter(gated.values())
        for i, solution in gated.items():
            base, text, verdict = rewards[i], group.texts[i], group.verdicts[i]
            assert base is not None  # only an alarm is not paid
            rewards[i] = (
                base
                + self.concision / (1.0 + len(text) / CONCISE)
                + self.claim * (_claimed(text) == verdict.objective)
                + self.novelty * (copies[solution] == 1 and len(rewards) > 1)
            )
        return rewards


def _claimed(text: str) -> Fraction | None:
    """Return the objective that the end of ``text`` claims last, or None.

    Examples
    --------
    >>> _claimed("objective = 12, no: the objective value is 42."), _claimed("objective: 1,234")
    (Fraction(42, 1), None)
    """
    claims = _CLAIM.findall(text[-CLAIM_WINDOW:])
    return Fraction(claims[-1]) if claims else None


class Pairwise:
    """Wins less losses against the other answers of the group, over their number: in [-1, 1], sum 0.

    After BRPO, averaged over every answer as the one compared with. A feasible answer beats an infeasible one, and
    that a malformed one; infeasible answers compare by credit, feasible ones by objective, and equals tie. Only the
    order counts: no change of an objective's scale that keeps it changes a reward, and no reference is
    needed. What is lost is the size of a win. An alarm gets None and is compared with nobody.

    One answer alone has nothing to be compared with, so this scheme cannot be called with a verdict.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=5)
    >>> verdicts = [Verdict("feasible", objective=length) for length in (30, 20, 30)] + [Verdict("malformed")]
    >>> [round(reward, 2) for reward in pay(Pairwise(), Group(tsp, tsp.instance(), [""] * 4, verdicts))]
    [0.0, 1.0, 0.0, -1.0]
    """

    def group(self, group: Group) -> list[float | None]:
        """Return one reward per answer."""
        sign = 1 if group.problem.sense == "max" else -1
        ranks = [None if verdict.alarm else _rank(verdict, sign) for verdict in group.verdicts]
        order = sorted(rank for rank in ranks if rank is not None)
        others = max(1, len(order) - 1)
        return [
            None
            if rank is None
            else (bisect_left(order, rank) - (len(order) - bisect_right(order, rank))) / others
            for rank in ranks
        ]


def _rank(verdict: Verdict, sign: int) -> tuple[int, Number | float]:
    """Return what orders verdicts: class first, then credit or exact objective."""
    within: Number | float = 0
    if verdict.status == "infeasible":
        within = verdict.credit
    elif verdict.objective is not None:
        within = sign * verdict.objective
    return STATUSES.index(verdict.status), within


# -------------------------------------------------------------------- the table

REWARDS: dict[str, Reward | type[GroupReward]] = {  # a class where a scheme looks at a group
    "tiered": tiered,
    "linear": linear,
    "ssl": ssl,
    "binary": binary,
    "forge": forge,
    "ratio_power": ratio_power,
    "verpo": Verpo,
    "base_and_bonus": BaseAndBonus,
    "pairwise": Pairwise,
}


@overload
def reward(name: Literal["pairwise"]) -> Pairwise: ...  # type: ignore[overload-overlap] # the only one not callable
@overload
def reward(name: str = "tiered") -> Reward: ...
def reward(name: str = "tiered") -> Scheme:
    """Return the reward scheme called ``name``.

    Parameters
    ----------
    name
        Of one verdict: ``tiered``, ``linear``, ``ssl``, ``binary``, ``forge``, ``ratio_power``. Of a
        verdict or, through `pay`, of a group: ``verpo``, ``base_and_bonus``. Of a group alone: ``pairwise``.

    Returns
    -------
    Scheme
        From `Verdict` to float, None for a verdict that carries an alarm: a pure function, or a new
        object, so that no two trainers share what it remembers.

    Raises
    ------
    ValueError
        If there is no such scheme; the message suggests the nearest.

    Examples
    --------
    >>> reward("linear")(Verdict("feasible", skill=0.5))
    0.475
    >>> reward("tired")
    Traceback (most recent call last):
    ValueError: reward must be one of ['tiered', 'linear', 'ssl', 'binary', 'forge', 'ratio_power', 'verpo',
    'base_and_bonus', 'pairwise'], got 'tired': did you mean 'tiered'?
    """
    check_choice("reward", name, REWARDS)
    found = REWARDS[name]
    return found() if isinstance(found, type) else found
