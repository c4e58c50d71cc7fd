"""Intervals of means and of shares, and unbiased estimates over several samples."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from typing import NamedTuple

import numpy as np

from ..core.checks import check_int

_Z = 1.959964
"""The standard normal's 97.5 % quantile."""


class Estimate(NamedTuple):
    """A mean or a share with its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(values: Sequence[float], resamples: int = 2000, seed: int = 0) -> Estimate:
    """Return the mean of ``values`` with its percentile bootstrap interval at 95 %.

    Parameters
    ----------
    values
        (n,) one number per instance; instances are what is resampled. For a paired comparison pass
        the differences.
    resamples
        Number of bootstrap samples.
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
    check_int("resamples", resamples, 1)
    data = np.asarray(values, dtype=float)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    means = [
        data[rng.integers(len(data), size=(min(200, resamples - done), len(data)))].mean(axis=1)
        for done in range(0, resamples, 200)  # in blocks, so that memory stays small
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return Estimate(float(data.mean()), float(low), float(high))


def wilson(count: int, total: int) -> Estimate:
    """Return the share ``count / total`` with its Wilson score interval at 95 %.

    Unlike a bootstrap, the interval has a width where all or none of a few trials succeed.

    Parameters
    ----------
    count, total
        Successes among so many independent trials.

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
    check_int("total", total, 1)
    check_int("count", count, 0, total)
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
    check_int("k", k, 1)
    if len(values) < k:
        raise ValueError(f"values must hold at least k={k} numbers, got {len(values)}")
    ranked = enumerate(sorted(values), 1)
    return float(sum(comb(i - 1, k - 1) * x for i, x in ranked if i >= k) / comb(len(values), k))
