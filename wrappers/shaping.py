"""A potential for shaping: what an unfinished solution is worth so far.

References
----------
A. Ng, D. Harada, S. Russell, "Policy invariance under reward transformations: theory and application to reward
shaping", ICML 1999: rewards by the change of a potential leave the best policy as it is.
"""

from __future__ import annotations

from typing import Any

from ..core.instance import Instance
from ..core.reference import BELOW_ONE
from ..core.rewards import Reward
from ..core.verdict import Verdict
from ..kinds import Kind


def potential(problem: Kind[Any, Any], instance: Instance, partial: Any, reward: Reward) -> float:
    """Return the potential of the unfinished solution ``partial``, in the unit of ``reward``.

    Where nothing is missing, it is the reward of the solution itself. Where the share m of a constraint family is
    missing, it is ``reward(g + v - g(m))``: g is greedy's objective, v the objective so far, and g(m) greedy's
    objective when as much was missing. So a beginning that is as good as greedy's has the reward of greedy.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=6)
    >>> _, instance = next(tsp.graded_instances())
    >>> tour, greedy = tsp.reference(instance).solution, tsp.heuristic(instance)
    >>> [round(potential(tsp, instance, tour[:k], forge_gym.reward("linear")), 2) for k in range(1, 7)]
    [0.0, -0.24, -0.25, -0.24, -0.25, 1.0]
    >>> {potential(tsp, instance, greedy[:k], forge_gym.reward("linear")) for k in range(1, 7)}
    {0.0}
    """
    missing = problem.missing(instance, partial)
    if missing == 0.0:
        return reward(problem.verify_solution(instance, partial)) or 0.0
    reference = problem.reference(instance)
    ahead = float(problem.objective(instance, partial)) - problem.greedy_value_at(instance, missing)
    value: Any = float(reference.greedy) + ahead
    quality, skill, ratio = reference.scaled(value)
    skill = min(BELOW_ONE, skill)  # an unfinished solution is never the optimum
    return reward(Verdict("feasible", objective=value, quality=quality, skill=skill, ratio=ratio)) or 0.0
