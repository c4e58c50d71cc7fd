"""Rooms and times for meetings: a timetable in bit masks, and the most attendees with CP-SAT.

References
----------
.. [1] J. Sousa, L. Wolsey, "A time indexed formulation of non-preemptive single machine scheduling problems",
   Mathematical Programming 54, 1992.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import gcd
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..core.bitset import bits
from ..core.reference import Certificate
from . import cpsat

Row: TypeAlias = tuple[int, int, int]
"""A meeting, its room, and the minute of its start."""
Schedule: TypeAlias = tuple[Row, ...]


def first_bit(mask: int) -> int:
    """Return the position of the lowest bit that is set."""
    return (mask & -mask).bit_length() - 1


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


def most_attended(instance: Any, start: Schedule, limit: int) -> Certificate[Schedule]:
    """Return the schedule with most attendees and its proof, or the best one and the best bound within ``limit``.

    At first rooms are only counted: at no time do more meetings need a room of a size or a larger one than there are.
    That bounds what can be held. Then rooms are assigned at the starts that were found, and only where a meeting finds
    none the whole is searched with rooms.

    Where all times share a divisor, starts at its multiples suffice: moving every meeting as early as it can go
    ends there. ``instance`` has what `forge_gym.envs.meeting_scheduling` gives it; ``limit`` is CP-SAT's deterministic
    time in millionths.
    """
    times = [minute for free in instance.availability for interval in free for minute in interval]
    unit = gcd(*times, *(duration for duration, _ in instance.meetings))
    if unit % instance.step == 0:
        instance = replace(instance, step=unit)
    starts = [bits(mask) if rooms else [] for rooms, mask in zip(instance.suitable, instance.starts, strict=True)]
    sizes = [len(people) for _, people in instance.meetings]
    bound = sum([size for size, slots in zip(sizes, starts, strict=True) if slots])
    best, name, work = start, "first fit", 0

    def held(schedule: Schedule) -> int:
        return sum([sizes[meeting] for meeting, _, _ in schedule])

    counted = _search(instance, starts, False, best, limit - limit // 8)
    if counted.feasible:
        work, name, bound = counted.work, counted.name, min(bound, counted.bound)
        placed = _search(
            instance, [counted.starts.get(meeting, []) for meeting in range(len(sizes))], True, (), limit - work
        )
        best, work = max(best, placed.schedule, key=held), work + placed.work
        if held(best) < bound:
            whole = _search(instance, starts, True, best, limit - work)
            if whole.feasible:  # within what is left of the limit
                best, work, bound = max(best, whole.schedule, key=held), work + whole.work, min(bound, whole.bound)
    return Certificate(best, held(best), bound, name, work)


class _Found(NamedTuple):
    """What a search found."""

    feasible: bool
    schedule: Schedule
    """In rooms, if they were searched."""
    starts: dict[int, list[int]]
    """The step at which each meeting that is held starts."""
    bound: int
    work: int
    name: str


def _search(instance: Any, starts: Sequence[Sequence[int]], in_rooms: bool, hint: Schedule, limit: int) -> _Found:
    """Hold meetings at some of their ``starts``, in classes of equal rooms or, if not ``in_rooms``, counted only.

    A time-indexed model: a literal for each meeting, start and class. Its linear relaxation is strong [1]_.
    Intervals that never overlap more often than a class has rooms can always be spread over them.
    """
    meetings, slots = instance.meetings, instance.slots
    entries = sum([slots[m] * len(meetings[m][1]) * len(steps) for m, steps in enumerate(starts)])
    limit -= entries  # no deterministic time is counted while a model is built
    if limit <= 0:
        return _Found(False, (), {}, 0, 0, "")
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    members: dict[int, list[int]] = {}
    for room in sorted(range(len(instance.rooms)), key=lambda room: (-instance.rooms[room], room)):
        members.setdefault(instance.rooms[room], []).append(room)
    people: dict[tuple[int, int], list[Any]] = {}
    rooms: dict[int, dict[int, list[Any]]] = {}  # for each step and class, the literals that need a room
    literals: dict[tuple[int, int, int], Any] = {}
    hinted = {(meeting, time // instance.step) for meeting, _, time in hint}
    for meeting, (_, attendees) in enumerate(meetings):
        fitting = [seats for seats in members if seats >= len(attendees)]
        for start in starts[meeting]:
            for seats in fitting if in_rooms else fitting[-1:]:
                literal = literals[start, meeting, seats] = model.new_bool_var("")
                for step in range(start, start + slots[meeting]):
                    rooms.setdefault(step, {}).setdefault(seats, []).append(literal)
                    for person in attendees:
                        people.setdefault((person, step), []).append(literal)
                if hint and not in_rooms:
                    model.add_hint(literal, (meeting, start) in hinted)
    of_meeting: dict[int, list[Any]] = {}
    for (_, meeting, _), literal in literals.items():
        of_meeting.setdefault(meeting, []).append(literal)
    for exclusive in (*of_meeting.values(), *people.values()):
        model.add_at_most_one(exclusive)
    for needed in rooms.values():
        needing: list[Any] = []
        available = 0
        for seats, equal in members.items():
            needing = needed.get(seats, []) if in_rooms else needing + needed.get(seats, [])
            available = len(equal) if in_rooms else available + len(equal)
            if len(needing) > available:
                model.add(sum(needing) <= available)
    model.maximize(sum(len(meetings[meeting][1]) * literal for (_, meeting, _), literal in literals.items()))
    solved = cpsat.solve(model, limit, maximise=True, linearization_level=2)
    rows, found, until = [], {}, [0] * len(instance.rooms)
    if solved.feasible:
        for start, meeting, seats in sorted(place for place, literal in literals.items() if solved.value(literal)):
            found[meeting] = [start]
            if in_rooms:
                room = next(room for room in members[seats] if until[room] <= start)
                until[room] = start + slots[meeting]
                rows.append((meeting, room, start * instance.step))
    return _Found(solved.feasible, tuple(sorted(rows)), found, solved.bound, solved.work + entries, solved.name)


def block(start: int, stop: int) -> int:
    """Return the bit mask of ``start`` to ``stop - 1``."""
    return (1 << stop) - (1 << start) if start < stop else 0
