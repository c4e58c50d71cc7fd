"""Public instance libraries: TSPLIB tours, DIMACS graphs, knapsack lists, OR-Library set covers.

Maintained readers of TSPLIB files lack some distances, so the formulas of the report are written out here.

References
----------
.. [1] G. Reinelt, "TSPLIB 95", Universitaet Heidelberg, 1995.
.. [2] D. Johnson, M. Trick (eds.), "Cliques, Coloring, and Satisfiability: Second DIMACS
   Implementation Challenge", 1996.
.. [3] J. Beasley, "OR-Library: distributing test problems by electronic mail", JORS 41(11), 1990.
"""

from __future__ import annotations

from collections.abc import Callable
from math import acos, ceil, cos
from pathlib import Path
from typing import Any

from ..core.checks import short_repr
from ..core.instance import Instance
from ..core.registry import problem_class

Matrix = list[list[int]]


def read_instance(problem: str, path: Path | str) -> Instance:
    r"""Read an instance of ``problem`` from a file of its field's library format.

    Parameters
    ----------
    problem
        The name of a problem. Its class says its ``formats``. ``tsplib``: TSPLIB [1]_ (EUC_2D, CEIL_2D, GEO, ATT,
        and EXPLICIT in the usual symmetric layouts). ``dimacs``: edges [2]_. ``knapsack``: ``n capacity``, then a
        line ``value weight`` per item. ``orlib_scp``: OR-Library [3]_ (rows, columns, costs, then for each row how
        many columns cover it and which). Any problem: a file that holds its JSON, as `Problem.to_json` writes it.
    path
        The file.

    Raises
    ------
    ValueError
        If the file is not in the format, or the problem has none.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = Path(folder.name) / "triangle.col"
    >>> _ = file.write_text("c a triangle\np edge 3 3\ne 1 2\ne 2 3\ne 1 3\n")
    >>> read_instance("GraphColoring", file).edges
    ((0, 1), (0, 2), (1, 2))
    """
    cls = problem_class(problem)
    try:
        text = Path(path).read_text()
        if text.lstrip().startswith("{"):
            instance: Instance = cls.instance_type.from_json(text)
            return instance
        formats: tuple[str, ...] = getattr(cls, "formats", ())
        if not formats:
            raise ValueError(f"{problem} has no library format, only JSON")
        instance = cls.instance_type(**READERS[formats[0]](text))
        instance.check()
    except (ValueError, KeyError, IndexError, StopIteration, OSError) as error:
        raise ValueError(f"{path} must be a file of {problem}'s format: {short_repr(str(error), 200)}") from error
    return instance


def _tsplib(text: str) -> dict[str, Any]:
    head: dict[str, str] = {}
    sections: dict[str, list[str]] = {"": []}
    section = ""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        word = key.strip()
        if colon:
            head[word] = value.strip()
        elif word.endswith("_SECTION") or word == "EOF":
            section = word
        else:
            sections.setdefault(section, []).extend(line.split())
    n, kind = int(head["DIMENSION"]), head["EDGE_WEIGHT_TYPE"]
    if head.get("TYPE", "TSP").split()[0] != "TSP":
        raise ValueError(f"TYPE must be TSP, got {head['TYPE']}")
    if kind == "EXPLICIT":
        weights = list(map(int, sections["EDGE_WEIGHT_SECTION"]))
        return {"matrix": tuple(map(tuple, _explicit(weights, n, head["EDGE_WEIGHT_FORMAT"])))}
    numbers = sections["NODE_COORD_SECTION"]
    points = [(float(numbers[3 * i + 1]), float(numbers[3 * i + 2])) for i in range(n)]
    integral = all(x.is_integer() and y.is_integer() for x, y in points)
    if kind == "EUC_2D" and integral and len(set(points)) == n:
        return {"xy": tuple((int(x), int(y)) for x, y in points)}
    if kind not in DISTANCES:
        raise ValueError(f"EDGE_WEIGHT_TYPE must be EXPLICIT or one of {sorted(DISTANCES)}, got {kind}")
    distance = DISTANCES[kind]
    return {"matrix": tuple(tuple(0 if p is q else distance(*p, *q) for q in points) for p in points)}


def _explicit(weights: list[int], n: int, layout: str) -> Matrix:
    cells = {
        "FULL_MATRIX": [(i, j) for i in range(n) for j in range(n)],
        "UPPER_ROW": [(i, j) for i in range(n) for j in range(i + 1, n)],
        "LOWER_ROW": [(i, j) for i in range(n) for j in range(i)],
        "UPPER_DIAG_ROW": [(i, j) for i in range(n) for j in range(i, n)],
        "LOWER_DIAG_ROW": [(i, j) for i in range(n) for j in range(i + 1)],
    }[layout]
    if len(cells) != len(weights):
        raise ValueError(f"EDGE_WEIGHT_SECTION must hold {len(cells)} numbers, got {len(weights)}")
    matrix = [[0] * n for _ in range(n)]
    for (i, j), weight in zip(cells, weights, strict=True):
        if i != j:
            if layout == "FULL_MATRIX" and i > j and matrix[i][j] != weight:
                raise ValueError(f"the matrix must be symmetric, got {weight} and {matrix[i][j]} for {i} and {j}")
            matrix[i][j] = matrix[j][i] = weight
    return matrix


def _euclidean(xa: float, ya: float, xb: float, yb: float) -> float:
    return float(((xa - xb) ** 2 + (ya - yb) ** 2) ** 0.5)


def _geo(xa: float, ya: float, xb: float, yb: float) -> int:
    def radians(degrees: float) -> float:  # DDD.MM; the report's own value of pi
        return 3.141592 * (int(degrees) + 5.0 * (degrees - int(degrees)) / 3.0) / 180.0

    q1 = cos(radians(ya) - radians(yb))
    q2, q3 = cos(radians(xa) - radians(xb)), cos(radians(xa) + radians(xb))
    cosine = 0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3)
    return int(6378.388 * acos(max(-1.0, min(1.0, cosine))) + 1.0)


DISTANCES: dict[str, Callable[[float, float, float, float], int]] = {
    "EUC_2D": lambda xa, ya, xb, yb: int(_euclidean(xa, ya, xb, yb) + 0.5),
    "CEIL_2D": lambda xa, ya, xb, yb: ceil(_euclidean(xa, ya, xb, yb)),
    "ATT": lambda xa, ya, xb, yb: ceil(_euclidean(xa, ya, xb, yb) / 10**0.5),
    "GEO": _geo,
}


def _dimacs(text: str) -> dict[str, Any]:
    rows = [line.split() for line in text.splitlines() if line[:1] in ("p", "e")]
    n = next(int(row[2]) for row in rows if row[0] == "p")
    edges = {(min(u, v) - 1, max(u, v) - 1) for u, v in (map(int, row[1:3]) for row in rows if row[0] == "e")}
    return {"n": n, "edges": tuple(sorted(edges))}


def _knapsack(text: str) -> dict[str, Any]:
    n, capacity, *numbers = map(int, text.split())
    if len(numbers) != 2 * n:
        raise ValueError(f"{n} items must have a value and a weight each, got {len(numbers)} numbers")
    return {"capacity": capacity, "weights": tuple(numbers[1::2]), "values": tuple(numbers[::2])}


def _set_cover(text: str) -> dict[str, Any]:
    rows, columns, *numbers = map(int, text.split())
    costs, rest = tuple(numbers[:columns]), iter(numbers[columns:])
    covers: list[list[int]] = [[] for _ in range(columns)]
    for row in range(rows):
        for _ in range(next(rest)):
            covers[next(rest) - 1].append(row)
    if len(costs) != columns or next(rest, None) is not None:
        raise ValueError(f"{rows} rows must be followed by {columns} columns with costs, got another count")
    return {"universe": rows, "subsets": tuple(map(tuple, covers)), "costs": costs}


READERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "tsplib": _tsplib,
    "dimacs": _dimacs,
    "knapsack": _knapsack,
    "orlib_scp": _set_cover,
}
"""Name of a library format to what reads the fields of an instance from a file in it."""
