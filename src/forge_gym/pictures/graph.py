"""Graphs on a circle: chosen vertices, colours, routes, and halves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import numpy as np

from ..core.checks import short_repr
from .drawing import (
    CHOSEN,
    COST,
    FAINT,
    MANY,
    PALETTE,
    PATH,
    WRONG,
    Picture,
    bare,
    circle,
    dots,
    label,
    lines,
    links,
    sorted_out,
)

_BLOT = 10_000
"""More lines than these would be no more than a blot."""


@dataclass(frozen=True)
class ChosenVertices(Picture):
    """A set of vertices in which every two are adjacent, or no two are."""

    adjacent: bool | None = None
    """Whether chosen vertices must be adjacent, True, or must not, False; None where neither is asked."""

    def paint(self, problem: Any, instance: Any, solution: Any, ax: Any) -> str:
        n = instance.n
        chosen, again = sorted_out(n, solution)
        taken = set(chosen)
        inside = [(u, v) for u, v, *_ in instance.edges if u in taken and v in taken]
        missing: list[tuple[int, int]] = []
        if self.adjacent:
            joined = set(inside)
            missing = list(
                islice((pair for pair in combinations(sorted(taken), 2) if pair not in joined), _BLOT)
            )
        shades = [CHOSEN if v in taken else "white" for v in range(n)]
        _draw_graph(
            problem,
            instance,
            ax,
            shades,
            marked=() if self.adjacent is False else inside,
            wrong=inside if self.adjacent is False else (),
            missing=missing,
            ringed=again,
        )
        return _size(instance) if solution is None else f"chosen (coloured): {len(chosen)} of {n} vertices"


class ColoredVertices(Picture):
    """A colour for each vertex."""

    def paint(self, problem: Any, instance: Any, solution: Any, ax: Any) -> str:
        n, labels = instance.n, solution or ()
        used = sorted({label for label in labels[:n] if label in range(n)})
        ranks = {v: used.index(label) for v, label in enumerate(labels[:n]) if label in range(n)}
        blank = () if solution is None else [v for v in range(n) if v not in ranks]
        clashes = [(u, v) for u, v in instance.edges if u in ranks and ranks[u] == ranks.get(v)]
        shades = [PALETTE[ranks[v] % len(PALETTE)] if v in ranks else "white" for v in range(n)]
        _draw_graph(problem, instance, ax, shades, wrong=clashes, ringed=blank, margin=0.14)
        if (
            len(used) > len(PALETTE) or solution is None
        ):  # areas repeat themselves: numbers tell colours apart
            few = n <= MANY and solution is not None
            for v, (x, y) in enumerate(circle(n)) if few else ():
                if v in ranks:
                    label(ax, used[ranks[v]], (1.15 * x, 1.15 * y), fontsize=6)
        return _size(instance) if solution is None else f"{n} vertices in {len(used)} colours"


class Route(Picture):
    """A cycle through vertices, in order."""

    def paint(self, problem: Any, instance: Any, solution: Any, ax: Any) -> str:
        n = instance.n
        visited, again = sorted_out(n, solution)
        steps = links(solution or (), n)
        joined = set(instance.edges)
        absent = [(a, b) for a, b in steps if (min(a, b), max(a, b)) not in joined]
        shades = [CHOSEN if v in visited else "white" for v in range(n)]
        marked = sorted(set(steps).difference(absent))
        few = visited if len(visited) < 3 else ()
        _draw_graph(problem, instance, ax, shades, marked, missing=absent, ringed=[*again, *few])
        return _size(instance) if solution is None else f"visited (coloured): {len(visited)} of {n} vertices"


class Halves(Picture):
    """The vertices of one half, and the weighted edges that cross to the other."""

    def paint(self, problem: Any, instance: Any, solution: Any, ax: Any) -> str:
        n, where = instance.n, circle(instance.n)
        heaviest = max((weight for _, _, weight in instance.edges), default=1)
        west, again = sorted_out(n, solution)
        half = set(west)
        cut = [edge for edge in instance.edges if (edge[0] in half) != (edge[1] in half)]
        within = sorted(set(instance.edges).difference(cut))
        for drawn, colour, order in ((within, FAINT, 1), (cut, COST, 2)):
            widths = [0.5 + 2.5 * (weight / heaviest) for _, _, weight in drawn]
            lines(ax, where, [(u, v) for u, v, _ in drawn], colors=colour, linewidths=widths, zorder=order)
        other = "white" if solution is None else PALETTE[3]
        names = [problem.names_of(instance)[v] for v in range(n)]
        dots(ax, where, names, [CHOSEN if v in half else other for v in range(n)], again)
        bare(ax)
        if solution is None:
            return f"{_size(instance)}, the thicker the heavier"
        taken = list(where)
        for u, v, weight in cut if len(cut) <= MANY // 4 else ():
            choices = where[u] + np.linspace(0.25, 0.75, 9)[:, None] * (where[v] - where[u])
            free = [np.hypot(*(np.array(taken) - choice).T).min() for choice in choices]
            taken.append(choices[int(np.argmax(np.round(free, 6)))])
            label(ax, short_repr(weight, 8), taken[-1])
        total = short_repr(sum(weight for *_, weight in cut))
        return f"halves of {len(half)} and {n - len(half)}; {len(cut)} edges between them weigh {total}"


def _size(graph: Any) -> str:
    return f"{graph.n} vertices, {len(graph.edges)} edges"


def _draw_graph(
    problem: Any,
    graph: Any,
    ax: Any,
    shades: Any = "white",
    marked: Sequence[tuple[int, int]] = (),
    *,
    wrong: Sequence[tuple[int, int]] = (),
    missing: Sequence[tuple[int, int]] = (),
    ringed: Iterable[int] = (),
    margin: float = 0.07,
) -> None:
    """Draw a graph on a circle, what a solution takes of it, and what is wrong with that.

    Parameters
    ----------
    problem, graph, ax
        The problem, the graph, and the matplotlib axes to draw on.
    shades
        One colour for all vertices, or one per vertex.
    marked
        Edges that are drawn above the others, thick.
    wrong, missing
        Edges that should not be, drawn thick, and pairs that should be edges, dashed; both in the colour of errors.
    ringed
        Vertices that break a constraint.
    margin
        Free room on each side, as a share of the drawing.
    """
    where, pairs = circle(graph.n), [(u, v) for u, v, *_ in graph.edges]
    few = len(pairs) <= 100
    thin = min(1.0, max(0.25, 12 / (len(pairs) + 1) ** 0.5))
    lines(ax, where, pairs, colors="#AAAAAA" if few else FAINT, linewidths=thin, zorder=1)
    lines(ax, where, marked, colors=PATH, linewidths=2, zorder=2)
    lines(ax, where, wrong, colors=WRONG, linewidths=3, zorder=2)
    lines(ax, where, missing, colors=WRONG, linewidths=1.8, linestyles=(0, (3, 2)), zorder=2)
    names = [problem.names_of(graph)[v] for v in range(graph.n)]
    dots(ax, where, names, shades, ringed, margin)
    bare(ax)
