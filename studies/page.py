"""Write docs/ablations.md and its curves from the files in studies/results/: `python studies/page.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from ablation import RESULTS, ROOT, STUDIES, Study, slug

from forge_gym.evaluation.statistics import Estimate, bootstrap

INTRODUCTION = """# Ablations

Written by `python studies/page.py` from the files in `studies/results/`; each of them holds the command, settings,
versions, held-out scores and curves of one run. `python studies/ablation.py STUDY --seeds 3` runs a new seed.

Since these runs, a demonstration that is worse than the trivial answer is that answer, and the warm start is TRL's
`SFTTrainer`. The script they name, `examples/train_grpo.py`, has become `examples/grpo_from_scratch.py`. Warm starts on
tours are better than here. Trivial answers are harder to beat, so qualities would be lower. Compact texts of Knapsack
keep the order of the numbers. The studies have not been repeated.

Greedy decoding on held-out instances, the same for all arms and seeds. Numbers are means over the seeds; in brackets
the 95 % bootstrap interval over instances, which does not cover the spread between seeds, so each seed's skill stands
beside it. Differences are paired by instance and seed. Where a study has several learning rates, every arm tried the
same ones on the validation instances (seed 0) and kept the best.

No held-out instance is the *text* of one in training. These runs are older than splits by shape, however. At such sizes
many are equal to one in training under other numbers: of 500, next to 8,000 drawn for training, 98 % in GraphColoring,
51 % in TSP and less than 1 % in Knapsack. So the scores compare arms; they do not show that a policy generalises.
"""
CONTROLS = {
    "random": "random feasible",
    "greedy": "greedy, the teacher",
    "local-search": "local search from greedy",
}
Result = dict[str, Any]


def main(results: Path = RESULTS, page: Path = ROOT / "docs" / "ablations.md") -> None:
    """Write the page with the tables of all studies that have results, and their curves."""
    parts = [INTRODUCTION]
    for name, study in STUDIES.items():
        folder = results / name
        arms = {arm: runs for arm in study.arms if (runs := load(folder, arm))}
        if arms:
            starts = load(results / (study.starts or name), "start")
            parts += [*section(name, study, starts, arms, folder), f"![held-out skill](curves/{name}.png)\n"]
            draw(page.parent / "curves" / f"{name}.png", study, arms)
    page.write_text("\n".join(parts))
    print(f"wrote {page}")


def load(folder: Path, arm: str) -> list[Result]:
    """Return the results of an arm, by seed."""
    found = [json.loads(path.read_text()) for path in folder.glob(f"{slug(arm)}-seed*.json")]
    return sorted(found, key=lambda result: int(result["arguments"]["seed"]))


def section(name: str, study: Study, starts: list[Result], arms: dict[str, list[Result]], folder: Path) -> list[str]:
    """Return the lines of a study: its question and tables."""
    first, reference = starts[0], next(iter(arms))
    seeds = sorted({run["arguments"]["seed"] for runs in arms.values() for run in runs})
    versions = ", ".join(f"{key} {value}" for key, value in first["versions"].items())
    known = {key: value for key, value in first["parameters"].items() if key not in ("style", "answer_format")}
    sizes = f"levels {', '.join(map(str, first['levels']))}" if first["levels"] else ""
    sizes = sizes or ", ".join(f"{key} {value}" for key, value in known.items())
    columns = [
        "",
        "feasible",
        "quality",
        "skill",
        "skill by seed",
        "optimal",
        f"quality, {reference} minus this",
    ]
    lines = [
        *(f"## {name}", "", study.question, ""),
        f"`python studies/ablation.py {name}`; seeds {', '.join(map(str, seeds))}; {versions}; one thread per run.",
        *("", f"**{first['problem']}** ({sizes}), {len(first['values']['skill'])} test instances:", ""),
        *header(columns),
    ]
    against = matrix(arms[reference], "quality")
    for agent, said in CONTROLS.items():
        gain = against.mean() - first["agents"][agent]["quality"]
        lines.append(row(said, first["agents"][agent], "", f"{gain:+.3f}"))
    lines.append(scored("warm start (SFT)", starts, against))
    for k in first.get("best_of", ()):
        said = f"SFT, best of {k} samples" if k != "1" else "SFT, one sample at temperature 1"
        of = [run["best_of"][k] for run in starts]
        means = {metric: np.mean([each[metric] for each in of]) for metric in of[0]}
        lines.append(row(said, means, ", ".join(f"{each['skill']:.2f}" for each in of), ""))
    for arm, runs in arms.items():
        rate = f", {rate_of(runs[0]):g}" if study.rates else ""
        kind = "GRPO: " if study.script == Study.script else ""
        lines.append(scored(f"**{kind}{arm}**{rate}", runs, None if arm == reference else against))
    if study.rates:
        lines += ["", "Skill on the validation instances, by learning rate:", ""]
        lines += header(["arm", *(f"{rate:g}" for rate in study.rates)])
        for arm in arms:
            tried = [load(folder, f"tuning/{arm}/{rate:g}") for rate in study.rates]
            cells = [f"{matrix(runs, 'skill').mean():.3f}" if runs else "" for runs in tried]
            lines.append(f"| {' | '.join([arm, *cells])} |")
    return [*lines, ""]


def rate_of(run: Result) -> float:
    """Return the learning rate of a run."""
    arguments = run["arguments"]
    return float(arguments.get("learning_rate") or json.loads(arguments["grpo"])["learning_rate"])


def header(columns: Sequence[str]) -> list[str]:
    """Return the first lines of a Markdown table."""
    return [f"| {' | '.join(columns)} |", "|---|" + "--:|" * (len(columns) - 1)]


def row(said: str, scores: Result, seeds: str, difference: str) -> str:
    """Return the row of an agent, whose scores are numbers, or texts with intervals."""
    shown = {key: value if isinstance(value, str) else f"{value:.3f}" for key, value in scores.items()}
    cells = (said, shown["success"], shown["quality"], shown["skill"], seeds, shown["optimal"], difference)
    return f"| {' | '.join(cells)} |"


def matrix(runs: Sequence[Result], metric: str) -> Any:
    """Return (seeds, instances) values of the policies of some runs."""
    return np.array([run["values"][metric] for run in runs], dtype=float)


def scored(said: str, runs: list[Result], against: Any) -> str:
    """Return the row of a policy."""
    values = {metric: matrix(runs, metric) for metric in ("quality", "skill", "optimal")}
    scores = {
        "success": np.mean([[*run["agents"].values()][-1]["success"] for run in runs]),
        "quality": interval(bootstrap(values["quality"].mean(axis=0))),
        "skill": interval(bootstrap(values["skill"].mean(axis=0))),
        "optimal": values["optimal"].mean(),
    }
    difference = ""
    if against is not None:
        shared = min(len(against), len(runs))
        gains = (against[:shared] - values["quality"][:shared]).mean(axis=0)
        difference = interval(bootstrap(gains), sign="+")
    return row(said, scores, ", ".join(f"{mean:.2f}" for mean in values["skill"].mean(axis=1)), difference)


def interval(found: Estimate, sign: str = "") -> str:
    """Return mean and interval."""
    return f"{found.mean:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def draw(path: Path, study: Study, arms: dict[str, list[Result]]) -> None:
    """Draw held-out skill of all arms over the steps: mean and range of the seeds."""
    from matplotlib.figure import Figure

    grpo = study.script == Study.script
    figure = Figure(figsize=(7, 4), dpi=110, layout="constrained")
    ax = figure.add_subplot(
        xlabel="GRPO step" if grpo else "round, scores on the test instances", ylabel="skill, greedy decoding"
    )
    for arm, runs in arms.items():
        steps = [entry["step"] for entry in runs[0]["heldout"]]
        skill = np.array([[entry["heldout/skill"] for entry in run["heldout"]] for run in runs])
        (line,) = ax.plot(steps, skill.mean(axis=0), label=arm)
        ax.fill_between(steps, skill.min(axis=0), skill.max(axis=0), color=line.get_color(), alpha=0.15)
    ax.axhline(0, color="grey", linewidth=0.8)
    if grpo:
        ax.set_title("100 validation instances per problem; mean and range of the seeds", fontsize="medium")
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    tyro.cli(main)
