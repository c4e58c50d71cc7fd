"""reasoning-gym: every problem as a ``ProceduralDataset``, registered as ``forge_tsp``, ``forge_knapsack``, ...

Importing this module registers them. Entries hold plain data: a question, the certified solution as the answer, and
metadata whose ``spec`` rebuilds problem and instance, so any dataset can score any entry.

Examples
--------
>>> import reasoning_gym
>>> data = reasoning_gym.create_dataset("forge_tsp", n=6, seed=1, size=3)
>>> entry = data[2]
>>> data.score_answer(entry["answer"], entry), data.score_answer("no idea", entry)
(1.0, 0.0)
"""

from __future__ import annotations

from dataclasses import dataclass, fields, make_dataclass, replace
from typing import Any, ClassVar

from reasoning_gym.dataset import ProceduralDataset
from reasoning_gym.factory import DATASETS, register_dataset

from ..core.checks import check_choice, check_int
from ..core.problem import Problem
from ..core.registry import from_spec, problem, problem_class, problems
from ..core.seeding import SPLITS
from ..data.rows import MOST_ROWS, own_row
from . import task_name


@dataclass(kw_only=True)
class ForgeConfig:
    """The configuration of all data sets; the problem's own parameters are fields too."""

    problem: ClassVar[str]
    """Name of the problem."""
    seed: int | None = None
    size: int = 500
    split: str = SPLITS[0]
    level: int | None = None
    """Difficulty, which sets the sizes."""

    def validate(self) -> None:
        """Raise ``ValueError`` unless the parameters make sense."""
        check_int("seed", self.seed or 0, 0)
        check_int("size", self.size, 1, MOST_ROWS)
        check_choice("split", self.split, SPLITS)
        self.asked()

    def asked(self) -> Problem[Any, Any]:
        """Return the problem with its parameters."""
        own = [(field.name, field.default) for field in fields(problem_class(self.problem))]
        changed = {name: getattr(self, name) for name, default in own if getattr(self, name) != default}
        return problem(self.problem, level=self.level, **changed)


class ForgeDataset(ProceduralDataset):
    """Graded instances of one problem, scored by quality: 0 is a thoughtless answer, 1 a proven optimum.

    Questions ask for the bare answer (``answer_format="raw"``), as reasoning-gym extracts it.
    """

    def __init__(self, config: ForgeConfig) -> None:
        super().__init__(config=config, seed=config.seed, size=config.size)
        self._asked, self._level = config.asked(), -1 if config.level is None else config.level

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Return entry ``idx``, the same for the same seed and configuration."""
        if not 0 <= (idx := int(idx)) < self.size:
            raise IndexError(f"idx must be from 0 to {self.size - 1}, got {idx}")
        row = own_row(self._asked, self._level, self.seed, idx, self.config.split)
        return {
            "question": row.prompt,
            "answer": row.problem.format_answer(row.instance, row.reference.solution),
            "metadata": {
                "source_dataset": task_name(row.problem.name),
                "source_index": idx,
                "problem": row.problem.name,
                "spec": row.spec,
                "instance_hash": row.hash,
                "difficulty": {"level": self.config.level, "elements": row.instance.size},
            },
        }

    def score_answer(self, answer: str | None, entry: dict[str, Any]) -> float:
        """Return the quality of ``answer``: what the question asks for, or a whole reply with answer tags."""
        asked, instance = from_spec(entry["metadata"]["spec"])
        if isinstance(answer, str) and "<answer>" in answer:
            asked = replace(asked, answer_format="tags")
        return asked.verify(instance, answer).quality


def register() -> None:
    """Register the datasets of all problems; what is registered already stays as it is."""
    for name in problems():
        if task_name(name) not in DATASETS:
            own = [
                (field.name, field.type, "raw" if field.name == "answer_format" else field.default)
                for field in fields(problem_class(name))
            ]
            namespace = {"problem": name}
            config = make_dataclass(f"{name}Config", own, bases=(ForgeConfig,), kw_only=True, namespace=namespace)
            register_dataset(task_name(name), ForgeDataset, config)


register()
