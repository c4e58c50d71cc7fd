"""Rows for verl's ``RLHFDataset``, and the Parquet files that it reads."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ...core.checks import check_int, short_repr
from ...core.problem import Problem
from ...data.rows import Sample, samples, write_rows


def rows(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]],
    size: int,
    *,
    levels: Sequence[int] | None = None,
    seed: int = 0,
    split: str = "train",
    agent_name: str | None = None,
    exclude: Container[str] = frozenset(),
) -> list[dict[str, Any]]:
    """Return ``size`` graded instances as rows for verl.

    Parameters
    ----------
    problems, levels, seed, split, exclude
        Which instances; see `forge_gym.data.rows.samples`.
    size
        Number of rows; every row is another instance.
    agent_name
        Agent loop that plays the rows, such as ``forge``; None leaves it to the configuration.

    Returns
    -------
    list of dict
        ``data_source`` (by which verl groups validation metrics), ``prompt`` (a conversation), ``ability``,
        ``reward_model`` whose ``ground_truth`` is the spec, ``extra_info`` and, if given, ``agent_name``. The
        ``index`` of ``extra_info`` counts the rows; level -1 stands for a problem's own parameters.

    Raises
    ------
    ValueError
        If ``size`` is not positive, no problem or level is given, or a problem leaves no room for quality.

    Examples
    --------
    >>> import forge_gym
    >>> (row,) = rows(forge_gym.problem("TSP"), 1, levels=[2], split="test", agent_name="forge")
    >>> row["data_source"], row["ability"], row["extra_info"]["level"], row["agent_name"]
    ('forge_gym/TSP', 'planning', 2, 'forge')
    >>> row["reward_model"]["ground_truth"][:32]
    '{"problem": "TSP", "version": 0,'
    """
    check_int("size", size, 1)
    if agent_name is not None and not (isinstance(agent_name, str) and agent_name):
        raise ValueError(
            f"agent_name must be a name or None, got {short_repr(agent_name)}: did you mean 'forge'?"
        )
    stream = samples(problems, levels=levels, seed=seed, split=split, exclude=exclude)
    named = {} if agent_name is None else {"agent_name": agent_name}
    return [{**row(sample, index), **named} for index, sample in enumerate(islice(stream, size))]


def row(sample: Sample, index: int) -> dict[str, Any]:
    """Return row number ``index`` of a data set."""
    return {
        "data_source": f"forge_gym/{sample.problem.name}",
        "prompt": sample.messages,
        "ability": sample.problem.family,
        "reward_model": {"style": "rule", "ground_truth": sample.spec},
        "extra_info": {
            "split": sample.split,
            "index": index,
            "problem": sample.problem.name,
            "level": sample.level,
            "instance_hash": sample.digest,
        },
    }


def write_parquet(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write ``rows`` as a Parquet file that verl reads, whole or not at all; return its path.

    The schema is the same for all rows of `rows`, so files of several calls can be read together.

    An agent's name is in all of them or in none.

    Raises
    ------
    ValueError
        If the name does not end in ``.parquet``, as verl needs it, there are no rows, or one is not of `rows`.
    """
    path = Path(path)
    if path.suffix != ".parquet":
        raise ValueError(f"path must end in .parquet, got {path.name!r}: did you mean {path.stem}.parquet?")
    return write_rows(path, rows)
