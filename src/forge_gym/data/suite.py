"""Suites: frozen, certified instances in one file; built, checked, imported and scored.

A suite file is gzip-compressed JSON lines: a header, then one row per instance with its data, its
hash, its anchors and the witness of its optimum. ``forge-bench-v1`` ships inside the package.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..core.checks import check_int, short_repr
from ..core.instance import Instance, lists_to_tuples
from ..core.parameters import choices
from ..core.problem import Problem
from ..core.reference import Certificate, CertificateError
from ..core.registry import problem as make_problem
from ..core.registry import problem_class
from ..core.store import number
from ..core.verdict import Number
from .rows import replacing

FORMAT = 1
BENCHMARK = "forge-bench-v1"
SHIPPED: dict[str, str] = {
    BENCHMARK: "081577975ea25df87b56c3e1c4756d11aede9f3d7647aa2842fcc21f608ebcb4",
}
"""Content hash of each suite that ships with the package, by name."""
LEVELS = range(10)
PER_LEVEL = 10
SEED = 1_000_003
"""The stream of the suite's instances, within the test split; training never draws from there."""
PROBLEMS = (
    "BalancedMinCut", "GraphColoring", "HamiltonianCycle", "Knapsack", "MaxClique", "MaxIndependentSet",
    "MeetingScheduling", "SetCover", "SubsetSum", "TSP",
)  # fmt: skip
"""The problems of the benchmark, which later ones do not join: a frozen suite stays what it is."""


class SuiteError(ValueError):
    """A suite file that is damaged, foreign, or says something that is not so."""


@dataclass(frozen=True)
class Row:
    """One instance of a suite."""

    id: str
    problem: Problem[Any, Any]
    instance: Instance
    certificate: Certificate[Any]
    trivial: Number
    greedy: Number
    hash: str
    level: int | None = None
    """Difficulty; None for an imported instance."""
    source: dict[str, Any] = field(default_factory=dict)
    """``seed``, ``index``, ``split`` of a generated instance, or what an importer noted."""

    @classmethod
    def certified(
        cls,
        id: str,
        problem: Problem[Any, Any],
        instance: Instance,
        level: int | None,
        source: dict[str, Any],
    ) -> Row:
        """Solve ``instance``, from nothing and not from a store, and return its row."""
        certificate = problem.certificate(instance)
        reference = problem.certify(instance, certificate)
        problem.keep_reference(instance, reference)
        digest = problem.digest(instance)
        return cls(
            id, problem, instance, certificate, reference.trivial, reference.greedy, digest, level, source
        )

    def to_json(self) -> str:
        """Return the row as one line of canonical JSON."""
        certificate = self.certificate
        return json.dumps(
            {
                "id": self.id,
                "problem": self.problem.name,
                "version": self.problem.version,
                "parameters": self.problem.parameters,
                "level": self.level,
                "source": self.source,
                "hash": self.hash,
                "trivial": _plain(self.trivial),
                "greedy": _plain(self.greedy),
                "value": _plain(certificate.value),
                "bound": _plain(certificate.bound),
                "solver": certificate.solver,
                "work": certificate.work,
                "solution": certificate.solution,
                "instance": json.loads(self.problem.to_json(self.instance)),
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Row:
        """Return the row that a line holds.

        Raises
        ------
        SuiteError
            If the line is not a row, or of another version of its problem.
        """
        try:
            data = json.loads(text)
            parameters = {key: lists_to_tuples(value) for key, value in data["parameters"].items()}
            problem = make_problem(data["problem"], **parameters)
            if data["version"] != problem.version:
                raise ValueError(
                    f"{problem.name} is at version {problem.version}, the row at {data['version']}"
                )
            value, bound = number(str(data["value"])), number(str(data["bound"]))
            solution = lists_to_tuples(data["solution"])
            certificate = Certificate(solution, value, bound, data["solver"], data["work"])
            instance = problem.from_json(json.dumps(data["instance"]))
            anchors = number(str(data["trivial"])), number(str(data["greedy"]))
            origin = data["level"], data["source"]
            return cls(data["id"], problem, instance, certificate, *anchors, data["hash"], *origin)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SuiteError(f"a row cannot be read, {short_repr(text)}: {error}") from error

    @property
    def distribution(self) -> str:
        """The family of instances that this one was drawn from; ``imported`` for others."""
        return str(getattr(self.problem, "distribution", "")) if self.level is not None else "imported"

    def use(self) -> Instance:
        """Return the instance with its stored reference in place, witness and anchors checked.

        Raises
        ------
        CertificateError
            If the witness or a bound is wrong.
        """
        if not self.problem.has_reference(self.instance):
            self.problem.keep_reference(self.instance, self.problem.certify(self.instance, self.certificate))
        return self.instance

    def faults(self) -> Iterator[str]:
        """Say what is not so, without solving: hash, origin, witness, proof, anchors, grades."""
        if self.problem.digest(self.instance) != self.hash:
            yield "the data do not have the stated hash"
            return
        if self.level is not None:
            drawn = self.problem.instance(self.source["seed"], self.source["index"], self.source["split"])
            if drawn != self.instance:
                yield "the stream holds another instance there"
        try:
            reference = self.problem.certify(self.instance, self.certificate)
        except (CertificateError, TypeError, IndexError) as error:
            yield f"the certificate fails: {error}"
            return
        if not reference.proven:
            yield f"the optimum is not proven: value {reference.value}, bound {reference.bound}"
        if (reference.trivial, reference.greedy) != (self.trivial, self.greedy):
            yield f"the anchors are {reference.trivial} and {reference.greedy}, not {self.trivial} and {self.greedy}"
        self.problem.keep_reference(self.instance, reference)
        if self.level is not None and not self.problem.is_graded(self.instance):
            yield "the instance leaves no room for quality"


def _plain(value: Number) -> int | str:
    return str(value) if isinstance(value, Fraction) and value.denominator != 1 else int(value)


# ------------------------------------------------------------------------------------------ files


def locate(name: str) -> Path:
    """Return the file of a suite: one that ships with the package, by name, or a path.

    Raises
    ------
    SuiteError
        If there is no such file.
    """
    shipped = importlib.resources.files("forge_gym.envs").joinpath("data", f"{name}.jsonl.gz")
    path = Path(str(shipped)) if shipped.is_file() else Path(name)
    if not path.is_file():
        raise SuiteError(f"suite must be a file or one of {sorted(SHIPPED)}, got {name!r}")
    return path


def content_hash(rows: Iterable[str]) -> str:
    """Return the SHA-256 of the lines of a suite."""
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def write(path: Path, name: str, rows: Sequence[str]) -> str:
    """Write a suite, whole or not at all; return its content hash. Equal rows give equal bytes."""
    digest = content_hash(rows)
    header = json.dumps({"suite": name, "format": FORMAT, "rows": len(rows), "sha256": digest})
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress("\n".join([header, *rows, ""]).encode(), mtime=0))
    return digest


def read(path: Path) -> tuple[str, list[Row]]:
    """Return name and rows of a suite whose content has the stated hash.

    Raises
    ------
    SuiteError
        If the file is no suite or its content was changed.
    """
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        header = json.loads(lines[0])
        name, form, count, digest = (header[key] for key in ("suite", "format", "rows", "sha256"))
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise SuiteError(f"{path} is not a suite: {error}") from error
    if form != FORMAT:
        raise SuiteError(f"{path} has suite format {form}, not {FORMAT}")
    rows = lines[1:]
    if len(rows) != count or content_hash(rows) != digest or SHIPPED.get(name, digest) != digest:
        raise SuiteError(f"{path} was changed: its content is not that of {name}")
    return name, [Row.from_json(row) for row in rows]


# ------------------------------------------------------------------------------------------ build


def build(
    path: Path,
    name: str = BENCHMARK,
    per_level: int = PER_LEVEL,
    progress: Callable[[int], object] = lambda n: None,
) -> str:
    """Build the benchmark: each of its problems, ``per_level`` graded and certified instances at each level.

    Rows that are done are kept beside the file until all are; a build that was killed goes on from
    there and ends with the same bytes. Returns the content hash.
    """
    check_int("per_level", per_level, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    plan = {f"{problem} {level}": (problem, level) for problem in PROBLEMS for level in LEVELS}
    done = _resume(partial, per_level, plan)
    progress(sum(map(len, done.values())))
    with partial.open("a") as file:
        for key, (problem, level) in plan.items():
            if key not in done:
                done[key] = [row.to_json() for row in _draw(problem, level, per_level)]
                file.write(json.dumps({"per_level": per_level, "key": key, "rows": done[key]}) + "\n")
                file.flush()
                os.fsync(file.fileno())
                progress(len(done[key]))
    digest = write(path, name, [row for key in plan for row in done[key]])
    partial.unlink()
    return digest


def _resume(partial: Path, per_level: int, plan: dict[str, Any]) -> dict[str, list[str]]:
    """Return the finished parts of a build; cut off a line that was being written when it was killed."""
    if not partial.exists():
        return {}
    whole, newline, _ = partial.read_bytes().rpartition(b"\n")
    done = {}
    for line in whole.splitlines():
        part = json.loads(line)
        if part["per_level"] != per_level or part["key"] not in plan:
            raise SuiteError(f"{partial} holds another build: delete it, or give another --out")
        done[part["key"]] = part["rows"]
    os.truncate(partial, len(whole + newline))
    return done


def _draw(name: str, level: int, count: int) -> list[Row]:
    """Return ``count`` graded instances of one level, its families in turn, none isomorphic to another."""
    families = [{"distribution": family} for family in choices(problem_class(name), "distribution")]
    problems = [make_problem(name, level=level, **family) for family in families or [{}]]
    streams = deque((problem, problem.graded_instances(SEED, "test")) for problem in problems)
    rows: list[Row] = []
    known: set[str] = set()
    while len(rows) < count:
        if not streams:
            raise SuiteError(f"{name} at level {level} has fewer than {count} graded instances")
        problem, stream = streams.popleft()
        try:
            index, instance = next(stream)
        except ValueError:  # this family leaves no room at this level: the others fill in
            continue
        streams.append((problem, stream))
        shape = json.dumps(instance.isomorphism_key())
        if shape not in known:
            known.add(shape)
            source = {"seed": SEED, "index": index, "split": "test"}
            rows.append(Row.certified(f"{name}-{level}-{len(rows)}", problem, instance, level, source))
    return rows


# ----------------------------------------------------------------------------------------- verify


def verify(path: Path, sample: int = 50, progress: Callable[[int], object] = lambda n: None) -> list[str]:
    """Return everything that is wrong with a suite; an empty list means nothing is.

    Parameters
    ----------
    path
        The file.
    sample
        How many rows, evenly spread, are solved again from nothing.
    progress
        Called with the number of rows checked since the last call.
    """
    try:
        _, rows = read(path)
    except SuiteError as error:
        return [str(error)]
    faults = []
    shapes: dict[str, str] = {}
    again = {round(i * len(rows) / sample) for i in range(sample)} if sample else set()
    for at, row in enumerate(rows):
        row_faults = list(row.faults())
        if row.level is not None:
            shape = f"{row.problem.name} {json.dumps(row.instance.isomorphism_key())}"
            if shape in shapes:
                row_faults.append(f"the instance is {shapes[shape]} again")
            shapes[shape] = row.id
        if at in again and not row_faults:
            solved = row.problem.certificate(row.instance)
            if not solved.proven or solved.value != row.certificate.value:
                row_faults.append(
                    f"solving again gives {solved.value}, bound {solved.bound}, not {row.certificate.value}"
                )
        faults += [f"{row.id}: {fault}" for fault in row_faults]
        progress(1)
    return faults
