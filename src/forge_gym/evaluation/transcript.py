"""Transcripts: a header that says what was asked of whom, then one line of JSON per judged reply.

Lines are appended whole and are on the disk before the episode goes on. What a killed process leaves is at worst one
line that is not whole, which is cut off; any other damage is an error that names its line. The header holds the rows
that were asked, except those of a suite in the package: nobody needs another file to read a transcript.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..agents.agent import Reply
from ..core.checks import check_int, short_repr
from ..core.foreign import bounded, load_json, numbered
from ..core.verdict import Verdict
from ..data.rows import hold
from .evaluate import Conversation

FORMAT = 2
MAX_EPISODES = 100_000
"""Episodes of a run: rows times samples."""
_TOOK = tuple(field.name for field in fields(Reply))[1:]
"""The fields of a reply but its text."""
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
_OPENING, _LINE = b'{"forge_gym": ', b'{"row": '


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
    reply = Reply(data["reply"], **{name: data[name] for name in _TOOK})
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
    if not (rows is None or isinstance(rows, list)):
        raise ValueError(f"rows is {short_repr(rows)}")
    check_int("samples", header["samples"], 1, MAX_EPISODES)
    return header


def verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict, but for its solution, as JSON-ready data; exact numbers become strings."""
    data = verdict._asdict()
    del data["solution"]
    data["violations"] = [[v.family, str(v.amount), str(v.scale), v.reason] for v in verdict.violations]
    data["objective"] = None if verdict.objective is None else str(verdict.objective)
    return data


def parse(path: Path, file: IO[bytes]) -> tuple[dict[str, Any] | None, list[Line], int]:
    """Return header and lines of a transcript, and the length in bytes of what is whole.

    A last line without an end counts if it is whole, and is no damage if it is the beginning of one of ours. Empty
    lines at the end are no damage either.

    Raises
    ------
    ValueError
        If anything else is damaged; the message names file and line.
    """
    header: dict[str, Any] | None = None
    lines: list[Line] = []
    end, at = 0, 1
    try:
        for at, text in numbered(bounded(file)):
            try:
                if at == 1:
                    header = _read_header(text)
                else:
                    lines.append(read_line(text))
            except ValueError:
                if text.endswith(b"\n") or not _was_being_written(text, _OPENING if at == 1 else _LINE):
                    raise
                break
            end += len(text)
    except ValueError as error:
        found = re.fullmatch("line ([0-9]+): (.*)", str(error))  # one that is empty or too long
        place, fault = found.groups() if found else (at, error)
        raise ValueError(f"{path}, line {place}, is damaged: {fault}") from None
    return header, lines, end


def _was_being_written(text: bytes, start: bytes) -> bool:
    """Whether ``text`` may be the beginning of a line of ours that was being written when the process was killed."""
    try:
        json.loads(text)
    except ValueError:
        return text[: len(start)] == start[: len(text)]
    except RecursionError:
        pass
    return False


Append = Callable[[Iterable[str]], None]
"""Writes lines to the disk, and returns when they are there."""


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
def appending(path: Path, header: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[Line], Append]]:
    """Hold the transcript of a run, which no other process may do; yield its header, its lines, and what adds lines.

    A line that was being written when a process was killed is cut off.

    Parameters
    ----------
    path
        A new file, or a transcript of the same settings.
    header
        Of the run that is to be recorded; written to a new file.

    Raises
    ------
    ValueError
        If the file is something else, of other settings, or held by another process.
    """
    check_transcript(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        hold(path, file)

        def append(lines: Iterable[str]) -> None:
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())

        file.seek(0)
        stored, lines, end = parse(path, file)
        if stored is not None:
            _check_same(path, stored, header)
            file.seek(end - 1)
            unfinished = file.read(1) != b"\n"
            file.truncate(end)
            if unfinished:
                append([""])
        else:
            file.seek(0)
            begun, ours = file.read(), json.dumps(header)
            known = ours[: ours.rindex(', "started"')].encode()
            if not (known.startswith(begun) or begun.startswith(known)):
                raise ValueError(f"{path} is no transcript of this run, and is left as it is")
            file.truncate(0)
            append([ours])
        yield stored or header, lines, append


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
    settings["rows"] = settings["suite"] or [row.get("hash") for row in settings["rows"] or () if isinstance(row, dict)]
    # The same model may answer from elsewhere.
    irrelevant = ("forge_gym", "format", "started", "rescored", "base_url")
    return {name: value for name, value in settings.items() if name not in irrelevant}
