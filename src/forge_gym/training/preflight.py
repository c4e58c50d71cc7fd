"""Before any GPU hour: which problems and levels would give groups of rollouts something to learn from.

Group-relative methods such as GRPO learn from the differences between the rewards of one prompt's
rollouts. A group whose rewards are all equal costs as much as any other and moves no weight, so a
short pilot counts such groups for every problem and level, says why they are silent, and names the
level at which to start.

Examples
--------
>>> import forge_gym
>>> from forge_gym.agents import RandomAgent
>>> result = preflight(RandomAgent(), [forge_gym.problem("Knapsack")], levels=[0, 2], instances=8)
>>> [(row.level, row.signal) for row in result.rows], result.suggested["Knapsack"].level
([(0, 1.0), (2, 1.0)], 0)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..agents.agent import Agent
from ..core.checks import check_int
from ..core.problem import Problem
from ..core.rewards import Group, group_rewards
from ..core.rewards import reward as reward_scheme
from ..core.verdict import METRICS, STATUSES, Verdict
from ..evaluation.evaluate import held_out
from ..evaluation.stats import Estimate, bootstrap, wilson
from .curriculum import WindowConfig
from .demonstrations import replies
from .metrics import SILENT, USEFUL, JudgedGroup

if TYPE_CHECKING:
    from rich.table import Table

WINDOW = WindowConfig()
"""When the window of an adaptive curriculum would move."""
ENOUGH_SIGNAL = 0.5
"""Share of groups with signal that a starting level needs: under it most of the compute is wasted."""


def _cause(group: JudgedGroup) -> str | None:
    """Return why a group carries no signal, the first of five reasons that holds; None where it carries some."""
    if group.deviation > SILENT:
        return None
    if all(verdict.optimal for verdict in group.verdicts):
        return "optimal"
    if len(set(group.texts)) == 1:
        return "identical"
    if all(verdict.status == "malformed" for verdict in group.verdicts):
        return "malformed"
    if len(set(group.solutions)) == 1 and all(verdict.feasible for verdict in group.verdicts):
        return "same answer"
    return "equal pay"


def _over_rollouts(metric: Callable[[Verdict], float]) -> Callable[[JudgedGroup], float]:
    return lambda group: fmean(map(metric, group.verdicts))


SHARES: dict[str, Callable[[JudgedGroup], bool]] = {
    "no_signal": lambda group: group.deviation <= SILENT,
    "useful": lambda group: group.deviation > USEFUL,
    "zero_pass": lambda group: group.passes == 0,
    "all_pass": lambda group: group.passes == len(group.verdicts),
}
"""What is true or false of a group."""

MEANS: dict[str, Callable[[JudgedGroup], float]] = {
    "pass_rate": lambda group: group.passes / len(group.verdicts),
    "malformed": _over_rollouts(lambda verdict: verdict.status == "malformed"),
    "infeasible": _over_rollouts(lambda verdict: verdict.status == "infeasible"),
    "feasible": _over_rollouts(METRICS["success"]),
    "quality": _over_rollouts(METRICS["quality"]),
    "skill": _over_rollouts(METRICS["skill"]),
    "answers": lambda group: len(set(group.solutions)),
}
"""Numbers of a group: means over its rollouts, and how many different feasible answers it holds."""


@dataclass(frozen=True)
class Row:
    """The groups of one problem at one level."""

    problem: Problem[Any, Any]
    level: int
    groups: tuple[JudgedGroup, ...]
    prompt_chars: float
    """Mean length of the prompts in characters: a cost that is known without a model."""

    def values(self, name: str) -> list[float]:
        """Return one number per group; ``name`` is a key of `SHARES` or `MEANS`."""
        return [float((SHARES | MEANS)[name](group)) for group in self.groups]

    def mean(self, name: str) -> float:
        """Return the mean over the groups."""
        return fmean(self.values(name))

    def estimate(self, name: str) -> Estimate:
        """Return the mean over the groups with its 95 % interval, Wilson's for shares, else by bootstrap.

        Groups are what counts and is resampled: the rollouts of one are alike.
        """
        values = self.values(name)
        return wilson(int(sum(values)), len(values)) if name in SHARES else bootstrap(values)

    @property
    def signal(self) -> float:
        """Share of groups with signal."""
        return 1.0 - self.mean("no_signal")

    @property
    def copies(self) -> dict[str, float] | None:
        """Shares of the feasible rollouts that are the trivial and the greedy answer; None without any."""
        copied = [
            [solution == anchor for anchor in group.anchors]
            for group in self.groups
            for solution in group.solutions
        ]
        if not copied:
            return None
        trivial, greedy = map(fmean, zip(*copied, strict=True))
        return {"trivial": trivial, "greedy": greedy}

    @property
    def causes(self) -> dict[str, int]:
        """Number of groups without signal by cause, the most frequent first."""
        causes = [_cause(group) for group in self.groups]
        return dict(Counter(cause for cause in causes if cause is not None).most_common())

    @property
    def demotes(self) -> bool:
        """Whether the window would go a level down from here."""
        return self.mean("pass_rate") <= WINDOW.down and self.mean("zero_pass") >= WINDOW.zero_pass

    @property
    def promotes(self) -> bool:
        """Whether the window would go a level up from here."""
        return self.mean("pass_rate") >= WINDOW.up and self.mean("feasible") >= WINDOW.feasible

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        return {
            "problem": self.problem.name,
            "level": self.level,
            "parameters": self.problem.parameters,
            "groups": len(self.groups),
            **{name: self.estimate(name)._asdict() for name in (*SHARES, *MEANS)},
            "copies": self.copies,
            "causes": self.causes,
            "alarms": sum(verdict.beats_bound for group in self.groups for verdict in group.verdicts),
            "prompt_chars": self.prompt_chars,
        }


class Suggestion(NamedTuple):
    """At which level to start a problem."""

    level: int | None
    """None where no level of the pilot gives any signal."""
    qualified: bool
    """Whether the level meets the rule of `suggest`; if not, it is only the one with the most signal."""
    reason: str


def suggest(rows: Sequence[Row]) -> Suggestion:
    """Return the starting level of the problem whose levels ``rows`` are, in ascending order.

    It is the highest level from which the window would not demote and where at least half of the
    groups carry signal. The window climbs by itself, so a lower start would do in the end, but each
    level below costs at least one check of groups that have little left to teach; from a start any
    higher the window would come down again, through groups that are mostly silent. Where no level
    qualifies it is the one with the largest share of groups with signal, the lowest of equal ones.
    """
    good = [row for row in rows if row.signal >= ENOUGH_SIGNAL and not row.demotes]
    start = good[-1] if good else max(rows, key=lambda row: row.signal)
    if not start.signal:
        return Suggestion(None, False, f"no group carries signal: {_advice(rows)}")
    if not good:
        more = ": the window would demote" if start.demotes else ": most of the compute would be wasted"
    elif start is rows[-1] and start.promotes:
        more = "; the window would promote, so try higher levels too"
    else:
        more = ""
    evidence = f"{start.signal:.0%} of groups carry signal, pass rate {start.mean('pass_rate'):.2f}"
    return Suggestion(start.level, bool(good), evidence + more)


def _advice(rows: Sequence[Row]) -> str:
    if rows[-1].causes == {"optimal": len(rows[-1].groups)}:
        return "all answers are optimal already, so try higher levels"
    if all(len(set(group.texts)) == 1 for row in rows for group in row.groups):
        return "all rollouts of a group are identical, so sample at a temperature above 0, or a higher one"
    causes = sum((Counter(row.causes) for row in rows), Counter[str]())
    cause, count = causes.most_common(1)[0]
    why = f"{cause} in {count} of {causes.total()}"
    return f"{why}, so try a warm start, lower levels or a higher temperature"


@dataclass(frozen=True)
class Preflight:
    """What a pilot found, and the levels that it suggests."""

    agent: str
    reward: str
    group: int
    """Rollouts per instance."""
    seed: int
    split: str
    rows: tuple[Row, ...]
    """By problem as given, then by level."""

    @property
    def suggested(self) -> dict[str, Suggestion]:
        """The starting level of every problem, by name; see `suggest`."""
        ladders: dict[str, list[Row]] = {}
        for row in self.rows:
            ladders.setdefault(row.problem.name, []).append(row)
        return {name: suggest(ladder) for name, ladder in ladders.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the pilot as JSON-ready data."""
        return vars(self) | {
            "rows": [row.to_dict() for row in self.rows],
            "suggested": {name: suggestion._asdict() for name, suggestion in self.suggested.items()},
        }

    def table(self) -> Table:
        """Return a table of the pilot with the suggested levels under it."""
        from rich.table import Table

        title = (
            f"{self.agent}, reward {self.reward}: {len(self.rows[0].groups)} groups of {self.group} per level, "
            "mean and 95 % interval, shares in %"
        )
        suggested = self.suggested
        starts = [
            f"{name}: {'no level' if level is None else f'start at level {level}'}"
            f"{'' if qualified or level is None else ' for want of a better'} ({reason})"
            for name, (level, qualified, reason) in suggested.items()
        ]
        table = Table(title=title, title_justify="left", caption="\n".join(starts), caption_justify="left")
        table.add_column("problem\nlevel", no_wrap=True)
        for name in ("no signal", "useful", "zero pass", "all pass", "pass rate", "quality", "skill"):
            table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
        for name in ("malformed\ninfeasible\nfeasible", "trivial\ngreedy\ncopies", "answers", "prompt"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("why no signal")
        for row in self.rows:
            start = suggested[row.problem.name].level == row.level
            shares = [100 * np.array(row.estimate(name)) for name in (*SHARES, "pass_rate")]
            numbers = [row.estimate(name) for name in ("quality", "skill")]
            table.add_row(
                f"{row.problem.name}\nlevel {row.level}{' *' if start else ''}",
                *(f"{mean:.0f}\n[dim]{low:.0f} {high:.0f}[/dim]" for mean, low, high in shares),
                *(f"{mean:.2f}\n[dim]{low:.2f} {high:.2f}[/dim]" for mean, low, high in numbers),
                " ".join(f"{100 * row.mean(status):.0f}" for status in STATUSES),
                " ".join(f"{100 * share:.0f}" for share in (row.copies or {}).values()),
                f"{row.mean('answers'):.1f}",
                f"{row.prompt_chars:.0f}",
                "\n".join(f"{cause} {count}" for cause, count in row.causes.items()),
            )
        return table


def preflight(
    agent: Agent,
    problems: Sequence[Problem[Any, Any]],
    levels: Sequence[int],
    *,
    group: int = 8,
    instances: int = 16,
    seed: int = 0,
    split: str = "train",
    reward: str = "tiered",
    batch_size: int = 256,
    progress: Callable[[int], object] = lambda done: None,
) -> Preflight:
    """Let ``agent`` answer a few instances of every problem and level, each ``group`` times.

    Parameters
    ----------
    agent
        Gets up to ``batch_size`` tasks at once, of several instances.
    problems
        All of different names.
    levels
        Difficulties, in any order.
    group
        Rollouts per instance, at least two: the trainer's ``num_generations``.
    instances
        Graded instances per problem and level, the first of the stream.
    seed, split
        Stream of instances; see `Problem.instance`.
    reward
        The scheme that training will pay.
    batch_size
        Tasks in flight.
    progress
        Called with the number of rollouts since the last call.

    Raises
    ------
    ValueError
        If an argument is out of range, before the agent is asked anything.
    """
    names = [problem.name for problem in problems]
    if not names:
        raise ValueError("problems must hold at least one problem, got none")
    if len(set(names)) < len(names):
        raise ValueError(f"problems must have different names, got {names}")
    if not len(levels):
        raise ValueError("levels must hold at least one level, got none")
    check_int("group", group, 2, rule="one reward alone has no spread")
    check_int("instances", instances, 1)
    check_int("batch_size", batch_size, 1)
    reward_scheme(reward)
    for level in levels:
        check_int("levels", level, 0)
    ladder = sorted(set(levels))
    pilots = [
        (level, rung, held_out(rung, instances, seed, split))
        for problem in problems
        for level, rung in zip(ladder, map(problem.at_level, ladder), strict=True)
    ]
    rows = []
    for level, rung, drawn in pilots:
        scheme = reward_scheme(reward)  # a new one: what some remember must not tie a level to those before
        groups = []
        asked = replies(agent, rung, drawn, group, batch_size, progress)
        for instance, texts in zip(drawn, asked, strict=True):
            verdicts = rung.verify_many(instance, texts)
            rewards = group_rewards(scheme, Group(rung, instance, texts, verdicts))
            groups.append(JudgedGroup(rung, instance, texts, verdicts, rewards))
        prompt_chars = fmean(len(rung.prompt(instance)) for instance in drawn)
        rows.append(Row(rung, level, tuple(groups), prompt_chars))
    return Preflight(agent.name, reward, group, seed, split, tuple(rows))
