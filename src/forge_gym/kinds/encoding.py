"""Instances and solutions as arrays of fixed shape, and pieces and moves by number: for agents that read numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ..core.checks import check_int
from ..core.instance import Instance
from .instance import TypedInstance, field_types
from .kind import Kind

Floats: TypeAlias = NDArray[np.float32]
Observation: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Features:
    """An instance in numbers from 0 to 1."""

    elements: NDArray[Any]
    """(n, f) what is known of each element; f is the same for all instances of a problem."""
    links: NDArray[Any] | None = None
    """(n, m) how each element relates to each other one, or to each of m other things."""


def scaled(values: Any, of: float = 1.0) -> Floats:
    """Return ``values`` divided by ``of``, or by 1 where that is 0, and clipped to [0, 1]."""
    return np.clip(np.asarray(values, dtype=np.float64) / (of or 1.0), 0.0, 1.0).astype(np.float32)


def columns(*values: Any) -> Floats:
    """Return (n, f) features from f sequences of n numbers, each clipped to [0, 1]."""
    return np.stack([scaled(value) for value in values], axis=1)


def features(instance: Instance) -> Features:
    """Return an instance in numbers: its own ``features()`` if it has them, else what the types of its fields say.

    A vector is a column and rows are several, as shares of the greatest number. Sets, edges and square matrices are
    links, and a column with their means. Only one field can be the links; the first one is.

    Examples
    --------
    >>> from forge_gym.envs.set_cover import SetCoverInstance
    >>> cover = features(SetCoverInstance(2, ((0, 1), (1,)), (4, 1)))
    >>> cover.elements.tolist(), cover.links.tolist()
    ([[1.0, 1.0], [0.5, 0.25]], [[1.0, 1.0], [0.0, 1.0]])
    """
    own: Any = getattr(instance, "features", None)
    if own is not None:
        stated: Features = own()
        return stated
    element_columns: list[Floats] = []
    links: Floats | None = None
    for field in field_types(type(instance)) if isinstance(instance, TypedInstance) else ():
        value = getattr(instance, field.name)
        if field.shape.ends or field.shape.sets or field.shape.elements == (True, True):
            matrix = _linked(instance, field, value)
            # Sorted, so that the mean has the same bits in any order of elements.
            element_columns.append(np.sort(matrix, axis=1).mean(axis=1))
            links = matrix if links is None else links
        elif field.per_element and value:
            numbers = np.abs(np.asarray(value, dtype=np.float64))
            element_columns += list(np.atleast_2d(scaled(numbers, numbers.max()).T))
    if not element_columns:
        raise ValueError(
            f"an instance must have features, got a {type(instance).__name__}, whose fields run over no elements"
        )
    return Features(np.stack(element_columns, axis=1), links)


def _linked(instance: Any, field: Any, value: Any) -> Floats:
    n = instance.size
    if field.shape.elements == (True, True):
        return scaled(value, np.max(value, initial=0))
    if field.shape.ends:
        matrix = np.zeros((n, n))
        tails, heads, *weights = zip(*value, strict=True) if value else ((), ())
        matrix[tails, heads] = matrix[heads, tails] = weights[0] if weights else 1.0
        return scaled(matrix, matrix.max(initial=0))
    matrix = np.zeros((n, getattr(instance, field.range.high)), np.float32)
    for element, members in enumerate(value):
        matrix[element, list(members)] = 1.0
    return matrix


class Encoder:
    """Instances and solutions of one problem as arrays of fixed shape, their pieces and moves numbered.

    Parameters
    ----------
    problem
        Its own instances set the shapes.
    size
        Rows, one per element; smaller instances are padded with zeros. By default the number of elements of
        the problem's instances. Axes that grow with an instance get room in the same proportion.

    Examples
    --------
    >>> import forge_gym
    >>> encoder = Encoder(forge_gym.problem("TSP", n=4), size=6)
    >>> {key: array.shape for key, array in encoder.instance(forge_gym.problem("TSP", n=5).instance()).items()}
    {'elements': (6, 3), 'links': (6, 6)}
    """

    def __init__(self, problem: Kind[Any, Any], size: int | None = None) -> None:
        probe = problem.instance()
        if size is not None:
            size = check_int("size", size, probe.size, rule=f"the elements of an instance of {problem.name}")
        self.problem, self.size = problem, size or probe.size
        seen = features(probe)

        def grown(extent: int) -> int:
            return -(-extent * self.size // int(probe.size))

        self.width = 1 + seen.elements.shape[1]
        self.columns = None if seen.links is None else grown(seen.links.shape[1])
        self._axes = tuple(map(grown, problem.axes(probe)))
        self.choices = int(np.prod(self._axes))
        """Numbers of what may be added: an element, a label, or an element and its resource."""
        self.state_width = problem.state_width(self._axes)

    @property
    def spaces(self) -> dict[str, spaces.Box]:
        """The spaces of `instance` and `solution`."""
        shapes = {"elements": (self.size, self.width), "solution": (self.size, self.state_width)}
        if self.columns is not None:
            shapes["links"] = (self.size, self.columns)
        return {key: spaces.Box(0.0, 1.0, shape, np.float32) for key, shape in shapes.items()}

    def instance(self, instance: Instance) -> Observation:
        """Return ``elements``, whose first column tells elements (1) from padding (0), and ``links``."""
        seen, n = features(instance), instance.size
        rooms = {"elements": (n, self.size)}
        if seen.links is not None and self.columns is not None:
            rooms["columns"] = (seen.links.shape[1], self.columns)
        for axis, (has, room) in enumerate(zip(self.problem.axes(instance), self._axes, strict=True)):
            rooms[f"choices along axis {axis}"] = (has, room)
        for what, (has, room) in rooms.items():
            if has > room:
                raise ValueError(
                    f"size must leave room for the instance, got size={self.size} with {room} {what} for an "
                    f"instance of {has}: give a size of at least {-(-self.size * has // room)}"
                )
        observation: Observation = {"elements": np.zeros((self.size, self.width), np.float32)}
        observation["elements"][:n, 0] = 1.0
        observation["elements"][:n, 1:] = seen.elements
        if seen.links is not None and self.columns is not None:
            observation["links"] = np.zeros((self.size, self.columns), np.float32)
            observation["links"][:n, : seen.links.shape[1]] = seen.links
        return observation

    def solution(self, instance: Instance, solution: Any) -> Floats:
        """Return the state of each element in a finished or unfinished solution; see the ``state`` of each kind."""
        state = self.problem.state(instance, solution)
        padded = np.zeros((self.size, self.state_width), np.float32)
        padded[: state.shape[0], : state.shape[1]] = state
        return padded

    def numbered(self, pieces: Sequence[Any]) -> dict[int, Any]:
        """Return pieces that may be added to a solution by their numbers."""
        return self.problem.numbered(pieces, self._axes)
