"""Envoy's own split, exactly: every millionth belongs to one candidate, and mirroring is fair to each."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.resources import MILLION
from extproc.xds.intervals import Interval, intervals

WEIGHTS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8).filter(any)


def named(*weights: int) -> list[tuple[int, int]]:
    return list(enumerate(weights))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1,), {0: (0, MILLION)}),
        ((50, 30, 20), {0: (0, 500_000), 1: (500_000, 800_000), 2: (800_000, MILLION)}),
        ((1, 1, 1), {0: (0, 333_333), 1: (333_333, 666_667), 2: (666_667, MILLION)}),
        # Less than half a millionth is nothing to Envoy, at either end and in the middle.
        ((1, 4_000_000), {1: (0, MILLION)}),
        ((4_000_000, 1), {0: (0, MILLION)}),
        ((2_000_000, 1, 2_000_000), {0: (0, 500_000), 2: (500_000, MILLION)}),
    ],
)
def test_thresholds_are_cumulative(weights: tuple[int, ...], expected: dict[int, tuple[int, int]]) -> None:
    assert {name: (part.low, part.high) for name, part in intervals(named(*weights))} == expected


@given(WEIGHTS)
def test_every_millionth_has_one_owner(weights: list[int]) -> None:
    parts = intervals(named(*weights))
    assert [part.low for _, part in parts] == [0, *(part.high for _, part in parts[:-1])]
    assert parts[-1][1].high == MILLION
    assert all(part.low < part.high for _, part in parts)


@given(WEIGHTS)
def test_every_share_is_right_to_the_millionth(weights: list[int]) -> None:
    owned = Counter({name: part.high - part.low for name, part in intervals(named(*weights))})
    for name, weight in enumerate(weights):
        assert abs(owned[name] - Fraction(weight * MILLION, sum(weights))) <= 1


@given(st.integers(0, MILLION - 1), st.integers(0, MILLION), st.integers(0, MILLION))
def test_the_mirror_s_rate_is_the_same_in_every_interval(low: int, width: int, millionths: int) -> None:
    part = Interval(low, max(low + 1, min(MILLION, low + width)))
    copied = part.mirrored(millionths) - part.low
    assert 0 <= copied <= part.high - part.low
    assert abs(copied - Fraction(millionths * (part.high - part.low), MILLION)) <= Fraction(1, 2)
