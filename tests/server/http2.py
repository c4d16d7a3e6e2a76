"""A gRPC client as raw HTTP/2 frames (RFC 9113): for what real clients don't do, and for very many streams at once.

It keeps to the server's flow control and never widens its own window for a stream, so what it asks for it decides.
"""

import asyncio
import contextlib
import struct
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

from extproc.names import EXT_PROC_METHOD

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM = ACK = 1
END_HEADERS = 4
CANCEL: Final = 8
_INITIAL_WINDOW: Final = (0x4).to_bytes(2)  # SETTINGS_INITIAL_WINDOW_SIZE
_WIDE: Final = 2**30


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _literal(prefix: bytes, value: str) -> bytes:
    """A header field without indexing and without Huffman coding (RFC 7541, section 6.2.2)."""
    return prefix + bytes([len(value)]) + value.encode()


# Indices are of RFC 7541, appendix A: POST is 3, http 6, :path 4, :authority 1 and content-type 31.
_REQUEST: Final = (
    b"\x83\x86"
    + _literal(b"\x04", EXT_PROC_METHOD)
    + _literal(b"\x01", "localhost")
    + _literal(b"\x0f\x10", "application/grpc")
    + _literal(b"\x00" + bytes([2]) + b"te", "trailers")
)


class Http2:
    """One connection. `data` and `resets` count what came for each stream; `acks` counts answered pings.

    `ended` holds the streams that the server has ended. `sent` counts the bytes of messages; `held_up` is true while
    the server does not let us send more.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.data: Final[Counter[int]] = Counter()
        self.resets: Final[Counter[int]] = Counter()
        self.ended: Final[set[int]] = set()
        self.acks = 0
        self.goaway = b""
        self.sent = 0
        self.held_up = False
        self.closed = False
        self._reader = reader
        self._writer = writer
        # What we may send (RFC 9113, section 6.9): on the whole connection (0) and on each stream.
        self._initial = 65535
        self._windows: Final[defaultdict[int, int]] = defaultdict(lambda: self._initial, {0: 65535})
        self._widened = asyncio.Event()
        self._next = 1

    @classmethod
    @asynccontextmanager
    async def connect(cls, port: int, *, stream_window: int = 65535) -> AsyncIterator[Self]:
        """Connect; the server may send `stream_window` bytes on each stream, and no more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        connection = cls(reader, writer)
        writer.write(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + frame(SETTINGS, 0, 0, _INITIAL_WINDOW + struct.pack(">I", stream_window))
            + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", _WIDE))
        )
        listening = asyncio.create_task(connection._listen())
        try:
            yield connection
        finally:
            writer.close()
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def open(self) -> int:
        """Open a stream of ext_proc, and return its number."""
        stream, self._next = self._next, self._next + 2
        self._writer.write(frame(HEADERS, END_HEADERS, stream, _REQUEST))
        return stream

    async def send(self, stream: int, message: bytes) -> None:
        """Send a gRPC message, when the server lets us."""
        payload = b"\x00" + struct.pack(">I", len(message)) + message
        while min(self._windows[0], self._windows[stream]) < len(payload):
            self.held_up = True
            self._widened.clear()
            await self._widened.wait()
        self.held_up = False
        self._windows[0] -= len(payload)
        self._windows[stream] -= len(payload)
        self.sent += len(payload)
        self._writer.write(frame(DATA, 0, stream, payload))
        await self._writer.drain()

    def reset(self, stream: int) -> None:
        self._writer.write(frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL)))

    def ping(self) -> None:
        self._writer.write(frame(PING, 0, 0, b"\0" * 8))

    def write(self, raw: bytes) -> None:
        self._writer.write(raw)

    async def _listen(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._reader.readexactly(9)
                payload = await self._reader.readexactly(int.from_bytes(head[:3]))
                self._take(head[3], head[4], int.from_bytes(head[5:]), payload)
        self.closed = True

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind in {DATA, HEADERS} and flags & END_STREAM:
            self.ended.add(stream)
        match kind:
            case 0:
                self.data[stream] += len(payload)
            case 3:
                self.resets[stream] += 1
            case 4 if not flags & ACK:
                settings = {payload[i : i + 2]: payload[i + 2 : i + 6] for i in range(0, len(payload), 6)}
                self._set_initial(int.from_bytes(settings.get(_INITIAL_WINDOW, self._initial.to_bytes(4))))
                self._writer.write(frame(SETTINGS, ACK, 0))
            case 6 if flags & ACK:
                self.acks += 1
            case 6:
                self._writer.write(frame(PING, ACK, 0, payload))
            case 7:
                self.goaway = payload
            case 8:
                self._windows[stream] += int.from_bytes(payload)
                self._widened.set()

    def _set_initial(self, window: int) -> None:
        for stream in self._windows:
            self._windows[stream] += (window - self._initial) if stream else 0
        self._initial = window
        self._widened.set()
