"""Ablations of training, each by one command: equal budgets, equal tuning, three seeds, paired test instances.

    python examples/ablation.py run tsp            # what the reward, its scaling and a KL term are worth
    python examples/ablation.py run improvement    # fine-tuning on one's own best answers instead of GRPO
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
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from rich.console import Console

from forge_gym.data.rows import replacing
from forge_gym.evaluation.statistics import Estimate, bootstrap

ROOT = Path(__file__).resolve().parents[1]
console = Console() if Console().is_terminal else Console(width=110)

Settings = dict[str, Any]

KL = 0.05
PILOT = "One learning rate for all arms; it and the warm start were chosen on pilots with the tiered reward."
FEASIBILITY: dict[str, Settings] = {
    "tiered": {},
    "binary": {"reward": "binary"},
    "binary, KL": {"reward": "binary", "beta": KL},
}
TEN = [
    "BalancedMinCut", "GraphColoring", "HamiltonianCycle", "Knapsack", "MaxClique", "MaxIndependentSet",
    "MeetingScheduling", "SetCover", "SubsetSum", "TSP",
]  # fmt: skip


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
    starts: str = ""
    """Study whose warm starts this one shares."""
    script: str = "train_grpo.py"
    """What the arms run."""


STUDIES = {
    "tsp": Study(
        "Six cities on a grid: which reward, which scaling of it, and is a KL term of use?",
        {"problem": ["TSP"]},
        {
            **FEASIBILITY,
            "linear": {"reward": "linear"},
            "published": {"reward": "forge"},
            "tiered, scaled by group": {"scale_rewards": "group"},
            "tiered, scaled by batch": {"scale_rewards": "batch"},
            "tiered, KL": {"beta": KL},
        },
        rates=(2.5e-4, 5e-4, 1e-3),
    ),
    "improvement": Study(
        "Six cities again: fine-tuning on one's own best tours, with as many rollouts as GRPO draws? Not tuned.",
        {"problem": "TSP"},
        {"rejection sampling": {}},
        starts="tsp",
        script="self_improvement.py",
    ),
    "colouring": Study(
        "Graphs of seven vertices: does quality beat feasibility on a graph problem? " + PILOT,
        {"problem": ["GraphColoring"]},
        FEASIBILITY,
        warm={"sft_steps": 1000, "best_of": 64},
    ),
    "knapsack": Study(
        "Six items: does quality beat feasibility where the best answers are nearly infeasible? " + PILOT,
        {"problem": ["Knapsack"]},
        FEASIBILITY,
        warm={"sft_steps": 1000, "epsilon": 0.3},
    ),
    "curriculum": Study(
        "Tours of five to nine cities: a window of levels that follows the learner, or all levels from the start?",
        {"problem": ["TSP"], "levels": [0, 1, 2, 3, 4], "steps": 200},
        {"window": {"curriculum": True}, "static": {}},
        warm={"best_of": 16},
    ),
    "breadth": Study(
        "One policy, warm-started on ten problems: train on one, three or all of them, at equal data?",
        {"problem": TEN, "steps": 100, "group": 8, "test_episodes": 100, "eval_steps": 50},
        {
            "ten problems": {},
            "three problems": {"train_on": ["TSP", "GraphColoring", "Knapsack"]},
            "one problem": {"train_on": ["TSP"]},
        },
        warm={"sft_steps": 1000, "sft_batch": 128, "best_of": 0},
    ),
}


@dataclass
class Run:
    """Run what is missing of a study."""

    study: tyro.conf.Positional[
        Literal["tsp", "improvement", "colouring", "knapsack", "curriculum", "breadth"]
    ]
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
        write_page(args)
        return
    study = STUDIES[args.study]
    for arm in args.arms:
        if arm not in study.arms:
            raise ValueError(f"arms must be among {list(study.arms)}, got {arm!r}")
    arms = {name: study.arms[name] for name in args.arms or study.arms}
    with ThreadPoolExecutor(args.jobs) as pool:
        source = STUDIES[study.starts] if study.starts else study
        # 128 samples per test instance are as many as 250 steps of 512 rollouts draw in all.
        begin = {"best_of": 128} | source.common | source.warm | {"steps": 0}
        owner = replace(args, study=study.starts or args.study)
        list(pool.map(lambda seed: run(owner, "start", seed, begin | {"seed": seed}), args.seeds))
        rates = tuned(args, study, arms, pool)
        jobs = [
            (name, seed, {**study.common, **own, **rates[name], **begun(args, seed)})
            for seed in args.seeds
            for name, own in arms.items()
        ]
        list(pool.map(lambda job: run(args, *job), jobs))


def begun(args: Run, seed: int) -> Settings:
    """Return the arguments by which a run goes on from the warm start of its seed."""
    study = STUDIES[args.study]
    folder = args.runs / (study.starts or args.study) / "start" / str(seed) / "sft"
    once = {"best_of": 0} if study.script == "train_grpo.py" else {}  # the start has measured it
    return {"seed": seed, "start": str(folder), **once}


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
    script = "train_grpo.py" if name == "start" else STUDIES[args.study].script
    command = [sys.executable, str(ROOT / "examples" / script), "--out", str(out)]
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
    with replacing(result) as file:
        file.write_text(json.dumps(compact(found, args, name), separators=(",", ":")))


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
    found["command"] = found["command"].replace(f"{ROOT}/", "").replace(str(args.runs), "runs/ablation")
    curve = found["curve"][4::5]
    found["curve"] = {
        key: [round(float(entry[key]), 4) for entry in curve]
        for key in ("step", *CURVE)
        if curve and key in curve[0]
    }
    kept = ("step", *(f"heldout/{metric}" for metric in ("success", "quality", "skill", "optimal")))
    found["heldout"] = [{key: round(entry[key], 4) for key in kept} for entry in found["heldout"]]
    return {"study": args.study, "arm": name, **found}


# -------------------------------------------------------------------------------------------- page

INTRODUCTION = """# Ablations

Written by `python examples/ablation.py table` from the files in `results/`; each of them holds the command, settings,
versions, held-out scores and curves of one run. `python examples/ablation.py run STUDY --seeds 3` runs a new seed.

Since these runs, a demonstration that is worse than the trivial answer is that answer, and the warm start is TRL's
`SFTTrainer`. Warm starts on tours are better than here; the studies have not been repeated.

Greedy decoding on held-out instances, none of which occurs in training, the same for all arms and seeds. Numbers are
means over the seeds; in brackets the 95 % bootstrap interval over instances, which does not cover the spread between
seeds, so each seed's skill stands beside it. Differences are paired by instance and seed. Where a study has several
learning rates, every arm tried the same ones on the validation instances (seed 0) and kept the best.
"""


def write_page(args: Table) -> None:
    """Write the page with the tables of all studies that have results, and their curves."""
    parts = [INTRODUCTION]
    for name, study in STUDIES.items():
        folder = args.results / name
        if not folder.is_dir():
            continue
        arms = {arm: load(folder, arm) for arm in study.arms}
        arms = {arm: runs for arm, runs in arms.items() if runs}
        if not arms:  # stopped before the first
            continue
        picture = f"{name}.png"
        draw(args.page.parent / "curves" / picture, study, arms)
        starts = load(args.results / (study.starts or name), "start")
        parts.append(section(name, study, starts, arms, folder))
        parts.append(f"![held-out skill while training](curves/{picture})\n")
    args.page.write_text("\n".join(parts))
    console.print(f"wrote {args.page}")


def load(folder: Path, arm: str) -> list[dict[str, Any]]:
    """Return the results of an arm, by seed."""
    found = [json.loads(path.read_text()) for path in folder.glob(f"{slug(arm)}-seed*.json")]
    return sorted(found, key=lambda result: int(result["arguments"]["seed"]))


def section(
    name: str, study: Study, starts: list[dict[str, Any]], arms: dict[str, list[dict[str, Any]]], folder: Path
) -> str:
    """Return a study's question and tables."""
    seeds = sorted({run["arguments"]["seed"] for runs in arms.values() for run in runs})
    versions = ", ".join(f"{key} {value}" for key, value in starts[0]["versions"].items())
    lines = [
        f"## {name}",
        "",
        study.question,
        "",
        f"`python examples/ablation.py run {name}`; seeds {', '.join(map(str, seeds))}; {versions}; "
        f"{starts[0]['device']}, one thread per run.",
        "",
    ]
    problems = range(len(starts[0]["problems"]))
    for i in problems:
        lines += table(starts, arms, i, study)
    if len(problems) > 1:
        lines += overall(starts, arms)
    if study.rates:
        lines += ["Skill on the validation instances, by learning rate:", ""]
        lines += row(["arm", *[f"{rate:g}" for rate in study.rates]], header=True)
        for arm in arms:
            tried = [load(folder, f"tuning/{arm}/{rate:g}") for rate in study.rates]
            lines += row([arm, *[f"{skill_of(runs[0]):.3f}" if runs else "" for runs in tried]])
        lines.append("")
    return "\n".join(lines)


def row(cells: Iterable[str], header: bool = False) -> list[str]:
    """Return the lines of a Markdown table's row."""
    cells = list(cells)
    line = f"| {' | '.join(cells)} |"
    return [line, "|---|" + "--:|" * (len(cells) - 1)] if header else [line]


def table(
    starts: list[dict[str, Any]], arms: dict[str, list[dict[str, Any]]], i: int, study: Study
) -> list[str]:
    """Return the table of problem ``i``: controls, the warm start, and the arms."""
    first = starts[0]["problems"][i]
    known = {**first["parameters"]}
    for shown in ("style", "answer_format"):
        known.pop(shown, None)
    sizes = ", ".join(f"{key} {value}" for key, value in known.items())
    if first["levels"]:
        sizes = f"levels {', '.join(map(str, first['levels']))}"
    episodes = first["agents"]["greedy"]["episodes"]
    lines = [f"**{first['problem']}** ({sizes}), {episodes} test instances:", ""]
    reference = next(iter(arms))
    columns = [
        "",
        "feasible",
        "quality",
        "skill",
        "skill by seed",
        "optimal",
        f"quality, {reference} minus this",
    ]
    lines += row(columns, header=True)
    names = {
        "random": "random feasible",
        "greedy": "greedy, the teacher",
        "local-search": "local search from greedy",
    }
    against = matrix(arms[reference], i, "quality")
    for agent, said in names.items():
        scores = first["agents"][agent]
        gain = [run["problems"][i]["gains"][agent]["quality"]["mean"] for run in arms[reference]]
        lines += row(
            [
                said,
                f"{scores['success']['mean']:.3f}",
                f"{scores['quality']['mean']:.3f}",
                f"{scores['skill']['mean']:.3f}",
                "",
                f"{scores['optimal']['mean']:.3f}",
                f"{np.mean(gain):+.3f}",
            ]
        )
    lines += scored("warm start (SFT)", starts, i, against)
    if "sft_best_of" in first:
        for k in first["sft_best_of"]:
            of = [run["problems"][i]["sft_best_of"][k] for run in starts]
            means = {key: np.mean([found[key]["mean"] for found in of]) for key in of[0]}
            said = f"SFT, best of {k} samples" if k != "1" else "SFT, one sample at temperature 1"
            lines += row(
                [
                    said,
                    f"{means['success']:.3f}",
                    f"{means['quality']:.3f}",
                    f"{means['skill']:.3f}",
                    ", ".join(f"{found['skill']['mean']:.2f}" for found in of),
                    f"{means['optimal']:.3f}",
                    "",
                ]
            )
    for arm, runs in arms.items():
        rate = f", {float(runs[0]['arguments']['learning_rate']):g}" if study.rates else ""
        kind = "GRPO: " if study.script == "train_grpo.py" else ""
        lines += scored(f"**{kind}{arm}**{rate}", runs, i, None if arm == reference else against)
    return [*lines, ""]


def matrix(runs: Sequence[dict[str, Any]], i: int, metric: str) -> Any:
    """Return (seeds, instances) values of the policies of some runs."""
    return np.array([run["problems"][i]["values"][metric] for run in runs], dtype=float)


def scored(said: str, runs: list[dict[str, Any]], i: int, against: Any) -> list[str]:
    """Return the row of a policy."""
    policy = list(runs[0]["problems"][i]["agents"])[-1]
    success = np.mean([run["problems"][i]["agents"][policy]["success"]["mean"] for run in runs])
    values = {metric: matrix(runs, i, metric) for metric in ("quality", "skill", "optimal")}
    difference = ""
    if against is not None:
        shared = min(len(against), len(runs))
        difference = interval(
            bootstrap((against[:shared] - values["quality"][:shared]).mean(axis=0)), sign="+"
        )
    return row(
        [
            said,
            f"{success:.3f}",
            interval(bootstrap(values["quality"].mean(axis=0))),
            interval(bootstrap(values["skill"].mean(axis=0))),
            ", ".join(f"{mean:.2f}" for mean in values["skill"].mean(axis=1)),
            f"{values['optimal'].mean():.3f}",
            difference,
        ]
    )


def interval(found: Estimate, sign: str = "") -> str:
    """Return mean and interval."""
    return f"{found.mean:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def overall(starts: list[dict[str, Any]], arms: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return a table of the mean skill over all problems, and of each, for every policy."""
    problems = [problem["problem"] for problem in starts[0]["problems"]]
    lines = ["Mean skill, by problem:", "", *row(["", "all", "skill by seed", *problems], header=True)]
    for said, runs in {
        "warm start (SFT)": starts,
        **{f"GRPO: {arm}": runs for arm, runs in arms.items()},
    }.items():
        means = np.array([[matrix([run], i, "skill").mean() for i in range(len(problems))] for run in runs])
        lines += row(
            [
                said,
                f"{means.mean():.3f}",
                ", ".join(f"{mean:.2f}" for mean in means.mean(axis=1)),
                *[f"{mean:.2f}" for mean in means.mean(axis=0)],
            ]
        )
    return [*lines, ""]


def draw(path: Path, study: Study, arms: dict[str, list[dict[str, Any]]]) -> None:
    """Draw held-out skill of all arms over the steps: mean and range of the seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    ax = figure.add_subplot()
    for arm, runs in arms.items():
        steps = [entry["step"] for entry in runs[0]["heldout"]]
        skill = np.array([[entry["heldout/skill"] for entry in run["heldout"]] for run in runs])
        (line,) = ax.plot(steps, skill.mean(axis=0), label=arm)
        ax.fill_between(steps, skill.min(axis=0), skill.max(axis=0), color=line.get_color(), alpha=0.15)
    ax.axhline(0, color="grey", linewidth=0.8)
    ax.set_xlabel("GRPO step" if study.script == "train_grpo.py" else "round, scores on the test instances")
    ax.set_ylabel("skill, greedy decoding")
    if study.script == "train_grpo.py":
        ax.set_title("100 validation instances per problem; mean and range of the seeds", fontsize="medium")
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main(tyro.cli(Run | Table))
