"""What the kernel tells about watched directories and files: inotify(7), as changes of paths. No look at any clock.

Must stay true: the kernel queues an event before the system call that caused it returns, so `drain` right after a
reading knows of every write that had ended by then.
"""

import errno
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extproc.errors import CannotWatch

if TYPE_CHECKING or sys.platform == "linux":
    from inotify_simple import INotify, flags

    _NAMES: Final = (
        flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.ATTRIB
        | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.MASK_ADD | flags.EXCL_UNLINK
    )  # fmt: skip
    _CONTENTS: Final = flags.MODIFY | flags.CLOSE_WRITE
    _FILE: Final = _CONTENTS | flags.ATTRIB | flags.DELETE_SELF


class What(Enum):
    """What happened to a path."""

    CREATED = auto()  # by open, or complete by link, mkdir, symlink
    WRITTEN_TO = auto()
    CLOSED = auto()  # by someone who had it open for writing
    MOVED_IN = auto()
    GONE = auto()
    ALTERED = auto()  # permissions, or the watched thing itself
    OVERFLOW = auto()  # the kernel dropped events: anything may have happened; the path says nothing


@dataclass(frozen=True, slots=True)
class Change:
    path: Path
    what: What


class Watch:
    """One inotify instance. Raises CannotWatch where there is none."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise CannotWatch(
                f"files can't be watched on {sys.platform}: extproc needs Linux (inotify) for --resources"
            )
        try:
            self._inotify: Final = INotify(nonblocking=True)
        except OSError as error:
            raise CannotWatch(
                f"files can't be watched: {error.strerror}; raise the limit fs.inotify.max_user_instances"
                " (sysctl), or end other programs that watch files"
            ) from error
        self._directories: dict[int, set[Path]] = {}
        self._files: dict[int, set[Path]] = {}
        self._known: dict[Path, tuple[tuple[int, int], int]] = {}
        self.trouble = ""

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    def close(self) -> None:
        self._inotify.close()

    def cover(self, directories: Mapping[Path, bool], files: Mapping[Path, tuple[int, int]]) -> bool:
        """Watch exactly these; True when something is watched now that was not before, so that a look may be stale.

        `directories` are free of symbolic links; the value says whether writes to their files count too. A file, given
        with its device and inode, is watched itself as well: the names of a file that is mounted alone (`docker -v
        a.json:/a.json`), or has several hard links, can lie in directories that nobody here knows.
        """
        self.trouble = ""
        before = self._directories.keys() | self._files.keys()
        now_directories: dict[int, set[Path]] = {}
        now_files: dict[int, set[Path]] = {}
        for directory, contents in directories.items():
            wd = self._add(directory, _NAMES | _CONTENTS if contents else _NAMES)
            if wd is not None:
                now_directories.setdefault(wd, set()).add(directory)
        known = {}
        for file, inode in files.items():
            last = self._known.get(file)
            wd = last[1] if last and last[0] == inode else self._add(file, _FILE)
            if wd is not None:
                now_files.setdefault(wd, set()).add(file)
                known[file] = inode, wd
        for wd in before - now_directories.keys() - now_files.keys():
            self._remove(wd)
        self._directories, self._files, self._known = now_directories, now_files, known
        return bool((now_directories.keys() | now_files.keys()) - before)

    def drain(self) -> Iterator[Change]:
        """Everything that has happened and was not told before; does not wait."""
        for event in self._inotify.read(timeout=0):
            if event.mask & flags.Q_OVERFLOW:
                yield Change(Path(), What.OVERFLOW)
            elif event.wd in self._directories:
                for directory in self._directories[event.wd]:
                    yield from self._of_directory(directory, event.mask, event.name)
            elif event.wd in self._files:
                for file in tuple(self._files[event.wd]):
                    yield Change(file, _what(event.mask))
            if event.mask & flags.IGNORED:  # the kernel has removed the watch: its thing is gone
                self._directories.pop(event.wd, None)
                for file in self._files.pop(event.wd, ()):
                    self._known.pop(file, None)

    def _of_directory(self, directory: Path, mask: int, name: str) -> Iterator[Change]:
        if not name:
            yield Change(directory, What.ALTERED)
            return
        path = directory / name
        if mask & ~_CONTENTS & _NAMES and path in self._known:
            # The name may stand for another file now; what still happens to the old one is none of its business.
            self._files.get(self._known.pop(path)[1], set()).discard(path)
        yield Change(path, _what(mask))

    def _add(self, path: Path, mask: int) -> int | None:
        try:
            return int(self._inotify.add_watch(path, mask))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self.trouble = (
                    "changes of files may be missed: the limit of inotify watches is reached; raise"
                    " fs.inotify.max_user_watches (sysctl)"
                )
            # Gone since: the directory above tells. Not readable: for a directory on the way its own end is told.
            return None

    def _remove(self, wd: int) -> None:
        try:
            self._inotify.rm_watch(wd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: the kernel has removed it already
                raise


def _what(mask: int) -> What:
    for flag, what in (
        (flags.CREATE, What.CREATED),
        (flags.MOVED_TO, What.MOVED_IN),
        (flags.MOVED_FROM | flags.DELETE | flags.DELETE_SELF, What.GONE),
        (flags.MODIFY, What.WRITTEN_TO),
        (flags.CLOSE_WRITE, What.CLOSED),
    ):
        if mask & flag:
            return what
    return What.ALTERED
