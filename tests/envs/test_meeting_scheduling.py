"""Meeting scheduling: verdict and optimum against the definition, a second model, the published optima."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from forge_gym.core.parameters import choices
from forge_gym.envs.meeting_scheduling import MeetingScheduling, MeetingSchedulingInstance
from forge_gym.kinds.schedule import Plan

DISTRIBUTIONS = choices(MeetingScheduling, "distribution")


def compatible(instance: MeetingSchedulingInstance, a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether two rows can stand in one schedule, from the definition."""
    (da, pa), (db, pb) = instance.meetings[a[0]], instance.meetings[b[0]]
    apart = a[2] + da <= b[2] or b[2] + db <= a[2]
    return a[0] != b[0] and (apart or (a[1] != b[1] and not set(pa) & set(pb)))


def legal(instance: MeetingSchedulingInstance, row: tuple[int, ...]) -> bool:
    """Whether a row can stand in a schedule at all, from the definition."""
    meeting, room, start = row
    duration, people = instance.meetings[meeting]
    minutes = set(range(start, start + duration))
    return (
        start % instance.step == 0
        and len(people) <= instance.rooms[room]
        and all(minutes <= {t for s, e in instance.availability[p] for t in range(s, e)} for p in people)
    )


def rows_of(instance: MeetingSchedulingInstance) -> list[list[tuple[int, ...]]]:
    """All legal rows of each meeting."""
    rooms, day = range(len(instance.rooms)), range(0, 1440, instance.step)
    return [[row for row in product([m], rooms, day) if legal(instance, row)] for m in range(len(instance.meetings))]


def brute_force(instance: MeetingSchedulingInstance) -> int:
    """Try every legal row of one meeting after the other, and to leave it out."""
    rows = rows_of(instance)
    people = [len(attendees) for _, attendees in instance.meetings]
    best = 0

    def extend(meeting: int, chosen: list[tuple[int, ...]], value: int) -> None:
        nonlocal best
        best = max(best, value)
        if value + sum(people[meeting:]) <= best:
            return
        for row in rows[meeting]:
            if all(compatible(instance, row, other) for other in chosen):
                extend(meeting + 1, [*chosen, row], value + people[meeting])
        extend(meeting + 1, chosen, value)

    extend(0, [], 0)
    return best


def time_indexed(instance: MeetingSchedulingInstance) -> int:
    """One variable per legal row, one constraint per room or person and moment: a second exact model."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    at: dict[tuple[str, int, int], list[Any]] = {}
    worth = []
    for rows in rows_of(instance):
        variables = [model.new_bool_var("") for _ in rows]
        model.add_at_most_one(variables)
        for variable, (meeting, room, start) in zip(variables, rows, strict=True):
            duration, people = instance.meetings[meeting]
            worth.append(len(people) * variable)
            for moment in range(start, start + duration, instance.step):
                at.setdefault(("room", room, moment), []).append(variable)
                for person in people:
                    at.setdefault(("person", person, moment), []).append(variable)
    for variables in at.values():
        model.add_at_most_one(variables)
    model.maximize(sum(worth))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.linearization_level = 2
    assert solver.solve(model) == cp_model.OPTIMAL
    return round(solver.objective_value)


def tiny(rng: np.random.Generator) -> MeetingSchedulingInstance:
    """Three meetings, three people, two rooms and a day of six steps, times on and off the grid."""
    step = int(rng.choice((1, 2, 5)))
    ends = [np.sort(rng.choice(6 * step + 1, size=4, replace=False)).tolist() for _ in range(3)]
    meetings = []
    for _ in range(3):
        people = np.sort(rng.choice(3, size=rng.integers(1, 4), replace=False))
        meetings.append((int(rng.integers(1, 4 * step)), tuple(people.tolist())))
    return MeetingSchedulingInstance(
        tuple(meetings),
        tuple(((a, b), (c, d)) for a, b, c, d in ends),
        tuple(rng.integers(1, 4, size=2).tolist()),
        step,
    )


def test_the_optimum_is_that_of_brute_force_on_200_instances() -> None:
    for seed in range(200):
        step = (15, 1)[seed // 3 % 2]
        scheduling = MeetingScheduling(n=3 + seed % 3, distribution=DISTRIBUTIONS[seed % 3], step=step)
        instance = replace(scheduling.instance(seed), step=(15, 30, 60)[seed // 6 % 3])
        if seed % 2:
            instance = tiny(np.random.default_rng(seed))
        reference = scheduling.reference(instance)
        assert reference.proven and reference.value == brute_force(instance)


def test_every_answer_of_a_tiny_instance() -> None:
    """All lists of up to three rows on a small board: feasible exactly if the definition says so."""
    scheduling = MeetingScheduling()
    feasible = 0
    meetings = ((2, (0, 1)), (3, (1,)), (4, (0, 2)))
    availability = (((0, 4), (5, 10)), ((0, 8),), ((1, 9),))
    for rooms in ((2, 2), (1, 2), (3, 1)):
        instance = MeetingSchedulingInstance(meetings, availability, rooms, step=2)
        instance.check()
        best = brute_force(instance)
        board = list(product(range(3), range(2), (0, 2, 3, 4, 6)))
        for size in range(4):
            for rows in combinations(board, size):
                verdict = scheduling.verify_solution(instance, rows)
                fine = all(legal(instance, row) for row in rows)
                assert verdict.feasible == (fine and all(compatible(instance, a, b) for a, b in combinations(rows, 2)))
                if verdict.feasible:
                    feasible += 1
                    value = sum(len(instance.meetings[m][1]) for m, _, _ in rows)
                    assert verdict.objective == value <= best and verdict.optimal == (value == best)
    assert feasible > 60


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_larger_instances_against_the_second_model(distribution: str) -> None:
    for n in (10, 16, 22):
        scheduling = MeetingScheduling(n=n, distribution=distribution)
        for seed in range(3):
            instance = scheduling.instance(seed)
            assert scheduling.reference(instance).value == time_indexed(instance)


def test_a_finer_grid_is_worth_nothing_where_times_share_a_divisor() -> None:
    for seed in range(6):
        for distribution in DISTRIBUTIONS:
            coarse = MeetingScheduling(distribution=distribution)
            instance = coarse.instance(seed)
            fine = replace(instance, step=1)
            assert coarse.reference(fine).value == coarse.reference(instance).value
            assert coarse.heuristic(fine) == coarse.heuristic(instance)


def test_each_family_is_named_and_measured() -> None:
    scheduling = MeetingScheduling()
    day = ((0, 100), (200, 300))
    meetings = ((50, (0, 1)), (30, (1,)), (20, (2, 3)), (20, (0, 1, 2)))
    instance = MeetingSchedulingInstance(meetings, (day,) * 4, (3, 2, 1), step=10)
    instance.check()
    for rows, found in {
        ((0, 0, 0), (2, 1, 0), (1, 1, 50)): {},
        ((4, 0, 0),): {"known": 1},
        ((0, 3, 0),): {"known": 1},
        ((0, -1, 0),): {"known": 1},
        ((0, 0, 0), (0, 0, 200)): {"once": 1},
        ((0, 0, 0), (0, 0, 0)): {"once": 1},
        ((0, 0, 5),): {"grid": 1},
        ((3, 2, 0),): {"capacity": 2},
        ((0, 0, 60),): {"available": 2},
        ((1, 0, -10),): {"known": 1},
        ((0, 0, 0), (2, 0, 40)): {"room": 1},
        ((0, 0, 0), (1, 1, 40)): {"person": 1},
        ((0, 0, 0), (3, 2, 45)): {"grid": 1, "capacity": 2, "person": 2},
        ((0, 0, 10**400),): {"known": 1},
        ((0, 0, 1439 - 1439 % 10),): {"available": 2},
    }.items():
        verdict = scheduling.verify(instance, f"<answer>{list(map(list, rows))}</answer>")
        assert {v.family: v.amount for v in verdict.violations} == found
        assert verdict.feasible == (not found) and len(verdict.reason) < 300


def relabelled(
    instance: MeetingSchedulingInstance, schedule: Plan, rng: np.random.Generator
) -> tuple[MeetingSchedulingInstance, Plan]:
    """Number meetings, people and rooms anew, in the instance and in a schedule."""
    sizes = (instance.size, len(instance.availability), len(instance.rooms))
    meetings, people, rooms = (rng.permutation(size).tolist() for size in sizes)
    new = replace(
        instance,
        meetings=tuple(
            (instance.meetings[m][0], tuple(sorted(people.index(p) for p in instance.meetings[m][1]))) for m in meetings
        ),
        availability=tuple(instance.availability[p] for p in people),
        rooms=tuple(instance.rooms[r] for r in rooms),
    )
    return new, tuple((meetings.index(m), rooms.index(r), start) for m, r, start in schedule)


def test_names_do_not_matter() -> None:
    scheduling = MeetingScheduling()
    rng = np.random.default_rng(0)
    for seed in range(15):
        instance = scheduling.instance(seed)
        schedule = scheduling.reference(instance).solution
        new, renamed = relabelled(instance, schedule, rng)
        new.check()
        assert scheduling.reference(new).value == scheduling.reference(instance).value
        assert scheduling.verify_solution(new, renamed).optimal
        shuffled = [renamed[i] for i in rng.permutation(len(renamed)).tolist()]
        assert scheduling.canonical(new, tuple(shuffled)) == scheduling.canonical(new, renamed)


def test_equal_rooms_have_one_name() -> None:
    scheduling = MeetingScheduling()
    instance = MeetingSchedulingInstance(((30, (0,)), (30, (1,))), (((0, 60),),) * 2, (4, 2, 4))
    for rows in (((0, 0, 0), (1, 2, 0)), ((1, 0, 0), (0, 2, 0))):
        assert scheduling.canonical(instance, rows) == ((0, 0, 0), (1, 2, 0))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_instances_ask_for_decisions(distribution: str) -> None:
    scheduling = MeetingScheduling(distribution=distribution)
    everything = 0
    for seed in range(40):
        instance = scheduling.instance(seed)
        assert len(set(instance.availability)) > 6
        assert all(instance.starts) and all(instance.suitable)  # each meeting alone is possible
        most = sum(len(people) for _, people in instance.meetings)
        everything += scheduling.reference(instance).value == most
    assert everything <= 4


def test_rooms_are_scarce() -> None:
    for distribution, share in (("office", 0.3), ("scattered", 0.05), ("crowded", 0.8)):
        scheduling = MeetingScheduling(distribution=distribution)
        more = 0
        for seed in range(20):
            instance = scheduling.instance(seed)
            roomy = replace(instance, rooms=(6,) * instance.size)
            more += scheduling.reference(roomy).value > scheduling.reference(instance).value
        assert more >= 20 * share


def test_anchors_are_in_order() -> None:
    for distribution in DISTRIBUTIONS:
        scheduling = MeetingScheduling(distribution=distribution)
        rng = np.random.default_rng(0)
        graded, quality = 0, []
        for seed in range(60):
            instance = scheduling.instance(seed)
            if scheduling.is_graded(instance):
                graded += 1
                solutions = (scheduling.random(instance, rng), scheduling.heuristic(instance))
                quality.append([scheduling.verify_solution(instance, solution).quality for solution in solutions])
        assert graded >= 36
        by_chance, greedy = np.mean(quality, axis=0)
        assert 0.2 < by_chance < greedy - 0.1 < 0.9


@pytest.mark.parametrize(
    "bad",
    [
        {"meetings": ()},
        {"meetings": ((0, (0,)),)},
        {"meetings": ((30, ()),)},
        {"meetings": ((30, (1, 0)),)},
        {"meetings": ((30, (0, 2)),)},
        {"availability": (((60, 60),), ())},
        {"availability": (((0, 60), (60, 90)), ())},
        {"availability": (((0, 1441),), ())},
        {"rooms": (0,)},
        {"step": 0},
    ],
)
def test_senseless_data_are_refused(bad: dict[str, Any]) -> None:
    instance = MeetingSchedulingInstance(((30, (0, 1)),), (((0, 60),), ()), (2,))
    instance.check()
    with pytest.raises(ValueError):
        replace(instance, **bad).check()


def published(entry: dict[str, Any]) -> tuple[MeetingSchedulingInstance, Plan]:
    """An instance of the published benchmark with its optimal schedule."""
    data = entry["instance"]
    meetings, people, rooms = data["meetings"], data["attendee_availability"], data["rooms"]
    instance = MeetingSchedulingInstance(
        tuple((m["duration"], tuple(sorted(m["attendees"]))) for _, m in sorted(meetings.items(), key=number)),
        tuple(tuple(map(tuple, intervals)) for _, intervals in sorted(people.items(), key=number)),
        tuple(seats for _, seats in sorted(rooms.items(), key=number)),
    )
    return instance, tuple((m, r, start) for m, r, start in entry["witness"])


def number(item: tuple[str, Any]) -> int:
    return int(item[0])


def test_published_optima(np_bench: Callable[[str], list[dict[str, Any]]]) -> None:
    entries = np_bench("meeting_schedule")
    scheduling = MeetingScheduling()
    assert len(entries) == 112
    for entry in entries:
        instance, witness = published(entry)
        instance.check()
        reference = scheduling.reference(instance)
        assert reference.proven and reference.value == entry["proven_optimum"]
        verdict = scheduling.verify(instance, scheduling.format(instance, witness))
        assert verdict.optimal and verdict.objective == entry["proven_optimum"]


def test_a_long_meeting_holds_its_room_while_short_ones_come_and_go() -> None:
    meetings = ((120, (0,)), (30, (1,)), (30, (2,)), (30, (0, 3)))
    instance = MeetingSchedulingInstance(meetings, (((540, 660),),) * 4, (2, 2))
    problem, short = MeetingScheduling(), (1, 1, 540)
    for late, family in (((2, 0, 600), "room"), ((3, 1, 600), "person")):
        broken = problem.violations(instance, ((0, 0, 540), short, late))
        assert [(violation.family, violation.amount) for violation in broken] == [(family, 1)]
    assert problem.feasible(instance, ((0, 0, 540), short, (2, 1, 600)))
