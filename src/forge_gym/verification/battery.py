"""Runs the attacks of `attacks` and `probes` against a problem, judging every reply three ways at bounded cost."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..core.checks import short_repr
from ..core.env import TextEnv
from ..core.problem import Problem
from ..core.rewards import tiered
from ..core.verdict import STATUSES
from ..training.reward_function import RewardFunction
from .attacks import MAX_SECONDS, ROWS, Case, Outcome, Row, timed
from .definitions import Definition
from .probes import PROBES, Probe

SIZES = (0, 3, 7)
"""Levels at which the battery runs."""
MAX_BYTES = 50 * 10**6
"""Memory that judging a reply may take beyond the reply itself."""
_HEAVY = 10_000
"""Replies from so many characters on have their memory measured."""


@dataclass
class Battery:
    """What the battery found at one size: it judges each reply three ways, and keeps what is wrong."""

    case: Case
    replies: int = 0
    slowest: float = 0.0
    """CPU seconds of the reply that took longest, of those under the usual cap."""
    faults: list[str] = field(default_factory=list)

    def row(self, row: Row) -> None:
        """Judge the replies of a row."""
        pairs = list(row.replies(self.case))
        self.replies += len(pairs)
        if not pairs:
            return
        # What a trainer's reward function pays for them, all rollouts of one group.
        reward = RewardFunction("tiered", group_size=len(pairs))
        completions = [[{"role": "assistant", "content": text}] for _, text in pairs]
        trained = reward(completions=completions, spec=[self.case.spec] * len(pairs))
        for (outcome, text), paid in zip(pairs, trained, strict=True):
            self.faults += (
                f"row {row.number}, {row.attack}: {fault}, for the reply {short_repr(text, 100)}"
                for fault in self._judge(row, outcome, text, paid)
            )

    def probe(self, probe: Probe) -> None:
        """Look for what a policy or an episode does wrong."""
        try:
            faults = list(probe.faults(self.case))
        except Exception as error:
            faults = [f"{type(error).__name__}: {short_repr(str(error), 200)}"]
        self.faults += (f"row {probe.number}, {probe.attack}: {fault}" for fault in faults)

    def _judge(self, row: Row, outcome: Outcome, text: str, trained: float | None) -> Iterator[str]:
        problem, instance = self.case.problem, self.case.instance
        try:
            verdict, spent = timed(problem, instance, text, row.seconds)
        except Exception as error:
            yield f"verify raised {type(error).__name__}: {short_repr(str(error))}"
            return
        if spent > row.seconds:
            yield f"judging took {spent:.3f} s of CPU, more than {row.seconds}"
        if row.seconds == MAX_SECONDS:
            self.slowest = max(self.slowest, spent)
        reward = tiered(verdict)
        if reward is None:
            yield f"accepted with {verdict.objective}, better than the proven optimum {self.case.reference.bound}"
            return
        if not outcome.met(verdict):
            worth = "" if verdict.objective is None else f" worth {short_repr(verdict.objective)}"
            yield f"must be {outcome.required}, got {verdict.status}{worth} at {reward:.3f} ({verdict.reason})"
        if not -1 <= reward <= 1:
            yield f"the reward is in [-1, 1], got {reward}"
        if trained != reward:
            yield f"verify pays {reward}, the TRL reward function {trained}"
        if len(verdict.reason) > 300:
            yield f"a reason has at most 300 characters, got {len(verdict.reason)}"
        env = TextEnv(problem)
        env.reset(options={"instance": instance})
        try:
            _, paid, terminated, _, info = env.step(text)
        except Exception as error:
            yield f"env.step raised {type(error).__name__}: {short_repr(str(error))}"
            return
        if (paid, STATUSES[info["status"]], terminated) != (reward, verdict.status, True):
            yield f"verify pays {reward} as {verdict.status}, env.step {paid} as {STATUSES[info['status']]}"
        if len(text) >= _HEAVY:
            tracemalloc.start()
            problem.verify(instance, text)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            if peak > MAX_BYTES:
                yield f"judging took {peak / 1e6:.0f} MB"


def run(problem: Problem[Any, Any], definition: Definition, level: int | None = None) -> Battery:
    """Run the whole battery against ``problem``, at ``level`` or with its own parameters.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.verification.definitions import tsp
    >>> run(forge_gym.problem("TSP"), tsp).faults
    []
    """
    battery = Battery(Case(problem if level is None else problem.at_level(level), definition))
    logger = logging.getLogger(RewardFunction.__module__)
    logger.disabled = True  # it would log what is reported here
    try:
        for row in ROWS:
            battery.row(row)
        for probe in PROBES:
            battery.probe(probe)
    finally:
        logger.disabled = False
    return battery
