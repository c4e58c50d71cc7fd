"""What pictures draw with: dots and their names, lines, rows, captions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from forge_gym.pictures import drawing
from pictures.looks import red_texts, texts_of

pytestmark = pytest.mark.filterwarnings("error")


def axes(size: float = 4.8) -> Any:
    return Figure(figsize=(size, size)).add_subplot()


def test_the_colours_of_areas_differ_in_lightness_and_none_is_that_of_errors() -> None:
    """Black text is readable on every area, and no area can be taken for an error."""
    colours = [*drawing.PALETTE, drawing.CHOSEN, drawing.FAINT, drawing.COST]
    for colour in colours:
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        assert 0.2126 * red + 0.7152 * green + 0.0722 * blue > 120
        assert green > 100  # errors have none
    assert len(set(drawing.PALETTE)) == len(drawing.PALETTE)


def test_places_on_the_circle_start_at_the_top_and_go_clockwise() -> None:
    """Element 0 stands at the top, the quarter of them to the right."""
    assert np.allclose(drawing.circular_layout(4), [(0, 1), (1, 0), (0, -1), (-1, 0)])


def test_curves_of_neighbours_bend_inward_and_those_through_the_centre_do_not() -> None:
    """The control point of a diameter is its middle, that of two neighbours nearer to the centre."""
    places = drawing.circular_layout(20)
    (across, beside) = drawing.arcs(places, [(0, 10), (0, 1)])
    assert np.allclose(across[1], 0)
    assert np.hypot(*beside[1]) < 0.7 < np.hypot(*((places[0] + places[1]) / 2))
    assert drawing.arcs(places, []).shape == (0, 3, 2)


def test_very_many_lines_become_pixels_of_a_vector_picture() -> None:
    """A picture of thousands of lines stays small."""
    places = drawing.circular_layout(100)
    for count, pixels in ((10, False), (3000, True)):
        ax = axes()
        drawing.lines(ax, drawing.arcs(places, [(0, 1)] * count), edgecolors="black")
        assert ax.collections[0].get_rasterized() is pixels


def test_names_stand_in_the_dots_beside_them_or_nowhere() -> None:
    """Few short names stand in their dots, long ones beside them, and of too many there is none."""
    for names, beside, moved in (
        (["0", "1", "2"], [], False),
        (["kovamune", "b", "c"], [], True),
        (["kovamune", "b", "c"], None, None),
        (list(map(str, range(400))), None, None),
    ):
        ax = axes()
        drawing.dots(ax, drawing.circular_layout(len(names)), names, beside=beside)
        texts = [text for text in ax.texts if text.get_text() in names]
        assert [text.get_text() for text in texts] == ([] if moved is None else names)
        assert all(any(text.xyann) == moved for text in texts)


def test_names_beside_dots_keep_off_each_other_and_off_the_lines() -> None:
    """Of three dots in a row on a line, no name stands on the line."""
    ax, places = axes(), np.array([(0.0, 0.0), (0.05, 0.0), (1.0, 0.0)])
    drawing.dots(ax, places, ["long", "name", "here"], beside=[(0, 1), (1, 2)])
    assert all(text.xyann[1] != 0 for text in ax.texts[:2])


def test_rows_are_named_as_large_as_there_is_room() -> None:
    """The size of the names falls with the number of rows, and is 0 where there are none."""
    sizes = [drawing.name_rows(axes(), range(n), range(n)) for n in (5, 50, 500)]
    assert sizes[0] == 8.0 > sizes[1] >= drawing.READABLE and sizes[2] == 0.0


def test_rows_that_are_taken_are_bold_and_repeated_ones_say_how_often() -> None:
    """What is wrong with a row shows by more than its colour."""
    ax = axes()
    drawing.name_rows(ax, "abc", range(3), {1: 1, 2: 3})
    labels = ax.get_yticklabels()
    assert [label.get_text() for label in labels] == ["a", "b", "c ×3"]
    assert [label.get_weight() for label in labels] == ["normal", "bold", "bold"]
    assert red_texts(ax) == ["c ×3"]


def test_reasons_stand_below_the_caption_in_the_colour_of_errors() -> None:
    """They are bold, wrapped, cut after 200 letters, no formulas, and without letters that the font lacks."""
    ax = axes()
    drawing.caption(ax, "seven of nine", ["a $1 rule \u4e2d", "9" * 150 + " word" * 99])
    (text,) = red_texts(ax)
    assert ax.get_xlabel() == "seven of nine" and text.startswith("a $1 rule ?\n999")
    assert len(text) < 230 and text.endswith(" ...") and max(map(len, text.split("\n"))) < 80
    assert texts_of(ax) == [text]
    ax = axes()
    drawing.caption(ax, "")
    assert not red_texts(ax)


@pytest.mark.parametrize("digits", [3, 7, 8, 20, 400, 5000])
def test_integers_of_any_size_are_drawn_in_a_power_of_ten(digits: int) -> None:
    """In that unit, the largest has at most eight digits before the point."""
    unit, named = drawing.power_of_ten(10**digits)
    assert 10**digits / unit <= 10**7 and bool(named) == (digits >= 7)
