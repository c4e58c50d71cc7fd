"""forge-gym: NP-hard problems as text-action Gymnasium environments, scored against certified optima.

Importing the package registers every id (``Forge/TSP-v0``, ...) with Gymnasium and loads neither
solvers nor torch nor matplotlib.

Examples
--------
>>> import gymnasium as gym
>>> import forge_gym
>>> env = gym.make("Forge/TSP-v0", n=6)
>>> prompt, info = env.reset(seed=7)
>>> feedback, reward, terminated, truncated, info = env.step("no idea")
>>> reward, terminated
(-1.0, True)
"""

from typing import TYPE_CHECKING, Any

from . import shared_texts as _shared_texts  # noqa: F401 - teaches Gymnasium's asynchronous vectors to carry texts
from ._version import __version__
from .core.registry import add_problem, from_spec, problem, problems
from .core.rewards import register_reward, reward
from .core.verdict import Verdict
from .envs import PROBLEMS
from .registration import register_problem

if TYPE_CHECKING:
    from .data.rows import dataset

for _entry_point, _version in PROBLEMS.items():
    register_problem(_entry_point, version=_version)
for _spelling in ("PublishedCycle", "PublishedBisection"):
    add_problem(f"forge_gym.data.published:{_spelling}", version=0, listed=False)
for _name, _scheme in (("verpo", "Verpo"), ("base_and_bonus", "BaseAndBonus"), ("pairwise", "Pairwise")):
    register_reward(_name, f"forge_gym.training.group_rewards:{_scheme}")


def __getattr__(name: str) -> Any:
    """Import `dataset` when it is first asked for."""
    if name != "dataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .data.rows import dataset

    return dataset


__all__ = [
    "Verdict",
    "__version__",
    "dataset",
    "from_spec",
    "problem",
    "problems",
    "register_problem",
    "register_reward",
    "reward",
]
