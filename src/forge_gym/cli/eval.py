"""``forge-gym eval``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from ..agents import CONTROLS, trained_on
from ..core.checks import check_choice
from ..registration import stated_name
from .models import (
    MANNER,
    MODELS,
    NAMES,
    BatchSize,
    Engine,
    MaxNewTokens,
    Temperature,
    ThoughtsEnd,
    TopP,
    agent_of,
    options_of,
)
from .options import Json, Level, Own, Seed, Set, Split, make_problem, own_of
from .terminal import console, print_json, resumable, say

if TYPE_CHECKING:
    from ..agents import Agent
    from ..evaluation.runs import Questions, Run

BY = ("problem", "family", "distribution", "level", "all")


def command(
    agent: Annotated[list[str] | None, Option(metavar="AGENT", help=f"agent to evaluate: {NAMES}, {MODELS}")] = None,
    model: Annotated[
        str | None, Option(help="model of an OpenAI-compatible server; short for --agent api:MODEL")
    ] = None,
    env: Annotated[
        list[str] | None,
        Option(
            metavar="ENV",
            help="problem or environment id, or module:Class of your own; by default what hf:MODEL was trained on",
        ),
    ] = None,
    suite: Annotated[str | None, Option(help="name of a suite, such as forge-bench-v1, or its file")] = None,
    own: Own = None,
    set: Set = None,
    level: Level = None,
    seed: Seed = 0,
    split: Split = "test",
    episodes: Annotated[int, Option(help="number of instances per environment")] = 100,
    limit: Annotated[
        int | None, Option(help="number of rows of each problem and level in a suite; all by default")
    ] = None,
    samples: Annotated[int, Option(help="number of answers per instance, for best@k and pass@k")] = 1,
    turns: Annotated[int, Option(help="number of replies per episode; the best one counts")] = 1,
    reward: Annotated[str, Option(help="reward scheme that chooses the best of several turns")] = "tiered",
    by: Annotated[str | None, Option(help=f"groups that get a table of all metrics as well: {', '.join(BY)}")] = None,
    out: Annotated[
        Path | None,
        Option(
            metavar="RUN.jsonl",
            help="transcript to write or to continue; runs/<agent>-<suite>.jsonl for a model on a suite",
        ),
    ] = None,
    temperature: Temperature = 0.0,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    thoughts: ThoughtsEnd = None,
    sampling_seed: Annotated[int | None, Option(metavar="SEED", help="seed of the model's sampling")] = None,
    system: Annotated[str | None, Option(metavar="TEXT", help="system message for the model")] = None,
    few_shot: Annotated[int | None, Option(metavar="K", help="number of solved examples before the question")] = None,
    batch_size: BatchSize = 32,
    engine: Engine = None,
    base_url: Annotated[
        str | None, Option(metavar="URL", help="address of an OpenAI-compatible server, ending in /v1")
    ] = None,
    api_key_env: Annotated[
        str | None, Option(metavar="NAME", help="environment variable that holds the server's key")
    ] = None,
    concurrency: Annotated[int | None, Option(help="most requests at the same time")] = None,
    rpm: Annotated[float | None, Option(help="most requests per minute")] = None,
    tpm: Annotated[float | None, Option(help="most tokens per minute")] = None,
    timeout: Annotated[float | None, Option(metavar="SECONDS", help="longest time of one attempt")] = None,
    attempts: Annotated[int | None, Option(help="number of attempts before an episode stays without an answer")] = None,
    price_in: Annotated[float | None, Option(metavar="PRICE", help="price of a million prompt tokens")] = None,
    price_out: Annotated[float | None, Option(metavar="PRICE", help="price of a million completion tokens")] = None,
    extra: Annotated[
        str | None,
        Option(
            metavar="JSON",
            help='more fields of each request, as a JSON object. \'{"stop": ["</answer>"]}\' ends a reply after '
            "its first answer, in thoughts too; the tag is put back where the server says that it stopped there",
        ),
    ] = None,
    max_tokens_field: Annotated[
        str | None, Option(metavar="NAME", help="field with the length limit: max_tokens or max_completion_tokens")
    ] = None,
    json: Json = False,
) -> int:
    """Evaluate agents: scores with bootstrap intervals.

    The exit status is 1 if an episode has no answer.
    """
    from ..evaluation.report import runs_to_dict
    from ..evaluation.runs import env_questions, suite_questions
    from ..evaluation.transcript import check_transcript

    asked = [*(agent or ()), *([f"api:{model}"] if model else [])]
    if not asked:
        raise ValueError(f"--agent or --model must be given, such as --agent {next(iter(CONTROLS))}")
    if env and suite:
        raise ValueError("one of --env and --suite must be given, got both")
    known = {} if env or suite else _trained_on(asked)
    if out and len(asked) > 1:
        raise ValueError(f"--out must come with one agent, got {len(asked)}: each run is a file of its own")
    if out:
        check_transcript(out)
    if by is not None:
        check_choice("--by", by, BY)
    values = {
        "base_url": base_url,
        "api_key_env": api_key_env,
        "concurrency": concurrency,
        "requests_per_minute": rpm,
        "tokens_per_minute": tpm,
        "timeout": timeout,
        "attempts": attempts,
        "prompt_price": price_in,
        "completion_price": price_out,
        "batch_size": batch_size,
        "temperature": temperature,
        "top_p": top_p,
        "seed": sampling_seed,
        "system": system,
        "shots": few_shot,
        "max_new_tokens": max_new_tokens,
        "max_tokens_field": max_tokens_field,
        "extra": extra,
        "engine": engine,
        "thoughts": thoughts,
    }
    # Every table of a suite holds the controls: a score says little without them.
    names = [*(CONTROLS if suite else ()), *asked]
    agents = {name: agent_of(name, values) for name in dict.fromkeys(names)}
    if suite:
        questions = suite_questions(suite, limit)
    else:
        problems = [make_problem(name, set, level, **known.get(name, {})) for name in env or known]
        questions = env_questions(problems, episodes, seed, split)
    play = {"turns": turns, "samples": samples, "reward": reward}
    # What takes long and is recorded comes first: the controls take seconds, and would again after an interruption.
    runs, paths = {}, {}
    for name in reversed(agents):
        path = out if name in asked else None
        if path is None and suite and name not in CONTROLS:
            path = _default_transcript(agents[name].name, questions, limit)
        runs[name] = _run(name, agents[name], questions, path, values, play)
        if path is not None:
            paths[name] = path
    ordered = [runs[name] for name in agents]
    if json:
        print_json(runs_to_dict(ordered))
    else:
        _print_tables(ordered, questions, by)
        named = own_of(row.problem for row in questions.asked)
        _print_end([runs[name] for name in agents if name not in CONTROLS], list(paths.values()), named)
    return int(any(run.missing for run in ordered))


def _run(
    name: str,
    agent: Agent,
    questions: Questions,
    path: Path | None,
    values: Mapping[str, Any],
    play: Mapping[str, Any],
) -> Run:
    """Play one agent's episodes, or continue them; say on stderr what is unusual."""
    from contextlib import nullcontext

    from ..evaluation.report import watching
    from ..evaluation.runs import record

    first = True

    def watch(run: Run) -> None:
        nonlocal first
        if first and run.replies:  # before anything is asked
            left = "continuing" if run.missing else "nothing is asked; another --out starts a new run"
            there = f"{run.finished} of {len(run.verdicts)} episodes are finished"
            say(f"{path}: {there}, {left}", error=True)
        first = False
        tell(run)

    # The header has the thoughts of any agent.
    options = {key: value for key, value in options_of(name, values).items() if key not in (*MANNER, "thoughts")}
    if url := getattr(agent, "base_url", ""):
        options["base_url"] = url
    batch = values["batch_size"] if name.startswith("hf:") else 256
    with resumable() if path else nullcontext(), watching(agent.name, console(stderr=True)) as tell:
        run = record(agent, questions, path, **play, options=options, batch_size=batch, progress=watch)
    if run.missing:
        again = "" if path is None else "; the same command asks again"
        told = f"failed calls: {run.failures}, the last with {run.error}{again}"
        say(f"forge-gym: {agent.name}: {told}", error=True)
    return run


def _trained_on(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the problems that these models were trained on here, with their parameters."""
    notes = [note for name in names if (note := trained_on(name))]
    if not notes:
        raise ValueError("one of --env and --suite must be given, got none")
    return {stated_name(note["problem"]): note["parameters"] for note in notes}


def _default_transcript(agent: str, questions: Questions, limit: int | None) -> Path:
    names = [agent, questions.name, *([f"limit{limit}"] if limit else [])]
    plain = (re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:80] for name in names)
    return Path("runs", f"{'-'.join(plain)}.jsonl")


def _print_tables(runs: Sequence[Run], questions: Questions, by: str | None) -> None:
    """Print the tables over the rows that every agent answered; nothing where there is no such row."""
    from ..evaluation.report import evaluation_tables
    from ..evaluation.runs import common_rows

    try:
        rows = common_rows(runs)
    except ValueError:
        return
    evaluations = [run.evaluation(rows) for run in runs]
    groupings = BY[:-1] if by == "all" else (by,) if by else ()
    for table in evaluation_tables(evaluations, questions.name, questions.asked, groupings):
        console().print(table, "")


def _print_end(runs: Sequence[Run], paths: Sequence[Path], own: str) -> None:
    """Say what the models took, what is wrong with their replies, where these are, and what to do next."""
    from ..evaluation.report import summary

    for run in runs:
        say(*summary(run))
    if paths:
        files = shlex.join(map(str, paths))
        say(f"transcript: {files}", f"next: forge-gym report {files} --out report.html{own}")
        say(f"      forge-gym compare {files}{'' if len(paths) > 1 else ' OTHER.jsonl'}{own}")
