"""What several test files need."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout that holds these tests."""
    return ROOT


@pytest.fixture(scope="session")
def classic() -> Path:
    """Public instances with published optima; not part of the project, so tests skip without them."""
    folder = ROOT.parent / "shared" / "classic_instances"
    if not folder.is_dir():
        pytest.skip("needs the public instances beside the checkout")
    return folder
