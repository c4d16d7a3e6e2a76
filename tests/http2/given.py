"""A connection without a socket, a service whose answers are known, and peers: frame by frame, and the h2 library."""

import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import h2.config
import h2.connection
import h2.events
import hpack

from extproc.http2 import frames
from extproc.http2.connection import Connection
from extproc.http2.frames import END_HEADERS, END_STREAM, HEAD, HEAD_SIZE
from extproc.http2.grpc_calls import Call
from extproc.http2.grpc_methods import DECISIVE, Answer, Matches, Methods, Opening
from extproc.http2.grpc_status import Pieces, Refused, Status, whole_answer
from extproc.http2.header_blocks import Metadata
from extproc.http2.limits import Limits
from extproc.http2.request import VALUE
from extproc.http2.whole_calls import WholeCalls

METHOD: Final = "/test.Echo/Say"
REQUEST: Final = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", METHOD),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
)


class Echo:
    """Says what it is told. Of `calls`, it notes the messages and, last, that they are over."""

    stays = False

    def __init__(self, notes: list[bytes]) -> None:
        self.notes: Final = notes

    def answer(self, message: bytes) -> Answer:
        self.notes.append(message)
        match message.partition(b":")[0]:
            case b"refuse":
                raise Refused(Status.INVALID_ARGUMENT, "as it was asked: 100 % ÿ\n")
            case b"fail":
                raise RuntimeError("as it was asked")
            case b"silence":
                return Answer(None, ends=False)
            case b"end":
                return Answer(None, ends=True)
            case b"last":
                return Answer(message, ends=True)
            case b"repeat":
                return Answer(b"x" * int(message.partition(b":")[2]), ends=False)
        return Answer(message, ends=False)

    def end(self) -> None:
        self.notes.append(b"(over)")


class EchoAtOnce:
    """Says the last thing at once that Echo would say, unless a header field `x-careful` has a say in it."""

    def values(self, name: str, others: Metadata) -> Matches | None:
        if any(field == "x-careful" for field, _ in others):
            return None
        return re.compile(rb"[0-9]*").fullmatch if name == "x-careful" else VALUE.fullmatch

    def answer(self, body: bytes) -> Pieces | None:
        if body[5:10] != b"last:" or body[:5] != struct.pack(">BI", 0, len(body) - 5):
            return None
        if body[10:14] == b"fail":
            raise RuntimeError("as it was asked")
        return whole_answer(body[5:])


class Server:
    """A connection that serves Echo; `notes` holds what each call was told, by its stream.

    Without `shortly`, calls that come whole are answered like all others, and noted.
    """

    def __init__(self, limits: Limits | None = None, *, shortly: bool = True) -> None:
        self.notes: Final[defaultdict[int, list[bytes]]] = defaultdict(list)
        methods = Methods({METHOD: lambda call: Echo(self.notes[call.number])}, {METHOD: EchoAtOnce()})
        self.connection: Final = Connection[Opening](
            methods.interpret, DECISIVE, Call, 0.0, limits, WholeCalls if shortly else None
        )


def known(connection: Connection[Opening]) -> dict[str, Any]:
    """All that makes a difference to what comes later."""
    if connection._shorter is not None:
        connection._shorter.restore_all()
    streams = {
        number: (s.local_open, s.remote_open, s.receivable, s.sendable, s.unsent, s.trailers)
        for number, s in connection.streams.items()
    }
    sending, requests = connection.sending, connection.requests
    return {
        "streams": streams,
        "closed": sorted(connection.closed) if connection.over else [*connection.closed],
        "reset": [*connection.reset_by_us],
        "patience": (connection.patience._left, connection.answered),
        "sending": (sending.window, sending.initial_window, sending.held, sending.started, [*sending._waiting]),
        "receiving": (requests.receivable, requests._lengths, requests._block, connection._rest),
        "about": (connection.over, connection.accepting, connection.last, connection.expected, connection.greeted),
    }


class Raw(Server):
    """Frames in, frames out."""

    def __init__(self, limits: Limits | None = None, settings: dict[int, int] | None = None) -> None:
        super().__init__(limits)
        self.encoder: Final = hpack.Encoder()
        self.encoder.header_table_size = 0
        self._blocks: Final[dict[tuple[tuple[str, str], ...], bytes]] = {}
        self.decoder: Final = hpack.Decoder()
        self.say(frames.PREFACE + frames.settings(settings or {}) + frames.SETTINGS_ACK)

    def say(self, data: bytes, now: float = 0.0) -> list[tuple[int, int, int, bytes]]:
        """Send, and return the frames that come back: kind, flags, stream, payload."""
        self.connection.receive(data, now)
        return [*cut(self.connection.take())]

    def headers(
        self, stream: int = 1, flags: int = END_HEADERS, fields: tuple[tuple[str, str], ...] = REQUEST
    ) -> bytes:
        """HEADERS; without a dynamic table, equal fields are equal blocks."""
        block = self._blocks.get(fields)
        if block is None:
            block = self.encoder.encode(fields)
            self._blocks[fields] = block.removeprefix(b"\x20")
        return frames.frame(frames.HEADERS, flags, stream, block)

    def fields(self, payload: bytes) -> dict[str, str]:
        """What a header block says; blocks have to be given in their order."""
        return {str(name): str(value) for name, value in self.decoder.decode(payload)}


def cut(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The frames of `data`, which has to hold whole ones."""
    while data:
        length, flags, stream = HEAD.unpack_from(data)
        end = HEAD_SIZE + (length >> 8)
        assert end <= len(data), "a frame was cut off"
        yield length & 0xFF, flags, stream, data[HEAD_SIZE:end]
        data = data[end:]


def data(stream: int, payload: bytes, flags: int = 0) -> bytes:
    return frames.frame(frames.DATA, flags, stream, payload)


def message(text: bytes, compressed: int = 0) -> bytes:
    """A gRPC message as it stands in DATA."""
    return struct.pack(">BI", compressed, len(text)) + text


def messages(body: bytes | bytearray) -> list[bytes]:
    """The messages of a body, which has to hold whole ones."""
    found, at = [], 0
    while at < len(body):
        _, size = struct.unpack_from(">BI", body, at)
        assert len(body) >= at + 5 + size, "a message was cut off"
        found.append(bytes(body[at + 5 : at + 5 + size]))
        at += 5 + size
    return found


class Peer(Server):
    """The h2 library at the other end. It raises what it finds wrong with our frames, and keeps what comes."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits)
        self.h2: Final = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        )
        self.h2.initiate_connection()
        self.bodies: Final[defaultdict[int, bytearray]] = defaultdict(bytearray)
        self.headers: Final[dict[int, dict[str, str]]] = {}
        self.ended: Final[set[int]] = set()
        self.resets: Final[dict[int, int]] = {}
        self.goaways: Final[list[tuple[int, int]]] = []
        self.pings: Final[list[bytes]] = []

    def pump(self, *, take: bool = True, now: float = 0.0) -> None:
        """Carry everything to and fro until nobody has anything more to say; with `take`, widen windows again."""
        while True:
            sent = self.h2.data_to_send()
            if sent:
                self.connection.receive(sent, now)
            received = self.connection.take()
            if not sent and not received:
                return
            for event in self.h2.receive_data(received):
                self._note(event, take=take)

    def _note(self, event: h2.events.Event, *, take: bool) -> None:
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                fields = {str(name): str(value) for name, value in event.headers or ()}
                self.headers.setdefault(event.stream_id or 0, {}).update(fields)
            case h2.events.DataReceived():
                self.bodies[event.stream_id or 0] += event.data or b""
                if take and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)
            case h2.events.StreamEnded():
                self.ended.add(event.stream_id or 0)
            case h2.events.StreamReset():
                self.resets[event.stream_id or 0] = int(event.error_code or 0)
            case h2.events.ConnectionTerminated():
                self.goaways.append((event.last_stream_id or 0, int(event.error_code or 0)))
            case h2.events.PingAckReceived():
                self.pings.append(event.ping_data or b"")

    def open(self, *, end: bool = False, fields: tuple[tuple[str, str], ...] = REQUEST) -> int:
        stream: int = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, fields, end_stream=end)
        return stream

    def send(self, stream: int, body: bytes | memoryview, *, end: bool = False) -> int:
        """Send as much as the windows allow; returns how much that was."""
        at, body = 0, memoryview(body)
        while at < len(body) and stream not in self.ended:
            size = min(len(body) - at, self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if size <= 0:
                return at
            self.h2.send_data(stream, bytes(body[at : at + size]))
            at += size
            self.pump()
        if end:
            self.h2.end_stream(stream)
        return at


__all__ = [
    "END_HEADERS",
    "END_STREAM",
    "METHOD",
    "REQUEST",
    "Peer",
    "Raw",
    "Server",
    "cut",
    "data",
    "known",
    "message",
    "messages",
]
