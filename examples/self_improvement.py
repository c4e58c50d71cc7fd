"""Improve a policy without a policy gradient: sample, keep the best verified replies, fine-tune on them, repeat.

Starts from the model that `examples/train_grpo.py` has warm-started (its folder `sft`), or any other. Each round
samples G replies on fresh instances, keeps each instance's best that is at least as good as greedy, one per canonical
solution, and fine-tunes on them (rejection sampling, also called expert iteration or RAFT). Held-out scores of all
rounds stand beside greedy's, at the number of rollouts that GRPO would have drawn.

    python examples/train_grpo.py --steps 0 --out runs/start
    python examples/self_improvement.py --start runs/start/sft
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # OpenMP threads that spin-wait slow each other tenfold

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.progress import track
from train_grpo import claim
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

import forge_gym
from forge_gym.agents import make_agent
from forge_gym.agents.causal_lm import TransformersAgent
from forge_gym.cli.terminal import progress_bar
from forge_gym.core.verdict import METRICS
from forge_gym.evaluation.evaluate import Evaluation, evaluate, held_out
from forge_gym.evaluation.report import evaluation_table
from forge_gym.evaluation.statistics import bootstrap
from forge_gym.training.demonstrations import Example, rejection_sample
from forge_gym.training.sft import epochs, fine_tune

console = Console() if Console().is_terminal else Console(width=110)


@dataclass
class Args:
    """Settings of a run."""

    start: str
    """Folder of the model to improve."""
    problem: str = "TSP"
    """Problem to improve on."""
    parameters: str = '{"n": 6, "grid": 5, "spacing": 100}'
    """Its parameters as JSON."""
    style: str = "compact"
    """compact for from-scratch models, prose for others."""
    rounds: int = 4
    """Rounds of sampling and fine-tuning."""
    instances: int = 2000
    """Fresh instances per round."""
    samples: int = 16
    """Replies per instance."""
    skill: float = 0.0
    """Least skill of a reply that is kept."""
    steps: int = 60
    """Steps of fine-tuning per round."""
    batch: int = 256
    """Examples per step."""
    learning_rate: float = 1e-3
    """Peak of each round's schedule."""
    max_new_tokens: int = 16
    """Longest reply, in tokens."""
    seed: int = 0
    """Of instances and sampling."""
    test_episodes: int = 1000
    """Held-out instances."""
    test_split: str = "test"
    """test, or validation while settings are chosen."""
    out: Path = Path("runs/self_improvement")
    """Folder of the models and results.json; the same command, given again, goes on where it was stopped."""


def main(args: Args) -> None:
    """Run the rounds and print the table."""
    started = time.monotonic()
    claim(args)
    set_seed(args.seed)
    form = {"style": args.style, "answer_format": "raw" if args.style == "compact" else "tags"}
    problem = forge_gym.problem(args.problem, **form, **json.loads(args.parameters))
    test = held_out(problem, args.test_episodes, split=args.test_split)
    held = {problem.prompt(instance) for instance in test}
    stream = (
        instance
        for _, instance in problem.graded_instances(args.seed + 1)
        if problem.prompt(instance) not in held
    )
    controls = ("random", "greedy", "local-search", "exact")
    results = [evaluate(make_agent(name), problem, test) for name in controls]
    folder, kept = args.start, list[int]()
    results.append(score(args, folder, "start", problem, test))
    for number in range(1, args.rounds + 1):
        instances = list(islice(stream, args.instances))
        target = args.out / f"round-{number}"
        if not (target / "complete").exists():
            agent = TransformersAgent(
                folder,
                max_new_tokens=args.max_new_tokens,
                batch_size=512,
                temperature=1.0,
                seed=args.seed + number,
            )
            examples: list[Example] = []
            for at in track(range(0, len(instances), 200), f"round {number}: sampling", console=console):
                chunk = instances[at : at + 200]
                examples += rejection_sample(agent, problem, chunk, samples=args.samples, skill=args.skill)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
            target.mkdir(parents=True, exist_ok=True)
            (target / "kept.json").write_text(json.dumps(len(examples)))
            with progress_bar("fine-tuning", args.steps) as advance:
                fine_tune(
                    model,
                    tokenizer,
                    partial(epochs, examples, args.seed),
                    target / "warm",
                    steps=args.steps,
                    batch=args.batch,
                    learning_rate=args.learning_rate,
                    seed=args.seed,
                    save_to=target,
                    progress=advance,
                )
        kept.append(json.loads((target / "kept.json").read_text()))
        folder = str(target)
        results.append(score(args, folder, f"round {number}", problem, test))
    console.print(evaluation_table(results))
    *others, last = results
    row = {
        "problem": problem.name,
        "parameters": problem.parameters,
        "levels": [],
        "agents": {result.agent: result.to_dict() for result in results},
        "gains": {
            other.agent: {
                metric: bootstrap(np.subtract(last.values(metric), other.values(metric)))._asdict()
                for metric in ("quality", "skill")
            }
            for other in others
        },
        "values": {
            metric: [round(value, 4) for value in last.values(metric)]
            for metric in ("quality", "skill", "optimal")
        },
    }
    rounds = results[len(controls) :]
    found = {
        "command": " ".join(["python", *sys.argv]),
        "arguments": {key: str(v) if isinstance(v, Path) else v for key, v in asdict(args).items()},
        "versions": {name: version(name) for name in ("forge-gym", "torch", "transformers", "trl", "numpy")},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "seconds": round(time.monotonic() - started, 1),
        "rollouts": args.rounds * args.instances * args.samples,
        "kept": kept,
        "problems": [row],
        "curve": [],
        "heldout": [
            {"step": number}
            | {f"heldout/{metric}": float(np.mean(result.values(metric))) for metric in METRICS}
            for number, result in enumerate(rounds)
        ],
    }
    (args.out / "results.json").write_text(json.dumps(found, indent=1))
    console.print(
        f"{found['rollouts']} rollouts, kept {kept}; wrote {args.out / 'results.json'} after {found['seconds']} s"
    )


def score(args: Args, folder: str, name: str, problem: Any, test: list[Any]) -> Evaluation:
    """Evaluate the model in ``folder``, decoded greedily."""
    agent = TransformersAgent(folder, name=name, max_new_tokens=args.max_new_tokens, batch_size=500)
    return evaluate(agent, problem, test, batch_size=1000)


if __name__ == "__main__":
    main(tyro.cli(Args))
