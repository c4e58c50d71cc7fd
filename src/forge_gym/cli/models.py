"""Options of language models, for the commands that ask one, and the agent that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from typer import BadParameter, Option

from ..agents import CONTROLS, Agent, make_agent, trained_on
from ..core.answer import Thoughts
from .options import read_pairs

NAMES = ", ".join(CONTROLS)
MODELS = (
    "api:MODEL (OpenAI-compatible server), vllm:MODEL, hf:MODEL (folder or hub name), "
    "sb3:FILE (runs the code that is in the file), or module:Class of your own"
)


def _temperature(text: str) -> float | None:
    try:
        return None if text == "server" else float(text)
    except ValueError:
        raise BadParameter("it must be a number or server") from None


Temperature = Annotated[
    Any,
    Option(
        parser=_temperature,
        metavar="NUMBER",
        help="sampling temperature; 0 decodes greedily, `server` leaves it to the server",
    ),
]
TopP = Annotated[float | None, Option("--top-p", help="share of the probability mass that tokens are sampled from")]
MaxNewTokens = Annotated[
    int | None, Option(help="most tokens of a reply; by default 1024, or the limit that hf:MODEL was trained with")
]
BatchSize = Annotated[int, Option(help="number of prompts per batch of hf:MODEL")]
Engine = Annotated[
    list[str] | None,
    Option(metavar="NAME=VALUE", help="argument of vLLM's engine, such as --engine tensor_parallel_size=4"),
]

ThoughtsEnd = Annotated[
    str | None,
    Option(
        "--thoughts",
        metavar="END",
        help="mark that ends the thoughts of the model, </think> by default, such as [/THINK] or </reasoning>. "
        'If the chat template opens the thoughts: \'{"inside": true}\', with "end" and "start" where needed',
    ),
]

MANNER = (
    *("base_url", "api_key_env", "concurrency", "requests_per_minute", "tokens_per_minute"),
    *("timeout", "attempts", "prompt_price", "completion_price", "batch_size"),
)
"""Options that say how a model is asked; a run may continue with others."""
_CONTENT = ("temperature", "top_p", "seed", "system", "shots", "thoughts")
_OPTIONS = {
    "api": (*MANNER[:-1], *_CONTENT, "max_tokens", "max_tokens_field", "extra"),
    "vllm": (*_CONTENT, "max_new_tokens", "engine"),
    "hf": (*_CONTENT, "max_new_tokens", "batch_size"),
}
"""Arguments of each kind of language model that the command line gives, where they were given."""


def options_of(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options that the agent called ``name`` takes."""
    if name.startswith("sb3:"):
        return {"deterministic": values["temperature"] == 0}
    engine = read_pairs("--engine", values.get("engine")) or None
    limit = values["max_new_tokens"] or (trained_on(name) or {}).get("max_new_tokens", 1024)
    values = {**values, "max_tokens": limit, "max_new_tokens": limit, "engine": engine}
    keys = _OPTIONS.get(name.partition(":")[0], ())
    return {key: values[key] for key in keys if values.get(key) is not None}


def agent_of(name: str, values: Mapping[str, Any]) -> Agent:
    """Return the agent called ``name`` with its options."""
    agent: Any = make_agent(name, **options_of(name, values))
    own = ":" in name and name.partition(":")[0] not in (*_OPTIONS, "sb3")
    if own and values.get("thoughts"):
        agent.thoughts = Thoughts.of(values["thoughts"])
    made: Agent = agent
    return made
