"""Envoy's message schemas as envoy-data-plane's generated types have them: all that there are.

The import of a type takes up to a second, because it makes those of its whole package: `schema` has the ones that
extproc writes itself in a table, and comes here for others, such as those of a user's filter.
"""

import dataclasses
import importlib
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

TYPE_URL: Final = "type.googleapis.com/"

_PACKAGE: Final = "envoy_data_plane."

# A field: its number, its kind, the key of its message or enumeration, whether it is repeated, the kind of a map's
# keys, and its `oneof`. See `schema.Field`.
Row = tuple[int, str, str, bool, str, str]

# Fields of Envoy 1.40 that envoy-data-plane 2.2 does not have yet, by message.
_NEWER: Final[Mapping[str, Mapping[str, Row]]] = {
    "envoy.extensions.formatter.cel.v3.Cel": {
        "cel_config": (1, "message", "envoy.config.core.v3.CelExpressionConfig", False, "", ""),
    },
}


def find(type_name: str) -> str:
    """The key of a message, given by its protobuf name or by its key: its package, and its class there.

    Raises LookupError when envoy-data-plane does not have it.
    """
    package, _, name = type_name.rpartition(".")
    module = _module(package)
    # Classes are not always called like their messages: that of RBAC is Rbac, and nested ones have no dot.
    of = _pool().get(TYPE_URL + type_name)
    if of is None and name in getattr(module, "__all__", ()):
        of = getattr(module, name)
    if of is None or not dataclasses.is_dataclass(of):  # enumerations and services are in there, too
        raise LookupError(type_name)
    return _key(of)


def rows(key: str) -> Mapping[str, Row]:
    """The fields of a message by name."""
    of = _class(key)
    hints = typing.get_type_hints(of)
    declared = dataclasses.fields(of)
    return {each.name.rstrip("_"): _row(each, hints[each.name]) for each in declared} | dict(_NEWER.get(key, {}))


@cache
def numbers(key: str) -> Mapping[str, int]:
    """The numbers of an enumeration by name."""
    return {name: int(number) for name, number in _class(key).__members__.items()}


def protobuf_names(package: str) -> Mapping[str, str]:
    """The keys of a package's messages, but for nested ones, by their names in protobuf."""
    _module(package)
    found = {url.removeprefix(TYPE_URL): _key(of) for url, of in _pool().items()}
    return {name: key for name, key in found.items() if name.rpartition(".")[0] == package}


def _row(declared: "dataclasses.Field[Any]", hint: Any) -> Row:
    import betterproto2

    meta = betterproto2.FieldMetadata.get(declared)
    key, value = meta.map_meta or (None, meta)
    of = value.unwrap() if value.unwrap else _innermost(hint)
    named = value.proto_type in {betterproto2.TYPE_MESSAGE, betterproto2.TYPE_ENUM}
    return (
        meta.number,
        value.proto_type,
        _key(of) if named else "",
        bool(meta.repeated),
        key.proto_type if key else "",
        meta.group or "",
    )


def _module(package: str) -> Any:
    try:
        return importlib.import_module(_PACKAGE + package)
    except ModuleNotFoundError as error:
        raise LookupError(package) from error


def _class(key: str) -> Any:
    package, _, name = key.rpartition(".")
    return getattr(_module(package), name)


def _key(of: type[Any]) -> str:
    return f"{of.__module__.removeprefix(_PACKAGE)}.{of.__name__}"


def _pool() -> Mapping[str, type[Any]]:
    pool: Mapping[str, type[Any]] = importlib.import_module(f"{_PACKAGE}message_pool").default_message_pool.url_to_type
    return pool


def _innermost(hint: Any) -> type[Any]:
    """The class inside `list[X]`, `X | None` and `dict[str, X]`."""
    arguments = [argument for argument in typing.get_args(hint) if argument is not type(None)]
    return _innermost(arguments[-1]) if arguments else typing.cast("type[Any]", hint)
