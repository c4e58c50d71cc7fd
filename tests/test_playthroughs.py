"""Every problem is, byte for byte, what its playthrough says; see ``playthroughs/write.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import forge_gym

HERE = Path(__file__).parent / "playthroughs"
spec = importlib.util.spec_from_file_location("playthroughs_write", HERE / "write.py")
assert spec is not None and spec.loader is not None
write = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write)


@pytest.mark.parametrize("name", forge_gym.problems())
def test_the_playthrough_is_what_the_code_says(name: str) -> None:
    path = HERE / f"{name}.txt"
    assert path.is_file(), f"write it: python tests/playthroughs/write.py {name}"
    written, now = path.read_text(encoding="utf-8").split("\n"), write.playthrough(name).split("\n")
    changed = next((k for k, lines in enumerate(zip(written, now, strict=False)) if lines[0] != lines[1]), None)
    assert written == now, f"line {(changed or min(len(written), len(now))) + 1} of {path.name} is another now"
