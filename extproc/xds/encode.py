"""Envoy's proto3 JSON to protobuf bytes, strictly, and with the path of every problem.

This is the one way in which configuration is serialised, ours and the user's. It walks envoy-data-plane's schemas
without making its messages: those check every nested message again at every level, which takes 10 ms for one route
list, a hundred times as long. The output is canonical (fields by number, maps by key): equal configuration has equal
bytes. Source of the rules: https://protobuf.dev/programming-guides/json/
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

from extproc.errors import InvalidResource, Problem
from extproc.xds import scalars, schema, writers
from extproc.xds.data_plane import TYPE_URL
from extproc.xds.scalars import LENGTH_DELIMITED, WIRE, tagged
from extproc.xds.vast import Vast
from extproc.xds.writers import Encoded, Packed, Unsure

__all__ = ["Encoded", "Json", "Packed", "encode", "once", "pack", "plain", "typed"]

Json = dict[str, Any]
Problems = list[Problem]


def once(type_name: str, body: Json) -> Encoded:
    """Encode a message for use in place of its JSON. Raises as `encode` does."""
    return Encoded(body, encode(type_name, body))


def pack(type_name: str, body: Json) -> Packed:
    """Encode a message for use in an Any. Raises as `encode` does."""
    return Packed(type_name, body, encode(type_name, body))


def encode(type_name: str, body: Json) -> bytes:
    """The bytes of a message. Raises InvalidResource with every problem, LookupError for a type that is unknown."""
    with suppress(Unsure):
        return bytes(writers.message(schema.find(type_name))(body))
    problems: Problems = []
    value = _message(schema.find(type_name), body, "", problems)
    if problems:
        raise InvalidResource(problems)
    return value


def typed(type_name: str, **body: Any) -> Json:
    """A message for an Any, in the spelling of Envoy's documentation."""
    return {"@type": TYPE_URL + type_name, **body}


def plain(tree: Any) -> Any:
    """The same configuration with everything that was encoded written out, as `json.dumps` takes it."""
    match tree:
        case Encoded(body, _):
            return plain(body)
        case Packed(type_name, body, _):
            return typed(type_name, **plain(body))
        case dict():
            return {key: plain(value) for key, value in tree.items()}
        case list():
            return [plain(value) for value in tree]
    return tree


def _message(message: schema.Message, body: Any, path: str, problems: Problems) -> bytes:
    if isinstance(body, Encoded):
        return body.value
    if isinstance(body, Vast):
        return bytes(body)
    if message.google in _WELL_KNOWN:
        return _WELL_KNOWN[message.google](body, path, problems)
    if not isinstance(body, Mapping):
        problems.append(Problem(path, f"must be an object, Envoy's {message.name}"))
        return b""
    table = schema.fields(message)
    given: list[tuple[int, schema.Field, str, Any]] = []
    taken: dict[str, str] = {}
    for key, value in body.items():
        where = f"{path}.{key}" if path else str(key)
        field = table.get(key)
        if field is None:
            problems.append(Problem(where, _unknown(message, str(key), table)))
        elif value is not None or field.message == schema.find("google.protobuf.Value"):
            first = taken.setdefault(field.oneof or field.name, key)
            if first != key:
                problems.append(Problem(where, f"stands beside {first!r}: give one of the two"))
            given.append((field.number, field, where, value))
    given.sort(key=lambda item: item[0])
    return b"".join([_field(field, value, where, problems) for _, field, where, value in given])


def _unknown(message: schema.Message, key: str, table: Mapping[str, schema.Field]) -> str:
    said = f"Envoy's {message.name} has no such field"
    fields = {field.name: field for field in table.values()}
    nested = {name: field.message for name, field in fields.items() if field.message and not field.message.google}
    inside = [name for name, of in nested.items() if key in schema.fields(of)]
    if len(inside) == 1:
        return f"{said}: {inside[0]!r} has it"
    near = get_close_matches(key, fields if key.islower() else table, 1)
    return f"{said}: did you mean {near[0]!r}?" if near else said


def _field(field: schema.Field, value: Any, path: str, problems: Problems) -> bytes:
    if field.key:
        return _map(field, value, path, problems)
    wire = WIRE[field.kind]
    if not field.repeated:
        return tagged(field.number, wire, _single(field, value, path, problems))
    if not isinstance(value, list):
        problems.append(Problem(path, "must be a list"))
        return b""
    items = [_single(field, item, f"{path}[{i}]", problems) for i, item in enumerate(value)]
    if wire != LENGTH_DELIMITED:  # proto3 packs repeated numbers into one field
        return tagged(field.number, LENGTH_DELIMITED, b"".join(items))
    return b"".join([tagged(field.number, wire, item) for item in items])


def _map(field: schema.Field, value: Any, path: str, problems: Problems) -> bytes:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, "must be an object"))
        return b""
    return b"".join(
        tagged(
            field.number,
            LENGTH_DELIMITED,
            tagged(1, WIRE[field.key], _scalar(scalars.KEY_WRITERS[field.key], key, path, problems))
            + tagged(2, WIRE[field.kind], _single(field, value[key], f"{path}[{key}]", problems)),
        )
        for key in sorted(value)
    )


def _single(field: schema.Field, value: Any, path: str, problems: Problems) -> bytes:
    if field.message:
        return _message(field.message, value, path, problems)
    if field.enum:
        return _scalar(partial(scalars.enum, field.enum), value, path, problems)
    return _scalar(scalars.WRITERS[field.kind], value, path, problems)


def _scalar(write: Callable[[Any], bytes], value: Any, path: str, problems: Problems) -> bytes:
    try:
        return write(value)
    except scalars.Unfit as unfit:
        problems.append(Problem(path, f"must be {unfit}"))
        return b""


def _any(value: Any, path: str, problems: Problems) -> bytes:
    if isinstance(value, Packed):
        return _in_any(value.type_name, value.value)
    url = value.get("@type") if isinstance(value, Mapping) else None
    if not isinstance(url, str) or not url.startswith(TYPE_URL):
        problems.append(Problem(path, f'must be an object with an "@type" that begins with {TYPE_URL}'))
        return b""
    type_name = url.removeprefix(TYPE_URL)
    try:
        message = schema.find(type_name)
    except LookupError:
        problems.append(Problem(f"{path}.@type", f"{type_name!r} is none of Envoy's types"))
        return b""
    if message.google in _WELL_KNOWN:
        # Its JSON may be no object, so it stands under "value" beside "@type".
        return _in_any(type_name, _message(message, value.get("value"), f"{path}.value", problems))
    inside = {key: given for key, given in value.items() if key != "@type"}
    return _in_any(type_name, _message(message, inside, path, problems))


def _in_any(type_name: str, value: bytes) -> bytes:
    url = (TYPE_URL + type_name).encode()
    return tagged(1, LENGTH_DELIMITED, url) + tagged(2, LENGTH_DELIMITED, value)


def _duration(value: Any, path: str, problems: Problems) -> bytes:
    return _scalar(scalars.duration, value, path, problems)


def _struct(value: Any, path: str, problems: Problems) -> bytes:
    return _map(schema.fields(schema.find("google.protobuf.Struct"))["fields"], value, path, problems)


def _value(value: Any, path: str, problems: Problems) -> bytes:
    match value:
        case None:
            return tagged(1, scalars.VARINT, b"\0")
        case bool():
            return tagged(4, scalars.VARINT, _scalar(scalars.WRITERS["bool"], value, path, problems))
        case int() | float():
            return tagged(2, scalars.FIXED64, _scalar(scalars.WRITERS["double"], value, path, problems))
        case str():
            return tagged(3, LENGTH_DELIMITED, _scalar(scalars.WRITERS["string"], value, path, problems))
        case list():
            return tagged(6, LENGTH_DELIMITED, _list(value, path, problems))
    return tagged(5, LENGTH_DELIMITED, _struct(value, path, problems))


def _list(value: Any, path: str, problems: Problems) -> bytes:
    if not isinstance(value, list):
        problems.append(Problem(path, "must be a list"))
        return b""
    items = [_value(item, f"{path}[{i}]", problems) for i, item in enumerate(value)]
    return b"".join([tagged(1, LENGTH_DELIMITED, item) for item in items])


def _wrapper(kind: str) -> Callable[[Any, str, Problems], bytes]:
    def write(value: Any, path: str, problems: Problems) -> bytes:
        return tagged(1, WIRE[kind], _scalar(scalars.WRITERS[kind], value, path, problems))

    return write


_WELL_KNOWN: Final[Mapping[str, Callable[[Any, str, Problems], bytes]]] = {
    "Any": _any,
    "Duration": _duration,
    "Struct": _struct,
    "Value": _value,
    "ListValue": _list,
    "BoolValue": _wrapper("bool"),
    "StringValue": _wrapper("string"),
    "BytesValue": _wrapper("bytes"),
    "Int32Value": _wrapper("int32"),
    "Int64Value": _wrapper("int64"),
    "UInt32Value": _wrapper("uint32"),
    "UInt64Value": _wrapper("uint64"),
    "FloatValue": _wrapper("float"),
    "DoubleValue": _wrapper("double"),
}
"""google.protobuf's messages that have a JSON form of their own (a Timestamp occurs in no configuration)."""
