"""A run's folder: claimed by its settings, continued from its newest whole checkpoint, reported, and remembered."""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from ..agents.causal_lm import SETTINGS, check_model, trained_on
from ..core.checks import check_choice, check_int, check_known
from ..core.problem import Problem
from ..core.registry import problem as make_problem
from ..core.registry import problem_class
from ..core.rewards import REWARDS
from ..core.seeding import SPLITS
from ..core.verdict import METRICS
from ..data.rows import found_by, replacing
from ..evaluation.report import evaluation_table
from ..evaluation.statistics import Evaluation
from ..registration import problem_name, stated_name
from .demonstrations import Demonstrations
from .scratch import SIZES

MAX_NEW_TOKENS = 1024
"""Longest reply of a model that was not trained here."""
_MAY_BE_ZERO = ("seed", "steps", "sft_steps", "max_new_tokens")
_QUIET = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS", "TRL_EXPERIMENTAL_SILENCE")


def start(settings: type[Any], main: Callable[[Any, list[Problem[Any, Any]], int], object]) -> None:
    """Run a training program.

    Its settings are read from the command line and checked before anything slow is imported. What is wrong is said in
    one line, with exit status 2. Of a run that has ended, the table is printed again.

    Parameters
    ----------
    settings
        A dataclass with the fields ``problem``, ``parameters``, ``model``, ``max_new_tokens``, ``out``, and others.
    main
        Called with the settings, the problem at each level, and the longest reply in tokens; see `pick_problem`. It
        ends with `report`.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin-wait slow each other tenfold
    os.environ.update({name: "1" for name in _QUIET if name not in os.environ})
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    try:
        import tyro

        args = tyro.cli(settings, description=sys.modules["__main__"].__doc__)
        try:
            _check(vars(args))
            levels = getattr(args, "levels", ())
            problems, limit = pick_problem(args.problem, args.parameters, args.model, levels)
            claim(args.out, args)
        except (ValueError, OSError) as error:
            print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        table = args.out / "table.txt"
        if not table.exists():
            main(args, problems, args.max_new_tokens or limit)
        print(table.read_text())
    except ModuleNotFoundError as error:
        print(f'this needs {error.name}: pip install "forge-gym[train]"', file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted; the same command continues the run", file=sys.stderr)
        raise SystemExit(130) from None


def _check(settings: dict[str, Any]) -> None:
    """Raise ``ValueError`` unless each setting can be what its name says."""
    choices: dict[str, Collection[str]] = {"reward": REWARDS, "size": SIZES, "split": SPLITS}
    for name, value in settings.items():
        if name in choices:
            check_choice(name, value, choices[name])
        elif type(value) is int:
            check_int(name, value, 2 if name == "group" else 0 if name in _MAY_BE_ZERO else 1)
    if "grpo" in settings:
        grpo_options(settings["grpo"], settings["prompts"], settings["group"])


def _json_object(option: str, text: str) -> dict[str, Any]:
    with suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    raise ValueError(f"{option} must be a JSON object, got {text!r}")


def grpo_options(text: str, prompts: int, group: int) -> dict[str, Any]:
    """Return arguments of TRL's ``GRPOConfig`` for steps of ``prompts`` instances with ``group`` rollouts each.

    Parameters
    ----------
    text
        More arguments, as a JSON object. ``per_device_train_batch_size`` may be smaller than a step, which then takes
        several batches.
    prompts, group
        Instances per step, and rollouts per instance.

    Raises
    ------
    ValueError
        If an argument is unknown, or a step would be of fewer or more rollouts.
    """
    options, rollouts = _json_object("grpo", text), prompts * group
    if options:
        from trl import GRPOConfig

        check_known("GRPOConfig", "argument", options, [field.name for field in fields(GRPOConfig)])
    batch = options.get("per_device_train_batch_size", rollouts)
    check_int("per_device_train_batch_size", batch, 1)
    batches = options.get("gradient_accumulation_steps", max(1, rollouts // batch))
    check_int("gradient_accumulation_steps", batches, 1)
    if batch * batches != rollouts:
        raise ValueError(
            f"per_device_train_batch_size must divide the {rollouts} rollouts of a step, prompts times group, "
            f"got {batches} times {batch}"
        )
    if options.get("num_generations", group) != group:
        raise ValueError(f"num_generations must be group, {group}, got {options['num_generations']!r}")
    own = {"num_generations": group, "per_device_train_batch_size": batch, "gradient_accumulation_steps": batches}
    return options | own


def pick_problem(
    name: str, parameters: str, model: str = "", levels: Sequence[int] = ()
) -> tuple[list[Problem[Any, Any]], int]:
    """Return what a model is trained on, at each of the levels, and how many tokens its replies may have.

    Parameters
    ----------
    name, parameters
        Of the problem; parameters are a JSON object.
    model
        A folder or a name on the hub. One that was trained here is asked what it knows, whatever the name; others are
        asked in prose. Without a model, for one from scratch, the instances are small and their form compact.
    levels
        Levels of difficulty, which set the size; none for the size of the parameters.

    Raises
    ------
    ValueError
        If there is no such problem, parameter or model.
    """
    cls, limit = problem_class(problem_name(name)), MAX_NEW_TOKENS
    known: dict[str, Any] = {}
    if model:
        check_model(model)
        if note := trained_on(f"hf:{model}"):
            cls, limit = problem_class(stated_name(note["problem"])), note["max_new_tokens"]
            known = note["parameters"]
    else:
        known = {"style": "compact", "answer_format": "raw", **getattr(cls, "scratch", {})}
    if levels:
        known.pop("n", None)
    problem = make_problem(cls.name, **known | _json_object("parameters", parameters))
    problems = [problem.at_level(level) for level in levels] or [problem]
    if not model:
        shown = islice(Demonstrations(problems).stream(), 100)
        limit = 1 + max(len(example.reply.split()) for example in shown)
    return problems, limit


def claim(out: Path, settings: Any) -> None:
    """Make the folder of a run with these settings, a dataclass; a ``ValueError`` if it holds anything else."""
    given = json.loads(json.dumps({**asdict(settings), "out": None}, default=str))
    file = out / "arguments.json"
    if not file.exists():
        if out.exists() and any(out.iterdir()):
            raise ValueError(f"out must be a new or an empty folder, got {out}, which holds something else")
        out.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(given, indent=1))
    before = json.loads(file.read_text())
    for key in {**before, **given}:
        if before.get(key) != given.get(key):
            raise ValueError(
                f"out must be a new folder or one of the same settings, got {out}, "
                f"where {key} is {before.get(key)!r} and not {given.get(key)!r}"
            )


def last_checkpoint(folder: Path, before: int | None = None) -> Path | None:
    """Return the newest checkpoint that was written to the end, of a step below ``before``; None without any."""
    whole = {}
    for checkpoint in folder.glob("checkpoint-*"):
        with suppress(OSError, ValueError):
            state = json.loads((checkpoint / "trainer_state.json").read_text())  # the trainer writes it last
            whole[state["global_step"]] = checkpoint
    return whole.get(max([step for step in whole if before is None or step < before], default=None))


def finish(folder: Path, problem: Problem[Any, Any], max_new_tokens: int) -> None:
    """Note beside the weights what they were trained on, as the sign that all is there, and remove the checkpoints.

    `pick_problem` reads the note, and ``forge-gym eval --agent hf:FOLDER``, which so needs no more options.

    Parameters
    ----------
    folder
        With weights and tokenizer.
    problem
        With the presentation that the model knows.
    max_new_tokens
        Longest reply.
    """
    note = {"problem": found_by(problem), "parameters": problem.parameters, "max_new_tokens": max_new_tokens}
    with replacing(folder / SETTINGS) as temporary:
        temporary.write_text(json.dumps(note))
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def finished(folder: Path) -> bool:
    """Whether `finish` was called for this folder."""
    return (folder / SETTINGS).exists()


def report(
    out: Path, model: Path | str, evaluations: Sequence[Evaluation], notes: Sequence[str] = (), **more: Any
) -> None:
    """Write a table to ``table.txt``, all numbers to ``results.json``, and the log to ``reward.png``.

    Parameters
    ----------
    out
        The folder of the run; the log is in its ``trainer_state.json``.
    model
        The folder of the trained model.
    evaluations
        Of different agents on the same rows.
    notes
        Lines below the table.
    **more
        More numbers.
    """
    from rich.console import Console

    file, problem = out / "trainer_state.json", evaluations[0].rows[0].problem
    log = json.loads(file.read_text())["log_history"] if file.exists() else []
    numbers = {
        "command": " ".join(["python", *sys.argv]),
        "arguments": json.loads((out / "arguments.json").read_text()),
        "versions": {name: version(name) for name in ("forge-gym", "torch", "transformers", "trl", "numpy")},
        "problem": problem.name,
        "parameters": problem.parameters,
        "agents": {
            each.agent: {metric: [round(value, 4) for value in each.values(metric)] for metric in METRICS}
            for each in evaluations
        },
        "notes": notes,
        "log": log,
        **more,
    }
    with replacing(out / "results.json") as temporary:
        temporary.write_text(json.dumps(numbers))
    if log:
        _draw(out / "reward.png", log)
    with replacing(out / "table.txt") as temporary, temporary.open("w") as lines:
        Console(file=lines, width=80).print(evaluation_table(evaluations))
        lines.writelines(f"{note}\n" for note in notes)
        lines.write(f"\nthe model is in {model}: forge-gym eval --agent hf:{model} asks it again\n")


def _draw(path: Path, log: Sequence[dict[str, float]]) -> None:
    """Draw reward and quality of the rollouts, and held-out quality, over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    ax = figure.add_subplot(xlabel="step")
    for key, style in {"reward": "-", "forge/quality": "-", "heldout/quality": "ko-"}.items():
        entries = [entry for entry in log if key in entry]
        ax.plot([entry["step"] for entry in entries], [entry[key] for entry in entries], style, label=key)
    ax.legend()
    figure.savefig(path)
