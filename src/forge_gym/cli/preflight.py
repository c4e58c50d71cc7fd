"""``forge-gym preflight``."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from .models import MODELS, BatchSize, MaxNewTokens, Temperature, ThoughtsEnd, TopP, agent_of
from .options import Envs, Json, Levels, Seed, Set, Split, make_problems
from .terminal import console, print_json, progress_bar


def command(
    agent: Annotated[str, Option(metavar="AGENT", help=f"agent to try: a control, {MODELS}")],
    env: Envs = None,
    set: Set = None,
    levels: Levels = [0, 2, 4],  # noqa: B006 - typer shows it as the default, and nobody changes it
    group: Annotated[int, Option(help="number of rollouts per instance, the trainer's num_generations")] = 8,
    instances: Annotated[int, Option(help="number of groups per problem and level")] = 16,
    reward: Annotated[str, Option(help="reward scheme of the training")] = "tiered",
    seed: Seed = 0,
    split: Split = "train",
    temperature: Temperature = 1.0,
    top_p: TopP = None,
    max_new_tokens: MaxNewTokens = None,
    thoughts: ThoughtsEnd = None,
    batch_size: BatchSize = 32,
    json: Json = False,
) -> None:
    """Find groups without a learning signal, before training.

    Training learns nothing from a group whose rollouts all get the same reward.
    """
    from ..training.preflight import preflight

    values = {"temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens}
    asked = agent_of(agent, values | {"batch_size": batch_size, "thoughts": thoughts})
    problems, chosen = make_problems(env, set), levels or []
    total = len(problems) * len({*chosen}) * instances * group
    with progress_bar(f"preflight of {agent}", total) as advance:
        result = preflight(
            *(asked, problems, chosen),
            group=group, instances=instances, seed=seed, split=split, reward=reward, progress=advance,
        )  # fmt: skip
    if json:
        print_json(result.to_dict())
    else:
        console().print(result.table())
