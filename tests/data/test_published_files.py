"""Files of published instances: every form is read, and nothing in them is rounded, filled in or guessed."""

from __future__ import annotations

import gzip
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_gym.cli import main
from forge_gym.data.published import TASKS, convert, import_rows
from forge_gym.data.suite import SuiteError, read

RING: dict[str, Any] = {"0": [1, 3], "1": [0, 2], "2": [1, 3], "3": [0, 2]}
ONES: dict[str, Any] = {u: {str(v): 1 for v in vs} for u, vs in RING.items()}
ROADS: dict[str, Any] = {
    "0": {"1": 10, "2": 15, "3": 20},
    "1": {"0": 10, "2": 35, "3": 25},
    "2": {"0": 15, "1": 35, "3": 30},
    "3": {"0": 20, "1": 25, "2": 30},
}
CUT: dict[str, Any] = {u: {v: ROADS[u].get(v, 0) % 20 for v in ROADS} for u in ROADS}
INSTANCES: dict[str, Any] = {
    "graph_coloring": RING,
    "maximum_clique": RING,
    "maximum_independent_set": ONES,
    "minimum_bisection": CUT,
    "tsp": ROADS,
    "hamiltonian_cycle": RING,
    "knapsack": {"capacity": 10, "items": {"0": {"weight": 6, "value": 7}, "1": {"weight": 5, "value": 5}}},
    "set_cover": {"U": [1, 2, 5], "S": {"0": [1, 2], "1": [5], "2": [2, 5]}},
    "subset_sum": {"target": 6, "numbers": {"0": 6, "1": 1, "2": 2, "3": 3}},
    "meeting_schedule": {
        "meetings": {"0": {"attendees": [0, 1], "duration": 30}, "1": {"attendees": [1], "duration": 60}},
        "attendee_availability": {"0": [[540, 600]], "1": [[540, 630]]},
        "rooms": {"0": 2},
    },
}
GOALS = {"graph_coloring": "small", "maximum_independent_set": "big", "minimum_bisection": "small", "tsp": "small"}


def written(folder: Path, data: Any, name: str = "file.json") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("task", TASKS)
def test_every_published_form(task: str, tmp_path: Path) -> None:
    problem, instance = convert(task, INSTANCES[task])
    best = problem.reference(instance).value
    stated = {
        "task": task,
        "instances": [{"id": 7, "instance": INSTANCES[task], "reference_value": 1.5, "level": "easy"}],
    }
    asked = {"big_small": GOALS.get(task, "big"), "questions": {"easy_question1": INSTANCES[task]}}
    entry = {"task_type": task.replace("_", "-").upper(), "question": INSTANCES[task], "ground_truth": 3, "prompt": "?"}
    (row,) = import_rows(written(tmp_path, stated))
    assert (row.id, row.reference.value) == ("7", best)
    assert row.source == {"task": task, "level": "easy", "baseline": 1.5}
    (row,) = import_rows(written(tmp_path, {"bench_3": entry}))
    assert (row.id, row.source) == ("bench_3", {"task": task, "level": "bench", "baseline": 3})
    for path in (written(tmp_path / task, asked, "questions.json"), written(tmp_path, asked, f"{task}.json")):
        (row,) = import_rows(path)
        assert (row.reference.value, row.source["task"], row.source["level"]) == (best, task, "easy")
        path.write_bytes(gzip.compress(path.read_bytes()))
        assert import_rows(path) == [row]
    path = written(tmp_path, asked)
    if task in ("maximum_clique", "hamiltonian_cycle"):
        with pytest.raises(SuiteError, match="the task must be given, since several have data of this form"):
            import_rows(path)
    else:
        assert import_rows(path)[0].source["task"] == task
    assert import_rows(path, task=task)[0].reference.value == best


def test_questions_become_a_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, {"big_small": "small", "questions": {"question1": ROADS}}, "questions.json")
    out = tmp_path / "out.jsonl"
    assert main(["suite", "import", str(path), "--task", "TSP", "--out", str(out)]) == 0
    _, (row,) = read(out)
    assert (row.id, row.reference.value) == ("tsp-questions-question1", 80)
    assert main(["suite", "import", str(path), str(path), "--out", str(tmp_path / "two.jsonl")]) != 0
    assert "ids must be distinct in all files together" in capsys.readouterr().err
    assert main(["suite", "import", str(path), "--task", "tps", "--out", str(tmp_path / "two.jsonl")]) != 0
    assert "did you mean 'tsp'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("GCP-D", "graph_coloring"),
        ("minimum-cut", "minimum_bisection"),
        ("maximum-set", "maximum_independent_set"),
        ("maximum_clique_problem", "maximum_clique"),
        ("TSP", "tsp"),
    ],
)
def test_names_of_the_published_system(name: str, task: str, tmp_path: Path) -> None:
    (row,) = import_rows(written(tmp_path, {"easy_1": {"task_type": name, "question": INSTANCES[task]}}))
    assert row.source["task"] == task and row.source["baseline"] is None


FAULTS: list[tuple[str, list[Any], Any, str]] = [
    ("knapsack", ["capacity"], 10.9, "capacity must be an integer, got 10.9"),
    ("knapsack", ["capacity"], "10", "capacity must be an integer, got '10'"),
    ("knapsack", ["items", "0", "weight"], 2.9, "weight of item 0 must be an integer, got 2.9"),
    ("knapsack", ["items", "1", "value"], True, "value of item 1 must be an integer, got True"),
    ("knapsack", ["items", "1", "value"], None, "value of item 1 must be an integer, got None"),
    ("knapsack", ["items", "3"], {"weight": 1, "value": 1}, "ids of items must be '0' to '2', got '3'"),
    ("knapsack", ["items", "x"], {"weight": 1, "value": 1}, "ids of items must be '0' to '2', got 'x'"),
    ("knapsack", ["items", "02"], {"weight": 1, "value": 1}, "ids of items must be '0' to '2', got '02'"),
    ("knapsack", ["items", "1"], {"weight": 1}, "item 1 must be an object with weight, value, got {'weight': 1}"),
    ("knapsack", ["items"], [[1, 2]], "items must be an object, got [[1, 2]]"),
    ("knapsack", ["item"], 3, "the instance must be an object with capacity, items, got"),
    ("tsp", ["0", "3"], ..., "pair 0-3 must have a number, got none"),
    ("tsp", ["0", "3"], 20.5, "pair 0-3 must be an integer, got 20.5"),
    ("tsp", ["0", "3"], 21, "pair 3-0 must have one number both ways, got 20 and 21"),
    ("tsp", ["0", "0"], 5, "pair 0-0 must have 0, or be left out, got 5"),
    ("tsp", ["0", "4"], 5, "pair 0-4 must be of vertices, got '4'"),
    ("tsp", ["0"], [1, 2, 3], "vertex 0 must have an object, got [1, 2, 3]"),
    ("tsp", ["3"], ..., "pair 0-3 must be of vertices, got '3'"),
    ("minimum_bisection", ["0", "3"], ..., "pair 0-3 must have a number, got none"),
    ("minimum_bisection", ["0", "1"], 1.5, "pair 0-1 must be an integer, got 1.5"),
    ("minimum_bisection", ["0", "1"], False, "pair 0-1 must be an integer, got False"),
    ("graph_coloring", ["0"], [1], "an edge must be listed at both ends, got 3-0 at 3 alone"),
    ("graph_coloring", ["0"], [1, 3, 3], "neighbours of 0 must be distinct, got [1, 3, 3]"),
    ("graph_coloring", ["0"], [1, 3, 4], "neighbours of 0 must be other vertices from 0 to 3, got 4"),
    ("graph_coloring", ["0"], [0, 1, 3], "neighbours of 0 must be other vertices from 0 to 3, got 0"),
    ("graph_coloring", ["0"], ["1", "3"], "each of neighbours of 0 must be an integer, got '1'"),
    ("graph_coloring", ["0"], [1.0, 3], "each of neighbours of 0 must be an integer, got 1.0"),
    ("graph_coloring", ["0"], "13", "neighbours of 0 must be a list, got '13'"),
    ("graph_coloring", ["1"], ..., "ids of vertices must be '0' to '2', got '3'"),
    ("maximum_independent_set", ["0", "1"], 0, "edge 0-1 must be 1, and between vertices, got 0"),
    ("maximum_independent_set", ["0", "9"], 1, "edge 0-9 must be 1, and between vertices, got 1"),
    ("set_cover", ["S", "0"], [1, 9], "subset 0 must hold elements of U, got 9"),
    ("set_cover", ["S", "0"], [1, 1], "subset 0 must be distinct, got [1, 1]"),
    ("set_cover", ["U"], [1, 2, 2], "U must be distinct, got [1, 2, 2]"),
    ("set_cover", ["U"], [1, 2, "5"], "each of U must be an integer, got '5'"),
    ("set_cover", ["U"], [1, 2, 5, 6], "the subsets must hold all 4 elements, got 3"),
    ("subset_sum", ["target"], 6.0, "target must be an integer, got 6.0"),
    ("subset_sum", ["numbers", "2"], "2", "number 2 must be an integer, got '2'"),
    ("subset_sum", ["numbers"], {}, "must have elements, got none"),
    ("meeting_schedule", ["meetings", "0", "duration"], 30.5, "duration of meeting 0 must be an integer, got 30.5"),
    ("meeting_schedule", ["meetings", "0", "attendees"], [0, 0], "meeting 0 must be distinct, got [0, 0]"),
    ("meeting_schedule", ["attendee_availability", "0"], [[540]], "availability of 0 must be a list of pairs, got"),
    ("meeting_schedule", ["attendee_availability", "0"], [[540, 600.5]], "each of a span of 0 must be an integer"),
    ("meeting_schedule", ["rooms"], [2], "rooms must be an object, got [2]"),
]


@pytest.mark.parametrize(("task", "keys", "value", "rule"), FAULTS)
def test_nothing_is_rounded_filled_in_or_guessed(
    task: str, keys: list[str], value: Any, rule: str, tmp_path: Path
) -> None:
    data = deepcopy(INSTANCES[task])
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    if value is ...:
        del place[keys[-1]]
    with pytest.raises(SuiteError) as refusal:
        convert(task, data)
    assert f"an instance of {task} cannot be read: " in str(refusal.value) and rule in str(refusal.value)
    entries = [{"id": "good", "instance": INSTANCES[task]}, {"id": "bad-7", "instance": data}]
    path = written(tmp_path, {"task": task, "instances": entries})
    with pytest.raises(SuiteError) as refusal:
        import_rows(path)
    assert str(refusal.value).startswith(f"{path}, entry 'bad-7': ") and rule in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_ids_and_baselines_of_entries(tmp_path: Path) -> None:
    for entry, rule in (
        ({"id": "good"}, "entry 1 must be an object with id and instance"),
        ({"id": [1], "instance": RING}, "the id of entry 1 must be a text or a number, got [1]"),
        ({"id": "good", "instance": RING}, "entry 'good': ids must be distinct, got this one twice"),
        ({"id": "\x1b[31m", "instance": RING}, "ids must have 1 to 200 characters, all printable"),
        ({"id": "b", "instance": RING, "reference_value": "7"}, "entry 'b': the baseline must be a number, got '7'"),
        ({"id": "b", "instance": RING, "level": {}}, "entry 'b': the level must be a text or a number, got {}"),
    ):
        data = {"task": "graph_coloring", "instances": [{"id": "good", "instance": RING}, entry]}
        with pytest.raises(SuiteError) as refusal:
            import_rows(written(tmp_path, data))
        assert rule in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "{}", '{"task": "tsp"}', '{"task": "tps", "instances": []}', '{"instances": 3}',
     '{"questions": []}',
     '{"questions": {}}', '{"a": 3}', '{"a": {"task_type": "tsp"}}', '{"instances": [{"id": NaN, "instance": 1}]}',
     "[" * 100_000, '{"questions": {"a": [1]}}', "\0"],
)  # fmt: skip
def test_what_is_no_published_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(SuiteError, match="is not in the published format: ") as refusal:
        import_rows(path)
    assert "\n" not in str(refusal.value)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("0123xU"), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(task=st.sampled_from(sorted(TASKS)), data=st.data())
def test_any_data_are_an_instance_or_one_line(task: str, data: st.DataObject) -> None:
    """Replace or delete a part, at any depth."""
    instance = deepcopy(INSTANCES[task])
    place, junk = instance, data.draw(JUNK)
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        place = inner
    if data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = junk
    try:
        _, found = convert(task, instance)
    except SuiteError as error:
        assert "\n" not in str(error)
    else:
        found.check()
    try:
        convert(task, junk)
    except SuiteError as error:
        assert "\n" not in str(error)
