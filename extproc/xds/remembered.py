"""Results of pure functions, remembered for as long as they are in use.

The configuration is built anew for every change, and most of it is as it was. An `lru_cache` would be too small for
many experiments or keep what is long gone; here what a whole round did not ask for is forgotten after the next.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, TypeVarTuple

Given = TypeVarTuple("Given")
T = TypeVar("T")


@dataclass(slots=True)
class _Kept(Generic[T]):
    value: T
    asked_in: int = 0  # the last round


class Remembered(Generic[*Given, T]):
    """A decorator for a pure function of hashable, positional arguments."""

    def __init__(self, function: Callable[[*Given], T]) -> None:
        self._function: Final = function
        self._round = 0
        self._kept: dict[tuple[object, ...], _Kept[T]] = {}

    def __call__(self, *given: *Given) -> T:
        # One look-up: to hash what is given costs more than all the rest.
        kept = self._kept.get(given)
        if kept is None:
            kept = self._kept[given] = _Kept(self._function(*given))
        kept.asked_in = self._round
        return kept.value

    def end_round(self) -> None:
        """What was not asked for since the last call but one is forgotten."""
        for given in [given for given, kept in self._kept.items() if kept.asked_in < self._round]:
            del self._kept[given]
        self._round += 1

    def forget(self) -> None:
        """Everything is forgotten."""
        self._kept = {}
