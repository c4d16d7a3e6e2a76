"""Readiness without Envoy's admin: real model servers that come and go, seen by the probes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

from extproc.control.health import HealthView
from extproc.core.resources import Endpoint, Model, Readiness
from extproc.server.probes import ProbeWatch
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.models import ModelServer
from tests.harness.ports import free_port
from tests.harness.waiting import eventually_async

QUICK = Readiness(interval=100)


@dataclass
class Watched:
    models: dict[str, Model] = field(default_factory=dict)
    views: list[HealthView | None] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)

    async def until(self, **clusters: bool) -> None:
        wanted = HealthView({name.replace("_", "/"): ready for name, ready in clusters.items()})
        await eventually_async(
            lambda: self.views[-1:], within=10, saying=f"the view is {wanted}", until=lambda seen: seen == [wanted]
        )


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    state = Watched()
    task = asyncio.create_task(ProbeWatch(lambda: state.models, state.views.append, lambda: state.clusters).run())
    yield state
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def at(port: int) -> tuple[Endpoint, ...]:
    return (Endpoint("127.0.0.1", port),)


async def test_models_that_come_and_go_are_seen(watched: Watched) -> None:
    with ExitStack() as stack:
        iris = stack.enter_context(ModelServer("iris"))
        grpc = stack.enter_context(GrpcModelServer("iris"))
        watched.models["iris"] = Model("iris", 1, at(iris.port), at(grpc.port), readiness=QUICK)
        await watched.until(iris=True, iris_grpc=True)
        iris.ready(False)
        await watched.until(iris=False, iris_grpc=True)
        iris.ready(True)
        await watched.until(iris=True, iris_grpc=True)
        await asyncio.to_thread(grpc.stop)
        await watched.until(iris=True, iris_grpc=False)
        iris.hang()
        await watched.until(iris=False, iris_grpc=False)
        del watched.models["iris"]
        await watched.until()


async def test_one_endpoint_of_several_is_enough(watched: Watched) -> None:
    with ModelServer("iris") as iris:
        watched.models["iris"] = Model("iris", 1, (*at(free_port()), *at(iris.port)), readiness=QUICK)
        await watched.until(iris=True)


async def test_what_can_not_be_probed_counts_as_ready(watched: Watched) -> None:
    watched.models["iris"] = Model("iris", 1, at(free_port()), readiness=Readiness(disabled=True))
    watched.models["wine"] = Model("wine", cluster="own", grpc_cluster="own-grpc")
    await watched.until(iris=True, own=True, **{"own-grpc": True})


async def test_clusters_that_no_model_has_count_as_ready(watched: Watched) -> None:
    watched.models["own"] = Model("own", cluster="mine")
    watched.clusters = ["mine", "shop"]
    await watched.until(mine=True, shop=True)
    watched.clusters = ["mine"]
    await watched.until(mine=True)
