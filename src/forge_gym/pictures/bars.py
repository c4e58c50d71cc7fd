"""Bars that add up toward a limit: packs, and sums of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..core.checks import short_repr
from .drawing import (
    CHOSEN,
    FAINT,
    INK,
    PALETTE,
    Picture,
    Rectangle,
    boxes,
    hatched,
    label,
    name_rows,
    sorted_out,
    unit,
)


@dataclass(frozen=True)
class Waterfall(Picture):
    """A row for each element, whose bar begins where the sum of the chosen ones before it ends."""

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

    def paint(self, problem: Any, instance: Any, solution: Any, ax: Any) -> str:
        sizes, most, order = (getattr(instance, name) for name in (self.sizes, self.limit, self.order))
        chosen, again = sorted_out(instance.size, solution)
        per, power = unit(max(most, sum(sizes)))
        names = [problem.names_of(instance)[i] for i in order]
        end, fontsize = _waterfall(ax, sizes, (self.limit, most), per, order, names, set(chosen), again)
        total = sum([sizes[i] for i in chosen])
        if self.exact and solution is not None and total < most:
            hatched(ax, [(total / per, -0.9, (most - total) / per, 0.4)])
        told = f"{self.sizes}{power}: {short_repr(total)} of {short_repr(most)}"
        if self.values:
            values = getattr(instance, self.values)
            self._draw_values(ax, values, order, set(chosen), end, fontsize)
            told += f", {self.values} {short_repr(sum([values[i] for i in chosen]))}"
        return f"{self.sizes}{power}" if solution is None else told

    def _draw_values(
        self,
        ax: Any,
        values: Sequence[int],
        order: Sequence[int],
        chosen: set[int],
        end: float,
        fontsize: float,
    ) -> None:
        most = max(1, *values)
        for taken, style in (
            (True, {"facecolors": PALETTE[2], "edgecolors": INK}),
            (False, {"facecolors": FAINT}),
        ):
            at = [(row, values[i] / most) for row, i in enumerate(order) if (i in chosen) == taken]
            bars = [(-0.02 * end, row - 0.4, -0.22 * end * share, 0.8) for row, share in at]
            boxes(ax, bars, linewidths=0.6, **style)
        for row, i in enumerate(order) if fontsize else ():
            place = (-0.03 * end - 0.22 * end * (values[i] / most), row)
            label(ax, short_repr(values[i], 8), place, ha="right", fontsize=fontsize)
        label(ax, self.values, (-0.02 * end, -1.3), ha="right")
        ax.set_xlim(left=-0.38 * end)
        ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= end])


def _waterfall(
    ax: Any,
    sizes: Sequence[int],
    limit: tuple[str, int],
    per: int,
    order: Sequence[int],
    names: Sequence[object],
    taken: set[int],
    wrong: set[int],
) -> tuple[float, float]:
    """Draw a row for each element, in ``order``: those ``taken`` add up toward the ``limit``, the others would.

    What lies beyond the limit is hatched, names of elements that are ``wrong`` have its colour.

    Parameters
    ----------
    ax, sizes, limit
        The axes; the size of every element; what they add up to at most, and its name.
    per
        What one unit of the axis is, see `unit`.
    order, names
        The elements from above, and in that order their names.
    taken, wrong
        Elements, by number.

    Returns
    -------
    tuple of two float
        The right end of the longest bar, in units of the axis, and the size of the texts, 0 where there are none.
    """
    what, most = limit
    level, right = 0, most
    kinds: dict[str, list[Rectangle]] = {CHOSEN: [], FAINT: []}
    beyond, steps, ends = [], [], []
    for row, i in enumerate(order):
        after = level + sizes[i]
        kinds[CHOSEN if i in taken else FAINT].append((level / per, row - 0.4, sizes[i] / per, 0.8))
        right = max(right, after)
        ends.append(after / per)
        if i in taken:
            if after > most:
                start = max(level, most)
                beyond.append((start / per, row - 0.4, (after - start) / per, 0.8))
            level = after
            steps.append((level / per, row))
    for colour, found in kinds.items():
        boxes(ax, found, facecolors=colour, edgecolors=INK if colour == CHOSEN else "none", linewidths=0.6)
    hatched(ax, beyond)
    falls = [(x, row + 0.4, below - 0.4) for (x, row), (_, below) in pairwise(steps)]
    ax.vlines(*zip(*falls, strict=True) if falls else ((), (), ()), color=INK, linewidth=0.6)
    end, far = most / per, right / per
    ax.plot([end, end], [-0.9, len(order) - 0.4], color=INK, linewidth=1.5, linestyle=(0, (4, 2)), zorder=5)
    label(ax, f"{what} {short_repr(most, 11)}", (end, -1.3), ha="right" if 2 * end > far else "left")
    ax.set_xlim(0, 1.12 * far)
    ax.set_ylim(len(order) - 0.3, -1.9)
    held = {row for row, i in enumerate(order) if i in taken}
    fontsize = name_rows(ax, names, bold=held, wrong={row for row, i in enumerate(order) if i in wrong})
    if fontsize:
        for row, (i, x) in enumerate(zip(order, ends, strict=True)):
            label(ax, short_repr(sizes[i], 11), (x, row), (2, 0), ha="left", fontsize=fontsize)
    ax.spines[["left", "top", "right"]].set_visible(False)
    ax.tick_params(axis="x", labelsize=8)
    return far, fontsize
