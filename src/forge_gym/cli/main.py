"""The command line: ``forge-gym list``, ``show``, ``play``, ``eval``, ``suite``, ...; also ``python -m forge_gym``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..core.checks import check_int
from ..core.instance import lists_to_tuples
from ..core.problem import Problem
from ..core.registry import problem as make_problem
from ..core.registry import problem_class, problems
from ..core.seeding import SPLITS
from ..data.generate import ENGINES, FORMATS, LAYOUTS, generate, whole
from ..data.suite import BENCHMARK, LEVELS, PROBLEMS, build, locate, verify, write
from ..evaluation.transcript import verdict_to_dict
from ..registration import register_problem
from .eval import agent_of, run_eval, run_rescore
from .terminal import console, print_json, progress_bar

if TYPE_CHECKING:
    from ..training.preflight import Preflight
    from ..verification.starc import Comparison

_ENV = "problem or environment id, such as TSP or Forge/TSP-v0, or module:Class of your own"
_FAULTS = 10
"""Faults of a check that are printed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 1 for a suite with faults, 2 for a bad argument."""
    arguments = _parser().parse_args(argv)
    if "" not in sys.path:  # for module:Class in the working folder, where a console script does not look
        sys.path.append("")
    try:
        return int(arguments.run(arguments) or 0)
    except ValueError as error:
        print(f"forge-gym: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        hint = "; the same command goes on where it stopped" if "resumes" in arguments else ""
        print(f"forge-gym: interrupted{hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
    return 0


def _option(where: argparse._ActionsContainer, flag: str, value: Any, help: str, **settings: Any) -> None:
    """Add an option; ``value`` is its default, or its type where it has none, or False for a switch."""
    kind = {"type": value} if isinstance(value, type) else {"type": type(value), "default": value}
    if value is False:
        kind = {"action": "store_true"}
    where.add_argument(flag, help=help, **kind | settings)


def _subcommand(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int | None], help: str, **defaults: Any
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help)
    parser.set_defaults(run=run, **defaults)
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forge-gym", description="NP-hard optimisation problems as text-action environments."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = partial(_subcommand, commands)
    one_of_splits, all_by_default = f"one of {', '.join(SPLITS)}", f"{_ENV}; all registered ones by default"

    listing = command("list", _list, "the problems and their parameters")

    show = command("show", _show, "one instance: prompt, anchors, a reply's verdict, a picture")
    _option(show, "env", str, _ENV, metavar="ENV")
    _option(show, "--index", 0, "instance within the seed")
    _option(show, "--file", Path, "an instance in its library's format (TSPLIB, DIMACS, ...) or JSON")
    _option(show, "--reply", str, "a reply to judge")
    _option(show, "--solution", False, "print the certified solution too")
    drawing = "draw the instance, with the --reply or the --solution; SVG by that suffix"
    _option(show, "--png", str, drawing, metavar="FILE")

    playing = command("play", _play, "answer in the agent's place, in the terminal")
    _option(playing, "env", str, _ENV, metavar="ENV")
    _option(playing, "--index", 0, "first instance within the seed")
    _option(playing, "--turns", 5, "answers per instance, the best counts")
    _option(playing, "--reward", "tiered", "scheme that pays the answers")
    _option(playing, "--window", False, "show a picture in a window too")

    serving = command("serve", _serve, "a local web page: read and answer instances, browse runs")
    _option(serving, "--host", "127.0.0.1", "address to listen on; only this machine by default")
    _option(serving, "--port", 8642, "port; 0 takes a free one")
    _option(serving, "--runs", Path("runs"), "folder with the transcripts of eval")

    evaluate = command("eval", _eval, "agents by environments: a table with bootstrap intervals")
    controls = "trivial, random, greedy, local-search, exact"
    models = "api:MODEL (OpenAI-compatible server), vllm:MODEL, hf:MODEL (folder or hub name) or sb3:FILE"
    _option(evaluate, "--agent", str, f"{controls}, {models}", nargs="+", default=[])
    _option(evaluate, "--model", str, "short for --agent api:MODEL")
    asked = evaluate.add_mutually_exclusive_group(required=True)
    _option(asked, "--env", str, _ENV, nargs="+", metavar="ENV")
    _option(asked, "--suite", str, f"a suite: {BENCHMARK}, or a file")
    _option(evaluate, "--episodes", 100, "graded instances per environment")
    _option(evaluate, "--limit", int, "only the first so many rows of a suite's every problem and level")
    _option(evaluate, "--samples", 1, "answers per instance, for best@k and pass@k")
    by = "groups of a suite to print: overall, problem, family, level or all"
    _option(evaluate, "--by", "overall", by)
    _option(evaluate, "--turns", 1, "replies per episode, the best counts")
    _option(evaluate, "--reward", "tiered", "scheme that picks the best of several turns")
    default = "for a model on a suite runs/<agent>-<suite>.jsonl by default"
    out = f"transcript; a run that stopped goes on from it; {default}"
    _option(evaluate, "--out", Path, out, metavar="RUN.jsonl")
    server = evaluate.add_argument_group("models behind a server")
    _option(server, "--base-url", str, "of an OpenAI-compatible server, ending in /v1", metavar="URL")
    _option(server, "--api-key-env", str, "environment variable that holds the key", metavar="NAME")
    _option(server, "--concurrency", int, "calls under way at once")
    _option(server, "--rpm", float, "most calls a minute", dest="requests_per_minute")
    _option(server, "--tpm", float, "most tokens a minute", dest="tokens_per_minute")
    _option(server, "--timeout", float, "for one attempt", metavar="SECONDS")
    _option(server, "--attempts", int, "tries before an episode is left unanswered")
    _option(server, "--price-in", float, "a million prompt tokens", dest="prompt_price", metavar="PRICE")
    priced = "a million completion tokens"
    _option(server, "--price-out", float, priced, dest="completion_price", metavar="PRICE")
    _option(server, "--extra", str, "more fields of a request", metavar="JSON")
    _option(server, "--max-tokens-field", str, "max_tokens, or max_completion_tokens", metavar="NAME")
    best_of = "the best of N samples as one answer, hopeless ones broken off"
    _option(server, "--best-of", int, best_of, metavar="N")
    thinking = "with --best-of: replies start with thoughts that </think> ends"
    _option(server, "--thinking", False, thinking)
    _option(evaluate, "--sampling-seed", int, "of the model's draws", metavar="SEED")
    _option(evaluate, "--system", str, "system message of a language model", metavar="TEXT")
    _option(evaluate, "--few-shot", int, "solved examples before the question", dest="shots", metavar="K")

    again = command("rescore", run_rescore, "judge the replies of a transcript by the verifier of today")
    _option(again, "transcript", Path, "what eval wrote", metavar="RUN.jsonl")
    _option(again, "--out", Path, "write the run with the new verdicts", metavar="NEW.jsonl")

    reporting = command("report", _report, "one HTML page on one or more runs, for any browser, offline")
    _option(reporting, "transcripts", Path, "what eval wrote", nargs="+", metavar="RUN.jsonl")
    _option(reporting, "--out", Path("report.html"), "file to write")
    _option(reporting, "--gallery", 10, "answers drawn of each problem", metavar="N")
    for subparser in (again, reporting):
        moved = "where the suite is, if it did not ship with the package and was moved"
        _option(subparser, "--suite", str, moved)
    _option(reporting, "--open", False, "show the page in the browser")

    checking = command("check", _check, "the gate: attacks, exhaustive agreement, calibration of problems")
    _option(checking, "env", str, all_by_default, nargs="*", metavar="ENV")
    _option(checking, "--definition", str, "the problem's second verifier", metavar="MODULE:FUNCTION")
    _option(checking, "--replies", int, "mutated replies to judge")
    _option(checking, "--instances", int, "graded instances to calibrate on")
    _option(checking, "--mutants", False, "weaken the verifier in turn: print the kill table")

    pilot = command("preflight", _preflight, "groups without learning signal, before any GPU hour is spent")
    models = "hf:MODEL (folder or hub name), vllm:MODEL, api:MODEL (at OPENAI_BASE_URL) or sb3:FILE"
    _option(pilot, "--agent", str, f"a control, {models}", required=True)
    _option(pilot, "--env", str, all_by_default, nargs="*", default=[], metavar="ENV")
    _option(pilot, "--levels", int, "difficulties to try", nargs="+", default=[0, 2, 4])
    _option(pilot, "--group", 8, "rollouts per instance, the trainer's num_generations")
    _option(pilot, "--instances", 16, "groups per problem and level")
    _option(pilot, "--reward", "tiered", "the scheme that training will pay")
    _option(pilot, "--seed", 0, "stream of instances")
    _option(pilot, "--split", "train", one_of_splits)

    rewards = commands.add_parser("rewards", help="reward schemes: how far apart they are")
    scheme = partial(_subcommand, rewards.add_subparsers(required=True, metavar="ACTION"))
    distances = scheme("compare", _compare, "STARC distances between schemes over a bank of answers")
    _option(distances, "--env", str, all_by_default, nargs="*", default=[], metavar="ENV")
    _option(distances, "--schemes", str, "names of schemes; all by default", nargs="+")
    _option(distances, "--instances", 20, "instances per problem")
    _option(distances, "--seed", 0, "of the bank")
    _option(distances, "--png", str, "draw a heat map", metavar="FILE")

    purpose = "a data set with certified answers; goes on where it was stopped"
    generating = command("generate", _generate, purpose, resumes=True)
    _option(generating, "--env", str, all_by_default, nargs="*", default=[], metavar="ENV")
    _option(generating, "--levels", int, "difficulties, in turn", nargs="+")
    for split in SPLITS:
        _option(generating, f"--{split}", 0, f"rows of the {split} split", metavar="ROWS")
    _option(generating, "--out", Path, "folder to write", required=True)
    _option(generating, "--format", FORMATS[0], f"one of {', '.join(FORMATS)}")
    _option(generating, "--layout", "plain", f"whose rows: one of {', '.join(LAYOUTS)}")
    _option(generating, "--seed", 0, "of the streams of instances")
    _option(generating, "--workers", int, "processes; all processors by default")
    _option(generating, "--engine", ENGINES[0], f"one of {', '.join(ENGINES)}")
    _option(generating, "--address", str, "an existing Ray cluster, such as auto")

    suite = commands.add_parser("suite", help="frozen, certified instances: build, verify, import")
    action = partial(_subcommand, suite.add_subparsers(required=True, metavar="ACTION"))
    drawn = "draw and certify the benchmark; goes on where it was stopped"
    build = action("build", _suite_build, drawn, resumes=True)
    _option(build, "--out", Path(f"{BENCHMARK}.jsonl.gz"), "file to write")
    _option(build, "--per-level", 10, "instances per problem and level")
    verify = action("verify", _suite_verify, "check every hash, witness and anchor, and solve a sample again")
    _option(verify, "suite", BENCHMARK, "name or file", nargs="?")
    _option(verify, "--sample", 50, "rows to solve again from nothing")
    importing = action("import", _suite_import, "read published instances into a suite, certified anew")
    _option(importing, "file", Path, "JSON files in the published format", nargs="+")
    _option(importing, "--out", Path, "file to write", required=True)

    for subparser, temperature in ((evaluate, 0.0), (pilot, 1.0)):
        _option(subparser, "--batch-size", 32, "prompts per batch of a language model")
        _option(subparser, "--max-new-tokens", 1024, "longest reply of a language model")
        decoding = "0 decodes greedily; `server` leaves it to the server"
        _option(subparser, "--temperature", temperature, decoding, type=_temperature)
    for subparser in (show, playing, evaluate):
        _option(subparser, "--seed", 0, "stream of instances")
        _option(subparser, "--split", "test", one_of_splits)
        _option(subparser, "--level", int, "difficulty 0, 1, 2, ...")
    for subparser in (show, playing, evaluate, checking, pilot, distances, generating):
        setting = "a parameter of the problem, such as --set n=12 --set distribution=clustered"
        keywords = {"dest": "parameters", "metavar": "NAME=VALUE", "action": "append", "default": []}
        _option(subparser, "--set", str, setting, **keywords)
    for subparser in (listing, show, evaluate, again, checking, pilot, distances):
        _option(subparser, "--json", False, "print JSON for programs")
    return parser


def _temperature(text: str) -> float | None:
    return None if text == "server" else float(text)


def _problem(name: str, arguments: argparse.Namespace) -> Problem[Any, Any]:
    """Build the problem called ``name``, ``Forge/name-v0`` or ``module:Class``, with the command line's parameters."""
    parameters = {}
    for pair in arguments.parameters:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set must be NAME=VALUE, got {pair!r}")
        try:
            parameters[key] = lists_to_tuples(json.loads(value))
        except ValueError:
            parameters[key] = value
    if "/" in name:
        name = name.removeprefix("forge_gym:").removeprefix("Forge/").rpartition("-v")[0]
    elif ":" in name:
        name = _register(name)
    return make_problem(name, level=getattr(arguments, "level", None), **parameters)


def _register(entry_point: str) -> str:
    """Register the problem at ``module:Class``, unless its module has done so; return its name."""
    module, _, name = entry_point.partition(":")
    try:
        cls = getattr(import_module(module), name)
        if not (isinstance(cls, type) and issubclass(cls, Problem)):
            raise TypeError("it is no subclass of Problem")
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"ENV must be a problem, an id or module:Class, got {entry_point!r}: {error}"
        ) from None
    if cls.name not in problems():
        register_problem(entry_point)
    return cls.name


def _problems(arguments: argparse.Namespace) -> list[Problem[Any, Any]]:
    return [_problem(name, arguments) for name in arguments.env or problems()]


def _given(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the options of these names that have a value."""
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def _list(arguments: argparse.Namespace) -> None:
    rows: list[dict[str, Any]] = [
        {
            "problem": name,
            "id": f"Forge/{name}-v{cls.version}",
            "family": cls.family,
            "sense": cls.sense,
            "solutions": getattr(cls, "solutions", ""),
            "parameters": {field.name: field.default for field in fields(cls)},
        }
        for name, cls in ((name, problem_class(name)) for name in problems())
    ]
    if arguments.json:
        print_json(rows)
        return
    from rich.table import Table

    columns = ("id", "family", "sense", "solutions")
    table = Table(*columns, "parameters")
    for row in rows:
        parameters = ", ".join(f"{key}={value}" for key, value in row["parameters"].items())
        table.add_row(*(row[column] for column in columns), parameters)
    console().print(table)


def _show(arguments: argparse.Namespace) -> None:
    problem = _problem(arguments.env, arguments)
    if arguments.png and problem.picture is None:
        raise ValueError(f"--png needs a problem with a picture, got {problem.name}, which has none")
    if arguments.file:
        from ..data.formats import read_instance

        instance = read_instance(problem.name, arguments.file)
    else:
        instance = problem.instance(arguments.seed, arguments.index, arguments.split)
    prompt, reference = problem.prompt(instance), problem.reference(instance)
    verdict = None if arguments.reply is None else problem.verify(instance, arguments.reply)
    if arguments.png:
        drawn = reference.solution if arguments.solution else None
        if verdict is not None and verdict.status != "malformed":
            drawn = verdict.solution
        format = "svg" if arguments.png.lower().endswith(".svg") else "png"
        image: bytes = problem.picture.image(problem, instance, drawn, format=format, dpi=150)
        Path(arguments.png).write_bytes(image)
    if arguments.json:
        place = (arguments.seed, arguments.index, arguments.split)
        shown: dict[str, Any] = {
            "spec": None if arguments.file else problem.spec(*place),
            "instance": json.loads(problem.to_json(instance)),
            "hash": problem.digest(instance),
            "prompt": prompt,
            **{name: str(getattr(reference, name)) for name in ("trivial", "greedy", "value", "bound")},
            **{name: getattr(reference, name) for name in ("proven", "solver", "work")},
            "graded": problem.is_graded(instance),
        }
        if arguments.solution:
            shown["solution"] = problem.format(instance, reference.solution)
        if verdict is not None:
            names = ("status", "reason", "quality", "skill", "ratio", "optimal", "objective")
            judged = verdict_to_dict(verdict)
            shown["verdict"] = {name: judged[name] for name in names}
        print_json(shown)
        return
    print(prompt)
    proof = "proven optimum" if reference.proven else f"best known (bound {reference.bound})"
    best = f"{proof} {reference.value} ({reference.solver})"
    print(f"\ntrivial {reference.trivial}, greedy {reference.greedy}, {best}")
    if arguments.solution:
        print(problem.format(instance, reference.solution))
    if verdict is not None:
        print(f"verdict: {verdict.status}" + (f": {verdict.reason}" if verdict.reason else ""))
        if verdict.feasible:
            print(f"objective {verdict.objective}, quality {verdict.quality:.3f}, skill {verdict.skill:.3f}")


def _play(arguments: argparse.Namespace) -> None:
    from .play import play

    options = _given(arguments, "seed", "index", "split", "turns", "reward", "window")
    play(_problem(arguments.env, arguments), **options)


def _serve(arguments: argparse.Namespace) -> None:
    try:
        from .explorer.app import serve
    except ImportError as error:
        raise ValueError(f"serve needs {error.name}: pip install '.[serve]' in a clone") from None
    serve(arguments.host, arguments.port, arguments.runs)


def _eval(arguments: argparse.Namespace) -> int:
    return run_eval(arguments, [_problem(name, arguments) for name in arguments.env or ()])


def _report(arguments: argparse.Namespace) -> None:
    from importlib.util import find_spec

    from ..evaluation.html_report import write_report
    from ..evaluation.runs import read_run

    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise ValueError(f"report needs {missing[0]}: pip install '.[viz]' in a clone")
    runs = [read_run(path, arguments.suite) for path in arguments.transcripts]
    with progress_bar("report", None) as progress:
        try:
            write_report(runs, arguments.out, gallery=arguments.gallery, progress=progress)
        except OSError as error:
            detail = f"got {str(arguments.out)!r}: {error}"
            raise ValueError(f"--out must be a file that can be written, {detail}") from None
    print(f"wrote {arguments.out}: {arguments.out.stat().st_size:,} bytes")
    if arguments.open:
        import webbrowser

        webbrowser.open(arguments.out.resolve().as_uri())


def _check(arguments: argparse.Namespace) -> int:
    from ..verification.gate import check, find_definition
    from ..verification.mutation import mutants, table

    options = _given(arguments, "replies", "instances")
    gates, kills = [], {}
    for problem in _problems(arguments):
        definition = find_definition(problem, arguments.definition)
        with progress_bar(f"checking {problem.name}", 4) as advance:
            gate = check(
                problem,
                definition,
                **options,
                progress=lambda name, advance=advance: advance(1),  # type: ignore[misc]
            )
        gates.append(gate)
        if arguments.mutants and definition is not None and gate.passed:
            with progress_bar(f"mutants of {problem.name}", None) as advance:
                kills[problem.name] = mutants(problem, definition, progress=advance)
        if arguments.json:
            continue
        console().print(gate.table())
        for name, faults in ((part.name, part.faults) for part in gate.checks):
            for fault in faults[:_FAULTS]:
                console().print(f"{name}: {fault}", markup=False, highlight=False)
            if len(faults) > _FAULTS:
                console().print(f"{name}: and {len(faults) - _FAULTS} more")
        if problem.name in kills:
            console().print(table(problem.name, kills[problem.name]))
    if arguments.json:
        by_problem = {name: [asdict(mutant) for mutant in survivors] for name, survivors in kills.items()}
        print_json({"gates": [gate.to_dict() for gate in gates], "mutants": by_problem})
    return int(not all(gate.passed for gate in gates))


def _preflight(arguments: argparse.Namespace) -> None:
    from ..training.preflight import preflight

    agent = agent_of(arguments.agent, arguments)
    chosen = _problems(arguments)
    options = _given(arguments, "group", "instances", "seed", "split", "reward")
    total = len(chosen) * len(set(arguments.levels)) * arguments.instances * arguments.group
    with progress_bar(f"preflight of {arguments.agent}", total) as advance:
        result = preflight(agent, chosen, arguments.levels, **options, progress=advance)
    _print(result, arguments)


def _compare(arguments: argparse.Namespace) -> None:
    from ..core.rewards import REWARDS
    from ..verification.starc import compare

    chosen, schemes = _problems(arguments), arguments.schemes or tuple(REWARDS)
    options = _given(arguments, "instances", "seed")
    with progress_bar("comparing rewards", len(chosen) * arguments.instances) as advance:
        comparison = compare(chosen, schemes, **options, progress=advance)
    if arguments.png:
        comparison.draw(arguments.png)
    _print(comparison, arguments)


def _print(result: Preflight | Comparison, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_json(result.to_dict())
    else:
        console().print(result.table())


def _generate(arguments: argparse.Namespace) -> None:
    rows = {split: getattr(arguments, split) for split in SPLITS}
    done = "is there already" if whole(arguments.out) else "is written"
    options = _given(arguments, "levels", "seed", "layout", "format", "workers", "engine", "address")
    with progress_bar("generate", sum(rows.values())) as progress:
        folder = generate(_problems(arguments), arguments.out, rows, **options, progress=progress)
    print(f"{folder} {done}: {sum(rows.values())} rows, described in README.md")


def _suite_build(arguments: argparse.Namespace) -> None:
    check_int("--per-level", arguments.per_level, 1)
    total = len(PROBLEMS) * len(LEVELS) * arguments.per_level
    with progress_bar("certifying", total) as advance:
        digest = build(arguments.out, _suite_name(arguments.out), arguments.per_level, advance)
    print(f"wrote {arguments.out}: {total} instances, content {digest}")


def _suite_verify(arguments: argparse.Namespace) -> int:
    check_int("--sample", arguments.sample, 0)
    path = locate(arguments.suite)
    with progress_bar("verifying", None) as advance:
        faults = verify(path, arguments.sample, advance)
    for fault in faults[:50]:
        print(fault, file=sys.stderr)
    outcome = f"{len(faults)} faults" if faults else "every hash, witness, anchor and sampled proof holds"
    print(f"{path}: {outcome}")
    return int(bool(faults))


def _suite_import(arguments: argparse.Namespace) -> None:
    from ..data.published import import_rows

    with progress_bar("certifying", None) as advance:
        rows = [row for file in arguments.file for row in import_rows(file, advance)]
    proven = sum(row.certificate.proven for row in rows)
    digest = write(arguments.out, _suite_name(arguments.out), [row.to_json() for row in rows])
    print(f"wrote {arguments.out}: {len(rows)} instances, {proven} proven, content {digest}")


def _suite_name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".jsonl")
