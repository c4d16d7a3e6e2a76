"""Which files are complete: what the kernel told about each, weighed against what a reading found.

A file that was written to is incomplete until its writer closes it or another is renamed over it. Must stay true: no
content is trusted that a writer may have left halfway. The kernel shows new content before it tells of it, within one
system call; so where a writer may be there unannounced, content is trusted only when it has not changed for a while.
"""

import time
from collections.abc import Iterable
from enum import Enum, auto
from pathlib import Path
from typing import Final

from extproc.sources.contents import Reading, Writers, writers
from extproc.sources.places import Identity
from extproc.sources.watch import Change, What

STEADY: Final = 0.005  # seconds; no write(2) or truncation of a file that is small enough to be read takes so long


class _State(Enum):
    WRITTEN_TO = auto()  # since its last close
    COMPLETE = auto()


class Writing:
    """The state of every file that anything has happened to. `dirty` are those to be read (again)."""

    def __init__(self) -> None:
        self.dirty: set[Path] = set()
        self._states: dict[Path, _State] = {}
        self._steady: dict[Path, tuple[Identity, float]] = {}

    @property
    def restless(self) -> bool:
        """Whether a dirty file can be read at once."""
        return any(path not in self._steady and self._states.get(path) is not _State.WRITTEN_TO for path in self.dirty)

    @property
    def unsure(self) -> bool:
        """Whether a file must be read again to see that it stays as it is."""
        return bool(self._steady)

    def note(self, change: Change) -> None:
        """Take in one change of a file (or of a name that may be one's)."""
        path = change.path
        self.dirty.add(path)
        self._steady.pop(path, None)
        match change.what:
            case What.WRITTEN_TO:
                self._states[path] = _State.WRITTEN_TO
            case What.CLOSED | What.MOVED_IN:
                self._states[path] = _State.COMPLETE
            case What.CREATED if _is_empty_file(path):  # by open(2): writes and a close will follow
                self._states[path] = _State.WRITTEN_TO
            case What.CREATED | What.GONE:
                self._states.pop(path, None)

    def doubt(self, paths: Iterable[Path]) -> None:
        """Changes were lost: nothing is known, and all `paths` are to be read again."""
        self._states.clear()
        self._steady.clear()
        self.dirty.update(paths)

    def keep(self, paths: set[Path]) -> None:
        """Forget all files but these."""
        self.dirty &= paths
        self._states = {path: state for path, state in self._states.items() if path in paths}
        self._steady = {path: seen for path, seen in self._steady.items() if path in paths}

    def incomplete(self, path: Path) -> bool:
        """Whether reading the file is of no use now."""
        # A truncate(2) writes without opening, so no close follows it: then only the question for writers tells.
        return self._states.get(path) is _State.WRITTEN_TO and writers(path) is not Writers.NONE

    def trusts(self, path: Path, reading: Reading, *, first: bool) -> bool:
        """Whether what was read is complete; asked when nothing has been told about the file since it was read.

        `first` says that no earlier content is known. When the answer is no, the file is dirty.
        """
        state = self._states.get(path)
        if reading.writers is Writers.NONE or (reading.writers is Writers.UNKNOWN and state is None and first):
            self._steady.pop(path, None)
            return True
        if reading.writers is Writers.SOME and state is None:
            self._states[path] = _State.WRITTEN_TO
        elif reading.identity is not None and self._is_steady(path, reading.identity):
            return True
        self.dirty.add(path)
        return False

    def _is_steady(self, path: Path, identity: Identity) -> bool:
        now = time.monotonic()
        seen = self._steady.get(path)
        if seen is None or seen[0] != identity:
            self._steady[path] = identity, now
            return False
        if now - seen[1] < STEADY:
            return False
        del self._steady[path]
        return True


def _is_empty_file(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_size == 0
    except OSError:
        return False
