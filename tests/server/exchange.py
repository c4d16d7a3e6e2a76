"""An ExtProc server in the test's own event loop, real gRPC clients of it, and a table whose every draw is known.

`TRANSPORT` is what the server speaks through; the fixture `transport` runs a test on each.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, Final, Literal, Protocol

import grpc
import uvloop

from extproc import names
from extproc.core.compilation import compile_table
from extproc.core.decide import decide
from extproc.core.resources import Candidate, Endpoint, Experiment, Model
from extproc.core.table import Decision
from extproc.server.ext_proc import ExtProc
from extproc.server.grpc_ext_proc import GrpcExtProc
from extproc.server.grpc_server import GrpcServer
from extproc.server.health import Health
from extproc.server.lean import LeanServer
from extproc.wire.ext_proc import Published
from tests.fixtures.ext_proc.bootstrap import CANDIDATES, EXPERIMENT
from tests.harness.waiting import eventually_async

Transport = Literal["lean", "grpc"]
TRANSPORT: Transport = "lean"

FIRST, SECOND = 0, 2**64 - 1  # draws that fall on the first and on the second candidate


def published(*candidates: str) -> Published:
    """The table of the fixtures' experiment, split evenly between `candidates`."""
    split = Experiment(EXPERIMENT, tuple(Candidate(name, 1) for name in candidates or CANDIDATES))
    models = {name: Model(name, endpoints=(Endpoint("127.0.0.1", 8080),)) for name in split.backends}
    accepted = {names.decided_route(EXPERIMENT, name, protocol) for name in models for protocol in names.PROTOCOLS}
    return Published(compile_table([split], models, lambda _, __: True, accepted))


PUBLISHED: Final = published()
ROUTE: Final = names.intercept_route(EXPERIMENT, CANDIDATES[0], "http")


def reply(draw: int, headers: dict[str, str] | None = None, of: Published = PUBLISHED) -> bytes:
    """What is answered to a request of the fixtures' experiment."""
    return of.reply(decide(of.table, ROUTE, headers or {}, draw))


def on_uvloop(scenario: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a coroutine function, on the event loop that the product runs on."""

    @wraps(scenario)
    def test(**fixtures: Any) -> None:
        uvloop.run(scenario(**fixtures))

    return test


class Server(Protocol):
    """What both transports are."""

    @property
    def port(self) -> int:
        """The port that it listens on."""

    async def drain(self, grace: float) -> None:
        """Leave, within `grace` seconds."""


class Observed:
    """A meter that keeps what it is told."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.nanoseconds: list[int] = []

    def count(self, decisions: Sequence[Decision], nanoseconds: int | None) -> None:
        self.decisions += decisions
        if nanoseconds is not None:
            self.nanoseconds.append(nanoseconds)


async def start(
    service: ExtProc | None = None, health: Health | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Server:
    """A server on the transport that is tested."""
    service = service or ExtProc(PUBLISHED)
    if TRANSPORT == "lean":
        return await LeanServer.start(host, port, service, health)
    return await GrpcServer.start(host, port, [GrpcExtProc(service)], health)


@asynccontextmanager
async def serving(
    service: ExtProc | None = None, health: Health | None = None, within: float = 60
) -> AsyncIterator[Server]:
    """A server on a free port; drained with the block, after which nothing of it runs any more.

    The block must be over `within` seconds: so a test that waits in vain fails, and its server is drained all the same.
    """
    before = asyncio.all_tasks()
    server = await start(service, health)
    try:
        async with asyncio.timeout(within):
            yield server
    finally:
        await server.drain(5)
    await eventually_async(
        lambda: asyncio.all_tasks() - before, within=10, saying="no task is left", until=lambda left: not left
    )


@asynccontextmanager
async def connected(port: int) -> AsyncIterator["grpc.aio.Channel"]:
    """A real client's channel with a connection of its own."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as it:
        yield it


def process(
    channel: "grpc.aio.Channel", requests: Iterable[bytes] | None = None, method: str = names.EXT_PROC_METHOD
) -> Any:
    """Open a stream of ext_proc, raw bytes on both sides; with `requests` they are sent, and no more."""
    stream: Any = channel.stream_stream(method)
    return stream(None if requests is None else iter(requests))


async def answers(channel: "grpc.aio.Channel", *requests: bytes) -> list[bytes]:
    """Every answer to `requests` on one stream. Raises what the stream ends with, if not OK."""
    return [answer async for answer in process(channel, requests)]


def counting(draw: int) -> tuple[Callable[[], int], list[int]]:
    """A source of one and the same draw, and the list that grows with each."""
    drawn: list[int] = []

    def next_draw() -> int:
        drawn.append(draw)
        return draw

    return next_draw, drawn


async def ended(call: Any, within: float = 10) -> Any:
    """The status that a call ends with."""
    return await asyncio.wait_for(call.code(), within)


def check(channel: "grpc.aio.Channel", service: str, message: bytes | None = None) -> Any:
    """Call Health/Check."""
    call: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
    return call(_asking(service) if message is None else message)


def watch(channel: "grpc.aio.Channel", service: str, message: bytes | None = None) -> Any:
    """Call Health/Watch."""
    call: Any = channel.unary_stream("/grpc.health.v1.Health/Watch")
    return call(_asking(service) if message is None else message)


def _asking(service: str) -> bytes:
    return b"\x0a" + bytes([len(service)]) + service.encode()
