"""The gate of registration: what a problem has to pass before its scores mean anything.

No reply of the battery is accepted wrongly, refused wrongly or judged at length; verifier, definition and
reference agree on every answer to small instances; mutated replies find no hole; the scale is where it
belongs: a proven optimum pays 1, the greedy answer exactly 0, thoughtless constant answers at most -0.2, and no
constant answer as much as greedy ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from itertools import islice
from statistics import fmean
from typing import Any

import numpy as np
from rich.table import Table

from ..agents import LocalSearchAgent, Task
from ..core.checks import check_int, short_repr
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.rewards import tiered
from ..core.verdict import Verdict
from ..kinds import as_kind
from ..registration import definition_entry_point
from .battery import run
from .case import Findings, raised
from .contract import contract
from .definitions import Definition, Question, definition_of
from .exhaustive import agreement
from .fuzz import fuzz
from .probes import PROBES

MAX_CONSTANT = -0.2
"""The most that a thoughtless answer to all instances may earn on average."""
REPLIES = 3_000
INSTANCES = 200
SIZES = (0, 3, 7)
"""Levels at which the battery runs."""
NO_DEFINITION = (
    "a problem needs a second verifier, its definition, to hold the first against, got none: "
    "give --definition module:function, or register it with the problem"
)
_COMPARED = "{answers:,} answers to {instances} instances, {feasible:,} of them feasible"
_JUDGED = "{replies:,} replies, {feasible:,} accepted, {infeasible:,} infeasible"
_THOUGHTLESS, _FIXED = "thoughtless", "fixed"
"""Two kinds of answers that are the same for every instance: trivial and null ones, and all others."""


@dataclass(frozen=True)
class Check:
    """One of the gate's checks."""

    name: str
    detail: str
    """What was checked, in numbers."""
    faults: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there is no fault."""
        return not self.faults


@dataclass(frozen=True)
class Level:
    """What a policy earns: a mark on the calibration line."""

    policy: str
    reward: float
    quality: float
    feasible: float


@dataclass(frozen=True)
class Gate:
    """The verdict on a problem."""

    problem: str
    checks: tuple[Check, ...]
    calibration: tuple[Level, ...]

    @property
    def passed(self) -> bool:
        """Whether the problem may be released."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        return {
            "problem": self.problem,
            "passed": self.passed,
            "checks": [asdict(check) | {"passed": check.passed} for check in self.checks],
            "calibration": [asdict(level) for level in self.calibration],
        }

    def table(self) -> Table:
        """Return the checks as a table, the calibration line below its title."""
        line = " | ".join(f"{level.policy} {level.reward:+.3f}" for level in self.calibration)
        title = f"{self.problem}: {'passed' if self.passed else 'REFUSED'}\nmean reward: {line}"
        table = Table("check", "", "what was checked", title=title)
        for check in self.checks:
            table.add_row(check.name, "ok" if check.passed else f"{len(check.faults)} faults", check.detail)
        return table


def find_definition(problem: Problem[Any, Any], entry_point: str | None = None) -> Definition | None:
    """Return the definition at ``entry_point``, or the one registered with ``problem``, or None.

    Raises
    ------
    ValueError
        If ``entry_point`` does not name a function as ``module:function``.

    Examples
    --------
    >>> import forge_gym
    >>> find_definition(forge_gym.problem("TSP")).__name__
    'tsp'
    """
    entry_point = entry_point or definition_entry_point(problem.name)
    if entry_point is None:
        return definition_of(problem.name)
    module, _, name = entry_point.partition(":")
    try:
        definition: Definition = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"definition must be module:function, got {short_repr(entry_point)}: {error}"
        ) from None
    return definition


def check(
    problem: Problem[Any, Any],
    definition: Definition | None = None,
    *,
    replies: int = REPLIES,
    instances: int = INSTANCES,
    levels: Sequence[int] = SIZES,
    progress: Callable[[str], object] = lambda done: None,
) -> Gate:
    """Put ``problem`` through the gate.

    Parameters
    ----------
    problem
        A registered problem with the parameters it is to be released with.
    definition
        Its second verifier, see `definitions`; by default the one that is registered with it. Without any,
        the other checks still run, but the problem is refused.
    replies
        Mutated replies to judge.
    instances
        Graded instances on which policies are played.
    levels
        Sizes at which the battery runs.
    progress
        Called with the name of each check when it is done.

    Examples
    --------
    >>> import forge_gym
    >>> gate = check(forge_gym.problem("Knapsack"), replies=200, instances=20)
    >>> gate.passed, [check.name for check in gate.checks]
    (True, ['contract', 'battery', 'agreement', 'mutated replies', 'calibration'])
    """
    check_int("replies", replies, 1)
    check_int("instances", instances, 2)
    definition = definition or find_definition(problem)
    second = definition or _itself(problem)
    calibration: list[Level] = []
    parts: dict[str, Callable[[], tuple[str, Findings]]] = {
        "contract": lambda: ("declarations, hooks, prompt, limit of the solver", contract(problem)),
        "battery": lambda: _battery(problem, second, levels),
        "agreement": lambda: (_COMPARED, agreement(problem, second)),
        "mutated replies": lambda: (_JUDGED, fuzz(problem, second, replies)),
        "calibration": lambda: _calibration(problem, instances, calibration),
    }
    checks: list[Check] = []
    for name, part in parts.items():
        if checks and not checks[0].passed:
            break
        try:
            detail, findings = part()
        except Exception as error:  # a problem that breaks a check has not passed it
            detail, findings = "broke off", Findings(faults=[raised(error, problem)])
        if name == "agreement" and definition is None:
            findings.faults.insert(0, NO_DEFINITION)
        checks.append(Check(name, detail.format_map(findings.counts), tuple(findings.faults)))
        progress(name)
    return Gate(problem.name, tuple(checks), tuple(calibration))


def _itself(problem: Problem[Any, Any]) -> Definition:
    """Return a stand-in that believes the verifier: what is left are contradictions within the problem."""

    def believed(question: Question, answer: Any) -> Any:
        data = {name: question[name] for name in problem.instance_type.__dataclass_fields__}
        instance = problem.from_json(json.dumps(data))
        return problem.verify(instance, f"<answer>{json.dumps(answer)}</answer>").objective

    return believed


def _battery(
    problem: Problem[Any, Any], definition: Definition, levels: Sequence[int]
) -> tuple[str, Findings]:
    findings = Findings()
    for level in levels:
        findings.add(run(problem, definition, level), where=f"level {level}: ")
    detail = (
        f"{{replies}} replies and {len(PROBES) * len(levels)} policies at {len(levels)} sizes, "
        f"the slowest reply in {1000 * findings.slowest:.0f} ms"
    )
    return detail, findings


def _calibration(
    problem: Problem[Any, Any], instances: int, calibration: list[Level]
) -> tuple[str, Findings]:
    drawn = [x for _, x in islice(problem.graded_instances(seed=2, split="validation"), instances)]
    levels = {policy: _level(policy, verdicts) for policy, verdicts in _play(problem, drawn)}
    fixed = [level for level in levels.values() if level.policy.startswith((_THOUGHTLESS, _FIXED))]
    best = max(fixed, key=lambda level: level.reward)
    calibration += [replace(best, policy="constant"), *(x for x in levels.values() if x not in fixed)]
    findings = Findings()
    for level in fixed:
        earned = f"{level.policy} earns {level.reward:.3f}"
        if level.policy.startswith(_THOUGHTLESS) and level.reward > MAX_CONSTANT + 1e-12:
            findings.faults.append(f"a thoughtless answer earns at most {MAX_CONSTANT}, {earned}")
        if level.reward >= 0:
            findings.faults.append(f"no fixed answer is as good as greedy ones, which earn 0: {earned}")
    for policy, expected in (("greedy", 0.0), ("exact", 1.0)):
        if levels[policy].reward != expected:
            findings.faults.append(f"{policy} answers earn exactly {expected}, got {levels[policy].reward}")
    detail = f"{len(levels)} policies on {len(drawn)} graded instances"
    if best.reward > MAX_CONSTANT + 1e-12:
        detail += (
            f"; {best.policy} earns {best.reward:.3f}: a trivial anchor that is the best of several blind "
            "answers would hold such answers down, see fixed_permutations"
        )
    return detail, findings


def _level(policy: str, verdicts: list[Verdict]) -> Level:
    paid = [reward for verdict in verdicts if (reward := tiered(verdict)) is not None]
    if len(paid) < len(verdicts):
        raise ValueError(f"the {policy} policy has an answer that is better than a proven optimum")
    return Level(policy, fmean(paid), fmean(v.quality for v in verdicts), fmean(v.feasible for v in verdicts))


def _play(problem: Problem[Any, Any], drawn: list[Instance]) -> Iterator[tuple[str, list[Verdict]]]:
    """Yield every policy with its verdicts; fixed ones give all other instances one answer to the first."""
    rng = np.random.default_rng(0)
    first, *others = drawn
    search = LocalSearchAgent()

    def judge(solution: Callable[[Instance], Any], over: list[Instance] = drawn) -> list[Verdict]:
        return [problem.verify_solution(x, solution(x)) for x in over]

    fixed = {
        f"{_THOUGHTLESS}, trivial": problem.trivial(first),
        **{f"{_THOUGHTLESS}, null {k}": null for k, null in enumerate(problem.null_answers(first))},
        f"{_FIXED}, greedy elsewhere": problem.heuristic(first),
        f"{_FIXED}, optimal elsewhere": problem.reference(first).solution,
        **{f"{_FIXED}, random {k}": problem.random(first, rng) for k in range(4)},
        **{f"{_FIXED}, pattern {k}": solution for k, solution in enumerate(as_kind(problem).patterns(first))},
    }
    for name, solution in fixed.items():
        yield name, judge(lambda x, answer=solution: answer, others)  # type: ignore[misc]
    yield "blind", judge(lambda x: as_kind(problem).any_answer(x, rng))
    yield "random", judge(lambda x: problem.random(x, rng))
    yield "greedy", judge(problem.heuristic)
    yield "local search", judge(lambda x: search.solution(Task(problem, x, ())))
    yield "exact", judge(lambda x: problem.reference(x).solution)
