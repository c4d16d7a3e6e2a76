"""The store's file on disk: held by one process, refused when it can't be trusted, brought to the present schema.

Must stay true: a commit that returned is on the disk; a file that is refused is left as it is, byte for byte; a file
that exists under its name holds a whole schema, whenever its maker was killed. Knows nothing of experiments.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from extproc.control.schema import APPLICATION_ID, MIGRATIONS, VERSION
from extproc.errors import StoreCorrupt, StoreFailed, StoreInUse, StoreTooNew, StoreUnwritable

FILE: Final = "extproc.db"
LOCK: Final = "extproc.lock"
PATIENCE: Final = 1.0  # seconds that a backup tool gets to let go of the file
DAMAGES_SHOWN: Final = 3

# SQLite's primary result codes (https://www.sqlite.org/rescode.html) that speak of the place and not of the content.
_WAY_OUT: Final = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_IOERR: "see whether its disk is full or failing",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "make the file and its directory writable",
    sqlite3.SQLITE_PERM: "make the file and its directory writable",
    sqlite3.SQLITE_BUSY: "another program has it open: end that one",
    sqlite3.SQLITE_LOCKED: "another program has it open: end that one",
    sqlite3.SQLITE_NOLFS: "put the state directory on a local disk",
    sqlite3.SQLITE_NOMEM: "give this process more memory",
}


class Database:
    """The one connection to the file. Not safe to be used by two threads at once."""

    def __init__(self, file: Path, connection: sqlite3.Connection, lock: int) -> None:
        self.file: Final = file
        self._connection: Final = connection
        self._lock: Final = lock

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Take hold of `state_dir`; it and its file are made when they are missing.

        Raises StoreInUse, StoreUnwritable, StoreCorrupt or StoreTooNew, and then holds nothing.
        """
        state_dir = state_dir.absolute()
        file = state_dir / FILE
        try:
            _make(state_dir)
            lock = _hold(state_dir)
            try:
                if _is_new(file):
                    _create(file)
                return cls(file, _opened(file), lock)
            except BaseException:
                os.close(lock)
                raise
        except sqlite3.DatabaseError as error:
            raise _explained(file, error) from error
        except OSError as error:
            raise StoreUnwritable(
                f"the state directory {state_dir} can't be used: {error}: make it writable for this process, or name"
                " another one with --state-dir"
            ) from error

    def read(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises StoreCorrupt or StoreUnwritable when the file can't be read any more."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.ProgrammingError:  # a bug of ours
            raise
        except sqlite3.DatabaseError as error:
            raise _explained(self.file, error) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: on disk when the block has ended, and as if it had never begun when anything is raised.

        Raises StoreUnwritable; the next one may succeed.
        """
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.ProgrammingError:  # a bug of ours
            raise
        except sqlite3.DatabaseError as error:
            raise StoreUnwritable(f"{self.file} can't be written, nothing was changed: {_reason(error)}") from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self._connection_is_open():
            self._connection.close()
            os.close(self._lock)


def corrupt(file: Path, found: str) -> StoreCorrupt:
    """The error for a file whose content can't be trusted; `found` is what is wrong with it."""
    return StoreCorrupt(
        f"{file} can't be read as a store of experiments: {found}. It was left as it is. To start without it, move"
        f" {file.name} and any {file.name}-wal beside it out of {file.parent}: the experiments that were made through"
        " the API and their history go with it, those in files are not affected. A backup of it can be put in its place"
    )


def _explained(file: Path, error: sqlite3.DatabaseError) -> StoreFailed:
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _in_use(file.parent)
    if code in _WAY_OUT:
        return StoreUnwritable(f"{file} can't be used: {_reason(error)}")
    return corrupt(file, str(error))


def _reason(error: sqlite3.DatabaseError) -> str:
    way_out = _WAY_OUT.get(_code(error), "restart extproc, which will check the file")
    name = getattr(error, "sqlite_errorname", "")
    return f"{error}{f' ({name})' if name else ''}: {way_out}"


def _code(error: sqlite3.DatabaseError) -> int:
    # Text that is no UTF-8 is found by the module and not by SQLite, and carries no code.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF


def _in_use(state_dir: Path) -> StoreInUse:
    return StoreInUse(
        f"the state directory {state_dir} is in use by another process: stop the other extproc (or the program that"
        f" has {FILE} open), or give this one a directory of its own with --state-dir"
    )


def _make(directory: Path) -> None:
    missing = [d for d in (directory, *directory.parents) if not d.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in missing:
        _sync(made.parent)


def _hold(state_dir: Path) -> int:
    # The kernel lets go of it when this process ends, in whatever way. SQLite's own lock does not cover the time
    # before the file exists.
    lock = os.open(state_dir / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise _in_use(state_dir) from error
    except BaseException:
        os.close(lock)
        raise
    return lock


def _is_new(file: Path) -> bool:
    """Whether there is nothing yet. Raises StoreCorrupt for what SQLite would take for nothing, and delete."""
    wal = file.with_name(f"{file.name}-wal")
    if file.exists():
        if file.stat().st_size == 0:
            raise corrupt(file, "it is empty")
        return False
    if wal.exists() and wal.stat().st_size:
        raise corrupt(file, f"it is missing, but the changes that belong into it are in {wal.name}")
    return True


def _create(file: Path) -> None:
    new = file.with_name(f"{file.name}.new")
    for left in file.parent.glob(f"{new.name}*"):  # by a maker that was killed
        left.unlink()
    connection = _connect(new)
    try:
        _migrate(connection)
    finally:
        connection.close()
    new.rename(file)
    _sync(file.parent)


def _opened(file: Path) -> sqlite3.Connection:
    size, recovering = file.stat().st_size, file.with_name(f"{file.name}-wal").exists()
    connection = _connect(file)
    try:
        _examine(file, connection, None if recovering else size)
        connection.execute("PRAGMA journal_mode = WAL")
        _migrate(connection)
    except BaseException:
        # SQLite writes the log back into the file when it closes it, unless it is interrupted.
        connection.interrupt()
        connection.close()
        raise
    return connection


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    # Set before the first access, EXCLUSIVE also keeps the log's index in memory: a restart on a full disk works, and
    # so do file systems without shared memory (https://www.sqlite.org/wal.html#noshm).
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    # In WAL mode only FULL syncs at each commit (https://www.sqlite.org/pragma.html#pragma_synchronous).
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the disk
    return connection


def _examine(file: Path, connection: sqlite3.Connection, size: int | None) -> None:
    """Refuse what is not a sound file of ours. `size` is the file's in bytes, None while its log is to be read too."""
    version = _pragma(connection, "user_version")
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise corrupt(file, "it is a database of another program")
    if version > VERSION:
        raise StoreTooNew(
            f"{file} has schema version {version}, and this extproc knows versions up to {VERSION}: start the newer"
            " extproc that wrote it, or one newer still. It was left as it is"
        )
    damages = [row[0] for row in connection.execute(f"PRAGMA integrity_check({DAMAGES_SHOWN})")]
    if damages != ["ok"]:
        raise corrupt(file, "; ".join(damages))
    whole = _pragma(connection, "page_count") * _pragma(connection, "page_size")
    if size not in (None, whole):
        raise corrupt(file, f"it should be {whole} bytes long and is {size}")


def _migrate(connection: sqlite3.Connection) -> None:
    version = _pragma(connection, "user_version")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _sync(directory: Path) -> None:
    # A new entry of a directory is durable when the directory is (fsync(2)).
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
