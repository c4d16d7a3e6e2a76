"""Clusters: how Envoy finds a model's endpoints, checks them, and keeps its connections."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from extproc.core.resources import Endpoint, Readiness
from extproc.xds.clusters import clusters
from tests.harness.models import ModelServer
from tests.harness.waiting import eventually
from tests.xds.given import a_model, a_world
from tests.xds.stage import Stage, serving

QUICK = Readiness(interval=100)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, ModelServer]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(ModelServer(name, served=served))
            for name, served in (("one", "pair"), ("two", "pair"), ("custom", "custom"), ("free", "free"))
        }


@pytest.fixture(scope="module")
def stage(servers: dict[str, ModelServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    servers["free"].ready(False)
    world = a_world(
        [
            replace(a_model("pair", servers["one"].port, servers["two"].port), readiness=QUICK),
            replace(a_model("custom", servers["custom"].port), readiness=Readiness("/v2/health/ready", 100)),
            replace(a_model("free", servers["free"].port), readiness=Readiness(disabled=True)),
            replace(
                a_model("named", 1),
                endpoints=(Endpoint("localhost", servers["custom"].port),),
                served_name="custom",
                readiness=QUICK,
            ),
        ]
    )
    with serving(world, tmp_path_factory.mktemp("clusters")) as running:
        yield running


def test_an_endpoint_that_is_not_ready_gets_nothing_and_both_down_is_said_at_once(
    stage: Stage, servers: dict[str, ModelServer]
) -> None:
    one, two = servers["one"], servers["two"]

    def served_by() -> set[str]:
        return {stage.infer("/v2/models/pair/infer").headers.get("x-stub", "nobody") for _ in range(10)}

    eventually(served_by, within=10, saying="both serve", until=lambda by: by == {"one", "two"})
    one.ready(False)
    eventually(served_by, within=10, saying="one is out", until=lambda by: by == {"two"})
    two.ready(False)
    eventually(served_by, within=10, saying="both are out", until=lambda by: by == {"nobody"})
    one.ready(True)
    eventually(served_by, within=10, saying="one is back", until=lambda by: by == {"one"})
    two.ready(True)


def test_readiness_has_a_path_of_its_own(stage: Stage, servers: dict[str, ModelServer]) -> None:
    assert stage.infer("/v2/models/custom/infer").status == 200
    servers["custom"].ready(False)
    eventually(
        lambda: stage.infer("/v2/models/custom/infer").status,
        within=10,
        saying="it is out",
        until=lambda seen: seen == 503,
    )
    servers["custom"].ready(True)
    eventually(
        lambda: stage.infer("/v2/models/custom/infer").status,
        within=10,
        saying="it is back",
        until=lambda seen: seen == 200,
    )


def test_without_checks_a_model_always_counts_as_ready(stage: Stage, servers: dict[str, ModelServer]) -> None:
    assert stage.infer("/v2/models/free/infer").status == 200
    assert servers["free"].probes == 0


def test_a_name_is_resolved(stage: Stage) -> None:
    eventually(
        lambda: stage.infer("/v2/models/named/infer").status,
        within=10,
        saying="it serves",
        until=lambda seen: seen == 200,
    )


def test_idle_connections_are_closed_before_the_model_server_does_it(
    stage: Stage, servers: dict[str, ModelServer]
) -> None:
    assert stage.infer("/v2/models/free/infer").status == 200
    assert servers["free"].connections == 1
    eventually(lambda: servers["free"].connections, within=8, saying="Envoy closed it", until=lambda seen: seen == 0)


def test_each_way_in_has_a_cluster_unless_the_user_gave_one() -> None:
    both = a_model("m", 1, grpc=2)
    assert [c["name"] for c in clusters(both)] == ["m", "m/grpc"]
    assert [c["name"] for c in clusters(replace(both, endpoints=(), cluster="mine"))] == ["m/grpc"]
    assert clusters(replace(both, endpoints=(), grpc_endpoints=(), cluster="a", grpc_cluster="b")) == ()


@pytest.mark.parametrize(
    ("hosts", "kind"),
    [(("10.0.0.1", "::1"), "STATIC"), (("10.0.0.1", "model"), "STRICT_DNS"), (("10.0.0.1.example",), "STRICT_DNS")],
)
def test_addresses_are_taken_as_they_are(hosts: tuple[str, ...], kind: str) -> None:
    model = replace(a_model("m", 1), endpoints=tuple(Endpoint(host, 1) for host in hosts))
    (cluster,) = clusters(model)
    assert cluster["type"] == kind
