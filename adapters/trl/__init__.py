"""TRL's ``GRPOTrainer``: a dataset of prompts and a reward function.

The dataset carries, beside the prompt, the spec that rebuilds problem and instance; the reward
function rebuilds them (once per group), verifies every completion and returns one reward per row.

Examples
--------
>>> import forge_gym
>>> from forge_gym.adapters.trl import RewardFunction
>>> tsp = forge_gym.problem("TSP", n=6)
>>> reward = RewardFunction("tiered", group_size=2)
>>> reward(prompts=["...", "..."], completions=["no", "idea"], spec=[tsp.spec(seed=1)] * 2)
[-1.0, -1.0]
"""

from .dataset import Stream, make_dataset
from .reward import RewardFunction, completion_text

__all__ = ["RewardFunction", "Stream", "completion_text", "make_dataset"]
