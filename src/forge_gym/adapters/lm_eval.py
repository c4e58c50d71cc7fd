r"""Tasks for EleutherAI's lm-evaluation-harness: a suite as a group, and a task for each of its problems.

    python -m forge_gym.adapters.lm_eval tasks
    lm_eval run --include_path tasks --tasks forge_bench_v1 --model hf --model_args pretrained=M --apply_chat_template

The harness reads the YAML files of a folder, which the first line writes. Metrics per task: success, quality, skill and
optimal, means over its instances; the group's are means over all. The harness takes thoughts out of replies itself:
give it ``think_end_token`` in ``--model_args`` where they do not end with ``</think>``.
"""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..core.verdict import METRICS
from ..data.rows import Row
from ..data.suite import BENCHMARK, locate, name_of, read
from . import task_name

SCORES = ("success", "quality", "skill", "optimal")
"""The metrics of a task."""
_TASK = """\
custom_dataset: !function functions.documents
test_split: test
output_type: generate_until
doc_to_text: "{{prompt}}"
doc_to_target: "{{answer}}"
process_results: !function functions.score
generation_kwargs:
  until: []
  do_sample: false
  max_gen_toks: 4096
num_fewshot: 0
metadata: {version: 1.0}
metric_list: """
"""What all tasks share."""


@lru_cache(maxsize=4)
def rows(suite: str) -> dict[str, Row]:
    """Return the rows of ``suite``, a name or a file, by their ids."""
    return {row.id: row for row in read(locate(suite))[1]}


def documents(problem: str, suite: str = BENCHMARK, **_: Any) -> dict[str, Any]:
    """Return the instances of one problem as the harness takes a data set, under the split ``test``.

    Examples
    --------
    >>> docs = documents("TSP")["test"]
    >>> len(docs), sorted(docs[0])
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


def write_tasks(folder: Path | str, suite: str = BENCHMARK) -> Path:
    """Write a task file for every problem of a suite, a name or a file, and a group of all; return the folder.

    It is made when missing. Files of the same names are written anew.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = write_tasks(mkdtemp())
    >>> print((folder / "forge_max_clique.yaml").read_text())
    include: _forge.yaml
    task: forge_max_clique
    dataset_kwargs: {"problem": "MaxClique", "suite": "forge-bench-v1"}
    <BLANKLINE>
    """
    path = locate(suite)
    place, group = suite if suite == BENCHMARK else str(path.resolve()), re.sub(r"\W", "_", name_of(path))
    tasks = {task_name(row.problem.name): row.problem.name for row in rows(place).values()}
    means = [{"metric": metric, "aggregation": "mean"} for metric in SCORES]
    metrics = [{**mean, "higher_is_better": True} for mean in means]
    weighted = [{**mean, "weight_by_size": True} for mean in means]
    texts = {
        "functions.py": "from forge_gym.adapters.lm_eval import documents, score\n",
        "_forge.yaml": f"{_TASK}{json.dumps(metrics)}\n",
        f"{group}.yaml": f"group: {group}\nmetadata: {{version: 1.0}}\ntask: {json.dumps([*tasks])}\n"
        f"aggregate_metric_list: {json.dumps(weighted)}\n",
    }
    for task, name in tasks.items():
        source = json.dumps({"problem": name, "suite": place})
        texts[f"{task}.yaml"] = f"include: _forge.yaml\ntask: {task}\ndataset_kwargs: {source}\n"
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        (folder / file).write_text(text)
    return folder


if __name__ == "__main__":
    parser = ArgumentParser("python -m forge_gym.adapters.lm_eval", description=__doc__)
    parser.add_argument("folder", help="made when missing; files of the same names are written anew")
    parser.add_argument("--suite", default=BENCHMARK, help="name or file")
    given = parser.parse_args()
    try:
        print(f"wrote {write_tasks(given.folder, given.suite).resolve()}")
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
