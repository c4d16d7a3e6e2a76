"""A worker process: the ext_proc transport, health, and the table that it was sent last; nothing else.

Must stay true: it imports no more than that, shares its event loop with nobody, and needs the control process only for
news. Until it has a table it says NOT_SERVING, so that Envoy splits by itself rather than ask it.
"""

import asyncio
import mmap
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol

from extproc.core.resources import Endpoint
from extproc.processes import interpreter
from extproc.processes.entry import Say, run, until_stopped
from extproc.processes.own_traces import own_traces
from extproc.processes.pulse import Pulse
from extproc.processes.specs import Report, WorkerSpec
from extproc.server.ext_proc import ExtProc
from extproc.server.health import Health
from extproc.server.table_subscriber import TableSubscriber
from extproc.settings import Transport
from extproc.telemetry.decision_log import logged
from extproc.telemetry.decisions import Meter
from extproc.wire.ext_proc import Published
from extproc.xds.world import Address

FLAG: Final = "--worker-port"
GRACE: Final = 5.0  # seconds that open streams get to end


async def work(spec: WorkerSpec, say: Say) -> None:
    """Decide until SIGTERM, then drain. Raises ExtprocError when it can't listen."""
    async with AsyncExitStack() as stack:
        stack.callback(asyncio.create_task(Pulse(spec.pulse).beat()).cancel)  # to the end: who drains does not hang
        meter = Meter(memoryview(mmap.mmap(spec.counters, 0)))
        traces = own_traces(spec.settings.tracing, meter)
        if traces:
            stack.push_async_callback(asyncio.to_thread, traces.close)
        exchange = ExtProc(
            meter=logged(meter), begin=traces.begin if traces else None, untraced=traces.untraced if traces else None
        )
        health = Health()
        health.set_serving(False)

        decides = False

        def swap(published: Published) -> None:
            nonlocal decides
            exchange.publish(published)
            if not decides:
                decides = True
                # Else requests would wait, now and then, while the garbage collector looks through the whole table.
                interpreter.settled()
                health.set_serving(True)

        server = await LISTEN[spec.settings.transport](spec.address, exchange, health)
        if isinstance(spec.address, Path):
            # An Envoy of another user may share the directory; whoever can enter that is meant.
            spec.address.chmod(0o660)
        stack.push_async_callback(server.drain, GRACE)
        say(Report())
        await until_stopped(TableSubscriber(spec.feed, spec.number, swap).run)


class Server(Protocol):
    """What both transports are once they listen."""

    async def drain(self, grace: float) -> None:
        """Leave: take nothing new, and let open streams end within `grace` seconds."""


async def _lean(address: Address, exchange: ExtProc, health: Health) -> Server:
    from extproc.server.lean import LeanServer

    if isinstance(address, Endpoint):
        return await LeanServer.start(address.host, address.port, exchange, health, FLAG)
    return await LeanServer.start_on(address, exchange, health)


async def _grpc(address: Address, exchange: ExtProc, health: Health) -> Server:
    from extproc.server.grpc_ext_proc import GrpcExtProc  # who does without gRPC does not load it
    from extproc.server.grpc_server import GrpcServer

    services = [GrpcExtProc(exchange)]
    if isinstance(address, Endpoint):
        return await GrpcServer.start(address.host, address.port, services, health, FLAG)
    return await GrpcServer.start_on(address, services, health)


LISTEN: Final[Mapping[Transport, Callable[[Address, ExtProc, Health], Awaitable[Server]]]] = {
    "lean": _lean,
    "grpc": _grpc,
}


if __name__ == "__main__":
    run(WorkerSpec, work)
