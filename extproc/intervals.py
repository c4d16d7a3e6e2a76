"""How far a number that was measured can be trusted: 95 % intervals of shares and of percentiles, and a test of fit.

Standard library only. Each holds whatever the distribution is: no request's duration is taken to be normal.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import erfc, exp, floor, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95

# Standard deviations of a rank up to which binomial probabilities are summed, at most 600 of them; beyond, the normal
# approximation is off by less than the whole rank that is added to it.
_SUMMED: Final = 50.0
_REACH: Final = 12  # standard deviations below the mean that a sum begins at; what lies below has no weight


def wilson(hits: int, total: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The Wilson score interval of the share `hits` / `total`, within 0 to 1; (0, 1) while nothing is known.

    Unlike the textbook's normal interval it holds for shares near 0 and 1 and for few requests (E. B. Wilson,
    "Probable Inference, the Law of Succession, and Statistical Inference", 1927).
    """
    if not total:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = hits / total
    stretch = 1 + z * z / total
    middle = (share + z * z / (2 * total)) / stretch
    half = z / stretch * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # At shares of 0 and 1 the end that is exactly 0 or 1 would carry a rounding error.
    return (max(0.0, middle - half) if hits else 0.0), (min(1.0, middle + half) if hits < total else 1.0)


def percentile_ranks(total: int, share: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """The ranks, 1 to `total` in ascending order, between whose values the percentile lies; `share` in (0, 1).

    Rank 0 or `total` + 1: so few values don't bound it on that side (0.99 needs 368 for an upper bound). How many of
    `total` values lie below a percentile is binomial, whatever their distribution (G. J. Hahn and W. Q. Meeker,
    "Statistical Intervals", 1991, section 5.2). Each side misses with at most half of what `confidence` leaves.
    """
    tail = (1 - confidence) / 2
    return _low_rank(total, share, tail), total + 1 - _low_rank(total, 1 - share, tail)


@lru_cache(maxsize=1024)
def _low_rank(total: int, share: float, tail: float) -> int:
    """The largest rank with P(fewer than so many of `total` lie below) <= tail."""
    middle, spread = total * share, sqrt(total * share * (1 - share))
    if spread > _SUMMED:
        z = NormalDist().inv_cdf(1 - tail)
        skew = (1 - 2 * share) * (z * z - 1) / 6  # E. A. Cornish and R. A. Fisher, 1938: the first correction
        return max(0, floor(middle - z * spread + skew - 1))
    rank = max(0, floor(middle - _REACH * spread) - _REACH)
    ways = lgamma(total + 1) - lgamma(rank + 1) - lgamma(total - rank + 1)
    probability = exp(ways + rank * log(share) + (total - rank) * log1p(-share))
    below = 0.0
    while below + probability <= tail and rank < total:
        below += probability
        probability *= (total - rank) / (rank + 1) * share / (1 - share)
        rank += 1
    return rank


def chi_squared(observed: Sequence[float], expected: Sequence[float]) -> float:
    """Pearson's statistic: the squared misses, each by what was expected, which must be above 0 (K. Pearson, 1900)."""
    return sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))


def chi_squared_tail(statistic: float, freedom: int) -> float:
    """P(chi-squared of `freedom` >= 1 degrees > statistic): the p-value of a test of fit.

    For whole degrees of freedom it is a finite sum (M. Abramowitz and I. A. Stegun, "Handbook of Mathematical
    Functions", 1964, 26.4.4 and 26.4.5), so that nothing needs to be approximated.
    """
    half = statistic / 2
    if half <= 0:
        return 1.0
    first = 0.0 if freedom % 2 == 0 else 0.5
    # Summed as logarithms: neither a power nor its factorial has to fit into a float.
    terms = (exp((first + k) * log(half) - half - lgamma(first + k + 1)) for k in range(freedom // 2))
    return min(1.0, sum(terms, erfc(sqrt(half)) if first else 0.0))
