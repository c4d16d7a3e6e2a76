"""gRPC on a connection: a call for each stream, its messages, and the status that it ends with.

What a call does is its `Exchange`. Must stay true: a message is given to it only when the answer to the one before is
on its way, so that a peer which takes nothing is held up by flow control; no call keeps more than its connection may;
and no exchange that fails hurts another call. Protocol:
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

import logging
from struct import Struct
from typing import Final

from extproc.http2 import grpc_status
from extproc.http2.connection import Connection
from extproc.http2.frames import ErrorCode
from extproc.http2.grpc_methods import Exchange, Opening
from extproc.http2.grpc_status import Refused, Status
from extproc.http2.header_blocks import Metadata
from extproc.http2.stream import Stream

_PREFIX: Final = Struct(">BI")  # of a message: whether it is compressed, and its length in bytes
_PREFIX_SIZE: Final = _PREFIX.size
_COMPRESSED: Final = 1

_NO_CALL: Final = b"Only gRPC calls are answered here.\n"

_log: Final = logging.getLogger(__name__)


class Call(Stream):
    """One call; made by the connection, for a request whose head asks for it.

    `metadata` is what came with it, and is there for the method to begin with: what thousands of open calls could keep
    of it would be far more than their connection may.
    """

    __slots__ = ("_exchange", "_inbox", "_started", "metadata", "opening")

    def __init__(self, connection: Connection[Opening], number: int, opening: Opening, metadata: Metadata) -> None:
        super().__init__(connection, number)
        self.opening = opening
        self.metadata = metadata
        self._exchange: Exchange | None = None
        self._inbox: bytearray | None = None  # the beginning of a message, or messages that have to wait
        self._started = False  # whether the answer has

    def opened(self) -> None:
        opening = self.opening
        if opening.begin is None:
            self.metadata = ()
            self._refuse(opening)
            return
        if opening.timeout is not None:
            self.connection.deadlines.add(self.number, self.connection.now + opening.timeout)
        self._exchange = opening.begin(self)
        self.metadata = ()
        if not self.remote_open:
            self._half_closed()

    def received(self, payload: bytes) -> None:
        if self._inbox is None and self.unsent is None and len(payload) >= _PREFIX_SIZE and self._exchange is not None:
            compressed, size = _PREFIX.unpack_from(payload)
            if size == len(payload) - _PREFIX_SIZE and not compressed and size <= self.connection.limits.message:
                self._answer(payload[_PREFIX_SIZE:])  # the usual case: one frame, one message
                if not self.remote_open and self.local_open and self.unsent is None:
                    self._half_closed()
                return
        if self._exchange is None:
            self._refuse(self.opening)
            return
        if payload:
            self._keep(payload)
        self._go_on()

    def writable(self) -> None:
        self._go_on()

    def push(self, message: bytes) -> None:
        """Send a message that nobody asked for just now."""
        if not self._started:
            self._started = True
            self.send_headers(grpc_status.HEADERS)
        self.send(_PREFIX.pack(0, len(message)) + message)
        self._within_memory()

    def end(self, status: Status = Status.OK, message: str = "") -> None:
        """End the call."""
        if not self.local_open:
            return
        self._over()
        if self._started:
            self.finish(grpc_status.trailers(status, message))
        else:
            self.finish(grpc_status.trailers_only(status, message))
        # A client that is refused should not go on sending (RFC 9113, section 8.1). One that was answered either has
        # nothing more to say, or is told when it does: Envoy, which ends its streams by itself, is spared a frame.
        if status is not Status.OK and self.remote_open and self.trailers is None:
            self.connection.reset(self, ErrorCode.NO_ERROR)

    def _refuse(self, opening: Opening) -> None:
        if opening.refused:
            self.finish(opening.refused)
            if self.remote_open:
                self.connection.reset(self, ErrorCode.NO_ERROR)
        elif not self.remote_open:  # whoever speaks plain HTTP may not read before everything is sent
            self.send_headers(grpc_status.http_error(opening.error))
            self.send(_NO_CALL)
            self.finish(b"")

    def closed(self) -> None:
        self._over()

    def _over(self) -> None:
        """The exchange is over, and what came for it is of no use."""
        if self._inbox is not None:
            self.connection.sending.held -= len(self._inbox)
            self._inbox = None
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            if self.opening.timeout is not None:
                self.connection.deadlines.remove(self.number)
            exchange.end()

    def _answer(self, message: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        try:
            reply, ends = exchange.answer(message)
        except Refused as refusal:
            self.end(refusal.status, str(refusal))
            return
        except Exception:  # noqa: BLE001 - a bug of ours, and no reason to end the calls of others
            _log.exception("a call of %s failed", self.opening.begin)
            self.end(Status.UNKNOWN, "the service failed")
            return
        connection = self.connection
        connection.answered += 1
        if reply is None:
            if ends:
                self.end()
        elif ends and not self._started and connection.sending.at_once(self, len(reply) + _PREFIX_SIZE):
            connection.sending.out.append(self.key.join(grpc_status.whole_answer(reply)))
            self.local_open = False
            self._over()
            connection.finished(self)
        else:
            self.push(reply)
            if ends:
                self.end()

    def _keep(self, payload: bytes) -> None:
        if self._inbox is None:
            self._inbox = bytearray()
        self._inbox += payload
        self.connection.sending.held += len(payload)

    def _within_memory(self) -> None:
        limit = self.connection.limits.memory
        if self.local_open and self.connection.sending.held > limit:
            self.connection.sending.forget(self)  # what is unsent stays so
            self.end(Status.RESOURCE_EXHAUSTED, f"this connection's calls take more than {limit} bytes")

    def _go_on(self) -> None:
        """Answer the messages that are there, as long as their answers can be sent."""
        while self.local_open and self.unsent is None and (message := self._next()) is not None:
            self._answer(message)
        self._within_memory()
        if self.local_open and self.unsent is None and not self.remote_open:
            self._half_closed()

    def _next(self) -> bytes | None:
        """The next message of the inbox, when it is whole. Ends the call for what is no message we take."""
        inbox = self._inbox
        if inbox is None or len(inbox) < _PREFIX_SIZE:
            return None
        compressed, size = _PREFIX.unpack_from(inbox)
        if compressed:
            self._refuse_compressed(compressed)
            return None
        if size > self.connection.limits.message:
            most = self.connection.limits.message
            self.end(Status.RESOURCE_EXHAUSTED, f"a message of {size} bytes is more than the {most} that are taken")
            return None
        end = _PREFIX_SIZE + size
        if len(inbox) < end:
            return None
        with memoryview(inbox) as view:
            message = bytes(view[_PREFIX_SIZE:end])
        self.connection.sending.held -= end
        if len(inbox) == end:
            self._inbox = None
        else:
            del inbox[:end]
        return message

    def _refuse_compressed(self, flag: int) -> None:
        encoding = self.opening.encoding
        if flag == _COMPRESSED and encoding != "identity":
            self.end(Status.UNIMPLEMENTED, f"messages compressed with {encoding} are not read here")
        else:
            self.end(Status.INTERNAL, f"a message with the flags {flag}, but no grpc-encoding")

    def _half_closed(self) -> None:
        """The peer has said everything."""
        if self._inbox is None:
            if self._exchange is not None and not self._exchange.stays:
                self.end()
        else:
            self.end(Status.INTERNAL, "the call ended inside a message")


def expire(connection: Connection[Opening], now: float) -> None:
    """End the calls whose deadline has passed."""
    connection.now = now
    for late in connection.deadlines.due(now):
        stream = connection.streams.get(late)
        if isinstance(stream, Call):
            stream.end(Status.DEADLINE_EXCEEDED, "the deadline has passed")
