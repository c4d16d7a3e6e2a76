"""What of each file is in force, kept for the process that reads it after this one.

Of a file of which nothing is refused that is its content, else what is admitted of it: no content that it had may say
so, where one resource was changed beside another that was wrong.

Must stay true: a process that dies takes along no resource that is in force, whatever its file holds when the next one
reads it; and what was removed on purpose does not come back.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from extproc.core.offers import Document
from extproc.core.resources import PassThrough, Resource
from extproc.wire import manifests
from extproc.wire.values import TYPE

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

    def keep(self, refused: Mapping[str, Iterable[Resource]]) -> None:
        """What was noted is good, but for the files `refused`, of which something is: of each, what is in force."""
        if self._directory is None:
            return
        for origin in self._others.difference(refused):
            file = self._file(self._directory, origin)
            with suppress(OSError):
                file.with_suffix(".new").replace(file)
                self._others.discard(origin)
        for origin, resources in refused.items():
            self._keep_of(origin, self._file(self._directory, origin), resources)

    def _keep_of(self, origin: str, file: Path, resources: Iterable[Resource]) -> None:
        bodies = [_body(resource) for resource in resources]
        if not bodies and not file.exists():
            return  # nothing of it was ever in force
        data = json.dumps({"resources": bodies}, ensure_ascii=False).encode()
        part = file.with_suffix(".part")
        try:
            if file.exists() and file.read_bytes() == data:
                return
            part.touch(mode=0o600)
            part.write_bytes(data)
            if origin not in self._others and file.exists():
                file.replace(file.with_suffix(".new"))  # it is good as soon as nothing of it is refused any more
                self._others.add(origin)
            part.replace(file)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            log.warning("what of %s is in force can't be kept: %s", origin, error.strerror)

    def forget(self, origin: str) -> None:
        """The file is gone, and what it held with it."""
        if self._directory is None:
            return
        self._others.discard(origin)
        file = self._file(self._directory, origin)
        for left in (file, file.with_suffix(".new"), file.with_suffix(".part")):
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


def _body(resource: Resource) -> dict[str, Any]:
    if isinstance(resource, PassThrough):
        return {TYPE: resource.kind.value, **resource.body}
    return manifests.write(resource)
