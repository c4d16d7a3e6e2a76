"""Envoy's own split: which part of its random value each candidate owns, and which part of that is mirrored.

Two facts of Envoy stand behind the arithmetic. A request has one random value; every `runtime_fraction` on its way is
compared with it, in the chain of routes and again in the mirror policy. So thresholds in a chain are cumulative, and
a mirror's threshold has to lie inside the interval of the route it stands on: 10 % of everything would copy all of
the first candidate's requests and none of the last one's. And no fraction is finer than a millionth.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from extproc.core.resources import MILLION
from extproc.xds.encode import Encoded, once
from extproc.xds.remembered import Remembered

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Interval:
    """The half-open part [low, high) of the million that one candidate owns; empty where that is nothing."""

    low: int
    high: int

    def mirrored(self, millionths: int) -> int:
        """The threshold below which a request of this interval is copied; `low` when none is."""
        return self.low + _rounded(millionths * (self.high - self.low), MILLION)

    def combinations(self, rates: Sequence[int]) -> list[tuple["Interval", tuple[int, ...]]]:
        """This interval, shared out between the combinations of mirrors that get a copy, as indices of `rates`.

        `rates` are in millionths. One random value can't be drawn twice, so several mirrors that are independent of
        each other each take their part of every part of those before. How many parts there are does not depend on the
        rates, so some may be empty.
        """
        parts: list[tuple[Interval, tuple[int, ...]]] = [(self, ())]
        for index, rate in enumerate(rates):
            parts = [piece for part, chosen in parts for piece in _halved(part, rate, chosen, index)]
        return parts


WHOLE: Final = Interval(0, MILLION)


def intervals(weighted: Iterable[tuple[T, int]], million: int = MILLION) -> list[tuple[T, Interval]]:
    """The million, or the begin of it, shared out by weight in the given order; at least one weight must be above 0.

    The ends are rounded to the nearest millionth, so no rounding adds up. A candidate that is left with nothing has
    an empty interval: extproc goes on drawing it, Envoy alone does not.
    """
    weighted = list(weighted)
    total = sum(weight for _, weight in weighted)
    shared: list[tuple[T, Interval]] = []
    cumulative = low = 0
    for candidate, weight in weighted:
        cumulative += weight
        high = _rounded(cumulative * million, total)
        shared.append((candidate, Interval(low, high)))
        low = high
    return shared


def _halved(
    part: Interval, rate: int, chosen: tuple[int, ...], index: int
) -> Iterator[tuple[Interval, tuple[int, ...]]]:
    threshold = part.mirrored(rate)
    yield Interval(part.low, threshold), (*chosen, index)
    yield Interval(threshold, part.high), chosen


@dataclass(frozen=True, slots=True)
class Threshold:
    """How far of Envoy's random value something goes, in millionths; `key` is where Envoy's runtime may say otherwise.

    Without a key nothing may.
    """

    millionths: int
    key: str = ""


@Remembered
def fraction(threshold: Threshold) -> Encoded:
    """The RuntimeFractionalPercent of a threshold."""
    percent = {
        "default_value": {"numerator": threshold.millionths, "denominator": "MILLION"},
        **({"runtime_key": threshold.key} if threshold.key else {}),
    }
    return once("envoy.config.core.v3.RuntimeFractionalPercent", percent)


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


PASSING: Final = (fraction,)
