"""The server: `TextEnv` behind OpenEnv's HTTP and WebSocket routes.

    python -m forge_gym.adapters.openenv.server --port 8000
    uvicorn forge_gym.adapters.openenv.server:app

A session lives on ``/ws``. The HTTP routes ``/reset`` and ``/step`` of OpenEnv start anew at every request, so no
episode can be played over them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache, partial
from random import randrange
from typing import Annotated, Any, ClassVar
from uuid import uuid4

import typer
from gymnasium.error import ResetNeeded
from openenv.core.env_server import http_server
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import ConcurrencyConfig, EnvironmentMetadata
from starlette.responses import JSONResponse

from ..._version import __version__
from ...core.checks import check_choice, check_int, check_known, check_share, short_repr
from ...core.env import TextEnv
from ...core.problem import Problem
from ...core.registry import from_spec
from ...core.registry import problem as make_problem
from ...core.seeding import SPLITS
from ...data.rows import Row
from ...data.suite import BENCHMARK, locate, read
from ...serving import MAX_IDLE_S, check_size, protect, run
from .client import ForgeAction, ForgeObservation, ForgeState

NAME = "forge_gym"
SESSIONS = 64
MAX_LEVEL = 12
"""Highest level that a client may ask a server for."""
MAX_MESSAGE = 2**25
"""Bytes of a message: room for the longest reply that is looked at, each character escaped."""
LIMITS: dict[str, Any] = {"ws_max_size": MAX_MESSAGE, "ws_per_message_deflate": False}
"""What uvicorn is told; a compressed message may hold a thousand times its size."""
_PROBLEM: dict[str, Any] = {"problem": "TSP", "level": None, "parameters": None}
_PROTOCOL = {"turns": 1, "keep": "best", "thoughts": "</think>"}
_DEFAULTS = {**_PROBLEM, "split": "train", **_PROTOCOL}


@cache
def _benchmark() -> list[Row]:
    return read(locate(BENCHMARK))[1]


class ForgeEnvironment(Environment[ForgeAction, ForgeObservation, ForgeState]):
    """One session: episodes of `TextEnv`, each on an instance of the client's choice.

    Parameters
    ----------
    reward
        Name of a reward scheme that pays a single answer. The server's alone.
    max_level
        Bounds what a reset may ask for, see `forge_gym.serving.check_size`; by default nothing does.
    **defaults
        ``problem``, ``level``, ``parameters``, ``split``, ``turns``, ``keep`` and ``thoughts`` where a reset names
        nothing else; see `forge_gym.problem` and `TextEnv`.

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

    def __init__(self, *, reward: str = "tiered", max_level: int | None = None, **defaults: Any) -> None:
        super().__init__()
        check_known("ForgeEnvironment", "argument", defaults, _DEFAULTS)
        self._reward, self._max_level, self._defaults = reward, max_level, _DEFAULTS | defaults
        self._state = ForgeState()
        self._next = randrange(2**31), 0  # where the stream goes on
        self._env = self._build(_problem(self._defaults), self._defaults)

    def _build(self, problem: Problem[Any, Any], chosen: dict[str, Any]) -> TextEnv:
        options = {name: chosen[name] for name in ("split", *_PROTOCOL)}
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
            graded or not, and so do ``split="forge-bench-v1"`` and ``index``. ``turns``, ``keep`` and ``thoughts`` are
            `TextEnv`'s.
        """
        check_known("reset", "argument", given, [*_DEFAULTS, "index", "spec"])
        if episode_id is not None and not (isinstance(episode_id, str) and len(episode_id) < 256):
            raise ValueError(f"episode_id must be a string of at most 255 characters, got {short_repr(episode_id)}")
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
        self._check_size(given)
        if "spec" in given:
            _alone(given, "spec")
            if not isinstance(given["spec"], str):
                raise ValueError(f"spec must be a string, got {short_repr(given['spec'])}")
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
        seed = check_int("seed", seed, 0)
        index, instance = next(problem.graded_instances(seed, split, start, patience=1))
        return problem, instance, {"seed": seed, "index": index, "split": split}

    def _check_size(self, given: dict[str, Any]) -> None:
        """Raise ``ValueError`` where a reset asks for more than a server solves; what is no spec is refused later."""
        if self._max_level is None:
            return
        try:
            asked = json.loads(given["spec"]) if "spec" in given else given
            parameters = dict(asked.get("parameters") or {})
        except (AttributeError, TypeError, ValueError, RecursionError):
            return
        level = {} if asked.get("level") is None else {"level": asked["level"]}
        check_size(asked.get("problem", self._defaults["problem"]), level | parameters, self._max_level)

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
    more = sorted(set(given) - {*chooses, *_PROTOCOL})
    if more:
        raise ValueError(f"{chooses[0]} chooses the instance alone, got {more} too")


def create_app(
    max_concurrent_envs: int = SESSIONS,
    *,
    allow_host: Iterable[str] = (),
    idle_s: float = MAX_IDLE_S,
    max_level: int = MAX_LEVEL,
    **defaults: Any,
) -> Any:
    """Return the server as an ASGI application.

    Parameters
    ----------
    max_concurrent_envs
        Sessions at a time; one more is told so and closed.
    allow_host
        Hosts under which it may be reached, see `forge_gym.serving.protect`.
    idle_s
        Seconds without a message after which a session is closed.
    max_level
        Of `ForgeEnvironment`.
    **defaults
        Of `ForgeEnvironment`.
    """
    max_concurrent_envs = check_int("max_concurrent_envs", max_concurrent_envs, 1)
    max_level = check_int("max_level", max_level, 0)
    check_share("idle_s", idle_s, 1, 24 * 3600)
    ForgeEnvironment(**defaults)  # refuses what is wrong now, not in the first session
    _benchmark()  # reading it would keep all sessions waiting
    app = http_server.create_app(
        partial(ForgeEnvironment, max_level=max_level, **defaults),
        ForgeAction,
        ForgeObservation,
        env_name=NAME,
        concurrency_config=ConcurrencyConfig(max_concurrent_envs=max_concurrent_envs, session_timeout=idle_s),
        state_cls=ForgeState,
    )
    for wrong in (ValueError, ResetNeeded):
        app.add_exception_handler(wrong, lambda _, error: JSONResponse({"detail": str(error)}, 400))
    protect(app, allow_host, max_body=MAX_MESSAGE, idle_s=idle_s)
    return app


def main(
    host: Annotated[str, typer.Option(help="there is no login: keep to the loopback interface")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 takes a free one")] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="host name under which clients reach it")
    ] = None,
    sessions: Annotated[int, typer.Option(help="clients at a time")] = SESSIONS,
    idle: Annotated[float, typer.Option(help="seconds without a message after which a session is closed")] = MAX_IDLE_S,
    max_level: Annotated[int, typer.Option(help="highest level that a client may ask for")] = MAX_LEVEL,
    problem: str = "TSP",
    level: int | None = None,
    turns: int = 1,
    thoughts: Annotated[str, typer.Option(help="mark that ends the thoughts in replies")] = "</think>",
    reward: str = "tiered",
) -> None:
    """Serve any problem to OpenEnv's clients, until interrupted."""
    served: dict[str, Any] = {
        "problem": problem,
        "level": level,
        "turns": turns,
        "thoughts": thoughts,
        "reward": reward,
    }
    build = partial(create_app, sessions, idle_s=idle, max_level=max_level, **served)
    try:
        run(
            lambda hosts: build(allow_host=hosts),
            *(host, port, allow_host or ()),
            limit_concurrency=500 + sessions,
            **LIMITS,
        )
    except ValueError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None


def __getattr__(name: str) -> Any:
    """Build ``app``, which servers ask for by name, when it is asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return create_app()


if __name__ == "__main__":
    typer.run(main)
