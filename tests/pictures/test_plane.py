"""Tours: cities where they are, legs in order, and those that are missed or repeated ringed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from forge_gym.pictures.drawing import circular_layout
from forge_gym.pictures.plane import Tour
from pictures.looks import NAMES, data, dots_of, red_shapes, shown, texts_of

pytestmark = pytest.mark.filterwarnings("error")

ROWS = ((0, 3, 5, 4), (3, 0, 4, 5), (5, 4, 0, 3), (4, 5, 3, 0))
PLANE = data(size=4, xy=((0, 0), (3, 0), (3, 4), (0, 4)), rows=ROWS)
MATRIX = data(size=4, xy=(), rows=ROWS)


@pytest.mark.parametrize("instance", [PLANE, MATRIX])
def test_cities_stand_alike_whatever_the_solution(instance: Any) -> None:
    """On the map, or on a circle in the order of their numbers where there is none."""
    places = dots_of(shown(Tour(), instance)[0], 4)
    assert np.allclose(places, instance.xy or circular_layout(4))
    for solution in ((), (2, 0, 1, 3), (0, 0, 0, 1), (99, -1, 10**40)):
        ax, _ = shown(Tour(), instance, solution)
        assert dots_of(ax, 4) == places and texts_of(ax)[:4] == list(NAMES[:4])


@pytest.mark.parametrize("instance", [PLANE, MATRIX])
@pytest.mark.parametrize(
    ("solution", "marks"),
    [(None, 0), ((2, 0, 1, 3), 0), ((0, 1, 2), 1), ((0, 1, 2, 2), 2), ((), 4), ((0, 1, 2, 3, 9), 0)],
)
def test_cities_that_are_missed_or_repeated_are_ringed(instance: Any, solution: Any, marks: int) -> None:
    """Cities that do not exist cannot be drawn: the reason names them."""
    assert len(red_shapes(shown(Tour(), instance, solution)[0])) == marks


def test_legs_close_the_tour_and_show_their_length_where_there_is_no_map() -> None:
    """On a map, the eye measures them."""
    ax, caption = shown(Tour(), MATRIX, (0, 1, 2, 3))
    assert caption == "4 cities, 4 legs" and sorted(texts_of(ax)[4:]) == ["3", "3", "4", "4"]
    ax, _ = shown(Tour(), PLANE, (0, 1, 2, 3))
    legs = [path.vertices.tolist() for path in ax.collections[0].get_paths()]
    assert legs == [[[0, 0], [3, 0]], [[3, 0], [3, 4]], [[3, 4], [0, 4]], [[0, 4], [0, 0]]]
    assert texts_of(ax) == list(NAMES[:4])


def test_hundreds_of_cities_are_dots_without_names() -> None:
    """Their names would cover the tour."""
    xy = tuple((x, y) for x in range(25) for y in range(20))
    ax, _ = shown(Tour(), data(size=500, xy=xy, rows=()), tuple(range(500)), names=range(500))
    assert not texts_of(ax) and len(dots_of(ax, 500)) == 500


def test_cities_on_one_line_are_drawn() -> None:
    """Their places span no area."""
    ax, _ = shown(Tour(), data(size=3, xy=((5, 5), (6, 5), (9, 5)), rows=()), (0, 1, 2))
    assert ax.get_ylim()[0] < 5 < ax.get_ylim()[1]
