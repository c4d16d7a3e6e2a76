"""The store's file on disk: held by one process, refused when it can't be trusted, brought to the present schema.

Must stay true: a commit that returned is on the disk; a file that is refused is left as it is, byte for byte; a file
that exists under its name holds a whole schema, whenever its maker was killed. Knows nothing of experiments.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from extproc.control.complaints import corrupt, explained, in_use, too_new, unusable, unwritten
from extproc.control.schema import APPLICATION_ID, MIGRATIONS, VERSION

FILE: Final = "extproc.db"
LOCK: Final = "extproc.lock"
PATIENCE: Final = 1.0  # seconds that a backup tool gets to let go of the file
DAMAGES_SHOWN: Final = 3


class Database:
    """The one connection to the file. Any thread may use it, but only one at a time."""

    def __init__(self, file: Path, connection: sqlite3.Connection, held: ExitStack) -> None:
        self.file: Final = file
        self._connection: Final = connection
        self._held: Final = held

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Take hold of `state_dir`; it and its file are made when they are missing.

        Raises StoreInUse, StoreUnwritable, StoreCorrupt or StoreTooNew, and then holds nothing.
        """
        state_dir = state_dir.absolute()
        file = state_dir / FILE
        try:
            with ExitStack() as held:
                _make(state_dir)
                _hold(file, held)
                if _is_missing(file):
                    _create(file)
                connection = _opened(file)
                held.callback(connection.close)
                return cls(file, connection, held.pop_all())
        except sqlite3.DatabaseError as error:
            raise explained(file, error) from error
        except OSError as error:
            raise unusable(state_dir, error) from error

    def read(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises StoreCorrupt or StoreUnwritable when the file can't be read any more."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.ProgrammingError:  # a bug of ours
            raise
        except sqlite3.DatabaseError as error:
            raise explained(self.file, error) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: on the disk when the block has ended, and undone when anything is raised.

        Raises StoreUnwritable when it could not be written; the next one may succeed.
        """
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.ProgrammingError:  # a bug of ours
            raise
        except sqlite3.DatabaseError as error:
            raise unwritten(self.file, error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file and the directory; a second call does nothing."""
        self._held.close()


def _make(directory: Path) -> None:
    missing = [d for d in (directory, *directory.parents) if not d.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in missing:
        _sync(made.parent)


def _hold(file: Path, held: ExitStack) -> None:
    # The kernel lets go of it when this process ends, in whatever way. SQLite's own lock can't guard the making of the
    # file.
    lock = os.open(file.with_name(LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    held.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise in_use(file) from error


def _is_missing(file: Path) -> bool:
    """Whether there is nothing yet. Raises StoreCorrupt for remains that SQLite would take for nothing, and delete."""
    if file.exists():
        if not file.stat().st_size:
            raise corrupt(file, "it is empty")
        return False
    if _has_log(file):
        raise corrupt(file, f"it is missing, and there are changes to it in {_log(file).name}")
    return True


def _log(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _has_log(file: Path) -> bool:
    return _log(file).exists() and _log(file).stat().st_size > 0


def _create(file: Path) -> None:
    new = file.with_name(f"{file.name}.new")
    for left in file.parent.glob(f"{new.name}*"):  # by a maker that was killed
        left.unlink()
    connection = _connect(new)
    try:
        _configure(connection)
        _migrate(connection)
    finally:
        connection.close()
    new.rename(file)
    _sync(file.parent)


def _opened(file: Path) -> sqlite3.Connection:
    # While there is a log, the file may end early: a checkpoint that was killed is done again from the log.
    size = None if _has_log(file) else file.stat().st_size
    connection = _connect(file)
    try:
        _configure(connection)
        _examine(file, connection, size)
        connection.execute("PRAGMA journal_mode = WAL")
        _migrate(connection)
    except BaseException:
        connection.interrupt()  # or else closing it would write the log into the file
        connection.close()
        raise
    return connection


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=PATIENCE, isolation_level=None, check_same_thread=False)


def _configure(connection: sqlite3.Connection) -> None:
    # Set before the first access, EXCLUSIVE also keeps the log's index in memory instead of in a third file, so that a
    # restart on a full disk works (https://www.sqlite.org/wal.html#noshm).
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    # In WAL mode only FULL and above sync at each commit (https://www.sqlite.org/pragma.html#pragma_synchronous).
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync(2) alone does not reach the disk


def _examine(file: Path, connection: sqlite3.Connection, size: int | None) -> None:
    """Refuse what is not a sound file of ours. `size` is how long it must be able to stand for itself, in bytes."""
    version = _pragma(connection, "user_version")
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise corrupt(file, "it is a database of another program")
    if version > VERSION:
        raise too_new(file, version, VERSION)
    if version < 1:
        raise corrupt(file, f"there is no schema version {version}")
    rows = connection.execute(f"PRAGMA integrity_check({DAMAGES_SHOWN})").fetchall()
    damages = [line for (text,) in rows for line in text.splitlines() if not line.startswith("***")]
    if damages != ["ok"]:
        raise corrupt(file, "; ".join(damages))
    # SQLite reads a last page that is cut short as if it ended in zeros.
    whole = _pragma(connection, "page_count") * _pragma(connection, "page_size")
    if size is not None and size < whole:
        raise corrupt(file, f"it ends after {size} of {whole} bytes")


def _migrate(connection: sqlite3.Connection) -> None:
    version = _pragma(connection, "user_version")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _sync(directory: Path) -> None:
    # A new name is on the disk when the directory that holds it is (fsync(2)).
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
