"""The composition root of the control process: constructs every part, connects them, starts, drains and stops them.

Order of starting: resources are read and the Table is published before the first worker asks for it; the gRPC port is
open, and the workers decide, before Envoy starts. It may die at any time, and starts anew from what is on disk.
"""

import asyncio
import logging
import mmap
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from functools import partial
from typing import Final

from extproc.control.drafts import API
from extproc.control.lifecycle import Lifecycle
from extproc.control.plane import Outlets, Plane
from extproc.control.store import Store
from extproc.core.offers import Document
from extproc.core.resources import Kind
from extproc.core.table import Patch
from extproc.processes import interpreter, notices
from extproc.processes.entry import Say, run, until_stopped
from extproc.processes.own_traces import own_traces
from extproc.processes.specs import ControlSpec, Report
from extproc.server.admin import AdminServer, Part
from extproc.server.ads import AdsService
from extproc.server.changes import Changes
from extproc.server.clusters_file import recall, remember
from extproc.server.deaths import Deaths
from extproc.server.ext_proc import ExtProc
from extproc.server.grpc_ext_proc import GrpcExtProc
from extproc.server.grpc_server import GrpcServer
from extproc.server.instruments import Instruments
from extproc.server.metrics import MetricsPage
from extproc.server.outcome_rest import add_outcomes
from extproc.server.outcomes import OutcomeKeeper
from extproc.server.page import PageOptions
from extproc.server.probes import ProbeWatch
from extproc.server.readiness import ReadinessWatch
from extproc.server.table_feed import TableFeed
from extproc.settings import Settings
from extproc.sources.files import FileSource
from extproc.sources.last_good import LastGood
from extproc.telemetry.decision_log import logged
from extproc.telemetry.decisions import SIZE, Meter, Meters
from extproc.wire.ext_proc import Published
from extproc.xds.bootstrap import bootstrap
from extproc.xds.discovery import Accepted, Event, Refused, Survived
from extproc.xds.encode import Json
from extproc.xds.judge import problems
from extproc.xds.snapshot import build
from extproc.xds.world import Options

log: Final = logging.getLogger("extproc.app")  # as a process it is `__main__`

GRACE: Final = 5.0  # seconds that open streams get to end
FILES: Final = "files"


class App:
    """The control process of one `extproc up` or `extproc serve`."""

    def __init__(self, spec: ControlSpec, say: Say) -> None:
        self._spec: Final = spec
        self._settings: Final = spec.settings
        settings = spec.settings
        self._say = say
        self._stale = asyncio.Event()
        self._fresh = asyncio.Event()  # unless it is stale, or being built
        # For Envoys that are configured by hand: the configuration made here has the workers decide.
        own = memoryview(bytearray(SIZE))
        meter = Meter(own)
        self._traces = own_traces(settings.tracing, meter)
        self._exchange = ExtProc(meter=logged(meter), begin=self._traces.begin if self._traces else None)
        self._meters = Meters([*(memoryview(mmap.mmap(counters, 0)) for counters in spec.counters), own])
        self._feed = TableFeed()
        self._published = Published()
        self._store = Store.open(settings.state_dir)
        self._last_good = LastGood(spec.last_good)
        self._held = asyncio.Queue[Mapping[str, bytes]]()
        outlets = Outlets(self._publish, self._aged, partial(datetime.now, UTC))
        # The API comes first: whenever it and a file both claim a name, the API had it before, or it would have been
        # refused.
        self._plane = Plane((API, FILES), problems, outlets)
        self._deaths = Deaths(self._plane.crashed, self._fresh.wait, ours=settings.embedded_envoy)
        clusters = recall(settings.state_dir)
        self._ads = AdsService(
            self._heard, self._held.put_nowait, clusters, self._plane.connected, self._deaths, self._aged
        )
        self._changes = Changes(
            Lifecycle(self._store, self._plane, outlets.now, settings.retention), self._plane, self._feed.swapped
        )
        self._outcomes = OutcomeKeeper(self._store, self._plane, self._changes.lifecycle, outlets.now)
        self._readiness = (
            ReadinessWatch(f"http://127.0.0.1:{settings.envoy_admin_port}", self._plane.saw)
            if settings.envoy_admin_port
            else ProbeWatch(
                lambda: self._plane.state.effective.models,
                self._plane.saw,
                lambda: self._plane.state.effective.pass_through(Kind.CLUSTER),
            )
        )

    async def run(self) -> None:
        """Serve until SIGTERM, then drain. Raises ExtprocError when it can't start or go on."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            stack.callback(self._store.close)
            stack.push_async_callback(self._outcomes.stop)
            if self._traces:
                stack.push_async_callback(asyncio.to_thread, self._traces.close)
            source = stack.enter_context(closing(FileSource(settings.resources, self._last_good)))
            with self._plane.as_one():
                self._changes.lifecycle.resume()
                documents = source.read()
                self._plane.offer(FILES, source.before())  # what the process before this one had in force
                self._offer(documents)
                self._changes.record_files()
                await self._readiness.first_look()

            grpc_server = await GrpcServer.start(
                settings.grpc_host, settings.grpc_port, [GrpcExtProc(self._exchange), self._ads, self._outcomes.service]
            )
            stack.push_async_callback(grpc_server.drain, GRACE)
            admin = await AdminServer.start(
                settings.admin_host,
                settings.admin_port,
                self._plane,
                self._changes,
                _page(settings),
                [MetricsPage(self._instruments().read).add_to, *self._outcome_pages()],
            )
            stack.push_async_callback(admin.stop)
            stack.push_async_callback(self._feed.stop)
            await self._feed.start(socket.socket(fileno=self._spec.feed))
            await self._feed.swapped(at_least=settings.workers)
            stack.callback(asyncio.create_task(self._drawn()).cancel)
            self._plane.ready = True
            asyncio.get_running_loop().add_reader(self._spec.leaving, self._leave)
            interpreter.settled()

            background = [
                self._build,
                lambda: source.watch(self._offer),
                self._changes.keep_record,
                self._outcomes.run,
                self._keep_clusters,
                self._readiness.run,
                lambda: notices.answer(socket.socket(fileno=self._spec.notices), self._deaths.judge),
            ]
            self._say(Report(grpc_port=grpc_server.port, admin_port=admin.port, bootstrap=self._bootstrap(grpc_server)))
            try:
                await until_stopped(*background)
            finally:
                self._plane.ready = False
                log.info("draining")

    async def _drawn(self) -> None:
        """Shares are compared with what is drawn by them: until they are released workers keep the table before."""
        await self._feed.released()
        await self._feed.swapped()
        self._outcomes.taken()

    def _leave(self) -> None:
        """All of extproc is about to end; Envoy drains, and this process serves until it has."""
        asyncio.get_running_loop().remove_reader(self._spec.leaving)
        self._plane.ready = False

    def _offer(self, documents: Iterable[Document]) -> None:
        documents = tuple(documents)
        self._plane.offer(FILES, documents)
        self._last_good.keep(self._plane.state.admission.of_refused({document.origin for document in documents}))

    def _aged(self) -> None:
        self._stale.set()
        self._fresh.clear()

    def _publish(self, patch: Patch) -> None:
        patch = self._meters.numbered(patch)
        self._feed.publish(patch)
        self._published = self._published.patched(patch)
        self._exchange.publish(self._published)

    def _outcome_pages(self) -> list[Part]:
        return [partial(add_outcomes, outcomes=self._outcomes.outcomes)] if self._settings.outcomes else []

    def _instruments(self) -> Instruments:
        workers = self._settings.workers
        traced = self._settings.tracing is not None
        counted = self._outcomes.outcomes
        return Instruments(
            self._plane, self._changes.lifecycle, counted, self._meters, self._ads, workers, traced=traced
        )

    async def _build(self) -> None:
        """Build Envoy's configuration whenever it is stale, beside the event loop, and publish it."""
        options = Options(
            inference_host=self._settings.inference_host,
            inference_port=self._settings.inference_port,
            workers=self._spec.workers,
            tracing=self._settings.tracing,
            outcomes=self._settings.outcomes,
            message_timeout=self._settings.message_timeout,
            heap_limit=(self._settings.envoy_heap_limit or 0) << 20,
            envoy_threads=self._settings.envoy_concurrency or len(os.sched_getaffinity(0)),
        )
        while True:
            await self._stale.wait()
            self._stale.clear()
            # First the workers: a build is a second of another thread's, which is not to delay them.
            await self._feed.swapped()
            world, effective = self._plane.blueprint()
            try:
                snapshot = await asyncio.to_thread(build, world, options, self._ads.served)
            except Exception:  # a bug of ours, and no reason to stop deciding
                log.exception("the configuration can't be built; Envoy keeps its last one")
                continue
            # What the new routes no longer hold must not be named any more when Envoy takes them.
            await self._feed.swapped()
            self._plane.built(snapshot, effective)
            self._ads.publish(snapshot)
            if not self._stale.is_set():
                self._fresh.set()

    async def _keep_clusters(self) -> None:
        """Keep what Envoy runs for the extproc that comes after this one."""
        while True:
            clusters = await self._held.get()
            await asyncio.to_thread(remember, self._settings.state_dir, clusters)

    def _heard(self, event: Event) -> None:
        match event:
            case Accepted(snapshot):
                self._feed.release()  # first, so that whoever waits for his change waits for the workers as well
                self._plane.accepted(snapshot, self._ads.decided())
                self._readiness.look_now()  # clusters may be new
            case Refused(snapshot, type_url, message):
                self._plane.refused(snapshot, type_url, message)
            case Survived(snapshot):
                self._plane.survived(snapshot)

    def _bootstrap(self, grpc_server: GrpcServer) -> Json | None:
        """What the embedded Envoy is started with."""
        settings = self._settings
        if not settings.embedded_envoy:
            return None
        return bootstrap(
            Options(
                envoy_admin_port=settings.envoy_admin_port,
                grpc_host=settings.dialled_host,
                grpc_port=grpc_server.port,
                heap_limit=(settings.envoy_heap_limit or 0) << 20,
            )
        )


def _page(settings: Settings) -> PageOptions:
    service = {"traces_service": settings.tracing.envoy_service} if settings.tracing else {}
    return PageOptions(settings.page, **service)


async def control(spec: ControlSpec, say: Say) -> None:
    """Be the control process until SIGTERM. Raises ExtprocError."""
    interpreter.set_up()
    await App(spec, say).run()


if __name__ == "__main__":
    run(ControlSpec, control)
