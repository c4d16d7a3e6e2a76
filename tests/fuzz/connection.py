"""A fuzz target for the connection: any bytes, cut anywhere.

Whatever comes, nothing is raised, memory stays below its cap, what goes out is whole frames, and a connection that is
over holds nothing. Half of the inputs are made of frames, so that they get beyond the preface.
"""

from typing import Final

from extproc.http2 import frames
from extproc.http2.limits import Limits
from tests.http2.given import METHOD, Server, cut

LIMITS: Final = Limits(
    streams=8, stream_window=20_000, connection_window=65_535, header_block=2_000, message=5_000, memory=30_000
)
PARTS: Final = 48 * 1024
HELLO: Final = frames.PREFACE + frames.settings({}) + frames.SETTINGS_ACK
# A header block of a call, as literals: mutations of it stay close to what is taken.
BLOCK: Final = (
    b"\x20\x83\x86\x04"
    + bytes([len(METHOD)])
    + METHOD.encode()
    + b"\x01\x01x\x0f\x10\x10application/grpc\x00\x02te\x08trailers"
)
KINDS: Final = 11


def feed(data: bytes) -> None:
    """One input: bytes, or what they make of frames."""
    if not data:
        return
    server = Server(LIMITS)
    server.connection.take()
    stream = data[1:] if data[0] & 1 else framed(data[1:])
    step = max(1, data[0] * 7)
    out = bytearray()
    for n, at in enumerate(range(0, len(stream), step)):
        server.connection.receive(stream[at : at + step], n / 100)
        assert server.connection.held <= LIMITS.memory + PARTS
        assert len(server.connection.streams) <= LIMITS.streams
        out += server.connection.take()
    list(cut(bytes(out)))
    if server.connection.over:
        assert server.connection.held == 0
        assert not server.connection.streams
    assert server.connection.sending.held >= 0
    assert all(not notes or notes.count(b"(over)") <= 1 for notes in server.notes.values())


def framed(data: bytes) -> bytes:
    """Frames from an input: four bytes say kind, flags, stream and length of each, and its payload follows."""
    built, at = bytearray(HELLO), 0
    while at + 4 <= len(data):
        kind, flags, number, length = data[at : at + 4]
        payload = data[at + 4 : at + 4 + length]
        at += 4 + length
        kind %= KINDS
        if kind == frames.HEADERS and number & 0x80:
            payload, number = BLOCK + payload, number & 0x7F
        built += frames.frame(kind, flags, number, payload)
    return bytes(built)
