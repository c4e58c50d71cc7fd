"""Bars that add up: rows in one order, one axis for all feasible solutions, and what is beyond the limit hatched."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("matplotlib")

from forge_gym.pictures.bars import Waterfall
from pictures.looks import data, red_shapes, red_texts, rows_of, shown, texts_of

pytestmark = pytest.mark.filterwarnings("error")

PACK = data(size=4, room=10, weights=(4, 7, 3, 2), values=(1, 9, 0, 5), by_density=(3, 1, 0, 2))
PLAIN = Waterfall("weights", "room", order="by_density")
VALUED = Waterfall("weights", "room", order="by_density", values="values")
EXACT = Waterfall("weights", "room", order="by_density", exact=True)


@pytest.mark.parametrize("picture", [PLAIN, VALUED, EXACT])
def test_rows_are_alike_whatever_the_solution(picture: Any) -> None:
    """They are in the order that the instance has; the axis grows only for what is beyond the limit."""
    alone, _ = shown(picture, PACK)
    for solution in ((), (3,), (1, 2), (3, 1), (0, 0), (99, -1, 10**40), (0, 1, 2, 3)):
        ax, _ = shown(picture, PACK, solution)
        assert rows_of(ax) == rows_of(alone) == {"d": 0, "b": 1, "a": 2, "c": 3}
        assert ax.get_ylim() == alone.get_ylim()
        assert ax.get_xlim() == alone.get_xlim()
    narrow = data(**{**vars(PACK), "room": 7})
    assert shown(picture, narrow, (0, 1, 2, 3))[0].get_xlim()[1] > shown(picture, narrow)[0].get_xlim()[1]


@pytest.mark.parametrize(
    ("picture", "solution", "marks"),
    [
        (PLAIN, None, 0),
        (PLAIN, (), 0),
        (PLAIN, (1, 2), 0),
        (PLAIN, (3, 1, 0), 1),  # 2 + 7 + 4: the last is beyond
        (PLAIN, (0, 1, 2, 3), 2),
        (EXACT, None, 0),
        (EXACT, (1, 2), 0),
        (EXACT, (1,), 1),  # 3 are lacking
        (EXACT, (0, 1), 1),
    ],
)
def test_what_is_beyond_the_limit_is_hatched(picture: Any, solution: Any, marks: int) -> None:
    """Where the limit is to be hit, so is what is lacking."""
    ax, _ = shown(picture, PACK, solution)
    assert len(red_shapes(ax)) == marks
    assert all(shapes.get_hatch() for shapes in ax.collections if shapes.get_zorder() == 4)


def test_elements_that_are_repeated_say_how_often() -> None:
    """They are taken once all the same."""
    ax, caption = shown(PLAIN, PACK, (0, 3, 0, 0))
    assert red_texts(ax) == ["a ×3"] and caption == "weights: 6 of 10; chosen: 2 of 4"


def test_captions_name_the_sum_the_limit_and_the_values() -> None:
    """In the words of the instance's fields."""
    assert shown(VALUED, PACK)[1] == "weights, by density"
    assert shown(VALUED, PACK, (1, 2))[1] == "weights: 10 of 10, values 9; chosen: 2 of 4"
    assert {"room 10", "values", "9", "7"} <= {*texts_of(shown(VALUED, PACK)[0])}


def test_no_number_is_crossed_by_the_line_of_the_limit() -> None:
    """The size of a bar that ends shortly before the limit stands behind the line."""
    close = data(size=2, room=100, weights=(99, 30), by_density=(0, 1))
    ax, _ = shown(PLAIN, close, ())
    place = {text.get_text(): text.xy[0] for text in ax.texts}
    assert place["99"] == 100 and place["30"] == 30


@pytest.mark.parametrize("digits", [20, 400, 4000])
def test_numbers_beyond_any_float_are_drawn(digits: int) -> None:
    """They are written short and drawn in a power of ten."""
    huge = data(
        size=3,
        room=10**digits,
        weights=(10**digits - 5, 1, 7),
        values=(0, 9 * 10**digits, 1),
        by_density=(0, 1, 2),
    )
    ax, caption = shown(VALUED, huge, (0, 2))
    assert len(red_shapes(ax)) == 1 and ", in 10^" in caption and len(caption) < 300
