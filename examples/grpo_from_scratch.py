"""Train a language model on a problem with a certified optimum: from nothing, on two CPU cores, in minutes.

A small causal language model is fine-tuned on answers of a randomised greedy heuristic (SFT), and trained with TRL's
GRPO on a reward that measures the distance to the optimum. Its answers to unseen instances are compared with others.

    python examples/grpo_from_scratch.py
    python examples/grpo_from_scratch.py --problem GraphColoring --sft-steps 1000 --steps 300 --out runs/colouring
    python examples/grpo_from_scratch.py --levels 0 1 2 3 --curriculum --out runs/window
    python examples/grpo_from_scratch.py --model FOLDER_OR_NAME --grpo '{"learning_rate": 1e-6}' --out runs/given

The same command continues a stopped run. For large models on GPUs see grpo.sh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from forge_gym.agents import make_agent
from forge_gym.agents.causal_lm import TransformersAgent
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.training.demonstrations import Demonstrations
from forge_gym.training.runs import finish, finished, grpo_options, report, start
from forge_gym.training.scratch import GRPO, build_model, word_tokenizer


@dataclass
class Args:
    """Settings of a run; the defaults train a tiny model on tours of six cities."""

    problem: str = "TSP"  # see `forge-gym list`; a model that was trained here knows its own
    parameters: str = "{}"  # parameters of the problem as JSON; from scratch beside those that make it small
    levels: tuple[int, ...] = ()  # levels of difficulty, which set the size
    curriculum: bool = False  # start at the lowest of the levels; a window of levels follows the learner
    model: str = ""  # a causal language model, folder or hub name; by default a small one is built
    size: str = "tiny"  # of the model that is built: tiny, 1m, 5m, 25m or 100m
    seed: int = 0  # of weights, data and sampling
    out: Path = Path("runs/grpo_from_scratch")  # folder of the model, results.json, table.txt and reward.png
    sft_steps: int = 600  # steps of the warm start; 0 for none
    sft_batch: int = 256  # demonstrations per step, each seen once
    sft_learning_rate: float = 3e-3  # for a pretrained model some 1e-5
    epsilon: float = 0.15  # how often a demonstration takes the second best choice: without, nothing is explored
    reward: str = "tiered"  # reward scheme, see `forge-gym rewards`
    steps: int = 250  # steps of GRPO; 0 for none
    prompts: int = 32  # instances per step
    group: int = 16  # rollouts per instance
    grpo: str = "{}"  # more arguments of TRL's GRPOConfig as JSON
    max_new_tokens: int = 0  # longest reply; by default the longest answer from scratch, 1024 for a given model
    save_steps: int = 50  # steps between checkpoints
    test_episodes: int = 1000  # held-out instances
    split: str = "test"  # of the held-out instances; validation while settings are chosen


def main(args: Args, problems: list[Any], limit: int) -> None:
    """Run the stages that are not done yet; ``problems`` are those of the levels, ``limit`` is the longest reply."""
    from transformers import AutoTokenizer, set_seed
    from trl import GRPOConfig, GRPOTrainer

    from forge_gym.adapters.trl import RewardFunction, Stream, make_dataset
    from forge_gym.training.callbacks import train
    from forge_gym.training.curriculum import Curriculum
    from forge_gym.training.sft import fine_tune

    set_seed(args.seed)
    policies = {"base": args.model} if args.model else {}
    problem, count = problems[-1], max(1, args.test_episodes // len(problems))
    test = [instance for each in problems for instance in held_out(each, count, split=args.split)]
    exclude = {problem.prompt(instance) for instance in test}

    if args.sft_steps:
        policies["SFT"] = str(args.out / "sft")
    if args.sft_steps and not finished(args.out / "sft"):
        teacher = Demonstrations(problems, epsilon=args.epsilon, seed=args.seed)
        texts = (f"{example.prompt} {example.reply}" for example in islice(teacher.stream(), 20_000))
        tokenizer: Any = AutoTokenizer.from_pretrained(args.model) if args.model else word_tokenizer(texts)
        model: Any = args.model or build_model(args.size, tokenizer, seed=args.seed)
        fine_tune(
            model, tokenizer, replace(teacher, exclude=exclude).stream, args.out / "sft", steps=args.sft_steps,
            batch=args.sft_batch, learning_rate=args.sft_learning_rate, save_steps=args.save_steps, seed=args.seed,
        )  # fmt: skip
        finish(args.out / "sft", problem, limit)

    if args.steps and not finished(args.out):
        size, count = args.steps * args.prompts, max(1, 100 // len(problems))
        watched = [instance for each in problems for instance in held_out(each, count, split="validation")]
        policy = [*policies.values()][-1]
        tokenizer = AutoTokenizer.from_pretrained(policy, padding_side="left")
        chat, seed = tokenizer.chat_template is not None, args.seed + 1
        unseen = exclude | {problem.prompt(instance) for instance in watched}
        if args.curriculum:
            curriculum = Curriculum(problem, seed=seed, start=min(args.levels, default=0))
            stream = Stream(curriculum, chat=chat, exclude=unseen)
            dataset: Any = stream.dataset()
        else:
            stream, dataset = None, make_dataset(problems, size, seed=seed, chat=chat, exclude=unseen)
        reward = RewardFunction(args.reward, stream=stream)
        options = {
            **GRPO,
            "max_steps": args.steps,
            "max_completion_length": limit,
            "mask_truncated_completions": chat,
            "shuffle_dataset": stream is None,
            "save_steps": args.save_steps,
            "seed": args.seed,
            **grpo_options(args.grpo, args.prompts, args.group),
        }
        config = GRPOConfig(str(args.out), **options)
        trainer = GRPOTrainer(policy, reward, config, dataset, processing_class=tokenizer)
        train(trainer, reward, problem, watched, limit)
    if args.steps:
        policies["GRPO"] = str(args.out)

    agents: list[Any] = [make_agent(name) for name in ("random", "greedy", "local-search", "exact")]
    for name, folder in policies.items():
        agents.append(TransformersAgent(folder, name=name, max_new_tokens=limit, batch_size=500))
    report(args.out, folder, [evaluate(agent, problem, test, batch_size=500) for agent in agents])


if __name__ == "__main__":
    start(Args, main)
