"""Exact binomial bounds, so that a test of random behaviour states how often it fails by chance."""

import math


def binomial_interval(n: int, p: float, miss: float = 1e-6) -> tuple[int, int]:
    """The narrowest (lo, hi) that `n` draws of probability `p` leave with probability at most `miss`, half each side.

    Both ends belong to the interval. Raises ValueError for n < 0, p outside [0, 1] or miss outside (0, 1).
    """
    if n < 0 or not 0 <= p <= 1 or not 0 < miss < 1:
        raise ValueError(f"no binomial interval for n={n}, p={p}, miss={miss}")
    if p in (0.0, 1.0):
        return (0, 0) if p == 0 else (n, n)
    return _low_end(n, p, miss / 2), n - _low_end(n, 1 - p, miss / 2)


def probability(n: int, p: float, k: int) -> float:
    """The probability of exactly `k` hits in `n` draws of probability `p`, 0 < p < 1."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


def _low_end(n: int, p: float, tail: float) -> int:
    """The largest lo with P(fewer than lo hits) <= tail."""
    below = 0.0
    for k in range(n + 1):
        below += probability(n, p, k)
        if below > tail:
            return k
    return n
