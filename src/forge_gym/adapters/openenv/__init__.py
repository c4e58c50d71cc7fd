"""OpenEnv 0.10: any problem behind a WebSocket, one session per client, and the benchmark as its Task API.

`create_app` is the server, `ForgeClient` a client; ``python -m forge_gym.adapters.openenv.server`` serves on the
loopback interface. ``openenv.yaml`` beside this file is the manifest, and `FOLDER` what ``openenv validate`` takes.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import ForgeClient
    from .models import ForgeAction, ForgeObservation, ForgeState
    from .server import ForgeEnvironment, create_app

FOLDER = Path(__file__).parent
"""Holds the manifest."""

_LAZY = dict.fromkeys(("ForgeAction", "ForgeObservation", "ForgeState"), ".models") | {
    "ForgeClient": ".client",
    "ForgeEnvironment": ".server",
    "create_app": ".server",
}


def __getattr__(name: str) -> Any:
    """Import what needs openenv when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


__all__ = [
    "FOLDER",
    "ForgeAction",
    "ForgeClient",
    "ForgeEnvironment",
    "ForgeObservation",
    "ForgeState",
    "create_app",
]
