"""verl's trainers: rows as Parquet files, a reward function, and an agent loop of several turns.

The configuration names them: ``reward.custom_reward_function.path=pkg://forge_gym.adapters.verl`` finds
`compute_score`, and a file of agent loops names ``forge_gym.adapters.verl.agent_loop.ForgeAgentLoop``. A row's ground
truth is the spec that rebuilds problem and instance in any worker.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .dataset import rows, write_parquet
from .reward import compute_score

if TYPE_CHECKING:
    from .agent_loop import ForgeAgentLoop


def __getattr__(name: str) -> Any:
    """Import what needs verl when it is first asked for."""
    if name != "ForgeAgentLoop":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".agent_loop", __name__), name)


__all__ = ["ForgeAgentLoop", "compute_score", "rows", "write_parquet"]
