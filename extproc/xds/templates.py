"""A message written once and filled in for others that differ from it in names alone.

Thousands of experiments are alike but for the names of their models. What is written of one with placeholders for names
is taken apart where these stand; putting it together with other names costs a tenth of writing it, and less where
names of the same lengths were there before: then all that stands around them is known. Must stay true: what is filled
in is what would be written.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from extproc.xds import schema
from extproc.xds.data_plane import TYPE_URL
from extproc.xds.scalars import FIXED32, FIXED64, LENGTH_DELIMITED, VARINT
from extproc.xds.writers import head

# Texts, holes for names (by their numbers), and what has a length of its own: what stands before it, and what is in it.
Part: TypeAlias = "bytes | int | tuple[Callable[[int], bytes], Parts]"
Parts: TypeAlias = "tuple[Part, ...]"
Layout = tuple[bytes, tuple[int, ...]]  # a text to format, and the numbers of the names in it

_PLACEHOLDER: Final = re.compile(rb"zq([0-9]{4})qz")
_FIXED: Final[Mapping[int, int]] = {FIXED64: 8, FIXED32: 4}
_LAYOUTS: Final = 256  # that one template remembers


def placeholder(number: int) -> str:
    """What stands for the name of this number, 0 to 9999, in a message that is to become a template."""
    return f"zq{number:04}qz"


class Template:
    """What is common to messages of a type that differ in names, made of one that was written with placeholders."""

    def __init__(self, type_name: str, written: bytes) -> None:
        self._parts = _message(schema.find(type_name), written)
        self._layouts: dict[tuple[int, ...], Layout] = {}  # by the lengths of all names

    def filled(self, names: tuple[bytes, ...]) -> bytes:
        """The message with these names in the places of their numbers."""
        lengths = tuple([len(name) for name in names])
        layout = self._layouts.get(lengths)
        if layout is None:
            if len(self._layouts) == _LAYOUTS:
                self._layouts.clear()
            layout = self._layouts[lengths] = _layout(self._parts, lengths)
        text, order = layout
        return text % tuple([names[number] for number in order])


def _layout(parts: Parts, lengths: tuple[int, ...]) -> Layout:
    order: list[int] = []

    def laid_out(parts: Parts) -> tuple[bytes, int]:
        """The text of these parts, and how long it will be."""
        out: list[bytes] = []
        total = 0
        for part in parts:
            if isinstance(part, bytes):
                out.append(part.replace(b"%", b"%%"))
                total += len(part)
            elif isinstance(part, int):
                order.append(part)
                out.append(b"%b")
                total += lengths[part]
            else:
                before, inside = part
                text, length = laid_out(inside)
                start = before(length)
                out += (start.replace(b"%", b"%%"), text)
                total += len(start) + length
        return b"".join(out), total

    return laid_out(parts)[0], tuple(order)


def _message(of: schema.Message, data: bytes) -> Parts:
    fields = {field.number: field for field in schema.fields(of).values()}
    if of.google == "Any":
        url = next(body for number, body, _ in _fields(data) if number == 1).decode()
        inner = schema.find(url.removeprefix(TYPE_URL))
        return _assembled(data, lambda number: (lambda body: _message(inner, body)) if number == 2 else _text)
    return _assembled(data, lambda number: _reader(fields[number]))


def _reader(field: schema.Field) -> Callable[[bytes], Parts]:
    value = _text if field.message is None else _of_type(field.message)
    if not field.key:
        return value
    return lambda entry: _assembled(entry, lambda number: _text if number == 1 else value)


def _of_type(message: schema.Message) -> Callable[[bytes], Parts]:
    return lambda body: _message(message, body)


def _assembled(data: bytes, reader: Callable[[int], Callable[[bytes], Parts]]) -> Parts:
    """The parts of a message; `reader` says by a field's number how to read what is in it."""
    parts: list[Part] = []
    for number, body, whole in _fields(data):
        if _PLACEHOLDER.search(whole):
            parts.append((head(number), reader(number)(body)))
        elif parts and isinstance(last := parts[-1], bytes):
            parts[-1] = last + whole
        else:
            parts.append(whole)
    return tuple(parts)


def _text(data: bytes) -> Parts:
    # What is matched stands at the odd places (re.split).
    pieces = enumerate(_PLACEHOLDER.split(data))
    return tuple(int(piece) if place % 2 else piece for place, piece in pieces if piece)


def _fields(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Each field of a message: its number, what is in it, and all of it."""
    found, at = [], 0
    while at < len(data):
        begin = at
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            _, at = _varint(data, at)
            body = b""
        else:
            length, at = _varint(data, at) if wire == LENGTH_DELIMITED else (_FIXED[wire], at)
            body, at = data[at : at + length], at + length
        found.append((number, body, data[begin:at]))
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
