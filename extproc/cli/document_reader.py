"""One object of a JSON document, read field by field: of the type that was asked for, or MisfitError is raised.

null means absent. Texts come out fit for one line of a terminal.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn, TypeVar

from extproc.cli.plain import plain

D = TypeVar("D")

_WHOLE_MAX: Final = 2**63 - 1
_REQUIRED: Final[Any] = object()


class MisfitError(Exception):
    """A document is not what extproc sends; the message names the place and what is wrong there.

    Whoever reads knows where it came from and makes an error for a user of it.
    """


class Reader:
    """The object `value`, which stands at `path` of its document. Every method raises MisfitError.

    A field that is absent gives `otherwise`, or MisfitError where none is given.
    """

    def __init__(self, value: object, path: str = "") -> None:
        self._path: Final = path
        if not isinstance(value, Mapping):
            self._refuse("", "is no object")
        self._value: Final[Mapping[str, Any]] = value

    def text(self, key: str, otherwise: D = _REQUIRED) -> str | D:
        value = self._value.get(key)
        if value is None:
            return self._absent(key, otherwise)
        return plain(value) if isinstance(value, str) else self._refuse(key, "is no text")

    def whole(self, key: str, otherwise: D = _REQUIRED) -> int | D:
        """A whole number that is not negative."""
        value = self._value.get(key)
        if value is None:
            return self._absent(key, otherwise)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _WHOLE_MAX:
            self._refuse(key, "is no whole number")
        return value

    def number(self, key: str, otherwise: D = _REQUIRED) -> float | D:
        """A finite number that is not negative."""
        value = self._value.get(key)
        if value is None:
            return self._absent(key, otherwise)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _WHOLE_MAX:
            self._refuse(key, "is no number")
        return float(value)

    def flag(self, key: str, otherwise: D = _REQUIRED) -> bool | D:
        value = self._value.get(key)
        if value is None:
            return self._absent(key, otherwise)
        return value if isinstance(value, bool) else self._refuse(key, "is neither true nor false")

    def inside(self, key: str, otherwise: D = _REQUIRED) -> "Reader | D":
        """The object in the field."""
        value = self._value.get(key)
        return self._absent(key, otherwise) if value is None else Reader(value, self._at(key))

    def each(self, key: str, *, required: bool = False) -> "Iterator[Reader]":
        """The objects in the field, which is a list; none where it is absent and not required."""
        value = self._value.get(key)
        if value is None and not required:
            return
        if not isinstance(value, list):
            self._refuse(key, "is no list")
        for i, item in enumerate(value):
            yield Reader(item, f"{self._at(key)}[{i}]")

    def flags(self) -> dict[str, bool]:
        """Every field, each of which is true or false."""
        return {plain(key): self.flag(key) for key in self._value}

    def numbers(self) -> dict[str, float]:
        """Every field, each of which is a number."""
        return {plain(key): self.number(key) for key in self._value}

    def rest(self, *but: str) -> dict[str, str]:
        """Every further field as text, texts bare and all else as JSON."""
        return {
            plain(key): plain(value if isinstance(value, str) else json.dumps(value))
            for key, value in self._value.items()
            if key not in but
        }

    def _absent(self, key: str, otherwise: D) -> D:
        return self._refuse(key, "is missing") if otherwise is _REQUIRED else otherwise

    def _at(self, key: str) -> str:
        return f"{self._path}.{plain(key)}" if self._path else plain(key)

    def _refuse(self, key: str, what: str) -> NoReturn:
        raise MisfitError(f"{(self._at(key) if key else self._path) or 'the document'} {what}")
