"""Train a language model to revise its answers: free text over several turns, and the verifier's feedback between them.

A small model is fine-tuned on dialogues whose replies ignore the feedback, and trained with GRPO, which pays the best
reply of a dialogue. Two controls tell what feedback is worth: another dialogue's feedback, and independent samples.

    python examples/multi_turn.py
    python examples/multi_turn.py --model FOLDER_OR_NAME --grpo '{"learning_rate": 1e-6}' --out runs/given

The same command continues a stopped run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from forge_gym.agents import Agent, Task
from forge_gym.agents.causal_lm import TransformersAgent
from forge_gym.core.episode import Episode, Protocol
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.evaluation.statistics import compare
from forge_gym.training.demonstrations import Example
from forge_gym.training.runs import finish, finished, grpo_options, report, start
from forge_gym.training.scratch import EOS, GRPO, build_model, word_tokenizer

# A conversation in words, as `Rollout` goes on with plain text: replies with their end, feedback on lines of its own.
TEMPLATE = "{% for m in messages %}{{ m.content + (m.role == 'assistant') * ' EOS' + '\n' }}{% endfor %}"


@dataclass
class Args:
    """Settings of a run; the defaults train a tiny model on knapsacks of eight items."""

    problem: str = "Knapsack"  # see `forge-gym list`; a model that was trained here knows its own
    parameters: str = "{}"  # parameters of the problem as JSON; from scratch beside those that make it small
    model: str = ""  # a causal language model with a chat template; by default a small one is built
    turns: int = 3  # replies per dialogue
    seed: int = 0  # of weights, data and sampling
    out: Path = Path("runs/multi_turn")  # folder of the model, results.json, table.txt and reward.png
    sft_steps: int = 300  # steps of the warm start of a model from scratch
    sft_batch: int = 64  # replies per step
    epsilon: float = 0.3  # how often a demonstration takes the second best choice
    reward: str = "tiered"  # reward scheme, see `forge-gym rewards`
    steps: int = 120  # steps of GRPO
    prompts: int = 32  # instances per step
    group: int = 8  # rollouts per instance
    grpo: str = "{}"  # more arguments of TRL's GRPOConfig as JSON
    max_new_tokens: int = 64  # longest reply
    save_steps: int = 50  # steps between checkpoints
    test_episodes: int = 500  # held-out instances


def main(args: Args, problems: list[Any], limit: int) -> None:
    """Run the stages that are not done yet, and compare."""
    from transformers import AutoTokenizer, set_seed
    from trl import GRPOConfig, GRPOTrainer

    from forge_gym.adapters.trl import RewardFunction, Rollout, make_dataset
    from forge_gym.training.callbacks import train
    from forge_gym.training.sft import epochs, fine_tune

    set_seed(args.seed)
    problem, policy = problems[0], args.model or str(args.out / "sft")
    test, watched = held_out(problem, args.test_episodes), held_out(problem, 100, split="validation")
    exclude = {problem.prompt(instance) for instance in test}

    if not args.model and not finished(args.out / "sft"):
        examples = list(demonstrations(args, problem, exclude))
        tokenizer = word_tokenizer(f"{e.prompt} {e.reply}".replace(EOS, "") for e in examples)
        tokenizer.chat_template = TEMPLATE.replace("EOS", EOS)
        fine_tune(
            build_model("tiny", tokenizer, seed=args.seed), tokenizer, partial(epochs, examples, args.seed),
            args.out / "sft", steps=args.sft_steps, batch=args.sft_batch, save_steps=args.save_steps, seed=args.seed,
        )  # fmt: skip
        finish(args.out / "sft", problem, limit)

    if not finished(args.out):
        exclude |= {problem.prompt(instance) for instance in watched}
        size, chat = args.steps * args.prompts, bool(args.model)
        rows = make_dataset(problem, size, seed=args.seed + 1, chat=chat, exclude=exclude)
        reward = RewardFunction(args.reward)
        options = GRPO | dict(
            max_steps=args.steps, max_completion_length=limit * args.turns, mask_truncated_completions=chat,
            save_steps=args.save_steps, seed=args.seed,
        ) | grpo_options(args.grpo, args.prompts, args.group)  # fmt: skip
        trainer = GRPOTrainer(
            policy, reward, GRPOConfig(str(args.out), **options), rows,
            processing_class=AutoTokenizer.from_pretrained(policy, padding_side="left"),
            rollout_func=Rollout(rows, turns=args.turns),
        )  # fmt: skip
        train(trainer, reward, problem, watched, limit, args.turns)
    results, gains = [], []
    for stage, folder in (("start", policy), ("GRPO", str(args.out))):
        limits: Any = {"max_new_tokens": limit, "batch_size": 100}
        agent = TransformersAgent(folder, **limits)
        sampler = TransformersAgent(agent.model, agent.tokenizer, temperature=1.0, **limits)
        samples = evaluate(sampler, problem, test, samples=args.turns)
        best = [(max(each, key=attrgetter("feasible", "quality")),) for each in samples.verdicts]
        found = {
            "1 turn": evaluate(agent, problem, test),
            "other's feedback": evaluate(Misled(agent), problem, test, turns=args.turns),
            f"best of {args.turns}": replace(samples, verdicts=tuple(best)),
            f"{args.turns} turns": evaluate(agent, problem, test, turns=args.turns),
        }
        results += [replace(each, agent=f"{stage}, {name}") for name, each in found.items()]
        several = results[-1]
        for other in results[-4:-1]:
            mean, low, high = compare(several, other)["overall"].estimates["quality"]
            gains.append(f"quality of {several.agent} - {other.agent}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
    report(args.out, args.out, results, gains)


@dataclass
class Misled:
    """An agent that hears in each dialogue the feedback of another one: as likely, and of no use."""

    agent: Agent
    name: str = "misled"

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        """Answer after the feedback of the next task in the batch."""
        messages = [[*task.messages] for task in tasks]
        for i, own in enumerate(messages):
            own[2::2] = tasks[(i + 1) % len(tasks)].messages[2::2]
        heard = zip(tasks, map(tuple, messages), strict=True)
        return self.agent.answer([replace(task, messages=own) for task, own in heard])


def demonstrations(args: Args, problem: Any, exclude: set[str]) -> Iterator[Example]:
    """Yield every reply of the dialogues with what is said before it, enough to see each about once."""
    rng, count = np.random.default_rng(args.seed), 1 + args.sft_steps * args.sft_batch // args.turns
    for _, instance in islice(problem.graded_instances(args.seed), count):
        episode = Episode(problem, instance, Protocol(turns=args.turns))
        said = episode.prompt
        while said not in exclude and not episode.over:
            reply = problem.format(instance, problem.heuristic(instance, rng, args.epsilon))
            yield Example(said, reply)
            said += f"\n{reply} {EOS}\n{episode.say(reply)}"


if __name__ == "__main__":
    start(Args, main)
