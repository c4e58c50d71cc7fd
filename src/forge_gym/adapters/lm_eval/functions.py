"""What the task files call: the instances of a suite as documents, and the numbers of a reply.

The folder of `write_tasks` has a file of the same name, which the harness loads by its path.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...core.verdict import METRICS
from ...data.rows import Row
from ...data.suite import BENCHMARK, locate, read

SCORES = ("success", "quality", "skill", "optimal")
"""The metrics of a task."""


@lru_cache(maxsize=4)
def rows(suite: str) -> dict[str, Row]:
    """Return the rows of ``suite``, a name or a file, by their ids."""
    return {row.id: row for row in read(locate(suite))[1]}


def documents(problem: str, suite: str = BENCHMARK, **_: Any) -> dict[str, Any]:
    """Return the instances of one problem as the harness takes a data set, under the split ``test``.

    Examples
    --------
    >>> found = documents("TSP")["test"]
    >>> len(found), sorted(found[0])
    (100, ['answer', 'id', 'level', 'problem', 'prompt', 'suite'])
    """
    import datasets

    docs = [
        {
            "id": row.id,
            "suite": suite,
            "problem": row.problem.name,
            "level": row.level,
            "prompt": row.prompt,
            "answer": row.problem.format(row.instance, row.reference.solution),
        }
        for row in rows(suite).values()
        if row.problem.name == problem
    ]
    return {"test": datasets.Dataset.from_list(docs)}


def score(doc: dict[str, Any], results: list[Any]) -> dict[str, float]:
    """Return the metrics of the first of a document's ``results``, replies of a model.

    Examples
    --------
    >>> doc = documents("TSP")["test"][0]
    >>> score(doc, [doc["answer"]])["quality"], score(doc, ["no idea"])
    (1.0, {'success': 0.0, 'quality': 0.0, 'skill': -1.0, 'optimal': 0.0})
    """
    row = rows(doc["suite"])[doc["id"]]
    verdict = row.problem.verify(row.use(), results[0])
    return {name: METRICS[name](verdict) for name in SCORES}
