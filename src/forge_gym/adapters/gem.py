"""GEM: every problem as a ``gem.Env``, registered as ``forge:TSP-v0``, ``forge:Knapsack-v0``, ...

Importing this module registers them.

Examples
--------
>>> import gem
>>> import forge_gym.adapters.gem
>>> env = gem.make("forge:TSP-v0", level=2, turns=2)
>>> prompt, info = env.reset(seed=7)
>>> feedback, reward, terminated, truncated, info = env.step("no idea")
>>> reward, terminated, info["feasible"]
(-1.0, False, 0.0)
>>> feedback, reward, terminated, truncated, info = env.step(env.sample_random_action())
>>> terminated, info["feasible"], feedback
(True, 1.0, '<｜TERMINAL_STATE｜>')
"""

from __future__ import annotations

import json
import warnings
from dataclasses import fields
from typing import Any

import numpy as np
from gem.core import Env
from gem.envs.registration import ENV_REGISTRY
from gem.envs.registration import register as register_id
from gem.utils.constants import TERMINAL_STATE
from gymnasium.error import ResetNeeded

from ..core.answer import THOUGHTS, ThoughtsLike
from ..core.checks import check_choice, check_int, check_known, short_repr
from ..core.episode import Episode, Protocol
from ..core.instance import Instance
from ..core.registry import from_spec, problem_class, problems
from ..core.registry import problem as make_problem
from ..core.seeding import SPLITS, instance_generator, stream_of

_OWN = ("seed", "turns", "keep", "reward", "thoughts", "split")
_STREAM = stream_of("actions in GEM", 0, {})
_MAX_SEED = 2**32 - 1
"""The largest seed that GEM can give to NumPy."""


class ForgeGemEnv(Env):
    """Graded instances of one problem, one after another; an `Episode` about each.

    Parameters
    ----------
    problem
        Name of the problem; ``gem.make`` gives it.
    seed
        Of the stream that the first ``reset()`` begins.
    turns, keep, reward, thoughts, split
        See `TextEnv`.
    **parameters
        ``level`` and parameters of the problem; see `forge_gym.problem`.

    Notes
    -----
    A step pays the change of the kept reply's reward. The last observation is GEM's ``TERMINAL_STATE``, and
    ``info["feedback"]`` has the words. ``info`` also has the ``spec`` of the instance and, after a step, the kept
    reply's `Episode.numbers`. Where judging fails, by a fault of ours, the step pays 0 and the episode is
    ``truncated``, as it is for no other reason.
    """

    def __init__(
        self,
        problem: str,
        *,
        seed: int = 0,
        turns: int = 1,
        keep: str = "best",
        reward: str = "tiered",
        thoughts: ThoughtsLike = THOUGHTS,
        split: str = "train",
        **parameters: Any,
    ) -> None:
        super().__init__()
        known = ["level", *_OWN, *(field.name for field in fields(problem_class(problem)))]
        check_known(f"forge:{problem}", "argument", parameters, known)
        seed = check_int("seed", seed, 0, _MAX_SEED)
        check_choice("split", split, SPLITS)
        self.problem = make_problem(problem, **parameters)
        self.protocol, self.seed, self.split = Protocol(turns, keep, reward, thoughts), seed, split
        own = zip(_OWN, (seed, turns, keep, reward, thoughts, split), strict=True)
        self._arguments = {"problem": problem, **dict(own), **parameters}
        # What changes is private: GEM's wrappers copy public attributes when they are built.
        self._next = seed, 0
        self._episode: Episode | None = None
        self._replies: list[str] = []
        self._random = np.random.default_rng()

    def reset(self, seed: int | None = None) -> tuple[str, dict[str, Any]]:
        """Go to the next graded instance, or to the first one of the stream ``seed``; return prompt and info."""
        if seed is not None:
            seed = check_int("seed", seed, 0, _MAX_SEED)
            self._next = seed, 0
        super().reset(seed)  # seeds the global generators, as every environment of GEM does
        stream, start = self._next
        index, instance = next(self.problem.graded_instances(stream, self.split, start))
        episode = self._begin(stream, index, instance)
        return episode.prompt, {"spec": episode.spec}

    def _begin(self, stream: int, index: int, instance: Instance) -> Episode:
        self._episode = Episode(self.problem, instance, self.protocol)
        self._episode.spec = self.problem.spec(stream, index, self.split)
        self._next, self._replies = (stream, index + 1), []
        self._random = instance_generator(_STREAM, stream, index, self.split)
        return self._episode

    def _running(self) -> Episode:
        if self._episode is None:
            raise ResetNeeded("there is no episode yet: call reset first")
        return self._episode

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judge the reply ``action``; after the end of an episode nothing changes."""
        episode = self._running()
        done = episode.over
        feedback = episode.say(action)
        if not done:
            self._replies.append(action)
        failed = episode.fault is not None
        info = {"spec": episode.spec, "feedback": feedback, **({} if failed else episode.numbers())}
        observation = TERMINAL_STATE if episode.over else feedback
        return observation, 0.0 if done else episode.paid, episode.over and not failed, failed, info

    def sample_random_action(self) -> str:
        """Return a reply with a random feasible answer; the draws of an episode depend on its instance alone."""
        episode = self._running()
        solution = episode.problem.random(episode.instance, self._random)
        return episode.problem.format(episode.instance, solution)

    def get_state(self) -> dict[str, Any]:
        """Return the episode so far, as plain data: the ``spec`` of the instance, and the ``replies``."""
        return {"spec": self._running().spec, "replies": list(self._replies)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with the episode of `get_state`, from an environment with the same arguments or this one."""
        try:
            source, replies = json.loads(state["spec"]), list(state["replies"])
            stream, index = source["seed"], source["index"]
            fits = state["spec"] == self.problem.spec(stream, index, self.split)
        except (TypeError, KeyError, ValueError):
            fits = False
        if not fits:
            raise ValueError(
                f"a state must be get_state's, of {self.problem!r} and the split {self.split!r}, "
                f"got {short_repr(state, 300)}"
            )
        known = self._episode is not None and self._episode.spec == state["spec"]
        self._begin(stream, index, self._running().instance if known else from_spec(state["spec"])[1])
        for reply in replies:
            self.step(reply)

    def spawn(self, same_state: bool = False, **kwargs: Any) -> ForgeGemEnv:
        """Return another environment with the same arguments but for ``kwargs``, in the same state if asked."""
        child = type(self)(**self._arguments | kwargs)
        if same_state:
            child._episode = self._episode  # the instance and its reference are the same
            child.set_state(self.get_state())
        elif child.seed == self.seed:
            warnings.warn("the seed is the same, and so will be the instances: give another", stacklevel=2)
        return child


def register() -> None:
    """Register the environments of all problems; what is registered already stays as it is."""
    for name in problems():
        identifier = f"forge:{name}-v{problem_class(name).version}"
        if identifier not in ENV_REGISTRY:
            register_id(identifier, f"{__name__}:ForgeGemEnv", problem=name)


register()
