"""SkyRL: every problem as the environment class ``forge``, and rows for its data sets.

Importing this module where skyrl-gym is installed registers the class. Rows need no skyrl-gym.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from ..core.checks import check_choice, check_int, check_known, short_repr
from ..core.episode import Episode, Protocol
from ..data.rows import Sample

try:
    from skyrl_gym.envs.base_text_env import BaseTextEnv
    from skyrl_gym.envs.registration import register, registry
except ModuleNotFoundError:  # whoever only writes rows
    BaseTextEnv, registry = object, None

NAME = "forge"
PAY = ("change", "kept")
_DEFAULTS = {"keep": "best", "reward": "tiered", "pay": "change"}


class ForgeSkyRLEnv(BaseTextEnv):
    """The episode of a row: reply, feedback and revision.

    Parameters
    ----------
    env_config
        Options as a mapping or a dataclass: what SkyRL has under ``environment.skyrl_gym.forge``.
    extras
        The columns of the row but for its prompt, and ``max_turns``, replies per episode: SkyRL puts its
        ``generator.max_turns`` there. Options in ``extra_info`` come before those of ``env_config``.

    Raises
    ------
    ValueError
        If an option is wrong, or ``reward_spec.ground_truth`` is no spec.

    Notes
    -----
    Options are ``keep``, which reply counts, the ``best`` so far or the ``last``; ``reward``, the name of a scheme that
    pays a single answer; and ``pay``, what a turn is paid:

    - ``change`` of the kept reply's reward, so that the sum over the turns is the kept reply's own reward, wherever the
      trainer cuts the episode off. SkyRL adds the turns up.
    - ``kept``: the reward of the reply kept so far. For ``generator.step_wise_trajectories`` and custom chat templates,
      with which SkyRL takes the reward of the last turn and ignores all others. Not with
      ``generator.merge_stepwise_output``, which adds turns up again.

    SkyRL cannot leave a rollout out. Where judging fails, by a fault of ours, the reply changes nothing, so the
    episode ends with what it had earned, 0 at first, and its metric ``judged`` is 0.

    Examples
    --------
    >>> import forge_gym
    >>> spec = forge_gym.problem("TSP", n=5).spec()
    >>> row = {"reward_spec": {"method": "rule", "ground_truth": spec}, "max_turns": 2}
    >>> env = ForgeSkyRLEnv({"reward": "linear"}, row)
    >>> found = env.step("no idea")
    >>> found["reward"], found["done"], found["observations"][0]["role"]
    (-1.0, False, 'user')
    >>> found = env.step("<answer>[0, 1, 2, 3, 4]</answer>")
    >>> found["done"], found["observations"], found["reward"] - 1 == env.get_metrics()["score"]
    (True, [], True)
    """

    def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        columns = _mapping("extras", extras)
        spec = _mapping("reward_spec", columns.get("reward_spec")).get("ground_truth")
        if not isinstance(spec, str):
            raise ValueError(f"reward_spec.ground_truth must be the spec of a row, got {short_repr(spec)}")
        self._spec = spec
        self.max_turns = columns.get("max_turns", 1)
        check_int("max_turns", self.max_turns, 1)
        extra = _mapping("extra_info", columns.get("extra_info"))
        of_row = {key: extra[key] for key in _DEFAULTS if key in extra}
        self._options = _checked("env_config", _mapping("env_config", env_config) | of_row)
        self._protocol = Protocol(self.max_turns, self._options["keep"], self._options["reward"])
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
            "reward": kept - (before if self._options["pay"] == "change" else 0.0),
            "done": episode.over,
            "metadata": self.get_metrics(),
        }

    def get_metrics(self) -> dict[str, float]:
        """Return ``judged``, ``turns`` and the kept reply's `Episode.numbers`; SkyRL averages what is there."""
        judged = self._episode.fault is None
        numbers = self._episode.numbers() if judged else {}
        return {"judged": float(judged), "turns": float(self.turns), **numbers}


def row(sample: Sample, index: int, **options: str) -> dict[str, Any]:
    """Return row number ``index`` of a data set: a graded instance of `forge_gym.data.rows.samples`.

    The ``options`` are ``keep``, ``reward`` and ``pay``, see `ForgeSkyRLEnv`; what is not given is left to the
    configuration.

    Raises
    ------
    ValueError
        If an option is wrong.

    Examples
    --------
    >>> import forge_gym
    >>> from forge_gym.data.rows import samples
    >>> found = row(next(samples(forge_gym.problem("TSP"), levels=[1])), 0, keep="last")
    >>> found["env_class"], found["reward_spec"]["ground_truth"][:18], found["extra_info"]["keep"]
    ('forge', '{"problem": "TSP",', 'last')
    >>> row(next(samples(forge_gym.problem("TSP"), levels=[1])), 0, keeps="last")
    Traceback (most recent call last):
    ValueError: row has no option 'keeps': did you mean 'keep'?
    """
    _checked("row", options)
    return {
        "data_source": f"forge_gym/{sample.problem.name}",
        "prompt": sample.messages,
        "env_class": NAME,
        "reward_spec": {"method": "rule", "ground_truth": sample.spec},
        "extra_info": {
            "split": sample.split,
            "index": index,
            "problem": sample.problem.name,
            "level": sample.level,
            "instance_hash": sample.digest,
            **options,
        },
    }


def _mapping(name: str, mapping: Any) -> dict[str, Any]:
    """Return what is set in ``mapping``: columns of files and fields of configurations may be None."""
    if mapping is not None and is_dataclass(mapping):
        mapping = vars(mapping)
    if mapping is not None and not isinstance(mapping, Mapping):
        raise ValueError(f"{name} must be a mapping or a dataclass, got {short_repr(mapping)}")
    return {key: value for key, value in (mapping or {}).items() if value is not None}


def _checked(owner: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options, where ``overrides`` has some."""
    check_known(owner, "option", overrides, _DEFAULTS)
    options = _DEFAULTS | dict(overrides)
    check_choice("pay", options["pay"], PAY)
    Protocol(keep=options["keep"], reward=options["reward"])  # refuses what is wrong
    return options


if registry is not None and NAME not in registry:
    register(NAME, f"{__name__}:ForgeSkyRLEnv")
