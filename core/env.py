"""`TextEnv`: any problem as a text-action Gymnasium environment. The only episode state of the suite."""

from __future__ import annotations

import inspect
from bisect import bisect_right
from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .answer import MAX_REPLY
from .checks import check_choice, check_int, check_known
from .drawing import pixels
from .problem import SPLITS, Instance, Problem
from .reference import CertificateError
from .rewards import Group, Scheme, pay
from .rewards import reward as reward_scheme
from .space import Text
from .verdict import STATUSES, Verdict

KEEP = ("best", "last")
MAX_PROMPT = 2**22

INFO = (
    "seed", "index", "turn", "status", "objective", "quality", "skill", "ratio", "credit", "optimal", "violations",
    "score",
)  # fmt: skip
"""The keys of every ``info``."""

_UNANSWERED = Verdict("malformed")
_STATUS_NUMBERS = {status: number for number, status in enumerate(STATUSES)}


class TextEnv(gym.Env[str, str]):
    """An episode: a prompt, and up to ``turns`` replies.

    Parameters
    ----------
    problem
        The problem with its parameters; through ``gym.make`` give those parameters by name.
    reward
        Name of a reward scheme that pays a single answer; see `forge_gym.reward`.
    turns
        Replies per episode. After each the agent reads the verdict and may revise.
    keep
        Which answer counts when there are several turns: the ``best`` so far, or the ``last``.
    split
        Stream of instances: ``train``, ``validation`` or ``test``.
    render_mode
        ``ansi`` (text) or ``rgb_array`` (a picture; needs matplotlib).

    Notes
    -----
    Observations are texts: the prompt, then feedback. Actions are texts: whole replies of a model.
    The step reward is the change of the kept answer's reward, so the return of an episode is the
    single-turn reward of the answer kept, and cycling pays nothing. An episode ends with a proven
    optimum or after its last turn.

    ``reset(seed=s)`` starts at instance ``(s, 0)`` and every further ``reset()`` goes on to the
    next index.

    ``info`` has the same numeric keys at every step: ``seed``, ``index``, ``turn``, ``status``
    (0 malformed, 1 infeasible, 2 feasible; -1 before any answer), ``objective`` (0 unless
    feasible), ``quality``, ``skill``, ``ratio``, ``credit``, ``optimal``, ``violations`` (families
    violated) and ``score`` (reward of this answer alone, 0 before any). No value is ever NaN, so
    that infos compare equal. The `Verdict` itself is ``env.unwrapped.verdict``.

    Examples
    --------
    >>> import forge_gym
    >>> env = TextEnv(forge_gym.problem("Knapsack", n=8), turns=2)
    >>> prompt, info = env.reset(seed=3)
    >>> feedback, reward, terminated, truncated, info = env.step("<answer>[99]</answer>")
    >>> print(feedback)
    Your answer is infeasible: items are 0 to 7, got 1 others.
    Revise it: 1 turn left. Answer in the same format.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}  # noqa: RUF012 - Gymnasium's

    def __init__(
        self,
        problem: Problem[Any, Any],
        *,
        reward: str = "tiered",
        turns: int = 1,
        keep: str = "best",
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        check_int("turns", turns, 1)
        check_choice("keep", keep, KEEP)
        check_choice("split", split, SPLITS)
        if render_mode is not None:
            check_choice("render_mode", render_mode, self.metadata["render_modes"])
        self.problem = problem
        self.reward: Scheme = reward_scheme(reward)
        if not callable(self.reward):
            raise ValueError(
                f"reward must pay a single answer, got {reward!r}, which compares the answers of a group: "
                "did you mean 'tiered'?"  # the default ranks answers as every comparison does
            )
        self.turns, self.keep, self.split = turns, keep, split
        self.render_mode = render_mode
        self.observation_space = Text(MAX_PROMPT)
        self.action_space = Text(MAX_REPLY)
        self.instance: Instance | None = None
        self.verdict: Verdict | None = None
        self._reply = ""
        self._seed: int | None = None
        self._index = self._turn = 0
        self._paid = self._score = 0.0
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start the next episode and return its prompt and info.

        Parameters
        ----------
        seed
            Non-negative; without one the environment goes on within the seed it has, or draws one.
        options
            ``{"index": k}`` selects instance ``k`` of the seed; ``{"instance": x}`` plays the instance
            ``x`` of this problem, wherever it comes from.

        Raises
        ------
        ValueError
            If an option is unknown or out of range.
        """
        return self._begin(seed, options), self._info()

    def _begin(self, seed: int | None = None, options: dict[str, Any] | None = None) -> str:
        """Start the next episode and return its prompt: all of `reset` but the info."""
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._index = seed, 0
        elif self._seed is None:
            self._seed, self._index = int(self.np_random.integers(2**31)), 0
        else:
            self._index += 1
        options = options or {}
        check_known("reset", "option", options, ["index", "instance"])
        if "index" in options:
            check_int("options['index']", options["index"], 0)
            self._index = options["index"]
        self.instance = options.get("instance") or self.problem.instance(self._seed, self._index, self.split)
        if type(self.instance) is not self.problem.instance_type:
            expected, got = self.problem.instance_type.__name__, type(self.instance).__name__
            self.instance = None
            raise ValueError(f"options['instance'] must be of {self.problem.name}'s {expected}, got a {got}")
        self.verdict, self._turn, self._over = None, 0, False
        self._paid = self._score = 0.0
        return self.problem.prompt(self.instance)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judge the reply ``action``.

        Raises
        ------
        TypeError
            If ``action`` is not a string.
        gymnasium.error.ResetNeeded
            If no episode is running.
        CertificateError
            If the answer beats a certificate: a bug of ours.
        """
        self._check(action)
        feedback, paid = self._take(action, *self._judge(action))
        return feedback, paid, self._over, False, self._info()

    def _check(self, action: object) -> None:
        """Raise unless the reply ``action`` can be judged now."""
        if not isinstance(action, str):
            raise TypeError(f"an action is the text of a reply (str), got {type(action).__name__}")
        if self._over or self.instance is None:
            raise gym.error.ResetNeeded("step needs a running episode: call reset first")

    def _judge(self, action: str, verdict: Verdict | None = None) -> tuple[Verdict, float]:
        """Return verdict, unless it is known, and score of a checked reply; nothing moves."""
        problem, instance, scheme = self.problem, self.instance, self.reward
        assert instance is not None
        if verdict is None:
            verdict = problem.verify(instance, action)
        if hasattr(scheme, "group"):
            (score,) = pay(scheme, Group(problem, instance, (action,), (verdict,)))
        else:  # without a group of one, which takes longer than the reward itself
            score = scheme(verdict)
        if score is None:
            raise CertificateError(f"{problem.name}: {verdict.objective} beats the certificate of {instance}")
        return verdict, score

    def _take(self, action: str, verdict: Verdict, score: float) -> tuple[str, float]:
        """Take the turn that a judged reply makes and return feedback and step reward."""
        # The first answer counts from 0, so that the return is the kept answer's own reward.
        kept = score if self.keep == "last" or self._turn == 0 else max(self._paid, score)
        paid, self._paid = kept - self._paid, kept
        self._turn += 1
        self.verdict, self._reply, self._score = verdict, action, score
        self._over = verdict.optimal or self._turn == self.turns
        return self._feedback(verdict), paid

    def _feedback(self, verdict: Verdict) -> str:
        """Say what a solver in the loop may know: violated constraints, or objective and class of gap."""
        if verdict.status == "malformed":
            said = f"Your answer cannot be read: {verdict.reason}."
        elif verdict.status == "infeasible":
            said = f"Your answer is infeasible: {'; '.join(v.reason for v in verdict.violations)}."
        else:
            said = f"Your answer is feasible with objective {verdict.objective}: {_gap_class(verdict)}."
        if self._over:
            return said
        left = self.turns - self._turn
        return f"{said}\nRevise it: {left} turn{'s' * (left > 1)} left. Answer in the same format."

    def _info(self) -> dict[str, Any]:
        return dict(zip(INFO, self._numbers(), strict=True))

    def _numbers(self) -> tuple[Any, ...]:
        """Return the values of `INFO`."""
        verdict = self.verdict or _UNANSWERED
        objective = verdict.objective
        return (
            self._seed,
            self._index,
            self._turn,
            -1 if verdict is _UNANSWERED else _STATUS_NUMBERS[verdict.status],
            0.0 if objective is None else _to_float(objective),
            verdict.quality,
            verdict.skill,
            verdict.ratio,
            verdict.credit,
            verdict.optimal,
            len(verdict.violations),
            self._score,
        )

    def render(self) -> Any:
        """Return the episode as text (``ansi``) or as a picture, an (h, w, 3) array of uint8 (``rgb_array``)."""
        if self.render_mode is None or self.instance is None:
            return None
        if self.render_mode == "ansi":
            verdict = "no answer yet" if self.verdict is None else self._feedback(self.verdict)
            return f"{self.problem.prompt(self.instance)}\n\n[turn {self._turn} of {self.turns}] {verdict}"
        readable = self.verdict is not None and self.verdict.status != "malformed"
        solution = self.problem.read(self.instance, self._reply) if readable else None
        return self._picture(solution, self._caption())

    def _caption(self) -> str:
        if self.verdict is None:
            return "no answer yet"
        if not self.verdict.feasible:
            return self.verdict.status
        return f"objective {self.verdict.objective}, quality {self.verdict.quality:.2f}"

    def _picture(self, solution: Any, caption: str) -> NDArray[np.uint8]:
        """Draw the instance, and a ``solution``, feasible or not, if there is one."""
        return pixels(self.problem, self.instance, solution, title=f"{self.problem.name}: {caption}")


def _to_float(objective: Any) -> float:
    try:
        return float(objective)
    except OverflowError:
        return float("inf") if objective > 0 else float("-inf")


_GAP_CLASSES = {
    -1.0: "worse than a thoughtless answer",
    0.0: "worse than a simple greedy heuristic",
    0.5: "no worse than a simple greedy heuristic, but far from the best",
    0.9: "much better than a simple greedy heuristic, but not yet near the best",
    1.0: "close to the best",
}
"""What is said of a skill below each edge."""
_EDGES, _SAID = tuple(_GAP_CLASSES), (*_GAP_CLASSES.values(), "as good as the best known")


def _gap_class(verdict: Verdict) -> str:
    return "this is optimal" if verdict.optimal else _SAID[bisect_right(_EDGES, verdict.skill)]


_ARGUMENTS = tuple(inspect.signature(TextEnv).parameters)[1:]


def split_arguments(
    problem: type[Problem[Any, Any]], given: dict[str, Any], *more: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split keyword arguments of ``gym.make`` into those of `TextEnv` and the parameters of ``problem``.

    The names in ``more`` count as arguments of `TextEnv` too.

    Raises
    ------
    ValueError
        For a name that neither has; the message suggests the nearest.
    """
    parameters, arguments = [field.name for field in fields(problem)], [*_ARGUMENTS, *more]
    check_known(f"Forge/{problem.name}", "argument", given, [*parameters, *arguments])
    return (
        {key: value for key, value in given.items() if key in arguments},
        {key: value for key, value in given.items() if key not in arguments},
    )
