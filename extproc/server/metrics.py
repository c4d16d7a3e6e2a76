"""`GET /metrics`: what Prometheus scrapes.

Must stay true: a scrape holds the event loop only for the copies that it takes; the text is made by a thread, one
scrape at a time, however many ask.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web

from extproc.telemetry.exposition import Exposition
from extproc.telemetry.readings import Reading


class MetricsPage:
    """Answers scrapes; `read` takes a Reading, on the event loop."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read: Final = read
        self._exposition: Final = Exposition()
        self._one: Final = asyncio.Lock()

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/metrics", self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        """The metrics, in the format that the scraper prefers."""
        accept = ",".join(request.headers.getall(hdrs.ACCEPT, ()))
        async with self._one:
            body, content_type = await asyncio.to_thread(self._exposition.text, self._read(), accept)
        response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type, hdrs.VARY: hdrs.ACCEPT})
        response.enable_compression()
        return response
