"""Which set holds which element, as a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import drawing
from .picture import RowPicture


@dataclass(frozen=True)
class Incidence(RowPicture):
    """A row for each set, a column for each element of the universe: chosen rows are coloured, what they lack hatched.

    The fields of the instance are named that have the sets, the number of their elements, and costs, if there are any.
    """

    sets: str
    universe: str
    costs: str = ""

    def draw_elements(self, instance: Any, solution: Any, names: Any, ax: Any) -> str:
        from matplotlib.colors import to_rgb

        n, universe = instance.size, getattr(instance, self.universe)
        times, _ = drawing.classify_listed(n, solution)
        held = np.zeros((n, universe), dtype=np.uint8)
        for row, members in enumerate(getattr(instance, self.sets)):
            held[row, list(members)] = 1
        held[list(times)] *= 2
        shades = np.array([to_rgb(colour) for colour in ("white", drawing.FAINT, drawing.CHOSEN)])
        ax.imshow((255 * shades).astype(np.uint8)[held], aspect="auto", interpolation="nearest")
        if max(n, universe) <= 2 * drawing.MANY:  # a grid, while its cells are wider than its lines
            ax.vlines(np.arange(0.5, universe - 1), -0.5, n - 0.5, color="white", linewidth=1)
            ax.hlines(np.arange(0.5, n - 1), -0.5, universe - 0.5, color="white", linewidth=1)
        uncovered = np.flatnonzero(held.max(axis=0) < 2) if solution is not None else np.zeros(0)
        runs = np.split(uncovered, np.flatnonzero(np.diff(uncovered) > 1) + 1)
        drawing.hatched(ax, [(run[0] - 0.5, -0.5, len(run), n) for run in runs if len(run)])
        costs = getattr(instance, self.costs) if self.costs else ()
        notes = [f" (cost {cost})" for cost in costs] if len(set(costs)) > 1 else [""] * n
        drawing.name_rows(ax, [f"{names[row]}{notes[row]}" for row in range(n)], range(n), times)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_ylabel(self.sets, fontsize=8, color=drawing.INK, parse_math=False)
        chosen = "" if solution is None else f"; chosen (coloured): {len(times)} of {n} {self.sets}"
        return f"element{chosen}"
