"""Rows for OpenRLHF's ``PromptDataset``."""

from __future__ import annotations

from typing import Any

from ...data.rows import Sample


def row(sample: Sample, index: int) -> dict[str, Any]:
    """Return row number ``index`` of a data set: a graded instance of `forge_gym.data.rows.samples`.

    Returns
    -------
    dict
        ``input``, text that serves with ``--data.apply_chat_template`` and without; ``label``, the spec;
        ``datasource``, by which OpenRLHF groups evaluations; ``level`` and ``index``, for whoever reads the file.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.data.rows import samples
    >>> found = row(next(samples(forge_gym.problem("TSP"), levels=[2], split="test")), 0)
    >>> found["datasource"], found["level"], found["label"][:32]
    ('forge_gym/TSP', 2, '{"problem": "TSP", "version": 0,')
    """
    return {
        "input": sample.prompt,
        "label": sample.spec,
        "datasource": f"forge_gym/{sample.problem.name}",
        "level": sample.level,
        "index": index,
    }
