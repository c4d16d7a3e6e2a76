"""Asks the Envoy beside us which clusters have a host to send to, and passes on each view that differs from the last.

Must stay true: an admin that can't be reached makes readiness unknown, never "not ready", and is asked again for ever.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Final

import aiohttp

from extproc.control.health import HealthView, read_clusters

log: Final = logging.getLogger(__name__)

INTERVAL: Final = 0.25  # seconds; a candidate that Envoy finds down is out of the draw that soon
PATIENCE: Final = 2.0  # seconds for one answer
FORGOTTEN: Final = 8  # failed looks after which the last view no longer counts


class ReadinessWatch:
    """Polls `admin` (`http://127.0.0.1:9901`), calling `changed` with each new view, None once it is not known."""

    def __init__(self, admin: str, changed: Callable[[HealthView | None], None]) -> None:
        self._url = f"{admin}/clusters?format=json"
        self._changed = changed
        self._look_now = asyncio.Event()
        self._view: HealthView | None = None

    def look_now(self) -> None:
        """Don't wait for the next interval: something has just changed."""
        self._look_now.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        failures = 0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
            while True:
                try:
                    view: HealthView | None = await self._look(session)
                    failures = 0
                except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
                    failures += 1
                    view = self._view if failures < FORGOTTEN else None
                    if failures == FORGOTTEN and self._view is not None:
                        log.warning("Envoy's admin does not answer (%s): readiness is not known", error)
                if view != self._view:
                    self._view = view
                    self._changed(view)
                try:
                    await asyncio.wait_for(self._look_now.wait(), INTERVAL)
                except TimeoutError:
                    continue
                finally:
                    self._look_now.clear()

    async def _look(self, session: aiohttp.ClientSession) -> HealthView:
        async with session.get(self._url) as response:
            response.raise_for_status()
            return read_clusters(await response.json(content_type=None))
