"""Envoy's own split, exactly: every millionth belongs to one candidate, and mirroring is fair to each."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.resources import MILLION
from extproc.xds.intervals import WHOLE, Interval, intervals

WEIGHTS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8).filter(any)


def named(*weights: int) -> list[tuple[int, int]]:
    return list(enumerate(weights))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1,), {0: (0, MILLION)}),
        ((50, 30, 20), {0: (0, 500_000), 1: (500_000, 800_000), 2: (800_000, MILLION)}),
        ((1, 1, 1), {0: (0, 333_333), 1: (333_333, 666_667), 2: (666_667, MILLION)}),
        ((0, 1), {0: (0, 0), 1: (0, MILLION)}),
        # Less than half a millionth is nothing to Envoy, at either end and in the middle.
        ((1, 4_000_000), {0: (0, 0), 1: (0, MILLION)}),
        ((4_000_000, 1), {0: (0, MILLION), 1: (MILLION, MILLION)}),
        ((2_000_000, 1, 2_000_000), {0: (0, 500_000), 1: (500_000, 500_000), 2: (500_000, MILLION)}),
    ],
)
def test_thresholds_are_cumulative(weights: tuple[int, ...], expected: dict[int, tuple[int, int]]) -> None:
    assert {name: (part.low, part.high) for name, part in intervals(named(*weights))} == expected


@given(WEIGHTS)
def test_every_millionth_has_one_owner(weights: list[int]) -> None:
    parts = intervals(named(*weights))
    assert [part.low for _, part in parts] == [0, *(part.high for _, part in parts[:-1])]
    assert parts[-1][1].high == MILLION
    assert all(part.low <= part.high for _, part in parts)


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


RATES = st.lists(st.integers(0, MILLION), max_size=4)


@given(st.integers(0, MILLION - 1), st.integers(1, MILLION), RATES)
def test_several_mirrors_share_out_an_interval_without_gaps(low: int, width: int, rates: list[int]) -> None:
    part = Interval(low, min(MILLION, low + width))
    pieces = part.combinations(rates)
    assert [piece.low for piece, _ in pieces] == [part.low, *(piece.high for piece, _ in pieces[:-1])]
    assert pieces[-1][0].high == part.high
    assert all(piece.low <= piece.high for piece, _ in pieces)
    assert len(pieces) == 2 ** len(rates)  # however much each of them is: only numbers follow from rates


@given(RATES, st.sets(st.integers(0, 3)))
def test_several_mirrors_are_independent(rates: list[int], together: set[int]) -> None:
    """Of all requests, those that every one of `together` gets are the product of their rates, to the last digits."""
    wanted = {index for index in together if index < len(rates)}
    copied = sum(p.high - p.low for p, chosen in WHOLE.combinations(rates) if wanted <= set(chosen))
    expected = Fraction(MILLION)
    for index in wanted:
        expected *= Fraction(rates[index], MILLION)
    assert abs(copied - expected) <= 2 ** len(rates)  # half a millionth for each cut
