"""Ablations of training: equal budgets, equal tuning, three seeds, the same test instances for all.

    python studies/ablation.py tsp            # what the reward, its scaling and a KL term are worth
    python studies/ablation.py improvement    # fine-tuning on one's own best answers instead of GRPO
    python studies/ablation.py colouring
    python studies/ablation.py knapsack
    python studies/ablation.py curriculum     # a window of levels against all levels from the start
    python studies/page.py                    # docs/ablations.md and its curves, from studies/results/

Every run is one of `examples/grpo_from_scratch.py`, with the command in its file in studies/results/. What is there is
not run again, so an interrupted study continues, and `--seeds 3` adds a seed. Each arm of a study tries the same
learning rates on the validation instances (seed 0) and keeps the best; the table is of test instances.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import tyro

from forge_gym.data.rows import replacing

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "studies" / "results"
Settings = dict[str, Any]
KEPT = ("success", "quality", "skill", "optimal")
CURVE = (
    "reward",
    "forge/quality",
    "forge/skill",
    "forge/feasible",
    "forge/effective_groups",
    "entropy",
    "kl",
)

KL: Settings = {"beta": 0.05}
PILOT = "One learning rate for all arms; it and the warm start were chosen on pilots with the tiered reward."
FEASIBILITY: dict[str, Settings] = {
    "tiered": {},
    "binary": {"reward": "binary"},
    "binary, KL": {"reward": "binary", "grpo": KL},
}


@dataclass(frozen=True)
class Study:
    """Arms that differ in one thing."""

    question: str
    common: Settings
    """Arguments of every run; ``grpo`` holds those of TRL's GRPOConfig."""
    arms: dict[str, Settings]
    """What each arm adds."""
    rates: tuple[float, ...] = ()
    """Learning rates that every arm tries on the validation instances; none: the default for all."""
    warm: Settings = field(default_factory=dict)
    """Arguments of the warm start, which all arms of a seed share."""
    best_of: int = 128
    """Samples per test instance of the warm-started policy: as many as GRPO draws in all."""
    starts: str = ""
    """Study whose warm starts this one shares."""
    script: str = "grpo_from_scratch.py"
    """What the arms run."""


STUDIES = {
    "tsp": Study(
        "Six cities on a grid: which reward, which scaling of it, and is a KL term of use?",
        {"problem": "TSP"},
        {
            **FEASIBILITY,
            "linear": {"reward": "linear"},
            "published": {"reward": "np_engine"},
            "tiered, scaled by group": {"grpo": {"scale_rewards": "group"}},
            "tiered, scaled by batch": {"grpo": {"scale_rewards": "batch"}},
            "tiered, KL": {"grpo": KL},
        },
        rates=(2.5e-4, 5e-4, 1e-3),
    ),
    "improvement": Study(
        "Six cities again: fine-tuning on one's own best tours, with as many rollouts as GRPO draws? Not tuned.",
        {},
        {"rejection sampling": {}},
        starts="tsp",
        script="self_improvement.py",
    ),
    "colouring": Study(
        "Graphs of seven vertices: does quality beat feasibility on a graph problem? " + PILOT,
        {"problem": "GraphColoring"},
        FEASIBILITY,
        warm={"sft_steps": 1000},
        best_of=64,
    ),
    "knapsack": Study(
        "Six items: does quality beat feasibility where the best answers are nearly infeasible? " + PILOT,
        {"problem": "Knapsack"},
        FEASIBILITY,
        warm={"sft_steps": 1000, "epsilon": 0.3},
    ),
    "curriculum": Study(
        "Tours of five to nine cities: a window of levels that follows the learner, or all levels from the start?",
        {"problem": "TSP", "levels": [0, 1, 2, 3, 4], "steps": 200},
        {"window": {"curriculum": True}, "static": {}},
        best_of=16,
    ),
}


@dataclass
class Args:
    """Run what is missing of a study."""

    study: tyro.conf.Positional[Literal["tsp", "improvement", "colouring", "knapsack", "curriculum"]]
    seeds: tuple[int, ...] = (0, 1, 2)  # of warm start, data and sampling
    jobs: int = 2  # runs at a time, each on one thread
    runs: Path = ROOT / "runs" / "ablation"  # folder of models and checkpoints
    results: Path = RESULTS  # folder of results


def main(args: Args) -> None:
    """Run the warm starts, tune every arm, and run all seeds."""
    study = STUDIES[args.study]
    source = STUDIES[study.starts or args.study]
    owner = replace(args, study=study.starts or args.study)

    def begun(seed: int) -> Settings:
        model = args.runs / owner.study / "start" / str(seed) / "sft"
        return {"seed": seed, "model": model, **({"sft_steps": 0} if study.script == Study.script else {})}

    with ThreadPoolExecutor(args.jobs) as pool:
        warm = source.common | source.warm | {"steps": 0}
        list(pool.map(lambda seed: run(owner, "start", seed, warm | {"seed": seed}), args.seeds))
        tuning = [
            (
                f"tuning/{name}/{rate:g}",
                0,
                merged(study.common, arm, begun(0), rated(rate), {"split": "validation"}),
            )
            for name, arm in study.arms.items()
            for rate in study.rates
        ]
        list(pool.map(lambda job: run(args, *job), tuning))
        jobs = [
            (name, seed, merged(study.common, arm, best_rate(args, name), begun(seed)))
            for seed in args.seeds
            for name, arm in study.arms.items()
        ]
        list(pool.map(lambda job: run(args, *job), jobs))


def rated(rate: float) -> Settings:
    """Return the settings that set a learning rate."""
    return {"grpo": {"learning_rate": rate}}


def merged(*parts: Settings) -> Settings:
    """Return all settings, with the arguments of GRPOConfig together."""
    grpo = {key: value for part in parts for key, value in part.get("grpo", {}).items()}
    settings = {key: value for part in parts for key, value in part.items() if key != "grpo"}
    return settings | ({"grpo": json.dumps(grpo)} if grpo else {})


def best_rate(args: Args, name: str) -> Settings:
    """Return an arm's learning rate: the one with the highest validation skill, of those all arms try."""

    def skill(rate: float) -> float:
        return fmean(json.loads(path_of(args, f"tuning/{name}/{rate:g}", 0).read_text())["values"]["skill"])

    rates = STUDIES[args.study].rates
    return rated(max(rates, key=skill)) if rates else {}


def slug(name: str) -> str:
    """Return ``name`` as a file name."""
    return name.replace(", ", "-").replace(" ", "-")


def path_of(args: Args, name: str, seed: int) -> Path:
    """Return where the result of a run is."""
    return args.results / args.study / f"{slug(name)}-seed{seed}.json"


def run(args: Args, name: str, seed: int, settings: Settings) -> None:
    """Run one training, unless its result is there."""
    result, study = path_of(args, name, seed), STUDIES[args.study]
    if result.exists():
        return
    out = args.runs / args.study / slug(name) / str(seed)
    script = Study.script if name == "start" else study.script
    command = [sys.executable, str(ROOT / "examples" / script), f"--out={out}"]
    for key, value in settings.items():
        flag = f"--{key.replace('_', '-')}"
        values = value if isinstance(value, list) else [] if value is True else [value]
        command += [flag, *map(str, values)]
    print(f"{args.study}: {name}, seed {seed}", flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    printed = out.with_name(f"{seed}.txt")
    with printed.open("w") as output:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment).returncode
    if status:
        raise RuntimeError(f"{' '.join(command)} failed: see {printed}")
    found = kept(json.loads((out / "results.json").read_text()), str(args.runs))
    if name == "start" and study.best_of:
        episodes = found["arguments"]["test_episodes"]
        found["best_of"] = best_of(str(out / "sft"), settings, study.best_of, episodes)
    result.parent.mkdir(parents=True, exist_ok=True)
    with replacing(result) as file:
        file.write_text(json.dumps({"study": args.study, "arm": name, **found}, separators=(",", ":")))


def best_of(model: str, settings: Settings, samples: int, episodes: int) -> dict[int, dict[str, float]]:
    """Return what the best of k samples of a model are worth on the test instances."""
    from forge_gym.agents.causal_lm import TransformersAgent
    from forge_gym.evaluation.evaluate import evaluate, held_out
    from forge_gym.training.runs import pick_problem

    problems, limit = pick_problem(settings["problem"], "{}", model, settings.get("levels", ()))
    agent = TransformersAgent(model, temperature=1.0, max_new_tokens=limit, batch_size=500, seed=settings["seed"])
    share = max(1, episodes // len(problems))
    found = [evaluate(agent, each, held_out(each, share), samples=samples) for each in problems]
    return {
        k: {metric: fmean(value for each in found for value in each.values(metric, k=k)) for metric in KEPT}
        for k in sorted({1, min(16, samples), samples})
    }


def kept(found: Settings, runs: str) -> Settings:
    """Return a result as it is kept: paths of this machine left out, every fifth step of the curves."""
    text = json.dumps({key: found[key] for key in ("command", "arguments", "versions", "problem", "parameters")})
    agents, log = found["agents"], found["log"]
    curve = [entry for entry in log if "reward" in entry][4::5]
    heldout = [entry for entry in log if "heldout/skill" in entry]
    return {
        **json.loads(text.replace(f"{ROOT}/", "").replace(runs, "runs/ablation")),
        "levels": found["arguments"].get("levels", []),
        "agents": {name: {metric: fmean(of[metric]) for metric in KEPT} for name, of in agents.items()},
        "values": {metric: [*agents.values()][-1][metric] for metric in KEPT[1:]},
        "curve": {key: [round(entry[key], 4) for entry in curve if key in entry] for key in ("step", *CURVE)},
        "heldout": [
            {"step": entry["step"]} | {f"heldout/{metric}": round(entry[f"heldout/{metric}"], 4) for metric in KEPT}
            for entry in heldout
        ],
    }


if __name__ == "__main__":
    main(tyro.cli(Args))
