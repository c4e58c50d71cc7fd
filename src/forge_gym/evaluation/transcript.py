"""Transcripts: a header that says what was asked of whom, then one line of JSON per judged reply.

Lines are appended whole and are on the disk before the episode goes on. What a killed process leaves is at worst one
line without an end, which is cut off; any other damage is an error that names its line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path
from typing import IO, Any, get_type_hints

from ..core.checks import check_int, short_repr
from ..core.store import number
from ..core.verdict import STATUSES, Number, Verdict, Violation

FORMAT = 1


@dataclass(frozen=True)
class Call:
    """One judged reply: a line of a transcript."""

    row: str
    """The row's id."""
    sample: int
    turn: int
    """From 0."""
    reply: str
    score: float
    """Reward of this answer alone, by the run's scheme."""
    verdict: Verdict
    """But for the solution, which the reply states."""
    feedback: str | None = None
    """What the environment said to it; None in runs of one turn."""
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    attempts: int = 1

    def to_json(self) -> str:
        """Return the call as one line of JSON, in ASCII, so that any text of a model survives."""
        fields = {name: getattr(self, name) for name in FIELDS}
        if self.feedback is None:
            del fields["feedback"]
        return json.dumps(fields | {"verdict": verdict_to_dict(self.verdict)})

    @classmethod
    def from_json(cls, text: str | bytes) -> Call:
        """Return the call that a line holds.

        Raises
        ------
        ValueError
            If it holds something else.
        """
        try:
            data = json.loads(text)
            call = cls(**{**data, "verdict": verdict_from_dict(data["verdict"])})
        except (TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        _check_kinds(cls, vars(call))
        return call


FIELDS = (
    "row", "sample", "turn", "reply", "finish", "prompt_tokens", "completion_tokens", "cost", "seconds", "attempts",
    "feedback", "score",
)  # fmt: skip
"""Fields of a line, in order; the verdict comes last."""


@cache
def _kinds(cls: type) -> dict[str, Any]:
    """Return the types of the fields that JSON holds as they are."""
    real = {float: (int, float)}
    plain = (str, int, float, bool, str | None)
    return {name: real.get(kind, kind) for name, kind in get_type_hints(cls).items() if kind in plain}


def _check_kinds(cls: type, data: dict[str, Any]) -> None:
    for name, kind in _kinds(cls).items():
        value = data[name]
        right = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
        if not right or (isinstance(value, float) and not isfinite(value)):
            raise ValueError(f"{name} is {short_repr(value)}")


def verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict, but for its solution, as JSON-ready data; exact numbers become strings."""
    data = verdict._asdict()
    del data["solution"]
    data["violations"] = [[v.family, str(v.amount), str(v.scale), v.reason] for v in verdict.violations]
    data["objective"] = None if verdict.objective is None else str(verdict.objective)
    return data


def verdict_from_dict(data: dict[str, Any]) -> Verdict:
    """Return the verdict that `verdict_to_dict` wrote.

    Raises
    ------
    ValueError, TypeError, KeyError
        If it is something else.
    """
    _check_kinds(Verdict, data)
    if data["status"] not in STATUSES:
        raise ValueError(f"status is {short_repr(data['status'])}")
    fields = dict(data)
    fields["violations"] = tuple(
        Violation(_text(family), _exact(amount), _exact(scale), _text(reason))
        for family, amount, scale, reason in data["violations"]
    )
    fields["objective"] = None if data["objective"] is None else _exact(data["objective"])
    return Verdict(**fields, solution=None)  # a TypeError where the data hold one


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"families, reasons and exact numbers are strings, got {short_repr(value)}")
    return value


def _exact(value: object) -> Number:
    return number(_text(value))


def parse(path: Path, file: IO[bytes]) -> tuple[dict[str, Any] | None, list[Call], int]:
    """Return header and calls of a transcript, and the length in bytes of its whole lines.

    Raises
    ------
    ValueError
        If a whole line is damaged; the message names file and line.
    """
    header: dict[str, Any] | None = None
    calls: list[Call] = []
    end = 0
    for at, line in enumerate(file, 1):
        if not line.endswith(b"\n"):  # was being written when the process was killed
            break
        try:
            if at == 1:
                header = _header(line)
            else:
                calls.append(Call.from_json(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {at}, is damaged: {error}") from None
        end += len(line)
    return header, calls, end


def _header(line: bytes) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(line)
    if not isinstance(header, dict) or "forge_gym" not in header:
        raise ValueError("it is not the header of a transcript")
    if header.get("format") != FORMAT:
        raise ValueError(f"the format is {short_repr(header.get('format'))}, not {FORMAT}")
    check_int("turns", header.get("turns"), 1)
    check_int("samples", header.get("samples"), 1)
    if not isinstance(header.get("agent"), str):
        raise ValueError("it names no agent")
    return header


class Transcript:
    """The file of a run, open to one process at a time.

    Parameters
    ----------
    path
        A new file, or a transcript with the same settings, which is then gone on with.
    header
        Of the run that is to be recorded.

    Attributes
    ----------
    header, calls
        What the file holds.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise ValueError(f"{path} cannot be written: {error.strerror}") from None
        try:
            self._lock()
            self.header, self.calls = self._resume(header)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Transcript:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def append(self, calls: Sequence[Call]) -> None:
        """Write calls to the disk; returns when they are there."""
        self._write("".join(call.to_json() + "\n" for call in calls))

    def _write(self, text: str) -> None:
        self._file.write(text.encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows: two processes on one file are not told apart there
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{self.path} is being written by another process") from None

    def _resume(self, header: dict[str, Any]) -> tuple[dict[str, Any], list[Call]]:
        """Cut off a line that was being written when a process was killed; refuse another run's file."""
        self._file.seek(0)
        stored, calls, end = parse(self.path, self._file)
        if stored is None:
            self._file.seek(0)
            if not json.dumps(header).startswith(self._file.read(_TELLING).decode(errors="replace")):
                raise ValueError(f"{self.path} is no transcript, and is left as it is")
        else:
            check_same(self.path, stored, header)
        self._file.truncate(end)
        if stored is None:
            self._write(json.dumps(header) + "\n")
        return stored or header, calls


_TELLING = len('{"forge_gym": ')


def check_same(path: Path, found: dict[str, Any], header: dict[str, Any]) -> None:
    """Raise ``ValueError`` naming the settings in which the run at ``path`` differs from ``header``."""
    old, new = _settings(found), _settings(header)
    different = [
        f"{name} is {short_repr(old.get(name))} there and {short_repr(new.get(name))} here"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
    if different:
        raise ValueError(
            f"{path} is the transcript of a run with other settings: {'; '.join(different)}. "
            "Give the same settings, or another file"
        )


def _settings(header: dict[str, Any]) -> dict[str, Any]:
    """Return what decides a run's questions and answers, by name, from JSON or not."""
    settings: dict[str, Any] = json.loads(json.dumps(header))
    for name in ("forge_gym", "format", "started", "rescored"):
        settings.pop(name, None)
    if settings.get("suite"):
        settings["suite"].pop("file", None)
    options: dict[str, Any] = settings.pop("options", {})
    options.pop("base_url", None)  # the same model may answer from elsewhere
    return {**settings, **options}
