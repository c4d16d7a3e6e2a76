"""Percentiles and Wilson's interval, against published values and by exact enumeration."""

import pytest

from extproc.inference.statistics import percentile, wilson
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


def test_percentiles_are_nearest_rank() -> None:
    hundred = list(range(1, 101))
    assert [percentile(hundred, p) for p in (1, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]
    assert [percentile([7.0, 8.0, 9.0], p) for p in (1, 33, 34, 50, 67, 99)] == [7.0, 7.0, 8.0, 8.0, 9.0, 9.0]
    assert percentile([], 50) is None
