"""The discovery service over real gRPC: several Envoys, one that lags, one that talks nonsense, one that leaves."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import grpc
import pytest

from extproc import names
from extproc.server.ads import AdsService
from extproc.server.grpc_server import GrpcServer
from extproc.wire.pb.extproc.slim import discovery_pb2 as pb
from extproc.xds.discovery import ORDER, Accepted, Event, Refused
from extproc.xds.snapshot import CLUSTER, LISTENER, ROUTES, RUNTIME, Snapshot
from tests.harness.waiting import eventually_async

GIVEN = {CLUSTER: {"iris": b"cluster"}, LISTENER: {"inference": b"l"}, RUNTIME: {"extproc": b"r"}}
WANTED: dict[str, list[str]] = {CLUSTER: [], LISTENER: [], ROUTES: ["inference"], RUNTIME: ["extproc"]}


def snapshot(*labels: str) -> Snapshot:
    body = ",".join(labels).encode()
    return Snapshot({**GIVEN, ROUTES: {"inference": body}}, frozenset(labels))


@dataclass
class Running:
    """The service on a port of its own, and what it heard."""

    heard: list[Event] = field(default_factory=list)
    present: list[bool] = field(default_factory=list)
    stale: list[bool] = field(default_factory=list)
    service: AdsService = field(init=False)
    port: int = 0

    def __post_init__(self) -> None:
        self.service = AdsService(self.heard.append, present=self.present.append, stale=lambda: self.stale.append(True))


class Envoy:
    """A client that speaks the protocol as Envoy does, one step at a time."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(names.ADS_METHOD)()

    async def ask(self, url: str) -> pb.DiscoveryResponse:
        await self.subscribe(url)
        return await self.next()

    async def subscribe(self, url: str) -> None:
        await self.send(pb.DiscoveryRequest(type_url=url, resource_names=WANTED[url], node=pb.Node(id="one")))

    async def send(self, request: pb.DiscoveryRequest) -> None:
        await self._call.write(request.SerializeToString())

    async def send_raw(self, data: bytes) -> None:
        await self._call.write(data)

    async def next(self) -> pb.DiscoveryResponse:
        raw = await self._call.read()
        assert isinstance(raw, bytes), "the stream has ended"
        return pb.DiscoveryResponse.FromString(raw)

    async def ack(self, response: pb.DiscoveryResponse, error: str = "") -> None:
        request = pb.DiscoveryRequest(
            type_url=response.type_url,
            version_info="" if error else response.version_info,
            response_nonce=response.nonce,
            resource_names=WANTED[response.type_url],
        )
        if error:
            request.error_detail.message = error
        await self.send(request)

    async def take_all(self) -> None:
        for url in ORDER:
            await self.ack(await self.ask(url))

    async def code(self) -> grpc.StatusCode:
        return await self._call.code()

    def leave(self) -> None:
        self._call.cancel()


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    state = Running()
    server = await GrpcServer.start("127.0.0.1", 0, [state.service])
    state.port = server.port
    yield state
    await server.drain(0.0)


@pytest.fixture
async def channel(running: Running) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as opened:
        yield opened


async def until_heard(running: Running, *events: Event) -> None:
    await eventually_async(
        lambda: running.heard, within=5, saying=f"{events} were heard", until=lambda heard: heard == list(events)
    )


async def test_an_envoy_gets_everything_in_order_and_is_heard_once(running: Running, channel: grpc.aio.Channel) -> None:
    current = snapshot("a/x", "a/y")
    running.service.publish(current)
    await Envoy(channel).take_all()
    await until_heard(running, Accepted(current))
    assert running.service.decided() == {"a/x", "a/y"}


async def test_a_refusal_is_heard_with_envoys_message(running: Running, channel: grpc.aio.Channel) -> None:
    current = snapshot("a/x")
    running.service.publish(current)
    envoy = Envoy(channel)
    await envoy.ack(await envoy.ask(CLUSTER), 'cluster iris: no such thing goo.gle/debugstr\nkey: "SECRET"')
    await until_heard(running, Refused(current, CLUSTER, 'cluster iris: no such thing key: "…"'))
    assert running.service.decided() == frozenset()


async def test_each_response_that_was_taken_or_refused_is_counted_once(
    running: Running, channel: grpc.aio.Channel
) -> None:
    service = running.service
    service.publish(snapshot("a/x"))
    envoy = Envoy(channel)
    clusters = await envoy.ask(CLUSTER)
    await envoy.ack(clusters)
    await envoy.ack(await envoy.ask(LISTENER))
    await envoy.ack(await envoy.ask(ROUTES), "no such thing")
    await envoy.ack(clusters)  # what a subscription that grows would say
    await envoy.send(pb.DiscoveryRequest(type_url="type.googleapis.com/made.up", response_nonce="1"))
    await eventually_async(
        lambda: (dict(service.acks), dict(service.nacks)),
        within=5,
        saying="two were taken, one was refused",
        until=lambda counted: (
            counted
            == (
                {"Runtime": 0, "Cluster": 1, "Listener": 1, "RouteConfiguration": 0},
                {"Runtime": 0, "Cluster": 0, "Listener": 0, "RouteConfiguration": 1},
            )
        ),
    )
    service.publish(snapshot("a/x", "a/y"))
    await envoy.ack(await envoy.next())
    await eventually_async(
        lambda: service.acks["RouteConfiguration"], within=5, saying="it took other ones", until=lambda n: n == 1
    )


async def test_while_one_takes_no_runtime_no_numbers_are_kept_apart(
    running: Running, channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    service, first = running.service, snapshot("a/x")
    corrected = replace(first, overrides={"a": {"key": 5}})
    service.publish(corrected)
    with_runtime, without = Envoy(channel), Envoy(channel)
    await with_runtime.ack(await with_runtime.ask(RUNTIME))
    await with_runtime.take_all()
    await until_heard(running, Accepted(corrected))
    assert (service.served, running.stale) == (corrected, [])
    for url in (CLUSTER, LISTENER):
        await without.ack(await without.ask(url))
    await without.subscribe(ROUTES)
    await eventually_async(lambda: running.stale, within=5, saying="others are asked for", until=lambda n: n == [True])
    assert service.served is None
    assert "has no rtds_layer 'extproc'" in caplog.text
    service.publish(first)
    await without.ack(await without.next())
    await until_heard(running, Accepted(corrected), Accepted(first), Accepted(first))
    service.publish(corrected)
    assert running.stale == [True, True], "it was built for those who were there before"
    without.leave()
    await eventually_async(
        lambda: service.served, within=5, saying="it is gone", until=lambda found: found is corrected
    )


async def test_a_refused_runtime_is_counted_and_said_and_no_resource_s_fault(
    running: Running, channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    running.service.publish(snapshot("a/x"))
    envoy = Envoy(channel)
    await envoy.ack(await envoy.ask(RUNTIME), "not this one")
    await envoy.take_all()
    await eventually_async(lambda: len(running.heard), within=5, saying="it is heard", until=lambda n: n == 1)
    assert running.heard == [Accepted(snapshot("a/x"))]
    assert running.service.nacks["Runtime"] == 1
    assert "refused its runtime: not this one" in caplog.text
    assert running.service.served is None


async def test_an_envoy_that_comes_back_keeps_its_clusters_until_it_has_other_routes(
    running: Running, channel: grpc.aio.Channel
) -> None:
    """Its connection was lost, and meanwhile what its routes name has become another: they are in force still."""
    first = snapshot("a/x")
    running.service.publish(first)
    envoy = Envoy(channel)
    await envoy.take_all()
    await until_heard(running, Accepted(first))
    envoy.leave()
    await eventually_async(lambda: running.service.connected, within=5, saying="it is gone", until=lambda n: n == 0)
    running.service.publish(Snapshot({**snapshot("a/y").resources, CLUSTER: {"iris2": b"cluster"}}, frozenset({"a/y"})))
    back = Envoy(channel)
    await back.send(pb.DiscoveryRequest(type_url=CLUSTER, version_info=first.version(CLUSTER), node=pb.Node(id="one")))
    response = await back.next()
    assert response.type_url == CLUSTER
    assert len(response.resources) == 2, "the old cluster, and the new one"


async def test_only_what_every_envoy_knows_may_be_decided(running: Running, channel: grpc.aio.Channel) -> None:
    """The one that lags behind holds its new candidates back until it leaves."""
    running.service.publish(snapshot("a/x"))
    quick, slow = Envoy(channel), Envoy(channel)
    await quick.take_all()
    await slow.take_all()
    await eventually_async(lambda: len(running.heard), within=5, saying="both have it", until=lambda n: n == 2)
    running.service.publish(snapshot("a/x", "a/y"))
    await quick.ack(await quick.next())
    await slow.next()  # and says nothing
    await eventually_async(lambda: len(running.heard), within=5, saying="quick has it", until=lambda n: n == 3)
    assert running.service.decided() == {"a/x"}
    slow.leave()
    await eventually_async(
        running.service.decided, within=5, saying="slow is gone", until=lambda known: known == {"a/x", "a/y"}
    )
    await eventually_async(lambda: len(running.heard), within=5, saying="it is told anew", until=lambda n: n == 4)


async def test_an_envoy_that_has_accepted_nothing_has_no_say(running: Running, channel: grpc.aio.Channel) -> None:
    running.service.publish(snapshot("a/x"))
    await Envoy(channel).take_all()
    await eventually_async(lambda: len(running.heard), within=5, saying="one has it", until=lambda n: n == 1)
    await Envoy(channel).ask(CLUSTER)
    await eventually_async(lambda: running.service.connected, within=5, saying="both", until=lambda n: n == 2)
    assert running.service.decided() == {"a/x"}


async def test_nonsense_ends_the_stream_with_a_reason(running: Running, channel: grpc.aio.Channel) -> None:
    running.service.publish(snapshot("a/x"))
    envoy = Envoy(channel)
    await envoy.send_raw(b"\xff\xff\xff")
    assert await envoy.code() is grpc.StatusCode.INVALID_ARGUMENT
    await Envoy(channel).take_all()
    await eventually_async(lambda: running.service.connected, within=5, saying="one left", until=lambda n: n == 1)


async def test_a_leaving_server_ends_its_streams_well(running: Running, channel: grpc.aio.Channel) -> None:
    running.service.publish(snapshot("a/x"))
    envoy = Envoy(channel)
    await envoy.take_all()
    running.service.end_streams()
    assert await envoy.code() is grpc.StatusCode.OK
    assert running.present == [True], "it is the server that goes"


async def test_that_no_envoy_is_connected_is_said_when_none_comes_back(
    running: Running, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extproc.server.ads.ABSENT", 0.2)
    assert running.present == []
    running.service.publish(snapshot("a/x"))
    first, second = Envoy(channel), Envoy(channel)
    await first.take_all()
    await second.take_all()
    assert running.present == [True]
    first.leave()
    await eventually_async(lambda: running.service.connected, within=5, saying="one left", until=lambda n: n == 1)
    second.leave()
    await eventually_async(lambda: running.service.connected, within=5, saying="none left", until=lambda n: n == 0)
    third = Envoy(channel)
    await third.take_all()
    third.leave()
    await eventually_async(lambda: running.present, within=5, saying="none", until=lambda said: said == [True, False])
    await Envoy(channel).take_all()
    assert running.present == [True, False, True], "and none was missed while another came in time"
