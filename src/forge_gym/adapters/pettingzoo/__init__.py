"""PettingZoo: several agents on one instance, against each other or together.

`Duel`, a ``ParallelEnv``: everybody answers the same instance, and the better answer wins. `Relay`, an ``AECEnv``:
everybody in turn improves one shared solution, each perhaps only the part it owns. Both take any problem, in text,
in numbers, or in texts as arrays of code points. `parallel_env` and `env` make them by the problem's name.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .table import VIEWS, Codes

if TYPE_CHECKING:
    from .duel import Duel, parallel_env
    from .relay import Relay, env

_LAZY = {"Duel": ".duel", "parallel_env": ".duel", "Relay": ".relay", "env": ".relay"}


def __getattr__(name: str) -> Any:
    """Import what needs PettingZoo when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


__all__ = ["VIEWS", "Codes", "Duel", "Relay", "env", "parallel_env"]
