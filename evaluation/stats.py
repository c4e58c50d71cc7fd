"""Bootstrap intervals of means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..core.checks import check_int


class Estimate(NamedTuple):
    """A mean with its 95 % bootstrap interval."""

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
    means = np.concatenate(
        [
            data[rng.integers(len(data), size=(rows, len(data)))].mean(axis=1)
            for rows in np.diff(np.linspace(0, resamples, 1 + -(-resamples // 200)).astype(int)).tolist()
        ]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(data.mean()), float(low), float(high))
