"""What SQLite and the system say against the store's file, as errors that tell a user the place, the cause and the way
out.
"""

import sqlite3
from pathlib import Path
from typing import Final

from extproc.errors import StoreCorrupt, StoreFailed, StoreInUse, StoreTooNew, StoreUnwritable

_WRITABLE: Final = "make the file and its directory writable"
_END: Final = "another program has it open: end that one"
# SQLite's primary result codes (https://www.sqlite.org/rescode.html) that speak of the place and not of the content.
_WAY_OUT: Final = {
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_IOERR: "see whether its disk is full or failing",
    sqlite3.SQLITE_READONLY: _WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _WRITABLE,
    sqlite3.SQLITE_PERM: _WRITABLE,
    sqlite3.SQLITE_BUSY: _END,
    sqlite3.SQLITE_LOCKED: _END,
    sqlite3.SQLITE_NOLFS: "put the state directory on a local disk",
    sqlite3.SQLITE_NOMEM: "give this process more memory",
}


def explained(file: Path, error: sqlite3.DatabaseError) -> StoreFailed:
    """The error for what SQLite said when it was to open or to read `file`."""
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return in_use(file)
    if code in _WAY_OUT:
        return StoreUnwritable(f"{file} can't be used: {_reason(error)}")
    return corrupt(file, str(error))


def unwritten(file: Path, error: sqlite3.DatabaseError) -> StoreUnwritable:
    """The error for what SQLite said when it was to write to `file`."""
    return StoreUnwritable(f"{file} can't be written, nothing was changed: {_reason(error)}")


def unusable(state_dir: Path, error: OSError) -> StoreUnwritable:
    """The error for what the system said about the state directory."""
    return StoreUnwritable(
        f"the state directory {state_dir} can't be used: {error}: make it a directory that this process may write"
        " to, or name another one with --state-dir"
    )


def in_use(file: Path) -> StoreInUse:
    """The error for a state directory that another process holds."""
    return StoreInUse(
        f"the state directory {file.parent} is in use by another process: stop the other extproc (or the program that"
        f" has {file.name} open), or give this one a directory of its own with --state-dir"
    )


def too_new(file: Path, version: int, known: int) -> StoreTooNew:
    """The error for a file of a schema version that only a newer extproc knows."""
    return StoreTooNew(
        f"{file} has schema version {version}, and this extproc knows no version above {known}: start the newer extproc"
        " that wrote it, or name another state directory with --state-dir. It was left as it is"
    )


def corrupt(file: Path, found: str) -> StoreCorrupt:
    """The error for a file whose content can't be trusted; `found` is what is wrong with it."""
    return StoreCorrupt(
        f"{file} can't be read as a store of experiments: {found}. It was left as it is. Put a backup in its place, or"
        f" start without it: move {file.name} and any {file.name}-wal beside it out of {file.parent}. The experiments"
        " made through the API and all history go with them; experiments in files are not affected"
    )


def _reason(error: sqlite3.DatabaseError) -> str:
    name = getattr(error, "sqlite_errorname", "")
    way_out = _WAY_OUT.get(_code(error), "restart extproc, which will check the file")
    return f"{error}{name and f' ({name})'}: {way_out}"


def _code(error: sqlite3.DatabaseError) -> int:
    # Text that is no UTF-8 is found by Python's module and not by SQLite: that error has no code.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
