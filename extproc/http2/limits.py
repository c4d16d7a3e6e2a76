"""How much a peer may ask for. Every bound of a connection is one of these, and the memory that it takes follows.

Defences: https://www.cve.org/CVERecord?id=CVE-2023-44487 (rapid reset), RFC 9113 section 10.5, and
https://kb.cert.org/vuls/id/421644 (CONTINUATION flood).
"""

from dataclasses import dataclass
from typing import Final

MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes.

    A connection keeps at most `memory` of what its peer sent or will be sent, and 48 KiB beside it for a frame and a
    header block that are not whole yet. What one read brings is answered before anything more is read.
    """

    streams: int = 10_000  # open at once; Envoy opens another connection when it needs more
    stream_window: int = 262_144  # what a peer may send ahead of us on a stream; uvloop reads as much at once
    connection_window: int = 4 * MEBIBYTE
    header_block: int = 32_768  # compressed; that of Envoy's streams has a tenth of a kilobyte
    dynamic_table: bool = False  # whether a peer may have one for its header blocks, of 4,096 bytes
    continuations: int = 16  # frames that continue one header block
    message: int = 4 * MEBIBYTE  # request headers are at most 60 KiB by default in Envoy
    memory: int = 64 * MEBIBYTE

    def __post_init__(self) -> None:
        if min(self.streams, self.header_block, self.continuations, self.message, self.memory) < 1:
            raise ValueError("a limit below 1 lets nobody in")
        if not (1 <= self.stream_window < 2**31 and 65_535 <= self.connection_window < 2**31):
            raise ValueError(
                "a window is below 2^31, and the connection's starts with 65,535 (RFC 9113, section 6.9.2)"
            )


class Patience:
    """What is left of it with a peer that makes work and asks for nothing: pings, settings, empty frames, resets.

    A full measure is for `BURST` such frames, and `RATE` a second come back, so that no keep-alive ever uses it up. A
    message that is answered pays for its own WINDOW_UPDATEs and the like.
    """

    BURST: Final = 10_000
    RATE: Final = 1_000.0
    MESSAGE: Final = 4

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._at = now
        self._left = float(self.BURST)

    def restored(self, now: float, messages: int) -> None:
        """Time has passed, and messages were answered; `now` is in seconds of a clock that never goes back."""
        self._left = min(self.BURST, self._left + (now - self._at) * self.RATE + messages * self.MESSAGE)
        self._at = now

    def earned(self, frames: int) -> None:
        """So many full frames were let out."""
        self._left = min(self.BURST, self._left + frames)

    def tried(self, cost: int = 1) -> bool:
        """Something unproductive came. False when this was too much."""
        self._left -= cost
        return self._left >= 0
