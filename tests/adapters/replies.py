"""What every adapter is tried on: replies of all sorts to one instance, what they are worth, and a failing verifier."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

import forge_gym
from forge_gym.core.rewards import REWARDS

ALONE = [name for name, scheme in REWARDS.items() if not isinstance(scheme, str)]
"""Schemes that look at the verdict alone."""
NUMBERS = ["score", "quality", "skill", "ratio", "credit", "feasible", "malformed", "optimal"]
"""The keys of `Episode.numbers`."""
SCRIPT = "needs {0}: python tests/adapters/contracts.py {0}"
"""Why a test skips."""
HUGE = [
    "\ud800<answer>[0, 1, 2]</answer>\udfff",
    "<answer>" * 1_250_000,
    "<answer>" + "9" * 10_000_000 + "</answer>",
    "<answer>" + "[" * 10_000_000 + "</answer>",
    "\x00" * 10_000_000,
]
"""Texts that no model should say."""


class Asked(NamedTuple):
    """A graded instance, and replies to it by what they are."""

    problem: Any
    instance: Any
    spec: str
    replies: dict[str, str]

    def paid(self, reply: str, scheme: str = "tiered") -> float:
        """Return what a scheme pays for a reply alone."""
        reward = forge_gym.reward(scheme)(self.problem.verify(self.instance, reply))
        assert reward is not None
        return float(reward)


@cache
def asked(name: str = "TSP", seed: int = 5, level: int | None = 1) -> Asked:
    """Return the first graded instance of a stream, with its replies."""
    problem = forge_gym.problem(name, level=level)
    index, instance = next(problem.graded_instances(seed))
    solutions = {
        "empty list": problem.null_answers(instance)[0],
        "infeasible": problem.null_answers(instance)[1],
        "random": problem.random(instance, np.random.default_rng(0)),
        "trivial": problem.trivial(instance),
        "greedy": problem.heuristic(instance),
        "optimal": problem.reference(instance).solution,
    }
    texts = {kind: problem.format(instance, solution) for kind, solution in solutions.items()}
    odd = {
        "prose": "no idea",
        "empty": "",
        "surrogate": "<answer>[\ud800]</answer>",
        "twice": texts["optimal"] * 2,
    }
    return Asked(problem, instance, problem.spec(seed, index), odd | texts)


def raise_alarms(monkeypatch: pytest.MonkeyPatch, problem: Any) -> None:
    """Have every verdict say that the answer beats the certificate."""
    verify = type(problem).verify

    def alarm(*given: Any) -> Any:
        verdict = verify(*given)
        return type(verdict)(verdict.status, objective=verdict.objective, beats_bound=True)

    monkeypatch.setattr(type(problem), "verify", alarm)
