"""Rooms and times for meetings: a timetable in bit masks, and the most attendees with CP-SAT."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import gcd
from typing import Any, TypeAlias

import numpy as np

from ..core.bitset import bits
from ..core.reference import Certificate
from . import cpsat

Row: TypeAlias = tuple[int, int, int]
"""A meeting, its room, and the minute of its start."""
Schedule: TypeAlias = tuple[Row, ...]

_LARGEST = 200
"""Meetings that are searched at most: with more, most of CP-SAT's time is not counted as deterministic time."""


def first_bit(mask: int) -> int:
    """Return the position of the lowest bit that is set."""
    return (mask & -mask).bit_length() - 1


def fits(instance: Any, rows: Iterable[Row]) -> bool:
    """Whether ``rows``, of different meetings, can all take place: quicker than to find out what is wrong."""
    step, meetings, seats = instance.step, instance.meetings, instance.rooms
    rooms, people = [0] * len(seats), [0] * len(instance.availability)
    for meeting, room, start in rows:
        slot, off = divmod(start, step)
        attendees = meetings[meeting][1]
        if off or len(attendees) > seats[room]:  # redundant: what does not fit at once is looked at again
            return False
        if not instance.starts[meeting] >> slot & 1:
            return False
        taken = ((1 << instance.slots[meeting]) - 1) << slot
        if rooms[room] & taken:
            return False
        rooms[room] |= taken
        for person in attendees:
            if people[person] & taken:
                return False
            people[person] |= taken
    return True


class Timetable:
    """A schedule under construction: who and what is taken when, in bit masks over the steps of the day."""

    def __init__(self, instance: Any) -> None:
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
        allowed: int = self.instance.starts[meeting]
        return free & allowed

    def place(self, meeting: int, room: int, slot: int) -> None:
        """Schedule ``meeting`` in ``room`` from step ``slot`` on."""
        taken = block(slot, slot + self.instance.slots[meeting])
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
            earliest = [(first_bit(starts), room) for starts, room in places if starts]
            if earliest:
                slot, room = min(earliest, key=lambda place: place[0])
                self.place(meeting, room, slot)

    def place_at_random(self, meeting: int, rng: np.random.Generator) -> None:
        """Schedule ``meeting`` in a random suitable room when its attendees are free, unless that is taken."""
        rooms, slots = self.instance.suitable[meeting], bits(self.instance.starts[meeting])
        if rooms and slots:
            room, slot = rooms[int(rng.integers(len(rooms)))], slots[int(rng.integers(len(slots)))]
            if self.starts(meeting, room) >> slot & 1:
                self.place(meeting, room, slot)


def by_classes(instance: Any, start: Schedule, limit: int) -> Certificate[Schedule]:
    """Return the schedule with most attendees and its proof, or the best one and the best bound within ``limit``.

    The model has one optional interval per meeting and class of equal rooms. A class holds as many meetings at once as
    it has rooms; intervals that never overlap more often can always be spread over the rooms. Counts over all rooms of
    at least a size are redundant, but tighten. Where all times share a divisor, starts at its multiples suffice:
    moving every meeting as early as it can go ends there.

    ``instance`` has what `forge_gym.envs.meeting_scheduling` gives it; ``limit`` is CP-SAT's deterministic time in
    millionths. Of more than `_LARGEST` meetings, those that fit a room and a time are counted, and nothing is searched.
    """
    if len(instance.meetings) > _LARGEST:
        held = sum(len(instance.meetings[meeting][1]) for meeting, _, _ in start)
        possible = zip(instance.meetings, instance.suitable, instance.starts, strict=True)
        bound = sum(len(people) for (_, people), rooms, starts in possible if rooms and starts)
        return Certificate(start, held, bound, "first fit", 0)
    times = [minute for free in instance.availability for interval in free for minute in interval]
    unit = gcd(*times, *(duration for duration, _ in instance.meetings))
    if unit % instance.step == 0:
        instance = replace(instance, step=unit)
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
        if meeting in hint:
            model.add_hint(slot, hint[meeting][1] // instance.step)
        for seats, literal in takes.items():
            in_class[seats].append(model.new_optional_fixed_size_interval_var(slot, length, literal, ""))
            model.add_hint(literal, meeting in hint and instance.rooms[hint[meeting][0]] == seats)
        model.add_hint(held, meeting in hint)
        for seats in classes[: classes.index(fitting[0]) + 1]:
            from_class[seats].append(interval)
        chosen[meeting] = slot, takes
        worth.append(len(attendees) * held)
    for intervals in of_person:
        model.add_no_overlap(intervals)
    for seats in classes:
        model.add_cumulative(in_class[seats], [1] * len(in_class[seats]), len(members[seats]))
        at_least = sum(len(rooms) for other, rooms in members.items() if other >= seats)
        model.add_cumulative(from_class[seats], [1] * len(from_class[seats]), at_least)
    model.maximize(sum(worth))
    solved = cpsat.solve(model, limit, maximise=True)
    rows, bound = list(start), sum(len(instance.meetings[meeting][1]) for meeting in chosen)
    if solved.feasible:
        rows, bound = [], min(bound, solved.bound)
        until = [0] * len(instance.rooms)
        for slot, meeting, seats in sorted(
            (solved.value(slot), meeting, seats)
            for meeting, (slot, takes) in chosen.items()
            for seats, literal in takes.items()
            if solved.value(literal)
        ):
            room = next(r for r in members[seats] if until[r] <= slot)
            until[room] = slot + instance.slots[meeting]
            rows.append((meeting, room, slot * instance.step))
        rows.sort()
    value = sum(len(instance.meetings[meeting][1]) for meeting, _, _ in rows)
    return Certificate(tuple(rows), value, bound, solved.name, solved.work)


def block(start: int, stop: int) -> int:
    """Return the bit mask of ``start`` to ``stop - 1``."""
    return (1 << stop) - (1 << start) if start < stop else 0
