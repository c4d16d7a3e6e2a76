"""Server-sent events (HTML standard, section 9.2) at `/api/v1/stream`: what `GET /api/v1/experiments` says, pushed.

Must stay true: however many look on, the document is made once for all of them, only while somebody looks, and its
making takes at most a fifth of the event loop, and little of it at a time (`gradual`), however many experiments there
are. Who reads slowly misses versions, never the last one.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

from aiohttp import web

from extproc.server import gradual

log: Final = logging.getLogger(__name__)

TICK: Final = 1.0  # seconds between two looks when nothing told of a change: counts only grow
COALESCE: Final = 0.03  # seconds; changes come in bursts (offered, built, accepted)
REST: Final = 4  # times as long as the last making held the event loop, nothing is made
ALIVE: Final = 5.0  # seconds of silence before a sign of life; the page gives up after two and a half of them
STALLED: Final = 30.0  # seconds that a reader may take for one message
SIGN_OF_LIFE: Final = b": keep-alive\nevent: alive\ndata:\n\n"  # an event too: a page never sees a comment
RETRY: Final = b"retry: 1000\n\n"  # milliseconds


class Feed:
    """The current message and everyone who waits for the next one; `make` says the document's arrays."""

    def __init__(self, make: Callable[[], Mapping[str, Iterable[dict[str, Any]]]]) -> None:
        self._make = make
        self._message = b""
        self._readers = 0
        self._open = True
        self._news = asyncio.Event()  # replaced by a new one each time it is set
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()

    def changed(self) -> None:
        """What the document tells has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Make messages while there are readers, until cancelled."""
        failing = False
        while True:
            await self._wanted.wait()
            self._changed.clear()
            held = 0.0
            try:
                document, held = await gradual.text(self._make(), lines=False)
                message = _event("experiments", document)
                failing = False
            except Exception:  # a bug of ours; the page keeps what it has, and the next look may go well
                if not failing:
                    log.exception("the page can't be told how the experiments are")
                failing = True
                message = self._message
            if message != self._message:
                self._message = message
                self._tell()
            await asyncio.sleep(max(COALESCE, REST * held))
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK - COALESCE):
                    await self._changed.wait()

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """The current message, each later one, and signs of life between them; ends when the feed does."""
        self._readers += 1
        self._wanted.set()
        self._changed.set()
        last = b""
        try:
            while self._open:
                news = self._news
                if self._message and self._message is not last:
                    last = self._message
                    yield last
                    continue
                try:
                    async with asyncio.timeout(ALIVE):
                        await news.wait()
                except TimeoutError:
                    yield SIGN_OF_LIFE
        finally:
            self._readers -= 1
            if not self._readers:
                self._wanted.clear()
                self._message = b""  # the next reader shall not get what is old by then

    def close(self) -> None:
        """End every reader's stream."""
        self._open = False
        self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


FEED: Final = web.AppKey("feed", Feed)

routes: Final = web.RouteTableDef()


def add_stream(app: web.Application, feed: Feed) -> None:
    """Serve the feed from this application, and run it as long."""
    app[FEED] = feed
    app.cleanup_ctx.append(_running)
    app.on_shutdown.append(_close)  # or an open page would hold up the end
    app.add_routes(routes)


@routes.get("/api/v1/stream", allow_head=False)
async def stream(request: web.Request) -> web.StreamResponse:
    """The stream, until either side ends it."""
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        await response.write(RETRY)
        async with aclosing(request.app[FEED].messages()) as messages:
            async for message in messages:
                async with asyncio.timeout(STALLED):
                    await response.write(message)
    except ConnectionResetError:
        pass
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    return response


async def _running(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(app[FEED].run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _close(app: web.Application) -> None:
    app[FEED].close()


def _event(name: str, document: bytes) -> bytes:
    # One line: a line break would end the message's `data`.
    return b"event: %b\ndata: %b\n\n" % (name.encode(), document)
