"""SkyRL: every problem as the environment class ``forge``, and rows for its data sets.

Importing this module where skyrl-gym is installed registers the class. Rows need no skyrl-gym:
``forge-gym generate --layout skyrl`` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from ..core.checks import check_choice, check_int, check_known, short_repr
from ..core.episode import Episode, Protocol
from ..data.rows import Row

try:
    from skyrl_gym.envs.base_text_env import BaseTextEnv
    from skyrl_gym.envs.registration import register, registry
except ModuleNotFoundError:  # whoever only writes rows
    BaseTextEnv, registry = object, None

NAME = "forge"
PAY = ("change", "kept")
_DEFAULTS: dict[str, Any] = {"keep": "best", "reward": "tiered", "thoughts": "</think>", "pay": "change"}


class ForgeSkyRLEnv(BaseTextEnv):
    """The episode of a row: reply, feedback and revision.

    Parameters
    ----------
    env_config
        ``keep``, ``reward``, ``thoughts`` and ``pay``, as a mapping or a dataclass: what SkyRL has under
        ``environment.skyrl_gym.forge``. The first three are those of `Protocol`.
    extras
        The columns of the row but for its prompt, and ``max_turns``, replies per episode, which SkyRL adds. Options in
        ``extra_info`` come before those of ``env_config``.

    Notes
    -----
    ``pay`` is what a turn is paid. ``change``: the change of the kept reply's reward, since SkyRL adds the turns up.
    ``kept``: the reward of the reply kept so far, for ``generator.step_wise_trajectories`` and custom chat templates,
    with which SkyRL takes the reward of the last turn and ignores all others.

    SkyRL cannot leave a rollout out. Where judging fails, by a fault of ours, the reply changes nothing, so the
    episode ends with what it had earned, 0 at first, and its metric ``judged`` is 0.

    Examples
    --------
    >>> import forge_gym
    >>> spec = forge_gym.problem("TSP", n=5).spec()
    >>> env = ForgeSkyRLEnv({"reward": "linear"}, {"reward_spec": {"ground_truth": spec}, "max_turns": 2})
    >>> output = env.step("no idea")
    >>> output["reward"], output["done"], output["observations"][0]["role"]
    (-1.0, False, 'user')
    >>> output = env.step("<answer>[0, 1, 2, 3, 4]</answer>")
    >>> output["done"], output["observations"], round(output["reward"] - env.get_metrics()["score"], 9)
    (True, [], 1.0)
    """

    def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        columns, config = _mapping("extras", extras), _mapping("env_config", env_config)
        extra = _mapping("extra_info", columns.get("extra_info"))
        check_known("env_config", "option", config, _DEFAULTS)
        options = _DEFAULTS | config | {key: extra[key] for key in _DEFAULTS if key in extra}
        check_choice("pay", options["pay"], PAY)
        self.max_turns = columns.get("max_turns", 1)
        check_int("max_turns", self.max_turns, 1)
        self._pays_change = options["pay"] == "change"
        self._protocol = Protocol(self.max_turns, options["keep"], options["reward"], options["thoughts"])
        self._spec: Any = _mapping("reward_spec", columns.get("reward_spec")).get("ground_truth")
        self.init([])

    def init(self, prompt: list[dict[str, str]]) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """Start the episode anew; return the row's ``prompt`` as it is, and no metadata."""
        self._episode, self.turns = Episode.of_spec(self._spec, self._protocol), 0
        return prompt, {}

    def step(self, action: str) -> dict[str, Any]:
        """Judge the reply ``action``; return SkyRL's ``BaseTextEnvStepOutput`` with the metrics as metadata."""
        episode, before = self._episode, self._episode.total
        feedback = episode.say(action)
        self.turns = episode.turn
        kept = before if episode.fault is not None else episode.total
        return {
            "observations": [] if episode.over else [{"role": "user", "content": feedback}],
            "reward": kept - before * self._pays_change,
            "done": episode.over,
            "metadata": self.get_metrics(),
        }

    def get_metrics(self) -> dict[str, float]:
        """Return ``judged``, ``turns`` and the kept reply's `Episode.numbers`; SkyRL averages what is there."""
        judged = self._episode.fault is None
        numbers = self._episode.numbers() if judged else {}
        return {"judged": float(judged), "turns": float(self.turns), **numbers}


def row(row: Row) -> dict[str, Any]:
    """Return a certified instance as SkyRL reads it; options may be added to ``extra_info``."""
    return {
        "data_source": f"forge_gym/{row.problem.name}",
        "prompt": row.messages,
        "env_class": NAME,
        "reward_spec": {"method": "rule", "ground_truth": row.spec},
        "extra_info": {
            **row.source,
            "problem": row.problem.name,
            "level": row.level,
            "instance_hash": row.hash,
        },
    }


def _mapping(name: str, mapping: Any) -> dict[str, Any]:
    """Return what is set in ``mapping``: columns of files and fields of configurations may be None."""
    mapping = vars(mapping) if is_dataclass(mapping) else mapping or {}
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{name} must be a mapping or a dataclass, got {short_repr(mapping)}")
    return {key: value for key, value in mapping.items() if value is not None}


if registry is not None and NAME not in registry:
    register(NAME, f"{__name__}:ForgeSkyRLEnv")
