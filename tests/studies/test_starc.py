"""STARC distances: what they may not see, how far opposites are, and a bank that tells schemes apart."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import starc
from starc import SCORES, Comparison, Paid, bank, compare, distances, standardise

import forge_gym
from forge_gym.core.rewards import REWARDS, Group, tiered

NAMES = forge_gym.problems()
SIZES = (7, 1, 12, 3)


def rewards(seed: int) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    return [rng.normal(scale=10.0 ** rng.integers(-2, 3), size=n).tolist() for n in SIZES]


def distance(first: Paid, second: Paid) -> float:
    return float(distances([first, second])[0, 1])


def changed(paid: list[list[float]], scale: float, shifts: list[float]) -> list[list[float]]:
    return [[scale * reward + shift for reward in row] for row, shift in zip(paid, shifts, strict=True)]


def test_affine_copies_and_shifts_of_an_instance_are_not_seen() -> None:
    for seed in range(50):
        paid = rewards(seed)
        assert distance(paid, changed(paid, 3.7, [5.0] * 4)) == pytest.approx(0, abs=1e-9)
        # Potential shaping, gamma * 0 - potential(instance), is such a shift where an episode is one answer.
        potential = np.random.default_rng(seed).normal(size=4).tolist()
        assert distance(paid, changed(paid, 1.0, potential)) == pytest.approx(0, abs=1e-9)
        assert distance(paid, changed(paid, -2.0, potential)) == pytest.approx(1)


def test_it_is_a_pseudometric_and_half_the_correlation() -> None:
    for seed in range(50):
        a, b, c = (rewards(3 * seed + k) for k in range(3))
        assert distance(a, b) == distance(b, a) and distance(a, a) == 0
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-12
        assert 0 <= distance(a, b) <= 1
        centred = [np.concatenate([np.subtract(row, np.mean(row)) for row in paid]) for paid in (a, b)]
        rho = np.dot(*centred) / np.linalg.norm(centred[0]) / np.linalg.norm(centred[1])
        assert distance(a, b) == pytest.approx(np.sqrt((1 - rho) / 2))


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, -1e300, 5e-324])
def test_a_constant_reward_is_half_way_from_all(constant: float) -> None:
    flat = [[constant] * n for n in SIZES]
    assert not standardise(flat).any()
    assert distance(flat, rewards(0)) == pytest.approx(0.5)
    assert distance(flat, [[7.0] * n for n in SIZES]) == 0
    assert distance([[constant]], [[1.0]]) == 0


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e200, 1e307])
def test_no_scale_is_too_small_or_too_large(scale: float) -> None:
    paid = [[0.0, 1.0, 2.0], [3.0, 1.0]]
    assert distance(paid, changed(paid, scale, [0.0, 0.0])) == pytest.approx(0, abs=1e-3)


def test_misuse() -> None:
    for wrong in (None, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="rewards must be finite numbers"):
            standardise([[0.0, wrong]])
    tsp = forge_gym.problem("TSP", n=6)
    for arguments, words in (
        (([],), "problems and schemes must hold"),
        (([tsp], []), "problems and schemes must hold"),
        (([tsp], ["teired"]), "did you mean 'tiered'"),
    ):
        with pytest.raises(ValueError, match=words):
            compare(*arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="instances must be"):
        compare([tsp], instances=0)


@pytest.fixture(scope="module")
def banks() -> Iterator[dict[str, list[Group]]]:
    yield {name: bank(forge_gym.problem(name), instances=5, seed=1) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_bank_holds_answers_of_every_quality(name: str, banks: dict[str, list[Group]]) -> None:
    for group in banks[name]:
        assert len(set(group.texts)) == len(group.texts)
        said = [verdict.status for verdict in group.verdicts]
        assert said.count("malformed") == 3 and said.count("infeasible") >= 4 and said.count("feasible") >= 5
        assert list(group.verdicts) == group.problem.verify_many(group.instance, group.texts)
        assert {0.0, 1.0} <= {verdict.quality for verdict in group.verdicts if verdict.feasible}
        assert any(verdict.skill == 0 for verdict in group.verdicts if verdict.feasible)
    judged = [verdict for group in banks[name] for verdict in group.verdicts]
    assert any(0.5 < verdict.quality < 1 for verdict in judged)
    assert len({verdict.credit for verdict in judged if verdict.status == "infeasible"}) >= 4
    assert len({tiered(verdict) for verdict in judged}) > 12


@pytest.mark.parametrize("name", NAMES)
def test_a_bank_is_a_function_of_problem_and_seed(name: str, banks: dict[str, list[Group]]) -> None:
    problem = forge_gym.problem(name, style="compact", answer_format="line")
    again = bank(problem, instances=3, seed=1)
    assert [group.texts for group in again] == [group.texts for group in banks[name][:3]]
    assert bank(problem, instances=1, seed=2)[0].texts != again[0].texts


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    done: list[int] = []
    problems = [forge_gym.problem(name) for name in ("TSP", "Knapsack", "MaxClique")]
    found = compare(problems, instances=6, seed=3, progress=done.append)
    assert sum(done) == 18
    return found


def test_comparison(comparison: Comparison) -> None:
    assert comparison.names == (*REWARDS, *SCORES)
    matrix = comparison.distances
    assert matrix.shape == (len(comparison.names),) * 2
    assert np.isfinite(matrix).all() and (matrix == matrix.T).all() and not matrix.diagonal().any()
    assert matrix.max() < 0.6  # every scheme wants answers of higher quality
    rows = comparison.to_dict()["distances"]
    assert rows["binary"]["success"] == 0 < rows["binary"]["quality"]
    near = ("stepped", "base_and_bonus", "verpo", "linear", "ratio_power", "binary")
    assert 0 < max(rows["tiered"][name] for name in near[:3]) < rows["tiered"]["linear"]
    assert rows["tiered"]["linear"] < rows["tiered"]["ratio_power"] < rows["tiered"]["binary"]
    assert rows["tiered"]["quality"] < rows["binary"]["quality"]


def test_comparisons_repeat(comparison: Comparison) -> None:
    problems = [forge_gym.problem(name) for name in comparison.problems]
    again = compare(problems, instances=6, seed=3)
    assert again.to_dict() == comparison.to_dict()
    fewer = compare(problems, ["binary", "tiered", "binary"], instances=6, seed=3)
    assert fewer.names == ("binary", "tiered", *SCORES)
    kept = [comparison.names.index(name) for name in fewer.names]
    assert fewer.distances == pytest.approx(comparison.distances[np.ix_(kept, kept)])


def test_a_comparison_is_reported(comparison: Comparison, tmp_path: Path) -> None:
    from rich.console import Console

    console = Console(width=150, record=True, file=(tmp_path / "table").open("w"))
    console.print(comparison.table())
    printed = console.export_text()
    assert "3 problems, 6 instances each, seed 3" in printed
    assert all(name in printed for name in comparison.names)
    data = json.loads(json.dumps(comparison.to_dict()))
    assert data["problems"] == ["TSP", "Knapsack", "MaxClique"]
    assert data["answers"]["malformed"] == 3 * 18 and min(data["answers"].values()) > 0


def test_a_comparison_is_drawn(comparison: Comparison, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    comparison.draw(tmp_path / "starc.png")
    assert (tmp_path / "starc.png").read_bytes().startswith(b"\x89PNG")


def test_the_program(root: Path, tmp_path: Path) -> None:
    assert doctest.testmod(starc).failed == 0
    program = [sys.executable, root / "studies" / "starc.py", "--env", "TSP", "--instances", "2"]
    data = json.loads(subprocess.run([*program, "--json"], check=True, capture_output=True).stdout)
    assert data["distances"]["tiered"]["tiered"] == 0 and data["instances"] == 2
    wrong = subprocess.run([*program, "--schemes", "teired"], capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.endswith("did you mean 'tiered'?\n")
