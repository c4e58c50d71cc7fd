"""What is drawn in bulk is distributed as one by one: against probabilities from the definitions."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from math import comb, sqrt
from typing import Any

import numpy as np
import pytest

from forge_gym.envs.meeting_scheduling import MeetingScheduling
from forge_gym.envs.set_cover import SetCover
from forge_gym.envs.tsp import TSP

FIRST, QUARTERS = 9 * 4, 8 * 4
"""The first quarter of an hour of a working day, and how many it has."""


def covered(begin: int, length: int) -> np.ndarray[Any, Any]:
    quarters = np.arange(QUARTERS)
    return (begin <= quarters) & (quarters < begin + length)


def shares_free(distribution: str) -> np.ndarray[Any, Any]:
    """Return the probability that a person is free in each quarter."""
    if distribution == "scattered":  # six ends inside the day: free where an even number of them has gone by
        inside = QUARTERS - 1
        return np.array(
            [sum(comb(q, k) * comb(inside - q, 6 - k) for k in (0, 2, 4, 6)) / comb(inside, 6) for q in range(QUARTERS)]
        )
    lunch = np.mean([covered(begin, 4) for begin in range(10, 15)], axis=0)
    begins = [(begin, length) for begin in range(QUARTERS) for length in range(2, 7)]
    appointment = np.mean([covered(*one) for one in begins], axis=0)
    return (1 - lunch) * (1 - appointment) ** 2


@pytest.mark.parametrize("distribution", ["office", "scattered", "crowded"])
def test_people_of_meetings(distribution: str) -> None:
    problem, expected, free, invited, durations = (
        MeetingScheduling(n=40, distribution=distribution),
        shares_free(distribution),
        np.zeros(QUARTERS),
        np.zeros(60),
        Counter[int](),
    )
    for seed in range(60):
        instance = problem.instance(seed)
        for intervals in instance.availability:
            for start, end in intervals:
                free[start // 15 - FIRST : end // 15 - FIRST] += 1
        for duration, people in instance.meetings:
            durations[duration] += 1
            invited[list(people)] += 1
            start_exists = [
                sum(1 for a, b in chain(*[instance.availability[p] for p in people]) if a <= t and t + duration <= b)
                for t in range(FIRST * 15, (FIRST + QUARTERS) * 15, 15)
            ]
            assert max(start_exists) == len(people)  # there is a time for all
        assert max(instance.rooms) == 6 and min(instance.rooms) >= 3
    people = 60 * 60
    assert (abs(free / people - expected) <= 5 * np.sqrt(expected * (1 - expected) / people)).all()
    assert abs(invited / invited.mean() - 1).max() < 0.4  # everybody's number is as good as another
    assert all(durations[short] > durations[120] for short in (30, 45))  # long ones find too short an interval


def test_elements_of_covers() -> None:
    """Subsets are uniform: each pair of elements is in as many as of independent draws without replacement."""
    cover, counts = SetCover(n=200, elements=16, members=4, distribution="uniform"), np.zeros((16, 16))
    for seed in range(40):
        for subset in cover.instance(seed).subsets:
            counts[np.ix_(subset, subset)] += 1
    single, double = 8000 * 4 / 16, 8000 * comb(4, 2) / comb(16, 2)
    assert (abs(np.diag(counts) - single) < 4.5 * sqrt(single)).all()
    assert (abs(counts[~np.eye(16, dtype=bool)] - double) < 4.5 * sqrt(double)).all()


def test_points_of_a_lattice() -> None:
    counts = Counter[tuple[int, int]]()
    first = Counter[tuple[int, int]]()
    for seed in range(4000):
        points = TSP(n=8, grid=4).instance(seed).xy
        counts.update(points)
        first.update(points[:1])
    assert len(counts) == 16 and abs(np.array([*counts.values()]) - 2000).max() < 4.5 * sqrt(1000)
    assert abs(np.array([*first.values()]) - 250).max() < 4.5 * sqrt(250)
