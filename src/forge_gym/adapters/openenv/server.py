"""The server: `TextEnv` behind OpenEnv's HTTP and WebSocket routes.

    python -m forge_gym.adapters.openenv.server --port 8000
    uvicorn forge_gym.adapters.openenv.server:app

A session lives on ``/ws``. The HTTP routes ``/reset`` and ``/step`` of OpenEnv start anew at every request, so no
episode can be played over them.
"""

from __future__ import annotations

import json
from functools import cache, partial
from random import randrange
from typing import Annotated, Any, ClassVar
from uuid import uuid4

import typer
from openenv.core.env_server import http_server
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import EnvironmentMetadata

from ..._version import __version__
from ...core.checks import check_choice, check_int, check_known, short_repr
from ...core.env import TextEnv
from ...core.problem import Problem
from ...core.registry import from_spec
from ...core.registry import problem as make_problem
from ...core.seeding import SPLITS
from ...data.rows import Row
from ...data.suite import BENCHMARK, locate, read
from .client import ForgeAction, ForgeObservation, ForgeState

NAME = "forge_gym"
SESSIONS = 64
MAX_MESSAGE = 2**25
"""Bytes of a message: room for the longest reply that is looked at, each character escaped."""
_PROBLEM: dict[str, Any] = {"problem": "TSP", "level": None, "parameters": None}
_DEFAULTS = {**_PROBLEM, "split": "train", "turns": 1, "keep": "best"}


@cache
def _benchmark() -> list[Row]:
    return read(locate(BENCHMARK))[1]


class ForgeEnvironment(Environment[ForgeAction, ForgeObservation, ForgeState]):
    """One session: episodes of `TextEnv`, each on an instance of the client's choice.

    Parameters
    ----------
    reward
        Name of a reward scheme that pays a single answer. The server's alone.
    **defaults
        ``problem``, ``level``, ``parameters``, ``split``, ``turns`` and ``keep`` where a reset names nothing else; see
        `forge_gym.problem` and `TextEnv`.

    Examples
    --------
    >>> environment = ForgeEnvironment(problem="Knapsack", level=1)
    >>> environment.reset(seed=3).reward is None, environment.step(ForgeAction(text="no idea")).reward
    (True, -1.0)
    >>> environment.reset(problem="TPS")
    Traceback (most recent call last):
    ValueError: problem 'TPS' is not registered: did you mean 'TSP'?
    """

    SUPPORTS_CONCURRENT_SESSIONS: ClassVar[bool] = True

    def __init__(self, *, reward: str = "tiered", **defaults: Any) -> None:
        super().__init__()
        check_known("ForgeEnvironment", "argument", defaults, _DEFAULTS)
        self._reward, self._defaults = reward, _DEFAULTS | defaults
        self._state = ForgeState()
        self._next = randrange(2**31), 0  # where the stream goes on
        self._env = self._build(_problem(self._defaults), self._defaults)

    def _build(self, problem: Problem[Any, Any], chosen: dict[str, Any]) -> TextEnv:
        options = {name: chosen[name] for name in ("turns", "keep", "split")}
        return TextEnv(problem, reward=self._reward, **options)

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
            ``problem``, ``level``, ``parameters`` and ``split`` choose the stream. ``spec`` alone chooses an instance,
            graded or not, and so do ``split="forge-bench-v1"`` and ``index``. ``turns`` and ``keep`` are `TextEnv`'s.
        """
        check_known("reset", "argument", given, [*_DEFAULTS, "index", "spec"])
        given = {name: value for name, value in {**given, "seed": seed}.items() if value is not None}
        problem, instance, source = self._choose(given)
        env = self._build(problem, self._defaults | given | source)
        options = {"index": source["index"], "instance": instance}
        prompt, info = env.reset(seed=source["seed"], options=options)
        self._env = env
        self._next = source["seed"], source["index"] + 1
        self._state = ForgeState(
            episode_id=episode_id or str(uuid4()), spec=problem.spec(**source), turns=env.protocol.turns
        )
        return ForgeObservation(text=prompt, info=info)

    def _choose(self, given: dict[str, Any]) -> tuple[Problem[Any, Any], Any, dict[str, Any]]:
        """Return problem and instance that a reset asks for, and where that comes from: seed, index and split."""
        chosen = self._defaults | given
        split = chosen["split"]
        check_choice("split", split, [*SPLITS, BENCHMARK])
        if "spec" in given:
            _alone(given, "spec")
            problem, instance = from_spec(given["spec"])
            source = json.loads(given["spec"])
            return problem, instance, {name: source[name] for name in ("seed", "index", "split")}
        if split == BENCHMARK:
            _alone(given, "split", "index")
            check_int("index", given.get("index"), 0, len(_benchmark()) - 1)
            row = _benchmark()[given["index"]]
            return row.problem, row.use(), dict(row.source)
        if "index" in given:
            raise ValueError(f"index must come with split={BENCHMARK!r}, got {split!r}: did you mean spec?")
        # Level and parameters belong to a problem: where one of the three is named, no default stands for another.
        named = set(_PROBLEM) & set(given)
        problem = _problem({"problem": chosen["problem"], **given} if named else self._defaults)
        seed, start = (given["seed"], 0) if "seed" in given else self._next
        check_int("seed", seed, 0)
        index, instance = next(problem.graded_instances(seed, split, start))
        return problem, instance, {"seed": seed, "index": index, "split": split}

    def step(self, action: ForgeAction, timeout_s: float | None = None, **kwargs: Any) -> ForgeObservation:
        """Judge a reply; see `TextEnv.step` for what is paid and raised."""
        feedback, reward, terminated, _, info = self._env.step(action.text)
        self._state.step_count += 1
        return ForgeObservation(text=feedback, reward=reward, done=terminated, info=info)

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
        return len(_benchmark())

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        """Return one task, without its solution; raise ``IndexError`` where there is none."""
        if not 0 <= index < self.num_tasks(split):
            raise IndexError(f"index must be from 0 to {self.num_tasks(split) - 1}, got {index}")
        row = _benchmark()[index]
        about = {"id": row.id, "problem": row.problem.name, "level": row.level, "prompt": row.prompt}
        return {"index": index, **about}

    def get_task_range(self, split: str, start: int | None = None, stop: int | None = None) -> list[dict[str, Any]]:
        """Return tasks ``start`` to ``stop``, as a slice."""
        return [self.get_task(split, index) for index in range(self.num_tasks(split))[start:stop]]

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        """Return all tasks."""
        return self.get_task_range(split)


def _problem(chosen: dict[str, Any]) -> Problem[Any, Any]:
    parameters = chosen.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError(f"parameters must be an object of names and values, got {short_repr(parameters)}")
    return make_problem(chosen["problem"], **{"level": chosen.get("level"), **parameters})


def _alone(given: dict[str, Any], *chooses: str) -> None:
    more = sorted(set(given) - {*chooses, "turns", "keep"})
    if more:
        raise ValueError(f"{chooses[0]} chooses the instance alone, got {more} too")


def create_app(max_concurrent_envs: int = SESSIONS, **defaults: Any) -> Any:
    """Return the server as an ASGI application.

    Parameters
    ----------
    max_concurrent_envs
        Sessions at a time; one more is told so and closed.
    **defaults
        Of `ForgeEnvironment`.
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


def main(
    host: Annotated[str, typer.Option(help="there is no login: keep to the loopback interface")] = "127.0.0.1",
    port: int = 8000,
    sessions: Annotated[int, typer.Option(help="clients at a time")] = SESSIONS,
    problem: str = "TSP",
    level: int | None = None,
    turns: int = 1,
    reward: str = "tiered",
) -> None:
    """Serve any problem to OpenEnv's clients, until interrupted."""
    import uvicorn

    try:
        served = create_app(sessions, problem=problem, level=level, turns=turns, reward=reward)
    except ValueError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    uvicorn.run(served, host=host, port=port, ws_max_size=MAX_MESSAGE)


def __getattr__(name: str) -> Any:
    """Build ``app``, which servers ask for by name, when it is asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return create_app()


if __name__ == "__main__":
    typer.run(main)
