"""Runs: an agent's episodes on frozen questions, recorded so that they survive being killed.

The same call on the same transcript goes on where it stopped. A run keeps few numbers of an episode in memory: rows and
replies are read from its transcript again when they are wanted. Prompts are not kept: rows rebuild them.

Examples
--------
>>> import tempfile
>>> from forge_gym.agents import make_agent
>>> folder = tempfile.TemporaryDirectory()
>>> path = Path(folder.name) / "greedy.jsonl"
>>> run = record(make_agent("greedy"), suite_questions("forge-bench-v1", limit=1), path)
>>> run.finished, run.missing, read_run(path).evaluation() == run.evaluation()
(100, 0, True)
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, cast, overload

from .._version import __version__
from ..agents.agent import Agent, AgentError, AsyncAgent, thoughts_of
from ..agents.secrets import recorded
from ..core.checks import check_int, short_repr
from ..core.episode import Protocol
from ..core.problem import Problem
from ..core.verdict import Verdict
from ..data.rows import Asked, Row, found_by, new_file, samples, write
from ..data.suite import SHIPPED, SuiteError, content_hash, locate, read
from .evaluate import Call, Conversation, play
from .statistics import Evaluation, brief
from .transcript import (
    FORMAT,
    MAX_EPISODES,
    TOOK,
    Line,
    Lines,
    StoredRows,
    Transcript,
    appending,
    damaged,
    read_line,
    verdict_to_dict,
    write_line,
)

GIVE_UP = 100
"""Episodes in a row that an agent fails to answer after which it is asked no more."""

# ------------------------------------------------------------------------------------- what is asked


@dataclass(frozen=True)
class Questions:
    """The rows that a run asks, and the part of its header that rebuilds them."""

    rows: Sequence[Row]
    header: dict[str, Any]
    """``suite`` and ``limit``, or ``env``, ``episodes``, ``seed`` and ``split``; and number and hash of ``rows``
    that do not ship."""
    name: str
    """For titles and file names."""

    @property
    def asked(self) -> list[Asked]:
        """What tables need of the rows."""
        return self.rows.asked if isinstance(self.rows, StoredRows) else list(map(Asked.of, self.rows))

    @property
    def texts(self) -> Iterable[str | bytes]:
        """The rows as a transcript has them: none where they ship."""
        if self.header["rows"] is None:
            return ()
        return self.rows.texts() if isinstance(self.rows, StoredRows) else (row.to_json() for row in self.rows)


def suite_questions(suite: str, limit: int | None = None) -> Questions:
    """Return the rows of a suite, or the first ``limit`` of every problem and level.

    Parameters
    ----------
    suite
        The name of one that ships with the package, or a file.
    limit
        Rows per problem and level, at least 1; all by default.

    Raises
    ------
    SuiteError
        If there is no such suite, or it is damaged.
    """
    path = locate(suite)
    name, rows = read(path)
    asked: dict[str, Any] = {"name": name, "sha256": content_hash(rows)}
    chosen = _first(rows, limit)
    lines = {row.id: at for at, row in enumerate(rows, 1)}
    for row in chosen:
        _use(row, f"{path}, line {lines[row.id]}")
    limit = limit if limit is None else int(limit)
    stated = None if name in SHIPPED else _stated(chosen)
    return Questions(tuple(chosen), {"suite": asked, "limit": limit, "env": None, "rows": stated}, name)


def _stated(rows: Iterable[Row | Asked]) -> dict[str, Any]:
    """Return what a header says of the rows below it."""
    hashes = [row.hash for row in rows]
    return {"count": len(hashes), "sha256": sha256("".join(hashes).encode()).hexdigest()}


def _first(rows: Sequence[Row], limit: int | None) -> list[Row]:
    """Return the first ``limit`` rows of every problem and level."""
    if limit is None:
        return list(rows)
    limit = check_int("limit", limit, 1)
    levels: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        levels.setdefault((row.problem.name, row.level), []).append(row)
    return [row for group in levels.values() for row in group[:limit]]


def _use(row: Row, place: str) -> None:
    """Check witness and anchors of a row; an error names its ``place``."""
    try:
        row.use()
    except ValueError as error:
        raise SuiteError(f"{place}: {error}") from error


def env_questions(
    problems: Sequence[Problem[Any, Any]], episodes: int, seed: int = 0, split: str = "test"
) -> Questions:
    """Return the first ``episodes`` graded instances of each problem's stream, certified as they are drawn."""
    episodes = check_int("episodes", episodes, 1)
    names = [problem.name for problem in problems]
    if len(set(names)) < len(names):
        raise ValueError(f"problems must be of different names, got {names}")
    seed = check_int("seed", seed, 0)
    rows = StoredRows(Lines())
    for problem in problems:
        for row in islice(samples(problem, seed=seed, split=split), episodes):
            (place,) = rows.lines.append([row.to_json()])
            rows.add(place, row)
    envs = [{"problem": found_by(p), "version": p.version, "parameters": p.parameters} for p in problems]
    stated = _stated(rows.asked)
    header = {"suite": None, "env": envs, "episodes": episodes, "seed": seed, "split": split, "rows": stated}
    return Questions(rows, header, " + ".join(map(described, problems)))


def described(problem: Problem[Any, Any]) -> str:
    """Return the name of a problem with the parameters that are not its default ones."""
    parameters = ", ".join(f"{name}={value!r}" for name, value in problem.parameters.items())
    return f"{problem.name}({parameters})" if parameters else problem.name


def _shipped(header: dict[str, Any]) -> list[Row]:
    """Return what the run of this header asked of a suite in the package."""
    name, digest = (header["suite"] or {}).get("name"), (header["suite"] or {}).get("sha256")
    if name not in SHIPPED:
        raise ValueError(f"it has no rows, and {short_repr(name)} is no suite of the package")
    if digest != SHIPPED[name]:
        raise ValueError(f"it asked another version of the suite {name}, of content {short_repr(digest)}")
    rows = _first(read(name)[1], header.get("limit"))
    for row in rows:
        _use(row, "row")
    return rows


# ------------------------------------------------------------------------------------- runs


class Change(NamedTuple):
    """A recorded verdict that the verifier of today does not give."""

    before: Line
    after: Call


class Run:
    """What was asked, and what was answered so far, judged by the verifier of today.

    Parameters
    ----------
    header, rows, asked
        What was asked; ``asked`` is what is kept in memory of ``rows``.
    transcript
        Where the replies are.
    lines
        Number, place and content of those that are there.

    Raises
    ------
    ValueError
        If a line does not follow from those before it.
    """

    def __init__(
        self,
        header: dict[str, Any],
        rows: Sequence[Row],
        asked: Sequence[Asked],
        transcript: Transcript,
        lines: Iterable[tuple[int, int, Line]],
    ) -> None:
        self.header, self.rows, self.asked, self.transcript = header, rows, asked, transcript
        self.protocol = Protocol(header["turns"], reward=header["reward"], thoughts=header["thoughts"])
        count = len(asked) * self.samples
        if count > MAX_EPISODES:
            raise ValueError(f"a run must have at most {MAX_EPISODES} episodes, rows times samples, got {count}")
        self.verdicts: list[Verdict | None] = [None] * count
        """Of each row in turn, its samples together: the kept verdict of an episode that is over, in brief."""
        self.places = array("q", [-1]) * (count * self.protocol.turns)
        """Where each reply of each episode is in the transcript."""
        self.took = {name: array("d", bytes(8 * count)) for name in TOOK}
        """What the replies of each episode took together, by the field of `Reply`."""
        self.shortfalls: Counter[str] = Counter()
        self.replies = self.finished = 0
        """Replies, and episodes that were played to their ends."""
        self.changes: list[Change] = []
        """Where the transcript has other verdicts."""
        self.failures = 0
        """Episodes that were left unanswered since this process began to record."""
        self.error = ""
        """Why the last of them was."""
        self._number = {row.id: i * self.samples for i, row in enumerate(asked)}
        self._running: dict[int, Conversation] = {}
        self._last = -1, rows[0]
        for at, place, line in lines:
            self._hear(at, place, line)

    def _hear(self, at: int, place: int, line: Line) -> None:
        """Take a line of the transcript."""
        number = self._number.get(line.row, -1) + line.sample
        valid = line.row in self._number and 0 <= line.sample < self.samples and self.verdicts[number] is None
        episode = (self._running.get(number) or self._fresh(number)) if valid else None
        if episode is None or line.turn != episode.turn:
            where = f"turn {line.turn} of sample {line.sample} of row {short_repr(line.row)}"
            raise damaged(self.transcript.path, at, f"{where} cannot follow what is before it")
        episode.hear(line.reply)
        self._running[number] = episode
        self.take(episode, place)
        _, verdict, score = episode.calls[-1].judged
        if (line.score, _worth(line.verdict)) != (score, _worth(verdict_to_dict(verdict))):
            self.changes.append(Change(line, episode.calls[-1]))

    def take(self, episode: Conversation, place: int) -> None:
        """Keep what matters of the last call of ``episode``, whose line is at ``place``."""
        number, call = self._number[episode.row.id] + episode.sample, episode.calls[-1]
        self.places[number * self.protocol.turns + episode.turn - 1] = place
        self.replies += 1
        self.shortfalls[call.shortfall] += 1
        for name, numbers in self.took.items():
            numbers[number] += getattr(call.reply, name)
        if episode.over:
            self.finished += 1
            self.verdicts[number] = brief(episode.kept_call.judged.verdict)
            self._running.pop(number, episode)

    def _fresh(self, number: int) -> Conversation:
        at, sample = divmod(number, self.samples)
        if self._last[0] != at:  # the samples of a row share it
            self._last = at, self.rows[at]
        return Conversation(self._last[1], self.protocol, sample)

    def waiting(self) -> Iterator[Conversation]:
        """Yield the episodes that are not over, each where it stopped."""
        for number, verdict in enumerate(self.verdicts):
            if verdict is None:
                yield self._running.pop(number) if number in self._running else self._fresh(number)

    @property
    def agent(self) -> str:
        """How tables call the agent."""
        return str(self.header["agent"])

    @property
    def samples(self) -> int:
        """Episodes per row."""
        return int(self.header["samples"])

    @property
    def episodes(self) -> Episodes:
        """All episodes, of each row in turn, its samples together."""
        return Episodes(self)

    @property
    def calls(self) -> list[Call]:
        """All replies with their verdicts, of unfinished episodes too."""
        return [call for episode in self.episodes for call in episode.calls]

    @property
    def missing(self) -> int:
        """Episodes that were not played to their ends."""
        return len(self.verdicts) - self.finished

    @property
    def answered(self) -> list[Asked]:
        """The rows all of whose samples are finished."""
        return [row for row in self.asked if None not in self._verdicts_on(row)]

    def _verdicts_on(self, row: Asked) -> tuple[Verdict | None, ...]:
        return tuple(self.verdicts[i] for i in self.numbers(row))

    def numbers(self, row: Row | Asked) -> range:
        """Return the numbers of the episodes on ``row``."""
        first = self._number[row.id]
        return range(first, first + self.samples)

    def total(self, name: str) -> float:
        """Return the sum over all calls of ``prompt_tokens``, ``completion_tokens``, ``cost``, ``seconds``, ..."""
        return float(sum(self.took[name]))

    def evaluation(self, rows: Sequence[Asked] | None = None) -> Evaluation:
        """Return the verdicts on ``rows``, by default on all that are `answered`; others have no score.

        Raises
        ------
        ValueError
            If there is no such row.
        """
        rows = self.answered if rows is None else rows
        if not rows:
            raise ValueError(f"the run of {self.agent} has no answered row")
        verdicts = cast(tuple[tuple[Verdict, ...], ...], tuple(map(self._verdicts_on, rows)))
        return Evaluation(self.agent, tuple(rows), verdicts)


class Episodes(Sequence[Conversation]):
    """The episodes of a run so far: each is read and judged anew when it is wanted."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __len__(self) -> int:
        return len(self.run.verdicts)

    @overload
    def __getitem__(self, number: int) -> Conversation: ...

    @overload
    def __getitem__(self, number: slice) -> list[Conversation]: ...

    def __getitem__(self, number: int | slice) -> Conversation | list[Conversation]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        episode = self.run._fresh(number)
        turns = self.run.protocol.turns
        for place in self.run.places[number * turns : (number + 1) * turns]:
            if place >= 0:
                episode.hear(read_line(self.run.transcript.at(place)).reply)
        return episode


def _worth(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return all of a verdict but its words and what `credit` sums up."""
    return {key: value for key, value in verdict.items() if key not in ("reason", "violations")}


def common_rows(runs: Sequence[Run]) -> list[Asked]:
    """Return the rows that all runs have answered, in the order of the first: what they can be compared on.

    Raises
    ------
    ValueError
        If there is no run, or no such row.
    """
    if not runs:
        raise ValueError("runs must hold at least one run, got none")
    answered = [{(row.id, row.hash): row for row in run.answered} for run in runs]
    common = [row for key, row in answered[0].items() if all(key in rows for rows in answered)]
    if not common:
        counts = ", ".join(f"{run.agent} {len(rows)}" for run, rows in zip(runs, answered, strict=True))
        raise ValueError(f"runs must share rows that all have answered, got none; rows answered: {counts}")
    return common


def read_run(path: str | Path) -> Run:
    """Return the run in a transcript, which may be under way: a line that is not whole yet is left out.

    No other file is opened, and nothing is drawn or solved.

    Parameters
    ----------
    path
        What `record` wrote. A problem of one's own that it asks must be registered.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no transcript or is damaged. The message names file and line.
    CertificateError
        If an answer beats a certificate: a bug of ours.
    """
    path = Path(path)
    transcript = Transcript(path, path.open("rb"))
    pieces = transcript.read()
    _, _, header = next(pieces, (0, 0, None))
    if header is None:
        raise ValueError(f"{path} is no transcript: it has no header")
    try:
        Protocol(header["turns"], reward=header["reward"], thoughts=header["thoughts"])
        rows = _shipped(header) if header["rows"] is None else None
    except ValueError as error:
        raise damaged(path, 1, error) from None
    if rows is not None:
        return Run(header, rows, list(map(Asked.of, rows)), transcript, pieces)
    stored, count = StoredRows(transcript), header["rows"]["count"]
    known: set[str] = set()
    for at, place, data in islice(pieces, count):
        try:
            row = Row.from_dict(data)
            _use(row, "row")
            if row.id in known:
                raise ValueError("two rows have one id")
        except ValueError as error:
            raise damaged(path, at, error) from None
        known.add(row.id)
        stored.add(place, row)
    if len(stored) < count:
        raise ValueError(
            f"{path} has {len(stored)} of its {count} rows: it was being written when a process was killed"
        )
    return Run(header, stored, stored.asked, transcript, pieces)


def write_run(run: Run, path: str | Path) -> None:
    """Write a run with the verdicts of today as a transcript, whole or not at all; a file that is there is refused.

    Raises
    ------
    ValueError
        If ``path`` exists.
    """
    path = new_file(path, ".jsonl")
    lines = (write_line(episode, turn) for episode in run.episodes for turn in range(episode.turn))
    texts = Questions(run.rows, run.header, run.agent).texts
    write(path, chain([json.dumps({**run.header, "rescored": __version__})], map(_text, texts), lines))


def _text(line: str | bytes) -> str:
    return line if isinstance(line, str) else line.decode()


# ------------------------------------------------------------------------------------- recording


def record(
    agent: Agent | AsyncAgent,
    questions: Questions,
    path: str | Path | None = None,
    *,
    turns: int = 1,
    samples: int = 1,
    reward: str = "tiered",
    options: dict[str, Any] | None = None,
    batch_size: int = 256,
    progress: Callable[[Run], object] = lambda run: None,
) -> Run:
    """Let ``agent`` play ``samples`` episodes on every row, and return the run.

    Parameters
    ----------
    agent
        An `AsyncAgent` may fail to answer: what it left unanswered is `Run.missing`, has no score, and is
        asked again by the next call. After `GIVE_UP` failures in a row the rest is left too.
    questions
        See `suite_questions` and `env_questions`.
    path
        The transcript. Where it exists, the run goes on: nothing that is recorded is asked again. None
        keeps the run in memory only.
    turns, samples, reward
        As of `forge_gym.evaluation.evaluate.evaluate`.
    options
        What else decides the agent's answers, such as its temperature, as JSON-ready data; and ``base_url``, which
        may change when a run goes on. All of it goes into the header, but for what may be secret: see `recorded`.
    batch_size
        Episodes in flight, of an agent that answers in batches; the transcript is written after each batch.
    progress
        Called at the start and after every reply or failure.

    Raises
    ------
    ValueError
        If ``path`` holds something else, a run with other settings or with verdicts that are not those of today, or
        is in use by another process.
    Unreachable
        If the agent's server is not there.
    """
    samples = check_int("samples", samples, 1)
    thoughts = thoughts_of(agent)
    turns = Protocol(turns, reward=reward).turns  # refuses what is wrong before anything is written
    header = {
        "forge_gym": __version__,
        "format": FORMAT,
        "agent": agent.name,
        **questions.header,
        "turns": turns,
        "samples": samples,
        "reward": reward,
        "thoughts": asdict(thoughts),
        "options": recorded(options or {}),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = None if path is None else Path(path)
    with appending(path, header, questions.texts) as (stored, transcript, lines):
        run = Run(stored, questions.rows, questions.asked, transcript, lines)
        if run.changes and run.missing:
            raise ValueError(
                f"{path} has {len(run.changes)} verdicts that are not those of today's verifier, so the run cannot go "
                "on: `forge-gym rescore` says which, and writes a transcript that can"
            )
        transcript.mend()
        _play_on(agent, run, batch_size, progress)
    return run


def _play_on(agent: Agent | AsyncAgent, run: Run, batch_size: int, progress: Callable[[Run], object]) -> None:
    in_a_row = 0

    def judged(answered: Sequence[Conversation]) -> None:
        nonlocal in_a_row
        for episode, place in zip(answered, run.transcript.append(map(write_line, answered)), strict=True):
            run.take(episode, place)
        in_a_row = 0
        progress(run)

    def failed(episode: Conversation, error: AgentError) -> None:
        nonlocal in_a_row
        in_a_row += 1
        run.failures += 1
        run.error = str(error)
        progress(run)
        if in_a_row == GIVE_UP:
            raise _GaveUp

    progress(run)
    with suppress(_GaveUp):
        play(agent, run.waiting(), judged, batch_size=batch_size, failed=failed)


class _GaveUp(Exception):
    pass
