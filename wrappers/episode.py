"""What a wrapper needs to know of the text environment inside it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ..core.env import TextEnv
from ..core.mixed import MixedEnv
from ..core.seeding import generator, stream_of


def text_env(env: gym.Env[Any, Any]) -> TextEnv:
    """Return the text environment of one problem inside ``env``, or raise ``ValueError``."""
    inner = env.unwrapped
    if not isinstance(inner, TextEnv) or isinstance(inner, MixedEnv):
        rule = "env must hold a text environment of one problem, such as gym.make('Forge/TSP-v0')"
        raise ValueError(f"{rule}, got {type(inner).__name__}")
    return inner


def episode_generator(owner: str, info: dict[str, Any]) -> np.random.Generator:
    """Return the random numbers of the wrapper ``owner`` for the episode whose reset gave ``info``.

    They depend on seed and index alone, so that any process that asks for an episode gets the same bytes.
    """
    return generator(stream_of(f"wrapper {owner}", 0, {}), info["seed"], info["index"])
