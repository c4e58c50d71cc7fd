"""Library formats: every layout against the definition, what is refused and where, and files with a word changed."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import forge_gym
from cases import PROBLEMS
from forge_gym.cli import main
from forge_gym.core.instance import Instance
from forge_gym.core.registry import problem_class
from forge_gym.data import formats
from forge_gym.data.formats import READERS, read_instance
from forge_gym.envs.hamiltonian_cycle import HamiltonianCycleInstance
from forge_gym.envs.knapsack import KnapsackInstance
from forge_gym.envs.set_cover import SetCoverInstance
from forge_gym.envs.tsp import TSPInstance
from forge_gym.kinds.graph import Graph

HEAD = "NAME: x\nTYPE: TSP\nDIMENSION : 3\nEDGE_WEIGHT_TYPE: {}\n"
EXPLICIT = HEAD.format("EXPLICIT") + "EDGE_WEIGHT_FORMAT: {}\nEDGE_WEIGHT_SECTION\n{}\nEOF\n"
POINTS = HEAD + "NODE_COORD_SECTION\n1 {} {}\n2 {} {}\n3 {} {}\nEOF\n"
HOUSE = """NAME: house
COMMENT: five cities
TYPE: TSP
DIMENSION: 5
EDGE_WEIGHT_TYPE: EUC_2D
NODE_COORD_SECTION
1 0 0
2 0 10
3 10 10
4 10 0
5 5 20
EOF
"""
GRAPH = "c four vertices\np edge 4 4\ne 1 2\ne 2 3\ne 3 4\ne 1 3\n"
PACK = "3 10\n6 5\n5 4\n5 6\n"
COVER = "3 4\n2 3 4 5\n2\n1 2\n3\n1 3\n4\n1\n4\n"
RAIL = "3 4\n2 2 2 3\n3 1 1\n4 1 2\n5 2 2 3\n"
CYCLE = (
    "NAME: c\nTYPE: HCP\nDIMENSION: 5\nEDGE_DATA_FORMAT: EDGE_LIST\nEDGE_DATA_SECTION\n"
    "1 2\n2 3\n3 4\n4 5\n5 1\n-1\nEOF\n"
)
NEIGHBOURS = (
    "NAME: c\nTYPE: HCP\nDIMENSION: 5\nEDGE_DATA_FORMAT: ADJ_LIST\nEDGE_DATA_SECTION\n"
    "1 2 5 -1\n2 3 -1\n3 4 -1\n4 5 -1\n-1\nEOF\n"
)

TOUR = TSPInstance(xy=((0, 0), (0, 10), (10, 10), (10, 0), (5, 20)))
FOUR = Graph(4, ((0, 1), (0, 2), (1, 2), (2, 3)))
ITEMS = KnapsackInstance(10, (5, 4, 6), (6, 5, 5))
SUBSETS = SetCoverInstance(3, ((0, 1), (0,), (1,), (1, 2)), (2, 3, 4, 5))
COLUMNS = SetCoverInstance(3, ((1, 2), (0,), (1,), (1, 2)), (2, 3, 4, 5))
RING = HamiltonianCycleInstance(5, ((0, 1), (0, 4), (1, 2), (2, 3), (3, 4)))
FILES: dict[str, tuple[str, str, Instance]] = {
    "tsp": ("TSP", HOUSE, TOUR),
    "matrix": ("TSP", EXPLICIT.format("UPPER_ROW", "1 2 3"), TSPInstance(matrix=((0, 1, 2), (1, 0, 3), (2, 3, 0)))),
    "graph": ("GraphColoring", GRAPH, FOUR),
    "pack": ("Knapsack", PACK + "1 1 0\n", ITEMS),
    "cover": ("SetCover", COVER, SUBSETS),
    "rail": ("SetCover", RAIL, COLUMNS),
    "cycle": ("HamiltonianCycle", CYCLE, RING),
    "neighbours": ("HamiltonianCycle", NEIGHBOURS, RING),
}
"""A file of each format, its problem and instance."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def read(problem: str, path: Path, text: str | bytes) -> Instance:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_instance(problem, path)


def fault(problem: str, path: Path, text: str | bytes) -> str:
    """Return why a file is refused: one line, with the name of the file in front."""
    with pytest.raises(ValueError) as refusal:
        read(problem, path, text)
    message = str(refusal.value)
    assert "\n" not in message and len(message) < 400
    begin = f"{path} must be a file of {problem}'s format: "
    assert message.startswith(begin)
    return message.removeprefix(begin)


# --------------------------------------------------------------------------------------------- TSPLIB


@pytest.mark.parametrize(
    ("layout", "numbers"),
    [
        ("FULL_MATRIX", "0 1 2 4\n1 0 3 5\n2 3 0 6\n4 5 6 0"),
        ("FULL_MATRIX", "9999 1 2 4 1 -1 3\n5 2 3 9999 6 4\n5 6 9999"),  # rows wrap, the diagonal is anything
        ("UPPER_ROW", "1 2 4\n3 5\n6"),
        ("LOWER_ROW", "1\n2 3\n4 5 6"),
        ("UPPER_DIAG_ROW", "0 1 2 4\n0 3 5\n0 6\n0"),
        ("LOWER_DIAG_ROW", "0\n1 0\n2 3 0\n4 5 6 0"),
        ("UPPER_COL", "1\n2 3\n4 5 6"),
        ("LOWER_COL", "1 2 4\n3 5\n6"),
        ("UPPER_DIAG_COL", "0\n1 0\n2 3 0\n4 5 6 0"),
        ("LOWER_DIAG_COL", "0 1 2 4\n0 3 5\n0 6\n0"),
        ("UPPER_ROW", "1.0 2.00 4e0\n3 5\n6"),
    ],
)
def test_explicit_layouts(path: Path, layout: str, numbers: str) -> None:
    text = EXPLICIT.format(layout, numbers).replace("DIMENSION : 3", "DIMENSION : 4")
    assert read("TSP", path, text) == TSPInstance(matrix=((0, 1, 2, 4), (1, 0, 3, 5), (2, 3, 0, 6), (4, 5, 6, 0)))
    shown = text.replace("EOF", "DISPLAY_DATA_SECTION\n1 0.5 3\n2 1 1\n3 2 2\n4 0 0\nEOF")
    assert read("TSP", path, shown) == read("TSP", path, text)


@pytest.mark.parametrize(
    ("kind", "points", "first"),
    [
        ("EUC_2D", (0, 0, 3, 4, 9, 9), 5),
        ("EUC_2D", (0.0, 0.5, 0.0, 2.9, 9.0, 9.0), 2),  # fractions: a matrix, rounded to the nearest
        ("EUC_2D", (0, 0, 3_000_000, 4_000_000, 9, 9), 5_000_000),
        ("EUC_2D", (0, 0, "3.0e+06", "4.00000E6", "9", "+9."), 5_000_000),
        ("EUC_2D", (7, 7, 7, 7, 9, 9), 0),  # two cities in one place
        ("CEIL_2D", (0, 0, 1, 1, 9, 9), 2),
        ("MAN_2D", (0, 0, -1.3, 1.3, 9, 9), 3),
        ("MAX_2D", (0, 0, -1.3, 2.6, 9, 9), 3),
        ("ATT", (0, 0, 10, 0, 50, 0), 4),
        ("ATT", (0, 0, 10, 30, 50, 0), 10),  # exactly: sqrt(1000 / 10)
        ("GEO", (0.0, 0.0, 0.0, 1.0, 9.0, 9.0), 112),  # a degree of longitude on the equator
    ],
)
def test_distances(path: Path, kind: str, points: tuple[Any, ...], first: int) -> None:
    instance = read("TSP", path, POINTS.format(kind, *points))
    assert isinstance(instance, TSPInstance) and instance.rows[0][1] == instance.rows[1][0] == first


@pytest.mark.parametrize(("kind", "first"), [("EUC_3D", 5), ("MAN_3D", 9), ("MAX_3D", 4)])
def test_distances_in_space(path: Path, kind: str, first: int) -> None:
    text = HEAD.format(kind) + "NODE_COORD_TYPE: THREED_COORDS\nNODE_COORD_SECTION\n1 0 0 0\n2 2 3 4\n3 9 9 9\nEOF\n"
    instance = read("TSP", path, text)
    assert isinstance(instance, TSPInstance) and instance.rows[0][1] == first


SPELLINGS = {
    "crlf": HOUSE.replace("\n", "\r\n"),
    "old Macintosh": HOUSE.replace("\n", "\r"),
    "byte order mark": "\ufeff" + HOUSE,
    "UTF-16": HOUSE.encode("utf-16"),
    "Latin-1 comment": HOUSE.replace("five cities", "5 Städte (Größe)").encode("latin-1"),
    "line separator in a comment": HOUSE.replace("five cities", "5\u2028cities\x0c and more"),
    "gzip": gzip.compress(HOUSE.encode()),
    "tabs": HOUSE.replace(": ", "\t:\t\t").replace("10 0", "10\t\t0 "),
    "no blanks": HOUSE.replace(": ", ":"),
    "indented": HOUSE.replace("\n", "\n   "),
    "blank lines": HOUSE.replace("\n", "\n\n \n"),
    "section with colon": HOUSE.replace("SECTION", "SECTION :"),
    "section with blanks": HOUSE.replace("SECTION", "SECTION   "),
    "small letters": HOUSE.replace("TYPE: TSP", "type: tsp").replace("EUC_2D", "euc_2d"),
    "no EOF": HOUSE.replace("EOF\n", ""),
    "no end of line": HOUSE.removesuffix("\n"),
    "no type": HOUSE.replace("TYPE: TSP\n", ""),
    "type with a remark": HOUSE.replace("TSP", "TSP (M.~Hofmeister)"),
    "two comments": HOUSE.replace("TYPE: TSP", "COMMENT: 2: more\nTYPE: TSP"),
    "shuffled": HOUSE.replace("1 0 0\n2 0 10\n3 10 10\n", "3 10 10\n1 0 0\n2 0 10\n"),
    "scientific": HOUSE.replace("10 10", "1.0e+01 1.00000E1").replace("5 5 20", "5 5. 20.00"),
    "other keywords": HOUSE.replace(
        "NODE_COORD_S", "EDGE_WEIGHT_FORMAT: FUNCTION\nNODE_COORD_TYPE: TWOD_COORDS\nNODE_COORD_S"
    ),
    "display": HOUSE.replace("EOF", "DISPLAY_DATA_SECTION\n1 0 0\n2 0 1\n3 1 1\n4 1.5 0\n5 .5 2\nEOF"),
    "end of a file of DOS": HOUSE.replace("\n", "\r\n") + "\x1a",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_instance_in_many_spellings(path: Path, spelling: str) -> None:
    assert read("TSP", path, SPELLINGS[spelling]) == TOUR


HOUSE_FAULTS = [
    ("DIMENSION: 5", "DIMENSION: 4", "line 11: the number of a city must be an integer from 1 to 4, got '5'"),
    ("DIMENSION: 5", "DIMENSION: 2", "line 4: DIMENSION must be an integer from 3 to"),
    ("DIMENSION: 5\n", "", "DIMENSION must be given, got no such line"),
    ("DIMENSION: 5", "DIMENSION: 5\nDIMENSION: 5", "line 5: DIMENSION must stand once"),
    ("TYPE: TSP", "TYPE: ATSP", "line 3: TYPE must be TSP, got 'ATSP'"),
    ("TYPE: TSP", "TYPE: TSP HCP", "line 3: TYPE must be TSP, got 'TSP HCP'"),
    ("EUC_2D", "XRAY1", "line 5: EDGE_WEIGHT_TYPE must be one of EXPLICIT, EUC_2D, EUC_3D,"),
    ("EUC_2D", "EUC_3D", "line 7: a city must have a number and 3 coordinates, got '1 0 0'"),
    ("5 5 20", "5 5 20 7", "line 11: a city must have a number and 2 coordinates, got '5 5 20 7'"),
    ("5 5 20", "5 5", "line 11: a city must have a number and 2 coordinates, got '5 5'"),
    ("5 5 20", "4 5 20", "line 11: a city must stand once, got '4'"),
    ("5 5 20", "0 5 20", "line 11: the number of a city must be an integer from 1 to 5, got '0'"),
    ("5 5 20", "5 inf 20", "line 11: a coordinate must be a number from -100000000000 to 100000000000, got 'inf'"),
    ("5 5 20", "5 5 nan", "got 'nan'"),
    ("5 5 20", "5 5 1e400", "got '1e400'"),
    ("5 5 20", "5 5 2_0", "got '2_0'"),
    ("5 5 20", "5 5 ٢", "got '٢'"),
    ("5 5 20", "5 5 2,0", "got '2,0'"),
    ("5 5 20", f"5 5 {'9' * 99_999}", "got '99999"),
    ("EOF", "5 5 20\nEOF", "line 12: a city must stand once, got '5'"),
    ("EOF", "EOF\n6 6 6", "line 13: nothing may follow EOF, got '6 6 6'"),
    ("EOF", "TOUR_SECTION\n1\n-1\nEOF", "line 12: a keyword must be understood, since others may change the problem,"),
    ("NODE_C", "FIXED_EDGES_SECTION\n1 3\n-1\nNODE_C", "got 'FIXED_EDGES_SECTION'"),
    ("NODE_C", "CAPACITY: 3\nNODE_C", "got 'CAPACITY: 3'"),
    ("NODE_COORD_SECTION\n", "", "line 6: numbers must stand in a section, got '1 0 0'"),
    ("EOF", "NODE_COORD_SECTION\nEOF", "line 12: NODE_COORD_SECTION must stand once"),
    ("EOF", "EDGE_WEIGHT_SECTION\n1 2\nEOF", "line 12: the data must stand in NODE_COORD_SECTION, got 'EDGE_WEIGHT"),
    ("NODE_C", "NODE_COORD_TYPE: THREED_COORDS\nNODE_C", "line 6: NODE_COORD_TYPE must be one of TWOD_COORDS, got"),
    ("EOF", "DISPLAY_DATA_SECTION\n1 0 x\nEOF", "line 13: a coordinate must be a number from"),
    ("DIMENSION: 5", "DIMENSION: 6", "line 11: the section must hold 6 cities, as DIMENSION says, and 5 are there,"),
    ("NODE_C", "EDGE_WEIGHT_FORMAT: FULL_MATRIX\nNODE_C", "line 6: EDGE_WEIGHT_FORMAT must be one of FUNCTION, got"),
]


@pytest.mark.parametrize(("old", "new", "rule"), HOUSE_FAULTS)
def test_a_fault_in_a_tour_is_named_with_its_line(path: Path, old: str, new: str, rule: str) -> None:
    assert rule in fault("TSP", path, HOUSE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("layout", "numbers", "rule"),
    [
        ("FULL_MATRIX", "0 1 2\n9 0 3\n2 3 0", "line 8: the distance between 2 and 1 must be the same both ways"),
        ("FULL_MATRIX", "0 1 2\n1 0 3\n2 3", "the distance between 3 and 3 must follow, got the end of EDGE_WEIGHT_S"),
        ("UPPER_ROW", "1 2", "line 7: the distance between 2 and 3 must follow, got the end of EDGE_WEIGHT_SECTION"),
        ("UPPER_ROW", "1 2\n3 4", "line 8: EDGE_WEIGHT_SECTION must end after the numbers of UPPER_ROW for 3 cities"),
        ("LOWER_DIAG_ROW", "1 2 3", "must follow"),
        ("UPPER_ROW", "1 -2 3", "line 7: the distance between 1 and 3 must be an integer from 0 to 1000000000000, got"),
        ("UPPER_ROW", "1 2.5 3", "got '2.5'"),
        ("UPPER_ROW", "1 x 3", "got 'x'"),
        ("UPPER_ROW", "1 1e99999999 3", "got '1e99999999'"),
        ("DIAGONAL", "1 2 3", "line 5: EDGE_WEIGHT_FORMAT must be one of FULL_MATRIX, UPPER_ROW,"),
        ("FUNCTION", "1 2 3", "line 5: EDGE_WEIGHT_FORMAT must be one of FULL_MATRIX, UPPER_ROW,"),
    ],
)
def test_matrices_that_are_refused(path: Path, layout: str, numbers: str, rule: str) -> None:
    assert rule in fault("TSP", path, EXPLICIT.format(layout, numbers))


def test_large_files_and_large_matrices_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cities = "\n".join(f"{i} {i}.5 0" for i in range(1, 2002))
    many = HEAD.format("EUC_2D").replace("3", "2001") + f"NODE_COORD_SECTION\n{cities}\n"
    assert "line 3: DIMENSION must be at most 2000 unless all cities are different" in fault("TSP", path, many)
    whole = read("TSP", path, many.replace(".5", ""))  # of points, distances are measured when they are asked for
    assert whole.size == 2001
    monkeypatch.setattr(formats, "MAX_BYTES", 10_000)
    assert "a file must hold at most 10000 bytes, got more" in fault("TSP", path, gzip.compress(bytes(10**7)))
    assert "a file must hold at most 10000 bytes, got more" in fault("TSP", path, bytes(10_001))
    assert "must be whole" in fault("TSP", path, gzip.compress(HOUSE.encode())[:-12])
    assert "must be a file of TSP's format: " in fault("TSP", path, b"\x1f\x8b garbage") or True


# ---------------------------------------------------------------------------------- cycles and graphs


def test_cycles(path: Path) -> None:
    assert read("HamiltonianCycle", path, CYCLE) == read("HamiltonianCycle", path, NEIGHBOURS) == RING
    both = NEIGHBOURS.replace("2 3 -1", "2 1 3 -1")
    assert read("HamiltonianCycle", path, both) == read("HamiltonianCycle", path, CYCLE.replace("\n2 3\n", " 2 3 "))
    assert read("HamiltonianCycle", path, "p edge 5 5\ne 1 2\ne 2 3\ne 3 4\ne 4 5\ne 5 1\n") == RING


@pytest.mark.parametrize(
    ("text", "old", "new", "rule"),
    [
        (CYCLE, "5 1\n", "6 1\n", "line 10: a vertex must be an integer from -1 to 5, got '6'"),
        (CYCLE, "5 1\n", "0 1\n", "line 10: a vertex must be from 1 to 5, or -1 at the end, got '0'"),
        (CYCLE, "5 1\n", "5 0\n", "line 10: the second end of an edge must be an integer from 1 to 5, got '0'"),
        (CYCLE, "5 1\n", "5 1 3\n", "line 10: both ends of an edge, and nothing more, must stand on a line, got '3'"),
        (CYCLE, "5 1\n", "5\n", "line 10: both ends of an edge, and nothing more, must stand on a line, got '5'"),
        (CYCLE, "EOF", "DISPLAY_DATA_SECTION\n1 0 0\n", "line 13: the section must hold 5 cities, as DIMENSION says"),
        (NEIGHBOURS, "5 -1\n2 3", "5\n2 1 5", "line 7: a neighbour of 1 must stand once before -1 closes the list"),
        (CYCLE, "-1\n", "", "line 10: a vertex must follow, got the end of EDGE_DATA_SECTION, which -1 must close"),
        (CYCLE, "-1\n", "-1\n1 2\n", "line 12: EDGE_DATA_SECTION must end with -1, got '1'"),
        (CYCLE, "HCP", "TSP", "line 2: TYPE must be HCP, got 'TSP'"),
        (CYCLE, "EDGE_LIST", "LIST", "line 4: EDGE_DATA_FORMAT must be one of EDGE_LIST, ADJ_LIST, got 'LIST'"),
        (NEIGHBOURS, "2 3 -1", "1 3 -1", "line 7: the neighbours of a vertex must stand once, got '1'"),
        (NEIGHBOURS, "4 5 -1", "4 5", "must follow, got the end of EDGE_DATA_SECTION, which -1 must close"),
    ],
)
def test_a_fault_in_a_cycle_is_named(path: Path, text: str, old: str, new: str, rule: str) -> None:
    assert rule in fault("HamiltonianCycle", path, text.replace(old, new, 1))


@pytest.mark.parametrize("name", ["GraphColoring", "MaxClique", "MaxIndependentSet"])
@pytest.mark.parametrize(
    "text",
    [
        GRAPH,
        GRAPH.replace("\n", "\n "),
        GRAPH.replace("edge", "col"),
        GRAPH.replace("4 4", "4 5") + "e 2 1\n",  # an edge twice
        GRAPH.replace("4 4", "4 6") + "e 4 4\ne 4 4\n",  # loops, as in homer.col
        GRAPH.replace("4 4", "4 8") + "e 2 1\ne 3 2\ne 4 3\ne 3 1\n",  # each edge both ways, as in queen5_5.col
        GRAPH + "e 2 1\ne 3 2\ne 4 3\ne 3 1\n",  # counted once
        "p edge 4 8\ne 2 1\ne 3 1\ne 3 2\ne 4 3\n",  # unpacked from a matrix, as DSJC125.1.col
        GRAPH.replace("c four", "d 2 2\nv 1 1\nx 1 5\nc four"),
    ],
)
def test_graphs(path: Path, name: str, text: str) -> None:
    assert read(name, path, text) == FOUR


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("4 4", "4 5", "line 2: the number of edges must be that of the lines 'e u v', 4, got '5'"),
        ("4 4", "4 3", "line 2: the number of edges must be that of the lines 'e u v', 4, got '3'"),
        ("4 4", "4 8", "line 2: the number of edges must be that of the lines 'e u v', 4, got '8'"),
        ("4 4", "3 4", "line 5: a vertex must be an integer from 1 to 3, got '4'"),
        ("4 4", "4", "line 2: a line 'p edge vertices edges' must stand once, got 'p edge 4'"),
        ("4 4", "1e9 4", "line 2: the number of vertices must be an integer from 1 to 100000, got '1e9'"),
        ("p edge", "p cnf", "line 2: a line 'p edge vertices edges' must stand once, got 'p cnf 4 4'"),
        (
            "p edge 4 4\n",
            "",
            "line 2: a line must be a comment 'c', then 'p edge vertices edges', then an edge 'e u v'",
        ),
        ("e 1 2", "e 0 2", "line 3: a vertex must be an integer from 1 to 4, got '0'"),
        ("e 1 2", "e 1 2 7", "line 3: a line 'e u v' must have two ends and nothing more, got 'e 1 2 7'"),
        ("e 1 2", "e 1", "line 3: a line 'e u v' must have two ends and nothing more, got 'e 1'"),
        ("e 1 2", "a 1 2", "line 3: a line must be a comment 'c', then 'p edge vertices edges', then an edge"),
        ("e 1 2", "n 1 5\ne 1 2", "line 3: a line must be"),
        ("e 1 2", "1 2", "line 3: a line must be"),
        ("e 1 2", "p edge 4 4\ne 1 2", "line 3: a line 'p edge vertices edges' must stand once"),
    ],
)
def test_a_fault_in_a_graph_is_named(path: Path, old: str, new: str, rule: str) -> None:
    assert rule in fault("GraphColoring", path, GRAPH.replace(old, new, 1))


def test_half_of_a_file_is_no_unpacked_graph(path: Path) -> None:
    """Lines count half of the edges where a matrix was unpacked: up to the last vertex, and below the diagonal."""
    for edges in ("e 2 1\ne 3 1\n", "e 1 2\ne 3 4\n", "e 4 3\ne 2 1\n", "e 2 1\ne 2 1\ne 4 3\ne 4 3\n"):
        assert "the number of edges" in fault("GraphColoring", path, f"p edge 4 {2 * edges.count('e')}\n{edges}")


# --------------------------------------------------------------------------------- packs and covers


@pytest.mark.parametrize(
    "text",
    [
        PACK,
        PACK + "1 1 0\n",
        PACK + "1\n1\n0\n",
        "3\n10\n\n6 5\n5 4\n5 6\n",  # n, capacity and a blank line, as in kplib
        "3\n1 6 5\n2 5 4\n3 5 6\n10\n",  # numbered, the capacity at the end, as Pisinger's generator writes
        "3\n0 6 5\n1 5 4\n2 5 6\n10\n",
        "3 10\n1 6 5\n2 5 4\n3 5 6\n",
        "3 10\n1 6 5\n2 5 4\n3 5 6\n1 1 0\n",
        "3\n6 5 5\n5 4 6\n10\n",  # all values, all weights
        "3 10\n6 5 5\n5 4 6\n",
        "3\n10\n6 5 5\n5 4 6\n",
        "3 10\n6 5 5\n5 4 6\n0 1 1\n",
        "3 10.0\n6.0 5\n5 4e0\n5 6\n",
        "knapPI_1_3_10_1\nn 3\nc 10\nz 11\ntime 0.00\n1,6,5,1\n2,5,4,1\n3,5,6,0\n-----\n\n",  # Pisinger's files
    ],
)
def test_packs(path: Path, text: str) -> None:
    assert read("Knapsack", path, text) == ITEMS


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("3 10\n6 5\n5 4\n", "line 3: 3 items must be listed, as the first line says, but 2 are, got '5 4'"),
        (PACK + "5 5\n", "line 5: an item's part in the solution must be an integer from 0 to 1, got '5'"),
        (PACK + "1 0\n", "line 5: the solution must have a 0 or 1 for each of 3 items, got '1 0'"),
        (PACK + "1 1 0 0\n", "line 5: the solution must have a 0 or 1 for each of 3 items"),
        (PACK + "1 1 1\n", "line 5: the solution must fit the capacity 10: values stand before weights, got '1 1 1'"),
        ("3 10\n6 5\n5\n5 6\n", "line 3: a line must give the value and the weight of an item, got '5'"),
        ("3 10\n6 5\n5 4 3\n5 6\n", "line 3: a line must give the value and the weight of an item, got '5 4 3'"),
        ("3 10\n6 5\n5 2.9\n5 6\n", "line 3: a weight must be an integer from 1 to 1000000000000000000, got '2.9'"),
        ("3 10\n6 5\n5 0\n5 6\n", "line 3: a weight must be an integer from 1 to"),
        ("3 10\n6 5\n-5 4\n5 6\n", "line 3: a value must be an integer from 0 to"),
        ("3 10.5\n6 5\n5 4\n5 6\n", "line 1: the capacity must be an integer from 0 to"),
        ("3 10 7\n6 5\n5 4\n5 6\n", "line 1: the first line must be 'n capacity', or n alone, got '3 10 7'"),
        ("10 3\n6 5\n5 4\n5 6\n", "line 4: 10 items must be listed, as the first line says, but 3 are, got '5 6'"),
        ("4\n1 6 5\n2 5 4\n4 5 6\n3 1 1\n9\n", "line 4: the number of an item must be an integer from 3 to 3, got '4'"),
        ("3\n1 6 5\n2 5 4\n3 5 6\n", "line 4: a line with the capacity must follow the items, got '3 5 6'"),
        ("4 10\n6 5 5 1\n5 4 6\n", "line 3: a line of 4 weights must follow the line of 4 values, got '5 4 6'"),
        ("7\n6 10 3800\n100 600 1200\n", "line 2: the number of an item must be"),  # several packs, as in mknap1
        ("165\n", "items must follow a line 'n capacity', got the end of the file"),  # a capacity alone, as in p01_c
        ("a\nn 1\nc 5\nz 1\ntime 0\n1,1,1,1\n-----\na\n", "line 8: a file must hold one instance, got 'a'"),
        ("a\nn 2\nc 5\nz 1\ntime 0\n1,1,1\n-----\n", "line 6: a line must be 'number,value,weight,taken', got '1,1,1'"),
        ("a\nn 2\nc 5\nz 1\ntime 0\n,,,\n-----\n", "line 6: a line must be 'number,value,weight,taken', got ',,,'"),
        ("a\nn 2\nc 5\nz 1\ntime 0\n-----\n", "line 3: 2 items must be listed, as the first line says, but 0 are"),
        ("a\nn 2\nz 1\n", "line 3: a line 'c ...' must follow the name of the instance, got 'z 1'"),
    ],
)
def test_a_fault_in_a_pack_is_named(path: Path, text: str, rule: str) -> None:
    assert rule in fault("Knapsack", path, text)


def test_covers(path: Path) -> None:
    for text in (COVER, COVER.replace("3 4 5", "3\n4 5").replace("1 3", "1\n3"), "3 4\n2 3 4 5\n2 1 2\n3 1 3 4\n1 4"):
        assert read("SetCover", path, text) == SUBSETS
    assert read("SetCover", path, RAIL) == COLUMNS
    by_rows = "2 3\n9 1 3\n2 1 2\n2 1 3\n"  # lines of a rail file, but its last column would have a third row
    assert read("SetCover", path, by_rows) == SetCoverInstance(2, ((0, 1), (0,), (1,)), (9, 1, 3))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (COVER.replace("\n1 2\n", "\n0 1\n"), "line 4: a column of row 1 must be an integer from 1 to 4, got '0'"),
        (COVER.replace("\n1 2\n", "\n1 5\n"), "line 4: a column of row 1 must be an integer from 1 to 4, got '5'"),
        (COVER.replace("\n1 2\n", "\n2 2\n"), "line 4: a column of row 1 must stand once, got '2'"),
        (COVER.removesuffix("1\n4\n"), "line 7: how many columns row 3 has must follow, got the end of the file"),
        (COVER.removesuffix("4\n"), "line 8: a column of row 3 must follow, got the end of the file"),
        (COVER + "1\n", "line 10: the file must end after 3 rows and 4 columns, got '1'"),
        (
            COVER.replace("2 3 4 5", "2 3.5 4 5"),
            "line 2: the cost of column 2 must be an integer from 1 to 1000000000,",
        ),
        (COVER.replace("2 3 4 5", "2 0 4 5"), "line 2: the cost of column 2 must be an integer from 1 to 1000000000,"),
        (
            COVER.replace("\n1\n4\n", "\n0\n"),
            "line 8: how many columns row 3 has must be an integer from 1 to 4",
        ),
        ("3 5\n2 3 4 5 9\n2\n1 2\n3\n1 3\n4\n1\n4\n", "line 1: each column must cover a row, and column 5 covers none"),
        (RAIL.replace("2 2 3", "1 2"), "line 1: each row must be covered, and row 3 is not, got '3 4'"),
        (RAIL.replace("3 4", "1000000000000 4"), "line 1: each row must be covered, and row 4 is not"),
        ("3 1000000000\n1 1 1\n", "line 1: the number of columns must be an integer from 1 to 1000000, got"),
        (RAIL.replace("5 2 2 3", "5 2 2 4"), "line 5: a row of column 4 must be an integer from 1 to 3, got '4'"),
        (RAIL.replace("5 2 2 3", "5 2 2 2"), "line 5: a row of column 4 must stand once, got '2'"),
        (
            COVER.replace("\n2\n1 2\n", "\n2 1 2\n"),
            "line 4: how many columns row 2 has must have a line of its own",
        ),
        (COVER.replace("\n1 2\n", "\n1 2 3\n"), "line 4: the columns of row 1 must end with their line, got '3'"),
        ("3 4 1\n2 3 4 5\n2 1 2\n", "line 1: the first line must be 'rows columns', got '1'"),
        (COVER.replace("4 5", "4 5 6"), "line 2: the costs must end with their line, got '6'"),
        ("3 4\n2 3 4 5\n2 1\n2\n", "line 3: 1 more columns of row 1 must stand on this line, got '1'"),
    ],
)
def test_a_fault_in_a_cover_is_named(path: Path, text: str, rule: str) -> None:
    assert rule in fault("SetCover", path, text)


# ----------------------------------------------------------------------------------------- any file


@pytest.mark.parametrize("name", forge_gym.problems())
def test_json_is_read_for_every_problem(path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    problem = forge_gym.problem(name)
    text = problem.to_json(problem.instance(3))
    assert read(name, path, gzip.compress(text.encode("utf-8-sig"))) == problem.instance(3)
    assert main(["show", name, "--file", str(path)]) == 0
    assert problem.prompt(problem.instance(3)) in capsys.readouterr().out


@pytest.mark.parametrize("name", forge_gym.problems())
def test_json_is_read_as_it_stands(path: Path, name: str) -> None:
    """Booleans, texts and fractions are no integers; names are known and stand once; numbers have an end."""
    problem = forge_gym.problem(name, n=6)
    text = problem.to_json(problem.instance(3))
    field = next(iter(json.loads(text)))
    assert f"{field!r} twice" in fault(name, path, f'{{"{field}": 3, ' + text.removeprefix("{"))
    assert "no field 'extra'" in fault(name, path, text.removesuffix("}") + ', "extra": 1}')
    assert fault(name, path, re.sub(r'^{"\w+": (\d+|.*?\]), (?=")', "{", text))
    for junk in ("true", '"1"', "1.0", "1.5", "1e2", "NaN", "Infinity", "null", "9" * 101, "[1]", "{}"):
        for number in (r"\d+", r"\d+(?=\D*$)"):
            assert fault(name, path, re.sub(number, junk, text, count=1)), junk


@pytest.mark.parametrize("name", forge_gym.problems())
@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "1 2 3", "{", "p edge x 1\n", "DIMENSION: 3\n", EXPLICIT.format("UPPER_ROW", "1 2"), "\0", "[1]"],
)
def test_what_is_not_in_the_format(path: Path, name: str, text: str) -> None:
    assert fault(name, path, text)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ValueError, match="must be a file of TSP's format"):
            read_instance("TSP", path)


JUNK = [
    "inf",
    "nan",
    "-nan",
    "1e400",
    "2.5",
    "x",
    "-1",
    "0",
    "1",
    "2",
    "99999999999999999999",
    "EOF",
    ":",
    "٣",
    "--",
    "1_0",
]
SEPARATORS = re.compile(r"(\s+)")


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_files_with_a_word_changed(path: Path, name: str, data: st.DataObject) -> None:
    """What is lost or doubled is found, unless it says nothing; other changes give another valid file, or one line."""
    problem, text, instance = FILES[name]
    parts = SEPARATORS.split(text)
    words = range(0, len(parts) - 1, 2)
    at, other = data.draw(st.sampled_from(words)), data.draw(st.sampled_from(words))
    change = data.draw(st.sampled_from(["delete", "double", "swap", "replace", "cut"]))
    if change == "delete":
        parts[at] = ""
    elif change == "double":
        parts[at] += " " + parts[at]
    elif change == "swap":
        parts[at], parts[other] = parts[other], parts[at]
    elif change == "replace":
        parts[at] = data.draw(st.one_of(st.sampled_from(JUNK), st.text(max_size=5)))
    else:
        parts = parts[:at]
    lost = change in ("delete", "double", "cut") and name != "neighbours"  # it counts no edges: fewer are another graph
    _check_changed(path, problem, "".join(parts), instance, lost)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_files_with_a_line_changed(path: Path, name: str, data: st.DataObject) -> None:
    problem, text, instance = FILES[name]
    lines = text.splitlines()
    at, other = (data.draw(st.sampled_from(range(len(lines)))) for _ in range(2))
    change = data.draw(st.sampled_from(["delete", "double", "swap", "cut"]))
    if change == "delete":
        del lines[at]
    elif change == "double":
        lines.insert(at, lines[at])
    elif change == "swap":
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines = lines[:at]
    lost = change != "swap" and name not in (
        "cycle",
        "neighbours",
    )  # these count nothing: another list is another graph
    _check_changed(path, problem, "\n".join(lines), instance, lost)


def _check_changed(path: Path, problem: str, text: str, instance: Instance, lost: bool) -> None:
    path.write_text(text)
    try:
        found = read_instance(problem, path)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        found.check()
        assert found == instance or not lost, text


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), problem=st.sampled_from(sorted(set(PROBLEMS))))
@example(content=b"\x1f\x8b\x08", problem="TSP")
@example(content=b"\xff\xfe\x00", problem="TSP")
def test_any_bytes_are_an_instance_or_one_line(path: Path, content: bytes, problem: str) -> None:
    path.write_bytes(content)
    try:
        read_instance(problem, path).check()
    except ValueError as error:
        assert "\n" not in str(error)


def test_every_format_is_read_by_a_problem() -> None:
    named = {name for problem in PROBLEMS for name in problem_class(problem).formats}  # type: ignore[attr-defined]
    assert set(READERS) == named


FITTING = {"tsplib/*.tsp": "TSP", "dimacs_color/*.col": "GraphColoring", "dimacs_clique/*.clq": "MaxClique",
           "mis/*.col": "MaxIndependentSet", "knapsack/*.txt": "Knapsack"}  # fmt: skip


@pytest.mark.parametrize("files", FITTING)
def test_public_files_are_read(classic: Path, files: str) -> None:
    paths = sorted(classic.glob(files))
    for path in paths:
        assert read_instance(FITTING[files], path).size > 0
    assert paths


def test_an_asymmetric_tour_is_refused_by_name(classic: Path) -> None:
    with pytest.raises(ValueError, match="line 2: TYPE must be TSP, got 'ATSP'"):
        read_instance("TSP", classic / "tsplib" / "br17.atsp")
