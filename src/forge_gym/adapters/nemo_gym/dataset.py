"""Rows for NeMo Gym's JSON lines."""

from __future__ import annotations

from typing import Any

from ...data.rows import Sample


def row(sample: Sample, index: int) -> dict[str, Any]:
    """Return the row of a graded instance of `forge_gym.data.rows.samples`; NeMo Gym counts rows itself.

    Returns
    -------
    dict
        ``responses_create_params``, whose ``input`` is the conversation; ``spec``, which the servers read; ``problem``
        and ``level``, for whoever reads the file. Who plays a row is for the command to say.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.data.rows import samples
    >>> found = row(next(samples(forge_gym.problem("TSP"), levels=[2])), 0)
    >>> found["problem"], found["level"], found["spec"][:32]
    ('TSP', 2, '{"problem": "TSP", "version": 0,')
    >>> [message["role"] for message in found["responses_create_params"]["input"]]
    ['user']
    """
    return {
        "responses_create_params": {"input": sample.messages},
        "spec": sample.spec,
        "problem": sample.problem.name,
        "level": sample.level,
    }
