"""Writes what a look-up ends in: of each shape the first is written as it is, and all others are filled in.

Must stay true: what is filled in is what would be written. A template is only used when it says of the routes that it
was made for what these are; what has no shape is written by itself.
"""

from collections.abc import Callable
from typing import Any, Final

from extproc.xds.encode import Encoded
from extproc.xds.shapes import NoShape, Shape, parted, renamed
from extproc.xds.templates import Template, placeholder

Made = Callable[..., Encoded]  # makes an OnMatch

ON_MATCH: Final = "xds.type.matcher.v3.MatcherOnMatch"
SEEN: Final = 4096  # shapes that are known


class Filling:
    """Remembers the shapes that it has seen, and their templates."""

    def __init__(self) -> None:
        self._seen: set[tuple[Made, Shape]] = set()
        self._templates: dict[tuple[Made, Shape], Template | None] = {}  # None where there can't be one

    def write(self, made: Made, given: tuple[Any, ...]) -> bytes:
        """The bytes of `made(*given)`."""
        try:
            shape, names = parted(given)
        except NoShape:
            return made(*given).value
        key = (made, shape)
        template = self._templates.get(key)
        if template is not None:
            return template.filled(tuple([name.encode() for name in names]))
        written = made(*given).value
        if key not in self._seen:
            if len(self._seen) == SEEN:
                self.forget()
            self._seen.add(key)
        elif key not in self._templates:
            self._templates[key] = _template(made, given, names, written)
        return written

    def forget(self) -> None:
        """Forget every shape."""
        self._seen.clear()
        self._templates.clear()


def _template(made: Made, given: tuple[Any, ...], names: tuple[str, ...], written: bytes) -> Template | None:
    """The template for what `given` is the second of, if it gives what is written of that."""
    to = {name: placeholder(number) for number, name in enumerate(names)}
    template = Template(ON_MATCH, made(*renamed(given, to)).value)
    return template if template.filled(tuple(name.encode() for name in names)) == written else None
