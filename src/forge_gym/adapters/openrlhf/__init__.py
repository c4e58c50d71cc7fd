"""OpenRLHF 0.11: a reward file, an agent file of several turns, and rows for its data sets.

OpenRLHF loads both files by their paths, which ``python -m forge_gym.adapters.openrlhf reward`` (or ``agent``) prints.
``forge-gym generate --layout openrlhf`` writes the rows.
"""

from __future__ import annotations

from typing import Any

from ...data.rows import Row


def row(row: Row) -> dict[str, Any]:
    """Return a certified instance as OpenRLHF reads it.

    Returns
    -------
    dict
        ``input``, text that serves with ``--data.apply_chat_template`` and without; ``label``, the spec, which rebuilds
        problem and instance in any worker; ``datasource``, by which OpenRLHF groups evaluations; ``level``.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.data.rows import samples
    >>> columns = row(next(samples(forge_gym.problem("TSP"), levels=[2], split="test")))
    >>> columns["datasource"], columns["level"], columns["label"][:18]
    ('forge_gym/TSP', 2, '{"problem": "TSP",')
    """
    return {
        "input": row.prompt,
        "label": row.spec,
        "datasource": f"forge_gym/{row.problem.name}",
        "level": row.level,
    }
