"""TRL's ``GRPOTrainer``: rows, rewards, several turns.

The rows carry, beside the prompt, the spec that rebuilds problem and instance; a reward function
rebuilds them (once per group), verifies every completion and returns one reward per row. Every reward scheme is a
reward function here, which TRL's command line finds by its dotted path::

    trl grpo --dataset_name FOLDER --reward_funcs forge_gym.adapters.trl.tiered ...

`make_dataset` has a fixed set of rows, `Stream` draws them from a `Curriculum` as training goes. Single-turn
training needs no more than rows and a reward function; several turns go through tools (`environment_factory`)
or free text (`Rollout`). Callbacks are in `forge_gym.training.callbacks`.

Examples
--------
>>> import forge_gym
>>> from forge_gym.adapters.trl import tiered
>>> tsp = forge_gym.problem("TSP", n=6)
>>> tiered(prompts=["...", "..."], completions=["no", "idea"], spec=[tsp.spec(seed=1)] * 2)
[-1.0, -1.0]
"""

from typing import Any

from ...core.rewards import REWARDS
from .dataset import Stream, make_dataset
from .reward import RewardFunction, completion_text
from .rollout import Rollout
from .tools import environment_factories, environment_factory


def __getattr__(name: str) -> Any:
    """Return the reward function of a scheme, made when it is first asked for."""
    if name not in REWARDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, RewardFunction(name))


__all__ = [
    "RewardFunction",
    "Rollout",
    "Stream",
    "completion_text",
    "environment_factories",
    "environment_factory",
    "make_dataset",
]
