"""Meetings: rooms, people and meetings have their lines, clashes share theirs, and what is wrong is marked."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("matplotlib")

from forge_gym.pictures.gantt import Meetings
from pictures.looks import data, red_shapes, rows_of, shown, texts_of

pytestmark = pytest.mark.filterwarnings("error")

MORNING = ((540, 720),)
DAY = data(
    size=3,
    meetings=((60, (0, 1)), (30, (1,)), (60, (0, 1, 2))),
    availability=(MORNING, MORNING, ((540, 570), (600, 720))),
    rooms=(3, 2),
    step=15,
)
ROWS = ["room 0, 3 seats", "room 1, 2 seats", "person 0", "person 1", "person 2", "meetings"]


def marks(*rows: tuple[Any, ...]) -> tuple[int, int]:
    """Return how many frames and how many hatched parts there are."""
    ax, _ = shown(Meetings(), DAY, rows)
    hatched = [shapes for shapes in ax.collections if shapes.get_hatch()]
    parts = sum(len(shapes.get_paths()) for shapes in hatched)
    return len(red_shapes(ax)) - parts, parts


@pytest.mark.parametrize(
    "solution",
    [(), ((0, 1, 540), (2, 0, 600)), ((0, 0, 541), (0, 0, 541), (1, 0, 541)), ((99, 0, 0), (0, 10**40, -1))],
)
def test_lines_and_meetings_are_alike_whatever_the_solution(solution: Any) -> None:
    """Every meeting has its place below all lines, held or not."""
    alone, _ = shown(Meetings(), DAY)
    ax, _ = shown(Meetings(), DAY, solution)
    assert rows_of(ax) == rows_of(alone) and list(rows_of(ax)) == ROWS
    assert (ax.get_xlim(), ax.get_ylim()) == (alone.get_xlim(), alone.get_ylim()) == ((540, 720), alone.get_ylim())
    below = {text.xy for text in alone.texts}
    assert len(below) == 3 and below <= {text.xy for text in ax.texts}


def test_a_feasible_schedule_has_no_mark() -> None:
    """A meeting may start at the minute at which another ends."""
    assert marks((0, 1, 540), (1, 0, 600), (2, 0, 630)) == marks() == (0, 0)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (((0, 0, 541),), (3, 0)),  # off the grid: in a room and with two people
        (((2, 1, 600),), (4, 0)),  # three people in a room of two seats
        (((0, 0, 540), (0, 0, 660)), (6, 0)),  # held twice
        (((0, 0, 540), (1, 0, 570)), (4, 0)),  # both in one room and with person 1; person 0 is free
        (((0, 0, 540), (1, 1, 570)), (2, 0)),  # in different rooms: person 1 alone
        (((2, 0, 540),), (0, 1)),  # person 2 is not available from 570 on
        (((2, 0, 570),), (0, 1)),  # nor from 570 to 600
        (((0, 0, 480),), (0, 2)),  # before hours
        (((9, 0, 540), (0, 9, 540), (0, 0, 1440), (-1, 0, 0)), (0, 0)),  # nothing that exists
    ],
)
def test_each_constraint_has_its_mark(rows: Any, expected: tuple[int, int]) -> None:
    """Frames for meetings that are wrong as a whole, hatching for the time at which somebody is absent."""
    assert marks(*rows) == expected


def test_meetings_that_clash_share_the_height_of_their_line() -> None:
    """So both can be seen, and are named apart from each other."""
    ax, _ = shown(Meetings(), DAY, ((0, 0, 540), (1, 0, 540)))
    in_room = sorted(text.xy[1] for text in ax.texts if text.xy[1] < 0.7)
    assert len(in_room) == 2 and in_room[0] < 0 < in_room[1]


def test_hours_nobody_is_there_show_when_something_is_held_there() -> None:
    """Otherwise what is wrong could not be seen."""
    ax, _ = shown(Meetings(), DAY, ((0, 0, 0), (1, 1, 1439)))
    assert ax.get_xlim() == (0, 1500)


def test_captions_count_what_is_held() -> None:
    """A meeting counts once."""
    assert shown(Meetings(), DAY)[1] == "3 meetings; grey: people are available"
    shown_twice = shown(Meetings(), DAY, ((0, 0, 540), (0, 1, 540)))[1]
    assert shown_twice == "scheduled (coloured): 1 of 3; grey: people are available"


def test_people_who_are_never_available_are_drawn() -> None:
    """Then the whole day is shown."""
    never = data(size=1, meetings=((30, (0,)),), availability=((),), rooms=(1,), step=15)
    ax, _ = shown(Meetings(), never, ((0, 0, 540),))
    assert ax.get_xlim() == (0, 1440) and len(red_shapes(ax)) == 1


def test_hundreds_of_meetings_have_no_names() -> None:
    """Of 300 lines, none could be read."""
    many = data(size=300, meetings=((30, (0,)),) * 300, availability=(MORNING,) * 300, rooms=(4,), step=15)
    ax, _ = shown(Meetings(), many, ((0, 0, 540),), names=range(300))
    assert not texts_of(ax) and not rows_of(ax)
