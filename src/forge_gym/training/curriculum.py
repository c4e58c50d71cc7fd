"""Adaptive difficulty: a sliding window of levels per problem. Knows no trainer.

After RLVE [1]_: one integer, the *top*, per problem; levels are drawn uniformly from the window below
it, results at the top alone move it. Ours: it may also go down, with hysteresis, and every decision
follows from the results handed in, so that processes which see the same results agree.

References
----------
.. [1] Zeng et al. (2025). RLVE: Scaling Up Reinforcement Learning for Language Models with Adaptive
   Verifiable Environments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..core.checks import check_choice, check_int, check_known, check_share, short_repr
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.seeding import SPLITS, instance_generator, stream_of
from ..core.verdict import Verdict
from ..data.rows import Row

_STREAM = stream_of("draws of a curriculum", 0, {})
PASS = 0.75
"""Skill from which a rollout counts as passed."""


@dataclass(frozen=True)
class WindowConfig:
    """When a window moves. ``up`` is at least 0.4 above ``down``, or the window would oscillate."""

    width: int = 4
    """Levels in a window."""
    groups: int = 8
    """Groups at the top level between two checks."""
    skill: float = PASS
    """Skill from which a rollout passes."""
    up: float = 0.7
    """Least share of passed rollouts that raises the top level, if enough rollouts are `feasible`."""
    feasible: float = 0.9
    """Least share of feasible rollouts that raises the top level."""
    down: float = 0.1
    """Largest pass rate that lowers the top level, if `zero_pass` groups failed at two checks in a row."""
    zero_pass: float = 0.5
    """Least share of groups in which nobody passed that lowers the top level."""

    def __post_init__(self) -> None:
        for count in ("width", "groups"):
            object.__setattr__(self, count, check_int(count, getattr(self, count), 1))
        check_share("up", self.up, self.down + 0.4)


@dataclass
class Window:
    """The levels of one problem that are trained on, the newest of which is ``top``."""

    rule: WindowConfig = field(default_factory=WindowConfig)
    top: int = 0
    seen: list[list[int]] = field(default_factory=list)
    """Of each group at the top level since the last check: rollouts, passed and feasible ones."""
    weak: bool = False
    """Whether the last check was one of the two that lower the top."""
    promotions: int = 0
    demotions: int = 0

    @property
    def levels(self) -> range:
        """The levels drawn from."""
        return range(max(0, self.top - self.rule.width + 1), self.top + 1)

    def update(self, level: int, skills: Sequence[float], feasible: int) -> int:
        """Count rollouts of one instance, of which so many are feasible; return by how much the top moved: -1, 0 or 1.

        Only instances of the top level count.

        Examples
        --------
        >>> window = Window(WindowConfig(groups=1))
        >>> window.update(0, skills=[1.0, 0.9, 0.8, -0.1], feasible=4), window.levels
        (1, range(0, 2))
        """
        if level != self.top or not skills:
            return 0
        rule = self.rule
        self.seen.append([len(skills), sum([skill >= rule.skill for skill in skills]), feasible])
        if len(self.seen) < rule.groups:
            return 0
        rollouts, passed, feasible = map(sum, zip(*self.seen, strict=True))
        zero_pass = sum([not passed for _, passed, _ in self.seen])
        accuracy, move = passed / rollouts, 0
        weak = accuracy <= rule.down and zero_pass >= rule.zero_pass * rule.groups
        if accuracy >= rule.up and feasible >= rule.feasible * rollouts:
            move, self.promotions = 1, self.promotions + 1
        elif weak and self.weak and self.top > 0:
            move, self.demotions = -1, self.demotions + 1
        self.top += move
        self.weak = weak and not move
        self.seen = []
        return move


class Curriculum:
    """Which problem, level and instance comes next, and what was learned from the answers.

    Problems are drawn with equal probability, which no adaptive mixture is known to beat reliably. Only graded
    instances are drawn, each once.

    Parameters
    ----------
    problems
        Each with its presentation and distribution; levels set the size.
    seed, split
        Stream of instances; see `Problem.instance`.
    rule
        When windows move.
    start
        Level at which windows start, one for all or by the problem's name.

    Examples
    --------
    >>> import forge_gym
    >>> curriculum = Curriculum([forge_gym.problem("TSP"), forge_gym.problem("Knapsack")], seed=1)
    >>> draw = curriculum.sample()
    >>> draw.problem.name in ("TSP", "Knapsack"), draw.level, curriculum.top_levels
    (True, 0, {'TSP': 0, 'Knapsack': 0})
    """

    def __init__(
        self,
        problems: Sequence[Problem[Any, Any]] | Problem[Any, Any],
        *,
        seed: int = 0,
        split: str = "train",
        rule: WindowConfig | None = None,
        start: int | Mapping[str, int] = 0,
    ) -> None:
        chosen = [problems] if isinstance(problems, Problem) else list(problems)
        self.problems = {problem.name: problem for problem in chosen}
        if not chosen or len(self.problems) < len(chosen):
            raise ValueError(f"problems must be at least one, each once, got {[problem.name for problem in chosen]}")
        seed = check_int("seed", seed, 0)
        check_choice("split", split, SPLITS)
        starts = dict(start) if isinstance(start, Mapping) else dict.fromkeys(self.problems, start)
        check_known("start", "problem", starts, self.problems)
        for name, level in starts.items():
            starts[name] = check_int(f"start of {name}", level, 0)
        self.seed, self.split, self.rule = seed, split, rule or WindowConfig()
        self.windows = {name: Window(self.rule, starts.get(name, 0)) for name in self.problems}
        self._next: dict[str, int] = {}  # by problem and level
        self._rng = instance_generator(_STREAM, seed, 0, split)

    @property
    def top_levels(self) -> dict[str, int]:
        """The top level of every problem."""
        return {name: window.top for name, window in self.windows.items()}

    def at(self, name: str, level: int, index: int) -> Row:
        """Return instance ``index`` of the stream of a problem at a level: what `sample` returned once."""
        problem = self.problems[name].at_level(level)
        return self._row(problem, level, index, problem.instance(self.seed, index, self.split))

    def _row(self, problem: Problem[Any, Any], level: int, index: int, instance: Instance) -> Row:
        return Row.of(problem, instance, {"seed": self.seed, "index": index, "split": self.split}, level)

    def sample(self) -> Row:
        """Return the next instance to train on: graded, and not drawn before."""
        name = [*self.problems][int(self._rng.integers(len(self.problems)))]
        levels = self.windows[name].levels
        level = levels[int(self._rng.integers(len(levels)))]
        key, problem = f"{name} {level}", self.problems[name].at_level(level)
        index, instance = next(problem.graded_instances(self.seed, self.split, start=self._next.get(key, 0)))
        self._next[key] = index + 1
        return self._row(problem, level, index, instance)

    def update(self, name: str, level: int, verdicts: Sequence[Verdict]) -> int:
        """Learn from the answers to one instance; return by how much the problem's top moved.

        Verdicts that beat a certificate say nothing about the learner and do not count.
        """
        judged = [verdict for verdict in verdicts if not verdict.beats_bound]
        skills = [verdict.skill for verdict in judged]
        return self.windows[name].update(level, skills, sum([verdict.feasible for verdict in judged]))

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later draws depend on as JSON-ready data."""
        state: dict[str, Any] = {
            "problems": {name: repr(problem) for name, problem in self.problems.items()},
            "rule": asdict(self.rule),
            "seed": self.seed,
            "split": self.split,
            "windows": {name: vars(window) | {"rule": None} for name, window in self.windows.items()},
            "next": self._next,
            "rng": self._rng.bit_generator.state,
        }
        copied: dict[str, Any] = json.loads(json.dumps(state))
        return copied

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; raise ``ValueError`` if it is of other problems, rules or streams.

        A refused state changes nothing.
        """
        own, state = self.state_dict(), json.loads(json.dumps(state))
        for key in ("problems", "rule", "seed", "split"):
            if state.get(key) != own[key]:
                raise ValueError(
                    f"state must be of the same {key}, {short_repr(own[key])}, got {short_repr(state.get(key))}"
                )
        if state.keys() != own.keys():
            raise ValueError(f"state must have the keys {[*own]}, got {[*state]}")
        windows = {name: Window(**saved | {"rule": self.rule}) for name, saved in state["windows"].items()}
        self.windows, self._next = windows, state["next"]
        self._rng.bit_generator.state = state["rng"]
