"""The exact weighted choice: integers only, so that every value of the draw belongs to exactly one candidate.

Weights stay as the user wrote them; nothing is rescaled to 100 and there is no remainder to give away.
"""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

DRAW_BITS: Final = 64


def cumulate(weights: Iterable[int]) -> tuple[int, ...]:
    """Running sums of weights; the last one is the total, which must be above 0 to be chosen from."""
    return tuple(accumulate(weights))


def choose(cumulative: tuple[int, ...], draw: int, bits: int = DRAW_BITS) -> int:
    """The index that `draw`, uniform in [0, 2^bits), falls on; an index of weight 0 is never chosen.

    Over all draws each index is chosen within one of 2^bits * weight / total times (multiply-shift; Lemire, "Fast
    Random Integer Generation in an Interval", 2019, without its rejection step: at 64 bits the bias is under 2^-29
    for any weights that are allowed).
    """
    return bisect_right(cumulative, draw * cumulative[-1] >> bits)
