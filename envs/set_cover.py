"""Set cover: the cheapest subsets that together hold every element.

NP-hard [1]_. Chvatal's greedy is within H(d), the d-th harmonic number, of the optimum where no subset
has more than d elements [2]_, and no polynomial algorithm is better by more than lower-order terms
unless P = NP [3]_.

References
----------
.. [1] R. Karp, "Reducibility among combinatorial problems", 1972.
.. [2] V. Chvatal, "A greedy heuristic for the set-covering problem", Mathematics of Operations
   Research 4(3), 1979.
.. [3] I. Dinur, D. Steurer, "Analytical approach to parallel repetition", STOC 2014.
.. [4] J. Beasley, "An algorithm for set covering problem", European Journal of Operational Research
   31(1), 1987.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import islice, pairwise
from operator import or_
from typing import Annotated, ClassVar, Literal

import numpy as np

from ..core import Certificate, Range, check_int, mask_of
from ..core.seeding import integers
from ..kinds import Choose, Chosen, Data, Sets, Subset, Table, TypedInstance, Value, Vector
from ..kinds.forms import pick
from ..kinds.rules import Covered
from ..pictures.matrix import Incidence
from ..solvers.covering import cheapest_cover
from ..solvers.greedy import lazy_greedy


@dataclass(frozen=True)
class SetCoverInstance(TypedInstance):
    """Subsets of a universe, with costs."""

    universe: Annotated[int, Range(1, 10**5)]
    """Number of elements, counted from 0."""
    subsets: Annotated[Sets, Range(0, "universe")]
    """(n,) subsets, each its elements in rising order; together they hold every element."""
    costs: Annotated[Vector, Range(1, 10**9)]
    """(n,) costs, whose total CP-SAT holds in 64 bits; all 1 where the number of subsets counts."""

    def rules(self) -> Iterator[tuple[bool, str]]:
        yield all(self.subsets), "a subset must have an element, got an empty one"
        held = reduce(or_, self.masks, 0).bit_count()
        yield held == self.universe, f"the subsets must hold all {self.universe} elements, got {held}"

    @cached_property
    def masks(self) -> tuple[int, ...]:
        """(n,) bit masks: bit e of ``masks[j]`` is set where subset j holds element e."""
        return tuple(map(mask_of, self.subsets))

    @property
    def costed(self) -> bool:
        """Whether costs differ from 1."""
        return any(cost != 1 for cost in self.costs)


@dataclass(frozen=True, kw_only=True)
class SetCover(Subset[SetCoverInstance]):
    """Choose subsets of the least total cost that hold every element.

    Problem: min sum of c[j] over the chosen subsets, whose union is the universe. Trivial: the best of eight
    fixed orders, until all is covered. Heuristic: Chvatal's greedy [2]_. Reference: CP-SAT.

    Examples
    --------
    >>> problem = SetCover()
    >>> instance = SetCoverInstance(6, ((0, 1, 2, 3), (0, 1, 4), (2, 3, 5)), (1, 1, 1))
    >>> problem.objective(instance, (0, 1, 2)), problem.reference(instance).solution
    (3, (1, 2))
    """

    family: ClassVar = "selection"
    sense: ClassVar = "min"
    noun: ClassVar = "subset"
    requires: ClassVar = (Covered("covered", "masks", "subsets", "universe"),)
    instance_type: ClassVar = SetCoverInstance
    work_limit: ClassVar = 12_000_000
    smallest: ClassVar = 26
    scratch: ClassVar = {"distribution": "costed", "n": 7, "elements": 6, "members": 3, "largest": 5}
    picture: ClassVar = Incidence("subsets", "universe", costs="costs")
    formats: ClassVar = ("orlib_scp",)
    published: ClassVar = "set_cover"

    n: int = 30
    """Number of subsets."""
    elements: Annotated[int, Range(0, 10**5)] = 0
    """Number of elements; 0 stands for 4 n / 3, which leaves greedy room."""
    distribution: Literal["planted", "costed", "uniform", "skewed"] = "planted"
    """``uniform``: random subsets of one size, their number counts; ``skewed``: likewise, of sizes from half
    to one and a half times ``members``; ``costed``: as ``uniform``, with random costs as in [4]_; ``planted``: a hidden
    exact cover [1]_, of ``members`` elements each, more or less by one, among subsets with one more on average, which
    draw greedy away; costs are alike."""
    members: Annotated[int, Range(1, 10**5)] = 6
    """Mean number of elements of a subset; at most a quarter of all elements, or 2 where that is more."""
    largest: Annotated[int, Range(1, 10**9)] = 20
    """Costs of ``costed`` are 1 to ``largest``, those of ``planted`` at least half of that."""

    def check(self) -> None:
        check_int("members", self.members, 1, 200_000 // self.n, rule=f"{self.n} subsets have at most 200,000 in all")

    def generate(self, rng: np.random.Generator) -> SetCoverInstance:
        n, universe = self.n, self.elements or self.n * 4 // 3
        members = min(self.members, max(2, universe // 4))
        sizes = [members] * n
        if self.distribution == "skewed":
            sizes = rng.integers(max(1, members // 2), members * 3 // 2, size=n, endpoint=True).tolist()
        elif self.distribution == "planted":
            sizes = rng.integers(members, members + 2, size=n, endpoint=True).tolist()
        if max(sizes) > universe:
            sizes = [min(size, universe) for size in sizes]
        drawn, subsets = integers(rng, universe), []
        for size in sizes:
            subset = set(islice(drawn, size))
            while len(subset) < size:
                subset.add(next(drawn))
            subsets.append(subset)
        if self.distribution == "planted":
            ends = rng.integers(max(1, members - 1), members + 1, size=n - 1, endpoint=True).cumsum()
            order, edges = rng.permutation(universe).tolist(), [0, *ends[ends < universe].tolist(), universe]
            for j, (start, end) in zip(rng.permutation(n).tolist(), pairwise(edges), strict=False):
                subsets[j] = set(order[start:end])
        for element in sorted(set(range(universe)).difference(*subsets)):
            subsets[int(rng.integers(n))].add(element)
        costs = [1] * n
        if least := {"planted": (self.largest + 1) // 2, "costed": 1}.get(self.distribution):
            costs = rng.integers(least, self.largest + 1, size=n).tolist()
        return SetCoverInstance(universe, tuple([tuple(sorted(subset)) for subset in subsets]), tuple(costs))

    def question(self, instance: SetCoverInstance) -> str:
        what = "subsets of the least total cost" if instance.costed else "as few subsets as possible"
        return (
            f"Set cover problem: choose {what} such that every element is in at least one chosen subset.\n"
            f"There are {instance.universe} elements, numbered 0 to {instance.universe - 1}, and "
            f"{self.counted(instance)}"
        )

    def table(self, instance: SetCoverInstance) -> Data:
        universe = Value("universe", instance.universe, f"elements 0 to {instance.universe - 1}", "u{value}")
        if not instance.costed:
            return Data((universe, Table("subset", {"elements": instance.subsets}, between=" ; ")))
        columns = {"cost": instance.costs, "elements": instance.subsets}
        subsets = Table("subset", columns, "{id} (cost {cost}): {elements}", "c{cost} {elements}", " ; ")
        return Data((universe, subsets))

    def tiny(self, instance: SetCoverInstance) -> tuple[SetCoverInstance, Chosen]:
        subsets = ((0, 1, 2), (3, 4), (2, 5), (3, 4, 5))
        if instance.costed:
            return SetCoverInstance(6, subsets, (4, 2, 3, 6)), (0, 1, 2)
        return SetCoverInstance(6, subsets, (1, 1, 1, 1)), (0, 3)

    def objective(self, instance: SetCoverInstance, solution: Chosen) -> int:
        return sum(pick(instance.costs, solution))

    def greedy(self, instance: SetCoverInstance, choose: Choose) -> Iterator[int]:
        """Chvatal's greedy [2]_: the subset with most uncovered elements per cost, ties by number.

        At most H(d) times the optimum, d the size of the largest subset.
        """
        masks, uncovered = instance.masks, (1 << instance.universe) - 1
        # Two fractions of denominators up to d differ by at least 1 / d ** 2: so far apart, their floors differ too.
        scale = max(map(len, instance.subsets)) ** 2
        dearness = [cost * scale for cost in instance.costs]

        def price(j: int) -> int | None:
            fresh = (masks[j] & uncovered).bit_count()
            return dearness[j] // fresh if fresh else None

        for j in lazy_greedy(range(instance.size), price, choose):
            uncovered &= ~masks[j]
            yield j

    def bound(self, instance: SetCoverInstance, partial: Chosen) -> int:
        return self.objective(instance, partial)

    def solve(self, instance: SetCoverInstance, start: Chosen, limit: int) -> Certificate[Chosen]:
        """CP-SAT on the integer programme; a step is a microsecond of its deterministic time."""
        return cheapest_cover(instance.universe, instance.subsets, instance.costs, start, limit)
