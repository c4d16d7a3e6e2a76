"""Where the user's paths lead: symbolic links followed name by name, directories listed.

Must stay true: `entries` and `listed` hold every name that the answer depends on, so whoever watches them knows of
each change of the answer (Kubernetes swaps a whole ConfigMap by renaming one link, `..data`, that no path names).
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

SUFFIXES: Final = (".json", ".yaml", ".yml")
LINKS_MAX: Final = 40  # as many as Linux follows, path_resolution(7)


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells two versions of a file apart without reading it; times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Lost(Enum):
    """Why there is no file to read; the value is what its user is told."""

    MISSING = "does not exist: create it, and it is read at once"
    DANGLING = "is a symbolic link to a file that does not exist: create that one, or remove the link"
    NO_FILE = "is neither a file nor a directory: give the path of a file of resources, or of a directory of them"


@dataclass(frozen=True, slots=True)
class Place:
    """One file that is to be read. `origin` is its path as the user gave it; `path` is free of symbolic links.

    Without an `identity` there is nothing to read, for the reason in `lost` or, when looking failed, in `refusal`.
    """

    origin: str
    path: Path = Path()
    identity: Identity | None = None
    lost: Lost | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """All places, in the order of the user's paths and of the names in a directory, no file twice.

    `entries` are the paths of all directory entries that were looked up, `listed` the directories that were listed.
    """

    places: tuple[Place, ...] = ()
    entries: frozenset[Path] = frozenset()
    listed: frozenset[Path] = frozenset()

    def concerns(self, path: Path) -> bool:
        """Whether a change of the directory entry `path` can change what is to be read."""
        return path in self.entries or path in self.listed or (path.parent in self.listed and _counts(path.name))


def survey(paths: Sequence[Path]) -> Survey:
    """Look at what the user's `paths` lead to now. Never raises."""
    walk = _Walk()
    places: list[Place] = []
    seen: set[tuple[int, int]] = set()
    for given in paths:
        for place in walk.places(given):
            if place.identity is not None:
                file = place.identity.device, place.identity.inode
                if file in seen:
                    continue
                seen.add(file)
            places.append(place)
    return Survey(tuple(dict.fromkeys(places)), frozenset(walk.entries), frozenset(walk.listed))


class _Walk:
    def __init__(self) -> None:
        self.entries: set[Path] = set()
        self.listed: set[Path] = set()

    def places(self, given: Path) -> Iterator[Place]:
        place = self._place(given, Path("/"), given.absolute())
        if place.lost is not Lost.NO_FILE or not place.path.is_dir():
            yield place
            return
        self.listed.add(place.path)
        try:
            names = sorted(entry.name for entry in place.path.iterdir() if _counts(entry.name))
        except OSError as error:
            yield Place(str(given), place.path, refusal=_told(error))
            return
        for name in names:
            inside = self._place(given / name, place.path, Path(name))
            if inside.lost is not Lost.NO_FILE:  # a directory or a socket among the files is none of ours
                yield inside

    def _place(self, given: Path, start: Path, path: Path) -> Place:
        try:
            found = self._follow(start, path)
            status = found.stat()
        except (FileNotFoundError, NotADirectoryError):
            return Place(str(given), lost=Lost.DANGLING if (start / path).is_symlink() else Lost.MISSING)
        except OSError as error:
            return Place(str(given), refusal=_told(error))
        if not stat.S_ISREG(status.st_mode):
            return Place(str(given), found, lost=Lost.NO_FILE)
        return Place(str(given), found, Identity.of(status))

    def _follow(self, start: Path, path: Path) -> Path:
        """Where `path` leads from `start` (a directory, free of symbolic links). Raises OSError."""
        here, links = start, 0
        todo = list(reversed(path.parts))
        while todo:
            name = todo.pop()
            if name == "..":
                here = here.parent
                continue
            if name == "/":
                here = Path("/")
                continue
            entry = here / name
            self.entries.add(entry)
            try:
                target = entry.readlink()
            except OSError as error:
                if error.errno != errno.EINVAL:  # EINVAL: it is no link
                    raise
                here = entry
                continue
            links += 1
            if links > LINKS_MAX:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            todo += reversed(target.parts)
        return here


def _counts(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.startswith(".")


def _told(error: OSError) -> str:
    return f"can't be read: {error.strerror or error}"
