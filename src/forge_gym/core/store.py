"""The reference store: solved instances on disk, shared by processes and runs.

One sqlite file in write-ahead mode, keyed by problem, version and instance hash. It only ever saves
time: what it returns is what solving again would return, and the caller checks the witness first.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from .instance import lists_to_tuples
from .reference import Certificate
from .verdict import Number

_APPLICATION = 0x464F5247  # "FORG": tells our files from other sqlite files
_FORMAT = 1
_BUSY_S = 30.0
_WORTH_STORING_S = 0.02
"""Seconds of solving above which a certificate is stored; quicker ones are solved again."""

T = TypeVar("T")


class StoreError(RuntimeError):
    """The file is not a reference store, or is damaged. It is left as it is."""


def default_path() -> Path | None:
    """Return the store's file: ``$FORGE_GYM_STORE``, or one in the user's cache folder; None for ``off``."""
    chosen = os.environ.get("FORGE_GYM_STORE", "")
    if chosen:
        return None if chosen == "off" else Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "forge_gym" / "references.sqlite"


class ReferenceStore:
    """Certificates by problem, version and instance hash, in one file.

    Safe under several threads and processes, also after a fork.

    Parameters
    ----------
    path
        The file; it and its folder are made when missing.

    Raises
    ------
    StoreError
        If the file exists and is something else, or is damaged.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = ReferenceStore(Path(folder.name) / "references.sqlite")
    >>> store.put("TSP", 0, "abc", Certificate((0, 1, 2), 12, 12, "by hand", 1))
    >>> store.get("TSP", 0, "abc").value, store.get("TSP", 0, "abd")
    (12, None)
    >>> store.close()
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        with self._lock:
            self._open()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._owner == os.getpid():
            return self._connection  # sqlite connections must not cross a fork
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None
            )
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} cannot be used as a reference store: {error}") from error
        try:
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(f"{self.path} cannot be used as a reference store: {error}") from error
        except StoreError:
            connection.close()
            raise
        self._connection, self._owner = connection, os.getpid()
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Refuse what is not ours before anything is written; make the table where there is none."""
        if not self._ours(connection):
            connection.execute("BEGIN IMMEDIATE")  # other processes may be about to make it too
            try:
                if not self._ours(connection):
                    connection.execute(
                        "CREATE TABLE reference (problem TEXT, version INTEGER, instance TEXT, value TEXT, bound TEXT, "
                        "solver TEXT, work INTEGER, solution TEXT, PRIMARY KEY (problem, version, instance)) "
                        "WITHOUT ROWID"
                    )
                    connection.execute(f"PRAGMA application_id={_APPLICATION}")
                    connection.execute(f"PRAGMA user_version={_FORMAT}")
            finally:
                connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    def _ours(self, connection: sqlite3.Connection) -> bool:
        """Whether the file has our table; False for an empty one, and an error for any other."""
        application, tables, found = connection.execute(
            "SELECT application_id, (SELECT count(*) FROM sqlite_master), user_version "
            "FROM pragma_application_id, pragma_user_version"
        ).fetchone()  # in one statement: one state of the file
        if application != _APPLICATION:
            if application or tables:
                raise StoreError(
                    f"{self.path} is another program's sqlite file: give another path for the store"
                )
            return False
        if found != _FORMAT:
            raise StoreError(f"{self.path} has store format {found}, not {_FORMAT}: give another path")
        return True

    def get(self, problem: str, version: int, instance: str) -> Certificate[Any] | None:
        """Return the stored certificate, or None.

        Raises
        ------
        StoreError
            If the row cannot be read.
        """
        with self._lock:
            try:
                row = (
                    self._open()
                    .execute(
                        "SELECT solution, value, bound, solver, work FROM reference "
                        "WHERE problem = ? AND version = ? AND instance = ?",
                        (problem, version, instance),
                    )
                    .fetchone()
                )
            except sqlite3.Error as error:
                raise StoreError(f"{self.path} cannot be read: {error}") from error
        if row is None:
            return None
        try:
            solution, value, bound, solver, work = row
            return Certificate(
                lists_to_tuples(json.loads(solution)), number(value), number(bound), str(solver), int(work)
            )
        except (ValueError, TypeError) as error:
            raise StoreError(f"{self.path} has a damaged row for {problem} {instance}: {error}") from error

    def put(self, problem: str, version: int, instance: str, certificate: Certificate[Any]) -> None:
        """Store ``certificate``; one with a proof replaces one without."""
        values = (
            problem,
            version,
            instance,
            str(certificate.value),
            str(certificate.bound),
            certificate.solver,
            certificate.work,
            json.dumps(certificate.solution),
        )
        with self._lock:
            try:
                self._open().execute(
                    "INSERT INTO reference VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                    "value = excluded.value, bound = excluded.bound, solver = excluded.solver, "
                    "work = excluded.work, solution = excluded.solution "
                    "WHERE reference.value <> reference.bound AND excluded.value = excluded.bound",
                    values,
                )
            except sqlite3.Error as error:
                raise StoreError(f"{self.path} cannot be written: {error}") from error

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._connection = None


def number(text: str) -> Number:
    """Return the exact number that ``str`` wrote."""
    exact = Fraction(text)
    return exact.numerator if exact.denominator == 1 else exact


_active: dict[str, ReferenceStore | None] = {}


def active_store() -> ReferenceStore | None:
    """Return the store in use, opened once a process; None where it is off or its folder is not writable."""
    path = default_path()
    key = str(path)
    if key not in _active:
        try:
            _active[key] = None if path is None else ReferenceStore(path)
        except OSError:  # a machine without a writable home solves again, which is only slower
            _active[key] = None
    return _active[key]


def recalled(
    key: Callable[[], tuple[str, int, str]],
    solve: Callable[[], Certificate[Any]],
    certify: Callable[[Certificate[Any]], T],
) -> T:
    """Return what ``certify`` makes of the stored certificate, or of the one that ``solve`` finds.

    Nothing is stored before its witness is accepted, and nothing that took too little time.

    Parameters
    ----------
    key
        Returns problem, version and instance hash; called only where there is a store.
    solve, certify
        Solve the instance; check a certificate, and raise where it is wrong.
    """
    store = active_store()
    if store is None:
        return certify(solve())
    place = key()
    stored = store.get(*place)
    if stored is not None:
        return certify(stored)
    start = time.perf_counter()  # decides what is remembered, never what is returned
    certificate = solve()
    spent = time.perf_counter() - start
    accepted = certify(certificate)
    if spent >= _WORTH_STORING_S:
        store.put(*place, certificate)
    return accepted
