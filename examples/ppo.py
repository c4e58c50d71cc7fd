"""Train PPO on a certified problem in numbers, and put the policy in one table with every other agent.

    python examples/ppo.py                               # builds tours of 10 cities, in about two minutes
    python examples/ppo.py --view improve --set n=8      # improves tours of 8 cities by 2-opt moves
    python examples/ppo.py --problem GraphColoring --set n=12 --out runs/colouring

With ``--view construct``, MaskablePPO builds a solution piece by piece, by a policy that attends over the elements.
With ``--view improve``, PPO improves greedy's solution move by move, by a plain network. The defaults are made for
two CPU cores. Needs ``pip install "forge-gym[sb3]"``.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from forge_gym.agents import make_agent
from forge_gym.cli import run
from forge_gym.cli.options import Level, Set, extra, make_problem
from forge_gym.cli.terminal import console as make_console
from forge_gym.core.checks import check_choice
from forge_gym.core.env import TextEnv
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.evaluation.report import evaluation_table
from forge_gym.wrappers import Construct, Improve

RECIPES = {"construct": {"steps": 80_000, "width": 64}, "improve": {"steps": 300_000, "width": 256}}
SHOWN = ("success", "quality", "skill", "optimal")


def main(
    problem: Annotated[str, Option(help="see forge-gym list, or module:Class of your own")] = "TSP",
    level: Level = None,
    parameters: Set = None,
    view: Annotated[str, Option(help="construct or improve")] = "construct",
    dense: Annotated[bool, Option(help="when constructing, pay each step or all at the end")] = True,
    reward: Annotated[str, Option(help="reward scheme")] = "tiered",
    steps: Annotated[int | None, Option(min=1, help="by default 80,000 or, to improve, 300,000")] = None,
    envs: Annotated[int, Option(min=1, help="environments side by side")] = 16,
    rollout: Annotated[int, Option(min=2, help="steps of each between two updates")] = 64,
    batch: Annotated[int, Option(min=2, help="steps per minibatch")] = 256,
    epochs: Annotated[int, Option(min=1, help="passes over a rollout")] = 4,
    learning_rate: Annotated[float, Option(min=0, help="of Adam, falling to zero")] = 5e-4,
    entropy: Annotated[float, Option(min=0, help="weight of the entropy bonus")] = 0.01,
    width: Annotated[int | None, Option(min=1, help="of the layers, by default 64 or, to improve, 256")] = None,
    seed: Annotated[int, Option(min=0, help="of initial weights, instances and exploration")] = 0,
    evaluations: Annotated[int, Option(min=1, help="how often to evaluate while training")] = 8,
    eval_episodes: Annotated[int, Option(min=1, help="validation instances")] = 100,
    test_episodes: Annotated[int, Option(min=1, help="test instances of the last table")] = 500,
    out: Annotated[Path, Option(help="folder for the model, the curve and the result")] = Path("runs/ppo"),
) -> None:
    """Train PPO on a problem in numbers, and put the policy in one table with every other agent."""
    check_choice("--view", view, RECIPES)
    steps, width = steps or RECIPES[view]["steps"], width or RECIPES[view]["width"]
    posed = make_problem(problem, parameters, level)

    def made() -> Construct | Improve:
        env = TextEnv(posed, reward=reward)
        return Construct(env, dense=dense) if view == "construct" else Improve(env)

    made()  # refuses what is wrong before anything slow is imported
    validation, test = held_out(posed, eval_episodes, split="validation"), held_out(posed, test_episodes)
    # OpenMP threads that spin-wait slow each other tenfold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with extra("sb3"):
        from sb3_contrib import MaskablePPO
        from stable_baselines3 import PPO
        from stable_baselines3.common.env_util import make_vec_env

        from forge_gym.adapters.sb3 import HeldOut, draw_curve
        from forge_gym.agents.sb3 import SB3Agent
        from forge_gym.training.element_policy import MaskableElementPolicy
    out.mkdir(parents=True, exist_ok=True)

    common: dict[str, Any] = {
        "n_steps": rollout,
        "batch_size": batch,
        "n_epochs": epochs,
        "learning_rate": lambda left: learning_rate * left,
        "ent_coef": entropy,
        "gamma": 1.0,  # episodes are short and end; what counts is their sum
        "seed": seed,
        "device": "cpu",
    }
    console, vector = make_console(), make_vec_env(made, envs, seed=seed)
    if view == "construct":
        attending = {"features_extractor_kwargs": {"width": width}}
        model = MaskablePPO(MaskableElementPolicy, vector, policy_kwargs=attending, **common)
    else:
        model = PPO("MultiInputPolicy", vector, policy_kwargs={"net_arch": [width, width]}, **common)

    def tell(entry: dict[str, Any]) -> None:
        scores = ", ".join(f"{metric} {entry[metric][0]:.3f}" for metric in SHOWN)
        console.print(f"step {entry['step']} of {steps}, {entry['seconds']:.0f} s, held out: {scores}")

    every = max(1, steps // evaluations)
    heldout = HeldOut(posed, validation, every=every, path=out / "curve.jsonl", tell=tell)
    start = time.perf_counter()
    try:
        model.learn(steps, callback=heldout)
    except KeyboardInterrupt:
        console.print("stopped: the policy as it is now is evaluated")
    trained_s = time.perf_counter() - start
    model.save(out / "model.zip")

    controls = [make_agent(name) for name in ("trivial", "random", "greedy", "local-search", "exact")]
    policy = SB3Agent(out / "model.zip", name=type(model).__name__)
    found = {agent.name: evaluate(agent, posed, test) for agent in (*controls, policy)}
    console.print(evaluation_table(list(found.values())))
    skill = {name: found[name].estimate("skill").mean for name in ("greedy", "local-search")}
    draw_curve(heldout.curve, out / "curve.png", skill, title=f"{policy.name} on {posed.name}")
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "train_s": round(trained_s, 1),
        "curve": heldout.curve,
        "test": {
            name: {metric: evaluation.estimate(metric)._asdict() for metric in SHOWN}
            for name, evaluation in found.items()
        },
    }
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    sizes = [] if level is None else ["--level", str(level)]
    sizes += ["--set", *parameters] if parameters else []
    again = shlex.join(["--agent", "greedy", f"sb3:{out / 'model.zip'}", "--env", problem, *sizes])
    console.print(f"trained in {trained_s:.0f} s; model, curve and result are in {out}; to evaluate it again:")
    console.print(f"forge-gym eval {again}")


if __name__ == "__main__":
    run(main)
