"""A closed tour through places in the plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.checks import short_repr
from . import drawing
from .drawing import MANY, Places
from .picture import DotPicture


class Tour(DotPicture):
    """Cities where they are, or on a circle where only distances are known, and the legs of a tour."""

    def places(self, instance: Any) -> Places:
        return np.array(instance.xy, dtype=float) if instance.xy else drawing.circular_layout(instance.size)

    def draw_elements(self, instance: Any, solution: Any, names: Any, ax: Any) -> str:
        n, legs = instance.size, drawing.consecutive_pairs(instance.size, solution or ())
        visited, repeated = drawing.classify_listed(n, solution)
        missing = () if solution is None else set(range(n)).difference(visited)
        places, ends = self.places(instance), np.array(legs, dtype=int).reshape(-1, 2)
        paths = places[ends] if instance.xy else drawing.arcs(places, legs)
        drawing.lines(ax, paths, edgecolors=drawing.PATH, linewidths=1.8, zorder=2)
        called, beside = [names[city] for city in range(n)], legs if n <= MANY else None
        drawing.dots(ax, places, called, ringed={*missing, *repeated}, margin=0.1, beside=beside)
        if not instance.xy and n <= MANY // 4:
            drawing.name_lines(ax, paths, [short_repr(instance.rows[a][b], 8) for a, b in legs], places)
        drawing.hide_axes(ax)
        return f"{n} cities" if solution is None else f"{n} cities, {len(legs)} legs"
