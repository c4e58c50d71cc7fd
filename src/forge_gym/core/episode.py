"""`Episode`: a prompt and up to some replies, and the one place that knows which reply is kept and what is paid.

Environments, trainers' adapters and evaluation all play this episode. Seeds, renderings and transcripts are theirs.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

from .answer import THOUGHTS, Thoughts, ThoughtsLike
from .checks import check_choice, check_int, short_repr
from .problem import Problem
from .reference import CertificateError
from .registry import from_spec
from .rewards import Group, group_rewards, single_reward
from .verdict import Verdict

log = logging.getLogger(__name__)

KEEP = ("best", "last")
"""Which reply counts in the end: the best so far, or the last one."""
_SKILL_CLASSES = {
    -1.0: "worse than a thoughtless answer",
    0.0: "worse than a simple greedy heuristic",
    0.5: "no worse than a simple greedy heuristic, but far from the best",
    0.9: "much better than a simple greedy heuristic, but not yet near the best",
    1.0: "close to the best",
}
"""What feedback says of a skill below each edge: nothing that would tell how far the optimum is."""
_EDGES, _CLASSES = tuple(_SKILL_CLASSES), (*_SKILL_CLASSES.values(), "as good as the best known")


@dataclass(frozen=True)
class Protocol:
    """How an episode goes.

    Examples
    --------
    >>> Protocol(turns=3, keep="last", thoughts="[/THINK]").thoughts
    Thoughts(end='[/THINK]', start='[THINK]', inside=False)
    """

    turns: int = 1
    """Replies per episode. After each the agent reads the verdict and may revise."""
    keep: str = "best"
    """Which reply counts where there are several: the ``best`` so far, or the ``last``."""
    reward: str = "tiered"
    """Name of a reward scheme that pays a single answer; see `forge_gym.reward`."""
    thoughts: ThoughtsLike = THOUGHTS
    """How the model's thoughts end: the end mark, or an object with the fields of `Thoughts`, also as JSON."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "thoughts", Thoughts.of(self.thoughts))
        object.__setattr__(self, "turns", check_int("turns", self.turns, 1))
        check_choice("keep", self.keep, KEEP)
        single_reward(self.reward)


class Judged(NamedTuple):
    """A reply with its verdict, and the reward of this reply alone."""

    reply: str
    verdict: Verdict
    score: float


class Episode:
    """One instance of a problem, asked and answered.

    Parameters
    ----------
    problem, instance
        What is asked.
    protocol
        How many replies there are, which is kept, and what pays them.

    Notes
    -----
    A turn is paid by how much it changes the kept reply's reward. The first reply counts from 0, so the payments of an
    episode sum up to the kept reply's own reward, and saying the same again pays nothing. The episode ends with a
    proven optimum or after its last turn.

    Examples
    --------
    >>> import forge_gym
    >>> knapsack = forge_gym.problem("Knapsack", n=8)
    >>> episode = Episode(knapsack, knapsack.instance(seed=3), Protocol(turns=2))
    >>> print(episode.step("<answer>[99]</answer>"))
    Your answer is infeasible: items are 0 to 7, got 1 others.
    Revise it: 1 turn left. Answer in the same format.
    >>> feedback = episode.step("no idea")
    >>> episode.paid, episode.over, episode.kept.reply
    (0.0, True, '<answer>[99]</answer>')
    """

    spec = ""
    """The spec of the instance, where the episode was made of one."""

    def __init__(self, problem: Problem[Any, Any], instance: Any, protocol: Protocol | None = None) -> None:
        self.problem, self.instance, self.protocol = problem, instance, protocol or Protocol()
        self.scheme, self.thoughts = single_reward(self.protocol.reward), Thoughts.of(self.protocol.thoughts)
        self._reads_text = hasattr(self.scheme, "group")
        self.turn, self.over = 0, False
        self.paid = 0.0
        """What the last reply was paid."""
        self.last: Judged | None = None
        self.kept: Judged | None = None
        self.kept_turn = 0
        """The turn of the kept reply, counted from 0."""
        self.scores: list[float] = []
        """What each reply is worth alone."""
        self.fault: Exception | None = None
        """Why judging failed in `say`: a bug of ours."""

    @classmethod
    def of_spec(cls, spec: str, protocol: Protocol | None = None) -> Self:
        """Return a fresh episode on the instance that a spec string names; see `Problem.spec`."""
        if not isinstance(spec, str):
            raise ValueError(f"a spec must be a string, got {short_repr(spec)}")
        episode = cls(*from_spec(spec), protocol)
        episode.spec = spec
        return episode

    @cached_property
    def prompt(self) -> str:
        """The question; written when it is first asked for, since who only judges does not ask."""
        return self.problem.prompt(self.instance)

    @property
    def kept_reply(self) -> str:
        """The text of the kept reply; empty before any."""
        return "" if self.kept is None else self.kept.reply

    @property
    def total(self) -> float:
        """What all replies were paid together: the reward of the kept one."""
        return 0.0 if self.kept is None else self.kept.score

    def judge(self, reply: str, verdict: Verdict | None = None) -> Judged:
        """Return verdict and score of ``reply``; a `CertificateError` where it beats a certificate: a bug of ours."""
        if verdict is None:
            verdict = self.problem.verify(self.instance, reply, self.thoughts)
        if self._reads_text:
            (score,) = group_rewards(self.scheme, Group(self.problem, self.instance, (reply,), (verdict,)))
        else:
            score = self.scheme(verdict)
        if score is None:
            raise CertificateError(f"{self.problem.name}: {verdict.objective} beats the certificate of {self.instance}")
        return Judged(reply, verdict, score)

    def step(self, reply: str) -> str:
        """Take the turn that ``reply`` makes, and return the feedback on it; a ``ValueError`` after the end."""
        if self.over:
            raise ValueError("an episode must be running to take a turn, got one that is over")
        return self.take(self.judge(reply))

    def take(self, judged: Judged) -> str:
        """Take the turn that a judged reply makes, and return the feedback on it."""
        kept, self.last = self.kept, judged
        before = 0.0 if kept is None else kept.score
        if kept is None or judged.score > before or self.protocol.keep == "last":
            self.kept, self.kept_turn = judged, self.turn
        self.paid = judged.score - before if self.kept is judged else 0.0
        self.scores.append(judged.score)
        self.turn += 1
        self.over |= judged.verdict.optimal or self.turn >= self.protocol.turns
        return self.feedback

    def say(self, reply: object) -> str:
        """Take the turn that ``reply`` makes, whatever it is; return feedback. Never raises, so that training goes on.

        What is no text is as malformed as an empty reply. After the end nothing changes. Where judging fails, the
        episode is over, `fault` says why, and `reward` is None.
        """
        if self.over:
            return "The episode is over: this changes nothing."
        text = reply if isinstance(reply, str) else ""
        try:
            return self.step(text)
        except Exception as fault:
            log.exception("the verifier failed on %s", short_repr(self.spec or self.instance, 300))
            # This reply is kept: whoever judges the kept one again must not pay it either.
            self.last = self.kept = Judged(text, Verdict("malformed"), 0.0)
            self.fault, self.over, self.paid = fault, True, 0.0
            self.turn += 1
            return "Your answer could not be judged, through no fault of yours."

    @property
    def reward(self) -> float | None:
        """What the scheme pays for the kept reply, or for an empty one before any; None where judging failed."""
        if self.fault is not None:
            return None
        return (self.kept or self.judge("", Verdict("malformed"))).score

    def numbers(self) -> dict[str, float]:
        """Return the reward of the kept reply as ``score``, and what is worth logging: finite floats, the same keys.

        Where judging failed it raises the `fault`: what cannot be judged has no reward.
        """
        if self.fault is not None:
            raise self.fault
        _, verdict, score = self.kept or self.judge("", Verdict("malformed"))
        return {
            "score": score,
            "quality": verdict.quality,
            "skill": max(-1.0, verdict.skill),  # unbounded below: one bad answer would drown a mean
            "ratio": verdict.ratio,
            "credit": verdict.credit,
            "feasible": float(verdict.feasible),
            "malformed": float(verdict.status == "malformed"),
            "optimal": float(verdict.optimal),
        }

    @property
    def feedback(self) -> str:
        """What a solver in the loop may know of the last reply: violated constraints, or objective and class of gap."""
        if self.last is None:
            return "no answer yet"
        verdict = self.last.verdict
        if verdict.status == "malformed":
            words = f"Your answer cannot be read: {verdict.reason}."
        elif verdict.status == "infeasible":
            words = f"Your answer is infeasible: {'; '.join(v.reason for v in verdict.violations)}."
        else:
            words = f"Your answer is feasible with objective {verdict.objective}: {_skill_class(verdict)}."
        if self.over:
            return words
        left = self.protocol.turns - self.turn
        return f"{words}\nRevise it: {left} turn{'s' * (left > 1)} left. Answer in the same format."


def _skill_class(verdict: Verdict) -> str:
    return "this is optimal" if verdict.optimal else _CLASSES[bisect_right(_EDGES, verdict.skill)]
