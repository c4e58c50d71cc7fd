"""Rows for ``GRPOTrainer``: a prompt, and the spec that rebuilds problem and instance anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...core.checks import check_int
from ...core.problem import Problem

if TYPE_CHECKING:
    from datasets import Dataset


def make_dataset(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]],
    size: int,
    *,
    levels: Sequence[int] | None = None,
    seed: int = 0,
    split: str = "train",
    chat: bool = True,
    progress: Callable[[Iterator[dict[str, Any]]], Iterator[dict[str, Any]]] = iter,
) -> Dataset:
    """Return ``size`` graded instances as a dataset for ``GRPOTrainer`` or an evaluation.

    Parameters
    ----------
    problems
        One or several; each gets an equal share, in turn.
    size
        Number of rows; every row is another instance.
    levels
        Difficulties to cycle through; None keeps each problem's own parameters.
    seed, split
        Stream of instances; see `Problem.instance`.
    chat
        Whether ``prompt`` is a conversation (instruct models) or plain text (from-scratch models).
    progress
        Wraps the iterator of rows, for a progress bar.

    Returns
    -------
    datasets.Dataset
        Columns ``prompt``, ``spec``, ``problem``, ``level`` (-1 for a problem's own parameters),
        ``seed``, ``index`` and ``instance_hash``.

    Raises
    ------
    ValueError
        If ``size`` is not positive, no problem is given, or a problem leaves no room for quality.
    """
    from datasets import Dataset

    check_int("size", size, 1)
    given = [problems] if isinstance(problems, Problem) else list(problems)
    if not given:
        raise ValueError("problems must hold at least one problem, got none")
    if levels is not None and not len(levels):
        raise ValueError("levels must hold at least one level, or be None, got none")
    streams = [
        _rows(problem if level is None else problem.at_level(level), level, seed, split, chat)
        for level in (levels if levels is not None else [None])
        for problem in given
    ]
    rows = progress(next(streams[i % len(streams)]) for i in range(size))
    return Dataset.from_list(list(rows))


def _rows(
    problem: Problem[Any, Any], level: int | None, seed: int, split: str, chat: bool
) -> Iterator[dict[str, Any]]:
    for index, instance in problem.graded_instances(seed, split):
        prompt = problem.prompt(instance)
        yield {
            "prompt": [{"role": "user", "content": prompt}] if chat else prompt,
            "spec": problem.spec(seed, index, split),
            "problem": problem.name,
            "level": -1 if level is None else level,
            "seed": seed,
            "index": index,
            "instance_hash": problem.digest(instance),
        }
