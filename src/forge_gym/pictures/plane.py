"""A closed tour through places in the plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.checks import short_repr
from .drawing import MANY, PATH, Picture, bare, circle, dots, label, lines, links, sorted_out


class Tour(Picture):
    """Cities where they are, or on a circle where only distances are known, and the legs of a tour."""

    def paint(self, problem: Any, instance: Any, solution: Any, ax: Any) -> str:
        n = instance.size
        visited, again = sorted_out(n, solution)
        missing = () if solution is None else set(range(n)).difference(visited)
        legs = links(solution or (), n)
        where = np.array(instance.xy, dtype=float) if instance.xy else circle(n)
        lines(ax, where, legs, colors=PATH, linewidths=1.8, zorder=2)
        names = [problem.names_of(instance)[city] for city in range(n)]
        dots(ax, where, names, ringed={*missing, *again}, margin=0.1, beside=legs if n <= MANY else None)
        for a, b in legs if not instance.xy and n <= MANY // 4 else ():
            label(ax, short_repr(instance.rows[a][b], 8), 0.7 * where[a] + 0.3 * where[b], color=PATH)
        bare(ax)
        return f"{n} cities" if solution is None else f"{n} cities, {len(legs)} legs"
