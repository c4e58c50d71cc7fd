"""Which set holds which element: rows in one order, chosen ones coloured, what is lacking hatched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb

from forge_gym.pictures.drawing import CHOSEN, FAINT
from forge_gym.pictures.matrix import Incidence
from pictures.looks import data, red_shapes, red_texts, rows_of, shown

pytestmark = pytest.mark.filterwarnings("error")

COVER = data(size=3, universe=5, subsets=((0, 1), (1, 2, 3), (3, 4)), costs=(2, 5, 2))
PICTURE = Incidence("subsets", "universe", costs="costs")


def test_rows_are_alike_whatever_the_solution() -> None:
    """They are in the order of the numbers, and the axes are those of the instance alone."""
    alone, _ = shown(PICTURE, COVER)
    for solution in ((), (2, 0), (1, 1), (99, -1, 10**40), (0, 1, 2)):
        ax, _ = shown(PICTURE, COVER, solution)
        assert rows_of(ax) == rows_of(alone) == {"a (cost 2)": 0, "b (cost 5)": 1, "c (cost 2)": 2}
        assert (ax.get_xlim(), ax.get_ylim()) == (alone.get_xlim(), alone.get_ylim())


@pytest.mark.parametrize(
    ("solution", "marks"),
    [(None, 0), ((0, 1, 2), 0), ((0, 2), 1), ((1,), 2), ((0, 1), 1), ((), 1), ((9, -1), 1)],
)
def test_elements_that_are_not_covered_are_hatched(solution: Any, marks: int) -> None:
    """Neighbouring ones together: 2; 0 and 4; all five."""
    ax, _ = shown(PICTURE, COVER, solution)
    assert len(red_shapes(ax)) == marks


def test_cells_of_chosen_rows_are_coloured() -> None:
    """Those of others are grey, and where a set does not hold an element it is white."""
    (image,) = shown(PICTURE, COVER, (1,))[0].images
    colours = {colour: (255 * np.array(to_rgb(colour))).astype(np.uint8) for colour in ("white", FAINT, CHOSEN)}
    cells = image.get_array()
    assert (cells[1, 1:4] == colours[CHOSEN]).all() and (cells[0, :2] == colours[FAINT]).all()
    assert (cells[0, 2:] == colours["white"]).all()


def test_sets_that_are_repeated_say_how_often() -> None:
    """A name in the colour of errors alone would not do."""
    ax, caption = shown(PICTURE, COVER, (1, 1, 2))
    assert red_texts(ax) == ["b (cost 5) ×2"]
    assert caption == "element; chosen (coloured): 2 of 3 subsets"


def test_costs_are_shown_where_they_differ() -> None:
    """An instance may have none at all."""
    assert list(rows_of(shown(PICTURE, data(**{**vars(COVER), "costs": (1, 1, 1)}))[0])) == ["a", "b", "c"]
    assert list(rows_of(shown(Incidence("subsets", "universe"), COVER)[0])) == ["a", "b", "c"]


def test_large_matrices_have_neither_names_nor_a_grid() -> None:
    """Of 500 rows, none could be read."""
    large = data(size=500, universe=400, subsets=tuple((row % 400,) for row in range(500)), costs=(1,) * 500)
    ax, _ = shown(PICTURE, large, (0,), names=range(500))
    assert not rows_of(ax) and len(ax.collections) == 1
