"""JSON's values as they stand in a user's file, before anything is known of their meaning.

A key that is given twice is kept as a mark (`Doubled`), so that it is reported with its path like every other problem
and spoils one resource instead of a file. `Unreadable` is for a text that has no values at all.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from extproc.errors import Problem

Json = Any  # None | bool | int | float | str | list[Json] | dict[str, Json]

TYPE: Final = "@type"  # the key of an object's type (https://protobuf.dev/programming-guides/json, Any)

DEPTH_MAX: Final = 100  # protobuf's own limit for messages inside messages

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_@][-\w@/]*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SHOWN_MAX: Final = 60


class Unreadable(Exception):
    """A text is not JSON, not YAML or not text at all; the message says where."""


class Doubled(dict[str, Json]):
    """An object in which the keys `doubled` are given more than once; the last value stands."""

    __slots__ = ("doubled",)

    def __init__(self, items: Iterable[tuple[str, Json]], doubled: Iterable[str]) -> None:
        super().__init__(items)
        self.doubled = frozenset(doubled)


def json_object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """The object that `pairs` make."""
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    return Doubled(pairs, (key for key, count in Counter(key for key, _ in pairs).items() if count > 1))


def without(value: dict[str, Json], key: str) -> dict[str, Json]:
    """A copy of `value` that lacks `key`."""
    return Doubled(((k, item) for k, item in value.items() if k != key), doubled(value) - {key})


def doubled(value: dict[str, Json]) -> frozenset[str]:
    """The keys that are given more than once."""
    return value.doubled if isinstance(value, Doubled) else frozenset()


def step(path: str, key: str) -> str:
    """The path of `key` in the object at `path`."""
    if not _PLAIN_KEY.fullmatch(key):
        return f"{path}[{json.dumps(key[:_SHOWN_MAX])}]"
    return f"{path}.{key}" if path else key


def shown(value: Json) -> str:
    """How a message shows a value: short, and on one line."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            text = ascii(value) if _SURROGATE.search(value) else repr(value)
        case int() if not isinstance(value, bool) and abs(value) > 10**_SHOWN_MAX:
            return "a number of too many digits"
        case _:
            text = json.dumps(value)
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"


def text_problem(value: str) -> str:
    """Why `value` can't be sent as UTF-8; empty if it can."""
    return "holds half a surrogate pair, which is no character" if _SURROGATE.search(value) else ""


def flaws(value: Json, path: str = "", depth: int = 0) -> Iterator[Problem]:
    """Everything that makes `value` no well-formed JSON: keys given twice, NaN, Infinity, half a character."""
    if depth > DEPTH_MAX:
        yield Problem(path, f"is nested deeper than {DEPTH_MAX} levels")
        return
    children: Iterable[tuple[str, Json]] = ()
    match value:
        case dict():
            yield from (Problem(step(path, key), "is given twice: keep one") for key in value if key in doubled(value))
            yield from (Problem(step(path, key), text_problem(key)) for key in value if text_problem(key))
            children = ((step(path, key), item) for key, item in value.items() if key not in doubled(value))
        case list():
            children = ((f"{path}[{i}]", item) for i, item in enumerate(value))
        case float() if not math.isfinite(value):
            yield Problem(path, f"must be a finite number, not {shown(value)}")
        case str() if text_problem(value):
            yield Problem(path, text_problem(value))
    for at, item in children:
        yield from flaws(item, at, depth + 1)
