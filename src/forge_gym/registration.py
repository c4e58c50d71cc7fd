"""Problems and their environments in Gymnasium's registry."""

from __future__ import annotations

import inspect
from dataclasses import fields
from importlib import import_module
from typing import Any

import gymnasium as gym

from .core.checks import check_known, short_repr, told_with_place
from .core.env import TextEnv
from .core.mixed import MixedEnv
from .core.mixture import Mixture
from .core.problem import PRESENTATION, Problem
from .core.registry import add_problem, problem_class, problems
from .core.registry import problem as find_problem

MIXED = "Mixed"
"""What stands in an id for several problems: ``Forge/Mixed-v0``."""
_DEFINITIONS: dict[str, str] = {}
_ARGUMENTS = tuple(inspect.signature(TextEnv).parameters)[1:]


def register_problem(entry_point: str, definition: str | None = None, *, version: int | None = None) -> None:
    """Add a problem and its environment ``Forge/<name>-v<version>``; registering the same again changes nothing.

    Name and version are those of the class.

    Parameters
    ----------
    entry_point
        ``"module:class"`` of a `forge_gym.core.problem.Problem`.
    definition
        ``"module:function"`` of the problem's second verifier, which `forge_gym.verification.gate` holds the first
        against; imported by the gate alone.
    version
        The class's version, so that the class need not be imported now. It is checked when the class is.

    Raises
    ------
    ValueError
        If the name stands for another problem, or the entry point leads to none.
    """
    if entry_point.endswith(f":{MIXED}"):
        raise ValueError(f"the name of a problem must be new, got {MIXED!r}, which stands for several")
    name, version = add_problem(entry_point, version)
    if definition is not None:
        _DEFINITIONS[name] = definition
    _add_id(name, version)


def _add_id(name: str, version: int) -> None:
    identifier = f"Forge/{name}-v{version}"
    if identifier not in gym.registry:
        gym.register(
            identifier,
            entry_point=f"{__name__}:make",
            vector_entry_point=f"{__name__}:make_vec",
            kwargs={"problem": name},
        )


def problem_name(text: str) -> str:
    """Return the name of the problem that ``text`` means; one of the user's own is registered.

    Parameters
    ----------
    text
        A name, an environment's id, or ``"module:Class"``.

    Raises
    ------
    ValueError
        If a module or class is missing, the class is no problem, or its name stands for another problem.

    Examples
    --------
    >>> problem_name("TSP"), problem_name("Forge/TSP-v0"), problem_name("forge_gym.envs.tsp:TSP")
    ('TSP', 'TSP', 'TSP')
    """
    if "/" in text:
        return text.removeprefix("forge_gym:").removeprefix("Forge/").rpartition("-v")[0]
    if ":" not in text:
        return text
    module, _, name = text.partition(":")
    cls: Any = None
    try:
        cls = getattr(import_module(module), name)
        if not (isinstance(cls, type) and issubclass(cls, Problem)):
            raise TypeError("it is no subclass of Problem")
        if cls.name not in problems() or problem_class(cls.name) is not cls:
            register_problem(text)
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        detail = told_with_place(error, cls)
        raise ValueError(f"a problem must be a name, an id or module:Class, got {text!r}: {detail}") from None
    return cls.name


def stated_name(text: object) -> str:
    """Return the name of the problem that a file states, as `forge_gym.data.rows.found_by` wrote it.

    Files come from anybody, so nothing is imported for them: one of the user's own must be registered.

    Examples
    --------
    >>> stated_name("TSP")
    'TSP'
    >>> stated_name("antigravity:Thing")
    Traceback (most recent call last):
    ValueError: problem 'antigravity:Thing' is code that a file names and nobody else: --own antigravity:Thing runs it
    """
    if not isinstance(text, str):
        raise ValueError(f"problem must be a name, got {short_repr(text)}")
    _, colon, name = text.partition(":")
    if not colon:
        return text
    cls = problem_class(name) if name in problems() else None
    if cls is None or f"{cls.__module__}:{cls.__name__}" != text:
        place = short_repr(text)
        raise ValueError(f"problem {place} is code that a file names and nobody else: --own {place[1:-1]} runs it")
    return name


def definition_entry_point(name: str) -> str | None:
    """Return where the definition of problem ``name`` is, if it was registered with one."""
    return _DEFINITIONS.get(name)


def make(problem: str, **kwargs: Any) -> TextEnv:
    """Entry point of every registered environment: parameters of the problem and arguments of `TextEnv` together.

    ``Forge/Mixed-v0`` takes the arguments of `Mixture.of` in place of a problem's level and sizes.
    """
    posed, arguments = _posed(problem, kwargs)
    return MixedEnv(posed, **arguments) if isinstance(posed, Mixture) else TextEnv(posed, **arguments)


def make_vec(problem: str, num_envs: int = 1, **kwargs: Any) -> Any:
    """Entry point of every registered environment for ``gym.make_vec``: `make` with those of `TextVectorEnv`."""
    from .wrappers.vector import TextVectorEnv

    posed, arguments = _posed(problem, kwargs, "autoreset_mode", "max_episode_steps")
    return TextVectorEnv(posed, num_envs, **arguments)


def _posed(name: str, given: dict[str, Any], *more: str) -> tuple[Problem[Any, Any] | Mixture, dict[str, Any]]:
    """Return what ``name`` stands for with its parameters among those ``given``, and the other ones.

    Raises
    ------
    ValueError
        For a name that is neither a parameter, nor an argument of `TextEnv`, nor in ``more``.
    """
    if name == MIXED:
        of_problem = ["problems", "levels", *PRESENTATION]
    else:
        of_problem = ["level", *(field.name for field in fields(problem_class(name)))]
    check_known(f"Forge/{name}", "argument", given, [*of_problem, *_ARGUMENTS, *more])
    parameters = {key: value for key, value in given.items() if key in of_problem}
    arguments = {key: value for key, value in given.items() if key not in of_problem}
    return Mixture.of(**parameters) if name == MIXED else find_problem(name, **parameters), arguments


_add_id(MIXED, 0)
