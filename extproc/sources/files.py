"""The file source: files and directories of resources, read once and again whenever they change.

Must stay true: what is handed over was complete. A file that someone is writing keeps its last content until its
writer closes it or renames another over it; a file that can't be read is a Document with problems; nothing is raised.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from extproc.core.offers import Document
from extproc.errors import Problem
from extproc.sources.contents import read_bytes
from extproc.sources.last_good import LastGood
from extproc.sources.places import Identity, Place, Survey, survey
from extproc.sources.watch import Watch, What
from extproc.sources.writing import AWHILE, Writing
from extproc.wire import manifests

COALESCE: Final = 0.005  # seconds; what happens in this time after a change is read together with it
PATIENCE: Final = 0.05  # seconds; a file that is gone may be an editor's save half done: it is waited for so long
ROUNDS: Final = 5  # looks that may be overtaken by changes, before one of them is handed over all the same

BUSY: Final = "is being written: it is read as soon as its writer closes it"


@dataclass(frozen=True, slots=True)
class _Held:
    """The last content of a file, and what the file was then."""

    path: Path
    identity: Identity
    document: Document


@dataclass(frozen=True, slots=True)
class _Look:
    """`doubtful`: a file is gone, or is new and being written.

    `again`: in how many seconds another look is due though nothing happens; None for never.
    """

    documents: tuple[Document, ...]
    doubtful: bool
    again: float | None


class FileSource:
    """The resources in `paths`, each a file or a directory of *.json, *.yaml and *.yml files. Raises CannotWatch.

    A Document's origin is its path as given here, joined with the name inside a directory. A file that two paths lead
    to is read once. Watching needs a file system that tells of changes: a network file system is not told of those
    made elsewhere. `last_good` is told what each holds.
    """

    def __init__(self, paths: Sequence[Path], last_good: LastGood | None = None) -> None:
        self._paths: Final = tuple(paths)
        self._last_good: Final = last_good or LastGood()
        self._watch: Final = Watch()
        self._writing: Final = Writing()
        self._survey = Survey()
        self._stirred = False
        self._started = False
        self._held: dict[str, _Held] = {}
        self._published: tuple[Document, ...] = ()

    def read(self) -> tuple[Document, ...]:
        """Everything as it is now, problems included. Never raises; may take some hundredths of a second."""
        look = self._look()
        for _ in range(ROUNDS):
            if look.again is None or look.again > AWHILE:
                break
            time.sleep(look.again)
            look = self._look()
        self._publish(look)
        return self._published

    def before(self) -> tuple[Document, ...]:
        """What is kept of the files that were read last, and of those of which nothing is, what was read."""
        return tuple(map(self._last_good.instead_of, self._published))

    async def watch(self, changed: Callable[[tuple[Document, ...]], None]) -> None:
        """Call `changed` with all Documents whenever they differ from those read last; runs until it is cancelled.

        Files are read and parsed beside the event loop.
        """
        doubtful_since: float | None = None
        while True:
            look = await self._beside()
            now = time.monotonic()
            doubtful_since = (doubtful_since or now) if look.doubtful else None
            wait = look.again
            if doubtful_since is not None and now < doubtful_since + PATIENCE:
                rest = doubtful_since + PATIENCE - now
                wait = rest if wait is None else min(wait, rest)
            elif look.documents != self._published:
                doubtful_since = None
                if self._publish(look):
                    wait = 0.0  # what is gone has been dropped; the next look tells that it is missing
                changed(self._published)
            await self._stirring(wait)
            await asyncio.sleep(COALESCE)

    def close(self) -> None:
        """End watching for good; `watch` must have ended."""
        self._watch.close()

    def _publish(self, look: _Look) -> bool:
        """Take `look` for the last one; True when that dropped the last content of a file that is gone."""
        self._started = True
        self._published = look.documents
        origins = {document.origin for document in look.documents}
        gone = self._held.keys() - origins
        for origin in (*gone, *(place.origin for place in self._survey.places if place.lost)):
            self._last_good.forget(origin)
        self._held = {origin: held for origin, held in self._held.items() if origin in origins}
        return bool(gone)

    async def _beside(self) -> _Look:
        """`_look` in a thread; its end is waited for even when this is cancelled, since it uses everything here."""
        looking = asyncio.ensure_future(asyncio.to_thread(self._look))
        try:
            return await asyncio.shield(looking)
        except asyncio.CancelledError:
            await asyncio.wait([looking])
            raise

    async def _stirring(self, wait: float | None) -> None:
        """Return when something that matters has changed, or after `wait` seconds."""
        if wait == 0:
            return
        loop = asyncio.get_running_loop()
        stirred = asyncio.Event()

        def tell() -> None:
            if self._absorb():
                stirred.set()

        loop.add_reader(self._watch.fileno(), tell)
        try:
            async with asyncio.timeout(wait):
                await stirred.wait()
        except TimeoutError:
            return
        finally:
            loop.remove_reader(self._watch.fileno())

    def _look(self) -> _Look:
        documents: list[Document] = []
        for _ in range(ROUNDS):
            self._absorb()
            self._writing.begin(time.monotonic())
            self._stirred = False
            self._cover()
            documents = [document for place in self._survey.places for document in self._documents(place)]
            self._absorb()
            self._writing.keep({place.path for place in self._survey.places}, self._survey.concerns)
            if not (self._stirred or self._writing.restless):
                break
        if self._watch.trouble:
            documents.append(_unreadable("inotify", self._watch.trouble))
        new_and_busy = any(_is_busy(d) and d not in self._published for d in documents)
        gone = self._held.keys() - {document.origin for document in documents}
        again = 0.0 if self._stirred or self._writing.restless else self._writing.unsure
        return _Look(tuple(documents), doubtful=new_and_busy or bool(gone), again=again)

    def _cover(self) -> None:
        """Survey, and watch everything that the survey depends on; a look from before the watch does not count."""
        for _ in range(ROUNDS):
            self._survey = found = survey(self._paths)
            directories = dict.fromkeys((entry.parent for entry in found.entries), False)
            directories |= dict.fromkeys(found.listed, True)
            files = {p.path: (p.identity.device, p.identity.inode) for p in found.places if p.identity is not None}
            directories |= dict.fromkeys((file.parent for file in files), True)
            if not self._watch.cover(directories, files):
                return

    def _absorb(self) -> bool:
        """Take in what happened; True when any of it matters."""
        mattered = False
        for change in self._watch.drain():
            if change.what is What.OVERFLOW:
                self._writing.doubt(place.path for place in self._survey.places)
            elif self._survey.concerns(change.path):
                self._writing.note(change)
            else:
                continue
            mattered = True
            self._stirred |= change.what not in (What.WRITTEN_TO, What.CLOSED)
        return mattered

    def _documents(self, place: Place) -> list[Document]:
        held = self._held.get(place.origin)
        if place.refusal:
            # What lies in a directory that can't be looked into now may well be there still.
            inside = [h.document for origin, h in self._held.items() if Path(origin).parent == Path(place.origin)]
            return [_unreadable(place.origin, place.refusal), *inside]
        if place.identity is None:
            # One that was there vanishes, so that its experiments stop; only then it is told that it is missing.
            return [_unreadable(place.origin, place.lost.value)] if place.lost and not held else []
        known = held and (held.path, held.identity) == (place.path, place.identity)
        if held and known and place.path not in self._writing.dirty:
            return [held.document]
        return [self._read(place) or (held.document if held else _unreadable(place.origin, BUSY))]

    def _read(self, place: Place) -> Document | None:
        """The file's content now; None when it is not complete."""
        path, origin, writing = place.path, place.origin, self._writing
        for _ in range(ROUNDS):
            if writing.incomplete(path):
                return None
            writing.dirty.discard(path)
            reading = read_bytes(path)
            self._absorb()
            if path in writing.dirty:
                continue
            if reading.identity is None and reading.problem:
                return _unreadable(origin, reading.problem)
            if reading.identity is None:
                writing.dirty.add(path)
                continue
            if not writing.trusts(path, reading, at_start=not self._started):
                return None
            unreadable = _unreadable(origin, reading.problem) if reading.problem else None
            document = unreadable or manifests.read(reading.data, origin)
            if not reading.problem:
                self._last_good.note(origin, reading.data)
            self._held[origin] = _Held(path, reading.identity, document)
            return document
        return None


def _unreadable(origin: str, message: str) -> Document:
    return Document(origin, problems=(Problem("", message),))


def _is_busy(document: Document) -> bool:
    return any(problem.message == BUSY for problem in document.problems)
