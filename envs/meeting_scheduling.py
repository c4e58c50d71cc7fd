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
.. [5] J. Sousa, L. Wolsey, "A time indexed formulation of non-preemptive single machine scheduling problems",
   Mathematical Programming 54, 1992.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import accumulate
from math import gcd
from operator import and_, or_, xor
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np

from ..core import Certificate, Range, Violation, bits, mask_of
from ..core.seeding import floats
from ..kinds import Choose, Data, Plan, Row, Schedule, Table, Value
from ..kinds.encoding import Features, columns, scaled
from ..kinds.instance import Shape, TypedInstance, canonical_form
from ..pictures.gantt import Meetings
from ..solvers.meetings import Timetable, first_bit, most_attended

Interval: TypeAlias = tuple[int, int]
"""Minutes of the day from the first up to and without the second."""
_DAY = 24 * 60
_OPEN, _CLOSE = 540, 1020
"""Working hours, 9:00 to 17:00."""
_QUARTERS = (_CLOSE - _OPEN) // 15
"""Quarters of an hour between them."""
_DURATIONS, _SEATS = (30, 45, 60, 90, 120), (3, 4, 5, 6)
_MEETINGS_PER_ROOM = {"office": 8, "scattered": 16, "crowded": 16}
"""Choices of this suite: meetings and rooms of a small office, so few rooms that some meetings have none."""


@dataclass(frozen=True)
class MeetingSchedulingInstance(TypedInstance):
    """Meetings, people and rooms."""

    meetings: Annotated[tuple[tuple[int, tuple[int, ...]], ...], Shape((True,))]
    """(n,) pairs of a duration in minutes and the attendees, numbers of people in rising order."""
    availability: tuple[tuple[Interval, ...], ...]
    """For each person the free intervals of the day in rising order, with gaps between them."""
    rooms: Annotated[tuple[int, ...], Range(1)]
    """Number of seats of each room."""
    step: Annotated[int, Range(1, _DAY)] = 1
    """Meetings start at multiples of so many minutes."""

    def rules(self) -> Iterator[tuple[bool, str]]:
        yield bool(self.availability and self.rooms), "there must be people and rooms, got none"
        for free in self.availability:
            ends = [minute for interval in free for minute in interval]
            rising = ends == sorted(set(ends)) and all(0 <= minute <= _DAY for minute in ends)
            yield rising, f"free intervals must rise within a day, with gaps between them, got {free}"
        for duration, people in self.meetings:
            yield 1 <= duration <= _DAY, f"a duration must be 1 to {_DAY} minutes, got {duration}"
            listed = bool(people) and list(people) == sorted(set(people))
            yield listed, f"attendees must be listed in rising order, each once, got {people}"
            known = people[0] >= 0 and people[-1] < len(self.availability)
            yield known, f"attendees must be people, 0 to {len(self.availability) - 1}, got {people}"

    def isomorphism_key(self) -> Any:
        """Return what is the same under any numbering of meetings, people and rooms."""
        n = self.size
        invited = [[(0, n + person) for person in people] for _, people in self.meetings]
        attends: list[list[tuple[int, int]]] = [[] for _ in self.availability]
        for i, (_, people) in enumerate(self.meetings):
            for person in people:
                attends[person].append((0, i))
        own = [*((minutes, ()) for minutes, _ in self.meetings), *((0, free) for free in self.availability)]
        return [sorted(self.rooms), self.step, canonical_form([*invited, *attends], own)]

    def features(self) -> Features:
        """Return of each meeting length, people, rooms and starts with first and last, as shares; and who clash."""
        invited = np.zeros((self.size, len(self.availability)))
        for m, (_, people) in enumerate(self.meetings):
            invited[m, people] = 1.0
        starts = [bits(mask) or [0] for mask in self.starts]
        slots = scaled([[len(s), s[0], s[-1]] for s in starts], _DAY / self.step)
        lengths = scaled([duration for duration, _ in self.meetings], _DAY)
        rooms = scaled([len(rooms) for rooms in self.suitable], len(self.rooms))
        return Features(columns(lengths, invited.mean(axis=1), rooms, *slots.T), invited @ invited.T > 0)

    @cached_property
    def times(self) -> range:
        """The starts from the first opening of anybody's day to the last end."""
        hours = [minute for free in self.availability for interval in free for minute in interval]
        return range(min(hours, default=0) // self.step * self.step, max(hours, default=0), self.step)

    @cached_property
    def slots(self) -> tuple[int, ...]:
        """Steps that each meeting takes up: no other meeting can start before they are over."""
        return tuple(-(-duration // self.step) for duration, _ in self.meetings)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Steps at which each meeting finds all its attendees available, as bit masks."""
        step, masks = self.step, []
        for duration, attendees in self.meetings:
            common = -1
            for person in attendees:
                free = 0
                for start, end in self.availability[person]:
                    first, last = -(-start // step), (end - duration) // step
                    if first <= last:
                        free += (2 << last) - (1 << first)
                common &= free
            masks.append(common)
        return tuple(masks)

    @cached_property
    def alike(self) -> dict[int, list[int]]:
        """The rooms of each number of seats, which are interchangeable."""
        return {seats: [r for r, other in enumerate(self.rooms) if other == seats] for seats in self.rooms}

    @cached_property
    def crowds(self) -> tuple[int, ...]:
        """The attendees of each meeting, as bit masks."""
        return tuple(mask_of(people) for _, people in self.meetings)

    @cached_property
    def judged(self) -> tuple[tuple[int, int, int, int], ...]:
        """Of each meeting what judges a schedule: duration, number of attendees, attendees and starts as masks."""
        parts = zip(self.meetings, self.crowds, self.starts, strict=True)
        return tuple([(minutes, len(people), crowd, starts) for (minutes, people), crowd, starts in parts])

    @cached_property
    def suitable(self) -> tuple[tuple[int, ...], ...]:
        """The rooms with seats enough for each meeting, smallest first."""
        rooms = sorted(range(len(self.rooms)), key=lambda r: (self.rooms[r], r))
        return tuple(tuple(r for r in rooms if self.rooms[r] >= len(people)) for _, people in self.meetings)


@dataclass(frozen=True, kw_only=True)
class MeetingScheduling(Schedule[MeetingSchedulingInstance]):
    """Schedule meetings in rooms such that the total number of attendees is as large as possible.

    Problem: max sum of the attendees of the scheduled meetings; everybody is available throughout and in
    one meeting at a time, a room seats all attendees and holds one meeting at a time. Trivial: one meeting after
    another in the largest room.
    Heuristic: first fit, largest meeting first [4]_. Reference: CP-SAT on time-indexed literals [5]_,
    at first with rooms counted only.

    Examples
    --------
    >>> problem = MeetingScheduling()
    >>> morning = ((540, 660),)
    >>> instance = MeetingSchedulingInstance(((120, (0, 1)), (60, (0,)), (60, (0, 1))), (morning,) * 2, (2,))
    >>> problem.heuristic(instance), problem.reference(instance).value
    (((1, 0, 600), (2, 0, 540)), 3)
    """

    family: ClassVar = "scheduling"
    sense: ClassVar = "max"
    noun: ClassVar = "meeting"
    columns: ClassVar = "meeting", "room", "start"
    ranges: ClassVar = "rooms 0 to {}, starts minutes of the day"
    own: ClassVar = ("grid", "capacity", "available", "room", "person")
    instance_type: ClassVar = MeetingSchedulingInstance
    work_limit: ClassVar = 12_000_000
    smallest: ClassVar = 10
    scratch: ClassVar = {"n": 5}
    picture: ClassVar = Meetings()
    published: ClassVar = "meeting_schedule"

    n: int = 16
    """Number of meetings."""
    distribution: Literal["office", "scattered", "crowded"] = "office"
    """Who is free when, from 9:00 to 17:00. ``office``: all day except for a lunch hour and two appointments, with
    one room for eight meetings; ``crowded``: likewise, with one room for sixteen meetings; ``scattered``: all day
    except for three absences of any length, with one room for sixteen meetings."""
    step: Annotated[int, Range(1, _DAY)] = 15
    """Meetings start at multiples of so many minutes; 1 in the published benchmark [2]_."""

    def generate(self, rng: np.random.Generator) -> MeetingSchedulingInstance:
        n, draw = self.n, floats(rng).__next__
        people, changes, intervals = max(6, 3 * n // 2), [0] * (_QUARTERS + 1), []
        for person in range(people):
            intervals.append(own := self._free(draw))
            bit = 1 << person
            for first, last in own:
                changes[first] ^= bit
                changes[last] ^= bit
        free = list(accumulate(changes, xor))  # for each quarter of an hour the people, as a bit mask
        count, most = max(1, -(-n // _MEETINGS_PER_ROOM[self.distribution])), max(_SEATS)
        rooms = [_SEATS[int(draw() * len(_SEATS))] for _ in range(count)]
        rooms[int(draw() * count)] = most
        meetings = []
        for _ in range(n):  # a time at which somebody is free, and attendees among all who are free then
            own = intervals[int(draw() * people)]
            first, last = own[int(draw() * len(own))]
            duration = min(_DURATIONS[int(draw() * len(_DURATIONS))], 15 * (last - first))
            quarters = duration // 15
            start = first + int(draw() * (last - first - quarters + 1))
            together = reduce(and_, free[start : start + quarters])
            size = min(together.bit_count(), 2 + int(draw() * (most - 1)))
            attendees: list[int] = []
            while len(attendees) < size:
                person = int(draw() * people)
                if together >> person & 1:
                    together ^= 1 << person
                    attendees.append(person)
            attendees.sort()
            meetings.append((duration, tuple(attendees)))
        hours = tuple([tuple([(_OPEN + 15 * first, _OPEN + 15 * last) for first, last in own]) for own in intervals])
        return MeetingSchedulingInstance(tuple(meetings), hours, tuple(rooms), self.step)

    def _free(self, draw: Callable[[], float]) -> list[Interval]:
        """Draw the free intervals of one person, in quarters of an hour."""
        if self.distribution == "scattered":
            inside: set[int] = set()
            while len(inside) < 6:
                inside.add(1 + int(draw() * (_QUARTERS - 1)))
            ends = [0, *sorted(inside), _QUARTERS]
            return list(zip(ends[::2], ends[1::2], strict=True))
        lunch, one = 10 + int(draw() * 5), int(draw() * _QUARTERS)
        busy = [(lunch, lunch + 4), (one, one + 2 + int(draw() * 5))]
        other = int(draw() * _QUARTERS)
        busy.append((other, other + 2 + int(draw() * 5)))
        busy.sort()
        free, over = [], 0
        for begin, end in busy:
            if begin > over:
                free.append((over, begin))
            if end > over:
                over = end
        if over < _QUARTERS:
            free.append((over, _QUARTERS))
        return free

    def domains(self, instance: MeetingSchedulingInstance) -> tuple[range, range]:
        return range(len(instance.rooms)), instance.times

    def horizon(self, instance: MeetingSchedulingInstance) -> int:
        return _DAY

    def clock(self, time: int) -> str:
        return f"{time // 60}:{time % 60:02}"

    def question(self, instance: MeetingSchedulingInstance) -> str:
        grid = "an integer" if instance.step == 1 else f"a multiple of {instance.step}"
        return (
            "Meeting scheduling problem: choose meetings to hold and give each of them a room and a start such "
            "that the total number of attendees of the scheduled meetings is as large as possible.\n"
            "Each meeting is scheduled at most once. Its room has at least as many seats as the meeting has "
            "attendees and holds one meeting at a time. Every attendee is available during the whole meeting "
            "and is in one meeting at a time. A meeting may start at the minute at which another ends.\n"
            f"Times are minutes of the day; a start is {grid}. There are {len(instance.rooms)} rooms, "
            f"{len(instance.availability)} people, each with the intervals in which they are available, and "
            f"{self.counted(instance)}"
        )

    def table(self, instance: MeetingSchedulingInstance) -> Data:
        durations, attendees = zip(*instance.meetings, strict=True)
        meetings = {"minutes": durations, "people": attendees}
        free = {"from/to": instance.availability}
        parts = (
            Value("step", instance.step, line="", word="s{value}"),
            Table("room", {"seats": instance.rooms}, "{id}: {seats} seats", "r{seats}", elements=False),
            Table("person", free, "{id}: {from/to:-| }", "p{from/to:-|,}", elements=False),
            Table("meeting", meetings, "{id}: {minutes} min, people {people}", "m{minutes}:{people:.}"),
        )
        return Data(parts, ", each with its duration and its attendees.")

    def tiny(self, instance: MeetingSchedulingInstance) -> tuple[MeetingSchedulingInstance, Plan]:
        meetings = ((60, (0, 1, 2)), (30, (0, 1)), (60, (1, 2)), (60, (0, 2)))
        availability = (((540, 660),), ((540, 660), (720, 780)), ((540, 600), (720, 780)))
        tiny = MeetingSchedulingInstance(meetings, availability, (2, 3), gcd(instance.step, 60))
        return tiny, ((0, 1, 540), (1, 0, 600), (2, 0, 720))

    def broken(self, instance: MeetingSchedulingInstance, rows: Plan) -> Iterator[Violation]:
        step, meetings, seats, judged = instance.step, instance.meetings, instance.rooms, instance.judged
        off = standing = absent = clashes = doubles = 0
        held: list[tuple[int, int, int]] = []  # the end, the room and the attendees of each meeting that is not over
        for meeting, room, start in rows:
            minutes, size, crowd, starts = judged[meeting]
            end = start + minutes
            if start % step or not starts >> start // step & 1:
                off += start % step != 0  # redundant: it tells what is wrong, not whether
                free = [instance.availability[person] for person in meetings[meeting][1]]
                away = [not any(a <= start and end <= b for a, b in hours) for hours in free]  # redundant: as for `off`
                absent += sum(away)
            if size > seats[room]:  # redundant: equal numbers add nothing
                standing += size - seats[room]
            if held and (held := [other for other in held if start < other[0]]):
                clashes += room in [where for _, where, _ in held]
                doubles += (crowd & reduce(or_, [who for _, _, who in held])).bit_count()
            held.append((end, room, crowd))
        amounts = (off, standing, absent, clashes, doubles)
        if any(amounts):
            grid, count = f"starts are multiples of {step}", len(rows)
            attendances = sum(len(meetings[meeting][1]) for meeting, _, _ in rows)
            wordings = (
                (count, grid, "others"),
                (attendances, "a room seats all attendees", "without a seat"),
                (attendances, "attendees are available throughout", "who are not"),
                (count, "a room holds one meeting at a time", "that start during another"),
                (attendances, "people are in one meeting at a time", "attendances during another"),
            )
            for family, amount, (scale, rule, got) in zip(self.own, amounts, wordings, strict=True):
                if amount:
                    yield Violation(family, amount, scale, f"{rule}, got {amount} {got}")

    def objective(self, instance: MeetingSchedulingInstance, solution: Plan) -> int:
        meetings = instance.meetings
        return sum([len(meetings[meeting][1]) for meeting, _, _ in solution])

    def trivial(self, instance: MeetingSchedulingInstance) -> Plan:
        """Return the meetings in order, each in the largest room as soon as the last one is over and all can come."""
        largest = max(range(len(instance.rooms)), key=instance.rooms.__getitem__)
        rows, over = [], 0
        for meeting, starts in enumerate(instance.starts):
            later = starts >> over << over
            if later and largest in instance.suitable[meeting]:
                slot = first_bit(later)
                rows.append((meeting, largest, slot * instance.step))
                over = slot + instance.slots[meeting]
        return tuple(rows)

    def greedy(self, instance: MeetingSchedulingInstance, choose: Choose) -> Iterable[Row]:
        """Generate serially [4]_: largest, then shortest meeting first, at its earliest start, in the smallest room.

        No constant factor: a large, long meeting may keep out many. Never worse than the empty schedule.
        """
        meetings, table = instance.meetings, Timetable(instance)
        left = sorted(range(instance.size), key=lambda m: (-len(meetings[m][1]), meetings[m][0]))
        while left:
            left.remove(meeting := choose(left))
            table.first_fit([meeting])
        return table.schedule

    def extensions(self, instance: MeetingSchedulingInstance, partial: Plan) -> list[Row]:
        table = Timetable(instance)
        for meeting, room, start in partial:
            table.place(meeting, room, start // instance.step)
        left = [m for m in range(instance.size) if m not in table.rows]
        places = [(m, r, table.starts(m, r)) for m in left for r in sorted(instance.suitable[m])]
        return [(m, r, first_bit(slots) * instance.step) for m, r, slots in places if slots]

    def bound(self, instance: MeetingSchedulingInstance, partial: Plan) -> int:
        return self.objective(instance, self.with_all_that_fits(instance, partial))

    def random(self, instance: MeetingSchedulingInstance, rng: np.random.Generator) -> Plan:
        """Return meetings in random order, each at one random place of its own, if that is not taken."""
        table = Timetable(instance)
        for meeting in rng.permutation(instance.size).tolist():
            table.place_at_random(meeting, rng)
        return table.schedule

    def neighbour(self, instance: MeetingSchedulingInstance, solution: Plan, rng: np.random.Generator) -> Plan:
        """Move a random meeting to a random place, drop what is in its way, and fill up at random."""
        table = Timetable(instance)
        moved = int(rng.integers(instance.size))
        table.place_at_random(moved, rng)
        for meeting, room, start in solution:
            if meeting != moved and table.starts(meeting, room) >> start // instance.step & 1:
                table.place(meeting, room, start // instance.step)
        table.first_fit(rng.permutation(instance.size).tolist())
        return table.schedule

    def solve(self, instance: MeetingSchedulingInstance, start: Plan, limit: int) -> Certificate[Plan]:
        """CP-SAT on a literal for each meeting and start; a step is a microsecond of its deterministic time."""
        return most_attended(instance, start, limit)

    def canonical(self, instance: MeetingSchedulingInstance, solution: Plan) -> Plan:
        plan, alike = super().canonical(instance, solution), instance.alike
        if len(alike) == len(instance.rooms):  # redundant: it only saves time
            return plan
        names: dict[int, int] = {}  # rooms of equal size are taken in order of their first meeting's number
        unused = {seats: iter(rooms) for seats, rooms in alike.items()}
        rows = []
        for meeting, room, start in plan:
            if room not in names:
                names[room] = next(unused[instance.rooms[room]])
            rows.append((meeting, names[room], start))
        return tuple(rows)
