"""`TextEnv`: any problem as a text-action Gymnasium environment."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .answer import MAX_REPLY, THOUGHTS, ThoughtsLike
from .checks import as_int, check_choice, check_int, check_known
from .episode import Episode, Protocol
from .instance import Instance
from .problem import Problem
from .seeding import SPLITS
from .space import Text
from .verdict import STATUSES, Verdict

MAX_PROMPT = 2**22
"""Longest observation, in characters."""
_SEEDS = 2**31
INFO = (
    "seed", "index", "turn", "status", "objective", "quality", "skill", "ratio", "credit", "optimal", "violations",
    "score", "kept_quality", "kept_skill", "kept_score",
)  # fmt: skip
"""The keys of every ``info``."""

_UNANSWERED = Verdict("malformed")


class Whole(int):
    """An integer of any size in an ``info``: of Python's own, Gymnasium's vector environments take 63 bits."""

    __slots__ = ()


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
    thoughts
        How the thoughts in replies end, such as ``"[/THINK]"``; see `Protocol`.
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
    next index. A refused ``reset`` changes nothing.

    ``info`` has the same numeric keys at every step. Of this answer: ``status`` (0 malformed, 1 infeasible,
    2 feasible; -1 before any answer), ``objective`` (0 unless feasible), ``quality``, ``skill``, ``ratio``,
    ``credit``, ``optimal``, ``violations`` (families violated) and ``score`` (its reward alone, 0 before any). Of the
    answer that is kept, which the return pays: ``kept_quality``, ``kept_skill`` and ``kept_score``. Of the episode:
    ``seed``, ``index`` and ``turn``. No value is ever NaN, so that infos compare equal. The `Verdict` itself is
    ``env.unwrapped.verdict``, and all of the episode ``env.unwrapped.episode``.

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
    info_keys: tuple[str, ...] = INFO
    options: tuple[str, ...] = ("index", "instance")
    """What `reset` takes."""

    def __init__(
        self,
        problem: Problem[Any, Any],
        *,
        reward: str = "tiered",
        turns: int = 1,
        keep: str = "best",
        thoughts: ThoughtsLike = THOUGHTS,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        self.protocol = Protocol(turns, keep, reward, thoughts)
        check_choice("split", split, SPLITS)
        if problem.picture is None:
            self.metadata = self.metadata | {"render_modes": ["ansi"]}
        if render_mode is not None:
            check_choice("render_mode", render_mode, self.metadata["render_modes"])
        self.problem, self.split = problem, split
        self.render_mode = render_mode
        self.observation_space = Text(MAX_PROMPT)
        self.action_space = Text(MAX_REPLY)
        self.episode: Episode | None = None
        """The episode that is played, or the last one; None before any."""
        self._seed: int | None = None
        self._index = 0

    @property
    def instance(self) -> Instance | None:
        """The instance that is played; None before the first episode."""
        return None if self.episode is None else self.episode.instance

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the last reply; None before any."""
        return None if self.episode is None or self.episode.last is None else self.episode.last.verdict

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start the next episode and return its prompt and info.

        Parameters
        ----------
        seed
            Non-negative; without one the environment goes on within the seed it has, or draws one.
        options
            ``{"index": k}`` selects instance ``k`` of the seed; ``{"instance": x}`` plays the instance ``x`` of this
            problem. Then ``seed`` and ``index`` of the info say where the stream is, not where ``x`` comes from.
        """
        return self.start(seed, options), self.info()

    def start(self, seed: int | None = None, options: dict[str, Any] | None = None) -> str:
        """Start the next episode and return its prompt: all of `reset` but the info."""
        options = dict(options or {})
        check_known("reset", "option", options, self.options)
        if "index" in options:
            options["index"] = check_int("options['index']", options["index"], 0)
        seed = seed if as_int(seed) is None else as_int(seed)  # Gymnasium's own check knows Python's integers alone
        given = options.get("instance")
        if given is not None and type(given) is not self.problem.instance_type:
            expected = f"{self.problem.name}'s {self.problem.instance_type.__name__}"
            raise ValueError(f"options['instance'] must be of {expected}, got a {type(given).__name__}")
        if seed is not None:
            stream, index = seed, 0
        elif self._seed is not None:
            stream, index = self._seed, self._index + 1
        else:
            stream, index = int(deepcopy(self.np_random).integers(_SEEDS)), 0
        index = options.get("index", index)
        problem = self.problem_at(stream, index)
        instance = given if given is not None else problem.instance(stream, index, self.split)
        episode = Episode(problem, instance, self.protocol)
        prompt = episode.prompt
        super().reset(seed=seed)  # refuses a seed that is out of range; from here on nothing fails
        if seed is None and self._seed is None:
            self.np_random.integers(_SEEDS)  # the draw of above
        self.problem, self.episode, self._seed, self._index = problem, episode, stream, index
        return prompt

    def problem_at(self, seed: int, index: int) -> Problem[Any, Any]:
        """Return the problem that number ``index`` of the stream ``seed`` is an instance of."""
        return self.problem

    def running(self, action: object) -> Episode:
        """Return the running episode in which the reply ``action`` can be judged now, or raise; see `step`."""
        if not isinstance(action, str):
            raise TypeError(f"an action is the text of a reply (str), got {type(action).__name__}")
        if self.episode is None or self.episode.over:
            raise gym.error.ResetNeeded("step needs a running episode: call reset first")
        return self.episode

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judge the reply ``action``.

        What is no string is a ``TypeError``, and a step while no episode is running a ``ResetNeeded``.
        """
        episode = self.running(action)
        feedback = episode.step(action)
        return feedback, episode.paid, episode.over, False, self.info()

    def info(self) -> dict[str, Any]:
        """Return what is known of the episode in numbers; see the notes of the class."""
        return dict(zip(self.info_keys, self.info_values(), strict=True))

    def info_values(self) -> tuple[Any, ...]:
        """Return the values of `info_keys`, in order."""
        episode = self.episode
        last, kept = (None, None) if episode is None else (episode.last, episode.kept)
        verdict = _UNANSWERED if last is None else last.verdict
        best = _UNANSWERED if kept is None else kept.verdict
        return (
            None if self._seed is None else Whole(self._seed),
            Whole(self._index),
            0 if episode is None else episode.turn,
            -1 if last is None else STATUSES.index(verdict.status),
            0.0 if verdict.objective is None else _to_float(verdict.objective),
            verdict.quality,
            verdict.skill,
            verdict.ratio,
            verdict.credit,
            verdict.optimal,
            len(verdict.violations),
            0.0 if last is None else last.score,
            best.quality,
            best.skill,
            0.0 if kept is None else kept.score,
        )

    def render(self) -> Any:
        """Return the episode as text (``ansi``) or as a picture, an (h, w, 3) array of uint8 (``rgb_array``)."""
        episode = self.episode
        if self.render_mode is None or episode is None:
            return None
        if self.render_mode == "ansi":
            turns = f"[turn {episode.turn} of {self.protocol.turns}]"
            return f"{episode.prompt}\n\n{turns} {episode.feedback}"
        return self.picture(None if self.verdict is None else self.verdict.solution, self.caption())

    def caption(self) -> str:
        """Return what the last verdict says, in a few words."""
        verdict = self.verdict
        if verdict is None:
            return "no answer yet"
        if not verdict.feasible:
            return verdict.status
        return f"objective {verdict.objective}, quality {verdict.quality:.2f}"

    def picture(self, solution: Any, caption: str) -> NDArray[np.uint8]:
        """Draw the instance, and a ``solution``, feasible or not, if there is one."""
        title = f"{self.problem.name}: {caption}"
        pixels: NDArray[np.uint8] = self.problem.picture.pixels(self.problem, self.instance, solution, title=title)
        return pixels


def _to_float(objective: Any) -> float:
    try:
        return float(objective)
    except OverflowError:
        return float("inf") if objective > 0 else float("-inf")
