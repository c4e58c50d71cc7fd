"""The reward function that verl's ``reward.custom_reward_function`` names."""

from __future__ import annotations

from typing import Any

from ...core.checks import check_known
from ...core.episode import Episode, Protocol

_FOREIGN = ("reward_router_address", "reward_model_tokenizer")
"""What verl hands over where a reward model runs beside this function."""


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
    episode = Episode.of_spec(ground_truth, Protocol(reward=reward))
    episode.say(solution_str)
    return episode.numbers()
