"""Meetings in rooms and with people, over the hours of a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

from .drawing import FAINT, INK, PALETTE, WRONG, Picture, Rectangle, boxes, hatched, label, name_rows

_DAY = 24 * 60
Interval: TypeAlias = tuple[int, int]


class Meetings(Picture):
    """A line for each room and each person, and what takes place there; below, what is not scheduled."""

    def paint(self, problem: Any, instance: Any, solution: Any, ax: Any) -> str:
        n, seats, hours = instance.size, instance.rooms, instance.availability
        count, people = len(seats), len(hours)
        known = [r for r in solution or () if 0 <= r[0] < n and 0 <= r[1] < count and 0 <= r[2] < _DAY]
        rows = sorted(set(known), key=lambda row: row[::-1])
        times = [
            t for spans in hours for span in spans for t in span
        ]  # not of the solution: hours stay in place
        low, high = min(times, default=0) // 60, -(-max(times, default=_DAY) // 60)
        # Lines from above: rooms, people, and what is not scheduled, one after the other.
        middle = [*(1.5 * room for room in range(count)), *(1.5 * count + person for person in range(people))]

        def bar(line: int, start: int, end: int) -> Rectangle:
            tall = 1.3 if line < count else 0.8
            return start, middle[line] - tall / 2, end - start, tall

        busy: list[list[Interval]] = [[] for _ in middle]
        bars: list[Rectangle] = []
        names = []
        for meeting, room, start in rows:
            duration, attendees = instance.meetings[meeting]
            for line in (room, *(count + person for person in attendees)):
                busy[line].append((start, start + duration))
                bars.append(bar(line, start, start + duration))
                names.append(meeting)
        absent = [
            bar(count + person, *part)
            for person, spans in enumerate(busy[count:])
            for span in spans
            for part in _outside(hours[person], *span)
        ]
        clashes = [[bar(line, *part) for part in _overlaps(spans)] for line, spans in enumerate(busy)]
        again = sorted(m for m, times in Counter([row[0] for row in known]).items() if times > 1)
        crowded = [row for row in rows if len(instance.meetings[row[0]][1]) > seats[row[1]]]
        off = [row for row in rows if row[2] % instance.step]
        left = sorted({*range(n)}.difference(row[0] for row in rows))
        waiting: list[Rectangle] = []
        at, below = 60 * low, middle[-1] + 1.5
        for meeting in left:
            duration = instance.meetings[meeting][0]
            if at > 60 * low and at + duration > 60 * high:
                at, below = 60 * low, below + 1
            waiting.append((at, below - 0.4, duration, 0.8))
            at += duration

        free = [bar(count + person, *span) for person, spans in enumerate(hours) for span in spans]
        boxes(ax, free, facecolors=FAINT)
        shades = [PALETTE[meeting % len(PALETTE)] for meeting in names]
        boxes(ax, bars, facecolors=shades, edgecolors=INK, linewidths=0.6)
        boxes(ax, waiting, facecolors="white", edgecolors=INK, linestyles="dotted")
        hatched(ax, [*absent, *(part for parts in clashes for part in parts)])
        flawed = {*crowded, *off, *(row for row in rows if row[0] in again)}
        framed = [bar(room, start, start + instance.meetings[m][0]) for m, room, start in sorted(flawed)]
        boxes(ax, framed, facecolors="none", edgecolors=WRONG, linewidths=2.5, zorder=4)
        hourly = range(low, high + 1, 1 + (high - low) // 9)
        ax.set_xticks([60 * hour for hour in hourly], [f"{hour}:00" for hour in hourly], fontsize=8)
        ax.set_xlim(60 * low, 60 * high)
        ax.set_ylim((below if left else middle[-1]) + 0.6, -0.75)
        ax.spines[["left", "top", "right"]].set_visible(False)
        titles = [f"room {room}, {number} seats" for room, number in enumerate(seats)]
        titles += [f"person {person}" for person in range(people)]
        last = ["not scheduled" if solution else "meetings"] if left else []
        fontsize = name_rows(ax, titles + last, [*middle, *(middle[-1] + 1.5 for _ in last)])
        named = list(zip([*names, *left], [*bars, *waiting], strict=True))
        for meeting, (x, y, width, height) in named if fontsize and len(named) < 1000 else ():
            place = (x + width / 2, y + height / 2)
            label(ax, problem.names_of(instance)[meeting], place, fontsize=fontsize, halo=False)
        return f"scheduled: {n - len(left)} of {n} meetings; grey: people are available"


def _overlaps(spans: Sequence[Interval]) -> list[Interval]:
    """Return when one of the intervals begins before another has ended, up to the first end of both.

    Examples
    --------
    >>> _overlaps([(0, 30), (10, 20), (25, 40)])
    [(10, 20), (25, 30)]
    """
    found, until = [], 0
    for start, end in sorted(spans):
        if start < until:
            found.append((start, min(end, until)))
        until = max(until, end)
    return found


def _outside(hours: Sequence[Interval], start: int, end: int) -> list[Interval]:
    """Return the parts of an interval that lie outside all ``hours``.

    Examples
    --------
    >>> _outside([(10, 20), (30, 40)], 15, 50)
    [(20, 30), (40, 50)]
    """
    found = []
    for low, high in hours:
        if start < low:
            found.append((start, min(end, low)))
        start = max(start, high)
        if start >= end:
            return found
    return [*found, (start, end)]
