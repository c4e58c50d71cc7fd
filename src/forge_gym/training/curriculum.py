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
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..core.checks import check_choice, check_int, check_known, check_share, short_repr
from ..core.foreign import load_json
from ..core.instance import Instance
from ..core.problem import PATIENCE, Problem
from ..core.seeding import SPLITS, instance_generator, stream_of
from ..core.verdict import Verdict
from ..data.rows import Row

_STREAM = stream_of("draws of a curriculum", 0, {})
PASS = 0.75
"""Skill from which a rollout counts as passed."""


_LOG = logging.getLogger(__name__)
MOST = 2**53
"""Largest count in a state: a run never reaches it."""


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
        for share in ("feasible", "down", "zero_pass"):
            object.__setattr__(self, share, check_share(share, getattr(self, share)))
        object.__setattr__(self, "skill", check_share("skill", self.skill, -1.0))
        object.__setattr__(self, "up", check_share("up", self.up, self.down + 0.4))


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
    ceiling: int | None = None
    """Highest level that the top may reach: there is no higher one, or it took too much work. None where unknown."""

    def check(self) -> None:
        """Raise ``ValueError`` unless these are values that a window can have."""
        check_int("top", self.top, 0, self.ceiling)
        for name in ("promotions", "demotions"):
            check_int(name, getattr(self, name), 0, MOST)
        if self.ceiling is not None:
            check_int("ceiling", self.ceiling, 0)
        check_choice("weak", self.weak, (False, True))
        if not isinstance(self.seen, list) or len(self.seen) >= self.rule.groups:
            raise ValueError(f"seen must be fewer than {self.rule.groups} groups, got {short_repr(self.seen)}")
        for group in self.seen:
            if not isinstance(group, list) or len(group) != 3:
                raise ValueError(f"a group must be three numbers, got {short_repr(group)}")
            rollouts = check_int("rollouts", group[0], 1, MOST)
            for count in group[1:]:
                check_int("a count of rollouts", count, 0, rollouts)

    def cap(self, ceiling: int, top: int | None = None) -> None:
        """Never go above ``ceiling`` again, and go on at ``top``, if it is below."""
        top = min(self.top, ceiling if top is None else top)
        if top < self.top:
            self.seen, self.weak = [], False
        self.top, self.ceiling = top, ceiling

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
            if self.top == self.ceiling:
                self.seen, self.weak = [], False
                return 0
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
    instances are drawn, each once. Where finding one takes more than a limit of work, the problem's levels end below;
    a warning of the logger says so. Work is counted in steps of solvers, so that all processes decide alike.

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
            self.problems[name].at_level(level)  # or a ValueError names its last level
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
        """Return the next instance to train on: graded, and not drawn before.

        Raises
        ------
        ValueError
            If even level 0 of a problem has no such instance.
        """
        name = [*self.problems][int(self._rng.integers(len(self.problems)))]
        window, patience = self.windows[name], PATIENCE
        level = window.levels[int(self._rng.integers(len(window.levels)))]
        while True:
            key, problem = f"{name} {level}", self.problems[name].at_level(level)
            try:
                found = problem.graded_instances(self.seed, self.split, self._next.get(key, 0), patience)
                index, instance = next(found)
            except ValueError as error:
                if level == 0:
                    raise
                # First one level lower, then at half of it, with less patience: a search of all levels takes seconds.
                lower = level - 1 if patience == PATIENCE else level // 2
                window.cap(level - 1, lower)
                _LOG.warning("levels of %s end at %d, and go on at %d: %s", name, level - 1, window.top, error)
                level, patience = window.top, PATIENCE / 2
                continue
            self._next[key] = index + 1
            return self._row(problem, level, index, instance)

    def update(self, name: str, level: int, verdicts: Sequence[Verdict]) -> int:
        """Learn from the answers to one instance; return by how much the problem's top moved.

        Verdicts that beat a certificate say nothing about the learner and do not count.
        """
        window = self.windows[name]
        if level == window.top and window.ceiling is None:
            try:
                self.problems[name].at_level(level + 1)
            except ValueError as error:
                window.cap(level)
                _LOG.warning("levels of %s end at %d: %s", name, level, error)
        judged = [verdict for verdict in verdicts if not verdict.beats_bound]
        skills = [verdict.skill for verdict in judged]
        return window.update(level, skills, sum([verdict.feasible for verdict in judged]))

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
        """Continue from what `state_dict` returned; raise ``ValueError`` if it is damaged or of another curriculum.

        A refused state changes nothing.
        """
        own = self.state_dict()
        try:
            state = load_json(json.dumps(state))
            if not isinstance(state, dict):
                raise ValueError(f"state must be what state_dict returned, got {short_repr(state)}")
            for key in ("problems", "rule", "seed", "split"):
                if state.get(key) != own[key]:
                    raise ValueError(
                        f"state must be of the same {key}, {short_repr(own[key])}, got {short_repr(state.get(key))}"
                    )
            if state.keys() != own.keys():
                raise ValueError(f"state must have the keys {[*own]}, got {[*state]}")
            windows = {name: self._window(name, state["windows"][name]) for name in self.problems}
            following = {key: check_int(f"next of {key}", index, 0, MOST) for key, index in state["next"].items()}
            for key in following:
                name, _, level = key.partition(" ")
                self.problems[name].at_level(int(level))
            generator: Any = type(self._rng.bit_generator)()
            generator.state = state["rng"]
            check_int("has_uint32", state["rng"]["has_uint32"], 0, 1)
            same = json.dumps(generator.state, sort_keys=True) == json.dumps(state["rng"], sort_keys=True)
            if not same or len(state["windows"]) > len(windows):
                raise ValueError(f"state must be as state_dict returns it, got {short_repr(state)}")
        except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"state of a curriculum is damaged: {short_repr(error)}") from None
        self.windows, self._next = windows, following
        self._rng.bit_generator.state = state["rng"]

    def _window(self, name: str, saved: dict[str, Any]) -> Window:
        if saved.keys() != vars(self.windows[name]).keys() or saved["rule"] is not None:
            raise ValueError(f"a window must have the keys {[*vars(self.windows[name])]}, got {short_repr(saved)}")
        window = Window(**saved | {"rule": self.rule})
        window.check()
        self.problems[name].at_level(window.top if window.ceiling is None else window.ceiling)
        return window
