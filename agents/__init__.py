"""Agents: text in, text out. The controls of every table, and language models."""

from __future__ import annotations

from typing import Any

from ..core.checks import nearest, shorten
from .agent import Agent, Message, Task
from .controls import ExactAgent, GreedyAgent, LocalSearchAgent, RandomAgent, TrivialAgent

CONTROLS = {
    agent.name: agent for agent in (TrivialAgent, RandomAgent, GreedyAgent, LocalSearchAgent, ExactAgent)
}


def make_agent(name: str, **options: Any) -> Agent:
    """Return the agent called ``name``.

    Parameters
    ----------
    name
        ``trivial``, ``random``, ``greedy``, ``local-search``, ``exact``; ``hf:MODEL`` for a causal language model,
        MODEL being a folder or a name on the hub; ``sb3:FILE`` for a policy that Stable-Baselines3 trained.
    **options
        Arguments of `TransformersAgent`, for ``hf:``, or of `forge_gym.agents.sb3.SB3Agent`, for ``sb3:``.

    Raises
    ------
    ValueError
        If there is no such agent; the message suggests the nearest.

    Examples
    --------
    >>> make_agent("greedy").name
    'greedy'
    >>> make_agent("gredy")
    Traceback (most recent call last):
    ValueError: agent must be a control, hf:MODEL or sb3:FILE, got 'gredy': did you mean 'greedy'?
    """
    if name.startswith("hf:"):
        from .causal_lm import TransformersAgent

        return TransformersAgent(name[3:], **options)
    if name.startswith("sb3:"):
        from .sb3 import SB3Agent

        return SB3Agent(name[4:], **options)
    if name not in CONTROLS:
        raise ValueError(
            f"agent must be a control, hf:MODEL or sb3:FILE, got {shorten(name)}: {nearest(name, CONTROLS)}"
        )
    agent: Agent = CONTROLS[name]()
    return agent


__all__ = [
    "CONTROLS",
    "Agent",
    "ExactAgent",
    "GreedyAgent",
    "LocalSearchAgent",
    "Message",
    "RandomAgent",
    "Task",
    "TrivialAgent",
    "make_agent",
]
