"""Rows in one format, and data sets of mixtures without a trainer."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from forge_gym.data.rows import Row, samples, write
from forge_gym.data.suite import read


def test_a_row_comes_back_whatever_it_holds() -> None:
    for name in forge_gym.problems():
        problem = forge_gym.problem(name, level=1, answer_format="line", style="json")
        row = next(samples(problem, seed=2**70, split="test"))
        assert Row.from_json(row.to_json()) == Row.from_json(row.to_json(texts=True)) == row
        assert Row.from_json(json.dumps({"prompt": "?", "certified": row.to_json()})) == row
        assert list(row.faults()) == [] and row.use() is row.instance
    half = replace(row, reference=replace(row.reference, trivial=Fraction(7, 2)))
    assert json.loads(half.to_json())["trivial"] == "7/2" and Row.from_json(half.to_json()) == half
    with pytest.raises(ValueError, match=r"the certificate fails: .*the witness is worth"):
        Row.from_json(replace(row, reference=replace(row.reference, value=0)).to_json()).use()


def test_streams_come_in_turn_and_leave_out_what_they_are_told() -> None:
    problems = [forge_gym.problem("TSP"), forge_gym.problem("Knapsack")]
    first = list(islice(samples(problems, levels=[0, 2]), 8))
    members = [(row.problem.name, row.level) for row in first]
    assert members == [("TSP", 0), ("Knapsack", 0), ("TSP", 2), ("Knapsack", 2)] * 2
    others = samples(problems, levels=[0, 2], exclude={first[0].prompt})
    assert [row.id for row in islice(others, 3)] == [first[4].id, first[1].id, first[2].id]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"problems": []}, "problems must hold at least one"),
        ({"levels": []}, "levels must hold at least one"),
        ({"problems": forge_gym.problem("TSP", n=8), "levels": [2]}, "level sets n, so give one of them"),
    ],
)
def test_wrong_streams_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        samples(**({"problems": forge_gym.problem("TSP")} | arguments))


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    def fail() -> Any:
        yield "one"
        raise RuntimeError

    for name in "a.jsonl", "a.jsonl.gz":
        path = write(tmp_path / "new" / name, ["old"])
        before = path.read_bytes()
        with pytest.raises(RuntimeError):
            write(path, fail())
        assert path.read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.jsonl", "a.jsonl.gz"]


# ---------------------------------------------------------------------- forge_gym.dataset


def test_a_mixture_is_a_sequence() -> None:
    data = forge_gym.dataset("TSP", "Knapsack", levels=(0, 1, 2), size=40, seed=3, weights=(1, 4))
    assert isinstance(data, Sequence) and len(data) == 40
    rows = list(data)
    assert [*reversed(data)] == rows[::-1] and data[5:25:4] == rows[5:25:4] and data[-1] == rows[39]
    assert len({row["hash"] for row in rows}) > 35 and json.loads(json.dumps(rows)) == rows
    for at in 40, -41:
        with pytest.raises(IndexError):
            data[at]
    share = Counter(row["problem"] for row in forge_gym.dataset("TSP", "Knapsack", size=200, weights=(1, 4)))
    assert 20 <= share["TSP"] <= 60
    assert {row["level"] for row in rows} == {0, 1, 2}


def test_any_row_alone_is_the_same() -> None:
    """No row needs those before it, the size, or this process."""
    given = {"levels": (0, 3), "seed": 5, "split": "test", "style": "json"}
    rows = list(forge_gym.dataset("MaxClique", "TSP", size=30, **given))
    longer = forge_gym.dataset("MaxClique", "TSP", size=1000, **given)
    assert longer[29] == rows[29] and pickle.loads(pickle.dumps(longer))[7] == rows[7]
    program = f"import forge_gym, json; print(json.dumps(forge_gym.dataset('MaxClique', 'TSP', **{given})[29]))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(run.stdout) == rows[29]
    others = [
        forge_gym.dataset("MaxClique", "TSP", **given | {key: value})
        for key, value in (("seed", 6), ("split", "train"))
    ]
    assert not {row["hash"] for row in rows} & {row["hash"] for other in others for row in other[:30]}


def test_replies_are_judged_by_number_and_by_row(tmp_path: Path) -> None:
    data = forge_gym.dataset("TSP", "SetCover", size=6, answer_format="raw")
    for number, row in enumerate(data):
        verdict = data.verify(row, row["answer"])
        assert verdict.optimal and verdict == data.verify(number, row["answer"])
        assert forge_gym.dataset("Knapsack").verify(row, row["answer"]).quality == 1.0
        assert data.verify(number, "no idea").status == data.verify(row, 7).status == "malformed"  # type: ignore[arg-type]
        assert Row.from_json(json.dumps(row)).reference.value == verdict.objective
    path = write(tmp_path / "six.jsonl", map(json.dumps, data))
    assert len(read(path)[1]) == 6
    with pytest.raises(ValueError, match="a spec must be a JSON object"):
        data.verify({"prompt": "?"}, "[]")


def test_all_problems_and_those_of_your_own() -> None:
    assert {row["problem"] for row in forge_gym.dataset(levels=0, size=120)} == set(forge_gym.problems())
    assert forge_gym.dataset("forge_gym.envs.tsp:TSP", "Forge/Knapsack-v0", n=5, size=1)[0]["parameters"]["n"] == 5


@pytest.mark.parametrize(
    ("problems", "arguments", "message"),
    [
        (["TPS"], {}, "did you mean 'TSP'"),
        (["TSP"], {"size": 0}, "size must be"),
        (["TSP"], {"seed": -1}, "seed must be"),
        (["TSP"], {"split": "tset"}, "did you mean 'test'"),
        (["TSP"], {"gird": 9}, "did you mean 'grid'"),
        (["TSP"], {"weights": (1, 2)}, "weights must hold one number for each problem, got 2 for 1"),
        (["TSP"], {"weights": (-1,)}, "weight of TSP must be a number above 0"),
        ([], {"weights": (1,)}, "weights must hold one number for each problem, got 1 for 0"),
        (["TSP"], {"levels": ()}, "levels must hold at least one"),
    ],
)
def test_what_is_wrong_is_refused_at_once(problems: list[str], arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forge_gym.dataset(*problems, **arguments)


def test_it_is_imported_when_asked_for() -> None:
    program = "import sys, forge_gym; assert 'forge_gym.data.rows' not in sys.modules; forge_gym.dataset('TSP')"
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'datasets'"):
        _ = forge_gym.datasets


def test_a_stream_whose_rows_are_all_excluded_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Everything(frozenset[str]):
        def __contains__(self, prompt: object) -> bool:
            return True

    monkeypatch.setattr("forge_gym.data.rows.MAX_UNGRADED", 20)
    with pytest.raises(ValueError, match="exclude must leave instances, got 20 in a row"):
        next(samples(forge_gym.problem("TSP"), exclude=Everything()))
