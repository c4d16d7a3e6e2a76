"""One Envoy's aggregated xDS stream as a pure object: requests and snapshots in, responses out. No sockets, no time.

State of the world (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol). Must stay true: a version is
the hash of what it holds, so a restarted extproc recognises what its Envoy already runs; a change is made before the
old is broken: clusters are added, then routes switched, each step after the last one's ACK, and clusters that no route
names any more are removed when the owner of this object, who has a clock, says that no request is on its way to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from extproc.names import RUNTIME_LAYER
from extproc.xds.corrections import Corrections
from extproc.xds.discovery import ORDER, TYPES, Accepted, Event, Refused, Request, Response
from extproc.xds.snapshot import CLUSTER, ROUTES, RUNTIME, Snapshot, version_of

IN_DOUBT: Final = 4  # versions of clusters that were sent, while Envoy says nothing


@dataclass(slots=True)
class _Type:
    """What one type's subscription knows; `sent` and `acked` are versions, `held` is what the ACKed one contained.

    `sent_for` is what was sent last was a part of, until Envoy has answered.
    """

    names: tuple[str, ...] = ()
    subscribed: bool = False
    nonce: str = ""
    sent: str = ""
    acked: str = ""
    refused: str = ""
    sent_for: Snapshot | None = None
    pending: Mapping[str, bytes] = field(default_factory=dict)
    held: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Subscription:
    """The state of one stream. `set_snapshot` and `receive` return what to send and what the control plane shall know.

    `accepted` is the last snapshot of which Envoy ACKed everything that requests are routed by. `remembered` are the
    clusters that Envoys are known to have been sent before this stream, by version; they count only if Envoy tells it.
    """

    target: Snapshot | None = None
    accepted: Snapshot | None = None
    remembered: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    _types: dict[str, _Type] = field(default_factory=lambda: {url: _Type() for url in TYPES})
    _outgoing: Mapping[str, bytes] = field(default_factory=dict)  # clusters that the routes in force may still name
    _in_doubt: dict[str, Mapping[str, bytes]] = field(default_factory=dict)  # clusters sent, by version
    _corrections: Corrections = field(default_factory=Corrections)
    _serial: int = 0

    @property
    def clusters(self) -> Mapping[str, bytes]:
        """The clusters that Envoy is known to hold."""
        return self._types[CLUSTER].held

    @property
    def may_run(self) -> Mapping[str, Mapping[str, bytes]]:
        """The clusters that Envoy may hold, by version: those that it ACKed, and those whose ACK may be lost."""
        state = self._types[CLUSTER]
        # After a refusal it tells the version that it had before.
        held = {state.acked or version_of(state.held): state.held} if state.held else {}
        return {**held, **self._in_doubt}

    @property
    def takes_no_runtime(self) -> bool:
        """Whether this Envoy's bootstrap has no place for a runtime, or it refused ours: its routes have to say all."""
        return self._types[ROUTES].subscribed and not self._has_runtime

    @property
    def _has_runtime(self) -> bool:
        state = self._types[RUNTIME]
        return state.subscribed and not state.refused and (not state.names or RUNTIME_LAYER in state.names)

    @property
    def unanswered(self) -> tuple[Snapshot | None, tuple[str, ...]]:
        """The types that Envoy was sent and has not answered, and what they were a part of; of several the latest."""
        waiting = [(url, state.sent_for) for url, state in self._types.items() if state.sent_for is not None]
        return (waiting[-1][1] if waiting else None), tuple(url for url, _ in waiting)

    def set_snapshot(self, snapshot: Snapshot) -> tuple[list[Response], list[Event]]:
        """Aim at another snapshot; whatever was on its way to the last one is overtaken.

        Routes that are on their way are waited for, and then those are sent that are aimed at by then.
        """
        self._outgoing = self.clusters
        self.target = snapshot
        return self._advance()

    def release(self, snapshot: Snapshot) -> list[Response]:
        """Remove what is not in `snapshot`, if that is still what Envoy runs and is to run.

        Not to be called before every request that was matched by older routes has reached its cluster: Envoy looks the
        cluster up when the filters are done, and ext_proc may take all of its message_timeout.
        """
        if not self.accepted is self.target is snapshot:
            return []
        self._outgoing = {}
        sent: list[Response] = []
        self._awaits(snapshot, sent)
        return sent

    def receive(self, request: Request) -> tuple[list[Response], list[Event]]:
        """Take one DiscoveryRequest: a subscription, an ACK or a NACK; one of a type not served is left unanswered."""
        state = self._types.get(request.type_url)
        if state is None:
            return [], []
        if request.nonce and request.nonce != state.nonce:
            return [], []  # it speaks of a response that a newer one has overtaken
        grown = state.subscribed and not set(request.names) <= set(state.names)
        state.names, state.subscribed = request.names, True
        if request.error:
            return self._refused(state, request)
        if not request.nonce:
            # The first request of a stream: the version is what this Envoy ran before we (re)started.
            state.acked = state.sent = request.version
            if request.type_url == CLUSTER and (known := self.remembered.get(request.version)) is not None:
                state.held = self._outgoing = known
        elif state.sent and not grown:
            if request.type_url == ROUTES:
                self._corrections.taken(state.sent_for)
            elif request.type_url == CLUSTER:
                self._in_doubt.clear()
            state.acked, state.held, state.sent_for = state.sent, state.pending, None
        if grown:
            state.sent, state.acked, state.sent_for = "", "", None
        return self._advance()

    def _refused(self, state: _Type, request: Request) -> tuple[list[Response], list[Event]]:
        if state.sent == state.acked or self.target is None:
            return [], []
        # Of a refused response Envoy may have taken the resources that are sound, so what it runs has no version.
        state.refused, state.sent, state.acked = state.sent, "", ""
        refused, state.sent_for = state.sent_for, None
        if request.type_url == ROUTES:
            self._corrections.refused(refused)
        sent, events = self._advance()  # to what is aimed at by now, if that is something else
        if request.type_url == RUNTIME:
            return sent, events  # no resource's fault; its routes will say all (`takes_no_runtime`)
        return sent, [Refused(refused or self.target, request.type_url, request.error), *events]

    def _advance(self) -> tuple[list[Response], list[Event]]:
        """Take the step whose turn has come, if any."""
        snapshot = self.target
        if snapshot is None:
            return [], []
        sent: list[Response] = []
        # Before the routes that may be due: they are written for this runtime.
        corrected = self._corrects(snapshot, sent)
        awaits = self._awaits(snapshot, sent)
        corrected = corrected and self._corrects(snapshot, sent)  # if it was to follow the routes
        if awaits or not corrected:
            return sent, []
        if self.accepted is snapshot:
            return sent, []
        self.accepted = snapshot
        return sent, [Accepted(snapshot)]

    def _awaits(self, snapshot: Snapshot, sent: list[Response]) -> bool:
        """Send what is due; true while a subscription or an ACK is missing."""
        for url in ORDER:
            state = self._types[url]
            if not state.subscribed:
                return True
            if url == ROUTES and snapshot.overrides and not self._has_runtime:
                return True  # it would go by numbers that nothing corrects: others are being made (`takes_no_runtime`)
            resources, version = self._wanted(url, snapshot)
            # What was sent last is what Envoy will run, whatever it ACKed before.
            if state.acked == version == (state.sent or version):
                state.held = resources
                if url == ROUTES:
                    self._corrections.taken(snapshot)
                continue
            # Envoy takes in everything that was sent, however old. With thousands of routes that is seconds each time,
            # which the latest ones would wait for. Clusters are sent at once: Envoy says nothing while one is warming,
            # and what is sent may be what ends that.
            waits = url == ROUTES and state.sent_for is not None
            if not waits and version not in (state.sent, state.refused):
                sent.append(self._send(url, version, resources, snapshot))
            return True
        return False

    def _send(self, url: str, version: str, resources: Mapping[str, bytes], snapshot: Snapshot) -> Response:
        state = self._types[url]
        self._serial += 1
        state.sent, state.pending, state.nonce = version, resources, str(self._serial)
        state.sent_for = snapshot
        if url == CLUSTER:
            self._in_doubt[version] = resources
            for overtaken in list(self._in_doubt)[:-IN_DOUBT]:
                del self._in_doubt[overtaken]
        return Response(url, version, state.nonce, resources)

    def _corrects(self, snapshot: Snapshot, sent: list[Response]) -> bool:
        """Send the runtime that is due; true when Envoy has it, or takes none."""
        if not self._has_runtime:
            return True
        state, routes = self._types[RUNTIME], self._types[ROUTES]
        ours = snapshot.version(ROUTES)
        unknown = not routes.held and routes.acked != ours
        if unknown and state.acked not in ("", snapshot.version(RUNTIME)) and not state.nonce:
            # Its runtime is from before this stream, and so are its routes: together they say what was in force, and
            # one without the other would say neither that nor what is. So this one goes out when it has taken routes;
            # if it refuses them, all is as it was.
            return True
        in_force = routes.acked == routes.sent == ours
        overrides, resources, version = self._corrections.wanted(snapshot, routes.sent_for, in_force=in_force)
        # Also where it has them already, from the stream before this one.
        self._corrections.overrides = overrides
        if version != state.sent:
            sent.append(self._send(RUNTIME, version, resources, snapshot))
        return state.acked == version

    def _wanted(self, url: str, snapshot: Snapshot) -> tuple[Mapping[str, bytes], str]:
        """What this Envoy shall have of a type, and its version: the snapshot's own, unless it is another selection."""
        resources = snapshot.resources.get(url, {})
        names = self._types[url].names
        if names and "*" not in names and not resources.keys() <= set(names):
            resources = {name: body for name, body in resources.items() if name in names}
        elif url != CLUSTER or self._outgoing.keys() <= resources.keys():
            return resources, snapshot.version(url)
        if url == CLUSTER:
            resources = {**self._outgoing, **resources}
        return resources, version_of(resources)
