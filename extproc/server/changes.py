"""Changes to experiments, one at a time: judged, on disk, in force, and live before the caller hears of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from extproc.control.drafts import Draft, Unchanged
from extproc.control.lifecycle import Lifecycle
from extproc.control.plane import Plane
from extproc.control.store import Revision
from extproc.core.resources import Kind
from extproc.errors import StoreUnwritable

log: Final = logging.getLogger(__name__)

LIVE_WITHIN: Final = 10.0  # seconds that Envoy gets to accept a change
SWEEP: Final = 60.0  # seconds between two looks for stopped experiments whose time is over


async def _at_once() -> None:
    """Nobody but this process decides."""


class Changes:
    """The one way in which the API changes experiments, and in which the files' changes become revisions.

    `swapped` waits until every process that decides does so by the table that is published now.
    """

    def __init__(self, lifecycle: Lifecycle, plane: Plane, swapped: Callable[[], Awaitable[object]] = _at_once) -> None:
        self.lifecycle: Final = lifecycle
        self._plane = plane
        self._swapped = swapped
        self._lock = asyncio.Lock()
        self._watchers: set[asyncio.Event] = set()
        self._files_changed = asyncio.Event()
        plane.watch(self._plane_changed)

    def _plane_changed(self) -> None:
        self._files_changed.set()
        for watcher in self._watchers:
            watcher.set()

    async def make(self, judge: Callable[[], Draft | Unchanged]) -> tuple[Revision, Draft | None]:
        """Judge, record and apply; returns the current revision, and the draft if anything changed."""
        async with self._lock:
            draft = judge()
            if isinstance(draft, Unchanged):
                return draft.revision, None
            # On disk before it is live; the event loop goes on deciding while the disk works.
            revision = await asyncio.to_thread(self.lifecycle.record, draft)
            self.lifecycle.apply(revision)
            return revision, draft

    async def live(self, name: str) -> bool:
        """Wait until it is in force, or no more, in Envoy and in all that decide; false if Envoy does not take it."""
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        try:
            async with asyncio.timeout(LIVE_WITHIN):
                while not self._is_live(name):
                    watcher.clear()
                    await watcher.wait()
                await self._swapped()
        except TimeoutError:
            return False
        finally:
            self._watchers.discard(watcher)
        return True

    async def history(self, name: str) -> tuple[Revision, ...]:
        """Every revision of an experiment, oldest first. Raises UnknownExperiment."""
        revisions = await asyncio.to_thread(self.lifecycle.history, name)
        if not revisions:
            raise self.lifecycle.unknown(name)
        return revisions

    def record_files(self) -> None:
        """Make the files' changes revisions now, while nobody waits; may block. What fails is for `keep_record`."""
        with suppress(StoreUnwritable):
            if drafts := self.lifecycle.observe():
                self.lifecycle.apply(*self.lifecycle.record_all(drafts))

    async def keep_record(self) -> None:
        """Make the files' changes revisions, and forget stopped experiments in time, until cancelled."""
        while True:
            async with self._lock:
                try:
                    if drafts := self.lifecycle.observe():
                        # In one transaction: a file of ten thousand experiments waits for the disk once.
                        self.lifecycle.apply(*await asyncio.to_thread(self.lifecycle.record_all, drafts))
                    for name in self.lifecycle.expired():
                        await asyncio.to_thread(self.lifecycle.forget, name)
                        self.lifecycle.drop(name)
                except StoreUnwritable as error:
                    log.warning("a change is not in the history, routing goes on: %s", error)
            # Not asyncio.wait_for: Python 3.11's loses a cancellation that comes together with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP):
                    await self._files_changed.wait()
            self._files_changed.clear()

    def _is_live(self, name: str) -> bool:
        state = self._plane.state
        key = (Kind.EXPERIMENT, name)
        wanted, running = state.effective.admitted.get(key), state.running.get(key)
        return (wanted and wanted.resource) == (running and running.resource)
