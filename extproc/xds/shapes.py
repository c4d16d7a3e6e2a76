"""What is left of the resources behind some routes when their names are taken out: their shape, and the names.

Routes of one shape differ in nothing but names, so that one is written and the others are filled in. Must stay true:
what is not known here to be covered (a field of a resource that COVERED does not list and that is not at its default,
another type of value, a name with unusual letters) has no shape, and is written by itself.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import count
from typing import Any, Final

from extproc import names
from extproc.core.availability import Shares
from extproc.core.resources import Candidate, Endpoint, Experiment, Mirror, Model, Retry
from extproc.xds.endpoints import Plain, Split
from extproc.xds.remembered import Remembered

Given = tuple[Any, ...]  # the arguments of what makes an OnMatch
Shape = tuple[Any, ...]
Parted = tuple[Shape, tuple[str, ...]]  # names in the order in which they occur first


class NoShape(Exception):
    """To be written by itself."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What of a resource routes depend on, and how; the fields of it that are in none of these have to be absent.

    `named` hold names that stand in routes as they are, or tuples of such; `whole` hold what a shape holds too; of
    `present` only that they are there matters, and of `apart` nothing.
    """

    named: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()


# Not covered is all that assigns units: what Envoy does for them depends on hashes of names.
COVERED: Final[Mapping[type, Fields]] = {
    Experiment: Fields(
        named=("name", "default"),
        whole=("candidates", "mirror", "mirrors", "resource_type", "when_unavailable", "timeout", "retry"),
    ),
    Candidate: Fields(named=("name",), whole=("weight",)),
    Mirror: Fields(named=("name",), whole=("millionths",)),
    Retry: Fields(whole=("attempts", "retry_on", "per_try_timeout")),
    # Routes lead to clusters; where these are and how they are checked is another matter.
    Model: Fields(
        named=("name", "served_name", "cluster", "grpc_cluster"),
        whole=("version", "api"),
        present=("endpoints", "grpc_endpoints"),
        apart=("readiness",),
    ),
    Shares: Fields(named=("weighted", "reachable"), whole=("narrowed",)),
    Plain: Fields(whole=("model", "resource_type")),
    Split: Fields(whole=("experiment", "models", "shares")),
}

NUMBERED: Final = 4096  # shapes of resources that are known

_APART: Final = frozenset({Model, Split})
_NAME: Final = re.compile(r"[a-zA-Z0-9][-._a-zA-Z0-9]*")
_PRESENT: Final = (Endpoint("127.0.0.1", 1),)
_SUFFIXES: Final = (names.EXPERIMENT_SUFFIX, names.PIPELINE_SUFFIX)

Found = dict[str, int]  # names by their numbers
_NAMED, _WHOLE, _PRESENCE, _NOTHING = range(4)
_Plan = tuple[tuple[str, int, Any], ...]  # a field, how it is looked at, and its default


def parted(given: Given) -> Parted:
    """The shape of `given`, and its names. Raises NoShape."""
    found: Found = {}
    apart = -1
    for value in given:
        if type(value) is Split:
            known = _by_itself(value)
            if apart >= 0 or known is None:
                raise NoShape
            # A split's names come first among all, so that its shape is the same wherever it stands.
            apart, its = known
            found = dict(zip(its, range(len(its)), strict=True))
    return tuple([apart if type(value) is Split else _argument(value, found) for value in given]), tuple(found)


def renamed(given: Given, to: Mapping[str, str]) -> Given:
    """`given`, which has a shape, with other names."""
    return tuple(_renamed_argument(value, to) for value in given)


class _Numbers:
    """A number for each shape that occurs in others; no number stands for two shapes, ever."""

    def __init__(self) -> None:
        self._known: dict[Shape, int] = {}
        self._fresh: Final = count()

    def __getitem__(self, shape: Shape) -> int:
        number = self._known.get(shape)
        if number is None:
            if len(self._known) == NUMBERED:
                self._known.clear()
            number = self._known[shape] = next(self._fresh)
        return number


_NUMBERS: Final = _Numbers()


@Remembered
def _by_itself(value: Model | Split) -> tuple[int, tuple[str, ...]] | None:
    """The number of a value's shape, and its names; None where it has no shape."""
    found: Found = {}
    try:
        return _NUMBERS[_inside(value, found)], tuple(found)
    except NoShape:
        return None


def _apart(value: Model | Split, found: Found) -> Shape:
    """The shape of what occurs in many places, looked at once."""
    known = _by_itself(value)
    if known is None:
        raise NoShape
    number, its = known
    return (number, *[found.setdefault(name, len(found)) for name in its])


def _argument(value: Any, found: Found) -> Any:
    """An argument: a name or an endpoint, a resource, or a tuple of these."""
    if type(value) is str:
        base, suffix = _without_suffix(value)
        return (_named(base, found), suffix)
    if type(value) is tuple:
        return tuple([_argument(item, found) for item in value])
    return _whole(value, found)


def _named(value: Any, found: Found) -> Any:
    if type(value) is str:
        if value not in found:
            if not value:
                return value
            # As an argument the same name is taken apart, and would be another one.
            if not _NAME.fullmatch(value) or value.endswith(_SUFFIXES):
                raise NoShape
            found[value] = len(found)
        return found[value]
    if type(value) is tuple:
        return tuple([_named(item, found) for item in value])
    return _whole(value, found)


def _whole(value: Any, found: Found) -> Any:
    of: Any = type(value)
    if of in _APART:
        return _apart(value, found)
    return _inside(value, found)


def _inside(value: Any, found: Found) -> Any:
    of: Any = type(value)
    if of is tuple:
        return tuple([_whole(item, found) for item in value])
    plan = _plan(of)
    if plan is None:
        return value
    shape: list[Any] = [of]
    for name, how, default in plan:
        held = getattr(value, name)
        if how == _NAMED:
            shape.append(_named(held, found))
        elif how == _WHOLE:
            shape.append(_whole(held, found))
        elif how == _PRESENCE:
            shape.append(bool(held))
        elif held != default:
            raise NoShape
    return tuple(shape)


@cache
def _plan(of: Any) -> _Plan | None:
    """How each field of a type is looked at; None for what is a value without any. Raises NoShape for other types."""
    if of in (int, str, bool, type(None)) or issubclass(of, Enum):
        return None
    covered = COVERED.get(of)
    if covered is None or not is_dataclass(of):
        raise NoShape
    ways = {_NAMED: covered.named, _WHOLE: covered.whole, _PRESENCE: covered.present}
    how = {name: way for way, listed in ways.items() for name in listed}
    wanted = [field for field in fields(of) if field.name not in covered.apart and field.init]
    return tuple((field.name, how.get(field.name, _NOTHING), _default(field)) for field in wanted)


def _default(field: "Field[Any]") -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _renamed_argument(value: Any, to: Mapping[str, str]) -> Any:
    if type(value) is str:
        base, suffix = _without_suffix(value)
        return to[base] + suffix
    if type(value) is tuple:
        return tuple(_renamed_argument(item, to) for item in value)
    return _renamed(value, to)


def _renamed(value: Any, to: Mapping[str, str]) -> Any:
    of = type(value)
    if of is tuple:
        return tuple(_renamed(item, to) for item in value)
    if of not in COVERED:
        return value
    covered = COVERED[of]
    with_names = {name: _renamed_names(getattr(value, name), to) for name in covered.named}
    others = {name: _renamed(getattr(value, name), to) for name in covered.whole}
    there = {name: _PRESENT if getattr(value, name) else () for name in covered.present}
    return of(**with_names, **others, **there)


def _renamed_names(value: Any, to: Mapping[str, str]) -> Any:
    if type(value) is str:
        return to[value] if value else value
    if type(value) is tuple:
        return tuple(_renamed_names(item, to) for item in value)
    return value


def _without_suffix(endpoint: str) -> tuple[str, str]:
    for suffix in _SUFFIXES:
        if endpoint.endswith(suffix):
            return endpoint.removesuffix(suffix), suffix
    return endpoint, ""


PASSING: Final = (_by_itself,)
"""What one experiment's routes share; not worth keeping from build to build."""
