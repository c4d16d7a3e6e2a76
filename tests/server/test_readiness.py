"""Readiness from a real Envoy's admin: models that come and go, and an admin that comes and goes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
from aiohttp import web

from extproc.control.health import HealthView
from extproc.server.readiness import ReadinessWatch
from tests.fixtures.clusters.capture import cluster
from tests.harness.envoy import RunningEnvoy
from tests.harness.models import ModelServer
from tests.harness.ports import free_port
from tests.harness.waiting import eventually_async

Views = list[HealthView | None]


@pytest.fixture
async def watched() -> AsyncIterator[tuple[int, Views]]:
    """The port where Envoy's admin is looked for, and the views so far."""
    port, views = free_port(), list[HealthView | None]()
    watch = ReadinessWatch(f"http://127.0.0.1:{port}", views.append)
    await watch.first_look()
    task = asyncio.create_task(watch.run())
    yield port, views
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(views: Views, wanted: HealthView | None) -> None:
    await eventually_async(lambda: views[-1:], within=15, saying=f"{wanted}", until=lambda seen: seen == [wanted])


async def test_a_real_envoy_tells_who_is_up_and_its_absence_tells_nothing(
    watched: tuple[int, Views], start_envoy: Callable[..., RunningEnvoy]
) -> None:
    port, views = watched
    assert views == []  # nobody there yet: nothing is known, nothing is told
    with ModelServer("iris") as model:
        config = {"static_resources": {"clusters": [cluster("iris", model.port)]}}
        envoy = await asyncio.to_thread(start_envoy, config, admin_port=port)
        await until(views, HealthView({"iris": True}))
        model.ready(False)
        await until(views, HealthView({"iris": False}))
        model.ready(True)
        await until(views, HealthView({"iris": True}))
        envoy.kill()
        await until(views, None)
        envoy.restart()
        await until(views, HealthView({"iris": True}))


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"[]", "application/json"), (b"<html>", "text/html"), (b"\xff\xfe", "application/json"), (b"", "text/plain")],
)
async def test_somebody_else_at_that_port_tells_nothing_and_ends_nothing(body: bytes, kind: str) -> None:
    asked = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(body=body, content_type=kind)

    application = web.Application()
    application.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    views: Views = []
    watch = ReadinessWatch(f"http://127.0.0.1:{runner.addresses[0][1]}", views.append)
    task = asyncio.create_task(watch.run())
    try:
        await eventually_async(lambda: asked, within=5, saying="it is asked on and on", until=lambda n: n > 3)
        assert (task.done(), views) == (False, [])
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await runner.cleanup()
