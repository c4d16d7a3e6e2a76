"""One value of a scalar field, read by the rules of proto3 JSON: a table from the field's type to its reader.

A reader returns a value that json_format takes without complaint, or raises Wrong with the rule that is broken.
"""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from google.protobuf.descriptor import FieldDescriptor

from extproc.wire import durations
from extproc.wire.values import Json, shown, text_problem

_UINT32_MAX: Final = 2**32 - 1
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?")

Reader = Callable[[Json, FieldDescriptor], Json]


class Wrong(Exception):
    """A value is not what its field holds; the message is the rule."""


def duration(value: Json) -> str:
    """A google.protobuf.Duration's text, in seconds, whatever the unit it was given in."""
    if not isinstance(value, str):
        raise Wrong(f"must be a duration like '1.5s', not {shown(value)}")
    try:
        return durations.text(durations.milliseconds(value))
    except ValueError as error:
        raise Wrong(str(error)) from error


def _string(value: Json, _: FieldDescriptor) -> str:
    if not isinstance(value, str):
        hint = "" if isinstance(value, dict | list) else ": put it in quotes"
        raise Wrong(f"must be a text, not {shown(value)}{hint}")
    if text_problem(value):
        raise Wrong(text_problem(value))
    return value


def _bool(value: Json, _: FieldDescriptor) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"must be true or false, not {shown(value)}")
    return value


def _number(value: Json) -> Decimal | None:
    """The exact number that `value` is, written as a number or as a text; None if it is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        return None
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _uint32(value: Json, _: FieldDescriptor) -> int:
    number = _number(value)
    if number is None or not 0 <= number <= _UINT32_MAX or number != number.to_integral_value():
        raise Wrong(f"must be a whole number between 0 and {_UINT32_MAX}, not {shown(value)}")
    return int(number)


def _double(value: Json, _: FieldDescriptor) -> float:
    number = _number(value)
    if number is None or not math.isfinite(float(number)):
        raise Wrong(f"must be a finite number, not {shown(value)}")
    return float(number)


def _enum(value: Json, of: FieldDescriptor) -> str:
    numbers = {v.number: v.name for v in of.enum_type.values} if of.enum_type else {}
    if isinstance(value, str) and value in numbers.values():
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value in numbers:
        return numbers[value]
    raise Wrong(f"must be one of {', '.join(numbers.values())}, not {shown(value)}")


READERS: Final[Mapping[int, Reader]] = {
    FieldDescriptor.CPPTYPE_STRING: _string,
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    FieldDescriptor.CPPTYPE_UINT32: _uint32,
    FieldDescriptor.CPPTYPE_DOUBLE: _double,
    FieldDescriptor.CPPTYPE_ENUM: _enum,
}
FILLERS: Final[Mapping[int, Json]] = {
    FieldDescriptor.CPPTYPE_STRING: "",
    FieldDescriptor.CPPTYPE_BOOL: False,
    FieldDescriptor.CPPTYPE_UINT32: 0,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.0,
    FieldDescriptor.CPPTYPE_ENUM: 0,
}
