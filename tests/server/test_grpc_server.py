"""The port, the connection's manners, and how the server leaves: the same on both transports."""

import asyncio
import socket
import time

import grpc
import pytest

from extproc.errors import ExtprocError
from extproc.server.ext_proc import ExtProc
from extproc.server.health import Health
from extproc.wire.ext_proc import NEUTRAL
from extproc.wire.health import NOT_SERVING, SERVING
from tests.fixtures.ext_proc import captured
from tests.harness.ports import free_port
from tests.harness.waiting import eventually_async
from tests.server.exchange import FIRST, PUBLISHED, answers, connected, ended, process, reply, serving, start, watch
from tests.server.http2 import Http2

pytestmark = pytest.mark.usefixtures("transport")

NO_TOKEN = captured("intercepted-no-token")
BODY = captured("every-phase-request_body")  # its stream stays open


async def test_port_0_takes_a_free_one_and_says_which() -> None:
    servers = [await start() for _ in range(2)]
    assert len({0, *(server.port for server in servers)}) == 3
    for server in servers:
        async with connected(server.port) as channel:
            assert len(await answers(channel, NO_TOKEN)) == 1
        await server.drain(0)


async def test_the_port_that_is_asked_for_is_taken() -> None:
    port = free_port()
    server = await start(port=port)
    assert server.port == port
    await server.drain(0)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "localhost"])  # noqa: S104 - all of them is the point
async def test_a_second_server_on_a_port_fails_and_names_it(host: str) -> None:
    async with serving() as server:
        with pytest.raises(ExtprocError, match=rf":{server.port} can't be listened on \(Address already in use\)"):
            await start(host=host, port=server.port)
        async with connected(server.port) as channel:
            assert len(await answers(channel, NO_TOKEN)) == 1


async def test_connections_are_shared_with_nobody() -> None:
    """With SO_REUSEPORT on both sides the system would give each a part of them (socket(7))."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        async with serving() as server:
            with pytest.raises(OSError, match="Address already in use"):
                other.bind(("127.0.0.1", server.port))
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ExtprocError, match="Address already in use"):
            await start(port=other.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "reason"), [("192.0.2.1", "Cannot assign requested address"), ("no.such.invalid", "not known")]
)
async def test_a_host_that_is_not_ours_is_refused_with_the_systems_reason(host: str, reason: str) -> None:
    with pytest.raises(ExtprocError, match=f"{host}:0 can't be listened on .*{reason}"):
        await start(host=host)


async def test_pings_without_streams_are_answered_and_never_too_many() -> None:
    """As Envoy's `connection_keepalive` sends them, only faster."""
    async with serving() as server, Http2.connect(server.port) as client:
        for sent in range(1, 101):
            client.ping()
            await eventually_async(lambda: client.acks, within=10, saying="the ping is answered", until=sent.__le__)
        assert not client.goaway
        assert not client.closed


async def test_what_is_no_http2_is_turned_away_alone() -> None:
    async with serving(ExtProc(PUBLISHED, draw=lambda: FIRST)) as server, connected(server.port) as channel:
        async with Http2.connect(server.port) as client:
            client.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await eventually_async(lambda: client.closed, within=10, saying="the connection is closed")
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]


async def test_draining_tells_health_first_and_lets_streams_end() -> None:
    health = Health()
    server = await start(ExtProc(PUBLISHED, draw=lambda: FIRST), health)
    async with connected(server.port) as channel, connected(server.port) as other:
        watching, stream = watch(channel, ""), process(channel)
        assert await watching.read() == SERVING
        await stream.write(BODY)
        assert await stream.read() == NEUTRAL["request_body"]
        draining = asyncio.create_task(server.drain(30))
        assert await watching.read() == NOT_SERVING
        assert await watching.read() is grpc.aio.EOF
        await eventually_async(
            lambda: ended(process(other, [NO_TOKEN])),
            within=10,
            saying="nothing new is taken",
            until=lambda code: code is grpc.StatusCode.UNAVAILABLE,
        )
        assert not draining.done()
        await stream.write(NO_TOKEN)
        assert await stream.read() == reply(FIRST)
        assert await ended(stream) is grpc.StatusCode.OK
        await asyncio.wait_for(draining, 10)


async def test_a_stream_that_does_not_end_is_cancelled_after_the_grace() -> None:
    server = await start()
    async with connected(server.port) as channel:
        stream = process(channel)
        await stream.write(BODY)
        await stream.read()
        began = time.monotonic()
        await asyncio.wait_for(server.drain(0.2), 10)
        assert time.monotonic() - began >= 0.2
        assert await ended(stream) is not grpc.StatusCode.OK


async def test_an_idle_server_leaves_at_once() -> None:
    server = await start()
    async with connected(server.port) as channel:
        watching = watch(channel, "")
        assert await watching.read() == SERVING
        assert len(await answers(channel, NO_TOKEN)) == 1
        await asyncio.wait_for(server.drain(60), 10)


async def test_the_port_is_free_again_at_the_end() -> None:
    async with serving() as server:
        port = server.port
    again = await start(port=port)
    await again.drain(0)
