"""Adaptive difficulty: a sliding window of levels per problem, and shares among problems. Knows no trainer.

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
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..core.checks import check_choice, check_int, check_share, did_you_mean, short_repr
from ..core.instance import Instance
from ..core.problem import MAX_UNGRADED, Problem
from ..core.seeding import SEEDING_VERSION, SPLITS
from ..core.verdict import Verdict

log = logging.getLogger(__name__)

PASS = 0.75
"""Skill from which a rollout counts as passed."""

_FAILURES = 2
"""Failures of a generator after which its problem is quarantined: one may be bad luck."""
_SIGNAL_RATE = 0.02
"""Weight of the newest group in a problem's share of groups with signal: about the last 50 groups count."""
_PASS_RATE = 0.1
"""Weight of the newest group in a level's share of passed rollouts: a level is seen seldom, so about 10 count."""
_SIGNAL_FLOOR = 0.1
"""What is added to each problem's signal before shares are computed, so that no problem is starved."""
_SAVED = ("seed", "split", "quarantined", "signal", "_passing", "_next", "_draws", "_again", "_planned")
"""Attributes of a curriculum that are state as they are."""


@dataclass(frozen=True)
class WindowConfig:
    """When a window moves; the defaults are for graded rewards, where "passed" is far above greedy.

    Raises
    ------
    ValueError
        If a value is out of range, or ``up`` and ``down`` are closer than 0.4, which lets a window oscillate.
    """

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
        check_int("width", self.width, 1)
        check_int("groups", self.groups, 1)
        check_share("skill", self.skill, -1.0, 1.0)
        for name in ("up", "feasible", "down", "zero_pass"):
            check_share(name, getattr(self, name))
        if self.up - self.down < 0.4:
            raise ValueError(
                f"up must be at least 0.4 above down, or the window oscillates, got up={self.up!r} and "
                f"down={self.down!r}"
            )


@dataclass
class Window:
    """The levels of one problem that are trained on, the newest of which is ``top``.

    Examples
    --------
    >>> window = Window(WindowConfig(groups=1))
    >>> window.levels
    range(0, 1)
    >>> window.update(0, skills=[1.0, 0.9, 0.8, -0.1], feasible=4)
    1
    >>> window.top, window.levels
    (1, range(0, 2))
    """

    rule: WindowConfig = field(default_factory=WindowConfig)
    top: int = 0
    seen: list[list[int]] = field(default_factory=list)
    """Of each group at the top level since the last check: rollouts, passed and feasible ones."""
    weak: bool = False
    """Whether the last check was one of the two that lower the top."""
    promotions: int = 0
    """How often the top level rose."""
    demotions: int = 0
    """How often it fell."""

    @property
    def levels(self) -> range:
        """The levels drawn from."""
        return range(max(0, self.top - self.rule.width + 1), self.top + 1)

    def update(self, level: int, skills: Sequence[float], feasible: int) -> int:
        """Count a group of rollouts of one instance; return by how much the top moved: -1, 0 or 1.

        Parameters
        ----------
        level
            Of the instance; only the top level counts.
        skills
            One per rollout.
        feasible
            How many of them are feasible.
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


@dataclass(frozen=True)
class CurriculumSample:
    """What to train on next."""

    problem: Problem[Any, Any]
    """At its level."""
    level: int
    index: int
    """Of the instance in the curriculum's stream of that problem and level."""
    instance: Instance


class Curriculum:
    """Which problem, level and instance comes next, and what was learned from the answers.

    Problems are drawn with equal probability, which no adaptive mixture is known to beat reliably; the
    options below are off by default. Only graded instances are drawn, each once. A problem whose generator
    fails is tried with the next index, then quarantined with an error in the log, never dropped silently.

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
    temperature
        None for equal shares. Otherwise a problem's share is proportional to ``(0.1 + e) ** (1 / temperature)``,
        where e is its recent share of groups with any signal, and at least half of an equal share.
    review
        Probability of a level below the window, where there is one.
    retry
        Instances that nobody solved come again after this many draws; 0 never shows an instance twice.
    duet
        Plan this many draws at once and give more groups to those whose outcome is least certain;
        see `allocate`. 0 gives one group to each.

    Raises
    ------
    ValueError
        If an argument is out of range or names no problem.

    Examples
    --------
    >>> import forge_gym
    >>> curriculum = Curriculum([forge_gym.problem("TSP"), forge_gym.problem("Knapsack")], seed=1)
    >>> draw = curriculum.sample()
    >>> draw.problem.name in ("TSP", "Knapsack"), draw.level
    (True, 0)
    >>> curriculum.top_levels
    {'TSP': 0, 'Knapsack': 0}
    """

    def __init__(
        self,
        problems: Sequence[Problem[Any, Any]] | Problem[Any, Any],
        *,
        seed: int = 0,
        split: str = "train",
        rule: WindowConfig | None = None,
        start: int | Mapping[str, int] = 0,
        temperature: float | None = None,
        review: float = 0.0,
        retry: int = 0,
        duet: int = 0,
    ) -> None:
        chosen = [problems] if isinstance(problems, Problem) else list(problems)
        self.problems = {problem.name: problem for problem in chosen}
        if not chosen or len(self.problems) < len(chosen):
            raise ValueError(
                f"problems must be at least one, each once, got {[problem.name for problem in chosen]}"
            )
        check_int("seed", seed, 0)
        check_choice("split", split, SPLITS)
        if temperature is not None and not temperature > 0:
            raise ValueError(f"temperature must be positive, or None for equal shares, got {temperature!r}")
        check_share("review", review)
        check_int("retry", retry, 0)
        check_int("duet", duet, 0)
        starts = dict.fromkeys(self.problems, start) if isinstance(start, int) else dict(start)
        for name, level in starts.items():
            if name not in self.problems:
                raise ValueError(
                    f"start must name problems of the curriculum, got {short_repr(name)}: "
                    f"{did_you_mean(name, self.problems)}"
                )
            check_int(f"start of {name}", level, 0)
        self.seed, self.split = seed, split
        self.temperature, self.review, self.retry, self.duet = temperature, review, retry, duet
        self.windows = {name: Window(rule or WindowConfig(), starts.get(name, 0)) for name in self.problems}
        self.quarantined: dict[str, str] = {}
        """Problems whose generator failed, and how."""
        self.signal = dict.fromkeys(self.problems, 1.0)
        """Recent share of groups with any signal, by problem: a moving average over some 50 groups."""
        self._passing: dict[str, float] = {}  # by problem and level, as `_key` writes them
        self._next: dict[str, int] = {}
        self._draws = 0
        self._again: list[tuple[int, str, int, int]] = []
        self._planned: list[tuple[str, int, int]] = []  # (problem, level, index), the next one last
        self._rng = np.random.default_rng(
            np.random.SeedSequence([SEEDING_VERSION, seed, SPLITS.index(split)])
        )

    @property
    def top_levels(self) -> dict[str, int]:
        """The top level of every problem."""
        return {name: window.top for name, window in self.windows.items()}

    @property
    def shares(self) -> dict[str, float]:
        """The probability of every problem."""
        names = [name for name in self.problems if name not in self.quarantined]
        if self.temperature is None:
            return dict.fromkeys(names, 1 / len(names))
        weights = np.array([(_SIGNAL_FLOOR + self.signal[name]) ** (1 / self.temperature) for name in names])
        return dict(zip(names, (0.5 / len(names) + 0.5 * weights / weights.sum()).tolist(), strict=True))

    def at(self, name: str, level: int, index: int) -> CurriculumSample:
        """Return instance ``index`` of the stream of a problem at a level: what `sample` returned once."""
        problem = self.problems[name].at_level(level)
        return CurriculumSample(problem, level, index, problem.instance(self.seed, index, self.split))

    def sample(self) -> CurriculumSample:
        """Return the next instance to train on.

        Raises
        ------
        RuntimeError
            If the generators of all problems fail.
        """
        self._draws += 1
        if self._again and self._again[0][0] <= self._draws:
            _, name, level, index = self._again.pop(0)
            return self.at(name, level, index)
        if not self._planned:
            fresh = [self._fresh() for _ in range(max(1, self.duet))]
            rates = [self._passing.get(_key(name, level), 0.5) for name, level, _ in fresh]
            groups = allocate(rates, len(fresh)) if self.duet else [1]
            self._planned = [draw for draw, n in zip(fresh, groups, strict=True) for _ in range(n)][::-1]
        return self.at(*self._planned.pop())

    def _fresh(self) -> tuple[str, int, int]:
        """Return problem, level and index of a graded instance that was not drawn before."""
        while len(self.quarantined) < len(self.problems):
            shares = self.shares
            name = list(shares)[int(self._rng.choice(len(shares), p=list(shares.values())))]
            levels = self.windows[name].levels
            if levels.start and self._rng.random() < self.review:
                levels = range(levels.start)
            level = levels[int(self._rng.integers(len(levels)))]
            try:
                return name, level, self._graded(name, level)
            except RuntimeError as reason:
                self.quarantined[name] = f"level {level}: {reason}"
                log.error("%s leaves the curriculum: %s", name, self.quarantined[name])
        raise RuntimeError(f"the generators of all problems fail: {self.quarantined}")

    def _graded(self, name: str, level: int) -> int:
        """Return the index of the next graded instance, which then counts as drawn, or raise ``RuntimeError``."""
        problem, key = self.problems[name].at_level(level), _key(name, level)
        start, failures = self._next.get(key, 0), 0
        for index in range(start, start + MAX_UNGRADED):
            self._next[key] = index + 1
            try:
                if problem.is_graded(problem.instance(self.seed, index, self.split)):
                    return index
            except Exception as error:  # whatever a generator does, the other problems go on
                failures += 1
                if failures == _FAILURES:
                    raise RuntimeError(f"{type(error).__name__}: {short_repr(str(error), 300)}") from error
        raise RuntimeError(f"{MAX_UNGRADED} instances in a row leave no room between greedy and the optimum")

    def update(
        self, name: str, level: int, index: int, verdicts: Sequence[Verdict], *, signal: bool = True
    ) -> int:
        """Learn from a group of answers to one instance; return by how much the problem's top moved.

        Parameters
        ----------
        name, level, index
            Which instance, as drawn.
        verdicts
            One per rollout. Those that beat a certificate say nothing about the learner and do not count.
        signal
            Whether the group's rewards differ.
        """
        judged = [verdict for verdict in verdicts if not verdict.beats_bound]
        if not judged:
            return 0
        window = self.windows[name]
        self.signal[name] += _SIGNAL_RATE * (signal - self.signal[name])
        passed = sum([verdict.skill >= window.rule.skill for verdict in judged])
        key, rate = _key(name, level), passed / len(judged)
        before = self._passing.get(key, 0.5)
        self._passing[key] = before + _PASS_RATE * (rate - before)
        if self.retry and not passed:
            self._again.append((self._draws + self.retry, name, level, index))
        return window.update(
            level, [verdict.skill for verdict in judged], sum([verdict.feasible for verdict in judged])
        )

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later draws depend on as JSON-ready data."""
        state = {
            "problems": {name: repr(problem) for name, problem in self.problems.items()},
            "rules": {name: asdict(window.rule) for name, window in self.windows.items()},
            "windows": {name: asdict(window) for name, window in self.windows.items()},
            "rng": self._rng.bit_generator.state,
        }
        copied: dict[str, Any] = json.loads(json.dumps(state | {key: vars(self)[key] for key in _SAVED}))
        return copied

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; raise ``ValueError`` if it is of other problems or streams.

        A refused state changes nothing.
        """
        own = self.state_dict()
        for key in ("problems", "rules", "seed", "split"):
            if state.get(key) != own[key]:
                raise ValueError(
                    f"state must be of the same {key}, {short_repr(own[key])}, got {short_repr(state.get(key))}"
                )
        if odd := _keys(own) ^ _keys(state):
            raise ValueError(f"state must be what state_dict returned, got one that differs in {sorted(odd)}")
        state = json.loads(json.dumps(state))
        for name, window in self.windows.items():
            vars(window).update(state["windows"][name] | {"rule": window.rule})
        vars(self).update({key: state[key] for key in _SAVED})
        self._rng.bit_generator.state = state["rng"]


def _keys(state: Mapping[str, Any]) -> set[str]:
    """Return the keys of a state and of the windows in it."""
    windows = state.get("windows", {})
    return {*state} | {f"{name}: {key}" for name, window in windows.items() for key in window}


def _key(name: str, level: int) -> str:
    """Return problem and level as a key of JSON."""
    return f"{name} {level}"


def allocate(rates: Sequence[float], groups: int, block: int = 4) -> list[int]:
    """Spread ``groups`` blocks of rollouts over prompts such that most are likely to show both outcomes.

    Each block goes where it raises the chance that a prompt has a passed and a failed rollout,
    ``1 - p**n - (1 - p)**n`` after n rollouts, the most; the gains of one prompt fall from block to block, so
    greedy is optimal.

    Parameters
    ----------
    rates
        Estimated share of passed rollouts, by prompt.
    groups
        Blocks to spread; the trainer's groups, where it wants equal ones.
    block
        Rollouts per block.

    Returns
    -------
    list of int
        Blocks per prompt.

    Examples
    --------
    >>> allocate([0, 0.02, 0.1, 0.3, 0.5, 0.9, 0.99, 1], groups=16)
    [0, 3, 5, 2, 2, 4, 0, 0]
    """

    def chance(p: float, blocks: int) -> float:
        return 1 - p ** (block * blocks) - (1 - p) ** (block * blocks) if blocks else 0.0

    def gain(p: float, blocks: int) -> float:
        return round(chance(p, blocks + 1) - chance(p, blocks), 9)  # p and 1 - p tie, whatever the rounding

    allocation = [0] * len(rates)
    for _ in range(groups):
        gains = list(map(gain, rates, allocation))
        allocation[gains.index(max(gains))] += 1
    return allocation
