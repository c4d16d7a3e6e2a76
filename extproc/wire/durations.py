"""Durations: proto3 JSON's text (`1.5s`) ⇄ whole milliseconds, the only unit inside.

Envoy's timers count milliseconds, so a finer duration is refused instead of rounded: half a millisecond must not
become none, which means "no limit".
"""

import re
from typing import Final

# proto3 JSON mapping of google.protobuf.Duration: https://protobuf.dev/programming-guides/json/
_SECONDS: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")
_MAX_SECONDS: Final = 315_576_000_000


def milliseconds(text: str) -> int:
    """The milliseconds of `text`. Raises ValueError, saying what is wrong with it."""
    found = _SECONDS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration: write it in seconds, like '1.5s'")
    sign, whole, fraction = found[1], int(found[2]), (found[3] or "").ljust(3, "0")
    if fraction[3:].strip("0"):
        raise ValueError(f"{text!r} is finer than a millisecond: use at most three decimals")
    if whole >= _MAX_SECONDS:
        raise ValueError(f"{text!r} is over ten thousand years: choose a shorter one")
    value = whole * 1000 + int(fraction[:3])
    return -value if sign else value


def text(value: int) -> str:
    """The shortest text of `value` milliseconds."""
    sign, (whole, rest) = "-" if value < 0 else "", divmod(abs(value), 1000)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{sign}{whole}{fraction}s"
