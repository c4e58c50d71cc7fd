"""A problem from outside the package, as CONTRIBUTING asks for it, and the ways in which its verifier could be weak.

Minimum vertex cover (R. Karp, 1972): as few vertices as possible such that every edge has an end among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from forge_gym.core import Certificate, Share, Violation
from forge_gym.kinds import Choose, Chosen, Graph, GraphSubset, Names
from forge_gym.kinds.random_graphs import ends_of, pairs_of, random_edges
from forge_gym.pictures.graph import ChosenVertices
from forge_gym.solvers.clique import max_clique


def definition(question: dict[str, Any], answer: Any) -> int | None:
    """Count distinct vertices that touch every edge."""
    if len(set(answer)) != len(answer) or not all(0 <= v < question["n"] for v in answer):
        return None
    return len(answer) if all(u in answer or v in answer for u, v in question["edges"]) else None


@dataclass(frozen=True, kw_only=True)
class VertexCover(GraphSubset[Graph]):
    """Choose as few vertices as possible that touch every edge."""

    family: ClassVar = "graph"
    sense: ClassVar = "min"
    own: ClassVar = ("covered",)
    mendable: ClassVar = ("covered",)
    instance_type: ClassVar = Graph
    work_limit: ClassVar = 10**6
    smallest: ClassVar = 16
    picture: ClassVar = ChosenVertices()

    n: int = 18
    p: Share = 0.3

    def generate(self, rng: np.random.Generator) -> Graph:
        return Graph(self.n, pairs_of(self.n, random_edges(rng, "gnp", self.n, self.p)))

    def question(self, instance: Graph) -> str:
        return f"Choose as few vertices as possible that touch every edge. There are {self.counted(instance)}"

    def tiny(self, instance: Graph) -> tuple[Graph, Chosen]:
        return Graph(4, ((0, 1), (1, 2), (1, 3))), (1,)

    def broken(self, instance: Graph, chosen: frozenset[int]) -> Iterator[Violation]:
        bare = sum([u not in chosen and v not in chosen for u, v in instance.edges])
        if bare:
            reason = f"every edge has a chosen end, got {bare} edges without"
            yield Violation("covered", bare, len(instance.edges), reason)

    def objective(self, instance: Graph, solution: Chosen) -> int:
        return len(solution)

    def greedy(self, instance: Graph, choose: Choose) -> Iterator[int]:
        """Both ends of an uncovered edge, again and again: at most twice the optimum."""
        left = list(instance.edges)
        while left:
            yield from (ends := choose(left))
            left = [edge for edge in left if not set(ends) & set(edge)]

    def solve(self, instance: Graph, start: Chosen, limit: int) -> Certificate[Chosen]:
        """What a largest independent set leaves, which is a clique of the complement."""
        found = max_clique(instance.complement, self._others(instance, start), limit)
        cover = self._others(instance, found.solution)
        return Certificate(cover, len(cover), instance.n - found.bound, found.solver, found.work)

    def _others(self, instance: Graph, chosen: Chosen) -> Chosen:
        return tuple([v for v in range(instance.n) if v not in chosen])


class Repeats(VertexCover):
    """Does not count elements twice, and takes them."""

    def violations(self, instance: Graph, solution: Chosen) -> tuple[Violation, ...]:
        return tuple(v for v in super().violations(instance, solution) if v.family != "once")


class Unknown(VertexCover):
    """Takes vertices that do not exist."""

    def violations(self, instance: Graph, solution: Chosen) -> tuple[Violation, ...]:
        return tuple(v for v in super().violations(instance, solution) if v.family != "known")


class Bare(VertexCover):
    """Lets one edge go uncovered, and its solver does not."""

    def violations(self, instance: Graph, solution: Chosen) -> tuple[Violation, ...]:
        return tuple(v for v in super().violations(instance, solution) if v.family != "covered" or v.amount > 1)


class BareThroughout(Bare):
    """Lets one edge go uncovered, and its solver agrees: only the definition tells."""

    def solve(self, instance: Graph, start: Chosen, limit: int) -> Certificate[Chosen]:
        return enumerated(self, instance, start, limit)


def enumerated(problem: VertexCover, instance: Graph, start: Chosen, limit: int) -> Certificate[Chosen]:
    """Look at so many sets, small ones first, for one that the problem accepts."""
    work = 0
    for size in range(instance.n + 1):
        for chosen in combinations(range(instance.n), size):
            if problem.feasible(instance, chosen):
                return Certificate(chosen, size, size, "enumeration", work)
            work += 1
            if work == limit:
                return Certificate(start, len(start), size, "enumeration", work)
    raise AssertionError("all vertices are a cover")


class Evaluates(VertexCover):
    """Reads with ``eval``."""

    def read(self, instance: Graph, text: str, names: Names) -> Chosen:
        return tuple(eval(text))


class Salvages(VertexCover):
    """Reads whatever looks like a number."""

    def read(self, instance: Graph, text: str, names: Names) -> Chosen:
        return tuple(int(float(word)) for word in text.strip("[]").split(",") if word.strip())


class Wraps(VertexCover):
    """Reads numbers modulo n, as negative indices do."""

    def read(self, instance: Graph, text: str, names: Names) -> Chosen:
        return tuple(v % instance.n for v in super().read(instance, text, names))


class Strict(VertexCover):
    """Refuses blanks between numbers."""

    def read(self, instance: Graph, text: str, names: Names) -> Chosen:
        return super().read(instance, text if ", " in text or "," not in text else "?", names)


class Unproven(VertexCover):
    """Calls the greedy cover optimal."""

    def solve(self, instance: Graph, start: Chosen, limit: int) -> Certificate[Chosen]:
        return Certificate(start, len(start), len(start), "greedy", 0)


class Leaks(VertexCover):
    """Shows the optimal cover."""

    def prompt(self, instance: Graph) -> str:
        return f"{super().prompt(instance)}\nHint: {self.format_answer(instance, self.reference(instance).solution)}"


class Farmable(VertexCover):
    """Its thoughtless anchor is so low that answers which never read the instance beat it."""

    def trivial(self, instance: Graph) -> Chosen:
        return tuple(range(instance.n))


class WrongExample(VertexCover):
    """Shows a cover that is not the smallest as worked example."""

    def tiny(self, instance: Graph) -> tuple[Graph, Chosen]:
        return super().tiny(instance)[0], (0, 1)


class Careless(VertexCover):
    """Its random solutions may be none."""

    def random(self, instance: Graph, rng: np.random.Generator) -> Chosen:
        return super().random(instance, rng)[1:]


class InOrder(VertexCover):
    """Hides the same cover in every instance: its first vertices."""

    def generate(self, rng: np.random.Generator) -> Graph:
        hidden = self.n // 2
        edges = random_edges(rng, "gnp", self.n, 0.5)
        return Graph(self.n, pairs_of(self.n, edges[ends_of(self.n, edges)[0] < hidden]))


class Misfiled(VertexCover):
    """Is of a family that does not exist."""

    family: ClassVar = "graphs"


class Undeclared(VertexCover):
    """Reports violations of a family that it does not declare."""

    own: ClassVar = ()
    mendable: ClassVar = ()


class Curt(VertexCover):
    """Does not say how to answer."""

    def prompt(self, instance: Graph) -> str:
        parts = super().prompt(instance).split("\n\n")
        return "\n\n".join([part for part in parts if "JSON list" not in part])


class Floats(VertexCover):
    """Counts in floats."""

    def objective(self, instance: Graph, solution: Chosen) -> Any:
        return float(len(solution))


class Breaks(VertexCover):
    """Has a hook that raises."""

    def neighbour(self, instance: Graph, solution: Chosen, rng: np.random.Generator) -> Chosen:
        return next(iter(()))


class Generous(VertexCover):
    """Calls all vertices the optimum, where greedy finds less."""

    def solve(self, instance: Graph, start: Chosen, limit: int) -> Certificate[Chosen]:
        return Certificate(tuple(range(instance.n)), instance.n, instance.n, "all", 0)


class Backwards(VertexCover):
    """Its heuristic is worse than its thoughtless answer."""

    def trivial(self, instance: Graph) -> Chosen:
        return self.assemble(instance, self.greedy(instance, lambda ranked: next(iter(ranked), None)))

    def heuristic(self, instance: Graph, rng: np.random.Generator | None = None, epsilon: float = 0.0) -> Chosen:
        return tuple(range(instance.n))


class Endless(VertexCover):
    """Searches on when its limit is spent."""

    def solve(self, instance: Graph, start: Chosen, limit: int) -> Certificate[Chosen]:
        return enumerated(self, instance, start, 2**instance.n)


class Hoarder(VertexCover):
    """Takes hundreds of megabytes for a long answer."""

    def read(self, instance: Graph, text: str, names: Names) -> Chosen:
        hoard = [text[:-1] + str(k) for k in range(800)] if len(text) > 10**5 else []
        return super().read(instance, text, names) if len(hoard) >= 0 else ()


class Sleeper(VertexCover):
    """Takes long for a long answer."""

    def read(self, instance: Graph, text: str, names: Names) -> Chosen:
        wasted = sum(range(2 * 10**7)) if len(text) > 10**5 else 0
        return super().read(instance, text, names) if wasted >= 0 else ()


COSTLY = (Hoarder, Sleeper)


class Unfinished(GraphSubset[Graph]):
    """Lacks its hooks."""


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
    Misfiled,
    Undeclared,
    Curt,
    Floats,
    Breaks,
    Generous,
    Backwards,
    Endless,
)
