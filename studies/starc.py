"""How far apart are two reward schemes? STARC distances over a bank of answers of every quality.

Where an episode is a single answer, the canonical form of a reward [1]_ is its difference from the instance's
mean, so what moves all answers to an instance alike, potential shaping included, changes nothing. A bank holds
malformed, infeasible, thoughtless, random, greedy, locally searched, nearly optimal and optimal answers.
Distances depend on it: give instances and seed with them.

    python studies/starc.py
    python studies/starc.py --env TSP Knapsack --schemes tiered linear binary --png distances.png

References
----------
.. [1] J. Skalse, L. Farnik, S. R. Motwani, E. Jenner, A. Gleave, A. Abate, "STARC: A General Framework For
   Quantifying Differences Between Reward Functions", ICLR, 2024.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, product
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from typer import Option

from forge_gym.agents.agent import Task
from forge_gym.agents.controls import LocalSearchAgent, RandomAgent
from forge_gym.cli import run
from forge_gym.cli.options import Envs, Json, Set, make_problems
from forge_gym.cli.terminal import console, print_json, progress_bar
from forge_gym.core.answer import wrap_answer
from forge_gym.core.checks import check_choice, check_int
from forge_gym.core.instance import Instance
from forge_gym.core.problem import Problem
from forge_gym.core.rewards import REWARDS, Group, Scheme, group_rewards, reward
from forge_gym.core.verdict import METRICS, STATUSES

Floats: TypeAlias = NDArray[np.float64]
Paid: TypeAlias = Sequence[Sequence[float | None] | Floats]
"""For each instance the (answers,) rewards of its answers."""

SCORES = ("quality", "success")
"""The metrics that stand beside the schemes: what a trained model is scored by."""
_MALFORMED = ("", "There is no solution.", "<answer>[0, 1")


def bank(
    problem: Problem[Any, Any],
    instances: int = 20,
    seed: int = 0,
    progress: Callable[[int], object] = lambda done: None,
) -> list[Group]:
    """Return judged answers of every quality to the first graded training instances of ``seed``.

    Answers are written as JSON between tags, whatever the style of ``problem``: a verdict is the same. ``progress`` is
    called with 1 after each instance.

    Raises
    ------
    ValueError
        If ``instances`` is below 1, or the problem leaves no room for quality.

    Examples
    --------
    >>> import forge_gym
    >>> (group,) = bank(forge_gym.problem("TSP", n=8), instances=1)
    >>> sorted(Counter(verdict.status for verdict in group.verdicts).items())
    [('feasible', 11), ('infeasible', 18), ('malformed', 3)]
    """
    check_int("instances", instances, 1)
    problem = replace(problem, style="prose", answer_format="tags")
    groups = []
    for _, instance in islice(problem.graded_instances(seed), instances):
        texts = _answers(problem, instance, seed)
        groups.append(Group(problem, instance, texts, problem.verify_many(instance, texts)))
        progress(1)
    return groups


def _answers(problem: Problem[Any, Any], instance: Instance, seed: int) -> list[str]:
    """Return the different replies of an instance's bank."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, int(problem.digest(instance)[:16], 16)]))
    best = problem.reference(instance).solution
    good = [
        problem.trivial(instance),
        problem.heuristic(instance),
        best,
        *(RandomAgent(seed).solution(Task(problem, instance, (), k)) for k in range(5)),
        LocalSearchAgent(seed).solution(Task(problem, instance, ())),
        # Without neighbours of the optimum, schemes that differ only near it look alike.
        *(problem.neighbour(instance, best, rng) for _ in range(4)),
    ]
    written = [problem.format_answer(instance, solution) for solution in good]
    bodies = [*written, *_spoilt(list(map(json.loads, written)), rng)]
    return list(dict.fromkeys([*_MALFORMED, *(wrap_answer(body, "tags") for body in bodies)]))


def _spoilt(answers: list[list[Any]], rng: np.random.Generator) -> list[str]:
    """Return the first three of ``answers`` with elements dropped, repeated, or replaced by those of others."""
    strangers = list(chain.from_iterable(answers))
    bodies = []
    # One flaw is nearly right, four are mostly wrong.
    for answer, how, flaws in product(answers[:3], ("drop", "repeat", "replace"), (1, 4)):
        spoilt = list(answer)
        for _ in range(min(flaws, len(answer))):
            i = int(rng.integers(len(spoilt)))
            stranger = strangers[int(rng.integers(len(strangers)))]
            spoilt[i : i + 1] = {"drop": [], "repeat": [spoilt[i]] * 2, "replace": [stranger]}[how]
        bodies.append(json.dumps(spoilt))
    return bodies


def standardise(paid: Paid) -> Floats:
    """Return all rewards less their instance's mean, as one vector of length 1, or 0 for a constant reward.

    Raises
    ------
    ValueError
        If a reward is missing or not finite.

    Examples
    --------
    >>> standardise([[0.0, 2.0], [5.0, 5.0]]), standardise([[0.1, 0.1, 0.1]])
    (array([-0.70710678,  0.70710678,  0.        ,  0.        ]), array([0., 0., 0.]))
    """
    parts = [np.asarray(rewards, dtype=np.float64) for rewards in paid]
    if not all(np.isfinite(part).all() for part in parts):
        raise ValueError("rewards must be finite numbers, got None, NaN or infinity: leave alarms out")
    # Less the first before the mean: rounding then leaves nothing of a constant that could be blown up.
    shifted = [part - part[0] for part in parts]
    vector: Floats = np.concatenate([part - part.mean() for part in shifted])
    peak = np.abs(vector).max()
    if peak == 0.0:
        return vector
    scaled: Floats = vector / peak  # so that no square overflows or vanishes
    return scaled / float(np.linalg.norm(scaled))


def distances(paid: Sequence[Paid]) -> Floats:
    """Return the STARC distances between rewards over one bank: 0 for equal goals, 1 for opposite ones.

    A distance is ``sqrt((1 - rho) / 2)``, with rho the correlation within instances: 0.707 for unrelated rewards. A
    constant reward is at 0.5 from every other and at 0 from another constant.

    Examples
    --------
    >>> reward, doubled_and_shifted = [[0.0, 1.0, 3.0], [2.0, 4.0]], [[5.0, 7.0, 11.0], [0.0, 4.0]]
    >>> opposite, constant = [[0.0, -1.0, -3.0], [-2.0, -4.0]], [[1.0] * 3, [2.0] * 2]
    >>> distances([reward, doubled_and_shifted, opposite, constant])[0].round(6)
    array([0. , 0. , 1. , 0.5])
    """
    vectors = np.stack([standardise(rewards) for rewards in paid])
    between: Floats = 0.5 * np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    return between


@dataclass(frozen=True, eq=False)
class Comparison:
    """Distances between reward schemes, and to the metrics of an evaluation."""

    names: tuple[str, ...]
    """Schemes, then `SCORES`: the rows and columns of the matrix."""
    distances: Floats
    """(names, names), over the answers of all problems together."""
    problems: tuple[str, ...]
    instances: int
    """Instances per problem."""
    seed: int
    answers: dict[str, int]
    """Size of the bank by status."""

    def table(self) -> Table:
        """Return the distances as a table."""
        title = (
            f"STARC distance, {len(self.problems)} problems, {self.instances} instances each, seed {self.seed}: "
            "0 equal, 0.71 unrelated, 1 opposite"
        )
        # Columns have numbers: eleven names side by side are too wide.
        table = Table("", *map(str, range(1, len(self.names) + 1)), title=title, title_justify="left")
        for i, (name, row) in enumerate(zip(self.names, self.distances, strict=True), 1):
            table.add_row(f"{i:2} {name}", *(f"{value:.2f}" for value in row))
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        rows = [dict(zip(self.names, row, strict=True)) for row in self.distances.tolist()]
        return vars(self) | {"distances": dict(zip(self.names, rows, strict=True))}

    def draw(self, path: str | Path) -> None:
        """Write a heat map of the overall distances to ``path``; needs matplotlib."""
        from matplotlib.figure import Figure

        side = 2.0 + 0.55 * len(self.names)
        figure = Figure(figsize=(side, side), dpi=120, layout="constrained")
        ax = figure.add_subplot(title="STARC distance")
        ax.imshow(self.distances, cmap="Blues", vmin=0.0, vmax=1.2)  # no cell too dark for its number
        ax.set_xticks(range(len(self.names)), self.names, rotation=45, ha="right")
        ax.set_yticks(range(len(self.names)), self.names)
        for (i, j), value in np.ndenumerate(self.distances):
            ax.annotate(f"{value:.2f}", (j, i), ha="center", va="center", fontsize=8)
        figure.savefig(path)


def compare(
    problems: Sequence[Problem[Any, Any]],
    schemes: Sequence[str] = tuple(REWARDS),
    *,
    instances: int = 20,
    seed: int = 0,
    progress: Callable[[int], object] = lambda done: None,
) -> Comparison:
    """Return the distances between ``schemes``, and to the metrics `SCORES`, over the banks of ``problems``.

    A scheme of groups pays the bank of each instance as one group, a scheme that learns learns from one to the next.
    Everything is a function of ``seed``.

    Raises
    ------
    ValueError
        If a scheme is unknown, or there is no problem or no scheme.

    Examples
    --------
    >>> import forge_gym
    >>> result = compare([forge_gym.problem("Knapsack")], ["tiered", "linear", "binary"], instances=5)
    >>> result.names
    ('tiered', 'linear', 'binary', 'quality', 'success')
    >>> result.distances[0].round(1)
    array([0. , 0.1, 0.4, 0.4, 0.4])
    """
    if not problems or not schemes:
        raise ValueError("problems and schemes must hold at least one each, got none")
    for name in schemes:
        check_choice("schemes", name, REWARDS)
    payers: dict[str, Scheme] = {name: reward(name) for name in schemes}
    payers |= {name: METRICS[name] for name in SCORES}
    groups = [group for problem in dict.fromkeys(problems) for group in bank(problem, instances, seed, progress)]
    judged = Counter(verdict.status for group in groups for verdict in group.verdicts)
    return Comparison(
        tuple(payers),
        distances([[group_rewards(payer, group) for group in groups] for payer in payers.values()]),
        tuple(problem.name for problem in problems),
        instances,
        seed,
        {status: judged[status] for status in STATUSES},
    )


def main(
    env: Envs = None,
    set: Set = None,
    schemes: Annotated[list[str] | None, Option(help="names of schemes; all by default")] = None,
    instances: Annotated[int, Option(help="instances per problem")] = 20,
    seed: Annotated[int, Option(help="of the bank")] = 0,
    png: Annotated[Path | None, Option(metavar="FILE", help="draw a heat map")] = None,
    json: Json = False,
) -> None:
    """Measure the STARC distances between reward schemes over a bank of answers."""
    problems = make_problems(env, set)
    if png and not png.absolute().parent.is_dir():
        raise ValueError(f"--png must be in a folder that exists, got {str(png)!r}")
    with progress_bar("comparing rewards", len(problems) * instances) as advance:
        comparison = compare(problems, schemes or tuple(REWARDS), instances=instances, seed=seed, progress=advance)
    if png:
        comparison.draw(png)
    if json:
        print_json(comparison.to_dict())
    else:
        console().print(comparison.table())


if __name__ == "__main__":
    run(main)
