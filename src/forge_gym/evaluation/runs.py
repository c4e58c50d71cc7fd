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

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from .._version import __version__
from ..agents.agent import Agent, AgentError, AsyncAgent, Reply
from ..core.checks import check_int, short_repr
from ..core.episode import Episode, Judged, Protocol
from ..core.instance import lists_to_tuples
from ..core.problem import Problem
from ..core.registry import problem as make_problem
from ..core.verdict import METRICS, Verdict
from ..data.suite import SHIPPED, Row, SuiteError, locate, read
from .evaluate import Answered, Conversation, play
from .score import SuiteEvaluation
from .transcript import FORMAT, Call, Transcript, parse

GIVE_UP = 100
"""Episodes in a row that an agent fails to answer after which it is asked no more."""

# ------------------------------------------------------------------------------------- what is asked


@dataclass(frozen=True)
class Questions:
    """The rows that a run asks, and the part of its header that rebuilds them."""

    rows: tuple[Row, ...]
    header: dict[str, Any]
    """``suite`` and ``limit``, or ``env``, ``episodes``, ``seed`` and ``split``."""
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
    with gzip.open(path, "rt", encoding="utf-8") as file:
        digest = json.loads(file.readline())["sha256"]
    if limit is not None:
        check_int("limit", limit, 1)
        seen: dict[tuple[str, int | None], list[Row]] = {}
        for row in rows:
            seen.setdefault((row.problem.name, row.level), []).append(row)
        rows = [row for group in seen.values() for row in group[:limit]]
    if len({row.id for row in rows}) < len(rows):
        raise SuiteError(f"{path} has two rows of one id, so a transcript could not tell them apart")
    asked: dict[str, Any] = {"name": name, "sha256": digest}
    if name not in SHIPPED:
        asked["file"] = str(path.resolve())
    return Questions(tuple(rows), {"suite": asked, "limit": limit, "env": None}, name)


def env_questions(
    problems: Sequence[Problem[Any, Any]], episodes: int, seed: int = 0, split: str = "test"
) -> Questions:
    """Return the first ``episodes`` graded instances of each problem's stream, certified as they are drawn."""
    check_int("episodes", episodes, 1)
    rows = []
    for problem in problems:
        for index, instance in islice(problem.graded_instances(seed, split), episodes):
            reference = problem.reference(instance)
            about = (reference, reference.trivial, reference.greedy, problem.digest(instance))
            source = {"seed": seed, "index": index, "split": split}
            rows.append(Row(f"{problem.name}-{index}", problem, instance, *about, source=source))
    names = [problem.name for problem in problems]
    if len(set(names)) < len(names):
        raise ValueError(f"problems must be of different names, got {names}")
    envs = [{"problem": p.name, "version": p.version, "parameters": p.parameters} for p in problems]
    header = {"suite": None, "env": envs, "episodes": episodes, "seed": seed, "split": split}
    return Questions(tuple(rows), header, "+".join(names))


def _questions(header: dict[str, Any], suite: str | Path | None) -> Questions:
    """Rebuild what the run of this header asked."""
    asked = header["suite"]
    if asked is None:
        problems = [
            make_problem(env["problem"], **{key: lists_to_tuples(x) for key, x in env["parameters"].items()})
            for env in header["env"]
        ]
        questions = env_questions(problems, header["episodes"], header["seed"], header["split"])
        now = questions.header["env"]
        if json.loads(json.dumps(now)) != json.loads(json.dumps(header["env"])):
            raise ValueError(f"its problems are at other versions now: {short_repr(now, 200)}")
        return questions
    questions = suite_questions(str(suite or asked.get("file", asked["name"])), header["limit"])
    name, digest = asked["name"], asked["sha256"]
    if questions.header["suite"]["sha256"] != digest:
        raise ValueError(f"it asked another version of the suite {name}, of content {digest}")
    return questions


# ------------------------------------------------------------------------------------- runs


@dataclass(frozen=True)
class Run:
    """What was asked, and what was answered so far."""

    header: dict[str, Any]
    rows: tuple[Row, ...]
    calls: dict[tuple[str, int], list[Call]]
    """Row and sample to the calls of that episode, by turn."""

    @property
    def agent(self) -> str:
        """How tables call the agent."""
        return str(self.header["agent"])

    @property
    def samples(self) -> int:
        """Episodes per row."""
        return int(self.header["samples"])

    @property
    def turns(self) -> int:
        """Replies per episode, unless an optimum ends it."""
        return int(self.header["turns"])

    @cached_property
    def protocol(self) -> Protocol:
        """How its episodes go."""
        return Protocol(self.turns, reward=self.header["reward"])

    @cached_property
    def _rows(self) -> dict[str, Row]:
        return {row.id: row for row in self.rows}

    def episode(self, row: str, sample: int) -> Conversation:
        """Return an episode as far as it is recorded, by the recorded verdicts."""
        asked = self._rows[row]
        episode = Conversation(asked.problem, asked.instance, self.protocol, row=row, sample=sample)
        for call in self.calls.get((row, sample), ()):
            episode.take(Judged(call.reply, call.verdict, call.score))
        return episode

    def is_over(self, row: str, sample: int) -> bool:
        """Whether an episode was played to its end."""
        return self.episode(row, sample).over

    @property
    def episodes(self) -> int:
        """Episodes to be played."""
        return len(self.rows) * self.samples

    def kept(self, row: str) -> list[Verdict]:
        """Return the kept turn's verdict of each finished sample of a row."""
        episodes = [self.episode(row, sample) for sample in range(self.samples)]
        return [episode.kept.verdict for episode in episodes if episode.kept and episode.over]

    def kept_call(self, row: str, sample: int) -> Call:
        """Return the kept turn of an episode of which some turn is recorded."""
        return self.calls[row, sample][self.episode(row, sample).kept_turn]

    @property
    def finished(self) -> int:
        """Episodes that were played to their ends."""
        return sum(self.is_over(*played) for played in self.calls)

    @property
    def missing(self) -> int:
        """Episodes that were not."""
        return self.episodes - self.finished

    @property
    def answered(self) -> tuple[Row, ...]:
        """The rows all of whose samples are finished."""
        return tuple(
            row for row in self.rows if all(self.is_over(row.id, sample) for sample in range(self.samples))
        )

    def total(self, name: str) -> float:
        """Return the sum over all calls of ``prompt_tokens``, ``completion_tokens``, ``cost``, ``seconds``, ..."""
        return float(sum(getattr(call, name) for calls in self.calls.values() for call in calls))

    def evaluation(self, rows: Sequence[Row] | None = None) -> SuiteEvaluation:
        """Return the verdicts on ``rows``, by default on all that are `answered`; others have no score.

        Raises
        ------
        ValueError
            If there is no such row.
        """
        rows = self.answered if rows is None else tuple(rows)
        if not rows:
            raise ValueError(f"the run of {self.agent} has no answered row")
        return SuiteEvaluation(self.agent, tuple(rows), tuple(tuple(self.kept(row.id)) for row in rows))


def read_run(path: str | Path, suite: str | Path | None = None) -> Run:
    """Return the run in a transcript, which may be under way: a line that is not whole yet is left out.

    Parameters
    ----------
    suite
        Where the suite is now, if it did not ship with the package and was moved.

    Raises
    ------
    ValueError
        If the file is no transcript, is damaged, or asked what can no longer be rebuilt. The message names
        file and line.
    """
    path = Path(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    with file:
        header, calls, _ = parse(path, file)
    if header is None:
        raise ValueError(f"{path} is no transcript: it has no header")
    try:
        questions = _questions(header, suite)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} cannot be rebuilt: {error}") from None
    run = Run(header, questions.rows, {})
    _sort_in(path, run, calls)
    return run


def _sort_in(path: Path, run: Run, calls: Iterable[Call]) -> None:
    """Add the calls of a transcript to ``run``, each where it belongs."""
    known = {row.id for row in run.rows}
    for at, call in enumerate(calls, 2):
        turns = run.calls.setdefault((call.row, call.sample), [])
        if call.row not in known:
            raise ValueError(f"{path}, line {at}, is damaged: there is no row {short_repr(call.row)}")
        if not (0 <= call.sample < run.samples and call.turn == len(turns) < run.turns):
            raise ValueError(
                f"{path}, line {at}, is damaged: turn {call.turn} of sample {call.sample} of {call.row} "
                f"follows {len(turns)} others"
            )
        turns.append(call)


# ------------------------------------------------------------------------------------- recording


@dataclass
class Tally:
    """How a run stands, for whoever watches it."""

    episodes: int
    """To be played, those of earlier processes included."""
    finished: int = 0
    failures: int = 0
    """Episodes that were left unanswered since this process began."""
    error: str = ""
    """Why the last of them was."""
    success: float = 0.0
    """Sum over the finished episodes, as ``quality``."""
    quality: float = 0.0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def call(self, call: Call) -> None:
        """Count a call."""
        self.calls += 1
        self.prompt_tokens += call.prompt_tokens
        self.completion_tokens += call.completion_tokens
        self.cost += call.cost

    def end(self, kept: Verdict) -> None:
        """Count the end of an episode."""
        self.finished += 1
        self.success += METRICS["success"](kept)
        self.quality += METRICS["quality"](kept)


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
    progress: Callable[[Tally], object] = lambda tally: None,
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
        may change when a run goes on. All of it goes into the header, so no key may be in it.
    batch_size
        Episodes in flight, of an agent that answers in batches; the transcript is written after each batch.
    progress
        Called at the start and after every reply or failure.

    Raises
    ------
    ValueError
        If ``path`` holds something else, a run with other settings, or is in use by another process.
    """
    check_int("samples", samples, 1)
    Protocol(turns, reward=reward)  # refuses them before anything is written
    header = {
        "forge_gym": __version__,
        "format": FORMAT,
        "agent": agent.name,
        **questions.header,
        "turns": turns,
        "samples": samples,
        "reward": reward,
        "options": options or {},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if path is None:
        return _record(agent, Run(header, questions.rows, {}), None, batch_size, progress)
    with Transcript(Path(path), header) as transcript:
        run = Run(transcript.header, questions.rows, {})
        _sort_in(transcript.path, run, transcript.calls)
        return _record(agent, run, transcript, batch_size, progress)


def _record(
    agent: Agent | AsyncAgent,
    run: Run,
    transcript: Transcript | None,
    batch_size: int,
    progress: Callable[[Tally], object],
) -> Run:
    tally = Tally(run.episodes)
    for row in run.rows:
        for kept in run.kept(row.id):
            tally.end(kept)
    for calls in run.calls.values():
        for call in calls:
            tally.call(call)
    in_a_row = 0

    def judged(answered: Sequence[Answered]) -> None:
        nonlocal in_a_row
        calls = [_call(episode, reply) for episode, reply in answered]
        if transcript is not None:
            transcript.append(calls)
        for call, (episode, _) in zip(calls, answered, strict=True):
            run.calls.setdefault((call.row, call.sample), []).append(call)
            tally.call(call)
            if episode.kept is not None and episode.over:
                tally.end(episode.kept.verdict)
        in_a_row = 0
        progress(tally)

    def failed(episode: Conversation, error: AgentError) -> None:
        nonlocal in_a_row
        in_a_row += 1
        tally.failures += 1
        tally.error = str(error)
        progress(tally)
        if in_a_row == GIVE_UP:
            raise _GaveUp

    progress(tally)
    with suppress(_GaveUp):
        play(agent, _unfinished(run), judged, batch_size=batch_size, failed=failed)
    return run


class _GaveUp(Exception):
    pass


def _call(episode: Conversation, reply: Reply) -> Call:
    assert episode.last is not None
    took = asdict(reply)
    return Call(
        episode.row,
        episode.sample,
        episode.turn - 1,
        reply=took.pop("text"),
        score=episode.last.score,
        verdict=episode.last.verdict._replace(solution=None),
        feedback=episode.feedback if episode.protocol.turns > 1 else None,
        **took,
    )


def _unfinished(run: Run) -> Iterator[Conversation]:
    """Yield the episodes that are not over, each brought to where its record ends."""
    for row in run.rows:
        for sample in range(run.samples):
            if run.is_over(row.id, sample):
                continue
            episode = Conversation(row.problem, row.use(), run.protocol, row=row.id, sample=sample)
            for call in run.calls.get((row.id, sample), ()):
                judged = episode.judge(call.reply)
                if judged.verdict.worth != call.verdict.worth or episode.take(judged) != call.feedback:
                    raise ValueError(
                        f"the transcript's verdict on turn {call.turn} of sample {sample} of {row.id} is not that of "
                        "the verifier of today, so the episode cannot go on: `forge-gym rescore` says what changed"
                    )
            yield episode


def write_run(run: Run, path: str | Path) -> None:
    """Write a run as a transcript, whole or not at all; a file that is there is refused.

    Raises
    ------
    ValueError
        If ``path`` exists.
    """
    path = Path(path)
    if path.exists():
        raise ValueError(f"{path} exists and is left as it is: give another file")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="ascii") as file:
        file.write(json.dumps(run.header) + "\n")
        file.writelines(call.to_json() + "\n" for calls in run.calls.values() for call in calls)
    temporary.replace(path)


# ------------------------------------------------------------------------------------- rescoring


class Change(NamedTuple):
    """A stored verdict that the verifier of today does not give."""

    before: Call
    after: Call


def rescore(run: Run) -> tuple[Run, list[Change]]:
    """Judge every reply of ``run`` again; return the run with the verdicts of today, and what changed.

    A verdict whose words alone are others is not a change, but the new run has the new words.

    Raises
    ------
    CertificateError
        If an answer beats a certificate: a bug of ours.
    """
    calls: dict[tuple[str, int], list[Call]] = {}
    changes = []
    for row in run.rows:
        episode = Episode(row.problem, row.use(), run.protocol)
        for sample in range(run.samples):
            for call in run.calls.get((row.id, sample), ()):
                _, verdict, score = episode.judge(call.reply)
                after = replace(call, verdict=verdict._replace(solution=None), score=score)
                if _judgement(call) != _judgement(after):
                    changes.append(Change(call, after))
                calls.setdefault((row.id, sample), []).append(after)
    return Run({**run.header, "rescored": __version__}, run.rows, calls), changes


def _judgement(call: Call) -> tuple[Any, ...]:
    """Return all of a call's verdict and score but the words."""
    violations = [(v.family, v.amount, v.scale) for v in call.verdict.violations]
    return call.score, violations, call.verdict._replace(reason="", violations=())
