"""The folder of task files that the harness's ``--include_path`` names."""

from __future__ import annotations

from pathlib import Path

from ...data.suite import BENCHMARK, PROBLEMS
from ..names import task_name
from .functions import SCORES

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
metadata:
  version: 1.0
metric_list:
"""
"""What all tasks share."""


def write_tasks(folder: Path | str) -> Path:
    """Write a task file for every problem of the benchmark, and ``forge_bench_v1`` of all; return the folder.

    Parameters
    ----------
    folder
        Made when missing. Files of the same names are written anew.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = write_tasks(mkdtemp())
    >>> print((folder / "forge_max_clique.yaml").read_text())
    include: _forge.yaml
    task: forge_max_clique
    dataset_kwargs:
      problem: MaxClique
    <BLANKLINE>
    """
    folder, group = Path(folder), BENCHMARK.replace("-", "_")
    tasks = {task_name(name): name for name in PROBLEMS}
    means = [f"  - metric: {score}\n    aggregation: mean\n" for score in SCORES]
    files = {
        "functions.py": "from forge_gym.adapters.lm_eval.functions import documents, score\n",
        "_forge.yaml": _TASK + "".join(f"{mean}    higher_is_better: true\n" for mean in means),
        f"{group}.yaml": f"group: {group}\nmetadata:\n  version: 1.0\ntask:\n"
        + "".join(f"  - {task}\n" for task in tasks)
        + "aggregate_metric_list:\n"
        + "".join(f"{mean}    weight_by_size: true\n" for mean in means),
    }
    for task, name in tasks.items():
        files[f"{task}.yaml"] = f"include: _forge.yaml\ntask: {task}\ndataset_kwargs:\n  problem: {name}\n"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder
