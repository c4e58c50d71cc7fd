"""Suites: frozen, certified instances in one file; built, read and checked.

A suite is a file of rows: JSON lines, compressed where its name ends in ``.gz``. What ``forge-gym generate`` writes is
one too. ``forge-bench-v1`` ships inside the package.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ..core.checks import check_int, did_you_mean, plain, short_repr
from ..core.foreign import bounded, load_json, read_lines
from ..core.parameters import choices
from ..core.problem import MAX_UNGRADED, Problem
from ..core.registry import problem as make_problem
from ..core.registry import problem_class
from ..registration import problem_name
from .rows import SUITE_ENDINGS, Row, found_by, hold, ladder, new_file, write

BENCHMARK = "forge-bench-v1"
SHIPPED: dict[str, str] = {
    BENCHMARK: "d77f3e12a0ce7df78d4de0d54e97dc50c821aca78af036f6720e5dfa532db4a6",
}
"""Content hash of each suite that ships with the package, by name."""
LEVELS = range(10)
PER_LEVEL = 10
SEED = 1_000_003
"""The stream of the benchmark's instances, within the test split; training never draws from there."""
PROBLEMS = (
    "BalancedMinCut", "GraphColoring", "HamiltonianCycle", "Knapsack", "MaxClique", "MaxIndependentSet",
    "MeetingScheduling", "SetCover", "SubsetSum", "TSP",
)  # fmt: skip
"""The problems of the benchmark, which later ones do not join: a frozen suite stays what it is."""


class SuiteError(ValueError):
    """A suite file that is damaged, foreign, or says something that is not so."""


def locate(name: str) -> Path:
    """Return the file of a suite that ships with the package, by its name, or the file ``name``, if it is there."""
    shipped = importlib.resources.files("forge_gym.envs").joinpath("data", f"{name}.jsonl.gz")
    path = Path(str(shipped)) if shipped.is_file() else Path(name)
    if not path.is_file():
        hint = did_you_mean(name, SHIPPED)
        raise SuiteError(f"suite must be a file or the name of a suite in the package, got {name!r}: {hint}")
    return path


def proven_levels(problem: str) -> dict[str, int]:
    """Return for each distribution the level up to which references are proven, as `benchmarks/levels.py` measured.

    That is all of three instances within 10 s on one core. Nothing where nobody measured.

    Examples
    --------
    >>> sorted(proven_levels("TSP"))
    ['clustered', 'matrix', 'uniform']
    """
    table = importlib.resources.files("forge_gym.envs").joinpath("data", "proven_levels.json")
    levels: dict[str, dict[str, int]] = json.loads(table.read_text())
    return levels.get(problem, {})


def name_of(path: Path) -> str:
    """Return the name of the suite in a file: that of the file, without its endings."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


def content_hash(rows: Iterable[Row]) -> str:
    """Return the SHA-256 of what the rows ask and how they measure: all but witness, solver and work.

    So suites of one hash give any answer the same worth, whichever optimal solutions their solvers have found.
    """
    stated = []
    for row in rows:
        data = row.to_dict()
        stated.append({key: data[key] for key in data if key not in ("solver", "work", "solution")})
    return hashlib.sha256("\n".join(map(json.dumps, stated)).encode()).hexdigest()


def read(suite: Path | str) -> tuple[str, list[Row]]:
    """Return name and rows of a suite, a file or one that ships with the package.

    Raises
    ------
    SuiteError
        If there is none, the file is no suite, or it has the name of one that ships and other content.
    """
    path = locate(str(suite))
    name, rows, known = name_of(path), list[Row](), dict[str, int]()
    try:
        for at, line in read_lines(path):
            try:
                row = Row.from_json(line)
                if known.setdefault(row.id, at) != at:
                    raise ValueError(f"its id, {short_repr(row.id)}, is that of line {known[row.id]}")
                rows.append(row)
            except ValueError as error:
                raise ValueError(f"line {at}: {error}") from error
    except (OSError, ValueError) as error:
        raise SuiteError(f"{path} is not a suite: {error}") from error
    if not rows:
        raise SuiteError(f"{path} is not a suite: it has no rows")
    if name in SHIPPED and content_hash(rows) != SHIPPED[name]:
        raise SuiteError(f"{path} is not {name}: its content differs, so give it another name")
    return name, rows


def build(
    out: Path | str,
    problems: Sequence[str | Problem[Any, Any]] = PROBLEMS,
    levels: Sequence[int] | None = LEVELS,
    per_level: int = PER_LEVEL,
    seed: int = SEED,
    progress: Callable[[int], object] = lambda done: None,
) -> str:
    """Draw and certify a suite, by default the benchmark; return its content hash.

    Finished rows are kept beside the file until all are finished. So a build that was killed can be continued, and ends
    with the same bytes. No two instances of a problem and level are equal up to the numbers of their elements.

    Parameters
    ----------
    out
        A new file, compressed where its name ends in ``.gz``.
    problems
        Names, ids or ``module:Class``, whose families of instances come in turn; or problems with parameters.
    levels
        Difficulties; None keeps the problems' own sizes.
    per_level
        Rows of each problem at each level, at least 1.
    seed
        Of the streams of instances, within the test split.
    progress
        Called with the number of rows done since the last call.

    Raises
    ------
    ValueError
        If an argument is wrong, or ``out`` has the name of a suite that ships with the package and this is another.
    SuiteError
        If another build was begun there, or there are not enough instances.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tours.jsonl"
    >>> digest = build(path, ["TSP"], levels=[0, 3], per_level=2, seed=7)
    >>> [(row.id, row.distribution) for row in read(path)[1]]
    [('TSP-0-0', 'uniform'), ('TSP-0-1', 'clustered'), ('TSP-3-0', 'uniform'), ('TSP-3-1', 'clustered')]
    """
    per_level = check_int("per_level", per_level, 1)
    seed = check_int("seed", seed, 0)
    out = new_file(out, *SUITE_ENDINGS)
    asked = tuple(problems), None if levels is None else plain([*levels]), per_level, seed
    if name_of(out) in SHIPPED and asked != (PROBLEMS, tuple(LEVELS), PER_LEVEL, SEED):
        raise ValueError(f"out must have another name, got {out}: the package has a suite of this name")
    groups = [group for problem in problems for group in _groups(problem, levels)]
    names = [name for name, _, _ in groups]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"problems and levels must be distinct, and at least one, got {names}")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    with partial.open("a+b") as file:
        hold(partial, file)
        lines = _begun(partial, file, groups, per_level, seed)
        progress(len(lines) - 1)
        for name, level, families in groups[(len(lines) - 1) // per_level :]:
            for row in _draw(name, level, families, per_level, seed):
                lines.append(row.to_json())
                file.write(f"{lines[-1]}\n".encode())
                file.flush()
                progress(1)
        write(out, lines[1:])
        partial.unlink()
    return content_hash(read(out)[1])


_Group = tuple[str, int, list[Problem[Any, Any]]]
"""Name, level, and the families of instances that come in turn."""


def _groups(problem: str | Problem[Any, Any], levels: Sequence[int] | None) -> Iterator[_Group]:
    """Yield what a problem brings at each level."""
    families = [problem] if isinstance(problem, Problem) else _families(problem_name(problem))
    steps = ladder(families, levels)
    for i in range(0, len(steps), len(families)):
        level, first = steps[i]
        name = first.name if level < 0 else f"{first.name}-{level}"
        yield name, level, [family for _, family in steps[i : i + len(families)]]


def _families(name: str) -> list[Problem[Any, Any]]:
    distributions = choices(problem_class(name), "distribution")
    return [make_problem(name, distribution=family) for family in distributions] or [make_problem(name)]


def _begun(partial: Path, file: IO[bytes], groups: Sequence[_Group], per_level: int, seed: int) -> list[str]:
    """Return the lines of a build so far, and cut the file there: its settings, then the groups that are whole."""
    members = [[found_by(p), p.version, p.parameters] for _, _, families in groups for p in families]
    settings = json.dumps({"problems": members, "per_level": per_level, "seed": seed})
    file.seek(0)
    begun = [line.decode("utf-8", "replace") for line in bounded(file)]
    if begun and begun[0] != f"{settings}\n" and not (len(begun) == 1 and settings.startswith(begun[0])):
        raise SuiteError(f"{partial} is of a build with other settings: delete it, or give another --out")
    whole, ids = [settings], [f"{name}-{i}" for name, _, _ in groups for i in range(per_level)]
    for at, (line, id) in enumerate(zip(begun[1:], ids, strict=False), 2):
        if not line.endswith("\n"):  # it was being written
            break
        try:
            if (found := load_json(line).get("id")) != id:
                raise ValueError(f"its id is {short_repr(found)}, not {id!r}")
            Row.from_json(line)
        except (ValueError, AttributeError) as error:
            warnings.warn(f"{partial}, line {at}, is damaged, and made again from there on: {error}", stacklevel=3)
            break
        whole.append(line[:-1])
    whole = whole[: 1 + (len(whole) - 1) // per_level * per_level]
    file.truncate(0)
    file.write("".join(f"{line}\n" for line in whole).encode())
    file.flush()
    os.fsync(file.fileno())
    return whole


def _draw(name: str, level: int, families: Sequence[Problem[Any, Any]], count: int, seed: int) -> Iterator[Row]:
    """Yield ``count`` graded instances, the families in turn, none isomorphic to another."""
    streams = deque((problem, problem.graded_instances(seed, "test")) for problem in families)
    shapes: set[str] = set()
    fruitless = 0
    while len(shapes) < count:
        if not streams or fruitless == MAX_UNGRADED:
            raise SuiteError(f"{name} has fewer than {count} different graded instances: try a larger level")
        problem, stream = streams.popleft()
        try:
            index, instance = next(stream)
        except ValueError:  # this family leaves no room at this level: the others fill in
            continue
        streams.append((problem, stream))
        shape = json.dumps(instance.isomorphism_key())
        fruitless = fruitless + 1 if shape in shapes else 0
        if not fruitless:
            source = {"seed": seed, "index": index, "split": "test"}
            yield Row.of(problem, instance, source, level, f"{name}-{len(shapes)}")
            shapes.add(shape)


def verify(path: Path, sample: int = 50, progress: Callable[[int], object] = lambda done: None) -> list[str]:
    """Return everything that is wrong with a suite; an empty list means nothing is.

    Witnesses are checked, not compared: another optimal solution is as good. So many rows as ``sample`` says, evenly
    spread, are solved again from nothing. ``progress`` is called with the number of rows checked since the last call.
    """
    try:
        _, rows = read(path)
    except SuiteError as error:
        return [str(error)]
    faults = []
    known: dict[str, str] = {}
    again = {round(i * len(rows) / sample) for i in range(sample)} if sample else set()
    for at, row in enumerate(rows):
        row_faults = list(row.faults())
        if row.hash in known:
            row_faults.append(f"the instance is the same as that of {known[row.hash]}")
        known[row.hash] = row.id
        if at in again and not row_faults:
            solved = row.problem.certificate(row.instance)
            if not solved.proven or solved.value != row.reference.value:
                row_faults.append(
                    f"solving again gives {solved.value} with bound {solved.bound}, not {row.reference.value}"
                )
        faults += [f"{row.id}: {fault}" for fault in row_faults]
        progress(1)
    return faults
