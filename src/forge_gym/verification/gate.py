"""The gate of registration: what a problem has to pass before its scores mean anything.

No reply is accepted wrongly, refused wrongly or judged at length, and the scale is where it belongs: a proven optimum
pays 1, the greedy answer exactly 0, and an answer that ignores the data at most -0.18 on average.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import islice
from statistics import fmean
from typing import Any

import numpy as np
from rich.table import Table

from ..agents import LocalSearchAgent, Task
from ..core.checks import check_choice, check_int, short_repr, told_with_place
from ..core.instance import Instance
from ..core.problem import Problem
from ..kinds import as_kind
from ..registration import definition_entry_point
from .battery import run
from .case import RAISED, Findings, Overtime, raised, reward_of
from .constants import Best, best_constants
from .contract import contract
from .definitions import Definition, Question, definition_of
from .exhaustive import agreement
from .fuzz import compare_quick, fuzz

SIZES = (0, 3, 7)
"""Levels at which the battery runs."""
LEVELS = (0, 1, 2, 3)
"""Levels at which answers that ignore the data are searched, in every family: where few answers are possible."""
NO_DEFINITION = (
    "a problem needs a second verifier, its definition, to hold the first against, got none: "
    "give --definition module:function, or register it with the problem"
)


@dataclass(frozen=True)
class Check:
    """One of the gate's checks."""

    name: str
    detail: str
    """What was checked, in numbers."""
    faults: list[str]

    @property
    def passed(self) -> bool:
        """Whether there is no fault."""
        return not self.faults


@dataclass(frozen=True)
class Gate:
    """The verdict on a problem."""

    problem: str
    checks: list[Check]
    calibration: dict[str, float]
    """The mean reward of policies: the calibration line."""
    constants: list[Best]
    """What the best answers that ignore the data earn: with the given parameters, then by family and level."""

    @property
    def passed(self) -> bool:
        """Whether the problem may be released."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        checks = [asdict(check) | {"passed": check.passed} for check in self.checks]
        constants = [best._asdict() for best in self.constants]
        return asdict(self) | {"passed": self.passed, "checks": checks, "constants": constants}

    def table(self) -> Table:
        """Return the checks as a table, the calibration line below its title."""
        line = " | ".join(f"{policy} {reward:+.3f}" for policy, reward in self.calibration.items())
        title = f"{self.problem}: {'passed' if self.passed else 'REFUSED'}"
        title += f"\nmean reward: {line}" if line else ""
        table = Table("check", "", "what was checked", title=title)
        for check in self.checks:
            table.add_row(check.name, "ok" if check.passed else f"{len(check.faults)} faults", check.detail)
        return table

    def constants_table(self) -> Table:
        """Return mean reward and mean quality of the best answers that ignore the data, by family and level."""
        levels = list(dict.fromkeys(best.level for best in self.constants))
        heads = ["given" if level is None else f"level {level}" for level in levels]
        title = f"{self.problem}: the best answers that ignore the data, mean reward and mean quality"
        table, earned = Table("family", *heads, title=title), {(b.family, b.level): b for b in self.constants}
        for family in dict.fromkeys(best.family for best in self.constants):
            row = [earned.get((family, level)) for level in levels]
            table.add_row(family or "all", *(f"{b.reward:+.3f} {b.quality:.3f}" if b else "" for b in row))
        return table


def find_definition(problem: Problem[Any, Any], entry_point: str | None = None) -> Definition | None:
    """Return the definition at ``entry_point`` (``module:function``), or that registered with ``problem``, or None."""
    entry_point = entry_point or definition_entry_point(problem.name)
    if entry_point is None:
        return definition_of(problem.name)
    module, _, name = entry_point.partition(":")
    try:
        definition: Definition = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:
        rule = "definition must be module:function"
        raise ValueError(f"{rule}, got {short_repr(entry_point)}: {told_with_place(error)}") from None
    return definition


def check(
    problem: Problem[Any, Any],
    definition: Definition | None = None,
    *,
    replies: int = 3_000,
    instances: int = 200,
    sizes: Sequence[int] = SIZES,
    levels: Sequence[int] = LEVELS,
    only: Collection[str] = (),
    progress: Callable[[str], object] = lambda done: None,
) -> Gate:
    """Put a registered problem through the gate, with the parameters it is to be released with.

    Parameters
    ----------
    definition
        Its second verifier, see `definitions`; by default the one that is registered with it. Without any,
        the other checks still run, but the problem is refused.
    replies, instances
        Mutated replies to judge; graded instances on which policies are played, and twice as many for constants.
    sizes, levels
        Levels at which the battery runs, and at which answers that ignore the data are searched in every family.
    only
        Names of the checks to run, beside the contract; all by default.
    progress
        Called with the name of each check when it is done.

    Examples
    --------
    >>> import forge_gym
    >>> gate = check(forge_gym.problem("Knapsack"), instances=60, levels=(0,), only=["constants", "calibration"])
    >>> gate.passed, [check.name for check in gate.checks]
    (True, ['contract', 'constants', 'calibration'])
    """
    check_int("replies", replies, 1)
    check_int("instances", instances, 2)
    definition = definition or find_definition(problem)
    second = definition or _itself(problem)
    earned: dict[str, float] = {}
    constants: list[Best] = []
    parts: dict[str, tuple[str, Callable[[], Findings]]] = {
        "contract": ("declarations, hooks, prompt, limit of the solver", lambda: contract(problem)),
        "battery": (
            "{replies:,} replies and {policies} policies at {sizes} sizes",
            lambda: _battery(problem, second, sizes),
        ),
        "agreement": (
            "{answers:,} answers to {instances} instances, {feasible:,} of them feasible",
            lambda: agreement(problem, second),
        ),
        "mutated replies": (
            "{replies:,} replies, {feasible:,} accepted, {infeasible:,} infeasible",
            lambda: fuzz(problem, second, replies),
        ),
        "quick verdicts": (
            "{replies:,} replies judged in both ways, {quick:,} of them at once",
            lambda: compare_quick(problem, replies),
        ),
        "constants": (
            "the best answers that ignore the data, at {sizes} levels and families",
            lambda: _constants(problem, levels, instances, constants, earned),
        ),
        "calibration": (
            "{policies} policies on {instances} graded instances",
            lambda: _calibration(problem, instances, earned),
        ),
    }
    for name in only:
        check_choice("only", name, parts)
    checks: list[Check] = []
    late = False
    for name, (detail, part) in parts.items():
        if late or (checks and not checks[0].passed):  # what follows builds on the contract
            break
        if only and name not in ("contract", *only):
            continue
        try:
            findings = part()
        except RAISED as error:  # a problem that breaks a check has not passed it
            detail, findings = "broke off", Findings(faults=[raised(error, problem)])
            late = isinstance(error, Overtime)  # what comes next would wait for it too
        missing = [NO_DEFINITION] if name == "agreement" and definition is None else []
        checks.append(Check(name, detail.format_map(findings.counts), missing + findings.faults))
        progress(name)
    return Gate(problem.name, checks, earned, constants)


def _itself(problem: Problem[Any, Any]) -> Definition:
    """Return a stand-in that believes the verifier: what is left are contradictions within the problem."""

    def believed(question: Question, answer: Any) -> Any:
        data = {name: question[name] for name in problem.instance_type.__dataclass_fields__}
        instance = problem.from_json(json.dumps(data))
        return problem.verify(instance, f"<answer>{json.dumps(answer)}</answer>").objective

    return believed


def _battery(problem: Problem[Any, Any], definition: Definition, levels: Sequence[int]) -> Findings:
    findings = Findings(Counter(sizes=len(levels)))
    for level in levels:
        part = run(problem, definition, level)
        findings.counts += part.counts
        findings.faults += (f"level {level}: {fault}" for fault in part.faults)
    return findings


def _constants(
    problem: Problem[Any, Any], levels: Sequence[int], instances: int, found: list[Best], earned: dict[str, float]
) -> Findings:
    found += best_constants(problem, levels, instances)
    earned["constant"] = found[0].reward
    return Findings(Counter(sizes=len(found)), [best.fault for best in found if best.fault])


def _calibration(problem: Problem[Any, Any], instances: int, earned: dict[str, float]) -> Findings:
    """Play policies."""
    drawn = [x for _, x in islice(problem.graded_instances(seed=2, split="validation"), instances)]
    kind, search, rng = as_kind(problem), LocalSearchAgent(), np.random.default_rng(0)
    policies: dict[str, Callable[[Instance], Any]] = {
        "blind": lambda x: kind.any_answer(x, rng),
        "random": lambda x: problem.random(x, rng),
        "greedy": problem.heuristic,
        "local search": lambda x: search.solution(Task(problem, x, ())),
        "exact": lambda x: problem.reference(x).solution,
    }
    for name, policy in policies.items():
        earned[name] = fmean(reward_of(problem, x, policy(x)) for x in drawn)
    findings = Findings(Counter(policies=len(policies), instances=len(drawn)))
    for name, due in (("greedy", 0.0), ("exact", 1.0)):
        if earned[name] != due:
            findings.faults.append(f"{name} answers earn exactly {due}, got {earned[name]}")
    return findings
