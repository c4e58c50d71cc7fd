"""The folder in which NeMo Gym's command line finds the servers."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from itertools import islice
from pathlib import Path

from ...core.registry import problem, problems
from ...data.rows import samples, write_rows
from .dataset import row

_FILES = Path(__file__).with_name("forge")


def write_server(folder: Path | str) -> Path:
    """Write the resources server ``forge`` into a project and return its folder, ``resources_servers/forge``.

    It has programs and configurations for one reply (``forge``) and for several turns (``forge/turns``), the schema
    of its rows, five example rows, and the name of this very forge-gym in ``requirements.txt``, of which NeMo Gym makes
    the server's environment. Edit what you like: everything else is in the package.

    Parameters
    ----------
    folder
        The project's folder: the one in which ``gym env start`` is called, or that of its ``--search-dir``.

    Raises
    ------
    ValueError
        If the server is there already, since it may have been edited.
    """
    target = Path(folder) / "resources_servers" / "forge"
    if target.exists():
        raise ValueError(
            f"folder must have no server 'forge' yet, got {target}: did you mean another folder?"
        )
    shutil.copytree(_FILES, target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "requirements.txt").write_text(_requirement() + "\n")
    examples = islice(samples([problem(name) for name in problems()[:5]], levels=[1]), 5)
    write_rows(
        target / "data" / "example.jsonl", (row(sample, index) for index, sample in enumerate(examples))
    )
    return target


def _requirement() -> str:
    """Return what installs this forge-gym elsewhere: where it was installed from, or its version."""
    try:
        package = distribution("forge-gym")
    except PackageNotFoundError:  # a checkout on the path
        return f"forge-gym @ {Path(__file__).resolve().parents[4].as_uri()}"
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return f"forge-gym @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    return f"forge-gym @ {origin['url']}" if "url" in origin else f"forge-gym=={package.version}"
