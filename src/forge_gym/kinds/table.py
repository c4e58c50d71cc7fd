"""The data of an instance as values and tables, and the five ways to write them as text.

A problem states its data once. JSON, CSV and Markdown need nothing more. Templates say how a line of prose and a
word of compact text look, where "all columns, between blanks" is not wanted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from string import Formatter
from typing import Any

STYLES = ("prose", "compact", "json", "csv", "markdown")
"""``prose`` explains itself to any language model, and ``json``, ``csv`` and ``markdown`` do with the data in that
form; ``compact`` is bare tokens for models that are trained from scratch."""
_FORMS = {
    "json": ". The data are a JSON object.",
    "csv": ". The data are comma-separated tables, each below its column names; "
    "blanks stand between the parts of a list.",
    "markdown": ". The data are Markdown tables; blanks stand between the parts of a list.",
}
"""The end of the sentence that introduces the data, where the names of the columns explain the rest."""
_IRREGULAR = {"person": "people", "vertex": "vertices", "city": "cities", "half": "halves"}


@cache
def plural(noun: str) -> str:
    """Return the plural of ``noun``."""
    ending = "es" if noun.endswith(("s", "x", "z", "ch", "sh")) else "s"
    return _IRREGULAR.get(noun, f"{noun}{ending}")


@dataclass(frozen=True)
class Names:
    """What the elements of an instance are called in texts: numbers from ``first`` on, or words.

    Examples
    --------
    >>> names = Names(3, first=10)
    >>> names[2], str(names), Names(2, words=("kova", "mune")).number("mune")
    (12, 'numbered 10 to 12', 1)
    """

    size: int
    first: int = 0
    """Number of the first element, where they have numbers."""
    words: tuple[str, ...] = ()
    """(size,) names of the elements, where they have names."""

    def __getitem__(self, element: int) -> int | str:
        return self.words[element] if self.words else element + self.first

    @cached_property
    def all(self) -> list[str]:
        """(size,) the names of all elements as text."""
        return list(self.words or map(str, range(self.first, self.first + self.size)))

    @cached_property
    def span(self) -> str:
        """All names in short: ``0 to 29``, or all words."""
        return ", ".join(self.words) or f"{self.first} to {self.first + self.size - 1}"

    def number(self, name: str) -> int:
        """Return the element that is called ``name``; -1, which no element is, for a stranger."""
        return self._elements.get(name, -1)

    @cached_property
    def _elements(self) -> dict[str, int]:
        return {name: element for element, name in enumerate(self.words)}

    @property
    def one(self) -> str:
        """What one of them is: a ``number`` or a ``name``."""
        return "name" if self.words else "number"

    @property
    def later(self) -> str:
        """What those after an element are: of higher number, or later in the list of names."""
        return "with later names" if self.words else "of higher number"

    def __str__(self) -> str:
        return f"{'named' if self.words else 'numbered'} {self.span}"


@dataclass
class Value:
    """A number that belongs to the whole instance."""

    name: str
    value: int
    line: str = "{name} {value}"
    """Its line in prose; empty where the question says it already."""
    word: str = "{value}"
    """Its word in compact texts; empty where the tables say it already."""

    def text(self, template: str) -> str:
        """Return the template, `line` or `word`, filled in."""
        return template.format(name=self.name, value=self.value)


@dataclass
class Table:
    """A row for each thing of one sort. A cell is a number, a list of numbers, or a list of pairs.

    Templates name columns: ``{id}`` is the row's own name, ``{weight}`` a cell, ``{people:.}`` a list joined by
    points, ``{from/to:-|,}`` a list of pairs whose two numbers are joined by a hyphen, and the pairs by commas.

    Examples
    --------
    >>> names = Names(2)
    >>> items = Table("item", {"weight": (6, 5), "parts": ((0, 1), (1,))}, "{id} of {weight}: {parts:.}")
    >>> items.prose(names)
    ['0 of 6: 0.1', '1 of 5: 1']
    >>> items.grid(names)
    (['item', 'weight', 'parts'], [['0', '6', '0 1'], ['1', '5', '1']])
    """

    noun: str
    """What a row is, and the name of the column with the rows' own names."""
    columns: Mapping[str, Sequence[Any]]
    """The cells of each column, by its name; a column named ``a/b`` holds lists of pairs."""
    line: str = ""
    """A row in prose; by default its name, a colon and all columns."""
    word: str = ""
    """A row in compact texts; by default all columns."""
    between: str = " "
    """What stands between the rows of compact texts."""
    order: Sequence[int] = ()
    """The order of the rows in compact texts, where it is not that of their numbers."""
    skip: int = 0
    """Rows at the start that texts leave out because they say nothing: the first of a triangle."""
    elements: bool = True
    """Whether the rows are the elements of which an answer speaks, and have their names."""
    across: str = ""
    """What each column of a matrix is, such as ``machine``; ``elements`` where the columns are the elements."""

    def prose(self, names: Names) -> list[str]:
        """Return a line for each row."""
        template = self.line or _template(tuple(self.columns), "{{id}}: {}", ": |, ")
        return self._filled(template, names)[self.skip :]

    def compact(self, names: Names) -> str:
        """Return the rows as words."""
        words = self._filled(self.word or _template(tuple(self.columns), "{}", ":,| "), names)
        rows = [words[row] for row in self.order] if self.order else words[self.skip :]
        return self.between.join(rows)

    def data(self, names: Names) -> list[Any]:
        """Return a dictionary for each row, as JSON writes it; each pair is one too."""
        rows = range(self._count)
        columns: dict[str, Sequence[Any]] = {self.noun: [names[row] for row in rows] if self.elements else rows}
        for name, cells in self.columns.items():
            keys = name.split("/")
            columns[name] = (
                cells if len(keys) == 1 else [[dict(zip(keys, pair, strict=True)) for pair in cell] for cell in cells]
            )
        return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]

    def grid(self, names: Names) -> tuple[list[str], list[list[str]]]:
        """Return head and rows as CSV and Markdown write them; a matrix has a column for each of its own."""
        head, columns = [self.noun], [self._ids(names)]
        for name, cells in self.columns.items():
            if self.across and not isinstance(cells[0], int):
                each = range(max(map(len, cells)))
                head += [f"to {names[j]}" if self.across == "elements" else f"{self.across} {j}" for j in each]
                columns += [[str(row[j]) if j < len(row) else "" for row in cells] for j in each]
            else:
                head.append(name)
                columns.append(list(map(str, _spelt(name, cells, "/", " "))))
        return head, list(map(list, zip(*columns, strict=True)))

    @property
    def _count(self) -> int:
        return len(next(iter(self.columns.values())))

    def _ids(self, names: Names) -> list[str]:
        return names.all[: self._count] if self.elements else list(map(str, range(self._count)))

    def _filled(self, template: str, names: Names) -> list[str]:
        form, fields = _parsed(template)
        cells = [
            self._ids(names) if name == "id" else _spelt(name, self.columns[name], inner, outer)
            for name, inner, outer in fields
        ]
        return list(map(form.__mod__, zip(*cells, strict=True)))


@lru_cache(maxsize=256)
def _template(columns: tuple[str, ...], around: str, joints: str) -> str:
    """Return the template of all columns, between blanks."""
    return around.format(" ".join(f"{{{name}{joints if '/' in name else ''}}}" for name in columns))


@lru_cache(maxsize=256)
def _parsed(template: str) -> tuple[str, tuple[tuple[str, str, str], ...]]:
    """Return the template with %s for each field, and of each field the column and what joins lists in it."""
    form, fields = "", []
    for text, name, joints, _ in Formatter().parse(template):
        form += text.replace("%", "%%")
        if name is not None:
            form += "%s"
            inner, _, outer = (joints or " ").rpartition("|")
            fields.append((name, inner or " ", outer))
    return form, tuple(fields)


def _spelt(column: str, cells: Sequence[Any], inner: str, outer: str) -> Sequence[Any]:
    """Return cells ready for a template: numbers, or lists joined by ``outer``, the numbers of pairs by ``inner``."""
    if "/" in column:
        return [outer.join([f"{first}{inner}{second}" for first, second in cell]) for cell in cells]
    if isinstance(cells[0], (int, str)):
        return cells
    return [_joined(outer, cell) for cell in cells]


_TEXTS = {number: str(number) for number in range(1000)}
"""Small numbers as text: looked up in a third of the time of writing them anew."""


def _joined(joint: str, numbers: Sequence[int]) -> str:
    try:
        return joint.join(map(_TEXTS.__getitem__, numbers))
    except KeyError:
        return joint.join(map(str, numbers))


@dataclass
class Data:
    """All data of an instance.

    Examples
    --------
    >>> data = Data((Value("capacity", 10), Table("item", {"weight": (6, 5), "value": (7, 5)})))
    >>> print(data.text("prose", Names(2)))
    capacity 10
    0: 6 7
    1: 5 5
    >>> data.text("json", Names(1, first=4))
    '{"capacity": 10, "items": [{"item": 4, "weight": 6, "value": 7}, {"item": 5, "weight": 5, "value": 5}]}'
    """

    parts: tuple[Value | Table, ...]
    legend: str = ""
    """The end of the sentence that introduces the data in prose; by default what stands in each line.

    ``{later}`` stands for `Names.later`."""

    def introduction(self, style: str, names: Names) -> str:
        """Return the end of the sentence that introduces the data."""
        if style in _FORMS:
            return _FORMS[style]
        if self.legend:
            return self.legend.replace("{later}", names.later)
        (table,) = [part for part in self.parts if isinstance(part, Table)]
        parts = [f"its {part}" for part in (names.one, *table.columns)]
        return f": one line per {table.noun}, with {', '.join(parts[:-1])} and {parts[-1]}."

    def text(self, style: str, names: Names) -> str:
        """Return the data in one of the `STYLES`."""
        match style:
            case "prose":
                return self._prose(names)
            case "compact":
                return self._compact(names)
            case "json":
                return self._json(names)
            case "csv":
                return "\n\n".join("\n".join(map(",".join, (head, *rows))) for head, rows in self._grids(names))
            case _:
                return "\n\n".join(_markdown(head, rows) for head, rows in self._grids(names))

    @property
    def _tables(self) -> list[Table]:
        return [part for part in self.parts if isinstance(part, Table)]

    @property
    def _values(self) -> list[Value]:
        return [part for part in self.parts if isinstance(part, Value)]

    def _prose(self, names: Names) -> str:
        lines: list[str] = []
        titled = len(self._tables) > 1
        for part in self.parts:
            if isinstance(part, Table):
                lines += [*([plural(part.noun)] if titled else []), *part.prose(names)]
            elif part.line:
                lines.append(part.text(part.line))
        return "\n".join(lines)

    def _compact(self, names: Names) -> str:
        words = [part.compact(names) if isinstance(part, Table) else part.text(part.word) for part in self.parts]
        return " ".join(filter(None, words))

    def _json(self, names: Names) -> str:
        values = {value.name: value.value for value in self._values}
        return json.dumps(values | {plural(table.noun): table.data(names) for table in self._tables})

    def _grids(self, names: Names) -> Iterator[tuple[list[str], list[list[str]]]]:
        if values := self._values:
            yield [value.name for value in values], [[str(value.value) for value in values]]
        for table in self._tables:
            yield table.grid(names)


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))
