"""The server: `TextEnv` behind OpenEnv's HTTP and WebSocket routes.

    python -m forge_gym.adapters.openenv.server --port 8000
    uvicorn forge_gym.adapters.openenv.server:app

A session lives on ``/ws``. The HTTP routes ``/reset`` and ``/step`` of OpenEnv start anew at every request, so no
episode can be played over them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from functools import cache, partial
from random import randrange
from typing import Any, ClassVar
from uuid import uuid4

from openenv.core.env_server import http_server
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import EnvironmentMetadata

from ..._version import __version__
from ...core.checks import check_choice, check_int, check_known, short_repr
from ...core.env import TextEnv
from ...core.problem import Problem
from ...core.registry import from_spec, problem_class
from ...core.registry import problem as find_problem
from ...core.seeding import SPLITS
from ...data.rows import Row
from ...data.suite import BENCHMARK, locate, read
from .models import ForgeAction, ForgeObservation, ForgeState

NAME = "forge_gym"
SESSIONS = 64
MAX_MESSAGE = 2**25
"""Bytes of a message: room for the longest reply that is looked at, each character escaped."""
_PLACES = ("problem", "level", "parameters", "split", "index")
_ARGUMENTS = (*_PLACES, "spec", "turns", "keep")


@cache
def _rows() -> list[Row]:
    return read(locate(BENCHMARK))[1]


def _problem(name: str, level: int | None, parameters: dict[str, Any] | None) -> Problem[Any, Any]:
    values = {} if parameters is None else parameters
    if not isinstance(values, dict):
        raise ValueError(f"parameters must be an object of names and values, got {short_repr(values)}")
    check_known(name, "parameter", values, [field.name for field in fields(problem_class(name))])
    return find_problem(name, level=level, **values)


class ForgeEnvironment(Environment[ForgeAction, ForgeObservation, ForgeState]):
    """One session: episodes of `TextEnv`, each on an instance of the client's choice.

    Parameters
    ----------
    problem, level, parameters
        What is played where a reset names nothing else; see `forge_gym.problem`.
    turns, keep, split
        Likewise; see `TextEnv`.
    reward
        Name of a reward scheme that pays a single answer. The server's alone.

    Examples
    --------
    >>> environment = ForgeEnvironment("Knapsack", level=1)
    >>> environment.reset(seed=3).reward is None, environment.step(ForgeAction(text="no idea")).reward
    (True, -1.0)
    >>> environment.reset(problem="TPS")
    Traceback (most recent call last):
    ValueError: problem 'TPS' is not registered: did you mean 'TSP'?
    """

    SUPPORTS_CONCURRENT_SESSIONS: ClassVar[bool] = True

    def __init__(
        self,
        problem: str = "TSP",
        *,
        level: int | None = None,
        parameters: dict[str, Any] | None = None,
        turns: int = 1,
        keep: str = "best",
        reward: str = "tiered",
        split: str = "train",
    ) -> None:
        super().__init__()
        self._defaults = dict[str, Any](
            problem=problem, level=level, parameters=parameters, split=split, turns=turns, keep=keep
        )
        self._reward = reward
        self._state = ForgeState()
        self._next = randrange(2**31), 0  # where the stream goes on
        self._env = self._build(_problem(problem, level, parameters), split, turns, keep)

    def _build(self, problem: Problem[Any, Any], split: str, turns: int, keep: str) -> TextEnv:
        return TextEnv(problem, reward=self._reward, turns=turns, keep=keep, split=split)

    def reset(self, seed: int | None = None, episode_id: str | None = None, **given: Any) -> ForgeObservation:
        """Start an episode and return its prompt.

        Parameters
        ----------
        seed
            Of the stream, whose first graded instance is played; without one the session goes on to the next graded
            one of the stream that it is in.
        episode_id
            Comes back in the state; drawn where none is given.
        **given
            ``problem``, ``level``, ``parameters``, ``split`` and ``index`` choose the instance, or ``spec`` alone
            does; with ``split="forge-bench-v1"`` ``index`` alone does. What ``index`` or ``spec`` names is played as it
            is, graded or not. ``turns`` and ``keep`` are `TextEnv`'s.

        Raises
        ------
        ValueError
            Naming the argument, the rule, the value and the nearest valid one.
        """
        check_known("reset", "argument", given, _ARGUMENTS)
        given = {name: value for name, value in given.items() if value is not None}
        chosen = self._defaults | given
        index: Any = given.get("index")
        split = chosen["split"]
        check_choice("split", split, [*SPLITS, BENCHMARK])
        options: dict[str, Any] = {}
        if seed is not None:
            check_int("seed", seed, 0)
        if "spec" in given:
            self._alone("spec", seed, given, _PLACES)
            problem, options["instance"] = from_spec(given["spec"])
            source = json.loads(given["spec"])
        elif split == BENCHMARK:
            self._alone(f"split={BENCHMARK!r}", seed, given, ("problem", "level", "parameters"))
            check_int("index", index, 0, len(_rows()) - 1)
            row = _rows()[index]
            problem, options["instance"], source = row.problem, row.use(), row.source
        else:
            # Level and parameters belong to a problem: where one of the three is named, no default stands for another.
            named = given if {"problem", "level", "parameters"} & set(given) else self._defaults
            problem = _problem(chosen["problem"], named.get("level"), named.get("parameters"))
            stream, start = self._next if seed is None else (seed, 0)
            if index is None:
                index, options["instance"] = next(problem.graded_instances(stream, split, start))
            check_int("index", index, 0)
            source = {"seed": stream, "index": index, "split": split}
        options["index"] = source["index"]
        env = self._build(problem, source["split"], chosen["turns"], chosen["keep"])
        prompt, info = env.reset(seed=source["seed"], options=options)
        self._env = env
        self._next = source["seed"], source["index"] + 1
        self._state = ForgeState(
            episode_id=episode_id or str(uuid4()),
            spec=problem.spec(source["seed"], source["index"], source["split"]),
            turns=env.protocol.turns,
        )
        return ForgeObservation(text=prompt, info=info)

    @staticmethod
    def _alone(argument: str, seed: int | None, arguments: dict[str, Any], others: tuple[str, ...]) -> None:
        more = [name for name in others if name in arguments] + ["seed"] * (seed is not None)
        if more:
            raise ValueError(f"{argument} chooses the instance alone, got {more} too")

    def step(self, action: ForgeAction, timeout_s: float | None = None, **kwargs: Any) -> ForgeObservation:
        """Judge a reply; see `TextEnv.step` for what is paid and raised."""
        feedback, reward, terminated, truncated, info = self._env.step(action.text)
        self._state.step_count += 1
        return ForgeObservation(text=feedback, reward=reward, done=terminated or truncated, info=info)

    @property
    def state(self) -> ForgeState:
        """Where the session is."""
        return self._state

    def get_metadata(self) -> EnvironmentMetadata:
        """Describe the environment."""
        about = "NP-hard optimisation problems in text, scored against certified optima"
        return EnvironmentMetadata(name=NAME, description=about, version=__version__)

    # ---------------------------------------------------------------- Task API: the benchmark

    def list_splits(self) -> list[dict[str, str]]:
        """Return the one finite split; streams have no end."""
        return [{"name": BENCHMARK, "type": "test"}]

    def num_tasks(self, split: str) -> int:
        """Return the number of tasks."""
        check_choice("split", split, [BENCHMARK])
        return len(_rows())

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        """Return one task, without its solution; raise ``IndexError`` where there is none."""
        if not 0 <= index < self.num_tasks(split):
            raise IndexError(f"index must be from 0 to {self.num_tasks(split) - 1}, got {index}")
        row = _rows()[index]
        return {
            "id": row.id,
            "index": index,
            "problem": row.problem.name,
            "level": row.level,
            "prompt": row.problem.prompt(row.instance),
        }

    def get_task_range(
        self, split: str, start: int | None = None, stop: int | None = None
    ) -> list[dict[str, Any]]:
        """Return tasks ``start`` to ``stop``, as a slice."""
        return [self.get_task(split, index) for index in range(self.num_tasks(split))[start:stop]]

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        """Return all tasks."""
        return self.get_task_range(split)


def create_app(max_concurrent_envs: int = SESSIONS, **defaults: Any) -> Any:
    """Return the server as an ASGI application.

    Parameters
    ----------
    max_concurrent_envs
        Sessions at a time; one more is told so and closed.
    **defaults
        Of `ForgeEnvironment`.

    Raises
    ------
    ValueError
        Naming the parameter, the rule, the value and the nearest valid one.
    """
    check_int("max_concurrent_envs", max_concurrent_envs, 1)
    ForgeEnvironment(**defaults)  # refuses what is wrong now, not in the first session
    return http_server.create_app(
        partial(ForgeEnvironment, **defaults),
        ForgeAction,
        ForgeObservation,
        env_name=NAME,
        max_concurrent_envs=max_concurrent_envs,
        state_cls=ForgeState,
    )


def main() -> None:
    """Serve until interrupted; end with status 2 and one line where an argument is wrong."""
    import uvicorn

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="there is no login: keep to the loopback interface"
    )
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="clients at a time")
    parser.add_argument("--problem", default="TSP")
    parser.add_argument("--level", type=int)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--reward", default="tiered")
    args = parser.parse_args()
    played = {name: getattr(args, name) for name in ("problem", "level", "turns", "reward")}
    try:
        served = create_app(args.sessions, **played)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    uvicorn.run(served, host=args.host, port=args.port, ws_max_size=MAX_MESSAGE)


def __getattr__(name: str) -> Any:
    """Build ``app``, which servers ask for by name, when it is asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return create_app()


if __name__ == "__main__":
    main()
