"""The reference store: round trips, processes at once, foreign and damaged files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import forge_gym
from forge_gym.core import store as stores
from forge_gym.core.reference import Certificate, CertificateError
from forge_gym.core.store import ReferenceStore
from forge_gym.core.verdict import Violation
from forge_gym.envs.knapsack import Knapsack, KnapsackInstance
from forge_gym.kinds import Choose, Chosen


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every store that a test opens."""
    opened: list[ReferenceStore] = []
    create = ReferenceStore.__init__

    def remember(self: ReferenceStore, path: Path | str) -> None:
        create(self, path)
        opened.append(self)

    monkeypatch.setattr(ReferenceStore, "__init__", remember)
    yield
    for store in opened:
        store.close()


FOUND = Certificate(((1, 2), (3, 4)), Fraction(7, 2), 5, "test", 9)


def test_round_trip_and_upgrade(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path / "deep" / "er" / "x.sqlite")
    store.put("A", 0, "h", FOUND)
    assert store.get("A", 0, "h") == FOUND
    assert store.get("A", 1, "h") is store.get("B", 0, "h") is store.get("A", 0, "i") is None
    proven = Certificate((), 10**30, 10**30, "proof", 1)
    store.put("A", 0, "h", proven)
    assert store.get("A", 0, "h") == proven
    store.put("A", 0, "h", FOUND)
    assert store.get("A", 0, "h") == proven  # a proof stays
    store.close()
    assert ReferenceStore(store.path).get("A", 0, "h") == proven


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, but long enough to be one" * 20, b"SQLite format 3\0" + b"\xff" * 200],
)
def test_foreign_and_damaged_files_are_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(content)
    store = ReferenceStore(path)
    with pytest.warns(UserWarning, match="x.sqlite is not used to remember references"):
        assert store.get("A", 0, "h") is None
    store.put("A", 0, "h", FOUND)  # no second warning
    assert store.get("A", 0, "h") is None and path.read_bytes() == content


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.warns(UserWarning, match="another program's"):
        ReferenceStore(path).put("A", 0, "h", FOUND)
    assert path.read_bytes() == before


def test_another_format_and_damaged_rows_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    store = ReferenceStore(path)
    store.put("A", 0, "h", FOUND)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE reference SET solution = '[1, 2'")
    with pytest.warns(UserWarning, match="damaged row for A h"):
        assert store.get("A", 0, "h") is None
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.warns(UserWarning, match="format 99"):
        assert ReferenceStore(path).get("A", 0, "h") is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.warns(UserWarning, match="not used to remember"):
        ReferenceStore(tmp_path / "deep" / "x.sqlite").put("A", 0, "h", FOUND)


def test_a_locked_file_costs_no_time_and_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.sqlite"
    monkeypatch.setattr(stores, "_PAUSE_S", 0.0)
    store = ReferenceStore(path)
    store.put("A", 0, "h", FOUND)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.put("A", 0, "i", FOUND)
        assert store.get("A", 0, "h") == FOUND and store.get("A", 0, "i") is None
        other.execute("COMMIT")
    store.put("A", 0, "i", FOUND)
    assert store.get("A", 0, "i") == FOUND


def test_verdicts_do_not_wait_for_a_file_that_stays_locked(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    store = ReferenceStore(path)
    store.put("A", 0, "h", FOUND)
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        store, start = ReferenceStore(path), time.monotonic()
        store.get("A", 0, "h")
        store.put("A", 0, "i", FOUND)
        assert time.monotonic() - start < 0.2
        for _ in range(20):
            store.get("A", 0, "h")
            store.put("A", 0, "i", FOUND)
        assert time.monotonic() - start < 0.4 and store.usable


def test_a_lock_that_a_fork_left_behind(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path / "x.sqlite")
    with store._lock:  # as a thread held it that the child does not have
        start = time.monotonic()
        assert store.get("A", 0, "h") is None and time.monotonic() - start < 0.2


@pytest.mark.parametrize(
    ("value", "solution"),
    [
        ("1e400000000", "[]"), ("9" * 101, "[]"), ("1/0", "[]"), (" 1", "[]"), ("5", "[" * 10_000), ("5", "[NaN]"),
        ("5", f"[{'1' * 5000}]"), ("5", "x" * 2**25), ("5", b"[1, \xff]"), (b"5", "[]"), (None, None),
    ],
)  # fmt: skip
def test_hostile_rows(tmp_path: Path, value: object, solution: object) -> None:
    path = tmp_path / "x.sqlite"
    ReferenceStore(path).put("A", 0, "h", FOUND)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE reference SET value = ?, solution = ?", (value, solution))
    start = time.monotonic()
    with pytest.warns(UserWarning, match="is not used to remember references"):
        assert ReferenceStore(path).get("A", 0, "h") is None
    assert time.monotonic() - start < 1


def test_a_file_whose_query_never_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    ReferenceStore(path).put("A", 0, "h", FOUND)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE reference")
        connection.execute(
            "CREATE VIEW reference AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT CASE WHEN i < 0 THEN 'A' END AS problem, 0 AS version, 'h' AS instance, "
            "'1' AS value, '1' AS bound, '' AS solver, 1 AS work, '[]' AS "
            "solution FROM n"
        )
    start = time.monotonic()
    with pytest.warns(UserWarning, match="interrupted"):
        assert ReferenceStore(path).get("A", 0, "h") is None
    assert time.monotonic() - start < 0.5


@pytest.mark.filterwarnings("error")
def test_a_warning_is_no_error_of_a_verdict(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"damaged" * 1000)
    assert ReferenceStore(tmp_path / "x.sqlite").get("A", 0, "h") is None
    assert ReferenceStore(tmp_path).get("A", 0, "h") is None
    assert ReferenceStore("x\0y").get("A", 0, "h") is None


def test_references_come_from_the_store_and_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.sqlite"
    monkeypatch.setenv("FORGE_GYM_STORE", str(path))
    monkeypatch.setattr("forge_gym.core.store._WORTH_STORING_S", 0.0)
    tsp = forge_gym.problem("TSP")
    solved = tsp.reference(tsp.instance(1))

    def unreachable(*_: object) -> None:
        raise AssertionError("solved again")

    monkeypatch.setattr(type(tsp), "solve", unreachable)
    assert tsp.reference(tsp.instance(1)) == solved
    with pytest.raises(AssertionError, match="solved again"):
        tsp.reference(tsp.instance(2))
    monkeypatch.undo()
    monkeypatch.setenv("FORGE_GYM_STORE", str(path))
    for column, value in (
        ("value", str(solved.value - 1)),
        ("solution", "[0, 1]"),
        ("solution", '[["a"], {}, 3.5]'),
        ("bound", str(solved.value + 1)),
    ):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            kept = connection.execute(f"SELECT {column} FROM reference").fetchone()[0]
            connection.execute(f"UPDATE reference SET {column} = ?", (value,))
        stores._active.clear()
        with pytest.warns(UserWarning, match="wrong row for TSP"):
            assert tsp.reference(tsp.instance(1)) == solved
        assert stores.active_store() is None
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(f"UPDATE reference SET {column} = ?", (kept,))


def test_nothing_is_stored_before_its_witness_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.sqlite"
    monkeypatch.setenv("FORGE_GYM_STORE", str(path))
    monkeypatch.setattr("forge_gym.core.store._WORTH_STORING_S", 0.0)
    tsp = forge_gym.problem("TSP")
    monkeypatch.setattr(type(tsp), "solve", lambda *_: Certificate((0, 0), 1, 1, "wrong", 1))
    with pytest.raises(CertificateError):
        tsp.reference(tsp.instance(1))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM reference").fetchone() == (0,)


def test_quick_solves_are_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.sqlite"
    monkeypatch.setenv("FORGE_GYM_STORE", str(path))
    monkeypatch.setattr("forge_gym.core.store._WORTH_STORING_S", 3600.0)
    tsp = forge_gym.problem("TSP")
    tsp.reference(tsp.instance(1))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM reference").fetchone() == (0,)


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    program = """
import sys
import time
from forge_gym.core.store import ReferenceStore
from forge_gym.core.verdict import Violation
from forge_gym.envs.knapsack import Knapsack, KnapsackInstance
from forge_gym.kinds import Choose, Chosen
from forge_gym.core.reference import Certificate
store = ReferenceStore(sys.argv[1])
for i in range(200):
    while store.get("A", 0, f"{i}") is None:  # another process may be writing
        store.put("A", 0, f"{i}", Certificate((i,), i, i, "x", i))
    assert store.get("A", 0, f"{i}").value == i and store.usable
"""
    workers = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(4)]
    assert [worker.wait(timeout=120) for worker in workers] == [0] * 4
    store = ReferenceStore(path)
    assert all(store.get("A", 0, f"{i}") == Certificate((i,), i, i, "x", i) for i in range(200))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_opens_its_own_connection(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path / "x.sqlite")
    store.put("A", 0, "parent", FOUND)
    child = os.fork()
    if child == 0:
        store.put("A", 0, "child", FOUND)
        os._exit(0 if store.get("A", 0, "parent") == FOUND else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.get("A", 0, "child") == FOUND


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORGE_GYM_STORE", "off")
    assert stores.default_path() is None and stores.active_store() is None
    monkeypatch.delenv("FORGE_GYM_STORE")
    found = stores.default_path()
    assert found is not None and found.parts[-2:] == ("forge_gym", "references.sqlite")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert stores.default_path() is None
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("FORGE_GYM_STORE", str(blocked / "x.sqlite"))
    store = stores.active_store()
    with pytest.warns(UserWarning, match="not used to remember"):
        assert store is not None and store.get("A", 0, "h") is None
    assert stores.active_store() is None  # no folder can be made there: solve without a store


def homeless() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_what_is_stored_belongs_to_the_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_GYM_STORE", str(tmp_path / "x.sqlite"))
    monkeypatch.setattr("forge_gym.core.store._WORTH_STORING_S", 0.0)
    one, two, three = (AtMost(n=8, items=most) for most in (1, 2, 3))
    worth = [problem.reference(problem.from_json(one.to_json(one.instance()))).value for problem in (one, two, three)]
    assert worth[0] < worth[1] < worth[2]


def test_a_solution_that_is_not_json_and_an_impossible_number(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path / "x.sqlite")
    store.put("A", 0, "h", FOUND)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        connection.execute("UPDATE reference SET value = '1/0'")
    with pytest.warns(UserWarning, match="damaged row"):
        assert store.get("A", 0, "h") is None
    with pytest.warns(UserWarning, match="not made of integers"):
        ReferenceStore(store.path).put("A", 0, "i", Certificate(((np.int64(1),),), 1, 1, "x", 1))


@dataclass(frozen=True, kw_only=True)
class AtMost(Knapsack):
    """Knapsack with at most so many items."""

    own: ClassVar = ("capacity", "count")
    items: int = 2

    def broken(self, instance: KnapsackInstance, chosen: frozenset[int]) -> Iterator[Violation]:
        yield from super().broken(instance, chosen)
        if len(chosen) > self.items:
            yield Violation("count", len(chosen) - self.items, instance.size, "too many")

    def complete(self, instance: KnapsackInstance, order: Iterable[int]) -> list[int]:
        return super().complete(instance, order)[: self.items]

    def greedy(self, instance: KnapsackInstance, choose: Choose) -> Iterator[int]:
        return islice(super().greedy(instance, choose), self.items)

    def solve(self, instance: KnapsackInstance, start: Chosen, limit: int) -> Certificate[Chosen]:
        best = self.best(instance, [s for s in self.everything(instance) if self.feasible(instance, s)])
        value = self.objective(instance, best)
        return Certificate(best, value, value, "enumeration", 1)
