"""The gate of registration: what a problem has to pass before its scores mean anything.

No reply is accepted wrongly, refused wrongly or judged at length, and the scale is where it belongs: a proven optimum
pays 1, the greedy answer exactly 0, thoughtless constant answers at most -0.2, and none as much as greedy.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
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
from ..kinds import as_kind
from ..registration import definition_entry_point
from .battery import run
from .case import Findings, raised, reward_of
from .contract import contract
from .definitions import Definition, Question, definition_of
from .exhaustive import agreement
from .fuzz import fuzz

MAX_CONSTANT = -0.2
"""The most that a thoughtless answer to all instances may earn on average."""
SIZES = (0, 3, 7)
"""Levels at which the battery runs."""
NO_DEFINITION = (
    "a problem needs a second verifier, its definition, to hold the first against, got none: "
    "give --definition module:function, or register it with the problem"
)

_ADVICE = "; a trivial answer that is the best of several, see fixed_permutations, would hold it down"


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

    @property
    def passed(self) -> bool:
        """Whether the problem may be released."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data."""
        checks = [asdict(check) | {"passed": check.passed} for check in self.checks]
        return asdict(self) | {"passed": self.passed, "checks": checks}

    def table(self) -> Table:
        """Return the checks as a table, the calibration line below its title."""
        line = " | ".join(f"{policy} {reward:+.3f}" for policy, reward in self.calibration.items())
        title = f"{self.problem}: {'passed' if self.passed else 'REFUSED'}"
        title += f"\nmean reward: {line}" if line else ""
        table = Table("check", "", "what was checked", title=title)
        for check in self.checks:
            table.add_row(check.name, "ok" if check.passed else f"{len(check.faults)} faults", check.detail)
        return table


def find_definition(problem: Problem[Any, Any], entry_point: str | None = None) -> Definition | None:
    """Return the definition at ``entry_point`` (``module:function``), or that registered with ``problem``, or None."""
    entry_point = entry_point or definition_entry_point(problem.name)
    if entry_point is None:
        return definition_of(problem.name)
    module, _, name = entry_point.partition(":")
    try:
        definition: Definition = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        rule = "definition must be module:function"
        raise ValueError(f"{rule}, got {short_repr(entry_point)}: {error}") from None
    return definition


def check(
    problem: Problem[Any, Any],
    definition: Definition | None = None,
    *,
    replies: int = 3_000,
    instances: int = 200,
    levels: Sequence[int] = SIZES,
    progress: Callable[[str], object] = lambda done: None,
) -> Gate:
    """Put a registered problem through the gate, with the parameters it is to be released with.

    Parameters
    ----------
    definition
        Its second verifier, see `definitions`; by default the one that is registered with it. Without any,
        the other checks still run, but the problem is refused.
    replies, instances, levels
        Mutated replies to judge, graded instances on which policies are played, sizes at which the battery runs.
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
    earned: dict[str, float] = {}
    parts: dict[str, tuple[str, Callable[[], Findings]]] = {
        "contract": ("declarations, hooks, prompt, limit of the solver", lambda: contract(problem)),
        "battery": (
            "{replies:,} replies and {policies} policies at {sizes} sizes",
            lambda: _battery(problem, second, levels),
        ),
        "agreement": (
            "{answers:,} answers to {instances} instances, {feasible:,} of them feasible",
            lambda: agreement(problem, second),
        ),
        "mutated replies": (
            "{replies:,} replies, {feasible:,} accepted, {infeasible:,} infeasible",
            lambda: fuzz(problem, second, replies),
        ),
        "calibration": (
            "{policies} policies on {instances} graded instances",
            lambda: _calibration(problem, instances, earned),
        ),
    }
    checks: list[Check] = []
    for name, (detail, part) in parts.items():
        if checks and not checks[0].passed:  # what follows builds on the contract
            break
        try:
            findings = part()
        except Exception as error:  # a problem that breaks a check has not passed it
            detail, findings = "broke off", Findings(faults=[raised(error, problem)])
        missing = [NO_DEFINITION] if name == "agreement" and definition is None else []
        checks.append(Check(name, detail.format_map(findings.counts), missing + findings.faults))
        progress(name)
    return Gate(problem.name, checks, earned)


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


def _calibration(problem: Problem[Any, Any], instances: int, earned: dict[str, float]) -> Findings:
    """Play policies; constant ones give all other instances one answer to the first."""
    drawn = [x for _, x in islice(problem.graded_instances(seed=2, split="validation"), instances)]
    (first, *others), kind, search = drawn, as_kind(problem), LocalSearchAgent()
    rng = np.random.default_rng(0)
    thoughtless = {"the trivial answer": problem.trivial(first)}
    thoughtless |= {f"null answer {k}": null for k, null in enumerate(problem.null_answers(first))}
    borrowed = {"greedy's": problem.heuristic(first), "the optimal": problem.reference(first).solution}
    borrowed |= {f"random answer {k}": problem.random(first, rng) for k in range(4)}
    borrowed |= {f"pattern {k}": solution for k, solution in enumerate(kind.patterns(first))}
    policies: dict[str, Callable[[Instance], Any]] = {
        "blind": lambda x: kind.any_answer(x, rng),
        "random": lambda x: problem.random(x, rng),
        "greedy": problem.heuristic,
        "local search": lambda x: search.solution(Task(problem, x, ())),
        "exact": lambda x: problem.reference(x).solution,
    }

    def mean(over: list[Instance], solution: Callable[[Instance], Any]) -> float:
        return fmean(reward_of(problem, x, solution(x)) for x in over)

    constant = {
        name: mean(others, lambda x, answer=answer: answer)  # type: ignore[misc]
        for name, answer in (thoughtless | borrowed).items()
    }
    best = max(constant, key=lambda name: constant[name])
    earned["constant"] = constant[best]
    earned |= {name: mean(drawn, policy) for name, policy in policies.items()}
    findings = Findings(Counter(policies=len(constant) + len(policies), instances=len(drawn)))
    for name, reward in constant.items():
        said = f"{name} of the first instance, given to all others, earns {reward:.3f}"
        if name in thoughtless and reward > MAX_CONSTANT + 1e-12:
            findings.faults.append(f"a thoughtless answer earns at most {MAX_CONSTANT}: {said}{_ADVICE}")
        if reward >= 0:
            findings.faults.append(f"no fixed answer is as good as greedy ones, which earn 0: {said}")
    for name, due in (("greedy", 0.0), ("exact", 1.0)):
        if earned[name] != due:
            findings.faults.append(f"{name} answers earn exactly {due}, got {earned[name]}")
    return findings
