"""Runs: an agent's episodes on frozen questions, recorded so that they survive being killed.

The same call on the same transcript goes on where it stopped. Prompts are not kept: the header rebuilds them.

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
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from .._version import __version__
from ..agents.agent import Agent, AgentError, AsyncAgent, thoughts_of
from ..agents.secrets import recorded
from ..core.checks import check_int, short_repr
from ..core.episode import Protocol
from ..core.problem import Problem
from ..data.rows import Row, found_by, new_file, samples, write
from ..data.suite import SHIPPED, SuiteError, content_hash, locate, read
from .evaluate import Call, Conversation, evaluation_of, play
from .statistics import Evaluation
from .transcript import FORMAT, MAX_EPISODES, Append, Line, appending, parse, verdict_to_dict, write_line

GIVE_UP = 100
"""Episodes in a row that an agent fails to answer after which it is asked no more."""

# ------------------------------------------------------------------------------------- what is asked


@dataclass(frozen=True)
class Questions:
    """The rows that a run asks, and the part of its header that rebuilds them."""

    rows: tuple[Row, ...]
    header: dict[str, Any]
    """``suite`` and ``limit``, or ``env``, ``episodes``, ``seed`` and ``split``; and ``rows``, unless they ship."""
    name: str
    """For titles and file names."""


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


def _stated(rows: Iterable[Row]) -> list[Any]:
    return [json.loads(row.to_json()) for row in rows]


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
    rows = [row for problem in problems for row in islice(samples(problem, seed=seed, split=split), episodes)]
    envs = [{"problem": found_by(p), "version": p.version, "parameters": p.parameters} for p in problems]
    header = {"suite": None, "env": envs, "episodes": episodes, "seed": seed, "split": split, "rows": _stated(rows)}
    return Questions(tuple(rows), header, " + ".join(map(described, problems)))


def described(problem: Problem[Any, Any]) -> str:
    """Return the name of a problem with the parameters that are not its default ones."""
    parameters = ", ".join(f"{name}={value!r}" for name, value in problem.parameters.items())
    return f"{problem.name}({parameters})" if parameters else problem.name


def _rows(header: dict[str, Any]) -> list[Row]:
    """Return what the run of this header asked: its own rows, or those of a suite in the package."""
    if header["rows"] is not None:
        return [Row.from_dict(row) for row in header["rows"]]
    name, digest = (header["suite"] or {}).get("name"), (header["suite"] or {}).get("sha256")
    if name not in SHIPPED:
        raise ValueError(f"it has no rows, and {short_repr(name)} is no suite of the package")
    if digest != SHIPPED[name]:
        raise ValueError(f"it asked another version of the suite {name}, of content {short_repr(digest)}")
    return _first(read(name)[1], header.get("limit"))


# ------------------------------------------------------------------------------------- runs


class Change(NamedTuple):
    """A recorded verdict that the verifier of today does not give."""

    before: Line
    after: Call


@dataclass
class Run:
    """What was asked, and what was answered so far, judged by the verifier of today."""

    header: dict[str, Any]
    episodes: list[Conversation]
    """Of each row in turn, its samples together."""
    changes: list[Change] = field(default_factory=list)
    """Where the transcript has other verdicts."""
    failures: int = 0
    """Episodes that were left unanswered since this process began to record."""
    error: str = ""
    """Why the last of them was."""

    @classmethod
    def of(cls, header: dict[str, Any], rows: Sequence[Row], lines: Iterable[Line], path: Path | None) -> Run:
        """Return the run of a transcript.

        Raises
        ------
        ValueError
            If a line does not follow from those before it.
        """
        protocol = Protocol(header["turns"], reward=header["reward"], thoughts=header["thoughts"])
        asked = len(rows) * header["samples"]
        if asked > MAX_EPISODES:
            raise ValueError(f"a run must have at most {MAX_EPISODES} episodes, rows times samples, got {asked}")
        samples = range(header["samples"])
        run = cls(header, [Conversation(row, protocol, sample) for row in rows for sample in samples])
        known = {(episode.row.id, episode.sample): episode for episode in run.episodes}
        for at, line in enumerate(lines, 2):
            episode = known.get((line.row, line.sample))
            if episode is None or episode.over or line.turn != episode.turn:
                place = f"turn {line.turn} of sample {line.sample} of row {short_repr(line.row)}"
                raise ValueError(f"{path}, line {at}, is damaged: {place} cannot follow what is before it")
            episode.hear(line.reply)
            _, verdict, score = episode.calls[-1].judged
            if (line.score, _worth(line.verdict)) != (score, _worth(verdict_to_dict(verdict))):
                run.changes.append(Change(line, episode.calls[-1]))
        return run

    @property
    def agent(self) -> str:
        """How tables call the agent."""
        return str(self.header["agent"])

    @property
    def samples(self) -> int:
        """Episodes per row."""
        return int(self.header["samples"])

    @property
    def rows(self) -> list[Row]:
        """What was asked."""
        return [episode.row for episode in self.episodes[:: self.samples]]

    @property
    def calls(self) -> list[Call]:
        """All replies with their verdicts, of unfinished episodes too."""
        return [call for episode in self.episodes for call in episode.calls]

    @property
    def finished(self) -> int:
        """Episodes that were played to their ends."""
        return sum(episode.over for episode in self.episodes)

    @property
    def missing(self) -> int:
        """Episodes that were not."""
        return len(self.episodes) - self.finished

    @property
    def answered(self) -> list[Row]:
        """The rows all of whose samples are finished."""
        unanswered = {episode.row.id for episode in self.episodes if not episode.over}
        return [row for row in self.rows if row.id not in unanswered]

    def of_rows(self, rows: Sequence[Row]) -> list[Conversation]:
        """Return the episodes on ``rows``."""
        ids = {row.id for row in rows}
        return [episode for episode in self.episodes if episode.row.id in ids]

    def total(self, name: str) -> float:
        """Return the sum over all calls of ``prompt_tokens``, ``completion_tokens``, ``cost``, ``seconds``, ..."""
        return float(sum(getattr(call.reply, name) for call in self.calls))

    def evaluation(self, rows: Sequence[Row] | None = None) -> Evaluation:
        """Return the verdicts on ``rows``, by default on all that are `answered`; others have no score.

        Raises
        ------
        ValueError
            If there is no such row.
        """
        rows = self.answered if rows is None else rows
        if not rows:
            raise ValueError(f"the run of {self.agent} has no answered row")
        return evaluation_of(self.agent, self.of_rows(rows))


def _worth(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return all of a verdict but its words and what `credit` sums up."""
    return {key: value for key, value in verdict.items() if key not in ("reason", "violations")}


def common_rows(runs: Sequence[Run]) -> list[Row]:
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
    with path.open("rb") as file:
        header, lines, _ = parse(path, file)
    if header is None:
        raise ValueError(f"{path} is no transcript: it has no header")
    try:
        rows = _rows(header)
        for row in rows:
            _use(row, "row")
        if len({row.id for row in rows}) < len(rows):
            raise ValueError("two rows have one id")
        Protocol(header["turns"], reward=header["reward"], thoughts=header["thoughts"])
    except ValueError as error:
        raise ValueError(f"{path}, line 1, is damaged: {error}") from None
    return Run.of(header, rows, lines, path)


def write_run(run: Run, path: str | Path) -> None:
    """Write a run with the verdicts of today as a transcript, whole or not at all; a file that is there is refused.

    Raises
    ------
    ValueError
        If ``path`` exists.
    """
    path = new_file(path, ".jsonl")
    lines = [write_line(episode, turn) for episode in run.episodes for turn in range(episode.turn)]
    write(path, [json.dumps({**run.header, "rescored": __version__}), *lines])


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
    opened: AbstractContextManager[tuple[dict[str, Any], list[Line], Append]]
    opened = appending(path, header) if path else nullcontext((header, [], lambda lines: None))
    with opened as (stored, lines, append):
        run = Run.of(stored, questions.rows, lines, path)
        if run.changes and run.missing:
            raise ValueError(
                f"{path} has {len(run.changes)} verdicts that are not those of today's verifier, so the run cannot go "
                "on: `forge-gym rescore` says which, and writes a transcript that can"
            )
        _play_on(agent, run, append, batch_size, progress)
    return run


def _play_on(
    agent: Agent | AsyncAgent, run: Run, append: Append, batch_size: int, progress: Callable[[Run], object]
) -> None:
    in_a_row = 0

    def judged(answered: Sequence[Conversation]) -> None:
        nonlocal in_a_row
        append(map(write_line, answered))
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
        play(agent, run.episodes, judged, batch_size=batch_size, failed=failed)


class _GaveUp(Exception):
    pass
