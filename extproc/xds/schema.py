"""Envoy's message schemas as tables, taken from envoy-data-plane's generated types.

A type is found by its protobuf name and its module is imported only then, so that a command which builds no
configuration does not pay for it. Every field is known by both of its JSON names (snake_case and lowerCamelCase).
"""

import dataclasses
import enum
import importlib
import re
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import betterproto2

TYPE_URL: Final = "type.googleapis.com/"

_TYPE_NAME: Final = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)\.([A-Z]\w*)")
_GOOGLE: Final = "envoy_data_plane.google.protobuf"

# Fields of Envoy 1.40 that envoy-data-plane 2.2 does not have yet: (module, message) to (field, number, its message).
_NEWER: Final = {
    ("envoy_data_plane.envoy.extensions.formatter.cel.v3", "Cel"): (
        ("cel_config", 1, "envoy.config.core.v3.CelExpressionConfig"),
    ),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A message type. `name` is the generated class's, which for nested types joins the names without a dot."""

    of: type[Any]

    @property
    def name(self) -> str:
        return self.of.__name__

    @property
    def google(self) -> str:
        """The name, when it is one of google.protobuf's own types (their JSON may have a form of its own)."""
        return self.name if self.of.__module__ == _GOOGLE else ""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    `kind` is betterproto2's name of the type, for a map that of its values; `message` or `enum` is the type of a
    value of that kind. `key` is the kind of a map's keys, empty for any other field. `oneof` is the group that allows
    only one of its fields, empty without one.
    """

    name: str
    number: int
    kind: str
    message: Message | None
    enum: type[enum.IntEnum] | None
    repeated: bool
    key: str
    oneof: str


@cache
def find(type_name: str) -> Message:
    """A message type by its protobuf name. Raises LookupError when envoy-data-plane does not have it."""
    parts = _TYPE_NAME.fullmatch(type_name)
    if not parts:
        raise LookupError(type_name)
    try:
        module = importlib.import_module(f"envoy_data_plane.{parts[1]}")
    except ModuleNotFoundError as error:
        raise LookupError(type_name) from error
    # Classes are not always called like their messages: that of RBAC is Rbac. Nested ones are known by their class.
    pool = importlib.import_module("envoy_data_plane.message_pool").default_message_pool
    of = pool.url_to_type.get(TYPE_URL + type_name)
    if of is None and parts[2] not in module.__all__:
        raise LookupError(type_name)
    return Message(of or getattr(module, parts[2]))


@cache
def fields(message: Message) -> Mapping[str, Field]:
    """The fields of a message by each of their JSON names."""
    hints = typing.get_type_hints(message.of)
    table: dict[str, Field] = {}
    for declared in dataclasses.fields(message.of):
        meta = betterproto2.FieldMetadata.get(declared)
        key, value = meta.map_meta or (None, meta)
        of = value.unwrap() if value.unwrap else _innermost(hints[declared.name])
        name = declared.name.rstrip("_")  # Python's keywords got an underscore
        table[name] = table[_camel(name)] = Field(
            name=name,
            number=meta.number,
            kind=value.proto_type,
            message=Message(of) if value.proto_type == betterproto2.TYPE_MESSAGE else None,
            enum=of if value.proto_type == betterproto2.TYPE_ENUM else None,
            repeated=bool(meta.repeated),
            key=key.proto_type if key else "",
            oneof=meta.group or "",
        )
    for name, number, of_type in _NEWER.get((message.of.__module__, message.name), ()):
        newer = Field(name, number, "message", find(of_type), None, repeated=False, key="", oneof="")
        table[name] = table[_camel(name)] = newer
    return table


def _innermost(hint: Any) -> type[Any]:
    """The class inside `list[X]`, `X | None` and `dict[str, X]`."""
    arguments = [argument for argument in typing.get_args(hint) if argument is not type(None)]
    return _innermost(arguments[-1]) if arguments else typing.cast("type[Any]", hint)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)
