"""Very many streams, and clients that take nothing: memory stays bounded and everyone else is served."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from extproc.server.ext_proc import ExtProc
from extproc.wire.ext_proc import NEUTRAL
from tests.fixtures.ext_proc import captured
from tests.harness.waiting import eventually_async
from tests.server.exchange import FIRST, PUBLISHED, answers, connected, counting, on_uvloop, reply, serving
from tests.server.http2 import Http2

pytestmark = pytest.mark.usefixtures("transport")

NO_TOKEN = captured("intercepted-no-token")
BODY = captured("every-phase-request_body")
STREAMS: Final = 10_000
CONNECTIONS: Final = 4
PER_STREAM: Final = 64 * 1024  # bytes; about 25 kB are used
PATIENCE: Final = 120.0  # seconds; ten thousand streams are ten seconds of work
MEBIBYTE: Final = 1024 * 1024
FRAME_HEAD: Final = 5  # what gRPC puts before each message


def resident() -> int:
    """This process's resident memory in bytes (proc(5))."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def settled(saying: str, tasks: int) -> None:
    await eventually_async(
        lambda: len(asyncio.all_tasks()), within=PATIENCE, saying=saying, until=lambda running: running <= tasks
    )


@pytest.mark.timeout(300)
@on_uvloop
async def test_ten_thousand_open_streams_are_answered_and_forgotten() -> None:
    service = ExtProc(PUBLISHED, draw=lambda: FIRST)
    async with serving(service, within=2 * PATIENCE) as server, connected(server.port) as channel:
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
        calm, before = len(asyncio.all_tasks()), resident()
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Http2.connect(server.port)) for _ in range(CONNECTIONS)]
            for _ in range(STREAMS // CONNECTIONS):
                for client in clients:
                    await client.send(client.open(), BODY)
            await eventually_async(
                lambda: sum(len(client.data) for client in clients),
                within=PATIENCE,
                saying="every stream is answered",
                until=STREAMS.__eq__,
            )
            length = FRAME_HEAD + len(NEUTRAL["request_body"])
            assert {count for client in clients for count in client.data.values()} == {length}
            assert not any(client.resets or client.goaway for client in clients)
            # All are still open, and one more is served.
            assert not any(client.ended for client in clients)
            assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
            assert resident() - before < STREAMS * PER_STREAM
        await settled("the tasks of all streams have ended", calm)
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]


@on_uvloop
async def test_a_client_that_never_reads_is_held_up_and_costs_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    draw, drawn = counting(FIRST)
    async with serving(ExtProc(PUBLISHED, draw=draw)) as server, connected(server.port) as channel:
        async with Http2.connect(server.port, stream_window=0) as client:
            stream = client.open()

            async def push() -> None:
                while True:
                    await client.send(stream, NO_TOKEN * 100)  # a field that is given repeatedly counts once

            pushing = asyncio.create_task(push())
            try:
                await eventually_async(lambda: client.held_up, within=10, saying="the client is held up")
                for answered in range(1, 21):
                    client.ping()
                    await eventually_async(
                        lambda: client.acks, within=10, saying="a ping comes back", until=answered.__le__
                    )
                assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
                assert client.held_up
                assert client.sent < MEBIBYTE
                assert not client.data
                assert len(drawn) - 1 <= 2, "messages are taken in while their answers can't be written"
            finally:
                pushing.cancel()
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
    assert not caplog.records, "a client that leaves is nothing to report"


@on_uvloop
async def test_streams_that_are_reset_at_once_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ExtProc(PUBLISHED, draw=lambda: FIRST)) as server, connected(server.port) as channel:
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
        calm = len(asyncio.all_tasks())
        ways: list[Callable[[Http2, int], None]] = [Http2.reset, lambda *_: None]
        async with Http2.connect(server.port) as client:
            for n in range(1000):
                stream = client.open()
                if n % 3:
                    await client.send(stream, NO_TOKEN)
                ways[n % 2](client, stream)
        await settled("the tasks of all streams have ended", calm)
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
    assert not caplog.records
