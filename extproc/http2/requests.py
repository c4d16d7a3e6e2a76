"""The frames that carry requests: DATA, HEADERS, CONTINUATION. Sections are of RFC 9113."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from extproc.http2 import frames
from extproc.http2.faults import ConnectionFault, StreamFault
from extproc.http2.frames import CONTINUATION, END_HEADERS, END_STREAM, PADDED, PRIORITISED, ErrorCode
from extproc.http2.header_blocks import HeaderBlocks, Metadata
from extproc.http2.request import RequestHead
from extproc.http2.stream import KEY, Stream

if TYPE_CHECKING:
    from extproc.http2.connection import Connection


class HasLength(Protocol):
    """What is made of a request's head."""

    @property
    def content_length(self) -> int | None:
        """What the body's length has to be, None for any."""


Opening = TypeVar("Opening", bound=HasLength)
OpenStream = Callable[["Connection[Opening]", int, Opening, Metadata], Stream]


class ShorterWay(Protocol):
    """Takes in frames that it knows as they would be otherwise, only faster: see `whole_calls`."""

    @property
    def half_closed(self) -> dict[bytes, Any]:
        """The streams that are open and have no Stream."""

    def take(self, data: bytes, at: int) -> int:
        """Take in what stands in `data` at `at`, as far as it is known; returns how far that is."""

    def restore(self, number: int) -> None:
        """Make a Stream of this one, where it has none: another frame comes for it."""

    def restore_all(self) -> None:
        """Make a Stream of each."""


class Requests(Generic[Opening]):
    """What a connection does with requests; for the arguments see there."""

    def __init__(
        self,
        connection: "Connection[Opening]",
        interpret: Callable[[RequestHead], Opening],
        decisive: frozenset[str],
        open_stream: OpenStream[Opening],
    ) -> None:
        table = connection.limits.dynamic_table
        self.blocks: Final = HeaderBlocks(interpret, decisive, table=table, spend=connection.spend)
        self._connection: Final = connection
        self._open_stream: Final = open_stream
        self.receivable = connection.limits.connection_window  # bytes of DATA that the peer may still send
        self.half: Final = connection.limits.connection_window // 2
        self._half_of_stream: Final = connection.limits.stream_window // 2
        self._lengths: Final[dict[int, int]] = {}  # what is still to come of bodies whose length was announced
        self._block: list[bytes] = []  # a header block that is not whole yet; its stream and flags
        self._block_of = (0, 0)

    @property
    def held(self) -> int:
        """Bytes of a header block that is not whole yet."""
        return sum(map(len, self._block))

    def forget(self, number: int) -> None:
        """The stream is over."""
        if self._lengths:
            self._lengths.pop(number, None)

    def forget_block(self) -> None:
        """Nothing more will come."""
        self._block.clear()

    def on_data(self, flags: int, number: int, payload: bytes) -> None:  # noqa: C901 - once or more for each request
        size = len(payload)  # padding counts (section 6.9.1)
        self.receivable -= size
        if self.receivable <= self.half:
            self._widen()
        stream = self._connection.streams.get(number)
        if stream is None:
            self._late(number)
            return
        if not stream.remote_open:
            raise StreamFault(ErrorCode.STREAM_CLOSED)
        stream.receivable -= size
        if stream.receivable < 0:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR)
        if flags & PADDED:
            payload = unpadded(payload)
        if self._lengths:
            self._count(number, len(payload), end=bool(flags & END_STREAM))
        if flags & END_STREAM:
            stream.remote_open = False
        elif not payload:
            self._connection.spend()
        if not stream.local_open:
            self._unwanted(stream)
            return
        stream.received(payload)
        if stream.receivable <= self._half_of_stream:
            self._connection.widen(stream)

    def _widen(self) -> None:
        """Let the peer send on: what is kept of it is bounded by Limits.memory, whatever the window."""
        if self.receivable < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window allows")
        window = self._connection.limits.connection_window
        self._connection.sending.out.append(frames.window_update(0, window - self.receivable))
        self.receivable = window

    def _late(self, number: int) -> None:
        """DATA of a stream that is none, or not any more."""
        self._connection.known(number)
        self._connection.spend()
        if number not in self._connection.reset_by_us and number <= self._connection.last:
            raise StreamFault(ErrorCode.STREAM_CLOSED)

    def _unwanted(self, stream: Stream) -> None:
        """More of a request that is answered: its end, or the peer is told to stop (section 8.1)."""
        if stream.trailers is not None:
            return  # the answer is not out yet
        if stream.remote_open:
            self._connection.reset(stream, ErrorCode.NO_ERROR)
        else:
            self._connection.forget(stream)

    def _count(self, number: int, size: int, *, end: bool) -> None:
        """A body has to have the length that was announced (section 8.1.1)."""
        left = self._lengths.get(number)
        if left is None:
            return
        self._lengths[number] = left - size
        if left < size or (end and left != size):
            raise StreamFault(ErrorCode.PROTOCOL_ERROR)

    def on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & (PADDED | PRIORITISED):
            payload = unpadded(payload) if flags & PADDED else payload
            payload = without_priority(payload, number) if flags & PRIORITISED else payload
        if flags & END_HEADERS:
            self._on_block(flags, number, payload)
        else:
            self._block = [payload]
            self._block_of = number, flags
            self._connection.expected = CONTINUATION

    def on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        of, opening_flags = self._block_of
        if self._connection.expected != CONTINUATION or number != of:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a CONTINUATION of no header block")
        self._block.append(payload)
        limits = self._connection.limits
        if len(self._block) > limits.continuations + 1 or sum(map(len, self._block)) > limits.header_block:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header block that is too long")
        if flags & END_HEADERS:
            block, self._block, self._connection.expected = b"".join(self._block), [], None
            self._on_block(opening_flags, number, block)

    def _on_block(self, flags: int, number: int, block: bytes) -> None:
        stream = self._connection.streams.get(number)
        if stream is not None:
            self._on_trailers(flags, stream, block)
            return
        if number <= self._connection.last:
            self.blocks.skip(block)
            if number in self._connection.reset_by_us:
                self._connection.spend()
                return
            if KEY.pack(number) in self._connection.closed:
                raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"HEADERS on stream {number}, which is closed")
        if number <= self._connection.last or not number & 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"a stream {number} after stream {self._connection.last}")
        if not self._connection.accepting:
            self._connection.spend()
            self.blocks.skip(block)
            return
        self._connection.last = number
        opening, metadata = self.blocks.request(block)
        if self._connection.open_streams >= self._connection.limits.streams:
            raise StreamFault(ErrorCode.REFUSED_STREAM)
        self._connection.streams[number] = stream = self._open_stream(self._connection, number, opening, metadata)
        if opening.content_length is not None:
            self._lengths[number] = opening.content_length
        if flags & END_STREAM:
            stream.remote_open = False
            self._count(number, 0, end=True)
        stream.opened()

    def _on_trailers(self, flags: int, stream: Stream, block: bytes) -> None:
        if not stream.remote_open:
            self.blocks.skip(block)
            raise StreamFault(ErrorCode.STREAM_CLOSED)
        self.blocks.trailers(block)
        if not flags & END_STREAM:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR)
        self._count(stream.number, 0, end=True)
        stream.remote_open = False
        if stream.local_open:
            stream.received(b"")
        else:
            self._unwanted(stream)


def unpadded(payload: bytes) -> bytes:
    """What a padded frame carries (section 6.1). Raises ConnectionFault."""
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame that is all padding")
    return payload[1 : len(payload) - payload[0]]


def without_priority(payload: bytes, number: int) -> bytes:
    """A header block behind its priority, which means nothing any more (section 5.3.2). Raises ConnectionFault."""
    if len(payload) < frames.PRIORITY_SIZE:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS that end inside their priority")
    if frames.number(payload[:4]) == number:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"stream {number} depends on itself")
    return payload[frames.PRIORITY_SIZE :]
