"""Reward schemes: from a verdict to a float, or None for a verdict that beats a certificate.

``tiered``, the default, pays in classes that never overlap: malformed, infeasible, below the greedy heuristic, above
it in tiers that grow toward the optimum, and the proven optimum alone 1. The tiers follow the idea of progressively
amplified rewards. A slope inside each keeps the order strict, so two answers rank as their objectives do.

A scheme may also look at a whole group of answers; see `GroupScheme` and `forge_gym.training.group_rewards`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .checks import check_choice
from .verdict import Verdict

if TYPE_CHECKING:
    from .instance import Instance
    from .problem import Problem


@dataclass(frozen=True)
class Group:
    """Several whole replies to one instance, such as the rollouts of a prompt, each with its verdict."""

    problem: Problem[Any, Any]
    instance: Instance
    texts: Sequence[str]
    verdicts: Sequence[Verdict]

    def __post_init__(self) -> None:
        if len(self.texts) != len(self.verdicts):
            raise ValueError(f"verdicts must be one per text, got {len(self.verdicts)} for {len(self.texts)} texts")


Reward: TypeAlias = Callable[[Verdict], float | None]
"""A scheme of single verdicts."""


class GroupScheme(Protocol):
    """A scheme that pays the answers of a group together."""

    def group(self, group: Group) -> list[float | None]:
        """Return one reward per answer; None for a verdict that beats a certificate."""
        ...


Scheme: TypeAlias = Reward | GroupScheme


def group_rewards(scheme: Scheme, group: Group) -> list[float | None]:
    """Return the reward of every answer of ``group``, in order.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=5)
    >>> instance, texts = tsp.instance(), ["?", "<answer>[0, 1, 2, 3, 3]</answer>", "?"]
    >>> group = Group(tsp, instance, texts, tsp.verify_many(instance, texts))
    >>> group_rewards(binary, group), group_rewards(forge_gym.reward("pairwise"), group)
    ([0.0, 0.0, 0.0], [-0.5, 1.0, -0.5])
    """
    # By attribute: `isinstance` with a protocol takes 7 us, as much as judging a short answer.
    together: Callable[[Group], list[float | None]] | None = getattr(scheme, "group", None)
    if together is not None:
        return together(group)
    return [scheme(verdict) for verdict in group.verdicts]  # type: ignore[operator] # the other kind of scheme


# The shapes of these constants follow from what they must do, their values are choices of this suite. Bands do not
# overlap; steps between tiers grow (.08 < .12 < .18 < .24 < .33), so that progress near the optimum pays most.

TIER_EDGES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Skill at which each tier starts; the last is the reference."""
TIER_FLOORS = (0.0, 0.08, 0.20, 0.38, 0.62, 0.95)
"""Reward at the start of each tier."""
TIER_SLOPE = 0.5
"""Share of a step that is paid inside the tier, the rest at its edge. Under 1: the order stays strict."""
MALFORMED = -1.0
INFEASIBLE, INFEASIBLE_SPAN = -0.9, 0.5
"""Infeasible answers are paid from -0.9 to below -0.4: more than a malformed one, less than the worst feasible one."""
TRIVIAL, BELOW_TRIVIAL_SPAN = -0.20, 0.05
"""A feasible answer that is worse than trivial loses up to 0.05, however bad it is: far from infeasible."""
UNPROVEN, UNPROVEN_SPAN, UNPROVEN_SCALE = 0.95, 0.049, 0.05
"""An unproven reference is paid 0.95, and what beats it approaches 0.999: only a proof is worth 1."""


def _tiers(skill: float, slope: float = TIER_SLOPE) -> float:
    """Reward of a feasible answer with ``0 <= skill < 1``: in [0, 0.785)."""
    k = bisect_right(TIER_EDGES, skill) - 1
    step = TIER_FLOORS[k + 1] - TIER_FLOORS[k]
    return TIER_FLOORS[k] + slope * step * (skill - TIER_EDGES[k]) / (TIER_EDGES[k + 1] - TIER_EDGES[k])


def _banded(verdict: Verdict, middle: Callable[[float], float]) -> float | None:
    """Class bands common to the tiered, the stepped and the linear scheme; ``middle`` maps skill in [0, 1)."""
    if verdict.beats_bound:
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
    """Like `tiered`, with one straight line from greedy (0) to the reference (0.95) in place of tiers."""
    return _banded(verdict, lambda skill: UNPROVEN * skill)


def stepped(verdict: Verdict) -> float | None:
    """Like `tiered` without the slopes: answers of one tier tie. The ablation of the slope."""
    return _banded(verdict, lambda skill: _tiers(skill, 0.0))


def binary(verdict: Verdict) -> float | None:
    """1 for a feasible answer, else 0: the reward that ignores quality."""
    return None if verdict.beats_bound else float(verdict.feasible)


def np_engine(verdict: Verdict) -> float | None:
    """NP-Engine's published reward: format +1 or -1, plus -1.5 or the ratio to the reference.

    Not bounded by [-1, 1]: malformed -2.5, infeasible -0.5, feasible 1 + ratio, up to 2. Our ratio
    is measured against a certified reference and clipped to 1; the published one was neither.
    """
    if verdict.beats_bound:
        return None
    if verdict.status == "malformed":
        return -2.5
    return 1.0 + verdict.ratio if verdict.feasible else -0.5


def ratio_power(verdict: Verdict) -> float | None:
    """Reward as RLVE pays: the ratio to the reference to the fifth power, malformed -1, infeasible -0.5.

    These are the defaults of most of its environments. Every feasible answer is paid, even the thoughtless
    one; our ratio is measured against a certified reference.

    References
    ----------
    Z. Zeng et al., "RLVE: Scaling Up Reinforcement Learning for Language Models with Adaptive Verifiable
    Environments", arXiv 2511.07317, 2025.
    """
    if verdict.beats_bound:
        return None
    if verdict.status == "malformed":
        return MALFORMED
    return verdict.ratio**5 if verdict.feasible else -0.5


REWARDS: dict[str, Reward | str] = {
    "tiered": tiered,
    "linear": linear,
    "stepped": stepped,
    "binary": binary,
    "np_engine": np_engine,
    "ratio_power": ratio_power,
}
"""Name to scheme; a ``"module:class"`` where a scheme looks at a group, imported when it is first asked for."""


def register_reward(name: str, entry_point: str) -> None:
    """Add the class at ``"module:class"``, a `GroupScheme`, to the schemes that `reward` knows by name."""
    taken = REWARDS.setdefault(name, entry_point)
    if taken != entry_point:
        raise ValueError(f"name must be new, got {name!r}, which stands for {taken}")


def reward(name: str = "tiered") -> Any:
    """Return the reward scheme called ``name``.

    Parameters
    ----------
    name
        Of one verdict: ``tiered``, ``linear``, ``stepped``, ``binary``, ``np_engine``, ``ratio_power``. Of a
        verdict or, through `group_rewards`, of a group: ``verpo``, ``base_and_bonus``. Of a group alone:
        ``pairwise``.

    Returns
    -------
    Reward or GroupScheme
        From `Verdict` to float, None for a verdict that beats a certificate: a pure function, or a new object, so that
        no two trainers share what it remembers.

    Examples
    --------
    >>> reward("linear")(Verdict("feasible", skill=0.5))
    0.475
    >>> reward("tired")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: reward must be one of ['tiered', 'linear', ...], got 'tired': did you mean 'tiered'?
    """
    check_choice("reward", name, REWARDS)
    scheme = REWARDS[name]
    if not isinstance(scheme, str):
        return scheme
    module, _, attribute = scheme.partition(":")
    return getattr(import_module(module), attribute)()


def single_reward(name: str) -> Reward:
    """Return the scheme called ``name`` if it pays a single answer; a ``ValueError`` where it compares answers."""
    scheme: Reward = reward(name)
    if not callable(scheme):
        raise ValueError(
            f"reward must pay a single answer, got {name!r}, which compares the answers of a group: "
            "did you mean 'tiered'?"
        )
    return scheme
