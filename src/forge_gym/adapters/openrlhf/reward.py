"""The file that OpenRLHF's ``--reward.remote_url`` names.

The library loads it by its path, outside of any package, so its imports are absolute.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

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
    **foreign: Any,
) -> dict[str, Any]:
    """Return what the replies in ``queries`` are worth.

    Parameters
    ----------
    queries
        Prompts with replies, as OpenRLHF decodes them from tokens. Any reply is judged, none raises.
    prompts
        The prompts alone, chat template included. Nothing in them pays or costs.
    labels
        The rows' specs; see `Problem.spec`.
    reward
        Name of a reward scheme that pays a single answer; see `forge_gym.reward`.

    Returns
    -------
    dict
        ``rewards`` by the scheme; ``scores``, by which OpenRLHF filters, the quality from 0 to 1; ``extra_logs``, the
        numbers that it logs: ``quality``, ``skill`` (floored at -1), ``ratio``, ``credit``, ``feasible``,
        ``malformed`` and ``optimal``. All of them are tensors with a finite number per query.

    Raises
    ------
    ValueError
        If a label is no spec, a query does not begin with its prompt, or an argument is unknown.
    CertificateError
        If a reply beats a certificate, a bug of ours that must not be paid. OpenRLHF has no reward of None: it logs
        the fault and stops at the next update.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=5)
    >>> prompt = tsp.prompt(tsp.instance(seed=3))
    >>> queries = [prompt + "no idea", prompt + "<answer>[0, 1, 2, 3, 4]</answer>"]
    >>> found = reward_func(queries, [prompt] * 2, [tsp.spec(seed=3)] * 2)
    >>> found["rewards"][0].item(), found["extra_logs"]["feasible"].tolist()
    (-1.0, [0.0, 1.0])
    """
    import torch

    check_known("reward_func", "argument", foreign, ["reward"])
    if not len(queries) == len(prompts) == len(labels):
        counts = f"{len(queries)}, {len(prompts)} and {len(labels)}"
        raise ValueError(f"queries, prompts and labels must be as many, got {counts}")
    query_numbers = []
    for query, prompt, label in zip(queries, prompts, labels, strict=True):
        episode = Episode.of_spec(label, Protocol(reward=reward))
        episode.say(cut_reply(query, prompt))
        query_numbers.append(episode.numbers())
    # In double precision the reward arrives as it is; the trainer rounds it later.
    columns = {
        key: torch.tensor([numbers[key] for numbers in query_numbers], dtype=torch.float64)
        for key in (query_numbers[0] if query_numbers else ("score", "quality"))
    }
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
    wanted = "".join(prompt.split())
    places = [match.start() for match in islice(re.finditer(r"\S", query), len(wanted))]
    begun = "".join(query[place] for place in places)
    least = min(_TELLING, len(wanted))
    start = wanted.find(begun[:least])  # the first place leaves the longest end
    while 0 <= start <= len(wanted) - least:
        kept = len(wanted) - start
        if begun[:kept] == wanted[start:]:
            return query[places[kept - 1] + 1 :] if kept else query
        start = wanted.find(begun[:least], start + 1)
    raise ValueError(
        f"a query must begin with its prompt, {short_repr(prompt)}, got {short_repr(query)}: "
        "does the tokenizer decode what it encoded?"
    )
