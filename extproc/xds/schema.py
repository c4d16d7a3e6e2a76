"""Envoy's message schemas as tables, taken from envoy-data-plane's generated types.

Those of every message that extproc writes, and of all that stand in them, are in `schema.json`, which
`protos/schema.py` makes; others are looked up when they are needed. What only a newer envoy-data-plane says of a
message in the table is unknown until the table is made anew. Every field is known by both of its JSON names (snake_case
and lowerCamelCase).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from extproc.xds import data_plane

_TYPE_NAME: Final = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)\.([A-Z]\w*)")
_GOOGLE: Final = "google.protobuf"


@dataclass(frozen=True, slots=True)
class Message:
    """A message type. `name` is the generated class's, which for nested types joins the names without a dot."""

    package: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.package}.{self.name}"

    @property
    def google(self) -> str:
        """The name, when it is one of google.protobuf's own types (their JSON may have a form of its own)."""
        return self.name if self.package == _GOOGLE else ""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    `kind` is the name of the type in protobuf, "message" or "enum", for a map that of its values; `message` is the type
    of a value of that kind, and `enum` has its numbers by name. `key` is the kind of a map's keys, empty for any other
    field. `oneof` is the group that allows only one of its fields, empty without one.
    """

    name: str
    number: int
    kind: str
    message: Message | None
    enum: Mapping[str, int] | None
    repeated: bool
    key: str
    oneof: str


@cache
def find(type_name: str) -> Message:
    """A message type by its protobuf name. Raises LookupError when envoy-data-plane does not have it."""
    if not _TYPE_NAME.fullmatch(type_name):
        raise LookupError(type_name)
    table = _table()
    key = table["aliases"].get(type_name, type_name)
    return _message(key if key in table["messages"] else data_plane.find(type_name))


@cache
def fields(message: Message) -> Mapping[str, Field]:
    """The fields of a message by each of their JSON names."""
    found = _table()["messages"].get(message.key)
    rows = data_plane.rows(message.key) if found is None else found
    each = [_field(name, *row) for name, row in rows.items()]
    return {spelled: field for field in each for spelled in (field.name, _camel(field.name))}


def _field(name: str, *row: Any) -> Field:
    number, kind, of, repeated, key, oneof = row
    return Field(
        name=name,
        number=number,
        kind=kind,
        message=_message(of) if kind == "message" else None,
        enum=_numbers(of) if kind == "enum" else None,
        repeated=repeated,
        key=key,
        oneof=oneof,
    )


def _numbers(key: str) -> Mapping[str, int]:
    found: Mapping[str, int] | None = _table()["enums"].get(key)
    return data_plane.numbers(key) if found is None else found


def _message(key: str) -> Message:
    package, _, name = key.rpartition(".")
    return Message(package, name)


@cache
def _table() -> Mapping[str, Any]:
    """`messages` and `enums` by key, and the keys of messages that are called otherwise in protobuf as `aliases`."""
    table: Mapping[str, Any] = json.loads(Path(__file__).with_name("schema.json").read_bytes())
    return table


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)
