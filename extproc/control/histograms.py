"""Sparse exponential histograms: how long requests took, with a relative error that is the same at every magnitude.

Bucket i counts the values in (2^(i/16), 2^((i+1)/16)] seconds, each 4.4 % wider than the one before: OpenTelemetry's
exponential histogram of scale 4 (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram).
Buckets without values are absent, so that a histogram takes as much memory as its values spread.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Final, Self

SCALE: Final = 4
PER_DOUBLING: Final = 2**SCALE  # buckets
LOWEST: Final = -20 * PER_DOUBLING  # whose values are at most a microsecond; Envoy's clock resolves no finer
HIGHEST: Final = 20 * PER_DOUBLING - 1  # up to 2^20 s, twelve days

_SHORTEST: Final = 2.0 ** (LOWEST / PER_DOUBLING)
_LONGEST: Final = 2.0 ** (HIGHEST / PER_DOUBLING)


def bucket(seconds: float) -> int:
    """The index of the bucket that counts this duration; what lies beyond the first or the last goes there."""
    if seconds <= _SHORTEST:
        return LOWEST
    return ceil(log2(seconds) * PER_DOUBLING) - 1 if seconds < _LONGEST else HIGHEST


def upper_bound(index: int) -> float:
    """The largest value of a bucket, in seconds."""
    return float(2 ** ((index + 1) / PER_DOUBLING))


def quantile(buckets: Mapping[int, int], share: float) -> float:
    """The middle of the bucket in which the value of rank `share` (0 to 1) lies, in seconds; of at least one value."""
    rank = max(ceil(share * sum(buckets.values())), 1)
    reached = 0
    for index in sorted(buckets):
        reached += buckets[index]
        if reached >= rank:
            break
    return float(2 ** ((index + 0.5) / PER_DOUBLING))


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations by bucket: `buckets` holds counts above 0 by index; `total` is the sum of the durations in seconds."""

    buckets: Mapping[int, int] = field(default_factory=dict)
    total: float = 0.0

    @classmethod
    def of(cls, durations: Iterable[float]) -> Self:
        """The histogram of these durations, in seconds."""
        buckets: dict[int, int] = {}
        total = 0.0
        for seconds in durations:
            index = bucket(seconds)
            buckets[index] = buckets.get(index, 0) + 1
            total += seconds
        return cls(buckets, total)

    @property
    def count(self) -> int:
        return sum(self.buckets.values())


EMPTY: Final = Histogram()
