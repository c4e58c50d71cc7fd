"""The file that OpenRLHF's ``--reward.remote_url`` names.

The library loads it by its path, outside of any package, so its imports are absolute.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from forge_gym.core.answer import THOUGHTS, ThoughtsLike
from forge_gym.core.checks import check_known, short_repr
from forge_gym.core.episode import Episode, Protocol

_TELLING = 32
"""So many characters of a prompt are not found where it does not stand."""


def reward_func(
    queries: Sequence[str],
    prompts: Sequence[str],
    labels: Sequence[str],
    *,
    reward: str = "tiered",
    thoughts: ThoughtsLike = THOUGHTS,
    **foreign: Any,
) -> dict[str, Any]:
    """Return what the replies in ``queries`` are worth.

    Parameters
    ----------
    queries
        Prompts with replies, as OpenRLHF decodes them from tokens. Any reply is judged, none raises.
    prompts, labels
        The prompts alone, chat template included, of which nothing pays or costs; and the rows' specs.
    reward
        Name of a reward scheme that pays a single answer; see `forge_gym.reward`.
    thoughts
        How the thoughts in replies end; see `Protocol`.

    Returns
    -------
    dict
        ``rewards`` by the scheme; ``scores``, by which OpenRLHF filters, the quality; ``extra_logs``, the other
        `Episode.numbers`. All of them are tensors with a number per query.

    Raises
    ------
    ValueError
        If a label is no spec, a query does not begin with its prompt, or an argument is unknown.
    CertificateError
        If a reply beats a certificate, a bug of ours. OpenRLHF logs that and stops at the next update.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=5)
    >>> prompt = tsp.prompt(tsp.instance(seed=3))
    >>> queries = [prompt + "no idea", prompt + "<answer>[0, 1, 2, 3, 4]</answer>"]
    >>> judged = reward_func(queries, [prompt] * 2, [tsp.spec(seed=3)] * 2)
    >>> judged["rewards"][0].item(), judged["extra_logs"]["feasible"].tolist()
    (-1.0, [0.0, 1.0])
    """
    import torch

    check_known("reward_func", "argument", foreign, ["reward", "thoughts"])
    numbers = []
    for query, prompt, label in zip(queries, prompts, labels, strict=True):
        episode = Episode.of_spec(label, Protocol(reward=reward, thoughts=thoughts))
        episode.say(cut_reply(query, prompt))
        numbers.append(episode.numbers())
    # In double precision the reward arrives as it is; the trainer rounds it later.
    columns = {key: torch.tensor([each[key] for each in numbers], dtype=torch.float64) for key in numbers[0]}
    return {"rewards": columns.pop("score"), "scores": columns["quality"], "extra_logs": columns}


def cut_reply(query: str, prompt: str) -> str:
    r"""Return what follows ``prompt`` in ``query``.

    A decoder may move whitespace, and OpenRLHF cuts the beginning off a prompt that is too long. So where ``query``
    does not begin with ``prompt`` as it stands, it has to begin with an end of it, whitespace aside.

    Raises
    ------
    ValueError
        If ``query`` begins with nothing of ``prompt``.

    Examples
    --------
    >>> cut_reply("A tour of <answer>0</answer>? <answer>1</answer>", "A tour of <answer>0</answer>?")
    ' <answer>1</answer>'
    >>> question = "word " * 20 + "\n<|assistant|>\n"
    >>> cut_reply("word word word word word<|assistant|> yes", question)
    ' yes'
    """
    if query.startswith(prompt):
        return query[len(prompt) :]
    asked = "".join(prompt.split())
    ends = [0, *(match.end() for match in islice(re.finditer(r"\S", query), len(asked)))]
    begun = "".join(query[end - 1] for end in ends[1:])
    for start in range(max(0, len(asked) - _TELLING) + 1):  # the longest end first
        if begun.startswith(asked[start:]):
            return query[ends[len(asked) - start] :]
    raise ValueError(
        f"a query must begin with its prompt, {short_repr(prompt)}, got {short_repr(query)}: "
        "does the tokenizer decode what it encoded?"
    )
