"""The access log service over real gRPC: all is counted, nonsense hurts nobody, and leaving loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest

from extproc import names
from extproc.server.access_log import AT_ONCE, AccessLogService
from extproc.server.grpc_server import GrpcServer
from extproc.wire.access_log import Entry
from tests.fixtures.access_log import captured
from tests.harness.waiting import eventually_async

WEIGHTED, STICKY = captured("weighted"), captured("sticky")
Call = grpc.aio.StreamUnaryCall[bytes, bytes]


@dataclass
class Running:
    """The service, and what it handed on: the sizes of the parts, and the routes."""

    parts: list[int] = field(default_factory=list)
    routes: list[str] = field(default_factory=list)
    server: GrpcServer | None = None
    service: AccessLogService = field(init=False)

    def __post_init__(self) -> None:
        self.service = AccessLogService(self.account)

    def account(self, entries: Iterable[Entry]) -> None:
        taken = list(entries)
        self.parts.append(len(taken))
        self.routes += [entry.route_name for entry in taken]

    @asynccontextmanager
    async def log(self) -> AsyncIterator[Call]:
        """A stream as Envoy opens it."""
        assert self.server is not None
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.server.port}") as channel:
            yield channel.stream_unary(names.ACCESS_LOG_METHOD)()

    async def counted(self, entries: int) -> None:
        await eventually_async(
            lambda: len(self.routes), within=5, saying=f"{entries} entries", until=lambda n: n == entries
        )


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    found = Running()
    found.server = await GrpcServer.start("127.0.0.1", 0, [found.service])
    yield found
    await found.server.drain(0.1)


async def test_the_entries_of_every_stream_are_handed_on(running: Running) -> None:
    async with running.log() as one, running.log() as two:
        await one.write(WEIGHTED)
        await two.write(STICKY)
        await one.write(captured("mirrored"))
        await running.counted(4)
        await one.done_writing()
        assert await one == b""
    assert sorted(running.routes) == ["copied/iris", "copied/third/mirror", "iris-ab/iris", "iris-ab/iris"]


async def test_a_large_message_is_counted_in_parts(running: Running) -> None:
    async with running.log() as log:
        await log.write(WEIGHTED * (2 * AT_ONCE + 1))
        await running.counted(2 * AT_ONCE + 1)
    assert running.parts == [AT_ONCE, AT_ONCE, 1]


@pytest.mark.parametrize("nonsense", [b"\xff", WEIGHTED[:-1], WEIGHTED + b"\x12\x7f"])
async def test_nonsense_ends_its_own_stream_alone(running: Running, nonsense: bytes) -> None:
    async with running.log() as good, running.log() as bad:
        await good.write(WEIGHTED)
        await bad.write(nonsense)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await bad
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        await good.write(STICKY)
        await running.counted(2)


async def test_who_leaves_in_the_middle_is_counted_until_then(running: Running) -> None:
    async with running.log() as log:
        await log.write(WEIGHTED)
        await running.counted(1)
        log.cancel()
    async with running.log() as log:
        await log.write(WEIGHTED)
        await running.counted(2)


async def test_leaving_ends_each_stream_after_one_more_message(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extproc.server.access_log.NOTICED", 0.0)
    monkeypatch.setattr("extproc.server.access_log.LAST_WORD", 60.0)
    assert running.server is not None
    async with running.log() as talks, running.log() as silent:
        for log in (talks, silent):
            await log.write(WEIGHTED)
        await running.counted(2)
        leaving = asyncio.create_task(running.server.drain(30))
        await eventually_async(running.service._leaving.is_set, within=5, saying="it leaves")
        await talks.write(STICKY)
        async with asyncio.timeout(5):
            assert await talks == b""
        await running.counted(3)
        assert not silent.done()
        silent.cancel()
        await leaving


async def test_until_envoy_knows_that_the_server_leaves_it_may_say_whatever_it_has(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extproc.server.access_log.NOTICED", 60.0)
    assert running.server is not None
    async with running.log() as log:
        await log.write(WEIGHTED)
        await running.counted(1)
        leaving = asyncio.create_task(running.server.drain(30))
        for number in range(2, 5):
            await log.write(STICKY)
            await running.counted(number)
        log.cancel()
        await leaving


async def test_who_says_nothing_is_let_go(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.server.access_log.NOTICED", 0.0)
    monkeypatch.setattr("extproc.server.access_log.LAST_WORD", 0.01)
    assert running.server is not None
    async with running.log() as log:
        await log.write(WEIGHTED)
        await running.counted(1)
        await running.server.drain(30)
        assert await log == b""
