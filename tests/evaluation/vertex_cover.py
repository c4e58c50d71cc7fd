"""A problem from outside the package, as CONTRIBUTING asks for it, and the ways in which its verifier could be weak.

Minimum vertex cover: as few vertices as possible such that every edge has an end among them.

References
----------
R. Karp, "Reducibility among combinatorial problems", 1972.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import Any, ClassVar, Self

import numpy as np

from forge_gym.kinds.graph import Graph, draw_graph, edges_of, random_adjacency
from forge_gym.core.problem import Problem
from forge_gym.core.seeding import size_at_level
from forge_gym.core.reference import Certificate
from forge_gym.kinds.forms import read_subset, subset_violations, write_subset
from forge_gym.core.verdict import Violation

Vertices = tuple[int, ...]


def definition(question: dict[str, Any], answer: Any) -> int | None:
    """Count distinct vertices that touch every edge."""
    chosen = answer
    if len(set(chosen)) != len(chosen) or not all(0 <= v < question["n"] for v in chosen):
        return None
    return len(chosen) if all(u in chosen or v in chosen for u, v in question["edges"]) else None


@dataclass(frozen=True)
class VertexCoverInstance(Graph):
    """The graph whose edges are covered."""


@dataclass(frozen=True, kw_only=True)
class VertexCover(Problem[VertexCoverInstance, Vertices]):
    """Choose as few vertices as possible that touch every edge."""

    name: ClassVar[str] = "VertexCover"
    version: ClassVar = 0
    family: ClassVar = "graph"
    sense: ClassVar = "min"
    kind: ClassVar = "subset"
    constraints: ClassVar = ("known", "once", "covered")
    mendable: ClassVar = ("covered",)
    instance_type: ClassVar = VertexCoverInstance
    work_limit: ClassVar = 10**6

    n: int = 12
    p: float = 0.3

    def check(self) -> None:
        if self.n < 3:
            raise ValueError(f"n must be at least 3, got {self.n}")

    def at_level(self, level: int) -> Self:
        return replace(self, n=size_at_level(9, level))

    def generate(self, rng: np.random.Generator) -> VertexCoverInstance:
        return VertexCoverInstance(self.n, edges_of(random_adjacency(rng, "gnp", self.n, self.p)))

    def describe(self, instance: VertexCoverInstance) -> str:
        return instance.text()

    def prompt(self, instance: VertexCoverInstance) -> str:
        task = f"Minimum vertex cover: {instance.n} vertices, numbered from {instance.first}. Edges:"
        what = "a JSON list of as few vertices as possible that touch every edge, each once,"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: VertexCoverInstance) -> tuple[VertexCoverInstance, Vertices]:
        first = instance.first + instance.n
        return VertexCoverInstance(4, ((0, 1), (1, 2), (1, 3)), first=first), (1,)

    def parse(self, instance: VertexCoverInstance, text: str) -> Vertices:
        return read_subset(text, instance.first)

    def write(self, instance: VertexCoverInstance, solution: Vertices) -> str:
        return write_subset(solution, instance.first)

    def violations(self, instance: VertexCoverInstance, solution: Vertices) -> tuple[Violation, ...]:
        found, _ = subset_violations("vertices", instance.n, instance.first, solution)
        bare = sum(u not in solution and v not in solution for u, v in instance.edges)
        if bare:
            reason = f"every edge has a chosen end, got {bare} edges without"
            found.append(Violation("covered", bare, len(instance.edges), reason))
        return tuple(found)

    def objective(self, instance: VertexCoverInstance, solution: Vertices) -> int:
        return len(solution)

    def trivial(self, instance: VertexCoverInstance) -> Vertices:
        return tuple(range(instance.n))

    def heuristic(
        self, instance: VertexCoverInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Vertices:
        """Both ends of an edge that is not yet covered, edge by edge: at most twice the optimum."""
        chosen: list[int] = []
        for u, v in instance.edges:
            if u not in chosen and v not in chosen:
                chosen += [u, v]
        return tuple(sorted(chosen))

    def random(self, instance: VertexCoverInstance, rng: np.random.Generator) -> Vertices:
        chosen: list[int] = []
        for at in rng.permutation(len(instance.edges)).tolist():
            if not set(chosen) & set(instance.edges[at]):
                chosen += instance.edges[at]
        return tuple(sorted({*chosen, *rng.permutation(instance.n)[: instance.n // 3].tolist()}))

    def neighbour(
        self, instance: VertexCoverInstance, solution: Vertices, rng: np.random.Generator
    ) -> Vertices:
        v = int(rng.integers(instance.n))
        moved = set(solution) ^ {v}
        moved |= {u for u in range(instance.n) if v not in moved and instance.neighbours[v] >> u & 1}
        return tuple(sorted(moved))

    def solve(self, instance: VertexCoverInstance, limit: int) -> Certificate[Vertices]:
        """Try 0, 1, 2, ... vertices: the one with most uncovered edges, or all its neighbours."""

        def extend(chosen: frozenset[int], room: int) -> frozenset[int] | None:
            ends = [v for edge in instance.edges if not chosen & set(edge) for v in edge]
            if not ends:
                return chosen
            v = max(ends, key=ends.count)
            others = frozenset(u for u in range(instance.n) if instance.neighbours[v] >> u & 1) - chosen
            return (extend(chosen | {v}, room - 1) if room else None) or (
                extend(chosen | others, room - len(others)) if len(others) <= room else None
            )

        for size in range(instance.n + 1):
            found = extend(frozenset(), size)
            if found is not None:
                return Certificate(tuple(sorted(found)), size, size, "branching", 0)
        raise AssertionError("all vertices are a cover")

    def canonical(self, instance: VertexCoverInstance, solution: Vertices) -> Vertices:
        return tuple(sorted(solution))

    def draw(self, instance: VertexCoverInstance, solution: Vertices | None, ax: Any) -> None:
        draw_graph(
            instance, ax, ["tab:orange" if v in (solution or ()) else "white" for v in range(instance.n)]
        )


class Repeats(VertexCover):
    """Does not count elements twice, and takes them."""

    name: ClassVar[str] = "Repeats"

    def violations(self, instance: VertexCoverInstance, solution: Vertices) -> tuple[Violation, ...]:
        return tuple(v for v in super().violations(instance, solution) if v.family != "once")


class Unknown(VertexCover):
    """Takes vertices that do not exist."""

    name: ClassVar[str] = "Unknown"

    def violations(self, instance: VertexCoverInstance, solution: Vertices) -> tuple[Violation, ...]:
        return tuple(v for v in super().violations(instance, solution) if v.family != "known")


class Bare(VertexCover):
    """Lets one edge go uncovered, and its solver does not."""

    name: ClassVar[str] = "Bare"

    def violations(self, instance: VertexCoverInstance, solution: Vertices) -> tuple[Violation, ...]:
        return tuple(
            v for v in super().violations(instance, solution) if v.family != "covered" or v.amount > 1
        )


class BareThroughout(Bare):
    """Lets one edge go uncovered, and its solver agrees: only the definition tells."""

    name: ClassVar[str] = "BareThroughout"

    def solve(self, instance: VertexCoverInstance, limit: int) -> Certificate[Vertices]:
        for size in range(instance.n + 1):
            for chosen in combinations(range(instance.n), size):
                if not self.violations(instance, chosen):
                    return Certificate(chosen, size, size, "enumeration", 0)
        raise AssertionError("all vertices are a cover")


class Evaluates(VertexCover):
    """Reads with ``eval``."""

    name: ClassVar[str] = "Evaluates"

    def parse(self, instance: VertexCoverInstance, text: str) -> Vertices:
        return tuple(eval(text))


class Salvages(VertexCover):
    """Reads whatever looks like a number."""

    name: ClassVar[str] = "Salvages"

    def parse(self, instance: VertexCoverInstance, text: str) -> Vertices:
        return tuple(int(float(word)) for word in text.strip("[]").split(",") if word.strip())


class Wraps(VertexCover):
    """Reads numbers modulo n, as negative indices do."""

    name: ClassVar[str] = "Wraps"

    def parse(self, instance: VertexCoverInstance, text: str) -> Vertices:
        return tuple(v % instance.n for v in read_subset(text, instance.first))


class Strict(VertexCover):
    """Refuses blanks between numbers."""

    name: ClassVar[str] = "Strict"

    def parse(self, instance: VertexCoverInstance, text: str) -> Vertices:
        return read_subset(text if ", " in text or "," not in text else "?", instance.first)


class Unproven(VertexCover):
    """Calls the greedy cover optimal."""

    name: ClassVar[str] = "Unproven"

    def solve(self, instance: VertexCoverInstance, limit: int) -> Certificate[Vertices]:
        found = self.heuristic(instance)
        return Certificate(found, len(found), len(found), "greedy", 0)


class Leaks(VertexCover):
    """Shows the optimal cover."""

    name: ClassVar[str] = "Leaks"

    def prompt(self, instance: VertexCoverInstance) -> str:
        return f"{super().prompt(instance)}\nHint: {self.write(instance, self.reference(instance).solution)}"


class Farmable(VertexCover):
    """Its thoughtless anchor is so low that answers which never read the instance beat it."""

    name: ClassVar[str] = "Farmable"

    def objective(self, instance: VertexCoverInstance, solution: Vertices) -> Any:
        return Fraction(len(solution) + 10 * (len(solution) == instance.n))


class WrongExample(VertexCover):
    """Shows a cover that is not the smallest as worked example."""

    name: ClassVar[str] = "WrongExample"

    def example(self, instance: VertexCoverInstance) -> tuple[VertexCoverInstance, Vertices]:
        return super().example(instance)[0], (0, 1)


class Careless(VertexCover):
    """Its random solutions may be none."""

    name: ClassVar[str] = "Careless"

    def random(self, instance: VertexCoverInstance, rng: np.random.Generator) -> Vertices:
        return super().random(instance, rng)[1:]


class InOrder(VertexCover):
    """Hides the same cover in every instance: its first vertices."""

    name: ClassVar[str] = "InOrder"

    def generate(self, rng: np.random.Generator) -> VertexCoverInstance:
        hidden = self.n // 2
        adjacent = random_adjacency(rng, "gnp", self.n, 0.5)
        adjacent[hidden:, hidden:] = False
        return VertexCoverInstance(self.n, edges_of(adjacent))


WEAK = (
    Repeats,
    Unknown,
    Bare,
    BareThroughout,
    Evaluates,
    Salvages,
    Wraps,
    Strict,
    Unproven,
    Leaks,
    Farmable,
    WrongExample,
    Careless,
    InOrder,
)
