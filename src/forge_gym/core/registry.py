"""The table of problems: names to classes, specs to instances, and errors that suggest the nearest name."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from zlib import crc32

from .checks import check_int, check_known, did_you_mean, plain, short_repr
from .foreign import load_json
from .reference import Certificate, read_solution

if TYPE_CHECKING:
    from .instance import Instance
    from .problem import Problem

_ENTRY_POINTS: dict[str, str] = {}
_VERSIONS: dict[str, int] = {}
_UNLISTED: set[str] = set()
FOUND_AGAIN = 64
"""Of so many specs one has its anchors found again, since heuristics that have changed would be wrong in all."""


def add_problem(entry_point: str, version: int | None = None, *, listed: bool = True) -> tuple[str, int]:
    """Add the problem whose class is at ``"module:class"``; return its name and version. Adding it again is no change.

    Parameters
    ----------
    entry_point
        Where the class is. Its name is the problem's name.
    version
        The version of the class, where it must not be imported yet. By default the class is imported and asked.
    listed
        Whether `problems` lists it. What is not listed is another spelling of a problem that is.
    """
    module, colon, name = entry_point.partition(":")
    if not module or not colon or not name.isidentifier():
        raise ValueError(f"entry_point must be 'module:class', got {short_repr(entry_point)}")
    taken = _ENTRY_POINTS.get(name, entry_point)
    if taken != entry_point:
        raise ValueError(f"the name of a problem must be new, got {name!r}, which stands for {taken}")
    if version is None:
        version = _load(entry_point).version
    if version != _VERSIONS.get(name, version):
        raise ValueError(f"version of {name} must be that of its class, {_VERSIONS[name]}, got {short_repr(version)}")
    _ENTRY_POINTS[name], _VERSIONS[name] = entry_point, version
    if not listed:
        _UNLISTED.add(name)
    return name, version


def _load(entry_point: str) -> type[Problem[Any, Any]]:
    module, _, name = entry_point.partition(":")
    try:
        cls: Any = getattr(import_module(module), name)
        known_as = cls.name
    except (ImportError, AttributeError) as error:
        raise ValueError(f"entry_point must lead to a problem, got {entry_point!r}: {error}") from error
    if known_as != name:
        raise ValueError(f"entry_point must name a problem as its class does, got {name!r} for {known_as!r}")
    if missing := sorted(cls.__abstractmethods__):
        raise ValueError(f"a problem must write all hooks of its kind, {name} lacks {', '.join(missing)}")
    problem_cls: type[Problem[Any, Any]] = cls
    return problem_cls


def problems() -> tuple[str, ...]:
    """Return the names of all registered problems, sorted."""
    return tuple(sorted(set(_ENTRY_POINTS) - _UNLISTED))


def problem_class(name: str) -> type[Problem[Any, Any]]:
    """Return the class registered under ``name``; a ``ValueError`` that suggests the nearest where there is none."""
    if not isinstance(name, str) or name not in _ENTRY_POINTS:
        raise ValueError(f"problem {short_repr(name)} is not registered: {did_you_mean(str(name), problems())}")
    cls = _load(_ENTRY_POINTS[name])
    if cls.version != _VERSIONS[name]:
        raise RuntimeError(
            f"{name} must be registered with the version of its class, {cls.version}, got {_VERSIONS[name]}"
        )
    return cls


def problem(name: str, /, *, level: int | None = None, **parameters: Any) -> Problem[Any, Any]:
    """Return the problem ``name`` with the given parameters.

    Parameters
    ----------
    name
        One of `problems`.
    level
        Difficulty 0, 1, 2, ...; sets the size, so give either ``level`` or sizes.
    **parameters
        Fields of the class, such as ``n``, ``distribution`` or ``answer_format``; lists count as tuples, as in data
        that came as JSON.

    Examples
    --------
    >>> problem("TSP", level=3).n
    13
    >>> problem("TPS")
    Traceback (most recent call last):
    ValueError: problem 'TPS' is not registered: did you mean 'TSP'?
    >>> problem("TSP", gird=9)
    Traceback (most recent call last):
    ValueError: TSP has no parameter 'gird': did you mean 'grid'?
    """
    cls = problem_class(name)
    parameters = {key: plain(value) for key, value in parameters.items()}
    check_known(name, "parameter", parameters, [field.name for field in fields(cls)])
    if level is None:
        return cls(**parameters)
    level = check_int("level", level, 0)
    # The other parameters are checked at the size of the level, not at the default one.
    leveled = replace(cls().at_level(level), **parameters).at_level(level)
    for key, value in parameters.items():
        if getattr(leveled, key) != value:
            raise ValueError(
                f"level sets {key}, so give one of them, got level={level} and {key}={short_repr(value)}: "
                f"level {level} means {key}={getattr(leveled, key)!r}"
            )
    return leveled


@lru_cache(maxsize=8192)
def from_spec(spec: str) -> tuple[Problem[Any, Any], Instance]:
    """Rebuild the problem and the instance that a spec string names; see `Problem.spec`.

    The last 8,192 are remembered, so all rollouts of a group share one instance and its reference. Specs of other
    versions of the problem are refused. Where the spec has a certificate, it is checked, and nothing is solved: witness
    and anchors are judged, and of one spec in 64, which its text decides, the anchors are found again.

    Examples
    --------
    >>> tsp = problem("TSP", n=6)
    >>> rebuilt, instance = from_spec(tsp.spec(seed=7, index=2))
    >>> rebuilt == tsp, instance == tsp.instance(seed=7, index=2), tsp.has_reference(instance)
    (True, True, False)
    >>> rebuilt, instance = from_spec(tsp.spec(seed=7, index=2, certificate=tsp.reference(instance)))
    >>> tsp.has_reference(instance)
    True
    """
    try:
        data = load_json(spec)
    except (ValueError, TypeError):
        data = None
    keys = {"problem", "version", "parameters", "split", "seed", "index"}
    if not isinstance(data, dict) or {*data} - {"certificate"} != keys or not isinstance(data["parameters"], dict):
        raise ValueError(f"a spec must be a JSON object with the keys {sorted(keys)}, got {short_repr(spec)}")
    rebuilt = _stated(json.dumps([data["problem"], data["parameters"]]))
    if data["version"] != rebuilt.version:
        raise ValueError(
            f"a spec of {rebuilt.name} must be of version {rebuilt.version}, got {short_repr(data['version'])}: "
            "its instances, prompts or rewards were others"
        )
    instance = rebuilt.instance(data["seed"], data["index"], data["split"])
    if "certificate" in data:
        try:
            certificate = Certificate.read(data["certificate"])
            if not certificate.proven:  # with another limit of work, solving could find a better one
                raise ValueError(f"it proves nothing: value {certificate.value}, bound {certificate.bound}")
            anchors = _anchors(data["certificate"])
            again = crc32(spec.encode()) % FOUND_AGAIN == 0
            rebuilt.accept(instance, certificate, None if again else anchors)
            if again and anchors is not None and anchors != (found := rebuilt.anchors(instance)):
                raise ValueError(f"trivial and greedy are {short_repr(found)}, not {short_repr(anchors)}")
        except ValueError as error:
            raise ValueError(f"the certificate of {place_of(spec)}: {error}") from error
    return rebuilt, instance


def _anchors(certificate: dict[str, Any]) -> tuple[Any, Any] | None:
    """Return the trivial and the greedy solution that a certificate states, if it does."""
    stated = certificate.get("anchors")
    if stated is None:
        return None
    if type(stated) is not list or len(stated) != 2:
        raise ValueError(f"anchors must be a list of two solutions, got {short_repr(stated)}")
    return read_solution("trivial", stated[0]), read_solution("greedy", stated[1])


@lru_cache(maxsize=1024)
def _stated(spec: str) -> Problem[Any, Any]:
    """Return the problem that name and parameters as JSON state: one for all instances, as its tables are."""
    name, stated = json.loads(spec)
    cls, parameters = problem_class(name), {key: plain(value) for key, value in stated.items()}
    check_known(cls.name, "parameter", parameters, [field.name for field in fields(cls)])
    return cls(**parameters)


def place_of(spec: str) -> str:
    """Return a spec without its certificate: the same in every run.

    Examples
    --------
    >>> tsp = problem("TSP")
    >>> place_of(tsp.spec(certificate=tsp.reference(tsp.instance()))) == tsp.spec()
    True
    """
    return json.dumps({name: value for name, value in json.loads(spec).items() if name != "certificate"})
