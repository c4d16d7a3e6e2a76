"""What each file held when nothing of it was refused, kept for the process that reads it after this one.

Must stay true: a process that dies takes along no resource that is in force, whatever its file holds when the next one
reads it; and what was removed on purpose does not come back.
"""

import hashlib
import logging
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from extproc.core.offers import Document
from extproc.wire import manifests

log: Final = logging.getLogger(__name__)

PREFIX: Final = "good-"  # of the names in the directory


class LastGood:
    """The last good content of files, by origin, in `directory`; without one, nothing is kept. Never raises."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory: Final = directory
        self._others: Final[set[str]] = set()  # the origins of which something else was read than is kept

    def note(self, origin: str, data: bytes) -> None:
        """This is what the file holds now."""
        if self._directory is None:
            return
        file = self._file(self._directory, origin)
        new = file.with_suffix(".new")
        try:
            if file.exists() and file.read_bytes() == data:
                self._others.discard(origin)
                return
            self._others.add(origin)
            new.touch(mode=0o600)  # a user's Cluster may hold a private key
            new.write_bytes(data)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            log.warning("what %s holds can't be kept in %s: %s", origin, self._directory, error.strerror)

    def keep(self, refused: Collection[str]) -> None:
        """What was noted is good, but for the files `refused`, of which something is."""
        if self._directory is None:
            return
        for origin in self._others.difference(refused):
            file = self._file(self._directory, origin)
            with suppress(OSError):
                file.with_suffix(".new").replace(file)
                self._others.discard(origin)

    def forget(self, origin: str) -> None:
        """The file is gone, and what it held with it."""
        if self._directory is None:
            return
        self._others.discard(origin)
        file = self._file(self._directory, origin)
        for left in (file, file.with_suffix(".new")):
            with suppress(OSError):
                left.unlink()

    def instead_of(self, document: Document) -> Document:
        """What is kept of its file; `document` itself if that is the same, or nothing."""
        if self._directory is None or not (document.problems or document.origin in self._others):
            return document
        try:
            return manifests.read(self._file(self._directory, document.origin).read_bytes(), document.origin)
        except OSError:
            return document

    @staticmethod
    def _file(directory: Path, origin: str) -> Path:
        return directory / f"{PREFIX}{hashlib.sha256(os.fsencode(origin)).hexdigest()}"
