"""Every duration lies in its bucket, and a quantile in the bucket of its rank."""

from math import ceil, inf, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.control.histograms import HIGHEST, LOWEST, Histogram, bucket, quantile, upper_bound


@given(st.floats(1e-6, 1e6))
def test_a_duration_lies_between_the_bounds_of_its_bucket(seconds: float) -> None:
    index = bucket(seconds)
    assert upper_bound(index - 1) * (1 - 1e-12) < seconds <= upper_bound(index) * (1 + 1e-12)


@pytest.mark.parametrize("exponent", range(-19, 20))
def test_a_power_of_two_is_the_largest_of_its_bucket(exponent: int) -> None:
    at = bucket(2.0**exponent)
    assert upper_bound(at) == 2.0**exponent
    assert bucket(nextafter(2.0**exponent, inf)) >= at


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 5e-324])
def test_what_is_too_short_to_measure_is_in_the_first_bucket(seconds: float) -> None:
    assert bucket(seconds) == LOWEST


def test_what_takes_weeks_is_in_the_last_bucket() -> None:
    assert bucket(1e300) == HIGHEST == bucket(2.0**20)
    assert bucket(2.0**20 * 0.99) == HIGHEST


def test_a_histogram_counts_each_duration_once() -> None:
    histogram = Histogram.of([0.001, 0.001, 0.5, 2.0])
    assert histogram.buckets == {bucket(0.001): 2, bucket(0.5): 1, bucket(2.0): 1}
    assert histogram.count == 4
    assert histogram.total == pytest.approx(2.502)


@given(st.lists(st.floats(1e-5, 100), min_size=1, max_size=50), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_near_the_value_of_its_rank(durations: list[float], share: float) -> None:
    exact = sorted(durations)[max(ceil(share * len(durations)), 1) - 1]
    assert quantile(Histogram.of(durations).buckets, share) == pytest.approx(exact, rel=0.023)
