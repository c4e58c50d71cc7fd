"""Graphs on a circle: chosen vertices, colours, routes, and halves."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.checks import short_repr
from . import drawing
from .drawing import CHOSEN, MANY, PALETTE, WRONG, Pair, Places, classify_listed
from .picture import DotPicture

_BLOT = 10_000
"""More lines than these are no more than a blot: every second or third is enough for it."""


@dataclass(frozen=True)
class Marks:
    """What a solution takes of a graph, and what is wrong with that."""

    shown: str
    shades: str | Sequence[str] = "white"
    """One colour for all vertices, or one for each."""
    taken: Sequence[Pair] = ()
    """Edges that are drawn thick, in the colour of the picture."""
    wrong: Sequence[Pair] = ()
    """Edges that should not be: thick, in the colour of errors."""
    missing: Sequence[Pair] = ()
    """Pairs that should be edges: dashed, in the colour of errors."""
    ringed: Iterable[int] = ()
    labels: Sequence[Pair] = ()
    """Vertices and the numbers that stand beside them."""


class GraphPicture(DotPicture):
    """A graph with its vertices on a circle. Edges with weights are the thicker the heavier they are."""

    thick: ClassVar = drawing.PATH
    """Colour of the edges that a solution takes."""
    margin: ClassVar = 0.07
    """Free room on each side, as a share of the drawing."""
    untangled: ClassVar = False
    """Whether linked vertices of small graphs are near each other, and not the vertices in the order of numbers."""

    @abstractmethod
    def marks(self, instance: Any, solution: Any) -> Marks:
        """Return how the drawing differs where there is a solution."""

    def places(self, instance: Any) -> Places:
        places = drawing.circular_layout(instance.n)
        if self.untangled and instance.n <= MANY:
            return places[_near_linked(instance.n, [edge[:2] for edge in instance.edges])]
        return places

    def draw_elements(self, instance: Any, solution: Any, names: Any, ax: Any) -> str:
        n, pairs = instance.n, [edge[:2] for edge in instance.edges]
        weights = {edge[:2]: edge[2] for edge in instance.edges if edge[2:]}
        size = f"{n} vertices, {len(pairs)} edges{', the thicker the heavier' if weights else ''}"
        marks = Marks(size) if solution is None else self.marks(instance, solution)
        places = self.places(instance)

        def edges(drawn: Sequence[Pair], width: float, zorder: int = 2, **style: Any) -> None:
            drawn, heaviest = drawn[:: 1 + len(drawn) // _BLOT], max(weights.values(), default=1)
            widths = [0.5 + 2.5 * (weights[pair] / heaviest) if pair in weights else width for pair in drawn]
            drawing.lines(ax, drawing.arcs(places, drawn), linewidths=widths, zorder=zorder, **style)

        thin = min(1.0, max(0.25, 12 / (len(pairs) + 1) ** 0.5))
        edges(pairs, thin, 1, edgecolors="#AAAAAA" if len(pairs) <= 100 else drawing.FAINT)
        edges(marks.taken, 2, edgecolors=self.thick)
        edges(marks.wrong, 3, edgecolors=WRONG)
        edges(marks.missing, 1.8, edgecolors=WRONG, linestyles=(0, (3, 2)))
        called, beside = [names[v] for v in range(n)], pairs if n <= MANY else None
        drawing.dots(ax, places, called, marks.shades, marks.ringed, self.margin, beside)
        for v, number in marks.labels if n <= MANY else ():
            drawing.label(ax, number, 1.14 * places[v], fontsize=7)
        if weights and len(marks.taken) <= MANY // 4:
            texts = [short_repr(weights[pair], 8) for pair in marks.taken]
            drawing.name_lines(ax, drawing.arcs(places, marks.taken), texts, places)
        drawing.hide_axes(ax)
        return marks.shown


@dataclass(frozen=True)
class ChosenVertices(GraphPicture):
    """A set of vertices, and the edges that it must have inside, or must not have."""

    adjacent: bool | None = None
    """Whether chosen vertices must be adjacent, True, or must not, False; None where neither is asked."""

    def marks(self, instance: Any, solution: Any) -> Marks:
        members, repeated = classify_listed(instance.n, solution)
        apart = list[Pair]()
        inside = [(u, v) for u, v, *_ in instance.edges if u in members and v in members]
        if self.adjacent:
            joined, lacking = set(inside), comb(len(members), 2) - len(inside)
            others = (pair for pair in combinations(sorted(members), 2) if pair not in joined)
            apart = list(islice(others, min(lacking, _BLOT)))
        shown = f"chosen (coloured): {len(members)} of {instance.n} vertices"
        taken, wrong = inside if self.adjacent else (), inside if self.adjacent is False else ()
        return Marks(shown, _coloured(instance.n, members), taken, wrong, apart, repeated)


class ColoredVertices(GraphPicture):
    """A colour for each vertex; its number stands outside, since areas repeat after eight colours."""

    margin: ClassVar = 0.12

    def marks(self, instance: Any, solution: Any) -> Marks:
        n = instance.n
        labels = {v: number for v, number in enumerate(solution[:n]) if number in range(n)}
        ranks = {number: rank for rank, number in enumerate(sorted({*labels.values()}))}
        shown = f"colours{', with their numbers outside' if n <= MANY else ''}: {len(ranks)}"
        shades = [PALETTE[ranks[labels[v]] % len(PALETTE)] if v in labels else "white" for v in range(n)]
        clashes = [(u, v) for u, v, *_ in instance.edges if u in labels and labels[u] == labels.get(v)]
        return Marks(shown, shades, (), clashes, (), {*range(n)}.difference(labels), [*labels.items()])


class Route(GraphPicture):
    """A cycle through vertices, in order."""

    untangled: ClassVar = True

    def marks(self, instance: Any, solution: Any) -> Marks:
        n, joined = instance.n, {edge[:2] for edge in instance.edges}
        visited, repeated = classify_listed(n, solution)
        steps = {(min(step), max(step)) for step in drawing.consecutive_pairs(n, solution)}
        ringed = {*repeated, *(visited if len(visited) < 3 else ())}
        shown, shades = f"visited (coloured): {len(visited)} of {n} vertices", _coloured(n, visited)
        return Marks(shown, shades, sorted(steps & joined), (), sorted(steps - joined), ringed)


class Halves(GraphPicture):
    """The vertices of one half, and the weighted edges that cross to the other."""

    thick: ClassVar = drawing.COST
    untangled: ClassVar = True

    def marks(self, instance: Any, solution: Any) -> Marks:
        half, repeated = classify_listed(instance.n, solution)
        cut = [edge for edge in instance.edges if (edge[0] in half) != (edge[1] in half)]
        shown = f"halves of {len(half)} and {instance.n - len(half)}; {len(cut)} edges between them weigh "
        shown += short_repr(sum([weight for *_, weight in cut]))
        shades = _coloured(instance.n, half, PALETTE[3])
        return Marks(shown, shades, [edge[:2] for edge in cut], ringed=repeated)


def _coloured(n: int, members: Collection[int], other: str = "white") -> list[str]:
    return [CHOSEN if v in members else other for v in range(n)]


def _near_linked(n: int, pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """Return a rank on the circle for each vertex: exchanges of two shorten the edges until none does.

    Integers throughout, so that every machine finds the same ranks.
    """
    steps = np.abs(np.arange(n)[:, None] - np.arange(n))
    lengths, linked, ranks = np.minimum(steps, n - steps), np.zeros((n, n), dtype=np.int64), np.arange(n)
    for u, v in pairs:
        linked[u, v] = linked[v, u] = 1
    while True:
        apart = lengths[ranks][:, ranks]
        total = linked @ apart  # [i, j]: the lengths of i's edges if i had j's rank
        change = total + total.T - total.diagonal() - total.diagonal()[:, None] + 2 * linked * apart
        i, j = divmod(int(change.argmin()), n)
        if change[i, j] >= 0:
            return ranks
        ranks[[i, j]] = ranks[[j, i]]
