"""Checkpoints of transformers' trainers, of which a killed run may leave one half-written."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


def all_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in ``folder`` by step, half-written ones too."""
    steps = {path: path.name.removeprefix("checkpoint-") for path in Path(folder).glob("checkpoint-*")}
    return sorted([path for path in steps if steps[path].isdecimal()], key=lambda path: int(steps[path]))


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint in ``folder`` that was written to the end, None if there is none."""
    for checkpoint in reversed(all_checkpoints(folder)):
        with suppress(OSError, ValueError):
            json.loads((checkpoint / "trainer_state.json").read_text())  # which the trainer writes last
            return checkpoint
    return None
