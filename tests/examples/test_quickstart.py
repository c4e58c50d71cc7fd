"""The notebook runs from the top in half a minute, and what is stored in it is what it prints."""

from __future__ import annotations

import re
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
for _module in ("ipykernel", "nbclient", "matplotlib"):
    pytest.importorskip(_module)


def outputs(notebook: Any) -> list[dict[str, str]]:
    """Return all outputs in order, with a picture's kind alone: its bytes depend on the version of matplotlib."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = {"stream": output["text"]} if "text" in output else dict(output["data"])
            found.append({kind: "" if kind == "image/png" else text for kind, text in data.items()})
    return found


@pytest.mark.filterwarnings("ignore")  # of the kernel's libraries
def test_it_prints_what_is_stored(root: Path) -> None:
    from nbclient import NotebookClient

    stored = nbformat.read(root / "examples" / "quickstart.ipynb", as_version=4)
    nbformat.validate(stored)
    again = deepcopy(stored)
    started = time.monotonic()
    NotebookClient(again, timeout=60, kernel_name="python3").execute()
    assert time.monotonic() - started < 30
    shown = outputs(again)
    assert shown == outputs(stored)
    assert sum("image/png" in each for each in shown) == 2 and sum("text/markdown" in each for each in shown) == 1
    assert "</answer>" in shown[0]["stream"] and "kept answer +1.00" in str(shown)


def test_links_lead_to_files(root: Path) -> None:
    text = (root / "examples" / "quickstart.ipynb").read_text()
    links = re.findall(r"\]\((\.\./[^)#]+)", text)
    assert len(links) == 5 and all((root / "examples" / link).is_file() for link in links)
