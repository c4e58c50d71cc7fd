"""Meeting scheduling: rooms and times for meetings such that as many attendees as possible meet.

Strongly NP-hard: with disjoint attendees, equal rooms and one common working day it asks for a
3-partition of the durations [1]_. Rules and format are those of the published benchmark [2]_, which took
the problem from [3]_; there every attendee has the same availability and the grid is one minute.

References
----------
.. [1] M. Garey, D. Johnson, "Computers and Intractability", 1979, problem SP15.
.. [2] "NP-Engine", arXiv:2510.16476, 2025.
.. [3] L. Fan et al., "NPHardEval: dynamic benchmark on reasoning ability of large language models via
   complexity classes", ACL 2024.
.. [4] R. Kolisch, "Serial and parallel resource-constrained project scheduling methods revisited",
   European Journal of Operational Research 90(2), 1996.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import gcd
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core import cpsat, drawing
from ..core.answer import read_number, read_rows, read_words
from ..core.checks import check_choice, check_int, shorten
from ..core.graph import bits, refine
from ..core.numeric import Features, columns, scaled
from ..core.problem import Instance, Problem, moved, size_at_level
from ..core.reference import Certificate
from ..core.verdict import Malformed, Violation

Row: TypeAlias = tuple[int, int, int]
"""Meeting, room and start, in minutes of the day."""
Schedule: TypeAlias = tuple[Row, ...]
"""The scheduled meetings, in any order."""
Interval: TypeAlias = tuple[int, int]
"""Minutes of the day from the first up to and without the second."""

DISTRIBUTIONS = ("office", "scattered", "crowded")
VARIANTS = ("default", "published")
_DAY = 24 * 60
_OPEN, _CLOSE = 540, 1020
"""Working hours, 9:00 to 17:00."""
_DURATIONS = (30, 45, 60, 90, 120)
_SEATS = (3, 4, 5, 6)
_MEETINGS_PER_ROOM = {"office": 8, "scattered": 8, "crowded": 16}


@dataclass(frozen=True)
class MeetingSchedulingInstance(Instance):
    """Meetings, people and rooms."""

    meetings: tuple[tuple[int, tuple[int, ...]], ...]
    """(n,) pairs of a duration in minutes and the attendees, numbers of people in rising order."""
    availability: tuple[tuple[Interval, ...], ...]
    """For each person the free intervals of the day in rising order, with gaps between them."""
    rooms: tuple[int, ...]
    """Number of seats of each room."""
    step: int = 1
    """Meetings start at multiples of so many minutes."""
    first: int = field(default=0, compare=False)
    """Number of the first meeting in texts. An example counts on from the instance that is asked."""

    @property
    def size(self) -> int:
        """Number of meetings."""
        return len(self.meetings)

    def check(self) -> None:
        """Raise ``ValueError`` unless attendees exist, intervals rise within a day and rooms have seats."""
        for name, data in (("meetings", self.meetings), ("people", self.availability), ("rooms", self.rooms)):
            if not isinstance(data, tuple) or not data:
                raise ValueError(f"{name} must be a list and not empty, got {shorten(data)}")
        check_int("step", self.step, 1, _DAY)
        check_int("first", self.first, 0)
        for seats in self.rooms:
            check_int("each room", seats, 1)
        for intervals in self.availability:
            last = -1
            for start, end in intervals:
                check_int("the start of an interval", start, last + 1, _DAY - 1)
                check_int("the end of an interval", end, start + 1, _DAY)
                last = end
        for duration, attendees in self.meetings:
            check_int("each duration", duration, 1, _DAY)
            for person in attendees:
                check_int("each attendee", person, 0, len(self.availability) - 1)
            if not attendees or sorted(set(attendees)) != list(attendees):
                raise ValueError(f"attendees must be listed in rising order, got {shorten(attendees)}")

    def relabelled(self, order: Sequence[int]) -> Self:
        """Return the same meetings with meeting ``i`` under the number ``order[i]``."""
        return replace(self, meetings=moved(self.meetings, order))

    def invariant(self) -> Any:
        """Return rooms, and the colour refinement of meetings and people: durations and hours on the links."""
        n, hours = self.size, sorted(set(self.availability))
        attends: list[list[tuple[int, int]]] = [[] for _ in self.availability]
        for i, (_, people) in enumerate(self.meetings):
            for person in people:
                attends[person].append((hours.index(self.availability[person]), i))
        invited = [[(minutes, n + person) for person in people] for minutes, people in self.meetings]
        durations = sorted(minutes for minutes, _ in self.meetings)
        return [sorted(self.rooms), self.step, hours, durations, refine([*invited, *attends])]

    def features(self) -> Features:
        """Return of each meeting its length, people, rooms, possible starts, their first and last; who clash.

        Times are shares of the day, people of all people, rooms of all rooms.
        """
        invited = np.zeros((self.size, len(self.availability)))
        for m, (_, people) in enumerate(self.meetings):
            invited[m, people] = 1.0
        starts = [bits(mask) or [0] for mask in self.starts]
        return Features(
            columns(
                scaled([duration for duration, _ in self.meetings], _DAY),
                invited.mean(axis=1),
                scaled([len(rooms) for rooms in self.suitable], len(self.rooms)),
                *scaled([[len(slots), slots[0], slots[-1]] for slots in starts], _DAY / self.step).T,
            ),
            invited @ invited.T > 0,
        )

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """Steps that each meeting takes up: no other meeting can start before they are over."""
        return tuple(-(-duration // self.step) for duration, _ in self.meetings)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Steps at which each meeting finds all its attendees available, as bit masks."""
        found = []
        for duration, attendees in self.meetings:
            common = -1
            for person in attendees:
                common &= sum(
                    _block(-(-start // self.step), (end - duration) // self.step + 1)
                    for start, end in self.availability[person]
                )
            found.append(common)
        return tuple(found)

    @cached_property
    def needs(self) -> tuple[tuple[int, int, int, tuple[int, ...]], ...]:
        """Of each meeting a bit of its own, the minutes that it may start at, those that it takes, and who attends.

        Minutes are bit masks; those that it takes count from its start.
        """
        return tuple(
            (1 << m, sum(1 << step * self.step for step in bits(slots)), _block(0, duration), attendees)
            for m, (slots, (duration, attendees)) in enumerate(zip(self.starts, self.meetings, strict=True))
        )

    @cached_property
    def suitable(self) -> tuple[tuple[int, ...], ...]:
        """The rooms with seats enough for each meeting, smallest first."""
        rooms = sorted(range(len(self.rooms)), key=lambda r: (self.rooms[r], r))
        return tuple(tuple(r for r in rooms if self.rooms[r] >= len(people)) for _, people in self.meetings)

    @cached_property
    def by_attendance(self) -> tuple[int, ...]:
        """The meetings by falling attendance, ties by rising duration."""
        return tuple(sorted(range(self.size), key=lambda m: (-len(self.meetings[m][1]), self.meetings[m][0])))


@dataclass(frozen=True, kw_only=True)
class MeetingScheduling(Problem[MeetingSchedulingInstance, Schedule]):
    """Schedule meetings in rooms such that the total number of attendees is as large as possible.

    Problem: max sum of the attendees of the scheduled meetings; everybody is available throughout and in
    one meeting at a time, a room seats all attendees and holds one meeting at a time. Answer: a list of
    [meeting, room, start] in any order. Trivial: the empty schedule. Heuristic: first fit, largest
    meeting first [4]_. Reference: CP-SAT, optional intervals per class of equal rooms.

    Examples
    --------
    >>> scheduling = MeetingScheduling()
    >>> morning = ((540, 660),)
    >>> instance = MeetingSchedulingInstance(((120, (0, 1)), (60, (0,)), (60, (0, 1))), (morning,) * 2, (2,))
    >>> scheduling.heuristic(instance), scheduling.reference(instance).value
    (((1, 0, 600), (2, 0, 540)), 3)
    """

    name: ClassVar = "MeetingScheduling"
    version: ClassVar = 0
    family: ClassVar = "scheduling"
    sense: ClassVar = "max"
    kind: ClassVar = "schedule"
    constraints: ClassVar = ("known", "once", "grid", "capacity", "available", "room", "person")
    instance_type: ClassVar = MeetingSchedulingInstance
    work_limit: ClassVar = 20_000_000

    n: int = 16
    """Number of meetings."""
    distribution: str = "office"
    """Who is free when, from 9:00 to 17:00: ``office``, but for a lunch hour and two appointments, with one
    room for eight meetings; ``scattered``, but for three absences of any length; ``crowded``, as in an
    office with one room for sixteen meetings."""
    variant: str = "default"
    """``default``: meetings start every 15 minutes; ``published``: every minute, as in the benchmark [2]_."""

    def check(self) -> None:
        check_int("n", self.n, 3, rule="fewer meetings leave no choice")
        check_choice("distribution", self.distribution, DISTRIBUTIONS)
        check_choice("variant", self.variant, VARIANTS)

    def at_level(self, level: int) -> MeetingScheduling:
        return replace(self, n=size_at_level(6, level))

    def generate(self, rng: np.random.Generator) -> MeetingSchedulingInstance:
        n = self.n
        people = max(6, 3 * n // 2)
        availability = tuple(self._free(rng) for _ in range(people))
        open_quarters = np.array([sum(_quarters(*interval) for interval in free) for free in availability])
        rooms = rng.choice(_SEATS, size=max(1, -(-n // _MEETINGS_PER_ROOM[self.distribution])))
        rooms[rng.integers(len(rooms))] = max(_SEATS)
        meetings = []
        for _ in range(n):  # a time at which somebody is free, and attendees among all who are free then
            intervals = availability[rng.integers(people)]
            low, high = intervals[rng.integers(len(intervals))]
            duration = min(int(rng.choice(_DURATIONS)), high - low)
            start = low + 15 * int(rng.integers((high - duration - low) // 15, endpoint=True))
            needed = _quarters(start, start + duration)
            free = np.flatnonzero(open_quarters & needed == needed)
            size = min(len(free), int(rng.integers(2, max(_SEATS), endpoint=True)))
            attendees = rng.choice(free, size=size, replace=False)
            meetings.append((duration, tuple(sorted(attendees.tolist()))))
        step = 1 if self.variant == "published" else 15
        return MeetingSchedulingInstance(tuple(meetings), availability, tuple(rooms.tolist()), step)

    def _free(self, rng: np.random.Generator) -> tuple[Interval, ...]:
        """Draw the free intervals of one person, between multiples of 15 minutes."""
        quarters = (_CLOSE - _OPEN) // 15
        if self.distribution == "scattered":
            ends = np.sort(rng.choice(np.arange(1, quarters), size=6, replace=False))
            return _times(np.concatenate([[0], ends, [quarters]]))
        busy = np.zeros(quarters + 1, dtype=bool)
        lunch = int(rng.integers(10, 15))
        busy[lunch : lunch + 4] = busy[-1] = True
        for _ in range(2):
            begin = int(rng.integers(quarters))
            busy[begin : begin + int(rng.integers(2, 7))] = True
        return _times(np.flatnonzero(np.diff(busy, prepend=True)))

    def domains(self, instance: MeetingSchedulingInstance) -> tuple[range, ...]:
        """Return meetings, rooms, and the starts from the first opening of anybody's day to the last end."""
        step = instance.step
        hours = [minute for free in instance.availability for interval in free for minute in interval]
        times = range(min(hours, default=0) // step * step, max(hours, default=0), step)
        return range(instance.size), range(len(instance.rooms)), times

    def describe(self, instance: MeetingSchedulingInstance) -> str:
        lines = ["rooms", *(f"{r}: {seats} seats" for r, seats in enumerate(instance.rooms)), "people"]
        for person, intervals in enumerate(instance.availability):
            lines.append(f"{person}: {' '.join(f'{start}-{end}' for start, end in intervals)}")
        lines.append("meetings")
        for m, (duration, attendees) in enumerate(instance.meetings, instance.first):
            lines.append(f"{m}: {duration} min, people {' '.join(map(str, attendees))}")
        return "\n".join(lines)

    def prompt(self, instance: MeetingSchedulingInstance) -> str:
        if self.style == "compact":
            rooms = " ".join(f"r{seats}" for seats in instance.rooms)
            people = " ".join(
                "p" + ",".join(f"{start}-{end}" for start, end in intervals)
                for intervals in instance.availability
            )
            meetings = " ".join(
                f"m{duration}:{'.'.join(map(str, attendees))}" for duration, attendees in instance.meetings
            )
            return f"s{instance.step} {rooms} {people} {meetings} >"
        last = instance.first + instance.size - 1
        grid = "an integer" if instance.step == 1 else f"a multiple of {instance.step}"
        task = (
            "Meeting scheduling problem: choose meetings to hold and give each of them a room and a start such "
            "that the total number of attendees of the scheduled meetings is as large as possible.\n"
            "Each meeting is scheduled at most once. Its room has at least as many seats as the meeting has "
            "attendees and holds one meeting at a time. Every attendee is available during the whole meeting "
            "and is in one meeting at a time. A meeting may start at the minute at which another ends.\n"
            f"Times are minutes of the day; a start is {grid}. There are {len(instance.rooms)} rooms, "
            f"{len(instance.availability)} people, each with the intervals in which they are available, and "
            f"{instance.size} meetings, numbered {instance.first} to {last}, each with its duration and its "
            "attendees."
        )
        what = "a JSON list of triples [meeting, room, start], one for each scheduled meeting, in any order,"
        return f"{task}\n{self.describe(instance)}\n\n{self.ask(instance, what)}"

    def example(self, instance: MeetingSchedulingInstance) -> tuple[MeetingSchedulingInstance, Schedule]:
        # Counting on from the instance's last meeting: the example's answer names none of its meetings.
        first = instance.first + instance.size
        meetings = ((60, (0, 1, 2)), (30, (0, 1)), (60, (1, 2)), (60, (0, 2)))
        availability = (((540, 660),), ((540, 660), (720, 780)), ((540, 600), (720, 780)))
        tiny = MeetingSchedulingInstance(meetings, availability, (2, 3), gcd(instance.step, 60), first)
        return tiny, ((0, 1, 540), (1, 0, 600), (2, 0, 720))

    def parse(self, instance: MeetingSchedulingInstance, text: str) -> Schedule:
        if self.style == "prose":
            return tuple(
                [(meeting - instance.first, room, start) for meeting, room, start in read_rows(text, 3)]
            )
        words = read_words(text)
        if len(words) != instance.size:
            raise Malformed(f"an answer has one word per meeting, {instance.size}, got {len(words)} words")
        rows = []
        for meeting, word in enumerate(words):
            if word != "-":
                room, _, start = word.partition(".")
                rows.append((meeting, read_number(room), read_number(start)))
        return tuple(rows)

    def write(self, instance: MeetingSchedulingInstance, solution: Schedule) -> str:
        if self.style == "prose":
            return str([[meeting + instance.first, room, start] for meeting, room, start in solution])
        words = {meeting: f"{room}.{start}" for meeting, room, start in solution}
        return " ".join(words.get(meeting, "-") for meeting in range(instance.size))

    def violations(self, instance: MeetingSchedulingInstance, solution: Schedule) -> tuple[Violation, ...]:
        found: list[Violation] = []

        def note(family: str, amount: int, scale: int, rule: str, what: str) -> None:
            if amount:
                found.append(Violation(family, amount, scale, f"{rule}, got {amount} {what}"))

        if fits(instance, solution):
            return ()
        n, count = instance.size, len(instance.rooms)
        known = [row for row in solution if 0 <= row[0] < n and 0 <= row[1] < count and 0 <= row[2] < _DAY]
        rows = sorted(set(known), key=lambda row: row[2])
        last = instance.first + n - 1
        numbers = (
            f"meetings are {instance.first} to {last}, rooms 0 to {count - 1}, starts minutes of the day"
        )
        note("known", len(solution) - len(known), len(solution), numbers, "rows with others")
        repeats = len(known) - len({row[0] for row in known})
        note("once", repeats, len(solution), "each meeting is scheduled at most once", "repetitions")
        off = sum(start % instance.step != 0 for _, _, start in rows)
        note("grid", off, len(rows), f"starts are multiples of {instance.step}", "others")
        people = sum(len(instance.meetings[meeting][1]) for meeting, _, _ in rows)
        standing = absent = clashes = doubles = 0
        room_until: dict[int, int] = {}  # the latest end so far of each room's and each person's meetings
        until: dict[int, int] = {}
        for meeting, room, start in rows:
            duration, attendees = instance.meetings[meeting]
            end = start + duration
            standing += max(0, len(attendees) - instance.rooms[room])
            clashes += start < room_until.get(room, start)
            room_until[room] = max(room_until.get(room, end), end)
            for person in attendees:
                absent += not _covers(instance.availability[person], start, end)
                doubles += start < until.get(person, start)
                until[person] = max(until.get(person, end), end)
        note("capacity", standing, people, "a room seats all attendees", "without a seat")
        note("available", absent, people, "attendees are available throughout", "who are not")
        note("room", clashes, len(rows), "a room holds one meeting at a time", "that start during another")
        note("person", doubles, people, "people are in one meeting at a time", "attendances during another")
        return tuple(found)

    def objective(self, instance: MeetingSchedulingInstance, solution: Schedule) -> int:
        return sum([len(instance.meetings[meeting][1]) for meeting, _, _ in solution])

    def extensions(self, instance: MeetingSchedulingInstance, partial: Schedule) -> list[Row]:
        table = Timetable(instance)
        for meeting, room, start in partial:
            table.place(meeting, room, start // instance.step)
        left = [m for m in range(instance.size) if m not in table.rows]
        places = [(m, r, table.starts(m, r)) for m in left for r in sorted(instance.suitable[m])]
        return [(m, r, first_bit(slots) * instance.step) for m, r, slots in places if slots]

    def trivial(self, instance: MeetingSchedulingInstance) -> Schedule:
        return ()

    def heuristic(
        self, instance: MeetingSchedulingInstance, rng: np.random.Generator | None = None, slip: float = 0.0
    ) -> Schedule:
        """Generate serially [4]_: largest meeting first, at its earliest start, in the smallest room.

        No constant factor: a large, long meeting may keep out many. Never worse than the empty schedule.
        """
        left, table = list(instance.by_attendance), Timetable(instance)
        while left:
            second = rng is not None and len(left) > 1 and rng.random() < slip
            table.first_fit([left.pop(1 if second else 0)])
        return table.schedule

    def random(self, instance: MeetingSchedulingInstance, rng: np.random.Generator) -> Schedule:
        """Return meetings in random order, each at one random place of its own, if that is not taken."""
        table = Timetable(instance)
        for meeting in rng.permutation(instance.size).tolist():
            table.place_at_random(meeting, rng)
        return table.schedule

    def neighbour(
        self, instance: MeetingSchedulingInstance, solution: Schedule, rng: np.random.Generator
    ) -> Schedule:
        """Move a random meeting to a random place, drop what is in its way, and fill up at random."""
        table = Timetable(instance)
        moved = int(rng.integers(instance.size))
        table.place_at_random(moved, rng)
        for meeting, room, start in solution:
            if meeting != moved and table.starts(meeting, room) >> start // instance.step & 1:
                table.place(meeting, room, start // instance.step)
        table.first_fit(rng.permutation(instance.size).tolist())
        return table.schedule

    def solve(self, instance: MeetingSchedulingInstance, limit: int) -> Certificate[Schedule]:
        """CP-SAT on optional intervals; a step is a microsecond of its deterministic time.

        An optimal schedule can be shifted to the left until each meeting starts with an interval or at
        the end of another, so all starts are multiples of the greatest common divisor of the times.
        """
        times = [t for intervals in instance.availability for interval in intervals for t in interval]
        unit = gcd(*times, *(duration for duration, _ in instance.meetings))
        return by_classes(
            replace(instance, step=unit) if unit % instance.step == 0 else instance,
            self.heuristic(instance),
            limit,
        )

    def canonical(self, instance: MeetingSchedulingInstance, solution: Schedule) -> Schedule:
        names: dict[int, int] = {}  # rooms of equal size are taken in order of their first meeting's number
        unused = {
            seats: [r for r, other in enumerate(instance.rooms) if other == seats] for seats in instance.rooms
        }
        rows = []
        for meeting, room, start in sorted(solution):
            if room not in names:
                names[room] = unused[instance.rooms[room]].pop(0)
            rows.append((meeting, names[room], start))
        return tuple(rows)

    def draw(self, instance: MeetingSchedulingInstance, solution: Schedule | None, ax: Any) -> None:
        n, first, seats, hours = instance.size, instance.first, instance.rooms, instance.availability
        count, people = len(seats), len(hours)
        known = [r for r in solution or () if 0 <= r[0] < n and 0 <= r[1] < count and 0 <= r[2] < _DAY]
        rows = sorted(set(known), key=lambda row: row[::-1])
        times = [t for spans in hours for span in spans for t in span]
        times += [t for m, _, start in rows for t in (start, start + instance.meetings[m][0])]
        low, high = min(times, default=0) // 60, -(-max(times, default=_DAY) // 60)
        # Lines from above: rooms, people, and what is not scheduled, one after the other.
        middle = [*(1.5 * room for room in range(count)), *(1.5 * count + person for person in range(people))]

        def bar(line: int, start: int, end: int) -> drawing.Rectangle:
            tall = 1.3 if line < count else 0.8
            return start, middle[line] - tall / 2, end - start, tall

        busy: list[list[Interval]] = [[] for _ in middle]
        bars: list[drawing.Rectangle] = []
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
        waiting: list[drawing.Rectangle] = []
        at, below = 60 * low, middle[-1] + 1.5
        for meeting in left:
            duration = instance.meetings[meeting][0]
            if at > 60 * low and at + duration > 60 * high:
                at, below = 60 * low, below + 1
            waiting.append((at, below - 0.4, duration, 0.8))
            at += duration

        free = [bar(count + person, *span) for person, spans in enumerate(hours) for span in spans]
        drawing.boxes(ax, free, facecolors=drawing.FAINT)
        shades = [drawing.PALETTE[meeting % len(drawing.PALETTE)] for meeting in names]
        drawing.boxes(ax, bars, facecolors=shades, edgecolors=drawing.INK, linewidths=0.6)
        drawing.boxes(ax, waiting, facecolors="white", edgecolors=drawing.INK, linestyles="dotted")
        drawing.hatched(ax, [*absent, *(part for parts in clashes for part in parts)])
        flawed = {*crowded, *off, *(row for row in rows if row[0] in again)}
        framed = [bar(room, start, start + instance.meetings[m][0]) for m, room, start in sorted(flawed)]
        drawing.boxes(ax, framed, facecolors="none", edgecolors=drawing.WRONG, linewidths=2.5, zorder=4)
        hourly = range(low, high + 1, 1 + (high - low) // 9)
        ax.set_xticks([60 * hour for hour in hourly], [f"{hour}:00" for hour in hourly], fontsize=8)
        ax.set_xlim(60 * low, 60 * high)
        ax.set_ylim((below if left else middle[-1]) + 0.6, -0.75)
        ax.spines[["left", "top", "right"]].set_visible(False)
        titles = [f"room {room}, {number} seats" for room, number in enumerate(seats)]
        titles += [f"person {person}" for person in range(people)]
        last = ["not scheduled" if solution else "meetings"] if left else []
        fontsize = drawing.name_rows(ax, titles + last, [*middle, *(middle[-1] + 1.5 for _ in last)])
        named = list(zip([*names, *left], [*bars, *waiting], strict=True))
        for meeting, (x, y, width, height) in named if fontsize and len(named) < 1000 else ():
            place = (x + width / 2, y + height / 2)
            drawing.label(ax, meeting + first, place, fontsize=fontsize, halo=False)

        def numbers(found: Sequence[Row]) -> str:
            return drawing.listing(sorted({row[0] + first for row in found}))

        wrong = {
            "rows with unknown numbers": len(solution or ()) - len(known),
            "scheduled more than once": drawing.listing([m + first for m in again]),
            "too few seats": numbers(crowded),
            f"not on the grid of {instance.step} minutes": numbers(off),
            "rooms in use already": sum(map(len, clashes[:count])),
            "people in another meeting": sum(map(len, clashes[count:])),
            "people who are not available": len(absent),
        }
        told = f"scheduled: {n - len(left)} of {n} meetings; grey: people are available"
        drawing.say(ax, told, [f"{what}: {found}" for what, found in wrong.items() if found])


def first_bit(mask: int) -> int:
    """Return the position of the lowest bit that is set."""
    return (mask & -mask).bit_length() - 1


class Timetable:
    """A schedule under construction: who and what is taken when, in bit masks over the steps of the day."""

    def __init__(self, instance: MeetingSchedulingInstance) -> None:
        self.instance = instance
        self.rows: dict[int, Row] = {}
        self.rooms = [0] * len(instance.rooms)
        self.people = [0] * len(instance.availability)

    @property
    def schedule(self) -> Schedule:
        """The schedule so far, by meeting."""
        return tuple(self.rows[meeting] for meeting in sorted(self.rows))

    def starts(self, meeting: int, room: int) -> int:
        """Return the steps at which the unscheduled ``meeting`` can start in the suitable ``room``."""
        taken = self.rooms[room]
        for person in self.instance.meetings[meeting][1]:
            taken |= self.people[person]
        free, length, reach = ~taken, self.instance.slots[meeting], 1
        while reach < length:  # bit k of `free`: from k on, `reach` steps are free
            shift = min(reach, length - reach)
            free &= free >> shift
            reach += shift
        return free & self.instance.starts[meeting]

    def place(self, meeting: int, room: int, slot: int) -> None:
        """Schedule ``meeting`` in ``room`` from step ``slot`` on."""
        taken = _block(slot, slot + self.instance.slots[meeting])
        self.rooms[room] |= taken
        for person in self.instance.meetings[meeting][1]:
            self.people[person] |= taken
        self.rows[meeting] = (meeting, room, slot * self.instance.step)

    def first_fit(self, meetings: Iterable[int]) -> None:
        """Schedule ``meetings`` in turn, each at its earliest start and there in its smallest room."""
        for meeting in meetings:
            if meeting in self.rows:
                continue
            places = [(self.starts(meeting, room), room) for room in self.instance.suitable[meeting]]
            found = [(first_bit(starts), room) for starts, room in places if starts]
            if found:
                slot, room = min(found, key=lambda place: place[0])
                self.place(meeting, room, slot)

    def place_at_random(self, meeting: int, rng: np.random.Generator) -> None:
        """Schedule ``meeting`` in a random suitable room when its attendees are free, unless that is taken."""
        rooms, slots = self.instance.suitable[meeting], bits(self.instance.starts[meeting])
        if rooms and slots:
            room, slot = rooms[int(rng.integers(len(rooms)))], slots[int(rng.integers(len(slots)))]
            if self.starts(meeting, room) >> slot & 1:
                self.place(meeting, room, slot)


def by_classes(instance: MeetingSchedulingInstance, start: Schedule, limit: int) -> Certificate[Schedule]:
    """Maximise with one optional interval per meeting and class of equal rooms, from ``start`` on.

    A class holds as many meetings at once as it has rooms; intervals that never overlap more often can
    always be spread over the rooms. Counts over all rooms of at least a size are redundant, but tighten.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    classes = sorted(set(instance.rooms))
    members = {seats: [r for r, other in enumerate(instance.rooms) if other == seats] for seats in classes}
    in_class: dict[int, list[Any]] = {seats: [] for seats in classes}
    from_class: dict[int, list[Any]] = {seats: [] for seats in classes}
    of_person: list[list[Any]] = [[] for _ in instance.availability]
    chosen: dict[int, tuple[Any, dict[int, Any]]] = {}
    hint = {meeting: (room, time) for meeting, room, time in start}
    worth: list[Any] = []
    most = 0
    for meeting, (_, attendees) in enumerate(instance.meetings):
        fitting = [seats for seats in classes if seats >= len(attendees)]
        if not fitting or not instance.starts[meeting]:
            continue
        slot = model.new_int_var_from_domain(cp_model.Domain.from_values(bits(instance.starts[meeting])), "")
        length, held = instance.slots[meeting], model.new_bool_var("")
        interval = model.new_optional_fixed_size_interval_var(slot, length, held, "")
        for person in attendees:
            of_person[person].append(interval)
        takes = {seats: model.new_bool_var("") for seats in fitting}
        model.add(sum(takes.values()) == held)
        for seats, literal in takes.items():
            in_class[seats].append(model.new_optional_fixed_size_interval_var(slot, length, literal, ""))
        for seats in classes[: classes.index(fitting[0]) + 1]:
            from_class[seats].append(interval)
        if meeting in hint:
            model.add_hint(slot, hint[meeting][1] // instance.step)
        for seats, literal in takes.items():
            model.add_hint(literal, meeting in hint and instance.rooms[hint[meeting][0]] == seats)
        model.add_hint(held, meeting in hint)
        chosen[meeting] = slot, takes
        worth.append(len(attendees) * held)
        most += len(attendees)
    for intervals in of_person:
        model.add_no_overlap(intervals)
    for seats in classes:
        model.add_cumulative(in_class[seats], [1] * len(in_class[seats]), len(members[seats]))
        at_least = sum(len(rooms) for other, rooms in members.items() if other >= seats)
        model.add_cumulative(from_class[seats], [1] * len(from_class[seats]), at_least)
    model.maximize(sum(worth))
    solved = cpsat.solve(model, limit, maximise=True)
    if not solved.feasible:
        value = sum(len(instance.meetings[meeting][1]) for meeting, _, _ in start)
        return Certificate(start, value, most, solved.name, solved.work)
    until = [0] * len(instance.rooms)
    rows = []
    for slot, meeting, seats in sorted(
        (solved.integer(slot), meeting, seats)
        for meeting, (slot, takes) in chosen.items()
        for seats, literal in takes.items()
        if solved.value(literal)
    ):
        room = next(r for r in members[seats] if until[r] <= slot)
        until[room] = slot + instance.slots[meeting]
        rows.append((meeting, room, slot * instance.step))
    value = sum(len(instance.meetings[meeting][1]) for meeting, _, _ in rows)
    return Certificate(tuple(sorted(rows)), value, min(most, solved.bound), solved.name, solved.work)


def _times(quarters: NDArray[np.int64]) -> tuple[Interval, ...]:
    """Return the intervals whose ends are alternately so many quarters of an hour after opening."""
    minutes = (_OPEN + 15 * quarters).tolist()
    return tuple(zip(minutes[::2], minutes[1::2], strict=True))


def _quarters(start: int, end: int) -> int:
    """Return the bit mask of the quarters of an hour after opening from minute ``start`` to ``end``."""
    return _block((start - _OPEN) // 15, (end - _OPEN) // 15)


def _block(start: int, stop: int) -> int:
    """Return the bit mask of ``start`` to ``stop - 1``."""
    return (1 << stop) - (1 << start) if start < stop else 0


def fits(instance: MeetingSchedulingInstance, rows: Sequence[Row]) -> bool:
    """Whether no row breaks a constraint: all that most answers need."""
    needs, seats = instance.needs, instance.rooms
    n, count, scheduled = len(needs), len(seats), 0
    rooms, people = [0] * count, [0] * len(instance.availability)
    for meeting, room, start in rows:
        if not (0 <= meeting < n and 0 <= room < count and start >= 0):
            return False
        bit, starts, minutes, attendees = needs[meeting]
        if scheduled & bit or not starts >> start & 1 or len(attendees) > seats[room]:
            return False
        scheduled |= bit
        minutes <<= start
        if rooms[room] & minutes:
            return False
        rooms[room] |= minutes
        for person in attendees:
            if people[person] & minutes:
                return False
            people[person] |= minutes
    return True


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


def _covers(intervals: Sequence[Interval], start: int, end: int) -> bool:
    """Whether one of the intervals holds all of ``start`` to ``end``."""
    return any(low <= start and end <= high for low, high in intervals)
