"""PettingZoo: several agents on one instance, against each other or together.

`Duel`, a ``ParallelEnv``: everybody answers the same instance, and the better answer wins. `Relay`, an ``AECEnv``:
the agents take turns at improving one shared solution. Both take any problem, in text or in numbers. `parallel_env`
and `env` make them by the problem's name.
"""

from .duel import Duel, parallel_env
from .relay import Relay, env

__all__ = ["Duel", "Relay", "env", "parallel_env"]
