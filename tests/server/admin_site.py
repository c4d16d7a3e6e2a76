"""The admin HTTP over a plane without an Envoy, for tests of the page's own end points."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from extproc.control.drafts import API
from extproc.control.lifecycle import Lifecycle
from extproc.control.plane import Outlets, Plane
from extproc.control.store import Store
from extproc.server.admin import AdminServer
from extproc.server.changes import Changes
from extproc.server.page import PageOptions
from extproc.settings import Dashboard
from tests.control.test_admission import experiment, model, valid

FILES = "files"


@dataclass(frozen=True, slots=True)
class Site:
    """What serves, the plane behind it, and a client of it."""

    plane: Plane
    client: aiohttp.ClientSession
    server: AdminServer

    def offer(self, *names: str) -> None:
        """Let the file hold experiments of these names."""
        experiments = [experiment(name) for name in names]
        self.plane.offer(FILES, [valid("a.json", model("iris"), model("iris2"), *experiments)])


@asynccontextmanager
async def serving(directory: Path, allowed: Dashboard | None = None) -> AsyncIterator[Site]:
    """Serve with the models iris and iris2 and the file's experiment `filed`."""
    store = Store.open(directory)
    outlets = Outlets(publish=lambda _: None, stale=lambda: None, now=lambda: datetime.now(UTC))
    plane = Plane((API, FILES), lambda _: (), outlets)
    changes = Changes(Lifecycle(store, plane, lambda: datetime.now(UTC)), plane)
    server = await AdminServer.start("127.0.0.1", 0, plane, changes, PageOptions(allowed or Dashboard()))
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
            site = Site(plane, client, server)
            site.offer("filed")
            yield site
    finally:
        await server.stop()
        store.close()
