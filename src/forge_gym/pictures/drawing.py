"""`Picture`: from an instance and a solution to an image, and what all pictures share: palette, marks, captions.

Everything that breaks a constraint is drawn in `WRONG`, which nothing else is, and never by colour alone: it is ringed,
hatched, dashed or thick as well. Under the picture stands in the same colour what the verifier says is wrong.

References
----------
P. Tol, "Colour schemes", SRON technical note EPS/TN/09-002, 2021: "light", whose colours readers with any
colour vision tell apart, and on which black text is read well.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from io import BytesIO
from itertools import pairwise
from math import log10
from textwrap import fill, shorten
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_choice, short_repr
from ..core.problem import Problem
from ..core.verdict import Number

FORMATS = ("png", "svg")
PALETTE = ("#77AADD", "#EE8866", "#EEDD88", "#44BB99", "#FFAABB", "#BBCC33", "#99DDFF", "#AAAA00")
"""Areas, of no meaning but to differ; they come round again."""
CHOSEN, PATH, COST, FAINT, INK = "#77AADD", "#2266AA", "#E69F00", "#D0D0D0", "#333333"
"""What a solution takes: areas, and lines; what it pays; what it leaves; outlines and texts."""
WRONG = "#CC0000"
"""What breaks a constraint."""

_STYLE = ("default", {"svg.hashsalt": "forge-gym", "hatch.linewidth": 1.2, "axes.edgecolor": INK})
_LOCK = threading.Lock()
"""Matplotlib's settings are global: one thread draws at a time."""
_VECTORS = 2000
"""More lines than these make a vector picture slow."""
MANY = 60
"""From more elements than these on, a picture shows the whole and not its parts."""
_REASON = 200
"""Most characters of a reason: a number in it may have thousands of digits."""
_READABLE = 4.0
"""Points of the smallest letters."""

T = TypeVar("T")
Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left edge, lower edge, width and height."""


class Picture(ABC):
    """What draws the instances and solutions of a problem."""

    @abstractmethod
    def paint(self, problem: Any, instance: Any, solution: Any, ax: Any) -> str:
        """Draw on the matplotlib axes ``ax``, and return what to say under it.

        ``solution`` is any that can be read, feasible or not; None stands for the instance alone. Where elements are
        placed must not depend on it. What the solution breaks is marked in `WRONG`.
        """

    def draw(self, problem: Problem[Any, Any], instance: Any, solution: Any, ax: Any) -> None:
        """Draw an instance, and a solution unless it is None, on the matplotlib axes ``ax``."""
        told = self.paint(problem, instance, solution, ax)
        broken = () if solution is None else problem.violations(instance, solution)
        say(ax, told, [shorten(violation.reason, _REASON, placeholder=" ...") for violation in broken])

    def image(
        self,
        problem: Problem[Any, Any],
        instance: Any,
        solution: Any = None,
        *,
        format: str = "png",
        size: tuple[float, float] = (4.8, 4.8),
        dpi: int = 100,
        title: str | None = None,
    ) -> bytes:
        """Return the picture of an instance and, if given, of a solution, as the bytes of an image file.

        Equal arguments give equal bytes. Neither pyplot nor the settings of the user's matplotlib play a part.

        Parameters
        ----------
        problem, instance
            The instance and the problem that it belongs to.
        solution
            Anything that ``problem.parse_reply`` returns, feasible or not; None draws the instance alone.
        format
            ``png`` or ``svg``.
        size
            Width and height in inches, at least 2 each. The default is readable at 360 pixels of a screen.
        dpi
            Pixels per inch.
        title
            Heading; None says what `summary` says, an empty one is left out.

        Raises
        ------
        ValueError
            If the format is another.
        """
        check_choice("format", format, FORMATS)

        def save(figure: Any) -> bytes:
            file, undated = BytesIO(), {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
            figure.savefig(file, format=format, metadata=undated[format])
            return file.getvalue()

        return self._drawn(problem, instance, solution, size, dpi, title, save)

    def pixels(
        self,
        problem: Problem[Any, Any],
        instance: Any,
        solution: Any = None,
        *,
        size: tuple[float, float] = (4.8, 4.8),
        dpi: int = 100,
        title: str | None = None,
    ) -> NDArray[np.uint8]:
        """Return the same picture as `image` does, as an (h, w, 3) array."""

        def read(figure: Any) -> NDArray[np.uint8]:
            figure.canvas.draw()
            return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()

        return self._drawn(problem, instance, solution, size, dpi, title, read)

    def _drawn(
        self,
        problem: Problem[Any, Any],
        instance: Any,
        solution: Any,
        size: tuple[float, float],
        dpi: int,
        title: str | None,
        use: Callable[[Any], T],
    ) -> T:
        """Return what ``use`` makes of the finished figure."""
        from matplotlib import style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        if title is None:
            title = summary(problem, instance, solution)
        with _LOCK, style.context(_STYLE):
            figure = Figure(figsize=size, dpi=dpi, layout="constrained")
            FigureCanvasAgg(figure)
            self.draw(problem, instance, solution, figure.add_subplot())
            if title:
                # The font has the letters of Latin-1; a dollar sign starts no formula.
                shown = "".join(c if c.isprintable() or c == "\n" else "?" for c in title)
                shown = shown.encode("latin-1", "replace").decode("latin-1")
                figure.suptitle(shown, fontsize=10, wrap=True, parse_math=False)
            return use(figure)


def summary(problem: Problem[Any, Any], instance: Any, solution: Any = None) -> str:
    """Return one line on a solution: its objective, or which constraints it breaks and by how much.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=5)
    >>> summary(tsp, tsp.instance(), (0, 1, 1, 2))
    'TSP: infeasible, visited by 2, once by 1'
    """
    if solution is None:
        return problem.name
    violations = problem.violations(instance, solution)
    if not violations:
        return f"{problem.name}: objective {_number(problem.objective(instance, solution))}"
    broken = ", ".join(f"{violation.family} by {_number(violation.amount)}" for violation in violations)
    return f"{problem.name}: infeasible, {broken}"


def _number(number: Number) -> str:
    return short_repr(number) if isinstance(number, int) else str(number)


# ---------------------------------------------------------------- what pictures share


def bare(ax: Any) -> None:
    """Leave nothing of the axes but their caption: no ticks, no frame, one unit for both directions."""
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


def say(ax: Any, told: str, wrong: Sequence[str] = ()) -> None:
    """Write ``told`` under the axes, and under it what is ``wrong``, in its colour."""
    wide = max(10, int(extent(ax)[0] / 4))
    caption = ax.set_xlabel(fill(told, wide) or " ", fontsize=8, color=INK, parse_math=False)
    if wrong:
        ax.annotate(
            "\n".join(fill(line, wide) for line in wrong),
            (0.5, 0),
            xycoords=caption,
            xytext=(0, -2),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            color=WRONG,
            weight="bold",
            parse_math=False,
        )


def extent(ax: Any) -> tuple[float, float]:
    """Return about the width and the height of the axes, in points."""
    points = 75 / ax.figure.dpi  # 72 to an inch, and what the layout adds
    return points * float(ax.bbox.width), points * float(ax.bbox.height)


def sorted_out(n: int, solution: Sequence[int] | None) -> tuple[list[int], set[int]]:
    """Return the elements of a list that exist, each once, and those that are listed again.

    Examples
    --------
    >>> sorted_out(4, (1, 3, 1, 9))
    ([1, 3], {1})
    """
    times = Counter(element for element in solution or () if element in range(n))
    return list(times), {element for element, count in times.items() if count > 1}


def links(listed: Sequence[int], n: int, closed: bool = True) -> list[tuple[int, int]]:
    """Return the steps from each element to the next, and from the last to the first: those that can be drawn.

    Examples
    --------
    >>> links((2, 0, 1), 3), links((0, 0, 9, 1), 3, closed=False)
    ([(2, 0), (0, 1), (1, 2)], [])
    """
    ends = pairwise((*listed, *listed[:1]) if closed else listed)
    return [(a, b) for a, b in ends if a != b and a in range(n) and b in range(n)]


def circle(n: int) -> NDArray[np.float64]:
    """Return (n, 2) places on the unit circle, clockwise from the top on."""
    angles = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def lines(ax: Any, where: NDArray[Any], pairs: Sequence[tuple[int, int]], **style: Any) -> None:
    """Draw a line between the places of each pair; very many become pixels in a vector picture."""
    from matplotlib.collections import LineCollection

    if len(pairs):
        drawn = LineCollection(where[np.array(pairs)], **style)
        drawn.set_rasterized(len(pairs) > _VECTORS)
        drawn.set_antialiased(len(pairs) <= 10 * _VECTORS)  # which takes most of the time
        ax.add_collection(drawn, autolim=False)


def dots(
    ax: Any,
    where: NDArray[Any],
    names: Sequence[object],
    shades: Any = "white",
    ringed: Iterable[int] = (),
    margin: float = 0.07,
    beside: Sequence[tuple[int, int]] | None = None,
) -> None:
    """Draw a circle with its name at each place, as large as there is room; those that are ``ringed`` are wrong.

    Names that do not fit into the circles are left out, or stand beside them where the lines ``beside`` are
    given, which they keep off.
    """
    low, high = where.min(axis=0), where.max(axis=0)
    span = max(1e-9, float((high - low).max()))
    ax.set_xlim(low[0] - margin * span, high[0] + margin * span)
    ax.set_ylim(low[1] - margin * span, high[1] + margin * span)
    scale = min(extent(ax)) / ((1 + 2 * margin) * span)
    diameter = min(18.0, max(2.0, 0.85 * scale * _closest(where)))
    fontsize = min(9.0, 1.2 * diameter / max(1.5, max(len(str(name)) for name in names)))
    outside = beside is not None and fontsize < 7
    if outside:
        diameter, fontsize = 6.0, 7.0
    style = {"edgecolors": INK, "linewidths": min(0.8, diameter / 12), "zorder": 3}
    ax.scatter(*where.T, s=diameter**2, c=shades, **style)
    if ringed := sorted(ringed):
        style = {"edgecolors": WRONG, "facecolors": "none", "linewidths": 2, "zorder": 4}
        ax.scatter(*where[ringed].T, s=(diameter + 5) ** 2, **style)
    if fontsize < _READABLE:
        return
    shifts = np.zeros((len(where), 2))
    if beside is not None and outside:
        shifts = _free(where * scale, diameter + 7 * bool(ringed), fontsize, names, beside)
    for name, place, shift in zip(names, where, shifts, strict=True):
        label(ax, name, place, shift, fontsize=fontsize, halo=outside)


def label(
    ax: Any,
    text: object,
    place: Any,
    shift: Any = (0, 0),
    *,
    ha: str = "center",
    va: str = "center_baseline",
    fontsize: float = 8.0,
    color: str = INK,
    halo: bool = True,
) -> None:
    """Write ``text`` at a place, moved by ``shift`` points, on a white ``halo`` that lines end at."""
    from matplotlib.patheffects import withStroke

    ax.annotate(
        str(text),
        place,
        shift,
        textcoords="offset points",
        ha=ha,
        va=va,
        fontsize=fontsize,
        color=color,
        parse_math=False,
        path_effects=[withStroke(linewidth=2, foreground="white")] if halo else None,
        zorder=5,
    )


def _closest(where: NDArray[Any]) -> float:
    """Return the least distance between two of the places."""
    least = np.inf
    for i in range(len(where) - 1):
        least = min(least, float(((where[i + 1 :] - where[i]) ** 2).sum(axis=1).min()))
    return float(np.sqrt(least))


def _free(
    where: NDArray[Any],
    diameter: float,
    fontsize: float,
    names: Sequence[object],
    pairs: Sequence[tuple[int, int]],
) -> NDArray[np.float64]:
    """Return where to write each name beside its circle, so that it covers as little as possible: one by one."""
    angles = np.pi / 4 * np.arange(8)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    taken = [(*place, diameter, diameter) for place in where]  # centre, width and height
    for a, b in pairs[:1000]:
        steps = max(1, int(np.hypot(*(where[b] - where[a])) / 3))
        taken += [(*place, 2.0, 2.0) for place in np.linspace(where[a], where[b], steps)]
    shifts = []
    for name, place in zip(names, where, strict=True):
        size = np.array([0.65 * fontsize * len(str(name)), fontsize])
        choices = directions * (size + diameter + 2) / 2
        boxes = np.array(taken)
        covered = []
        for x, y in place + choices:
            across = (size[0] + boxes[:, 2]) / 2 - np.abs(boxes[:, 0] - x)
            along = (size[1] + boxes[:, 3]) / 2 - np.abs(boxes[:, 1] - y)
            covered.append((across.clip(0) * along.clip(0)).sum())
        best = int(np.argmin(np.round(covered, 6)))
        shifts.append(choices[best])
        taken.append((*(place + choices[best]), *size))
    return np.array(shifts)


def boxes(ax: Any, rectangles: Sequence[Rectangle], **style: Any) -> None:
    """Draw rectangles in one go."""
    from matplotlib.collections import PolyCollection

    if len(rectangles):
        x, y, width, height = np.array(rectangles, dtype=float).T
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        each: Any = np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)
        drawn = PolyCollection(each, **style)
        drawn.set_rasterized(len(rectangles) > _VECTORS)
        ax.add_collection(drawn)


def hatched(ax: Any, rectangles: Sequence[Rectangle]) -> None:
    """Mark rectangles as wrong."""
    light = (1.0, 1.0, 1.0, 0.6)
    boxes(ax, rectangles, facecolors=[light], edgecolors=WRONG, hatch="////", linewidths=1.5, zorder=4)


def name_rows(
    ax: Any,
    names: Sequence[object],
    centres: Sequence[float] | None = None,
    bold: Collection[int] = (),
    wrong: Collection[int] = (),
) -> float:
    """Name the rows 0, 1, 2, ... from above, as large as there is room, and return the size of the names.

    It is 0 where names would be too small to read, and there are none. Rows that are ``wrong`` have their colour.
    """
    centres = range(len(names)) if centres is None else centres
    fontsize = min(8.0, 0.9 * extent(ax)[1] / (max(centres) - min(centres) + 1))
    ax.tick_params(axis="y", length=0)
    if fontsize < _READABLE:
        ax.set_yticks([])
        return 0.0
    ax.set_yticks(centres, [str(name) for name in names], fontsize=fontsize)
    for row, label in enumerate(ax.get_yticklabels()):
        weight = "bold" if row in bold or row in wrong else "normal"
        label.set(color=WRONG if row in wrong else INK, weight=weight)
    return fontsize


def unit(largest: int) -> tuple[int, str]:
    """Return the power of ten in which integers up to ``largest`` are drawn, and how to name it.

    Examples
    --------
    >>> unit(12_000), unit(12_000_000_000)
    ((1, ''), (1000000, ', in 10^6'))
    """
    if largest < 10**7:
        return 1, ""
    power = int((largest.bit_length() - 1) * log10(2)) - 3
    return 10**power, f", in 10^{power}"
