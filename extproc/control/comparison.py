"""What outcomes say, and how surely: error rates and percentiles with 95 % intervals, and whether the split fits.

Pure. Only fresh weighted assignments are compared with the weights: a sticky client has chosen for itself, and what
extproc did not decide was split by Envoy.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from extproc.control.histograms import LOWEST, Histogram, upper_bound
from extproc.control.outcomes import CandidateOutcomes, SplitOutcomes
from extproc.intervals import chi_squared, chi_squared_tail, percentile_ranks, wilson

PERCENTILES: Final = (50, 90, 99)

# Below this p-value a split counts as a sample-ratio mismatch: A. Fabijan et al., "Diagnosing Sample Ratio Mismatch in
# Online Controlled Experiments", KDD 2019, call for a strict one, since whoever looks looks often.
MISMATCH_BELOW: Final = 0.001
# Requests that must be expected of a group. The textbooks' 5 (W. G. Cochran, "Some Methods for Strengthening the Common
# chi-squared Tests", 1954) is meant for p-values of 0.05; at 0.001 false alarms would be 3.6 times as frequent as that.
EXPECTED_LEAST: Final = 10.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value and its 95 % interval; `high` is None while there are too few values to bound it."""

    value: float
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a split fits its weights. `expected` and `observed` are shares, 0 to 1, by candidate.

    `p_value` is the probability that a split that works misses by so much; see `fit`.
    """

    requests: int
    expected: Mapping[str, float]
    observed: Mapping[str, float]
    chi_squared: float
    p_value: float

    @property
    def mismatch(self) -> bool:
        """A sample-ratio mismatch: the requests do not go where the weights send them."""
        return self.p_value < MISMATCH_BELOW


def error_rate(outcomes: CandidateOutcomes) -> Estimate | None:
    """The share of requests that failed, with its Wilson interval; None without requests."""
    if not outcomes.requests:
        return None
    return Estimate(outcomes.errors / outcomes.requests, *wilson(outcomes.errors, outcomes.requests))


def percentiles(histogram: Histogram) -> Mapping[int, Estimate]:
    """Each of PERCENTILES in seconds; {} of nothing.

    An interval reaches from the lower bound of the bucket in which its lowest rank lies to the upper bound of that of
    its highest, so what the buckets blur can only widen it.
    """
    indices = sorted(histogram.buckets)
    reached = list(accumulate(histogram.buckets[index] for index in indices))  # ranks, up to each bucket's last
    return {percent: _percentile(percent, indices, reached) for percent in PERCENTILES} if reached else {}


def fit(split: SplitOutcomes) -> Fit | None:
    """Pearson's chi-squared test of the assignments against what was expected of them; None without assignments.

    Candidates of which fewer than EXPECTED_LEAST requests are expected together are only judged by whether they got
    more than so many. Until then they are taken as one with the most frequent candidate; while that is all, nothing
    speaks against the split, and the p-value is 1. So a request that was decided at the very moment of a change, and
    counts for a candidate that was to get none, is no alarm. Where shares changed over time (readiness), the sums vary
    less than one multinomial would, and the p-value errs on the high side.

    How often this alarms for a split that works: p-values are uniform in the limit, so one look finds a mismatch with
    probability 0.001. For two candidates and few requests every outcome was enumerated: it is at most 0.0025, where the
    rarer candidate is expected just above EXPECTED_LEAST of very many (tests/control/test_comparison.py).
    """
    requests = sum(split.observed.values())
    total = sum(split.expected.values())
    if not requests or not total:
        return None
    names = sorted({*split.expected, *split.observed})
    groups = _groups([
        # Both have the same sum but for rounding, and for what was counted before expectations were.
        (split.expected.get(name, 0.0) * requests / total, split.observed.get(name, 0))
        for name in names
    ])  # fmt: skip
    expected, observed = zip(*groups, strict=True)
    statistic = chi_squared(observed, expected)
    return Fit(
        requests,
        {name: split.expected.get(name, 0.0) / total for name in names},
        {name: split.observed.get(name, 0) / requests for name in names},
        statistic if len(groups) > 1 else 0.0,
        chi_squared_tail(statistic, len(groups) - 1) if len(groups) > 1 else 1.0,
    )


Group = tuple[float, int]  # expected and observed


def _groups(candidates: Sequence[Group]) -> list[Group]:
    """The groups of candidates that are compared; at least EXPECTED_LEAST are expected of each, or there is but one."""
    *others, most = sorted(candidates)
    groups, rare = [], (0.0, 0)
    for expected, observed in others:
        if expected >= EXPECTED_LEAST:
            groups.append((expected, observed))
        else:
            rare = rare[0] + expected, rare[1] + observed
    if rare[0] >= EXPECTED_LEAST:
        groups.append(rare)
    elif rare[1] > EXPECTED_LEAST:
        groups.append((EXPECTED_LEAST, rare[1]))
    else:
        most = most[0] + rare[0], most[1] + rare[1]
    return [*groups, most]


def _percentile(percent: int, indices: list[int], reached: list[int]) -> Estimate:
    total = reached[-1]
    low, high = percentile_ranks(total, percent / 100)
    at = -(-percent * total // 100)  # the nearest rank, rounded up
    place = bisect_left(reached, at)
    before = reached[place - 1] if place else 0
    # Within a bucket ranks are taken to lie evenly on its logarithmic scale, as the bounds of the buckets do.
    part = (at - before - 0.5) / (reached[place] - before)
    top = upper_bound(indices[place])
    bottom = _lower_bound(indices[place])
    return Estimate(
        bottom * (top / bottom) ** part if bottom else top,
        _lower_bound(indices[bisect_left(reached, low)]) if low else 0.0,
        upper_bound(indices[bisect_left(reached, high)]) if high <= total else None,
    )


def _lower_bound(index: int) -> float:
    """The largest value below a bucket, in seconds; the lowest bucket reaches down to 0."""
    return upper_bound(index - 1) if index > LOWEST else 0.0
