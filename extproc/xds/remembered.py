"""Results of pure functions, remembered for as long as they are in use.

The configuration is built anew for every change, and most of it is as it was. An `lru_cache` would be too small for
many experiments or keep what is long gone; here what a whole round did not ask for is forgotten after the next.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar, TypeVarTuple

Given = TypeVarTuple("Given")
T = TypeVar("T")


class Remembered(Generic[*Given, T]):
    """A decorator for a pure function of hashable, positional arguments."""

    def __init__(self, function: Callable[[*Given], T]) -> None:
        self._function: Final = function
        self._now: dict[tuple[object, ...], T] = {}
        self._before: dict[tuple[object, ...], T] = {}

    def __call__(self, *given: *Given) -> T:
        if given in self._now:
            return self._now[given]
        value = self._before[given] if given in self._before else self._function(*given)
        self._now[given] = value
        return value

    def end_round(self) -> None:
        """What was not asked for since the last call but one is forgotten."""
        self._before, self._now = self._now, {}

    def forget(self) -> None:
        """Everything is forgotten."""
        self._before, self._now = {}, {}
