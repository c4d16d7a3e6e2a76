"""Asks the Envoy beside us which clusters have a host to send to, and passes on each view that differs from the last.

Must stay true: an admin that can't be reached makes readiness unknown, never "not ready", and is asked again for ever;
and an Envoy that is still starting says nothing, since it does not know its clusters yet. However many clusters there
are, neither Envoy's main thread, which writes the answer, nor the event loop here is kept busy by asking.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aiohttp

from extproc.control.health import HealthView, parse_clusters

log: Final = logging.getLogger(__name__)

INTERVAL: Final = 0.25  # seconds; a candidate that Envoy finds down is out of the draw that soon
PATIENCE: Final = 2.0  # seconds for one answer; doubled, up to LONGEST, while none comes in time
LONGEST: Final = 8.0
REST: Final = 4  # times the time that an answer took, before the next: Envoy's main thread has other things to do
LARGE: Final = 256 * 1024  # bytes of an answer that are read beside the event loop
FORGOTTEN: Final = 8  # failed looks after which the last view no longer counts


class ReadinessWatch:
    """Polls `admin` (`http://127.0.0.1:9901`), calling `changed` with each new view, None once it is not known."""

    def __init__(self, admin: str, changed: Callable[[HealthView | None], None]) -> None:
        self._admin = admin
        self._changed = changed
        self._look_now = asyncio.Event()
        self._view: HealthView | None = None
        self._failures = 0
        self._patience = PATIENCE
        self._took = 0.0  # seconds for the last answer; of 30,000 clusters, one or two

    def look_now(self) -> None:
        """Don't wait for the next interval: something has just changed."""
        self._look_now.set()

    async def first_look(self) -> None:
        """Look once, so that an Envoy which runs already is not sent to a candidate that it can't reach yet."""
        async with self._session() as session:
            await self._look(session)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with self._session() as session:
            while True:
                await self._look(session)
                # Not asyncio.wait_for: Python 3.11's loses a cancellation that comes together with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(INTERVAL, REST * self._took)):
                        await self._look_now.wait()
                self._look_now.clear()

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self._admin)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                view: HealthView | None = await _ask(session)
            self._failures, self._took = 0, time.monotonic() - begun
            self._patience = PATIENCE + 2 * self._took
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._failures, self._took = self._failures + 1, 0.0
            if isinstance(error, TimeoutError):
                self._patience = min(LONGEST, 2 * self._patience)
            view = self._view if self._failures < FORGOTTEN else None
            if self._failures == FORGOTTEN and self._view is not None:
                log.warning("Envoy's admin does not answer (%s): readiness is not known", error)
        if view != self._view:
            self._view = view
            self._changed(view)


async def _ask(session: aiohttp.ClientSession) -> HealthView:
    # 503 until Envoy is LIVE: before that its list of clusters is not complete, and no traffic flows.
    async with session.get("/ready") as response:
        response.raise_for_status()
    async with session.get("/clusters?format=json") as response:
        response.raise_for_status()
        body = await response.read()
    return await asyncio.to_thread(parse_clusters, body) if len(body) > LARGE else parse_clusters(body)
