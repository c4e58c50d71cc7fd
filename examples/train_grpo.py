"""Train a language-model agent with GRPO on certified optimisation problems, and show what it learned.

With no arguments, on two CPU cores, in a few minutes: build a small tokenizer and a small causal
language model, warm-start it on demonstrations of a randomised greedy heuristic (SFT), train it
with TRL's GRPO on the tiered reward, and evaluate base, SFT and GRPO policies, decoded greedily on
held-out instances, in one table with random, greedy, local search and exact agents.

    python examples/train_grpo.py

Other problems, several problems in one policy, levels of difficulty, a curriculum that follows the learner:

    python examples/train_grpo.py --problem GraphColoring --out runs/colouring
    python examples/train_grpo.py --problem TSP GraphColoring Knapsack --out runs/three
    python examples/train_grpo.py --problem TSP --levels 0 1 2 3 --curriculum --out runs/window

The same script takes a real model on CUDA (no warm start; prompts in prose, answers in tags); see
docs/training.md for one GPU, several, and the published scale:

    python examples/train_grpo.py --model Qwen/Qwen2.5-7B-Instruct-1M --use-vllm --bf16 \
        --gradient-checkpointing --lora 32 --levels 2 3 4 --micro-batch 16 --steps 500 \
        --learning-rate 1e-5 --max-completion-length 4096 --out runs/qwen-tsp

A run that was stopped goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # OpenMP threads that spin-wait slow each other tenfold
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import numpy as np
import torch
import tyro
from accelerate import PartialState
from datasets import Dataset, load_from_disk
from rich.console import Console
from rich.progress import track
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback, set_seed
from transformers.utils import logging as transformers_logging
from trl import GRPOConfig, GRPOTrainer

import forge_gym
from forge_gym.adapters.trl import (
    HeldOut,
    JsonLines,
    RewardFunction,
    Rollout,
    SaveState,
    Stream,
    Watch,
    last_checkpoint,
    make_dataset,
)
from forge_gym.agents import Agent, make_agent
from forge_gym.agents.causal_lm import TransformersAgent
from forge_gym.cli.terminal import progress_bar
from forge_gym.core.checks import check_choice
from forge_gym.core.instance import Instance
from forge_gym.core.problem import Problem
from forge_gym.core.registry import problem_class
from forge_gym.core.verdict import METRICS
from forge_gym.data.rows import replacing
from forge_gym.evaluation.evaluate import Evaluation, evaluate, held_out
from forge_gym.evaluation.report import evaluation_table
from forge_gym.evaluation.statistics import bootstrap
from forge_gym.training.curriculum import Curriculum
from forge_gym.training.demonstrations import Demonstrations
from forge_gym.training.scratch import build_model, chat_tokenizer, save, word_tokenizer
from forge_gym.training.sft import fine_tune

console = Console() if Console().is_terminal else Console(width=110)


@dataclass
class Args:
    """Settings of a run; the defaults are the two-core recipe."""

    problem: tuple[str, ...] = ("TSP",)
    """Problems to train on, in equal shares; see `forge-gym list`."""
    parameters: str = ""
    """Their parameters as JSON, for one problem; for several, by name. Empty: small ones from scratch, the
    defaults for a given model."""
    levels: tuple[int, ...] = ()
    """Levels of difficulty, in equal shares; they set the sizes. The held-out suite has the same."""
    curriculum: bool = False
    """Start at the lowest of the levels and let a window of levels follow the learner."""
    train_on: tuple[str, ...] = ()
    """Some of the problems, to which GRPO is limited; all are warm-started on and evaluated."""
    model: str = ""
    """A causal language model, folder or hub name. Empty: a small one, built and warm-started here."""
    start: str = ""
    """A folder with a model that was warm-started before by this script; skips that stage."""
    reward: str = "tiered"
    """Reward scheme."""
    seed: int = 0
    """Seed of weights, data and sampling."""
    out: Path = Path("runs/train_grpo")
    """Folder of checkpoints, log.jsonl, results.json and reward.png."""

    size: str = "tiny"
    """Size of the from-scratch model: tiny, 1m, 5m, 25m or 100m."""
    style: str = ""
    """compact or prose. Empty: compact from scratch, prose for a given model."""

    sft_steps: int = 600
    """Steps of the warm start."""
    sft_batch: int = 256
    """Demonstrations per step, each seen once."""
    sft_learning_rate: float = 3e-3
    """Peak of a one-cycle schedule."""
    mix: str = '{"greedy": 1}'
    """Teachers' shares as JSON: greedy, random, search, exact."""
    epsilon: float = 0.15
    """Probability that a choice of the demonstrating heuristic is its second best. Demonstrations
    without any leave a policy with nothing to explore."""

    steps: int = 250
    """Steps of GRPO; 0 stops after the warm start."""
    prompts: int = 32
    """Instances per step and process."""
    group: int = 16
    """Rollouts per instance."""
    turns: int = 1
    """Replies per rollout; after each the policy reads the verdict and may revise, and the best counts.
    For chat models: one from scratch has no words for feedback, see train_multi_turn.py."""
    learning_rate: float = 5e-4
    """Decays linearly to 0; for a pretrained model some 1e-6 (full) or 1e-5 (LoRA)."""
    beta: float = 0.0
    """Weight of the KL term."""
    scale_rewards: str = "none"
    """none, batch or group. A dense reward needs no scaling by a group's deviation, which would blow up
    groups of nearly equal answers."""
    temperature: float = 1.0
    """Of the rollouts."""
    max_completion_length: int = 0
    """In tokens. 0: the longest answer of a from-scratch model, 2048 for a given one."""
    micro_batch: int = 0
    """Rollouts per forward pass; 0 takes all of a step at once, as small models on a CPU may."""
    save_steps: int = 50
    """Steps between checkpoints, of the warm start as of GRPO."""

    bf16: bool = False
    """Compute in bfloat16 (CUDA)."""
    gradient_checkpointing: bool = False
    """Trade compute for memory."""
    lora: int = 0
    """Rank of LoRA adapters; 0 trains all weights."""
    use_vllm: bool = False
    """Generate rollouts with vLLM in the same process (CUDA; vLLM installed)."""
    report_to: str = "tensorboard"
    """tensorboard, trackio, wandb or none; log.jsonl is always written."""

    test_episodes: int = 1000
    """Held-out instances per problem, none of which occurs in training."""
    test_split: str = "test"
    """test, or validation while settings are chosen."""
    eval_steps: int = 0
    """Steps between scores on 100 fixed held-out instances per problem while training; 0: a tenth of all."""
    best_of: int = 16
    """Samples per instance for the best of k of the warm-started policy; 0 leaves it out."""


def main(args: Args) -> None:
    """Run every stage that has not been run yet, and print the table."""
    started = time.monotonic()
    PartialState(cpu=not torch.cuda.is_available())  # joins the other processes, if there are any
    claim(args)
    set_seed(args.seed)
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    problems = make_problems(args)
    suite = held_out_suite(args, problems, args.test_split, args.test_episodes)
    exclude = {problem.prompt(instance) for problem, instances in suite for instance in instances}

    folders = {"SFT": args.start} if args.start else {"base": args.model}
    if not args.model and not args.start:
        with PartialState().main_process_first():  # the others find it done
            folders = {"base": str(build(args, problems))}
        folders["SFT"] = str(warm_start(args, problems, exclude))
    start = list(folders.values())[-1]
    history: list[dict[str, float]] = []
    if args.steps:
        history = train(args, problems, start, exclude)
        folders["GRPO"] = str(args.out / "final")
    if not PartialState().is_main_process:
        return

    limit = completion_length(args, problems)
    agents: dict[str, Agent] = {
        name: make_agent(name) for name in ("random", "greedy", "local-search", "exact")
    }
    for name, folder in folders.items():
        agents[name] = TransformersAgent(folder, name=name, max_new_tokens=limit, batch_size=500)
    results = {name: [score(args, agent, *part) for part in suite] for name, agent in agents.items()}
    if args.best_of and "SFT" in folders:
        sampler = TransformersAgent(
            folders["SFT"], name="SFT", max_new_tokens=limit, batch_size=500, temperature=1.0, seed=args.seed
        )
        results["SFT best of k"] = [score(args, sampler, *part, samples=args.best_of) for part in suite]
    report(args, problems, results, history, started)


def score(
    args: Args, agent: Agent, problem: Problem[Any, Any], instances: list[Instance], samples: int = 1
) -> Evaluation:
    """Evaluate one agent on one problem, with a progress bar."""
    quiet = not console.is_terminal
    batches = track(
        range(0, len(instances), 500), f"{agent.name} on {problem.name}", console=console, disable=quiet
    )
    parts = [
        evaluate(agent, problem, instances[i : i + 500], samples=samples, turns=args.turns, batch_size=2000)
        for i in batches
    ]
    verdicts = tuple(verdict for part in parts for verdict in part.verdicts)
    return Evaluation(agent.name, problem, verdicts)


def report(
    args: Args,
    problems: list[Problem[Any, Any]],
    results: dict[str, list[Evaluation]],
    history: list[dict[str, float]],
    started: float,
) -> None:
    """Print the tables and write results.json and reward.png."""
    best = results.pop("SFT best of k", [])
    order = ["random", "greedy", "local-search", "exact", "base", "SFT", "GRPO"]
    results = {name: results[name] for name in order if name in results}
    policy = list(results)[-1]
    rows: list[dict[str, Any]] = []
    for i, problem in enumerate(problems):
        console.print(evaluation_table([evaluations[i] for evaluations in results.values()]))
        row: dict[str, Any] = {
            "problem": problem.name,
            "parameters": problem.parameters,
            "levels": args.levels,
        }
        row["agents"] = {name: evaluations[i].to_dict() for name, evaluations in results.items()}
        if best:
            counts = sorted({1, min(16, args.best_of), args.best_of})
            row["sft_best_of"] = {
                k: {metric: bootstrap(best[i].best(metric, k))._asdict() for metric in METRICS}
                for k in counts
            }
            said = ", ".join(
                f"{k}: {numbers['quality']['mean']:.3f} / {numbers['skill']['mean']:.3f}"
                for k, numbers in row["sft_best_of"].items()
            )
            console.print(f"{problem.name}, SFT best of k samples, quality / skill: {said}")
        mine = results[policy][i]
        row["gains"] = {
            name: {
                metric: bootstrap(np.subtract(mine.values(metric), evaluations[i].values(metric)))._asdict()
                for metric in ("quality", "skill")
            }
            for name, evaluations in results.items()
            if name != policy
        }
        for name in ("SFT", "greedy", "local-search"):
            if gain := row["gains"].get(name):
                console.print(
                    f"{problem.name}: {policy} - {name}, paired: "
                    + ", ".join(
                        f"{metric} {found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
                        for metric, found in gain.items()
                    )
                )
        # What another run's policy can be compared with, instance by instance.
        row["values"] = {
            metric: [round(value, 4) for value in mine.values(metric)]
            for metric in ("quality", "skill", "optimal")
        }
        rows.append(row)
    seconds = round(time.monotonic() - started, 1)
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(args).items()}
    found = {
        "command": " ".join(["python", *sys.argv]),
        "arguments": settings,
        "versions": {name: version(name) for name in ("forge-gym", "torch", "transformers", "trl", "numpy")},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "seconds": seconds,
        "rollouts": args.steps * args.prompts * args.group,
        "problems": rows,
        "curve": [entry for entry in history if "reward" in entry],
        "heldout": [entry for entry in history if "heldout/quality" in entry],
    }
    with replacing(args.out / "results.json") as file:
        file.write_text(json.dumps(found, indent=1))
    if history:
        draw_curve(args.out / "reward.png", found["curve"], found["heldout"])
    console.print(f"wrote {args.out / 'results.json'} after {seconds:.0f} s")


def claim(args: Any) -> None:
    """Make the folder ``out`` of a run's settings; refuse one that holds a run with other settings."""
    args.out.mkdir(parents=True, exist_ok=True)
    settings = json.dumps({key: str(value) for key, value in asdict(args).items() if key != "out"}, indent=1)
    path = args.out / "arguments.json"
    if path.exists() and path.read_text() != settings:
        raise ValueError(
            f"out must be a new folder or one of the same settings, got {args.out}: give another --out"
        )
    if PartialState().is_main_process:
        with replacing(path) as file:
            file.write_text(settings)


def make_problems(args: Args) -> list[Problem[Any, Any]]:
    """Compact prompts and bare answers for a from-scratch model, prose and tags for a real one."""
    for name in args.train_on:
        check_choice("train_on", name, args.problem)
    given = json.loads(args.parameters or "{}")
    parameters = {args.problem[0]: given} if len(args.problem) == 1 else given
    style = args.style or ("prose" if args.model else "compact")
    found = []
    for name in args.problem:
        own = dict(parameters.get(name, {}))
        if not args.model:
            recipe = dict(getattr(problem_class(name), "scratch", {}))
            if args.levels:  # which set the size
                recipe.pop("n", None)
            own = recipe | own
        form = {"style": style, "answer_format": "raw" if style == "compact" else "tags"}
        found.append(forge_gym.problem(name, **form, **own))
    return found


def at_levels(args: Args, problems: list[Problem[Any, Any]]) -> list[Problem[Any, Any]]:
    """Return every problem at every level of the run."""
    if not args.levels:
        return problems
    return [problem.at_level(level) for level in args.levels for problem in problems]


def held_out_suite(
    args: Args, problems: list[Problem[Any, Any]], split: str, episodes: int
) -> list[tuple[Problem[Any, Any], list[Instance]]]:
    """Return fixed instances of every problem, the same number of each level."""
    levels = len(args.levels) or 1
    suite = []
    for problem in problems:
        leveled = at_levels(args, [problem])
        share = max(1, episodes // levels)
        found = [instance for own in leveled for instance in held_out(own, share, split=split)]
        suite.append((leveled[-1], found))
    return suite


def completion_length(args: Args, problems: list[Problem[Any, Any]]) -> int:
    """Tokens that a reply may take: for a from-scratch model those of an answer and its end."""
    if args.max_completion_length or args.model or args.style == "prose":
        return args.max_completion_length or 2048
    stream = demonstrations(args, problems).stream()
    return max(len(example.reply.split()) for example in islice(stream, 100 * len(problems))) + 1


# ----------------------------------------------------------------------------------- warm start


def demonstrations(
    args: Args, problems: list[Problem[Any, Any]], exclude: Any = frozenset()
) -> Demonstrations:
    """Return the teacher of the warm start."""
    return Demonstrations(at_levels(args, problems), json.loads(args.mix), args.epsilon, args.seed, exclude)


def build(args: Args, problems: list[Problem[Any, Any]]) -> Path:
    """Build a tokenizer and a model with random weights; return their folder."""
    folder = args.out / "base"
    if not (folder / "complete").exists():
        stream = islice(demonstrations(args, problems).stream(), 20_000)
        texts = [f"{e.prompt} {e.reply}" for e in track(stream, "tokenizer", total=20_000, console=console)]
        tokenizer = word_tokenizer(texts) if args.style != "prose" else chat_tokenizer(texts[:2000], 2048)
        save(build_model(args.size, tokenizer, seed=args.seed), tokenizer, folder)
    return folder


def warm_start(args: Args, problems: list[Problem[Any, Any]], exclude: set[str]) -> Path:
    """Train the base model on demonstrations; keeps a checkpoint to resume from."""
    folder = args.out / "sft"
    if not (folder / "complete").exists():
        tokenizer = AutoTokenizer.from_pretrained(args.out / "base")
        model = AutoModelForCausalLM.from_pretrained(args.out / "base", dtype=torch.float32)
        with progress_bar("warm start", args.sft_steps) as advance:
            fine_tune(
                model,
                tokenizer,
                demonstrations(args, problems, exclude).stream,
                args.out / "warm",
                steps=args.sft_steps,
                batch=args.sft_batch,
                learning_rate=args.sft_learning_rate,
                bf16=args.bf16,
                save_steps=args.save_steps,
                seed=args.seed,
                save_to=folder,
                progress=advance,
            )
    return folder


# ------------------------------------------------------------------------------------------- GRPO


def train(
    args: Args, problems: list[Problem[Any, Any]], start: str, exclude: set[str]
) -> list[dict[str, float]]:
    """Train with GRPO from the model in ``start``; return the log, one entry per step."""
    final, history = args.out / "final", args.out / "history.json"
    if (final / "complete").exists():
        found: list[dict[str, float]] = json.loads(history.read_text())
        return found
    monitor = held_out_suite(args, problems, "validation", 100)
    exclude = exclude | {problem.prompt(instance) for problem, instances in monitor for instance in instances}
    chat = bool(args.model) or args.style == "prose"
    own = [problem for problem in problems if not args.train_on or problem.name in args.train_on]
    stream, size = None, args.steps * args.prompts * PartialState().num_processes
    if args.curriculum:
        lowest = min(args.levels, default=0)
        stream = Stream(Curriculum(own, seed=args.seed + 1, start=lowest), chat=chat, exclude=exclude)
        dataset: Any = stream.dataset()
    else:
        dataset = rows(args, own, size, chat, exclude)
    rollout = None
    if args.turns > 1:
        # A stream's rows are told as they are read; four batches are more than the trainer reads ahead.
        batch = args.prompts * PartialState().num_processes
        rollout = Rollout([] if stream else dataset, turns=args.turns, memory=4 * batch if stream else None)
        dataset = dataset.map(rollout.register) if stream else dataset
    reward = RewardFunction(args.reward, group_size=args.group, stream=stream)
    limit = completion_length(args, problems)
    rollouts = args.prompts * args.group
    micro = args.micro_batch or rollouts
    config = GRPOConfig(
        output_dir=str(args.out),
        seed=args.seed,
        max_steps=args.steps,
        save_steps=args.save_steps,
        save_total_limit=2,
        num_generations=args.group,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=max(1, rollouts // micro),
        learning_rate=args.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=5,
        max_grad_norm=1.0,
        adam_beta2=0.99,
        beta=args.beta,
        loss_type="dr_grpo",
        scale_rewards=args.scale_rewards,
        temperature=args.temperature,
        max_completion_length=limit * args.turns if args.turns > 1 and not args.model else limit,
        mask_truncated_completions=chat,
        shuffle_dataset=stream is None,
        ignore_data_skip=stream is not None,  # the stream itself knows where it is
        bf16=args.bf16,
        gradient_checkpointing=args.gradient_checkpointing,
        use_vllm=args.use_vllm,
        use_cpu=not torch.cuda.is_available(),
        # Weights that are trained stay in float32 under bf16: a step of 1e-6 would round to nothing.
        model_init_kwargs={"dtype": "bfloat16" if args.bf16 and args.lora else "float32"},
        logging_steps=1,
        report_to=args.report_to,
        disable_tqdm=True,
        log_level="error",
        **({"vllm_mode": "colocate"} if args.use_vllm else {}),
    )
    state = SaveState(reward)
    trainer = GRPOTrainer(
        start,
        reward,
        config,
        train_dataset=dataset,
        processing_class=AutoTokenizer.from_pretrained(start, padding_side="left"),
        callbacks=[state, JsonLines(args.out / "log.jsonl"), Watch(), Progress(args.steps)],
        peft_config=lora(args),
        rollout_func=rollout,
    )
    trainer.remove_callback(PrinterCallback)
    every = args.eval_steps or max(1, args.steps // 10)
    HeldOut(monitor, every=every, max_new_tokens=limit).attach(trainer)
    last = last_checkpoint(args.out)
    if last:
        state.restore(trainer, last)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    log: list[dict[str, float]] = trainer.state.log_history
    if trainer.accelerator.is_main_process:
        with replacing(history) as file:  # before the mark that all is done
            file.write_text(json.dumps(log))
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:  # weights in parts: all processes save
        trainer.save_model(str(final))
        trainer.accelerator.wait_for_everyone()
        (final / "complete").touch()
    elif trainer.accelerator.is_main_process:
        model = trainer.accelerator.unwrap_model(trainer.model)
        save(model.merge_and_unload() if args.lora else model, trainer.processing_class, final)
    trainer.accelerator.wait_for_everyone()
    return log


def rows(args: Args, problems: list[Problem[Any, Any]], size: int, chat: bool, exclude: set[str]) -> Dataset:
    """Return the training rows; kept beside the model that training starts from, since labels take their time."""
    what = json.dumps([*map(repr, problems), args.levels, size, args.seed, chat, *sorted(exclude)])
    parent = Path(args.start).parent if args.start else args.out
    folder = parent / f"rows-{hashlib.sha256(what.encode()).hexdigest()[:16]}"
    with PartialState().main_process_first():
        if not folder.exists():
            made = make_dataset(
                problems,
                size,
                levels=args.levels or None,
                seed=args.seed + 1,
                chat=chat,
                exclude=exclude,
                progress=lambda found: iter(track(found, "instances", total=size, console=console)),
            )
            temporary = folder.with_name(f"{folder.name}.{os.getpid()}")
            made.save_to_disk(temporary)
            try:
                temporary.rename(folder)
            except OSError:  # another run was quicker
                shutil.rmtree(temporary)
    return load_from_disk(folder)


def lora(args: Args) -> Any:
    """Return the configuration of LoRA adapters, or None."""
    if not args.lora:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=args.lora, lora_alpha=2 * args.lora, target_modules="all-linear", task_type="CAUSAL_LM"
    )


class Progress(TrainerCallback):
    """Print what matters, now and then, in place of the trainer's dictionaries."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Print a line every tenth of the way."""
        if not logs or not state.is_world_process_zero:
            return
        if "heldout/quality" in logs:
            numbers = ", ".join(
                f"{name} {logs[f'heldout/{name}']:.3f}" for name in ("success", "quality", "skill")
            )
            console.print(f"step {state.global_step}/{self.steps}, held out: {numbers}")
        elif "reward" in logs and state.global_step % max(1, self.steps // 10) == 0:
            numbers = ", ".join(
                f"{name} {logs[key]:.3f}"
                for name, key in (
                    ("reward", "reward"),
                    ("feasible", "forge/feasible"),
                    ("quality", "forge/quality"),
                    ("skill", "forge/skill"),
                    ("groups with signal", "forge/effective_groups"),
                )
                if key in logs
            )
            console.print(f"step {state.global_step}/{self.steps}, rollouts: {numbers}")


def draw_curve(path: Path, log: list[dict[str, float]], heldout: list[dict[str, float]]) -> None:
    """Draw reward and quality of the rollouts over the steps, with running means, and held-out scores."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    ax = figure.add_subplot()
    for key, colour in (
        ("reward", "tab:blue"),
        ("forge/quality", "tab:green"),
        ("forge/optimal", "tab:orange"),
    ):
        values = np.array([entry[key] for entry in log])
        window = max(1, len(values) // 25)
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        ax.plot(np.arange(1, len(values) + 1), values, color=colour, alpha=0.25)
        ax.plot(np.arange(window, len(values) + 1), smooth, color=colour, label=key.rpartition("/")[2])
    steps = [entry["step"] for entry in heldout]
    for metric, style in (("quality", "o-"), ("skill", "s--")):
        values = [entry[f"heldout/{metric}"] for entry in heldout]
        ax.plot(
            steps, values, style, color="black", markersize=3, linewidth=1, label=f"held-out {metric}, greedy"
        )
    ax.set_xlabel("GRPO step")
    ax.set_title("rollouts at the training temperature, and held-out scores")
    ax.legend()
    ax.grid(alpha=0.3)
    figure.savefig(path)


if __name__ == "__main__":
    main(tyro.cli(Args))
    PartialState().destroy_process_group()  # or its threads may outlive the interpreter, and abort it
