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

import logging
from collections import deque
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


class _Quarantine(Exception):
    """A problem's generator fails at a level."""


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
    """Skill from which a rollout counts as passed."""
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
    rollouts: int = 0
    """Rollouts at the top level since the last check."""
    passed: int = 0
    """How many of these passed."""
    feasible: int = 0
    """How many of these were feasible."""
    groups: int = 0
    """Groups at the top level since the last check."""
    zero_pass: int = 0
    """In how many of these nobody passed."""
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
        passed = sum([skill >= rule.skill for skill in skills])
        self.rollouts += len(skills)
        self.passed += passed
        self.feasible += feasible
        self.groups += 1
        self.zero_pass += not passed
        if self.groups < rule.groups:
            return 0
        accuracy, move = self.passed / self.rollouts, 0
        weak = accuracy <= rule.down and self.zero_pass >= rule.zero_pass * self.groups
        if accuracy >= rule.up and self.feasible >= rule.feasible * self.rollouts:
            move, self.promotions = 1, self.promotions + 1
        elif weak and self.weak and self.top > 0:
            move, self.demotions = -1, self.demotions + 1
        self.top += move
        self.weak = weak and not move
        self.rollouts = self.passed = self.feasible = self.groups = self.zero_pass = 0
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
        given = [problems] if isinstance(problems, Problem) else list(problems)
        self.problems = {problem.name: problem for problem in given}
        if not given or len(self.problems) < len(given):
            raise ValueError(
                f"problems must be at least one, each once, got {[problem.name for problem in given]}"
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
        self._passing: dict[str, dict[int, float]] = {name: {} for name in self.problems}
        self._next: dict[str, dict[int, int]] = {name: {} for name in self.problems}
        self._draws = 0
        self._again: deque[tuple[int, str, int, int]] = deque()
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
            _, name, level, index = self._again.popleft()
            return self.at(name, level, index)
        if not self._planned:
            fresh = [self._fresh() for _ in range(max(1, self.duet))]
            rates = [self._passing[name].get(level, 0.5) for name, level, _ in fresh]
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
            except _Quarantine as reason:
                self.quarantined[name] = f"level {level}: {reason}"
                log.error("%s leaves the curriculum: %s", name, self.quarantined[name])
        raise RuntimeError(f"the generators of all problems fail: {self.quarantined}")

    def _graded(self, name: str, level: int) -> int:
        """Return the index of the next graded instance of a problem at a level, which then counts as drawn."""
        problem, start = self.problems[name].at_level(level), self._next[name].get(level, 0)
        failures = 0
        for index in range(start, start + MAX_UNGRADED):
            self._next[name][level] = index + 1
            try:
                if problem.is_graded(problem.instance(self.seed, index, self.split)):
                    return index
            except Exception as error:  # whatever a generator does, the other problems go on
                failures += 1
                if failures == _FAILURES:
                    raise _Quarantine(f"{type(error).__name__}: {short_repr(str(error), 300)}") from error
        raise _Quarantine(f"{MAX_UNGRADED} instances in a row leave no room between greedy and the optimum")

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
        rates, rate = self._passing[name], passed / len(judged)
        rates[level] = rates.get(level, 0.5) + _PASS_RATE * (rate - rates.get(level, 0.5))
        if self.retry and not passed:
            self._again.append((self._draws + self.retry, name, level, index))
        return window.update(
            level, [verdict.skill for verdict in judged], sum([verdict.feasible for verdict in judged])
        )

    def state_dict(self) -> dict[str, Any]:
        """Return everything that later draws depend on as JSON-ready data."""
        return {
            "problems": {name: repr(problem) for name, problem in self.problems.items()},
            "seed": self.seed,
            "split": self.split,
            "windows": {
                name: {key: value for key, value in vars(window).items() if key != "rule"}
                for name, window in self.windows.items()
            },
            "rules": {name: asdict(window.rule) for name, window in self.windows.items()},
            "quarantined": dict(self.quarantined),
            "signal": dict(self.signal),
            "passing": {name: list(rates.items()) for name, rates in self._passing.items()},
            "next": {name: list(levels.items()) for name, levels in self._next.items()},
            "draws": self._draws,
            "again": [list(entry) for entry in self._again],
            "planned": [list(entry) for entry in self._planned],
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises
        ------
        ValueError
            If ``state`` is of other problems, rules, or another stream.
        """
        own = self.state_dict()
        for key in ("problems", "rules", "seed", "split"):
            if state.get(key) != own[key]:
                raise ValueError(
                    f"state must be of the same {key}, {short_repr(own[key])}, got {short_repr(state.get(key))}"
                )
        for name, values in state["windows"].items():
            vars(self.windows[name]).update(values)
        self.quarantined = dict(state["quarantined"])
        self.signal = dict(state["signal"])
        self._passing = {name: dict(map(tuple, rates)) for name, rates in state["passing"].items()}
        self._next = {name: dict(map(tuple, levels)) for name, levels in state["next"].items()}
        self._draws = state["draws"]
        self._again = deque((due, name, level, index) for due, name, level, index in state["again"])
        self._planned = [(name, level, index) for name, level, index in state["planned"]]
        self._rng.bit_generator.state = state["rng"]


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

    def gain(p: float, blocks: int) -> float:
        less, more = block * blocks, block * (blocks + 1)
        before = 1 - p**less - (1 - p) ** less if less else 0.0
        return round(1 - p**more - (1 - p) ** more - before, 9)  # p and 1 - p tie, whatever the rounding

    given = [0] * len(rates)
    for _ in range(groups):
        gains = [gain(p, n) for p, n in zip(rates, given, strict=True)]
        given[gains.index(max(gains))] += 1
    return given
