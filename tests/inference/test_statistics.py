"""Percentiles."""

from extproc.inference.statistics import percentile


def test_percentiles_are_nearest_rank() -> None:
    hundred = list(range(1, 101))
    assert [percentile(hundred, p) for p in (1, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]
    assert [percentile([7.0, 8.0, 9.0], p) for p in (1, 33, 34, 50, 67, 99)] == [7.0, 7.0, 8.0, 8.0, 9.0, 9.0]
    assert percentile([], 50) is None
