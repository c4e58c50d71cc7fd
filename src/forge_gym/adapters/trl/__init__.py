"""TRL's ``GRPOTrainer``: rows, reward, turns, and callbacks.

The rows carry, beside the prompt, the spec that rebuilds problem and instance; the reward function
rebuilds them (once per group), verifies every completion and returns one reward per row.

`make_dataset` has a fixed set of rows, `Stream` draws them from a `Curriculum` as training goes. Single-turn
training needs no more than rows and `RewardFunction`; several turns go through tools (`environment_factory`)
or free text (`Rollout`). `SaveState`, `JsonLines`, `HeldOut` and `Watch` are callbacks.

Examples
--------
>>> import forge_gym
>>> from forge_gym.adapters.trl import RewardFunction
>>> tsp = forge_gym.problem("TSP", n=6)
>>> reward = RewardFunction("tiered", group_size=2)
>>> reward(prompts=["...", "..."], completions=["no", "idea"], spec=[tsp.spec(seed=1)] * 2)
[-1.0, -1.0]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...training.checkpoints import last_checkpoint
from ...training.reward_function import RewardFunction, completion_text
from .dataset import Stream, make_dataset

if TYPE_CHECKING:
    from ...training.callbacks import HeldOut, JsonLines, SaveState, Watch
    from .rollout import Rollout
    from .tools import environment_factories, environment_factory

_LAZY = dict.fromkeys(("HeldOut", "JsonLines", "SaveState", "Watch"), "...training.callbacks") | {
    "Rollout": ".rollout",
    "environment_factories": ".tools",
    "environment_factory": ".tools",
}


def __getattr__(name: str) -> Any:
    """Import what needs transformers when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


__all__ = [
    "HeldOut",
    "JsonLines",
    "RewardFunction",
    "Rollout",
    "SaveState",
    "Stream",
    "Watch",
    "completion_text",
    "environment_factories",
    "environment_factory",
    "last_checkpoint",
    "make_dataset",
]
