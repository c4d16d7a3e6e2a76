"""A server's side of one HTTP/2 connection: bytes in, calls of streams and bytes out. No socket, no clock, no loop.

`receive` takes what was read, frames cut anywhere, and the time; what is to be written is in `sending` afterwards. What
happens reaches the layer above as calls of its streams (see `stream.py`), in the order of the frames. Must stay true:
whatever the bytes are, `receive` raises nothing; after a ConnectionFault there is one GOAWAY, `over` is set, and no
stream is left.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Generic

from extproc.http2 import frames
from extproc.http2.control import Control
from extproc.http2.deadlines import Deadlines
from extproc.http2.faults import ConnectionFault, StreamFault
from extproc.http2.frames import CONTINUATION, FRAME_SIZE, HEAD, HEAD_SIZE, PREFACE, SETTINGS, STREAM_MASK, ErrorCode
from extproc.http2.header_blocks import LIST_SIZE
from extproc.http2.limits import Limits, Patience
from extproc.http2.request import RequestHead
from extproc.http2.requests import Opening, OpenStream, Requests, ShorterWay
from extproc.http2.sending import ROOM, Sending
from extproc.http2.stream import Stream

# Streams that were closed lately are told apart from those that never were: only then is a frame on them late, and not
# a breach (section 5.1). More of them than come between two reads.
_REMEMBERED: Final = 1024

_ALIVE: Final = b"\0alive?\0"


class Connection(Generic[Opening]):
    """`interpret` makes of a request's head what `open_stream` then opens a stream with, beside its header fields.

    It may raise StreamFault, and may read only those header fields that `decisive` names, because what it has made is
    used again for requests that are equal in those. `now` is in seconds of a clock that never goes back. `shorter_way`
    may take in frames that it knows, in the place of what is done here.
    """

    def __init__(
        self,
        interpret: Callable[[RequestHead], Opening],
        decisive: frozenset[str],
        open_stream: OpenStream[Opening],
        now: float,
        limits: Limits | None = None,
        shorter_way: Callable[["Connection[Opening]"], ShorterWay] | None = None,
    ) -> None:
        self.limits: Final = limits or Limits()
        self.sending: Final = Sending()
        self.streams: Final[dict[int, Stream]] = {}
        self.closed: Final[deque[bytes]] = deque(maxlen=_REMEMBERED)  # as they stand in frames
        self.reset_by_us: Final[dict[int, None]] = {}  # the oldest first
        self.now = now
        self.over = False  # nothing is read any more; what is in `sending` is to be written, and the socket closed
        self.last = 0  # the newest stream that was worked on
        self.accepting = True  # streams after `last`
        self.expected: int | None = SETTINGS  # the one kind of frame that may come next
        self.answered = 0  # messages, by the layer above; they pay for frames that ask for nothing
        self.patience: Final = Patience(now)
        self.deadlines: Final = Deadlines()
        self._rest = PREFACE  # at first what has to come; later the beginning of a frame
        self.greeted = False  # whether the peer speaks HTTP/2
        self.requests: Final = Requests(self, interpret, decisive, open_stream)
        control = Control(self, self.requests.blocks.acknowledged)
        requests = self.requests
        self._on: Final = (requests.on_data, requests.on_headers, *control.handlers, requests.on_continuation)
        self.drain: Final = control.drain
        self._shorter: Final = shorter_way(self) if shorter_way else None
        self.sending.out.append(
            frames.settings(
                {
                    frames.HEADER_TABLE_SIZE: frames.HEADER_TABLE if self.limits.dynamic_table else 0,
                    frames.MAX_CONCURRENT_STREAMS: self.limits.streams,
                    frames.INITIAL_WINDOW_SIZE: self.limits.stream_window,
                    frames.MAX_HEADER_LIST_SIZE: LIST_SIZE,
                }
            )
        )
        if more := self.limits.connection_window - frames.DEFAULT_WINDOW:
            self.sending.out.append(frames.window_update(0, more))

    @property
    def held(self) -> int:
        """Bytes that are kept: for streams, of a frame, and of a header block that are not whole yet."""
        return self.sending.held + (len(self._rest) if self.greeted else 0) + self.requests.held

    @property
    def open_streams(self) -> int:
        """How many are open, to one side at least."""
        return len(self.streams) + (len(self._shorter.half_closed) if self._shorter else 0)

    @property
    def all_answered(self) -> bool:
        """Whether it drains, and waits for nothing but that the peer ends its sides of the streams, too.

        It is not over before, because gRPC's clients take the end of the connection for that of a call that they have
        not ended themselves, though its status came first (on_trailing_header of chttp2 resets such a call, but later).
        """
        return not self.accepting and not any(map(_unanswered, self.streams.values()))

    def receive(self, data: bytes, now: float) -> None:
        """Take in what was read."""
        if self.over:
            return
        self.now = now
        try:
            if not self.greeted:
                data = self._greet(data)
                if not self.greeted:
                    return
            elif self._rest:
                data = self._rest + data
            self._rest = self._take(data)
        except ConnectionFault as fault:
            self.end(fault.code, fault.reason)

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self.sending.out.append(frames.ping(_ALIVE))

    def take(self) -> bytes:
        """Everything that is to be written now; more is there to be taken while `sending.stalled`."""
        for stream in self.sending.let_out():
            stream.written()
        if not self.accepting and not self.over and not self.open_streams:
            self.over = True  # drained
            self._forget_all()
        out = self.sending.out
        if not out:
            return b""
        taken = b"".join(out)
        out.clear()
        self.sending.room = ROOM
        return taken

    def end(self, code: ErrorCode, reason: str = "") -> None:
        """End everything now. Streams that are open are told."""
        if self.over:
            return
        self.over = True
        self.sending.out.append(frames.goaway(self.last, code, reason))
        self._forget_all()

    def _forget_all(self) -> None:
        if self._shorter is not None:
            self._shorter.restore_all()
        for stream in [*self.streams.values()]:
            self.forget(stream)
        self.requests.forget_block()
        self._rest = b""

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """End a stream at once, whatever state it is in."""
        self._send_reset(stream.number, code)
        self.forget(stream)

    def forget(self, stream: Stream) -> None:
        """The stream is over."""
        del self.streams[stream.number]
        self.sending.forget(stream)
        self.requests.forget(stream.number)
        stream.local_open = stream.remote_open = False
        self.closed.append(stream.key)
        stream.closed()

    def spend(self, cost: int = 1) -> None:
        """The peer did something that makes work and asks for nothing. Raises ConnectionFault when that is too much."""
        self.patience.restored(self.now, self.answered)
        self.answered = 0
        if not self.patience.tried(cost):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    def known(self, number: int) -> Stream | None:
        """The stream, None when it is closed. Raises ConnectionFault when it was never opened (section 5.1)."""
        stream = self.streams.get(number)
        if stream is None and (number > self.last or not number & 1) and self.accepting:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"a frame on stream {number}, which was never opened")
        return stream

    def finished(self, stream: Stream) -> None:
        """Our side of the stream has been ended. It is over when the peer's is, too."""
        if not stream.remote_open:
            self.forget(stream)

    def widen(self, stream: Stream) -> None:
        """Let the peer send on, if it may send less than half of what it might, and nothing of ours waits for it."""
        window = self.limits.stream_window
        if stream.receivable <= window // 2 and stream.remote_open and stream.unsent is None:
            self.sending.out.append(frames.window_update(stream.number, window - stream.receivable))
            stream.receivable = window

    def _greet(self, data: bytes) -> bytes:
        """Check the preface, however it is cut; returns what comes after it."""
        wanted = self._rest
        if not data.startswith(wanted[: len(data)]):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "this is not HTTP/2")
        self._rest = wanted[len(data) :]
        self.greeted = not self._rest
        return data[len(wanted) :]

    def _take(self, data: bytes) -> bytes:
        """Take in whole frames; returns what is left."""
        at, size = 0, len(data)
        unpack, on, shorter = HEAD.unpack_from, self._on, self._shorter
        while size - at >= HEAD_SIZE:
            if shorter is not None and self.expected is None and (past := shorter.take(data, at)) != at:
                at = past
                continue
            length_and_kind, flags, number = unpack(data, at)
            if length_and_kind >> 8 > FRAME_SIZE:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length_and_kind >> 8} bytes")
            start = at + HEAD_SIZE
            end = start + (length_and_kind >> 8)
            if end > size:
                break
            kind = length_and_kind & 0xFF
            if self.expected is not None and kind != self.expected:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"a frame of kind {kind} instead of {self.expected}")
            number &= STREAM_MASK
            if shorter is not None and shorter.half_closed:
                shorter.restore_all() if kind == SETTINGS else shorter.restore(number)
            at = end
            try:
                if kind <= CONTINUATION:
                    on[kind](flags, number, data[start:end])
                else:
                    self.spend()  # frames that nobody knows are ignored (section 4.1)
            except StreamFault as fault:
                self._fault(number, fault)
        return data[at:]

    def _fault(self, number: int, fault: StreamFault) -> None:
        # A peer that makes us reset its streams has them worked on for nothing: https://kb.cert.org/vuls/id/767506
        self.spend()
        stream = self.streams.get(number)
        if stream is not None:
            self.reset(stream, fault.code)
        else:
            self._send_reset(number, fault.code)

    def _send_reset(self, number: int, code: ErrorCode) -> None:
        self.reset_by_us[number] = None
        if len(self.reset_by_us) > _REMEMBERED:
            del self.reset_by_us[next(iter(self.reset_by_us))]
        self.sending.out.append(frames.rst_stream(number, code))


def _unanswered(stream: Stream) -> bool:
    return stream.local_open or stream.trailers is not None
