"""An episode as a trainer needs it: replies in, feedback out, and what the kept reply is worth."""

from __future__ import annotations

import logging

from ..core.checks import shorten
from ..core.env import TextEnv
from ..core.registry import from_spec
from ..core.rewards import Group, pay
from ..core.verdict import Verdict

log = logging.getLogger(__name__)


class Dialogue:
    """An episode of `TextEnv` in which no reply raises, and the kept one is at hand.

    Parameters
    ----------
    spec
        Names problem and instance; see `Problem.spec`.
    turns, keep, scheme
        Of `TextEnv`, whose ``reward`` is the scheme here.

    Examples
    --------
    >>> import forge_gym
    >>> dialogue = Dialogue(forge_gym.problem("TSP", n=5).spec(), turns=2)
    >>> print(dialogue.say("<answer>[0, 1, 2, 3, 3]</answer>"))
    Your answer is infeasible: each city is visited, missing 1 of 5: [4]; each city is visited once, got 1
    repeated visits.
    Revise it: 1 turn left. Answer in the same format.
    >>> print(dialogue.say("no idea"))
    Your answer cannot be read: the answer is stated once, between <answer> and </answer>, got 0 and 0 of these.
    >>> dialogue.say("?"), dialogue.answer, dialogue.over, dialogue.turns
    ('The episode is over: this changes nothing.', '<answer>[0, 1, 2, 3, 3]</answer>', True, 2)
    >>> [round(score, 2) for score in dialogue.scores], dialogue.reward == dialogue.scores[0]
    ([-0.6, -1.0], True)
    """

    answer = ""
    """The kept reply."""
    reward: float | None
    """What the scheme pays for it, for an empty one before any; None where judging failed."""
    over = False
    fault: Exception | None = None
    """Why judging failed: a fault of the verifier, or a reply that beats a certificate, which is a bug of ours too."""
    _verdict = Verdict("malformed")
    _best = float("-inf")

    def __init__(self, spec: str, *, turns: int = 1, keep: str = "best", scheme: str = "tiered") -> None:
        if not isinstance(spec, str):
            raise ValueError(f"a spec must be a string, got {shorten(spec)}: see Problem.spec")
        problem, instance = from_spec(spec)
        self.spec, self._env = spec, TextEnv(problem, reward=scheme, turns=turns, keep=keep)
        self.prompt, _ = self._env.reset(seed=0, options={"instance": instance})
        (self.reward,) = pay(self._env.reward, Group(problem, instance, [""], [self._verdict]))
        self.scores: list[float] = []
        """What each judged reply is worth alone."""

    @property
    def turns(self) -> int:
        """Replies so far."""
        return len(self.scores) + (self.fault is not None)

    def say(self, reply: object) -> str:
        """Judge ``reply`` and return the feedback; what is no text is as malformed as an empty one."""
        if self.over:
            return "The episode is over: this changes nothing."
        text = reply if isinstance(reply, str) else ""
        try:
            feedback, _, self.over, _, info = self._env.step(text)
        except Exception as fault:  # must not end a training run, nor pay or punish anyone
            log.exception("the verifier failed on %s", shorten(self.spec, 300))
            # This reply is kept, for whoever judges the kept one again must pay None too.
            self.answer, self.reward, self.fault, self.over = text, None, fault, True
            return "Your answer could not be judged, through no fault of yours."
        score, verdict = info["score"], self._env.verdict
        assert verdict is not None
        self.scores.append(score)
        if self._env.keep == "last" or score > self._best:
            self.answer, self.reward, self._best, self._verdict = text, score, score, verdict
        return feedback

    def numbers(self) -> dict[str, float]:
        """Return the reward of the kept reply as ``score``, and what is worth logging.

        Returns
        -------
        dict
            ``score``, ``quality``, ``skill`` (floored at -1), ``ratio``, ``credit``, ``feasible``, ``malformed`` and
            ``optimal``: the same keys for every dialogue, all of them finite floats.

        Raises
        ------
        Exception
            The `fault`, where judging failed: what cannot be judged has no reward.
        """
        if self.fault is not None:
            raise self.fault
        verdict, score = self._verdict, self.reward
        assert score is not None
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
