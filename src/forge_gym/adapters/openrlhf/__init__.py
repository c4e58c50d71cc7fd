"""OpenRLHF 0.11: a reward file, an agent file of several turns, and rows for its data sets.

OpenRLHF loads both files by their paths, which ``python -m forge_gym.adapters.openrlhf reward`` (or ``agent``) prints.
``forge-gym generate --layout openrlhf`` writes the rows.
"""

from __future__ import annotations

from typing import Any

from ...data.rows import Row


def row(row: Row) -> dict[str, Any]:
    """Return a certified instance as OpenRLHF reads it: ``input`` serves with its chat template and without."""
    return {
        "input": row.prompt,
        "label": row.spec,
        "datasource": f"forge_gym/{row.problem.name}",
        "level": row.level,
    }
