"""The gRPC health check, for the server and for ext_proc."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from extproc.server.health import EXT_PROC_SERVICE, Health
from extproc.wire.health import NOT_SERVING, SERVICE_UNKNOWN, SERVING
from tests.server.exchange import check, connected, ended, serving, watch

pytestmark = pytest.mark.usefixtures("transport")

SERVICES = ("", EXT_PROC_SERVICE)


def test_the_service_has_its_full_name() -> None:
    assert EXT_PROC_SERVICE == "envoy.service.ext_proc.v3.ExternalProcessor"


@pytest.mark.parametrize("service", SERVICES)
async def test_check_follows_the_state(service: str) -> None:
    health = Health()
    async with serving(health=health) as server, connected(server.port) as channel:
        assert await check(channel, service) == SERVING
        health.set_serving(False)
        assert await check(channel, service) == NOT_SERVING
        health.set_serving(True)
        assert await check(channel, service) == SERVING


async def test_checking_an_unknown_service_is_not_found() -> None:
    async with serving() as server, connected(server.port) as channel:
        assert await ended(check(channel, "no.such.Service")) is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("ask", [check, watch])
async def test_garbage_is_an_invalid_argument(ask: Callable[..., Any]) -> None:
    async with serving() as server, connected(server.port) as channel:
        assert await ended(ask(channel, "", message=b"\xff")) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("service", SERVICES)
async def test_a_watcher_is_told_the_state_and_every_change(service: str) -> None:
    health = Health()
    async with serving(health=health) as server, connected(server.port) as channel:
        watchers = [watch(channel, service) for _ in range(3)]
        for state, status in ((True, SERVING), (False, NOT_SERVING), (True, SERVING)):
            health.set_serving(state)
            assert [await watcher.read() for watcher in watchers] == [status] * 3


async def test_a_watcher_is_not_told_what_it_knows() -> None:
    health = Health()
    async with serving(health=health) as server, connected(server.port) as channel:
        watcher = watch(channel, "")
        assert await watcher.read() == SERVING
        health.set_serving(True)
        health.set_serving(False)
        assert await watcher.read() == NOT_SERVING


async def test_watching_an_unknown_service_waits_for_it() -> None:
    health = Health()
    async with serving(health=health) as server, connected(server.port) as channel:
        watcher = watch(channel, "no.such.Service")
        assert await watcher.read() == SERVICE_UNKNOWN
        health.end_streams()
        assert await watcher.read() is grpc.aio.EOF
        assert await ended(watcher) is grpc.StatusCode.OK


async def test_a_watcher_that_leaves_is_forgotten() -> None:
    async with serving() as server, connected(server.port) as channel:
        watcher = watch(channel, "")
        assert await watcher.read() == SERVING
        watcher.cancel()  # `serving` demands that no task is left
        assert await check(channel, "") == SERVING
