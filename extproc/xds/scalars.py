"""Single values of proto3 JSON to the protobuf wire: one small writer for each kind, found in a table.

A writer takes what `json.loads` gives and returns the value without its tag, or raises Unfit. Source of the rules:
https://protobuf.dev/programming-guides/json/ and https://protobuf.dev/programming-guides/encoding/
"""

import base64
import binascii
import re
import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5

_SECONDS_MAX: Final = 315_576_000_000  # 10,000 years (google/protobuf/duration.proto)


_ONE_BYTE: Final = tuple(bytes((value,)) for value in range(0x80))


class Unfit(ValueError):
    """A value that its field can't hold; the message completes the sentence "must be …"."""


def varint(value: int) -> bytes:
    """A base-128 varint; a negative number is written as its 64-bit two's complement."""
    if 0 <= value <= 0x7F:
        return _ONE_BYTE[value]
    if 0 <= value <= 0x3FFF:
        return bytes((value & 0x7F | 0x80, value >> 7))
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tagged(number: int, wire: int, value: bytes) -> bytes:
    """A field on the wire: its tag, its length where it needs one, its value."""
    tag = _tag(number, wire)
    return tag + varint(len(value)) + value if wire == LENGTH_DELIMITED else tag + value


def tagged_length(number: int, length: int) -> bytes:
    """What stands before `length` bytes of a field."""
    return _tag(number, LENGTH_DELIMITED) + varint(length)


@cache  # Envoy's fields are many, their numbers few
def _tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise Unfit("a string")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise Unfit("a string of Unicode characters") from error


def enum(of: Mapping[str, int], value: Any) -> bytes:
    if isinstance(value, str) and value in of:
        return varint(of[value])
    if isinstance(value, int) and not isinstance(value, bool):
        return varint(value)
    raise Unfit(f"one of {', '.join(of)}")


def duration(value: Any) -> bytes:
    """A google.protobuf.Duration, written as seconds: "1s", "0.25s"."""
    parts = re.fullmatch(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", value, re.ASCII) if isinstance(value, str) else None
    if not parts or int(parts[2]) > _SECONDS_MAX:
        raise Unfit('a duration in seconds, like "1s" or "0.25s"')
    sign = -1 if parts[1] else 1
    counts = (sign * int(parts[2]), sign * int((parts[3] or "").ljust(9, "0")))
    return b"".join([tagged(number, VARINT, varint(count)) for number, count in enumerate(counts, 1) if count])


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(text(value).translate(_URL_SAFE).rstrip(b"=") + b"==")
    except binascii.Error as error:
        raise Unfit("base64") from error


_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


def _bool(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise Unfit("true or false")
    return varint(value)


def _bool_key(value: Any) -> bytes:
    return _bool({"true": True, "false": False}.get(value, value))


def _whole(low: int, high: int) -> Callable[[Any], bytes]:
    def write(value: Any) -> bytes:
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value, re.ASCII):  # JSON writes 64 bits as a string
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Unfit(f"a whole number between {low} and {high}")
        return varint(value)

    return write


def _real(layout: str) -> Callable[[Any], bytes]:
    def write(value: Any) -> bytes:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit("a number")
        try:
            return struct.pack(layout, value)
        except OverflowError as error:
            raise Unfit("a smaller number") from error

    return write


_INT32: Final = _whole(-(2**31), 2**31 - 1)
_INT64: Final = _whole(-(2**63), 2**63 - 1)
_UINT32: Final = _whole(0, 2**32 - 1)
_UINT64: Final = _whole(0, 2**64 - 1)

WRITERS: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "string": text,
    "bytes": _bytes,
    "bool": _bool,
    "int32": _INT32,
    "int64": _INT64,
    "uint32": _UINT32,
    "uint64": _UINT64,
    "float": _real("<f"),
    "double": _real("<d"),
}
"""By the kind's name; Envoy's configuration uses no fixed-size and no zigzag integers."""

KEY_WRITERS: Final[Mapping[str, Callable[[Any], bytes]]] = {**WRITERS, "bool": _bool_key}

WIRE: Final[Mapping[str, int]] = {
    "float": FIXED32,
    "double": FIXED64,
    **dict.fromkeys(("string", "bytes", "message"), LENGTH_DELIMITED),
    **dict.fromkeys(("bool", "enum", "int32", "int64", "uint32", "uint64"), VARINT),
}
