"""verl 0.9: a reward function, rows, and in `agent_loop` episodes of several turns.

verl's configuration names them: ``reward.custom_reward_function.path=pkg://forge_gym.adapters.verl`` finds
`compute_score`, and a file of agent loops names ``forge_gym.adapters.verl.agent_loop.ForgeAgentLoop``.
``forge-gym generate --layout verl`` writes the rows.
"""

from __future__ import annotations

from typing import Any

from ...core.answer import THOUGHTS, ThoughtsLike
from ...core.checks import check_known
from ...core.episode import Episode, Protocol
from ...data.rows import Row

_FOREIGN = ("reward_router_address", "reward_model_tokenizer")
"""What verl hands over where a reward model runs beside this function."""


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: dict[str, Any] | None = None,
    *,
    reward: str = "tiered",
    thoughts: ThoughtsLike = THOUGHTS,
    **foreign: Any,
) -> dict[str, float]:
    """Return the reward of a reply as ``score``, and what verl logs beside it: `Episode.numbers`.

    Parameters
    ----------
    data_source, extra_info
        Columns of the row, which decide nothing here.
    solution_str
        The whole reply. Any text is judged, none raises.
    ground_truth
        The row's spec; see `Problem.spec`.
    reward
        Name of a reward scheme that pays a single answer; see `forge_gym.reward`.
    thoughts
        How the thoughts in replies end; see `Protocol`.

    Raises
    ------
    ValueError
        If the ground truth is no spec, or an argument is unknown.
    CertificateError
        If the reply beats a certificate, a bug of ours: verl has no reward of None, but drops a rollout that raises.

    Examples
    --------
    >>> import forge_gym
    >>> knapsack = forge_gym.problem("Knapsack", n=8)
    >>> numbers = compute_score("forge_gym/Knapsack", "<answer>[]</answer>", knapsack.spec(seed=3), reward="linear")
    >>> round(numbers["score"], 2), numbers["feasible"], numbers["quality"]
    (-0.24, 1.0, 0.0)
    """
    check_known("compute_score", "argument", foreign, ["reward", "thoughts", *_FOREIGN])
    episode = Episode.of_spec(ground_truth, Protocol(reward=reward, thoughts=thoughts))
    episode.say(solution_str)
    return episode.numbers()


def row(row: Row) -> dict[str, Any]:
    """Return a certified instance as verl reads it."""
    return {
        "data_source": f"forge_gym/{row.problem.name}",
        "prompt": row.messages,
        "ability": row.problem.family,
        "reward_model": {"style": "rule", "ground_truth": row.spec},
        "extra_info": {
            **row.source,
            "problem": row.problem.name,
            "level": row.level,
            "instance_hash": row.hash,
        },
    }
