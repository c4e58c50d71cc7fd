"""Train MaskablePPO to build solutions of a certified problem, and put it in one table with every other agent.

With no arguments, on two CPU cores, in a few minutes: tours of ten cities, built city by city by a policy that
attends over the cities, against nearest neighbour, local search and the optimum.

    python examples/train_maskable_ppo.py
    python examples/train_maskable_ppo.py --problem GraphColoring --parameters '{"n": 12}' --out runs/colouring

Needs ``pip install ".[sb3]"`` in a clone. The trained policy answers in text like any agent, see the last lines.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # OpenMP threads that spin-wait slow each other tenfold

import tyro
from rich.console import Console
from sb3_contrib import MaskablePPO
from stable_baselines3.common.env_util import make_vec_env

import forge_gym
from forge_gym.adapters.sb3 import HeldOut, draw_curve
from forge_gym.agents import make_agent
from forge_gym.agents.sb3 import SB3Agent
from forge_gym.core.env import TextEnv
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.evaluation.report import evaluation_table
from forge_gym.training.element_policy import MaskableElementPolicy
from forge_gym.wrappers import Construct

console = Console() if Console().is_terminal else Console(width=110)


@dataclass
class Args:
    """Settings of a run; the defaults are the two-core recipe."""

    problem: str = "TSP"
    """Any registered problem; see `forge-gym list`."""
    parameters: str = "{}"
    """Its parameters as JSON."""
    reward: str = "tiered"
    """Reward scheme."""
    dense: bool = True
    """Pay steps as they come, by a potential, or all at the end."""
    steps: int = 80_000
    """Steps of the environment."""
    envs: int = 16
    """Environments that run side by side."""
    rollout: int = 64
    """Steps of each between two updates."""
    batch: int = 256
    """Steps per minibatch."""
    epochs: int = 4
    """Passes over a rollout."""
    learning_rate: float = 5e-4
    """Of Adam, falling to zero."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    width: int = 64
    """Of the policy's layers."""
    seed: int = 0
    """Of initial weights, instances and exploration."""
    eval_every: int = 10_000
    """Steps between evaluations on the validation instances."""
    eval_episodes: int = 100
    """Validation instances."""
    test_episodes: int = 500
    """Test instances of the last table."""
    out: Path = Path("runs/maskable_ppo")
    """Folder for the model, the curve and the result."""


def main(args: Args) -> None:
    """Train, evaluate, print one table."""
    args.out.mkdir(parents=True, exist_ok=True)
    problem = forge_gym.problem(args.problem, **json.loads(args.parameters))
    envs = make_vec_env(
        lambda: Construct(TextEnv(problem, reward=args.reward), dense=args.dense), args.envs, seed=args.seed
    )
    model = MaskablePPO(
        MaskableElementPolicy,
        envs,
        n_steps=args.rollout,
        batch_size=args.batch,
        n_epochs=args.epochs,
        learning_rate=lambda left: args.learning_rate * left,
        ent_coef=args.entropy,
        gamma=1.0,  # episodes are short and end; what counts is their sum
        policy_kwargs={"features_extractor_kwargs": {"width": args.width}},
        seed=args.seed,
        device="cpu",
    )
    heldout = HeldOut(
        problem,
        held_out(problem, args.eval_episodes, split="validation"),
        every=args.eval_every,
        path=args.out / "curve.jsonl",
        tell=lambda entry: console.print(
            f"step {entry['step']}/{args.steps}, {entry['seconds']:.0f} s, held out: "
            + ", ".join(
                f"{metric} {entry[metric][0]:.3f}" for metric in ("success", "quality", "skill", "optimal")
            )
        ),
    )
    start = time.perf_counter()
    try:
        model.learn(args.steps, callback=heldout)
    except KeyboardInterrupt:
        console.print("stopped: the policy as it is now is evaluated")
    trained_s = time.perf_counter() - start
    model.save(args.out / "model.zip")

    instances = held_out(problem, args.test_episodes)
    agents: list[Any] = [
        make_agent(name) for name in ("trivial", "random", "greedy", "local-search", "exact")
    ]
    agents.append(
        SB3Agent(args.out / "model.zip", name="MaskablePPO")
    )  # as text: "sb3:runs/.../model.zip" elsewhere
    found = {agent.name: evaluate(agent, problem, instances) for agent in agents}
    console.print(evaluation_table(list(found.values())))
    skill = {name: found[name].estimate("skill").mean for name in ("greedy", "local-search")}
    draw_curve(heldout.curve, args.out / "curve.png", skill, title=f"MaskablePPO on {args.problem}")
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "arguments": {
            key: str(value) if isinstance(value, Path) else value for key, value in asdict(args).items()
        },
        "train_s": round(trained_s, 1),
        "curve": heldout.curve,
        "test": {name: evaluation.to_dict() for name, evaluation in found.items()},
    }
    (args.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"trained in {trained_s:.0f} s; model, curve and result are in {args.out}")


if __name__ == "__main__":
    main(tyro.cli(Args))
