"""Train a model to revise its answers: free text over several turns, with the verifier's feedback between them.

With no arguments, on one CPU core, in a few minutes: build a small language model, warm-start it on dialogues whose
replies are draws of a randomised greedy heuristic, whatever the feedback says, and train it with GRPO, which pays a
dialogue's best reply. Before and after, it answers held-out instances in one turn and in several, decoded greedily. Two
controls tell what the feedback is worth: dialogues that hear each other's feedback, and independent samples.

    python examples/train_multi_turn.py
    python examples/train_multi_turn.py --model Qwen/Qwen2.5-7B-Instruct-1M --use-vllm --bf16 --gradient-checkpointing \
        --lora 32 --levels 2 3 4 --micro-batch 8 --learning-rate 1e-5 --max-completion-length 6144 --out runs/qwen-turns

Training is that of `examples/train_grpo.py`, with all of its settings but one process: a run that was stopped goes on
from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import train_grpo  # first of those that import torch: it sets what must be set before
import tyro
from rich.progress import track
from train_grpo import Args, console
from transformers import set_seed

from forge_gym.agents import Agent, Task
from forge_gym.agents.causal_lm import TransformersAgent
from forge_gym.cli.terminal import progress_bar
from forge_gym.core.episode import Episode, Protocol
from forge_gym.evaluation.evaluate import evaluate
from forge_gym.evaluation.report import evaluation_table
from forge_gym.evaluation.statistics import bootstrap
from forge_gym.training.demonstrations import Example
from forge_gym.training.scratch import EOS, build_model, word_tokenizer
from forge_gym.training.sft import epochs, fine_tune

# A conversation in words, as `Rollout` goes on with plain text: replies with their end, feedback on lines of its own.
TEMPLATE = "{% for m in messages %}{{ m.content + (m.role == 'assistant') * ' EOS' + '\n' }}{% endfor %}"
RECIPE = Args(
    problem=("Knapsack",), turns=3, sft_steps=300, sft_batch=64, epsilon=0.3, steps=120, group=8, test_episodes=500,
    max_completion_length=64, out=Path("runs/train_multi_turn"),
)  # fmt: skip


def main(args: Args) -> None:
    """Run the stages that have not been run yet, and print the table."""
    if len(args.problem) > 1 or (args.levels and not args.model):
        raise ValueError(
            f"problem must be one, and of one size from scratch, got {args.problem}, levels {args.levels}"
        )
    train_grpo.claim(args)
    set_seed(args.seed)
    train_grpo.transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    problems = train_grpo.make_problems(args)
    ((problem, test),) = train_grpo.held_out_suite(args, problems, args.test_split, args.test_episodes)
    exclude = {problem.prompt(instance) for instance in test}
    start = args.model or args.start or warm_start(args, problems[0], exclude)
    train_grpo.train(args, problems, start, exclude)
    limits = {"max_new_tokens": train_grpo.completion_length(args, problems), "batch_size": 100}
    results, gains, several = {}, {}, f"{args.turns} turns"
    for stage, folder in (("start", start), ("GRPO", str(args.out / "final"))):
        agent = TransformersAgent(folder, **limits)
        sampler = TransformersAgent(agent.model, agent.tokenizer, temperature=1.0, **limits)
        samples = evaluate(sampler, problem, test, samples=args.turns)
        found = {
            "1 turn": evaluate(agent, problem, test),
            "other's feedback": evaluate(Misled(agent), problem, test, turns=args.turns),
            several: evaluate(agent, problem, test, turns=args.turns),
        }
        others = {name: result.values for name, result in found.items() if name != several}
        others[f"best of {args.turns} samples"] = partial(samples.best, k=args.turns)
        for name, values in others.items():
            gains[f"{stage}, {several} - {name}"] = {
                metric: bootstrap(np.subtract(found[several].values(metric), values(metric)))
                for metric in ("quality", "success")
            }
        results |= {f"{stage}, {name}": result for name, result in found.items()}
    console.print(evaluation_table([replace(result, agent=name) for name, result in results.items()]))
    for name, gain in gains.items():
        said = [f"{metric} {g.mean:+.3f} [{g.low:+.3f}, {g.high:+.3f}]" for metric, g in gain.items()]
        console.print(f"{name}, paired: {', '.join(said)}", soft_wrap=True)
    rows = {name: result.to_dict() for name, result in results.items()}
    (args.out / "results.json").write_text(json.dumps({"agents": rows, "gains": gains}, indent=1))


@dataclass
class Misled:
    """An agent that hears in each dialogue the feedback of another one: as likely, and of no use."""

    agent: Agent
    name: str = "misled"

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Answer after the feedback of the next task in the batch."""
        heard = []
        for task, other in zip(tasks, [*tasks[1:], *tasks[:1]], strict=True):
            messages = [*task.messages]
            messages[2::2] = other.messages[2::2]
            heard.append(replace(task, messages=tuple(messages)))
        return self.agent.answer(heard)


def warm_start(args: Args, problem: Any, exclude: set[str]) -> str:
    """Build a model and train it on demonstrations of dialogues; return its folder."""
    folder = args.out / "sft"
    if not (folder / "complete").exists():
        examples = list(demonstrations(args, problem, exclude))
        tokenizer = word_tokenizer(f"{e.prompt} {e.reply}".replace(EOS, "") for e in examples)
        tokenizer.chat_template = TEMPLATE.replace("EOS", EOS)
        model = build_model(args.size, tokenizer, seed=args.seed)
        with progress_bar("warm start", args.sft_steps) as advance:
            fine_tune(
                model, tokenizer, partial(epochs, examples, args.seed), args.out / "warm", steps=args.sft_steps,
                batch=args.sft_batch, learning_rate=args.sft_learning_rate, seed=args.seed, save_to=folder,
                progress=advance,
            )  # fmt: skip
    return str(folder)


def demonstrations(args: Args, problem: Any, exclude: set[str]) -> Iterator[Example]:
    """Yield every reply of the dialogues with what is said before it, enough to see each about once."""
    rng, count = np.random.default_rng(args.seed), 1 + args.sft_steps * args.sft_batch // args.turns
    graded = islice(problem.graded_instances(args.seed), count)
    for _, instance in track(graded, "dialogues", count, console=console):
        episode = Episode(problem, instance, Protocol(turns=args.turns))
        said = episode.prompt
        while said not in exclude and not episode.over:
            reply = problem.format(instance, problem.heuristic(instance, rng, args.epsilon))
            yield Example(said, reply)
            said += f"\n{reply} {EOS}\n{episode.say(reply)}"


if __name__ == "__main__":
    main(tyro.cli(Args, default=RECIPE))
