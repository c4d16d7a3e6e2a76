"""A fuzz target for the connection: any bytes, cut anywhere.

Whatever comes, nothing is raised, memory stays below its cap, what goes out is whole frames, and a connection that is
over holds nothing. All of it is answered the same with calls that come whole taking the usual way. Half of the inputs
are made of frames, so that they get beyond the preface.
"""

from typing import Final

from extproc.http2 import frames
from extproc.http2.limits import Limits
from tests.http2.given import METHOD, Server, cut, known, message

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
WHOLE: Final = (11, 12)  # kinds that stand for a call that comes whole


def feed(data: bytes) -> None:
    """One input: bytes, or what they make of frames."""
    if not data:
        return
    server, usual = Server(LIMITS), Server(LIMITS, shortly=False)
    assert server.connection.take() == usual.connection.take()
    stream = data[1:] if data[0] & 1 else framed(data[1:])
    step = max(1, data[0] * 7)
    out = bytearray()
    for n, at in enumerate(range(0, len(stream), step)):
        server.connection.receive(stream[at : at + step], n / 100)
        assert server.connection.held <= LIMITS.memory + PARTS
        assert server.connection.open_streams <= LIMITS.streams
        usual.connection.receive(stream[at : at + step], n / 100)
        said = server.connection.take()
        assert said == usual.connection.take()
        out += said
    list(cut(bytes(out)))
    if server.connection.over:
        assert server.connection.held == 0
        assert not server.connection.open_streams
    assert known(server.connection) == known(usual.connection)
    assert server.connection.sending.held >= 0
    assert all(not notes or notes.count(b"(over)") <= 1 for notes in server.notes.values())


def framed(data: bytes) -> bytes:
    """Frames from an input: four bytes say kind, flags, stream and length of each, and its payload follows."""
    built, at, called = bytearray(HELLO), 0, False
    while at + 4 <= len(data):
        kind, flags, number, length = data[at : at + 4]
        payload = data[at + 4 : at + 4 + length]
        at += 4 + length
        kind %= KINDS + len(WHOLE)
        if kind in WHOLE:
            number = number & 0x7F | 1
            built += frames.frame(frames.HEADERS, frames.END_HEADERS, number, BLOCK[called:])
            called = True
            kind, flags, payload = frames.DATA, 0, message(b"last:" + payload)
        if kind == frames.HEADERS and number & 0x80:
            payload, number = BLOCK + payload, number & 0x7F
        built += frames.frame(kind, flags, number, payload)
    return bytes(built)
