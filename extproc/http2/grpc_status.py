"""What a gRPC call ends with, and the header blocks of its answer, as constant bytes wherever they are constant.

Blocks use the static table of HPACK and nothing else, so the same bytes do for every connection. Protocol:
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

from enum import IntEnum
from struct import Struct
from typing import Final

from extproc.errors import ExtprocError
from extproc.http2 import frames

_MESSAGE_MAX: Final = 1024  # characters of a status message; a header block has to fit into the smallest frame


class Status(IntEnum):
    """How a call ended: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class Refused(ExtprocError):
    """A call is ended with a status other than OK; the text is for whoever made the call."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


def _field(name: bytes, value: bytes) -> bytes:
    """A header field without indexing and without Huffman coding (RFC 7541, section 6.2.2)."""
    return b"\x00" + _string(name) + _string(value)


def _string(octets: bytes) -> bytes:
    if len(octets) < 0x7F:
        return bytes([len(octets)]) + octets
    rest = len(octets) - 0x7F
    length = bytearray([0x7F])
    while rest >= 0x80:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    return bytes(length) + octets


_OK_200: Final = b"\x88"  # `:status: 200`, number 8 of the static table
_GRPC: Final = b"\x0f\x10" + _string(b"application/grpc")  # content-type, number 31
HEADERS: Final = _OK_200 + _GRPC
TRAILERS_OK: Final = _field(b"grpc-status", b"0")
# Of compressions, we read none: https://github.com/grpc/grpc/blob/master/doc/compression.md
_ACCEPTS: Final = _field(b"grpc-accept-encoding", b"identity")


# An answer that is a call's first and last is one piece: but for the stream's number, all of it is constant.
Pieces = tuple[bytes, bytes, bytes, bytes]  # what is before, between and after the number in its three frames

REPLY_MAX: Final = 1024  # bytes of a message that is said so, with its prefix; the smallest frame has room for more

_KIND: Final = Struct(">IB")  # a frame's head without its stream
_PREFIX: Final = Struct(">BI")  # of a message: whether it is compressed, and its length in bytes
_BEFORE: Final = _KIND.pack(len(HEADERS) << 8 | frames.HEADERS, frames.END_HEADERS)
_AFTER: Final = _KIND.pack(len(TRAILERS_OK) << 8 | frames.HEADERS, frames.END_HEADERS | frames.END_STREAM)
AROUND: Final = 3 * frames.HEAD_SIZE + len(HEADERS) + len(TRAILERS_OK)  # bytes of such an answer that are no DATA


def whole_answer(reply: bytes) -> Pieces:
    """What is joined by a stream's number to say `reply` on it, then OK, and nothing more."""
    size = len(reply)
    data = _KIND.pack(_PREFIX.size + size << 8 | frames.DATA, 0)
    return _BEFORE, HEADERS + data, _PREFIX.pack(0, size) + reply + _AFTER, TRAILERS_OK


def data_size(answer: Pieces) -> int:
    """Bytes of DATA in a whole answer."""
    return len(answer[2]) - len(_AFTER)


def http_error(status: int) -> bytes:
    """The header block of an answer to what is no gRPC call; `status` has three digits."""
    return b"\x08" + _string(b"%d" % status)  # :status, by name


def trailers(status: Status, message: str = "") -> bytes:
    """What ends a call whose answer has begun."""
    if status is Status.OK:
        return TRAILERS_OK
    block = _field(b"grpc-status", b"%d" % status)
    if message:
        block += _field(b"grpc-message", _percent_encoded(message[:_MESSAGE_MAX]))
    return block + _ACCEPTS if status is Status.UNIMPLEMENTED else block


def trailers_only(status: Status, message: str = "") -> bytes:
    """What ends a call that was not answered."""
    return HEADERS + trailers(status, message)


def _percent_encoded(message: str) -> bytes:
    return b"".join(
        bytes([octet]) if 0x20 <= octet <= 0x7E and octet != ord("%") else b"%%%02X" % octet
        for octet in message.encode(errors="replace")
    )
