"""Improve a policy without a policy gradient: sample, keep the best verified replies, fine-tune on them, repeat.

The policy is one that grpo_from_scratch.py has warm-started, or any other model. Each round samples replies on fresh
instances, keeps each instance's best where it is at least as good as greedy's, one per solution, and fine-tunes on them
(rejection sampling, also called expert iteration or RAFT).

    python examples/grpo_from_scratch.py --steps 0 --out runs/start
    python examples/self_improvement.py --model runs/start/sft

The same command continues a stopped run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from forge_gym.agents import make_agent
from forge_gym.agents.causal_lm import TransformersAgent
from forge_gym.core.verdict import METRICS
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.training.demonstrations import rejection_sample
from forge_gym.training.runs import finish, finished, report, start


@dataclass
class Args:
    """Settings of a run; the defaults are for a tiny model."""

    model: str  # folder or hub name of the model to improve
    problem: str = "TSP"  # see `forge-gym list`; a model that was trained here knows its own
    parameters: str = "{}"  # parameters of the problem as JSON
    rounds: int = 4  # rounds of sampling and fine-tuning
    instances: int = 2000  # fresh instances per round
    samples: int = 16  # replies per instance
    skill: float = 0.0  # least skill of a reply that is kept
    steps: int = 60  # steps of fine-tuning per round
    batch: int = 256  # examples per step
    learning_rate: float = 1e-3  # peak of each round's schedule; for a pretrained model some 1e-5
    max_new_tokens: int = 0  # longest reply; by default what the model was trained on
    seed: int = 0  # of instances and sampling
    test_episodes: int = 1000  # held-out instances
    split: str = "test"  # of the held-out instances; validation while settings are chosen
    out: Path = Path("runs/self_improvement")  # folder of the models, results.json and table.txt


def main(args: Args, problems: list[Any], limit: int) -> None:
    """Run the rounds that are not done yet, and evaluate each."""
    from transformers import AutoTokenizer, set_seed

    from forge_gym.training.sft import epochs, fine_tune

    set_seed(args.seed)
    (problem,), folder = problems, args.model
    test = held_out(problem, args.test_episodes, split=args.split)
    held = {problem.prompt(instance) for instance in test}
    graded = problem.graded_instances(args.seed + 1)
    fresh = (instance for _, instance in graded if problem.prompt(instance) not in held)

    policies = {"start": folder}
    for number in range(1, args.rounds + 1):
        instances, target = list(islice(fresh, args.instances)), args.out / f"round-{number}"
        if not finished(target):
            sampling: Any = {"temperature": 1.0, "seed": args.seed + number, "max_new_tokens": limit}
            agent = TransformersAgent(folder, batch_size=512, **sampling)
            kept = rejection_sample(agent, problem, instances, samples=args.samples, skill=args.skill)
            print(f"round {number}: {len(kept)} replies kept of {len(instances) * args.samples}", flush=True)
            fine_tune(
                folder, AutoTokenizer.from_pretrained(folder), partial(epochs, kept, args.seed), target,
                steps=args.steps, batch=args.batch, learning_rate=args.learning_rate, seed=args.seed,
            )  # fmt: skip
            finish(target, problem, limit)
        folder = policies[f"round {number}"] = str(target)

    agents: list[Any] = [make_agent(name) for name in ("random", "greedy", "local-search", "exact")]
    for name, path in policies.items():
        agents.append(TransformersAgent(path, name=name, max_new_tokens=limit, batch_size=500))
    results = [evaluate(agent, problem, test, batch_size=1000) for agent in agents]
    curve = [
        {"step": step, **{f"heldout/{metric}": fmean(result.values(metric)) for metric in METRICS}}
        for step, result in enumerate(results[-len(policies) :])
    ]
    report(args.out, folder, results, rollouts=args.rounds * args.instances * args.samples, log=curve)


if __name__ == "__main__":
    start(Args, main)
