"""The command line: ``forge-gym list``, ``show``, ``play``, ``eval``, ``suite``, ...; also ``python -m forge_gym``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from .._version import __version__
from ..core.checks import check_int
from ..core.instance import lists_to_tuples
from ..core.problem import Problem
from ..core.registry import problem as make_problem
from ..core.registry import problem_class, problems
from ..core.seeding import SPLITS
from ..core.store import StoreError
from ..data.generate import ENGINES, FORMATS, LAYOUTS, generate, whole
from ..data.suite import BENCHMARK, LEVELS, PROBLEMS, build, locate, verify, write
from ..registration import register_problem
from .terminal import console, print_json, progress_bar

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
    except (ValueError, StoreError) as error:
        print(f"forge-gym: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        hint = "; the same command goes on where it stopped" if "resumes" in arguments else ""
        print(f"forge-gym: interrupted{hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="forge-gym", description="NP-hard optimisation problems as text-action environments."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="the problems and their parameters")
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="one instance: prompt, anchors, a reply's verdict, a picture")
    show.add_argument("env", metavar="ENV", help=_ENV)
    show.add_argument("--index", type=int, default=0, help="instance within the seed")
    show.add_argument(
        "--file", type=Path, help="an instance in its library's format (TSPLIB, DIMACS, ...) or JSON"
    )
    show.add_argument("--reply", help="a reply to judge")
    show.add_argument("--solution", action="store_true", help="print the certified solution too")
    show.add_argument(
        "--png",
        metavar="FILE",
        help="draw the instance, with the --reply or the --solution; SVG by that suffix",
    )
    show.set_defaults(run=_show)

    playing = commands.add_parser("play", help="answer in the agent's place, in the terminal")
    playing.add_argument("env", metavar="ENV", help=_ENV)
    playing.add_argument("--index", type=int, default=0, help="first instance within the seed")
    playing.add_argument("--turns", type=int, default=5, help="answers per instance, the best counts")
    playing.add_argument("--reward", default="tiered", help="scheme that pays the answers")
    playing.add_argument("--window", action="store_true", help="show a picture in a window too")
    playing.set_defaults(run=_play)

    serving = commands.add_parser("serve", help="a local web page: read and answer instances, browse runs")
    serving.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; only this machine by default"
    )
    serving.add_argument("--port", type=int, default=8642, help="port; 0 takes a free one")
    serving.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder with the transcripts of eval"
    )
    serving.set_defaults(run=_serve)

    evaluate = commands.add_parser("eval", help="agents by environments: a table with bootstrap intervals")
    evaluate.add_argument(
        "--agent",
        nargs="+",
        default=[],
        help="trivial, random, greedy, local-search, exact, api:MODEL (OpenAI-compatible server), vllm:MODEL, "
        "hf:MODEL (folder or hub name) or sb3:FILE",
    )
    evaluate.add_argument("--model", help="short for --agent api:MODEL")
    asked = evaluate.add_mutually_exclusive_group(required=True)
    asked.add_argument("--env", nargs="+", metavar="ENV", help=_ENV)
    asked.add_argument("--suite", help=f"a suite: {BENCHMARK}, or a file")
    evaluate.add_argument("--episodes", type=int, default=100, help="graded instances per environment")
    evaluate.add_argument(
        "--limit", type=int, help="only the first so many rows of a suite's every problem and level"
    )
    evaluate.add_argument(
        "--samples", type=int, default=1, help="answers per instance, for best@k and pass@k"
    )
    evaluate.add_argument(
        "--by", default="overall", help="groups of a suite to print: overall, problem, family, level or all"
    )
    evaluate.add_argument("--turns", type=int, default=1, help="replies per episode, the best counts")
    evaluate.add_argument("--reward", default="tiered", help="scheme that picks the best of several turns")
    evaluate.add_argument(
        "--out",
        type=Path,
        metavar="RUN.jsonl",
        help="transcript; a run that stopped goes on from it; for a model on a suite "
        "runs/<agent>-<suite>.jsonl by default",
    )
    evaluate.set_defaults(run=_eval)
    server = evaluate.add_argument_group("models behind a server")
    server.add_argument("--base-url", metavar="URL", help="of an OpenAI-compatible server, ending in /v1")
    server.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the key")
    server.add_argument("--concurrency", type=int, help="calls under way at once")
    server.add_argument("--rpm", type=float, dest="requests_per_minute", help="most calls a minute")
    server.add_argument("--tpm", type=float, dest="tokens_per_minute", help="most tokens a minute")
    server.add_argument("--timeout", type=float, metavar="SECONDS", help="for one attempt")
    server.add_argument("--attempts", type=int, help="tries before an episode is left unanswered")
    server.add_argument(
        "--price-in", type=float, dest="prompt_price", metavar="PRICE", help="a million prompt tokens"
    )
    server.add_argument(
        "--price-out",
        type=float,
        dest="completion_price",
        metavar="PRICE",
        help="a million completion tokens",
    )
    server.add_argument("--extra", metavar="JSON", help="more fields of a request")
    server.add_argument("--max-tokens-field", metavar="NAME", help="max_tokens, or max_completion_tokens")
    server.add_argument(
        "--best-of",
        type=int,
        metavar="N",
        help="the best of N samples as one answer, hopeless ones broken off",
    )
    server.add_argument(
        "--thinking",
        action="store_true",
        help="with --best-of: replies start with thoughts that </think> ends",
    )
    evaluate.add_argument("--sampling-seed", type=int, metavar="SEED", help="of the model's draws")
    evaluate.add_argument("--system", metavar="TEXT", help="system message of a language model")
    evaluate.add_argument(
        "--few-shot", type=int, dest="shots", metavar="K", help="solved examples before the question"
    )

    again = commands.add_parser("rescore", help="judge the replies of a transcript by the verifier of today")
    again.add_argument("transcript", type=Path, metavar="RUN.jsonl", help="what eval wrote")
    again.add_argument("--out", type=Path, metavar="NEW.jsonl", help="write the run with the new verdicts")
    again.add_argument(
        "--suite", help="where the suite is, if it did not ship with the package and was moved"
    )
    again.set_defaults(run=_rescore)

    reporting = commands.add_parser(
        "report", help="one HTML page on one or more runs, for any browser, offline"
    )
    reporting.add_argument("transcripts", nargs="+", type=Path, metavar="RUN.jsonl", help="what eval wrote")
    reporting.add_argument("--out", type=Path, default=Path("report.html"), help="file to write")
    reporting.add_argument(
        "--gallery", type=int, default=10, metavar="N", help="answers drawn of each problem"
    )
    reporting.add_argument(
        "--suite", help="where the suite is, if it did not ship with the package and was moved"
    )
    reporting.add_argument("--open", action="store_true", help="show the page in the browser")
    reporting.set_defaults(run=_report)

    checking = commands.add_parser(
        "check", help="the gate: attacks, exhaustive agreement, calibration of problems"
    )
    checking.add_argument("env", nargs="*", metavar="ENV", help=f"{_ENV}; all registered ones by default")
    checking.add_argument("--definition", metavar="MODULE:FUNCTION", help="the problem's second verifier")
    checking.add_argument("--replies", type=int, help="mutated replies to judge")
    checking.add_argument("--instances", type=int, help="graded instances to calibrate on")
    checking.add_argument(
        "--mutants", action="store_true", help="weaken the verifier in turn: print the kill table"
    )
    checking.set_defaults(run=_check, level=None)

    pilot = commands.add_parser(
        "preflight", help="groups without learning signal, before any GPU hour is spent"
    )
    pilot.add_argument(
        "--agent",
        required=True,
        help="a control, hf:MODEL (folder or hub name), vllm:MODEL, api:MODEL (at OPENAI_BASE_URL) or sb3:FILE",
    )
    pilot.add_argument(
        "--env", nargs="*", default=[], metavar="ENV", help=f"{_ENV}; all registered ones by default"
    )
    pilot.add_argument("--levels", nargs="+", type=int, default=[0, 2, 4], help="difficulties to try")
    pilot.add_argument(
        "--group", type=int, default=8, help="rollouts per instance, the trainer's num_generations"
    )
    pilot.add_argument("--instances", type=int, default=16, help="groups per problem and level")
    pilot.add_argument("--reward", default="tiered", help="the scheme that training will pay")
    pilot.add_argument("--seed", type=int, default=0, help="stream of instances")
    pilot.add_argument("--split", default="train", help=f"one of {', '.join(SPLITS)}")
    pilot.set_defaults(run=_preflight, level=None)

    rewards = commands.add_parser("rewards", help="reward schemes: how far apart they are")
    schemes = rewards.add_subparsers(required=True, metavar="ACTION")
    distances = schemes.add_parser("compare", help="STARC distances between schemes over a bank of answers")
    distances.add_argument(
        "--env", nargs="*", default=[], metavar="ENV", help=f"{_ENV}; all registered ones by default"
    )
    distances.add_argument("--schemes", nargs="+", default=None, help="names of schemes; all by default")
    distances.add_argument("--instances", type=int, default=20, help="instances per problem")
    distances.add_argument("--seed", type=int, default=0, help="of the bank")
    distances.add_argument("--png", metavar="FILE", help="draw a heat map")
    distances.set_defaults(run=_compare, level=None)

    generating = commands.add_parser(
        "generate", help="a data set with certified answers; goes on where it was stopped"
    )
    generating.add_argument(
        "--env", nargs="*", default=[], metavar="ENV", help=f"{_ENV}; all registered ones by default"
    )
    generating.add_argument("--levels", nargs="+", type=int, help="difficulties, in turn")
    for split in SPLITS:
        generating.add_argument(
            f"--{split}", type=int, default=0, metavar="ROWS", help=f"rows of the {split} split"
        )
    generating.add_argument("--out", type=Path, required=True, help="folder to write")
    generating.add_argument("--format", default=FORMATS[0], help=f"one of {', '.join(FORMATS)}")
    generating.add_argument("--layout", default="plain", help=f"whose rows: one of {', '.join(LAYOUTS)}")
    generating.add_argument("--seed", type=int, default=0, help="of the streams of instances")
    generating.add_argument("--workers", type=int, help="processes; all processors by default")
    generating.add_argument("--engine", default=ENGINES[0], help=f"one of {', '.join(ENGINES)}")
    generating.add_argument("--address", help="an existing Ray cluster, such as auto")
    generating.set_defaults(run=_generate, level=None, resumes=True)

    suite = commands.add_parser("suite", help="frozen, certified instances: build, verify, import")
    actions = suite.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="draw and certify the benchmark; goes on where it was stopped")
    build.add_argument("--out", type=Path, default=Path(f"{BENCHMARK}.jsonl.gz"), help="file to write")
    build.add_argument("--per-level", type=int, default=10, help="instances per problem and level")
    build.set_defaults(run=_suite_build, resumes=True)
    verify = actions.add_parser(
        "verify", help="check every hash, witness and anchor, and solve a sample again"
    )
    verify.add_argument("suite", nargs="?", default=BENCHMARK, help="name or file")
    verify.add_argument("--sample", type=int, default=50, help="rows to solve again from nothing")
    verify.set_defaults(run=_suite_verify)
    importing = actions.add_parser("import", help="read published instances into a suite, certified anew")
    importing.add_argument("file", nargs="+", type=Path, help="JSON files in the published format")
    importing.add_argument("--out", type=Path, required=True, help="file to write")
    importing.set_defaults(run=_suite_import)

    for command, temperature in ((evaluate, 0.0), (pilot, 1.0)):
        command.add_argument(
            "--batch-size", type=int, default=32, help="prompts per batch of a language model"
        )
        command.add_argument(
            "--max-new-tokens", type=int, default=1024, help="longest reply of a language model"
        )
        command.add_argument(
            "--temperature",
            type=_temperature,
            default=temperature,
            help="0 decodes greedily; `server` leaves it to the server",
        )
    for command in (show, playing, evaluate):
        command.add_argument("--seed", type=int, default=0, help="stream of instances")
        command.add_argument("--split", default="test", help=f"one of {', '.join(SPLITS)}")
        command.add_argument("--level", type=int, help="difficulty 0, 1, 2, ...")
    for command in (show, playing, evaluate, checking, pilot, distances, generating):
        command.add_argument(
            "--set",
            dest="parameters",
            metavar="NAME=VALUE",
            action="append",
            default=[],
            help="a parameter of the problem, such as --set n=12 --set distribution=clustered",
        )
    for command in (listing, show, evaluate, again, checking, pilot, distances):
        command.add_argument("--json", action="store_true", help="print JSON for programs")
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
    if ":" in name and "/" not in name:
        plain = _register(name)
    else:
        plain = (
            name.removeprefix("forge_gym:").removeprefix("Forge/").rpartition("-v")[0]
            if "/" in name
            else name
        )
    return make_problem(plain, level=arguments.level, **parameters)


def _register(entry_point: str) -> str:
    """Register the problem at ``module:Class``, unless its module has done so; return its name."""
    module, _, name = entry_point.partition(":")
    try:
        found = getattr(import_module(module), name)
        if not (isinstance(found, type) and issubclass(found, Problem)):
            raise TypeError("it is no subclass of Problem")
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"ENV must be a problem, an id or module:Class, got {entry_point!r}: {error}"
        ) from None
    if found.name not in problems():
        register_problem(entry_point)
    return found.name


def _problems(arguments: argparse.Namespace) -> list[Problem[Any, Any]]:
    return [_problem(name, arguments) for name in arguments.env or problems()]


def _list(arguments: argparse.Namespace) -> None:
    from dataclasses import fields

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

    table = Table("id", "family", "sense", "solutions", "parameters")
    for row in rows:
        parameters = ", ".join(f"{key}={value}" for key, value in row["parameters"].items())
        table.add_row(
            str(row["id"]), str(row["family"]), str(row["sense"]), str(row["solutions"]), parameters
        )
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
        shown: dict[str, Any] = {
            "spec": None
            if arguments.file
            else problem.spec(arguments.seed, arguments.index, arguments.split),
            "instance": json.loads(problem.to_json(instance)),
            "hash": problem.digest(instance),
            "prompt": prompt,
            "trivial": str(reference.trivial),
            "greedy": str(reference.greedy),
            "value": str(reference.value),
            "bound": str(reference.bound),
            "proven": reference.proven,
            "solver": reference.solver,
            "work": reference.work,
            "graded": problem.is_graded(instance),
        }
        if arguments.solution:
            shown["solution"] = problem.format(instance, reference.solution)
        if verdict is not None:
            shown["verdict"] = {
                name: getattr(verdict, name)
                for name in ("status", "reason", "quality", "skill", "ratio", "optimal")
            } | {"objective": None if verdict.objective is None else str(verdict.objective)}
        print_json(shown)
        return
    print(prompt)
    proof = "proven optimum" if reference.proven else f"best known (bound {reference.bound})"
    print(
        f"\ntrivial {reference.trivial}, greedy {reference.greedy}, {proof} {reference.value} ({reference.solver})"
    )
    if arguments.solution:
        print(problem.format(instance, reference.solution))
    if verdict is not None:
        print(f"verdict: {verdict.status}" + (f": {verdict.reason}" if verdict.reason else ""))
        if verdict.feasible:
            print(f"objective {verdict.objective}, quality {verdict.quality:.3f}, skill {verdict.skill:.3f}")


def _play(arguments: argparse.Namespace) -> None:
    from .play import play

    play(
        _problem(arguments.env, arguments),
        seed=arguments.seed,
        index=arguments.index,
        split=arguments.split,
        turns=arguments.turns,
        reward=arguments.reward,
        window=arguments.window,
    )


def _serve(arguments: argparse.Namespace) -> None:
    try:
        from .explorer.app import serve
    except ImportError as error:
        raise ValueError(f"serve needs {error.name}: pip install '.[serve]' in a clone") from None
    serve(arguments.host, arguments.port, arguments.runs)


def _eval(arguments: argparse.Namespace) -> int:
    from .eval_command import run_eval

    return run_eval(arguments, [_problem(name, arguments) for name in arguments.env or ()])


def _rescore(arguments: argparse.Namespace) -> int:
    from .eval_command import run_rescore

    return run_rescore(arguments)


def _report(arguments: argparse.Namespace) -> None:
    from importlib.util import find_spec

    from .html_report import write_report
    from .runs import read_run

    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise ValueError(f"report needs {missing[0]}: pip install '.[viz]' in a clone")
    runs = [read_run(path, arguments.suite) for path in arguments.transcripts]
    with progress_bar("report", None) as progress:
        try:
            write_report(runs, arguments.out, gallery=arguments.gallery, progress=progress)
        except OSError as error:
            raise ValueError(
                f"--out must be a file that can be written, got {str(arguments.out)!r}: {error}"
            ) from None
    print(f"wrote {arguments.out}: {arguments.out.stat().st_size:,} bytes")
    if arguments.open:
        import webbrowser

        webbrowser.open(arguments.out.resolve().as_uri())


def _check(arguments: argparse.Namespace) -> int:
    from .gate import check, find_definition
    from .mutation import mutants, table

    named = {"replies": arguments.replies, "instances": arguments.instances}
    given = {name: value for name, value in named.items() if value is not None}
    gates, kills = [], {}
    for problem in _problems(arguments):
        definition = find_definition(problem, arguments.definition)
        with progress_bar(f"checking {problem.name}", 4) as advance:
            gate = check(
                problem,
                definition,
                **given,
                progress=lambda name, advance=advance: advance(1),  # type: ignore[misc]
            )
        gates.append(gate)
        if arguments.mutants and definition is not None and gate.passed:
            with progress_bar(f"mutants of {problem.name}", None) as advance:
                kills[problem.name] = mutants(problem, definition, progress=advance)
        if not arguments.json:
            console().print(gate.table())
            for check_ in gate.checks:
                for fault in check_.faults[:_FAULTS]:
                    console().print(f"{check_.name}: {fault}", markup=False, highlight=False)
                if len(check_.faults) > _FAULTS:
                    console().print(f"{check_.name}: and {len(check_.faults) - _FAULTS} more")
            if problem.name in kills:
                console().print(table(problem.name, kills[problem.name]))
    if arguments.json:
        found = {name: [asdict(mutant) for mutant in survivors] for name, survivors in kills.items()}
        print_json({"gates": [gate.to_dict() for gate in gates], "mutants": found})
    return int(not all(gate.passed for gate in gates))


def _preflight(arguments: argparse.Namespace) -> None:
    from .eval_command import agent_of
    from .preflight import preflight

    agent = agent_of(arguments.agent, arguments)
    chosen = _problems(arguments)
    total = len(chosen) * len(set(arguments.levels)) * arguments.instances * arguments.group
    with progress_bar(f"preflight of {arguments.agent}", total) as advance:
        found = preflight(
            agent,
            chosen,
            arguments.levels,
            group=arguments.group,
            instances=arguments.instances,
            seed=arguments.seed,
            split=arguments.split,
            reward=arguments.reward,
            progress=advance,
        )
    if arguments.json:
        print_json(found.to_dict())
        return
    console().print(found.table())


def _compare(arguments: argparse.Namespace) -> None:
    from ..core.rewards import REWARDS
    from .starc import compare

    chosen = _problems(arguments)
    with progress_bar("comparing rewards", len(chosen) * arguments.instances) as advance:
        found = compare(
            chosen,
            arguments.schemes or tuple(REWARDS),
            instances=arguments.instances,
            seed=arguments.seed,
            progress=advance,
        )
    if arguments.png:
        found.draw(arguments.png)
    if arguments.json:
        print_json(found.to_dict())
    else:
        console().print(found.table())


def _generate(arguments: argparse.Namespace) -> None:
    rows = {split: getattr(arguments, split) for split in SPLITS}
    done = "is there already" if whole(arguments.out) else "is written"
    with progress_bar("generate", sum(rows.values())) as progress:
        folder = generate(
            _problems(arguments),
            arguments.out,
            rows,
            levels=arguments.levels,
            seed=arguments.seed,
            layout=arguments.layout,
            format=arguments.format,
            workers=arguments.workers,
            engine=arguments.engine,
            address=arguments.address,
            progress=progress,
        )
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
    print(
        f"{path}: {len(faults)} faults"
        if faults
        else f"{path}: every hash, witness, anchor and sampled proof holds"
    )
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
