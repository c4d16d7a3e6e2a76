"""The quick way from proto3 JSON to bytes: one writer for each field of a message, made once from its schema.

It writes what is plain and right, and gives up (`Unsure`) at everything else; `encode`, which then goes the long way,
says what is wrong, and is the authority on what is allowed. Both give the same bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, Final

from extproc.xds import scalars, schema
from extproc.xds.scalars import LENGTH_DELIMITED, WIRE, tagged, varint

Writer = Callable[[Any], bytes]  # a field's value to the field on the wire, tag and all; raises Unsure
Body = Callable[[Any], bytes]  # a value to its bytes, without tag and length

_NUMBER: Final = itemgetter(0)


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
    fields: dict[str, tuple[int, str, Writer]] = {}  # filled at the first use, since messages contain each other

    def write(value: Any) -> bytes:
        if type(value) is Encoded:
            return value.value
        if type(value) is not dict:
            raise Unsure
        if not fields:
            fields.update(_fields(of))
        return _joined(value, fields)

    return write


def _joined(value: dict[str, Any], fields: Mapping[str, tuple[int, str, Writer]]) -> bytes:
    parts = []
    groups = set()
    for key, item in value.items():
        if key not in fields:
            raise Unsure
        number, group, writer = fields[key]
        groups.add(group or number)
        parts.append((number, writer(item)))
    if len(parts) == 1:
        return parts[0][1]
    if len(groups) != len(parts):  # a field in both spellings, or two of one `oneof`
        raise Unsure
    parts.sort(key=_NUMBER)
    return b"".join([part for _, part in parts])


def _fields(of: schema.Message) -> Mapping[str, tuple[int, str, Writer]]:
    return {key: (field.number, field.oneof, _field(field)) for key, field in schema.fields(of).items()}


def _field(field: schema.Field) -> Writer:
    body = _body(field)
    if field.key:
        return _map(field, body)
    if WIRE[field.kind] != LENGTH_DELIMITED:
        return _unsure if field.repeated else _scalar_field(varint(field.number << 3 | WIRE[field.kind]), body)
    tag = varint(field.number << 3 | LENGTH_DELIMITED)

    def one(value: Any) -> bytes:
        written = body(value)
        return tag + varint(len(written)) + written

    def every(values: Any) -> bytes:
        if type(values) is not list:
            raise Unsure
        return b"".join([one(value) for value in values])

    return every if field.repeated else one


def _scalar_field(tag: bytes, body: Body) -> Writer:
    return lambda value: tag + body(value)


def _map(field: schema.Field, body: Body) -> Writer:
    if field.key != "string":
        return _unsure

    def write(value: Any) -> bytes:
        if type(value) is not dict:
            raise Unsure
        return b"".join([entry(field, key, body(value[key])) for key in sorted(value)])

    return write


def entry(field: schema.Field, key: str, value: bytes) -> bytes:
    """One entry of a map from strings to messages or strings, `value` without its tag."""
    inside = tagged(1, LENGTH_DELIMITED, _text(key)) + tagged(2, WIRE[field.kind], value)
    return tagged(field.number, LENGTH_DELIMITED, inside)


def _body(field: schema.Field) -> Body:
    if field.message:
        return message(field.message)
    if field.enum:
        names = {name: varint(number) for name, number in field.enum.__members__.items()}
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


_SCALARS: Final[Mapping[str, Body]] = {"string": _text, "bool": _bool, "uint32": _uint32, "double": _double}


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


def _wrapped(body: Body) -> Callable[[schema.Message], Body]:
    return lambda _: lambda value: b"\x08" + body(value)  # field 1, a varint


def _any(_: schema.Message) -> Body:
    def write(value: Any) -> bytes:
        if type(value) is Packed:
            return _in_any(value.type_name) + varint(len(value.value)) + value.value
        if type(value) is not dict or type(value.get("@type")) is not str:
            raise Unsure
        type_name = value["@type"].removeprefix(schema.TYPE_URL)
        try:
            of = schema.find(type_name)
        except LookupError as error:
            raise Unsure from error
        if of.google or type_name == value["@type"]:
            raise Unsure
        inside = message(of)({key: item for key, item in value.items() if key != "@type"})
        return _in_any(type_name) + varint(len(inside)) + inside

    return write


@cache
def _in_any(type_name: str) -> bytes:
    """An Any up to the length of its value."""
    return tagged(1, LENGTH_DELIMITED, (schema.TYPE_URL + type_name).encode()) + varint(2 << 3 | LENGTH_DELIMITED)


def _struct(of: schema.Message) -> Body:
    field = schema.fields(of)["fields"]

    def write(value: Any) -> bytes:
        if type(value) is not dict:
            raise Unsure
        return b"".join([entry(field, key, _value(value[key])) for key in sorted(value)])

    return write


def _value(value: Any) -> bytes:
    if type(value) is int:
        return tagged(2, scalars.FIXED64, scalars.WRITERS["double"](value))
    return tagged(3, LENGTH_DELIMITED, _text(value))


_WELL_KNOWN: Final[Mapping[str, Callable[[schema.Message], Body]]] = {
    "Any": _any,
    "Duration": _durations,
    "Struct": _struct,
    "BoolValue": _wrapped(_bool),
    "UInt32Value": _wrapped(_uint32),
}
"""Those of google.protobuf's messages with a JSON form of their own that our own configuration is made of."""
