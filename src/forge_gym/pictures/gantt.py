"""Meetings in rooms and with people, over the hours of a day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from . import drawing
from .drawing import FAINT, INK, PALETTE, WRONG, Rectangle, boxes
from .picture import Picture

_HOUR, _DAY = 60, 24 * 60
Interval: TypeAlias = tuple[int, int]


class Meetings(Picture):
    """A line for each room and each person with what takes place there, and below all meetings, coloured if held.

    Meetings that clash share the height of their line. They have a frame in the colour of errors, and so have those
    that are repeated, off the grid, or too large for their room. Hatched is when people are not available.
    """

    def spots(self, instance: Any, ax: Any) -> Sequence[Rectangle]:
        left, right = _whole_hours(_times(instance))
        durations, top = [duration for duration, _ in instance.meetings], _centres(instance)[-1] + 1.1
        return _in_lines(durations, left, right, top)

    def tracks(self, instance: Any) -> Sequence[Rectangle]:
        times, rooms = instance.times, _centres(instance)[: len(instance.rooms)]
        return [(times.start, centre - 0.65, len(times) * times.step, 1.3) for centre in rooms]

    def draw_elements(self, instance: Any, solution: Any, names: Any, ax: Any) -> str:
        n, rooms, seats, hours = instance.size, len(instance.rooms), instance.rooms, instance.availability
        in_range = (range(n), range(rooms), range(_DAY))
        known = [row for row in solution or () if all(x in xs for x, xs in zip(row, in_range, strict=True))]
        held, repeated = drawing.classify_listed(n, [meeting for meeting, _, _ in known])
        lines: list[list[tuple[int, int, int, bool]]] = [[] for _ in (*seats, *hours)]
        for start, room, meeting in sorted({row[::-1] for row in known}):
            duration, people = instance.meetings[meeting]
            flawed = meeting in repeated or start % instance.step > 0 or len(people) > seats[room]
            for line in (room, *(rooms + person for person in people)):
                lines[line].append((start, start + duration, meeting, flawed))

        centres, listed, times = _centres(instance), self.spots(instance, ax), _times(instance)
        bars, framed, absent = list[tuple[int, Rectangle]](), list[Rectangle](), list[Rectangle]()
        for line, spans in enumerate(lines):
            tall, open_hours = (1.3, [(0, 2 * _DAY)]) if line < rooms else (0.8, hours[line - rooms])
            for (start, end, meeting, flawed), (lane, lanes) in zip(spans, _lanes(spans), strict=True):
                top, height = centres[line] + tall * (lane / lanes - 0.5), tall / lanes
                bars.append((meeting, (start, top, end - start, height)))
                framed += [bars[-1][1]] * (flawed or lanes > 1)
                absent += [(low, top, high - low, height) for low, high in _outside(open_hours, start, end)]
        bars += [(meeting, listed[meeting]) for meeting in held]
        waiting = [(meeting, listed[meeting]) for meeting in range(n) if meeting not in held]
        free = [(a, centres[rooms + p] - 0.4, b - a, 0.8) for p, spans in enumerate(hours) for a, b in spans]
        outline = INK if len(lines) <= drawing.MANY else "none"  # or there would be nothing else
        shades = [PALETTE[meeting % len(PALETTE)] for meeting, _ in bars]
        boxes(ax, free, facecolors=FAINT)
        boxes(ax, [bar for _, bar in bars], facecolors=shades, edgecolors=outline, linewidths=0.6)
        boxes(ax, [bar for _, bar in waiting], facecolors="white", edgecolors=outline, linestyles=":")
        drawing.hatched(ax, absent)
        boxes(ax, framed, facecolors="none", edgecolors=WRONG, linewidths=2, zorder=4)

        times += [time for spans in lines for start, end, *_ in spans for time in (start, end)]
        (low, high), bottom = _whole_hours(times), listed[-1][1] + 1
        ticks = range(low, high + 1, _HOUR * (1 + (high - low) // 540))
        ax.set_xticks(ticks, [f"{time // _HOUR}:00" for time in ticks])
        ax.set(xlim=(low, high), ylim=(bottom, -0.75))
        ax.spines[["left", "top", "right"]].set_visible(False)
        titles = [f"room {room}, {number} seats" for room, number in enumerate(seats)]
        titles += [*(f"person {person}" for person in range(len(hours))), "meetings"]
        fontsize = drawing.name_rows(ax, titles, [*centres, centres[-1] + 1.5])
        unit = drawing.extent(ax)[1] / (bottom + 0.75)
        for meeting, (x, y, width, height) in (*bars, *waiting) if fontsize else ():
            if (size := min(fontsize, unit * height)) >= drawing.READABLE:
                drawing.label(ax, names[meeting], (x + width / 2, y + height / 2), fontsize=size, halo=False)
        shown = f"{n} meetings" if solution is None else f"scheduled (coloured): {len(held)} of {n}"
        return f"{shown}; grey: people are available"


def _times(instance: Any) -> list[int]:
    """Return when somebody comes or goes."""
    return [time for spans in instance.availability for span in spans for time in span] or [0, _DAY]


def _centres(instance: Any) -> list[float]:
    """Return the height of each room's line, and then of each person's."""
    rooms = len(instance.rooms)
    lines = range(rooms + len(instance.availability))
    return [1.5 * min(line, rooms) + max(0, line - rooms) for line in lines]


def _in_lines(widths: Sequence[int], left: int, right: int, top: float) -> list[Rectangle]:
    """Return boxes side by side from ``left`` to ``right``, in as many lines as they need."""
    placed, x = list[Rectangle](), left
    for width in widths:
        if x > left and x + width > right:
            x, top = left, top + 1
        placed.append((x, top, width, 0.8))
        x += width
    return placed


def _whole_hours(times: Sequence[int]) -> Interval:
    """Return the last full hour before all ``times``, and the first one after, in minutes."""
    return min(times) // _HOUR * _HOUR, -(-max(times) // _HOUR) * _HOUR


def _lanes(spans: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
    """Return for each interval, in order of start, its lane, and how many lanes those around it have."""
    placed, ends = list[tuple[int, list[int]]](), list[int]()
    for start, end, *_ in spans:
        if all(over <= start for over in ends):
            ends = []  # of the last interval in each lane; a new list for those that overlap from here on
        lane = next((lane for lane, over in enumerate(ends) if over <= start), len(ends))
        ends[lane : lane + 1] = [end]
        placed.append((lane, ends))
    return [(lane, len(ends)) for lane, ends in placed]


def _outside(hours: Sequence[Interval], start: int, end: int) -> list[Interval]:
    """Return the parts of an interval that lie outside all ``hours``."""
    edges = [start, *(min(max(time, start), end) for span in hours for time in span), end]
    return [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high]
