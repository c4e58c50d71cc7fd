"""What verdicts are worth: means with intervals, unbiased estimates over several samples, paired comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import comb, sqrt
from typing import Any, NamedTuple

import numpy as np

from ..core.checks import check_int
from ..core.verdict import METRICS, STATUSES, Verdict
from ..data.published import published_scores
from ..data.rows import Asked, Row

_Z = 1.959964
"""The standard normal's 97.5 % quantile."""
RESAMPLES, BLOCK = 2000, 10**6
"""Bootstrap samples, and how many values are drawn at a time, so that memory stays small."""
PUBLISHED_K = 3
"""The published metric takes the best of three samples."""
COMPARED = ("quality", "skill", "success")
"""The metrics of a comparison."""

GROUPINGS: dict[str, Callable[[Row | Asked], str]] = {
    "overall": lambda row: "overall",
    "problem": lambda row: row.problem.name,
    "family": lambda row: f"family {row.problem.family}",
    "distribution": lambda row: f"{row.problem.name} {row.distribution}",
    "level": lambda row: "no level" if row.level < 0 else f"level {row.level}",
}
"""Ways to group rows: the name of each, and what the group of a row is called."""


def groups(rows: Sequence[Row | Asked], by: str) -> dict[str, list[int]]:
    """Return the positions of the rows of each group; ``by`` is a key of `GROUPINGS`."""
    positions: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        positions.setdefault(GROUPINGS[by](row), []).append(i)
    return positions


class Estimate(NamedTuple):
    """A mean or a share with its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[float], seed: int = 0) -> Estimate:
    """Return the mean of ``values`` with its percentile bootstrap interval at 95 %.

    Parameters
    ----------
    values
        (n,) one number per instance; instances are what is resampled. For a paired comparison pass the differences.
    seed
        Of the resampling; the same values and seed give the same interval.

    Raises
    ------
    ValueError
        If there are no values.

    References
    ----------
    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Examples
    --------
    >>> bootstrap([1.0, 1.0, 1.0])
    Estimate(mean=1.0, low=1.0, high=1.0)
    """
    if not len(values):
        raise ValueError("values must hold at least one number, got none")
    data = np.asarray(values, dtype=float)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    step = max(1, BLOCK // len(data))  # of any size: the numbers drawn are the same
    sizes = [min(step, RESAMPLES - done) for done in range(0, RESAMPLES, step)]
    means = [data[rng.integers(len(data), size=(size, len(data)))].mean(axis=1) for size in sizes]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Estimate(float(data.mean()), float(low), float(high))


def wilson(count: int, total: int) -> Estimate:
    """Return the share ``count / total`` with its Wilson score interval at 95 %.

    Unlike a bootstrap, the interval has a width where all or none of a few trials succeed.

    Raises
    ------
    ValueError
        If there are no trials, or not 0 to ``total`` successes.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22, 1927, pages 209-212.

    Examples
    --------
    >>> [round(number, 3) for number in wilson(0, 16)]
    [0.0, 0.0, 0.194]
    """
    total = check_int("total", total, 1)
    count = check_int("count", count, 0, total)
    share, weight = count / total, _Z**2 / total
    centre = share + weight / 2
    spread = _Z * sqrt((share * (1 - share) + weight / 4) / total)
    low, high = (centre - spread) / (1 + weight), (centre + spread) / (1 + weight)
    # The ends are exact, where rounding is not.
    return Estimate(share, low if count else 0.0, high if count < total else 1.0)


def best_of(values: Sequence[float], k: int) -> float:
    """Return the unbiased estimate of the expected best of ``k`` samples, from at least ``k`` of them.

    The mean over all k-subsets of their maximum: sum over i >= k of C(i-1, k-1) x_(i) / C(n, k). Of
    zeros and ones this is the usual pass@k.

    Raises
    ------
    ValueError
        If there are fewer than ``k`` values.

    Examples
    --------
    >>> best_of([0, 1, 0, 0], k=1), best_of([0, 1, 0, 0], k=2)
    (0.25, 0.5)
    """
    k = check_int("k", k, 1)
    if len(values) < k:
        raise ValueError(f"values must hold at least k={k} numbers, got {len(values)}")
    ranked = enumerate(sorted(values), 1)
    return float(sum(comb(i - 1, k - 1) * x for i, x in ranked if i >= k) / comb(len(values), k))


def brief(verdict: Verdict) -> Verdict:
    """Return a verdict without solution and words: all that tables need, and small.

    Examples
    --------
    >>> brief(Verdict("malformed", "it has no number")) == Verdict("malformed")
    True
    """
    wordless = tuple(replace(violation, reason="") for violation in verdict.violations)
    return verdict._replace(reason="", violations=wordless, solution=None)


@dataclass(frozen=True)
class Evaluation:
    """The verdicts of one agent on rows."""

    agent: str
    rows: tuple[Asked, ...]
    verdicts: tuple[tuple[Verdict, ...], ...]
    """For each row the kept verdict of every sample, all the same number; without solutions and words, see `brief`."""

    @property
    def samples(self) -> int:
        """Answers per row."""
        return len(self.verdicts[0])

    def values(self, metric: str, group: Sequence[int] | None = None, k: int = 1) -> list[float]:
        """Return one number per row: the expected best of ``k`` samples; with ``k=1`` the mean of all samples.

        Parameters
        ----------
        metric
            A key of `METRICS`.
        group
            Positions of rows, see `groups`; all by default.
        k
            Samples of which the best counts, at most `samples`.
        """
        chosen = range(len(self.rows)) if group is None else group
        return [best_of([METRICS[metric](verdict) for verdict in self.verdicts[i]], k) for i in chosen]

    def estimate(self, metric: str, group: Sequence[int] | None = None, k: int = 1) -> Estimate:
        """Return the mean of `values` with its 95 % bootstrap interval."""
        return bootstrap(self.values(metric, group, k))

    def published(self) -> dict[str, dict[str, float]]:
        """Return the published success rate and quality ratio; see `published_scores`."""
        return published_scores(self.rows, [samples[:PUBLISHED_K] for samples in self.verdicts])

    def to_dict(self) -> dict[str, Any]:
        """Return all groups and the published metric as JSON-ready data."""
        return {
            "agent": self.agent,
            "samples": self.samples,
            "groups": {
                label: self._group_to_dict(group) for by in GROUPINGS for label, group in groups(self.rows, by).items()
            },
            "published": self.published(),
        }

    def _group_to_dict(self, group: Sequence[int]) -> dict[str, Any]:
        statuses = [verdict.status for i in group for verdict in self.verdicts[i]]
        data: dict[str, Any] = {
            "instances": len(group),
            "status": {status: statuses.count(status) for status in STATUSES},
        }
        for k in dict.fromkeys((1, self.samples)):
            for metric in METRICS:
                label = metric if k == 1 else f"{metric} best@{k}"
                data[label] = self.estimate(metric, group, k)._asdict()
        return data


class Difference(NamedTuple):
    """One evaluation minus another on the same rows."""

    estimates: dict[str, Estimate]
    """Mean of the paired differences for each metric of `COMPARED`, with its bootstrap interval."""
    wins: int
    ties: int
    losses: int
    """Rows on which the one has more quality than the other, as much, and less."""

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON-ready data."""
        estimates = {metric: estimate._asdict() for metric, estimate in self.estimates.items()}
        return {**estimates, "wins": self.wins, "ties": self.ties, "losses": self.losses}


def compare(one: Evaluation, other: Evaluation) -> dict[str, Difference]:
    """Return what ``one`` has more than ``other``, for each problem and overall, row by row.

    What makes an instance hard is hard for both agents, so the paired interval is narrower than two intervals of means.

    Raises
    ------
    ValueError
        If the two are not of the same rows.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.agents import make_agent
    >>> from forge_gym.evaluation.evaluate import evaluate, held_out
    >>> tsp = forge_gym.problem("TSP", n=8)
    >>> greedy, exact = (evaluate(make_agent(name), tsp, held_out(tsp, 20)) for name in ("greedy", "exact"))
    >>> found = compare(exact, greedy)["overall"]
    >>> found.estimates["skill"], found.wins
    (Estimate(mean=1.0, low=1.0, high=1.0), 20)
    """
    ids = [[(row.id, row.hash) for row in evaluation.rows] for evaluation in (one, other)]
    if ids[0] != ids[1]:
        raise ValueError(f"a comparison must be of the same rows, got others of {one.agent} than of {other.agent}")
    found = {}
    for by in ("problem", "overall"):
        for label, group in groups(one.rows, by).items():
            gains = {metric: np.subtract(one.values(metric, group), other.values(metric, group)) for metric in COMPARED}
            signs = np.sign(gains["quality"]).tolist()
            estimates = {metric: bootstrap(values.tolist()) for metric, values in gains.items()}
            found[label] = Difference(estimates, *(signs.count(sign) for sign in (1, 0, -1)))
    return found
