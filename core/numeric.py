"""The numeric face of a problem: fixed-shape observations and numbered choices, decided by the kind of a solution.

What a problem declares for it is `Instance.features`, and where the verifier alone would be slow or too
lenient, `Problem.extensions`. Everything that builds or improves solutions by number is made of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .checks import check_int
from .rewards import Reward
from .verdict import Verdict

if TYPE_CHECKING:
    from .problem import Instance, Problem

Floats: TypeAlias = NDArray[np.float32]
Observation: TypeAlias = dict[str, NDArray[Any]]

_BELOW_ONE = float(np.nextafter(1.0, 0.0))


@dataclass(frozen=True)
class Features:
    """An instance in numbers from 0 to 1."""

    elements: NDArray[Any]
    """(n, f) what is known of each element; f is the same for all instances of a problem."""
    links: NDArray[Any] | None = None
    """(n, m) how each element relates to each other one, or to each of m other things."""


def columns(*values: Any) -> Floats:
    """Return (n, f) features from f sequences of n numbers, each clipped to [0, 1].

    Examples
    --------
    >>> columns([0.5, 2], [0, 1]).tolist()
    [[0.5, 0.0], [1.0, 1.0]]
    """
    return np.stack([scaled(value) for value in values], axis=1)


def scaled(values: Any, of: float = 1.0) -> Floats:
    """Return ``values`` divided by ``of`` and clipped to [0, 1]; zeros where ``of`` is 0.

    Examples
    --------
    >>> scaled([1, 5], of=4).tolist()
    [0.25, 1.0]
    """
    return np.clip(np.asarray(values, dtype=np.float64) / (of or 1.0), 0.0, 1.0).astype(np.float32)


class Encoder:
    """Instances and solutions of one problem as arrays of fixed shape, their elements and choices numbered.

    Parameters
    ----------
    problem
        Its own instances set the shapes.
    size
        Rows, one per element; smaller instances are padded with zeros. By default the number of elements of
        the problem's instances. Axes that grow with an instance get room in the same proportion.

    Raises
    ------
    ValueError
        If the problem declares no features, or ``size`` is below its own.

    Examples
    --------
    >>> import forge_gym
    >>> encoder = Encoder(forge_gym.problem("TSP", n=4), size=6)
    >>> {key: array.shape for key, array in encoder.instance(forge_gym.problem("TSP", n=5).instance()).items()}
    {'elements': (6, 3), 'links': (6, 6)}
    """

    def __init__(self, problem: Problem[Any, Any], size: int | None = None) -> None:
        probe = problem.instance()
        features = probe.features()
        if features is None:
            raise ValueError(
                f"problem must declare its construction, got {problem.name}, whose "
                f"{type(probe).__name__} has no features: define `features`"
            )
        if size is not None:
            check_int("size", size, probe.size, rule=f"the elements of an instance of {problem.name}")
        self.problem = problem
        self.size = size or probe.size

        def grown(extent: int) -> int:
            return -(-extent * self.size // int(probe.size))

        self.width = 1 + features.elements.shape[1]
        self.columns = None if features.links is None else grown(features.links.shape[1])
        self.resources = grown(len(problem.domains(probe)[1])) if problem.kind == "schedule" else 1
        self.choices = self.size * self.resources
        """Numbers of what may be added: an element, a label, or an element and its resource."""
        self.state_width = {"subset": 1, "permutation": 4, "sequence": 4}.get(problem.kind, 0) or 2 + (
            self.size if problem.kind == "assignment" else self.resources
        )

    @property
    def spaces(self) -> dict[str, spaces.Box]:
        """The spaces of `instance` and `solution`."""
        shapes = {"elements": (self.size, self.width), "solution": (self.size, self.state_width)}
        if self.columns is not None:
            shapes["links"] = (self.size, self.columns)
        return {key: spaces.Box(0.0, 1.0, shape, np.float32) for key, shape in shapes.items()}

    def instance(self, instance: Instance) -> Observation:
        """Return ``elements``, whose first column tells elements (1) from padding (0), and ``links``.

        Raises
        ------
        ValueError
            If the instance is larger than the padding.
        """
        features = instance.features()
        assert features is not None
        n = instance.size
        found: Observation = {"elements": np.zeros((self.size, self.width), np.float32)}
        needed = {"elements": (n, self.size)}
        if features.links is not None and self.columns is not None:
            needed["columns"] = (features.links.shape[1], self.columns)
        if self.problem.kind == "schedule":
            needed["resources"] = (len(self.problem.domains(instance)[1]), self.resources)
        for what, (has, room) in needed.items():
            if has > room:
                raise ValueError(
                    f"size must leave room for the instance, got size={self.size} with {room} {what} for an "
                    f"instance of {has}: give a size of at least {-(-self.size * has // room)}"
                )
        found["elements"][:n, 0] = 1.0
        found["elements"][:n, 1:] = features.elements
        if features.links is not None and self.columns is not None:
            found["links"] = np.zeros((self.size, self.columns), np.float32)
            found["links"][:n, : features.links.shape[1]] = features.links
        return found

    def solution(self, instance: Instance, solution: tuple[Any, ...]) -> Floats:
        """Return the state of each element in a finished or unfinished solution.

        Columns by kind: subset: chosen. Permutation and sequence: listed, the first, the last, its place from 0
        to 1. Assignment: labelled, next to be labelled, and one for each label. Schedule: scheduled, its time
        as a share of the day's end, and one for each resource.
        """
        state = np.zeros((self.size, self.state_width), np.float32)
        kind = self.problem.kind
        if kind == "assignment":
            for element, label in enumerate(solution):
                state[element, 0] = state[element, 2 + label] = 1.0
            if len(solution) < instance.size:
                state[len(solution), 1] = 1.0
        elif kind == "schedule":
            end = self.problem.domains(instance)[2].stop or 1
            for element, resource, time in solution:
                state[element, 0] = state[element, 2 + resource] = 1.0
                state[element, 1] = time / end
        elif solution:
            state[list(solution), 0] = 1.0
            if kind != "subset":
                state[solution[0], 1] = state[solution[-1], 2] = 1.0
                state[list(solution), 3] = np.arange(1, len(solution) + 1) / self.size
        return state

    def number(self, addition: Any) -> int:
        """Return the number of what is added to a solution: of an element, a label, or a row."""
        return int(
            addition[0] * self.resources + addition[1] if self.problem.kind == "schedule" else addition
        )


def mask(length: int, allowed: Iterable[int]) -> NDArray[np.int8]:
    """Return ``length`` zeros with a one at each number in ``allowed``.

    Examples
    --------
    >>> mask(4, [1, 3]).tolist()
    [0, 1, 0, 1]
    """
    found = np.zeros(length, np.int8)
    found[list(allowed)] = 1
    return found


def promise(problem: Problem[Any, Any], instance: Instance, partial: Any, reward: Reward) -> float:
    """Return the reward that the unfinished solution ``partial`` promises: a potential for shaping.

    A solution that may be handed in as it is, is worth its own reward. Where something is missing, it is compared
    with greedy's when as much was missing (of a set, pro rata): the promise is the reward of greedy's objective,
    changed by what the solution is ahead or behind. A sequence counts as if it were closed here.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=6)
    >>> _, instance = next(tsp.graded_instances())
    >>> tour, greedy = tsp.reference(instance).solution, tsp.heuristic(instance)
    >>> [round(promise(tsp, instance, tour[:k], forge_gym.reward("linear")), 2) for k in range(1, 7)]
    [0.0, -0.24, -0.25, -0.24, -0.25, 1.0]
    >>> {promise(tsp, instance, greedy[:k], forge_gym.reward("linear")) for k in range(1, 7)}
    {0.0}
    """
    missing = _missing(problem, instance, partial)
    if missing == 0.0:
        return reward(problem.judge(instance, partial)) or 0.0
    reference, value = problem.reference(instance), problem.objective(instance, partial)
    if problem.kind != "sequence":
        value = float(reference.greedy) + float(value) - _pace(problem, instance, missing)  # type: ignore[assignment]
    skill = min(_BELOW_ONE, reference.skill(value))
    verdict = Verdict(
        "feasible",
        objective=value,
        quality=reference.quality(value),
        skill=skill,
        ratio=reference.ratio(value),
    )
    return reward(verdict) or 0.0


def _missing(problem: Problem[Any, Any], instance: Instance, partial: Any) -> float:
    """Return the share of the constraints' scale that adding has yet to mend; 0 where nothing is missing."""
    return max(
        [1.0 - violation.satisfied for violation in problem.violations(instance, partial)], default=0.0
    )


def _pace(problem: Problem[Any, Any], instance: Instance, missing: float) -> float:
    """Return greedy's objective when this share was missing: of its solution piece by piece, of a set pro rata."""
    if problem.kind == "subset":  # in no order
        return (1.0 - missing) * float(problem.reference(instance).greedy)
    if "pace" not in instance.memo:
        greedy = problem.heuristic(instance)
        pieces = [greedy[:k] for k in range(len(greedy), 0, -1)]
        instance.memo["pace"] = (
            [_missing(problem, instance, piece) for piece in pieces],
            [float(problem.objective(instance, piece)) for piece in pieces],
        )
    return float(np.interp(missing, *instance.memo["pace"]))
