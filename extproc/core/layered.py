"""A mapping of thousands of things that change one by one: each version is a value, and costs what is other in it.

A version is one large dict, which all share, under a small one of what was replaced since. Must stay true: a version
never changes, and is equal to the plain dict that it stands for, in that one's order.
"""

from collections.abc import Callable, Collection, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Final, Generic, TypeVar, overload
from weakref import ref

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

REPLACED_MAX: Final = 256  # in one version; more of them are put in their places, which copies the large dict


class Layered(Mapping[K, V], Generic[K, V]):
    """`below`, and what was replaced `above` it: keys that are there too. No value is None.

    Both are nobody's to change any more. `made_of` is the version before it, of which what is under the keys `changed`
    may be other. `find` is `get` without a default, for who asks often.
    """

    __slots__ = ("__weakref__", "_changed", "_made_of", "above", "below", "find")

    def __init__(
        self,
        below: dict[K, V],
        above: dict[K, V] | None = None,
        made_of: "Layered[K, V] | None" = None,
        changed: Collection[K] = (),
    ) -> None:
        self.below: Final = below
        self.above: Final = above or {}
        self.find: Final[Callable[[K], V | None]] = _finder(below, above) if above else below.get
        self._made_of: Final = ref(made_of) if made_of is not None else None
        self._changed: Final = changed

    def amended(self, changes: Mapping[K, V | None]) -> "Layered[K, V]":
        """The version with these changes, None for what is to be gone; what is replaced keeps its place.

        Replacing costs as much as was replaced; what is new, or gone, costs a copy of references.
        """
        replaced = {key: value for key, value in changes.items() if value is not None}
        gone = [key for key in changes if key not in replaced and key in self.below]
        above = {**self.above, **replaced}
        if len(above) <= REPLACED_MAX and not gone and replaced.keys() <= self.below.keys():
            return Layered(self.below, above, self, tuple(changes))
        copy = {**self.below, **above}
        for key in gone:
            del copy[key]
        return Layered(copy, None, self, tuple(changes))

    def other_than(self, before: Mapping[K, V]) -> Collection[K] | None:
        """The keys under which not the same object stands, or that only one of the two has.

        None when that can't be said without looking at everything.
        """
        if isinstance(before, Layered) and before.below is self.below:
            keys: Collection[K] = {**before.above, **self.above}
        elif self._made_of is not None and self._made_of() is before:
            keys = self._changed
        else:
            return None
        return [key for key in keys if self.find(key) is not before.get(key)]

    def plain(self) -> Mapping[K, V]:
        """The same as a dict, which nobody may change."""
        return {**self.below, **self.above} if self.above else self.below

    def __getitem__(self, key: K) -> V:
        found = self.find(key)
        return self.below[key] if found is None else found

    @overload
    def get(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V | T, /) -> V | T: ...
    def get(self, key: K, default: V | T | None = None, /) -> V | T | None:
        found = self.find(key)
        return default if found is None else found

    def __contains__(self, key: object) -> bool:
        return key in self.below

    def __iter__(self) -> Iterator[K]:
        return iter(self.below)

    def __len__(self) -> int:
        return len(self.below)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layered):
            return self.plain() == other
        if other.below is self.below:
            return all(self[key] == other[key] for key in {**self.above, **other.above})
        return self.plain() == other.plain()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Layered({self.plain()!r})"

    def keys(self) -> KeysView[K]:
        return self.below.keys()

    def values(self) -> ValuesView[V]:
        return self.plain().values()

    def items(self) -> ItemsView[K, V]:
        return self.plain().items()


def _finder(below: Mapping[K, V], above: Mapping[K, V]) -> Callable[[K], V | None]:
    def find(key: K) -> V | None:
        found = above.get(key)
        return below.get(key) if found is None else found

    return find
