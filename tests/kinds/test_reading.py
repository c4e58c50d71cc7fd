"""Reading lists of numbers and names: what is accepted, and that everything else is malformed at bounded cost."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_gym.core.answer import ANSWER_FORMATS, extract_answer
from forge_gym.core.verdict import Malformed
from forge_gym.kinds.reading import read_integers, read_lists, read_named_rows, read_names, read_rows

READERS: tuple[Callable[[str], object], ...] = (
    read_integers,
    read_lists,
    read_names,
    lambda body: read_rows(body, 2),
    lambda body: read_named_rows(body, 3),
)


@given(st.lists(st.integers()))
def test_integers_round_trip(values: list[int]) -> None:
    assert read_integers(str(values)) == values


@pytest.mark.parametrize(
    "body",
    [
        "1",
        "1, 2",
        "(1, 2)",
        "[1, 2",
        "1, 2]",
        "[1, 2].",
        "[1, 2,]",
        "[1,, 2]",
        "[01]",
        "[+1]",
        "[-0]",
        "[1_0]",
        "[0x1]",
        "[1.0]",
        "[1e0]",
        "[1E400]",
        "[true]",
        "[null]",
        '["1"]',
        "['1']",
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "[[1]]",
        "[1][2]",
        '{"a": 1}',
        '{"a": 1, "a": 2}',
        "[1] // one",
        "[1 2]",
        '[__import__("os")]',
        "[x for x in y]",
        '[1, "objective"]',
        "null",
        "[1]\x00",
    ],
)
def test_other_spellings_of_integers_are_malformed(body: str) -> None:
    with pytest.raises(Malformed):
        read_integers(body)


@given(st.lists(st.tuples(st.integers(), st.integers()).map(list)))
def test_rows_round_trip(rows: list[list[int]]) -> None:
    assert read_rows(str(rows), 2) == rows
    assert read_rows(str(rows).replace(" ", ""), 2) == rows


@pytest.mark.parametrize(
    "body",
    [
        "1, 2",
        "[1, 2]",
        "[[1, 2], 3]",
        "[[1]]",
        "[[]]",
        "[[1, 2, 3]]",
        "[[1, 2], [3]]",
        "[1, 2], [3, 4]",
        "[[1, 2], [3, 4]",
        "[[1, 2] [3, 4]]",
        "[[1, 2], [3, 4]]]",
        "[[1, 2], [3, 4],]",
        "[[1, 2], [3, [4]]]",
        "[[[1, 2]]]",
        "[(1, 2)]",
        "([1, 2])",
        "[[01, 2]]",
        "[[+1, 2]]",
        "[[-0, 2]]",
        "[[1.0, 2]]",
        "[[1e0, 2]]",
        "[[true, 2]]",
        "[[null, 2]]",
        '[["1", 2]]',
        '["12"]',
        "[[NaN, 2]]",
        '[{"1": 2, "3": 4}]',
        "[[1, 2]] // one",
        "[[1, 2]].",
        "null",
    ],
)
def test_other_spellings_of_rows_are_malformed(body: str) -> None:
    with pytest.raises(Malformed):
        read_rows(body, 2)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "[" + '{"a":' * 40_000 + "1" + "}" * 40_000 + "]",
        "[" + "[]," * 80_000,
        "[" + "9" * 5_000 + "]",
        "[[" + "9" * 5_000 + ", 1]]",
        "[" + "1," * 100_000,
        "((((a+)+)+)+)" * 1000,
    ],
)
def test_bombs_are_malformed(body: str) -> None:
    for read in READERS:
        with pytest.raises(Malformed):
            read(body)


@given(st.lists(st.integers()), st.lists(st.integers()))
def test_lists_round_trip(one: list[int], other: list[int]) -> None:
    assert read_lists(str([one, other])) == [one, other]


@pytest.mark.parametrize(
    "body",
    [
        "[1, 2]",
        "[[1], 2]",
        "[1, [2]]",
        "[[1], [[2]]]",
        "[[[1], 2]]",
        "[[1, [2]]]",
        "[[1], [2]",
        "[[1], [2],]",
        "[[1], [2]].",
        "[[1]][2]",
        "([1], [2])",
        "[[1], (2)]",
        "[[1], [2.0]]",
        "[[1], [true]]",
        "[[False], [1]]",
        "[[1], [null]]",
        '[["1"], [2]]',
        '["[", [1]]',
        "[[1], [-0]]",
        "[[1], [02]]",
        "[[1], [NaN]]",
        '[{"a": [1]}, [2]]',
        '{"a": [[1], [2]]}',
    ],
)
def test_other_spellings_of_lists_are_malformed(body: str) -> None:
    with pytest.raises(Malformed):
        read_lists(body)


NAMES = st.text("abcz", min_size=1, max_size=40)


@given(st.lists(NAMES), st.lists(st.tuples(NAMES, st.integers(), st.integers()).map(list)))
def test_names_round_trip(names: list[str], rows: list[list[object]]) -> None:
    assert read_names(json.dumps(names)) == names
    assert read_named_rows(json.dumps(rows), 3) == rows


@pytest.mark.parametrize(
    "body",
    [
        '["A"]', '["a1"]', '["a", 1]', "['a']", '["a",]', '["a" "b"]', '["a"], "b"', '[["a"]]', '["\\u0061"]',
        '[""]', f'["{"a" * 41}"]', '"a"', "a", "[a]", '["a"] ["b"]', '["é"]', "[null]",
    ],
)  # fmt: skip
def test_other_spellings_of_names_are_malformed(body: str) -> None:
    with pytest.raises(Malformed):
        read_names(body)


@pytest.mark.parametrize(
    "body",
    [
        '[["a", 1]]', '[[1, 2, 3]]', '[["a", 1, 2], [0, 1, 2]]', '[["a", "b", 2]]', '[["a", 1, 2.0]]', '[["A", 1, 2]]',
        '["a", 1, 2]', '[["a" 1, 2]]', '[[["a", 1, 2]]]', '[["a", 1, 2]', '[["a", -0, 2]]', '[["a"1, 2, 3]]',
    ],
)  # fmt: skip
def test_other_spellings_of_named_rows_are_malformed(body: str) -> None:
    with pytest.raises(Malformed):
        read_named_rows(body, 3)


@given(st.text())
def test_any_text_is_read_or_malformed(text: str) -> None:
    for answer_format in ANSWER_FORMATS:
        for read in READERS:
            try:
                read(extract_answer(text, answer_format))
            except Malformed as error:
                assert len(str(error)) < 300
