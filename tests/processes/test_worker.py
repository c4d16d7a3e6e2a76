"""A worker process by itself: what it says of its health, with and without a control process."""

import asyncio
import mmap
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest

from extproc.core.resources import Endpoint
from extproc.core.table import Decision, Entry, Outcome, Patch
from extproc.processes import pulse as pulse_module
from extproc.processes.child import Child
from extproc.processes.specs import Logs, WorkerSpec
from extproc.server.table_feed import TableFeed
from extproc.settings import Settings
from extproc.telemetry.decisions import SIZE, Meters
from extproc.wire.health import NOT_SERVING, SERVING
from tests.harness.ports import free_port
from tests.harness.waiting import eventually_async

ENTRY = Entry((1,), *(((Decision("ab", "a", Outcome.WEIGHTED, "ab/a"),),) * 2), sticky={})
TABLE = Patch({("ab", "http"): ENTRY, ("ab", "grpc"): ENTRY})


@dataclass(frozen=True, slots=True)
class Scene:
    """`listening` is the socket of the feed, which nobody serves yet."""

    child: Child
    channel: grpc.aio.Channel
    listening: socket.socket
    meters: Meters

    async def health(self) -> bytes:
        check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        return await check(b"", timeout=1)

    async def wait_health(self, status: bytes) -> None:
        await eventually_async(
            self.health,
            within=20,
            saying=f"the worker's health is {status!r}",
            until=status.__eq__,
            not_yet=(grpc.aio.AioRpcError,),
        )


@pytest.fixture
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    feed = tmp_path_factory.mktemp("r") / "table.sock"
    address = Endpoint("127.0.0.1", free_port())
    counters = os.memfd_create("counters")
    os.ftruncate(counters, SIZE)
    pulse = os.memfd_create("pulse")
    os.ftruncate(pulse, pulse_module.SIZE)
    meters = Meters([memoryview(mmap.mmap(counters, 0))])

    def spec() -> WorkerSpec:
        return WorkerSpec("worker-0", os.getpid(), Settings(), Logs(), 0, address, feed, counters, pulse)

    child = Child("extproc.processes.worker", spec, (counters, pulse), vital=False)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(feed))
        listening.listen()
        running = asyncio.create_task(child.run())
        async with grpc.aio.insecure_channel(str(address), [("grpc.max_reconnect_backoff_ms", 100)]) as channel:
            try:
                await child.ready
                yield Scene(child, channel, listening, meters)
            finally:
                child.kill()
                await running
                os.close(counters)
                os.close(pulse)


async def test_without_a_table_it_is_not_asked(scene: Scene) -> None:
    assert await scene.health() == NOT_SERVING


async def test_it_serves_from_its_first_table_on_whatever_becomes_of_the_control_process(scene: Scene) -> None:
    feed = TableFeed()
    feed.publish(TABLE)
    await feed.start(scene.listening.dup())
    assert await feed.swapped(at_least=1)
    assert await scene.health() == SERVING
    await feed.stop()
    # A control process of the next generation knows less at first: the worker keeps what it has.
    other = TableFeed()
    other.publish(Patch({}))
    await other.start(scene.listening.dup())
    assert await other.swapped(at_least=1)
    assert await scene.health() == SERVING
    await other.stop()


async def test_killed_it_is_there_again_and_goes_on_counting(scene: Scene) -> None:
    feed = TableFeed()
    feed.publish(scene.meters.numbered(TABLE))
    await feed.start(scene.listening)
    assert await feed.swapped(at_least=1)
    (killed,) = scene.meters.processes()
    counted = sum(scene.meters.counts().values())
    os.kill(killed, signal.SIGKILL)
    await eventually_async(
        lambda: scene.meters.processes()[0], within=20, saying="another process counts", until=lambda p: p != killed
    )
    await scene.wait_health(SERVING)
    assert sum(scene.meters.counts().values()) == counted
    await feed.stop()
