"""Evaluate an agent on a suite, and score it two ways: ours and as published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..agents.agent import Agent, AsyncAgent
from ..core.verdict import METRICS, STATUSES, Verdict
from ..data.published import published_scores
from ..data.suite import Row
from .evaluate import kept_verdicts
from .stats import Estimate, best_of, bootstrap

PUBLISHED_K = 3
"""The published metric takes the best of three samples."""


@dataclass(frozen=True)
class SuiteEvaluation:
    """The verdicts of one agent on the rows of a suite."""

    agent: str
    rows: tuple[Row, ...]
    verdicts: tuple[tuple[Verdict, ...], ...]
    """For each row the kept verdict of every sample."""

    @property
    def samples(self) -> int:
        """Answers per row."""
        return len(self.verdicts[0])

    def groups(self) -> dict[str, list[int]]:
        """Return the positions of the rows of every problem, family, distribution and level, and of all."""
        return groups(self.rows)

    def estimate(self, metric: str, group: Sequence[int], k: int = 1) -> Estimate:
        """Return the mean over a group of the best of ``k`` samples, with its interval; ``k=1`` is the mean."""
        return bootstrap([best_of([METRICS[metric](v) for v in self.verdicts[i]], k) for i in group])

    def to_dict(self) -> dict[str, Any]:
        """Return both reports as JSON-ready data."""
        k = self.samples
        reports = {}
        for label, group in self.groups().items():
            statuses = [verdict.status for i in group for verdict in self.verdicts[i]]
            reports[label] = {
                "instances": len(group),
                "status": {status: statuses.count(status) for status in STATUSES},
                **{metric: self.estimate(metric, group)._asdict() for metric in METRICS},
            }
            if k > 1:
                for metric in METRICS:
                    reports[label][f"{metric} best@{k}"] = self.estimate(metric, group, k)._asdict()
        return {
            "agent": self.agent,
            "samples": self.samples,
            "groups": reports,
            "published": self.published(),
        }

    def published(self) -> dict[str, dict[str, float]]:
        """Return the published success rate and quality ratio; see `published_scores`."""
        return published_scores(self.rows, [samples[:PUBLISHED_K] for samples in self.verdicts])


def groups(rows: Sequence[Row]) -> dict[str, list[int]]:
    """Return the positions of the rows of every problem, family, distribution and level, and of all."""
    positions: dict[str, list[int]] = {}
    for label in (
        lambda row: row.problem.name,
        lambda row: f"family {row.problem.family}",
        lambda row: f"{row.problem.name} {row.distribution}",
        lambda row: "imported" if row.level is None else f"level {row.level}",
        lambda row: "overall",
    ):
        for i, row in enumerate(rows):
            positions.setdefault(label(row), []).append(i)
    return positions


def evaluate_suite(
    agent: Agent | AsyncAgent,
    rows: Sequence[Row],
    *,
    turns: int = 1,
    samples: int = 1,
    reward: str = "tiered",
    progress: Callable[[int], object] = lambda done: None,
) -> SuiteEvaluation:
    """Let ``agent`` answer every row ``samples`` times; see `evaluate` for the parameters."""
    asked = ((row.problem, row.use()) for row in rows)
    verdicts = kept_verdicts(agent, asked, turns=turns, samples=samples, reward=reward, progress=progress)
    return SuiteEvaluation(agent.name, tuple(rows), verdicts)
