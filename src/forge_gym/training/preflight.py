"""Before any GPU hour: which problems and levels would give groups of rollouts something to learn from.

Group-relative methods such as GRPO learn from the differences between the rewards of one prompt's rollouts. A group
whose rewards are all equal moves no weight. A short pilot counts such groups, says why they are silent, and names the
level at which to start.

Examples
--------
>>> import forge_gym
>>> from forge_gym.agents import RandomAgent
>>> result = preflight(RandomAgent(), [forge_gym.problem("Knapsack")], levels=[0, 2], instances=8)
>>> [(row.level, row.mean("signal")) for row in result.rows], result.suggested["Knapsack"].level
([(0, 1.0), (2, 1.0)], 0)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ..agents.agent import Agent, thoughts_of
from ..core.checks import check_int
from ..core.problem import Problem
from ..core.rewards import Group, group_rewards
from ..core.rewards import reward as reward_scheme
from ..core.verdict import STATUSES
from ..evaluation.evaluate import held_out
from ..evaluation.statistics import Estimate, bootstrap, wilson
from .curriculum import WindowConfig
from .demonstrations import replies
from .metrics import SILENT, USEFUL, JudgedGroup, metrics

if TYPE_CHECKING:
    from rich.table import Table

WINDOW = WindowConfig()
"""When the window of an adaptive curriculum would move."""
ENOUGH_SIGNAL = 0.5
"""Share of groups with signal that a starting level needs: under it most of the compute is wasted."""
NUMBERS = ("signal", "useful", "pass_rate", "zero_pass", *STATUSES, "quality", "skill", "distinct")
"""Of a row: shares of groups with any and with more than marginal signal, and means over groups."""


def _cause(group: JudgedGroup) -> str:
    """Return why a group without signal has none, the first of five reasons that holds."""
    if all(verdict.optimal for verdict in group.verdicts):
        return "optimal"
    if len(set(group.texts)) == 1:
        return "identical"
    if all(verdict.status == "malformed" for verdict in group.verdicts):
        return "malformed"
    if len(set(group.solutions)) == 1 and all(verdict.feasible for verdict in group.verdicts):
        return "same answer"
    return "equal pay"


@dataclass(frozen=True)
class Row:
    """The groups of one problem at one level."""

    problem: Problem[Any, Any]
    level: int
    groups: tuple[JudgedGroup, ...]

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """The means of all `NUMBERS` over the groups with their 95 % intervals: Wilson's for shares, else by bootstrap.

        Groups are what is resampled: the rollouts of one are alike.
        """
        numbers = [metrics([group]) | {"pass_rate": group.passes / len(group.verdicts)} for group in self.groups]
        shares = {
            name: wilson(sum(group.deviation > least for group in self.groups), len(self.groups))
            for name, least in (("signal", SILENT), ("useful", USEFUL))
        }
        return shares | {name: bootstrap([each[name] for each in numbers]) for name in NUMBERS[2:]}

    def mean(self, name: str) -> float:
        """Return the mean over the groups."""
        return self.estimates[name].mean

    @property
    def causes(self) -> dict[str, int]:
        """Number of groups without signal by cause, the most frequent first."""
        silent = [group for group in self.groups if group.deviation <= SILENT]
        return dict(Counter(map(_cause, silent)).most_common())

    @property
    def demotes(self) -> bool:
        """Whether the window would go a level down from here."""
        return self.mean("pass_rate") <= WINDOW.down and self.mean("zero_pass") >= WINDOW.zero_pass

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        return {
            "problem": self.problem.name,
            "level": self.level,
            "parameters": self.problem.parameters,
            "groups": len(self.groups),
            **{name: estimate._asdict() for name, estimate in self.estimates.items()},
            "causes": self.causes,
            "alarms": metrics(self.groups)["alarms"],
        }


class Suggestion(NamedTuple):
    """At which level to start a problem."""

    level: int | None
    """None where no level of the pilot gives any signal."""
    reason: str


def suggest(rows: Sequence[Row]) -> Suggestion:
    """Return the starting level of the problem whose levels ``rows`` are, in ascending order.

    It is the highest level from which the window would not demote and where at least half of the groups carry
    signal: groups below have little left to teach, and groups above are mostly silent. Where no level qualifies it is
    the one with the largest share of groups with signal, the lowest of equal ones.
    """
    good = [row for row in rows if row.mean("signal") >= ENOUGH_SIGNAL and not row.demotes]
    start = good[-1] if good else max(rows, key=lambda row: row.mean("signal"))
    if not start.mean("signal"):
        return Suggestion(None, f"no group carries signal: {_advice(rows)}")
    promotes = start.mean("pass_rate") >= WINDOW.up and start.mean("feasible") >= WINDOW.feasible
    more = ", try higher levels too" if start is rows[-1] and promotes else ""
    if not good:
        more = f", though {'the window would demote' if start.demotes else 'most of the compute is wasted'}"
    share, passed = start.mean("signal"), start.mean("pass_rate")
    return Suggestion(start.level, f"{share:.0%} of groups carry signal, pass rate {passed:.2f}{more}")


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
        names = dict.fromkeys(row.problem.name for row in self.rows)
        return {name: suggest([row for row in self.rows if row.problem.name == name]) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return the pilot as JSON-ready data."""
        return vars(self) | {
            "rows": [row.to_dict() for row in self.rows],
            "suggested": {name: suggestion._asdict() for name, suggestion in self.suggested.items()},
        }

    def table(self) -> Table:
        """Return a table of the pilot with the suggested levels under it."""
        from rich.table import Table

        suggested = self.suggested
        starts = [
            f"{name}: {'no level' if level is None else f'start at level {level}'} ({reason})"
            for name, (level, reason) in suggested.items()
        ]
        groups = f"{len(self.rows[0].groups)} groups of {self.group} per level"
        title = f"{self.agent}, reward {self.reward}: {groups}, mean and 95 % interval"
        table = Table(title=title, title_justify="left", caption="\n".join(starts), caption_justify="left")
        names = ("signal", "useful", "pass_rate", "feasible", "quality", "skill")
        table.add_column("problem, level", no_wrap=True)
        for name in names:
            table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
        table.add_column("why no signal")
        for row in self.rows:
            means = [row.estimates[name] for name in names]
            table.add_row(
                f"{row.problem.name} {row.level}{' *' * (suggested[row.problem.name].level == row.level)}",
                *(f"{mean:.2f}\n[dim]{low:.2f} {high:.2f}[/dim]" for mean, low, high in means),
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
        Graded instances per problem and level, the first of the stream ``seed``, ``split``.
    reward
        The scheme that training will pay.
    progress
        Called with the number of rollouts since the last call.

    Raises
    ------
    ValueError
        If an argument is out of range, before the agent is asked anything.
    """
    names = [problem.name for problem in problems]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"problems must be at least one, each once, got {names}")
    if not len(levels):
        raise ValueError("levels must hold at least one level, got none")
    group = check_int("group", group, 2, rule="one reward alone has no spread")
    instances = check_int("instances", instances, 1)
    batch_size = check_int("batch_size", batch_size, 1)
    reward_scheme(reward)
    chosen = sorted({check_int("levels", level, 0) for level in levels})
    rungs = [(level, problem.at_level(level)) for problem in problems for level in chosen]
    pilots = [(level, rung, held_out(rung, instances, seed, split)) for level, rung in rungs]
    rows = []
    for level, rung, drawn in pilots:
        scheme = reward_scheme(reward)  # a new one: what some remember must not tie a level to those before
        groups = []
        asked = replies(agent, rung, drawn, group, batch_size, progress)
        for instance, texts in zip(drawn, asked, strict=True):
            verdicts = rung.verify_many(instance, texts, thoughts_of(agent))
            rewards = group_rewards(scheme, Group(rung, instance, texts, verdicts))
            groups.append(JudgedGroup(rung, instance, texts, verdicts, rewards))
        rows.append(Row(rung, level, tuple(groups)))
    return Preflight(agent.name, reward, group, seed, split, tuple(rows))
