"""Tool calls for ``GRPOTrainer(environment_factory=...)``: a model submits answers and reads the verdicts."""

from __future__ import annotations

import copyreg
import json
import logging
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar, cast

from ...agents import Agent, ExactAgent, GreedyAgent, LocalSearchAgent, Task
from ...core.checks import short_repr
from ...core.episode import Episode, Protocol
from ...core.problem import Problem
from ...core.registry import problem_class

log = logging.getLogger(__name__)

SOLVERS: dict[str, Agent] = {
    "greedy": GreedyAgent(),
    "local search": LocalSearchAgent(),
    "exact": ExactAgent(),
}
"""What the tool ``solve`` may be asked for: controls of every table, which always give the same answer."""


class ToolEnvironment:
    """What the trainer talks to; built by `environment_factory`, one instance per rollout at a time.

    Every public function of the class is a tool, except ``reset`` and ``get_reward``.
    """

    _problem: ClassVar[str]
    _protocol: ClassVar[Protocol]
    _hint: ClassVar[str]
    _episode: Episode | None = None
    solver_calls = 0
    """Answers that the tool ``solve`` has given so far."""

    @property
    def answer(self) -> str:
        """The kept answer; empty before any. A reward function judges it."""
        return "" if self._episode is None else self._episode.kept_reply

    @property
    def submissions(self) -> int:
        """Answers submitted so far."""
        return 0 if self._episode is None else self._episode.turn

    def reset(self, /, **row: Any) -> str:
        """Start on the instance of a dataset's ``row``; return what the trainer appends to its prompt."""
        if "spec" not in row:
            raise ValueError(f"a row must have the column 'spec', got {sorted(row)}: see make_dataset")
        episode = Episode.of_spec(row["spec"], self._protocol)
        problem = episode.problem
        if problem.name != self._problem:
            raise ValueError(
                f"spec must be of {self._problem}, the problem of this environment, got {problem.name}: give the "
                f"trainer environment_factories([{self._problem!r}, {problem.name!r}])"
            )
        if problem.answer_format != "raw":  # the argument of the tool is the answer, with nothing around it
            raise ValueError(
                f"answer_format must be 'raw' where answers are submitted to a tool, got {problem.answer_format!r}: "
                f"build the dataset from forge_gym.problem({problem.name!r}, answer_format='raw')"
            )
        self._episode, self.solver_calls = episode, 0
        return self._hint

    def submit(self, answer: str) -> str:
        """Submit an answer to the problem, and read what is wrong with it or how good it is.

        Args:
            answer: The answer and nothing else, in the format that the problem asks for.
        """
        if self._episode is None:
            return "There is no problem yet: this changes nothing."
        return self._episode.say(_text(answer))


class _Solves(ToolEnvironment):
    def solve(self, method: str) -> str:
        """Ask a solver for an answer to the problem. It counts only when you submit it.

        Args:
            method: Which solver (choices: ["greedy", "local search", "exact"])
        """
        if self._episode is None:
            return "There is no problem yet."
        solver = SOLVERS.get(method) if isinstance(method, str) else None
        if solver is None:
            return f"There is no such method. The methods are: {', '.join(SOLVERS)}."
        try:
            (answer,) = solver.answer([Task(self._episode.problem, self._episode.instance, ())])
        except Exception:  # must not end a training run
            log.exception("%s failed on %s", method, short_repr(self._episode.spec, 300))
            return "The solver has failed, through no fault of yours."
        self.solver_calls += 1
        return answer


class _Pays(ToolEnvironment):
    def get_reward(self) -> float | None:
        """Return the reward of the kept answer, of an empty one before any; None where judging failed."""
        return None if self._episode is None else self._episode.reward


def environment_factory(
    problem: str, *, turns: int = 3, keep: str = "best", reward: str | None = None, solve: bool = False
) -> type[ToolEnvironment]:
    """Return the environment class of ``problem`` for ``GRPOTrainer``; the same class for the same arguments.

    Parameters
    ----------
    problem
        Name of a problem. The dataset's rows come from ``forge_gym.problem(name, answer_format="raw")``.
    turns
        Submissions per rollout.
    keep
        Which answer counts: the ``best`` so far, or the ``last``.
    reward
        Name of the scheme by which the environment pays itself, beside all reward functions. None where a
        `RewardFunction` pays: both together would pay twice.
    solve
        Whether there is a tool ``solve`` that gives the answer of a solver, which pays nothing until it is submitted.
        For studies of tool use only: the best policy asks for ``exact`` and copies what it gets.

    Examples
    --------
    >>> import forge_gym
    >>> knapsack = forge_gym.problem("Knapsack", n=8, answer_format="raw")
    >>> environment = environment_factory("Knapsack", turns=2, reward="linear", solve=True)()
    >>> hint = environment.reset(spec=knapsack.spec(seed=3))
    >>> print(environment.submit("[99]"))
    Your answer is infeasible: items are 0 to 7, got 1 others.
    Revise it: 1 turn left. Answer in the same format.
    >>> environment.answer, round(environment.get_reward(), 3)
    ('[99]', -0.471)
    >>> print(environment.submit(environment.solve("exact")))
    Your answer is feasible with objective 1346: this is optimal.
    """
    problem_class(problem)  # refuses an unknown name
    protocol = Protocol(turns, keep, "tiered" if reward is None else reward)
    return _build(problem, protocol, reward is not None, bool(solve))


def environment_factories(
    problems: Iterable[str | Problem[Any, Any]], **options: Any
) -> dict[str, type[ToolEnvironment]]:
    """Return the environment classes of several problems, by name: the dataset's column ``environment``."""
    names = [problem.name if isinstance(problem, Problem) else problem for problem in problems]
    return {name: environment_factory(name, **options) for name in names}


@cache  # the trainer tells environments apart by their exact type
def _build(problem: str, protocol: Protocol, pays: bool, solves: bool) -> type[ToolEnvironment]:
    number = f"{protocol.turns} answer{'s' * (protocol.turns > 1)}"
    hint = (
        f"\n\nDo not write the answer as a reply: call submit with it. You may submit {number}; after each one you "
        "read what is wrong with it or how good it is."
    )
    if protocol.turns > 1:
        hint += f" The {protocol.keep} one counts."
    if solves:
        hint += f" Call solve to get an answer of a solver, by one of the methods {', '.join(SOLVERS)}."
    namespace = {
        "__module__": __name__,
        "__doc__": f"Answers to {problem}, submitted to a tool.",
        "_arguments": (problem, protocol, pays, solves),
        "_problem": problem,
        "_protocol": protocol,
        "_hint": hint,
    }
    bases = tuple([_Pays] * pays + [_Solves] * solves + [ToolEnvironment])
    return cast(type[ToolEnvironment], _Built(f"{problem}Environment", bases, namespace))


class _Built(type):
    """Classes that pickle as the call that builds them: no module has them as an attribute."""

    _arguments: tuple[Any, ...]


def _rebuild(cls: _Built) -> tuple[Any, ...]:
    return _build, cls._arguments


copyreg.pickle(_Built, _rebuild)


def _text(answer: Any) -> str:
    """Return the text of whatever stood in a model's JSON where a string belongs."""
    if isinstance(answer, str):
        return answer
    try:
        return json.dumps(answer)
    except Exception:  # no JSON, nested too deeply, an integer too large to print: no answer in any format
        return f"a {type(answer).__name__} that is not JSON"
