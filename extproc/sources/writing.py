"""Which files are complete: what the kernel told about each, weighed against what a reading found.

A file that was written to is incomplete until its writer closes it or another is renamed over it. Must stay true: no
content is trusted that a writer may have left halfway. The kernel shows new content before it tells of it, within one
system call; so where a writer may be there unannounced, content is trusted only when it stays the same for a while.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final

from extproc.sources.contents import Reading, Writers, writers
from extproc.sources.places import Identity
from extproc.sources.watch import Change, What

# How long content must stay the same, in seconds.
BRIEFLY: Final = 0.005  # nobody is known to write: longer than a write(2) of a file of ordinary size
AWHILE: Final = 0.02
# Someone has it open for writing, or it is empty, as between a truncation and the first write; a truncation waits for
# the file system's journal before the kernel tells of it. Whoever keeps a file open for longer is not saving it.
LONG: Final = 1.0


class _State(Enum):
    WRITTEN_TO = auto()  # since its last close
    CLOSED = auto()
    MOVED_IN = auto()


@dataclass(frozen=True, slots=True)
class _Seen:
    identity: Identity
    since: float
    enough: float


class Writing:
    """The state of every file that anything has happened to. `dirty` are those to be read (again)."""

    def __init__(self) -> None:
        self.dirty: set[Path] = set()
        self._states: dict[Path, _State] = {}
        self._seen: dict[Path, _Seen] = {}
        self._now = 0.0

    @property
    def restless(self) -> bool:
        """Whether a dirty file can be read at once."""
        return any(path not in self._seen and self._states.get(path) is not _State.WRITTEN_TO for path in self.dirty)

    @property
    def unsure(self) -> float | None:
        """In how many seconds a file must be read again to see that it has stayed the same; None for no file."""
        return min((max(0.0, s.since + s.enough - self._now) for s in self._seen.values()), default=None)

    def begin(self, now: float) -> None:
        """A look at all files begins at `now`, in seconds; what it finds counts as found then."""
        self._now = now

    def note(self, change: Change) -> None:
        """Take in one change of a file (or of a name that may be one's)."""
        path = change.path
        self.dirty.add(path)
        self._seen.pop(path, None)
        match change.what:
            case What.WRITTEN_TO:
                self._states[path] = _State.WRITTEN_TO
            case What.CLOSED:
                self._states[path] = _State.CLOSED
            case What.MOVED_IN:
                self._states[path] = _State.MOVED_IN
            case What.CREATED if _is_empty_file(path):  # by open(2): writes and a close will follow
                self._states[path] = _State.WRITTEN_TO
            case What.CREATED | What.GONE:
                self._states.pop(path, None)

    def doubt(self, paths: Iterable[Path]) -> None:
        """Changes were lost: nothing is known, and all `paths` are to be read again."""
        self._states.clear()
        self._seen.clear()
        self.dirty.update(paths)

    def keep(self, files: set[Path], concerns: Callable[[Path], bool]) -> None:
        """Forget all but these `files`, and what happened to names that will be files of a later look."""
        self.dirty &= files
        self._seen = {path: seen for path, seen in self._seen.items() if path in files}
        self._states = {path: state for path, state in self._states.items() if concerns(path)}

    def incomplete(self, path: Path) -> bool:
        """Whether reading the file is of no use now."""
        # A truncate(2) writes without opening, so no close follows it: then only the question for writers tells.
        return self._states.get(path) is _State.WRITTEN_TO and writers(path) is not Writers.NONE

    def trusts(self, path: Path, reading: Reading, *, at_start: bool) -> bool:
        """Whether what was read is complete; asked when nothing has been told about the file since it was read.

        `at_start` nothing more can be known than that no writer is known, and nobody waits. When the answer is no, the
        file is dirty.
        """
        state = self._states.get(path)
        if reading.writers is Writers.NONE or (reading.writers is Writers.UNKNOWN and state is None and at_start):
            self._seen.pop(path, None)
            return True
        if reading.writers is Writers.SOME and state in (None, _State.WRITTEN_TO):
            self._states[path] = _State.WRITTEN_TO
        elif reading.identity is not None and self._is_steady(path, reading.identity, _enough(state, reading)):
            return True
        self.dirty.add(path)
        return False

    def _is_steady(self, path: Path, identity: Identity, enough: float) -> bool:
        seen = self._seen.get(path)
        if seen is None or seen.identity != identity:
            self._seen[path] = _Seen(identity, self._now, enough)
            return False
        if self._now - seen.since < enough:
            return False
        del self._seen[path]
        return True


def _enough(state: _State | None, reading: Reading) -> float:
    if not reading.data and not reading.problem:
        return LONG
    if state is _State.CLOSED:
        return LONG if reading.writers is Writers.SOME else AWHILE
    return BRIEFLY


def _is_empty_file(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_size == 0
    except OSError:
        return False
