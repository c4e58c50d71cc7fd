"""OpenRLHF: a reward file, an agent file of several turns, and rows for its data sets.

OpenRLHF loads both files by their paths, which ``python -m forge_gym.adapters.openrlhf reward`` (or ``agent``) prints.
A row's label is the spec that rebuilds problem and instance in any worker.

Examples
--------
>>> import forge_gym
>>> from forge_gym.adapters.openrlhf import cut_reply
>>> cut_reply("Is <answer>[1]</answer> right? Yes.", "Is <answer>[1]</answer> right?")
' Yes.'
"""

from .dataset import row
from .reward import cut_reply, reward_func

__all__ = ["cut_reply", "reward_func", "row"]
