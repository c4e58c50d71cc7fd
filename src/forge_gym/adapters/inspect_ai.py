"""Tasks for Inspect: ``inspect eval forge_gym/forge_bench --model openai/MODEL,anthropic/MODEL``.

`forge_bench` asks the rows of a suite, `forge_problems` freshly drawn instances; `forge_verdict` scores both. A
sample's metadata say where its instance comes from. They hold no solution, and there is no target.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Any

from anyio import to_thread
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser
from inspect_ai.scorer import Metric, Score, Scorer, Target, grouped, mean, metric, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from .._version import __version__
from ..core import registry
from ..core.answer import THOUGHTS, ThoughtsLike
from ..core.checks import check_choice, check_int
from ..core.episode import Episode, Protocol
from ..core.registry import place_of
from ..core.verdict import METRICS
from ..data.rows import Row, ladder, samples
from ..data.suite import BENCHMARK
from ..evaluation.runs import suite_questions
from ..registration import problem_name

SCORES = ("quality", "skill", "success", "optimal")
"""Numbers of a reply: keys of `forge_gym.core.verdict.METRICS`."""
KEPT = "forge_kept_reply"
"""Where `forge_turns` leaves the reply that counts, in the sample's store."""


@task
def forge_bench(
    suite: str = BENCHMARK,
    problems: str | list[str] | None = None,
    levels: int | list[int] | None = None,
    limit: int | None = None,
    turns: int = 1,
    thoughts: ThoughtsLike = THOUGHTS,
) -> Task:
    """Return the rows of a suite as a task.

    Parameters
    ----------
    suite
        The name of one that ships with the package, or a file of rows.
    problems, levels
        Only these are asked; all by default.
    limit
        Rows per problem and level, at least 1; all by default.
    turns
        Replies per sample. After each the model reads the verdict and may revise; the best reply counts.
    thoughts
        How thoughts end that Inspect leaves in the reply; see `Protocol`.

    Raises
    ------
    ValueError
        If there is no such suite, problem or level.

    Examples
    --------
    >>> [sample.id for sample in forge_bench(problems="TSP", levels=[0, 1], limit=2).dataset]
    ['TSP-0-0', 'TSP-0-1', 'TSP-1-0', 'TSP-1-1']
    """
    rows = suite_questions(suite, limit).rows
    names, at = _listed(problems), [int(level) for level in _listed(levels)]
    for name in names:
        check_choice("problems", name, sorted({row.problem.name for row in rows}))
    for level in at:
        check_choice("levels", level, sorted({row.level for row in rows}))
    of_problems = [row for row in rows if not names or row.problem.name in names]
    return _task([row for row in of_problems if not at or row.level in at], turns, thoughts, suite=suite)


@task
def forge_problems(
    problems: str | list[str] | None = None,
    levels: int | list[int] | None = None,
    episodes: int = 100,
    seed: int = 0,
    split: str = "test",
    turns: int = 1,
    thoughts: ThoughtsLike = THOUGHTS,
) -> Task:
    """Return freshly drawn instances as a task.

    Parameters
    ----------
    problems
        Names, ids or ``module:Class``; all by default.
    levels
        Difficulties; the problems' own sizes by default.
    episodes
        Instances of each problem at each level.
    seed, split
        Of the stream of instances.
    turns, thoughts
        As of `forge_bench`.

    Examples
    --------
    >>> [sample.id for sample in forge_problems("TSP", levels=[0, 2], episodes=1).dataset]
    ['TSP-0-test-0-0', 'TSP-2-test-0-0']
    """
    episodes = check_int("episodes", episodes, 1)
    names = _listed(problems) or registry.problems()
    asked = [registry.problem(problem_name(name)) for name in names]
    at = [int(level) for level in _listed(levels)] or None
    count = episodes * len(ladder(asked, at))
    return _task(islice(samples(asked, levels=at, seed=seed, split=split), count), turns, thoughts)


def _listed(value: Any) -> list[Any]:
    """Return the values of an argument, of which the command line gives one alone as it is."""
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _task(rows: Iterable[Row], turns: int, thoughts: ThoughtsLike, **origin: Any) -> Task:
    dataset = [
        Sample(
            row.prompt,
            id=row.id,
            metadata={"problem": row.problem.name, "level": row.level, **(origin or {"spec": _remembered(row)})},
        )
        for row in rows
    ]
    plays, judges = forge_turns(turns, thoughts), forge_verdict(thoughts)
    return Task(dataset, solver=plays, scorer=judges, version=__version__)


@lru_cache(maxsize=4)
def _rows(suite: str) -> dict[str, Row]:
    return {row.id: row for row in suite_questions(suite).rows}


_drawn: dict[str, Row] = {}
"""The rows of this process's tasks by their specs: their references are known."""


def _remembered(row: Row) -> str:
    """Return a spec of the row without its solution, which no log must hold."""
    spec = place_of(row.spec)
    _drawn[spec] = row
    return spec


def _episode(state: TaskState, protocol: Protocol) -> Episode:
    """Return a sample's episode; in the event loop, so that a suite is read once."""
    spec = state.metadata.get("spec")
    if spec is not None and spec not in _drawn:  # a log of another process is scored again
        return Episode.of_spec(spec, protocol)
    row = _drawn[spec] if spec is not None else _rows(state.metadata["suite"])[str(state.sample_id)]
    return Episode(row.problem, row.use(), protocol)


@solver
def forge_turns(turns: int = 1, thoughts: ThoughtsLike = THOUGHTS) -> Solver:
    """Return a solver that asks ``turns`` times, and in between tells the verdict."""
    protocol = Protocol(turns, thoughts=thoughts)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        episode = _episode(state, protocol)
        while True:
            state = await generate(state)
            feedback = await to_thread.run_sync(episode.step, state.output.completion)
            state.store.set(KEPT, episode.kept_reply)
            if episode.over or state.completed:
                return state
            state.messages.append(ChatMessageUser(content=feedback))

    return solve


@metric
def level() -> Metric:
    """Return the means at each level; Inspect takes one metric of a name, so this one has its own."""
    return grouped(mean(), "level", all=False)


@scorer(metrics={name: [mean(), stderr(), grouped(mean(), "problem", all=False), level()] for name in SCORES})
def forge_verdict(thoughts: ThoughtsLike = THOUGHTS) -> Scorer:
    """Return the scorer: quality, skill (floored at -1), success and optimal, and why an answer is not feasible."""
    protocol = Protocol(thoughts=thoughts)

    async def score(state: TaskState, target: Target) -> Score:
        episode, reply = _episode(state, protocol), state.store.get(KEPT, state.output.completion)
        judged = await to_thread.run_sync(episode.judge, reply)
        verdict = judged.verdict
        return Score(
            value={name: METRICS[name](verdict) for name in SCORES},
            answer=reply,
            explanation=episode.take(judged),
            metadata={
                "problem": state.metadata["problem"],
                "level": state.metadata["level"],
                "status": verdict.status,
                "reason": verdict.reason,
                "finish": state.output.stop_reason,
            },
        )

    return score
