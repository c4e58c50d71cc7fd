"""Public instance libraries: TSPLIB tours and cycles, DIMACS graphs, knapsack lists, OR-Library set covers.

A reader accounts for every word of a file. What it does not understand it refuses, with line, rule and value, since an
optimum certified for a misread file would be worse than none. Maintained readers of TSPLIB files lack some distances
and let such words pass, so the formulas of the report are written out here.

References
----------
.. [1] G. Reinelt, "TSPLIB 95", Universitaet Heidelberg, 1995.
.. [2] D. Johnson, M. Trick (eds.), "Cliques, Coloring, and Satisfiability: Second DIMACS
   Implementation Challenge", 1996.
.. [3] J. Beasley, "OR-Library: distributing test problems by electronic mail", JORS 41(11), 1990.
.. [4] D. Pisinger, "Where are the hard knapsack problems?", Computers & Operations Research 32, 2005.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import combinations, takewhile, zip_longest
from math import acos, ceil, cos, sqrt
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ..core.checks import short_repr
from ..core.instance import Instance
from ..core.registry import problem_class
from ..kinds.graph import MAX_VERTICES
from ..kinds.points import MAX_COORDINATE

Fields = dict[str, Any]
"""The fields of an instance."""
MAX_BYTES = 2**25
"""Size of a file, unpacked: 32 MB."""
MAX_MATRIX = 2_000
"""Places whose distances are kept as a matrix: 150 MB."""
MAX_COLUMNS = 10**6
"""Columns of a set cover."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_LARGEST = 10**18


def read_instance(problem: str, path: Path | str) -> Instance:
    r"""Read an instance of ``problem`` from a file of its field's library format.

    Files may be packed with gzip. Vertices, cities and columns are numbered from 1 in all formats.

    Parameters
    ----------
    problem
        The name of a problem. Its class says its ``formats``.

        - ``tsplib``: a TSP of TSPLIB [1]_, with EUC, MAN or MAX distances in two or three dimensions, CEIL_2D, GEO,
          ATT, or an EXPLICIT matrix, full and symmetric or any triangle of one.
        - ``tsplib_hcp``: an HCP of TSPLIB, as EDGE_LIST or ADJ_LIST.
        - ``dimacs``: edges [2]_. Loops and repeated edges are dropped.
        - ``knapsack``: ``n capacity``, then a line ``value weight`` for each item. Each of these may vary: a line for
          the capacity, below n or at the end; the number of the item before its value; a line of all values and a line
          of all weights; a last line of zeros and ones, which is a solution; or an instance of Pisinger's files [4]_.
        - ``orlib_scp``: OR-Library [3]_: rows, columns, costs, then for each row how many columns cover it and which;
          or as its rail files: rows, columns, then for each column its cost, how many rows it covers, and which.

        Any problem: a file that holds its JSON, as `Problem.to_json` writes it.
    path
        The file.

    Raises
    ------
    ValueError
        If the file is not in the format, or the problem has none: one line that says where and why.

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
    formats: tuple[str, ...] = getattr(cls, "formats", ())
    try:
        text = read_text(path)
        if text.lstrip().startswith("{"):
            instance: Instance = cls.instance_type.from_json(text)
            return instance
        if not formats:
            raise ValueError(f"{problem} has no library format, only JSON")
        tsplib = len(formats) > 1 and re.search(r"^\s*DIMENSION\s*:", text, re.MULTILINE | re.IGNORECASE)
        instance = cls.instance_type(**READERS[formats[-1 if tsplib else 0]](_lines(text)))
        instance.check()
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} must be a file of {problem}'s format: {error}") from error
    return instance


def read_text(path: Path | str) -> str:
    """Return the text of a file that may be packed, marked with a byte order, or hold letters in another encoding.

    Raises
    ------
    ValueError, OSError
        If it holds more than `MAX_BYTES`, is damaged or cannot be read.
    """
    with Path(path).open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MAX_BYTES + 1)
        except (EOFError, zlib.error) as error:
            raise ValueError(f"a packed file must be whole, got {error}") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"a file must hold at most {MAX_BYTES} bytes, got more")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")  # comments alone may hold other letters


# ----------------------------------------------------------------------------------- words and numbers


class _Word(str):
    """A word of a file, with the number of its line."""

    __slots__ = ("line",)
    line: int


class _Line(NamedTuple):
    """A line of a file that is not blank."""

    number: int
    text: str

    @property
    def words(self) -> list[_Word]:
        return [self.word(word) for word in self.text.split()]

    def word(self, text: str) -> _Word:
        word = _Word(text)
        word.line = self.number
        return word


def _lines(text: str) -> Iterator[_Line]:
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text.removesuffix("\x1a")), start=1):  # the end in DOS
        if line.strip():
            yield _Line(number, line.strip())


def _fault(at: _Word | _Line, rule: str) -> ValueError:
    number, got = (at.number, at.text) if isinstance(at, _Line) else (at.line, str(at))
    return ValueError(f"line {number}: {rule}, got {short_repr(got)}")


def _number(word: _Word, what: str, largest: int = _LARGEST) -> Decimal:
    if len(word) < 100 and _NUMBER.fullmatch(word) and -largest <= Decimal(word) <= largest:
        return Decimal(word)
    raise _fault(word, f"{what} must be a number from {-largest} to {largest}")


def _integer(word: _Word, what: str, low: int = 0, high: int = _LARGEST) -> int:
    """Return an integer; ``3.0`` is one, and ``2.5`` is not."""
    if len(word) < 100 and _NUMBER.fullmatch(word):
        value = int(word) if word.isdecimal() else Decimal(word)
        if low <= value <= high and value == int(value):
            return int(value)
    raise _fault(word, f"{what} must be an integer from {low} to {high}")


class _Stream:
    """The numbers of many lines."""

    def __init__(self, lines: Iterable[_Line], end: str) -> None:
        self._words = ((word, word is words[-1]) for words in (line.words for line in lines) for word in words)
        self._end = end
        self._last = _Word()
        self.ends_line = True
        """Whether the last number is the last of its line."""

    def integer(self, what: str, low: int = 0, high: int = _LARGEST) -> int:
        """Return the next number."""
        word, self.ends_line = next(self._words, (_Word(), True))
        if not word:
            where = f"line {self._last.line}: " if self._last else ""
            raise ValueError(f"{where}{what} must follow, got the end of {self._end}")
        self._last = word
        return _integer(word, what, low, high)

    def end_line(self, rule: str) -> None:
        """Refuse a further word on the line of the last number."""
        if not self.ends_line:
            raise _fault(next(self._words)[0], rule)

    def refuse(self, rule: str) -> NoReturn:
        """Say what is wrong with the last number."""
        raise _fault(self._last, rule)

    def finish(self, rule: str) -> None:
        """Refuse a further word."""
        for word, _ in self._words:
            raise _fault(word, rule)


# --------------------------------------------------------------------------------------------- TSPLIB

_KEYS = (
    *("NAME", "COMMENT", "TYPE", "DIMENSION", "EDGE_WEIGHT_TYPE", "EDGE_WEIGHT_FORMAT", "EDGE_DATA_FORMAT"),
    *("NODE_COORD_TYPE", "DISPLAY_DATA_TYPE"),
)
_SECTIONS = ("NODE_COORD_SECTION", "EDGE_WEIGHT_SECTION", "EDGE_DATA_SECTION", "DISPLAY_DATA_SECTION")


class _Tsplib:
    """Keywords and sections of a TSPLIB file; a section's first line is its heading."""

    def __init__(self, lines: Iterable[_Line], type: str) -> None:
        self.head: dict[str, _Word] = {}
        self.sections: dict[str, list[_Line]] = {}
        rows: list[_Line] | None = None
        ended = False
        for line in lines:
            before, colon, after = line.text.partition(":")
            key, value = before.strip().upper(), after.strip()
            if ended:
                raise _fault(line, "nothing may follow EOF")
            ended = key == "EOF" and not value
            if ended:
                continue
            if not key[:1].isalpha():
                if rows is None:
                    raise _fault(line, "numbers must stand in a section")
                rows.append(line)
            elif colon and key in _KEYS:
                if key in self.head and key != "COMMENT":
                    raise _fault(line, f"{key} must stand once")
                self.head[key] = line.word(value)
            elif key in _SECTIONS and not value:
                if key in self.sections:
                    raise _fault(line, f"{key} must stand once")
                rows = self.sections[key] = [line]
            else:
                raise _fault(line, "a keyword must be understood, since others may change the problem")
        found, _, remark = self.head.get("TYPE", _Word(type)).partition(" ")
        if found.upper() != type or not (remark.lstrip() or "(").startswith("("):
            raise _fault(self.head["TYPE"], f"TYPE must be {type}")

    def value(self, key: str) -> _Word:
        """Return the value of a keyword that must be given."""
        if key not in self.head:
            raise ValueError(f"{key} must be given, got no such line")
        return self.head[key]

    def choice(self, key: str, choices: Iterable[str]) -> str:
        """Return the value of a keyword that must be one of ``choices``."""
        word, valid = self.value(key), list(choices)
        if word.upper() not in valid:
            raise _fault(word, f"{key} must be one of {', '.join(valid)}")
        return word.upper()

    def rows(self, key: str, n: int, *ignored: str) -> list[_Line]:
        """Return the section that holds the data, with its heading; others must be ``ignored`` maps of n places."""
        for name, rows in self.sections.items():
            if name in ("DISPLAY_DATA_SECTION", *ignored):
                _points(rows, n, 2)
            elif name != key:
                raise _fault(rows[0], f"the data must stand in {key}")
        if key not in self.sections:
            raise ValueError(f"{key} must be given, got no such line")
        return self.sections[key]


def _tour(lines: Iterable[_Line]) -> Fields:
    file = _Tsplib(lines, "TSP")
    n = _integer(file.value("DIMENSION"), "DIMENSION", 3)
    kind = file.choice("EDGE_WEIGHT_TYPE", ["EXPLICIT", *DISTANCES])
    if kind == "EXPLICIT":
        layout = file.choice("EDGE_WEIGHT_FORMAT", _LAYOUTS)
        rows = file.rows("EDGE_WEIGHT_SECTION", n, "NODE_COORD_SECTION")
        _check_matrix(file, n)
        return {"matrix": _explicit(rows, n, layout)}
    if "EDGE_WEIGHT_FORMAT" in file.head:
        file.choice("EDGE_WEIGHT_FORMAT", ["FUNCTION"])
    dimensions = 3 if kind.endswith("3D") else 2
    if "NODE_COORD_TYPE" in file.head:
        file.choice("NODE_COORD_TYPE", ["THREED_COORDS" if dimensions == 3 else "TWOD_COORDS"])
    points = _points(file.rows("NODE_COORD_SECTION", n), n, dimensions)
    xy = tuple([tuple(map(int, point)) for point in points])
    near = all(abs(x) <= MAX_COORDINATE for point in xy for x in point)
    if kind == "EUC_2D" and near and xy == tuple(points) and len(set(xy)) == n:
        return {"xy": xy}
    _check_matrix(file, n)
    distance, places = DISTANCES[kind], [tuple(map(float, point)) for point in points]
    matrix = [[0] * n for _ in range(n)]
    for i, j in combinations(range(n), 2):
        matrix[i][j] = matrix[j][i] = distance(places[i], places[j])
    return {"matrix": tuple(map(tuple, matrix))}


def _check_matrix(file: _Tsplib, n: int) -> None:
    if n > MAX_MATRIX:
        points = f"all cities are different integer points of EUC_2D, none beyond {MAX_COORDINATE}"
        rule = f"DIMENSION must be at most {MAX_MATRIX} unless {points}"
        raise _fault(file.head["DIMENSION"], rule)


def _points(section: list[_Line], n: int, dimensions: int) -> list[tuple[Decimal, ...]]:
    points: dict[int, tuple[Decimal, ...]] = {}
    for row in section[1:]:
        city, *numbers = row.words
        if len(numbers) != dimensions:
            raise _fault(row, f"a city must have a number and {dimensions} coordinates")
        i = _integer(city, "the number of a city", 1, n)
        if i in points:
            raise _fault(city, "a city must stand once")
        points[i] = tuple([_number(x, "a coordinate", 10**11) for x in numbers])
    if len(points) != n:
        raise _fault(section[-1], f"the section must hold {n} cities, as DIMENSION says, and {len(points)} are there")
    return [points[i] for i in range(1, n + 1)]


_ROWS: dict[str, Callable[[int, int], range]] = {
    "FULL_MATRIX": lambda i, n: range(n),
    "UPPER_ROW": lambda i, n: range(i + 1, n),
    "LOWER_ROW": lambda i, n: range(i),
    "UPPER_DIAG_ROW": lambda i, n: range(i, n),
    "LOWER_DIAG_ROW": lambda i, n: range(i + 1),
}
"""Layout of a matrix to the columns that row i lists."""
_LAYOUTS = {
    **{name: name for name in _ROWS},
    "UPPER_COL": "LOWER_ROW",
    "LOWER_COL": "UPPER_ROW",
    "UPPER_DIAG_COL": "LOWER_DIAG_ROW",
    "LOWER_DIAG_COL": "UPPER_DIAG_ROW",
}
"""Any layout to the one by rows in which a symmetric matrix looks the same."""


def _explicit(section: list[_Line], n: int, layout: str) -> tuple[tuple[int, ...], ...]:
    """Return the matrix; its diagonal says nothing about a tour, and libraries fill it with anything."""
    columns = _ROWS[_LAYOUTS[layout]]
    numbers = _Stream(section[1:], "EDGE_WEIGHT_SECTION")
    matrix = [[-1] * n for _ in range(n)]
    for i in range(n):
        matrix[i][i] = 0
        for j in columns(i, n):
            what = f"the distance between {i + 1} and {j + 1}"
            weight = numbers.integer(what, 0, 10**12) if i != j else numbers.integer(what, -_LARGEST) * 0
            if matrix[i][j] not in (-1, weight):
                numbers.refuse(f"{what} must be the same both ways, and was {matrix[i][j]} before")
            matrix[i][j] = matrix[j][i] = weight
    numbers.finish(f"EDGE_WEIGHT_SECTION must end after the numbers of {layout} for {n} cities")
    return tuple(map(tuple, matrix))


Point = tuple[float, ...]


def _square(p: Point, q: Point) -> float:
    return sum([(a - b) ** 2 for a, b in zip(p, q, strict=True)])


def _geo(p: Point, q: Point) -> int:
    def radians(degrees: float) -> float:  # DDD.MM; the report's own value of pi
        return 3.141592 * (int(degrees) + 5.0 * (degrees - int(degrees)) / 3.0) / 180.0

    (xa, ya), (xb, yb) = p, q
    q1 = cos(radians(ya) - radians(yb))
    q2, q3 = cos(radians(xa) - radians(xb)), cos(radians(xa) + radians(xb))
    cosine = 0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3)
    return int(6378.388 * acos(max(-1.0, min(1.0, cosine))) + 1.0)


def _euclidean(p: Point, q: Point) -> int:
    return int(sqrt(_square(p, q)) + 0.5)


def _manhattan(p: Point, q: Point) -> int:
    return int(sum([abs(a - b) for a, b in zip(p, q, strict=True)]) + 0.5)


def _maximum(p: Point, q: Point) -> int:
    return max([int(abs(a - b) + 0.5) for a, b in zip(p, q, strict=True)])


DISTANCES: dict[str, Callable[[Point, Point], int]] = {
    "EUC_2D": _euclidean,
    "EUC_3D": _euclidean,
    "MAN_2D": _manhattan,
    "MAN_3D": _manhattan,
    "MAX_2D": _maximum,
    "MAX_3D": _maximum,
    "CEIL_2D": lambda p, q: ceil(sqrt(_square(p, q))),
    "ATT": lambda p, q: ceil(sqrt(_square(p, q) / 10.0)),
    "GEO": _geo,
}
"""``EDGE_WEIGHT_TYPE`` to the distance between two places, as the report defines it."""


def _cycle(lines: Iterable[_Line]) -> Fields:
    file = _Tsplib(lines, "HCP")
    n = _integer(file.value("DIMENSION"), "DIMENSION", 1, MAX_VERTICES)
    layout = file.choice("EDGE_DATA_FORMAT", ["EDGE_LIST", "ADJ_LIST"])
    numbers = _Stream(file.rows("EDGE_DATA_SECTION", n)[1:], "EDGE_DATA_SECTION, which -1 must close")
    pairs: list[tuple[int, int]] = []
    heads: set[int] = set()

    def vertex(what: str) -> int:
        v = numbers.integer(what, -1, n)
        if v == 0:
            numbers.refuse(f"{what} must be from 1 to {n}, or -1 at the end")
        return v

    while (u := vertex("a vertex")) > 0:
        if layout == "EDGE_LIST":
            if numbers.ends_line:  # as where each edge has a weight
                numbers.refuse("both ends of an edge, and nothing more, must stand on a line")
            pairs.append((u, numbers.integer("the second end of an edge", 1, n)))
            continue
        if u in heads:
            numbers.refuse("the neighbours of a vertex must stand once")
        heads.add(u)
        neighbours = set[int]()
        while (v := vertex("a neighbour")) > 0:
            if v in neighbours:  # as where the -1 before the next vertex is missing
                numbers.refuse(f"a neighbour of {u} must stand once before -1 closes the list")
            neighbours.add(v)
        pairs += [(u, v) for v in neighbours]
    numbers.finish("EDGE_DATA_SECTION must end with -1")
    return {"n": n, "edges": _simple(pairs)}


def _simple(pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the edges of pairs of vertices from 1, without loops and repetitions."""
    return tuple(sorted({(min(u, v) - 1, max(u, v) - 1) for u, v in pairs if u != v}))


# --------------------------------------------------------------------------------------------- DIMACS


def _dimacs(lines: Iterable[_Line]) -> Fields:
    stated: list[_Word] = []
    pairs: list[tuple[int, int]] = []
    n = 0
    for line in lines:
        kind, *words = line.words
        if kind in ("c", "d", "v", "x"):  # comments; d, v, x: how and from which places the graph was drawn
            continue
        if kind == "p":
            if stated or len(words) != 3 or words[0].lower() not in ("edge", "edges", "col", "clq"):
                raise _fault(line, "a line 'p edge vertices edges' must stand once")
            stated, n = words, _integer(words[1], "the number of vertices", 1, MAX_VERTICES)
        elif kind == "e" and stated:
            if len(words) != 2:
                raise _fault(line, "a line 'e u v' must have two ends and nothing more")
            u, v = (_integer(word, "a vertex", 1, n) for word in words)
            pairs.append((u, v))
        else:
            raise _fault(line, "a line must be a comment 'c', then 'p edge vertices edges', then an edge 'e u v'")
    if not stated:
        raise ValueError("a line 'p edge vertices edges' must be there, got none")
    edges = _simple(pairs)
    m = _integer(stated[2], "the number of edges")
    # Headers of the library count the lines. Those of graphs that were unpacked from a matrix count each edge twice,
    # but their lines are the entries below its diagonal, row by row up to the last vertex.
    below = pairs == sorted(set(pairs)) and all(u > v for u, v in pairs)
    if m == 2 * len(pairs) and below and pairs[-1:] and pairs[-1][0] == n:
        m = len(pairs)
    if m not in (len(pairs), len(edges)):
        raise _fault(stated[2], f"the number of edges must be that of the lines 'e u v', {len(pairs)}")
    return {"n": n, "edges": edges}


# ------------------------------------------------------------------------------------------- knapsack


def _knapsack(lines: Iterable[_Line]) -> Fields:
    rows = list(lines)
    if rows and not _NUMBER.fullmatch(rows[0].words[0]):
        rows = list(_pisinger(rows))
    if len(rows) < 2:
        raise ValueError("items must follow a line 'n capacity', got the end of the file")
    head, *body = rows
    first, *capacity = head.words
    n = _integer(first, "the number of items", 1)
    if len(capacity) > 1:
        raise _fault(head, "the first line must be 'n capacity', or n alone")
    if not capacity and len(body[0].words) == 1:
        capacity = body.pop(0).words
    width = len(body[0].words) if body else 0
    numbers = [row.words[0] for row in body[:n]]
    numbered = width == 3 and (n != 3 or numbers in (["0", "1", "2"], ["1", "2", "3"]))
    if width == n > 2 and not numbered:  # all values, then all weights
        body, rest = body[:2], body[2:]
        if len(body) < 2 or len(body[1].words) != n:
            raise _fault(body[-1], f"a line of {n} weights must follow the line of {n} values")
        items = list(zip(body[0].words, body[1].words, strict=True))
    else:
        body, rest = body[:n], body[n:]
        items = [_item(row, i + int(numbers[0] == "1") if numbered else None) for i, row in enumerate(body)]
    if len(items) < n:
        raise _fault(rows[-1], f"{n} items must be listed, as the first line says, but {len(items)} are")
    if not capacity:
        if not rest or len(rest[0].words) > 1:
            raise _fault((rest or rows)[-1], "a line with the capacity must follow the items")
        capacity = rest.pop(0).words
    most = _integer(capacity[0], "the capacity")
    values = tuple([_integer(value, "a value") for value, _ in items])
    weights = tuple([_integer(weight, "a weight", 1) for _, weight in items])
    taken = [_integer(word, "an item's part in the solution", 0, 1) for row in rest for word in row.words]
    if rest and len(taken) != n:
        raise _fault(rest[-1], f"the solution must have a 0 or 1 for each of {n} items")
    if sum([weight for weight, one in zip(weights, taken, strict=False) if one]) > most:
        raise _fault(rest[0], f"the solution must fit the capacity {most}: values stand before weights")
    return {"capacity": most, "weights": weights, "values": values}


def _item(row: _Line, number: int | None) -> tuple[_Word, _Word]:
    words = row.words
    if number is not None:
        _integer(words.pop(0), "the number of an item", number, number)
    if len(words) != 2:
        raise _fault(row, "a line must give the value and the weight of an item")
    value, weight = words
    return value, weight


def _pisinger(rows: list[_Line]) -> Iterator[_Line]:
    """Yield an instance of Pisinger's files as lines of n, the capacity, numbered items and the solution."""
    for name, row in zip_longest(("n", "c", "z", "time"), rows[1:5]):
        if row is None or len(row.words) != 2 or row.words[0] != name:
            raise _fault(row or rows[-1], f"a line '{name} ...' must follow the name of the instance")
        if name in ("n", "c"):
            yield row._replace(text=row.words[1])
    items = list(takewhile(lambda row: row.text.strip("-"), rows[5:]))
    if len(items) + 6 < len(rows):
        raise _fault(rows[len(items) + 6], "a file must hold one instance")
    solution = []
    for row in items:
        words = row.text.replace(",", " ").split()
        if len(words) != 4:
            raise _fault(row, "a line must be 'number,value,weight,taken'")
        solution.append(words.pop())
        yield row._replace(text=" ".join(words))
    if solution:
        yield rows[-1]._replace(text=" ".join(solution))


# ------------------------------------------------------------------------------------------ OR-Library


def _set_cover(lines: Iterable[_Line]) -> Fields:
    rows = list(lines)
    try:
        return _covers(rows, by_column=False)
    except ValueError:
        # No file is both: by rows, the last column of such lines would cover nothing.
        if not all(row.words[1:2] == [str(len(row.words) - 2)] for row in rows[1:]):
            raise
    return _covers(rows, by_column=True)


def _covers(lines: list[_Line], *, by_column: bool) -> Fields:
    numbers = _Stream(lines, "the file")
    rows, columns = numbers.integer("the number of rows", 1), numbers.integer("the number of columns", 1, MAX_COLUMNS)
    numbers.end_line("the first line must be 'rows columns'")
    costs, covered = list[int](), list[list[int]]()
    layouts: set[bool] = set()  # whether a count has a line of its own

    def cost(column: int) -> int:
        return numbers.integer(f"the cost of column {column}", 1, 10**9)

    def members(one: str, other: str, high: int) -> Iterator[int]:
        count, seen = numbers.integer(f"how many {other}s {one} has", 1, high), set()
        layouts.add(numbers.ends_line)
        if len(layouts) > 1:
            numbers.refuse(f"how many {other}s {one} has must have a line of its own for all or for none")
        for left in range(count, 0, -1):
            member = numbers.integer(f"a {other} of {one}", 1, high)
            if member in seen:
                numbers.refuse(f"a {other} of {one} must stand once")
            if left > 1 and layouts == {False} and numbers.ends_line:
                numbers.refuse(f"{left - 1} more {other}s of {one} must stand on this line")
            seen.add(member)
            yield member - 1
        numbers.end_line(f"the {other}s of {one} must end with their line")

    if by_column:
        for column in range(columns):
            costs.append(cost(column + 1))
            covered.append(sorted(members(f"column {column + 1}", "row", rows)))
    else:
        costs = [cost(column + 1) for column in range(columns)]
        numbers.end_line("the costs must end with their line")
        covered = [[] for _ in costs]
        for row in range(rows):
            for column in members(f"row {row + 1}", "column", columns):
                covered[column].append(row)
    numbers.finish(f"the file must end after {rows} rows and {columns} columns")
    for column, elements in enumerate(covered):
        if not elements:
            raise _fault(lines[0], f"each column must cover a row, and column {column + 1} covers none")
    reached = set[int]().union(*covered)
    for row in range(rows):
        if row not in reached:
            raise _fault(lines[0], f"each row must be covered, and row {row + 1} is not")
    return {"universe": rows, "subsets": tuple(map(tuple, covered)), "costs": tuple(costs)}


READERS: dict[str, Callable[[Iterable[_Line]], Fields]] = {
    "tsplib": _tour,
    "tsplib_hcp": _cycle,
    "dimacs": _dimacs,
    "knapsack": _knapsack,
    "orlib_scp": _set_cover,
}
"""Name of a library format to what reads the fields of an instance from a file in it."""
