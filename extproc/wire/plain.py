"""The quick way from a user's object to a Model or an Experiment: what is plain and right is read without a schema.

It gives up (None) at everything else, another spelling, a number in quotes or a rule that is broken; `declared`, which
then goes the long way, says what is wrong, and is the authority on what is allowed. Both read the same.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from extproc.core.resources import (
    MILLION,
    Api,
    Candidate,
    Endpoint,
    Experiment,
    Mirror,
    Model,
    Readiness,
    ResourceType,
    Retry,
    WhenUnavailable,
)
from extproc.errors import InvalidResource
from extproc.wire import durations
from extproc.wire.declared import RETRY_ATTEMPTS, RETRY_ON
from extproc.wire.values import TYPE, Json

R = TypeVar("R")

_ENDPOINT: Final = re.compile(r"([A-Za-z0-9._-]+):([1-9][0-9]{0,4})")
_UINT32: Final = 2**32
_READINESS: Final = Readiness()
_MILLIONTHS_OF_A_PERCENT: Final = MILLION // 100


class _Unsure(Exception):
    """Not to be read in a hurry."""


def model(value: dict[str, Json]) -> Model | None:
    """The Model that `value` is, with or without its "@type"."""
    return _tried(_model, value)


def experiment(value: dict[str, Json]) -> Experiment | None:
    """The Experiment that `value` is, with or without its "@type"."""
    return _tried(_experiment, value)


def _tried(read: Callable[[Any], R], value: Any) -> R | None:
    try:
        return read(value)
    except (_Unsure, InvalidResource, ValueError):
        return None


Reader = Callable[[Any], Any]


def _fields(value: Any, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """What the fields of an object are. Raises _Unsure."""
    if type(value) is not dict:
        raise _Unsure
    read = {}
    for key, item in value.items():
        reader = readers.get(key)
        if reader is None:
            raise _Unsure
        read[key] = reader(item)
    return read


def _text(value: Any) -> str:
    # ASCII has no halves of characters.
    if type(value) is str and value.isascii():
        return value
    raise _Unsure


def _uint32(value: Any) -> int:
    if type(value) is int and 0 <= value < _UINT32:
        return value
    raise _Unsure


def _bool(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise _Unsure


def _millionths(value: Any) -> int:
    if type(value) is int and 0 <= value <= 100:
        return value * _MILLIONTHS_OF_A_PERCENT
    if type(value) is float and 0 <= value <= 100:
        # repr is the shortest text of a double, so the number that the user wrote and not its binary neighbour.
        millionths = Decimal(repr(value)) * _MILLIONTHS_OF_A_PERCENT
        if millionths == millionths.to_integral_value():
            return int(millionths)
    raise _Unsure


def _duration(value: Any) -> int:
    return durations.milliseconds(_text(value))


def _each(reader: Callable[[Any], R]) -> Callable[[Any], tuple[R, ...]]:
    def read(value: Any) -> tuple[R, ...]:
        if type(value) is list:
            return tuple([reader(item) for item in value])
        raise _Unsure

    return read


def _member(of: type[R]) -> Callable[[Any], R]:
    members: Mapping[str, R] = {member.value: member for member in of}  # type: ignore[attr-defined]

    def read(value: Any) -> R:
        found = members.get(value) if type(value) is str else None
        if found is None:
            raise _Unsure
        return found

    return read


def _endpoint(value: Any) -> Endpoint:
    found = _ENDPOINT.fullmatch(_text(value))
    if found is None:
        raise _Unsure
    return Endpoint(found[1], int(found[2]))


def _readiness(value: Any) -> Readiness:
    given = _fields(value, _READINESS_FIELDS)
    return Readiness(given.get("path", ""), given.get("interval", _READINESS.interval), given.get("disabled", False))


def _model(value: Any) -> Model:
    given = _fields(value, _MODEL_FIELDS)
    given.pop(TYPE, None)
    return Model(given.pop("name", ""), **given)


def _candidate(value: Any) -> Candidate:
    given = _fields(value, _CANDIDATE_FIELDS)
    return Candidate(given.get("name", ""), given.get("weight", 0), given.get("cluster", ""))


def _mirror(value: Any) -> Mirror:
    given = _fields(value, _MIRROR_FIELDS)
    return Mirror(given.get("name", ""), given.get("percent", 0), given.get("cluster", ""))


def _retry(value: Any) -> Retry:
    given = _fields(value, _RETRY_FIELDS)
    attempts, retry_on = given.get("attempts", RETRY_ATTEMPTS), given.get("retry_on") or RETRY_ON
    return Retry(attempts, retry_on, given.get("per_try_timeout", 0))


def _experiment(value: Any) -> Experiment:
    given = _fields(value, _EXPERIMENT_FIELDS)
    given.pop(TYPE, None)
    if "mirror" in given and "mirrors" in given:
        raise _Unsure
    return Experiment(given.pop("name", ""), given.pop("candidates", ()), **given)


_READINESS_FIELDS: Final[Mapping[str, Reader]] = {"path": _text, "interval": _duration, "disabled": _bool}
_MODEL_FIELDS: Final[Mapping[str, Reader]] = {
    TYPE: _text,
    "name": _text,
    "version": _uint32,
    "endpoints": _each(_endpoint),
    "grpc_endpoints": _each(_endpoint),
    "cluster": _text,
    "grpc_cluster": _text,
    "served_name": _text,
    "readiness": _readiness,
    "api": _member(Api),
}
_CANDIDATE_FIELDS: Final[Mapping[str, Reader]] = {"name": _text, "weight": _uint32, "cluster": _text}
_MIRROR_FIELDS: Final[Mapping[str, Reader]] = {"name": _text, "percent": _millionths, "cluster": _text}
_RETRY_FIELDS: Final[Mapping[str, Reader]] = {
    "attempts": _uint32,
    "retry_on": _each(_text),
    "per_try_timeout": _duration,
}
# Not those that assign units, and no match: what they hold is judged by more than its type.
_EXPERIMENT_FIELDS: Final[Mapping[str, Reader]] = {
    TYPE: _text,
    "name": _text,
    "default": _text,
    "candidates": _each(_candidate),
    "mirror": _mirror,
    "mirrors": _each(_mirror),
    "resource_type": _member(ResourceType),
    "when_unavailable": _member(WhenUnavailable),
    "timeout": _duration,
    "retry": _retry,
    "holdout": _millionths,
}
