"""Two formulas: a percentile of what was measured, and the interval that a share was measured to."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The nearest-rank percentile of what is in ascending order; `percent` 1 to 100; None of nothing."""
    if not ordered:
        return None
    return ordered[-(-percent * len(ordered) // 100) - 1]  # the rank is rounded up


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
