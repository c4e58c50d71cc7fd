"""Bars that add up toward a limit: packs, and sums of numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from ..core.checks import short_repr
from . import drawing
from .drawing import FAINT, INK, Rectangle, boxes, label
from .picture import RowPicture


@dataclass(frozen=True)
class Waterfall(RowPicture):
    """A row for each element, whose bar begins where the sum of the chosen ones above ends.

    What lies beyond the limit is hatched. The axis is the same for all feasible solutions, and has room for each.
    """

    sizes: str
    """The field of the instance with the size of each element."""
    limit: str
    """The field with what they add up to at most."""
    order: str
    """The attribute with the elements in the order of the rows."""
    values: str = ""
    """The field with the value of each element, drawn to the left; empty where there is none."""
    exact: bool = False
    """Whether what the sum lacks of the limit is wrong too."""

    def rows(self, instance: Any) -> Sequence[int]:
        order: Sequence[int] = getattr(instance, self.order)
        return order

    def draw_elements(self, instance: Any, solution: Any, names: Any, ax: Any) -> str:
        limit, order = getattr(instance, self.limit), self.rows(instance)
        taken, _ = drawing.classify_listed(instance.size, solution)
        times = {row: taken[i] for row, i in enumerate(order) if i in taken}
        sizes = [getattr(instance, self.sizes)[i] for i in order]  # of the rows, as all lists from here on
        *starts, total = accumulate([size * (row in times) for row, size in enumerate(sizes)], initial=0)
        ends = [start + size for start, size in zip(starts, sizes, strict=True)]
        unit, power = drawing.power_of_ten(max(limit, sum(sizes)))
        line, right = limit / unit, max(limit + max(sizes), *ends) / unit
        bars = [(start / unit, row - 0.4, sizes[row] / unit, 0.8) for row, start in enumerate(starts)]
        _draw_bars(ax, bars, times, drawing.CHOSEN)
        beyond = [(row, max(starts[row], limit), ends[row]) for row in times if ends[row] > limit]
        wrong = [(low / unit, row - 0.4, (high - low) / unit, 0.8) for row, low, high in beyond]
        if self.exact and solution is not None and total < limit:
            wrong.append((total / unit, -0.9, (limit - total) / unit, 0.4))
        drawing.hatched(ax, wrong)
        for row, below in pairwise(times):
            ax.plot([ends[row] / unit] * 2, [row + 0.4, below - 0.4], color=INK, linewidth=0.6)
        ax.plot([line, line], [-0.9, len(order) - 0.4], color=INK, linestyle=(0, (4, 2)), zorder=5)
        side = "right" if 2 * line > right else "left"
        label(ax, f"{self.limit} {short_repr(limit, 11)}", (line, -1), (0, 7), ha=side)
        ax.set(xlim=(0, 1.12 * right), ylim=(len(order) - 0.3, -1))
        ax.spines[["left", "top", "right"]].set_visible(False)
        fontsize = drawing.name_rows(ax, [names[i] for i in order], range(len(order)), times)
        for row, size in enumerate(sizes) if fontsize else ():
            end = ends[row] / unit
            place = (line if 0 < line - end < 0.07 * right else end, row)  # no number is crossed by the limit
            label(ax, short_repr(size, 11), place, (2, 0), ha="left", fontsize=fontsize)
        worth = ""
        if self.values:
            values = [getattr(instance, self.values)[i] for i in order]
            worth = f", {self.values} {short_repr(sum([values[row] for row in times]))}"
            self._draw_values(ax, values, times, right, fontsize)
        if solution is None:
            return f"{self.sizes}{power}, {self.order.replace('_', ' ')}"
        told = f"{self.sizes}{power}: {short_repr(total)} of {short_repr(limit)}{worth}"
        return f"{told}; chosen: {len(times)} of {len(order)}"

    def _draw_values(
        self, ax: Any, values: Sequence[int], held: Collection[int], right: float, fontsize: float
    ) -> None:
        """Draw a bar for each value to the left of the axis, the longest over a fifth of it."""
        lengths = [0.22 * right * (value / max(1, *values)) for value in values]
        bars = [(-0.02 * right, row - 0.4, -length, 0.8) for row, length in enumerate(lengths)]
        _draw_bars(ax, bars, held, drawing.PALETTE[2])
        for row, length in enumerate(lengths) if fontsize else ():
            place = (-0.03 * right - length, row)
            label(ax, short_repr(values[row], 8), place, ha="right", fontsize=fontsize)
        label(ax, self.values, (-0.02 * right, -1), (0, 7), ha="right")
        ax.set_xlim(left=-0.38 * right)
        ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= right])


def _draw_bars(ax: Any, bars: Sequence[Rectangle], held: Collection[int], area: str) -> None:
    """Draw a bar in each row: those in the rows ``held`` have an outline and their own colour."""
    rows, outline = range(len(bars)), INK if len(bars) <= drawing.MANY else "none"
    style = {"edgecolors": [outline if row in held else "none" for row in rows], "linewidths": 0.6}
    boxes(ax, bars, facecolors=[area if row in held else FAINT for row in rows], **style)
