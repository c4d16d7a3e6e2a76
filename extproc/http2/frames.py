"""Frames and their numbers as RFC 9113 has them, and the few frames that a server builds.

Every function here is pure. Lengths are in bytes; a stream's number is an int, 0 is the connection.
"""

from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # section 3.4

# A frame's head: its length (24 bits) and kind (8 bits) as one number, its flags, its stream (section 4.1).
HEAD: Final = Struct(">IBI")
HEAD_SIZE: Final = 9
STREAM_MASK: Final = 0x7FFFFFFF  # the bit above is reserved, and ignored
WINDOW_MAX: Final = 2**31 - 1  # section 6.9.1
FRAME_SIZE: Final = 16_384  # the largest payload that is always allowed, section 4.2
FRAME_SIZE_MAX: Final = 2**24 - 1
DEFAULT_WINDOW: Final = 65_535
HEADER_TABLE: Final = 4_096  # a peer's dynamic table to begin with, section 6.5.2

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITISED: Final = 0x20

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6

PRIORITY_SIZE: Final = 5
PING_SIZE: Final = 8
NUMBER_SIZE: Final = 4  # the payload of RST_STREAM and WINDOW_UPDATE
GOAWAY_SIZE: Final = 8  # at least
_SETTING: Final = Struct(">HI")
SETTING_SIZE: Final = _SETTING.size
_NUMBER: Final = Struct(">I")


class ErrorCode(IntEnum):
    """Why a stream or a connection is ended, section 7. Other numbers may come from a peer, and mean nothing."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def number(payload: bytes) -> int:
    """The 31 bits that a payload of four bytes holds, whatever its first bit."""
    return int.from_bytes(payload) & STREAM_MASK


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Pairs of identifier and value, in the order in which they have to be applied (section 6.5.3)."""
    return list(_SETTING.iter_unpack(payload))


SETTINGS_ACK: Final = frame(SETTINGS, ACK, 0)


def ping_ack(payload: bytes) -> bytes:
    """The answer to a PING."""
    return frame(PING, ACK, 0, payload)


def ping(payload: bytes) -> bytes:
    """A PING of eight bytes."""
    return frame(PING, 0, 0, payload)


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE; `increment` is from 1 to WINDOW_MAX."""
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(increment))


def rst_stream(stream: int, code: ErrorCode) -> bytes:
    """A RST_STREAM."""
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def goaway(last: int, code: ErrorCode, reason: str = "") -> bytes:
    """A GOAWAY: nothing after the stream `last` was or will be worked on. `reason` is for people who debug."""
    return frame(GOAWAY, 0, 0, _NUMBER.pack(last) + _NUMBER.pack(code) + reason.encode())
