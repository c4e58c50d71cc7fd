"""What others wrote: bounded, checked, and safe to show."""

from __future__ import annotations

import gzip
import io
import json
import time
import unicodedata
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_gym.core.foreign import MAX_DEPTH, MAX_DIGITS, bounded, exact, load_json, numbered, read_lines, visible

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_comes_back(data: Any) -> None:
    assert load_json(json.dumps(data)) == data


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "Expecting value"), ("[1", "delimiter"), ("nul", "Expecting value"), (b"\xff\xfe[", "codec"),
        ("[" * 10**6, "at most 32 deep"), ("[" * 33 + "]" * 33, "at most 32 deep"),
        ('{"a":' * 33 + "1" + "}" * 33, "at most 32 deep"), ('{"a": ' + "9" * 5000 + "}", "digits"),
        ("NaN", "finite"), ("[-Infinity]", "finite"), ("1e400", "finite"), ("1e400000000", "finite"),
        ("1" * 101, "at most 100 digits, got 101"), ("-" + "1" * 10**6, "digits"),
    ],
)  # fmt: skip
def test_json_that_is_refused(text: str | bytes, wrong: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match=wrong) as error:
        load_json(text)
    assert time.process_time() - start < 1 and len(str(error.value)) < 200


def test_the_largest_that_is_read() -> None:
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert load_json(deep) == json.loads(deep) and load_json("-" + "9" * MAX_DIGITS) == 1 - 10**MAX_DIGITS


@given(st.fractions(max_denominator=10**50) | st.integers(-(10**99), 10**99))
def test_exact_numbers_come_back(number: Fraction | int) -> None:
    assert exact(str(number)) == number and type(exact(str(Fraction(7)))) is int


@pytest.mark.parametrize(
    "value",
    ["", "1e9", "1e400000000", "1.5", " 1", "1\n", "1/0", "1/-2", "٣", "0x1", "1_0", "9" * 101, "1/" + "9" * 101, "nan",
     1.0, True, None, [1], 10**100, -(10**100), "1 / 2"],
)  # fmt: skip
def test_what_is_no_exact_number(value: Any) -> None:
    with pytest.raises(ValueError, match="an exact number must be an integer or a text such as '7/2', got "):
        exact(value)


def test_lines_are_numbered_and_empty_ones_refused_but_at_the_end() -> None:
    assert list(numbered([b"a\n", b"b"])) == [(1, b"a\n"), (2, b"b")]
    assert list(numbered([b"a\n", b"\n", b" \t\n"])) == [(1, b"a\n")] and list(numbered([])) == []
    with pytest.raises(ValueError, match="line 2: it is empty"):
        list(numbered([b"a\n", b"\n", b"\r\n", b"b\n"]))
    with pytest.raises(ValueError, match="line 2: it is empty"):
        list(numbered([b"a\n", *[b"\n"] * 10**6]))


def test_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_gym.core.foreign.MAX_LINE", 10)
    assert list(bounded(io.BytesIO(b"123456789\n1\n"))) == [b"123456789\n", b"1\n"]
    with pytest.raises(ValueError, match="line 2: it must have at most 10 bytes"):
        list(bounded(io.BytesIO(b"1\n12345678901")))
    with pytest.raises(ValueError, match="at most 5 bytes when unpacked"):
        list(bounded(io.BytesIO(b"12\n34\n"), 5))


@pytest.mark.parametrize("line", [b"\0" * 2**20, b"\n" * 2**20, b"[]\n" * 2**18, b"[" * 2**20])
def test_a_small_file_does_not_unpack_to_a_huge_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr("forge_gym.core.foreign.MAX_UNPACKED", 2**22)
    monkeypatch.setattr("forge_gym.core.foreign.MAX_LINE", 2**21)
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress(line) * 500)
    start = time.process_time()
    with pytest.raises(ValueError, match=r"at most|is empty"):
        for _ in read_lines(path):
            pass
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"text", "Not a gzipped file"),
        (gzip.compress(b"1\n2\n" * 9, mtime=0)[:-9], "damaged after line"),
        (gzip.compress(b"1\n2\n", mtime=0) + b"\x1f\x8b\x08", "damaged after line 2"),
        (gzip.compress(b"1\n\xff\n", mtime=0), "line 2: 'utf-8' codec"),
        (gzip.compress(bytes(range(256)) * 9, mtime=0)[:30] + b"x" * 99, "damaged after line 0"),
    ],
)
def test_damaged_archives(tmp_path: Path, content: bytes, wrong: str) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises((ValueError, OSError), match=wrong):
        list(read_lines(path))


def test_a_mark_of_the_byte_order_and_other_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xef\xbb\xbf[1]\r\n[2]\r\n\r\n")
    assert [(at, json.loads(line)) for at, line in read_lines(path)] == [(1, [1]), (2, [2])]


@given(st.text())
def test_nothing_that_is_shown_steers_a_terminal(text: str) -> None:
    for kept in ("", "\n"):
        shown = visible(text, kept)
        assert not {unicodedata.category(c) for c in shown if c not in kept} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert visible(text) == text or not text.isprintable()
