"""How the tests look at a picture: what is marked as wrong, and where the elements are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from numpy.typing import NDArray

from forge_gym.pictures.drawing import WRONG
from forge_gym.pictures.picture import Picture

NAMES = tuple("abcdefghijklmnopqrstuvwxyz")
RED = to_rgba(WRONG)


def data(**fields: Any) -> SimpleNamespace:
    """Return an instance that is nothing but data."""
    return SimpleNamespace(**fields)


def shown(picture: Picture, instance: Any, solution: Any = None, names: Any = NAMES) -> tuple[Any, str]:
    """Return the axes with the elements that a picture draws, and what it says is shown."""
    ax = Figure(figsize=(4.8, 4.8)).add_subplot()
    return ax, picture.draw_elements(instance, solution, names, ax)


def red_texts(figure: Any) -> list[str]:
    """Return the texts in the colour of errors."""
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    return [text.get_text() for text in texts if to_rgba(text.get_color()) == RED]


def red_shapes(figure: Any) -> list[Any]:
    """Return a path for each shape in the colour of errors, or the place of each ring."""
    found: list[Any] = []
    for shapes in figure.findobj(Collection):
        if any(to_rgba(colour) == RED for colour in shapes.get_edgecolor()):
            rings = shapes.get_offsets()
            found += list(rings) if len(rings) > 1 or np.any(rings) else shapes.get_paths()
    return found


def red_pixels(image: NDArray[np.uint8]) -> int:
    """Count pixels of the colour of errors."""
    return int((np.abs(image.astype(int) - np.array(RED[:3]) * 255).max(axis=2) < 12).sum())


def dots_of(ax: Any, n: int) -> list[list[float]]:
    """Return the (n, 2) places of the dots that stand for the elements."""
    return next(shapes.get_offsets().tolist() for shapes in ax.collections if len(shapes.get_offsets()) == n > 1)


def rows_of(ax: Any) -> dict[str, float]:
    """Return the height of each row by its name, without the mark of repeated ones."""
    heights = zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)
    return {label.get_text().split(" ×")[0]: float(height) for label, height in heights}


def texts_of(ax: Any) -> list[str]:
    """Return what is written beside the axes and in them, apart from the caption."""
    return [text.get_text() for text in ax.findobj(Annotation)]
