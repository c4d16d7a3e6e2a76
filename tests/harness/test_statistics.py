"""The bounds are exact: checked against whole-number arithmetic."""

from fractions import Fraction
from math import comb

import pytest

from tests.harness.statistics import binomial_interval


@pytest.mark.parametrize(("n", "p", "miss"), [(10, 0.5, 0.1), (100, 0.25, 1e-6), (400, 0.03125, 1e-9), (7, 0.875, 0.5)])
def test_is_the_narrowest_interval_of_its_failure_rate(n: int, p: float, miss: float) -> None:
    low, high = binomial_interval(n, p, miss)
    hit, half = Fraction(p), Fraction(miss) / 2

    def tail(ks: range) -> Fraction:
        return sum((comb(n, k) * hit**k * (1 - hit) ** (n - k) for k in ks), Fraction(0))

    assert tail(range(low)) <= half < tail(range(low + 1))
    assert tail(range(high + 1, n + 1)) <= half < tail(range(high, n + 1))


@pytest.mark.parametrize(("n", "p", "expected"), [(50, 0.0, (0, 0)), (50, 1.0, (50, 50)), (0, 0.3, (0, 0))])
def test_ends_of_the_range(n: int, p: float, expected: tuple[int, int]) -> None:
    assert binomial_interval(n, p) == expected


def test_ten_thousand_requests() -> None:
    low, high = binomial_interval(10_000, 0.7)
    assert 6700 < low < 6800 < 7200 < high < 7300


@pytest.mark.parametrize(("n", "p", "miss"), [(-1, 0.5, 0.1), (1, 1.5, 0.1), (1, 0.5, 0), (1, 0.5, 1)])
def test_nonsense_is_refused(n: int, p: float, miss: float) -> None:
    with pytest.raises(ValueError, match="no binomial interval"):
        binomial_interval(n, p, miss)
