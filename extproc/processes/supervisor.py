"""The parent of all: starts the control process, the workers and the embedded Envoy, and ends them in the right order.

Must stay true: whoever dies is started again and the others go on, and a worker that hangs is made to die; what says
that it can't do what it is asked ends everything, with its reason; and Envoy leaves first, while there is still someone
to decide for it.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from extproc.core.resources import Endpoint
from extproc.errors import ExtprocError
from extproc.processes import cgroup, notices, pulse
from extproc.processes.child import Child
from extproc.processes.notices import Notices
from extproc.processes.pulse import Pulse
from extproc.processes.runtime import NAME_MAX, PATH_MAX, runtime_directory
from extproc.processes.specs import ControlSpec, Logs, WorkerSpec
from extproc.server.envoy import EnvoyOptions, EnvoyProcess, find_envoy
from extproc.server.ports import demand_free, free_port
from extproc.settings import Settings
from extproc.telemetry.decisions import SIZE
from extproc.xds.world import Address

log: Final = logging.getLogger(__name__)

GRACE: Final = 15.0  # seconds that children get to drain; their own limits are shorter
BACKLOG: Final = 128


class Supervisor:
    """One `extproc up` or `extproc serve`. `say` prints the one line that is a contract (`ready: …`)."""

    def __init__(self, settings: Settings, logs: Logs, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._logs: Final = logs
        self._say = say
        self._envoy: EnvoyProcess | None = None
        self._children: list[Child] = []
        self._pulses: list[Pulse] = []  # of the workers, in their order
        self._notices: Notices
        self._stays = ExitStack()  # closed when we begin to leave

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises ExtprocError when it can't start or go on."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        with ExitStack() as stack:
            self._prepare(stack)
            running = [asyncio.create_task(child.run()) for child in self._children]
            watching = [asyncio.create_task(stop.wait()), asyncio.create_task(self._serve())]
            watching += [
                asyncio.create_task(_replaced(worker, its))
                for worker, its in zip(self._children[1:], self._pulses, strict=True)
            ]
            try:
                done, _ = await asyncio.wait([*running, *watching], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await self._leave(running, watching)
            for task in done:
                task.result()

    def _prepare(self, stack: ExitStack) -> None:
        """Settle every address, and make the children."""
        settings = self._settings
        taken = frozenset({settings.inference_port, settings.envoy_admin_port, settings.admin_port, settings.grpc_port})
        if settings.embedded_envoy:
            find_envoy(settings.envoy)
            inference = settings.inference_port or free_port(taken)
            admin = settings.envoy_admin_port or free_port(taken | {inference})
            demand_free(settings.inference_host, inference, "--inference-port")
            demand_free("127.0.0.1", admin, "--envoy-admin-port")
            limit = settings.envoy_heap_limit
            self._settings = settings = replace(
                settings,
                inference_port=inference,
                envoy_admin_port=admin,
                envoy_heap_limit=cgroup.envoys_share() if limit is None else limit,
            )

        directory = stack.enter_context(runtime_directory(settings.state_dir))
        # Here and not in the control process, so that a worker can always connect: it waits until there is one again.
        feed = stack.enter_context(socket.socket(socket.AF_UNIX))
        feed.bind(str(directory / "table.sock"))
        feed.listen(BACKLOG)
        counters = [_memory(stack, f"extproc-counters-{number}", SIZE) for number in range(settings.workers)]
        beats = [_memory(stack, f"extproc-pulse-{number}", pulse.SIZE) for number in range(settings.workers)]
        self._pulses = [Pulse(memory) for memory in beats]
        leaving, staying = os.pipe()
        stack.callback(os.close, leaving)
        stack.enter_context(self._stays).callback(os.close, staying)
        ours, its = (stack.enter_context(end) for end in notices.pair())
        self._notices = Notices(ours)
        listening = _addresses(settings, directory, taken)
        dialled = tuple(_dialled(address, settings.dialled_host) for address in listening)
        parent = os.getpid()

        def control() -> ControlSpec:
            descriptors = feed.fileno(), tuple(counters), leaving, its.fileno()
            return ControlSpec("control", parent, self._settings, self._logs, dialled, *descriptors, directory)

        def worker(number: int) -> Callable[[], WorkerSpec]:
            name, path = f"worker-{number}", directory / "table.sock"
            return lambda: WorkerSpec(
                name, parent, settings, self._logs, number, listening[number], path, counters[number], beats[number]
            )

        self._children = [
            Child("extproc.app", control, (feed.fileno(), *counters, leaving, its.fileno()), vital=True),
            *(
                Child("extproc.processes.worker", worker(number), (counters[number], beats[number]), vital=False)
                for number in range(settings.workers)
            ),
        ]

    async def _serve(self) -> None:
        """Say when everything serves; start Envoy before that, and watch over it, where it is ours."""
        control, *workers = self._children
        report = await control.ready
        for worker in workers:
            await worker.ready
        # What was free the first time is asked for by number when the control process is started again.
        self._settings = settings = replace(self._settings, grpc_port=report.grpc_port, admin_port=report.admin_port)
        where = f"admin http://{settings.admin_host}:{settings.admin_port}"
        if report.bootstrap is None:
            self._say(f"serving: grpc {settings.grpc_host}:{settings.grpc_port} {where}")
            await asyncio.get_running_loop().create_future()  # until cancelled
        else:
            inference = f"http://127.0.0.1:{settings.inference_port}"
            options = EnvoyOptions(
                find_envoy(settings.envoy), settings.state_dir, settings.envoy_admin_port, settings.envoy_concurrency
            )
            ready = f"ready: inference {inference} {where}"
            self._envoy = EnvoyProcess(report.bootstrap, options, lambda: self._say(ready), self._notices.ask)
            await self._envoy.run()

    async def _leave(self, running: Sequence[asyncio.Task[Any]], watching: Sequence[asyncio.Task[Any]]) -> None:
        if all(child.ready.done() for child in self._children):
            log.info("draining")
        self._stays.close()  # who asks the control process whether to send requests here is told no from now on
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        if self._envoy is not None:
            await self._envoy.stop()
        for child in self._children:
            child.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await asyncio.wait(running)
        for child in self._children:
            child.kill()
        await asyncio.gather(*running, return_exceptions=True)


def _addresses(settings: Settings, directory: Path, taken: frozenset[int]) -> tuple[Address, ...]:
    """Where each worker listens. They are the same after every restart of it, so that Envoy need not be told."""
    if settings.worker_sockets:
        directory = _shared(settings.worker_sockets.absolute())
    if not settings.worker_ports:
        return tuple(directory / f"worker-{number}.sock" for number in range(settings.workers))
    ports: list[int] = []
    for port in settings.worker_ports:
        ports.append(port or free_port(taken | {*ports}))
    return tuple(Endpoint(settings.grpc_host, port) for port in ports)


def _shared(directory: Path) -> Path:
    """The directory of `--worker-sockets`, made if need be. Raises ExtprocError."""
    if len(os.fsencode(directory)) + NAME_MAX > PATH_MAX:
        raise ExtprocError(
            f"--worker-sockets {directory}: is too long a path; a socket's has {PATH_MAX} bytes, {NAME_MAX} of them"
            " for its name"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExtprocError(f"--worker-sockets {directory}: can't be made ({error.strerror})") from error
    for left in directory.glob("worker-*.sock"):
        # A worker takes the place of a socket that is there, and no Envoy would reach the one who listens on it.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)  # one that hangs takes no connection, and this would wait for it
            if probe.connect_ex(str(left)) not in (0, errno.EAGAIN):  # its backlog is full, unix(7)
                continue
            raise ExtprocError(
                f"--worker-sockets {directory}: somebody listens on {left.name}: end the other extproc, or give this"
                " one a directory of its own"
            )
    return directory


def _dialled(address: Address, host: str) -> Address:
    return replace(address, host=host) if isinstance(address, Endpoint) else address


async def _replaced(worker: Child, its: Pulse) -> None:
    """Watch over a worker until cancelled."""
    while True:
        await its.stops(lambda: worker.pid)
        log.warning("%s hangs, and is killed", worker.name)
        worker.replace()


def _memory(stack: ExitStack, name: str, size: int) -> int:
    """Memory that lives as long as anybody has it open, as a file descriptor."""
    descriptor = os.memfd_create(name)
    stack.callback(os.close, descriptor)
    os.ftruncate(descriptor, size)  # memory is used only where something counts
    return descriptor


def run(settings: Settings, logs: Logs, say: Callable[[str], None]) -> None:
    """Supervise to the end. Raises ExtprocError."""

    async def main() -> None:
        await Supervisor(settings, logs, say).run()

    asyncio.run(main())
