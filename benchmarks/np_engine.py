"""Race NP-Engine, the published reference, on its ten tasks at the sizes of its ``bench`` level.

Its functions are called as its own scripts call them: an instance has the form that its file stores, a prompt
is built from its template and its task's page, an answer goes to its validator as text.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from answers import AnyProblem, certified, different, ours, spoilt, theirs, thought
from timing import Race

from forge_gym.core.instance import Instance
from forge_gym.data.published import convert


@dataclass(frozen=True)
class Task:
    """One of its tasks, and our instances of the same size."""

    folder: str
    title: str
    """What its prompts call the task."""
    drawn: dict[str, Any]
    """Parameters of ours that draw instances of the same size."""
    write: Callable[[Any], str] | None = None
    """The answer's text, where it is not ours."""
    extra: int = 0
    """What its objective has beyond ours."""


TASKS = {
    "tsp": Task("TSP", "TSP", {"n": 50, "distribution": "matrix"}, lambda tour: str([*tour, tour[0]])),
    "knapsack": Task("knapsack", "knapsack", {"n": 68, "largest": 200}),
    "maximum_clique": Task("maximum_clique_problem", "maximum_clique_problem", {"n": 18}),
    "maximum_independent_set": Task("maximum_set", "maximum-set", {"n": 45, "p": 0.4}),
    "graph_coloring": Task(
        "GCP_D",
        "GCP-D",
        {"n": 36, "distribution": "planted", "k": 7},
        lambda colours: str([colour + 1 for colour in colours]),
    ),
    "set_cover": Task("set_cover", "set-cover", {"n": 25, "elements": 35, "distribution": "skewed", "members": 7}),
    "subset_sum": Task("subset_sum", "subset-sum", {"n": 18, "largest": 15, "tightness": 0.7}),
    "hamiltonian_cycle": Task(
        "hamiltonian_cycle", "hamiltonian-cycle", {"n": 45, "distribution": "planted", "degree": 23.0}, extra=1
    ),
    "meeting_schedule": Task(
        "meeting_schedule", "meeting-schedule", {"n": 9}, lambda rows: str([tuple(row) for row in rows])
    ),
    "minimum_bisection": Task("minimum_cut", "minimum-cut", {"n": 50, "distribution": "planted", "p": 0.28}),
}
"""By the names that `forge_gym.data.published` knows them by."""
EACH = 1.4
"""Goal of judging, of each task."""


def races(root: Path) -> Iterator[Race]:
    """Yield the races against the checkout in ``root``."""
    with chdir(root):  # its prompts read files relative to the repository, on every call
        prompts = load(root / "scripts" / "np_construct.py")
        for name, task in TASKS.items():
            yield from of_task(root, prompts, name, task)


def load(path: Path) -> ModuleType:
    """Import the file ``path`` under a name of its own."""
    spec = importlib.util.spec_from_file_location("_".join(path.with_suffix("").parts[-2:]), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_task(root: Path, prompts: ModuleType, name: str, task: Task) -> Iterator[Race]:
    """Yield the races on one task."""
    maker = load(root / "NP_tasks" / task.folder / "generate_questions.py")
    validate = load(root / "NP_tasks" / task.folder / "validation.py").validation
    kind = next(value for key, value in vars(maker).items() if key.endswith("Generator"))
    if hasattr(kind, "get_difficulty_params"):
        generator = kind(kind({}).get_difficulty_params("bench"))
    else:
        generator = kind()
        generator.set_difficulty_params("bench")
    seeds = itertools.count()

    def generate(seed: int | None = None) -> Any:
        random.seed(next(seeds) if seed is None else seed)
        made = generator.generate_single_question()
        return made[0] if isinstance(made, tuple) else made

    def stored(seed: int) -> Any:
        """Return an instance as the file that the generator writes has it."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "questions.json")
            maker.save_json_compact({"big_small": "", "questions": {"bench_question1": generate(seed)}}, file)
            return json.loads(file.read_text())["questions"]["bench_question1"]

    questions = [stored(seed) for seed in range(3)]
    problem, instance = convert(name, questions[0])
    row = (problem.name, task.drawn["n"], "NP-Engine")
    drawn: AnyProblem = replace(problem, **task.drawn)
    yield Race("GEN", *row, lambda: drawn.instance(next(seeds)), generate)

    page = root / prompts.create_md_dict()[task.title]
    if page.exists():

        def ask() -> None:
            generate()
            prompts.get_prompt(task.title, prompts.extract_markdown_content_NP(page), questions[0])

        yield Race("GEN+PROMPT", *row, lambda: drawn.prompt(drawn.instance(next(seeds))), ask)

    def write(instance: Instance, solution: Any) -> str:
        return f"Answer: {task.write(solution) if task.write else problem.format_answer(instance, solution)}"

    asked: list[list[tuple[Any, Any, str, str]]] = []
    for question in questions:
        _, instance = convert(name, question)
        found = []
        for solution in different(problem, instance, 64):
            text, spelt = problem.format(instance, solution), write(instance, solution)
            refused, value, _ = validate(question, spelt)
            assert not refused and value - task.extra == problem.verify(instance, text).objective, spelt
            found.append((instance, question, text, spelt))
        asked.append(found)

    for characters, label, goal in ((500, "", EACH), (8000, ", 8,000 characters", None)):
        some = [each for found in asked for each in found[:8]]
        we = ours(problem, [(instance, thought(characters) + text) for instance, _, text, _ in some])
        they = theirs(validate, [(question, thought(characters) + spelt) for _, question, _, spelt in some])
        yield Race(f"SCORE{label}", *row, we, they, goal, len(some))

    instance, texts = asked[0][0][0], [text for _, _, text, _ in asked[0]]

    def group() -> None:
        problem.verify_many(instance, texts)

    they = theirs(validate, [(question, spelt) for _, question, _, spelt in asked[0]])
    yield Race("GROUP-64", *row, group, they, None, len(texts))

    best = certified(problem, instance).solution
    wrong = {"prose": ("I give up.", "I give up.")}
    for mistake, solution in spoilt(problem, instance.size, best).items():
        wrong[mistake] = problem.format(instance, solution), write(instance, solution)
    for mistake, (text, spelt) in wrong.items():
        if not problem.verify(instance, text).feasible:  # a clique less one vertex is still one
            note = "" if validate(questions[0], spelt)[0] else "the peer accepts it"
            we, they = ours(problem, [(instance, text)]), theirs(validate, [(questions[0], spelt)])
            yield Race(f"SCORE, {mistake}", *row, we, they, note=note)
