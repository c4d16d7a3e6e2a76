"""The lean transport's socket side: peers that do not read, that are gone, that are late; and other clients of it."""

import asyncio
import errno
import os
import re
import shutil
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from extproc import names
from extproc.errors import ExtprocError
from extproc.http2.frames import PREFACE
from extproc.http2.limits import Limits, Patience
from extproc.http2.sending import A_FRAME, ROOM
from extproc.server.ext_proc import ExtProc
from extproc.server.health import Health
from extproc.server.lean import LeanServer
from extproc.server.lean_protocol import LeanProtocol, Timing
from tests.fixtures.ext_proc import captured
from tests.harness.waiting import eventually_async
from tests.http2.given import REQUEST, Raw
from tests.server.exchange import FIRST, PUBLISHED, answers, connected, ended, on_uvloop, process, reply, watch
from tests.server.http2 import DATA, GOAWAY, PING, SETTINGS, Http2, frame

NO_TOKEN = captured("intercepted-no-token")
BODY = captured("every-phase-request_body")  # its stream stays open
PINGS: Final = frame(PING, 0, 0, b"12345678") * 500
MEBIBYTE: Final = 1024 * 1024
H2LOAD: Final = shutil.which("h2load")
H2SPEC: Final = os.environ.get("H2SPEC_BIN") or shutil.which("h2spec")
# It takes a dynamic table of 4,096 bytes for granted, whatever is announced.
H2SPEC_TAKES_FOR_GRANTED: Final = {"Sends a dynamic table size update", "Sends multiple dynamic table size update"}


@asynccontextmanager
async def lean(limits: Limits | None = None, timing: Timing | None = None) -> AsyncIterator[LeanServer]:
    service = ExtProc(PUBLISHED, draw=lambda: FIRST)
    server = await LeanServer.start("127.0.0.1", 0, service, limits=limits, timing=timing)
    try:
        async with asyncio.timeout(60):
            yield server
    finally:
        await server.drain(1)


async def closed(port: int, opening: bytes, within: float = 10) -> tuple[float, bytes]:
    """How long a connection that says only `opening` is kept, in seconds, and what came."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(opening)
    try:
        async with asyncio.timeout(within):
            received = await reader.read(-1)
    except ConnectionResetError:
        received = b""
    finally:
        writer.close()
    return time.monotonic() - began, received


def unread(port: int) -> socket.socket:
    """A client that never reads, and has little room for what comes."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    client.send(PREFACE + frame(SETTINGS, 0, 0))
    return client


class Pushing:
    """Sends pings, one after the other, as fast as the system takes them."""

    def __init__(self, client: socket.socket) -> None:
        self._client: Final = client
        self._rest = b""

    def some(self) -> int:
        """Send up to a mebibyte; returns how many bytes were taken."""
        taken = 0
        while taken < MEBIBYTE:
            self._rest = self._rest or PINGS
            try:
                sent = self._client.send(self._rest)
            except OSError:  # there is no room, or nobody at the other end any more
                break
            taken += sent
            self._rest = self._rest[sent:]
        return taken


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never tells anybody to calm down, so that something else has to hold them up."""
    monkeypatch.setattr(Patience, "BURST", 10**12)


@pytest.mark.usefixtures("patient")
@on_uvloop
async def test_who_does_not_read_is_not_read() -> None:
    """Pings are answered whatever the windows: only back-pressure holds up who sends them and reads nothing."""
    async with lean() as server, connected(server.port) as other:
        with unread(server.port) as client:
            await eventually_async(lambda: server._open, within=10, saying="the connection is there")
            (protocol,) = server._open
            transport = protocol._transport
            assert transport is not None
            pushing, full_since = Pushing(client), time.monotonic()
            while time.monotonic() - full_since < 0.5:
                if pushing.some():
                    full_since = time.monotonic()
                await asyncio.sleep(0)
            waiting = transport.get_write_buffer_size()
            assert 0 < waiting < 2 * MEBIBYTE
            assert await answers(other, NO_TOKEN) == [reply(FIRST)]
            assert transport.get_write_buffer_size() == waiting
            assert not protocol.connection.over


@pytest.mark.usefixtures("patient")
@on_uvloop
async def test_who_takes_nothing_for_long_is_left() -> None:
    async with lean(timing=Timing(idle=60, answer=0.3)) as server:
        with unread(server.port) as client:
            await eventually_async(lambda: server._open, within=10, saying="the connection is there")

            pushing = Pushing(client)

            def left() -> bool:
                pushing.some()
                return not server._open

            await eventually_async(left, within=20, saying="the connection is given up")


async def test_who_says_nothing_at_first_is_left() -> None:
    async with lean(timing=Timing(answer=0.2)) as server:
        for opening in (b"", PREFACE[:10]):
            took, _ = await closed(server.port, opening)
            assert took >= 0.2


async def test_who_is_silent_is_pinged_and_then_left() -> None:
    async with lean(timing=Timing(idle=0.3, answer=0.2)) as server:
        took, received = await closed(server.port, PREFACE + frame(SETTINGS, 0, 0))
        assert took >= 0.4
        assert received.count(b"alive?") == 1
        async with Http2.connect(server.port) as client:  # which answers pings
            await asyncio.sleep(1)
            assert not client.closed


async def test_who_speaks_something_else_reads_why_it_is_left() -> None:
    async with lean() as server:
        _, received = await closed(server.port, b"GET / HTTP/1.1\r\n\r\n" * 1000)
        assert received.endswith(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 1) + b"this is not HTTP/2"))


async def test_a_deadline_ends_a_call() -> None:
    async with lean() as server, connected(server.port) as channel:
        stream: Any = channel.stream_stream(names.EXT_PROC_METHOD)
        call = stream(timeout=0.3)
        await call.write(BODY)
        await call.read()
        assert await ended(call) is grpc.StatusCode.DEADLINE_EXCEEDED
        (protocol,) = server._open
        await eventually_async(
            lambda: protocol.connection.streams, within=10, saying="the call is over", until=lambda open_: not open_
        )


class Taking(asyncio.Transport):
    """One that takes everything, and says that `waiting` bytes of it are still to be taken."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.waiting = 0
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted = True


def ignore(_: LeanProtocol) -> None:
    """Of no interest."""


@pytest.mark.parametrize("left", ["0n", "1n", "400u", "1m"])
@on_uvloop
async def test_a_deadline_of_next_to_no_time_ends_its_call_and_no_other(left: str) -> None:
    protocol, transport = LeanProtocol(ExtProc(PUBLISHED), Health(), ignore, ignore), Taking()
    protocol.connection_made(transport)
    raw = Raw()
    protocol.data_received(PREFACE + frame(SETTINGS, 0, 0))
    asked = tuple((name, names.EXT_PROC_METHOD if name == ":path" else str(value)) for name, value in REQUEST)
    protocol.data_received(raw.headers(1, fields=asked))
    protocol.data_received(raw.headers(3, fields=(*asked, ("grpc-timeout", left))))
    protocol.data_received(frame(PING, 0, 0, b"12345678"))
    await eventually_async(lambda: transport.written, within=10, saying="it ends", until=lambda it: b"deadline" in it)
    assert [*protocol.connection.streams] == [1]
    protocol.connection_lost(None)


async def test_who_takes_some_is_kept_however_much_waits() -> None:
    protocol, transport = LeanProtocol(ExtProc(PUBLISHED), Health(), ignore, ignore), Taking()
    protocol.connection_made(transport)
    protocol.data_received(PREFACE + frame(SETTINGS, 0, 0))
    transport.waiting = 1_000
    for _ in range(3):
        protocol.data_received(PINGS)
        protocol._look_at_peer()
    assert not transport.aborted
    protocol._look_at_peer()
    assert transport.aborted, "nothing was taken since"
    protocol.connection_lost(None)


@on_uvloop
async def test_answers_that_were_let_wait_come_by_themselves() -> None:
    """There are more of them than go out in one go."""
    body = struct.pack(">BI", 0, 2) + b"\x22\0"  # an empty request_body
    told = body * (3 * ROOM // A_FRAME // 2)
    async with lean() as server, Http2.connect(server.port, stream_window=0) as client:
        stream = client.open()
        for at in range(0, len(told), 16_000):
            client.write(frame(DATA, 0, stream, told[at : at + 16_000]))
        client.write(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**30)))
        await eventually_async(
            lambda: client.data[stream], within=10, saying="all is answered", until=lambda size: size == len(told)
        )


async def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    path = tmp_path / "worker.sock"
    for _ in range(2):  # the second in place of what the first left
        server = await LeanServer.start_on(path, ExtProc(PUBLISHED, draw=lambda: FIRST), Health())
        assert server.port == 0
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
        await server.drain(1)
    with pytest.raises(ExtprocError, match=r"no/such: .*|can't be listened on \(No such file"):
        await LeanServer.start_on(tmp_path / "no" / "such", ExtProc(PUBLISHED))


async def test_big_messages_fit_when_they_may() -> None:
    """As later services will need it: a message of some megabytes, in frames of 16 KiB, is read whole."""
    padded = NO_TOKEN * (6 * 1024 * 1024 // len(NO_TOKEN))  # a field that is given repeatedly counts once
    async with lean(Limits(message=8 * 1024 * 1024)) as server, connected(server.port) as channel:
        assert await answers(channel, padded) == [reply(FIRST)]
    async with lean() as server, connected(server.port) as channel:
        assert await ended(process(channel, [padded])) is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_watchers_of_a_leaving_server_are_told() -> None:
    health = Health()
    server = await LeanServer.start("127.0.0.1", 0, ExtProc(PUBLISHED), health)
    async with connected(server.port) as channel:
        call = watch(channel, "")
        assert await call.read()
        await server.drain(10)
        assert [await call.read(), await call.read()][-1] is grpc.aio.EOF
        assert await ended(call) is grpc.StatusCode.OK


@pytest.mark.parametrize("first", ["answered", "told"])
@on_uvloop
async def test_a_peer_that_does_not_end_what_was_answered_is_left_all_the_same(first: str) -> None:
    """The grace, which is for what is not answered yet, is not waited for."""
    service = ExtProc(PUBLISHED, draw=lambda: FIRST)
    server = await LeanServer.start("127.0.0.1", 0, service, timing=Timing(linger=0.2))
    async with Http2.connect(server.port) as client:
        stream = client.open()
        if first == "answered":
            await client.send(stream, NO_TOKEN)
            await eventually_async(lambda: stream in client.ended, within=10, saying="the call is answered")
        else:
            await client.send(stream, BODY)
            await eventually_async(lambda: client.data[stream], within=10, saying="the body is answered")
        draining = asyncio.create_task(server.drain(60))
        await eventually_async(lambda: client.goaway, within=10, saying="the peer is told")
        if first == "told":
            await client.send(stream, NO_TOKEN)
        await eventually_async(lambda: client.closed, within=10, saying="the connection is closed")
        assert stream in client.ended
        assert not client.resets
        await asyncio.wait_for(draining, 10)


class Reset(asyncio.Transport):
    """One whose peer resets the connection between a write and the next: shutdown(2) then fails on asyncio's own loop.

    A race between two programs in truth: once in some thousand drains.
    """

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The system takes it."""

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    def abort(self) -> None:
        self.aborted = True


async def test_a_peer_that_is_gone_when_it_is_left_is_no_fault_of_ours() -> None:
    protocol, transport = LeanProtocol(ExtProc(PUBLISHED), Health(), ignore, ignore), Reset()
    protocol.connection_made(transport)
    protocol.data_received(PREFACE + frame(SETTINGS, 0, 0))
    protocol.cancel()
    assert transport.aborted, "at once, since nobody is there to read any more"
    protocol.connection_lost(None)


async def run(*argv: str, within: float = 60) -> str:
    """What a program says."""
    process_ = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(within):
            said, _ = await process_.communicate()
    finally:
        if process_.returncode is None:
            process_.kill()
            await process_.wait()
    return said.decode(errors="replace")


@pytest.mark.skipif(H2LOAD is None, reason="h2load is not installed (Debian and Ubuntu: nghttp2-client)")
@on_uvloop
async def test_h2load_is_served(tmp_path: Path) -> None:
    request = tmp_path / "request"
    request.write_bytes(b"\0" + struct.pack(">I", len(NO_TOKEN)) + NO_TOKEN)
    async with lean() as server:
        said = await run(
            *(str(H2LOAD), "-n", "2000", "-c", "4", "-m", "50", "-d", str(request)),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            f"http://127.0.0.1:{server.port}{names.EXT_PROC_METHOD}",
        )
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in said, said


@pytest.mark.skipif(H2SPEC is None, reason="h2spec is neither named by H2SPEC_BIN nor on the PATH")
@pytest.mark.parametrize("dynamic_table", [True, False])
@on_uvloop
async def test_h2spec_finds_nothing_wrong(dynamic_table: bool) -> None:
    async with lean(Limits(streams=100, dynamic_table=dynamic_table)) as server:
        said = await run(str(H2SPEC), "generic", "http2", "hpack", "-h", "127.0.0.1", "-p", str(server.port), "-o", "5")
    wrong = set(re.findall(r"× \d+: ([^\r\n]*)", said))
    assert re.search(r"\d{3} tests, ", said), said
    assert wrong == (set() if dynamic_table else H2SPEC_TAKES_FOR_GRANTED), said
