"""Samples of problems, levels and splits in one order, of which every trainer's rows are made; and files of rows."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

from ..core.checks import check_choice
from ..core.instance import Instance
from ..core.problem import Problem


@dataclass(frozen=True)
class Sample:
    """A graded instance as text, and where it comes from."""

    problem: Problem[Any, Any]
    level: int
    """Difficulty; -1 for the problem's own parameters."""
    seed: int
    index: int
    split: str
    prompt: str
    digest: str
    """The instance's hash."""

    @classmethod
    def of(
        cls, problem: Problem[Any, Any], instance: Instance, level: int, seed: int, index: int, split: str
    ) -> Sample:
        """Return the sample of ``instance``, number ``index`` of its stream."""
        return cls(problem, level, seed, index, split, problem.prompt(instance), problem.digest(instance))

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt as a conversation."""
        return [{"role": "user", "content": self.prompt}]

    @property
    def spec(self) -> str:
        """A string that rebuilds problem and instance; see `forge_gym.from_spec`."""
        return self.problem.spec(self.seed, self.index, self.split)


def ladder(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]], levels: Sequence[int] | None = None
) -> list[tuple[int, Problem[Any, Any]]]:
    """Return level and problem of every stream: all problems at the first level, then at the next.

    Raises
    ------
    ValueError
        If no problem or no level is given, or a problem with sizes of its own and levels, which set them.
    """
    problem_list = [problems] if isinstance(problems, Problem) else list(problems)
    if not problem_list:
        raise ValueError("problems must hold at least one problem, got none")
    if levels is None:
        return [(-1, problem) for problem in problem_list]
    if not len(levels):
        raise ValueError("levels must hold at least one level, or be None, got none")
    return [(level, _at_level(problem, level)) for level in levels for problem in problem_list]


def _at_level(problem: Problem[Any, Any], level: int) -> Problem[Any, Any]:
    """Return ``problem`` at ``level``, which must not undo what was asked for."""
    leveled = problem.at_level(level)
    lost = [key for key, value in problem.parameters.items() if getattr(leveled, key) != value]
    if lost:
        raise ValueError(
            f"levels set {', '.join(lost)}, so give one of them, got level {level} for {problem!r}: "
            f"level {level} means {lost[0]}={getattr(leveled, lost[0])!r}"
        )
    return leveled


def samples(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]],
    *,
    levels: Sequence[int] | None = None,
    seed: int = 0,
    split: str = "train",
    exclude: Container[str] = frozenset(),
) -> Iterator[Sample]:
    """Return graded instances without end, one of each problem at each level in turn.

    Parameters
    ----------
    problems
        One or several; each gets an equal share.
    levels
        Difficulties to cycle through; None keeps each problem's own parameters.
    seed, split
        Stream of instances; see `Problem.instance`.
    exclude
        Prompts to leave out, such as those of a test set.

    Raises
    ------
    ValueError
        If `ladder` refuses problems and levels, or (while iterating) a problem leaves no room for quality.

    Examples
    --------
    >>> import forge_gym
    >>> found = samples([forge_gym.problem("TSP"), forge_gym.problem("Knapsack")], levels=[0, 2])
    >>> [(sample.problem.name, sample.level) for sample, _ in zip(found, range(5))]
    [('TSP', 0), ('Knapsack', 0), ('TSP', 2), ('Knapsack', 2), ('TSP', 0)]
    """
    streams = [_stream(problem, level, seed, split, exclude) for level, problem in ladder(problems, levels)]
    return (next(stream) for stream in cycle(streams))


def _stream(
    problem: Problem[Any, Any], level: int, seed: int, split: str, exclude: Container[str]
) -> Iterator[Sample]:
    for index, instance in problem.graded_instances(seed, split):
        sample = Sample.of(problem, instance, level, seed, index, split)
        if sample.prompt not in exclude:
            yield sample


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a file beside ``path`` to write to; it takes the place of ``path``, or is deleted if the writing fails."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


BATCH = 1000
"""Rows written at a time."""


def write_rows(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> Path:
    r"""Write ``rows`` as JSON lines or Parquet, whole or not at all; return the path.

    Parameters
    ----------
    path
        The file; its ending says what it is. Its folder is made when missing.
    rows
        Rows with the same columns. Parquet's types are those of the first one, so every row must have text, an
        integer, a float, a list or a mapping where the first has, and no list of the first may be empty.

    Raises
    ------
    ValueError
        If the ending is unknown or needs pyarrow, which is not installed; if there are no rows, or one has other
        columns than the first.

    Examples
    --------
    >>> import tempfile
    >>> path = write_rows(Path(tempfile.mkdtemp()) / "new" / "train.jsonl", [{"prompt": "?"}, {"prompt": "!"}])
    >>> path.read_text()
    '{"prompt": "?"}\n{"prompt": "!"}\n'
    """
    path = Path(path)
    check_choice("ending of path", path.suffix, _WRITERS)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        _WRITERS[path.suffix](temporary, _alike(rows))
    return path


def _alike(rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Pass on rows, of which there must be one, and all with the same columns."""
    columns = None
    for i, row in enumerate(rows):
        row_columns = [
            (key, list(value)) if isinstance(value, Mapping) else key for key, value in row.items()
        ]
        columns = row_columns if columns is None else columns
        if row_columns != columns:
            raise ValueError(
                f"rows must have the same columns, {columns} as the first, got row {i} with {[*row]}"
            )
        yield row
    if columns is None:
        raise ValueError("rows must hold at least one row, got none")


def _write_jsonl(path: Path, rows: Iterator[Mapping[str, Any]]) -> None:
    with path.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _write_parquet(path: Path, rows: Iterator[Mapping[str, Any]]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ValueError("a .parquet file needs pyarrow: pip install '.[data]' in a clone") from None

    first = next(rows)
    schema = pa.Table.from_pylist([first]).schema
    rows = chain([first], rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, BATCH)):
            writer.write_table(pa.Table.from_pylist(batch, schema))


_WRITERS = {".jsonl": _write_jsonl, ".parquet": _write_parquet}
