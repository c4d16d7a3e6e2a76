"""The unit of a request, out of the attributes that Envoy sends for an experiment that assigns units.

What an attribute's name says is done to its value: a cookie and a query parameter are looked up in the whole header and
the whole query, an address loses its port. Total: what can't be read is no unit. A unit may be a credential, so it is
never logged.
"""

import re
from collections.abc import Mapping
from typing import Final, Protocol

from extproc.names import (
    ISSUABLE,
    UNIT_ADDRESS_ATTRIBUTE,
    UNIT_ATTRIBUTE,
    UNIT_COOKIE_ATTRIBUTE,
    UNIT_ISSUED_ATTRIBUTE,
    UNIT_QUERY_ATTRIBUTE,
)

_ISSUABLE: Final = re.compile(ISSUABLE.encode())
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_WHOLE_MAX: Final = 2.0**53  # above, a double skips whole numbers


class Value(Protocol):
    """A google.protobuf.Value, as far as it is read."""

    number_value: float
    string_value: bytes

    def WhichOneof(self, oneof_group: str, /) -> str | None:  # noqa: N802 (protobuf's own name)
        """Which of the two it holds."""


def unit_of(attributes: Mapping[str, Value]) -> bytes:
    """The unit, empty when there is none. The first attribute that gives one counts; an issued one comes last."""
    issued = b""
    for name, value in attributes.items():
        if name == UNIT_ATTRIBUTE:
            found = _text(value)
        elif name.startswith(UNIT_COOKIE_ATTRIBUTE):
            found = cookie(value.string_value, name[len(UNIT_COOKIE_ATTRIBUTE) :].encode())
        elif name.startswith(UNIT_QUERY_ATTRIBUTE):
            found = parameter(value.string_value, name[len(UNIT_QUERY_ATTRIBUTE) :].encode())
        elif name == UNIT_ADDRESS_ATTRIBUTE:
            found = value.string_value.rpartition(b":")[0]
        elif name == UNIT_ISSUED_ATTRIBUTE:
            issued = value.string_value if _ISSUABLE.fullmatch(value.string_value) else b""
            found = b""
        else:
            continue
        if found:
            return found
    return issued


def cookie(header: bytes, name: bytes) -> bytes:
    """The value of the first cookie of that name, without its quotes; empty when there is none (RFC 6265, section 5.4).

    Envoy joins several cookie headers with "; ".
    """
    for pair in header.split(b";"):
        key, equals, value = pair.strip(b" \t").partition(b"=")
        if equals and key == name:
            return value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value
    return b""


def parameter(query: bytes, name: bytes) -> bytes:
    """The decoded value of the first parameter of that name that has one; empty when there is none."""
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if value and _decoded(key) == name:
            return _decoded(value)
    return b""


def _decoded(text: bytes) -> bytes:
    """https://url.spec.whatwg.org/#urlencoded-parsing: a plus is a space; what is no escape stays as it is."""
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), text.replace(b"+", b" "))


def _text(value: Value) -> bytes:
    """A claim may be a number: 42 is the unit "42", as it is where the same claim is a text."""
    if value.WhichOneof("kind") != "number_value":
        return value.string_value
    number = value.number_value
    return b"%d" % number if number.is_integer() and abs(number) < _WHOLE_MAX else repr(number).encode()
