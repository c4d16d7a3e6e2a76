"""One stream: its state, its windows, and what could not be sent on it yet.

The layer above makes a subclass of it and is told what happens by `opened`, `received`, `writable` and `closed`. Must
stay true: `received` is never called again once we have ended our side or have been reset, and `closed` comes exactly
once for each stream that was opened.
"""

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from extproc.http2.connection import Connection

KEY: Final = Struct(">I")  # a stream's number as it stands in frames


class Stream:
    """A stream of `connection`. Windows are in bytes, and one that we may send may be below 0 (section 6.9.2)."""

    __slots__ = (
        *("connection", "number", "key", "remote_open", "local_open"),
        *("receivable", "sendable", "unsent", "trailers"),
    )

    def __init__(self, connection: "Connection[Any]", number: int) -> None:
        self.connection = connection
        self.number = number
        self.key = KEY.pack(number)
        self.remote_open = True
        self.local_open = True
        self.receivable = connection.limits.stream_window
        self.sendable = connection.sending.initial_window
        self.unsent: bytearray | None = None  # None, or not empty
        self.trailers: bytes | None = None  # to be sent after what is unsent

    def send(self, payload: bytes) -> None:
        """Send DATA, after a header block, as soon as the windows allow it."""
        self.connection.sending.data(self, payload)

    def send_headers(self, block: bytes) -> None:
        """Send a header block, the first of the answer."""
        self.connection.sending.headers(self, block, end=False)

    def finish(self, block: bytes) -> None:
        """End our side, after everything that is unsent, with a header block if it is not empty."""
        self.local_open = False
        if self.unsent is None:
            self.connection.sending.finish(self, block)
            self.connection.finished(self)
        else:
            self.trailers = block

    def written(self) -> None:
        """What was unsent is on its way."""
        if self.trailers is not None:
            block, self.trailers = self.trailers, None
            self.finish(block)
        else:
            self.writable()
            self.connection.widen(self)

    def opened(self) -> None:
        """The request's head is there. `remote_open` tells whether anything follows."""

    def received(self, payload: bytes) -> None:
        """More of the request's body. It is at its end when `remote_open` is False."""

    def writable(self) -> None:
        """Everything that was unsent is on its way, and more may be sent."""

    def closed(self) -> None:
        """The stream is over, whoever ended it. Nothing may be sent any more."""
