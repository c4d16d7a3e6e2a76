"""Prometheus' classic buckets, made of what is kept as sparse exponential ones.

Every bound is a power of two seconds and so the bound of a sparse bucket as well: no count is estimated.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import inf
from typing import Final

from prometheus_client.core import Exemplar
from prometheus_client.utils import floatToGoString

from extproc.control.histograms import PER_DOUBLING
from extproc.control.outcomes import Exemplar as Traced
from extproc.control.outcomes import Totals


def _text(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]


# Half a millisecond to a minute: what a model may take, from a look-up to a language model's whole answer.
EXPONENTS: Final = range(-11, 7)
_BOUNDS: Final = tuple(_text(bound) for bound in (*(2.0**exponent for exponent in EXPONENTS), inf))

Bucket = tuple[str, float] | tuple[str, float, Exemplar]  # le, cumulative count


def classic(totals: Totals) -> list[Bucket]:
    """The duration of these requests by classic bucket; each has the last traced request that lies in it, if any."""
    counts = [0] * len(_BOUNDS)
    for index, count in totals.duration.buckets.items():
        counts[_place(index)] += count
    traced: dict[int, Traced] = {}
    for index, exemplar in totals.exemplars.items():
        place = _place(index)
        if place not in traced or traced[place].at < exemplar.at:
            traced[place] = exemplar
    return [
        (le, reached, Exemplar({"trace_id": last.trace}, last.seconds, last.at))
        if (last := traced.get(place))
        else (le, reached)
        for place, (le, reached) in enumerate(zip(_BOUNDS, accumulate(counts), strict=True))
    ]


def of_counts(bounds: Sequence[float], counts: Sequence[int]) -> list[Bucket]:
    """Classic buckets of counts that are not cumulative, one for each of `bounds` in seconds and one for all above."""
    return [(_text(le), count) for le, count in zip((*bounds, inf), accumulate(counts), strict=True)]


def _place(index: int) -> int:
    """Where a sparse bucket is counted: with the smallest bound that is not below its own."""
    return min(max(index // PER_DOUBLING + 1 - EXPONENTS.start, 0), len(EXPONENTS))
