"""A percentile of what was measured."""

from collections.abc import Sequence


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The nearest-rank percentile of what is in ascending order; `percent` 1 to 100; None of nothing."""
    if not ordered:
        return None
    return ordered[-(-percent * len(ordered) // 100) - 1]  # the rank is rounded up
