"""The reward function that verl's ``reward.custom_reward_function`` names, and the episode behind it."""

from __future__ import annotations

from typing import Any

from ...core.checks import check_known, shorten
from ...core.env import TextEnv
from ...core.registry import from_spec
from ...core.verdict import Verdict

_FOREIGN = ("reward_router_address", "reward_model_tokenizer")
"""What verl hands over where a reward model runs beside this function."""


class Episode:
    """An episode of `TextEnv` that knows what its kept reply is worth.

    Parameters
    ----------
    spec
        Names problem and instance; see `Problem.spec`.
    reward, turns, keep
        Of `TextEnv`.

    Examples
    --------
    >>> import forge_gym
    >>> episode = Episode(forge_gym.problem("Knapsack", n=8).spec(seed=3), turns=2)
    >>> print(episode.say("<answer>[]</answer>"))
    Your answer is feasible with objective 0: worse than a thoughtless answer.
    Revise it: 1 turn left. Answer in the same format.
    >>> print(episode.say("<answer>[99]</answer>"))
    Your answer is infeasible: items are 0 to 7, got 1 others.
    >>> episode.over, [round(score, 2) for score in episode.scores], round(episode.numbers()["score"], 2)
    (True, [-0.24, -0.47], -0.24)
    """

    over = False

    def __init__(self, spec: str, *, reward: str = "tiered", turns: int = 1, keep: str = "best") -> None:
        if not isinstance(spec, str):
            raise ValueError(f"ground_truth must be a spec, which is a string, got {shorten(spec)}: see rows")
        problem, instance = from_spec(spec)
        self._env = TextEnv(problem, reward=reward, turns=turns, keep=keep)
        self._env.reset(seed=0, options={"instance": instance})
        self._kept: tuple[Verdict, float] | None = None
        self.scores: list[float] = []
        """What each reply is worth alone."""

    def say(self, reply: object) -> str:
        """Judge ``reply`` and return the feedback; what is no text is as malformed as an empty one.

        Raises
        ------
        CertificateError
            If the reply beats a certificate: a bug of ours.
        """
        feedback, _, self.over, _, info = self._env.step(reply if isinstance(reply, str) else "")
        verdict, score = self._env.verdict, info["score"]
        assert verdict is not None
        if self._kept is None or self._env.keep == "last" or score > self._kept[1]:
            self._kept = verdict, score
        self.scores.append(score)
        return feedback

    def numbers(self) -> dict[str, float]:
        """Return the score of the kept reply and what is worth logging: the same keys for every episode."""
        assert self._kept is not None, "a reply comes first"
        verdict, score = self._kept
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


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict[str, Any] | None = None,
    *,
    reward: str = "tiered",
    **foreign: Any,
) -> dict[str, float]:
    """Return the reward of a reply as ``score``, and the numbers that verl logs beside it.

    Parameters
    ----------
    data_source, extra_info
        Columns of the row, which decide nothing here.
    solution_str
        The whole reply. Any text is judged, none raises.
    ground_truth
        The row's spec; see `Problem.spec`. The instances and references of the last 8,192 are remembered.
    reward
        Name of a reward scheme that pays a single answer, see `forge_gym.reward`; in a configuration,
        ``reward.custom_reward_function.reward_kwargs.reward``.
    **foreign
        Arguments of verl for reward models.

    Returns
    -------
    dict
        ``score``, ``quality``, ``skill`` (floored at -1), ``ratio``, ``credit``, ``feasible``, ``malformed`` and
        ``optimal``, all of them finite floats, whatever the reply.

    Raises
    ------
    ValueError
        If the ground truth is no spec, or an argument is unknown.
    CertificateError
        If the reply beats a certificate, a bug of ours that must not be paid: verl has no reward of None, but
        drops a rollout that raises.

    Examples
    --------
    >>> import forge_gym
    >>> knapsack = forge_gym.problem("Knapsack", n=8)
    >>> found = compute_score("forge_gym/Knapsack", "<answer>[]</answer>", knapsack.spec(seed=3), reward="linear")
    >>> round(found["score"], 2), found["feasible"], found["quality"]
    (-0.24, 1.0, 0.0)
    >>> compute_score("forge_gym/Knapsack", "?", knapsack.spec(seed=3), rewards="linear")
    Traceback (most recent call last):
    ValueError: compute_score has no argument 'rewards': did you mean 'reward'?
    """
    check_known("compute_score", "argument", foreign, ["reward", *_FOREIGN])
    episode = Episode(ground_truth, reward=reward)
    episode.say(solution_str)
    return episode.numbers()
