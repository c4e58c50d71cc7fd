"""Checkpoints of transformers' trainers, of which a killed run may leave one half-written."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint in ``folder`` that was written to the end, None if there is none."""
    checkpoints = sorted(
        Path(folder).glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2])
    )
    for checkpoint in reversed(checkpoints):
        with suppress(OSError, ValueError):
            json.loads((checkpoint / "trainer_state.json").read_text())  # which the trainer writes last
            return checkpoint
    return None
