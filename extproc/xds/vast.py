"""A message of many MiB in pieces, so that it is put together once, and not again by each message around it.

Envoy's matcher trees stand in each other: of ten thousand experiments, 60 MB would be copied ten times.
"""

from collections.abc import Sequence
from typing import Final


class Vast:
    """What would be the bytes of `pieces`, one after the other."""

    __slots__ = ("_length", "pieces")

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces: Final = pieces
        self._length: Final = sum(map(len, pieces))

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)


Written = bytes | Vast


def joined(parts: Sequence[Written]) -> Written:
    """One after the other; in pieces where any of them is."""
    if Vast not in map(type, parts):
        return b"".join(parts)  # type: ignore[arg-type]
    return Vast([piece for part in parts for piece in (part.pieces if isinstance(part, Vast) else (part,))])
