"""One reading of one file: its bytes, and whether someone has it open for writing at that moment.

A reading is never raised as an error; what went wrong is part of it.
"""

import fcntl
import os
import signal
import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from extproc.sources.places import Identity, Lost

SIZE_MAX: Final = 16 * 1024 * 1024  # bytes; a file of 10,000 experiments has 3 MiB


class Writers(Enum):
    """Whether a file is open for writing anywhere."""

    SOME = "some"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at a file gave. `identity` is None when the file changed between the first byte and the last.

    `problem` is for the user; with it there is no `data`. `writers` was asked after the last byte.
    """

    data: bytes = b""
    identity: Identity | None = None
    writers: Writers = Writers.UNKNOWN
    problem: str = ""


def read_bytes(path: Path) -> Reading:
    """Read the file at `path`, up to SIZE_MAX bytes. Never raises, never waits."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would wait for its writer
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return Reading(problem=Lost.NO_FILE.value)
            before = Identity.of(status)
            data = file.read(SIZE_MAX + 1)
            after = Identity.of(os.fstat(descriptor))
            writers = _writers(descriptor)
    except OSError as error:
        return Reading(problem=f"can't be read: {error.strerror or error}")
    identity = after if before == after else None
    if len(data) > SIZE_MAX:
        message = f"is larger than {SIZE_MAX // 1024 // 1024} MiB: split it into several files"
        return Reading(identity=identity, writers=writers, problem=message)
    return Reading(data, identity, writers)


def writers(path: Path) -> Writers:
    """Whether the file at `path` is open for writing now; UNKNOWN also when it can't be opened. Never raises."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return Writers.UNKNOWN
    try:
        return _writers(descriptor)
    finally:
        os.close(descriptor)


def _writers(descriptor: int) -> Writers:
    """Ask by means of a read lease, which Linux grants only while nobody has the file open for writing (fcntl(2)).

    Only the file's owner and root may ask. The lease is given back at once; a writer who opens the file in between
    waits these few microseconds.
    """
    try:
        # The signal that tells of a waiting writer would end the process; SIGURG is ignored unless one handles it.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:  # EAGAIN
        return Writers.SOME
    except OSError:  # not the owner, or a file system without leases
        return Writers.UNKNOWN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return Writers.NONE
