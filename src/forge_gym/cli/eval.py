"""The commands that ask agents and judge again: ``forge-gym eval`` and ``forge-gym rescore``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core.checks import check_choice
from ..core.problem import Problem
from .terminal import console, print_json

if TYPE_CHECKING:
    from ..agents import Agent
    from ..agents.agent import StreamingAgent
    from ..evaluation.runs import Questions, Run, Tally
    from ..evaluation.transcript import Call

_MANNER = (
    "base_url", "api_key_env", "concurrency", "requests_per_minute", "tokens_per_minute", "timeout", "attempts",
    "prompt_price", "completion_price", "batch_size",
)  # fmt: skip
"""Options that say how a model is asked; a run may go on with others."""
_CONTENT = ("temperature", "seed", "system", "shots")
_OPTIONS = {
    "api": (*_MANNER[:-1], *_CONTENT, "max_tokens", "max_tokens_field", "extra"),
    "vllm": (*_CONTENT, "max_new_tokens"),
    "hf": (*_CONTENT, "max_new_tokens", "batch_size"),
}
"""Arguments of each kind of language model that the command line gives, where they were given."""


def run_eval(arguments: argparse.Namespace, problems: Sequence[Problem[Any, Any]]) -> int:
    """Play the agents on a suite, or on ``problems``, and print the tables; 1 if anything stayed unanswered."""
    from ..agents import CONTROLS
    from ..evaluation.report import summary
    from ..evaluation.runs import env_questions, suite_questions

    names = [*arguments.agent, *([f"api:{arguments.model}"] if arguments.model else [])]
    if not names:
        raise ValueError(f"--agent or --model must be given, such as --agent {next(iter(CONTROLS))}")
    if arguments.out and len(names) > 1:
        raise ValueError(f"--out must come with one agent, got {len(names)}: each run is a file of its own")
    check_choice("--by", arguments.by, ("overall", "problem", "family", "level", "all"))
    if arguments.best_of is not None and not all(name.startswith("api:") for name in names):
        raise ValueError(f"--best-of must come with models behind a server, api:MODEL, got {names}")
    if arguments.suite:
        questions = suite_questions(arguments.suite, arguments.limit)
        names = [*CONTROLS, *names]  # every table of a suite holds them: a score says little without
    else:
        questions = env_questions(problems, arguments.episodes, arguments.seed, arguments.split)
    agents = {name: agent_of(name, arguments) for name in dict.fromkeys(names)}
    # What takes long and is recorded comes first: the controls take seconds, and would again after an interruption.
    runs = {name: _run(name, agents[name], questions, arguments) for name in reversed(agents)}
    ordered = [runs[name] for name in agents]
    (_print_suite if arguments.suite else _print_environments)(ordered, questions, arguments)
    if not arguments.json:
        for name in filter(_is_model, agents):
            print(summary(runs[name]))
    return int(any(run.missing for run in ordered))


def _is_model(name: str) -> bool:
    return name.startswith(("api:", "vllm:", "hf:"))


def _run(name: str, agent: Agent, questions: Questions, arguments: argparse.Namespace) -> Run:
    """Play one agent's episodes, or go on with them; say on stderr what is not as usual."""
    from ..evaluation.report import plain, watching
    from ..evaluation.runs import record

    path = arguments.out if name in (*arguments.agent, f"api:{arguments.model}") else None
    if path is None and arguments.suite and _is_model(name):
        path = _default_transcript(agent.name, questions, arguments)
    if path is not None:
        arguments.resumes = True
    error: str | None = None

    def watch(tally: Tally) -> None:
        nonlocal error
        if error is None and tally.calls:  # before anything is asked
            left = "nothing is asked; another --out starts anew"
            if tally.finished < tally.episodes:
                left = "going on"
            print(f"{path}: {tally.finished} of {tally.episodes} episodes are there, {left}", file=sys.stderr)
        error = tally.error
        tell(tally)

    options = {key: value for key, value in _options(name, arguments).items() if key not in _MANNER}
    if arguments.thinking:
        options["thinking"] = True
    if url := getattr(getattr(agent, "agent", agent), "base_url", ""):
        options["base_url"] = re.sub(r"(?<=//)[^/@]*@|\?.*", "", url)  # without a password
    with watching(agent.name, console(stderr=True)) as tell:
        run = record(
            agent,
            questions,
            path,
            **{name: getattr(arguments, name) for name in ("turns", "samples", "reward")},
            options=options,
            batch_size=arguments.batch_size if name.startswith("hf:") else 256,
            progress=watch,
        )
    if run.missing:
        again = "" if path is None else "; the same command asks them again"
        print(
            f"forge-gym: {plain(agent.name)} left {run.missing} of {run.episodes} episodes unanswered "
            f"(the last: {plain(error or '')}), and they are not scored{again}",
            file=sys.stderr,
        )
    return run


def _default_transcript(agent: str, questions: Questions, arguments: argparse.Namespace) -> Path:
    names = [agent, questions.name, *([f"limit{arguments.limit}"] if arguments.limit else [])]
    plain = (re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:80] for name in names)
    return Path("runs", f"{'-'.join(plain)}.jsonl")


def agent_of(name: str, arguments: argparse.Namespace) -> Agent:
    """Return the agent called ``name`` with the command line's options."""
    from ..agents import BestOf, make_agent

    try:
        agent = make_agent(name, **_options(name, arguments))
    except ImportError as error:  # it says which extra to install
        raise ValueError(str(error)) from None
    if name.startswith("api:") and getattr(arguments, "best_of", None) is not None:
        if arguments.temperature == 0:
            raise ValueError("--best-of needs --temperature above 0, or all samples are the same")
        return BestOf(cast("StreamingAgent", agent), arguments.best_of, thinking=arguments.thinking)
    return agent


def _options(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of the agent called ``name``."""
    if name.startswith("sb3:"):
        return {"deterministic": arguments.temperature == 0}
    values = vars(arguments)
    values = values | {"max_tokens": arguments.max_new_tokens, "seed": values.get("sampling_seed")}
    keys = _OPTIONS.get(name.partition(":")[0], ())
    return {key: values[key] for key in keys if values.get(key) is not None}


def _answered_by_all(runs: Sequence[Run]) -> set[str]:
    """Return the ids of the rows that every agent answered: tables compare agents on the same ones."""
    return set.intersection(*({row.id for row in run.answered} for run in runs))


def _print_environments(runs: Sequence[Run], questions: Questions, arguments: argparse.Namespace) -> None:
    from ..evaluation.evaluate import Evaluation
    from ..evaluation.report import evaluation_table

    answered = _answered_by_all(runs)
    tables = []
    for problem in dict.fromkeys(row.problem for row in questions.rows):
        asked = [row for row in questions.rows if row.problem == problem]
        if rows := [row for row in asked if row.id in answered]:
            table = [Evaluation(run.agent, problem, run.evaluation(rows).verdicts) for run in runs]
            tables.append((table, len(asked)))
    if arguments.json:
        print_json([evaluation.to_dict() for table, _ in tables for evaluation in table])
        return
    for table, count in tables:
        console().print(evaluation_table(table, count))


def _print_suite(runs: Sequence[Run], questions: Questions, arguments: argparse.Namespace) -> None:
    from ..evaluation.report import suite_tables
    from ..evaluation.score import groups

    answered = _answered_by_all(runs)
    rows = [row for row in questions.rows if row.id in answered]
    results = [run.evaluation(rows) for run in runs] if rows else []
    if arguments.json:
        records = [result.to_dict() for result in results]
        unanswered = {run.agent: run.missing for run in runs if run.missing}
        print_json({"suite": questions.name, "unanswered": unanswered, "results": records})
        return
    names = {row.problem.name for row in questions.rows}
    labels = []
    for label in groups(questions.rows):
        group = "problem" if label in names else label.partition(" ")[0]
        if group == "overall" or arguments.by in (group, "all"):
            labels.append(label)
    if results:
        for table in suite_tables(results, questions.name, labels, questions.rows):
            console().print(table)


def run_rescore(arguments: argparse.Namespace) -> int:
    """Judge a transcript again and print what changed; 1 if anything did."""
    from ..core.verdict import METRICS
    from ..evaluation.report import changes, plain
    from ..evaluation.runs import read_run, rescore, write_run

    before = read_run(arguments.transcript, arguments.suite)
    after, diffs = rescore(before)
    if arguments.out:
        write_run(after, arguments.out)
    calls = sum(map(len, before.calls.values()))
    if arguments.json:
        records = [
            {key: getattr(change.before, key) for key in ("row", "sample", "turn")}
            | {"before": _judged(change.before), "after": _judged(change.after)}
            for change in diffs
        ]
        totals = [run.evaluation().to_dict() if run.answered else None for run in (before, after)]
        print_json({"calls": calls, "changed": records, "before": totals[0], "after": totals[1]})
        return int(bool(diffs))
    print(
        f"{arguments.transcript}: {calls} replies of {plain(before.agent)} judged again, {len(diffs)} verdicts changed"
    )
    for line in changes(diffs):
        print(line)
    for title, run in (("stored", before), ("today", after)):
        if run.answered:
            evaluation = run.evaluation()
            numbers = [evaluation.estimate(metric, range(len(evaluation.rows))) for metric in METRICS]
            means = ", ".join(f"{metric} {n.mean:.4f}" for metric, n in zip(METRICS, numbers, strict=True))
            print(f"{title}: {means} over {len(evaluation.rows)} of {len(run.rows)} instances")
    return int(bool(diffs))


def _judged(call: Call) -> dict[str, Any]:
    return {"status": call.verdict.status, "quality": call.verdict.quality, "score": call.score}
