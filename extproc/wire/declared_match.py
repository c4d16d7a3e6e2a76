"""The `match` of an extproc.v1.Experiment: a Struct as core's value; a part of `declared`."""

from typing import Any, Final

from google.protobuf.struct_pb2 import Struct, Value

from extproc.core.matches import Match, snake
from extproc.errors import Problem
from extproc.wire.values import Json, step

_WHOLE_MAX: Final = 2**53  # from here on, a double skips whole numbers


def match(message: Struct, unfit: list[Problem]) -> Match:
    """The Match that `message` declares; adds to `unfit` what none can be made of."""
    return Match.of(_object(message, "match", unfit))


def _object(message: Struct, path: str, unfit: list[Problem]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    first: dict[str, str] = {}
    for key, value in sorted(message.fields.items()):
        here = step(path, key)
        given = first.setdefault(snake(key), key)
        if given != key:
            unfit.append(Problem(here, f"is given as {given!r} already: keep one of the two"))
        else:
            found[key] = _value(value, here, unfit)
    return found


def _value(value: Value, path: str, unfit: list[Problem]) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _object(value.struct_value, path, unfit)
        case "list_value":
            return [_value(item, f"{path}[{i}]", unfit) for i, item in enumerate(value.list_value.values)]
        case "number_value":
            return _number(value.number_value, path, unfit)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
    return None


def _number(number: float, path: str, unfit: list[Problem]) -> float:
    if abs(number) >= _WHOLE_MAX:
        unfit.append(Problem(path, "has more digits than a number of JSON holds: put it in quotes"))
    return int(number) if number.is_integer() else number
