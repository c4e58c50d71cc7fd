"""Runs the attacks of `attacks` against a problem, judging every reply three ways at bounded cost."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..adapters.trl import RewardFunction
from ..core.checks import shorten
from ..core.env import TextEnv
from ..core.problem import Problem
from ..core.rewards import tiered
from ..core.verdict import STATUSES, Verdict
from .attacks import PROBES, ROWS, Case, Outcome, Reply
from .definitions import Definition

SIZES = (0, 3, 7)
"""Levels at which the battery runs."""
MAX_SECONDS = 0.05
"""CPU time within which a reply is judged, whatever it is."""
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
    """CPU seconds of the reply that took longest."""
    faults: list[str] = field(default_factory=list)

    def row(self, label: str, replies: Iterable[Reply]) -> None:
        """Judge the replies of a row."""
        pairs = list(replies)
        if not pairs:
            return
        texts = [text for _, text in pairs]
        self.replies += len(pairs)
        trained = self._by_reward_function(label, texts)
        for (outcome, text), paid in zip(pairs, trained, strict=True):
            for fault in self._judge(outcome, text, paid):
                self.faults.append(f"{label}: {fault}, for the reply {shorten(text, 100)}")

    def _judge(self, outcome: Outcome, text: str, trained: float | None) -> Iterator[str]:
        problem, instance = self.case.problem, self.case.instance
        try:
            verdict = self._timed(text)
        except Exception as error:
            yield f"verify raised {type(error).__name__}: {shorten(str(error))}"
            return
        reward = tiered(verdict)
        if reward is None:
            yield f"accepted with {verdict.objective}, better than the proven optimum {self.case.reference.bound}"
            return
        if not outcome.holds(verdict, reward):
            worth = "" if verdict.objective is None else f" worth {shorten(verdict.objective)}"
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
            yield f"env.step raised {type(error).__name__}: {shorten(str(error))}"
            return
        if (paid, STATUSES[info["status"]], terminated) != (reward, verdict.status, True):
            yield f"verify pays {reward} as {verdict.status}, env.step {paid} as {STATUSES[info['status']]}"
        if len(text) >= _HEAVY:
            yield from self._measured(text)

    def _timed(self, text: str) -> Verdict:
        """Return the verdict; keep the CPU time, the least of three where one is too long for the cap."""
        self.case.reference  # noqa: B018 - solved before the clock starts
        least = float("inf")
        for _ in range(3):
            start = time.process_time()
            verdict = self.case.problem.verify(self.case.instance, text)
            least = min(least, time.process_time() - start)
            if least <= MAX_SECONDS:
                break
        else:
            self.faults.append(f"judging took {least:.3f} s, for the reply {shorten(text, 100)}")
        self.slowest = max(self.slowest, least)
        return verdict

    def _measured(self, text: str) -> Iterator[str]:
        tracemalloc.start()
        self.case.problem.verify(self.case.instance, text)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if peak > MAX_BYTES:
            yield f"judging took {peak / 1e6:.0f} MB"

    def _by_reward_function(self, label: str, texts: list[str]) -> list[float | None]:
        """Return what a trainer's reward function pays for the texts, all rollouts of one group."""
        reward = RewardFunction("tiered", group_size=len(texts))
        completions = [[{"role": "assistant", "content": text}] for text in texts]
        try:
            return reward(
                prompts=[""] * len(texts), completions=completions, spec=[self.case.spec] * len(texts)
            )
        except Exception as error:
            self.faults.append(f"{label}: the reward function raised {type(error).__name__}: {error}")
            return [None] * len(texts)


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
    judge = Judge(case)
    for row in ROWS:
        judge.row(f"row {row.number}, {row.attack}", row.replies(case))
    for probe in PROBES:
        try:
            found = [f"row {probe.number}, {probe.attack}: {fault}" for fault in probe.faults(case)]
        except Exception as error:
            found = [
                f"row {probe.number}, {probe.attack}: {type(error).__name__}: {shorten(str(error), 200)}"
            ]
        judge.faults.extend(found)
    return Result(level, judge.replies, len(PROBES), judge.slowest, tuple(judge.faults))
