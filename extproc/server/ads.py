"""The aggregated discovery service: one `Subscription` for each Envoy that is connected, and the bytes between.

Must stay true: what is published last is what every stream aims at; a stream that ends takes nothing back, since its
Envoy goes on routing by what it accepted.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from extproc import names
from extproc.server.deaths import SOON, Deaths, Life
from extproc.wire.pb.extproc.slim import discovery_pb2 as pb
from extproc.xds.discovery import TYPES, Accepted, Event, Refused, Request, Response, Survived
from extproc.xds.held import Held
from extproc.xds.redacted import redacted
from extproc.xds.scalars import LENGTH_DELIMITED, tagged, tagged_length
from extproc.xds.snapshot import RUNTIME, Snapshot
from extproc.xds.subscription import Subscription

log: Final = logging.getLogger(__name__)

# Seconds that a cluster stays after the last route that named it. A request that was matched before may still wait for
# ext_proc, at most its message_timeout (two seconds), or longer on a machine that is short of CPU.
LINGER: Final = 5.0

# Seconds without any Envoy before that is said: one that is started again, or loses its connection, is back within a
# second (xds/bootstrap.py).
ABSENT: Final = 2.0

Stream = grpc.aio.ServicerContext[bytes, bytes]
_END: Final[object] = grpc.aio.EOF  # what reading returns after the last message
_TYPES: Final = {url: url.rpartition(".")[2] for url in TYPES}  # how metrics name them
_SERVICE, _METHOD = names.ADS_METHOD.strip("/").split("/")


@dataclass(eq=False, slots=True)
class _Envoy:
    """One connected Envoy: its subscription and the responses that wait to be written."""

    subscription: Subscription
    node: str = ""
    answered: dict[str, str] = field(default_factory=dict)  # the last nonce that was ACKed or NACKed, by type
    outgoing: asyncio.Queue[Response | None] = field(default_factory=asyncio.Queue)  # None ends the stream
    speaks_nonsense: bool = False
    life: Life = field(init=False)

    def __post_init__(self) -> None:
        self.life = Life(self.subscription)


class AdsService:
    """Serves the last published snapshot to every Envoy that asks.

    `heard` is called with what an Envoy said of a snapshot, or what became of it under that. `keep` is called with the
    clusters that an Envoy holds, whenever they are others; `remembered` is what it was called with last before a
    restart. `present` is called with whether any Envoy is connected, whenever that is another. `deaths` follows them.
    `stale` is called when what was published can't be served to an Envoy, and has to be built without `served`.
    """

    def __init__(
        self,
        heard: Callable[[Event], None],
        keep: Callable[[Mapping[str, bytes]], None] = lambda _: None,
        remembered: Mapping[str, bytes] = MappingProxyType({}),
        present: Callable[[bool], None] = lambda _: None,
        deaths: Deaths | None = None,
        stale: Callable[[], None] = lambda: None,
    ) -> None:
        self._stale = stale
        self._deaths = deaths
        self._heard = heard
        self._present = present
        self._any_present = False
        self._absence: asyncio.TimerHandle | None = None
        self._keep = keep
        self._held = Held(remembered)
        # Responses that an Envoy took and refused, by type.
        self.acks: Final = Counter(dict.fromkeys(_TYPES.values(), 0))
        self.nacks: Final = Counter(self.acks)
        self._snapshot: Snapshot | None = None
        self._envoys: set[_Envoy] = set()
        self._leaving = False

    def handler(self) -> grpc.GenericRpcHandler:
        """The handler to add to the gRPC server; messages are raw bytes on both sides."""
        return grpc.method_handlers_generic_handler(
            _SERVICE, {_METHOD: grpc.stream_stream_rpc_method_handler(self._stream)}
        )

    def publish(self, snapshot: Snapshot) -> None:
        """Aim every Envoy at this snapshot."""
        self._snapshot = snapshot
        for envoy in list(self._envoys):
            self._answer(envoy, *envoy.subscription.set_snapshot(snapshot))
        if snapshot.overrides and self.served is None:
            self._stale()  # who takes no runtime has come while it was built

    @property
    def served(self) -> Snapshot | None:
        """What was published last, if all that are connected take a runtime; else None."""
        if any(envoy.subscription.takes_no_runtime for envoy in self._envoys):
            return None
        return self._snapshot

    @property
    def connected(self) -> int:
        """How many Envoys hold a stream."""
        return len(self._envoys)

    def decided(self) -> frozenset[str]:
        """The decided routes that every connected Envoy knows; an Envoy that has accepted nothing yet has no say."""
        known = [e.subscription.accepted.decided for e in self._envoys if e.subscription.accepted is not None]
        if known and all(those is known[0] for those in known):
            return known[0]  # not a copy: that nothing has changed is seen at a glance
        return frozenset.intersection(*known) if known else frozenset()

    def end_streams(self) -> None:
        """End every stream: the server is leaving, and each Envoy goes on with what it has."""
        self._leaving = True
        self._count_again()
        for envoy in self._envoys:
            envoy.outgoing.put_nowait(None)

    def _count_again(self) -> None:
        """Say whether any Envoy is connected, if that is another; that none is, not at once and not while leaving."""
        if self._absence:
            self._absence.cancel()
            self._absence = None
        if self._envoys and not self._any_present:
            self._any_present = True
            self._present(True)
        elif self._any_present and not self._envoys and not self._leaving:
            self._absence = asyncio.get_running_loop().call_later(ABSENT, self._say_absent)

    def _say_absent(self) -> None:
        self._any_present = False
        self._present(False)

    async def _stream(self, _requests: object, context: Stream) -> None:
        envoy = _Envoy(Subscription(remembered=self._held.with_those_of(e.subscription.may_run for e in self._envoys)))
        self._envoys.add(envoy)
        if self._deaths:
            self._deaths.began(envoy.life)
        self._count_again()
        reader = asyncio.create_task(self._read(envoy, context), name="ads-reader")
        try:
            if self._snapshot is not None:
                self._answer(envoy, *envoy.subscription.set_snapshot(self._snapshot))
            while (response := await envoy.outgoing.get()) is not None:
                await context.write(_encode(response))
            if envoy.speaks_nonsense:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this is no DiscoveryRequest")
        finally:
            reader.cancel()
            self._envoys.discard(envoy)
            self._held.ended(envoy.subscription.may_run)
            if self._deaths and not self._leaving:
                self._deaths.ended(envoy.life, envoy.node)
            log.info("Envoy %s left the discovery stream", envoy.node or "?")
            self._count_again()
            self._recount()

    async def _read(self, envoy: _Envoy, context: Stream) -> None:
        """Take requests until the stream ends, then let it end on our side too."""
        try:
            while (raw := await context.read()) is not _END:
                self._receive(envoy, pb.DiscoveryRequest.FromString(raw))
        except DecodeError:
            envoy.speaks_nonsense = True
        finally:
            envoy.outgoing.put_nowait(None)

    def _release(self, envoy: _Envoy, snapshot: Snapshot) -> None:
        if envoy in self._envoys:
            self._answer(envoy, envoy.subscription.release(snapshot), [])

    def _survived(self, envoy: _Envoy, snapshot: Snapshot) -> None:
        if envoy in self._envoys:
            self._heard(Survived(snapshot))

    def _recount(self) -> None:
        """An Envoy that lagged behind may have been all that held a candidate back."""
        for envoy in self._envoys:
            if envoy.subscription.accepted is not None:
                self._heard(Accepted(envoy.subscription.accepted))

    def _receive(self, envoy: _Envoy, message: pb.DiscoveryRequest) -> None:
        if not envoy.node and message.node.id:
            envoy.node = message.node.id
            log.info("Envoy %s asks for its configuration", envoy.node)
            if self._deaths:
                self._deaths.asked(envoy.node, message.version_info)
        request = Request(
            message.type_url,
            message.version_info,
            message.response_nonce,
            tuple(message.resource_names),
            (redacted(message.error_detail.message) or "no reason given") if message.HasField("error_detail") else "",
        )
        self._count(envoy, request)
        before, took_all = envoy.subscription.clusters, not envoy.subscription.takes_no_runtime
        self._answer(envoy, *envoy.subscription.receive(request))
        if envoy.subscription.clusters != before:
            self._keep(envoy.subscription.clusters)
        if took_all and envoy.subscription.takes_no_runtime:
            self._without_runtime(envoy)

    def _without_runtime(self, envoy: _Envoy) -> None:
        log.warning("Envoy %s has no rtds_layer 'extproc', or refused it: each new weight sends all routes", envoy.node)
        if self._snapshot is not None and self._snapshot.overrides:
            self._stale()

    def _count(self, envoy: _Envoy, request: Request) -> None:
        """Count an ACK or a NACK, once: a subscription that grows says its last nonce again."""
        if request.nonce and request.type_url in _TYPES and envoy.answered.get(request.type_url) != request.nonce:
            envoy.answered[request.type_url] = request.nonce
            (self.nacks if request.error else self.acks)[_TYPES[request.type_url]] += 1
            if request.error and request.type_url == RUNTIME:
                log.warning("Envoy %s refused its runtime: %s", envoy.node, request.error)

    def _answer(self, envoy: _Envoy, responses: list[Response], events: list[Event]) -> None:
        now = asyncio.get_running_loop().time()
        for response in responses:
            envoy.life.sent = now
            envoy.outgoing.put_nowait(response)
        for event in events:
            match event:
                case Accepted(snapshot):
                    log.debug("Envoy %s runs the current configuration", envoy.node)
                    envoy.life.accepted = now
                    asyncio.get_running_loop().call_later(LINGER, self._release, envoy, snapshot)
                    asyncio.get_running_loop().call_later(SOON, self._survived, envoy, snapshot)
                case Refused():
                    log.warning("Envoy %s refused the configuration: %s", envoy.node, event.message)
            self._heard(event)


def _encode(response: Response) -> bytes:
    # Messages that are written one after the other are one message (https://protobuf.dev/programming-guides/encoding/):
    # each resource is copied once, where a message of all of them would copy 70 MiB of routes three times.
    head = pb.DiscoveryResponse(version_info=response.version, type_url=response.type_url, nonce=response.nonce)
    url = tagged(1, LENGTH_DELIMITED, response.type_url.encode())
    parts = [head.SerializeToString()]
    for body in response.resources.values():
        before = url + tagged_length(2, len(body))
        parts += [tagged_length(2, len(before) + len(body)), before, body]
    return b"".join(parts)
