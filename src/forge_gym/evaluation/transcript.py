"""Transcripts: a header that says what was asked of whom, the rows, then one line of JSON per judged reply.

Lines are appended whole and are on the disk before the episode goes on. What a killed process leaves is at worst one
line that is not whole, which is cut off; any other damage is an error that names its line. The rows are those that
were asked, unless they are of a suite in the package: nobody needs another file to read a transcript. Lines are read
when they are wanted, and only their places are kept.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, NamedTuple, overload

from ..agents.agent import Reply
from ..core.checks import check_int, short_repr
from ..core.foreign import MAX_LINE, load_json, numbered
from ..core.problem import Problem
from ..core.verdict import Verdict
from ..data.rows import Asked, Row, hold
from .evaluate import Conversation

FORMAT = 3
MAX_EPISODES = 100_000
"""Episodes of a run: rows times samples."""
TOOK = ("prompt_tokens", "completion_tokens", "cost", "seconds", "attempts")
"""What a reply took: its fields but text and finish."""
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("row", "reply", "finish"), str),
    **dict.fromkeys(("sample", "turn", "prompt_tokens", "completion_tokens", "attempts"), int),
    **dict.fromkeys(("cost", "seconds", "score"), (int, float)),
    "verdict": dict,
}
"""The fields of a line that are read again."""
_LARGEST = 10**15
"""Largest number of a line that is read: sums of them are exact."""
_HEADER: dict[str, Any] = {
    **dict.fromkeys(("agent", "reward"), str),
    **dict.fromkeys(("turns", "samples"), int),
    **dict.fromkeys(("suite", "env", "rows"), (dict, list, type(None))),
    **dict.fromkeys(("options", "thoughts"), dict),
}
"""The fields of a header that are read again."""
_OPENING, _ROW, _LINE = b'{"forge_gym": ', b'{"id":', b'{"row": '


class Line(NamedTuple):
    """What a line of a transcript says."""

    row: str
    """The row's id."""
    sample: int
    turn: int
    """From 0."""
    reply: Reply
    score: float
    """Reward of this answer alone, by the run's scheme."""
    verdict: dict[str, Any]
    """As `verdict_to_dict` wrote it, by the verifier of that day."""


def write_line(episode: Conversation, turn: int = -1) -> str:
    """Return a turn of an episode, the last by default, as JSON in ASCII, so that any text of a model survives."""
    call = episode.calls[turn]
    took = asdict(call.reply)
    data = {
        "row": episode.row.id,
        "sample": episode.sample,
        "turn": turn % episode.turn,
        "reply": took.pop("text"),
    }
    data |= took
    if episode.protocol.turns > 1:
        data["feedback"] = call.feedback
    data |= {"score": call.judged.score, "verdict": verdict_to_dict(call.judged.verdict)}
    return json.dumps(data, allow_nan=False)


def read_line(text: str | bytes) -> Line:
    """Return what a line says, or raise ``ValueError``."""
    data = load_json(text)
    _check_types(data, _TYPES)
    for name, kind in _TYPES.items():
        if kind is not str and kind is not dict and not abs(data[name]) <= _LARGEST:
            raise ValueError(f"{name} must be at most {_LARGEST}, got {short_repr(data[name])}")
    reply = Reply(data["reply"], finish=data["finish"], **{name: data[name] for name in TOOK})
    return Line(data["row"], data["sample"], data["turn"], reply, data["score"], data["verdict"])


def _check_types(data: Any, types: dict[str, Any]) -> None:
    if not isinstance(data, dict):
        raise ValueError(f"it must be a JSON object, got {short_repr(data)}")
    for name, kind in types.items():
        if name not in data:
            raise ValueError(f"{name} is missing")
        if not isinstance(data[name], kind) or isinstance(data[name], bool):
            raise ValueError(f"{name} is {short_repr(data[name])}")


def _read_header(text: str | bytes) -> dict[str, Any]:
    header = load_json(text)
    if not isinstance(header, dict) or "forge_gym" not in header:
        raise ValueError("it is not the header of a transcript")
    if header.get("format") != FORMAT:
        raise ValueError(f"the format is {short_repr(header.get('format'))}, not {FORMAT}")
    _check_types(header, _HEADER)
    suite, env, rows = header["suite"], header["env"], header["rows"]
    if suite is not None:
        _check_types(suite, {"name": str, "sha256": str})
    elif not (isinstance(env, list) and all(isinstance(asked, dict) for asked in env)):
        raise ValueError("it must say of a suite or of environments, what it asked")
    if rows is not None:
        _check_types(rows, {"count": int, "sha256": str})
        check_int("count of rows", rows["count"], 1, MAX_EPISODES)
    check_int("samples", header["samples"], 1, MAX_EPISODES)
    return header


def verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict, but for its solution, as JSON-ready data; exact numbers become strings."""
    data = verdict._asdict()
    del data["solution"]
    data["violations"] = [[v.family, str(v.amount), str(v.scale), v.reason] for v in verdict.violations]
    data["objective"] = None if verdict.objective is None else str(verdict.objective)
    return data


# ------------------------------------------------------------------------------------- files of lines


class Lines:
    """An open file of lines, each of which is found by its place: its first byte."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self.use(file or tempfile.TemporaryFile())  # noqa: SIM115 - closed when nobody wants it

    def use(self, file: IO[bytes]) -> None:
        """Go on with ``file``, which holds the same lines; it is closed when nobody wants it any more."""
        self.file = file
        weakref.finalize(self, file.close)

    def at(self, place: int) -> bytes:
        """Return the line that begins at ``place``; nothing at the end."""
        self.file.seek(place)
        return self.file.readline(MAX_LINE + 1)

    def append(self, lines: Iterable[str | bytes]) -> list[int]:
        """Write lines to the end, and return their places."""
        place, places = self.file.seek(0, os.SEEK_END), []
        for line in lines:
            text = line.encode() if isinstance(line, str) else line
            places.append(place)
            place += self.file.write(text + b"\n")
        return places

    def __iter__(self) -> Iterator[bytes]:
        place = at = 0
        while text := self.at(place):
            at, place = at + 1, place + len(text)
            if len(text) > MAX_LINE:
                raise ValueError(f"line {at}: it must have at most {MAX_LINE} bytes, got more")
            yield text


class StoredRows(Sequence[Row]):
    """Rows in a file, each of which is read when it is wanted."""

    def __init__(self, lines: Lines) -> None:
        self.lines, self.places = lines, array("q")
        self.asked: list[Asked] = []
        self._problems: dict[Problem[Any, Any], Problem[Any, Any]] = {}

    def add(self, place: int, row: Row) -> None:
        """Note that ``row`` is at ``place``; rows of equal problems share one."""
        problem = self._problems.setdefault(row.problem, row.problem)
        self.asked.append(Asked.of(row)._replace(problem=problem))
        self.places.append(place)

    def texts(self) -> Iterator[bytes]:
        """Yield the lines of all rows."""
        return (self.lines.at(place).rstrip(b"\n") for place in self.places)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...

    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        return Row.from_dict(json.loads(self.lines.at(self.places[at])), self.asked[at].problem)


class Transcript(Lines):
    """The file of a run; without a ``path`` a temporary one."""

    def __init__(self, path: Path | None = None, file: IO[bytes] | None = None) -> None:
        super().__init__(file)
        self.path = path
        self.end = 0
        """Bytes of what is whole, as far as it was read."""

    def append(self, lines: Iterable[str | bytes]) -> list[int]:
        """Write lines to the end, and return their places when they are on the disk."""
        places = super().append(lines)
        if self.path is not None:
            self.file.flush()
            os.fsync(self.file.fileno())
        return places

    def read(self) -> Iterator[tuple[int, int, Any]]:
        """Yield number, place and content of every line: the header, the data of rows, and each `Line`.

        A last line without an end counts if it is whole, and is no damage if it is the beginning of one of ours. Empty
        lines at the end are no damage either.

        Raises
        ------
        ValueError
            If anything else is damaged; the message names file and line.
        """
        at = rows = 0
        try:
            for at, text in numbered(self):
                read: Callable[[bytes], Any]
                if at == 1:
                    read, start = _read_header, _OPENING
                else:
                    read, start = (load_json, _ROW) if at <= rows else (read_line, _LINE)
                try:
                    data: Any = read(text)
                except ValueError:
                    if text.endswith(b"\n") or not _was_being_written(text, start):
                        raise
                    break
                if at == 1 and data["rows"]:
                    rows = 1 + data["rows"]["count"]
                place, self.end = self.end, self.end + len(text)
                yield at, place, data
        except ValueError as error:
            found = re.fullmatch("line ([0-9]+): (.*)", str(error))  # one that is empty or too long
            where, fault = found.groups() if found else (at, error)
            raise damaged(self.path, where, fault) from None

    def mend(self) -> None:
        """Cut off a line that was being written when a process was killed, and end the last one that is whole."""
        self.file.seek(self.end - 1)
        unfinished = self.file.read(1) != b"\n"
        self.file.truncate(self.end)
        if unfinished:
            self.append([b""])


def damaged(path: Path | None, at: object, fault: object) -> ValueError:
    """Return the error of a line that is not as we wrote it."""
    return ValueError(f"{path}, line {at}, is damaged: {fault}")


def _was_being_written(text: bytes, start: bytes) -> bool:
    """Whether ``text`` may be the beginning of a line of ours that was being written when the process was killed."""
    try:
        json.loads(text)
    except ValueError:
        return text[: len(start)] == start[: len(text)]
    except RecursionError:
        pass
    return False


def check_transcript(path: Path) -> None:
    """Raise ``ValueError`` if `appending` would refuse the file at once: before anything slow."""
    if path.suffix == ".gz":
        raise ValueError(f"a transcript is not compressed: its name must not end in .gz, got {str(path)!r}")
    if path.exists():
        with path.open("rb") as file:
            hold(path, file)
            first = file.read(len(_OPENING))
            if not _OPENING.startswith(first):
                raise ValueError(f"{path} is no transcript, and is left as it is")


@contextmanager
def appending(
    path: Path | None, header: dict[str, Any], rows: Iterable[str | bytes]
) -> Iterator[tuple[dict[str, Any], Transcript, Iterator[tuple[int, int, Line]]]]:
    """Hold the transcript of a run, which no other process may do; yield its header, itself, and its lines.

    Parameters
    ----------
    path
        A new file, or a transcript of the same settings; None for a temporary file.
    header
        Of the run that is to be recorded; it and ``rows`` are written to a new file.
    rows
        The lines of the rows, where the header counts them.

    Raises
    ------
    ValueError
        If the file is something else, of other settings, or held by another process.
    """
    if path is None:
        transcript = Transcript()
        transcript.append(chain([json.dumps(header)], rows))
        transcript.end = transcript.file.tell()
        yield header, transcript, iter(())
        return
    check_transcript(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        hold(path, file)
        transcript = Transcript(path, file)
        pieces = transcript.read()
        if first := next(pieces, None):
            stored = first[2]
            _check_same(path, stored, header)
            count = stored["rows"]["count"] if stored["rows"] else 0
            begun = sum(1 for _ in islice(pieces, count)) < count
        else:
            file.seek(0)
            text, ours = file.read(), json.dumps(header)
            known = ours[: ours.rindex(', "started"')].encode()
            if not (known.startswith(text) or text.startswith(known)):
                raise ValueError(f"{path} is no transcript of this run, and is left as it is")
            stored, begun = header, True
        if begun:  # nothing was asked yet
            file.truncate(0)
            transcript.append(chain([json.dumps(stored)], rows))
            transcript.end = file.tell()
            pieces = iter(())
        yield stored, transcript, pieces
    transcript.use(path.open("rb"))


def _check_same(path: Path, stored: dict[str, Any], header: dict[str, Any]) -> None:
    """Raise an error that names the settings in which a stored run differs from the one that is to be recorded."""
    old, new = _settings(stored), _settings(header)
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
    settings |= settings.pop("options", {})
    settings["rows"] = settings["suite"] or settings["rows"]
    # The same model may answer from elsewhere.
    irrelevant = ("forge_gym", "format", "started", "rescored", "base_url")
    return {name: value for name, value in settings.items() if name not in irrelevant}
