"""Agents: text in, text out. The controls of every table, and language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import isfunction, signature
from types import SimpleNamespace
from typing import Any

from ..core.checks import check_known, did_you_mean, short_repr
from .agent import Agent, AgentError, AsyncAgent, Message, Reply, Task, Unreachable
from .causal_lm import trained_on
from .controls import ExactAgent, GreedyAgent, LocalSearchAgent, RandomAgent, TrivialAgent

CONTROLS: dict[str, Callable[[], Agent]] = {
    agent.name: agent for agent in (TrivialAgent, RandomAgent, GreedyAgent, LocalSearchAgent, ExactAgent)
}

_KINDS = {
    "api": (".openai_compatible", "OpenAICompatibleAgent", '"forge-gym[api]"'),
    "hf": (".causal_lm", "TransformersAgent", '"forge-gym[train]"'),
    "sb3": (".sb3", "SB3Agent", '"forge-gym[sb3]"'),
    "vllm": (".vllm", "VLLMAgent", "vllm, which wants Linux and a GPU; hf:MODEL does without"),
}
"""Module and class behind each prefix, imported when asked for, and what to install for it."""


def make_agent(name: str, **options: Any) -> Agent:
    """Return the agent called ``name``.

    Parameters
    ----------
    name
        ``trivial``, ``random``, ``greedy``, ``local-search``, ``exact``, or one of

        - ``hf:MODEL``: a causal language model, a folder or a name on the hub, through transformers;
        - ``vllm:MODEL``: the same through vLLM;
        - ``api:MODEL``: a model behind an OpenAI-compatible server;
        - ``sb3:FILE``: a policy that Stable-Baselines3 trained, in a file whose code is run;
        - ``module:Class``: an agent of your own, or ``module:function`` from tasks to replies.
    **options
        Arguments of `TransformersAgent`, `VLLMAgent`, `OpenAICompatibleAgent`,
        `forge_gym.agents.sb3.SB3Agent` or your class; controls and functions take none.

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
    ValueError: agent must be a control, api:MODEL, hf:MODEL, sb3:FILE, vllm:MODEL or module:Class, got 'gredy': ...
    """
    kind, colon, model = name.partition(":")
    if not colon:
        if name not in CONTROLS:
            raise ValueError(_unknown(name, did_you_mean(name, CONTROLS)))
        check_known(name, "option", options, ())
        return CONTROLS[name]()
    if kind not in _KINDS:
        return _own_agent(name, options)
    if not model:
        raise ValueError(f"agent must name a model after {kind}:, got {name!r}")
    module, cls, install = _KINDS[kind]
    try:
        make: Callable[..., Agent] = getattr(import_module(module, __name__), cls)
        check_known(name, "option", options, list(signature(make).parameters)[1:])
        return make(model, **options)
    except ModuleNotFoundError as error:
        raise ImportError(f"{kind}: needs {error.name}: pip install {install}") from None


def _own_agent(name: str, options: Mapping[str, Any]) -> Agent:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
        is_function = isfunction(found)
        if not (is_function or isinstance(found, type)):
            raise TypeError("it is neither a class nor a function")
        signature(found).bind(*[()] * is_function, **options)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        near = did_you_mean(module, _KINDS)
        raise ValueError(_unknown(name, near if near.startswith("did") else str(error))) from None
    agent: Any = SimpleNamespace(name=attribute, answer=found) if is_function else found(**options)
    if not isinstance(getattr(agent, "name", None), str):
        raise ValueError(_unknown(name, "it has no name"))
    if not (hasattr(agent, "answer") or hasattr(agent, "reply")):
        raise ValueError(_unknown(name, "it has no method answer"))
    made: Agent = agent
    return made


def _unknown(name: str, hint: str) -> str:
    rule = "agent must be a control, api:MODEL, hf:MODEL, sb3:FILE, vllm:MODEL or module:Class"
    return f"{rule}, got {short_repr(name)}: {hint}"


__all__ = [
    "CONTROLS",
    "Agent",
    "AgentError",
    "AsyncAgent",
    "ExactAgent",
    "GreedyAgent",
    "LocalSearchAgent",
    "Message",
    "RandomAgent",
    "Reply",
    "Task",
    "TrivialAgent",
    "Unreachable",
    "make_agent",
    "trained_on",
]
