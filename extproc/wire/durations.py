"""Durations: proto3 JSON's text (`1.5s`), and minutes and hours (`30m`, `720h`), ⇄ whole milliseconds.

Envoy's timers count milliseconds, so a finer duration is refused instead of rounded: half a millisecond must not
become none, which means "no limit".
"""

import re
from typing import Final

# proto3 JSON mapping of google.protobuf.Duration: https://protobuf.dev/programming-guides/json/
_TEXT: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?([smh])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_MAX_SECONDS: Final = 315_576_000_000


def milliseconds(text: str) -> int:
    """The milliseconds of `text`. Raises ValueError, saying what is wrong with it."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration: write it in seconds, minutes or hours, like '1.5s'")
    sign, unit = found[1], _SECONDS[found[4]]
    nanoseconds = (int(found[2]) * 10**9 + int((found[3] or "").ljust(9, "0"))) * unit
    value, finer = divmod(nanoseconds, 10**6)
    if finer:
        raise ValueError(f"{text!r} is finer than a millisecond: use at most three decimals")
    if value >= _MAX_SECONDS * 1000:
        raise ValueError(f"{text!r} is over ten thousand years: choose a shorter one")
    return -value if sign else value


def text(value: int) -> str:
    """The shortest text of `value` milliseconds."""
    sign, (whole, rest) = "-" if value < 0 else "", divmod(abs(value), 1000)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{sign}{whole}{fraction}s"
