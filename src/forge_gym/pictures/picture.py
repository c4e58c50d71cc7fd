"""`Picture`: from an instance and a solution to an image file or an array of pixels."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.checks import check_choice, short_repr
from . import drawing
from .drawing import Places, Rectangle

FORMATS = ("png", "svg")
_UNDATED: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
"""Metadata that files go without, so that equal pictures are equal bytes."""
_STYLE = ("default", {"svg.hashsalt": "forge-gym", "hatch.linewidth": 1.2, "axes.edgecolor": drawing.INK})
_LOCK = threading.Lock()
"""Matplotlib's settings are global: one thread draws at a time."""


class Picture(ABC):
    """What draws the instances and solutions of a problem.

    In all methods ``problem`` is whatever has the ``name``, ``names_of``, ``violations`` and ``objective`` of a
    `forge_gym.kinds.Kind`. A ``solution`` may be infeasible; None stands for the instance alone.
    """

    @abstractmethod
    def draw_elements(self, instance: Any, solution: Any, names: Any, ax: Any) -> str:
        """Draw on the matplotlib axes ``ax``, and return what is shown, to be written below.

        Where the elements are placed must not depend on the solution. ``names[i]`` is what element ``i`` is called.
        What breaks a constraint is marked in `drawing.WRONG`, and by more than that colour.
        """

    def spots(self, instance: Any, ax: Any) -> Sequence[Rectangle]:
        """Return where each element can be clicked, a point or more, in the units of the axes; by default nowhere."""
        return ()

    def tracks(self, instance: Any) -> Sequence[Rectangle]:
        """Return where elements can be placed: a rectangle for each resource, from the first time to the last."""
        return ()

    def draw(self, problem: Any, instance: Any, solution: Any, ax: Any) -> None:
        """Draw on the matplotlib axes ``ax``, and write below what is shown, and all that is wrong."""
        shown = self.draw_elements(instance, solution, problem.names_of(instance), ax)
        broken = () if solution is None else problem.violations(instance, solution)
        drawing.caption(ax, shown, [violation.reason for violation in broken])

    def image(self, problem: Any, instance: Any, solution: Any = None, *, format: str = "png", **options: Any) -> bytes:
        """Return the picture as the bytes of an image file, ``png`` or ``svg``; equal arguments give equal bytes.

        The ``options`` are those of `figure`. Another format is a `ValueError`.
        """
        check_choice("format", format, FORMATS)
        file = BytesIO()
        with self.figure(problem, instance, solution, **options) as figure:
            figure.savefig(file, format=format, metadata=_UNDATED[format])
        return file.getvalue()

    def pixels(self, problem: Any, instance: Any, solution: Any = None, **options: Any) -> NDArray[np.uint8]:
        """Return the same picture as `image` does, with the same ``options``, as an (h, w, 3) array."""
        with self.figure(problem, instance, solution, **options) as figure:
            figure.canvas.draw()
            return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()

    @contextmanager
    def figure(
        self,
        problem: Any,
        instance: Any,
        solution: Any = None,
        *,
        size: tuple[float, float] = (4.8, 4.8),
        dpi: int = 100,
        title: str | None = None,
    ) -> Iterator[Any]:
        """Lend the finished figure. Neither pyplot nor the settings of the user's matplotlib play a part.

        Parameters
        ----------
        size
            Width and height in inches, at least 2 each. The default is readable at 360 pixels of a screen.
        title
            Heading; None says what `summary` says, an empty one is left out.
        """
        from matplotlib import style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        title = summary(problem, instance, solution) if title is None else title
        with _LOCK, style.context(_STYLE):
            figure = Figure(figsize=size, dpi=dpi, layout="constrained")
            FigureCanvasAgg(figure)
            self.draw(problem, instance, solution, figure.add_subplot())
            if title:
                figure.suptitle(drawing.printable(title), fontsize=10, wrap=True, parse_math=False)
            yield figure


class DotPicture(Picture):
    """A picture whose elements are dots."""

    @abstractmethod
    def places(self, instance: Any) -> Places:
        """Return the (n, 2) places of the elements."""

    def spots(self, instance: Any, ax: Any) -> Sequence[Rectangle]:
        return [(x, y, 0.0, 0.0) for x, y in self.places(instance).tolist()]


class RowPicture(Picture):
    """A picture whose elements are rows, counted from above."""

    def rows(self, instance: Any) -> Sequence[int]:
        """Return the elements in the order of their rows: by default that of their numbers."""
        return range(instance.size)

    def spots(self, instance: Any, ax: Any) -> Sequence[Rectangle]:
        left, right = ax.get_xlim()
        width = right - left  # of the axes: names of rows stand to the left of these
        rows = {element: row for row, element in enumerate(self.rows(instance))}
        return [(left - width, rows[element] - 0.5, 3 * width, 1.0) for element in range(len(rows))]


def summary(problem: Any, instance: Any, solution: Any = None) -> str:
    """Return one line on a solution: its objective, or which constraints it breaks and by how much."""
    if solution is None:
        return str(problem.name)
    broken = [f"{v.family} by {_short(v.amount)}" for v in problem.violations(instance, solution)]
    if broken:
        return f"{problem.name}: infeasible, {', '.join(broken)}"
    return f"{problem.name}: objective {_short(problem.objective(instance, solution))}"


def _short(number: Any) -> str:
    return short_repr(number) if isinstance(number, int) else str(number)
