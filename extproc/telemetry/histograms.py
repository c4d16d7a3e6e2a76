"""Prometheus' classic buckets, made of what is kept as sparse exponential ones.

Every bound is a power of two seconds and so the bound of a sparse bucket as well: no count is estimated.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import Final

from prometheus_client.core import Exemplar
from prometheus_client.utils import floatToGoString

from extproc.control.histograms import PER_DOUBLING
from extproc.control.outcomes import Totals

# Half a millisecond to a minute: what a model may take, from a look-up to a language model's whole answer.
EXPONENTS: Final = range(-11, 7)

Bucket = tuple[str, float] | tuple[str, float, Exemplar]  # le, cumulative count


def classic(totals: Totals) -> list[Bucket]:
    """The duration of these requests by classic bucket; each has the last traced request that lies in it, if any."""
    return list(_classic(totals))


def of_counts(bounds: Sequence[float], counts: Sequence[int]) -> list[Bucket]:
    """Classic buckets of counts that are not cumulative, one for each of `bounds` in seconds and one for all above."""
    return [(_text(le), count) for le, count in zip((*bounds, inf), accumulate(counts), strict=True)]


def _classic(totals: Totals) -> Iterator[Bucket]:
    ends = (None, *(exponent * PER_DOUBLING for exponent in EXPONENTS), None)
    reached = 0
    for begin, end in pairwise(ends):
        le = _text(inf if end is None else 2.0 ** (end // PER_DOUBLING))

        def within(index: int, begin: int | None = begin, end: int | None = end) -> bool:
            return (begin is None or begin <= index) and (end is None or index < end)

        reached += sum(count for index, count in totals.duration.buckets.items() if within(index))
        traced = [exemplar for index, exemplar in totals.exemplars.items() if within(index)]
        if traced:
            last = max(traced, key=lambda exemplar: exemplar.at)
            yield le, reached, Exemplar({"trace_id": last.trace}, last.seconds, last.at)
        else:
            yield le, reached


def _text(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]
