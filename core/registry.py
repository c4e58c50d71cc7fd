"""The table of problems: names to classes, Gymnasium ids, and errors that suggest the nearest name."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from .checks import check_int, check_known, nearest, shorten

if TYPE_CHECKING:
    from .env import TextEnv
    from .problem import Instance, Problem
    from .vector import TextVectorEnv

_ENTRY_POINTS: dict[str, str] = {}
_DEFINITIONS: dict[str, str] = {}


def register_problem(name: str, entry_point: str, version: int = 0, definition: str | None = None) -> None:
    """Add a problem and its environment ``Forge/<name>-v<version>``; registering the same again changes nothing.

    Parameters
    ----------
    name
        The problem's name, that of its class.
    entry_point
        ``"module:class"`` of a `Problem`; imported when first used.
    version
        The class's ``version``.
    definition
        ``"module:function"`` of the problem's second verifier, which `forge_gym.evaluation.gate` holds the first
        against; imported by the gate alone.

    Raises
    ------
    ValueError
        If the name is taken by another entry point.
    """
    taken = _ENTRY_POINTS.setdefault(name, entry_point)
    if taken != entry_point:
        raise ValueError(f"name must be new, got {name!r}, which stands for {taken}")
    if definition is not None:
        _DEFINITIONS[name] = definition
    identifier = f"Forge/{name}-v{version}"
    if identifier not in gym.registry:
        gym.register(
            identifier,
            entry_point="forge_gym.core.registry:make",
            vector_entry_point="forge_gym.core.registry:make_vec",
            kwargs={"problem": name},
        )


def problems() -> tuple[str, ...]:
    """Return the names of all registered problems, sorted.

    Examples
    --------
    >>> "TSP" in problems()
    True
    """
    return tuple(sorted(_ENTRY_POINTS))


def definition_entry_point(name: str) -> str | None:
    """Return where the definition of problem ``name`` is, if it was registered with one."""
    return _DEFINITIONS.get(name)


def problem_class(name: str) -> type[Problem[Any, Any]]:
    """Return the class registered under ``name``.

    Raises
    ------
    ValueError
        If there is none; the message suggests the nearest name.
    """
    if not isinstance(name, str) or name not in _ENTRY_POINTS:
        raise ValueError(f"problem {shorten(name)} is not registered: {nearest(str(name), _ENTRY_POINTS)}")
    module, _, attribute = _ENTRY_POINTS[name].partition(":")
    found: type[Problem[Any, Any]] = getattr(import_module(module), attribute)
    return found


def problem(name: str, *, level: int | None = None, **parameters: Any) -> Problem[Any, Any]:
    """Return the problem ``name`` with the given parameters.

    Parameters
    ----------
    name
        One of `problems`.
    level
        Difficulty 0, 1, 2, ...; sets the size, so give either ``level`` or sizes.
    **parameters
        Fields of the problem's class, such as ``n``, ``distribution`` or ``answer_format``.

    Raises
    ------
    ValueError
        Naming the parameter, the rule, the value and the nearest valid one.

    Examples
    --------
    >>> problem("TSP", level=3).n
    9
    >>> problem("TPS")
    Traceback (most recent call last):
    ValueError: problem 'TPS' is not registered: did you mean 'TSP'?
    >>> problem("TSP", m=9)
    Traceback (most recent call last):
    ValueError: TSP has no parameter 'm': valid: 'answer_format', 'distribution', 'grid', 'n', 'spacing', 'style'
    """
    cls = problem_class(name)
    check_known(name, "parameter", parameters, [field.name for field in fields(cls)])
    if level is None:
        return cls(**parameters)
    check_int("level", level, 0)
    leveled = cls(**parameters).at_level(level)
    for key, value in parameters.items():
        if getattr(leveled, key) != value:
            raise ValueError(
                f"level sets {key}, so give one of them, got level={level} and {key}={shorten(value)}: "
                f"level {level} means {key}={getattr(leveled, key)!r}"
            )
    return leveled


@lru_cache(maxsize=8192)
def from_spec(spec: str) -> tuple[Problem[Any, Any], Instance]:
    """Rebuild the problem and the instance that a spec string names; see `Problem.spec`.

    The last 8,192 are remembered, so all rollouts of a group share one instance and its reference.

    Raises
    ------
    ValueError
        If the text is not a spec, or was written by another version of the problem.

    Examples
    --------
    >>> tsp = problem("TSP", n=6)
    >>> rebuilt, instance = from_spec(tsp.spec(seed=7, index=2))
    >>> rebuilt == tsp, instance == tsp.instance(seed=7, index=2)
    (True, True)
    """
    keys = {"problem", "version", "parameters", "split", "seed", "index"}
    try:
        data = json.loads(spec)
    except (ValueError, TypeError, RecursionError):
        data = None
    if not isinstance(data, dict) or set(data) != keys or not isinstance(data["parameters"], dict):
        raise ValueError(f"a spec must be a JSON object with the keys {sorted(keys)}, got {shorten(spec)}")
    found = problem(data["problem"], **data["parameters"])
    if data["version"] != found.version:
        raise ValueError(
            f"a spec of {found.name} must be of version {found.version}, got {shorten(data['version'])}: "
            "its instances, prompts or rewards were others"
        )
    return found, found.instance(data["seed"], data["index"], data["split"])


def make(problem: str, *, level: int | None = None, **kwargs: Any) -> TextEnv:
    """Entry point of every registered environment: `TextEnv` arguments and problem parameters together."""
    from .env import TextEnv, split_arguments

    arguments, parameters = split_arguments(problem_class(problem), kwargs)
    return TextEnv(_problem(problem, level=level, **parameters), **arguments)


def make_vec(problem: str, num_envs: int = 1, *, level: int | None = None, **kwargs: Any) -> TextVectorEnv:
    """Entry point of every registered environment for ``gym.make_vec``: `make` with those of `TextVectorEnv`."""
    from .env import split_arguments
    from .vector import TextVectorEnv

    more = "autoreset_mode", "max_episode_steps"
    arguments, parameters = split_arguments(problem_class(problem), kwargs, *more)
    return TextVectorEnv(_problem(problem, level=level, **parameters), num_envs, **arguments)


_problem = problem
