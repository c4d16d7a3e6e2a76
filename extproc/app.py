"""The composition root: constructs every part, connects them, starts, drains and stops them; it alone knows everyone.

Order of starting: resources are read and the Table is published before the first decision can be asked for; the gRPC
port is open before Envoy starts. Order of stopping: Envoy first, while there is still someone to decide for it.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from extproc.control.lifecycle import API, Lifecycle
from extproc.control.plane import Outlets, Plane
from extproc.control.store import Store
from extproc.server.admin import AdminServer
from extproc.server.ads import AdsService
from extproc.server.changes import Changes
from extproc.server.clusters_file import recall, remember
from extproc.server.envoy import EnvoyOptions, EnvoyProcess, find_envoy
from extproc.server.ext_proc import ExtProc
from extproc.server.grpc_server import GrpcServer
from extproc.server.ports import demand_free, free_port
from extproc.server.probes import ProbeWatch
from extproc.server.readiness import ReadinessWatch
from extproc.settings import Settings, Tracing
from extproc.sources.files import FileSource
from extproc.wire.ext_proc import Published
from extproc.xds.bootstrap import bootstrap
from extproc.xds.passthrough import problems as pass_through_problems
from extproc.xds.snapshot import build
from extproc.xds.subscription import Accepted, Event, Refused
from extproc.xds.world import Options

if TYPE_CHECKING:
    from extproc.telemetry.traces import Traces

log: Final = logging.getLogger(__name__)

GRACE: Final = 5.0  # seconds that open streams get to end
FILES: Final = "files"
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 (bound to, never called)


class App:
    """One `extproc up` or `extproc serve`. `say` prints the lines that are a contract (`ready: …`)."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings: Final = settings
        self._say = say
        self._stop = asyncio.Event()
        self._stale = asyncio.Event()
        self._traces = _traces(settings.tracing) if settings.tracing else None
        self._exchange = ExtProc(begin=self._traces.begin if self._traces else None)
        self._store = Store.open(settings.state_dir)
        self._held = asyncio.Queue[Mapping[str, bytes]]()
        self._ads = AdsService(self._heard, self._held.put_nowait, recall(settings.state_dir))
        outlets = Outlets(
            publish=lambda table: self._exchange.publish(Published(table)),
            stale=self._stale.set,
            now=_now,
        )
        # The API comes first: whenever it and a file both claim a name, the API had it before, or it would have been
        # refused.
        self._plane = Plane((API, FILES), pass_through_problems, outlets)
        self._changes = Changes(Lifecycle(self._store, self._plane, _now, settings.retention), self._plane)
        self._inference_port = settings.inference_port or free_port()
        self._envoy_admin_port = settings.envoy_admin_port
        if settings.embedded_envoy and not self._envoy_admin_port:
            self._envoy_admin_port = free_port(frozenset({self._inference_port}))
        self._readiness = (
            ReadinessWatch(f"http://127.0.0.1:{self._envoy_admin_port}", self._plane.saw)
            if self._envoy_admin_port
            else ProbeWatch(lambda: self._plane.state.effective.models, self._plane.saw)
        )

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises ExtprocError when it can't start or go on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        settings = self._settings
        async with AsyncExitStack() as stack:
            stack.callback(self._store.close)
            if self._traces:
                stack.push_async_callback(asyncio.to_thread, self._traces.close)
            if settings.embedded_envoy:
                demand_free(settings.inference_host, self._inference_port, "--inference-port")
                demand_free("127.0.0.1", self._envoy_admin_port, "--envoy-admin-port")
            source = FileSource(settings.resources)
            stack.callback(source.close)
            self._changes.lifecycle.resume()
            self._plane.offer(FILES, source.read())
            await self._readiness.first_look()

            grpc_server = await GrpcServer.start(settings.grpc_host, settings.grpc_port, [self._exchange, self._ads])
            stack.push_async_callback(grpc_server.drain, GRACE)
            admin = await AdminServer.start(settings.admin_host, settings.admin_port, self._plane, self._changes)
            stack.push_async_callback(admin.stop)
            self._plane.ready = True

            background = [
                self._build,
                lambda: source.watch(lambda documents: self._plane.offer(FILES, documents)),
                self._changes.keep_record,
                self._keep_clusters,
                self._readiness.run,
            ]
            where = f"admin http://{settings.admin_host}:{admin.port}"
            if settings.embedded_envoy:
                envoy = self._envoy(grpc_server.port, where)
                stack.push_async_callback(envoy.stop)
                background.append(envoy.run)
            else:
                self._say(f"serving: grpc {settings.grpc_host}:{grpc_server.port} {where}")
            try:
                await self._until_stopped(background)
            finally:
                self._plane.ready = False
                log.info("draining")

    async def _until_stopped(self, background: list[Callable[[], Coroutine[Any, Any, None]]]) -> None:
        """Wait for a signal; a part that ends by itself ends everything, with its error."""
        tasks = [asyncio.create_task(part()) for part in [self._signalled, *background]]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _signalled(self) -> None:
        await self._stop.wait()

    async def _build(self) -> None:
        """Build Envoy's configuration whenever it is stale, beside the event loop, and publish it."""
        options = Options(
            inference_host=self._settings.inference_host,
            inference_port=self._inference_port,
            tracing=self._settings.tracing,
        )
        while True:
            await self._stale.wait()
            self._stale.clear()
            world, effective = self._plane.blueprint()
            try:
                snapshot = await asyncio.to_thread(build, world, options)
            except Exception:  # a bug of ours, and no reason to stop deciding
                log.exception("the configuration can't be built; Envoy keeps its last one")
                continue
            self._plane.built(snapshot, effective)
            self._ads.publish(snapshot)

    async def _keep_clusters(self) -> None:
        """Keep what Envoy runs for the extproc that comes after this one."""
        while True:
            clusters = await self._held.get()
            await asyncio.to_thread(remember, self._settings.state_dir, clusters)

    def _heard(self, event: Event) -> None:
        match event:
            case Accepted(snapshot):
                self._plane.accepted(snapshot, self._ads.decided())
                self._readiness.look_now()  # clusters may be new
            case Refused(snapshot, type_url, message):
                self._plane.refused(snapshot, type_url, message)

    def _envoy(self, grpc_port: int, where: str) -> EnvoyProcess:
        settings = self._settings
        host = settings.grpc_host if settings.grpc_host not in WILDCARDS else "127.0.0.1"
        config = bootstrap(Options(envoy_admin_port=self._envoy_admin_port, grpc_host=host, grpc_port=grpc_port))
        inference = f"http://127.0.0.1:{self._inference_port}"
        options = EnvoyOptions(
            find_envoy(settings.envoy), settings.state_dir, self._envoy_admin_port, settings.envoy_concurrency
        )
        return EnvoyProcess(config, options, lambda: self._say(f"ready: inference {inference} {where}"))


def _traces(tracing: Tracing) -> "Traces":
    from extproc.telemetry.traces import Traces  # who wants no traces does not load OpenTelemetry

    return Traces(tracing)


def _now() -> datetime:
    return datetime.now(UTC)


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Run the app to its end on a uvloop of its own. Raises ExtprocError."""
    import uvloop  # a command that prints help needs no event loop

    async def main() -> None:
        await App(settings, say).run()

    uvloop.run(main())
