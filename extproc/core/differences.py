"""What is other in one mapping than in another: thousands of things are followed at the cost of those that changed.

Values are compared as objects, not by content: what nobody touched is the same object from event to event. Where one
mapping was `amended` to the other, what is other is known; else all are walked over, by C, about 1 ms for 40,000.
"""

from collections.abc import Collection, Mapping
from itertools import compress, filterfalse, repeat
from operator import is_, is_not
from types import MappingProxyType
from typing import Final, TypeVar

from extproc.core.layered import Layered

K = TypeVar("K")
V = TypeVar("V")

_NOTHING: Final = object()


def differing(old: Mapping[K, V], new: Mapping[K, V]) -> Collection[K]:
    """The keys under which not the same object stands, or that only one of the two has."""
    if old is new:
        return ()
    if isinstance(new, Layered):
        known = new.other_than(old)
        if known is not None:
            return known
    old, new = _plain(old), _plain(new)
    if len(old) == len(new) and all(map(is_, old, new)):
        return list(compress(new, map(is_not, old.values(), new.values())))
    others = compress(new, map(is_not, map(old.get, new, repeat(_NOTHING)), new.values()))
    return [*others, *filterfalse(new.__contains__, old)]


def amended(mapping: Mapping[K, V], changes: Mapping[K, V | None]) -> Layered[K, V]:
    """The mapping with these changes, None for what is to be gone; what is replaced keeps its place."""
    if isinstance(mapping, Layered):
        return mapping.amended(changes)
    # A dict's and a proxy's own copy keep the hashes; `dict(proxy)` would ask every key for its hash again.
    copy: dict[K, V] = mapping.copy() if isinstance(mapping, dict | MappingProxyType) else dict(mapping)
    return Layered(copy).amended(changes)


def _plain(mapping: Mapping[K, V]) -> Mapping[K, V]:
    return mapping.plain() if isinstance(mapping, Layered) else mapping
