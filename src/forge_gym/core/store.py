"""The reference store: solved instances on disk, shared by processes and runs.

One sqlite file in write-ahead mode, keyed by problem, version and instance hash. It only saves time: what it returns is
what solving again would return, and the caller checks the witness first. Whatever is wrong with the file, one warning
says so, the file is left as it is, and references are solved again.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from .checks import plain
from .foreign import exact, load_json
from .reference import Certificate

_APPLICATION = 0x464F5247  # "FORG": tells our files from other sqlite files
_FORMAT = 1
_BUSY_S = 0.05
"""Seconds that one statement waits at most while another thread or process uses the file, and that it may take."""
_PAUSE_S = 1.0
"""Seconds for which a busy file is not read, or not written, again: one verdict in many waits for it."""
_LONGEST = 2**24
"""Bytes of a value in the file that are read."""
_WORTH_STORING_S = 0.02
"""Seconds of solving above which a certificate is stored; quicker ones are solved again."""

T = TypeVar("T")


def default_path() -> Path | None:
    """Return the store's file: ``$FORGE_GYM_STORE``, or one in the cache folder; None for ``off`` or without a home."""
    chosen = os.environ.get("FORGE_GYM_STORE", "")
    if chosen:
        return None if chosen == "off" else Path(chosen)
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # the user has no home
        return None
    return base / "forge_gym" / "references.sqlite"


class ReferenceStore:
    """Certificates by problem, version and instance hash, in one file, which is made when missing.

    Safe under several threads and processes, also after a fork. Nothing here raises.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.usable = True
        """False from the first fault on."""
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        self._resume_at: dict[str, float] = {}
        self._stop_at = 0.0

    def get(self, problem: str, version: int, instance: str) -> Certificate[Any] | None:
        """Return the stored certificate; None where there is none, or where the file cannot be read."""
        row = self._execute(
            "SELECT solution, value, bound, solver, work FROM reference "
            "WHERE problem = ? AND version = ? AND instance = ?",
            (problem, version, instance),
        )
        if row is None:
            return None
        try:
            solution, value, bound, solver, work = row
            return Certificate(plain(load_json(solution)), exact(value), exact(bound), str(solver), int(work))
        except Exception as error:  # whatever stands there
            self.give_up(f"it has a damaged row for {problem} {instance}: {error}")
            return None

    def put(self, problem: str, version: int, instance: str, certificate: Certificate[Any]) -> None:
        """Store ``certificate``; one with a proof replaces one without."""
        value, bound = str(certificate.value), str(certificate.bound)
        try:
            solution = json.dumps(certificate.solution)
        except TypeError as error:
            self.give_up(f"a solution of {problem} is not made of integers: {error}")
            return
        self._execute(
            "INSERT INTO reference VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "value = excluded.value, bound = excluded.bound, solver = excluded.solver, "
            "work = excluded.work, solution = excluded.solution "
            "WHERE reference.value <> reference.bound AND excluded.value = excluded.bound",
            (problem, version, instance, value, bound, certificate.solver, certificate.work, solution),
        )

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._connection = None

    def give_up(self, reason: str) -> None:
        """Warn once, and leave the file alone from now on."""
        if self.usable:
            self.usable = False
            with suppress(Warning):  # where warnings are errors, a verdict is still none
                warnings.warn(f"{self.path} is not used to remember references: {reason}", stacklevel=2)

    def _execute(self, statement: str, values: tuple[Any, ...]) -> Any:
        if not self.usable or time.monotonic() < self._resume_at.get(statement, 0.0):
            return None
        # In a child, a thread that the fork left behind may hold the lock for ever.
        if not self._lock.acquire(timeout=_BUSY_S):
            self._resume_at[statement] = time.monotonic() + _PAUSE_S
            return None
        try:
            self._stop_at = time.monotonic() + 2 * _BUSY_S
            return self._open().execute(statement, values).fetchone()
        except (sqlite3.Error, OSError, ValueError) as error:
            if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                self._resume_at[statement] = time.monotonic() + _PAUSE_S
            else:
                self.give_up(str(error))
            return None
        finally:
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._owner == os.getpid():
            return self._connection  # sqlite connections must not cross a fork
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        connection.set_progress_handler(lambda: time.monotonic() > self._stop_at, 10_000)  # a view may never end
        try:
            _prepare(connection)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection, self._owner = connection, os.getpid()
        return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Refuse what is not ours before anything is written; make the table where there is none."""
    application, version, tables = connection.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_application_id, pragma_user_version"
    ).fetchone()  # in one statement: one state of the file
    if application != _APPLICATION and (application or tables):
        raise sqlite3.DatabaseError("it is another program's file, so give another path")
    if application == _APPLICATION and version != _FORMAT:
        raise sqlite3.DatabaseError(f"it has format {version}, not {_FORMAT}, so give another path")
    if application != _APPLICATION:
        connection.execute("BEGIN IMMEDIATE")  # other processes may be about to make it too
        connection.execute(
            "CREATE TABLE IF NOT EXISTS reference (problem TEXT, version INTEGER, instance TEXT, value TEXT, "
            "bound TEXT, solver TEXT, work INTEGER, solution TEXT, "
            "PRIMARY KEY (problem, version, instance)) WITHOUT ROWID"
        )
        connection.execute(f"PRAGMA application_id={_APPLICATION}")
        connection.execute(f"PRAGMA user_version={_FORMAT}")
        connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


_active: dict[str, ReferenceStore] = {}


def active_store() -> ReferenceStore | None:
    """Return the store in use, one a process and path; None where it is off or has been given up."""
    path = default_path()
    if path is None:
        return None
    store = _active.get(str(path)) or _active.setdefault(str(path), ReferenceStore(path))
    return store if store.usable else None


def recalled(
    key: Callable[[], tuple[str, int, str]],
    solve: Callable[[], Certificate[Any]],
    certify: Callable[[Certificate[Any]], T],
) -> T:
    """Return what ``certify`` makes of the stored certificate, or of the one that ``solve`` finds.

    Nothing is stored before its witness is accepted, and nothing that took too little time. ``key`` returns problem,
    version and instance hash; ``certify`` raises where a certificate is wrong.
    """
    store = active_store()
    if store is None:
        return certify(solve())
    place = key()
    stored = store.get(*place)
    if stored is not None:
        try:
            return certify(stored)
        except Exception as error:  # whatever stands in the file, a verdict does not depend on it
            store.give_up(f"it has a wrong row for {place[0]} {place[2]}: {error}")
    start = time.perf_counter()  # decides what is remembered, never what is returned
    certificate = solve()
    spent = time.perf_counter() - start
    accepted = certify(certificate)
    if spent >= _WORTH_STORING_S:
        store.put(*place, certificate)
    return accepted
