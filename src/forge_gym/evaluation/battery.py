"""Runs the attacks of `attacks` and `probes` against a problem, judging every reply three ways at bounded cost."""

from __future__ import annotations

import logging
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..core.checks import short_repr
from ..core.env import TextEnv
from ..core.problem import Problem
from ..core.rewards import tiered
from ..core.verdict import STATUSES, Verdict
from ..training.reward_function import RewardFunction
from .attacks import MAX_SECONDS, ROWS, Case, Outcome, Row
from .definitions import Definition
from .probes import PROBES, Probe

SIZES = (0, 3, 7)
"""Levels at which the battery runs."""
MAX_BYTES = 50 * 10**6
"""Memory that judging a reply may take beyond the reply itself."""
_HEAVY = 10_000
"""Replies from so many characters on have their memory measured."""


@dataclass
class Judge:
    """Judges replies to a case three ways, and keeps what is wrong."""

    case: Case
    replies: int = 0
    slowest: float = 0.0
    """CPU seconds of the reply that took longest, of those under the usual cap."""
    faults: list[str] = field(default_factory=list)

    def row(self, row: Row) -> None:
        """Judge the replies of a row."""
        pairs = list(row.replies(self.case))
        self.replies += len(pairs)
        trained = self._by_reward_function([text for _, text in pairs])
        for (outcome, text), paid in zip(pairs, trained, strict=True):
            for fault in self._judge(row, outcome, text, paid):
                self.faults.append(
                    f"row {row.number}, {row.attack}: {fault}, for the reply {short_repr(text, 100)}"
                )

    def _judge(self, row: Row, outcome: Outcome, text: str, trained: float | None) -> Iterator[str]:
        problem, instance = self.case.problem, self.case.instance
        try:
            verdict, spent = self._timed(text, row.seconds)
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
        if not outcome.holds(verdict, reward):
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
            yield from self._measured(text)

    def _timed(self, text: str, cap: float) -> tuple[Verdict, float]:
        """Return the verdict and the CPU time, the least of three where that is above the cap."""
        least = float("inf")
        for _ in range(3):
            start = time.process_time()
            verdict = self.case.problem.verify(self.case.instance, text)
            least = min(least, time.process_time() - start)
            if least <= cap:
                break
        return verdict, least

    def _measured(self, text: str) -> Iterator[str]:
        tracemalloc.start()
        self.case.problem.verify(self.case.instance, text)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if peak > MAX_BYTES:
            yield f"judging took {peak / 1e6:.0f} MB"

    def _by_reward_function(self, texts: list[str]) -> list[float | None]:
        """Return what a trainer's reward function pays for the texts, all rollouts of one group."""
        if not texts:
            return []
        reward = RewardFunction("tiered", group_size=len(texts))
        completions = [[{"role": "assistant", "content": text}] for text in texts]
        return reward(prompts=[""] * len(texts), completions=completions, spec=[self.case.spec] * len(texts))


@dataclass(frozen=True)
class Result:
    """What the battery found at one size."""

    level: int | None
    replies: int
    probes: int
    slowest: float
    """CPU seconds of the slowest reply."""
    faults: tuple[str, ...]


def run(problem: Problem[Any, Any], definition: Definition, level: int | None = None) -> Result:
    """Run the whole battery against ``problem``, at ``level`` or with its own parameters.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.evaluation.definitions import tsp
    >>> run(forge_gym.problem("TSP"), tsp).faults
    ()
    """
    case = Case(problem if level is None else problem.at_level(level), definition)
    case.reference  # noqa: B018 - solved before any clock starts
    judge = Judge(case)
    with _quiet():
        for row in ROWS:
            judge.row(row)
        for probe in PROBES:
            judge.faults += (f"row {probe.number}, {probe.attack}: {fault}" for fault in _probed(probe, case))
    return Result(level, judge.replies, len(PROBES), judge.slowest, tuple(judge.faults))


def _probed(probe: Probe, case: Case) -> list[str]:
    try:
        return list(probe.faults(case))
    except Exception as error:
        return [f"{type(error).__name__}: {short_repr(str(error), 200)}"]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the reward function from logging what the battery reports itself."""
    logger = logging.getLogger(RewardFunction.__module__)
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False
