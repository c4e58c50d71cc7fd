"""Library formats: every layout against the definition, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import forge_gym
from cases import PROBLEMS
from forge_gym.cli import main
from forge_gym.core.registry import problem_class
from forge_gym.data.formats import READERS, read_instance
from forge_gym.envs.tsp import TSPInstance

HEAD = "NAME: x\nTYPE: TSP\nDIMENSION : 3\nEDGE_WEIGHT_TYPE: {}\n"
EXPLICIT = HEAD.format("EXPLICIT") + "EDGE_WEIGHT_FORMAT: {}\nEDGE_WEIGHT_SECTION\n{}\nEOF\n"
POINTS = HEAD + "NODE_COORD_SECTION\n1 {} {}\n2 {} {}\n3 {} {}\nEOF\n"
MATRIX = ((0, 1, 2), (1, 0, 3), (2, 3, 0))


@pytest.mark.parametrize(
    ("layout", "numbers"),
    [
        ("FULL_MATRIX", "0 1 2\n1 0 3\n2 3 0"),
        ("UPPER_ROW", "1 2 3"),
        ("LOWER_ROW", "1\n2 3"),
        ("UPPER_DIAG_ROW", "0 1 2 0 3 0"),
        ("LOWER_DIAG_ROW", "0 1 0 2 3 0"),
    ],
)
def test_explicit_layouts(tmp_path: Path, layout: str, numbers: str) -> None:
    path = tmp_path / "x.tsp"
    path.write_text(EXPLICIT.format(layout, numbers))
    assert read_instance("TSP", path) == TSPInstance(matrix=MATRIX)


@pytest.mark.parametrize(
    ("kind", "points", "first"),
    [
        ("EUC_2D", (0, 0, 3, 4, 9, 9), 5),
        ("EUC_2D", (0.0, 0.5, 0.0, 2.9, 9.0, 9.0), 2),  # fractions: a matrix, rounded to the nearest
        ("CEIL_2D", (0, 0, 1, 1, 9, 9), 2),
        ("ATT", (0, 0, 10, 0, 50, 0), 4),
        ("GEO", (0.0, 0.0, 0.0, 1.0, 9.0, 9.0), 112),  # a degree of longitude on the equator
    ],
)
def test_distances(tmp_path: Path, kind: str, points: tuple[float, ...], first: int) -> None:
    path = tmp_path / "x.tsp"
    path.write_text(POINTS.format(kind, *points))
    instance = read_instance("TSP", path)
    assert isinstance(instance, TSPInstance) and instance.rows[0][1] == instance.rows[1][0] == first


def test_graphs_packs_and_covers(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("c comment\np col 4 3\ne 1 2\ne 2 1\ne 3 4\n")
    for name in ("GraphColoring", "MaxClique", "MaxIndependentSet"):
        assert read_instance(name, path) == forge_gym.problem(name).from_json('{"n": 4, "edges": [[0, 1], [2, 3]]}')
    path.write_text("2 10\n7 5\n8 6\n")
    pack = read_instance("Knapsack", path)
    assert json.loads(forge_gym.problem("Knapsack").to_json(pack)) == {
        "capacity": 10, "weights": [5, 6], "values": [7, 8],
    }  # fmt: skip
    path.write_text(" 3 4\n 1 1 2 5\n 2\n 1 4\n 1\n 2\n 3 2 3 4\n")
    cover = read_instance("SetCover", path)
    data = json.loads(forge_gym.problem("SetCover").to_json(cover))
    assert (data["universe"], data["subsets"], data["costs"]) == (3, [[0], [1, 2], [2], [0, 2]], [1, 1, 2, 5])
    assert forge_gym.problem("SetCover").reference(cover).value == 2


@pytest.mark.parametrize("name", forge_gym.problems())
def test_json_is_read_for_every_problem(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    problem = forge_gym.problem(name)
    path = tmp_path / "x.json"
    path.write_text(problem.to_json(problem.instance(3)))
    assert read_instance(name, path) == problem.instance(3)
    assert main(["show", name, "--file", str(path)]) == 0
    assert problem.prompt(problem.instance(3)) in capsys.readouterr().out


@pytest.mark.parametrize("name", forge_gym.problems())
@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "1 2 3", "{", "p edge x 1\n", "DIMENSION: 3\n", EXPLICIT.format("UPPER_ROW", "1 2")],
)
def test_what_is_not_in_the_format(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(ValueError, match="must be a file of"):
        read_instance(name, path)


@pytest.mark.parametrize(
    "change", [("FULL_MATRIX", "0 1 2 9 0 3 2 3 0"), ("DIAGONAL", "1 2 3"), ("UPPER_ROW", "1 -2 3")]
)
def test_matrices_that_are_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    path = tmp_path / "x.tsp"
    path.write_text(EXPLICIT.format(*change))
    with pytest.raises(ValueError, match="must be a file of TSP's format"):
        read_instance("TSP", path)


def test_a_missing_file_and_an_asymmetric_tour(tmp_path: Path, classic: Path) -> None:
    with pytest.raises(ValueError, match="must be a file of TSP's format"):
        read_instance("TSP", tmp_path / "missing")
    with pytest.raises(ValueError, match="TYPE must be TSP, got ATSP"):
        read_instance("TSP", classic / "tsplib" / "br17.atsp")
    named = {name for problem in PROBLEMS for name in problem_class(problem).formats}  # type: ignore[attr-defined]
    assert set(READERS) == named
