"""Intervals and the test of fit, against published values, an independent implementation, and by exact enumeration."""

from itertools import accumulate

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.intervals import chi_squared, chi_squared_tail, percentile_ranks, wilson
from tests.harness.statistics import probability


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_as_published(hits: int, total: int, low: float, high: float) -> None:
    assert wilson(hits, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_symmetric_and_ends_exactly_at_0_and_1() -> None:
    for total in range(1, 60):
        assert wilson(0, total)[0] == 0.0
        assert wilson(total, total)[1] == 1.0
        for hits in range(total + 1):
            low, high = wilson(hits, total)
            assert 0 <= low <= hits / total <= high <= 1
            assert wilson(total - hits, total) == pytest.approx((1 - high, 1 - low))
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.7])
def test_wilson_holds_the_true_share_in_95_of_100_runs(share: float) -> None:
    """Over every possible count of 400 requests, weighted by how likely it is."""
    covered = sum(
        probability(400, share, hits) for hits in range(401) if wilson(hits, 400)[0] <= share <= wilson(hits, 400)[1]
    )
    assert covered == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("total", "share", "ranks"),
    [
        # G. J. Hahn and W. Q. Meeker, "Statistical Intervals", 1991, table A.15: the median's ranks.
        (5, 0.5, (0, 6)),
        (6, 0.5, (1, 6)),
        (10, 0.5, (2, 9)),
        (100, 0.5, (40, 61)),
        # 0.99^n <= 0.025 needs 368 values.
        (367, 0.99, (359, 368)),
        (368, 0.99, (360, 368)),
        (1, 0.5, (0, 2)),
    ],
)
def test_the_ranks_around_a_percentile_are_as_published(total: int, share: float, ranks: tuple[int, int]) -> None:
    assert percentile_ranks(total, share) == ranks


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("total", [1, 2, 30, 500, 9_990, 12_000, 60_000])
def test_the_ranks_hold_the_percentile_in_95_of_100_runs_and_no_narrower_ones_do(total: int, share: float) -> None:
    """How many of `total` values lie below the percentile is binomial: every count, by how likely it is."""
    low, high = percentile_ranks(total, share)
    below = list(accumulate(probability(total, share, k) for k in range(total + 1)))  # P(at most k lie below)
    missed_low = below[low - 1] if low else 0.0  # fewer than `low` lie below: the percentile is under its value
    missed_high = 1 - below[high - 1]  # `high` or more do
    assert missed_low <= 0.025 + 1e-9
    assert missed_high <= 0.025 + 1e-9
    slack = 0 if (total * share * (1 - share)) ** 0.5 <= 50 else 2  # the approximation adds a rank on each side
    assert below[low + slack] > 0.025
    assert high > total or 1 - below[max(high - 2 - slack, 0)] > 0.025


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 31])
def test_the_tail_of_chi_squared_is_the_incomplete_gamma_function(freedom: int) -> None:
    for statistic in (1e-9, 0.01, 0.5, 1, 3, 7, 10.83, 20, 100, 600):
        exact = float(mpmath.gammainc(freedom / 2, statistic / 2, mpmath.inf, regularized=True))
        assert chi_squared_tail(statistic, freedom) == pytest.approx(exact, rel=1e-12)


def test_the_tail_of_chi_squared_ends_at_1_and_0() -> None:
    for freedom in range(1, 80):
        assert chi_squared_tail(0.0, freedom) == 1.0
        assert chi_squared_tail(1e12, freedom) == 0.0


@given(st.lists(st.floats(0, 500), min_size=2, max_size=2), st.integers(1, 40))
def test_a_greater_miss_has_a_smaller_p_value(statistics: list[float], freedom: int) -> None:
    small, great = sorted(statistics)
    assert 0 <= chi_squared_tail(great, freedom) <= chi_squared_tail(small, freedom) * (1 + 1e-12) <= 1 + 1e-12


def test_chi_squared_as_published() -> None:
    """Mendel's peas (R. A. Fisher, "Has Mendel's Work Been Rediscovered?", 1936): 315, 108, 101, 32 of 9:3:3:1."""
    seen = (315, 101, 108, 32)
    statistic = chi_squared(seen, [sum(seen) * part / 16 for part in (9, 3, 3, 1)])
    assert statistic == pytest.approx(0.470, abs=5e-4)
    assert chi_squared_tail(statistic, 3) == pytest.approx(0.925, abs=5e-4)
