"""The quick way from proto3 JSON to bytes: one writer for each field of a message, made once from its schema.

It writes what is plain and right, and gives up (`Unsure`) at everything else; `encode`, which then goes the long way,
says what is wrong, and is the authority on what is allowed. Both give the same bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from extproc.xds import scalars, schema
from extproc.xds.data_plane import TYPE_URL
from extproc.xds.scalars import LENGTH_DELIMITED, WIRE, tagged, varint
from extproc.xds.vast import Vast, Written, joined

Writer = Callable[[Any], Written]  # a field's value to the field on the wire, tag and all; raises Unsure
Body = Callable[[Any], Written]  # a message to its bytes, without tag and length
Scalar = Callable[[Any], bytes]  # likewise any other value
Plan = tuple[tuple[str, Writer], ...]

_PLANS: Final = 1024  # sets of keys that a message remembers how to write
_SHORT: Final = 128  # bytes


class Unsure(Exception):
    """Not to be written in a hurry."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A message for an Any, encoded once: `body` is what people read, `value` what Envoy reads."""

    type_name: str
    body: dict[str, Any]
    value: bytes


@dataclass(frozen=True, slots=True)
class Encoded:
    """A message that stands in another one, encoded once."""

    body: dict[str, Any]
    value: bytes


@cache
def message(of: schema.Message) -> Body:
    """What writes a message of this type."""
    if of.google:
        return _WELL_KNOWN[of.google](of) if of.google in _WELL_KNOWN else _unsure
    fields: dict[str, tuple[schema.Field, Writer]] = {}  # filled at the first use, since messages contain each other
    plans: dict[tuple[str, ...], Plan] = {}

    def write(value: Any) -> Written:
        if type(value) is Encoded:
            return value.value
        if type(value) is Vast:
            return value
        if type(value) is not dict:
            raise Unsure
        keys = tuple(value)
        if keys not in plans:
            if not fields:
                fields.update({key: (field, _field(field)) for key, field in schema.fields(of).items()})
            if len(plans) == _PLANS:
                plans.clear()
            plans[keys] = _plan(keys, fields)
        return joined([writer(value[key]) for key, writer in plans[keys]])

    return write


def _plan(keys: tuple[str, ...], fields: Mapping[str, tuple[schema.Field, Writer]]) -> Plan:
    """How to write an object that has these keys."""
    try:
        given = sorted((fields[key][0].number, key) for key in keys)
    except KeyError as error:
        raise Unsure from error
    alternatives = {fields[key][0].oneof or number for number, key in given}
    if len(alternatives) != len(given):  # a field in both spellings, or two of one `oneof`
        raise Unsure
    return tuple((key, fields[key][1]) for _, key in given)


def _field(field: schema.Field) -> Writer:
    if field.key:
        return _map(field, _body(field))
    if WIRE[field.kind] != LENGTH_DELIMITED:
        tag = varint(field.number << 3 | WIRE[field.kind])
        return _unsure if field.repeated else _scalar_field(tag, _scalar(field))
    body, before = _body(field), head(field.number)

    def one(value: Any) -> Written:
        written = body(value)
        start = before(len(written))
        return start + written if type(written) is bytes else joined((start, written))

    def every(values: Any) -> Written:
        if type(values) is not list:
            raise Unsure
        return joined([one(value) for value in values])

    return every if field.repeated else one


@cache
def head(number: int) -> Callable[[int], bytes]:
    """What stands before so many bytes of a field."""
    tag = varint(number << 3 | LENGTH_DELIMITED)
    short = tuple(tag + varint(length) for length in range(_SHORT))
    return lambda length: short[length] if length < _SHORT else tag + varint(length)


def _scalar_field(tag: bytes, body: Scalar) -> Writer:
    return lambda value: tag + body(value)


def _map(field: schema.Field, body: Body) -> Writer:
    if field.key != "string" or WIRE[field.kind] != LENGTH_DELIMITED:
        return _unsure
    before = head(field.number)

    def write(value: Any) -> bytes:
        if type(value) is not dict:
            raise Unsure
        entries = [_entry(_text(key), bytes(body(value[key]))) for key in sorted(value)]
        return b"".join([before(len(entry)) + entry for entry in entries])

    return write


_KEY: Final = head(1)
_VALUE: Final = head(2)


def _entry(key: bytes, value: bytes) -> bytes:
    """The message that an entry of a map is, of a string and of what has a length."""
    return _KEY(len(key)) + key + _VALUE(len(value)) + value


def entry(number: int, key: str, value: bytes) -> bytes:
    """One entry of the map that is field `number`, from a string to a message that is written already."""
    written = _entry(_text(key), value)
    return head(number)(len(written)) + written


def _body(field: schema.Field) -> Body:
    return message(field.message) if field.message else _scalar(field)


def _scalar(field: schema.Field) -> Scalar:
    if field.enum:
        names = {name: varint(number) for name, number in field.enum.items()}
        return lambda value: _known(names, value)
    return _SCALARS.get(field.kind, _unsure)


def _known(names: Mapping[str, bytes], value: Any) -> bytes:
    try:
        return names[value]
    except (KeyError, TypeError) as error:
        raise Unsure from error


def _text(value: Any) -> bytes:
    if type(value) is not str:
        raise Unsure
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise Unsure from error


def _bool(value: Any) -> bytes:
    if type(value) is not bool:
        raise Unsure
    return b"\1" if value else b"\0"


def _uint32(value: Any) -> bytes:
    if type(value) is not int or not 0 <= value < 2**32:
        raise Unsure
    return varint(value)


def _double(value: Any) -> bytes:
    if type(value) is not float:
        raise Unsure
    return scalars.WRITERS["double"](value)


_SCALARS: Final[Mapping[str, Scalar]] = {"string": _text, "bool": _bool, "uint32": _uint32, "double": _double}


def _unsure(_: Any) -> bytes:
    raise Unsure


@lru_cache(maxsize=256)
def _duration(value: str) -> bytes:
    try:
        return scalars.duration(value)
    except scalars.Unfit as error:
        raise Unsure from error


def _durations(_: schema.Message) -> Body:
    return lambda value: _duration(value) if type(value) is str else _unsure(value)


def _wrapped(body: Scalar) -> Callable[[schema.Message], Body]:
    return lambda _: lambda value: b"\x08" + body(value)  # field 1, a varint


def _any(_: schema.Message) -> Body:
    def write(value: Any) -> bytes:
        if type(value) is Packed:
            return _in_any(value.type_name) + varint(len(value.value)) + value.value
        if type(value) is not dict or type(value.get("@type")) is not str:
            raise Unsure
        type_name = value["@type"].removeprefix(TYPE_URL)
        try:
            of = schema.find(type_name)
        except LookupError as error:
            raise Unsure from error
        if of.google or type_name == value["@type"]:
            raise Unsure
        inside = bytes(message(of)({key: item for key, item in value.items() if key != "@type"}))
        return _in_any(type_name) + varint(len(inside)) + inside

    return write


@cache
def _in_any(type_name: str) -> bytes:
    """An Any up to the length of its value."""
    return tagged(1, LENGTH_DELIMITED, (TYPE_URL + type_name).encode()) + varint(2 << 3 | LENGTH_DELIMITED)


def _struct(of: schema.Message) -> Body:
    before = head(schema.fields(of)["fields"].number)

    def write(value: Any) -> bytes:
        if type(value) is not dict:
            raise Unsure
        entries = [_entry(_text(key), _value(value[key])) for key in sorted(value)]
        return b"".join([before(len(entry)) + entry for entry in entries])

    return write


_STRING: Final = head(3)  # of a google.protobuf.Value


def _value(value: Any) -> bytes:
    if type(value) is int:
        return tagged(2, scalars.FIXED64, scalars.WRITERS["double"](value))
    text = _text(value)
    return _STRING(len(text)) + text


_WELL_KNOWN: Final[Mapping[str, Callable[[schema.Message], Body]]] = {
    "Any": _any,
    "Duration": _durations,
    "Struct": _struct,
    "BoolValue": _wrapped(_bool),
    "UInt32Value": _wrapped(_uint32),
    "UInt64Value": _wrapped(_uint32),
}
"""Those of google.protobuf's messages with a JSON form of their own that our own configuration is made of."""
