"""Ablations of training, each by one command: equal budgets, equal tuning, three seeds, paired test instances.

    python examples/ablation.py run tsp            # what the reward, its scaling and a KL term are worth
    python examples/ablation.py run colouring
    python examples/ablation.py run knapsack
    python examples/ablation.py run curriculum     # a window of levels against all levels from the start
    python examples/ablation.py run breadth        # one, three or ten problems at equal data
    python examples/ablation.py table              # docs/ablations.md and its curves, from results/

Every run is one of `examples/train_grpo.py`, with the command in its file in results/; what is there is not run
again, so an interrupted study goes on, and `--seeds 3` adds a seed. Each arm of a study tries the same learning
rates on the validation instances (seed 0) and keeps the one with the highest skill; the table is of test instances.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
console = Console() if Console().is_terminal else Console(width=110)

Settings = dict[str, Any]

KL = 0.05
REWARDS: dict[str, Settings] = {
    "tiered": {},
    "linear": {"reward": "linear"},
    "binary": {"reward": "binary"},
    "binary, KL": {"reward": "binary", "beta": KL},
}


@dataclass(frozen=True)
class Study:
    """Arms that differ in one thing."""

    question: str
    common: Settings
    """Arguments of every run."""
    arms: dict[str, Settings]
    """What each arm adds."""
    rates: tuple[float, ...] = ()
    """Learning rates that every arm tries on the validation instances; none: the default for all."""
    warm: Settings = field(default_factory=dict)
    """Arguments of the warm start, which all arms of a seed share."""


STUDIES = {
    "tsp": Study(
        "Six cities on a grid: which reward, which scaling of it, and is a KL term of use?",
        {"problem": ["TSP"]},
        {
            **REWARDS,
            "published": {"reward": "forge"},
            "tiered, scaled by group": {"scale_rewards": "group"},
            "tiered, scaled by batch": {"scale_rewards": "batch"},
            "tiered, KL": {"beta": KL},
        },
        rates=(2.5e-4, 5e-4, 1e-3),
    ),
    "colouring": Study(
        "Graphs of seven vertices: does quality beat feasibility on a graph problem?",
        {"problem": ["GraphColoring"], "steps": 400},
        REWARDS,
        warm={"sft_steps": 1000},
    ),
    "knapsack": Study(
        "Six items: does quality beat feasibility where the best answers are nearly infeasible?",
        {"problem": ["Knapsack"], "steps": 400},
        REWARDS,
        warm={"sft_steps": 1000},
    ),
    "curriculum": Study(
        "Tours of five to nine cities: a window of levels that follows the learner, or all levels from the start?",
        {"problem": ["TSP"], "levels": [0, 1, 2, 3, 4]},
        {"window": {"curriculum": True}, "static": {}},
    ),
    "breadth": Study(
        "One policy warm-started on ten problems: train on one, three or all of them, at equal data?",
        {"steps": 150, "group": 8},
        {},
    ),
}


@dataclass
class Run:
    """Run what is missing of a study."""

    study: tyro.conf.Positional[Literal["tsp", "colouring", "knapsack", "curriculum", "breadth"]]
    """Which one."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of warm start, data and sampling."""
    arms: tuple[str, ...] = ()
    """Some of the arms; all by default."""
    jobs: int = 2
    """Runs at a time, each on one thread."""
    runs: Path = ROOT / "runs" / "ablation"
    """Folder of models and checkpoints."""
    results: Path = ROOT / "results"
    """Folder of results."""


@dataclass
class Table:
    """Write the page with all tables and curves."""

    results: Path = ROOT / "results"
    """Folder of results."""
    page: Path = ROOT / "docs" / "ablations.md"
    """The page."""


def main(args: Run | Table) -> None:
    """Run a study, or write the page."""
    if isinstance(args, Table):
        raise SystemExit("table: not yet")
    study = STUDIES[args.study]
    for arm in args.arms:
        if arm not in study.arms:
            raise ValueError(f"arms must be among {list(study.arms)}, got {arm!r}")
    arms = {name: study.arms[name] for name in args.arms or study.arms}
    with ThreadPoolExecutor(args.jobs) as pool:
        # As many samples per test instance as training draws in all: 128 for 250 steps of 512 rollouts.
        begin = study.common | study.warm | {"steps": 0, "best_of": 128}
        starts = {seed: begin | {"seed": seed} for seed in args.seeds}
        list(pool.map(lambda seed: run(args, "start", seed, starts[seed]), starts))
        rates = tuned(args, study, arms, pool)
        jobs = [
            (name, seed, {**study.common, **own, **rates[name], **begun(args, seed)})
            for seed in args.seeds
            for name, own in arms.items()
        ]
        list(pool.map(lambda job: run(args, *job), jobs))


def begun(args: Run, seed: int) -> Settings:
    """Return the arguments by which a run goes on from the warm start of its seed."""
    folder = args.runs / args.study / "start" / str(seed) / "sft"
    return {"seed": seed, "start": str(folder), "best_of": 0}


def tuned(
    args: Run, study: Study, arms: dict[str, Settings], pool: ThreadPoolExecutor
) -> dict[str, Settings]:
    """Return each arm's learning rate: the one with the highest validation skill, of those all arms try."""
    if not study.rates:
        return {name: {} for name in arms}
    jobs = [
        (
            f"tuning/{name}/{rate:g}",
            0,
            {
                **study.common,
                **own,
                **begun(args, 0),
                "learning_rate": rate,
                "test_split": "validation",
            },
        )
        for name, own in arms.items()
        for rate in study.rates
    ]
    list(pool.map(lambda job: run(args, *job), jobs))
    found = {}
    for name in arms:
        skills = {
            rate: skill_of(json.loads(path_of(args, f"tuning/{name}/{rate:g}", 0).read_text()))
            for rate in study.rates
        }
        best = max(skills, key=lambda rate: skills[rate])
        console.print(f"{name}: validation skill {skills}, so {best:g}")
        found[name] = {"learning_rate": best}
    return found


def skill_of(result: dict[str, Any]) -> float:
    """Return the mean skill of a result's policy over its problems."""
    return float(np.mean([np.mean(problem["values"]["skill"]) for problem in result["problems"]]))


def slug(name: str) -> str:
    """Return ``name`` as a file name."""
    return name.replace(", ", "-").replace(" ", "-")


def path_of(args: Run, name: str, seed: int) -> Path:
    """Return where the result of a run is."""
    return args.results / args.study / f"{slug(name)}-seed{seed}.json"


def run(args: Run, name: str, seed: int, settings: Settings) -> None:
    """Run one training, unless its result is there."""
    result = path_of(args, name, seed)
    if result.exists():
        return
    out = args.runs / args.study / slug(name) / str(seed)
    command = [sys.executable, str(ROOT / "examples" / "train_grpo.py"), "--out", str(out)]
    for key, value in settings.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, list):
            command += [flag, *map(str, value)]
        else:
            command += [flag] if value is True else [flag, str(value)]
    console.print(f"{args.study}: {name}, seed {seed}")
    out.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (out / "output.txt").open("w") as output:
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment).returncode
    if status:
        raise RuntimeError(f"{' '.join(command)} failed: see {out / 'output.txt'}")
    found = json.loads((out / "results.json").read_text())
    result.parent.mkdir(parents=True, exist_ok=True)
    temporary = result.with_suffix(".tmp")
    temporary.write_text(json.dumps(compact(found, args, name), separators=(",", ":")))
    temporary.replace(result)


CURVE = (
    "reward",
    "forge/quality",
    "forge/skill",
    "forge/feasible",
    "forge/effective_groups",
    "entropy",
    "kl",
)


def compact(found: dict[str, Any], args: Run, name: str) -> dict[str, Any]:
    """Return a result as it is kept: paths of this machine left out, every fifth step of the curves."""
    for key in ("out", "start"):
        if found["arguments"][key]:
            found["arguments"][key] = str(Path(found["arguments"][key]).relative_to(args.runs))
    words = found["command"].replace(str(args.runs), "runs/ablation").split()
    found["command"] = " ".join(["python", "examples/train_grpo.py", *words[2:]])
    curve = found["curve"][4::5]
    found["curve"] = {
        key: [round(float(entry[key]), 4) for entry in curve]
        for key in ("step", *CURVE)
        if curve and key in curve[0]
    }
    kept = ("step", *(f"heldout/{metric}" for metric in ("success", "quality", "skill", "optimal")))
    found["heldout"] = [{key: round(entry[key], 4) for key in kept} for entry in found["heldout"]]
    return {"study": args.study, "arm": name, **found}


if __name__ == "__main__":
    main(tyro.cli(Run | Table))
