"""OpenEnv 0.10: any problem behind a WebSocket, one session per client, and the benchmark as its Task API.

``python -m forge_gym.adapters.openenv.server`` serves on the loopback interface, and `ForgeClient` is a client.
``openenv.yaml`` beside this file is the manifest, and `FOLDER` what ``openenv validate`` takes.
"""

from pathlib import Path

from .client import ForgeAction, ForgeClient, ForgeObservation, ForgeState

FOLDER = Path(__file__).parent
"""Holds the manifest."""

__all__ = ["FOLDER", "ForgeAction", "ForgeClient", "ForgeObservation", "ForgeState"]
