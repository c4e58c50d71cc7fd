"""Transcripts: a header that says what was asked of whom, then one line of JSON per judged reply.

Lines are appended whole and are on the disk before the episode goes on. What a killed process leaves is at worst one
line without an end, which is cut off; any other damage is an error that names its line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..agents.agent import Reply
from ..core.checks import short_repr
from ..core.verdict import Verdict
from .evaluate import Conversation

FORMAT = 1
_TOOK = tuple(field.name for field in fields(Reply))[1:]
"""The fields of a reply but its text."""
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("row", "reply", "finish"), str),
    **dict.fromkeys(("sample", "turn", "prompt_tokens", "completion_tokens", "attempts"), int),
    **dict.fromkeys(("cost", "seconds", "score"), (int, float)),
    "verdict": dict,
}
"""The fields of a line that are read again."""
_OPENING = b'{"forge_gym": '


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
    return json.dumps(data | {"score": call.judged.score, "verdict": verdict_to_dict(call.judged.verdict)})


def read_line(text: str | bytes) -> Line:
    """Return what a line says, or raise ``ValueError``."""
    try:
        data = json.loads(text)
        for name, kind in _TYPES.items():
            if not isinstance(data[name], kind) or isinstance(data[name], bool):
                raise ValueError(f"{name} is {short_repr(data[name])}")
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    reply = Reply(data["reply"], **{name: data[name] for name in _TOOK})
    return Line(data["row"], data["sample"], data["turn"], reply, data["score"], data["verdict"])


def verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict, but for its solution, as JSON-ready data; exact numbers become strings."""
    data = verdict._asdict()
    del data["solution"]
    data["violations"] = [[v.family, str(v.amount), str(v.scale), v.reason] for v in verdict.violations]
    data["objective"] = None if verdict.objective is None else str(verdict.objective)
    return data


def parse(path: Path, file: IO[bytes]) -> tuple[dict[str, Any] | None, list[Line], int]:
    """Return header and lines of a transcript, and the length in bytes of its whole lines.

    Raises
    ------
    ValueError
        If a whole line is damaged; the message names file and line.
    """
    header: dict[str, Any] | None = None
    lines: list[Line] = []
    end = 0
    for at, text in enumerate(file, 1):
        if not text.endswith(b"\n"):  # was being written when the process was killed
            break
        try:
            if at == 1:
                header = json.loads(text)
                if not isinstance(header, dict) or "forge_gym" not in header:
                    raise ValueError("it is not the header of a transcript")
                if header.get("format") != FORMAT:
                    raise ValueError(f"the format is {short_repr(header.get('format'))}, not {FORMAT}")
            else:
                lines.append(read_line(text))
        except ValueError as error:
            raise ValueError(f"{path}, line {at}, is damaged: {error}") from None
        end += len(text)
    return header, lines, end


Append = Callable[[Iterable[str]], None]
"""Writes lines to the disk, and returns when they are there."""


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
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        _lock(path, file)

        def append(lines: Iterable[str]) -> None:
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())

        file.seek(0)
        stored, lines, end = parse(path, file)
        file.seek(0)
        if stored is not None:
            _check_same(path, stored, header)
        elif not _OPENING.startswith(file.read(len(_OPENING))):
            raise ValueError(f"{path} is no transcript, and is left as it is")
        file.truncate(end)
        if stored is None:
            append([json.dumps(header)])
        yield stored or header, lines, append


def _lock(path: Path, file: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: two processes on one file are not told apart there
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"{path} is being written by another process") from None


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
    if settings.get("suite"):
        settings["suite"].pop("file", None)
    # The same model may answer from elsewhere.
    irrelevant = ("forge_gym", "format", "started", "rescored", "base_url")
    return {name: value for name, value in settings.items() if name not in irrelevant}
