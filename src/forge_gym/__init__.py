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

from ._version import __version__
from .core.registry import from_spec, problem, problems, register_problem
from .core.rewards import reward
from .core.verdict import Verdict
from .envs import PROBLEMS

for _name, _entry_point in PROBLEMS.items():
    register_problem(_name, _entry_point)

__all__ = ["Verdict", "__version__", "from_spec", "problem", "problems", "register_problem", "reward"]
