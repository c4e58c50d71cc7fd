"""Which set holds which element, as a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .drawing import CHOSEN, FAINT, INK, MANY, Picture, hatched, name_rows, sorted_out


@dataclass(frozen=True)
class Incidence(Picture):
    """A row for each subset, a column for each element of the universe; rows of chosen subsets are coloured."""

    subsets: str
    """The field of the instance with the subsets."""
    universe: str
    """The field with the number of their elements."""
    costs: str = ""
    """The field with the cost of each subset, named where costs differ."""

    def paint(self, problem: Any, instance: Any, solution: Any, ax: Any) -> str:
        from matplotlib.colors import to_rgb

        n, universe = instance.size, getattr(instance, self.universe)
        chosen, again = sorted_out(n, solution)
        held = np.zeros((n, universe), dtype=np.uint8)
        for j, members in enumerate(getattr(instance, self.subsets)):
            held[j, list(members)] = 2 if j in chosen else 1
        shades = np.array([to_rgb(colour) for colour in ("white", FAINT, CHOSEN)])
        ax.imshow((255 * shades).astype(np.uint8)[held], aspect="auto", interpolation="nearest")
        if max(n, universe) <= 2 * MANY:
            style = {"color": "white", "linewidth": 1}
            ax.vlines(np.arange(0.5, universe - 1), -0.5, n - 0.5, **style)
            ax.hlines(np.arange(0.5, n - 1), -0.5, universe - 0.5, **style)
        uncovered = [] if solution is None else np.flatnonzero(held.max(axis=0) < 2).tolist()
        hatched(ax, [(e - 0.5, -0.5, 1, n) for e in uncovered])
        costs = getattr(instance, self.costs) if self.costs else ()
        named = len(set(costs)) > 1
        names = [f"{problem.names_of(instance)[j]}{f' (cost {costs[j]})' if named else ''}" for j in range(n)]
        name_rows(ax, names, bold=chosen, wrong=again)
        ax.tick_params(axis="x", labelsize=8)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_ylabel(problem.noun, fontsize=8, color=INK)
        return "element" if solution is None else f"element; chosen (coloured): {len(chosen)} of {n} rows"
