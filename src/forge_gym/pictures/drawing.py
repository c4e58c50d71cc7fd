"""What pictures draw with: colours, places, and marks that are readable for three elements and for thousands.

Everything that breaks a constraint is drawn in `WRONG`, which nothing else is, and never by colour alone: it is
ringed, hatched, dashed or thick as well. Other sizes are chosen by eye, at 360 and 480 pixels, for 8 to 60 elements.

References
----------
P. Tol, "Colour schemes", SRON technical note EPS/TN/09-002, 2021: "light", for readers with any colour vision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import log10
from textwrap import fill, shorten
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

PALETTE = ("#77AADD", "#EE8866", "#EEDD88", "#44BB99", "#FFAABB", "#BBCC33", "#99DDFF", "#AAAA00")
"""Areas, of no meaning but to differ; they come round again."""
CHOSEN, PATH, COST, FAINT, INK = "#77AADD", "#2266AA", "#E69F00", "#D0D0D0", "#333333"
"""What a solution takes: areas, and lines; what it pays; what it leaves; outlines and texts."""
WRONG = "#CC0000"
"""What breaks a constraint."""
MANY = 60
"""Of more elements than these, a picture shows the whole and not its parts."""
READABLE = 4.0
"""Points of the smallest letters."""
_VECTORS = 2000
"""Of more shapes than these, a vector picture is slow to show: they become pixels in it."""

Places: TypeAlias = NDArray[np.float64]
"""(n, 2) coordinates."""
Pair: TypeAlias = tuple[int, int]
Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left edge, lower edge, width and height."""


def classify_listed(n: int, listed: Iterable[int] | None) -> tuple[dict[int, int], list[int]]:
    """Return how often each of the elements that exist is listed, and those that are listed more than once."""
    times = dict(Counter(element for element in listed or () if element in range(n)))
    return times, [element for element, count in times.items() if count > 1]


def consecutive_pairs(n: int, listed: Sequence[int]) -> list[Pair]:
    """Return the steps from each element to the next, and from the last to the first: those that can be drawn."""
    steps = pairwise((*listed, *listed[:1]))
    return [(a, b) for a, b in steps if a != b and a in range(n) and b in range(n)]


def printable(text: str) -> str:
    """Return ``text`` with a question mark for all that the font may lack: it has the letters of Latin-1."""
    shown = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return shown.encode("latin-1", "replace").decode("latin-1")


def extent(ax: Any) -> tuple[float, float]:
    """Return about the width and the height of the axes, in points."""
    points = 75 / ax.figure.dpi  # 72 to an inch, and what the layout adds
    return points * float(ax.bbox.width), points * float(ax.bbox.height)


def hide_axes(ax: Any) -> None:
    """Leave nothing of the axes but their caption: no ticks, no frame, one unit for both directions."""
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


def caption(ax: Any, shown: str, wrong: Iterable[str] = ()) -> None:
    """Write below the axes what is ``shown``, and below that what is ``wrong``, in its colour."""
    width = max(10, int(extent(ax)[0] / 4.6))  # points of a bold letter, about; others are narrower
    style: dict[str, Any] = {"fontsize": 8, "parse_math": False}
    below = ax.set_xlabel(fill(shown, 10 * width // 9) or " ", color=INK, **style)
    reasons = [fill(printable(shorten(reason, 200, placeholder=" ...")), width) for reason in wrong]
    if reasons:
        style |= {"color": WRONG, "weight": "bold", "ha": "center", "va": "top"}
        ax.annotate("\n".join(reasons), (0.5, 0), (0, -2), below, textcoords="offset points", **style)


def label(ax: Any, text: object, place: Any, shift: Any = (0, 0), *, halo: bool = True, **options: Any) -> None:
    """Write ``text`` at a place, moved by ``shift`` points, on a white ``halo`` that lines end at."""
    from matplotlib.patheffects import withStroke

    style = {"ha": "center", "va": "center_baseline", "fontsize": 8, "color": INK, "zorder": 5, **options}
    style |= {"path_effects": [withStroke(linewidth=2, foreground="white")] if halo else None}
    ax.annotate(str(text), place, shift, textcoords="offset points", parse_math=False, **style)


def power_of_ten(largest: int) -> tuple[int, str]:
    """Return the power of ten in which integers up to ``largest`` are drawn, and how to name it: ``, in 10^6``."""
    if largest < 10**7:
        return 1, ""
    power = int((largest.bit_length() - 1) * log10(2)) - 3
    return 10**power, f", in 10^{power}"


def circular_layout(n: int) -> Places:
    """Return places on the unit circle, clockwise from the top on."""
    angles = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def arcs(places: Places, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return (m, 3, 2) the control points of quadratic curves between places on the unit circle.

    The nearer two places are, the more their curve bends inward: a straight line would be hidden by dots.
    """
    ends = places[np.array(pairs, dtype=int).reshape(-1, 2)]
    middle = ends.mean(axis=1, keepdims=True)
    nearness = np.hypot(*middle.T).T[..., None] ** 4
    return np.concatenate([ends[:, :1], (1 - 0.35 * nearness) * middle, ends[:, 1:]], axis=1)


def lines(ax: Any, paths: NDArray[Any], **style: Any) -> None:
    """Draw straight lines, paths of 2 points, or curves of 3 control points; very many become pixels."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path

    if len(paths):
        codes = [Path.MOVETO, *[Path.LINETO if len(paths[0]) == 2 else Path.CURVE3] * (len(paths[0]) - 1)]
        drawn = PathCollection([Path(path, codes) for path in paths], facecolors="none", **style)
        drawn.set_rasterized(len(paths) > _VECTORS)
        drawn.set_antialiased(len(paths) <= 10 * _VECTORS)  # which takes most of the time
        ax.add_collection(drawn, autolim=False)


def name_lines(ax: Any, paths: NDArray[Any], texts: Iterable[str], places: Places) -> None:
    """Write a text on each of the curves of `arcs`, as far as can be from the ``places`` and from other texts."""
    share, taken = np.linspace(0.25, 0.75, 9)[:, None], list(places)
    for text, (start, control, end) in zip(texts, paths, strict=True):
        choices = (1 - share) ** 2 * start + 2 * share * (1 - share) * control + share**2 * end
        room = np.hypot(*(np.array(taken)[:, None] - choices).T).min(axis=1)
        taken.append(choices[int(np.argmax(np.round(room, 6)))])
        label(ax, text, taken[-1])


def dots(
    ax: Any,
    places: Places,
    names: Sequence[object],
    shades: Any = "white",
    ringed: Iterable[int] = (),
    margin: float = 0.07,
    beside: Sequence[Pair] | None = None,
) -> None:
    """Draw a circle with its name at each place, as large as there is room; those that are ``ringed`` are wrong.

    Names that do not fit are left out, or stand beside the circles, off the lines ``beside`` if those are given.
    """
    low, high = places.min(axis=0), places.max(axis=0)
    span = max(1e-9, float((high - low).max()))
    (left, bottom), room = (low + high) / 2 - (0.5 + margin) * span, (1 + 2 * margin) * span
    ax.set(xlim=(left, left + room), ylim=(bottom, bottom + room))
    scale = min(extent(ax)) / room
    diameter = min(18.0, max(2.0, 0.85 * scale * _closest(places)))
    fontsize = min(9.0, 1.2 * diameter / max(1.5, max(len(str(name)) for name in names)))
    if outside := beside is not None and fontsize < 5.5:
        diameter, fontsize = 6.0, 7.0
    style = {"edgecolors": INK, "linewidths": min(0.8, diameter / 12), "zorder": 3}
    ax.scatter(*places.T, s=diameter**2, c=shades, **style)
    if ringed := sorted(ringed):
        style = {"edgecolors": WRONG, "facecolors": "none", "linewidths": 2, "zorder": 4}
        ax.scatter(*places[ringed].T, s=(diameter + 5) ** 2, **style)
    if fontsize < READABLE:
        return
    shifts = np.zeros((len(places), 2))
    if outside:
        shifts = _free_sides(places * scale, diameter + 7 * bool(ringed), fontsize, names, beside or ())
    for name, place, shift in zip(names, places, shifts, strict=True):
        label(ax, name, place, shift, fontsize=fontsize, halo=outside)


def _closest(places: Places) -> float:
    """Return the least distance between two places; 0 for so many that dots are small anyway."""
    if len(places) > 10 * MANY:
        return 0.0
    distances = np.hypot(*(places[:, None] - places).T)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min())


def _free_sides(
    places: Places, diameter: float, fontsize: float, names: Sequence[object], pairs: Sequence[Pair]
) -> Places:
    """Return where to write each name beside its circle, so that it covers as little as possible: one by one."""
    angles = np.pi / 4 * np.arange(8)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    taken = [(*place, diameter, diameter) for place in places]  # centre, width and height
    for a, b in pairs[:200]:
        steps = max(1, int(np.hypot(*(places[b] - places[a])) / 3))
        taken += [(*place, 2.0, 2.0) for place in np.linspace(places[a], places[b], steps)]
    shifts = []
    for name, place in zip(names, places, strict=True):
        size = np.array([0.65 * fontsize * len(str(name)), fontsize])
        choices, (x, y, width, height) = directions * (size + diameter + 2) / 2, np.array(taken).T
        across = (size[0] + width) / 2 - np.abs(x - (place + choices)[:, :1])
        along = (size[1] + height) / 2 - np.abs(y - (place + choices)[:, 1:])
        covered = (across.clip(0) * along.clip(0)).sum(axis=1)
        shifts.append(choices[int(np.argmin(np.round(covered, 6)))])
        taken.append((*(place + shifts[-1]), *size))
    return np.array(shifts)


def boxes(ax: Any, rectangles: Sequence[Rectangle], **style: Any) -> None:
    """Draw rectangles in one go."""
    from matplotlib.collections import PolyCollection

    if len(rectangles):
        given = np.array(rectangles, dtype=float)[:, None]
        corners: Any = given[..., :2] + given[..., 2:] * [(0, 0), (1, 0), (1, 1), (0, 1)]
        drawn = PolyCollection(corners, **style)
        drawn.set_rasterized(len(rectangles) > _VECTORS)
        ax.add_collection(drawn)


def hatched(ax: Any, rectangles: Sequence[Rectangle]) -> None:
    """Mark rectangles as wrong."""
    light = (1.0, 1.0, 1.0, 0.4)
    boxes(ax, rectangles, facecolors=[light], edgecolors=WRONG, hatch="////", linewidths=1.5, zorder=4)


def name_rows(
    ax: Any, names: Sequence[object], centres: Sequence[float], times: Mapping[int, int] | None = None
) -> float:
    """Name the rows at their ``centres``, and return the size of the names: 0 where there is no room to read them.

    ``times`` says how often a solution takes a row: those rows are bold, and more than once is wrong.
    """
    fontsize = min(8.0, 0.9 * extent(ax)[1] / (max(centres) - min(centres) + 1))
    ax.tick_params(axis="both", labelsize=8)
    ax.tick_params(axis="y", length=0)
    if fontsize < READABLE:
        ax.set_yticks([])
        return 0.0
    counts = [(times or {}).get(row, 0) for row in range(len(names))]
    texts = [f"{name} ×{count}" if count > 1 else str(name) for name, count in zip(names, counts, strict=True)]
    ax.set_yticks(centres, texts, fontsize=fontsize)
    for text, count in zip(ax.get_yticklabels(), counts, strict=True):
        text.set(color=WRONG if count > 1 else INK, weight="bold" if count else "normal")
    return fontsize
