"""NeMo Gym 0.7: two resources servers, one for a single reply and one for several turns, and rows.

``python -m forge_gym.adapters.nemo_gym project`` writes the resources server ``forge`` into a project's folder, where
NeMo Gym's command line finds it by name; the servers themselves are in `server`.
``forge-gym generate --layout nemo-gym`` writes rows.
"""

from __future__ import annotations

import json
import shutil
from importlib.metadata import distribution
from itertools import islice
from pathlib import Path
from typing import Any

from ...core.registry import problem, problems
from ...data.rows import Row, samples, write


def row(row: Row) -> dict[str, Any]:
    """Return a certified instance as NeMo Gym reads it. Who plays a row is for the command to say."""
    return {
        "responses_create_params": {"input": row.messages},
        "spec": row.spec,
        "problem": row.problem.name,
        "level": row.level,
    }


def write_server(folder: Path | str) -> Path:
    """Write the resources server ``forge`` into a project and return its folder, ``resources_servers/forge``.

    It has programs and configurations for one reply (``forge``) and for several turns (``forge/turns``), the schema
    of its rows, five example rows, and this very forge-gym as its requirement.

    Parameters
    ----------
    folder
        The one in which ``gym env start`` is called, or that of its ``--search-dir``.

    Raises
    ------
    ValueError
        If the server is there already, since it may have been edited.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> written = write_server(mkdtemp())
    >>> sorted(path.relative_to(written).as_posix() for path in written.rglob("*.yaml"))
    ['configs/forge.yaml', 'configs/turns.yaml']
    """
    target = Path(folder) / "resources_servers" / "forge"
    if target.exists():
        raise ValueError(f"folder must have no server 'forge' yet, got {target}")
    files = Path(__file__).with_name("forge")
    shutil.copytree(files, target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "requirements.txt").write_text(_requirement() + "\n")
    examples = islice(samples([problem(name) for name in problems()[:5]], levels=[1]), 5)
    write(target / "data" / "example.jsonl", (json.dumps(row(example)) for example in examples))
    return target


def _requirement() -> str:
    """Return what installs this forge-gym elsewhere: where it was installed from, or its version."""
    package = distribution("forge-gym")
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    if vcs := origin.get("vcs_info"):
        return f"forge-gym @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    return f"forge-gym @ {origin['url']}" if origin else f"forge-gym=={package.version}"
