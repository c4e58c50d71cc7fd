"""Train a language-model agent with GRPO on certified optimisation problems, and show what it learned.

With no arguments, on two CPU cores, in a few minutes: build a small tokenizer and a small causal
language model, warm-start it on demonstrations of a randomised greedy heuristic (SFT), train it
with TRL's GRPO on the tiered reward, and evaluate base, SFT and GRPO policies, decoded greedily on
held-out instances, in one table with the random, greedy and exact agents.

    python examples/train_grpo.py

The same script takes a real model on CUDA (no warm start; prompts in prose, answers in tags):

    python examples/train_grpo.py --model Qwen/Qwen2.5-7B-Instruct-1M --use-vllm --bf16 \
        --gradient-checkpointing --lora 32 --parameters '{"n": 10}' --micro-batch 16 --steps 500 \
        --learning-rate 1e-5 --max-completion-length 4096 --out runs/qwen-tsp

A run that was stopped goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # OpenMP threads that spin-wait slow each other tenfold
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.progress import track
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Qwen3Config,
    Qwen3ForCausalLM,
    TrainerCallback,
    set_seed,
)
from transformers.utils import logging as transformers_logging
from trl import GRPOConfig, GRPOTrainer

import forge_gym
from forge_gym.adapters.trl import RewardFunction, make_dataset
from forge_gym.agents import make_agent
from forge_gym.agents.causal_lm import TransformersAgent
from forge_gym.core.problem import Instance, Problem
from forge_gym.evaluation.evaluate import Evaluation, evaluate, held_out
from forge_gym.evaluation.report import evaluation_table
from forge_gym.evaluation.stats import bootstrap

console = Console() if Console().is_terminal else Console(width=110)


@dataclass
class Args:
    """Settings of a run; the defaults are the two-core recipe."""

    problem: str = "TSP"
    """Problem to train on; see `forge-gym list`."""
    parameters: str = ""
    """Its parameters as JSON. Empty: n=6 on a 5 by 5 grid, 100 units apart, for TSP from scratch."""
    model: str = ""
    """A causal language model, folder or hub name. Empty: a small one, built and warm-started here."""
    reward: str = "tiered"
    """Reward scheme."""
    seed: int = 0
    """Seed of weights, data and sampling."""
    out: Path = Path("runs/train_grpo")
    """Folder of checkpoints, results.json and reward.png."""

    hidden: int = 64
    """Width of the from-scratch model; 4 heads, feed-forward three times as wide."""
    layers: int = 3
    """Depth of the from-scratch model."""

    sft_steps: int = 600
    """Steps of the warm start."""
    sft_batch: int = 256
    """Demonstrations per step, each seen once."""
    sft_learning_rate: float = 3e-3
    """Peak of a one-cycle schedule."""
    slip: float = 0.15
    """Probability that a choice of the demonstrating heuristic is its second best. Demonstrations
    without any leave a policy with nothing to explore."""

    steps: int = 250
    """Steps of GRPO."""
    prompts: int = 32
    """Instances per step and process."""
    group: int = 16
    """Rollouts per instance."""
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

    test_episodes: int = 1000
    """Held-out instances, none of which occurs in training."""


def main(args: Args) -> None:
    """Run every stage that has not been run yet, and print the table."""
    started = time.monotonic()
    claim(args)
    set_seed(args.seed)
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    problem = make_problem(args)
    test = held_out(problem, args.test_episodes)
    results: dict[str, Evaluation] = {}

    def measure(name: str, model: str) -> None:
        agent = TransformersAgent(
            model,
            name=name,
            batch_size=256 if not args.model else 32,
            max_new_tokens=completion_length(args, problem),
        )
        with console.status(f"evaluating {name}"):
            results[name] = evaluate(agent, problem, test)

    if args.model:
        start = args.model
        measure("base", start)
    else:
        base, start = build(args, problem), str(args.out / "sft")
        measure("base", base)
        warm_start(args, problem, base, start, test)
        measure("SFT", start)
    log_history = train(args, problem, start, test)
    measure("GRPO", str(args.out / "final"))
    for name in ("random", "greedy", "exact"):
        results[name] = evaluate(make_agent(name), problem, test)

    order = [name for name in ("random", "greedy", "exact", "base", "SFT", "GRPO") if name in results]
    console.print(evaluation_table([results[name] for name in order]))
    gains = {
        f"GRPO - {name}": bootstrap(
            np.subtract(results["GRPO"].values("quality"), results[name].values("quality"))
        )
        for name in order[:-1]
    }
    for name in ("SFT", "base", "greedy"):
        if gain := gains.get(f"GRPO - {name}"):
            console.print(
                f"quality, GRPO - {name}: {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] (paired)"
            )
    write(
        args.out / "results.json",
        json.dumps(
            {
                "arguments": {
                    key: str(value) if isinstance(value, Path) else value
                    for key, value in asdict(args).items()
                },
                "problem": repr(problem),
                "seconds": round(time.monotonic() - started, 1),
                "agents": [results[name].to_dict() for name in order],
                "paired_quality": {name: gain._asdict() for name, gain in gains.items()},
                "curve": log_history,
            },
            indent=1,
        ),
    )
    draw_curve(args.out / "reward.png", log_history)
    console.print(
        f"wrote {args.out / 'results.json'} and {args.out / 'reward.png'} after {time.monotonic() - started:.0f} s"
    )


def claim(args: Args) -> None:
    """Make the run's folder; refuse one that holds a run with other settings."""
    args.out.mkdir(parents=True, exist_ok=True)
    settings = json.dumps({key: str(value) for key, value in asdict(args).items() if key != "out"}, indent=1)
    path = args.out / "arguments.json"
    if path.exists() and path.read_text() != settings:
        raise ValueError(
            f"out must be a new folder or one of the same settings, got {args.out}: give another --out"
        )
    write(path, settings)


def write(path: Path, text: str) -> None:
    """Write a whole file or nothing."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def make_problem(args: Args) -> Problem[Any, Any]:
    """Compact prompts and bare answers for a from-scratch model, prose and tags for a real one."""
    parameters = json.loads(args.parameters or "{}")
    if args.model:
        return forge_gym.problem(args.problem, **parameters)
    if args.problem == "TSP" and not args.parameters:
        # Over a million instances, each city one token, distances fine enough to tell tours apart.
        parameters = {"n": 6, "grid": 5, "spacing": 100}
    return forge_gym.problem(args.problem, style="compact", answer_format="raw", **parameters)


def completion_length(args: Args, problem: Problem[Any, Any]) -> int:
    """Tokens that a reply may take: for a from-scratch model those of an answer and its end."""
    if args.max_completion_length or args.model:
        return args.max_completion_length or 2048
    answers = [demonstration(problem, args, i)[1] for i in range(100)]
    return max(len(answer.split()) for answer in answers) + 1


# ------------------------------------------------------------------------------- from-scratch model


def build(args: Args, problem: Problem[Any, Any]) -> str:
    """Build a word-level tokenizer and a small model with random weights; return their folder."""
    folder = args.out / "base"
    if (folder / "complete").exists():
        return str(folder)
    texts = [
        " ".join(demonstration(problem, args, i)) for i in track(range(20_000), "tokenizer", console=console)
    ]
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=["<pad>", "<eos>", "<unk>"]))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=args.hidden,
            intermediate_size=3 * args.hidden,
            num_hidden_layers=args.layers,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=args.hidden // 4,
            tie_word_embeddings=True,
            max_position_embeddings=2048,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
    return save(model, tokenizer, folder)


def save(model: Any, tokenizer: Any, folder: Path) -> str:
    """Save model and tokenizer; the file `complete` says that all of it is there."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "complete").touch()
    return str(folder)


def demonstration(problem: Problem[Any, Any], args: Args, index: int) -> tuple[str, str]:
    """Return prompt and reply of the randomised greedy heuristic on training instance ``index``."""
    instance = problem.instance(args.seed, index)
    rng = np.random.default_rng(np.random.SeedSequence([args.seed, index]))
    return problem.prompt(instance), problem.format(instance, problem.heuristic(instance, rng, args.slip))


def warm_start(args: Args, problem: Problem[Any, Any], base: str, folder: str, test: list[Instance]) -> None:
    """Train on demonstrations, loss on the reply only; keeps a checkpoint to resume from."""
    if (Path(folder) / "complete").exists():
        return
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.sft_learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.sft_learning_rate, total_steps=args.sft_steps, pct_start=0.05
    )
    checkpoint = args.out / "sft.pt"
    first, data_index = 0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first, data_index = state["step"], state["data_index"]
    batches = demonstrations(problem, args, data_index, {problem.prompt(instance) for instance in test})
    for step in track(range(first, args.sft_steps), "warm start", console=console):
        if step > first and step % args.save_steps == 0:
            torch.save(
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "step": step,
                    "data_index": data_index,
                },
                checkpoint.with_suffix(".tmp"),
            )
            checkpoint.with_suffix(".tmp").replace(checkpoint)
        batch = [next(batches) for _ in range(args.sft_batch)]
        data_index = batch[-1][0] + 1
        loss = model(**collate(tokenizer, batch)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    save(model, tokenizer, Path(folder))
    checkpoint.unlink(missing_ok=True)


def demonstrations(
    problem: Problem[Any, Any], args: Args, start: int, held: set[str]
) -> Iterator[tuple[int, str, str]]:
    """Yield index, prompt and reply, each once, without the held-out prompts."""
    for index in count(start):
        prompt, reply = demonstration(problem, args, index)
        if prompt not in held:
            yield index, prompt, reply


def collate(tokenizer: Any, batch: list[tuple[int, str, str]]) -> dict[str, torch.Tensor]:
    """Return (batch, length) token ids, padded on the right, with labels on the replies."""
    prompts = tokenizer([prompt for _, prompt, _ in batch])["input_ids"]
    replies = tokenizer([reply for _, _, reply in batch])["input_ids"]
    length = max(len(prompt) + len(reply) + 1 for prompt, reply in zip(prompts, replies, strict=True))
    ids = torch.full((len(batch), length), tokenizer.pad_token_id)
    labels = torch.full_like(ids, -100)
    for row, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        text = torch.tensor([*prompt, *reply, tokenizer.eos_token_id])
        ids[row, : len(text)] = text
        labels[row, len(prompt) : len(text)] = text[len(prompt) :]
    return {"input_ids": ids, "labels": labels, "attention_mask": (ids != tokenizer.pad_token_id).long()}


# ------------------------------------------------------------------------------------------- GRPO


class MarkComplete(TrainerCallback):
    """Mark checkpoints that were written to the end, so that a killed run resumes from a whole one."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Touch the mark."""
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / "complete").touch()


def train(args: Args, problem: Problem[Any, Any], start: str, test: list[Instance]) -> list[dict[str, float]]:
    """Train with GRPO from the model in ``start``; return the log, one entry per step."""
    final, history = args.out / "final", args.out / "history.json"
    if (final / "complete").exists():
        found: list[dict[str, float]] = json.loads(history.read_text())
        return found
    size = args.steps * args.prompts
    dataset = make_dataset(
        problem,
        size,
        seed=args.seed + 1,
        chat=bool(args.model),
        progress=lambda rows: iter(track(rows, "instances", total=size, console=console)),
    )
    held = {problem.digest(instance) for instance in test}
    if not args.model:  # one prompt for all orders of the cities, so compare prompts
        held = {problem.prompt(instance) for instance in test}
    key = "prompt" if not args.model else "instance_hash"
    dataset = dataset.filter(lambda row: row[key] not in held)
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
        max_completion_length=completion_length(args, problem),
        mask_truncated_completions=bool(args.model),
        bf16=args.bf16,
        gradient_checkpointing=args.gradient_checkpointing,
        use_vllm=args.use_vllm,
        use_cpu=not torch.cuda.is_available(),
        # Weights that are trained stay in float32 under bf16: a step of 1e-6 would round to nothing.
        model_init_kwargs={"dtype": "bfloat16" if args.bf16 and args.lora else "float32"},
        logging_steps=1,
        report_to="tensorboard",
        disable_tqdm=True,
        log_level="error",
        **({"vllm_mode": "colocate"} if args.use_vllm else {}),
    )
    trainer = GRPOTrainer(
        start,
        RewardFunction(args.reward, group_size=args.group),
        config,
        train_dataset=dataset,
        processing_class=AutoTokenizer.from_pretrained(start, padding_side="left"),
        callbacks=[MarkComplete(), Progress(args.steps)],
        peft_config=lora(args),
    )
    trainer.remove_callback(PrinterCallback)
    checkpoints = [path.parent for path in args.out.glob("checkpoint-*/complete")]
    last = max(checkpoints, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    write(history, json.dumps(log))
    model = trainer.accelerator.unwrap_model(trainer.model)
    save(model.merge_and_unload() if args.lora else model, trainer.processing_class, final)
    return log


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
        if logs and "reward" in logs and state.global_step % max(1, self.steps // 10) == 0:
            numbers = ", ".join(
                f"{name} {logs[key]:.3f}"
                for name, key in (
                    ("reward", "reward"),
                    ("feasible", "forge/feasible"),
                    ("quality", "forge/quality"),
                    ("skill", "forge/skill"),
                    ("optimal", "forge/optimal"),
                )
                if key in logs
            )
            console.print(f"GRPO step {state.global_step}/{self.steps}: {numbers}")


def draw_curve(path: Path, log: list[dict[str, float]]) -> None:
    """Draw reward and quality of the rollouts over the steps, with running means."""
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
    ax.set_xlabel("GRPO step")
    ax.set_title("training rollouts, temperature 1")
    ax.legend()
    ax.grid(alpha=0.3)
    figure.savefig(path)


if __name__ == "__main__":
    main(tyro.cli(Args))
