"""NeMo Gym: resources servers of one reply and of several turns, and rows for its data sets.

``python -m forge_gym.adapters.nemo_gym FOLDER`` writes the resources server ``forge`` into a project's folder, where
NeMo Gym's command line finds it by name. A row's ``spec`` rebuilds problem and instance in any process.

Examples
--------
>>> from pathlib import Path
>>> from tempfile import mkdtemp
>>> from forge_gym.adapters.nemo_gym import write_server
>>> folder = write_server(mkdtemp())
>>> sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml"))
['configs/forge.yaml', 'configs/turns.yaml']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .dataset import row
from .project import write_server

if TYPE_CHECKING:
    from .server import ForgeServer, ForgeTurnsServer


def __getattr__(name: str) -> Any:
    """Import what needs NeMo Gym when it is first asked for."""
    if name not in ("ForgeServer", "ForgeTurnsServer"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".server", __name__), name)


__all__ = ["ForgeServer", "ForgeTurnsServer", "row", "write_server"]
