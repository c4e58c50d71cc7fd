"""Seeds and indices name different instances, whatever their size, and splits share none, whatever their numbers."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forge_gym
from cases import PROBLEMS, every_problem
from forge_gym.agents.agent import Task
from forge_gym.agents.controls import _generator
from forge_gym.core.parameters import choices
from forge_gym.core.problem import FEW_BITS, Problem, has_few_shapes, splitter
from forge_gym.core.registry import problem_class
from forge_gym.core.seeding import SEEDING_VERSION, SPLITS, generator, instance_generator, split_of, stream_of
from forge_gym.training.curriculum import Curriculum
from forge_gym.training.demonstrations import Demonstrations
from forge_gym.wrappers.episode import episode_generator

STREAM = stream_of("TSP", 0, {})
COLLIDED = (5 + 7 * 2**32, 9), (5, 7 + 9 * 2**32)
"""Two names that NumPy's own way from integers to words would take for one."""
words = st.lists(st.sampled_from([0, 1, 2, 3, 2**32 - 1]) | st.integers(0, 2**32 - 1), min_size=1, max_size=5)
numbers = words.map(lambda low_first: sum(word << 32 * i for i, word in enumerate(low_first)))
streams = st.sampled_from([stream_of("TSP", 0, {}), stream_of("TSP", 0, {"n": 5}), stream_of("TSP", 1, {}), bytes(32)])
names = st.tuples(streams, numbers, numbers, st.sampled_from(SPLITS))


def entropy(rng: np.random.Generator) -> bytes:
    """Return the bits that a generator was made from."""
    seeds: Any = rng.bit_generator.seed_seq
    digest: bytes = seeds.digest
    return digest


@given(names, names)
def test_no_two_names_share_their_random_numbers(one: Any, other: Any) -> None:
    rngs = [instance_generator(*name) for name in (one, other)]
    assert (entropy(rngs[0]) == entropy(rngs[1])) == (one == other)
    assert (rngs[0].integers(2**63) == rngs[1].integers(2**63)) == (one == other)


@given(st.lists(numbers, min_size=1, max_size=3), st.lists(numbers, min_size=1, max_size=3))
def test_numbers_are_told_apart(one: list[int], other: list[int]) -> None:
    assert (entropy(generator(STREAM, *one)) == entropy(generator(STREAM, *other))) == (one == other)


def test_the_scheme_is_that_of_this_version() -> None:
    """A BLAKE2b hash of the numbers, in hexadecimal, whose key is the stream's, seeds a PCG64."""
    hashed = hashlib.blake2b(b"2,7,2540be400,", digest_size=32, key=STREAM).digest()
    rng = instance_generator(STREAM, 7, 10**10, "test")
    assert SEEDING_VERSION == 2 and entropy(rng) == hashed
    assert rng.integers(2**63, size=2).tolist() == [5031870720721868649, 168546907846044816]


def test_generators_are_independent_of_each_other() -> None:
    """Whoever draws from several in turn, or makes new ones in between, gets from each what it gives alone."""
    alone = [instance_generator(STREAM, seed, 0, "train").random(20).tolist() for seed in range(3)]
    rngs = [instance_generator(STREAM, seed, 0, "train") for seed in range(3)]
    assert list(map(list, zip(*[[rng.random() for rng in rngs] for _ in range(20)], strict=True))) == alone
    assert pickle.loads(pickle.dumps(rngs[0])).random() == copy.deepcopy(rngs[0]).random() == rngs[0].random()


@pytest.mark.parametrize("count", [10**5, pytest.param(10**6, marks=pytest.mark.slow)])
def test_first_draws_of_many_seeds_look_random(count: int) -> None:
    """No two are equal, and those of neighbouring seeds, indices, splits and streams are uncorrelated."""
    side = math.isqrt(count)
    others = [(STREAM, "test"), (stream_of("TSP", 1, {}), "train")]
    grid = np.array(
        [[instance_generator(STREAM, seed, index, "train").random() for index in range(side)] for seed in range(side)]
    )
    assert len(np.unique(grid)) == side * side
    pairs = [(grid[1:], grid[:-1]), (grid[:, 1:], grid[:, :-1])]
    for stream, split in others:
        drawn = np.array([instance_generator(stream, seed, 0, split).random() for seed in range(side)])
        pairs.append((drawn, grid[:, 0]))
    for one, other in pairs:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / math.sqrt(one.size)
    counts = np.bincount((grid.ravel() * 1000).astype(int), minlength=1000)
    assert abs(((counts - counts.mean()) ** 2).sum() / counts.mean() - 999) < 4 * math.sqrt(2 * 999)


@pytest.mark.parametrize("bad", [-1, -(2**40), 1.0, "1", None, True])
@pytest.mark.parametrize("argument", ["seed", "index"])
def test_other_seeds_are_refused(argument: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=f"{argument} must be an integer"):
        forge_gym.problem("TSP").instance(**{argument: bad})
    with pytest.raises(ValueError, match="must not be negative"):
        generator(STREAM, -1, 2**40)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64])
def test_integers_of_numpy_name_what_others_name(kind: Any) -> None:
    assert entropy(generator(STREAM, kind(7), kind(3))) == entropy(generator(STREAM, 7, 3))


def _of_a_demonstration(seed: int, index: int) -> Any:
    stream = Demonstrations([forge_gym.problem("TSP", n=12)], mix={"random": 1}, seed=seed).stream(index)
    return next(stream).reply


def _of_a_control(seed: int, index: int) -> Any:
    tsp = forge_gym.problem("TSP")
    return entropy(_generator(seed, Task(tsp, tsp.instance(), (), index)))


def _of_a_wrapper(seed: int, index: int) -> Any:
    return entropy(episode_generator("Relabel", {"seed": seed, "index": index}))


def _of_a_data_set(seed: int, index: int) -> Any:
    return forge_gym.dataset("TSP", levels=2, size=2**32, seed=seed)[index % 2**32]["prompt"]


@pytest.mark.parametrize("drawn", [_of_a_demonstration, _of_a_control, _of_a_wrapper, _of_a_data_set])
def test_nothing_else_mixes_seeds_up(drawn: Callable[[int, int], Any]) -> None:
    (seed, index), other = COLLIDED
    pairs = [COLLIDED[0], other, (seed, index + 1), (index, seed), (5, 9), (5, 5 + 2**32 * 4)]
    assert len({drawn(*pair) for pair in pairs}) == len(pairs)


def test_a_curriculum_knows_seed_and_split_apart() -> None:
    """The seed's second word was taken for the split."""
    tsp = forge_gym.problem("TSP")
    pairs = [(5, "validation"), (5 + 2**32, "train"), (5, "train"), (5 + 2**33, "train"), (5, "test")]
    drawn = [Curriculum(tsp, seed=seed, split=split)._rng.integers(2**63) for seed, split in pairs]
    assert len(set(drawn)) == len(pairs)


def test_rows_of_a_data_set_are_of_its_own_seed() -> None:
    """Row 7 of seed 0 was the first instance of seed 7."""
    rows = [forge_gym.dataset("TSP", size=8, seed=seed) for seed in range(8)]
    specs = [json.loads(row["spec"]) for data in rows for row in data]
    assert [spec["seed"] for spec in specs] == [seed for seed in range(8) for _ in range(8)]
    assert len({row["prompt"] for data in rows for row in data}) == 64


# ---------------------------------------------------------------------------------------- shapes


def shape(instance: Any) -> str:
    return json.dumps(instance.isomorphism_key())


def ladder(name: str) -> Iterator[Problem[Any, Any]]:
    for level in range(4):
        for family in choices(problem_class(name), "distribution") or [None]:
            yield forge_gym.problem(name, level=level, **({"distribution": family} if family else {}))


@every_problem
def test_no_test_instance_is_one_of_training_under_other_numbers(name: str) -> None:
    for problem in ladder(name):
        if not has_few_shapes(problem):
            bits = [problem.instance(1, index).shape_bits() for index in range(10)]
            assert sorted(bits)[1] > 0.8 * FEW_BITS, (problem, bits)
            continue
        held_out = {shape(problem.instance(1, index, "test")) for index in range(25)}
        held_out |= {shape(problem.instance(2, index, "validation")) for index in range(25)}
        assert not any(shape(problem.instance(3, index)) in held_out for index in range(100)), problem


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("GraphColoring", {"n": 8}),
        ("GraphColoring", {"n": 7, "distribution": "geometric"}),
        ("HamiltonianCycle", {"n": 8, "distribution": "regular"}),
        ("ExactSubsetSum", {"n": 4}),
        ("SetCover", {"n": 6, "distribution": "uniform"}),
        ("TSP", {"n": 4, "grid": 6}),
        ("Knapsack", {"n": 3, "largest": 6}),
        ("BalancedMinCut", {"n": 6, "largest": 1}),
    ],
)
def test_splits_of_small_streams_are_disjoint(name: str, parameters: dict[str, Any]) -> None:
    problem = forge_gym.problem(name, **parameters)
    seen = {split: {shape(problem.instance(s, i, split)) for s in range(3) for i in range(60)} for split in SPLITS}
    assert not (seen["train"] & seen["test"] or seen["train"] & seen["validation"] or seen["validation"] & seen["test"])
    find_split = splitter(problem)
    for split in SPLITS if find_split else ():
        assert all(find_split(problem.instance(0, i, split)) == split for i in range(20))


def test_within_a_split_instances_come_as_often_as_without_splits() -> None:
    """The stream of a split is that of the generator, without the shapes of others."""
    problem = forge_gym.problem("GraphColoring", n=4, p=0.3)
    drawn: dict[str, list[str]] = {split: [] for split in SPLITS}
    for index in range(2000):
        instance = problem.generate(np.random.default_rng(index))
        drawn[split_of(instance.isomorphism_key())].append(shape(instance))
    for split in ("train", "test"):
        held = [shape(problem.instance(4, index, split)) for index in range(800)]
        for key in set(held):
            assert abs(held.count(key) / len(held) - drawn[split].count(key) / len(drawn[split])) < 0.08


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_without_shapes_is_refused_in_one_line(split: str) -> None:
    """All graphs of three vertices with probability 1e-9 of an edge are alike."""
    problem, began = forge_gym.problem("MaxIndependentSet", n=3, p=1e-9, distribution="gnp"), time.monotonic()
    if split == split_of(problem.generate(np.random.default_rng(0)).isomorphism_key()):
        assert problem.instance(0, 0, split).edges == ()
    else:
        with pytest.raises(
            ValueError, match=f"must leave different instances to each split, got none for {split} "
        ) as e:
            problem.instance(0, 0, split)
        assert "\n" not in str(e.value)
    assert time.monotonic() - began < 5


def test_large_streams_are_not_slowed_down() -> None:
    """Where copies are unlikely, the first draw is the instance, as for every problem's default size but one."""
    few = [name for name in PROBLEMS if has_few_shapes(forge_gym.problem(name))]
    assert few == ["HamiltonianCycle"]
    for name in set(PROBLEMS) - set(few):
        problem = forge_gym.problem(name)
        first = problem.generate(instance_generator(problem._stream, 3, 4, "test"))
        assert problem.instance(3, 4, "test") == first


@every_problem
def test_each_split_has_graded_instances_enough(name: str) -> None:
    """At level 0, where curricula start and suites begin."""
    for family in choices(problem_class(name), "distribution") or [None]:
        problem = forge_gym.problem(name, level=0, **({"distribution": family} if family else {}))
        for split in ("validation", "test") if has_few_shapes(problem) else ():
            graded = problem.graded_instances(1, split)
            assert len({shape(next(graded)[1]) for _ in range(60)}) >= 40, (problem, split)
