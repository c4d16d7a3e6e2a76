"""The way out: bytes to be written, and flow control of what we send (RFC 9113, section 5.2 and 6.9).

Must stay true: no DATA goes out beyond the window of its stream or of the connection; nothing else waits for either.
A stream waits in `_waiting` only for what all of them wait for, so that a wider window costs no look at any other: the
connection's window, and `room`. A peer that opens its windows only when very many answers wait for them has them piece
by piece: what is in `out` is bounded, and so is the time for which other connections wait.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from extproc.http2 import frames
from extproc.http2.faults import ConnectionFault, StreamFault
from extproc.http2.frames import WINDOW_MAX, ErrorCode

if TYPE_CHECKING:
    from extproc.http2.stream import Stream

# An encoder that uses no dynamic table says so in its first header block (RFC 7541, section 4.2), and a peer may then
# make its own table as small as it likes.
_NO_TABLE: Final = b"\x20"

ROOM: Final = 1024 * 1024  # bytes of DATA that go out in one go
A_FRAME: Final = 128  # bytes that each is counted for beside: what it takes in memory, and work


class Sending:
    """What a connection sends. `out` is to be written in its order; `window` is the connection's, in bytes."""

    __slots__ = ("_waiting", "frame_size", "held", "initial_window", "out", "room", "sent", "started", "window")

    def __init__(self) -> None:
        self.out: Final[list[bytes]] = []
        self.window = frames.DEFAULT_WINDOW
        self.initial_window = frames.DEFAULT_WINDOW
        self.frame_size = frames.FRAME_SIZE
        self.held = 0  # bytes that are kept for streams, of both directions
        self.sent = 0  # full frames, since it was last set to 0
        self.started = False  # whether a header block was sent
        self.room = ROOM  # how much more DATA `out` may hold
        self._waiting: Final[dict[int, Stream]] = {}

    def headers(self, stream: "Stream", block: bytes, *, end: bool) -> None:
        """A header block of less than the smallest frame size, which ends our side of the stream if `end`."""
        if not self.started:
            self.started = True
            block = _NO_TABLE + block
        flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
        self.out.append(frames.frame(frames.HEADERS, flags, stream.number, block))

    def finish(self, stream: "Stream", block: bytes) -> None:
        """End our side of the stream, with a header block if there is one."""
        if block:
            self.headers(stream, block, end=True)
        else:
            self.out.append(frames.frame(frames.DATA, frames.END_STREAM, stream.number))

    def at_once(self, stream: "Stream", size: int) -> bool:
        """Whether DATA of `size` bytes may go out as one frame now, behind a header block; it is counted as sent."""
        if size > stream.sendable or size > self.window or size > self.frame_size or not self.started or stream.unsent:
            return False
        if self.room <= 0:
            return False
        stream.sendable -= size
        self.window -= size
        self.room -= size + A_FRAME
        return True

    def data(self, stream: "Stream", payload: bytes) -> None:
        """DATA, as soon as the windows allow it."""
        if not payload:
            return
        if stream.unsent is None:
            stream.unsent = bytearray()
        stream.unsent += payload
        self.held += len(payload)
        self.flush(stream)

    def flush(self, stream: "Stream") -> None:
        """Send what may be sent of what is unsent."""
        unsent = stream.unsent
        if unsent is None:
            return
        at = 0
        while self.room > 0 and (size := min(len(unsent) - at, stream.sendable, self.window, self.frame_size)) > 0:
            self.out.append(frames.frame(frames.DATA, 0, stream.number, bytes(unsent[at : at + size])))
            at += size
            stream.sendable -= size
            self.window -= size
            self.room -= size + A_FRAME
            self.sent += size == self.frame_size
        del unsent[:at]
        self.held -= at
        if not unsent:
            stream.unsent = None
        if unsent and stream.sendable > 0:
            self._waiting[stream.number] = stream
        else:
            self._waiting.pop(stream.number, None)

    def widened(self, increment: int) -> Iterable["Stream"]:
        """The connection's window has grown. Returns the streams that have nothing unsent any more."""
        if self.window + increment > WINDOW_MAX:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is beyond 2^31-1")
        self.window += increment
        return self.let_out()

    @property
    def stalled(self) -> bool:
        """Whether more could go out, if only there were room."""
        return bool(self._waiting) and self.window > 0

    def let_out(self) -> Iterable["Stream"]:
        """Send what there is room for. Returns the streams that have nothing unsent any more."""
        done = []
        while self._waiting and self.window > 0 and self.room > 0:
            stream = self._waiting.pop(next(iter(self._waiting)))
            self.flush(stream)
            if stream.unsent is None:
                done.append(stream)
        return done

    def widened_stream(self, stream: "Stream", increment: int) -> None:
        """A stream's window has grown (or shrunk, by a SETTINGS frame)."""
        if stream.sendable + increment > WINDOW_MAX:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR)
        stream.sendable += increment
        self.flush(stream)

    def forget(self, stream: "Stream") -> None:
        """The stream is over; what is unsent goes nowhere."""
        if stream.unsent is not None:
            self.held -= len(stream.unsent)
            stream.unsent = None
        self._waiting.pop(stream.number, None)
