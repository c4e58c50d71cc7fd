"""Agents: text in, text out. The controls of every table, and language models."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any

from ..core.checks import check_known, did_you_mean, short_repr
from .agent import Agent, AgentError, AsyncAgent, Message, Reply, Task
from .best_of import BestOf
from .controls import ExactAgent, GreedyAgent, LocalSearchAgent, RandomAgent, TrivialAgent

CONTROLS: dict[str, Callable[[], Agent]] = {
    agent.name: agent for agent in (TrivialAgent, RandomAgent, GreedyAgent, LocalSearchAgent, ExactAgent)
}


def make_agent(name: str, **options: Any) -> Agent:
    """Return the agent called ``name``.

    Parameters
    ----------
    name
        ``trivial``, ``random``, ``greedy``, ``local-search``, ``exact``, or one of

        - ``hf:MODEL``: a causal language model, a folder or a name on the hub, through transformers;
        - ``vllm:MODEL``: the same through vLLM;
        - ``api:MODEL``: a model behind an OpenAI-compatible server;
        - ``sb3:FILE``: a policy that Stable-Baselines3 trained.
    **options
        Arguments of `TransformersAgent`, `VLLMAgent`, `OpenAICompatibleAgent` or
        `forge_gym.agents.sb3.SB3Agent`; controls take none.

    Raises
    ------
    ValueError
        If there is no such agent or option; the message suggests the nearest.
    ImportError
        If the library behind it is not installed.

    Examples
    --------
    >>> make_agent("greedy").name
    'greedy'
    >>> make_agent("gredy")
    Traceback (most recent call last):
    ValueError: agent must be a control, or a name after api:, hf:, sb3: or vllm:, got 'gredy': did you mean 'greedy'?
    """
    kind, colon, model = name.partition(":")
    if colon and kind in _KINDS:
        module, cls = _KINDS[kind]
        make: Callable[..., Agent] = getattr(import_module(module, __name__), cls)
        if not model:
            raise ValueError(f"agent must name a model after {kind}:, got {name!r}")
        check_known(name, "option", options, list(signature(make).parameters)[1:])
        return make(model, **options)
    if name not in CONTROLS:
        known = did_you_mean(name, CONTROLS) if not colon else did_you_mean(kind, _KINDS)
        raise ValueError(
            f"agent must be a control, or a name after api:, hf:, sb3: or vllm:, got {short_repr(name)}: {known}"
        )
    check_known(name, "option", options, ())
    return CONTROLS[name]()


_KINDS = {
    "api": (".openai_compatible", "OpenAICompatibleAgent"),
    "hf": (".causal_lm", "TransformersAgent"),
    "sb3": (".sb3", "SB3Agent"),
    "vllm": (".vllm", "VLLMAgent"),
}
"""Module and class behind each prefix, imported when asked for."""

__all__ = [
    "CONTROLS",
    "Agent",
    "AgentError",
    "AsyncAgent",
    "BestOf",
    "ExactAgent",
    "GreedyAgent",
    "LocalSearchAgent",
    "Message",
    "RandomAgent",
    "Reply",
    "Task",
    "TrivialAgent",
    "make_agent",
]
