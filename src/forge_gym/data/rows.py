"""Rows: certified instances in one format, which suites, data sets and trainers' files share; and drawing them."""

from __future__ import annotations

import gzip
import json
import os
import secrets
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import IO, Any, NamedTuple, overload

from ..core.checks import check_choice, check_int, plain, short_repr
from ..core.foreign import exact, load_json
from ..core.instance import Instance
from ..core.mixture import Mixture
from ..core.problem import MAX_UNGRADED, Problem
from ..core.reference import Certificate, Reference, stated
from ..core.registry import from_spec
from ..core.registry import problem as make_problem
from ..core.seeding import SPLITS
from ..core.verdict import Verdict
from ..registration import problem_name, stated_name

# ------------------------------------------------------------------------------------------ one row

_TYPES: dict[str, type] = {
    **dict.fromkeys(("id", "hash"), str),
    "level": int,
    **dict.fromkeys(("source", "instance"), dict),
}
"""The columns of a row that say more than its problem."""
MAX_ID, MAX_LEVEL = 200, 10**6
"""Characters of a row's id, and its highest level."""


@dataclass(frozen=True)
class Row:
    """A certified instance.

    Examples
    --------
    >>> import forge_gym
    >>> row = next(samples(forge_gym.problem("TSP"), levels=[2], split="test"))
    >>> row.id[:13], row.level, row.reference.proven, Row.from_json(row.to_json()) == row
    ('TSP-2-test-0-', 2, True, True)
    """

    id: str
    problem: Problem[Any, Any]
    instance: Instance
    reference: Reference[Any]
    """Anchors, bound, and the witness of the value, as stated: `use` and `faults` check them."""
    hash: str
    level: int = -1
    """Difficulty; -1 for a problem's own parameters and for imported instances."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """``seed``, ``index`` and ``split`` of a drawn instance, or what an importer noted."""

    @classmethod
    def of(
        cls,
        problem: Problem[Any, Any],
        instance: Instance,
        source: Mapping[str, Any],
        level: int = -1,
        id: str | None = None,
    ) -> Row:
        """Return an instance as a row, with its certified reference; by default its id says where it was drawn."""
        level, source = int(level), {key: plain(value) for key, value in source.items()}
        if id is None:
            name = problem.name if level < 0 else f"{problem.name}-{level}"
            id = f"{name}-{source['split']}-{source['seed']}-{source['index']}"
        return cls(id, problem, instance, problem.reference(instance), problem.digest(instance), level, source)

    @property
    def prompt(self) -> str:
        """The question."""
        return self.problem.prompt(self.instance)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The question as a conversation."""
        return [{"role": "user", "content": self.prompt}]

    @property
    def spec(self) -> str:
        """A string that rebuilds problem, instance and reference; see `forge_gym.from_spec`. Only of drawn instances.

        A reference that is not proven stays behind, since another limit of work may find a better one.
        """
        if not self.reference.proven:
            return self.problem.spec(**self.source)
        anchors = self.problem.anchors(self.instance)
        return self.problem.spec(**self.source, certificate=self.reference, anchors=anchors)

    @property
    def distribution(self) -> str:
        """The family of instances that this one was drawn from; ``imported`` for others."""
        return str(getattr(self.problem, "distribution", "")) if "seed" in self.source else "imported"

    @property
    def baseline(self) -> float:
        """What published ratios divide by: the baseline that came with the row, or its value."""
        stated = self.source.get("baseline")
        return float(self.reference.value if stated is None else stated)

    def to_dict(self) -> dict[str, Any]:
        """Return what the row states, ready for JSON."""
        reference = self.reference
        return {
            "id": self.id,
            "problem": found_by(self.problem),
            "version": self.problem.version,
            "parameters": self.problem.parameters,
            "level": self.level,
            "source": self.source,
            "hash": self.hash,
            "trivial": stated(reference.trivial),
            "greedy": stated(reference.greedy),
            **reference.stated,
            "instance": json.loads(self.problem.to_json(self.instance)),
        }

    def to_json(self, *, texts: bool = False) -> str:
        """Return the row as a line of JSON; with ``texts``, ``prompt``, best ``answer`` and ``spec`` are in it too."""
        data = self.to_dict()
        if texts:
            answer = self.problem.format(self.instance, self.reference.solution)
            data |= {"prompt": self.prompt, "answer": answer, "spec": self.spec}
        return json.dumps(data, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Row:
        """Return the row that a line holds; other columns do not matter.

        Raises
        ------
        ValueError
            If the line is not a row, or of another version of its problem.
        """
        try:
            return cls.from_dict(load_json(text))
        except ValueError as error:
            raise ValueError(f"a row cannot be read, {short_repr(text)}: {error}") from error

    @classmethod
    def from_dict(cls, data: Any, problem: Problem[Any, Any] | None = None) -> Row:
        """Return the row that `to_dict` wrote, of ``problem`` where it is known; a ``ValueError`` where it is none."""
        if isinstance(data, dict) and isinstance(data.get("certified"), str):  # a trainer's row
            data = load_json(data["certified"])
        problem = problem or stated_problem(data)
        for name, kind in _TYPES.items():
            if type(data.get(name)) is not kind:
                raise ValueError(f"{name} must be of type {kind.__name__}, got {short_repr(data.get(name))}")
        id, level, baseline = data["id"], data["level"], data["source"].get("baseline")
        if not (id.isprintable() and 0 < len(id) <= MAX_ID):
            raise ValueError(f"id must have 1 to {MAX_ID} characters, all printable, got {short_repr(id)}")
        level = check_int("level", level, -1, MAX_LEVEL)
        if not (baseline is None or type(baseline) in (int, float)):
            raise ValueError(f"baseline of the source must be a number, got {short_repr(baseline)}")
        anchors = exact(data.get("trivial")), exact(data.get("greedy"))
        reference = Reference(
            **vars(Certificate.read(data)), sense=problem.sense, trivial=anchors[0], greedy=anchors[1]
        )
        try:
            instance = problem.from_json(json.dumps(data["instance"]))
        except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"instance cannot be read: {type(error).__name__}: {error}") from error
        return cls(id, problem, instance, reference, data["hash"], level, data["source"])

    def use(self) -> Instance:
        """Return the instance with its stated reference in place, after checking witness and anchors.

        Raises
        ------
        ValueError
            If the witness, an anchor or the bound is wrong.
        """
        if not self.problem.has_reference(self.instance):
            try:
                self.problem.accept(self.instance, self.reference)
            except ValueError as error:
                raise ValueError(f"row {short_repr(self.id)}: {error}") from error
        return self.instance

    def faults(self) -> Iterator[str]:
        """Say what is not so, without solving: hash, origin, witness, proof, anchors, grades."""
        if self.problem.digest(self.instance) != self.hash:
            yield "the hash of the data differs from the stated one"
            return
        drawn = "seed" in self.source
        try:
            if drawn and self.problem.instance(**self.source) != self.instance:
                yield "the stream has another instance at the stated place"
            self.problem.accept(self.instance, self.reference)
        except (ValueError, TypeError) as error:
            yield str(error)
            return
        if not self.reference.proven:
            yield f"the optimum is not proven: value {self.reference.value}, bound {self.reference.bound}"
        if drawn and not self.problem.is_graded(self.instance):
            yield "the instance leaves no room between trivial, greedy and optimum"


class Asked(NamedTuple):
    """What is kept of a row that was asked: all that tables need, and neither instance nor witness."""

    id: str
    hash: str
    problem: Problem[Any, Any]
    level: int
    distribution: str
    baseline: float
    proven: bool

    @classmethod
    def of(cls, row: Row) -> Asked:
        """Return what is kept of ``row``."""
        proven = row.reference.proven
        return cls(row.id, row.hash, row.problem, row.level, row.distribution, row.baseline, proven)


def found_by(problem: Problem[Any, Any]) -> str:
    """Return what `problem_name` finds a problem by in another process: its name, or where its class is."""
    cls = type(problem)
    return cls.name if cls.__module__.startswith("forge_gym.") else f"{cls.__module__}:{cls.__name__}"


def stated_problem(data: Any) -> Problem[Any, Any]:
    """Return the problem that a file states by ``problem``, ``version`` and ``parameters``; no module is imported.

    Raises
    ------
    ValueError
        If there is no such problem, or it is at another version.
    """
    if not isinstance(data, dict):
        raise ValueError(f"it must be a JSON object, got {short_repr(data)}")
    name, parameters, version = stated_name(data.get("problem")), data.get("parameters"), data.get("version")
    if not isinstance(parameters, dict):
        raise ValueError(f"parameters must be a JSON object, got {short_repr(parameters)}")
    try:
        problem = make_problem(name, **parameters)
    except TypeError as error:
        raise ValueError(f"parameters of {name} cannot be read: {error}") from error
    if type(version) is not int or version != problem.version:
        stated = f"version {short_repr(version)} of {name}, which is at version {problem.version}"
        raise ValueError(f"it is of {stated}")
    return problem


# ------------------------------------------------------------------------------------------ streams


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
    return [
        (level, make_problem(problem.name, level=level, **problem.parameters))
        for level in plain(levels)
        for problem in problem_list
    ]


def samples(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]],
    *,
    levels: Sequence[int] | None = None,
    seed: int = 0,
    split: str = "train",
    exclude: Container[str] = frozenset(),
) -> Iterator[Row]:
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
        If `ladder` refuses problems and levels, or (while iterating) a problem leaves no room for quality, or
        ``exclude`` leaves no instance.

    Examples
    --------
    >>> import forge_gym
    >>> rows = samples([forge_gym.problem("TSP"), forge_gym.problem("Knapsack")], levels=[0, 2])
    >>> [(row.problem.name, row.level) for row, _ in zip(rows, range(5))]
    [('TSP', 0), ('Knapsack', 0), ('TSP', 2), ('Knapsack', 2), ('TSP', 0)]
    """

    def stream(level: int, problem: Problem[Any, Any]) -> Iterator[Row]:
        excluded = 0
        for index, instance in problem.graded_instances(seed, split):
            row = Row.of(problem, instance, {"seed": seed, "index": index, "split": split}, level)
            if row.prompt not in exclude:
                excluded = 0
                yield row
            elif (excluded := excluded + 1) == MAX_UNGRADED:
                raise ValueError(f"exclude must leave instances, got {excluded} in a row that it names, of {problem!r}")

    streams = [stream(*step) for step in ladder(problems, levels)]
    return (next(rows) for rows in cycle(streams))


def own_row(problem: Problem[Any, Any], level: int, seed: int, number: int, split: str) -> Row:
    """Return row ``number`` of a data set that draws each row from a part of the stream, so that it needs no other."""
    index, instance = next(problem.graded_instances(seed, split, start=number * MOST_ROWS))
    return Row.of(problem, instance, {"seed": seed, "index": index, "split": split}, level)


MOST_ROWS = 2**32
"""Rows of a seed, and instances of the stream for each, for `own_row`."""


class Dataset(Sequence[dict[str, Any]]):
    """Rows of a mixture of problems and levels, drawn when they are asked for; see `forge_gym.dataset`."""

    def __init__(self, mixture: Mixture, size: int, seed: int, split: str) -> None:
        size = check_int("size", size, 1, MOST_ROWS)
        seed = check_int("seed", seed, 0)
        check_choice("split", split, SPLITS)
        self.mixture, self.size, self.seed, self.split = mixture, size, seed, split
        self._rows: dict[int, Row] = {}

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """Return row ``at``, counted from the end where it is negative, or the rows of a slice, as plain data."""
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self.size))]
        data: dict[str, Any] = json.loads(self._row(at).to_json(texts=True))
        return data

    def _row(self, at: int) -> Row:
        number = range(self.size)[at]
        if number not in self._rows:
            member = self.mixture.draw(self.seed, number, self.split)
            self._rows[number] = own_row(member.problem, member.level, self.seed, number, self.split)
        return self._rows[number]

    def verify(self, row: int | Mapping[str, Any], reply: str) -> Verdict:
        """Judge the reply to row number ``row``, or to a row of this or any other data set. No reply raises.

        Raises
        ------
        IndexError, ValueError
            If there is no such row.
        """
        if isinstance(row, Mapping):
            problem, instance = from_spec(row.get("spec", ""))
        else:
            problem, instance = self._row(row).problem, self._row(row).instance
        return problem.verify(instance, reply)


def dataset(
    *problems: str,
    levels: int | Sequence[int] | None = None,
    size: int = 500,
    seed: int = 0,
    split: str = "train",
    weights: Sequence[float] | None = None,
    **parameters: Any,
) -> Dataset:
    """Return rows of a mixture of problems and levels: a sequence that draws and certifies a row when it is asked for.

    Parameters
    ----------
    *problems
        Names, ids, or ``module:Class`` of your own; none for all that are registered.
    levels
        Difficulties, each as often; None keeps the sizes of each problem.
    size
        Number of rows, at least 1.
    seed, split
        The same seed gives the same rows, in any order and in any process; the splits share no stream.
    weights
        How often each problem comes, in proportion; None is equally often.
    **parameters
        What all problems are made with, such as ``style="json"`` or ``answer_format="line"``.

    Returns
    -------
    Dataset
        With a length, indices, slices and iteration. A row is a dict ready for JSON, with the columns of
        ``forge-gym generate``: ``prompt``, ``answer`` (optimal), ``spec``, ``problem``, ``level``, ``value``, ...
        ``verify(row, reply)`` returns the `Verdict` on a reply; ``row`` is a row or its number.

    Raises
    ------
    ValueError
        Naming the parameter, the rule, the value and the nearest valid one.

    Examples
    --------
    >>> import forge_gym
    >>> data = forge_gym.dataset("TSP", "Knapsack", levels=(0, 1, 2), size=100, weights=(3, 1))
    >>> row = data[41]
    >>> len(data), row["problem"], row["level"], row["prompt"][:12]
    (100, 'Knapsack', 1, '0/1 knapsack')
    >>> data.verify(row, row["answer"]).quality, data.verify(41, "no idea").quality
    (1.0, 0.0)
    """
    names = [problem_name(name) for name in problems]
    if weights is not None and len(weights) != len(names):
        raise ValueError(f"weights must hold one number for each problem, got {len(weights)} for {len(names)}")
    asked = dict(zip(names, weights, strict=True)) if weights is not None else names or None
    return Dataset(Mixture.of(asked, levels, **parameters), size, seed, split)


# ------------------------------------------------------------------------------------------ files


def new_file(path: Path | str, *endings: str) -> Path:
    """Return ``path`` to a file that is not there, whose name ends in one of ``endings`` if any, or refuse it.

    No file is emptied or replaced that the program has not written.
    """
    path = Path(path)
    check_ending(path, *endings)
    if path.exists() or path.is_symlink():
        raise ValueError(f"{path} exists and is left as it is: give another file")
    return path


SUITE_ENDINGS = (".jsonl", ".jsonl.gz")
"""How names of files of rows end, plain and compressed."""


def check_ending(path: Path, *endings: str) -> None:
    """Raise ``ValueError`` unless the name of ``path`` ends in one of ``endings``, if any are given."""
    if endings and not path.name.endswith(endings):
        raise ValueError(f"the name of the file must end in {' or '.join(endings)}, got {str(path)!r}")


def hold(path: Path, file: IO[bytes]) -> None:
    """Lock the open ``file`` at ``path`` until it is closed, or the process ends in whatever way.

    Raises
    ------
    ValueError
        If another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: two processes on one file are not told apart there
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = os.path.samestat(os.fstat(file.fileno()), os.stat(path))  # or another has just finished and removed it
    except (BlockingIOError, FileNotFoundError):
        free = False
    except OSError:  # a file system without locks
        return
    if not free:
        raise ValueError(f"{path} is being written by another process")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new file beside ``path`` to write to; it takes its place, or is deleted if the writing fails."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path | str, lines: Iterable[str]) -> Path:
    """Write lines, whole or not at all, compressed where the name ends in ``.gz``; return the path.

    Equal lines give equal bytes. The folder is made when missing.

    Examples
    --------
    >>> import forge_gym, tempfile
    >>> from forge_gym.core.foreign import read_lines
    >>> rows = samples(forge_gym.problem("TSP"))
    >>> path = write(Path(tempfile.mkdtemp()) / "new" / "five.jsonl.gz", (next(rows).to_json() for _ in range(5)))
    >>> len(list(read_lines(path)))
    5
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (f"{line}\n".encode() for line in lines)
    with replacing(path) as temporary, temporary.open("xb") as file:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                packed.writelines(text)
        else:
            file.writelines(text)
    return path
