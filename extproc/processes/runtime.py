"""The private directory of a running extproc: its own processes' sockets, and what one leaves for the one after it.

Must stay true: its path is short enough for a socket's address, it is gone when the supervisor has ended, and what a
killed supervisor left behind is removed by the next one that comes along.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from extproc.errors import ExtprocError

PREFIX: Final = "extproc-"
KEPT: Final = "good-"  # how the names of files begin that the control process keeps here (sources.last_good)
LOCK: Final = ".supervisor"
PATH_MAX: Final = 107  # bytes of a socket's path: unix(7), sun_path, less the zero at its end
NAME_MAX: Final = 20  # bytes that are left for a socket's name


@contextmanager
def runtime_directory(otherwise: Path) -> Iterator[Path]:
    """A new directory that only this user can enter, removed at the end.

    Where the system keeps such things, or below `otherwise`. Raises ExtprocError when there is no place for it.
    """
    made = _make(otherwise)
    try:
        # The kernel gives the lock back however this process ends, so nobody holds that of a directory left behind.
        with (made / "new").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (made / "new").rename(made / LOCK)  # only now may others try it
            _sweep(made.parent)
            yield made
    finally:
        _remove(made)


def _make(otherwise: Path) -> Path:
    places = [os.environ.get("XDG_RUNTIME_DIR", ""), _temporary(), str(otherwise.absolute())]
    refusals = []
    for place in filter(None, places):
        if len(os.fsencode(place)) + len(PREFIX) + 10 + NAME_MAX > PATH_MAX:
            refusals.append(f"{place}: too long a path for a socket in it")
            continue
        try:
            Path(place).mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        except OSError as error:
            refusals.append(f"{place}: {error.strerror}")
    raise ExtprocError(
        f"no directory for the sockets of extproc's processes can be made ({'; '.join(refusals)}): name one with TMPDIR"
    )


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:  # no directory of the system can be written
        return ""


def _sweep(place: Path) -> None:
    for lock in place.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), lock.open("r") as held:  # another user's, or held by who made it
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(lock.parent)


def _remove(directory: Path) -> None:
    """Remove what is ours in it, and it as well if nothing else is there."""
    with suppress(OSError):
        for entry in directory.iterdir():
            if entry.is_socket() or entry.name == LOCK or entry.name.startswith(KEPT):
                entry.unlink()
        directory.rmdir()
